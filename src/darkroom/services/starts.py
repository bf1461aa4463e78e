"""What the steps of a workflow may start: jobs, runs of agents, skills."""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio.to_thread
from pydantic import JsonValue

from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Run
from darkroom.errors import DarkroomError
from darkroom.services.caps import Terms, of_run
from darkroom.services.chat_models import ChatModels
from darkroom.services.generation import Generation, Started, request_of
from darkroom.services.runs import Runs
from darkroom.services.workflows import WorkflowLibrary
from darkroom.store.run_base import RunStore

LOCAL = "local"


class Starts:
    """Starts things on behalf of a run, each under a key that makes a repetition the same call."""

    def __init__(
        self, *, store: RunStore, generation: Generation, runs: Runs, workflows: WorkflowLibrary, models: ChatModels
    ) -> None:
        self._store = store
        self._generation = generation
        self._runs = runs
        self._workflows = workflows
        self._models = models

    async def job(
        self, run: Run, tool: str, arguments: Mapping[str, JsonValue], key: str, max_cost: MicroUsd | None = None
    ) -> str:
        """Start a job of `generate_image` or `generate_video` and return its id.

        Raises:
            DarkroomError: If it is refused; nothing was stored.
        """
        terms = terms_of(run, key, max_cost)
        started = await self._generation.start(request_of(tool, arguments), terms)
        if not isinstance(started, Started):
            raise TypeError("a job was to be started, not planned")
        return started.job.id

    async def agent(
        self,
        run: Run,
        agent: str,
        task: str,
        context: Mapping[str, JsonValue],
        returns: Mapping[str, Any] | None,
        key: str,
        max_cost: MicroUsd | None = None,
    ) -> str:
        """Start a run of an agent inside a run and return its id.

        Raises:
            DarkroomError: If it is refused; nothing was stored.
        """
        inner = await self._runs.child(
            run, agent, task, key=key, context=dict(context), returns=returns, max_cost=max_cost
        )
        return inner.id

    async def skill(
        self, run: Run, skill: str, request: str, context: dict[str, JsonValue], brainstorm: dict[str, JsonValue]
    ) -> dict[str, JsonValue]:
        """Return a skill made ready for a request, with ideas where `brainstorm` asks for them.

        Raises:
            InvalidRequest: If there is none of that name.
        """
        return await anyio.to_thread.run_sync(self._workflows.skilled, skill, request, context, brainstorm)

    async def started(self, run: Run, kind: str, key: str) -> str | None:
        """Return the id of the job or run that was started under a key, or None."""
        return await self._store.started(run.principal, key)

    async def cancel(self, run: Run, ids: Sequence[str]) -> None:
        """Ask for jobs and runs to be stopped."""
        await self._runs.stop(ids, run.principal)

    def thinks(self, run: Run) -> bool:
        """Return whether a language model is configured; the first call reads keys and manifests."""
        try:
            return self._models.choose(run.tier or "standard", run.model, run.principal) is not None
        except DarkroomError:
            return False


def terms_of(run: Run, key: str, max_cost: MicroUsd | None = None) -> Terms:
    """Return the terms of a job that a run starts."""
    caps = [cap for cap in (max_cost, run.max_cost, run.root_max_cost) if cap is not None]
    return Terms(
        principal=run.principal,
        local=run.principal == LOCAL,
        max_cost=min(caps) if caps else None,
        idempotency_key=key,
        run=of_run(run),
        cap_words=run.work.get("cap_words"),
    )
