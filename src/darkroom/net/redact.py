"""Keeps credentials out of whatever is shown, logged or stored."""

import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "[redacted]"
SHORTEST = 6
"""Characters of a value that is searched for: shorter ones would mask ordinary words."""
_END = r"[^\s\"'<>,;&]"
# Bounded: a provider chooses the text, and the event loop waits for the search.
_TOKENS = re.compile(r"\beyJ[\w-]{8,1000}\.[\w-]{8,}\.[\w-]*")
_KEYS = re.compile(r"\b(?:sk|pk|rk|xai|r8|key|hf|fal)[-_][\w-]{16,}")
# After Key and Token a digit, so that "the key provided" stays readable.
_WORDS = re.compile(rf"(?i)\b((?:bearer|basic)\s+|(?:key|token)\s+(?={_END}*\d)){_END}{{8,}}")
_NAMED = re.compile(
    r"(?i)(?<![a-z0-9])("
    r"(?:api[-_]?key|key|token|sig|signature|secret|password|credential|authorization|policy)"
    rf"[\"']?\s*[=:]\s*[\"']?){_END}{{6,}}"
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without these values and without whatever looks like a credential; twice is as good as once."""
    values = {form for item in secrets if len(item) >= SHORTEST for form in (item, quote(item, safe=""))}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, MASK)
    for shape in (_TOKENS, _KEYS):
        text = shape.sub(MASK, text)
    # Schemes first: in "token: Bearer abc" the name would take the scheme for the value.
    for shape in (_WORDS, _NAMED):
        text = shape.sub(rf"\g<1>{MASK}", text)
    return text
