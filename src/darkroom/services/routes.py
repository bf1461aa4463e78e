"""Which offers would take a request, in order, each with its price: for a new job, and after a refusal."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from darkroom.catalog.accounts import Accounts
from darkroom.catalog.fit import fit
from darkroom.catalog.parts import parts_of
from darkroom.catalog.places import check_places
from darkroom.catalog.prices import Quote, quote
from darkroom.catalog.providers import Provider, Status
from darkroom.catalog.refused import explained
from darkroom.catalog.routing import DRAFT, Candidate, Choice, has_ended, is_one_model, obstacle, route
from darkroom.clock import Clock
from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.modes import mode_of
from darkroom.domain.money import MicroUsd
from darkroom.domain.request import Effective, ImageRequest, VideoRequest
from darkroom.errors import RequestError, UnknownModel, Unsupported
from darkroom.services.caps import price_warnings
from darkroom.settings import Settings

AnyRequest = ImageRequest | VideoRequest
RANGES = frozenset({"size", "aspect_ratio", "resolution", "duration", "n", "prompt"})
"""Arguments whose refusal by a better offer is told, rather than have a makeshift one serve."""
MOST_CHANGE = 2
"""How many times larger or smaller a picture may become where a better offer refuses the size."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be done, and for how much."""

    candidate: Candidate
    effective: Effective
    warnings: tuple[str, ...]
    quote: Quote | None
    """Of all its submissions together."""
    obstacle: str | None = None
    """Why the same call without `dry_run` would be refused."""

    @property
    def parts(self) -> tuple[Effective, ...]:
        """The request of each submission."""
        return parts_of(self.effective, self.candidate.offer)


class Routes:
    """Finds the offers for a request.

    Args:
        resting: Names the providers that are left alone for now, since they failed again and again.
    """

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider],
        accounts: Callable[[], Accounts],
        settings: Settings,
        clock: Clock,
        adapters: Collection[str] | None = None,
        resting: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._providers = providers
        self._accounts = accounts
        self._settings = settings
        self._clock = clock
        self._adapters = adapters
        self._resting = resting

    def proposals(self, request: AnyRequest, cap: MicroUsd | None = None, *, priced: bool = False) -> list[Proposal]:
        """Return what may be done, best first, never empty; reads keys and manifests the first time.

        Where no model is named and a better offer refuses a value as out of its range, none serves that is ending, or
        that would change the area of the asked size by more than `MOST_CHANGE` times.

        Last come offers that cost more than the cap, or whose price is not known where it must be (`priced`); before
        them those whose provider rests. One model of several providers comes cheapest first where no provider is
        named, all else by rank.

        Raises:
            RequestError: If no offer can do it; what the best one said.
            NotConfigured: If the named offers lack their keys.
        """
        choice = self._choice(request, free=cap == 0)
        try:
            found = route(self._providers, choice, self._accounts().ready(), self._today())
        except UnknownModel as exc:
            raise explained(exc, self._providers, request.model, request.provider) from exc
        able: list[Proposal] = []
        refusals: list[RequestError] = []
        for item in found:
            try:
                proposal = self._proposal(request, item)
            except RequestError as exc:
                refusals.append(exc)
                continue
            refused = request.model is None and any(exc.field in RANGES for exc in refusals)
            if not (refused and _is_makeshift(request, proposal)):
                able.append(proposal)
        if not able:
            raise self._refused(request, refusals[0], found)
        resting, cheapest = self._resting(), is_one_model(choice, found)

        def order(proposal: Proposal) -> tuple[bool, bool, float]:
            price = proposal.quote
            unknown = price is None or price.partial is not None
            dear = (cap is not None or priced) and unknown
            dear = dear or (cap is not None and price is not None and price.high > cap)
            rests = proposal.candidate.provider.id in resting
            liked = proposal.candidate.provider.id in self._settings.prefer
            return dear, rests, (float("inf") if price is None else price.high) if cheapest and not liked else -1.0

        return sorted(able, key=order)

    def usable(self, provider_id: str, model: str) -> Candidate | None:
        """Return an offer, unless it has ended, this version or the settings do not use it, or it lacks its key."""
        provider = self._providers.get(provider_id)
        offer = provider.offer(model) if provider else None
        if provider is None or offer is None or provider.id not in self._accounts().ready():
            return None
        found, wanted = Candidate(provider, offer), self._settings.enable
        ended = has_ended(found, wanted, self._today())
        return None if ended or obstacle(found, self._adapters, wanted) else found

    def _choice(self, request: AnyRequest, *, free: bool) -> Choice:
        settings = self._settings
        default = settings.default_image_model if request.kind is Kind.IMAGE else settings.default_video_model
        mode = mode_of(request)
        return Choice(
            kind=request.kind,
            mode=mode,
            model=request.model,
            provider=request.provider,
            # What makes clips by default does not join them.
            default_model=None if free or mode is Mode.JOIN_VIDEO else default,
            prefer=settings.prefer,
            adapters=self._adapters,
            enabled=settings.enable,
            draft=free,
            faults=self._accounts().faults(),
        )

    def _proposal(self, request: AnyRequest, item: Candidate) -> Proposal:
        if request.follows and request.follows.offer != item.name:
            raise Unsupported(
                f"{item.name} knows nothing of what {request.follows.offer} made.",
                field="model",
                hint="Nothing was stored or sent. Name that model, or leave model out; another one edits the result "
                f"with refine='{request.follows.job_id}'.",
            )
        effective, warnings = fit(request, item.offer)
        check_places(item.provider, item.offer, effective)
        price = quote(item.offer, effective, self._today())
        return Proposal(item, effective, (*warnings, *price_warnings(item.name, price)), price)

    def _refused(self, request: AnyRequest, refusal: RequestError, found: Collection[Candidate]) -> RequestError:
        """Return what the best offer said, with another offer that could do it."""
        anywhere = request.model_copy(update={"model": None, "provider": None})
        try:
            others = route(self._providers, self._choice(anywhere, free=False), self._everybody(), self._today())
        except RequestError:
            return refusal
        ready, tried = self._accounts().ready(), {item.name for item in found}
        for item in sorted(others, key=lambda item: item.provider.id not in ready):
            if item.name in tried or item.provider.id == DRAFT:
                continue
            try:
                if _is_makeshift(request, self._proposal(request, item)):
                    continue
            except RequestError:
                continue
            needed = self._accounts().needs(item.provider)
            lacks = "" if needed is None else f" with {needed}"
            refusal.hint = f"{refusal.hint or ''} {item.name} could do it{lacks}.".strip()
            break
        return refusal

    def _everybody(self) -> Collection[str]:
        return tuple(self._providers)

    def _today(self) -> date:
        return day_of(self._clock.now())


def _is_makeshift(request: AnyRequest, proposal: Proposal) -> bool:
    """Return whether an offer should not stand in for better ones that refuse a value: it ends, or makes much else."""
    if proposal.candidate.offer.status is Status.ENDING:
        return True
    if request.kind is not Kind.IMAGE or request.size is None:
        return False
    asked, made = request.size.width * request.size.height, proposal.effective.width * proposal.effective.height
    return max(asked, made) > MOST_CHANGE * min(asked, made)


def day_of(now: int) -> date:
    """Return the day of a moment (milliseconds), by which prices hold."""
    return datetime.fromtimestamp(now / 1000, UTC).date()
