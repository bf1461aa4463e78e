"""The built-in draft engine: labelled pictures and clips with no key and no network."""

from darkroom.adapters.draft.adapter import create

__all__ = ["create"]
