"""Whatever is asked: the body that an offer's manifest describes is whole, and within what the offer declares."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from darkroom.adapters.base import Blob, Call
from darkroom.adapters.body import body_of, picture_of, slots_of
from darkroom.adapters.registry import adapter_names
from darkroom.catalog.fit import fit
from darkroom.catalog.providers import Offer, Option, Provider, Providers, Status
from darkroom.catalog.wires import Slot
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.request import Effective, MediaInput, request_adapter
from darkroom.errors import RequestError
from helpers_body import a_blob, a_call

ALL = Providers()
LATER = frozenset({Mode.UPSCALE_IMAGE, Mode.UPSCALE_VIDEO, Mode.EDIT_VIDEO, Mode.EXTEND_VIDEO})
"""Operations that no request of this version comes to."""
WITHOUT_BODY = {"draft": "works on this machine, and sends nothing"}
OURS = [item for item in ALL.values() if item.adapter_name in adapter_names() - set(WITHOUT_BODY)]
USED = [
    (provider, offer)
    for provider in OURS
    for offer in provider.offers
    if offer.status is not Status.RETIRED and not offer.off and offer.kind in (Kind.IMAGE, Kind.VIDEO)
    if set(offer.operations) - LATER
]
ROLES_OF: dict[Mode, tuple[tuple[Role, ...], frozenset[Role]]] = {
    Mode.TEXT_TO_IMAGE: ((), frozenset()),
    Mode.EDIT_IMAGE: ((Role.SOURCE,), frozenset(Role)),
    Mode.REFERENCE_TO_IMAGE: ((), frozenset(Role) - {Role.SOURCE, Role.MASK}),
    Mode.TEXT_TO_VIDEO: ((), frozenset()),
    Mode.IMAGE_TO_VIDEO: ((Role.FIRST_FRAME,), frozenset(Role) - {Role.LAST_FRAME}),
    Mode.FIRST_LAST_FRAME: ((Role.LAST_FRAME, Role.FIRST_FRAME), frozenset(Role)),
    Mode.REFERENCE_TO_VIDEO: ((), frozenset(Role) - {Role.SOURCE, Role.FIRST_FRAME, Role.LAST_FRAME}),
    Mode.TIMELINE: ((), frozenset({Role.FIRST_FRAME})),
}
"""The roles that make an operation, and all that may come with it."""
TEXT = st.text('a b"\\\n\té漢🙂{}<', min_size=1, max_size=20).filter(str.strip)
Draw = Callable[[st.SearchStrategy[Any]], Any]


def some_pictures(draw: Draw, offer: Offer, mode: Mode) -> list[Role]:
    """Draw input roles that make this operation, most often within what the offer takes."""
    made_by, possible = ROLES_OF[mode]
    others = sorted(possible & set(offer.inputs))
    roles = [role for role in made_by if role in offer.inputs]
    if not roles and mode in (Mode.REFERENCE_TO_IMAGE, Mode.REFERENCE_TO_VIDEO):
        roles = [draw(st.sampled_from(others or [Role.REFERENCE]))]
    roles += draw(st.lists(st.sampled_from(others), max_size=5)) if others else []
    kept: list[Role] = []
    for role in roles[: offer.inputs_max]:
        if kept.count(role) < offer.inputs.get(role, 0):
            kept.append(role)
    return draw(st.permutations(kept))


def some_value(draw: Draw, option: Option) -> Any:
    """Draw a value that the option may have."""
    if option.values:
        return draw(st.sampled_from(option.values))
    low, high = option.min if option.min is not None else 0, option.max if option.max is not None else 1000
    match option.type:
        case "boolean":
            return draw(st.booleans())
        case "string":
            return draw(TEXT)
        case "integer":
            return draw(st.integers(int(low), int(high)))
        case "number" if option.step:
            return low + option.step * draw(st.integers(0, int((high - low) / option.step)))
        case "number":
            return draw(st.floats(low, high, allow_nan=False))


def some_options(draw: Draw, offer: Offer) -> dict[str, Any]:
    """Draw options with the company that they need."""
    told: dict[str, Any] = {}
    names: list[str] = [name for name, option in offer.options.items() if not option.gone]
    chosen: list[str] = draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if names else []
    for name in chosen:
        told[name] = some_value(draw, offer.options[name])
        told |= offer.options[name].requires
    return told


def some_values(draw: Draw, offer: Offer) -> dict[str, Any]:
    """Draw the other arguments, most often within the offer's limits."""
    size = offer.size
    told: dict[str, Any] = {
        "prompt": draw(TEXT | st.integers(1, (offer.prompt_max or 500) + 1).map(lambda count: "x" * count)),
        "negative_prompt": draw(st.none() | TEXT),
        "seed": draw(st.none() | st.integers(0, 2**32 - 1)),
        "n": draw(st.just(1) | st.integers(1, min(offer.count_max, 10))),
        "aspect_ratio": draw(st.none() | st.sampled_from(size.ratios or ("1:1", "16:9", "3:4"))),
    }
    if offer.kind is Kind.IMAGE:
        sides = st.integers(max(16, size.min_side), size.max_side)
        sizes = st.sampled_from(size.sizes) if size.sizes else st.builds("{}x{}".format, sides, sides)
        told |= {"size": draw(st.none() | sizes), "quality": draw(st.sampled_from(["low", "medium", "high", "auto"]))}
        return told
    have = offer.duration
    assert have is not None
    lengths = st.sampled_from(have.values) if have.values else st.floats(max(have.min_s, 0.5), have.max_s)
    told |= {
        "duration": draw(st.none() | lengths.map(lambda value: round(value, 2))),
        "resolution": draw(st.none() | st.sampled_from(size.resolutions or ("720p", "1080p"))),
        "audio": draw(st.none() | st.booleans()),
    }
    return told


