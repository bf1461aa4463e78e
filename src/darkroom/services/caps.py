"""What may be spent: by one call, a day, a month, everybody together or one principal."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from darkroom.catalog.prices import Quote
from darkroom.domain.money import MicroUsd, show_usd, to_micro, to_usd
from darkroom.domain.request import clip
from darkroom.domain.run import Run
from darkroom.errors import BudgetExceeded, PriceUnknown
from darkroom.settings import PREFIX, Settings
from darkroom.store.base import JobStore, Limit

NOTHING = "Nothing was stored or sent."
FREE_WAY = "max_cost=0 takes free offers only: name provider='draft', which is free, or raise max_cost."
UNPRICED_WAY = "Pass options={'allow_unpriced': true} to run it anyway, or name another model."


@dataclass(frozen=True, slots=True)
class OfRun:
    """The run that a call is made in."""

    id: str
    root: str
    """The outermost run, whose cap holds for all of them."""
    cap: MicroUsd | None = None
    """The most that this run and all inside it may cost."""
    root_cap: MicroUsd | None = None
    """The most that the outermost one may cost, where this is inside another."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a caller says about the call rather than about the picture."""

    principal: str = "local"
    local: bool = True
    """Whether paths of this machine may be named."""
    max_cost: MicroUsd | None = None
    dry_run: bool = False
    save_as: str | None = None
    idempotency_key: str | None = None
    again: bool = False
    run: OfRun | None = None
    cap_words: str | None = None
    """The words of the task from which `max_cost` was read."""


