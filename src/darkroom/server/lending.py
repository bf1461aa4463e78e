"""Runs that the client's own model thinks about: asked during a call in the handshake era, between two otherwise."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    REQUEST_TIMEOUT,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    CreateMessageResultWithTools,
    InputRequiredResult,
)

from darkroom.clock import Clock
from darkroom.domain.request import clip
from darkroom.domain.run import Awaits, Run, RunState
from darkroom.domain.sampling import Sampler, SampleRequest, SampleResponse, Suspended
from darkroom.errors import ProviderFailed
from darkroom.server.asking_user import ASKING_S, STATELESS
from darkroom.server.client_model import answered, asked, can_sample, mark, takes_tools
from darkroom.server.context import ToolCall
from darkroom.server.telling import Teller
from darkroom.services.jobs import at_rest
from darkroom.services.runs import rests

ROUNDS = 10
"""How often one call may ask the client; its SDKs give up after as many."""
_KEY = "model"
_GONE = (CONNECTION_CLOSED, REQUEST_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Told:
    """What a repeated call of the stateless era brings back: its run, how often it was asked, and what exactly."""

    run: str
    rounds: int
    mark: str


def told(context: Context[Any, Any] | None) -> Told | None:
    """Return what a call brings back; None for the first of a series."""
    state = context.request_state if context is not None else None
    brought: dict[str, Any] = json.loads(state) if state else {}
    return Told(brought["run"], brought.get("rounds", 0), brought.get("mark", "")) if "run" in brought else None


async def thought(run: Run, call: ToolCall, seconds: float) -> Run | InputRequiredResult:
    """Advance a run by whoever thinks about it, until it rests or the time is over.

    Args:
        run: Any run of the caller's.
        call: The call; where the client lends its model, that is asked as often as one call may.
        seconds: How long to wait for jobs, and for thinking that is not the client's.

    Returns:
        The run as it then is, or what the client has to answer before it repeats the call.
    """
    program, teller = call.program, Teller(call)
    lent = _lent(call, teller)
    end = program.clock.monotonic() + seconds
    while True:
        if run.awaits is Awaits.CLIENT:
            if lent is None or lent.spent:
                return run
            run = await program.sampled(run, lent)
            if isinstance(lent, _Holding) and lent.question is not None and run.awaits is Awaits.CLIENT:
                return _required(run, lent)
        left = end - program.clock.monotonic()
        ids = await _awaited(run, call) if left > 0 else ()
        if not ids:
            return run
        await program.runs.wait(ids, call.principal, left, teller.tell)
        run = await program.runs.get(run.id, call.principal)


async def _awaited(run: Run, call: ToolCall) -> Sequence[str]:
    """Return what is worth waiting for: the run, or where it rests the jobs that it started and those it needs."""
    if run.awaits is Awaits.CLIENT:
        return run.waiting_for
    if run.state is RunState.SUCCEEDED:
        return [job.id for job in await call.program.runs.jobs_of(run) if not at_rest(job)]
    return () if rests(run) else (run.id,)


def _lent(call: ToolCall, teller: Teller) -> "_Asking | _Holding | None":
    """Return the client's model as it can be asked; None where it is not lent."""
    context = call.context
    if context is None or not can_sample(context):
        return None
    if context.protocol_version != STATELESS:
        return _Asking(context, call.program.clock, teller)
    return _Holding(context, told(context))


def _required(run: Run, lent: "_Holding") -> InputRequiredResult | Run:
    """Return what the client has to answer; the run, where it has answered as often as it may."""
    if lent.question is None or lent.rounds >= ROUNDS:
        return run
    state = {"run": run.id, "rounds": lent.rounds + 1, "mark": mark(lent.question)}
    request = CreateMessageRequest(params=asked(lent.question))
    return InputRequiredResult(input_requests={_KEY: request}, request_state=json.dumps(state))


class _Asking(Sampler):
    """Asks in the middle of the call, so often and so long at most."""

    def __init__(self, context: Context[Any, Any], clock: Clock, teller: Teller) -> None:
        self._context = context
        self._clock = clock
        self._teller = teller
        self._until = clock.monotonic() + ASKING_S
        self._rounds = 0
        self.spent = False
        """Whether it is not asked again in this call."""
        self.native_tools = takes_tools(context)

    async def sample(self, request: SampleRequest) -> SampleResponse:
        """Return what the client's model says; see the protocol."""
        if self._rounds >= ROUNDS or self._clock.monotonic() >= self._until:
            self.spent = True
            raise Suspended
        self._rounds += 1
        await self._teller.say(f"asking your model, turn {self._rounds}")
        try:
            return answered(await self._ask(asked(request)))
        except MCPError as exc:
            if exc.error.code in _GONE:
                self.spent = True
                raise Suspended from exc
            raise ProviderFailed(
                f"The client did not let its model answer: {clip(exc.error.message, 200)}.",
                hint="Try again, or set the key of a language model.",
            ) from exc

    async def _ask(self, params: CreateMessageRequestParams) -> CreateMessageResult | CreateMessageResultWithTools:
        tools: dict[str, Any] = {"tools": params.tools, "tool_choice": params.tool_choice} if params.tools else {}
        session: Any = self._context.session
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MCPDeprecationWarning)  # the older era has no other way
            asking = session.create_message(
                params.messages,
                max_tokens=params.max_tokens,
                system_prompt=params.system_prompt,
                related_request_id=self._context.request_context.request_id,
                **tools,
            )
        return await asking


class _Holding(Sampler):
    """Gives the word that the call brought, once and to the question that it answers; then there is a new question."""

    spent = False

    def __init__(self, context: Context[Any, Any], brought: Told | None) -> None:
        answer = (context.input_responses or {}).get(_KEY) if brought else None
        self._answer = answer if isinstance(answer, CreateMessageResult | CreateMessageResultWithTools) else None
        self._mark = brought.mark if brought else ""
        self.rounds = brought.rounds if brought else 0
        self.question: SampleRequest | None = None
        self.native_tools = takes_tools(context)

    async def sample(self, request: SampleRequest) -> SampleResponse:
        """Return what the client's model said; see the protocol."""
        answer, self._answer = self._answer, None
        if answer is None or mark(request) != self._mark:
            self.question = request
            raise Suspended
        return answered(answer)
