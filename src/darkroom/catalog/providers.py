"""Provider manifests: the one list of providers, their offers, limits and prices."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from darkroom.catalog.calls import Credentials, Limits, PollBounds
from darkroom.catalog.data import manifests_dir
from darkroom.catalog.ranges import DurationRange, Narrower, SizeRange, Strict
from darkroom.catalog.wires import Chat, ClipLimits, ErrorRule, Fields, Form, PictureLimits, check_names
from darkroom.domain.kinds import Kind, Mode, Quality, Role
from darkroom.settings import LATER, PREFIX, known_variables

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that are nobody's: servers of the user's own."""


class ManifestError(Exception):
    """A manifest cannot be used; the message names the file, the field and what it may hold."""


class Status(StrEnum):
    """Whether an offer can still be used."""

    LIVE = "live"
    ENDING = "ending"
    RETIRED = "retired"


class Option(Strict):
    """One provider option."""

    type: Literal["string", "integer", "number", "boolean"]
    values: tuple[JsonValue, ...] = ()
    min: float | None = None
    max: float | None = None
    step: float | None = None
    default: JsonValue = None
    pattern: str | None = Field(default=None, description="what the whole of a text must look like")
    requires: dict[str, JsonValue] = Field(
        default_factory=dict[str, JsonValue],
        description="other options it needs, each with that value or one of a list",
    )
    forbidden_with: tuple[str, ...] = ()
    count_max: int | None = Field(default=None, ge=1, description="how many at a time where it is on, if fewer")
    clashes: dict[str, dict[str, JsonValue]] = Field(
        default_factory=dict[str, dict[str, JsonValue]], description="its values that go not with one of another option"
    )
    wire: str | None = Field(default=None, description="name in the provider's request, when it differs")
    wrap: str | None = Field(default=None, description="name of the value within an object of its own")
    words: dict[str, JsonValue] = Field(
        default_factory=dict[str, JsonValue], description="plain words for its values, the same at every provider"
    )
    about: str = ""
    operations: tuple[Mode, ...] = Field(default=(), description="when given, only for these")
    gone: str | None = Field(default=None, description="why the provider no longer has it")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if any(value not in self.values for value in self.words.values()):
            raise ValueError("words stands for a value that it does not have")
        return self


def dollars(value: object) -> Decimal:
    """Read an amount; a TOML float counts as the digits that were written."""
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError("must be an amount in US dollars") from None


Dollars = Annotated[Decimal, BeforeValidator(dollars), Field(ge=0, le=1_000_000)]


class Unit(StrEnum):
    """What a price is for."""

    IMAGE = "image"
    SECOND = "second"
    MINUTE = "minute"
    MEGAPIXEL = "megapixel"
    INPUT_IMAGE = "input_image"
    INPUT_MEGAPIXEL = "input_megapixel"
    KCHAR = "kchar"
    REQUEST = "request"
    CARD = "card"
    MTOKEN_IN = "mtoken_in"
    MTOKEN_OUT = "mtoken_out"


class Price(Strict):
    """What one unit costs while all conditions hold; of each part of the cost, the first price that holds counts."""

    unit: Unit
    usd: Dollars = Field(description="US dollars a unit; where it varies, what is likely")
    low: Dollars | None = Field(default=None, description="the least that it may be, where it varies")
    high: Dollars | None = Field(default=None, description="the most that it may be, where it varies")
    part: str = Field(default="", description="parts with different names are added up")
    when: dict[str, JsonValue] = Field(
        default_factory=dict[str, JsonValue],
        description="all must hold: {resolution = '1080p'}, any of a list, or numbers within {min = 1, max = 2}",
    )
    beyond: Annotated[Decimal, BeforeValidator(dollars), Field(ge=0)] = Field(
        default=Decimal(0), description="units that are free; only those beyond are charged"
    )
    whole: bool = Field(default=False, description="started units count whole")
    source: str
    as_of: date
    until: date | None = Field(default=None, description="the last day on which it holds")
    since: date | None = Field(default=None, description="the first day on which it holds")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        low, high = (self.usd if end is None else end for end in (self.low, self.high))
        if not low <= self.usd <= high:
            raise ValueError("usd must lie between low and high")
        if self.since and self.until and self.since > self.until:
            raise ValueError("since is after until")
        return self


