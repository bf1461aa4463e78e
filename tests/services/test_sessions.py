"""Sessions: read, listed and forgotten by their own principal alone."""

import pytest

from darkroom.app import App
from darkroom.domain.run import Message
from darkroom.errors import InvalidRequest, UnknownJob
from darkroom.services.caps import Terms
from darkroom.services.tasks import Task
from factories import FakeClock
from helpers_tasks import begun, claimed, succeeded, task


async def held(app: App, what: Task | None = None, terms: Terms | None = None) -> str:
    run = await begun(app, what, terms or Terms())
    assert run.session_id is not None
    return run.session_id


async def test_a_session_holds_what_was_said(app: App) -> None:
    name = await held(app)
    said = (Message(role="user", content="Hello"), Message(role="assistant", content="Yes"))
    await succeeded(app, history=said, answers={"team": "two"})
    session = await app.sessions.get(name, "local")
    assert (session.history, session.answers) == (said, {"team": "two"})


async def test_the_newest_sessions_come_first_without_what_was_said(app: App, clock: FakeClock) -> None:
    first = await held(app)
    await succeeded(app, history=(Message(role="user", content="Hello"),))
    clock.advance(1)
    second = await held(app, task("Another."))
    await held(app, terms=Terms(principal="ann"))
    found = await app.sessions.find("local")
    assert [(item.id, item.history) for item in found] == [(second, ()), (first, ())]
    assert [item.id for item in await app.sessions.find("local", limit=1)] == [second]
    assert [item.id for item in await app.sessions.find("local", before=second)] == [first]


async def test_a_session_that_is_gone_is_unknown_and_its_runs_stay(app: App) -> None:
    name = await held(app)
    run = await succeeded(app)
    await app.sessions.delete(name, "local")
    with pytest.raises(UnknownJob) as caught:
        await app.sessions.get(name, "local")
    assert (caught.value.message, caught.value.field) == (f"There is no session {name!r}.", "session_id")
    with pytest.raises(UnknownJob, match="There is no session"):
        await app.sessions.delete(name, "local")
    assert (await app.runs.get(run.id, "local")).output == "done"


async def test_a_session_in_which_a_run_goes_on_is_kept(app: App) -> None:
    name = await held(app)
    run = await claimed(app)
    with pytest.raises(InvalidRequest, match=f"Run {run.id} of this session has not ended"):
        await app.sessions.delete(name, "local")
    assert (await app.sessions.get(name, "local")).id == name


async def test_nobody_forgets_the_session_of_somebody_else(app: App) -> None:
    name = await held(app)
    await succeeded(app)
    with pytest.raises(UnknownJob, match="There is no session"):
        await app.sessions.delete(name, "ann")
    assert (await app.sessions.get(name, "local")).id == name
