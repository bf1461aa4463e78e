"""A client that times out calls again: however often, however many at once, there is one job and one payment."""

import os
import sys
from pathlib import Path
from subprocess import PIPE

import anyio
import pytest

from darkroom.app import App
from darkroom.domain.job import LedgerKind, State
from darkroom.domain.money import FREE, MicroUsd
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.errors import InvalidRequest
from darkroom.services.caps import Terms
from darkroom.services.generation import Started
from factories import FakeClock
from helpers_same_call import CALLS, SAID_BY
from helpers_services import TERMS, data_uri, image, picture, put, run_until, started, succeed, video

pytestmark = pytest.mark.anyio
HELPER = Path(__file__).parent.parent / "helpers_same_call.py"
PROCESSES = 3
FRESH_S = 120


async def call(app: App, request: ImageRequest | VideoRequest, terms: Terms = TERMS) -> Started:
    made = await app.generation.start(request, terms)
    assert isinstance(made, Started)
    return made


async def one_job(app: App, *names: str) -> None:
    """Check that there is one job alone, named by everybody and reserved for once."""
    (job,) = await app.store.find()
    assert set(names) == {job.id}
    assert [event.target for event in await app.store.events(job.id)] == [State.QUEUED]
    assert [row.kind for row in await app.store.ledger(job.id)] == [LedgerKind.RESERVED]


# At once


@pytest.mark.parametrize("key", [None, "k1"])
async def test_fifty_equal_calls_at_once_make_one_job(key: str | None, paid: App) -> None:
    made: list[Started] = []

    async def again() -> None:
        made.append(await call(paid, image(model="acme-pro"), Terms(idempotency_key=key)))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(again)
    assert [one.created for one in made].count(True) == 1
    assert len(made) == 50
    await one_job(paid, *(one.job.id for one in made))


async def test_fifty_equal_calls_at_once_with_a_picture_make_one_job(paid: App, pictures: Path) -> None:
    path = put(pictures / "fox.png", picture())
    made: list[Started] = []

    async def again() -> None:
        made.append(await call(paid, image(images=[path])))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(again)
    assert [one.created for one in made].count(True) == 1
    await one_job(paid, *(one.job.id for one in made))


@pytest.mark.parametrize("key", [None, "k1"])
async def test_equal_calls_of_three_processes_at_once_make_one_job(key: str | None, paid: App, tmp_path: Path) -> None:
    """Each process makes its calls as soon as all of them are ready."""
    answers: list[tuple[str, bool]] = []
    command = [sys.executable, os.fspath(HELPER), os.fspath(tmp_path / "manifests"), key or ""]
    paths = os.pathsep.join([os.fspath(HELPER.parent), *filter(None, sys.path)])
    ready, go = [anyio.Event() for _ in range(PROCESSES)], anyio.Event()

    async def process(number: int) -> None:
        environment = {**os.environ, "PYTHONPATH": paths}
        async with await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=None, env=environment) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            said = b""
            async for part in child.stdout:
                said += part
                if not ready[number].is_set() and said.startswith(SAID_BY):
                    ready[number].set()
                    await go.wait()
                    await child.stdin.send(b"go\n")
            assert await child.wait() == 0
        lines = said.decode().splitlines()[1:]
        assert len(lines) == CALLS
        answers.extend((name, created == "True") for name, created in (line.split() for line in lines))

    with anyio.fail_after(40):
        async with anyio.create_task_group() as tasks:
            for number in range(PROCESSES):
                tasks.start_soon(process, number)
            for event in ready:
                await event.wait()
            go.set()
    assert len(answers) == PROCESSES * CALLS
    assert sum(created for _, created in answers) == 1
    await one_job(paid, *(name for name, _ in answers))


# With a key


async def test_a_key_used_for_another_call_is_answered_with_what_was_said_then_and_now(app: App) -> None:
    job = await started(app, image(size="512x512", seed=7), Terms(idempotency_key="k1"))
    with pytest.raises(InvalidRequest) as caught:
        await call(app, image(prompt="a blue fox", size="512x512", n=2), Terms(idempotency_key="k1"))
    assert caught.value.message == (
        f"idempotency_key was used for {job.id}; not the same: "
        "prompt ('a red fox' then, 'a blue fox' now), n (1 then, 2 now), seed (7 then, nothing now)."
    )
    assert caught.value.field == "idempotency_key"
    assert job.id in (caught.value.hint or "")


async def test_what_neither_of_two_kinds_was_given_is_no_difference(app: App) -> None:
    await started(app, image(), Terms(idempotency_key="k1"))
    with pytest.raises(InvalidRequest) as caught:
        await call(app, video(), Terms(idempotency_key="k1"))
    assert "kind ('image' then, 'video' now)" in caught.value.message
    assert "nothing then, nothing now" not in caught.value.message


async def test_a_long_value_is_shortened_where_a_key_was_used_before(app: App) -> None:
    await started(app, image(prompt="a" * 500), Terms(idempotency_key="k1"))
    with pytest.raises(InvalidRequest) as caught:
        await call(app, image(prompt="b" * 500), Terms(idempotency_key="k1"))
    assert f"{'a' * 79}…' then" in caught.value.message
    assert f"{'b' * 79}…' now" in caught.value.message
    assert "b" * 80 not in caught.value.message


