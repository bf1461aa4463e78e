"""What is shown of a callback: never its whole address, which may hold a token."""

from typing import Any

from darkroom.domain.run import Callback, Delivery


def callback_view(callback: Callback) -> dict[str, Any]:
    """Return how far a callback is; absent means null. Times are milliseconds since 1970."""
    data = {
        "host": callback.host,
        "invocation_id": callback.invocation_id or callback.subject,
        "status": callback.state.value,
        "attempts": callback.attempts,
        "http_status": callback.status,
        "error": callback.error,
        "next_attempt_at": callback.due_at if callback.state is Delivery.DUE else None,
        "delivered_at": callback.delivered_at,
    }
    return {name: value for name, value in data.items() if value is not None}
