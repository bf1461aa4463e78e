"""Fits a request to an offer: fills in defaults, snaps to what the offer has, refuses what is out of its range."""

import math
from typing import Literal, TypeVar

from darkroom.catalog.fit_time import fit_time
from darkroom.catalog.fitting import NOTHING_STORED, Fitting
from darkroom.catalog.joins import film_size
from darkroom.catalog.masks import check_mask
from darkroom.catalog.options import check_options
from darkroom.catalog.parts import shares
from darkroom.catalog.providers import Offer
from darkroom.catalog.ranges import SizeRange
from darkroom.domain.kinds import Kind, Mode, Quality, Role
from darkroom.domain.modes import mode_of, with_default_roles
from darkroom.domain.request import (
    CLASSES,
    CLIPS,
    RESOLUTIONS,
    Effective,
    ImageRequest,
    MediaInput,
    Size,
    VideoRequest,
    named_ratio,
    parse_ratio,
    parse_size,
    ratio_value,
)
from darkroom.domain.rules import STRICT
from darkroom.errors import InvalidRequest, Unsupported

DEFAULT_SIDE = 1024
DEFAULT_RESOLUTION = "720p"
SAME_RATIO = 0.04
"""How far two ratios may be apart, as a logarithm, to count as one: 1344x768 is what providers call 16:9."""
RATIO_WEIGHT = 8
"""How much more a difference in ratio counts than one in area: 832x480 is the 480p of 16:9, not 1280x720."""
_LEADS = (Role.SOURCE, Role.FIRST_FRAME, *CLIPS)
"""Inputs whose ratio the result has."""
_T = TypeVar("_T")


def fit(request: ImageRequest | VideoRequest, offer: Offer) -> tuple[Effective, tuple[str, ...]]:
    """Return the request as the offer will run it, and what had to be changed, in words.

    Raises:
        InvalidRequest: If a value is out of the offer's range, or an option is wrong.
        Unsupported: If the offer cannot do the operation at all.
    """
    work = Fitting(request, offer)
    rules = _rules(work)
    _check_text(work, rules)
    inputs = _fit_inputs(work)
    mode = mode_of(request.model_copy(update={"images": inputs}))
    if mode not in offer.operations:
        raise Unsupported(
            f"{offer.model} cannot do {mode.replace('_', ' ')}.",
            field="model",
            allowed=list(offer.operations),
            hint=f"{NOTHING_STORED} Name another model, or leave out what it cannot take.",
        )
    if mode is Mode.JOIN_VIDEO and request.n > 1:
        raise work.refuse("Clips are joined to one film.", "n", "1")
    work.narrow({item.role for item in inputs if item.role})
    scenes, duration = fit_time(work, mode, inputs)
    size, ratio, resolution = _fit_picture(work, inputs)
    effective = Effective(
        kind=offer.kind,
        mode=mode,
        prompt=request.prompt,
        rules=rules,
        negative_prompt=_keep(work, "negative_prompt", request.negative_prompt, mode),
        width=size.width,
        height=size.height,
        aspect_ratio=ratio,
        n=request.n,
        quality=_fit_quality(work),
        seed=_keep(work, "seed", request.seed, mode),
        duration=duration,
        resolution=resolution,
        audio=_fit_audio(work),
        inputs=inputs,
        scenes=scenes,
        options=check_options(request.options, offer, mode),
        follows=request.follows,
    )
    return effective, tuple(work.warnings)


def _keep(work: Fitting, name: Literal["seed", "negative_prompt"], value: _T | None, mode: Mode) -> _T | None:
    """Return a value if the offer takes it, and its manifest does not leave it out of this operation."""
    offer = work.offer
    slot = offer.fields_of.get(mode, {}).get(name) or offer.fields.get(name)
    able = getattr(offer, name) is True
    if value is None or (able and (slot is None or slot.to)):
        return value
    lacks = f"{offer.model} has no {name}" + (f" to {mode.replace('_', ' ')}" if able else "")
    if work.request.exact:
        raise work.refuse(f"{lacks}.", name, "leave it out")
    work.warnings.append(f"{lacks}; it was not used.")
    return None


