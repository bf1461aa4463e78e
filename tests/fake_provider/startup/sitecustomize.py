"""Lets every Python process that has this folder on its path know the adapter of the fake provider."""

from pathlib import Path

try:
    from darkroom import adapters
except ImportError:
    pass
else:
    adapters.__path__.append(str(Path(__file__).parent.parent / "adapters"))
