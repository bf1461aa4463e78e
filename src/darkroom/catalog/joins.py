"""What a film of joined clips is, from its clips: how long, and how large."""

from collections.abc import Sequence

from darkroom.catalog.ranges import SizeRange
from darkroom.domain.kinds import Role
from darkroom.domain.request import ImageRequest, MediaInput, VideoRequest


def together_s(clips: Sequence[MediaInput]) -> float | None:
    """Return how many seconds the clips last one after the other; None where one was not looked at yet."""
    known = [item.duration for item in clips if item.duration is not None]
    return round(sum(known), 3) if len(known) == len(clips) else None


def film_size(
    request: ImageRequest | VideoRequest, inputs: Sequence[MediaInput], have: SizeRange
) -> tuple[float, float] | None:
    """Return the first clip's width and height in pixels, scaled into the offer's bounds.

    None where the caller asks for a ratio or a height class, there are no clips, or the first was not looked at yet.
    """
    asked = isinstance(request, VideoRequest) and request.resolution is not None
    asked = asked or request.aspect_ratio not in (None, "auto")
    first = next((item for item in inputs if item.role is Role.CLIP), None)
    if asked or first is None or not first.width or not first.height:
        return None
    sides = (first.width, first.height)
    scale = min(max(1.0, have.min_side / min(sides)), have.max_side / max(sides))
    return first.width * scale, first.height * scale
