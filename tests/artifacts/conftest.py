"""Pictures, clips and stores for the tests of the artifact layer."""

import random
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from darkroom.artifacts.base import Placement
from darkroom.artifacts.inputs import LocalInputs
from darkroom.artifacts.local import LocalArtifacts
from factories import NO_WEB

JOB = "job_0123456789abcdef"
MakePicture = Callable[..., bytes]
MakePlace = Callable[..., Placement]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """What DARKROOM_HOME is for the stores of these tests."""
    return tmp_path / "own"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def extra(tmp_path: Path) -> Path:
    folder = tmp_path / "extra"
    folder.mkdir()
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def artifacts(own: Path, out: Path, extra: Path) -> LocalArtifacts:
    return LocalArtifacts(home=own, output_dir=out, allowed_output_dirs=[extra])


@pytest.fixture
def inputs(own: Path, pictures: Path) -> LocalInputs:
    return LocalInputs(home=own, allowed_dirs=[pictures], guard=NO_WEB)


@pytest.fixture
def picture() -> MakePicture:
    def make(kind: str = "PNG", size: tuple[int, int] = (40, 30), colour: Any = (200, 30, 60), **save: Any) -> bytes:
        buffer = BytesIO()
        Image.new(save.pop("mode", "RGB"), size, colour).save(buffer, kind, **save)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def noise() -> bytes:
    """A picture that hardly compresses, 2048 pixels a side."""
    buffer = BytesIO()
    Image.frombytes("RGB", (2048, 2048), random.Random(7).randbytes(2048 * 2048 * 3)).save(
        buffer, "PNG", compress_level=0
    )
    return buffer.getvalue()


@pytest.fixture
def bomb() -> bytes:
    """A PNG of 30000x30000 by its header, and of a few bytes by its content."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.fixture
def place() -> MakePlace:
    def make(**changes: Any) -> Placement:
        values: dict[str, Any] = {
            "job_id": JOB,
            "submission": 0,
            "index": 1,
            "count": 1,
            "slug": "A red fox, jumping!",
            "created_at": 1_767_225_599_000,  # 2025-12-31 23:59:59 UTC
        }
        return Placement(**(values | changes))

    return make


def encode_clip(path: Path, *, codec: str = "libx264", black: int = 4, frames: int = 12) -> Path:
    """Write a clip of 96x64 pixels at 12 frames a second: black at first, then red above blue."""
    import av

    frames_of: Any = av.VideoFrame
    image = Image.new("RGB", (96, 64), (230, 20, 20))
    image.paste((20, 20, 230), (0, 32, 96, 64))
    options = {"movflags": "+faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options) as opened:
        container: Any = opened
        stream = container.add_stream(codec, rate=12)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(frames):
            frame = frames_of.from_image(Image.new("RGB", (96, 64)) if number < black else image)
            frame.pts, frame.time_base = number, Fraction(1, 12)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of MP4; to be copied, not changed."""
    return encode_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(scope="session")
def clip_webm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode_clip(tmp_path_factory.mktemp("clips") / "clip.webm", codec="libvpx-vp9")


@pytest.fixture(scope="session")
def clip_black(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode_clip(tmp_path_factory.mktemp("clips") / "black.mov", black=12)
