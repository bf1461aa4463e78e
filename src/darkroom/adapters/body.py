"""Writes a request as a provider's body, by the slots that its manifest names."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from decimal import Decimal
from itertools import accumulate, chain, count, pairwise
from typing import Any

from darkroom.adapters.base import Blob, Call
from darkroom.catalog.places import form_for, places
from darkroom.catalog.wires import PLAIN, Form, Slot
from darkroom.domain.request import Effective
from darkroom.errors import Unsupported

Body = dict[str, Any]
Part = tuple[str, tuple[str | None, str] | tuple[str, bytes, str]]
_OFF = Slot(to="")


def body_of(call: Call) -> Body:
    """Return the body of a submission: values, options, pictures and constants, each where the manifest puts it.

    They go into the offer's template where it has one. Pictures are texts (data URI, base64, web
    address), what their upload returned, or with the form `bytes` the `Blob` itself. A value that the manifest gives no
    slot is left out.

    Raises:
        Unsupported: If a picture has no place, or must go by its web address and has none.
    """
    slots = slots_of(call)
    body: Body = deepcopy(call.offer.template) or {}
    for name, value in (call.offer.constants | call.offer.constants_of.get(call.request.mode, {})).items():
        put(body, name, deepcopy(value))  # later values may lie within it, and the manifest is everybody's
    for name, value in _values(call.request, own_rules="rules" in slots):
        put_in(body, slots.get(name, _OFF), value)
    taken = set[str]()
    for blob in call.inputs:
        slot = slots.get(blob.role, _OFF)
        if not slot.to or slot.to in taken:
            raise _no_place(call, blob, alone=slot.to in taken)
        taken |= set[str]() if slot.to.endswith(("[]", "#")) else {slot.to}
        put_in(body, slot, picture_of(blob, call))
    for name, value in call.request.options.items():
        option = call.offer.options.get(name)
        written: Any = {option.wrap: value} if option and option.wrap else value
        put(body, (option.wire if option else None) or name, written)
    return body


def _no_place(call: Call, blob: Blob, *, alone: bool) -> Unsupported:
    other = " together with the others" if alone else ""
    return Unsupported(
        f"{call.offer.model} takes no picture as {blob.role}{other} to {call.request.mode.replace('_', ' ')}.",
        field="images",
        hint="Nothing was sent or charged. Leave it out, or name another model.",
    )


def slots_of(call: Call) -> Mapping[str, Slot]:
    """Return where each value of this call goes."""
    return places(call.provider, call.offer, call.request.mode)


def wire_of(call: Call) -> str:
    """Return the provider's own name of the model, for this operation."""
    return call.offer.wires.get(call.request.mode) or call.offer.wire or call.offer.model


def form_of(call: Call) -> Form:
    """Return in which form pictures go out."""
    return form_for(call.provider, call.offer, {blob.role for blob in call.inputs})


def picture_of(blob: Blob, call: Call) -> Any:
    """Return an input picture in the form that the provider takes.

    Raises:
        Unsupported: If it must go by its web address and has none.
    """
    match form_of(call):
        case Form.DATA_URI:
            return blob.data_uri
        case Form.BASE64:
            return blob.base64
        case Form.BYTES:
            return blob
        case Form.UPLOAD:
            return blob.uploaded
        case Form.FILE:
            return str(blob.path)
        case Form.URL:
            if blob.url is None:
                raise Unsupported(
                    f"{call.provider.title} takes pictures by their https address only.",
                    field="images",
                    hint="Nothing was sent. Give the address of the picture, or name another model.",
                )
            return blob.url


def put_in(body: Body, slot: Slot, value: Any) -> None:
    """Write a value into its slot."""
    if not slot.to or value is None:
        return
    written = _written(value, slot)
    if slot.wrap:
        inner: Body = deepcopy(slot.beside)
        put(inner, slot.wrap, written)
        written = inner
    put(body, slot.to, written)
    for name, other in slot.also.items():
        put(body, name, other)


