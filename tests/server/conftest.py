"""Programs and clients for the tests of the MCP face."""

import sys
from collections.abc import AsyncGenerator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages: this makes helpers_server importable

from helpers_server import ERAS, QuickDraft, connected

from darkroom.app import App
from darkroom.settings import Settings


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of MP4; to be copied, not changed."""
    import av

    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    frames_of: Any = av.VideoFrame
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as opened:
        container: Any = opened
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(6):
            frame = frames_of.from_image(Image.new("RGB", (96, 64), (30 * number, 90, 40)))
            frame.pts, frame.time_base = number, Fraction(1, 12)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


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
