"""Runs without a language model: a plain request for a picture or a clip is carried out, all else handed over."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import anyio.to_thread
from pydantic import JsonValue

from darkroom.catalog.agents import Agent
from darkroom.clock import Clock
from darkroom.domain.job import Job
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Action, Message, Run, RunState, Session, in_run
from darkroom.errors import DarkroomError, StorageError
from darkroom.llm.handoff import HandOff
from darkroom.llm.handoff_facts import facts_of, lasting
from darkroom.llm.handoff_media import Wanted, dressed
from darkroom.services.agents import AgentCatalogue, keeps_answers
from darkroom.services.intents import MediaIntent, read, reply
from darkroom.store.base import JobStore
from darkroom.store.run_base import RunChange, RunStore

RUNS, JOBS = 20, 10
"""How far back in a session a follow-up looks for what it means."""
HANDED = "(A brief was handed to the caller.)"


class Starter(Protocol):
    """Starts a job on behalf of a run."""

    async def job(
        self, run: Run, tool: str, arguments: Mapping[str, JsonValue], key: str, max_cost: MicroUsd | None = None
    ) -> str:
        """Start a job and return its id.

        Raises:
            DarkroomError: If it is refused; nothing was stored.
        """
        ...

    async def cancel(self, run: Run, ids: Sequence[str]) -> None:
        """Ask for jobs to be stopped."""
        ...


class HandOver:
    """Carries a run to its end without a language model."""

    def __init__(
        self,
        *,
        store: RunStore,
        jobs: JobStore,
        agents: AgentCatalogue,
        hand_off: Callable[[], HandOff],
        starter: Starter,
        clock: Clock,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._agents = agents
        self._hand_off = hand_off
        self._starter = starter
        self._clock = clock

    async def think(self, run: Run, owner: str) -> Run | None:
        """End a claimed run: with the job that it plainly asks for, or with a brief."""
        intent = _plain(run) if run.agent is None and "returns" not in run.work else None
        if run.cancel_requested_at is not None:
            change = await self._stopped(run, intent)
        else:
            change = await self._made(run, intent) if intent else await self._briefed(run)
        saved = await self._store.save(run, owner, change)
        if saved is not None and saved.state is RunState.CANCELLED and change.target is not saved.state:
            await self._starter.cancel(run, [action.job_id for action in change.actions if action.job_id])
        return saved

    async def _stopped(self, run: Run, intent: MediaIntent | None) -> RunChange:
        """End a run that is to be cancelled, and a job that was started before its process ended."""
        key = _key(run)
        name = await self._store.started(run.principal, key) if intent else None
        if intent is None or name is None:
            return RunChange(self._clock.now(), target=RunState.CANCELLED)
        await self._starter.cancel(run, [name])
        action = Action(tool=intent.tool, job_id=name, key=key)
        return RunChange(self._clock.now(), target=RunState.CANCELLED, actions=(action,))

    async def _made(self, run: Run, intent: MediaIntent) -> RunChange:
        """Start the one job that was asked for; a repetition of this after a kill finds it by its key."""
        key = _key(run)
        try:
            name = await self._store.started(run.principal, key)
            name = name or await self._starter.job(run, intent.tool, intent.arguments, key)
        except StorageError:
            raise
        except DarkroomError as exc:
            return RunChange(self._clock.now(), target=RunState.FAILED, error=in_run(exc.to_dict()))
        job: Job | None = await self._jobs.get(name)
        said = reply(intent, job) if job is not None else name
        return RunChange(
            self._clock.now(),
            target=RunState.SUCCEEDED,
            output=said,
            actions=(Action(tool=intent.tool, job_id=name, key=key),),
            history=self._said(run, said),
        )

    async def _briefed(self, run: Run) -> RunChange:
        session = await self._store.session(run.session_id) if run.session_id else None
        agent = await anyio.to_thread.run_sync(self._agents.find, run.agent) if run.agent else None
        learned = _learned(agent, run.context)
        made = await self._made_before(run)
        brief = await anyio.to_thread.run_sync(self._brief, run, agent, session, learned, made)
        return RunChange(
            self._clock.now(),
            target=RunState.SUCCEEDED,
            brief=brief,
            history=self._said(run, HANDED),
            answers={**lasting(run.context, brief), **learned},
        )

    async def _made_before(self, run: Run) -> tuple[Job, ...]:
        """Return the jobs that the latest runs of a run's session started, newest first."""
        if run.session_id is None:
            return ()
        earlier = await self._store.find(principal=run.principal, session_id=run.session_id, limit=RUNS)
        ids = [name for one in earlier for name in reversed(await self._store.jobs(one.id))][:JOBS]
        found = [await self._jobs.get(name) for name in ids]
        return tuple(job for job in found if job is not None)

    def _brief(
        self,
        run: Run,
        agent: Agent | None,
        session: Session | None,
        learned: Mapping[str, JsonValue],
        made: Sequence[Job],
    ) -> dict[str, JsonValue]:
        known = {**(session.answers if session else {}), **learned}
        return self._hand_off().brief(
            agent=agent,
            task=run.task,
            context=run.context,
            answers=known,
            history=session.history if session else (),
            made=made,
            max_cost=run.max_cost,
            returns=run.work.get("returns"),
            session_id=run.session_id,
            principal=run.principal,
        )

    def _said(self, run: Run, answer: str) -> tuple[Message, ...]:
        now = self._clock.now()
        return (
            Message(role="user", content=run.task, at=now, run_id=run.id),
            Message(role="assistant", content=answer, at=now, run_id=run.id),
        )


def _plain(run: Run) -> MediaIntent | None:
    """Return what a run plainly asks to be made; None where its context has pictures or a shape for it too."""
    intent = read(run.task)
    if intent is None or not run.context:
        return intent
    call = Wanted(intent.kind, intent.arguments)
    return intent if dressed(call, facts_of(None, "", run.context, {})) == call else None


def _key(run: Run) -> str:
    """Return what makes a repetition of the one start of a run the same call."""
    return f"{run.id}/1/0"


def _learned(agent: Agent | None, context: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what a context tells an onboarding agent, by the names of its inputs."""
    if agent is None or not keeps_answers(agent):
        return {}
    return {item.name: context[item.name] for item in agent.inputs if context.get(item.name) not in (None, "")}