def put(body: Body, name: str, value: Any) -> None:
    """Write a value under a name with dots for nesting; [] at the end adds to a list, # numbers from the second on.

    Raises:
        Unsupported: If the manifest puts something else there too.
    """
    *outer, last = name.removesuffix("[]").removesuffix("#").split(".")
    for part in outer:
        inner = body.setdefault(part, {})
        if not isinstance(inner, dict):
            raise _clash(name)
        body = inner  # pyright: ignore[reportUnknownVariableType] because bodies are JSON
    if name.endswith("[]"):
        items = body.setdefault(last, [])
        if not isinstance(items, list):
            raise _clash(name)
        items.append(value)  # pyright: ignore[reportUnknownMemberType] because bodies are JSON
    elif name.endswith("#"):
        free = (
            numbered for numbered in chain([last], (f"{last}_{number}" for number in count(2))) if numbered not in body
        )
        body[next(free)] = value
    else:
        body[last] = value


def _clash(name: str) -> Unsupported:
    """Return the error of a manifest that would lose a value; of a kind that says that nothing was sent."""
    return Unsupported(f"The manifest puts two values at {name!r}.", hint="Nothing was sent. Name another model.")


def _values(request: Effective, *, own_rules: bool) -> Iterator[tuple[str, Any]]:
    """Yield what a request holds, by the names of manifests; rules without a place of their own lead the prompt."""
    for name in PLAIN:
        value = (request.width, request.height) if name == "size" else getattr(request, name)
        if name == "prompt" and not own_rules:
            value = request.text
        if value is not None and value != "":
            yield name, value
    if request.scenes:
        yield "scenes", shots_of(request)


def shots_of(request: Effective) -> list[Body]:
    """Return the scenes of a timeline as prompts and whole seconds that add up to its duration."""
    lengths = [scene.duration or 0.0 for scene in request.scenes]
    scale = (request.duration or sum(lengths)) / (sum(lengths) or 1.0)
    ends = [0, *(round(end * scale) for end in accumulate(lengths))]
    return [
        {"prompt": scene.prompt, "duration": end - start}
        for scene, (start, end) in zip(request.scenes, pairwise(ends), strict=True)
    ]


def _written(value: Any, slot: Slot) -> Any:
    """Return a value as its slot wants it; a size comes as two numbers."""
    plain: Any = f"{value[0]}{slot.joined}{value[1]}" if isinstance(value, tuple) else value
    key = _key(plain)
    if key in slot.values:
        return slot.values[key]
    match slot.form:
        case "text":
            return key
        case "seconds":
            return f"{key}s"
        case "integer":
            return round(float(plain))
        case "lower":
            return key.lower()
        case "upper":
            return key.upper()
        case "object" if isinstance(value, tuple):
            sides: list[int] = list(value)  # pyright: ignore[reportUnknownArgumentType] because values are of many types
            return {"width": sides[0], "height": sides[1]}
        case _:
            return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return number_text(value) if isinstance(value, float) else str(value)


def number_text(value: float) -> str:
    """Return a number as people write it: 5, 2.5."""
    return f"{Decimal(str(value)).normalize():f}"


def parts_of(body: Body) -> list[Part]:
    """Return a body as the parts of a form: texts, then pictures as files; several of one name have brackets."""
    found: list[Part] = []
    for name, value in body.items():
        values: list[Any] = value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType] because bodies are JSON
        told = f"{name}[]" if len(values) > 1 else name
        found += [(told, _part(name, item)) for item in values]
    return sorted(found, key=lambda part: part[1][0] is not None)


def _part(name: str, value: Any) -> tuple[str | None, str] | tuple[str, bytes, str]:
    """Return a picture as a file, all else as text."""
    if isinstance(value, Blob):
        return f"{name}.{value.media_type.rpartition('/')[2]}", value.content, value.media_type
    return None, _key(value)
