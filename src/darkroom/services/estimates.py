"""What work would cost, in dollars, credits and client prices; needs no key and no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue, ValidationError

from darkroom.catalog.plans import Advice, Piece, PlanBook, Plans, plan_key
from darkroom.catalog.prices import Quote
from darkroom.catalog.routing import Candidate
from darkroom.domain.job import Job, LedgerRow
from darkroom.domain.kinds import Kind
from darkroom.domain.money import Margin, MicroUsd, to_usd
from darkroom.domain.names import did_you_mean, nearest
from darkroom.domain.request import clip, parse_quality, parse_resolution, parse_size, real, whole
from darkroom.errors import InvalidRequest, UnknownJob, Unsupported
from darkroom.services.pricing import ASSUMED, Priced, Pricing
from darkroom.settings import Settings
from darkroom.store.base import JobStore

NOTHING = "Nothing was stored or sent."
WORDS: Mapping[str, str] = {
    "picture": "image", "pictures": "image", "images": "image", "clip": "video", "clips": "video", "videos": "video",
    "tts": "speech", "voice": "speech", "text_to_speech": "speech", "sfx": "sound", "sound_effect": "sound",
    "song": "music", "stt": "transcription", "transcribe": "transcription", "analyze_image": "vision",
    "search": "research", "presentation": "slides", "presentations": "slides", "deck": "slides", "llm": "chat",
    "text": "chat", "usage": "spent", "spend": "spent", "monthly": "month",
}  # fmt: skip
OPERATIONS = (*(kind.value for kind in Kind), "month", "spent", "job")
MOST = 1_000_000
ALTERNATIVES = 3


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller wants to know the price of; every number may be left out."""

    operation: str
    model: str | None = None
    provider: str | None = None
    n: object = None
    duration: object = None
    size: str | None = None
    resolution: str | None = None
    quality: str | None = None
    audio: bool | None = None
    characters: object = None
    input_tokens: object = None
    output_tokens: object = None
    plan: str | None = None

    @property
    def bare(self) -> bool:
        """Whether only the operation is named."""
        return all(getattr(self, name) is None for name in TOLD)


TOLD = ("model", "provider", "n", "duration", "size", "resolution", "quality", "audio", "characters",
        "input_tokens", "output_tokens")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """The price of one piece of work, times how many."""

    kind: Kind
    priced: Priced
    state: str
    """`ready`, or what is in the way of using the offer."""
    plan: str
    credits: int | None
    client: Margin | None
    """What to ask of a client for all of it."""
    revenue: Margin | None
    """What the credits bring in, against the cost."""
    others: tuple[tuple[Priced, str], ...]
    """Cheaper offers that can do the same; all that can when none was named. With their states."""
    assumed: tuple[str, ...]
    advice: str | None
    warnings: tuple[str, ...] = ()
    """What is wrong with the plans."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One offer in a list, with the price of its usual work."""

    candidate: Candidate
    state: str
    usual: Quote | None


@dataclass(frozen=True, slots=True)
class Part:
    """One sort of work in a month."""

    name: str
    count: int
    offer: str
    micro_usd: MicroUsd | None
    credits: int | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Month:
    """What a month of work costs, and which plan fits it."""

    parts: tuple[Part, ...]
    plan: str
    """The plan whose multiplier counts."""
    credits: int
    micro_usd: MicroUsd
    unknown: tuple[str, ...]
    """The parts without a known price; they are in no sum."""
    advice: Advice
    warnings: tuple[str, ...] = ()
    """Parts that a draft would make, parts whose price is the least, and what is wrong with the plans."""


@dataclass(frozen=True, slots=True)
class JobCost:
    """What one job was estimated at, what it costs, and what that means."""

    job: Job
    ledger: tuple[LedgerRow, ...]
    estimate: MicroUsd | None
    actual: MicroUsd | None
    plan: str
    credits: int | None
    client: Margin | None


