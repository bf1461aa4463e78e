"""Tasks, their runs, and the moves that somebody who thinks about them makes."""

from typing import Any

from darkroom.app import App
from darkroom.domain.run import Awaits, Question, Run, RunState
from darkroom.services.caps import Terms
from darkroom.services.tasks import Task
from darkroom.store.run_base import RunChange

OWNER = "worker-1"
TERMS = Terms()
WORDS = "Plan the opening of a bakery."


def task(text: str = WORDS, **fields: Any) -> Task:
    return Task(text, **fields)


async def begun(app: App, what: Task | None = None, terms: Terms = TERMS, *, can_sample: bool = False) -> Run:
    """Start a task and return its new run."""
    started = await app.runs.start(what or task(), terms, can_sample=can_sample)
    assert started.created
    return started.run


async def claimed(app: App, owner: str = OWNER) -> Run:
    """Claim the one run that can go on."""
    (run,) = await app.store.runs.claim(owner, app.clock.now(), 9)
    return run


async def saved(app: App, run: Run, *, owner: str = OWNER, **change: Any) -> Run:
    """Write a change of a claimed run."""
    found = await app.store.runs.save(run, owner, RunChange(app.clock.now(), **change))
    assert found is not None
    return found


async def asking(app: App, text: str = "Which street?") -> Run:
    """Have the one run that can go on ask its user."""
    run = await claimed(app)
    return await saved(app, run, target=RunState.WAITING, awaits=Awaits.ANSWER, question=Question(text=text))


async def succeeded(app: App, **change: Any) -> Run:
    """End the one run that can go on."""
    return await saved(app, await claimed(app), target=RunState.SUCCEEDED, output="done", **change)


async def counts(app: App) -> tuple[int, int, int]:
    """Return how many runs, sessions and callbacks are stored, of anybody."""
    runs = await app.store.runs.find(outermost=False, limit=100)
    principals = {"local", "ann", *(run.principal for run in runs)}
    sessions = [await app.store.runs.sessions(name, limit=100) for name in principals]
    return len(runs), sum(map(len, sessions)), len(await app.store.runs.callbacks(limit=100))
