"""Which offers may serve a request, in order."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from darkroom.catalog.providers import Offer, Provider, Status, normal
from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.names import did_you_mean, nearest
from darkroom.domain.request import clip
from darkroom.errors import ModelRetired, NotConfigured, UnknownModel, Unsupported

NOTHING_STORED = "Nothing was stored or sent."
DRAFT = "draft"
TOOLS = {Kind.IMAGE: "generate_image", Kind.VIDEO: "generate_video"}
"""What makes the media that jobs make."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One offer with its provider."""

    provider: Provider
    offer: Offer

    @property
    def name(self) -> str:
        """The offer as a person writes it."""
        return f"{self.provider.id}/{self.offer.model}"

    @property
    def makes_drafts(self) -> bool:
        """Whether what it makes is a draft; a film that is joined here of finished clips is none."""
        return self.provider.id == DRAFT and Mode.JOIN_VIDEO not in self.offer.operations


@dataclass(frozen=True, slots=True)
class Choice:
    """What the caller and the settings say about the route."""

    kind: Kind
    mode: Mode
    model: str | None = None
    provider: str | None = None
    default_model: str | None = None
    prefer: Sequence[str] = ()
    adapters: Collection[str] | None = None
    """The adapters that there are; None means that every provider has one."""
    enabled: Sequence[str] = ()
    """What the user wants though it is off by default, as provider/model or provider."""
    draft: bool = False
    """Whether drafts are among the choice though others are configured."""
    faults: Mapping[str, str] = field(default_factory=dict[str, str])
    """What must be mended before a provider that has its keys can be used, by its id."""


def candidates(providers: Mapping[str, Provider], kind: Kind) -> list[Candidate]:
    """Return every offer of that kind, retired ones too."""
    return [
        Candidate(provider, offer) for provider in providers.values() for offer in provider.offers if offer.kind is kind
    ]


def candidates_of(
    providers: Mapping[str, Provider], kind: Kind, model: str | None, provider: str | None
) -> list[Candidate]:
    """Return the offers of a kind that have a name, retired ones too.

    Raises:
        UnknownModel: If no provider, model, alias or family has the name.
    """
    found = candidates(providers, kind)
    if provider is not None:
        found = [item for item in found if item.provider.id == _provider_id(providers, provider)]
    return found if model is None else _named(found, model, _elsewhere(providers, kind))


def route(
    providers: Mapping[str, Provider], choice: Choice, ready: Collection[str], today: date
) -> tuple[Candidate, ...]:
    """Return the offers that may serve the choice, best first, never empty; `ready` are the configured provider ids.

    Raises:
        UnknownModel: If no provider, model, alias or family has the name.
        ModelRetired: If every offer of the name is gone, or those that are left lack their keys while the keys that
            there are can use what took the place of one that is gone.
        NotConfigured: If the named offers lack their keys; the message names the variables.
        Unsupported: If no offer left can do the operation.
    """
    found = candidates(providers, choice.kind)
    model = choice.model
    if choice.provider is not None:
        found = [item for item in found if item.provider.id == _provider_id(providers, choice.provider)]
    elif model is None and choice.default_model:
        model = choice.default_model
    if model is not None:
        found = _named(found, model, _elsewhere(providers, choice.kind))
    alive = [item for item in found if not has_ended(item, choice.enabled, today)]
    if not alive:
        raise _retired(*_successor(providers, found, choice, ready, today), found) if found else _makes_none(choice)
    able = [item for item in alive if choice.mode in item.offer.operations]
    if not able:
        everyone = [item for item in candidates(providers, choice.kind) if not has_ended(item, choice.enabled, today)]
        raise _unable(alive, everyone, choice, ready)
    usable = [item for item in able if obstacle(item, choice.adapters, choice.enabled) is None]
    configured = [item for item in usable if item.provider.id in ready]
    if not configured:
        theirs = {item.provider.id for item in able}
        ended = [item for item in found if item.provider.id not in theirs and has_ended(item, choice.enabled, today)]
        if ended:
            last, successor = _successor(providers, ended, choice, ready, today)
            if _serving(providers, successor, choice, ready, today):
                raise _retired(last, successor, ended, usable)
        raise _unconfigured(usable, choice) if usable else _unusable(able, choice)
    chosen_by_name = choice.provider is not None or model is not None
    if not chosen_by_name:
        configured = configured if choice.draft else _rather_paid(configured, usable, choice)
    return tuple(sorted(configured, key=lambda item: _order(item, choice.prefer)))


def _rather_paid(configured: Sequence[Candidate], usable: Sequence[Candidate], choice: Choice) -> Sequence[Candidate]:
    """Return what is no draft, where there is any; no draft stands in for what wrong settings keep from being used."""
    paid = [item for item in configured if item.provider.id != DRAFT]
    if not paid and any(item.provider.id in choice.faults for item in usable):
        raise _unconfigured(usable, choice)
    return paid or configured


