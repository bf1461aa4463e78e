"""Clips on their way to a provider: sent as they are, or refused before anything is promised."""

from pathlib import Path
from typing import Any

import pytest
from helpers_runtime import ACME, VIDEO, Rig

from darkroom.adapters.base import Blob
from darkroom.domain.job import Job, LedgerKind, State, Submission
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.request import MediaInput
from darkroom.errors import InvalidRequest
from darkroom.runtime.kit import Kit
from factories import make_effective

pytestmark = pytest.mark.anyio
CLIP = b"\0\0\0\x18ftypmp42" + bytes(2_000_000)


def takes(rig: Rig, **said: Any) -> None:
    data = ACME.model_dump(mode="json")
    data["offers"][1]["clip"] = said
    rig.providers["acme"] = ACME.model_validate(data)


async def with_clip(rig: Rig, monkeypatch: pytest.MonkeyPatch, path: Path) -> Job:
    """Store a job that changes the clip of that path, which was taken before."""
    blob = Blob(path, Role.VIDEO, "video/mp4", "ab" * 32, 64, 48, 5.0)

    def blobs(kit: Kit, part: Submission) -> tuple[Blob]:
        return (blob,)

    monkeypatch.setattr(Kit, "_blobs", blobs)
    item = MediaInput(src="input:ab", sha256="ab" * 32, role=Role.VIDEO, duration=5.0)
    effective = make_effective(kind=Kind.VIDEO, mode=Mode.EDIT_VIDEO, inputs=(item,))
    return await rig.add(**{**VIDEO, "effective": effective})


async def test_a_clip_is_sent_as_it_is(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rig.folder / "a.mp4"
    path.write_bytes(CLIP)
    await with_clip(rig, monkeypatch, path)
    assert await rig.stepper.advance(await rig.claim()) is not None
    (blob,) = rig.adapter.sent[0].inputs
    assert (blob.content, blob.media_type, blob.duration) == (CLIP, "video/mp4", 5.0)


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"max_bytes": 1_500_000}, "The clip has 2.0 MB, more than 1.5, so acme-video-1 cannot take it."),
        (
            {"media_types": ["video/webm", "video/quicktime"]},
            "The clip is of the type video/mp4, not video/webm or video/quicktime, so acme-video-1 cannot take it.",
        ),
        ({"gone": True}, "The clip can no longer be read, so acme-video-1 cannot take it."),
    ],
)
async def test_a_clip_that_cannot_be_sent_fails_before_anything_is(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any], why: str
) -> None:
    path = rig.folder / "a.mp4"
    if not limits.pop("gone", False):
        path.write_bytes(CLIP)
    takes(rig, **limits)
    job = await with_clip(rig, monkeypatch, path)
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert (part.state, part.sent_at, rig.adapter.sent) == (State.FAILED, None, [])
    assert part.error is not None
    assert (part.error["code"], part.error["message"]) == (InvalidRequest.code, why)
    assert "Nothing was sent or charged." in part.error["hint"]
    assert (await rig.money(job))[1:] == [(LedgerKind.RELEASED, 40_000, True)]
