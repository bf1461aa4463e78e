"""A mask covers its picture, and is refused before anything is spent where it cannot."""

from typing import Any

import pytest

from darkroom.catalog.fit import fit
from darkroom.catalog.providers import Offer, Providers, Status
from darkroom.domain.kinds import Kind, Role
from darkroom.domain.request import ImageRequest, MediaInput
from darkroom.errors import InvalidRequest
from helpers_catalog import image

MASKED = [
    pytest.param(offer, id=f"{provider.id}-{offer.model}")
    for provider in Providers().values()
    for offer in provider.offers
    if Role.MASK in offer.inputs and offer.kind is Kind.IMAGE and offer.status is not Status.RETIRED
]
CLEAR = [param for param in MASKED if isinstance(param.values[0], Offer) and param.values[0].clear_mask]


def asked(offer: Offer, size: tuple[int | None, int | None] = (1024, 768), **mask: object) -> ImageRequest:
    """Return a request with a mask of that size for a picture of 1024x768, and what else the offer wants with one."""
    roles = [Role.SOURCE, *(role for role in offer.needs.values() if role not in (Role.SOURCE, Role.MASK))]
    pictures = [MediaInput(src=role, role=role, width=1024, height=768, media_type="image/png") for role in roles]
    facts: dict[str, object] = {"media_type": "image/png", "clear": True, **mask}
    one = MediaInput.model_validate({"src": "mask", "role": "mask", "width": size[0], "height": size[1], **facts})
    return image(images=[*pictures, one])


@pytest.mark.parametrize("offer", MASKED)
def test_a_mask_has_the_size_of_its_picture(offer: Offer) -> None:
    made, _ = fit(asked(offer), offer)
    assert Role.MASK in {item.role for item in made.inputs}
    with pytest.raises(InvalidRequest, match="The mask has 768x1024 pixels, and its picture 1024x768") as caught:
        fit(asked(offer, (768, 1024)), offer)
    assert caught.value.field == "images"
    assert (caught.value.hint or "").startswith("Nothing was stored or sent.")


@pytest.mark.parametrize("offer", MASKED)
def test_a_mask_that_was_not_looked_at_is_not_judged(offer: Offer) -> None:
    made, _ = fit(asked(offer, (None, None), clear=None, media_type=None), offer)
    assert Role.MASK in {item.role for item in made.inputs}


@pytest.mark.parametrize("mask", [{"clear": False}, {"media_type": "image/webp"}])
@pytest.mark.parametrize("offer", CLEAR)
def test_where_transparency_tells_what_changes_a_mask_without_it_is_refused(offer: Offer, mask: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="no PNG with transparency"):
        fit(asked(offer, **mask), offer)


def test_the_others_take_masks_of_black_and_white() -> None:
    others = [param.values[0] for param in MASKED if param not in CLEAR]
    assert others
    assert CLEAR
    for offer in others:
        assert isinstance(offer, Offer)
        assert fit(asked(offer, clear=False), offer)[0].inputs


@pytest.mark.parametrize("offer", CLEAR)
def test_a_mask_needs_its_picture(offer: Offer) -> None:
    with pytest.raises(InvalidRequest, match="a mask only together with a source"):
        fit(image(images=["mask=a", "reference=b"]), offer)


@pytest.mark.parametrize("name", ["openai", "azure"])
def test_a_mask_that_is_too_large_to_send_is_refused_at_the_request(name: str) -> None:
    taking = [offer for offer in Providers()[name].offers if offer.clear_mask]
    assert taking
    for offer in taking:
        fit(asked(offer, file_bytes=4_000_000), offer)
        with pytest.raises(InvalidRequest, match=r"The mask has 4\.1 MB, more than") as caught:
            fit(asked(offer, file_bytes=4_100_000), offer)
        assert str(caught.value.allowed).startswith("up to 4 MB")
        assert "Nothing was stored" in (caught.value.hint or "")
