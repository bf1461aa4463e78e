"""Workflows: graphs of agent, skill and generation steps, and how far the steps of a run of one are."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints
from pydantic import Field as Checked

MAX_STEPS, MAX_ITEMS, MAX_BYTES = 100, 60, 100_000
"""Steps of a workflow, items of a `for_each`, and bytes of a workflow that a caller gives."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class StepKind(StrEnum):
    """What a step does."""

    AGENT = "agent"
    """An agent answers, in fields where `returns` names them; without a language model its `draft` does."""
    SKILL = "skill"
    """A skill is made ready: its prompt, questions and deliverables, and ideas where `brainstorm` asks for them."""
    IMAGE = "image"
    VIDEO = "video"
    JOIN = "join"
    """Clips become one film, on this machine."""


JOBS = frozenset({StepKind.IMAGE, StepKind.VIDEO, StepKind.JOIN})
DRAFTED = "A draft, without a language model."
"""What is said of a step of an agent that was answered by its draft."""
TIMEOUTS = {
    StepKind.AGENT: 1_800,
    StepKind.SKILL: 60,
    StepKind.IMAGE: 1_800,
    StepKind.VIDEO: 7_200,
    StepKind.JOIN: 1_800,
}
"""Seconds after which a step has failed, where it does not say itself."""


class Value(_Strict):
    """What a field of an answer may hold."""

    type: Literal["text", "number", "flag", "list"] = "text"
    about: str = Checked(default="", max_length=500)
    required: bool = Checked(default=True, description="false: left out, it is taken from the draft")
    choices: tuple[str, ...] = Checked(default=(), description="the only texts allowed")
    items: "dict[Name, Value] | Literal['text', 'number']" = Checked(
        default="text", description="of a list: text, number, or a table of fields"
    )
    least: float | None = Checked(default=None, description="smallest number, or fewest entries")
    most: float | None = Checked(default=None, description="largest number, or most entries")


class Input(_Strict):
    """Something that the user decides."""

    type: Literal["text", "number", "flag", "list"] = Checked(default="text", description="list: of texts")
    about: str = Checked(default="", max_length=500)
    default: str | float | bool | tuple[str, ...] | None = None
    required: bool = Checked(default=False, description="true: without it nothing is started")
    reader: str | None = Checked(default=None, description="how it is read from the words of the task")
    choices: tuple[str, ...] = ()
    least: float | None = Checked(default=None, description="smallest number, or fewest entries")
    most: float | None = Checked(default=None, description="largest number, most letters or most entries")

    @property
    def usual(self) -> JsonValue:
        """What it is where nobody says; nothing in a list."""
        if self.type == "list":
            return list(cast("tuple[str, ...]", self.default or ()))
        whole = isinstance(self.default, float) and self.default.is_integer()
        return int(cast("float", self.default)) if whole else cast("JsonValue", self.default)


class Table(_Strict):
    """Rows of words, of which the one that fits a text is chosen."""

    by: str = Checked(max_length=300, description="the text, a template of inputs and the task")
    rows: tuple[dict[str, str | tuple[str, ...]], ...] = Checked(
        min_length=1, description="`match`: the words that choose it; the first row without them is the usual one"
    )


class Share(_Strict):
    """A field of the entries of a list, whose sum is given."""

    list: Name
    field: Name
    of: str = Checked(max_length=300, description="the sum, a template")


class Step(_Strict):
    """One piece of work."""

    id: Name
    kind: StepKind
    title: str = Checked(default="", max_length=100)
    about: str = Checked(default="", max_length=500)
    agent: str | None = Checked(default=None, max_length=100)
    skill: str | None = Checked(default=None, max_length=100)
    task: str | None = Checked(default=None, description="agent, skill: what to do; a template")
    context: dict[str, JsonValue] = Checked(default_factory=dict[str, JsonValue], description="agent, skill: templates")
    brainstorm: dict[str, JsonValue] = Checked(default_factory=dict[str, JsonValue], description="skill: templates")
    model: str | None = Checked(default=None, max_length=300)
    provider: str | None = Checked(default=None, max_length=300)
    arguments: dict[str, JsonValue] = Checked(
        default_factory=dict[str, JsonValue],
        description="image, video: of generate_image or generate_video; join: clips, transition, fps; templates",
    )
    for_each: str | None = Checked(default=None, max_length=300, description="a reference to a list")
    after: tuple[str, ...] = Checked(default=(), description="further steps that must have ended")
    retries: int = Checked(default=1, ge=0, le=3)
    max_cost: Annotated[Decimal, Checked(ge=0, le=1_000_000)] | None = Checked(default=None, description="USD, each")
    timeout_s: Annotated[int, Checked(ge=10, le=86_400)] | None = None
    optional: bool = Checked(default=False, description="a failure does not fail the run")
    returns: dict[Name, Value] = Checked(
        default_factory=dict[str, Value], description="agent: the fields of its answer"
    )
    draft: dict[Name, JsonValue] | None = Checked(
        default=None, description="agent: the answer without a language model; templates"
    )
    share: Share | None = None

    @property
    def called(self) -> str:
        """How people call it."""
        return self.title or self.id.replace("_", " ")

    @property
    def seconds(self) -> int:
        """Its time-out."""
        return self.timeout_s or TIMEOUTS[self.kind]


class Result(_Strict):
    """What the workflow is there for."""

    summary: str = Checked(default="", max_length=20_000, description="a template")
    files: tuple[str, ...] = Checked(default=(), description="references to outputs")
    data: dict[Name, JsonValue] = Checked(default_factory=dict[str, JsonValue], description="templates")


