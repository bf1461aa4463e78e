"""Which language model does an agent's thinking, and what it costs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from darkroom.catalog.accounts import Accounts
from darkroom.catalog.prices import MILLION, Work, price
from darkroom.catalog.providers import Offer, Provider, Unit, base_url_variable, normal
from darkroom.catalog.routing import gone
from darkroom.catalog.wires import Chat
from darkroom.clock import Clock
from darkroom.domain.kinds import Kind
from darkroom.domain.money import MicroUsd, show_usd, to_micro
from darkroom.domain.names import did_you_mean, nearest, slips
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest, ModelRetired, NotConfigured, PriceUnknown, UnknownModel
from darkroom.services.caps import Caps, Terms
from darkroom.settings import PREFIX, Settings

OPEN = "openai_compatible"
"""The provider whose server and models the user names."""
ANY = "any"
"""Its offer: whatever model the server has."""
OFF, CLIENT = "off", "client"
"""Settings in place of a model: hand over a brief, take the caller's own model where it lends one."""
USUAL = "standard"
NOTHING = "Nothing was stored or sent."


@dataclass(frozen=True, slots=True)
class ChatChoice:
    """A language model that was chosen, with how to speak to it."""

    provider: Provider
    offer: Offer
    chat: Chat
    model: str
    """Its name on the wire; `any` where the server is to be asked what it has."""
    price: Callable[[int, int], MicroUsd | None]

    @property
    def name(self) -> str:
        """The model as a person writes it: `provider/model`."""
        return f"{self.provider.id}/{self.model if self.offer.model == ANY else self.offer.model}"

    @property
    def wire(self) -> str:
        """Whose format it speaks: openai or anthropic."""
        return self.chat.wire

    def cost(self, input_tokens: int, output_tokens: int) -> MicroUsd | None:
        """Return what so many tokens cost; None where no price is known."""
        return self.price(input_tokens, output_tokens)