class Estimates:
    """Answers what things cost."""

    def __init__(self, pricing: Pricing, plans: PlanBook, store: JobStore, settings: Settings) -> None:
        self._pricing = pricing
        self._plans = plans
        self._store = store
        self._settings = settings

    @property
    def plans(self) -> Plans:
        """The plans in use."""
        return self._plans.plans

    def plan_name(self, plan: str | None, principal: str) -> str:
        """Return the name of a plan, or of the principal's own.

        Raises:
            InvalidRequest: If there is no plan of the name that was given.
        """
        if plan is None or not plan.strip():
            return self._plans.of(self._settings, principal)
        self.plans.plan(plan)
        return plan_key(plan)

    def warnings(self) -> list[str]:
        """Say which plans of the settings there are not, and why a plans file is not used."""
        return self._plans.warnings(self._settings)

    def estimate(self, ask: Ask, principal: str = "local") -> Estimate:
        """Return the price of a piece of work at the offer that would do it, and of others that can.

        Raises:
            InvalidRequest: If a value cannot be, or the offer does not have it.
            UnknownModel: If nothing has the name.
            ModelRetired: If all of the name is gone.
            Unsupported: If the offer cannot do it.
        """
        kind = kind_of(ask.operation)
        plan = self.plan_name(ask.plan, principal)
        piece, assumed = _piece(ask, kind)
        item = self._pricing.choose(piece)
        named, refused = bool(ask.model or ask.provider), ""
        try:
            priced = self._pricing.price(piece, item)
        except (InvalidRequest, Unsupported) as exc:
            able = [] if named else self._pricing.everywhere(piece)
            if not able:
                raise
            refused = f"A call without model and provider would be refused: {exc.message}"
            priced = able[0]
            item = priced.candidate
        if named:
            others = self._pricing.cheaper(priced)[:ALTERNATIVES]
        else:
            others = [one for one in self._pricing.everywhere(piece) if one.candidate != item]
        likely = priced.likely
        return Estimate(
            kind=kind,
            priced=priced,
            state=self._pricing.state(item),
            plan=plan,
            credits=self._credits(priced, plan),
            client=None if likely is None else self.plans.client_price(to_usd(likely)),
            revenue=self._revenue(priced, plan),
            others=tuple((one, self._pricing.state(one.candidate)) for one in others),
            assumed=assumed,
            advice=self._advice(kind, plan),
            warnings=(*([refused] if refused else ()), *self.warnings()),
        )

    def _credits(self, priced: Priced, plan: str) -> int | None:
        if priced.one is None:
            return None
        return self.plans.credits_of_many(to_usd(priced.one.likely) * priced.piece.n, priced.piece.n, plan)

    def _revenue(self, priced: Priced, plan: str) -> Margin | None:
        credits, likely = self._credits(priced, plan), priced.likely
        return None if credits is None or likely is None else self.plans.margin(to_usd(likely), credits, plan)

    def _advice(self, kind: Kind, plan: str) -> str | None:
        """Say when a plan does not include an operation, and which does."""
        if self.plans.opens(plan, kind):
            return None
        fitting = self.plans.advise(self.plans.plan(plan).credits, kinds=(kind,))
        return f"Plan {plan} has no {kind}; {fitting.plan} is the smallest that has it."

    def listing(self, kind: Kind | None = None) -> list[Listed]:
        """Return the offers of a kind, ready ones first, each with the price of its usual work."""
        found: list[Listed] = []
        for item in self._pricing.offers(kind):
            piece, _ = _piece(Ask(item.offer.kind.value), item.offer.kind)
            priced = self._pricing.tried(piece, item)
            found.append(Listed(item, self._pricing.state(item), priced.one if priced else None))
        return sorted(found, key=lambda one: one.state != "ready")

    def month(self, usage: Mapping[str, JsonValue], plan: str | None = None, principal: str = "local") -> Month:
        """Return what a month of this work costs, and the smallest plan that covers it.

        Raises:
            InvalidRequest: If an entry or a number cannot be.
        """
        name = self.plan_name(plan, principal)
        users = whole(usage.get("users", 1), "usage.users", 1, MOST)
        parts = [self._part(key, value, name) for key, value in usage.items() if key != "users"]
        if not parts:
            raise InvalidRequest(
                "usage names no work.",
                field="usage",
                allowed=list(self.plans.month),
                hint=f"{NOTHING} Give for example usage={{'videos': 10, 'images': 100}}.",
            )
        credits = sum(part.credits or 0 for part, _ in parts)
        kinds = tuple({kind for part, kind in parts if part.count})
        return Month(
            parts=tuple(part for part, _ in parts),
            plan=name,
            credits=credits,
            micro_usd=MicroUsd(sum(part.micro_usd or 0 for part, _ in parts)),
            unknown=tuple(part.name for part, _ in parts if part.micro_usd is None),
            advice=self.plans.advise(credits, kinds=kinds, users=users),
            warnings=(*(part.note for part, _ in parts if part.note), *self.warnings()),
        )

    def _part(self, key: str, value: JsonValue, plan: str) -> tuple[Part, Kind]:
        name = key.removesuffix("_per_month")
        base = self.plans.piece(name) or self._by_kind(name)
        told: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {"count": value}
        count = whole(told.pop("count", 1), f"usage.{clip(key)}", 0, 10**9)
        try:
            piece = Piece.model_validate({**base.model_dump(), **told})
        except ValidationError as exc:
            error = exc.errors(include_url=False)[0]
            raise InvalidRequest(
                f"usage.{clip(key)}.{'.'.join(str(part) for part in error['loc'])}: {error['msg']}.",
                field="usage",
                hint=NOTHING,
            ) from exc
        number = count
        if name.endswith("chars"):
            piece, number = piece.model_copy(update={"characters": count}), min(count, 1)
        priced = self._pricing.price(piece, self._pricing.choose(piece))
        if priced.likely is None:
            return Part(name, count, priced.candidate.name, None, None), piece.operation
        cost = MicroUsd(priced.likely * number)
        credits = number * self.plans.credits(to_usd(priced.likely), plan)
        return Part(name, count, priced.candidate.name, cost, credits, _note(name, priced)), piece.operation

    def _by_kind(self, name: str) -> Piece:
        kind = WORDS.get(name, name)
        if kind in tuple(Kind):
            return Piece.model_validate({"operation": kind, **ASSUMED.get(Kind(kind), {})})
        known = [*self.plans.month, *(item.value for item in Kind), "users"]
        raise InvalidRequest(
            f"usage has no {clip(name)!r}.{did_you_mean(name, known)}",
            field="usage",
            allowed=nearest(name, known) or known,
            hint=NOTHING,
        )

    async def job(self, job_id: str, plan: str | None = None, principal: str = "local") -> JobCost:
        """Return what a job was estimated at and what it costs.

        Raises:
            UnknownJob: If the caller has no such job.
        """
        job = await self._store.get(job_id, principal)
        if job is None:
            raise UnknownJob(
                f"There is no job {clip(job_id)!r}.",
                field="job_id",
                hint="check_job without job_id lists your newest jobs.",
            )
        booked = self.plans.known(job.plan, self._plans.of(self._settings, principal))
        name = self.plan_name(plan, principal) if plan else booked
        cost = job_cost(job)
        return JobCost(
            job=job,
            ledger=tuple(await self._store.ledger(job.id)),
            estimate=cost.estimate,
            actual=cost.actual,
            plan=name,
            credits=cost.credits(self.plans, name),
            client=None if cost.known is None else self.plans.client_price(to_usd(cost.known)),
        )


