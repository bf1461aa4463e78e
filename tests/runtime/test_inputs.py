"""Pictures on their way to a provider: made to fit, loaded or uploaded, before anything is promised."""

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest
from helpers_runtime import ACME, Rig, Scripted, png
from PIL import Image

from darkroom.adapters.base import Accepted, Blob, Call
from darkroom.domain.job import Job, LedgerKind, State
from darkroom.domain.kinds import Mode, Role
from darkroom.domain.request import MediaInput
from darkroom.errors import InvalidRequest, Overloaded, ProviderFailed
from darkroom.runtime.submit import UPLOADS
from factories import FakeClock, make_effective

pytestmark = pytest.mark.anyio


@dataclass
class Uploading(Scripted):
    """One whose provider wants pictures beforehand."""

    uploads: list[Any] = field(default_factory=list[Any])
    brought: list[Blob] = field(default_factory=list[Blob])

    async def upload(self, blob: Blob, call: Call) -> Any:
        assert call.offer.model == "acme-image-1"
        self.brought.append(blob)
        if self.uploads:
            raise self.uploads.pop(0)
        return f"acme://{len(self.brought)}"


def takes(rig: Rig, **said: Any) -> None:
    rig.providers["acme"] = ACME.model_validate({**ACME.model_dump(mode="json"), **said})


async def with_picture(rig: Rig, size: tuple[int, int] = (64, 48)) -> Job:
    (rig.folder / "a.png").write_bytes(png(size))
    stored = await rig.inputs.take(str(rig.folder / "a.png"), local=True)
    shown = MediaInput(src=stored.ref, sha256=stored.sha256, role=Role.REFERENCE, width=size[0], height=size[1])
    return await rig.add(effective=make_effective(mode=Mode.REFERENCE_TO_IMAGE, inputs=(shown,)))


async def test_a_picture_is_sent_as_it_is_where_it_fits(rig: Rig) -> None:
    await with_picture(rig)
    assert await rig.stepper.advance(await rig.claim()) is not None
    (blob,) = rig.adapter.sent[0].inputs
    assert (blob.content, blob.media_type, blob.role) == (png(), "image/png", Role.REFERENCE)
    assert blob.data_uri.startswith("data:image/png;base64,iVBOR")


async def test_a_picture_is_made_to_fit(rig: Rig) -> None:
    takes(rig, picture={"max_side": 64, "media_types": ["image/jpeg"]})
    await with_picture(rig, (128, 96))
    assert await rig.stepper.advance(await rig.claim()) is not None
    (blob,) = rig.adapter.sent[0].inputs
    assert blob.media_type == "image/jpeg"
    assert Image.open(BytesIO(blob.content)).size == (64, 48)


@pytest.mark.parametrize("form", ["url", "file"])
async def test_nothing_is_loaded_where_the_file_itself_does_not_travel(rig: Rig, form: str) -> None:
    takes(rig, pictures=form)
    await with_picture(rig)
    assert await rig.stepper.advance(await rig.claim()) is not None
    assert rig.adapter.sent[0].inputs[0].content == b""


async def test_what_cannot_be_made_to_fit_fails_before_anything_is_sent(rig: Rig) -> None:
    takes(rig, picture={"max_side": 100, "min_side": 100})
    job = await with_picture(rig, (128, 96))
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert (part.state, part.sent_at, rig.adapter.sent) == (State.FAILED, None, [])
    assert part.error is not None
    assert part.error["code"] == InvalidRequest.code
    assert (await rig.money(job))[1:] == [(LedgerKind.RELEASED, 40_000, True)]


async def test_a_picture_is_brought_before_the_intent_and_only_once(rig: Rig, clock: FakeClock) -> None:
    takes(rig, pictures="upload", uploads_kept_s=3600)
    rig.adapter = adapter = Uploading()
    for _ in range(2):
        await with_picture(rig)
        assert await rig.stepper.advance(await rig.claim()) is not None
    assert [call.inputs[0].uploaded for call in adapter.sent] == ["acme://1", "acme://1"]
    assert len(adapter.brought) == 1
    clock.advance(3600)
    await with_picture(rig)
    assert await rig.stepper.advance(await rig.claim()) is not None
    assert adapter.sent[2].inputs[0].uploaded == "acme://2"


async def test_another_account_has_pictures_of_its_own(rig: Rig) -> None:
    takes(rig, pictures="upload")
    rig.adapter = adapter = Uploading()
    await with_picture(rig)
    assert await rig.stepper.advance(await rig.claim()) is not None
    rig.environment["ACME_API_KEY"] = "another"
    await with_picture(rig)
    assert await rig.stepper.advance(await rig.claim()) is not None
    assert len(adapter.brought) == 2


async def test_an_upload_that_fails_is_tried_again_and_then_given_up(rig: Rig) -> None:
    takes(rig, pictures="upload")
    rig.adapter = adapter = Uploading(uploads=[ProviderFailed("cut"), Overloaded("no room")])
    job = await with_picture(rig)
    held = await rig.claim()
    for _ in range(2):
        assert await rig.stepper.advance(held) is held
        assert (await rig.part(job)).state is State.QUEUED
    assert await rig.stepper.advance(held) is not None
    assert len(adapter.sent) == 1
    adapter.uploads = [ProviderFailed("cut")] * (UPLOADS + 1)
    takes(rig, pictures="upload", uploads_kept_s=1)
    await rig.store.move((await rig.part(job)).ref, rig.kit.owner, _ended(rig))
    again = await with_picture(rig, (80, 60))
    held = await rig.claim()
    for _ in range(UPLOADS):
        assert await rig.stepper.advance(held) is held
    assert await rig.stepper.advance(held) is None
    assert (await rig.part(again)).state is State.FAILED
    assert (await rig.money(again))[1:] == [(LedgerKind.RELEASED, 40_000, True)]


def _ended(rig: Rig) -> Any:
    from darkroom.store.base import Move

    return Move(State.FAILED, rig.clock.now())


async def test_a_provider_without_uploads_cannot_be_given_any(rig: Rig) -> None:
    takes(rig, pictures="upload")
    rig.adapter.submits = [Accepted({"id": "r1"})]
    job = await with_picture(rig)
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.FAILED
    assert rig.adapter.sent == []