def obstacle(item: Candidate, adapters: Collection[str] | None, enabled: Sequence[str]) -> str | None:
    """Return why this version or the settings do not use an offer, whatever keys there are; None when they do."""
    speaks = item.offer.kind is Kind.CHAT and item.provider.chat is not None
    if adapters is not None and item.provider.adapter_name not in adapters and not speaks:
        return "not usable yet"
    wanted = {normal(name) for name in enabled}
    if item.offer.off and not wanted & {normal(item.name), normal(item.provider.id)}:
        return f"off: {item.offer.off}"
    return None


def _order(item: Candidate, prefer: Sequence[str]) -> tuple[int, int, str]:
    liking = prefer.index(item.provider.id) if item.provider.id in prefer else len(prefer)
    return liking, -item.offer.rank, item.name


def gone(offer: Offer, today: date) -> bool:
    """Return whether an offer has ended."""
    return offer.status is Status.RETIRED or (offer.shutdown is not None and offer.shutdown < today)


def has_ended(item: Candidate, enabled: Sequence[str], today: date) -> bool:
    """Return whether an offer has ended, and the user did not wake it by its own name, as servers imitate some."""
    woken = item.offer.off is not None and normal(item.name) in {normal(name) for name in enabled}
    return gone(item.offer, today) and not woken


def _provider_id(providers: Mapping[str, Provider], name: str) -> str:
    for provider in providers.values():
        if normal(name) in (normal(provider.id), normal(provider.title)):
            return provider.id
    raise UnknownModel(
        f"There is no provider {clip(name)!r}.{did_you_mean(name, providers)}",
        field="provider",
        allowed=list(providers),
        hint=f"{NOTHING_STORED} Leave provider out to let darkroom choose.",
    )


def _ids(item: Candidate) -> set[str]:
    return {normal(item.offer.model)}


def _aliases(item: Candidate) -> set[str]:
    return {normal(alias) for alias in item.offer.aliases}


def _families(item: Candidate) -> set[str]:
    return {normal(item.offer.family)} if item.offer.family else set()


def _providers(item: Candidate) -> set[str]:
    return {normal(item.provider.id)}


def _elsewhere(providers: Mapping[str, Provider], kind: Kind) -> list[Candidate]:
    """Return the pictures and clips that a request of another kind may have meant."""
    return [item for other in TOOLS if other is not kind for item in candidates(providers, other)]


def _named(found: Iterable[Candidate], model: str, elsewhere: Iterable[Candidate]) -> list[Candidate]:
    """Return the offers of that model id, else of that alias, else of that family or provider, best ranked first.

    Some names have a slash of their own, so that what precedes it is a provider only where there is one.
    """
    everyone = list(found)
    before, _, rest = model.partition("/")
    theirs = [item for item in everyone if rest and normal(item.provider.id) == normal(before)]
    pool = theirs or everyone
    for among, wanted in ((theirs, normal(rest)), (everyone, normal(model)), (pool, normal(rest))):
        for names_of in (_ids, _aliases, _families, _providers):
            hits = [item for item in among if wanted in names_of(item)]
            if hits:
                return hits
    names_there = {normal(model), normal(rest)} - {""}
    for item in elsewhere:
        if names_there & (_ids(item) | _aliases(item)):
            raise UnknownModel(
                f"{item.offer.model} makes {item.offer.kind}s; this asks for something else.",
                field="model",
                hint=f"{NOTHING_STORED} Use {TOOLS[item.offer.kind]} for it, or leave model out.",
            )
    names = {item.offer.model for item in pool} | {alias for item in pool for alias in item.offer.aliases}
    raise UnknownModel(
        f"There is no model {clip(model)!r} for this.{did_you_mean(model, names)}",
        field="model",
        allowed=nearest(model, names) or sorted(names)[:10],
        hint=f"{NOTHING_STORED} Name one of the allowed models, or leave model out to let darkroom choose.",
    )


def _makes_none(choice: Choice) -> Unsupported:
    return Unsupported(
        f"{choice.provider} makes no {choice.kind}s.",
        field="provider",
        hint=f"{NOTHING_STORED} Leave provider out to let darkroom choose.",
    )


