"""Moves a run of a workflow forward: starts what is ready, looks how what was started stands, and keeps every step.

A start carries the key `run/step[index]/attempt`. When the process ends between a start and its being kept, the next
one finds the step unstarted and starts it again under the same key, which names the same job or run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, cast

from pydantic import JsonValue

from darkroom.clock import Clock
from darkroom.domain.job import Job, State
from darkroom.domain.money import MicroUsd, to_micro
from darkroom.domain.run import Action, Awaits, Run, RunState, in_run
from darkroom.domain.templates import fill, fill_text, said
from darkroom.domain.workflow import DRAFTED, JOBS, StepKind, StepState, Unit, Work
from darkroom.domain.workflow_answers import answered, drafted, is_given, json_schema
from darkroom.domain.workflow_steps import (
    Ready,
    Tool,
    failed,
    failures,
    finished,
    generation,
    given_files,
    given_up,
    go_on,
    kept,
    key_of,
    made,
    over,
    ready_in,
    result,
    running_in,
    scope_at,
)
from darkroom.errors import DarkroomError, NotConfigured, StorageError, TimedOut, UnexpectedAnswer, UnknownJob
from darkroom.store.base import JobStore
from darkroom.store.run_base import RunChange, RunStore

_TOOLS = {
    StepKind.AGENT: "run_agent",
    StepKind.IMAGE: "generate_image",
    StepKind.VIDEO: "generate_video",
    StepKind.JOIN: "generate_video",
}
LOOK_MS = 60_000
"""A waiting run is looked at that often, whatever was signalled."""


class Starts(Protocol):
    """What a workflow makes others start; a repeated key names what was started under it."""

    def thinks(self, run: Run) -> bool:
        """Return whether agents have a language model; else their steps answer with their drafts."""
        ...

    async def job(
        self, run: Run, tool: Tool, arguments: dict[str, JsonValue], key: str, max_cost: MicroUsd | None
    ) -> str:
        """Start a job and return its id.

        Raises:
            DarkroomError: If it is refused; nothing was stored then.
        """
        ...

    async def agent(
        self,
        run: Run,
        agent: str,
        task: str,
        context: dict[str, JsonValue],
        returns: dict[str, Any] | None,
        key: str,
        max_cost: MicroUsd | None,
    ) -> str:
        """Start a run inside this one and return its id; `returns` is the JSON Schema of its `data`, None: its output.

        Raises:
            DarkroomError: If it is refused; nothing was stored then.
        """
        ...

    async def skill(
        self, run: Run, skill: str, request: str, context: dict[str, JsonValue], brainstorm: dict[str, JsonValue]
    ) -> dict[str, JsonValue]:
        """Return a skill made ready, with ideas where `brainstorm` asks for them; `services.workflows.skilled`.

        Raises:
            DarkroomError: If it cannot be.
        """
        ...

    async def started(self, run: Run, kind: Literal["job", "run"], key: str) -> str | None:
        """Return the id of what was started under a key, or None."""
        ...

    async def cancel(self, run: Run, ids: Sequence[str]) -> None:
        """Ask to stop these jobs and runs; what has ended is left alone."""
        ...


class Workflows:
    """Advances claimed runs of workflows."""

    def __init__(self, *, runs: RunStore, jobs: JobStore, starts: Starts, clock: Clock) -> None:
        self._runs = runs
        self._jobs = jobs
        self._starts = starts
        self._clock = clock

    async def think(self, run: Run, owner: str) -> Run | None:
        """Bring a claimed run as far as it goes now, and return it waiting or ended; None when it was taken from us.

        Raises:
            StorageError: If something cannot be kept; the run stays claimed, and nothing is done twice later.
        """
        work, here = Work.model_validate(run.work), run
        while True:
            stopped = await self._stopped(here, work, owner)
            if stopped is not None:
                return stopped[0]
            work, found = await self._go_on(here, await self._look(here, work))
            work, begun = await self._start(here, work)
            work, rest = await self._go_on(here, work)
            actions = [*found, *begun, *rest]
            if not ready_in(work):
                return await self._runs.save(here, owner, self._end(work, actions))
            saved = await self._runs.save(
                here, owner, RunChange(at=self._clock.now(), work=work.dump(), actions=tuple(actions))
            )
            if saved is None:
                return None
            here = saved

    async def _stopped(self, run: Run, work: Work, owner: str) -> tuple[Run | None] | None:
        """End a run that is to be cancelled, or past its deadline; None when it is neither."""
        now = self._clock.now()
        late = run.deadline_at is not None and now >= run.deadline_at
        if run.cancel_requested_at is None and not late:
            return None
        work = await self._look(run, work)
        await self._starts.cancel(run, await self._started(run, work))
        steps = dict(work.steps)
        for step in work.workflow.steps:
            for key in work.keys(step.id):
                if not work.unit(key).over:
                    steps[key] = work.unit(key).model_copy(update={"state": StepState.CANCELLED, "ended_at": now})
        work = work.model_copy(update={"steps": steps})
        error = None
        if run.cancel_requested_at is None:
            error = TimedOut("The run passed its deadline.", hint=_kept(work)).to_dict()
        target = RunState.FAILED if error else RunState.CANCELLED
        return (await self._runs.save(run, owner, _ended(work, now, target, error)),)

    async def _started(self, run: Run, work: Work) -> list[str]:
        """Return what was started, also what a process that ended then has not noted."""
        found = [cast("str", work.unit(ready.key).id) for ready in running_in(work)]
        for ready in ready_in(go_on(work, self._clock.now())):
            name = await self._begun(run, ready, work.unit(ready.key).attempt + 1)
            found += [name] if name else []
        return found

    async def _look(self, run: Run, work: Work) -> Work:
        """Return the work with what became of everything that was started."""
        steps = dict(work.steps)
        for ready in running_in(work):
            unit = steps[ready.key]
            steps[ready.key] = await (
                self._look_at_job(run, ready, unit) if unit.job_id else self._look_at_run(run, work, ready, unit)
            )
        return work.model_copy(update={"steps": steps})

    async def _look_at_job(self, run: Run, ready: Ready, unit: Unit) -> Unit:
        name, now = cast("str", unit.job_id), self._clock.now()
        job = await self._jobs.get(name, run.principal)
        if job is None:
            return failed(unit, UnknownJob(f"There is no job {name} any more."), now)
        if job.state is State.SUCCEEDED:
            return made(unit, _outputs(job), now)
        if job.ended:
            return _again(ready, unit, job.error or _stop_of("job", name), now)
        if _late(ready, unit, now):
            if job.state is State.QUEUED:  # what a provider has is left to finish: it is paid for, and will be kept
                await self._starts.cancel(run, [name])
            return failed(
                unit, _overdue(ready, f"The job {name} is {job.state}; check_job shows what comes of it."), now
            )
        return unit.model_copy(update={"message": f"Job {name} is {job.state}."})

    async def _look_at_run(self, run: Run, work: Work, ready: Ready, unit: Unit) -> Unit:
        name, now = cast("str", unit.run_id), self._clock.now()
        child = await self._runs.get(name, run.principal)
        if child is None:
            return failed(unit, UnknownJob(f"There is no run {name} any more."), now)
        if child.state is RunState.SUCCEEDED:
            return _answer(work, ready, unit, child, now)
        if child.ended:
            return _again(ready, unit, child.error or _stop_of("run", name), now)
        if _late(ready, unit, now):
            await self._starts.cancel(run, [name])
            return failed(unit, _overdue(ready, f"The run {name} was asked to stop."), now)
        asks = f"Run {name} asks: {child.question.text}" if child.question else f"Run {name} is {child.state}."
        return unit.model_copy(update={"message": asks})

    async def _go_on(self, run: Run, work: Work) -> tuple[Work, list[Action]]:
        """Return the work with its lists counted, and after a failure nothing left to start.

        What a process that ended then had started and not noted is noted first, so that it is waited for and kept.
        """
        now = self._clock.now()
        work, actions = go_on(work, now), list[Action]()
        wrong = failures(work)
        if not wrong:
            return work, actions
        steps = dict(work.steps)
        for ready in ready_in(work):
            attempt = work.unit(ready.key).attempt + 1
            name = await self._begun(run, ready, attempt)
            if name is not None:
                steps[ready.key] = _running(
                    Unit(attempt=attempt, started_at=now, earlier=work.unit(ready.key).earlier), ready, name
                )
                actions.append(_action(run, ready, steps[ready.key]))
        return given_up(work.model_copy(update={"steps": steps}), wrong[0], now), actions

    async def _begun(self, run: Run, ready: Ready, attempt: int) -> str | None:
        """Return the id of what was started for a step, if anything was."""
        if ready.step.kind is StepKind.SKILL:
            return None
        kind = "job" if ready.step.kind in JOBS else "run"
        return await self._starts.started(run, kind, key_of(run.id, ready, attempt))

    async def _start(self, run: Run, work: Work) -> tuple[Work, list[Action]]:
        """Start everything that is ready, up to a failure; return the work with it, and what was started."""
        steps, actions = dict(work.steps), list[Action]()
        for ready in ready_in(work):
            unit, now = work.unit(ready.key), self._clock.now()
            unit = unit.model_copy(update={"attempt": unit.attempt + 1, "started_at": now, "message": None})
            key = key_of(run.id, ready, unit.attempt)
            try:
                unit = await self._begin(run, work, ready, unit, key)
            except StorageError:
                raise
            except DarkroomError as exc:
                unit = _again(ready, unit, exc.to_dict(), self._clock.now())
            steps[ready.key] = unit
            if unit.state is StepState.RUNNING:
                actions.append(_action(run, ready, unit))
            if unit.state is StepState.FAILED and not ready.step.optional:
                break
        return work.model_copy(update={"steps": steps}), actions

    async def _begin(self, run: Run, work: Work, ready: Ready, unit: Unit, key: str) -> Unit:
        step = ready.step
        cost = None if step.max_cost is None else to_micro(step.max_cost)
        if step.kind in JOBS:
            files = given_files(work, ready)
            if files:
                return made(unit, files, self._clock.now()).model_copy(update={"message": "As given."})
            tool, arguments = generation(work, ready)
            name = await self._starts.job(run, tool, arguments, key, cost)
            return _running(unit, ready, name)
        scope = scope_at(work, step, ready.index)
        task = said(fill_text(step.task or "", scope))
        context = {**run.context, **cast("dict[str, JsonValue]", fill(step.context, scope))}
        if step.kind is StepKind.SKILL:
            asked = cast("dict[str, JsonValue]", fill(step.brainstorm, scope))
            return _done(unit, await self._starts.skill(run, step.skill or "", task, context, asked), self._clock.now())
        known = is_given(step, work.given.get(step.id, {}))
        if known or not self._starts.thinks(run):
            if not known and step.draft is None:
                raise NotConfigured(
                    f"{step.called} needs a language model, and none is configured.",
                    hint=f"Set a provider's key, or give {step.id} in context.",
                )
            answer = drafted(step, work, scope)
            return _done(unit, answer, self._clock.now(), "As given." if known else DRAFTED)
        name = await self._starts.agent(run, step.agent or "", task, context, json_schema(step), key, cost)
        return _running(unit, ready, name)

    def _end(self, work: Work, actions: Sequence[Action]) -> RunChange:
        """Return what to save when nothing can be started now: the result, the error, or what is waited for."""
        now = self._clock.now()
        if over(work):
            wrong = failures(work)
            error = _error(work, wrong[0]) if wrong else None
            return _ended(work, now, RunState.FAILED if error else RunState.SUCCEEDED, error, actions)
        running = running_in(work)
        ends = [cast("int", work.unit(item.key).started_at) + item.step.seconds * 1000 for item in running]
        return RunChange(
            at=now,
            target=RunState.WAITING,
            awaits=Awaits.WORK,
            waiting_for=tuple(cast("str", work.unit(item.key).id) for item in running),
            due_at=min([now + LOOK_MS, *ends]),
            work=work.dump(),
            actions=tuple(actions),
        )


def _ended(
    work: Work, now: int, target: RunState, error: dict[str, Any] | None, actions: Sequence[Action] = ()
) -> RunChange:
    """Return what to save at the end; a run that did not succeed has what is finished, ready to be given again."""
    if target is RunState.SUCCEEDED:
        summary, data = result(work)
    else:
        summary, data = "", {"files": cast("JsonValue", kept(work)), "steps": cast("JsonValue", finished(work))}
    return RunChange(
        at=now,
        target=target,
        work=work.dump(),
        actions=tuple(actions),
        output=summary or None,
        data=data,
        error=error,
    )


def _running(unit: Unit, ready: Ready, name: str) -> Unit:
    """Return a unit that waits for a job or run."""
    job = ready.step.kind in JOBS
    ids = {"job_id": name if job else None, "run_id": None if job else name}
    return unit.model_copy(update={"state": StepState.RUNNING, **ids})


def _action(run: Run, ready: Ready, unit: Unit) -> Action:
    key = key_of(run.id, ready, unit.attempt)
    return Action(tool=_TOOLS[ready.step.kind], job_id=unit.job_id, run_id=unit.run_id, key=key)


def _outputs(job: Job) -> list[str]:
    return [output.id for output in sorted(job.outputs, key=lambda output: output.index)]


def _late(ready: Ready, unit: Unit, now: int) -> bool:
    return now - cast("int", unit.started_at) >= ready.step.seconds * 1000


def _overdue(ready: Ready, hint: str) -> TimedOut:
    return TimedOut(f"{ready.step.called} was not done within {ready.step.seconds} s.", hint=hint)


def _stop_of(what: str, name: str) -> dict[str, Any]:
    return {"code": "cancelled", "message": f"The {what} {name} was cancelled.", "retryable": False}


def _done(unit: Unit, output: Mapping[str, JsonValue], now: int, message: str | None = None) -> Unit:
    return unit.model_copy(
        update={"state": StepState.SUCCEEDED, "output": dict(output), "ended_at": now, "message": message}
    )


def _answer(work: Work, ready: Ready, unit: Unit, child: Run, now: int) -> Unit:
    """Return a step with its agent's answer, or without it where that has not the fields that were asked for."""
    said_of: dict[str, JsonValue] = (child.data or {}) if ready.step.returns else {"text": child.output}
    try:
        return _done(unit, answered(ready.step, said_of, work, scope_at(work, ready.step, ready.index)), now)
    except UnexpectedAnswer as exc:
        return _again(ready, unit, exc.to_dict(), now)


