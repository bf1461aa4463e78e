"""Names of settings that there are not: a typing mistake in a budget would otherwise be no budget."""

from collections.abc import Collection

from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.settings import LATER, PREFIX, Settings, set_variables, unread_names


def odd_names(known: Collection[str]) -> list[str]:
    """Return what to say of names in the environment, `.env` and `config.toml` that are none of a setting; blocks.

    Args:
        known: Every variable there is, those of providers included.
    """
    return [
        *(_told(name, "is set", name, known) for name in sorted(set_variables() - set(known))),
        *(_of_config(name, known) for name in sorted(unread_names())),
    ]


def _of_config(name: str, known: Collection[str]) -> str:
    variables = {name.upper(), f"{PREFIX}{name.upper()}"} & set(known)
    meant = name.lower().removeprefix(PREFIX.lower())
    if meant not in Settings.model_fields and variables:
        return f"{name} is set in config.toml, which is not read for it; write {min(variables)} into .env."
    return _told(name, "is set in config.toml", meant, Settings.model_fields)


def _told(name: str, where: str, meant: str, known: Collection[str]) -> str:
    if meant.upper().removeprefix(PREFIX) in LATER:
        return f"{name} {where}, but this version does not use it yet."
    shown = clip(name if name.isprintable() else repr(name))
    return f"{shown} {where}, but darkroom has no such setting.{did_you_mean(meant, known)}"
