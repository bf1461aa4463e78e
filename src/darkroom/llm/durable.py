"""A model whose every request is written down before and after it, so that a killed process loses none."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from darkroom.domain.money import MicroUsd
from darkroom.domain.request import clip
from darkroom.domain.run import Awaits
from darkroom.domain.sampling import Suspended
from darkroom.errors import (
    AuthFailed,
    ContentBlocked,
    DarkroomError,
    StorageError,
    TimedOut,
    UnexpectedAnswer,
)
from darkroom.llm.book import Book, CallPrice
from darkroom.llm.limits import (
    ANSWER_TOKENS,
    REFUSALS,
    RETRIES,
    SAME_CALLS,
    TOKENS,
    TURNS,
    USUAL_TOKENS,
    most_tokens,
    pause_s,
    rough_tokens,
)
from darkroom.llm.sampling import SamplingModel
from darkroom.llm.wire import ESTIMATED, TOLD_COST, texts_of
from darkroom.net.classify import Verdict, verdict_of
from darkroom.services.chat_models import ChatChoice

WAITS = "wait_for_jobs"
"""The one tool whose repetition is no sign of a model that turns in circles."""
SMALLER = "Ask for less at once, or name another model."
REASON = 200
"""Letters of a model's own reason that are told."""
LOST = "The model was not asked again by itself; a guess of what the call cost is booked, as uncertain."