def _rules(work: Fitting) -> str | None:
    """Return what `strict` adds; what is drawn by words alone needs no rules, and clips that are joined hear none."""
    if not work.request.strict:
        return None
    if work.offer.replayable:
        work.warnings.append(f"{work.offer.model} adds nothing by itself; strict changes nothing here.")
        return None
    return STRICT


def _check_text(work: Fitting, rules: str | None) -> None:
    request, offer = work.request, work.offer
    if not shares(offer, request.n, request.options):
        allowed = "sums of " + " and ".join(str(count) for count in offer.counts)
        raise work.refuse(f"{offer.model} cannot make {request.n}.", "n", allowed)
    # Rules with a place of their own count here too: no vendor says how long that may be.
    length = len(request.prompt) + (len(rules) + 2 if rules else 0)
    if offer.prompt_max is not None and length > offer.prompt_max:
        said = f"The prompt has {length:,} characters" + (f" with the {len(rules):,} of strict." if rules else ".")
        raise work.refuse(said, "prompt", f"up to {offer.prompt_max:,} with {offer.model}")


def _fit_inputs(work: Fitting) -> tuple[MediaInput, ...]:
    """Give every input a role that the offer has, or refuse it."""
    have = work.offer.inputs
    fitted: list[MediaInput] = []
    for item in with_default_roles(work.request):
        role = item.role or Role.REFERENCE
        if role not in have:
            if role is Role.SOURCE and Role.FIRST_FRAME in have:
                role = Role.FIRST_FRAME
            # A mask would be painted instead of painted over, and a clip is no picture.
            elif Role.REFERENCE in have and role not in (Role.MASK, *CLIPS):
                work.warnings.append(
                    f"{work.offer.model} has no input role {role}; the picture is used as a reference."
                )
                role = Role.REFERENCE
            else:
                raise _too_many(work, role, 0)
        fitted.append(item.model_copy(update={"role": role}))
    for role in {item.role for item in fitted if item.role}:
        if sum(item.role is role for item in fitted) > have[role]:
            raise _too_many(work, role, have[role])
    _check_together(work, {item.role for item in fitted if item.role})
    check_mask(work.offer, fitted)
    most = work.offer.inputs_max
    if most is not None and len(fitted) > most:
        raise work.refuse(
            f"{work.offer.model} takes at most {most} pictures in all, not {len(fitted)}.", "images", f"up to {most}"
        )
    return tuple(fitted)


def _check_together(work: Fitting, roles: set[Role]) -> None:
    """Refuse roles that the offer does not take together, and those that it takes only together with others."""
    offer = work.offer
    for role in sorted(roles):
        if role in offer.alone and len(roles) > 1:
            others = ", ".join(sorted(roles - {role}))
            raise work.refuse(
                f"{offer.model} takes pictures as {role} or as {others}, not both.", "images", f"{role} alone, or none"
            )
        if role in offer.needs and offer.needs[role] not in roles:
            needed = offer.needs[role]
            raise work.refuse(
                f"{offer.model} takes a {role} only together with a {needed}.", "images", f"{needed} and {role}"
            )


def _too_many(work: Fitting, role: Role, most: int) -> InvalidRequest:
    takes = ", ".join(f"{count} {name}" for name, count in work.offer.inputs.items()) or "no pictures"
    count = f"at most {most}" if most else "no"
    if role is Role.VIDEO:
        return work.refuse(f"{work.offer.model} takes {count} clip to change.", "images", takes)
    what = "clips to join" if role is Role.CLIP else f"picture{'s' if most != 1 else ''} as {role}"
    return work.refuse(f"{work.offer.model} takes {count} {what}.", "images", takes)


