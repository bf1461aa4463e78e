"""The built-in draft engine: labelled pictures and clips with no key and no network."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkroom.adapters.draft.adapter import DraftAdapter


def create(_http: object = None) -> "DraftAdapter":
    """Return the adapter; its worker processes import this package too and need none of the adapter's modules."""
    from darkroom.adapters.draft.adapter import create as make

    return make()
