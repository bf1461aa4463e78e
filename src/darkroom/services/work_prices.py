"""What all pictures and clips of a run would cost, told before any of it is started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from darkroom.domain.money import MicroUsd
from darkroom.domain.workflow import JOBS, StepKind, Workflow
from darkroom.errors import ModelRetired, NotConfigured, RequestError, UnknownModel
from darkroom.services.caps import Caps, Terms
from darkroom.services.generation import request_of
from darkroom.services.routes import Proposal, Routes
from darkroom.services.workflows import Planned
from darkroom.settings import Settings

_FATAL = (UnknownModel, ModelRetired, NotConfigured)
"""What another prompt would not mend."""


@dataclass(frozen=True, slots=True)
class StepPrice:
    """What the calls of one step would cost together."""

    step: str
    calls: int
    offers: tuple[str, ...]
    """As provider/model, without repetition."""
    low: MicroUsd
    likely: MicroUsd
    high: MicroUsd
    unknown: int
    """Calls whose price is not known, or not in full."""


@dataclass(frozen=True, slots=True)
class WorkPrice:
    """What a run would cost: its pictures and clips, as far as they are known before."""

    steps: tuple[StepPrice, ...]
    open_steps: tuple[str, ...] = ()
    """Steps that are known only on the way."""
    approximate: bool = False
    """Whether a language model decides what is made."""

    @property
    def low(self) -> MicroUsd:
        """The least."""
        return MicroUsd(sum(item.low for item in self.steps))

    @property
    def likely(self) -> MicroUsd:
        """What is likely."""
        return MicroUsd(sum(item.likely for item in self.steps))

    @property
    def high(self) -> MicroUsd:
        """The most."""
        return MicroUsd(sum(item.high for item in self.steps))

    @property
    def calls(self) -> int:
        """How many pictures, clips and films are made."""
        return sum(item.calls for item in self.steps)

    @property
    def partial(self) -> str | None:
        """What is left out of the amounts; None where nothing is."""
        unknown = sum(item.unknown for item in self.steps)
        told = [
            f"no price is known for {unknown} of {self.calls} calls" if unknown else "",
            f"{', '.join(self.open_steps)} cannot be told before" if self.open_steps else "",
            "a language model decides what is made, and its turns cost too" if self.approximate else "",
        ]
        return "; ".join(part for part in told if part) or None

    @property
    def free(self) -> bool:
        """Whether nothing can be charged."""
        return self.high == 0 and self.partial is None


class WorkPrices:
    """Prices calls by what they would be routed to; every method may read files."""

    def __init__(self, routes: Routes, settings: Settings) -> None:
        self._routes = routes
        self._caps = Caps(settings)

    def of_call(self, tool: str, arguments: Mapping[str, JsonValue], terms: Terms) -> WorkPrice:
        """Return what one call of `generate_image` or `generate_video` would cost.

        Raises:
            RequestError: If it cannot be done.
            NotConfigured: If a named model lacks its key.
        """
        return WorkPrice((self._step(tool, ((tool, arguments),), terms),))

    def of_workflow(self, flow: Workflow, plan: Sequence[Planned], terms: Terms) -> WorkPrice:
        """Return what a workflow would cost by its plan.

        Raises:
            RequestError: If a step that must succeed cannot: no such model, or no offer takes what is certain to be
                asked of it.
            NotConfigured: If a named model lacks its key.
        """
        jobs = [item for item in plan if item.kind in JOBS]
        return WorkPrice(
            steps=tuple(
                self._step(
                    item.step,
                    item.calls,
                    terms,
                    lenient=flow.step(item.step).optional,
                    approximate=item.approximate,
                )
                for item in jobs
                if item.calls
            ),
            open_steps=tuple(item.step for item in jobs if item.items is None),
            approximate=any(item.approximate for item in plan if item.kind == StepKind.AGENT),
        )

    def check(self, price: WorkPrice, name: str, terms: Terms) -> None:
        """Hold the price of the whole against the cap of the call, and what may be spent without a word.

        Raises:
            BudgetExceeded: If it would cost more; nothing was started then.
        """
        if price.high:
            self._caps.hold(price.low, price.high, name, terms)

    def _step(
        self,
        step: str,
        calls: Sequence[tuple[str, Mapping[str, JsonValue]]],
        terms: Terms,
        *,
        lenient: bool = False,
        approximate: bool = False,
    ) -> StepPrice:
        offers: dict[str, None] = {}
        low = likely = high = unknown = 0
        for tool, arguments in calls:
            best = self._proposal(tool, arguments, terms, lenient=lenient, approximate=approximate)
            price = best.quote if best else None
            if best:
                offers[best.candidate.name] = None
            unknown += price is None or price.partial is not None
            if price is not None:
                low, likely, high = low + price.low, likely + price.likely, high + price.high
        amounts = MicroUsd(low), MicroUsd(likely), MicroUsd(high)
        return StepPrice(step, len(calls), tuple(offers), *amounts, unknown)

    def _proposal(
        self, tool: str, arguments: Mapping[str, JsonValue], terms: Terms, *, lenient: bool, approximate: bool
    ) -> Proposal | None:
        """Return what would be done for a call; None where it cannot be, and its step may fail or be decided anew."""
        priced = self._caps.guards(terms.principal)
        try:
            return self._routes.proposals(request_of(tool, arguments), self._caps.cap(terms), priced=priced)[0]
        except (RequestError, NotConfigured) as exc:
            if lenient or (approximate and not isinstance(exc, _FATAL)):
                return None
            raise
