"""The tools of agents: darkroom's own services, called in process; every call may be made again after a kill."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

import anyio.to_thread
from pydantic import ValidationError
from pydantic_ai import RunContext, Tool
from pydantic_ai.exceptions import CallDeferred
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart

from darkroom.catalog.agents import Agent
from darkroom.catalog.frameworks import families, family
from darkroom.domain.job import Job, State
from darkroom.domain.money import MicroUsd
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.errors import BudgetExceeded, DarkroomError, InvalidRequest, StorageError
from darkroom.llm.book import Book
from darkroom.llm.durable import call_of
from darkroom.llm.limits import RETRIES
from darkroom.llm.results import (
    error_text,
    estimate_text,
    job_row,
    models_text,
    skill_text,
    skills_text,
    text_of,
)
from darkroom.services.caps import Terms
from darkroom.services.estimates import Ask, kind_of
from darkroom.services.generation import Started, invalid
from darkroom.services.jobs import STILL

P = ParamSpec("P")
Method = Callable[Concatenate["Hands", P], Awaitable[str]]
LOCAL = "local"
MAPPED: dict[str, tuple[str, ...]] = {
    "generate_image": ("generate_image", "list_models", "check_jobs", "wait_for_jobs"),
    "generate_video": ("generate_video", "list_models", "check_jobs", "wait_for_jobs"),
    "check_job": ("check_jobs", "wait_for_jobs"),
    "estimate_credits": ("estimate", "list_models"),
    "invoke_skill": ("use_skill", "search_skills", "list_frameworks", "framework"),
}
"""What an agent's manifest calls a tool, and what that is here."""
ASK_USER, WAIT_FOR_JOBS = "ask_user", "wait_for_jobs"


def _tool(method: Method[P]) -> Method[P]:
    """Look for a wish to cancel before the tool, and answer our own errors to the model."""

    @wraps(method)
    async def called(self: "Hands", /, *args: P.args, **kwargs: P.kwargs) -> str:
        await self.book.look()
        try:
            return await method(self, *args, **kwargs)
        except StorageError:
            raise
        except DarkroomError as exc:
            return error_text(exc)

    return called


def at_rest(job: Job) -> bool:
    """Return whether waiting for a job brings nothing: it has ended, or nobody knows when it will."""
    return job.ended or job.state in STILL


