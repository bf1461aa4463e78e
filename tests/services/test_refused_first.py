"""What a provider would not take is refused at the request, so that no job is stored for it."""

import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from darkroom.app import App
from darkroom.domain.job import Job
from darkroom.domain.kinds import Kind
from darkroom.errors import InvalidRequest, NotConfigured
from darkroom.services.generation import Started
from darkroom.services.routes import AnyRequest
from darkroom.settings import Settings
from factories import FakeClock
from helpers_services import TERMS, image, opened, picture, put, started, video

pytestmark = pytest.mark.anyio
SIDE = 1024


def noise() -> bytes:
    """Return a mask that no compression makes small: a transparent PNG of a little more than 4 MB."""
    buffer = BytesIO()
    Image.frombytes("RGBA", (SIDE, SIDE), random.Random(7).randbytes(4 * SIDE * SIDE)).save(buffer, "PNG")
    return buffer.getvalue()


def masked(folder: Path) -> AnyRequest:
    source = put(folder / "fox.png", picture(size=(SIDE, SIDE)))
    mask = put(folder / "mask.png", noise())
    return image(provider="openai", model="gpt-image-2", images=[f"source={source}", f"mask={mask}"])


def referred(folder: Path) -> AnyRequest:
    one = put(folder / "fox.png", picture(size=(512, 512)))
    return video(model="grok-imagine-video-1.5", resolution="1080p", images=[f"reference={one}"])


async def started_with_keys(
    settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, request: AnyRequest
) -> tuple[Job | InvalidRequest, int]:
    """Start a request where OpenAI and xAI have keys; return the job or the refusal, and how many jobs there are."""
    monkeypatch.setenv("OPENAI_API_KEY", "made-up-key-1")
    monkeypatch.setenv("XAI_API_KEY", "made-up-key-2")
    async with opened(settings, clock) as app:
        try:
            found: Job | InvalidRequest = await started(app, request)
        except InvalidRequest as exc:
            found = exc
        return found, len(await app.store.find())


@pytest.mark.parametrize(
    ("request_of", "says", "field"),
    [(masked, "The mask has 4.2 MB", "images"), (referred, "With a reference, grok", "resolution")],
)
async def test_a_limit_of_the_provider_is_told_before_anything_is_stored(
    settings: Settings,
    clock: FakeClock,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_of: Callable[[Path], AnyRequest],
    says: str,
    field: str,
) -> None:
    found, jobs = await started_with_keys(settings, clock, monkeypatch, request_of(pictures))
    assert isinstance(found, InvalidRequest)
    assert found.message.startswith(says)
    assert found.field == field
    assert (found.hint or "").startswith("Nothing was stored or sent.")
    assert jobs == 0


async def test_pollable_pictures_are_one_job_of_several_submissions(
    settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = image(provider="openai", model="gpt-image-2", n=3, options={"pollable": True})
    found, jobs = await started_with_keys(settings, clock, monkeypatch, request)
    assert isinstance(found, Job)
    assert [part.effective.n for part in found.submissions] == [1, 1, 1]
    assert jobs == 1


async def test_how_large_a_file_is_makes_no_other_request_of_it(app: App, pictures: Path) -> None:
    one = put(pictures / "fox.png", picture())
    first = await started(app, image(images=[one]))
    (item,) = first.request.images
    assert item.file_bytes == len(picture())
    older = first.request.images[0].model_copy(update={"file_bytes": None})
    again = await app.generation.start(image(images=[older]), TERMS)
    assert isinstance(again, Started)
    assert (again.job, again.created) == (first, False)


AZURE = {"AZURE_OPENAI_API_KEY": "made-up-key-3", "AZURE_OPENAI_ENDPOINT": "myres"}
LIKE = "Azure OpenAI needs AZURE_OPENAI_ENDPOINT as a web address such as https://NAME.openai.azure.com"


@pytest.mark.parametrize("named", [{"provider": "azure"}, {"model": "azure/gpt-image-2"}, {}])
async def test_an_endpoint_that_is_no_address_is_told_at_the_request(
    settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, named: dict[str, str]
) -> None:
    for name, value in AZURE.items():
        monkeypatch.setenv(name, value)
    async with opened(settings, clock) as app:
        with pytest.raises(NotConfigured) as caught:
            await app.generation.start(image(**named), TERMS)
        assert caught.value.message.startswith(LIKE)
        assert "myres" not in caught.value.message
        assert (caught.value.hint or "").startswith("Nothing was stored or sent.")
        assert await app.store.find() == []
        states = {app.pricing.state(item) for item in app.pricing.offers(Kind.IMAGE) if item.provider.id == "azure"}
        (state,) = states
        assert LIKE.endswith(state.partition("; ")[0])
        assert (await started(app, image(provider="draft"))).submissions[0].provider == "draft"


async def test_another_provider_serves_where_one_cannot_be_called(
    settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in AZURE.items():
        monkeypatch.setenv(name, value)
    request = image(model="gpt-image-2")
    found, _ = await started_with_keys(settings, clock, monkeypatch, request)
    assert isinstance(found, Job)
    assert found.submissions[0].provider == "openai"