async def test_pictures_are_told_apart_by_name_and_content_and_not_shown(app: App, pictures: Path) -> None:
    one, other = put(pictures / "fox.png", picture()), data_uri(picture("green"))
    job = await started(app, image(images=[f"reference={one}"]), Terms(idempotency_key="k1"))
    with pytest.raises(InvalidRequest) as caught:
        await call(app, image(images=[f"reference={other}"]), Terms(idempotency_key="k1"))
    then = job.request.images[0].sha256
    assert then is not None
    assert f"images (reference fox.png {then[:8]} then, reference " in caught.value.message
    assert "base64" not in caught.value.message
    assert os.fspath(pictures) not in caught.value.message


async def test_the_picture_of_a_scene_is_not_shown_either(app: App, pictures: Path) -> None:
    path = put(pictures / "fox.png", picture())
    await started(app, video(scenes=[{"prompt": "one", "image": path}]), Terms(idempotency_key="k1"))
    with pytest.raises(InvalidRequest) as caught:
        await call(app, video(scenes=[{"prompt": "two", "image": path}]), Terms(idempotency_key="k1"))
    assert "scenes (" in caught.value.message
    assert "'one'" in caught.value.message
    assert "input:" not in caught.value.message


async def test_another_name_of_the_same_picture_is_not_named_as_a_difference(app: App, pictures: Path) -> None:
    one, same = put(pictures / "one.png", picture()), put(pictures / "two.png", picture())
    await started(app, image(images=[one]), Terms(idempotency_key="k1"))
    with pytest.raises(InvalidRequest, match=r"not the same: prompt \([^)]*\)\.$"):
        await call(app, image(prompt="a cat", images=[same]), Terms(idempotency_key="k1"))


async def test_a_retry_under_a_used_key_is_refused_with_the_job_that_it_retries(app: App) -> None:
    first = await run_until(app, (await started(app, image(), Terms(idempotency_key="k1"))).id, State.FAILED)
    with pytest.raises(InvalidRequest, match=rf"not the same: retry_of \(nothing then, '{first.id}' now\)\."):
        await app.generation.retry(first.id, {}, Terms(idempotency_key="k1"))


# What counts as the same


async def test_equal_contents_under_two_names_are_the_same_call(app: App, pictures: Path) -> None:
    one, same = put(pictures / "one.png", picture()), put(pictures / "deep" / "two.png", picture())
    job = await started(app, image(images=[one]))
    for src in (one, same, data_uri(picture())):
        made = await call(app, image(images=[src]))
        assert (made.job.id, made.created) == (job.id, False)


async def test_a_picture_that_changed_in_place_is_another_call(app: App, pictures: Path) -> None:
    path = put(pictures / "fox.png", picture())
    job = await started(app, image(images=[path]))
    put(pictures / "fox.png", picture("green"))
    changed = await started(app, image(images=[path]))
    assert changed.id != job.id
    with pytest.raises(InvalidRequest, match="images"):
        await started(app, image(images=[path]), Terms(idempotency_key="k1"))
        put(pictures / "fox.png", picture("blue"))
        await call(app, image(images=[path]), Terms(idempotency_key="k1"))


@pytest.mark.parametrize(
    "terms", [Terms(max_cost=FREE), Terms(max_cost=MicroUsd(10**9)), Terms(save_as="fox.png"), Terms(dry_run=False)]
)
async def test_caps_and_places_do_not_make_another_call(terms: Terms, app: App) -> None:
    job = await started(app, image())
    made = await call(app, image(), terms)
    assert (made.job.id, made.created) == (job.id, False)


@pytest.mark.parametrize(
    "request_",
    [
        image(seed=1),
        image(n=2),
        image(size="512x512"),
        image(negative_prompt="a cat"),
        image(options={"format": "webp"}),
        video(prompt="a red fox"),
    ],
)
async def test_every_argument_of_the_picture_makes_another_call(request_: ImageRequest, app: App) -> None:
    await started(app, image())
    await started(app, request_)
    assert len(await app.store.find()) == 2


# How long it stands


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_a_failed_or_cancelled_job_answers_no_later_call(state: State, app: App) -> None:
    job = await started(app, image())
    if state is State.CANCELLED:
        await app.jobs.cancel(job.id, TERMS.principal)
    else:
        await run_until(app, job.id, State.FAILED)
    assert (await call(app, image())).created


async def test_a_job_whose_fate_is_unknown_answers_later_calls(paid: App) -> None:
    job = await started(paid, image(model="acme-pro"))
    await run_until(paid, job.id, State.SUBMIT_UNKNOWN)
    made = await call(paid, image(model="acme-pro"))
    assert (made.job.id, made.created) == (job.id, False)


async def test_a_finished_job_answers_until_two_minutes_after_it_was_shown(app: App, clock: FakeClock) -> None:
    job = await succeed(app, await started(app, image()))
    clock.advance(10 * FRESH_S)  # nobody has seen it yet
    assert not (await call(app, image())).created
    await app.jobs.delivered(job)
    clock.advance(FRESH_S)
    assert (await call(app, image())).job.id == job.id
    clock.advance(0.001)
    assert (await call(app, image())).created


async def test_a_key_answers_for_ever(app: App, clock: FakeClock) -> None:
    keyed = Terms(idempotency_key="k1")
    job = await succeed(app, await started(app, image(), keyed))
    await app.jobs.delivered(job)
    clock.advance(30 * 24 * 3600)
    made = await call(app, image(), keyed)
    assert (made.job.id, made.created) == (job.id, False)


async def test_again_makes_a_new_job_and_the_newest_then_answers(app: App, clock: FakeClock) -> None:
    first = await started(app, image())
    clock.advance(1)
    second = await started(app, image(), Terms(again=True))
    assert second.id != first.id
    assert (await call(app, image())).job.id == second.id