def _fit_quality(work: Fitting) -> Quality | None:
    have, request = work.offer.qualities, work.request
    asked = request.quality if isinstance(request, ImageRequest) else Quality.AUTO  # videos have no such argument
    if not have:
        if asked not in (Quality.MEDIUM, Quality.AUTO):
            work.snap("quality", asked, "the only one", "leave it out")
        return None
    if asked in have:
        return asked
    order = [Quality.LOW, Quality.MEDIUM, Quality.HIGH, Quality.MAX]
    aim = order.index(Quality.MEDIUM if asked is Quality.AUTO else asked)
    used = min(
        (level for level in have if level in order), key=lambda level: abs(order.index(level) - aim), default=have[0]
    )
    if asked is not Quality.AUTO and "quality" in request.model_fields_set:
        work.snap("quality", asked, used, ", ".join(have))
    return used


def _fit_audio(work: Fitting) -> bool | None:
    if not isinstance(work.request, VideoRequest):
        return None
    asked, able = work.request.audio, work.offer.audio
    if able == "optional":
        return True if asked is None else asked
    only = able == "always"
    if asked and not only:
        raise work.refuse(f"{work.offer.model} makes silent clips only.", "audio", "false")
    if asked is not None and asked is not only:
        work.snap("audio", asked, only, str(only))
    return only


def _fit_picture(work: Fitting, inputs: tuple[MediaInput, ...]) -> tuple[Size, str, str | None]:
    """Return the size in pixels, the ratio in words, and the height class of clips or the size class of pictures."""
    request, have = work.request, work.offer.size
    size = request.size if isinstance(request, ImageRequest) else None
    first = film_size(request, inputs, have)
    if first is not None:
        fitted = _on_grid(have, *first)
        return fitted, _ratio_of(fitted), None
    if size is not None and request.aspect_ratio not in (None, "auto"):
        work.warnings.append("size wins over aspect_ratio; the ratio was not used.")
    if have.classes and work.offer.kind is Kind.IMAGE:
        return _fit_class(work, have, size, inputs)
    if size is not None:
        if have.ratios and not have.sizes:
            return _snap_shape(work, have, size)
        fitted = _snap_size(work, have, size)
        return fitted, _name_of_shape(have, fitted), None
    ratio = _snap_ratio(work, have, _wanted_ratio(request, inputs))
    resolution = _snap_resolution(work, have, request.resolution) if isinstance(request, VideoRequest) else None
    short_side = RESOLUTIONS[resolution] if resolution else None
    if not have.sizes:
        fitted = _size_for(have, ratio, short_side=short_side)
        return fitted, ratio if have.ratios else _made_ratio(work, ratio, fitted), resolution
    value = ratio_value(ratio)
    # By a height class, some mean that shorter side whatever the ratio, others the area that it has in 16:9.
    areas = [DEFAULT_SIDE**2] if short_side is None else [short_side**2 * max(value, 1 / value), short_side**2 * 16 / 9]
    best = min((parse_size(item) for item in have.sizes), key=lambda item: _distance(item, value, *areas))
    return best, ratio if have.ratios else _made_ratio(work, ratio, best), resolution


def _fit_class(
    work: Fitting, have: SizeRange, size: Size | None, inputs: tuple[MediaInput, ...]
) -> tuple[Size, str, str]:
    """Return size, ratio and size class for an offer that sells pictures by class: the nearest in area, else 1K."""
    area = DEFAULT_SIDE**2 if size is None else size.width * size.height
    used = min(have.classes, key=lambda name: abs(math.log(CLASSES[name] ** 2 / area)))
    if size is None:
        ratio = _snap_ratio(work, have, _wanted_ratio(work.request, inputs))
        return _class_size(have, ratio, used), ratio, used
    _check_bounds(work, have, size)
    ratio = _nearest_ratio(have, size)[0] if have.ratios else _ratio_of(size)
    fitted = size if str(size) in have.sizes else _class_size(have, ratio, used)
    if fitted != size:
        work.snap("size", size, f"{fitted} ({used})", f"{', '.join(have.classes)} in {', '.join(have.ratios) or ratio}")
    return fitted, ratio, used


