"""What was spent, when, on what: from the ledger alone."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from darkroom.catalog.plans import PlanBook, plan_key
from darkroom.clock import Clock
from darkroom.domain.job import ENDED, State
from darkroom.domain.money import MicroUsd, to_usd
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest
from darkroom.services.caps import Caps, begin_of
from darkroom.settings import Settings
from darkroom.store.base import JobStore, Limit, Spent

NONE = "(none)"
_SPAN = re.compile(r"(\d{1,4})\s*(h|d|w|hours?|days?|weeks?)")
_HOURS = {"h": 1, "d": 24, "w": 168}


@dataclass(frozen=True, slots=True)
class Share:
    """What one group of submissions cost."""

    name: str
    submissions: int
    micro_usd: MicroUsd
    unpriced: int = 0
    """How many of them have no known cost; they are in no sum."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How far a budget is used."""

    limit: Limit
    used: MicroUsd


@dataclass(frozen=True, slots=True)
class Usage:
    """What was reserved in a span, and what it costs by now."""

    since: int
    until: int
    timezone: str
    spent: tuple[Spent, ...]
    credits: int
    """In each job's own plan, as far as its costs are known."""
    budgets: tuple[Budget, ...]
    warnings: tuple[str, ...] = ()
    """Plans that there are not, and what is wrong with the plans file."""

    @property
    def total(self) -> MicroUsd:
        """Everything together, open reservations too."""
        return MicroUsd(sum(row.micro_usd for row in self.spent))

    @property
    def open(self) -> MicroUsd:
        """What is only reserved yet."""
        return MicroUsd(sum(row.micro_usd for row in self.spent if row.open))

    @property
    def uncertain(self) -> MicroUsd:
        """What was settled by an estimate of ours, or may have been charged."""
        return MicroUsd(sum(row.micro_usd for row in self.spent if not row.certain and not row.open))

    @property
    def estimated(self) -> MicroUsd:
        """What was estimated for the work that ended well."""
        return MicroUsd(sum(row.estimate or 0 for row in self._succeeded()))

    @property
    def actual(self) -> MicroUsd:
        """What the work that ended well cost."""
        return MicroUsd(sum(row.micro_usd for row in self._succeeded()))

    def _succeeded(self) -> Iterable[Spent]:
        """Return what ended well and has both figures."""
        return (row for row in self.spent if row.state is State.SUCCEEDED and row.estimate is not None)

    @property
    def unpriced(self) -> int:
        """How many submissions have no known cost; they are in no sum."""
        return sum(unpriced(row) for row in self.spent)

    @property
    def success_rate(self) -> float | None:
        """Succeeded among ended submissions, cancelled ones apart; None when none ended."""
        ended = [row for row in self.spent if row.state in ENDED and row.state is not State.CANCELLED]
        return sum(row.state is State.SUCCEEDED for row in ended) / len(ended) if ended else None

    def by(self, what: str) -> list[Share]:
        """Return the shares by one of `DIMENSIONS`: by day oldest first, by all others dearest first."""
        groups: dict[str, list[Spent]] = {}
        for row in self.spent:
            for name in self._names(row, what):
                groups.setdefault(name, []).append(row)
        shares = [
            Share(name, len(rows), MicroUsd(sum(row.micro_usd for row in rows)), sum(unpriced(row) for row in rows))
            for name, rows in groups.items()
        ]
        return sorted(shares, key=lambda share: share.name if what == "day" else (-share.micro_usd, share.name))

    def _names(self, row: Spent, what: str) -> tuple[str, ...]:
        if what == "day":
            return (day_of(row.at, self.timezone),)
        if what == "label":
            return row.labels or (NONE,)
        if what == "model":
            return (f"{row.provider}/{row.model}",)
        return (str(getattr(row, what) or NONE),)


def unpriced(row: Spent) -> bool:
    """Return whether nobody knows what a submission costs: no estimate, and no word of its provider."""
    return row.estimate is None and not row.certain and not row.micro_usd


DIMENSIONS = ("day", "kind", "provider", "model", "label", "plan", "principal", "agent", "tier")


