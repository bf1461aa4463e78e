"""Prices pieces of work at offers, as a job of theirs would be priced; reads no key and no network."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from darkroom.catalog.accounts import Accounts
from darkroom.catalog.fit import fit
from darkroom.catalog.plans import Piece
from darkroom.catalog.prices import Quote, Work, price, quote
from darkroom.catalog.providers import Provider, Unit
from darkroom.catalog.refused import explained
from darkroom.catalog.routing import (
    DRAFT,
    Candidate,
    Choice,
    candidates,
    gone,
    has_ended,
    is_one_model,
    obstacle,
    route,
)
from darkroom.clock import Clock
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.money import MicroUsd
from darkroom.domain.request import Effective, ImageRequest, MediaInput, VideoRequest
from darkroom.errors import DarkroomError, NotConfigured, UnknownModel, Unsupported
from darkroom.settings import Settings

ASSUMED: Mapping[Kind, Mapping[str, int]] = {
    Kind.SPEECH: {"characters": 1000},
    Kind.SOUND: {"duration": 5},
    Kind.MUSIC: {"duration": 30},
    Kind.TRANSCRIPTION: {"duration": 60},
    Kind.VISION: {"input_tokens": 1000, "output_tokens": 300},
    Kind.RESEARCH: {"input_tokens": 500, "output_tokens": 1000},
    Kind.CHAT: {"input_tokens": 1000, "output_tokens": 1000},
    Kind.SLIDES: {"n": 10},
}
"""What a piece of work is when nobody says how large; pictures and clips have the defaults of their offers."""
SOON = timedelta(days=30)
"""How long before its end an offer is told with its date."""
ALIKE = 125
"""How large the larger of two pictures may be, in percent of the other's area, to count as the same."""
_INPUTS: Mapping[Mode, tuple[Role, ...]] = {
    Mode.EDIT_IMAGE: (Role.SOURCE,),
    Mode.REFERENCE_TO_IMAGE: (Role.REFERENCE,),
    Mode.IMAGE_TO_VIDEO: (Role.FIRST_FRAME,),
    Mode.FIRST_LAST_FRAME: (Role.FIRST_FRAME, Role.LAST_FRAME),
    Mode.REFERENCE_TO_VIDEO: (Role.REFERENCE,),
}
_FITTED = (Mode.TEXT_TO_IMAGE, Mode.TEXT_TO_VIDEO, *_INPUTS)


@dataclass(frozen=True, slots=True)
class Priced:
    """One piece of work at one offer: the price of one, and how many."""

    candidate: Candidate
    piece: Piece
    one: Quote | None
    """None where the price is not known."""
    warnings: tuple[str, ...] = ()
    """What became of it to fit the offer."""
    effective: Effective | None = None
    """One output as the offer would make it; None for what is neither picture nor clip."""
    ends: date | None = None
    """The last day of an offer that ends soon."""

    @property
    def likely(self) -> MicroUsd | None:
        """What all of it is likely to cost."""
        return None if self.one is None else MicroUsd(self.one.likely * self.piece.n)

    @property
    def partial(self) -> str | None:
        """What is left out of the price, so that it is the least."""
        return None if self.one is None else self.one.partial

    @property
    def order(self) -> tuple[bool, bool, int, int, str]:
        """Known prices first, then those of a part, cheapest first."""
        item = self.candidate
        return self.likely is None, self.partial is not None, self.likely or 0, -item.offer.rank, item.name

    @property
    def exact(self) -> bool:
        """Whether the offer makes just what was asked."""
        return not self.warnings


