"""How far a run may go, and how tokens are told without a tokenizer."""

import math

TURNS = 20
"""Answers of the model in one run."""
TOKENS = 500_000
"""Tokens in and out of one run."""
ANSWER_TOKENS = 8_192
"""The longest answer that is asked for."""
USUAL_TOKENS = 500
"""An answer as long as most are, a few tool calls or paragraphs, where this run has none to go by."""
BROKEN = 5
"""Model calls in a row that were broken off by the end of their process."""
REFUSALS = 4
"""Times in a row that a provider without room is asked again: within 45 s where it names no time itself."""
FIRST_PAUSE_S = 3.0
SAME_CALLS = 4
"""Answers in a row with the same tool calls before the run is stopped."""
RETRIES = 2
"""Times that a tool's arguments may be put right."""
CALL_S = 300.0
"""Seconds for one model call."""
LOOK_S = 600.0
"""How long a run waits for work before it looks itself."""
CONTEXT_CHARS = 24_000
HISTORY_TOKENS = 12_000
"""Of the session, newest first."""
RESULT_CHARS = 8_000
"""Of a tool's answer."""


def rough_tokens(text: str) -> int:
    """Return about how many tokens a text is: four bytes are one, as they are in English."""
    return math.ceil(len(text.encode()) / 4)


def most_tokens(text: str) -> int:
    """Return how many tokens a text may be at most, or nearly: three bytes are one."""
    return math.ceil(len(text.encode()) / 3)


def pause_s(refusals: int) -> float:
    """Return the seconds to wait after so many refusals in a row, where the provider names none."""
    return FIRST_PAUSE_S * 2 ** (refusals - 1)
