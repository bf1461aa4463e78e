"""The program and its runs: the client's own model, briefs, and what became of a run."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from darkroom.app import App
from darkroom.domain.run import Awaits, Mode, Question, Run, RunState
from darkroom.domain.sampling import SampleRequest, SampleResponse
from darkroom.errors import StorageFull
from darkroom.llm.handoff import HandOff
from darkroom.settings import Settings
from darkroom.store.run_base import RunChange
from helpers_tasks import begun, task

BOUND_S = 90


class Client:
    """Lends its model."""

    native_tools = False

    async def sample(self, request: SampleRequest) -> SampleResponse:
        raise AssertionError(request)


class FakeLoop:
    """Does what a test says with a run and whoever lends a model."""

    def __init__(self) -> None:
        self.seen: list[tuple[Run, bool]] = []
        self.then: Callable[[Run, str], Awaitable[Run | None]] = self.nothing

    async def nothing(self, run: Run, owner: str) -> Run | None:
        del owner
        return run

    async def think(self, run: Run, owner: str, *, sampler: Client | None = None) -> Run | None:
        self.seen.append((run, sampler is not None))
        assert run.owner == owner
        return await self.then(run, owner)


@pytest.fixture
def app() -> App:
    return App(Settings.load())


@pytest.fixture
def loop(app: App) -> FakeLoop:
    fake = FakeLoop()
    app.loop = fake  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue] because the real one asks a model
    return fake


@asynccontextmanager
async def going(app: App) -> AsyncGenerator[None]:
    with anyio.fail_after(BOUND_S):
        async with app.running(advance=False):
            await app.ready()
            yield


async def in_state(app: App, run: Run, awaits: Awaits | None, *states: RunState) -> Run:
    while True:
        found = await app.runs.get(run.id, "local")
        if found.state in states and found.awaits is awaits:
            return found
        await anyio.lowlevel.checkpoint()


def ends(app: App, **change: Any) -> Callable[[Run, str], Awaitable[Run | None]]:
    async def then(run: Run, owner: str) -> Run | None:
        return await app.store.runs.save(run, owner, RunChange(app.clock.now(), **change))

    return then


async def test_a_run_of_the_clients_model_is_advanced_by_the_call_that_lends_it(app: App, loop: FakeLoop) -> None:
    loop.then = ends(app, target=RunState.SUCCEEDED, output="done")
    async with going(app):
        run = await begun(app, can_sample=True)
        assert run.mode is Mode.CLIENT
        done = await app.sampled(run, Client())
        assert (done.state, done.output) == (RunState.SUCCEEDED, "done")
        [(seen, lent)] = loop.seen
        assert app.presence is not None
        assert (seen.id, seen.state, seen.owner, lent) == (run.id, RunState.RUNNING, app.presence.id, True)
        assert await app.sampled(done, Client()) == done
    assert len(loop.seen) == 1


async def test_a_client_that_hangs_up_leaves_the_run_to_its_next_call(app: App, loop: FakeLoop) -> None:
    async def then(run: Run, owner: str) -> Run | None:
        del run, owner
        scope.cancel()
        await anyio.sleep_forever()
        return None

    loop.then = then
    async with going(app):
        run = await begun(app, can_sample=True)
        with anyio.CancelScope() as scope:
            await app.sampled(run, Client())
        assert scope.cancelled_caught
        found = await app.runs.get(run.id, "local")
        assert (found.state, found.awaits, found.owner) == (RunState.WAITING, Awaits.CLIENT, None)
        loop.then = ends(app, target=RunState.SUCCEEDED)
        assert (await app.sampled(run, Client())).state is RunState.SUCCEEDED


async def test_what_a_broken_call_had_given_back_already_stays_as_it_is(app: App, loop: FakeLoop) -> None:
    async def then(run: Run, owner: str) -> Run | None:
        await ends(app, target=RunState.FAILED, error={"message": "no"})(run, owner)
        raise ZeroDivisionError

    loop.then = then
    async with going(app):
        run = await begun(app, can_sample=True)
        with pytest.raises(ZeroDivisionError):
            await app.sampled(run, Client())
        assert (await app.runs.get(run.id, "local")).state is RunState.FAILED


async def test_a_run_that_cannot_be_given_back_is_logged_and_the_first_trouble_is_told(
    app: App, loop: FakeLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_: Any) -> None:
        raise StorageFull("The disk is full.")

    async def then(run: Run, owner: str) -> Run | None:
        del run, owner
        store: Any = app.store.runs
        store.save = full
        raise StorageFull("No room.")

    loop.then = then
    async with going(app):
        run = await begun(app, can_sample=True)
        with pytest.raises(StorageFull, match="No room"):
            await app.sampled(run, Client())
    assert f"run {run.id} could not be given back: The disk is full." in caplog.text


async def test_an_answer_to_the_clients_model_has_the_run_wait_for_the_client_again(app: App, loop: FakeLoop) -> None:
    async def then(run: Run, owner: str) -> Run | None:
        awaits = Awaits.CLIENT if run.answers else Awaits.ANSWER
        question = None if run.answers else Question(text="Which street?")
        return await ends(app, target=RunState.WAITING, awaits=awaits, question=question)(run, owner)

    loop.then = then
    async with going(app):
        run = await app.sampled(await begun(app, can_sample=True), Client())
        assert (run.state, run.awaits) == (RunState.WAITING, Awaits.ANSWER)
        await app.runs.answer(run.id, "Mill Lane", "local")
        found = await in_state(app, run, Awaits.CLIENT, RunState.WAITING)
    assert found.answers[0].text == "Mill Lane"
    assert [lent for _, lent in loop.seen] == [True, False]


async def test_a_run_without_a_model_ends_by_itself_in_a_brief_that_can_be_read(app: App) -> None:
    async with going(app):
        run = await begun(app, task(agent="image", context={"placement": "a poster"}))
        done = await in_state(app, run, None, RunState.SUCCEEDED)
        assert done.brief is not None
        words = app.brief_text(done.brief)
        moves, ledger = await app.run_history(done)
        handing = await anyio.to_thread.run_sync(app.hand_off)
    assert "a poster" in words
    assert str(done.brief["role"])[:20] in words
    assert [move["target"] for move in moves] == ["queued", "running", "succeeded"]
    assert ledger == []
    assert isinstance(handing, HandOff)


async def test_a_workflow_advances_by_itself(app: App) -> None:
    image = {"id": "picture", "kind": "image", "arguments": {"prompt": "a red fox"}}
    own: dict[str, Any] = {"name": "small", "inputs": {}, "steps": [image], "output": {}}
    async with going(app):
        run = await begun(app, task(workflow=own))
        done = await in_state(app, run, None, RunState.SUCCEEDED, RunState.FAILED)
        [job] = await app.runs.jobs_of(done)
    assert (done.state, done.error) == (RunState.SUCCEEDED, None)
    assert (job.run_id, job.state) == (run.id, "succeeded")