class Pricing:
    """Knows every offer, what it would charge, and whether it can be used here."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        accounts: Callable[[], Accounts],
        settings: Settings,
        clock: Clock,
        adapters: Collection[str] | None = None,
    ) -> None:
        self._providers = providers
        self._accounts = accounts
        self._settings = settings
        self._clock = clock
        self._adapters = adapters

    def today(self) -> date:
        """Return the day on which prices are looked up."""
        return datetime.fromtimestamp(self._clock.now() / 1000, UTC).date()

    def offers(self, kind: Kind | None = None, *, ended: bool = False) -> list[Candidate]:
        """Return the offers of a kind, or all; those that ended only when asked for; best ranked first."""
        kinds = tuple(Kind) if kind is None else (kind,)
        found = [item for one in kinds for item in candidates(self._providers, one)]
        return sorted(
            (item for item in found if ended or not self._ended(item)),
            key=lambda item: (-item.offer.rank, item.name),
        )

    def state(self, item: Candidate) -> str:
        """Return `ready`, or what is in the way: the missing variable, no adapter, off, ended."""
        if self._ended(item):
            return f"ended{f', use {item.offer.successor}' if item.offer.successor else ''}"
        reason = obstacle(item, self._adapters, self._settings.enable)
        if reason is not None:
            return reason
        needed = self._accounts().needs(item.provider)
        return "ready" if needed is None else f"needs {needed}"

    def _ended(self, item: Candidate) -> bool:
        return has_ended(item, self._settings.enable, self.today())

    def choose(self, piece: Piece) -> Candidate:
        """Return the offer that would do it: as a job would be routed, and where none can run yet, the best ranked.

        Raises:
            UnknownModel: If nothing has the name.
            ModelRetired: If all of the name is gone.
            Unsupported: If no offer of the name does it.
        """
        settings = self._settings
        named = piece.model or piece.provider
        defaults = {Kind.IMAGE: settings.default_image_model, Kind.VIDEO: settings.default_video_model}
        choice = Choice(
            kind=piece.operation,
            mode=_mode(piece.operation),
            model=piece.model,
            provider=piece.provider,
            default_model=defaults.get(piece.operation),
            prefer=settings.prefer,
            adapters=self._adapters,
            enabled=settings.enable,
            faults=self._accounts().faults(),
        )
        try:
            found = route(self._providers, choice, self._accounts().ready(), self.today())
            if not is_one_model(choice, found) or found[0].provider.id in settings.prefer:
                return found[0]
        except UnknownModel as exc:
            raise explained(exc, self._providers, piece.model, piece.provider) from exc
        except (NotConfigured, Unsupported):
            found = self._as_named(choice) if named else self.offers(piece.operation)
            if not found:
                raise
        priced = [one for item in found if (one := self.tried(piece, item)) is not None and one.likely is not None]
        if not priced:
            return found[0]
        return (min(priced, key=lambda one: one.likely or 0) if named else priced[0]).candidate

    def _as_named(self, choice: Choice) -> list[Candidate]:
        """Return the offers of a name whatever is missing to use them, for the operation that each does best."""
        found: list[Candidate] = []
        for mode in dict.fromkeys((choice.mode, *(mode for mode in Mode if mode.kind is choice.kind))):
            asked = Choice(choice.kind, mode, choice.model, choice.provider, choice.default_model, choice.prefer)
            try:
                found += route(self._providers, asked, self._providers, self.today())
            except Unsupported:
                continue
        return list({item.name: item for item in found}.values())

    def price(self, piece: Piece, item: Candidate, mode: Mode | None = None) -> Priced:
        """Return what a piece of work costs at an offer, for one operation, else for the first that it has.

        Raises:
            InvalidRequest: If a value is out of the offer's range.
            Unsupported: If the offer cannot do it.
        """
        wanted = mode if mode is not None and mode in item.offer.operations else item.offer.operations[0]
        today, last = self.today(), item.offer.shutdown
        ends = last if last is not None and last - today <= SOON else None
        if wanted in _FITTED:
            request = _request(piece, wanted)
            effective, warnings = fit(request, item.offer)
            return Priced(item, piece, quote(item.offer, effective, today), warnings, effective, ends)
        return Priced(item, piece, price(item.offer, _work(piece), today), ends=ends)

    def tried(self, piece: Piece, item: Candidate, mode: Mode | None = None) -> Priced | None:
        """Return the price at an offer, or None where it cannot do the work."""
        try:
            return self.price(piece, item, mode)
        except DarkroomError:
            return None

    def everywhere(self, piece: Piece, mode: Mode | None = None) -> list[Priced]:
        """Return the work at every offer that has the operation: the best of every provider first, cheapest first.

        What is off by default is left out. The best is the cheapest that does just what was asked, where one does.
        """
        wanted = mode or _mode(piece.operation)
        found = [
            item for item in self.offers(piece.operation) if wanted in item.offer.operations and not item.offer.off
        ]
        tried = [self.tried(piece, item, wanted) for item in found]
        able = [one for one in tried if one is not None]
        best: dict[str, Priced] = {}
        for one in sorted(able, key=lambda one: (not one.exact, one.order)):
            best.setdefault(one.candidate.provider.id, one)
        first = {one.candidate.name for one in best.values()}
        return sorted(able, key=lambda one: (one.candidate.name not in first, one.order))

    def cheaper(self, priced: Priced) -> list[Priced]:
        """Return the offers that do the very same for less, cheapest first; drafts do not."""
        made, piece = priced.effective, priced.piece
        if made is not None and made.kind is Kind.VIDEO:
            told = {"duration": made.duration, "resolution": made.resolution, "audio": made.audio}
            piece = piece.model_copy(update=told)
        mode = priced.candidate.offer.operations[0] if made is None else made.mode
        likely = None if priced.partial else priced.likely
        found = [
            one
            for one in self.everywhere(piece, mode)
            if one.candidate != priced.candidate and one.candidate.provider.id != DRAFT and one.exact
            and one.likely is not None and one.partial is None and (likely is None or one.likely < likely)
            and _alike(made, one.effective)
        ]  # fmt: skip
        return sorted(found, key=lambda one: one.order)

    def lapsed(self) -> list[str]:
        """Name the live offers that had a price whose last day is past, and that have none in its place."""
        found: list[str] = []
        for item in self.offers():
            for part in dict.fromkeys(one.part for one in item.offer.prices):
                prices = [one for one in item.offer.prices if one.part == part]
                ends = [one.until for one in prices if one.until is not None and one.until < self.today()]
                if len(ends) == len(prices):
                    found.append(f"{item.name}: its price ended on {max(ends)}, so its price is not known now.")
        return found

    def live(self, provider: Provider) -> int:
        """Return how many of a provider's offers have not ended."""
        return sum(not gone(offer, self.today()) for offer in provider.offers)


