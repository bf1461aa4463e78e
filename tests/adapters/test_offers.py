"""Whatever is asked: the body that an offer's manifest describes is whole, and within what the offer declares."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from darkroom.adapters.base import Blob, Call
from darkroom.adapters.body import body_of, form_of, slots_of
from darkroom.adapters.registry import adapter_names
from darkroom.catalog.fit import fit
from darkroom.catalog.options import check_options
from darkroom.catalog.providers import Offer, Option, Provider, Providers, Status
from darkroom.catalog.wires import Form, Slot
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.request import MediaInput, request_adapter
from darkroom.errors import InvalidRequest, RequestError, Unsupported
from helpers_body import a_blob, a_call

Draw = Callable[[st.SearchStrategy[Any]], Any]
ALL = Providers()
WITHOUT_BODY = {"draft": "works on this machine, and sends nothing"}
OURS = [item for item in ALL.values() if item.adapter_name in adapter_names() - set(WITHOUT_BODY)]
ROLES_OF: dict[Mode, tuple[frozenset[Role], frozenset[Role]]] = {
    Mode.TEXT_TO_IMAGE: (frozenset(), frozenset()),
    Mode.EDIT_IMAGE: (frozenset({Role.SOURCE}), frozenset(Role)),
    Mode.REFERENCE_TO_IMAGE: (frozenset(), frozenset(Role) - {Role.SOURCE, Role.MASK}),
    Mode.TEXT_TO_VIDEO: (frozenset(), frozenset()),
    Mode.IMAGE_TO_VIDEO: (frozenset({Role.FIRST_FRAME}), frozenset(Role) - {Role.LAST_FRAME}),
    Mode.FIRST_LAST_FRAME: (frozenset({Role.LAST_FRAME}), frozenset(Role)),
    Mode.REFERENCE_TO_VIDEO: (frozenset(), frozenset(Role) - {Role.SOURCE, Role.FIRST_FRAME, Role.LAST_FRAME}),
    Mode.TIMELINE: (frozenset(), frozenset({Role.FIRST_FRAME})),
}
"""The roles that make an operation, and those that may come with it."""
USED = [
    (provider, offer)
    for provider in OURS
    for offer in provider.offers
    if offer.status is not Status.RETIRED and not offer.off and offer.kind in (Kind.IMAGE, Kind.VIDEO)
    if any(mode in ROLES_OF for mode in offer.operations)
]
"""Live offers with an operation that a call can ask for today: others have no body yet."""
TEXT = st.text('a b"\\\n\té漢🙂{}<', min_size=1, max_size=20).filter(str.strip)


def pictures(draw: Draw, offer: Offer, mode: Mode) -> list[Role]:
    """Draw input roles that make this operation, most often within what the offer takes."""
    needed, possible = ROLES_OF[mode]
    roles: list[Role] = [role for role in offer.inputs if role in needed]
    if not roles and mode in (Mode.REFERENCE_TO_IMAGE, Mode.REFERENCE_TO_VIDEO):
        roles = [draw(st.sampled_from(sorted(possible & set(offer.inputs)) or [Role.REFERENCE]))]
    more = sorted(possible & set(offer.inputs))
    roles += draw(st.lists(st.sampled_from(more), max_size=5)) if more else []
    most = min(offer.inputs_max or len(roles), len(roles))
    kept: list[Role] = []
    for role in roles[:most]:
        if kept.count(role) < offer.inputs.get(role, 0):
            kept.append(role)
    return draw(st.permutations(kept))


def option_values(draw: Draw, option: Option) -> Any:
    """Draw a value that the option may have."""
    if option.values:
        return draw(st.sampled_from(option.values))
    low, high = option.min if option.min is not None else 0, option.max if option.max is not None else 1000
    match option.type:
        case "boolean":
            return draw(st.booleans())
        case "string":
            return draw(st.from_regex(option.pattern, fullmatch=True) if option.pattern else TEXT)
        case "integer":
            return draw(st.integers(int(low), int(high)))
        case "number" if option.step:
            return low + option.step * draw(st.integers(0, int((high - low) / option.step)))
        case "number":
            return draw(st.floats(low, high, allow_nan=False))


def options_of(draw: Draw, offer: Offer) -> dict[str, Any]:
    """Draw options with the company that they need."""
    told: dict[str, Any] = {}
    names = [name for name, option in offer.options.items() if not option.gone]
    drawn: list[str] = draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if names else []
    for name in drawn:
        told[name] = option_values(draw, offer.options[name])
        for other, value in offer.options[name].requires.items():
            told[other] = draw(st.sampled_from(cast("list[Any]", value))) if isinstance(value, list) else value
    return told


def plain_values(draw: Draw, offer: Offer) -> dict[str, Any]:
    """Draw the other arguments, within the offer's limits and beyond."""

    def maybe(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    size = offer.size
    told: dict[str, Any] = {
        "prompt": draw(TEXT) if draw(st.booleans()) else "x" * draw(st.integers(1, (offer.prompt_max or 500) + 1)),
        "negative_prompt": maybe(TEXT),
        "seed": maybe(st.integers(0, 2**32 - 1)),
        "n": draw(st.sampled_from(offer.counts) if offer.counts else st.integers(1, min(offer.count_max, 10))),
        "aspect_ratio": maybe(st.sampled_from(size.ratios or ("1:1", "16:9", "3:4"))),
    }
    if offer.kind is Kind.IMAGE:
        sides = st.integers(max(16, size.min_side), size.max_side)
        sizes = st.sampled_from(size.sizes) if size.sizes else st.builds("{}x{}".format, sides, sides)
        told |= {"size": maybe(sizes), "quality": maybe(st.sampled_from(["low", "medium", "high", "auto"]))}
        return {name: value for name, value in told.items() if value is not None}
    have = offer.duration
    assert have is not None
    lengths = st.sampled_from(have.values) if have.values else st.floats(max(have.min_s, 0.5), have.max_s)
    told |= {
        "duration": maybe(lengths.map(lambda value: round(value, 2))),
        "resolution": maybe(st.sampled_from(size.resolutions or ("720p", "1080p"))),
        "audio": maybe(st.booleans()),
    }
    return told


def a_fitting_call(draw: Draw, provider: Provider, offer: Offer) -> Call:
    """Draw a call of a request that fits the offer."""
    mode = draw(st.sampled_from([mode for mode in offer.operations if mode in ROLES_OF]))
    blobs = tuple(a_blob(role, number) for number, role in enumerate(pictures(draw, offer, mode), 1))
    images = [
        MediaInput(src=blob.sha256, role=blob.role, sha256=blob.sha256, width=1024, height=1024) for blob in blobs
    ]
    told = {"kind": offer.kind, **plain_values(draw, offer), "images": images, "options": options_of(draw, offer)}
    if mode is Mode.TIMELINE:
        told["scenes"] = [{"prompt": text} for text in draw(st.lists(TEXT, min_size=1, max_size=4))]
    try:
        fitted, _ = fit(request_adapter.validate_python(told), offer)
    except RequestError:
        assume(condition=False)
        raise
    roles = (item.role for item in fitted.inputs)
    kept = tuple(replace(blob, role=role) for blob, role in zip(blobs, roles, strict=True) if role)
    return replace(a_call(offer, provider, blobs=kept), request=fitted)


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


def sent(call: Call, body: Any, name: str) -> Any:
    """Return a value of the request as it stands in the body, in our words again; None where it has no slot."""
    slot = slots_of(call).get(name)
    if slot is None or not slot.to:
        return None
    for part in slot.to.removesuffix("[]").removesuffix("#").split("."):
        body = body[part]
    if slot.to.endswith("[]"):  # pictures may lie there too
        body = next(item for item in body if not slot.wrap or slot.wrap in item)
    found = body[slot.wrap] if slot.wrap else body
    return next((ours for ours, theirs in slot.values.items() if theirs == found), found)


def number(value: Any) -> float | None:
    return None if value is None else float(str(value).removesuffix("s"))


def picture_name(blob: Blob, form: Form) -> Any:
    match form:
        case Form.DATA_URI:
            return blob.data_uri
        case Form.BASE64:
            return blob.base64
        case Form.UPLOAD:
            return blob.uploaded
        case Form.URL:
            return blob.url
        case Form.BYTES:
            return blob
        case Form.FILE:
            return str(blob.path)


@pytest.mark.parametrize(("provider_id", "model"), [(provider.id, offer.model) for provider, offer in USED])
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_whatever_fits_an_offer_makes_a_body_within_its_limits(
    provider_id: str, model: str, data: st.DataObject
) -> None:
    offer = ALL[provider_id].offer(model)
    assert offer is not None
    call = a_fitting_call(data.draw, ALL[provider_id], offer)
    try:
        body = body_of(call)
    except Unsupported:  # before anything is sent, and only of pictures that have no place, or none together
        assert not _have_places(call)
        return
    text = json.dumps(body, allow_nan=False, default=lambda item: f"<{cast('Blob', item).sha256}>")
    assert json.loads(text)
    found = list(leaves(body))
    for blob in call.inputs:
        name = picture_name(blob, form_of(call))
        assert found.count(name) == 1, f"a picture as {blob.role} is in the body {found.count(name)} times"
    prompt = sent(call, body, "prompt")
    assert prompt is None or prompt == call.request.prompt
    assert len(prompt or "") <= (offer.prompt_max or len(prompt or ""))
    assert number(sent(call, body, "n")) in (None, *range(1, offer.count_max + 1))
    if call.request.seed is not None:
        assert offer.seed
        assert number(sent(call, body, "seed")) in (None, call.request.seed)
    length, have = number(sent(call, body, "duration") if call.request.duration else None), offer.duration
    if have is not None and length is not None:
        assert length in have.values if have.values else have.min_s <= length <= have.max_s


def _have_places(call: Call) -> bool:
    """Return whether each picture has a place of its own."""
    places = [slots_of(call).get(blob.role, Slot(to="")).to for blob in call.inputs]
    alone = [place for place in places if not place.endswith(("[]", "#"))]
    return all(places) and len(alone) == len(set(alone))


@pytest.mark.parametrize("provider_id", [provider.id for provider in OURS])
def test_every_offer_has_a_place_for_each_thing_that_it_says_it_takes(provider_id: str) -> None:
    provider = ALL[provider_id]
    offers = [offer for item, offer in USED if item is provider]
    missing = {offer.model: lost for offer in offers if (lost := sorted(_lost(provider, offer)))}
    assert missing == {}, "these would be left out of the body without a word"


@pytest.mark.parametrize("provider_id", [provider.id for provider in OURS])
def test_every_offer_that_changes_clips_takes_one_and_has_a_place_for_it(provider_id: str) -> None:
    provider = ALL[provider_id]
    for offer in provider.offers:
        for mode in {Mode.EDIT_VIDEO, Mode.EXTEND_VIDEO} & set(offer.operations):
            slots = _slots(provider, offer, mode)
            if offer.status is Status.RETIRED or offer.off or not slots:
                continue
            assert offer.inputs.get(Role.VIDEO) == 1, f"{offer.model} takes no clip to {mode}"
            assert slots.get(Role.VIDEO, Slot(to="")).to, f"{offer.model} has no place for a clip to {mode}"
            assert "prompt" in slots


def _lost(provider: Provider, offer: Offer) -> Iterator[str]:
    """Yield what the manifest declares and gives no slot, in any operation; of pictures, in none.

    A picture of more than one operation may be refused in some of them: providers take it with these others, or not.
    """
    placed = {name for mode in offer.operations for name, slot in _slots(provider, offer, mode).items() if slot.to}
    yield from (f"picture: {role}" for role in offer.inputs if role not in placed)
    for mode in offer.operations:
        if mode not in ROLES_OF:
            continue
        slots = _slots(provider, offer, mode)
        have = {name for name, slot in slots.items() if slot.to}
        # Left out on purpose: `fit` says that it was not used, and tools such as erasers take no words.
        have |= {name for name in ("seed", "negative_prompt", "prompt") if name in slots}
        needed, _ = ROLES_OF[mode]
        wanted: set[str] = {str(role) for role in needed}
        wanted |= {"prompt"} if mode is not Mode.TIMELINE else set()
        wanted |= {"seed"} if offer.seed else set()
        wanted |= {"negative_prompt"} if offer.negative_prompt else set()
        wanted |= {"n"} if offer.count_max > 1 else set()
        wanted |= {"audio"} if offer.audio == "optional" else set()
        wanted |= {"quality"} if offer.qualities else set()
        wanted |= {"duration"} if offer.duration and _varies(offer) else set()
        yield from (f"{mode}: {name}" for name in wanted - have)


def _slots(provider: Provider, offer: Offer, mode: Mode) -> dict[str, Slot]:
    return {**provider.fields, **offer.fields, **offer.fields_of.get(mode, {})}


def _varies(offer: Offer) -> bool:
    have = offer.duration
    return have is not None and (len(have.values) > 1 if have.values else have.min_s < have.max_s)


@pytest.mark.parametrize(
    ("provider", "model", "options"),
    [
        ("openai", "gpt-image-2", {"background": "transparent", "output_format": "jpeg"}),
        ("openai", "gpt-image-2", {"output_compression": 50}),
        ("openai", "gpt-image-2", {"output_compression": 50, "output_format": "png"}),
        ("azure", "gpt-image-2", {"output_compression": 50, "output_format": "png"}),
        ("vertex", "veo-3.1", {"storage_uri": "http://evil/"}),
        ("google", "gemini-omni-1.2-flash", {"previous_interaction_id": "../../x"}),
    ],
)
def test_options_that_a_vendor_always_refuses_are_refused_here(
    provider: str, model: str, options: dict[str, Any]
) -> None:
    offer = ALL[provider].offer(model)
    assert offer is not None
    with pytest.raises(InvalidRequest) as caught:
        check_options(options, offer)
    assert (caught.value.field or "").removeprefix("options.") in options
