"""What language models charge by the token, from the tables that genai-prices ships; never asks the network."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache


@lru_cache(4096)
def token_cost(name: str, input_tokens: int, output_tokens: int, day: date) -> Decimal | None:
    """Return US dollars for so many tokens at `provider:model`, or None when the tables do not know the model."""
    from genai_prices import Usage, calc_price

    provider, _, model = name.partition(":")
    try:
        found = calc_price(
            Usage(input_tokens=input_tokens, output_tokens=output_tokens),
            model,
            provider_id=provider,
            genai_request_timestamp=datetime.combine(day, time(12), UTC),
        )
    except LookupError:
        return None
    return found.total_price
