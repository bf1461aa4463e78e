"""Workflows, and a world in memory in which they run: stores, starts, and points at which a process may end."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from pydantic import JsonValue

from darkroom.catalog.workflows import read_workflow
from darkroom.domain.job import Job, State
from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import ENDED, Run, RunKind, RunState
from darkroom.domain.run import Mode as RunMode
from darkroom.domain.workflow import Work, Workflow
from darkroom.domain.workflow_steps import Tool
from darkroom.errors import DarkroomError
from darkroom.runtime.workflow import Workflows
from darkroom.store.base import JobStore
from darkroom.store.run_base import RunChange, RunStore
from factories import NOW, FakeClock, make_job, make_output, make_request, make_submission

OWNER = "worker-1"
SCRIPT: dict[str, Any] = {
    "id": "script",
    "kind": "agent",
    "agent": "video_script",
    "task": "Write about {inputs.product}.",
    "context": {"length": "{inputs.seconds}"},
    "returns": {
        "title": {"required": False},
        "beats": {
            "type": "list",
            "least": 1,
            "items": {"picture": {}, "seconds": {"type": "number", "required": False}},
        },
    },
    "share": {"list": "beats", "field": "seconds", "of": "{inputs.seconds}"},
    "draft": {
        "title": "{inputs.product | title}",
        "beats": [
            {"picture": "{inputs.product}, close", "seconds": 1},
            {"picture": "{inputs.product}, wide", "seconds": 2},
        ],
    },
}
FRAMES: dict[str, Any] = {
    "id": "frames",
    "kind": "image",
    "for_each": "{steps.script.beats}",
    "arguments": {"prompt": "{item.picture}"},
}
CLIPS: dict[str, Any] = {
    "id": "clips",
    "kind": "video",
    "for_each": "{steps.script.beats}",
    "arguments": {
        "prompt": "{item.picture}",
        "duration": "{item.seconds}",
        "images": ["first_frame={steps.frames[index].output}"],
    },
}
FILM: dict[str, Any] = {"id": "film", "kind": "join", "arguments": {"clips": "{steps.clips.output}"}}
INPUTS: dict[str, Any] = {
    "product": {"reader": "subject", "required": True},
    "seconds": {"type": "number", "reader": "duration", "default": 6, "least": 2, "most": 60},
}
OUTPUT: dict[str, Any] = {
    "summary": "{steps.script.title} in {inputs.seconds} s",
    "files": ["{steps.film.output}", "{steps.clips.output}"],
    "data": {"beats": "{steps.script.beats}"},
}


def flow(*steps: dict[str, Any], **fields: Any) -> Workflow:
    """Return a checked workflow; without steps, a film from script to join."""
    data: dict[str, Any] = {
        "name": "small",
        "inputs": INPUTS,
        "steps": list(steps) or [SCRIPT, FRAMES, CLIPS, FILM],
        "output": OUTPUT if not steps else {},
        **fields,
    }
    return read_workflow(data)


def image(name: str, **fields: Any) -> dict[str, Any]:
    """Return an image step."""
    return {"id": name, "kind": "image", "arguments": {"prompt": name}, **fields}


class Killed(BaseException):
    """The process ended here."""


class World:
    """Everything around the engine. Ids follow from keys, so that two runs of one workflow can be compared."""

    def __init__(self, workflow: Workflow, *, thinks: bool = False, **run: Any) -> None:
        work = Work(workflow=workflow, inputs={"product": "red shoes", "seconds": 6}, given=run.pop("given", {}))
        self.clock = FakeClock()
        self.run = make_run(work=work.dump(), **run)
        self.jobs: dict[str, Job] = {}
        self.runs: dict[str, Run] = {}
        self.calls: dict[str, tuple[Any, ...]] = {}
        """By key: what was started under it."""
        self.caps: list[MicroUsd | None] = []
        self.cancelled: list[str] = []
        self.refused: dict[str, DarkroomError] = {}
        """By key: what its start is answered with."""
        self.model = thinks
        self.points = 0
        self.kill_at: int | None = None
        self.lost = False
        """Whether saves find that another process has the run."""
        self.answer: Callable[[str], dict[str, JsonValue]] = lambda key: {
            "title": "Thought",
            "beats": [{"picture": "a", "seconds": 3}],
        }

    def point(self) -> None:
        self.points += 1
        if self.points == self.kill_at:
            raise Killed

    @property
    def engine(self) -> Workflows:
        return Workflows(
            runs=cast("RunStore", Runs(self)), jobs=cast("JobStore", Jobs(self)), starts=Starts(self), clock=self.clock
        )

    async def think(self) -> Run:
        """Claim the run and advance it once."""
        self.claim()
        found = await self.engine.think(self.run, OWNER)
        assert found is not None
        assert found == self.run
        return found

    def claim(self) -> None:
        self.run = self.run.model_copy(
            update={"state": RunState.RUNNING, "owner": OWNER, "version": self.run.version + 1, "awaits": None}
        )

    def finish(self, job_id: str, state: State = State.SUCCEEDED, error: DarkroomError | None = None) -> None:
        """End a job, with an output where it succeeded."""
        part = make_submission(job_id=job_id, state=state, error=error.to_dict() if error else None)
        outputs = [make_output(id=f"out_{job_id}", job_id=job_id)] if state is State.SUCCEEDED else []
        self.jobs[job_id] = make_job(**{**dict(self.jobs[job_id]), "submissions": (part,), "outputs": tuple(outputs)})

    def end_run(self, run_id: str, state: RunState = RunState.SUCCEEDED, **fields: Any) -> None:
        self.runs[run_id] = self.runs[run_id].model_copy(update={"state": state, **fields})

    def finish_all(self) -> None:
        """End everything that runs."""
        for name, job in list(self.jobs.items()):
            if not job.ended:
                self.finish(name)
        for name, run in list(self.runs.items()):
            if run.state not in ENDED:
                key = run.idempotency_key or ""
                self.end_run(name, data=self.answer(key), output=f"said {key}")

    async def to_the_end(self, rounds: int = 60) -> Run:
        """Advance until the run has ended, ending all jobs in between; go on where a kill broke it off."""
        for _ in range(rounds):
            try:
                run = await self.think()
            except Killed:
                continue
            if run.ended:
                return run
            self.finish_all()
        raise AssertionError("the run has not ended")

    def work(self) -> Work:
        return Work.model_validate(self.run.work)

    def state(self, key: str) -> str:
        return self.work().unit(key).state.value


def make_run(**overrides: Any) -> Run:
    values: dict[str, Any] = {
        "id": "run_1",
        "principal": "local",
        "kind": RunKind.WORKFLOW,
        "mode": RunMode.STEPS,
        "task": "a film",
        "request_hash": "hash",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Run.model_validate(values | overrides)


class Runs:
    """The run store, as far as the engine uses it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self, run_id: str, principal: str | None = None) -> Run | None:
        assert principal == "local"
        self._world.point()
        return self._world.runs.get(run_id)

    async def save(self, run: Run, owner: str, change: RunChange) -> Run | None:
        world = self._world
        world.point()
        if world.lost or run.version != world.run.version or owner != world.run.owner:
            return None
        fields: dict[str, Any] = {"version": run.version + 1, "updated_at": change.at}
        for name in ("work", "output", "data", "error", "due_at", "waiting_for"):
            if getattr(change, name) is not None:
                fields[name] = getattr(change, name)
        known = {action.key for action in world.run.actions}
        fields["actions"] = (*world.run.actions, *(item for item in change.actions if item.key not in known))
        if change.target is not None:
            fields |= {"state": change.target, "awaits": change.awaits, "owner": None}
        world.run = world.run.model_copy(update=fields)
        world.point()
        return world.run


