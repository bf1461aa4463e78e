"""Plans: what credits are worth, what clients pay, and which plan fits a month."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from darkroom.catalog.data import resource_text
from darkroom.catalog.providers import Provider, dollars
from darkroom.catalog.routing import candidates_of
from darkroom.domain.kinds import Kind
from darkroom.domain.money import Margin, client_price, credits_for, rounded
from darkroom.domain.names import did_you_mean, nearest
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest, UnknownModel
from darkroom.settings import Settings

FILE = "plans.toml"
DEFAULT = "brand"
"""The plan that is used where the settings name one that there is not."""
KEPT = "The plans used before are kept."
CENT = Decimal("0.005")
Catalogue = Callable[[], Mapping[str, Provider]]
Usd = Annotated[Decimal, BeforeValidator(dollars), Field(ge=0, le=1_000_000)]
Amount = Annotated[int, Field(ge=0, le=10**9)]
Factor = Annotated[Decimal, BeforeValidator(dollars), Field(gt=0, le=1000)]


class PlansError(Exception):
    """A plans file cannot be used; the message names the file, the field and what it may hold."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Plan(_Strict):
    """One billing plan."""

    title: str
    multiplier: Factor
    """Credits for a dollar's worth of work, as a part of `credits_per_usd`."""
    credit_price_usd: Usd
    """What a credit brings in."""
    price_usd: Usd
    """A month."""
    credits: int = Field(ge=0, le=10**9)
    users: int = Field(ge=1, le=10**6)
    overage_usd: Usd
    """A credit beyond the included ones."""
    modules: tuple[str, ...] = ()


class Client(_Strict):
    """What to ask of clients."""

    markup_percent: Factor
    minimum_price_usd: Usd


class Piece(_Strict):
    """One piece of work in words that an estimate understands."""

    operation: Kind
    model: str | None = None
    provider: str | None = None
    n: int = Field(default=1, ge=1, le=1_000_000)
    duration: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] | None = None
    size: str | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    quality: str | None = None
    audio: bool | None = None
    characters: Amount | None = None
    input_tokens: Amount | None = None
    output_tokens: Amount | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """Which plan fits, and why."""

    plan: str
    plan_credits: int
    overage_credits: int
    monthly_usd: Decimal
    reason: str