class DurableModel(WrapperModel):
    """Asks the model that it wraps, and keeps the books.

    Args:
        wrapped: Who is asked.
        book: Of the run.
        choice: Whose tokens are paid for; None where the caller's own model is asked.
        talk: The conversation as the library keeps it, growing.
    """

    def __init__(self, wrapped: Model[Any], book: Book, choice: ChatChoice | None, talk: list[ModelMessage]) -> None:
        super().__init__(wrapped)
        self._book = book
        self._choice = choice
        self._talk = talk

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask once; an answer that is lost is not asked for again, since it may have been charged.

        Raises:
            Saved: If the run ends, waits, or is given back instead.
            Stopped: If it is to be cancelled.
            Lost: If it is somebody else's by now.
            StorageError: If it cannot be kept.
        """
        started = bool(messages) and isinstance(messages[-1], ModelResponse)  # a turn that the provider interrupted
        talk = [*self._talk, messages[-1]] if started else list(self._talk)
        await self._may_go_on(talk)
        price = self._price(messages, model_request_parameters, talk)
        await self._book.begin(as_json(talk), self._choice and self._choice.name, price)
        try:
            answer = await self.wrapped.request(messages, model_settings, model_request_parameters)
        except Suspended:
            await self._book.wait(Awaits.CLIENT, waiting_for=(), due_at=0, work={"pending": self._pending()})
        except StorageError:
            raise
        except DarkroomError as exc:
            await self._unanswered(exc, price)
        await self._answered(answer, talk, price)
        return answer

    async def _may_go_on(self, talk: Sequence[ModelMessage]) -> None:
        """Look at everything that ends a run before the model is asked again."""
        book, run = self._book, self._book.run
        answers = self._answers(talk)
        book.said = last_words(answers) or book.said
        await book.look()
        if len(answers) >= TURNS:
            await book.fail(
                UnexpectedAnswer(f"The model came to no end in {TURNS} turns and was stopped.", hint=SMALLER)
            )
        if run.input_tokens + run.output_tokens >= TOKENS:
            await book.fail(
                UnexpectedAnswer(f"The model came to no end in {TOKENS:,} tokens and was stopped.", hint=SMALLER)
            )
        if run.deadline_at is not None and book.now() >= run.deadline_at:
            await book.fail(TimedOut("The run's time is over."))
        if (tool := _wrong_again(talk)) is not None:  # the library counts within one call of a lending client only
            await book.fail(wrongly(repr(tool)))
        if (same := _in_circles(answers)) is not None:
            await book.fail(
                UnexpectedAnswer(
                    f"The model called {same} {SAME_CALLS} times in a row with the same arguments and was stopped.",
                    hint="Say the task in other words, or name another model.",
                )
            )

    def _answers(self, talk: Sequence[ModelMessage]) -> list[ModelResponse]:
        """Return the answers of this run alone, not those of its session."""
        own = talk[int(self._book.run.work.get("base", 0)) :]
        return [message for message in own if isinstance(message, ModelResponse)]

    def _price(
        self, messages: Sequence[ModelMessage], params: ModelRequestParameters, talk: Sequence[ModelMessage]
    ) -> CallPrice | None:
        """Return what a request may cost; None where no price is known or none is paid.

        The guess is for a call of which nobody learns what was charged: its words, and an answer as long as those
        before it.
        """
        if self._choice is None:
            return None
        tools = [*params.function_tools, *params.output_tools]
        texts = [text for message in messages for text in texts_of(message.parts)]
        texts += [json.dumps([tool.name, tool.description, tool.parameters_json_schema]) for tool in tools]
        answers = len(self._answers(talk))
        usual = self._book.run.output_tokens // answers if answers else USUAL_TOKENS
        most = self._choice.cost(sum(map(most_tokens, texts)), ANSWER_TOKENS)
        guess = self._choice.cost(sum(map(rough_tokens, texts)), usual)
        return None if most is None or guess is None else CallPrice(most, min(guess, most))

    async def _answered(self, answer: ModelResponse, talk: Sequence[ModelMessage], price: CallPrice | None) -> None:
        """Book an answer, and end the run where it is a refusal."""
        book, usage = self._book, answer.usage
        details = answer.provider_details or {}
        ledger, cost = (), MicroUsd(0)
        if self._choice is not None:
            told: Any = details.get(TOLD_COST)
            own = self._choice.cost(usage.input_tokens, usage.output_tokens)
            cost = MicroUsd(told) if isinstance(told, int) else own
            ledger = book.settled(cost, certain=ESTIMATED not in details)
        counted: dict[str, Any] = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "ledger": ledger,
        }
        if answer.finish_reason == "content_filter":
            await book.fail(_refused(answer), **counted)
        if answer.finish_reason == "length":
            book.warn(f"An answer of the model was cut at its bound of {ANSWER_TOKENS:,} tokens.")
        left = await book.left()
        if left is not None:  # what was reserved for this very call still counts in it
            left = MicroUsd(left + (price.most if price else 0) - (cost or 0))
        work = {"messages": as_json(_joined(talk, answer)), "asking": False, "left": left}
        await book.save(work=work | {"broken": 0, "refused": 0, "pending": None}, **counted)
        book.said = last_words([answer]) or book.said
        await book.look()

    async def _unanswered(self, error: DarkroomError, price: CallPrice | None) -> NoReturn:
        """Book a call that brought no answer, and give the run back or end it."""
        book = self._book
        if self._choice is None:
            await book.fail(error)
        verdict = verdict_of(error)
        if verdict is Verdict.FINAL:
            await book.fail(self._with_key(error), ledger=book.released())
        if verdict is Verdict.REFUSED:
            await self._come_back(error)
        told: dict[str, Any] = {"provider_code": error.provider_code, "provider_message": error.provider_message}
        await book.fail(
            type(error)(error.message, hint=LOST, **told), ledger=book.settled(price and price.guess, certain=False)
        )

    def _with_key(self, error: DarkroomError) -> DarkroomError:
        """Return an error that names the variable whose key was not accepted, where that is the trouble."""
        if not isinstance(error, AuthFailed) or self._choice is None:
            return error
        provider = self._choice.provider
        names = self._book.kit.accounts().credential(provider) or next(iter(provider.credentials), ())
        told = f"{error.message.rstrip('.')}; it is set as {' and '.join(names)}." if names else error.message
        return AuthFailed(
            told,
            hint="Set the right key and start darkroom again, or name another model.",
            provider_code=error.provider_code,
            provider_message=error.provider_message,
        )

    async def _come_back(self, error: DarkroomError) -> NoReturn:
        """Give the run back until the provider may have room again."""
        book = self._book
        refused = int(book.run.work.get("refused", 0)) + 1
        if refused > REFUSALS:
            await book.fail(error, ledger=book.released())
        seconds = error.retry_after_s if error.retry_after_s is not None else pause_s(refused)
        work = {"asking": False, "refused": refused}
        await book.give_back(book.now() + int(seconds * 1000), work=work, ledger=book.released())

    def _pending(self) -> Any:
        wrapped = self.wrapped
        return wrapped.asked.model_dump(mode="json") if isinstance(wrapped, SamplingModel) and wrapped.asked else None


def as_json(messages: Sequence[ModelMessage]) -> list[Any]:
    """Return a conversation as JSON data."""
    return ModelMessagesTypeAdapter.dump_python(list(messages), mode="json")


def from_json(data: list[Any]) -> list[ModelMessage]:
    """Return a conversation that was kept as JSON data."""
    return ModelMessagesTypeAdapter.validate_python(data)


def last_words(answers: Sequence[ModelResponse]) -> str | None:
    """Return the newest words among answers; None where there are none."""
    for answer in reversed(answers):
        text = "".join(part.content for part in answer.parts if isinstance(part, TextPart)).strip()
        if text:
            return text
    return None


def call_of(part: ToolCallPart) -> str:
    """Return a tool call as it is compared: its tool and arguments, whatever their order."""
    return f"{part.tool_name} {json.dumps(part.args_as_dict(), sort_keys=True)}"


def _wrong_again(talk: Sequence[ModelMessage]) -> str | None:
    """Return the tool that the newest answers all called wrongly, once too often; None where they did not."""
    tools: list[frozenset[str]] = []
    for message in reversed(talk):
        if isinstance(message, ModelRequest):
            parts = (part for part in message.parts if isinstance(part, ToolReturnPart))
            tools.append(frozenset(part.tool_name for part in parts if part.outcome == "retried"))
        if len(tools) > RETRIES:
            break
    if len(tools) <= RETRIES:
        return None
    return min(tools[0].intersection(*tools[1:]), default=None)


def wrongly(tool: str) -> UnexpectedAnswer:
    """Return what is said of a tool, named in quotes, that the model called wrongly as often as it may."""
    return UnexpectedAnswer(
        f"The model called the tool {tool} wrongly {RETRIES + 1} times.",
        hint="Name another model, or say the task in other words.",
    )


def _in_circles(answers: Sequence[ModelResponse]) -> str | None:
    """Return the tool that the newest answers all call with the same arguments; None where they do not."""
    newest = [
        sorted(call_of(part) for part in answer.parts if isinstance(part, ToolCallPart))
        for answer in answers[-SAME_CALLS:]
    ]
    if len(newest) < SAME_CALLS or not newest[0] or any(calls != newest[0] for calls in newest):
        return None
    tool = newest[0][0].partition(" ")[0]
    return None if tool == WAITS else tool


def _joined(talk: Sequence[ModelMessage], answer: ModelResponse) -> list[ModelMessage]:
    """Return the conversation with an answer, or with the rest of one that was interrupted."""
    if talk and isinstance(begun := talk[-1], ModelResponse):
        parts = [*begun.parts, *answer.parts]
        whole = ModelResponse(parts=parts, finish_reason=answer.finish_reason, provider_name=answer.provider_name)
        whole.state = answer.state
        return [*talk[:-1], whole]
    return [*talk, answer]


def _refused(answer: ModelResponse) -> ContentBlocked:
    details = answer.provider_details or {}
    words = " ".join(str(details.get("refusal") or last_words([answer]) or "").split())
    return ContentBlocked(
        f"The language model refused the request{f': {clip(words, REASON)!r}' if words else '.'}",
        hint="Say the task in other words, or name another model.",
        provider_message=words[:200] or None,
    )
