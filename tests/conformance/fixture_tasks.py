"""The tools of the suite that go on as tasks: real jobs and runs, of an engine and a model that do as they are told."""

import re
from collections.abc import Awaitable, Callable

from mcp.server.mcpserver import require_client_extension
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations

from conformance.fixture_asking import NAME, answers, field_of
from conformance.fixture_media import PICTURE
from darkroom.adapters.base import Accepted, Call, Cancelled, Failed, Follow, Json, Made, Pending, Succeeded
from darkroom.domain.money import FREE
from darkroom.domain.request import ImageRequest
from darkroom.errors import ProviderError
from darkroom.server.answers import patience, started_answer
from darkroom.server.context import Tool, ToolCall
from darkroom.server.run_answers import run_answer
from darkroom.server.schema import ToolArgs
from darkroom.server.tasks import IDENTIFIER
from darkroom.services.caps import Terms
from darkroom.services.tasks import Task
from helpers_chat_model import Json as Message
from helpers_chat_model import calling, results, saying, tool_call

SLOW = "A picture that takes {seconds:g} s."
FAILING = "A picture that fails after 1 s."
CONFIRM, BOTH, GREET = "Ask whether a file may be deleted.", "Ask for a name and a colour.", "Greet "
QUESTIONS = {CONFIRM: ("May it be deleted?",), BOTH: ("Which name?", "Which colour?")}


class Engine:
    """Stands in for every provider: makes a picture when the time is over that its prompt tells, or fails then."""

    def adapter(self, provider_id: str) -> "Engine":
        """Return the adapter of a provider."""
        return self

    async def aclose(self) -> None:
        """Hold nothing."""

    async def submit(self, call: Call) -> Accepted:
        """Note when it will be over."""
        told = re.search(r"([\d.]+) s\.$", call.request.prompt or "")
        ends = call.now + int(1000 * float(told[1] if told else 0))
        operation: Json = {"ends": ends, "fails": call.request.prompt == FAILING}
        return Accepted(operation, call.submit_key, poll_after_s=0.05)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Tell whether it is over."""
        if call.now < int(str(operation["ends"])):
            return Pending(None, "drawing", 0.1)
        if operation["fails"]:
            return Failed(ProviderError("The engine fails where it is told to."))
        return Succeeded((Made(PICTURE, "image/png"),), cost=FREE)

    async def cancel(self, operation: Json, call: Follow) -> Cancelled:
        """Stop at once."""
        return Cancelled(FREE)


def model(request: Message) -> Message:
    """Answer as the language model of the agents: ask what the task says, then be done."""
    task = next(str(item["content"]) for item in request["messages"] if item["role"] == "user")
    questions = next((asked for words, asked in QUESTIONS.items() if words in task), ())
    if questions and not results(request):
        numbered = enumerate(questions)
        return calling(*(tool_call(f"call_{number}", "ask_user", {"question": text}) for number, text in numbered))
    greeted = re.search(rf"{GREET}(\w+)", task)
    return saying(f"Hello, {greeted[1]}!" if greeted else "It is done.")


class SlowArgs(ToolArgs):
    """How long it takes."""

    seconds: float
    label: str | None = None


class NoArgs(ToolArgs):
    """Takes nothing."""


class FileArgs(ToolArgs):
    """What would be deleted."""

    filename: str


async def drawn(prompt: str, call: ToolCall, wait: float | None) -> CallToolResult:
    """Start a job as `generate_image` does, and answer as it does."""
    terms = Terms(principal=call.principal, again=True)
    started = await call.program.generation.start(ImageRequest(prompt=prompt), terms)
    return await started_answer(started, call, patience(wait, call))


async def thought(task: str, call: ToolCall) -> CallToolResult:
    """Start a run as `run_agent` does, and answer at once."""
    started = await call.program.runs.start(Task(task, agent="image"), Terms(principal=call.principal))
    return await run_answer(started.run, call)


async def slow_compute(args: SlowArgs, call: ToolCall) -> CallToolResult:
    return await drawn(SLOW.format(seconds=args.seconds), call, 0 if args.seconds else None)


async def failing_job(_: NoArgs, call: ToolCall) -> CallToolResult:
    assert call.context is not None
    require_client_extension(call.context.request_context, IDENTIFIER)
    return await drawn(FAILING, call, 0)


async def confirm_delete(args: FileArgs, call: ToolCall) -> CallToolResult:
    return await thought(f"{CONFIRM} It is called {args.filename}.", call)


async def multi_input(_: NoArgs, call: ToolCall) -> CallToolResult:
    return await thought(BOTH, call)


async def with_task(_: NoArgs, call: ToolCall) -> CallToolResult | InputRequiredResult:
    given = answers(call.context, NAME)
    if given is None:
        return InputRequiredResult(input_requests=dict(NAME))
    return await thought(GREET + field_of(given["user_name"], "name"), call)


def made(
    name: str,
    run: Callable[..., Awaitable[CallToolResult | InputRequiredResult]],
    about: str,
    args: type[ToolArgs] = NoArgs,
) -> Tool:
    """Return a tool that starts something."""
    return Tool(name, name, about, args, {"type": "object"}, ToolAnnotations(), run, starts=True)


TASKS = (
    made("slow_compute", slow_compute, "Takes as long as it is told to.", SlowArgs),
    made("failing_job", failing_job, "Fails after a second, as a task only."),
    made("confirm_delete", confirm_delete, "Asks one question on the way.", FileArgs),
    made("multi_input", multi_input, "Has two questions on the way."),
    made("test_tool_with_task", with_task, "Asks first, and goes on as a task."),
)
