"""Programs and clients for the tests of the MCP face."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from mcp import Client

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages: this makes helpers_server importable

from helpers_server import ERAS, QuickDraft, connected

from darkroom.app import App
from darkroom.settings import Settings


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def quick(clip: Path) -> QuickDraft:
    """The stand-in for the draft engine; its work is ready at once."""
    draft = QuickDraft(clip)
    draft.ready.set()
    return draft


@pytest.fixture
def app(quick: QuickDraft) -> App:
    made = App(Settings.load())
    made.adapters = quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    return made


@pytest.fixture
async def client(app: App, era: str) -> AsyncGenerator[Client]:
    async with connected(app, era) as opened:
        yield opened
