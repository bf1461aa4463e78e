"""Asks the person at the client: within the call in the handshake era, between a call and its repetition otherwise.

Source: the elicitation pages of the protocol revisions 2025-06-18, 2025-11-25 and 2026-07-28, and the SDK's types.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as made
from decimal import Decimal
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp_types import ClientCapabilities, ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult

from darkroom.server.context import ToolCall

STATELESS = "2026-07-28"
ASKING_S = 40.0
"""How long a call waits for a person, or goes on asking a model: hosts give up on calls that take a minute."""
_KEY = "user"


@dataclass(frozen=True, slots=True)
class Form:
    """One question to a person."""

    text: str
    field: str
    """The name of what is asked for."""
    about: Mapping[str, Any]
    """Its JSON Schema: of one plain value."""
    kept: Mapping[str, Any] = made(default_factory=dict[str, Any])
    """What the repeated call brings back besides."""

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the whole answer."""
        return {"type": "object", "properties": {self.field: dict(self.about)}, "required": [self.field]}

    @property
    def mark(self) -> str:
        """What tells this question from another."""
        told = json.dumps([self.text, self.schema, dict(self.kept)], sort_keys=True)
        return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:16]


def can_ask(context: Context[Any, Any] | None) -> bool:
    """Return whether the client puts questions to its user."""
    return context is not None and shows_forms(context.client_capabilities)


def shows_forms(capabilities: ClientCapabilities | None) -> bool:
    """Return whether a client shows forms to its user; naming no kind of question means forms."""
    found = capabilities.elicitation if capabilities else None
    return found is not None and (found.form is not None or found.url is None)


async def heard(form: Form, context: Context[Any, Any] | None) -> Any | InputRequiredResult | None:
    """Return what the person says to a question.

    Returns:
        The value; False where the person declined; what the client has to answer before it repeats the call (the
        repetition never asks the same again); None where nobody could be asked, or nobody answered in time.
    """
    if context is None or not can_ask(context):
        return None
    if context.protocol_version != STATELESS:
        return _said(await _asked(form, context), form)
    brought: dict[str, Any] = json.loads(context.request_state) if context.request_state else {}
    answer = (context.input_responses or {}).get(_KEY)
    if brought.get("asked") == form.mark and isinstance(answer, ElicitResult):
        return _said(answer, form)
    request = ElicitRequest(params=ElicitRequestFormParams(message=form.text, requested_schema=form.schema))
    state = json.dumps({**form.kept, "asked": form.mark, "once": secrets.token_hex(8)})  # so that rounds differ
    return InputRequiredResult(input_requests={_KEY: request}, request_state=state)


async def _asked(form: Form, context: Context[Any, Any]) -> ElicitResult | None:
    with anyio.move_on_after(ASKING_S):
        try:
            return await context.session.elicit_form(
                form.text, form.schema, related_request_id=context.request_context.request_id
            )
        except MCPError:  # such as a connection on which a server cannot ask
            return None
    return None


def _said(answer: ElicitResult | None, form: Form) -> Any:
    if answer is None:
        return None
    value = (answer.content or {}).get(form.field)
    return value if answer.action == "accept" and value is not None else False


async def agreed(refusal: str, usd: Decimal, call: ToolCall) -> bool | InputRequiredResult | None:
    """Ask whether so much may be spent; see `heard`."""
    text = f"{refusal.rpartition(';')[0]}. Go on?"
    about = {"type": "boolean", "title": f"Spend up to ${usd:f}", "default": False}
    said = await heard(Form(text, "agree", about), call.context)
    return said if isinstance(said, InputRequiredResult) or said is None else said is True


def round_key(context: Context[Any, Any] | None) -> dict[str, str]:
    """Return the idempotency key of a round that was answered; nothing where the answer came within the call."""
    state = context.request_state if context is not None else None
    return {"idempotency_key": f"round {hashlib.sha256(state.encode()).hexdigest()[:32]}"} if state else {}