def _note(name: str, priced: Priced) -> str | None:
    """Say of a part of a month that a draft would make it, or that its price is the least."""
    if priced.candidate.makes_drafts:
        return f"{name} is priced as a draft, which is free; name a model, or set a provider's key, for the real thing."
    return None if priced.partial is None else f"{name} costs at least that: {priced.partial}."


@dataclass(frozen=True, slots=True)
class Cost:
    """A job's own figures: what was estimated, and what was charged once that is known."""

    estimate: MicroUsd | None
    actual: MicroUsd | None
    each: tuple[tuple[MicroUsd, int], ...]
    """Cost and outputs of every submission that has a figure."""

    @property
    def known(self) -> MicroUsd | None:
        """The actual cost, else the estimate."""
        return self.estimate if self.actual is None else self.actual

    def credits(self, plans: Plans, plan: str) -> int | None:
        """Return its credits, each submission's outputs by themselves; None where no figure is known."""
        if not self.each:
            return None
        return sum(plans.credits_of_many(to_usd(cost), count, plan) for cost, count in self.each)


def job_cost(job: Job) -> Cost:
    """Return the figures of a job; what was put aside for another submission counts only where it was charged."""
    parts = [part for part in job.submissions if not part.put_aside or part.actual] or job.submissions
    estimates = [part.estimate for part in parts if part.estimate is not None and part.actual != 0]
    actuals = [part.actual for part in parts if part.actual is not None]
    figures = [(part.estimate if part.actual is None else part.actual, part.effective.n) for part in parts]
    first = [part.estimate for part in parts if part.estimate is not None]
    return Cost(
        estimate=MicroUsd(sum(estimates or first)) if first else None,
        actual=MicroUsd(sum(actuals)) if actuals else None,
        each=tuple((cost, count) for cost, count in figures if cost is not None),
    )


def kind_of(operation: str) -> Kind:
    """Return the kind that an operation makes.

    Raises:
        InvalidRequest: If it is none; the message names the nearest.
    """
    word = operation.strip().lower().replace("-", "_").replace(" ", "_")
    word = WORDS.get(word, word)
    if word in tuple(Kind):
        return Kind(word)
    raise InvalidRequest(
        f"There is no operation {clip(operation)!r}.{did_you_mean(operation, (*OPERATIONS, *WORDS))}",
        field="operation",
        allowed=list(OPERATIONS),
        hint=NOTHING,
    )


def _piece(ask: Ask, kind: Kind) -> tuple[Piece, tuple[str, ...]]:
    """Return the work in checked numbers, and what had to be assumed, in words."""
    values: dict[str, object] = {
        "operation": kind,
        "model": ask.model,
        "provider": ask.provider,
        "size": None if ask.size is None else str(parse_size(ask.size)),
        "resolution": None if ask.resolution is None else parse_resolution(ask.resolution),
        "quality": None if ask.quality is None else parse_quality(ask.quality),
        "audio": ask.audio,
    }
    numbers: Sequence[tuple[str, object]] = [
        (name, getattr(ask, name)) for name in ("n", "characters", "input_tokens", "output_tokens")
    ]
    values |= {
        name: whole(value, name, 1 if name == "n" else 0, MOST if name == "n" else 10**9)
        for name, value in numbers
        if value is not None
    }
    if ask.duration is not None:
        words = ask.duration.removesuffix("s") if isinstance(ask.duration, str) else ask.duration
        values["duration"] = real(words, "duration", 0.1, 86_400)
    missing = {name: value for name, value in ASSUMED.get(kind, {}).items() if values.get(name) is None}
    assumed = tuple(f"{name.replace('_', ' ')} {value:,} (assumed)" for name, value in missing.items())
    return Piece.model_validate({**values, **missing}), assumed
