"""What every artifact store and every input store must do."""

import base64
import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from PIL import Image

from darkroom.artifacts.base import ArtifactStore, InputStore, Placement
from darkroom.artifacts.inputs import LocalInputs
from darkroom.artifacts.local import LocalArtifacts
from darkroom.domain.job import output_id
from darkroom.domain.kinds import Kind
from darkroom.domain.output import RemoteOutput
from darkroom.errors import InvalidRequest, ResultExpired, UnexpectedAnswer, Unsupported
from factories import NO_WEB

pytestmark = pytest.mark.anyio
STORES: dict[str, Callable[[Path], ArtifactStore]] = {
    "local": lambda folder: LocalArtifacts(home=folder / "home", output_dir=folder / "out", allowed_output_dirs=()),
}
INPUTS: dict[str, Callable[[Path], InputStore]] = {
    "local": lambda folder: LocalInputs(home=folder / "home", allowed_dirs=[folder / "pictures"], guard=NO_WEB),
}


@pytest.fixture(params=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return STORES[request.param](tmp_path)


@pytest.fixture(params=list(INPUTS))
def taken(request: pytest.FixtureRequest, tmp_path: Path) -> InputStore:
    return INPUTS[request.param](tmp_path)


def finished(folder: Path, data: bytes, name: str = "result.bin") -> RemoteOutput:
    path = folder / name
    path.write_bytes(data)
    return RemoteOutput(path=str(path), variant="raw")


async def test_keeps_the_very_bytes_and_says_what_they_are(
    store: ArtifactStore, tmp_path: Path, picture: Any, place: Callable[..., Placement]
) -> None:
    data = picture("PNG", (40, 30))
    output = await store.keep(finished(tmp_path, data), place(submission=2, index=3, count=4))
    assert await store.read(output) == data
    assert output.id == output_id(output.job_id, 3)
    assert (output.submission, output.index, output.variant) == (2, 3, "raw")
    assert (output.media_type, output.width, output.height, output.duration) == ("image/png", 40, 30, None)
    assert (output.bytes, output.sha256) == (len(data), hashlib.sha256(data).hexdigest())


async def test_makes_a_thumbnail_of_at_most_512_pixels(
    store: ArtifactStore, tmp_path: Path, picture: Any, place: Callable[..., Placement]
) -> None:
    output = await store.keep(finished(tmp_path, picture("JPEG", (1200, 300))), place())
    data = await store.read(output, thumbnail=True)
    assert data is not None
    with Image.open(BytesIO(data)) as small:
        assert (small.format, small.size) == ("WEBP", (512, 128))


async def test_keeps_a_clip_with_its_duration_and_poster(
    store: ArtifactStore, clip: Path, place: Callable[..., Placement]
) -> None:
    output = await store.keep(RemoteOutput(path=str(clip), media_type="video/mp4"), place())
    assert (output.media_type, output.width, output.height, output.duration) == ("video/mp4", 96, 64, 1.0)
    assert await store.read(output, thumbnail=True)


async def test_keeping_again_gives_the_same_output(
    store: ArtifactStore, tmp_path: Path, picture: Any, place: Callable[..., Placement]
) -> None:
    source = finished(tmp_path, picture())
    assert await store.keep(source, place()) == await store.keep(source, place())


async def test_leaves_the_source_where_it_is(
    store: ArtifactStore, tmp_path: Path, picture: Any, place: Callable[..., Placement]
) -> None:
    data = picture()
    source = finished(tmp_path, data)
    await store.keep(source, place())
    assert (tmp_path / "result.bin").read_bytes() == data


async def test_a_page_is_no_result(store: ArtifactStore, tmp_path: Path, place: Callable[..., Placement]) -> None:
    with pytest.raises(UnexpectedAnswer) as caught:
        await store.keep(finished(tmp_path, b"<html><body>Bad gateway</body></html>", "a.png"), place())
    assert "an HTML page" in caught.value.message
    assert caught.value.provider_message == "<html><body>Bad gateway</body></html>"


async def test_a_source_that_is_gone_has_expired(
    store: ArtifactStore, tmp_path: Path, place: Callable[..., Placement]
) -> None:
    with pytest.raises(ResultExpired):
        await store.keep(RemoteOutput(path=str(tmp_path / "gone.png")), place())


async def test_a_web_address_is_for_later(store: ArtifactStore, place: Callable[..., Placement]) -> None:
    with pytest.raises(Unsupported):
        await store.keep(RemoteOutput(url="https://example.com/a.png"), place())


def test_a_save_as_that_climbs_is_refused(store: ArtifactStore) -> None:
    with pytest.raises(InvalidRequest) as caught:
        store.check_target("../secret.png")
    assert caught.value.field == "save_as"
    assert "Nothing was stored." in str(caught.value.hint)


def test_scratch_lasts_until_swept(store: ArtifactStore) -> None:
    folder = store.scratch("job_1", 0)
    (folder / "part").write_bytes(b"x")
    assert store.scratch("job_1", 0) == folder
    assert (store.scratch("job_1", 1) != folder) and (folder / "part").exists()
    store.sweep("job_1")
    store.sweep("job_1")
    assert not folder.exists()


@pytest.mark.parametrize("job_id", ["", "..", "../job_1", "job_1/..", "job_1\\x", "job_\0", "/etc"])
def test_scratch_takes_ids_alone(store: ArtifactStore, job_id: str) -> None:
    with pytest.raises(ValueError, match="id of a job"):
        store.scratch(job_id, 0)
    with pytest.raises(ValueError, match="id of a job"):
        store.sweep(job_id)


async def test_an_input_is_found_again_by_its_hash(taken: InputStore, picture: Any) -> None:
    data = picture("WEBP", (60, 20), lossless=True)
    uri = "data:image/webp;base64," + base64.b64encode(data).decode()
    first = await taken.take(uri, local=False)
    assert first.path.read_bytes() == data
    assert first.sha256 == hashlib.sha256(data).hexdigest()
    assert first.ref == f"input:{first.sha256}"
    assert (first.facts.media_type, first.facts.width, first.facts.height) == ("image/webp", 60, 20)
    assert await anyio.to_thread.run_sync(taken.get, first.sha256) == first
    assert await taken.take(uri, local=True) == first


@pytest.mark.parametrize("sha256", ["0" * 64, "../../x", "", "A" * 64])
def test_an_unknown_hash_has_expired(taken: InputStore, sha256: str) -> None:
    with pytest.raises(ResultExpired):
        taken.get(sha256)


async def test_paths_are_refused_where_they_are_not_local(taken: InputStore, tmp_path: Path, picture: Any) -> None:
    (tmp_path / "pictures").mkdir()
    path = tmp_path / "pictures" / "a.png"
    path.write_bytes(picture())
    assert (await taken.take(str(path), local=True)).name == "a.png"
    for src in (str(path), "a.png", path.as_uri()):
        with pytest.raises(InvalidRequest) as caught:
            await taken.take(src, local=False)
        assert caught.value.field == "images"


@pytest.mark.parametrize(
    ("src", "says"),
    [
        ("https://example.com/a.png", "no host"),
        ("HTTP://example.com/a.png", "https://"),
        ("https://127.0.0.1/a.png", "private"),
        ("https://localhost/a.png", "private"),
    ],
)
async def test_web_addresses_that_cannot_be_opened_are_refused(taken: InputStore, src: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as caught:
        await taken.take(src, local=False)
    assert caught.value.field == "images"
    assert "Nothing was stored" in str(caught.value.hint)


@pytest.mark.parametrize(
    "src",
    [
        "a.png",
        "file:///a.png",
        "ftp://example.com/a.png",
        "https://example.com/a.png",
        "https://127.0.0.1/a.png",
        "data:image/png;base64,@@@@",
        "data:text/plain,hello",
    ],
)
@pytest.mark.parametrize("kind", [Kind.IMAGE, Kind.VIDEO])
async def test_a_caller_from_afar_is_never_told_to_name_a_file(taken: InputStore, src: str, kind: Kind) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await taken.take(src, local=False, kind=kind)
    advice = f"{caught.value.hint} {caught.value.allowed}"
    assert "path" not in advice
    assert "file" not in advice


@pytest.mark.parametrize(
    "src",
    ["ftp://example.com/a.png", "https://example.com/a.png", "https://127.0.0.1/a.png", "data:image/png;base64,@@@@"],
)
async def test_a_caller_at_this_machine_is_told_of_files(taken: InputStore, src: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await taken.take(src, local=True)
    assert "path" in str(caught.value.hint)
