"""Whether the body of an offer has a place for every picture of a request."""

from collections.abc import Collection, Mapping

from darkroom.catalog.providers import Offer, Provider
from darkroom.catalog.wires import Form, Slot
from darkroom.domain.kinds import Mode, Role
from darkroom.domain.request import Effective
from darkroom.errors import Unsupported

NOTHING = "Nothing was stored or sent."


def places(provider: Provider, offer: Offer, mode: Mode) -> Mapping[str, Slot]:
    """Return where each value goes: for this operation, else this offer, else everywhere at the provider's."""
    return {**provider.fields, **offer.fields, **offer.fields_of.get(mode, {})}


def form_for(provider: Provider, offer: Offer, roles: Collection[Role | None]) -> Form:
    """Return in which form the inputs of one call go out, by what they are for."""
    clips = provider.clips if Role.VIDEO in roles else None
    return clips or offer.pictures or provider.pictures


def check_places(provider: Provider, offer: Offer, request: Effective) -> None:
    """Refuse pictures that have no place in the body, share a place for one, or lack the address that they go by.

    Raises:
        Unsupported: If there is such a picture.
    """
    slots = places(provider, offer, request.mode)
    if not slots:  # an adapter that writes its bodies without a manifest's help
        return
    form = form_for(provider, offer, {item.role for item in request.inputs})
    taken = set[str]()
    for item in request.inputs:
        role = item.role or Role.REFERENCE
        slot = slots.get(role)
        to = slot.to if slot is not None else ""
        if not to or to in taken:
            other = " together with the others" if to else ""
            raise Unsupported(
                f"{offer.model} takes no picture as {role}{other} to {request.mode.replace('_', ' ')}.",
                field="images",
                hint=f"{NOTHING} Leave it out, or name another model.",
            )
        taken |= set[str]() if to.endswith(("[]", "#")) else {to}
        if form is Form.URL and item.url is None and not item.src.lower().startswith("https:"):
            raise Unsupported(
                f"{provider.title} takes pictures by their https address only.",
                field="images",
                hint=f"{NOTHING} Give the address of the picture, or name another model.",
            )