def _again(ready: Ready, unit: Unit, error: Mapping[str, Any], now: int) -> Unit:
    """Return a step that failed: queued for its next attempt where another may help, else with its error.

    A lost answer is never followed by another attempt: the first may have been accepted and charged.
    """
    if not error.get("retryable") or error.get("code") == "submit_unknown" or unit.attempt > ready.step.retries:
        return failed(unit, error, now)
    told = f"Attempt {unit.attempt} failed: {error.get('message')}"
    earlier = (*unit.earlier, *([unit.id] if unit.id else []))
    return Unit(attempt=unit.attempt, earlier=earlier, message=told)


def _error(work: Work, wrong: Ready) -> dict[str, Any]:
    """Return the run's error: that of the step that failed first, which it names."""
    error = in_run(work.unit(wrong.key).error or {})
    hint = " ".join(part for part in (str(error.get("hint") or ""), _kept(work)) if part)
    return {**error, "message": f"Step {wrong.key} ({wrong.step.called}) failed: {error.get('message')}", "hint": hint}


def _kept(work: Work) -> str:
    files = kept(work)
    count = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    told = f"Kept: {count} of the other steps ({', '.join(files[:5])})." if files else "No file was made."
    if finished(work):
        told += " Start it again with data.steps of this run as its context: what is finished is taken as given."
    return told
