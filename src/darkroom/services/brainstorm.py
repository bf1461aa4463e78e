"""Brainstorms: frameworks chosen for a task, a market stage, an audience and a product, and filled with their words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import JsonValue

from darkroom.catalog.frameworks import GENERAL, Entry, Market, Task, families, filled, tasks, words
from darkroom.domain.names import did_you_mean, plain
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest
from darkroom.services.ranking import Ranking
from darkroom.services.skills import NextCall

ANGLES, HEADLINES, PROPOSITIONS = 4, 6, 3
"""How many of each are chosen."""
STAGE = "crowded"
"""The market stage that is taken where none is said; most are."""
FIELDS = ("task_type", "market_stage", "audience", "product")
TEXT = 300
_SAMPLES = {"audience": "buyers", "product": "the product"}


@dataclass(frozen=True, slots=True)
class Idea:
    """A framework, filled."""

    entry: Entry
    line: str
    why: str


@dataclass(frozen=True, slots=True)
class Brainstorm:
    """Frameworks for one task, filled; and what is still assumed."""

    task: Task
    stage: Entry
    audience: str
    product: str
    market: str
    """Which kind of product the words were taken from."""
    angles: tuple[Idea, ...]
    propositions: tuple[Idea, ...]
    headlines: tuple[Idea, ...]
    structure: Idea
    visuals: tuple[Idea, ...]
    checklist: tuple[str, ...]
    assumed: dict[str, tuple[str, str]]
    """By slot: the question that would replace the assumption, and what was assumed."""
    warnings: tuple[str, ...]
    next_calls: tuple[NextCall, ...]


def brainstorm(asked: Mapping[str, Any], context: Mapping[str, Any], request: str = "", name: str = "") -> Brainstorm:
    """Choose and fill frameworks.

    Args:
        asked: Any of `task_type`, `market_stage`, `audience`, `product`, and words for slots of templates.
        context: Further words for slots.
        request: What was said besides, which helps to recognise the kind of product.
        name: The skill that was named, which says the task where `task_type` does not.

    Raises:
        InvalidRequest: If the task type or the market stage is not known, or a word has no slot.
    """
    said = {key: str(value).strip() for key, value in {**context, **asked}.items() if str(value or "").strip()}
    unknown = [key for key in asked if key not in FIELDS and key not in words().slots]
    if unknown:
        allowed = [*FIELDS, *sorted(set(words().slots) - set(FIELDS))]
        near = did_you_mean(unknown[0], allowed)
        raise InvalidRequest(f"brainstorm has no {clip(unknown[0])!r}.{near}", field="brainstorm", allowed=allowed)
    task, warnings = _task(said.get("task_type", ""), f"{name} {request}"), list[str]()
    if "market_stage" not in said:
        warnings.append(f"No market_stage was said; {STAGE} is assumed. {_stages()}")
    stage = _stage(said.get("market_stage", STAGE))
    for field in ("audience", "product"):
        if field not in said:
            warnings.append(f"No {field} was said; the lines speak of {_SAMPLES[field]}.")
    # The audience tells the trade only where nothing else does: who buys for dentists sells no fillings.
    market = _market(
        " ".join((said.get("product", ""), request)) if "product" in said or request else said.get("audience", "")
    )
    own = {key: clip(value, TEXT) for key, value in said.items() if key in words().slots}
    fill = {**market.words, **_SAMPLES, **own}
    ideas = _Ideas(task, stage, fill)
    chosen = (ideas.angles(), ideas.propositions(), ideas.headlines(), ideas.structure())
    used = {slot for several in (*chosen[:3], (chosen[3],)) for idea in several for slot in idea.entry.slots}
    return Brainstorm(
        task=task,
        stage=stage,
        audience=fill["audience"],
        product=fill["product"],
        market=market.id,
        angles=chosen[0],
        propositions=chosen[1],
        headlines=chosen[2],
        structure=chosen[3],
        visuals=ideas.visuals(),
        checklist=tuple(entry.question or entry.what for entry in families()["positioning_checklist"].entries),
        assumed={slot: (words().slots[slot].ask, fill[slot]) for slot in sorted(used - set(own) - set(_SAMPLES))},
        warnings=tuple(warnings),
        next_calls=_next_calls(task, stage, fill, chosen[0]),
    )


def _task(name: str, request: str) -> Task:
    if not name:
        found = _task_index().rank(request)
        if found:
            return tasks()[found[0].id]
        raise InvalidRequest("brainstorm needs a task_type.", field="brainstorm.task_type", allowed=sorted(tasks()))
    for task in tasks().values():
        if plain(name) in {plain(text) for text in (task.id, task.title, *task.aliases)}:
            return task
    near = did_you_mean(name, tasks())
    raise InvalidRequest(
        f"{clip(name)!r} cannot be brainstormed.{near}", field="brainstorm.task_type", allowed=sorted(tasks())
    )


@cache
def _task_index() -> Ranking:
    named = {task.id: [task.title, task.id.replace("_", " "), *task.aliases] for task in tasks().values()}
    return Ranking({name: [(1.0, " ".join(texts).replace("_", " "))] for name, texts in named.items()}, {})


def _stages() -> str:
    return " ".join(f"{entry.id}: {entry.situation}" for entry in families()["market_stages"].entries)


def _stage(name: str) -> Entry:
    found = families()["market_stages"].by_id.get(name.lower())
    if found is None:
        stages = families()["market_stages"].by_id
        near = did_you_mean(name, stages)
        raise InvalidRequest(
            f"There is no market stage {clip(name)!r}.{near} {_stages()}",
            field="brainstorm.market_stage",
            allowed=sorted(stages),
        )
    return found


def _market(text: str) -> Market:
    markets = {market.id: market for market in words().markets}
    found = _market_index().rank(text)
    return markets[found[0].id if found else GENERAL]


@cache
def _market_index() -> Ranking:
    markets = {market.id: market.match for market in words().markets if market.match}
    return Ranking({name: [(1.0, " ".join(match))] for name, match in markets.items()}, markets)


@dataclass(frozen=True, slots=True)
class _Ideas:
    """Chooses and fills for one task at one market stage."""

    task: Task
    stage: Entry
    fill: Mapping[str, str]

    def _idea(self, entry: Entry, why: str) -> Idea:
        return Idea(entry, filled(entry.template or entry.what, self.fill), why)

    def _suited(self, family: str) -> list[Entry]:
        """Return a family's entries, those that suit the market stage first."""
        return sorted(families()[family].entries, key=lambda entry: self.stage.id not in entry.best_for)

    def angles(self) -> tuple[Idea, ...]:
        by_id = families()["positioning_angles"].by_id
        named = [by_id[name] for name in self.stage.angles]
        rest = [entry for entry in self._suited("positioning_angles") if entry not in named]
        return tuple(self._idea(entry, entry.use_when) for entry in [*named, *rest][:ANGLES])

    def propositions(self) -> tuple[Idea, ...]:
        return tuple(self._idea(entry, entry.use_when) for entry in self._suited("value_propositions")[:PROPOSITIONS])

    def headlines(self) -> tuple[Idea, ...]:
        by_id = families()["headline_formulas"].by_id
        named = sorted(
            (by_id[name] for name in self.task.headlines), key=lambda item: self.stage.id not in item.best_for
        )
        rest = [item for item in self._suited("headline_formulas") if self.stage.id in item.best_for]
        chosen = dict.fromkeys([*named[: HEADLINES - 2], *(item for item in rest if item not in named), *named])
        return tuple(self._idea(entry, entry.use_when) for entry in [*chosen][:HEADLINES])

    def structure(self) -> Idea:
        by_id = families()["copy_frameworks"].by_id
        several = [by_id[name] for name in self.task.structures]
        entry = next((item for item in several if self.stage.id in item.best_for), several[0])
        return self._idea(entry, entry.use_when)

    def visuals(self) -> tuple[Idea, ...]:
        fill = {name: slot.fallback or "" for name, slot in words().visual_slots.items()}
        fill |= {"subject": self.fill["product"]}
        found: list[Idea] = []
        for path in self.task.visuals:
            family, _, name = path.partition("/")
            entry = families()[family].by_id[name]
            found.append(Idea(entry, filled(entry.template or entry.name, fill), entry.what))
        return tuple(found)


def _next_calls(task: Task, stage: Entry, fill: Mapping[str, str], angles: Sequence[Idea]) -> tuple[NextCall, ...]:
    product, audience = fill["product"], fill["audience"]
    request = f"{task.title} for {product}, for {audience}. Angle: {angles[0].line}."
    known: dict[str, JsonValue] = {"product": product, "audience": audience, "market_stage": stage.id}
    return tuple(
        NextCall(
            "invoke_skill",
            "Carries out the angle that you choose; put yours in place of the first.",
            {"skill": name, "input": request, "context": known},
        )
        for name in task.skills[:2]
    )