class ChatModels:
    """Chooses among the language models that are configured; every method may read files the first time."""

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider],
        accounts: Callable[[], Accounts],
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._providers = providers
        self._accounts = accounts
        self._settings = settings
        self._clock = clock
        self._caps = Caps(settings)

    @property
    def client_first(self) -> bool:
        """Whether the settings want the caller's own model to think, where it lends one."""
        return self._settings.agent_model is not None and normal(self._settings.agent_model) == CLIENT

    @property
    def off(self) -> bool:
        """Whether the settings want a brief to be handed over, whatever is configured."""
        return self._settings.agent_model is not None and normal(self._settings.agent_model) == OFF

    def choose(self, tier: str | None, model: str | None, principal: str = "local") -> ChatChoice | None:
        """Return the model for a tier, or the one that is named; None where a brief is to be handed over instead.

        A name of the call comes before those of the settings, which come before what fits the tier best.

        Raises:
            InvalidRequest: If there is no such tier.
            UnknownModel: If no provider has a language model of that name; the nearest are named.
            ModelRetired: If it is gone.
            NotConfigured: If its provider lacks a key or an address; the message names the variable.
        """
        del principal  # every principal thinks with the keys of this process
        wanted = tier or USUAL
        tiers = ("economy", "standard", "premium")
        if wanted not in tiers:
            near = did_you_mean(wanted, tiers)
            raise InvalidRequest(f"There is no tier {clip(wanted)!r}.{near}", field="tier", allowed=tiers, hint=NOTHING)
        if model and normal(model) != CLIENT:
            return None if normal(model) == OFF else self._named(model, "model")
        for field in (f"{wanted}_model", "agent_model"):
            set_to: str | None = getattr(self._settings, field)
            if set_to and normal(set_to) == OFF:
                return None
            if set_to and normal(set_to) != CLIENT:
                return self._named(set_to, f"{PREFIX}{field.upper()}")
        return self._best(wanted)

    def configured(self) -> list[str]:
        """Return the ids of the providers whose language models can be used now."""
        return [provider.id for provider, _ in self._speaking() if self._missing(provider) is None]

    def check(self, choice: ChatChoice, principal: str, max_cost: MicroUsd | None) -> tuple[str, ...]:
        """Return what is to be said of a model's price before it thinks.

        Raises:
            PriceUnknown: If there is any cap or budget, and no price.
        """
        if choice.cost(1, 1) is not None:
            return ()
        way = f"set {PREFIX}AGENT_PRICE to what a million input and output tokens cost, such as 0.50/1.50"
        cap = self._caps.cap(Terms(principal=principal, max_cost=max_cost))
        if cap is None and not self._caps.guards(principal):
            return (f"The price of {choice.name} is not known; what it costs is in no sum. To count it, {way}.",)
        limit = f"a cap of {show_usd(cap)}" if cap is not None else "a budget or DARKROOM_CONFIRM_ABOVE"
        raise PriceUnknown(
            f"The price of {choice.name} is not known, and {limit} is set.",
            field="max_cost",
            hint=f"{NOTHING} Name another model, or {way} (0/0 for a model of your own machine).",
        )

    def _speaking(self) -> Iterable[tuple[Provider, Chat]]:
        return ((provider, provider.chat) for provider in self._providers.values() if provider.chat is not None)

    def _missing(self, provider: Provider) -> str | None:
        """Return which variable is lacking to use a provider; None where it is ready."""
        accounts = self._accounts()
        if accounts.base_url(provider) is None:
            return base_url_variable(provider.id)
        if provider.id == OPEN:  # a server of one's own may need no key
            return accounts.fault(provider)
        return accounts.needs(provider)

    def _best(self, tier: str) -> ChatChoice | None:
        """Return the best of the configured models for a tier: by what the user prefers, then by rank."""
        found: list[tuple[Provider, Offer, Chat]] = []
        for provider, chat in self._speaking():
            names: Mapping[str, str] = {**chat.tiers}
            offer = provider.offer(names.get(tier, ""))
            if offer is not None and not gone(offer, self._today()) and self._missing(provider) is None:
                found.append((provider, offer, chat))
        prefer = self._settings.prefer

        def order(item: tuple[Provider, Offer, Chat]) -> tuple[int, int, str]:
            provider, offer, _ = item
            liking = prefer.index(provider.id) if provider.id in prefer else len(prefer)
            return liking, -offer.rank, provider.id

        best = min(found, key=order, default=None)
        return None if best is None else self._choice(*best, _wire_name(best[1]))

    def _named(self, name: str, field: str) -> ChatChoice:
        text = name.strip()
        before, _, rest = text.partition("/")
        everyone = [(item, chat) for item, chat in self._speaking()]
        theirs = [pair for pair in everyone if rest and normal(pair[0].id) == normal(before)]
        if theirs and theirs[0][0].id == OPEN:
            provider, chat = theirs[0]
            return self._ready(provider, next(iter(provider.offers)), chat, rest, field)
        hits = self._offers(theirs, rest) or self._offers(everyone, text)
        if not hits:
            if not theirs:
                self._refuse_provider(text, field)
            raise self._unknown(text, rest if theirs else text, field, [provider for provider, _ in theirs or everyone])
        alive = [hit for hit in hits if not gone(hit[1], self._today())]
        if not alive:
            raise self._retired(hits[0][1], field)
        ready = [hit for hit in alive if self._missing(hit[0]) is None]
        provider, offer, chat = max(ready or alive, key=lambda hit: hit[1].rank)
        return self._ready(provider, offer, chat, _wire_name(offer), field)

    def _offers(self, among: Iterable[tuple[Provider, Chat]], name: str) -> list[tuple[Provider, Offer, Chat]]:
        """Return the chat offers of a model's id, else of an alias; of a provider's id, its general one."""
        wanted = normal(name)
        pool = [(provider, offer, chat) for provider, chat in among for offer in _chats(provider)]
        by_id = [hit for hit in pool if normal(hit[1].model) == wanted]
        by_alias = [hit for hit in pool if wanted in map(normal, hit[1].aliases)]
        by_provider = [hit for hit in pool if normal(hit[0].id) == wanted and hit[1].model == hit[2].tiers.get(USUAL)]
        return by_id or by_alias or by_provider

    def _ready(self, provider: Provider, offer: Offer, chat: Chat, model: str, field: str) -> ChatChoice:
        missing = self._missing(provider)
        if missing is not None:
            others = self.configured()
            other = f" Configured are: {', '.join(others)}." if others else ""
            raise NotConfigured(
                f"{provider.title} needs {missing}.",
                field=field,
                hint=f"{NOTHING} Set it and start the server again, or leave the model out.{other}",
            )
        return self._choice(provider, offer, chat, model)

    def _choice(self, provider: Provider, offer: Offer, chat: Chat, model: str) -> ChatChoice:
        def cost(input_tokens: int, output_tokens: int) -> MicroUsd | None:
            return self._cost(provider, offer, model, input_tokens, output_tokens)

        return ChatChoice(provider, offer, chat, model, cost)

    def _cost(self, provider: Provider, offer: Offer, model: str, given: int, made: int) -> MicroUsd | None:
        own = self._settings.agent_price
        if provider.id == OPEN:
            if own is None:  # what a vendor asks for its model is what a gateway asks for it, as a rule
                hits = self._offers(self._speaking(), model.rpartition("/")[2])
                known = (self._listed(hit[1], given, made) for hit in hits)
                return next((amount for amount in known if amount is not None), None)
        else:
            listed = self._listed(offer, given, made)
            if listed is not None:
                return listed
        return None if own is None else to_micro((own[0] * given + own[1] * made) / MILLION)

    def _listed(self, offer: Offer, given: int, made: int) -> MicroUsd | None:
        """Return the price by the tables and the manifest."""
        amounts = {Unit.MTOKEN_IN: Decimal(given) / MILLION, Unit.MTOKEN_OUT: Decimal(made) / MILLION}
        found = price(offer, Work(amounts), self._today())
        return None if found is None else found.likely

    def _unknown(self, text: str, name: str, field: str, among: Sequence[Provider]) -> UnknownModel:
        """Return the refusal of a name, with those that are near: of what is configured, unless it is a mere slip.

        Args:
            text: As it was given.
            name: The same without its provider.
            field: What it was given in.
            among: The providers that may be meant.
        """
        every = self._names(among)
        ready = self._names([provider for provider in among if self._missing(provider) is None]) or every
        near = (slips(name, ready) or slips(name, every) or nearest(name, ready))[:3]
        meant = f" Did you mean {near[0]!r}?" if near else ""
        return UnknownModel(
            f"There is no language model {clip(text)!r}.{meant}",
            field=field,
            allowed=near or sorted(ready)[:10],
            hint=f"{NOTHING} For a model of your own server write {OPEN}/<its name>.",
        )

    def _refuse_provider(self, text: str, field: str) -> None:
        """Refuse a name whose provider is a slip for one that there is.

        Raises:
            UnknownModel: If so; it names the whole name that is meant.
        """
        before, _, rest = text.partition("/")
        ids = {provider.id for provider, _ in self._speaking()}
        near = slips(before, ids) if rest else []
        if near:
            meant = f"{near[0]}/{rest}"
            raise UnknownModel(
                f"There is no provider {clip(before)!r} of language models. Did you mean {clip(meant)!r}?",
                field=field,
                allowed=[clip(meant)],
                hint=NOTHING,
            )

    def _names(self, among: Iterable[Provider]) -> set[str]:
        """Return by what names the language models of providers can be called."""
        pool = [offer for provider in among for offer in _chats(provider) if not gone(offer, self._today())]
        return {text for offer in pool for text in (offer.model, *offer.aliases)} - {ANY}

    def _retired(self, offer: Offer, field: str) -> ModelRetired:
        when = f" on {offer.shutdown.isoformat()}" if offer.shutdown else ""
        follow = f" Use {offer.successor!r} instead." if offer.successor else ""
        return ModelRetired(
            f"{offer.model} was shut down{when}.{follow}", field=field, successor=offer.successor, hint=NOTHING
        )

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock.now() / 1000, UTC).date()


def _chats(provider: Provider) -> list[Offer]:
    return [offer for offer in provider.offers if offer.kind is Kind.CHAT]


def _wire_name(offer: Offer) -> str:
    return offer.wire or offer.model
