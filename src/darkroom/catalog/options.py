"""Checks provider options against what a manifest declares."""

import re
from collections.abc import Mapping

from pydantic import JsonValue

from darkroom.catalog.providers import Offer, Option
from darkroom.domain.kinds import Mode
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import RESERVED_OPTIONS, clip
from darkroom.errors import InvalidRequest, Unsupported

HINT = "Nothing was stored or sent."
LARGEST = 1e15
"""Beyond it, numbers have no steps any more; no provider counts that far."""
ENHANCERS = ("enhance_prompt", "prompt_optimizer", "prompt_upsampling")
"""What manifests call the option that `enhance` stands for: the provider rewrites the prompt."""
GENERAL = ("enhance", "grounding", "safety")
"""Names that callers may always give, since they mean the same everywhere; left out by offers without them when off."""
_TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,)}


def check_options(options: Mapping[str, JsonValue], offer: Offer, mode: Mode | None = None) -> dict[str, JsonValue]:
    """Return the options by the offer's own names, with its defaults for the operation, or for all, filled in.

    Raises:
        InvalidRequest: If a name or a value is not the offer's, or two options do not go together.
        Unsupported: If the provider no longer has the option, or not for this operation.
    """
    options = {name: _meant(value, offer.options.get(name)) for name, value in _renamed(options, offer).items()}
    for name, value in options.items():
        _check_one(name, value, offer, mode)
    usual = ((name, option) for name, option in offer.options.items() if _is_for(option, mode))
    defaults = {name: option.default for name, option in usual if option.default is not None}
    filled = {**defaults, **options}
    for name in options:
        _check_company(name, options, filled, offer)
    return filled


def allowed_values(option: Option) -> str:
    """Return in words what an option may hold."""
    if option.values:
        return ", ".join([*option.words, *(str(value) for value in option.values)])
    if option.pattern is not None:
        return option.about or option.pattern
    if option.min is None and option.max is None:
        return option.type
    low = "" if option.min is None else f" from {option.min:g}"
    high = "" if option.max is None else f" up to {option.max:g}"
    bounds = f"{option.type}{low}{high}"
    return f"{bounds} in steps of {option.step:g}" if option.step else bounds


def _renamed(options: Mapping[str, JsonValue], offer: Offer) -> dict[str, JsonValue]:
    """Return the options with `enhance` by the offer's own name; what is off and not the offer's is left out."""
    own = next((name for name in ENHANCERS if name in offer.options), "enhance")
    named = {own if name == "enhance" else name: value for name, value in options.items()}
    return {name: value for name, value in named.items() if name not in GENERAL or name in offer.options or value}


def _meant(value: JsonValue, option: Option | None) -> JsonValue:
    """Return the offer's own value of a plain word."""
    return option.words.get(value.strip().lower(), value) if option and isinstance(value, str) else value


def _is_for(option: Option, mode: Mode | None) -> bool:
    return mode is None or not option.operations or mode in option.operations


def _check_one(name: str, value: JsonValue, offer: Offer, mode: Mode | None) -> None:
    option = offer.options.get(name)
    if option is None:
        known = (*offer.options, *RESERVED_OPTIONS)
        raise InvalidRequest(
            f"{offer.model} has no option {clip(name)!r}.{did_you_mean(name, known)}",
            field=f"options.{clip(name)}",
            allowed=list(known),
            hint=HINT,
        )
    if option.gone:
        raise Unsupported(
            f"The option {name!r} is gone: {option.gone}", field=f"options.{name}", hint=f"{HINT} Leave it out."
        )
    if mode is not None and not _is_for(option, mode):
        raise Unsupported(
            f"{offer.model} takes no option {name!r} to {mode.replace('_', ' ')}.",
            field=f"options.{name}",
            hint=f"{HINT} Leave it out.",
        )
    if not _fits(value, option):
        raise InvalidRequest(
            f"options.{name} cannot be {clip(value)!r} with {offer.model}.",
            field=f"options.{name}",
            allowed=allowed_values(option),
            hint=HINT,
        )


def _fits(value: JsonValue, option: Option) -> bool:
    if isinstance(value, bool) is not (option.type == "boolean") or not isinstance(value, _TYPES[option.type]):
        return False
    if option.values:
        return value in option.values
    if isinstance(value, str) and option.pattern is not None:
        return re.fullmatch(option.pattern, value) is not None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= LARGEST:
            return False
        low_enough = option.max is None or value <= option.max
        high_enough = option.min is None or value >= option.min
        steps = (value - (option.min or 0)) / option.step if option.step else 0.0
        return low_enough and high_enough and abs(steps - round(steps)) < 1e-9
    return True


def _check_company(name: str, options: Mapping[str, JsonValue], filled: Mapping[str, JsonValue], offer: Offer) -> None:
    """Check an option that was asked for against the others: those asked for, and with defaults those it needs."""
    option = offer.options[name]
    for other, value in option.requires.items():
        wanted = value if isinstance(value, list) else [value]
        if filled.get(other) not in wanted:
            words = " or ".join(repr(item) for item in wanted)
            raise InvalidRequest(f"options.{name} needs options.{other} = {words}.", field=f"options.{name}", hint=HINT)
    for other, value in option.clashes.get(str(options[name]), {}).items():
        if filled.get(other) == value:
            raise InvalidRequest(
                f"options.{name} = {options[name]!r} does not go with options.{other} = {value!r}.",
                field=f"options.{name}",
                hint=HINT,
            )
    for other in option.forbidden_with:
        if other in options:
            raise InvalidRequest(
                f"options.{name} does not go with options.{other}.", field=f"options.{name}", hint=HINT
            )