def _class_size(have: SizeRange, ratio: str, name: str) -> Size:
    """Return the size of that ratio in a size class: of the offer's own, where it lists them."""
    area = CLASSES[name] ** 2
    if not have.sizes:
        return _size_for(have, ratio, area=area)
    return min((parse_size(item) for item in have.sizes), key=lambda item: _distance(item, ratio_value(ratio), area))


def _made_ratio(work: Fitting, ratio: str, size: Size) -> str:
    """Return the ratio that the size really has, with a word about it when that is another than asked."""
    made = size.width / size.height
    if abs(math.log(made / ratio_value(ratio))) <= SAME_RATIO:
        return ratio
    used = _ratio_of(size)
    if work.request.aspect_ratio not in (None, "auto"):
        work.snap("aspect_ratio", ratio, used, f"what {size} pixels make")
    return used


def _wanted_ratio(request: ImageRequest | VideoRequest, inputs: tuple[MediaInput, ...]) -> str:
    """Return the asked ratio; without one, that of the picture to edit or animate; else the default."""
    if request.aspect_ratio not in (None, "auto"):
        return request.aspect_ratio
    lead = next((item for item in inputs if item.role in _LEADS), request.follows)
    if lead and lead.width and lead.height and 1 / 8 <= lead.width / lead.height <= 8:
        return _ratio_of(Size(lead.width, lead.height))
    return "1:1" if request.kind is Kind.IMAGE else "16:9"


def _ratio_of(size: Size) -> str:
    divisor = math.gcd(*size)
    return named_ratio(f"{size.width // divisor}:{size.height // divisor}")


def _nearest_ratio(have: SizeRange, size: Size) -> tuple[str, float]:
    """Return the offer's ratio that is nearest to a size's, and how far it is, as a logarithm."""
    value = size.width / size.height
    far = {ratio: abs(math.log(ratio_value(ratio) / value)) for ratio in map(parse_ratio, have.ratios)}
    return min(far.items(), key=lambda item: item[1])


def _name_of_shape(have: SizeRange, size: Size) -> str:
    """Return the offer's own name of a size's ratio, where it has one."""
    ratio, apart = _nearest_ratio(have, size) if have.ratios else ("", math.inf)
    return ratio if apart <= SAME_RATIO else _ratio_of(size)


def _distance(size: Size, ratio: float, *areas: float) -> tuple[float, float]:
    """Return how far a size is from a ratio and the nearest area; among ratios that count as one, that has a say."""
    apart = abs(math.log(size.width / size.height / ratio))
    off = min(abs(math.log(size.width * size.height / area)) for area in areas)
    return (0.0, RATIO_WEIGHT * apart + off) if apart <= SAME_RATIO else (apart, off)


def _snap_ratio(work: Fitting, have: SizeRange, ratio: str) -> str:
    known = {parse_ratio(item) for item in have.ratios}
    value = ratio_value(ratio)
    if have.widest is not None and max(value, 1 / value) > have.widest:
        known = {f"{have.widest:g}:1" if value > 1 else f"1:{have.widest:g}"}
    if not known or ratio in known:
        return ratio
    used = min(sorted(known), key=lambda item: abs(math.log(ratio_value(item) / ratio_value(ratio))))
    if work.request.aspect_ratio not in (None, "auto"):
        work.snap("aspect_ratio", ratio, used, ", ".join(have.ratios or known))
    return used