class Hands:
    """What a model can do in one run.

    Args:
        book: Of the run.
        talk: The conversation as the library keeps it, growing.
    """

    def __init__(self, book: Book, talk: list[ModelMessage]) -> None:
        self.book = book
        self._kit = book.kit
        self._talk = talk
        self._local = book.run.principal == LOCAL

    def tools(self, agent: Agent | None) -> list[Tool[None]]:
        """Return the tools of an agent; without one, all. A run inside another has nobody to ask."""
        every = {name for names in MAPPED.values() for name in names}
        names = every if agent is None else {name for tool in agent.tools for name in MAPPED.get(tool, ())}
        names |= set() if self.book.run.parent_run_id else {ASK_USER}
        methods = cast(  # each of its own parameters, which the library reads
            "Sequence[Any]",
            (
                self.generate_image,
                self.generate_video,
                self.wait_for_jobs,
                self.check_jobs,
                self.estimate,
                self.list_models,
                self.search_skills,
                self.use_skill,
                self.list_frameworks,
                self.framework,
                self.ask_user,
            ),
        )
        chosen = [method for method in methods if method.__name__ in names]
        return [Tool(method, sequential=True, max_retries=RETRIES) for method in chosen]

    @_tool
    async def generate_image(
        self,
        ctx: RunContext[None],
        prompt: str,
        model: str | None = None,
        aspect_ratio: str | None = None,
        n: int = 1,
        quality: str | None = None,
        images: list[str] | None = None,
        seed: int | None = None,
    ) -> str:
        """Start making or editing pictures; returns the job at once.

        Args:
            ctx: Which call it is.
            prompt: What to show; for an edit, what to change.
            model: From list_models; leave out for the best one.
            aspect_ratio: Such as 16:9, 9:16, 1:1.
            n: How many, 1 to 10.
            quality: low, medium or high.
            images: Output ids, paths or URLs of pictures to work from, optionally as role=id.
            seed: For a repeatable result.
        """
        told = {
            "prompt": prompt,
            "model": model,
            "aspect_ratio": aspect_ratio,
            "n": n,
            "quality": quality,
            "images": images,
            "seed": seed,
        }
        return await self._start(ctx, "generate_image", ImageRequest, told)

    @_tool
    async def generate_video(
        self,
        ctx: RunContext[None],
        prompt: str,
        model: str | None = None,
        duration: float | None = None,
        aspect_ratio: str | None = None,
        resolution: str | None = None,
        audio: bool | None = None,
        images: list[str] | None = None,
        seed: int | None = None,
    ) -> str:
        """Start making a clip; returns the job at once.

        Args:
            ctx: Which call it is.
            prompt: What to show, what moves, how the camera moves.
            model: From list_models; leave out for the best one.
            duration: Seconds.
            aspect_ratio: Such as 16:9, 9:16, 1:1.
            resolution: Such as 720p or 1080p.
            audio: Whether it has sound.
            images: Output ids, paths or URLs to animate, optionally as role=id (first_frame, last_frame, reference).
            seed: For a repeatable result.
        """
        told = {
            "prompt": prompt,
            "model": model,
            "duration": duration,
            "aspect_ratio": aspect_ratio,
            "resolution": resolution,
            "audio": audio,
            "images": images,
            "seed": seed,
        }
        return await self._start(ctx, "generate_video", VideoRequest, told)

    async def _start(
        self, ctx: RunContext[None], tool: str, kind: type[ImageRequest] | type[VideoRequest], told: dict[str, Any]
    ) -> str:
        """Start a job under a key that is the same when the call is made again after a kill."""
        run = self.book.run
        turn, call = self._place(ctx)
        key = f"{run.id}/{turn}/{call}"
        if (earlier := await self._earlier(turn, call)) is not None:
            note = "This very call was made before, so nothing new was started. Change something for another result."
            return text_of({**job_row(earlier, paths=self._local), "note": note})
        left: int | None = run.work.get("left")
        if left == 0 and not self._free_only:
            raise BudgetExceeded("The budget of this run is used up; nothing was started.")
        try:
            request = kind.model_validate({name: value for name, value in told.items() if value is not None})
        except ValidationError as exc:
            raise invalid(exc) from exc
        terms = Terms(
            principal=run.principal,
            local=self._local,
            max_cost=None if left is None or not self._agreed else MicroUsd(left),
            idempotency_key=key,
            run=self.book.of_run,
        )
        started = await self._kit.generation.start(request, terms)
        assert isinstance(started, Started)  # no dry run was asked
        await self.book.act(tool, key, started.job.id)
        return text_of({**job_row(started.job, paths=self._local), "next": "wait_for_jobs tells when it is done."})

    @property
    def _agreed(self) -> bool:
        """Whether the user said what all of it may cost; a setting or words in a task agree to nothing."""
        return "cap_words" not in self.book.run.work and any(
            cap is not None for cap in (self.book.run.max_cost, self.book.run.root_max_cost)
        )

    @property
    def _free_only(self) -> bool:
        """Whether only free offers may be taken from the start."""
        return any(limit.cap == 0 for limit in self._kit.caps.in_run(self.book.of_run, self.book.run.principal))

    def _place(self, ctx: RunContext[None]) -> tuple[int, int]:
        """Return the number of the answer that makes the call, from 1, and the call's own in it, from 0."""
        answers = self._answers()
        ids = [part.tool_call_id for part in answers[-1].parts if isinstance(part, ToolCallPart)]
        return len(answers), ids.index(ctx.tool_call_id or "")

    def _answers(self) -> list[ModelResponse]:
        own = self._talk[int(self.book.run.work.get("base", 0)) :]
        return [message for message in own if isinstance(message, ModelResponse)]

    async def _earlier(self, turn: int, call: int) -> Job | None:
        """Return the job of an equal call of this run, unless it came to nothing."""
        run = self.book.run
        jobs = {action.key: action.job_id for action in run.actions}
        calls = [
            (f"{run.id}/{number}/{index}", call_of(part))
            for number, answer in enumerate(self._answers(), 1)
            for index, part in enumerate(part for part in answer.parts if isinstance(part, ToolCallPart))
        ]
        own = next(said for key, said in calls if key == f"{run.id}/{turn}/{call}")
        for key, said in calls:
            job_id = jobs.get(key)
            if key == f"{run.id}/{turn}/{call}":
                break
            if said == own and job_id is not None:
                [job] = await self._kit.jobs.get([job_id], run.principal)
                if job.state not in (State.FAILED, State.CANCELLED):
                    return job
        return None

    async def summaries(self, job_ids: Sequence[str]) -> str:
        """Return how jobs stand.

        Raises:
            UnknownJob: If there is none of that id.
        """
        jobs = await self._kit.jobs.get(job_ids, self.book.run.principal)
        return text_of({"jobs": [job_row(job, paths=self._local) for job in jobs]})

    @_tool
    async def check_jobs(self, job_ids: list[str]) -> str:
        """Look how jobs stand, without waiting.

        Args:
            job_ids: Of one or several jobs.
        """
        return await self.summaries(job_ids)

    @_tool
    async def wait_for_jobs(self, job_ids: list[str]) -> str:
        """Wait until all of these jobs have ended, and return their results.

        Args:
            job_ids: Of one or several jobs.
        """
        if not job_ids:
            raise InvalidRequest("job_ids is empty.", field="job_ids", hint="Name the jobs that you started.")
        jobs = await self._kit.jobs.get(job_ids, self.book.run.principal)
        if all(at_rest(job) for job in jobs):
            return await self.summaries(job_ids)
        raise CallDeferred

    @_tool
    async def ask_user(self, question: str, input_name: str | None = None) -> str:
        """Ask the user one question and wait for the answer.

        Args:
            question: In the user's language, with an example of an answer.
            input_name: The input of yours that the answer is for, where it is one.
        """
        del question, input_name
        raise CallDeferred(kind="question")

    @_tool
    async def estimate(
        self,
        operation: str,
        model: str | None = None,
        n: int | None = None,
        duration: float | None = None,
        resolution: str | None = None,
        quality: str | None = None,
    ) -> str:
        """Tell what work costs; starts nothing.

        Args:
            operation: image, video, speech, sound, music, transcription, vision, research, slides or chat.
            model: From list_models.
            n: How many.
            duration: Seconds.
            resolution: Such as 720p.
            quality: low, medium or high.
        """
        ask = Ask(operation, model, None, n, duration, None, resolution, quality)
        principal = self.book.run.principal
        return estimate_text(await anyio.to_thread.run_sync(self._kit.estimates.estimate, ask, principal))

    @_tool
    async def list_models(self, operation: str) -> str:
        """List models with their state and the price of their usual work; ready ones first.

        Args:
            operation: image, video, speech, sound, music, transcription, vision, research, slides or chat.
        """
        return models_text(await anyio.to_thread.run_sync(self._kit.estimates.listing, kind_of(operation)))

    @_tool
    async def search_skills(self, words: str) -> str:
        """Find skills: instructions for kinds of work.

        Args:
            words: What the work is about.
        """
        return skills_text(await anyio.to_thread.run_sync(self._kit.skills.search, words), words)

    @_tool
    async def use_skill(self, skill: str, request: str) -> str:
        """Return a skill's instructions, made ready for a request; follow them yourself.

        Args:
            skill: Its id, from search_skills.
            request: What is wanted, in a sentence or more.
        """
        library, known = self._kit.skills, self.book.run.context

        def ready() -> str:
            return skill_text(library.invoke(library.get(skill), request, known))

        return await anyio.to_thread.run_sync(ready)

    @_tool
    async def list_frameworks(self) -> str:
        """List the families of copywriting and visual frameworks."""
        every = await anyio.to_thread.run_sync(families)
        return text_of({"families": {name: found.about for name, found in every.items()}})

    @_tool
    async def framework(self, name: str) -> str:
        """Return the frameworks of one family.

        Args:
            name: From list_frameworks.
        """
        found = await anyio.to_thread.run_sync(family, name)
        rows = [{"name": item.name, "what": item.what, "template": item.template} for item in found.entries]
        return text_of({"family": found.title, "frameworks": rows})
