"""What the calls of a brief would cost as things are configured, and what stands in their way."""

import re
from dataclasses import replace

from darkroom.catalog.routing import DRAFT
from darkroom.domain.kinds import Kind
from darkroom.domain.money import MicroUsd, show_usd, to_micro, to_usd
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.errors import DarkroomError
from darkroom.llm.handoff_media import Wanted
from darkroom.services.caps import Caps, Terms
from darkroom.services.routes import Proposal, Routes
from darkroom.settings import Settings


class Prices:
    """Says of calls what they would cost here; asks as a real call would be routed, and starts nothing.

    Args:
        routes: Finds the offers.
        settings: Caps and the limit to agree to.
    """

    def __init__(self, routes: Routes, settings: Settings) -> None:
        self._routes = routes
        self._caps = Caps(settings)
        self._above = None if settings.confirm_above is None else to_micro(settings.confirm_above)

    def told(self, call: Wanted, cap: MicroUsd | None, principal: str) -> tuple[str, str | None]:
        """Return a call's price in words, and the provider that would take it, None where none would."""
        own = self._caps.cap(Terms(principal, max_cost=cap))
        try:
            best = self._routes.proposals(request_of(call), own, priced=self._caps.guards(principal))[0]
        except DarkroomError as exc:
            advice = re.sub(r"\bNothing was [^.]*\.\s*", "", exc.hint or "")  # a brief stores and sends nothing anyhow
            return f"As it stands it would be refused: {exc.message} {advice}".strip(), None
        words = [self._price(best, own, asked=cap is not None), *best.warnings[:2]]
        return " ".join(words), best.candidate.provider.id

    def fitting(self, call: Wanted, cap: MicroUsd | None, principal: str) -> tuple[Wanted, str]:
        """Return the call as an offer takes it, as it stands or without what no offer has, with its price in words."""
        said, provider = self.told(call, cap, principal)
        if provider is not None:
            return call, said
        for name in (name for name in ("resolution", "duration", "size") if name in call.arguments):
            rest = {key: value for key, value in call.arguments.items() if key != name}
            note = f"{name} {call.arguments[name]} was left out: no offer that is ready has it."
            words, provider = self.told(replace(call, arguments=rest), cap, principal)
            if provider is not None:
                return replace(call, arguments=rest, notes=(*call.notes, note)), words
        return call, said

    def _price(self, best: Proposal, cap: MicroUsd | None, *, asked: bool) -> str:
        price, name = best.quote, best.candidate.name
        if best.candidate.provider.id == DRAFT:
            return "Free: a draft, made on this machine and labelled as one."
        if price is None or price.partial:
            least = "" if price is None else f" in full; at least {about(price.likely)}"
            stop = " A cap is set, so it would be refused: name a model with a price." if cap is not None else ""
            return f"{name}: the price is not known{least}.{stop}"
        if price.free:
            return f"{name}: free."
        said = f"{name}: about {about(price.likely)}"
        said += f", at most {about(price.high)}." if price.high > price.likely else "."
        if cap is not None and price.high > cap:
            return f"{said} That is above the cap of {show_usd(cap)}, so it would be refused; provider='draft' is free."
        if self._above is not None and price.high > self._above and not asked:
            return f"{said} Ask the user first; if they agree, add max_cost={to_usd(price.high):f}."
        return said


def about(micro: int) -> str:
    """Return an amount in as many digits as matter: `$1.20`, `$0.013`, `$0.0004`."""
    return show_usd(micro if micro < 1_000 else round(micro, -3 if micro < 100_000 else -4))


def request_of(call: Wanted) -> ImageRequest | VideoRequest:
    """Return the request that a call makes; what is missing or refined has a stand-in.

    Raises:
        InvalidRequest: If one of its arguments cannot be.
    """
    said = {name: value for name, value in call.arguments.items() if name not in (*call.missing, "refine")}
    fields = {**call.basis, **said}
    if "images" in call.missing:
        fields["images"] = ["picture"]
    return (ImageRequest if call.kind is Kind.IMAGE else VideoRequest).model_validate(fields)