class UsageBook:
    """Answers what was spent."""

    def __init__(self, store: JobStore, settings: Settings, plans: Callable[[], PlanBook], clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._plans = plans
        self._clock = clock

    async def since(self, text: str | None, principal: str | None = None) -> Usage:
        """Return the usage from a moment in words until now; without words, of this month.

        Raises:
            InvalidRequest: If the words name no moment, or one that is still to come.
        """
        now = self._clock.now()
        return await self.between(parse_since(text or "month", now, self._settings.timezone), now + 1, principal)

    async def month(self, text: str, principal: str | None = None) -> Usage:
        """Return the usage of a month, `2026-11`, as far as it has come.

        Raises:
            InvalidRequest: If it is no month, or one that is still to come.
        """
        now = self._clock.now()
        begin, end = month_of(text, now, self._settings.timezone)
        return await self.between(begin, min(end, now + 1), principal)

    async def between(self, since: int, until: int, principal: str | None = None) -> Usage:
        """Return the usage from `since` until before `until`, in milliseconds; None asks for everybody's."""
        spent = await self._store.spent(since, until, principal)
        budgets = [
            Budget(limit, await self._used(limit))
            for limit in Caps(self._settings).limits(principal or "local", self._clock.now())
        ]
        credits = sum(self._credits(row) for row in spent)
        zone, warnings = self._settings.timezone, (*self._lost_plans(spent), *self._plans().warnings(self._settings))
        return Usage(since, until, zone, tuple(spent), credits, tuple(budgets), warnings)

    def _lost_plans(self, spent: Iterable[Spent]) -> list[str]:
        """Say which plans work is booked under though there are none of that name, and what counts in their place."""
        plans = self._plans().plans
        booked = Counter(row.plan for row in spent if row.plan and plan_key(row.plan) not in plans.plans)
        return [
            f"Plan {clip(name)!r} is no more; what was booked under it ({count:,}) counts in credits of plan "
            f"{self._instead()}."
            for name, count in sorted(booked.items())
        ]

    def _instead(self) -> str:
        return self._plans().plans.known(self._settings.plan)

    async def _used(self, limit: Limit) -> MicroUsd:
        rows = await self._store.spent(limit.since, self._clock.now() + 1, limit.principal)
        return MicroUsd(sum(row.micro_usd for row in rows))

    def _credits(self, row: Spent) -> int:
        plans = self._plans().plans
        plan = plans.known(row.plan, self._instead())
        return 0 if row.open else plans.credits_of_many(to_usd(row.micro_usd), row.outputs, plan)


def day_of(at: int, timezone: str) -> str:
    """Return the day of a moment in that time zone, `2026-11-21`."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(timezone)).date().isoformat()


def parse_since(text: str, now: int, timezone: str) -> int:
    """Read `today`, `yesterday`, `week`, `month`, `7d`, `24h`, `2026-11`, `2026-11-21`, or a full time.

    Raises:
        InvalidRequest: If it is none of these, or still to come.
    """
    word = text.strip().lower().removeprefix("this ")
    if word in ("today", "day", "month"):
        return begin_of("month" if word == "month" else "day", now, timezone)
    if word in ("week", "yesterday"):
        then = datetime.fromtimestamp(begin_of("day", now, timezone) / 1000, ZoneInfo(timezone))
        days = then.weekday() if word == "week" else 1
        return begin_of("day", int((then - timedelta(days=days)).timestamp() * 1000), timezone)
    span = _SPAN.fullmatch(word.removeprefix("last "))
    if span:
        return now - int(span[1]) * _HOURS[span[2][0]] * 3_600_000
    try:
        moment = datetime.fromisoformat(f"{word}-01" if re.fullmatch(r"\d{4}-\d{2}", word) else word.upper())
    except ValueError:
        raise _no_moment(text, "is no moment") from None
    at = int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))).timestamp() * 1000)
    if at > now:
        raise _no_moment(text, "is still to come")
    return at


def month_of(text: str, now: int, timezone: str) -> tuple[int, int]:
    """Return when a month `2026-11` begins and the next one does, in milliseconds.

    Raises:
        InvalidRequest: If it is no month, or one that is still to come.
    """
    match = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text.strip())
    if match is None or match[1] == "0000" or match[1] == "9999":
        raise _no_moment(text, "is no month", "month")
    begin = datetime(int(match[1]), int(match[2]), 1, tzinfo=ZoneInfo(timezone))
    end = (begin + timedelta(days=32)).replace(day=1)
    if begin.timestamp() * 1000 > now:
        raise _no_moment(text, "is still to come", "month")
    return int(begin.timestamp() * 1000), int(end.timestamp() * 1000)


def _no_moment(text: str, why: str, field: str = "since") -> InvalidRequest:
    return InvalidRequest(
        f"{'' if field == 'month' else 'since '}{clip(text)!r} {why}.",
        field=field,
        allowed="2026-11" if field == "month" else "today, week, month, 7d, 24h, 2026-11 or 2026-11-21",
        hint="Nothing was changed.",
    )