class Workflow(_Strict):
    """A graph of steps."""

    name: Name
    title: str = Checked(default="", max_length=100)
    about: str = Checked(default="", max_length=1_000)
    aliases: tuple[str, ...] = ()
    makes: tuple[str, ...] = Checked(
        default=(), description="what a run makes one of, as nouns: a task that asks for several is refused"
    )
    inputs: dict[Name, Input] = Checked(default_factory=dict[str, Input])
    tables: dict[Name, Table] = Checked(default_factory=dict[str, Table])
    steps: tuple[Step, ...] = Checked(min_length=1, max_length=MAX_STEPS)
    output: Result = Result()

    def step(self, step_id: str) -> Step:
        """Return a step.

        Raises:
            KeyError: If there is none of that id.
        """
        return self.by_id[step_id]

    @cached_property
    def by_id(self) -> dict[str, Step]:
        """The steps by id."""
        return {step.id: step for step in self.steps}


class StepState(StrEnum):
    """Where a step, or one item of it, stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not done, since another step failed."""
    CANCELLED = "cancelled"


OVER = frozenset(StepState) - {StepState.QUEUED, StepState.RUNNING}


class Unit(_Strict):
    """How far a step, or one item of it, is."""

    state: StepState = StepState.QUEUED
    attempt: int = 0
    """Counts from 1."""
    job_id: str | None = None
    run_id: str | None = None
    earlier: tuple[str, ...] = ()
    """Ids of jobs and runs of attempts before."""
    output: dict[str, JsonValue] | None = None
    error: dict[str, Any] | None = None
    started_at: int | None = None
    ended_at: int | None = None
    message: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in OVER

    @property
    def id(self) -> str | None:
        """The job or run that it waits for."""
        return self.job_id or self.run_id


_NEW = Unit()


class Work(_Strict):
    """Everything that a run of a workflow resumes from: what is in `Run.work`."""

    workflow: Workflow
    task: str = ""
    """The words of whoever started it."""
    inputs: dict[str, JsonValue] = Checked(default_factory=dict[str, JsonValue])
    sources: dict[str, str] = Checked(default_factory=dict[str, str])
    """By input: `context`, `task` or `default`."""
    given: dict[str, dict[str, JsonValue]] = Checked(default_factory=dict[str, dict[str, JsonValue]])
    """By step: fields of its result that the caller gave."""
    lists: dict[str, int] = Checked(default_factory=dict[str, int])
    """By step with a `for_each`: how many items it has, once that is known."""
    steps: dict[str, Unit] = Checked(default_factory=dict[str, Unit])
    """By key: `script`, `clips[0]`."""

    def keys(self, step_id: str) -> list[str]:
        """Return the keys of a step's items; its id where it has none, or none yet."""
        if step_id in self.lists:
            return [f"{step_id}[{index}]" for index in range(self.lists[step_id])]
        return [step_id]

    def unit(self, key: str) -> Unit:
        """Return how far a step or item is."""
        return self.steps.get(key, _NEW)

    def units(self, step_id: str) -> list[Unit]:
        """Return how far the items of a step are."""
        return [self.unit(key) for key in self.keys(step_id)]

    def dump(self) -> dict[str, Any]:
        """Return it as JSON-ready data, without what is as usual."""
        return self.model_dump(mode="json", exclude_defaults=True)


def overview(work: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row a step, in the order of the workflow: how far it is, and what it made; for every view.

    Keys: step, kind, title, status, message, done, of (where it has items), jobs, runs, outputs, error, took (seconds);
    what there is nothing to say of is left out.
    """
    read = Work.model_validate(work)
    return [_row(step, read.units(step.id), step.id in read.lists) for step in read.workflow.steps]


def _row(step: Step, units: list[Unit], several: bool) -> dict[str, Any]:
    ended = sum(unit.over for unit in units)
    made = [item for unit in units if step.kind in JOBS for item in _outputs(unit)]
    error = next((unit.error for unit in units if unit.error), None)
    begun = [unit.started_at for unit in units if unit.started_at is not None]
    over = [unit.ended_at for unit in units if unit.ended_at is not None]
    status = state_of(units)
    row: dict[str, Any] = {
        "step": step.id,
        "kind": step.kind.value,
        "title": step.called,
        "status": status.value,
        "message": _message(step, units, status, several),
        "done": ended if several else None,
        "of": len(units) if several else None,
        "jobs": [name for unit in units if step.kind in JOBS for name in _ids(unit)],
        "runs": [name for unit in units if step.kind is StepKind.AGENT for name in _ids(unit)],
        "outputs": made,
        "error": error,
        "took": (max(over) - min(begun)) / 1000 if begun and over and status in OVER else None,
    }
    return {name: value for name, value in row.items() if value not in (None, [])}


def _ids(unit: Unit) -> list[str]:
    return [*unit.earlier, *([unit.id] if unit.id else [])]


def _outputs(unit: Unit) -> list[str]:
    made = (unit.output or {}).get("outputs")
    return [item for item in made if isinstance(item, str)] if isinstance(made, list) else []


def _message(step: Step, units: list[Unit], status: StepState, several: bool) -> str | None:
    if several and len(units) > 1:
        done = sum(unit.state is StepState.SUCCEEDED for unit in units)
        return f"{done} of {len(units)} {step.called}"
    told = next((unit.message for unit in units if unit.message), None)
    return told if told and status is not StepState.QUEUED else None


def state_of(units: list[Unit]) -> StepState:
    """Return a step's state from those of its items: the liveliest one, then the worst."""
    states = {unit.state for unit in units}
    if StepState.RUNNING in states or (StepState.QUEUED in states and states & OVER):
        return StepState.RUNNING
    order = (StepState.QUEUED, StepState.FAILED, StepState.CANCELLED, StepState.SKIPPED)
    return next((state for state in order if state in states), StepState.SUCCEEDED)
