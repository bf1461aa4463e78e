"""What a caller wants done: read, checked, and its identity."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from pydantic import JsonValue, ValidationError

from darkroom.catalog.agents import TIERS
from darkroom.domain.money import show_usd, to_micro
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.run import Message
from darkroom.domain.spending import find_caps, find_unsure, task_caps, task_unsure
from darkroom.domain.task_facts import opening
from darkroom.errors import InvalidRequest
from darkroom.services.caps import Terms

NOTHING = "Nothing was stored or started."
MOST_TASK = 20_000
"""Letters of a task; more belongs into files."""
MOST_CONTEXT = 200_000
"""Bytes of a context, as JSON."""
MOST_HISTORY = 200
"""Messages that a conversation may be seeded with."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a caller wants done, and by whom."""

    task: str
    agent: str | None = None
    workflow: str | Mapping[str, Any] | None = None
    session_id: str | None = None
    context: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    tier: str | None = None
    model: str | None = None
    callback_url: str | None = None


def check(task: Task) -> None:
    """Refuse what is missing or too long.

    Raises:
        InvalidRequest: If it is.
    """
    if not task.task.strip():
        raise InvalidRequest(
            "task is empty.", field="task", hint=f"{NOTHING} Say what is to be done, or name the run_id to continue."
        )
    if len(task.task) > MOST_TASK:
        raise InvalidRequest(
            f"task has {len(task.task):,} letters.",
            field="task",
            allowed=f"1 to {MOST_TASK:,} letters",
            hint=f"{NOTHING} Put the material into context, or name files.",
        )
    if task.tier is not None and task.tier not in TIERS:
        near = did_you_mean(task.tier, TIERS)
        raise InvalidRequest(
            f"There is no tier {clip(task.tier)!r}.{near}", field="tier", allowed=list(TIERS), hint=NOTHING
        )
    size = len(json.dumps(dict(task.context), ensure_ascii=False).encode("utf-8", "replace"))
    if size > MOST_CONTEXT:
        raise InvalidRequest(
            f"context holds {size:,} bytes.",
            field="context",
            allowed=f"up to {MOST_CONTEXT:,} bytes as JSON",
            hint=f"{NOTHING} Give what matters; pictures go in as paths or output ids.",
        )
    if task.agent and task.workflow:
        raise InvalidRequest(
            "agent and workflow were both given.", field="workflow", hint=f"{NOTHING} Name one of them."
        )
    if task.workflow and task.session_id:
        raise InvalidRequest(
            "A workflow has no session.", field="session_id", hint=f"{NOTHING} Leave out session_id or workflow."
        )


def capped(task: Task, terms: Terms) -> Terms:
    """Return the terms with the cap that the words of a task name, where that is the lowest."""
    caps = (find_caps if task.workflow is not None else task_caps)(opening(task.task))
    if not caps:
        return terms
    said = min(caps, key=lambda one: one.value)
    cap = to_micro(Decimal(str(said.value)))
    if terms.max_cost is not None and terms.max_cost <= cap:
        return terms
    return replace(terms, max_cost=cap, cap_words=opening(task.task)[said.start : said.end])


def cap_notes(task: Task, terms: Terms) -> tuple[str, ...]:
    """Return what a caller should know of the amounts in a task; `terms` as `capped` returns them."""
    notes: list[str] = []
    if terms.cap_words is not None and terms.max_cost is not None:
        notes.append(f"max_cost is {show_usd(terms.max_cost)}, since the task says {clip(terms.cap_words)!r}.")
    unsure = (find_unsure if task.workflow is not None else task_unsure)(opening(task.task))
    if unsure:
        words = ", ".join(repr(clip(one.value)) for one in unsure)
        notes.append(f"Not taken as a limit of what this may cost: {words}. max_cost, in US dollars, is one.")
    return tuple(notes)


def read_history(value: JsonValue) -> tuple[Message, ...]:
    """Read the messages that a new session is to begin with.

    Raises:
        InvalidRequest: If they are no list of {role, content}.
    """
    if value is None:
        return ()
    try:
        found = tuple(Message.model_validate(item) for item in value) if isinstance(value, list) else None
    except ValidationError:
        found = None
    if found is None or len(found) > MOST_HISTORY:
        raise InvalidRequest(
            "context.history cannot be read.",
            field="context",
            allowed=f'up to {MOST_HISTORY} of {{"role": "user" or "assistant", "content": "..."}}',
            hint=NOTHING,
        )
    return found


def task_hash(task: Task) -> str:
    """Return the identity of a task: everything but its cap and whom to tell."""
    said: dict[str, Any] = {
        "task": task.task.strip(),
        "agent": task.agent,
        "workflow": task.workflow,
        "session": task.session_id,
        "context": {key: value for key, value in task.context.items() if key != "invocation_id"},
        "tier": task.tier,
        "model": task.model,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()