class Plans(_Strict):
    """All plans, and the rules that turn costs into credits."""

    credits_per_usd: Factor
    minimum_credits: int = Field(ge=0, le=1000)
    client: Client
    modules: dict[str, tuple[Kind, ...]]
    plans: dict[str, Plan] = Field(min_length=1)
    month: dict[str, Piece]
    common: dict[str, Piece]

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, plan in self.plans.items():
            if not name:
                raise ValueError("a plan has no name")
            unknown = set(plan.modules) - set(self.modules)
            if unknown:
                raise ValueError(f"plan {name} names the module {sorted(unknown)[0]!r}; there are {list(self.modules)}")
        return self

    def plan(self, name: str) -> Plan:
        """Return a plan by its name.

        Raises:
            InvalidRequest: If there is none; the message names the nearest.
        """
        found = self.plans.get(plan_key(name))
        if found is None:
            raise InvalidRequest(
                f"There is no plan {clip(name)!r}.{did_you_mean(name, self.plans)}",
                field="plan",
                allowed=nearest(name, self.plans) or list(self.plans),
                hint="Nothing was stored. darkroom://pricing/plans lists the plans.",
            )
        return found

    def known(self, *names: str | None) -> str:
        """Return the first of these that is a plan, else the plan that is the default, else the first of all."""
        keys = [plan_key(name) for name in (*names, DEFAULT) if name]
        return next((key for key in keys if key in self.plans), next(iter(self.plans)))

    def piece(self, name: str) -> Piece | None:
        """Return what one piece of a month's estimate is, or None where the name is none of them."""
        return self.month.get(plan_key(name))

    def credits(self, cost: Decimal, plan: str) -> int:
        """Return the credits of one output with that cost in US dollars."""
        multiplier = self.plan(plan).multiplier
        return credits_for(cost, multiplier, per_usd=self.credits_per_usd, minimum=self.minimum_credits)

    def credits_of_many(self, cost: Decimal, count: int, plan: str) -> int:
        """Return the credits of so many equal outputs with that cost together: rounded for one, then multiplied."""
        return count * self.credits(cost / count, plan)

    def revenue(self, credits: int, plan: str) -> Decimal:
        """Return what credits bring in, in US dollars, exact."""
        return credits * self.plan(plan).credit_price_usd

    def margin(self, cost: Decimal, credits: int, plan: str) -> Margin:
        """Return what is left of the credits' revenue after the cost."""
        return Margin(cost, self.revenue(credits, plan))

    def client_price(
        self, cost: Decimal, markup_percent: Decimal | None = None, minimum: Decimal | None = None
    ) -> Margin:
        """Return what to ask of a client for work with that cost, with its margin; nothing for what is free."""
        if not cost:
            return Margin(cost, cost)
        markup = self.client.markup_percent if markup_percent is None else markup_percent
        least = self.client.minimum_price_usd if minimum is None else minimum
        return Margin(cost, client_price(cost, markup, least))

    def full_use(self, plan: str) -> Margin:
        """Return the margin of a plan whose included credits are all used, each at the cost that made it."""
        held = self.plan(plan)
        return Margin(held.credits / (self.credits_per_usd * held.multiplier), held.price_usd)

    def warnings(self) -> list[str]:
        """Name the plans that lose money when all their credits are used, or with every further credit."""
        found: list[str] = []
        for name, plan in self.plans.items():
            margin = self.full_use(name)
            if margin.usd < 0:
                lost = "under a cent" if -margin.usd < CENT else f"${-rounded(margin.usd, 2):,}"
                found.append(f"Plan {name} loses {lost} a month when all {plan.credits:,} credits are used.")
            each = 1 / (self.credits_per_usd * plan.multiplier)
            for what, price in (("credit sold", plan.credit_price_usd), ("credit beyond them", plan.overage_usd)):
                if price < each:
                    found.append(f"Plan {name} loses money on every {what}: it costs ${rounded(each, 5)}.")
        return found

    def advise(self, credits: int, *, kinds: tuple[Kind, ...] = (), users: int = 1) -> Advice:
        """Return the smallest plan that covers so many credits, these operations and users.

        Where none is large enough, the largest of those with the modules and users, with what it lacks as overage.
        """
        fitting = {
            name: plan
            for name, plan in self.plans.items()
            if plan.users >= users and all(self._opens(plan, kind) for kind in kinds)
        }
        pool = fitting or self.plans
        covering = {name: plan for name, plan in pool.items() if plan.credits >= credits}
        if covering:
            name = min(covering, key=lambda item: (covering[item].credits, covering[item].price_usd))
        else:
            name = max(pool, key=lambda item: pool[item].credits)
        plan = self.plans[name]
        over = max(credits - plan.credits, 0)
        reason = f"{plan.credits:,} credits included" + (f", {over:,} more at ${plan.overage_usd:f}" if over else "")
        if not fitting:
            reason += "; no plan has all of these operations and users"
        return Advice(name, plan.credits, over, plan.price_usd + over * plan.overage_usd, reason)

    def opens(self, plan: str, kind: Kind) -> bool:
        """Return whether a plan includes an operation."""
        return self._opens(self.plan(plan), kind)

    def _opens(self, plan: Plan, kind: Kind) -> bool:
        return kind is Kind.CHAT or any(kind in self.modules[module] for module in plan.modules)

    def updated(self, changes: Mapping[str, Any]) -> Self:
        """Return the plans with some values replaced, checked as a whole.

        Raises:
            PlansError: If the result breaks a rule; these plans stay as they are.
        """
        where = "the update"
        return self._checked(_merged(self.model_dump(), _with_plain_keys(changes, where)), where)

    @classmethod
    def _checked(cls, data: Mapping[str, Any], where: str) -> Self:
        try:
            return cls.model_validate(data)
        except ValidationError as exc:
            error = exc.errors(include_url=False)[0]
            name = ".".join(str(part) for part in error["loc"])
            raise PlansError(f"{where}: {clip(name)}: {error['msg']}. {KEPT}") from exc

    @classmethod
    def read(cls, own: Path | None = None, catalogue: Catalogue | None = None) -> Self:
        """Return the shipped plans with a user's file laid over them; blocks.

        Raises:
            PlansError: If that file cannot be read, breaks a rule, or names a model that `catalogue` does not have.
        """
        shipped = tomllib.loads(resource_text(FILE))
        if own is None or not _is_there(own):
            return cls._checked(shipped, FILE)
        try:
            changes = _with_plain_keys(tomllib.loads(own.read_text(encoding="utf-8")), str(own))
        except PlansError:
            raise
        except (OSError, ValueError, RecursionError) as exc:  # a TOML error is a ValueError
            raise PlansError(f"{own}: {exc}. {KEPT}") from exc
        plans = cls._checked(_merged(shipped, changes), str(own))
        if catalogue is not None:
            plans.check_models(changes, catalogue(), str(own))
        return plans

    def check_models(self, changes: Mapping[str, Any], providers: Mapping[str, Provider], where: str) -> None:
        """Hold the pieces of work that a file of the user's own names against the catalogue.

        Raises:
            PlansError: If one names a model or a provider that nothing has; the message names the nearest.
        """
        for table, pieces in (("month", self.month), ("common", self.common)):
            for name in changes.get(table, ()):
                piece = pieces[name]
                try:
                    candidates_of(providers, piece.operation, piece.model, piece.provider)
                except UnknownModel as exc:
                    raise PlansError(f"{where}: {table}.{clip(name)}: {exc.message} {KEPT}") from exc