class Caps:
    """The caps of the settings, and of the caller."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def check(self, quote: Quote | None, name: str, terms: Terms, *, unpriced: bool) -> MicroUsd | None:
        """Hold a price against every cap of one call; return the cap that its job keeps.

        Raises:
            PriceUnknown: If there is any cap or budget, and no price.
            BudgetExceeded: If it may cost more than the cap, or more than may be spent without being asked.
        """
        cap = self.cap(terms)
        if quote is None or quote.partial is not None:
            if not unpriced and (cap is not None or self.guards(terms.principal)):
                limit = f"a cap of {show_usd(cap)}" if cap is not None else "a budget or DARKROOM_CONFIRM_ABOVE"
                why = "" if quote is None else f" in full ({quote.partial})"
                raise PriceUnknown(
                    f"The price of {name} is not known{why}, and {limit} is set.",
                    field="max_cost",
                    hint=f"{NOTHING} {UNPRICED_WAY}" + (f" {FREE_WAY}" if cap == 0 else ""),
                )
            if quote is None:
                return cap
        self.hold(quote.low, quote.high, name, terms)
        return cap

    def hold(self, low: MicroUsd, high: MicroUsd, name: str, terms: Terms) -> None:
        """Hold amounts against the cap of a call, and what may be spent without being asked.

        Raises:
            BudgetExceeded: If it may cost more.
        """
        cap = self.cap(terms)
        if cap is not None and high > cap:
            way = "Raise max_cost, make it smaller, or name a cheaper model."
            if terms.cap_words is not None and cap == terms.max_cost:
                way = f"The task says {clip(terms.cap_words)!r}: say more there, or name a cheaper model."
            raise BudgetExceeded(
                f"{name} would cost {_span(low, high)}; the cap is {show_usd(cap)}.",
                field="max_cost",
                hint=f"{NOTHING} {way if cap else FREE_WAY}",
            )
        self._ask(low, high, name, terms)

    def cap(self, terms: Terms) -> MicroUsd | None:
        """Return the most that one call may cost: the lower of what the caller and the settings say."""
        caps = [cap for cap in (terms.max_cost, self._own_cap(terms.principal)) if cap is not None]
        return min(caps) if caps else None

    def _own_cap(self, principal: str) -> MicroUsd | None:
        own = self._settings.principals.get(principal)
        caps = [cap for cap in (self._settings.max_cost, own.max_cost if own else None) if cap is not None]
        return to_micro(min(caps)) if caps else None

    def in_run(self, run: OfRun | None, principal: str) -> tuple[Limit, ...]:
        """Return the caps that hold for everything in a run together; what one call may cost holds for a whole run."""
        if run is None:
            return ()
        own = self._own_cap(principal)
        whole = run.cap if run.root == run.id else run.root_cap
        capped = MicroUsd(min(cap for cap in (whole, own) if cap is not None)) if (whole, own) != (None, None) else None
        return run_limits(replace(run, cap=capped) if run.root == run.id else replace(run, root_cap=capped))

    def guards(self, principal: str) -> bool:
        """Return whether a budget or a limit to agree to makes prices necessary."""
        return self._settings.confirm_above is not None or bool(self.limits(principal, 0))

    def _ask(self, low: MicroUsd, high: MicroUsd, name: str, terms: Terms) -> None:
        """Refuse what may cost more than the settings allow without a word, unless the caller said how much."""
        above = self._settings.confirm_above
        said = terms.max_cost is not None and terms.cap_words is None  # words of a task limit, they do not agree
        if above is None or terms.dry_run or said or high <= to_micro(above):
            return
        refused = BudgetExceeded(
            f"{name} would cost {_span(low, high)}; above {show_usd(to_micro(above))} the user is to agree first.",
            field="max_cost",
            allowed=f"max_cost of {to_usd(high):f} or more",
            hint=f"{NOTHING} Ask the user; if they agree, repeat the call with max_cost={to_usd(high):f}.",
        )
        refused.agree_usd = to_usd(high)
        raise refused

    async def obstacle(self, store: JobStore, quote: Quote | None, name: str, terms: Terms, now: int) -> str | None:
        """Say why a call that is planned would be refused: it has to be agreed to, or a budget is used up."""
        if quote is None or quote.free:
            return None
        try:
            self._ask(quote.low, quote.high, name, replace(terms, dry_run=False))
        except BudgetExceeded as exc:
            return f"{exc.message} Ask the user; if they agree, call with max_cost={to_usd(quote.high):f}."
        for limit in self.limits(terms.principal, now):
            used = sum(row.micro_usd for row in await store.spent(limit.since, now + 1, limit.principal))
            if used + quote.high > limit.cap:
                left = show_usd(max(limit.cap - used, 0))
                return (
                    f"It would be refused: of the {limit.name} of {show_usd(limit.cap)} only {left} is left. "
                    f"Wait for the next {limit.period}, make it cheaper, or raise {limit.setting}."
                )
        return None

    def limits(self, principal: str, now: int) -> tuple[Limit, ...]:
        """Return the budgets that a new job of a principal is held against, from `now` (milliseconds)."""
        settings = self._settings
        own = settings.principals.get(principal)
        day, month = (begin_of(period, now, settings.timezone) for period in ("day", "month"))
        found: list[Limit] = []

        def limit(period: str, since: int, cap: Decimal | None, setting: str, whose: str | None) -> None:
            if cap is not None:
                name = f"{'daily' if period == 'day' else 'monthly'} budget" + (f" of {whose}" if whose else "")
                found.append(Limit(name, setting, period, to_micro(cap), since, whose))

        limit("day", day, settings.daily_budget, f"{PREFIX}DAILY_BUDGET", None)
        limit("month", month, settings.monthly_budget, f"{PREFIX}MONTHLY_BUDGET", None)
        if own is not None:
            own_name = f"principals.{principal}"
            limit("day", day, own.daily_budget, f"{own_name}.daily_budget in config.toml", principal)
            limit("month", month, own.monthly_budget, f"{own_name}.monthly_budget in config.toml", principal)
        return tuple(found)


def run_limits(run: OfRun | None) -> tuple[Limit, ...]:
    """Return the caps of a run and of the one around it, which hold for everything in them together."""
    if run is None:
        return ()
    caps = [(run.cap, run.id, "cap of this run"), (run.root_cap, run.root, "cap of the whole run")]
    return tuple(
        Limit(name, "max_cost in a new call", "run", cap, 0, run_id=run_id)
        for cap, run_id, name in caps
        if cap is not None
    )


def of_run(run: Run) -> OfRun:
    """Return what the terms of a call say of the run that makes it."""
    return OfRun(run.id, run.root, run.max_cost, run.root_max_cost)


def price_warnings(name: str, quote: Quote | None) -> tuple[str, ...]:
    """Say of work that its price is not known, or not in full."""
    if quote is None:
        return (f"The price of {name} is not known; what it costs is in no sum until its provider says it.",)
    return () if quote.partial is None else (f"{name} costs at least {show_usd(quote.likely)}: {quote.partial}.",)


def begin_of(period: str, now: int, timezone: str) -> int:
    """Return when the day or month of a moment began in that time zone, in milliseconds."""
    then = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(timezone))
    begin = then.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)  # a day may have two midnights
    return int((begin.replace(day=1) if period == "month" else begin).timestamp() * 1000)


def _span(low: MicroUsd, high: MicroUsd) -> str:
    """Return what it would cost in words."""
    return show_usd(high) if low == high else f"{show_usd(low)} to {show_usd(high)}"
