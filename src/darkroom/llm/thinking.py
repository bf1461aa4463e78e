"""One stretch of a run's thinking: from where it was left to where it ends, waits, or is given back."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, cast

import anyio.to_thread
import jsonschema
from pydantic import JsonValue
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, StructuredDict, capture_run_messages
from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelRetry,
    OutputTokenLimitExceeded,
    UnexpectedModelBehavior,
    UserError,
)
from pydantic_ai.messages import ModelMessage, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.usage import UsageLimits

from darkroom.catalog.agents import Agent as Persona
from darkroom.domain.run import Awaits, Mode, Question, Run
from darkroom.domain.sampling import Sampler
from darkroom.errors import (
    ContentBlocked,
    DarkroomError,
    InvalidRequest,
    NotConfigured,
    ProviderFailed,
    TimedOut,
    UnexpectedAnswer,
)
from darkroom.llm.book import Book, Lost, Saved, Stopped
from darkroom.llm.durable import DurableModel, as_json, from_json, wrongly
from darkroom.llm.kit import LoopKit
from darkroom.llm.limits import ANSWER_TOKENS, LOOK_S, RETRIES
from darkroom.llm.prompts import opening
from darkroom.llm.sampling import SamplingModel
from darkroom.llm.tools import ASK_USER, WAIT_FOR_JOBS, Hands, at_rest
from darkroom.llm.wire_anthropic import AnthropicModel
from darkroom.llm.wire_openai import OpenAIModel
from darkroom.services.agents import keeps_answers
from darkroom.services.chat_models import ChatChoice

log = logging.getLogger(__name__)
WIRES: Mapping[str, Callable[..., Model[Any]]] = {"openai": OpenAIModel, "anthropic": AnthropicModel}


async def think(kit: LoopKit, run: Run, owner: str, sampler: Sampler | None) -> Run | None:
    """Advance a run; see `Loop.think`."""
    book = Book(kit, run, owner)
    try:
        return await _Stretch(book, sampler).go()
    except Lost:
        return None
    except Saved as exc:
        return exc.run
    except Stopped:
        try:
            return await book.cancel()
        except Lost:
            return None


class _Stretch:
    def __init__(self, book: Book, sampler: Sampler | None) -> None:
        self._book = book
        self._kit = book.kit
        self._sampler = sampler
        self._persona: Persona | None = None

    async def go(self) -> Run:
        """Think until the end.

        Raises:
            Saved, Stopped, Lost: As the book does.
            StorageError: If something cannot be kept.
        """
        book = self._book
        await book.recover()
        await book.look()
        if book.run.deadline_at is not None and book.now() >= book.run.deadline_at:
            await book.fail(_late(book.run))
        if self._sampler is None and book.run.mode is Mode.CLIENT:
            await book.wait(Awaits.CLIENT, waiting_for=book.run.waiting_for)
        try:
            self._persona = await anyio.to_thread.run_sync(self._agent)
            model, choice = await anyio.to_thread.run_sync(self._model)
        except DarkroomError as exc:
            await book.fail(exc)
        return await self._converse(model, choice)

    def _agent(self) -> Persona | None:
        name = self._book.run.agent
        return self._kit.agents.find(name) if name else None

    def _model(self) -> tuple[Model[Any], ChatChoice | None]:
        """Return who thinks; reads files the first time."""
        run, kit = self._book.run, self._kit
        if self._sampler is not None:
            return SamplingModel(self._sampler), None
        tier = run.tier or (self._persona.tier if self._persona else None)
        choice = kit.models.choose(tier, run.model, run.principal)
        if choice is None:
            raise NotConfigured(
                "No language model is configured any more.",
                hint="Set a key such as ANTHROPIC_API_KEY, OPENAI_API_KEY, GOOGLE_API_KEY or XAI_API_KEY.",
            )
        if not run.turn:
            self._book.warn(*kit.models.check(choice, run.principal, run.max_cost))
        credential = kit.accounts().credential(choice.provider) or {}
        return WIRES[choice.wire](kit.http(choice.provider), choice, credential), choice

    async def _converse(self, model: Model[Any], choice: ChatChoice | None) -> Run:
        book = self._book
        history = await self._talk()
        results = await self._results()
        with capture_run_messages() as talk:
            try:
                agent = await anyio.to_thread.run_sync(self._made, Hands(book, talk))
            except InvalidRequest as exc:
                await book.fail(exc)
            try:
                done = await agent.run(
                    None,
                    message_history=history,
                    deferred_tool_results=results,
                    model=DurableModel(model, book, choice, talk),
                    model_settings={"max_tokens": ANSWER_TOKENS},
                    usage_limits=UsageLimits(request_limit=None),
                )
            except (Saved, Stopped, Lost):
                raise
            except UnexpectedModelBehavior as exc:
                await book.fail(_explained(exc))
            except DarkroomError:
                raise  # of our own disk: the run goes on where it was
            except Exception:
                log.exception("the run %s went wrong", book.run.id)
                await book.fail(ProviderFailed("Something went wrong inside darkroom; the log has the details."))
        output: object = done.output
        if isinstance(output, DeferredToolRequests):
            await self._put_by(output.calls, done.all_messages())
        if isinstance(output, dict):
            data = cast("dict[str, JsonValue]", output)
            return await book.succeed(json.dumps(data, ensure_ascii=False), data)
        return await book.succeed(str(output).strip(), None)

    def _made(self, hands: Hands) -> Agent[None, Any]:
        """Return the library's agent: our tools, and the form of the result."""
        returns = cast("dict[str, Any] | None", self._book.run.work.get("returns"))
        form: Any = str if returns is None else _form(returns)
        agent: Agent[None, Any] = Agent(
            None,
            output_type=[form, DeferredToolRequests],
            tools=hands.tools(self._persona),
            retries={"tools": RETRIES, "output": 1 if returns is None else RETRIES},
            name="darkroom",
            deps_type=type(None),
        )
        if returns is not None:
            checker: Any = jsonschema.Draft202012Validator(returns)

            @agent.output_validator
            def fits(output: Any) -> Any:  # pyright: ignore[reportUnusedFunction] because the decorator registers it
                problem = None if isinstance(output, DeferredToolRequests) else next(checker.iter_errors(output), None)
                if problem is not None:
                    raise ModelRetry(f"The result does not fit its schema: {str(problem.message)[:300]}")
                return output

        return agent

    async def _talk(self) -> list[ModelMessage]:
        """Return the conversation to go on with, from the run or begun anew."""
        run, kit = self._book.run, self._kit
        kept: list[Any] | None = run.work.get("messages")
        if kept:
            return await anyio.to_thread.run_sync(from_json, kept)
        session = await kit.runs.session(run.session_id, run.principal) if run.session_id else None
        begun = await anyio.to_thread.run_sync(opening, run, self._persona, session, self._book.now())
        left = await self._book.left()
        await self._book.save(work={"base": len(begun) - 1, "left": left})
        return begun

    # What was put by

    async def _put_by(self, calls: Sequence[ToolCallPart], messages: Sequence[ModelMessage]) -> NoReturn:
        """Wait for what the model wants to wait for: jobs, or the user's word."""
        deferred = [
            {"id": part.tool_call_id, "tool": part.tool_name, **part.args_as_dict(raise_if_invalid=True)}
            for part in calls
        ]
        await self._wait_for(deferred, {"messages": as_json(messages), "deferred": deferred})

    async def _wait_for(self, deferred: Sequence[Mapping[str, Any]], work: dict[str, Any]) -> NoReturn:
        """Wait for the first question without an answer, else for all jobs that have not ended.

        Raises:
            Saved: Always.
        """
        book = self._book
        question = self._open_question(deferred)
        if question is not None:
            await book.wait(Awaits.ANSWER, question=question, due_at=0, work=work)
        pending = await self._pending(deferred)
        awaits = Awaits.CLIENT if self._sampler else Awaits.WORK
        due_at = book.now() + int(LOOK_S * 1000)
        if book.run.deadline_at is not None:
            due_at = min(due_at, book.run.deadline_at)
        await book.wait(awaits, waiting_for=pending, due_at=due_at, work=work)

    async def _results(self) -> DeferredToolResults | None:
        """Return what was waited for; None where nothing was.

        Raises:
            Saved: If not all of it is there.
        """
        book = self._book
        deferred: list[dict[str, Any]] = book.run.work.get("deferred") or []
        if not deferred:
            return None
        if self._open_question(deferred) is not None or await self._pending(deferred):
            await self._wait_for(deferred, {})
        hands = Hands(book, [])
        told = {answer.question.call_id: answer for answer in book.run.answers}
        calls: dict[str, Any] = {}
        for item in deferred:
            if item["tool"] == ASK_USER:
                calls[item["id"]] = json.dumps({"answer": told[item["id"]].text}, ensure_ascii=False)
            else:
                calls[item["id"]] = await hands.summaries(item["job_ids"])
        await self._remember([item["id"] for item in deferred if item["tool"] == ASK_USER])
        return DeferredToolResults(calls=calls)

    async def _remember(self, call_ids: Sequence[str]) -> None:
        """Keep what an onboarding agent was told for its session."""
        answers: dict[str, JsonValue] = {
            answer.question.key: answer.text
            for answer in self._book.run.answers
            if answer.question.call_id in call_ids and answer.question.key
        }
        if answers and keeps_answers(self._persona):
            await self._book.save(answers=answers)

    def _open_question(self, deferred: Sequence[Mapping[str, Any]]) -> Question | None:
        answered = {answer.question.call_id for answer in self._book.run.answers}
        for item in deferred:
            if item["tool"] == ASK_USER and item["id"] not in answered:
                return Question(text=item["question"], key=item.get("input_name"), call_id=item["id"])
        return None

    async def _pending(self, deferred: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        book = self._book
        wanted = [job for item in deferred if item["tool"] == WAIT_FOR_JOBS for job in item["job_ids"]]
        ended = await self._kit.runs.ended(wanted) if wanted else frozenset[str]()
        jobs = await self._kit.jobs.get([job for job in dict.fromkeys(wanted) if job not in ended], book.run.principal)
        return tuple(job.id for job in jobs if not at_rest(job))


def _late(run: Run) -> TimedOut:
    """Return what is said of a run whose time is over."""
    if run.mode is Mode.CLIENT:
        return TimedOut(
            "The client that lends its model to this run did not answer in time, or its user refused.",
            hint="The model of a client costs nothing here.",
        )
    return TimedOut("The run's time is over.")


def _form(returns: dict[str, Any]) -> Any:
    """Return the type of a result as data.

    Raises:
        InvalidRequest: If the schema is none of an object, or points elsewhere: nothing is fetched for it.
    """
    wrong = "The form of the result is no JSON Schema of an object"
    try:
        jsonschema.Draft202012Validator.check_schema(returns)
        form = StructuredDict(dict(returns), name=str(returns.get("title") or "Result"))
    except (jsonschema.SchemaError, UserError) as exc:
        raise InvalidRequest(f"{wrong}.", field="returns") from exc
    if any(not ref.startswith("#") for ref in _refs(returns)):
        raise InvalidRequest(f"{wrong} by itself: it points to another.", field="returns")
    return form


def _refs(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in cast("dict[str, object]", schema).items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            yield from _refs(value)
    elif isinstance(schema, list):
        for item in cast("list[object]", schema):
            yield from _refs(item)


def _explained(exc: UnexpectedModelBehavior) -> DarkroomError:
    """Return what a model did that cannot be gone on with, in our words."""
    if isinstance(exc, ContentFilterError):
        return ContentBlocked("The language model refused the request.")
    if isinstance(exc, OutputTokenLimitExceeded):
        return UnexpectedAnswer(
            f"The model used the {ANSWER_TOKENS:,} tokens of an answer before it said anything.",
            hint="Make the task smaller, or name another model.",
        )
    if "tool" in exc.message.lower().partition("exceeded")[0]:
        return wrongly(exc.message.partition(" exceeded")[0].removeprefix("Tool "))
    return UnexpectedAnswer(
        "The model gave no usable answer, also when it was asked again.",
        hint="Name another model, or say the task in other words.",
    )
