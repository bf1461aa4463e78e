"""Whether a mask can cover its picture, by what decoding both showed."""

from collections.abc import Sequence

from darkroom.catalog.providers import Offer
from darkroom.domain.kinds import Role
from darkroom.domain.request import MediaInput
from darkroom.errors import InvalidRequest


def check_mask(offer: Offer, inputs: Sequence[MediaInput]) -> None:
    """Refuse a mask of another size than its picture, one too large to send and, where need be, one without holes.

    What was not looked at yet has no size, and is not judged.

    Raises:
        InvalidRequest: If there is such a mask.
    """
    mask = next((item for item in inputs if item.role is Role.MASK), None)
    source = next((item for item in inputs if item.role is Role.SOURCE), None)
    if mask is None or mask.width is None:
        return
    _check_bytes(offer, mask)
    if source and source.width and (source.width, source.height) != (mask.width, mask.height):
        size = f"{source.width}x{source.height}"
        raise _refused(f"The mask has {mask.width}x{mask.height} pixels, and its picture {size}.", f"a mask of {size}")
    if offer.clear_mask and (mask.clear is False or mask.media_type not in (None, "image/png")):
        raise _refused(
            f"{offer.model} paints where the mask is transparent, and this one is no PNG with transparency.",
            "a PNG that is transparent where the picture is to change",
        )


def _check_bytes(offer: Offer, mask: MediaInput) -> None:
    most = offer.mask_max_bytes
    if most is not None and mask.file_bytes is not None and mask.file_bytes > most:
        raise _refused(
            f"The mask has {mask.file_bytes / 1e6:.1f} MB, more than {offer.model} takes.",
            f"up to {most / 1e6:g} MB; one of few colours is smaller",
        )


def _refused(message: str, allowed: str) -> InvalidRequest:
    hint = "Nothing was stored or sent. Give another mask, or leave it out."
    return InvalidRequest(message, field="images", allowed=allowed, hint=hint)
