"""A loop over real services, whose model is a script."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages: this makes helpers_llm importable

from helpers_llm import World, manifests, world

from darkroom.settings import Settings
from helpers_services import MANIFEST


@pytest.fixture
def plain_settings() -> Settings:
    """As they are without any source; reading them blocks."""
    return Settings.load()


@pytest.fixture
def paid_settings(tmp_path: Path) -> Settings:
    """With a provider of pictures at 4 cents."""
    return Settings.load(providers_dir=manifests(tmp_path / "manifests", MANIFEST))


@pytest.fixture
async def free(plain_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    """Only drafts."""
    async with world(plain_settings, monkeypatch) as found:
        yield found


@pytest.fixture
async def paid(paid_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    """With a provider of pictures at 4 cents."""
    async with world(paid_settings, monkeypatch) as found:
        yield found
