"""Runs: an agent's loop, a chat or a workflow, kept as a row that advances by the same claim and lease as jobs."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from darkroom.domain.money import MicroUsd


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})

MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.FAILED, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.QUEUED, RunState.WAITING, *ENDED}),
    RunState.WAITING: frozenset({RunState.RUNNING, RunState.QUEUED, RunState.FAILED, RunState.CANCELLED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}
"""Every legal move of a run; a killed owner puts it back to queued, from where it resumes at its last finished turn."""


class RunKind(StrEnum):
    """What a run carries out."""

    AGENT = "agent"
    """One agent, or a chat without one."""
    WORKFLOW = "workflow"


class Awaits(StrEnum):
    """What a waiting run waits for."""

    WORK = "work"
    """Jobs and runs, named in `waiting_for`."""
    ANSWER = "answer"
    """The user's word on `question`."""
    CLIENT = "client"
    """The caller, whose own model does the thinking and who has to call again."""


class Mode(StrEnum):
    """Who does the thinking of a run."""

    LOOP = "loop"
    """A language model that we call."""
    CLIENT = "client"
    """The caller's own model, through sampling."""
    HAND_OFF = "hand_off"
    """The caller, who gets a brief."""
    STEPS = "steps"
    """Nobody: a workflow, whose steps think for themselves."""


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    role: Literal["user", "assistant"]
    content: str
    at: int = 0
    run_id: str | None = None


class Session(BaseModel):
    """A conversation of one principal, with what its agents were told."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    principal: str
    agent: str | None = None
    title: str | None = None
    history: tuple[Message, ...] = ()
    answers: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """What onboarding agents were told, by the name of their input; and for whom and what briefs were made."""
    created_at: int
    updated_at: int


class Question(BaseModel):
    """What a run asks its user."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    text: str
    key: str | None = None
    """The agent's input that the answer belongs to."""
    call_id: str | None = None
    """The model's tool call that the answer is the result of."""


class Answer(BaseModel):
    """A question with the user's word on it."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    question: Question
    text: str
    at: int


class Action(BaseModel):
    """Something that a run started."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    tool: str
    job_id: str | None = None
    run_id: str | None = None
    key: str
    """`run/turn/call` or `run/step/attempt`: what makes a repetition of it the same call."""


class Run(BaseModel):
    """One task of one principal, with everything known about it."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    principal: str
    kind: RunKind = RunKind.AGENT
    mode: Mode = Mode.LOOP
    agent: str | None = None
    workflow: str | None = None
    task: str
    context: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    tier: str | None = None
    """The tier of the agent, or the one asked for."""
    model: str | None = None
    """The model that does the thinking, as `provider/model`."""
    session_id: str | None = None
    parent_run_id: str | None = None
    root_run_id: str | None = None
    """The outermost run, whose cap holds for all of them; None for that one itself."""
    request_hash: str
    """Identity of the request: task, agent, workflow, session, context, model."""
    idempotency_key: str | None = None
    max_cost: MicroUsd | None = None
    """The most that it and all inside it may cost."""
    root_max_cost: MicroUsd | None = None
    """Likewise of the outermost run, where this is inside another."""
    plan: str | None = None
    state: RunState = RunState.QUEUED
    awaits: Awaits | None = None
    waiting_for: tuple[str, ...] = ()
    """Ids of the jobs and runs that it waits for."""
    question: Question | None = None
    answers: tuple[Answer, ...] = ()
    turn: int = 0
    """How many model calls are booked, repeated ones too; the number of the newest ledger row, counting from 1."""
    work: dict[str, Any] = Field(default_factory=dict[str, Any])
    """What it resumes from: the messages of a loop, the steps of a workflow."""
    actions: tuple[Action, ...] = ()
    output: str | None = None
    data: dict[str, JsonValue] | None = None
    """The result as data, where an agent was asked for such."""
    brief: dict[str, Any] | None = None
    """What is handed to the caller to carry out."""
    error: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    due_at: int = 0
    """Not to be advanced before that time (milliseconds); a waiting run is looked at then at the latest."""
    deadline_at: int | None = None
    cancel_requested_at: int | None = None
    delivered_at: int | None = None
    created_at: int
    updated_at: int
    finished_at: int | None = None
    owner: str | None = None
    version: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    @property
    def root(self) -> str:
        """The outermost run's id."""
        return self.root_run_id or self.id


_NOTHING = re.compile(r"^Nothing was (?:stored|sent|started)\b[^.]*\.\s*")


def in_run(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error as a run keeps it: without the word of a refused call that nothing was stored."""
    hint = _NOTHING.sub("", str(error.get("hint") or ""))
    return {**error, "hint": hint} if hint else {key: value for key, value in error.items() if key != "hint"}


class Delivery(StrEnum):
    """How far a callback is."""

    WAITING = "waiting"
    """Its job or run has not ended."""
    DUE = "due"
    DELIVERED = "delivered"
    FAILED = "failed"


class Callback(BaseModel):
    """Whom to tell when a job or run ends, and whether it was told."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    subject: str
    """Id of the job or run."""
    principal: str
    url: str = Field(repr=False)
    """Never shown as a whole: it may hold a token."""
    invocation_id: str
    """The caller's own name of the work; empty where that is the id of the job or run."""
    state: Delivery = Delivery.WAITING
    attempts: int = 0
    due_at: int = 0
    body: str | None = None
    """The exact text that is sent and signed, the same in every attempt."""
    status: int | None = None
    """The HTTP status of the newest attempt."""
    error: str | None = None
    created_at: int
    delivered_at: int | None = None

    @property
    def host(self) -> str:
        """The host that is told, with its port where that is not the usual one."""
        return urlsplit(self.url).netloc