def _snap_resolution(work: Fitting, have: SizeRange, asked: str | None) -> str:
    known = have.resolutions or tuple(RESOLUTIONS)
    wanted = asked or DEFAULT_RESOLUTION
    if wanted in known:
        return wanted
    heights = [RESOLUTIONS[item] for item in known]
    if asked and not min(heights) <= RESOLUTIONS[asked] <= max(heights):
        raise work.refuse(f"{work.offer.model} has no resolution {asked}.", "resolution", ", ".join(known))
    used = min(known, key=lambda item: abs(RESOLUTIONS[item] - RESOLUTIONS[wanted]))
    if asked:
        work.snap("resolution", asked, used, ", ".join(known))
    return used


def _snap_size(work: Fitting, have: SizeRange, size: Size) -> Size:
    if have.sizes:
        sizes = [parse_size(item) for item in have.sizes]
        used = min(sizes, key=lambda item: _distance(item, size.width / size.height, size.width * size.height))
        if used != size:
            work.snap("size", size, used, ", ".join(have.sizes))
        return used
    allowed = _check_bounds(work, have, size)
    used = _on_grid(have, size.width, size.height)
    if used != size:
        work.snap("size", size, used, f"multiples of {have.multiple_of}, {allowed}")
    return used


def _check_bounds(work: Fitting, have: SizeRange, size: Size) -> str:
    """Refuse a size that is out of the offer's bounds; return them in words."""
    allowed = f"{have.min_side} to {have.max_side} pixels a side"
    least = f"{have.min_pixels:,} to " if have.min_pixels > 1 else ""
    allowed += f", {least}{have.max_pixels:,} in all" if have.max_pixels else ""
    allowed += f", the longer up to {have.widest:g} times the shorter" if have.widest else ""
    fits = have.min_pixels <= size.width * size.height <= (have.max_pixels or math.inf)
    fits = fits and max(size) <= min(size) * (have.widest or math.inf)
    if not fits or not all(have.min_side <= side <= have.max_side for side in size):
        raise work.refuse(f"{work.offer.model} makes no pictures of {size}.", "size", allowed)
    return allowed


def _snap_shape(work: Fitting, have: SizeRange, size: Size) -> tuple[Size, str, str | None]:
    """Return the size and ratio for an offer that knows ratios alone."""
    _check_bounds(work, have, size)
    ratio, apart = _nearest_ratio(have, size)
    if apart <= SAME_RATIO:
        return _snap_size(work, have, size), ratio, None
    used = _size_for(have, ratio, area=size.width * size.height)
    work.snap("size", size, used, "sizes of " + ", ".join(have.ratios))
    return used, ratio, None


def _size_for(have: SizeRange, ratio: str, *, area: float = DEFAULT_SIDE**2, short_side: float | None = None) -> Size:
    """Return the size of that ratio with that shorter side, else that area, scaled until the offer can make it."""
    value = ratio_value(ratio)
    if short_side is not None:
        width, height = (short_side * value, short_side) if value >= 1 else (short_side, short_side / value)
    else:
        width, height = math.sqrt(area * value), math.sqrt(area / value)
    most = have.max_pixels or math.inf
    grow = max(1.0, have.min_side / min(width, height))
    scale = min(grow, have.max_side / max(width, height), math.sqrt(most / (width * height)))
    return _on_grid(have, width * scale, height * scale, coarse=8)


def _on_grid(have: SizeRange, width: float, height: float, coarse: int = 1) -> Size:
    """Round both sides to what the offer's grid, or a codec, likes, within its bounds."""
    step = math.lcm(have.multiple_of, coarse if have.multiple_of < coarse else 1)
    low, high = math.ceil(have.min_side / step) * step, have.max_side // step * step
    if low > high:
        return _on_grid(have, width, height)

    def side(value: float) -> int:
        return min(max(round(value / step) * step, low), high)

    sides = [side(width), side(height)]
    while have.max_pixels is not None and sides[0] * sides[1] > have.max_pixels and max(sides) > low:
        sides[sides.index(max(sides))] -= step
    return Size(*sides)