def _successor(
    providers: Mapping[str, Provider], ended: Iterable[Candidate], choice: Choice, ready: Collection[str], today: date
) -> tuple[Candidate, str | None]:
    """Return which of the offers that are gone to speak of, and what took its place.

    First comes one whose successor, or that one's where it is gone too, the keys that there are can use; then one of
    a configured provider; then the one that went last.
    """

    def order(item: Candidate) -> tuple[bool, int, str]:
        return item.provider.id not in ready, -(item.offer.shutdown or date.min).toordinal(), item.name

    last = sorted(ended, key=order)
    for item in last:
        name, seen = item.offer.successor, set[str]()
        while name and name not in seen:
            if _serving(providers, name, choice, ready, today):
                return item, name
            seen.add(name)
            gone_too = (hit for hit in _known(providers, name, choice) if has_ended(hit, choice.enabled, today))
            name = next((hit.offer.successor for hit in sorted(gone_too, key=order)), None)
    return last[0], last[0].offer.successor


def _known(providers: Mapping[str, Provider], name: str, choice: Choice) -> list[Candidate]:
    try:
        return _named(candidates(providers, choice.kind), name, ())
    except UnknownModel:
        return []


def _serving(
    providers: Mapping[str, Provider], name: str | None, choice: Choice, ready: Collection[str], today: date
) -> bool:
    """Return whether an offer of that name would do it with the keys that there are."""
    return name is not None and any(
        item.provider.id in ready
        and choice.mode in item.offer.operations
        and not has_ended(item, choice.enabled, today)
        and obstacle(item, choice.adapters, choice.enabled) is None
        for item in _known(providers, name, choice)
    )


def _retired(
    item: Candidate, successor: str | None, ended: Sequence[Candidate], left: Sequence[Candidate] = ()
) -> ModelRetired:
    """Return that an offer is gone; `left` are those of other providers that lack their keys."""
    last = item.offer
    others = {
        f"{other.offer.shutdown.isoformat()} at {other.provider.id}"
        for other in ended
        if other.offer.model == last.model and other.offer.shutdown not in (None, last.shutdown)
    }
    follow = f" Use {successor!r} instead." if successor else ""
    where = f" at {item.provider.title}" if left else ""
    when = f" on {last.shutdown.isoformat()}" if last.shutdown else ""
    when += f" ({', '.join(sorted(others))})" if others else ""
    still = f" {left[0].name} is still there and needs {left[0].provider.keys()}." if left else ""
    return ModelRetired(
        f"{last.model} was shut down{where}{when}.{follow}",
        field="model",
        successor=successor,
        hint=f"{NOTHING_STORED}{still}",
    )


def _unable(
    alive: Sequence[Candidate], everyone: Sequence[Candidate], choice: Choice, ready: Collection[str]
) -> Unsupported:
    """Return that the named offers cannot do it, with those that can: first what there is a key for."""
    others = [item for item in everyone if choice.mode in item.offer.operations]
    usable = [item for item in others if obstacle(item, choice.adapters, choice.enabled) is None]
    here = [item.name for item in usable if item.provider.id in ready]
    names = ", ".join(sorted({item.offer.model for item in alive})[:4])
    way = f"{here[0]} can, with your keys." if here else "Name one of the allowed models."
    return Unsupported(
        f"{names} cannot do {choice.mode.replace('_', ' ')}.",
        field="model",
        allowed=list(dict.fromkeys((*here, *(item.name for item in usable), *(item.name for item in others))))[:10],
        hint=f"{NOTHING_STORED} {way}",
    )


def _unusable(able: Sequence[Candidate], choice: Choice) -> Unsupported:
    item = able[0]
    why = obstacle(item, choice.adapters, choice.enabled)
    if why == "not usable yet":
        message = (
            f"This version of darkroom cannot use {item.provider.title} yet; {item.name} is listed for its prices."
        )
        hint = "Leave model and provider out to let darkroom choose."
    else:
        message = f"{item.name} is off by default: {item.offer.off}."
        hint = f"Set DARKROOM_ENABLE={item.name} to use it all the same."
    return Unsupported(message, field="model" if choice.model else "provider", hint=f"{NOTHING_STORED} {hint}")


def _unconfigured(able: Sequence[Candidate], choice: Choice) -> NotConfigured:
    """Return what is missing; of a provider whose keys are there and whose settings cannot be used, what is wrong."""
    provider = next((item.provider for item in able if item.provider.id in choice.faults), able[0].provider)
    return NotConfigured(
        f"{provider.title} needs {choice.faults.get(provider.id) or provider.keys()}.",
        field="provider",
        hint=f"{NOTHING_STORED} Set it and start the server again, or use provider='{DRAFT}', which needs no key.",
    )


def is_one_model(choice: Choice, found: Collection[Candidate]) -> bool:
    """Return whether the caller named a model that several providers offer, rather than a family or nothing."""
    if choice.model is None or choice.provider is not None:
        return False
    name = normal(choice.model)
    last = normal(choice.model.rpartition("/")[2])
    return all({name, last} & {normal(text) for text in (item.offer.model, *item.offer.aliases)} for item in found)