def _object(value: object) -> object:
    """Read a template: the text of a JSON object."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as exc:
        raise ValueError(f"must be the text of a JSON object: {exc}") from None


class Offer(Strict):
    """One model of one provider."""

    model: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str = ""
    aliases: tuple[str, ...] = ()
    family: str | None = None
    wire: str | None = Field(default=None, description="the provider's own model name, when it differs")
    wires: dict[Mode, str] = Field(
        default_factory=dict[Mode, str], description="the provider's own name for each operation, where they differ"
    )
    route: str | None = Field(
        default=None, description="the provider's interface it is called through, where there are several"
    )
    operations: tuple[Mode, ...]
    off: str | None = Field(
        default=None, description="why it is not used unless DARKROOM_ENABLE names it, which wakes a retired one too"
    )
    status: Status = Status.LIVE
    shutdown: date | None = None
    successor: str | None = None
    rank: int = Field(default=50, ge=0, le=100, description="higher is tried first")
    replayable: bool = Field(default=False, description="free and deterministic: may be sent again after a crash")
    synchronous: bool = Field(default=False, description="answers within the submitting call, which may last minutes")
    typical_s: float | None = None
    prompt_max: int | None = None
    count_max: int = Field(default=1, ge=1)
    counts: tuple[int, ...] = Field(default=(), description="how many at a time, where not any number up to count_max")
    seed: bool = False
    negative_prompt: bool = False
    audio: Literal["never", "optional", "always"] = "never"
    qualities: tuple[Quality, ...] = ()
    size: SizeRange = SizeRange()
    duration: DurationRange | None = None
    inputs: dict[Role, int] = Field(default_factory=dict[Role, int], description="how many of each role")
    inputs_max: int | None = Field(default=None, ge=1, description="how many of all roles together")
    clear_mask: bool = Field(default=False, description="takes as a mask only a PNG that is transparent somewhere")
    mask_max_bytes: int | None = Field(default=None, ge=1, description="of the file of a mask")
    given: dict[Role, Narrower] = Field(
        default_factory=dict[Role, Narrower], description="what it makes less of where an input has that role"
    )
    alone: tuple[Role, ...] = Field(default=(), description="roles that go together with no other role")
    needs: dict[Role, Role] = Field(
        default_factory=dict[Role, Role], description="roles that go only together with another one"
    )
    fields: Annotated[Fields, AfterValidator(check_names)] = Field(
        default_factory=dict, description="where values go in the body, before the provider's own"
    )
    fields_of: dict[Mode, Annotated[Fields, AfterValidator(check_names)]] = Field(
        default_factory=dict[Mode, Fields], description="where they go for one operation, before the offer's own"
    )
    template: Annotated[dict[str, JsonValue] | None, BeforeValidator(_object, json_schema_input_type=str | None)] = (
        Field(default=None, description="its body before any value is put in, as the text of a JSON object")
    )
    constants: dict[str, JsonValue] = Field(
        default_factory=dict[str, JsonValue], description="what its body always holds; dots nest"
    )
    constants_of: dict[Mode, dict[str, JsonValue]] = Field(
        default_factory=dict[Mode, dict[str, JsonValue]],
        description="what its body holds for one operation besides, unless the request says otherwise",
    )
    pictures: Form | None = Field(default=None, description="instead of the provider's")
    picture: PictureLimits | None = Field(default=None, description="instead of the provider's")
    options: dict[str, Option] = Field(default_factory=dict[str, Option])
    continues: bool = Field(default=False, description="goes on with its own earlier result as the next turn")
    clip: ClipLimits = ClipLimits()
    rates: dict[str, Dollars] = Field(
        default_factory=dict[str, Decimal],
        description="US dollars a million tokens of each sort that its answers count; for what it cost after all",
    )
    tokens: str | None = Field(
        default=None, description="provider:model of genai-prices, for what is charged by the token"
    )
    prices: tuple[Price, ...] = ()
    prices_partial: str | None = Field(
        default=None, description="what the prices leave out; caps then take the price as not known"
    )

    @property
    def kind(self) -> Kind:
        """The medium that it makes."""
        return self.operations[0].kind

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len({mode.kind for mode in self.operations}) != 1:
            raise ValueError("operations must name at least one, all of one kind")
        if self.counts and (min(self.counts) < 1 or max(self.counts) != self.count_max):
            raise ValueError("counts must end at count_max")
        if not {*self.alone, *self.needs, *self.needs.values(), *self.given} <= set(self.inputs):
            raise ValueError("alone, needs or given names a role that inputs does not have")
        if not set(self.wires) <= set(self.operations):
            raise ValueError("wires names an operation that the offer does not have")
        if not set(self.constants_of) <= set(self.operations):
            raise ValueError("constants_of names an operation that the offer does not have")
        if any(price.since and self.shutdown and price.since > self.shutdown for price in self.prices):
            raise ValueError("a price begins after the shutdown date")
        if self.status is Status.RETIRED and self.shutdown is None:
            raise ValueError("a retired offer needs its shutdown date")
        if self.kind is Kind.VIDEO and self.duration is None and self.status is not Status.RETIRED:
            raise ValueError("a video offer needs its duration")
        return self

    @model_validator(mode="after")
    def _less(self) -> Self:
        for less in self.given.values():
            if not set(less.resolutions) <= set(self.size.resolutions):
                raise ValueError("given names a resolution that the offer does not have")
            if self.duration is not None:
                less.of_duration(self.duration)
        return self


class Provider(Strict):
    """One service and what it offers."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    summary: str = ""
    docs: str | None = None
    adapter: str | None = Field(default=None, description="adapter module; the id when absent")
    credentials: Credentials = Field(
        default=(), description="variable names, or lists of them that go together; newest first"
    )
    base_url: str | None = None
    base_url_from: str | None = Field(default=None, description="the credential that is the base URL")
    base_url_like: str | None = Field(
        default=None, description="what a base URL looks like, where there is no usual one"
    )
    extras: tuple[str, ...] = Field(default=(), description="variables that go with a credential where they are set")
    hosts: tuple[str, ...] = Field(default=(), description="where credentials may go")
    download_hosts: tuple[str, ...] = ()
    auth_for_downloads: bool = False
    safe_statuses: tuple[int, ...] = Field(default=(), description="HTTP statuses that prove that nothing was accepted")
    limits: Limits = Limits()
    poll: PollBounds = PollBounds()
    retention_s: float | None = Field(default=None, description="how long results are kept")
    idempotency: Literal["none", "key"] = "none"
    lookup: Literal["none", "key", "list"] = "none"
    failures_billed: bool = False
    fields: Annotated[Fields, AfterValidator(check_names)] = Field(
        default_factory=dict, description="where values of a request go in the body; offers may have their own"
    )
    pictures: Form = Field(default=Form.DATA_URI, description="in which form input pictures go out")
    clips: Form | None = Field(default=None, description="instead for input clips, and for pictures beside them")
    picture: PictureLimits = PictureLimits()
    uploads_kept_s: float = Field(default=3600, gt=0, description="how long an uploaded picture can be named again")
    errors: tuple[ErrorRule, ...] = Field(default=(), description="its own errors; the first row that fits counts")
    chat: Chat | None = Field(default=None, description="how agents speak to its language models")
    offers: tuple[Offer, ...] = Field(min_length=1)

    @property
    def adapter_name(self) -> str:
        """The module of the registry that speaks to it."""
        return self.adapter or self.id

    def keys(self, quote: str = "") -> str:
        """Return in words which variables it needs, what all alternatives have in common first; empty where none."""
        sets = [[f"{quote}{name}{quote}" for name in names] for names in self.credentials]
        if len(sets) < 2:
            return " and ".join(name for names in sets for name in names)
        common = [name for name in sets[0] if all(name in names for names in sets)]
        rests = [rest for names in sets if (rest := [name for name in names if name not in common])]
        between = ", or " if any(len(rest) > 1 for rest in rests) else " or "
        others = between.join(" and ".join(rest) for rest in rests)
        first = " and ".join(common)
        if len(rests) < len(sets):  # one alternative has nothing more
            return f"{first} (optionally {others})"
        return f"{first} and either {others}" if common else others

    def credential(self, environment: Mapping[str, str]) -> dict[str, str] | None:
        """Return the first complete set of credentials, empty where none are needed; None when all are incomplete."""
        if not self.credentials:
            return {}
        for names in self.credentials:
            found = {name: environment[name] for name in names if environment.get(name)}
            if len(found) == len(names):
                return found
        return None

    def offer(self, model: str) -> Offer | None:
        """Return the offer of that exact model id."""
        return next((offer for offer in self.offers if offer.model == model), None)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({offer.model for offer in self.offers}) != len(self.offers):
            raise ValueError("two offers have the same model")
        if self.base_url_from is not None and not all(self.base_url_from in names for names in self.credentials):
            raise ValueError("base_url_from names no variable of every credential")
        chats = {offer.model for offer in self.offers if offer.kind is Kind.CHAT}
        if self.chat and not set(self.chat.tiers.values()) <= chats:
            raise ValueError("chat.tiers names an offer that is none for chat")
        return self