def fitted(offer: Offer, told: dict[str, Any], blobs: tuple[Blob, ...]) -> Effective | None:
    """Return the request as the offer will run it; None where the offer does not take it."""
    images = [
        MediaInput(src=blob.sha256, role=blob.role, sha256=blob.sha256, width=1024, height=1024) for blob in blobs
    ]
    try:
        return fit(request_adapter.validate_python({"kind": offer.kind, "images": images, **told}), offer)[0]
    except RequestError:
        return None


@st.composite
def calls(draw: st.DrawFn, provider_id: str, model: str) -> Call:
    """Draw a call of a request that fits the offer; by names, since offers are long to tell of."""
    provider = ALL[provider_id]
    offer = provider.offer(model)
    assert offer is not None
    mode = draw(st.sampled_from([mode for mode in offer.operations if mode in ROLES_OF]))
    blobs = tuple(a_blob(role, number) for number, role in enumerate(some_pictures(draw, offer, mode), 1))
    told = {**some_values(draw, offer), "options": some_options(draw, offer)}
    if mode is Mode.TIMELINE:
        told["scenes"] = [{"prompt": text} for text in draw(st.lists(TEXT, min_size=1, max_size=4))]
    request = fitted(offer, told, blobs)
    assume(request is not None)
    assert request is not None
    roles = (item.role for item in request.inputs)
    kept = tuple(replace(blob, role=role) for blob, role in zip(blobs, roles, strict=True) if role)
    return replace(a_call(offer, provider, blobs=kept), request=request)


def leaves(data: Any) -> Iterator[Any]:
    """Yield every value of a body that is no list or object."""
    if isinstance(data, dict):
        for value in cast("dict[str, Any]", data).values():
            yield from leaves(value)
    elif isinstance(data, list):
        for value in cast("list[Any]", data):
            yield from leaves(value)
    else:
        yield data


def at(data: Any, path: str) -> list[Any]:
    """Return what stands at a name with dots, in any element of a list."""
    found = [data]
    for part in path.replace("[]", "").removesuffix("#").split("."):
        items = [item for one in found for item in (cast("list[Any]", one) if isinstance(one, list) else [one])]
        found = [cast("Any", item)[part] for item in items if isinstance(item, dict) and part in item]
    return [item for one in found for item in (cast("list[Any]", one) if isinstance(one, list) else [one])]


