"""Says of a name that nothing has whether a refused manifest of the user's own has it."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from darkroom.catalog.providers import Provider, Providers, normal
from darkroom.errors import UnknownModel

_NAMES = re.compile(r"""^\s*(?:model|id|aliases|family)\s*=\s*(.*)$""", re.MULTILINE)
_QUOTED = re.compile(r"""["']([^"']+)["']""")


def explained(error: UnknownModel, providers: Mapping[str, Provider], *names: str | None) -> UnknownModel:
    """Return the error, with the reason where a refused manifest has one of the names; blocks."""
    if not isinstance(providers, Providers):
        return error
    wanted = {normal(part) for name in names if name for part in (name, *name.split("/"))}
    for path, problem in providers.refused.items():
        if wanted & _named(path):
            return UnknownModel(
                f"{error.message} Your manifest {path.name} names it and was refused: {problem}.",
                field=error.field,
                allowed=error.allowed,
                hint="Nothing was stored or sent. Mend that file and start darkroom again.",
            )
    return error


def _named(path: Path) -> set[str]:
    """Return the names in a manifest, which may be broken."""
    text = ""
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="utf-8")
    names = (name for line in _NAMES.findall(text) for name in _QUOTED.findall(line))
    return {normal(path.stem), *(normal(name) for name in names)}
