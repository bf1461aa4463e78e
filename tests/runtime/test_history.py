"""The earlier turns of a conversation: brought whole, in order, or the request is not sent at all."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from helpers_runtime import ACME, VIDEO, Finding, Rig, again, png, rig_in

from darkroom.adapters.base import Accepted, Call, Made, Succeeded
from darkroom.domain.job import Job, LedgerKind, State
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.request import Earlier, MediaInput
from darkroom.errors import InvalidRequest
from darkroom.net.answer import Answer
from darkroom.runtime import history
from darkroom.runtime.unknown import Finder
from factories import FakeClock, make_effective

pytestmark = pytest.mark.anyio
TURN = {"parts": [{"thoughtSignature": "c2lnbmF0dXJl+/=", "text": "“fox” 狐"}]}


def after(job: Job | None, idx: int = 0) -> Earlier | None:
    return job and Earlier(job_id=job.id, submission=idx, offer="acme/acme-image-1", account=None, pictures=1)


async def made(rig: Rig, name: str, earlier: Job | None = None, size: tuple[int, int] = (64, 48), **said: Any) -> Job:
    """Make one picture as the turn after an earlier one."""
    rig.adapter.submits = [Succeeded((Made(png(size), "image/png"),), turn={"turn": name})]
    job = await rig.add(effective=make_effective(prompt=name, follows=after(earlier), **said))
    assert await rig.stepper.advance(await rig.claim()) is None
    done = await rig.job(job)
    assert done.state is State.SUCCEEDED
    return done


async def refused(rig: Rig, job: Job) -> None:
    """Have a turn after that job fail before anything is sent."""
    rig.adapter.sent.clear()
    follower = await rig.add(effective=make_effective(follows=after(job)))
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(follower)
    assert (part.state, part.sent_at, rig.adapter.sent) == (State.FAILED, None, [])
    assert part.error is not None
    assert (part.error["code"], part.error["message"]) == (
        InvalidRequest.code,
        "The result to go on with is gone or was changed.",
    )
    assert part.error["hint"] == history.GONE
    assert (await rig.money(follower))[1:] == [(LedgerKind.RELEASED, 40_000, True)]


async def test_a_first_turn_has_no_history(rig: Rig) -> None:
    await made(rig, "one")
    assert rig.adapter.sent[0].history == ()


async def test_all_turns_go_out_again_oldest_first_byte_for_byte(rig: Rig) -> None:
    one = await made(rig, "one")
    two = await made(rig, "two", one, (32, 32))
    three = await made(rig, "three", two, (16, 16))
    await made(rig, "four", three)
    turns = rig.adapter.sent[-1].history
    assert [turn.request.prompt for turn in turns] == ["one", "two", "three"]
    assert [turn.content for turn in turns] == [{"turn": "one"}, {"turn": "two"}, {"turn": "three"}]
    for turn, job in zip(turns, (one, two, three), strict=True):
        (blob,) = turn.outputs
        (output,) = job.outputs
        assert blob.content == await anyio.Path(output.path).read_bytes()
        assert (blob.sha256, blob.media_type, blob.role) == (output.sha256, "image/png", Role.SOURCE)
        assert (blob.width, blob.height) == (output.width, output.height)


@pytest.mark.parametrize("happen", ["changed", "deleted", "forgotten"])
async def test_what_is_not_as_it_was_made_is_not_gone_on_with(rig: Rig, happen: str) -> None:
    one = await made(rig, "one")
    path = Path(one.outputs[0].path)
    if happen == "changed":
        path.write_bytes(path.read_bytes() + b"\0")
    elif happen == "deleted":
        path.unlink()
    else:

        async def nothing(job_id: str, submission: int) -> None:
            return None

        rig.store.turn = nothing
    await refused(rig, one)


async def test_a_job_that_is_no_more_is_not_gone_on_with(rig: Rig) -> None:
    one = await made(rig, "one")
    await refused(rig, one.model_copy(update={"id": "job_nope"}))


async def test_turns_before_one_that_is_gone_are_left_out(rig: Rig) -> None:
    one = await made(rig, "one")
    two = await made(rig, "two", one)
    three = await made(rig, "three", two)
    Path(one.outputs[0].path).unlink()
    await made(rig, "four", three)
    assert [turn.request.prompt for turn in rig.adapter.sent[-1].history] == ["two", "three"]


async def test_the_oldest_turns_are_left_out_where_all_would_be_too_large(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await made(rig, "one")
    two = await made(rig, "two", one)
    three = await made(rig, "three", two)
    sizes = [Path(job.outputs[0].path).stat().st_size for job in (one, two, three)]
    for most, kept in ((sum(sizes), 3), (sum(sizes) - 1, 2), (sum(sizes[1:]) - 1, 1), (1, 1)):
        monkeypatch.setattr(history, "MAX_BYTES", most)
        await made(rig, "four", three)
        prompts = [turn.request.prompt for turn in rig.adapter.sent[-1].history]
        assert prompts == ["one", "two", "three"][-kept:], "the latest goes in whatever its size"


async def with_input(rig: Rig) -> tuple[MediaInput, Path]:
    (rig.folder / "a.png").write_bytes(png((128, 96)))
    stored = await rig.inputs.take(str(rig.folder / "a.png"), local=True)
    return MediaInput(src=stored.ref, sha256=stored.sha256, role=Role.REFERENCE), stored.path


async def test_pictures_that_were_given_to_earlier_turns_go_out_again_as_the_offer_takes_them(rig: Rig) -> None:
    rig.providers["acme"] = ACME.model_validate(
        {**ACME.model_dump(mode="json"), "picture": {"media_types": ["image/jpeg"]}}
    )
    item, _ = await with_input(rig)
    one = await made(rig, "one", mode=Mode.REFERENCE_TO_IMAGE, inputs=(item,))
    await made(rig, "two", one)
    (turn,) = rig.adapter.sent[-1].history
    (blob,) = turn.inputs
    assert (blob.media_type, blob.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    assert turn.outputs[0].media_type == "image/png", "what the model made goes back as it made it"


async def test_given_pictures_count_among_what_is_too_large(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    item, path = await with_input(rig)
    one = await made(rig, "one", mode=Mode.REFERENCE_TO_IMAGE, inputs=(item,))
    two = await made(rig, "two", one)
    size = path.stat().st_size + sum(Path(job.outputs[0].path).stat().st_size for job in (one, two))
    for most, kept in ((size, 2), (size - 1, 1)):
        monkeypatch.setattr(history, "MAX_BYTES", most)
        await made(rig, "three", two)
        assert len(rig.adapter.sent[-1].history) == kept


async def test_a_turn_whose_given_picture_is_gone_is_not_gone_on_with(rig: Rig) -> None:
    item, path = await with_input(rig)
    one = await made(rig, "one", mode=Mode.REFERENCE_TO_IMAGE, inputs=(item,))
    path.unlink()
    await refused(rig, one)


async def test_a_clip_is_gone_on_with_by_the_providers_id_alone(rig: Rig) -> None:
    held = await rig.begun(**VIDEO)
    rig.adapter.polls = [rig.done()]
    assert await again(rig, held) is None
    clip = await rig.job(held)
    Path(clip.outputs[0].path).unlink()
    effective = make_effective(kind=Kind.VIDEO, mode=Mode.EDIT_VIDEO, follows=after(clip))
    follower = await rig.add(**{**VIDEO, "effective": effective})
    assert await rig.stepper.advance(await rig.claim()) is not None
    assert (await rig.part(follower)).state is State.RUNNING
    (turn,) = rig.adapter.sent[-1].history
    assert (turn.provider_job_id, turn.content, turn.outputs, turn.inputs) == ("r1", None, (), ())


# A crash between the answer and its move


@dataclass
class Talking(Finding):
    """One whose provider answers within its call, and wants its signature back."""

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        return Succeeded((Made(png(), "image/png"),), turn=answer.json())


@pytest.fixture
async def next_rig(tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Rig]:
    """The process that comes after a crash."""
    async with rig_in(tmp_path, clock, Talking()) as opened:
        yield opened


PROCESS = """
import json, os, signal, sys
from pathlib import Path
import anyio
sys.path[:0] = sys.argv[2:4]
from darkroom.net import spool
from darkroom.net.answer import Answer
from factories import FakeClock
from helpers_runtime import rig_in