def sent(call: Call, body: Any, name: str) -> list[Any]:
    """Return a value of the request as it stands in the body, in our words again; with others of the same place."""
    slot = slots_of(call).get(name, Slot(to=""))
    if not slot.to:
        return []
    found = [value for one in at(body, slot.to) for value in (at(one, slot.wrap) if slot.wrap else [one])]
    assert found, f"{name} has a place and is not there"
    return [next((ours for ours, theirs in slot.values.items() if theirs == value), value) for value in found]


@pytest.mark.parametrize(("provider_id", "model"), [(provider.id, offer.model) for provider, offer in USED])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_whatever_fits_an_offer_makes_a_body_within_its_limits(
    provider_id: str, model: str, data: st.DataObject
) -> None:
    call = data.draw(calls(provider_id, model))
    offer, request, body = call.offer, call.request, body_of(call)
    assert json.dumps(body, allow_nan=False, default=lambda item: cast("Blob", item).sha256)
    found = list(leaves(body))
    for blob in call.inputs:
        times = found.count(picture_of(blob, call))
        assert times == 1, f"a picture as {blob.role} is in the body {times} times"
    prompts = sent(call, body, "prompt") if request.prompt else []
    assert not prompts or request.prompt in prompts
    assert offer.prompt_max is None or all(len(prompt) <= offer.prompt_max for prompt in prompts)
    assert {int(value) for value in sent(call, body, "n")} <= {request.n} & set(range(1, offer.count_max + 1))
    if request.seed is not None:
        assert offer.seed
        assert {int(value) for value in sent(call, body, "seed")} <= {request.seed}
    have = offer.duration
    for value in sent(call, body, "duration") if have and request.duration else []:
        assert have is not None
        length = float(str(value).removesuffix("s"))
        assert length in have.values if have.values else have.min_s <= length <= have.max_s


@pytest.mark.parametrize("provider_id", [provider.id for provider in OURS])
def test_every_offer_has_a_place_for_each_thing_that_it_says_it_takes(provider_id: str) -> None:
    offers = [offer for provider, offer in USED if provider.id == provider_id]
    missing = {offer.model: lost for offer in offers if (lost := sorted(set(_lost(ALL[provider_id], offer))))}
    assert missing == {}, "these would be left out of the body without a word"


def _lost(provider: Provider, offer: Offer) -> Iterator[str]:
    """Yield what the offer takes and its manifest gives no place, in any operation.

    A place with an empty name says of a value that the operation is known to have none; no picture may be lost so.
    """
    for mode, roles in {_made(offer, roles) for count in range(4) for roles in combinations(offer.inputs, count)}:
        if mode is None:
            continue
        slots = {**provider.fields, **offer.fields, **offer.fields_of.get(mode, {})}
        wanted = {"prompt"} if mode is not Mode.TIMELINE else set[str]()
        wanted |= {"seed"} if offer.seed else set()
        wanted |= {"negative_prompt"} if offer.negative_prompt else set()
        wanted |= {"n"} if offer.count_max > 1 else set()
        wanted |= {"audio"} if offer.audio == "optional" else set()
        wanted |= {"quality"} if offer.qualities else set()
        wanted |= {"duration"} if _varies(offer) else set()
        lost = {str(role) for role in roles if not slots.get(role, Slot(to="")).to}
        yield from (f"{mode}: {name}" for name in lost | (wanted - set(slots)))


def _made(offer: Offer, roles: tuple[Role, ...]) -> tuple[Mode | None, frozenset[Role]]:
    """Return the operation that these roles make, None where the offer does not take them together."""
    request = fitted(offer, {"prompt": "x"}, tuple(a_blob(role, number) for number, role in enumerate(roles)))
    return (request.mode, frozenset(roles)) if request else (None, frozenset())


def _varies(offer: Offer) -> bool:
    have = offer.duration
    return have is not None and (len(have.values) > 1 if have.values else have.min_s < have.max_s)