def _alike(one: Effective | None, other: Effective | None) -> bool:
    """Return whether two results are about as large."""
    if one is None or other is None or one.kind is not Kind.IMAGE:
        return True
    small, large = sorted((one.width * one.height, other.width * other.height))
    return large * 100 <= small * ALIKE


def _mode(kind: Kind) -> Mode:
    return next(mode for mode in Mode if mode.kind is kind)


def _request(piece: Piece, mode: Mode) -> ImageRequest | VideoRequest:
    """Return one output's request for an operation, with stand-ins for the pictures it needs."""
    roles = _INPUTS.get(mode, ())
    fields: dict[str, object] = {
        "prompt": "estimate",
        "images": tuple(MediaInput(src="estimate", role=role) for role in roles),
    }
    names = ("size", "quality") if piece.operation is Kind.IMAGE else ("duration", "resolution", "audio")
    fields |= {name: value for name in names if (value := getattr(piece, name)) is not None}
    if piece.aspect_ratio is not None:
        fields["aspect_ratio"] = piece.aspect_ratio
    return (ImageRequest if piece.operation is Kind.IMAGE else VideoRequest).model_validate(fields)


def _work(piece: Piece) -> Work:
    """Return what one piece of work of another kind uses."""
    seconds = None if piece.duration is None else Decimal(str(piece.duration))
    known: dict[Unit, Decimal | None] = {
        Unit.IMAGE: Decimal(1),
        Unit.REQUEST: Decimal(1),
        Unit.CARD: Decimal(1),
        Unit.INPUT_IMAGE: Decimal(0),
        Unit.SECOND: seconds,
        Unit.MINUTE: None if seconds is None else seconds / 60,
        Unit.KCHAR: None if piece.characters is None else Decimal(piece.characters) / 1000,
        Unit.MTOKEN_IN: None if piece.input_tokens is None else Decimal(piece.input_tokens) / 1_000_000,
        Unit.MTOKEN_OUT: None if piece.output_tokens is None else Decimal(piece.output_tokens) / 1_000_000,
    }
    amounts = {unit: amount for unit, amount in known.items() if amount is not None}
    facts = {"resolution": piece.resolution, "quality": piece.quality, "duration": piece.duration, "size": piece.size}
    return Work(amounts, {name: value for name, value in facts.items() if value is not None})