class Jobs:
    """The job store, as far as the engine uses it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self, job_id: str, principal: str | None = None) -> Job | None:
        assert principal == "local"
        self._world.point()
        return self._world.jobs.get(job_id)


class Starts:
    """What the engine starts: queued jobs and runs, one for each key."""

    def __init__(self, world: World) -> None:
        self._world = world

    def thinks(self, run: Run) -> bool:
        return self._world.model

    def _once(self, key: str, call: tuple[Any, ...]) -> bool:
        """Note a start; the same key with another call is what must never be."""
        known = self._world.calls.setdefault(key, call)
        assert known == call, f"{key} was started with other arguments"
        return known is call

    async def job(
        self, run: Run, tool: Tool, arguments: dict[str, JsonValue], key: str, max_cost: MicroUsd | None
    ) -> str:
        world = self._world
        world.point()
        world.caps.append(max_cost)
        if key in world.refused:
            raise world.refused[key]
        name = f"job_{key}"
        if self._once(key, (tool, arguments)):
            part = make_submission(job_id=name, state=State.QUEUED)
            kind, mode = (Kind.IMAGE, Mode.TEXT_TO_IMAGE) if tool == "generate_image" else (Kind.VIDEO, Mode.TIMELINE)
            world.jobs[name] = make_job(id=name, kind=kind, mode=mode, request=make_request(), submissions=(part,))
        world.point()
        return name

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
        world = self._world
        world.point()
        if key in world.refused:
            raise world.refused[key]
        name = f"run_{key}"
        if self._once(key, (agent, task, context, returns)):
            world.runs[name] = make_run(id=name, task=task, idempotency_key=key)
        world.point()
        return name

    async def skill(
        self, run: Run, skill: str, request: str, context: dict[str, JsonValue], brainstorm: dict[str, JsonValue]
    ) -> dict[str, JsonValue]:
        self._world.point()
        return {"skill": skill, "prompt": f"{skill}: {request}", "asked": brainstorm}

    async def started(self, run: Run, kind: Literal["job", "run"], key: str) -> str | None:
        self._world.point()
        return f"{kind}_{key}" if key in self._world.calls else None

    async def cancel(self, run: Run, ids: Sequence[str]) -> None:
        self._world.point()
        self._world.cancelled += ids