async def die(call):
    assert spool.save(call.spool, Answer(200, {}, os.fsencode(sys.argv[4])))
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with rig_in(Path(sys.argv[1]), FakeClock()) as rig:
        rig.adapter.submits = [die]
        await rig.add(id="job_0000000000000001")
        await rig.stepper.advance(await rig.claim())

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX signal")
async def test_a_turn_that_was_answered_before_its_process_was_killed_is_gone_on_with_word_for_word(
    next_rig: Rig, tmp_path: Path
) -> None:
    here = Path(__file__).parent
    folders = [os.fspath(here), os.fspath(here.parent)]
    command = [sys.executable, "-c", PROCESS, os.fspath(tmp_path), *folders, json.dumps(TURN)]
    with anyio.fail_after(60):
        ended = await anyio.run_process(command, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    (job,) = await next_rig.store.find()
    part = job.submissions[0]
    assert part.state is State.SUBMITTING
    assert await next_rig.store.turn(job.id, 0) is None
    await next_rig.store.reap([part.owner], next_rig.clock.now())
    await Finder(next_rig.kit).look()
    assert await next_rig.stepper.advance(await next_rig.claim()) is None
    done = await next_rig.job(job)
    assert (done.state, next_rig.adapter.sent) == (State.SUCCEEDED, []), "nothing is paid for twice"
    assert await next_rig.store.turn(job.id, 0) == TURN
    await next_rig.add(effective=make_effective(follows=after(done)))
    assert await next_rig.stepper.advance(await next_rig.claim()) is not None
    (turn,) = next_rig.adapter.sent[0].history
    assert turn.content == TURN
    assert turn.outputs[0].content == await anyio.Path(done.outputs[0].path).read_bytes()
