"""A running program that advances nothing by itself."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from darkroom.app import App
from darkroom.settings import Settings
from factories import FakeClock
from helpers_services import MANIFEST, opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pictures(home: Path) -> Path:
    """A folder that inputs may come from."""
    folder = home / "Pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def settings() -> Settings:
    """As they are without any source; reading them blocks."""
    return Settings.load()


@pytest.fixture
def paid_settings(tmp_path: Path) -> Settings:
    """With a manifest of the user's own."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "acme.toml").write_text(MANIFEST, "utf-8")
    return Settings.load(providers_dir=folder)


@pytest.fixture
async def app(clock: FakeClock, settings: Settings) -> AsyncGenerator[App]:
    """Only the draft engine."""
    async with opened(settings, clock) as program:
        yield program


@pytest.fixture
async def paid(clock: FakeClock, paid_settings: Settings) -> AsyncGenerator[App]:
    """The draft engine, and a made-up provider with prices."""
    async with opened(paid_settings, clock) as program:
        yield program
        assert program.providers.problems == []