def plan_key(name: str) -> str:
    """Return a plan's name as it is looked up."""
    return name.strip().lower()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # reading it says why it cannot be


def _with_plain_keys(changes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return changes with the names of plans and of a month's pieces written as they are looked up.

    Raises:
        PlansError: If two names become one.
    """
    plain = dict(changes)
    for table in ("plans", "month"):
        held: Any = plain.get(table)
        if not isinstance(held, Mapping):
            continue
        entries: Mapping[str, Any] = held  # pyright: ignore[reportUnknownVariableType] because TOML is untyped
        found: dict[str, str] = {}
        for name in entries:
            other = found.setdefault(plan_key(name), name)
            if other != name:
                raise PlansError(f"{where}: {table}: {clip(other)!r} and {clip(name)!r} are the same name. {KEPT}")
        plain[table] = {plan_key(name): entry for name, entry in entries.items()}
    return plain


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with another laid over it, table by table."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value  # pyright: ignore[reportUnknownArgumentType] because TOML is untyped
    return merged


class PlanBook:
    """The plans in use: read when first asked for, read again on request, changed by code."""

    def __init__(
        self,
        own: Path | None = None,
        catalogue: Catalogue | None = None,
        of_token: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._own = own
        self._of_token = of_token
        self._catalogue = catalogue
        self._plans: Plans | None = None
        self.problem: str | None = None
        """Why the user's own file is not used."""

    @property
    def plans(self) -> Plans:
        """The plans; reading them first blocks."""
        return self._plans or self.read()

    def of(self, settings: Settings, principal: str) -> str:
        """Return the plan of a principal, always one there is: its token's, its own, that of all, else the default."""
        return self.plans.known(self._of_token(principal) or settings.plan_of(principal), settings.plan)

    def warnings(self, settings: Settings) -> list[str]:
        """Say which plans of the settings there are not, and why a plans file is not used."""
        plans = self.plans
        found = [self.problem] if self.problem else []
        named = {"DARKROOM_PLAN": (settings.plan, plans.known(settings.plan))}
        for principal, own in settings.principals.items():
            if own.plan:
                named[f"principals.{principal}.plan in config.toml"] = (own.plan, self.of(settings, principal))
        for setting, (name, used) in named.items():
            if plan_key(name) not in plans.plans:
                found.append(
                    f"{setting} holds {clip(name)!r}, and there is no such plan; plan {used} is used."
                    f"{did_you_mean(name, plans.plans)}"
                )
        return found

    def read(self) -> Plans:
        """Read the files, or those shipped alone while the user's own cannot be used; blocks."""
        try:
            return self.reload()
        except PlansError as exc:
            self.problem = str(exc)
            self._plans = Plans.read()
            return self._plans

    def reload(self) -> Plans:
        """Read the files again; blocks.

        Raises:
            PlansError: If they cannot be used; the plans used before are kept.
        """
        self._plans = Plans.read(self._own, self._catalogue)
        self.problem = None
        return self._plans

    def update(self, changes: Mapping[str, Any]) -> Plans:
        """Replace some values, until the files are read again.

        Raises:
            PlansError: If the result breaks a rule; the plans used before are kept.
        """
        self._plans = self.plans.updated(changes)
        return self._plans