def read_manifest(path: Path) -> Provider:
    """Read and check one manifest file.

    Raises:
        ManifestError: If it cannot be read or breaks a rule.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        provider = Provider.model_validate(data)
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors()
        )
        raise ManifestError(f"{path.name}: {problems}") from exc
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ManifestError(f"{path.name}: {exc}") from exc
    if provider.id != path.stem:
        raise ManifestError(f"{path.name}: id is {provider.id!r}; the file must be called {provider.id}.toml")
    return provider


def check_own(provider: Provider, shipped: Mapping[str, Provider], adapters: frozenset[str]) -> None:
    """Hold a user's own manifest to its rules: no shipped id or host, only its own variables, a known adapter.

    Raises:
        ManifestError: If it breaks one.
    """
    prefix = f"DARKROOM_{provider.id.upper()}_"
    if provider.id in shipped:
        raise ManifestError(f"{provider.id}.toml: the id {provider.id!r} is a shipped provider's; choose another")
    for name in (*(name for names in provider.credentials for name in names), *provider.extras):
        if not name.startswith(prefix):
            raise ManifestError(f"{provider.id}.toml: credentials may only name {prefix}* variables, not {name}")
        if name in known_variables() | {f"{PREFIX}{later}" for later in LATER}:
            raise ManifestError(f"{provider.id}.toml: {name} is a setting of darkroom, no credential; rename the id")
    taken = {host for other in shipped.values() for host in _hosts(other)} - LOOPBACK
    for host in _hosts(provider):
        if host in taken:
            raise ManifestError(f"{provider.id}.toml: the host {host} belongs to a shipped provider")
    if provider.adapter_name not in adapters:
        known = ", ".join(sorted(adapters))
        raise ManifestError(f"{provider.id}.toml: there is no adapter {provider.adapter_name!r}; there are {known}")


def _hosts(provider: Provider) -> list[str]:
    """Return every host that a manifest names, as they are compared."""
    base = urlsplit(provider.base_url or "").hostname or ""
    names = (*provider.hosts, *provider.download_hosts, base)
    return [host for name in names if (host := name.strip().lower().rstrip("."))]


@cache
def _shipped() -> dict[str, Provider]:
    return {path.stem: read_manifest(path) for path in sorted(manifests_dir("providers").glob("*.toml"))}


class Providers(Mapping[str, Provider]):
    """All providers by id, shipped and the user's own, read when first asked for."""

    def __init__(self, own_dir: Path | None = None, adapters: frozenset[str] = frozenset()) -> None:
        self._own_dir = own_dir
        self._adapters = adapters
        self._loaded: dict[str, Provider] | None = None
        self._loading = Lock()
        self.problems: list[str] = []
        """Why manifests of the user's own folder were left out."""
        self.refused: dict[Path, str] = {}
        """The same, by file."""

    def _all(self) -> dict[str, Provider]:
        if self._loaded is None:
            with self._loading:  # threads may look up at the same time
                self._loaded = self._loaded or _shipped() | self._own(_shipped())
        return self._loaded

    def _own(self, shipped: Mapping[str, Provider]) -> dict[str, Provider]:
        own: dict[str, Provider] = {}
        if self._own_dir is None:
            return own
        if not self._own_dir.is_dir():
            self.problems.append(f"DARKROOM_PROVIDERS_DIR: {self._own_dir} is not a folder")
            return own
        for path in sorted(self._own_dir.glob("*.toml")):
            try:
                provider = read_manifest(path)
                check_own(provider, shipped, self._adapters)
                own[provider.id] = provider
            except ManifestError as exc:
                self.problems.append(str(exc))
                self.refused[path] = str(exc)
        return own

    def __getitem__(self, key: str) -> Provider:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def variables(self) -> frozenset[str]:
        """Return every DARKROOM_* variable that a manifest reads: credentials, what goes with them, and base URL."""
        return frozenset(
            name
            for provider in self.values()
            for names in (*provider.credentials, provider.extras, (base_url_variable(provider.id),))
            for name in names
        )


def base_url_variable(provider_id: str) -> str:
    """Return the variable that points a provider at another base URL."""
    return f"DARKROOM_{provider_id.upper()}_BASE_URL"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a provider manifest, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Provider.model_json_schema()}


_VERSION = re.compile(r"[^a-z0-9]+")


def normal(name: str) -> str:
    """Return a model or provider name as it is compared: lower case, without separators."""
    return _VERSION.sub("", name.lower())
