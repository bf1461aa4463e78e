"""The draft provider: submits to its worker processes and tells how they stand. No keys, no network, no cost."""

from typing import cast

import anyio
import anyio.to_thread
from pydantic import JsonValue

from darkroom.adapters.base import Accepted, Call, Cancelled, Failed, Json, Pending, Succeeded, TooLate
from darkroom.adapters.draft.client import State, WorkerClient
from darkroom.adapters.draft.intake import job_of
from darkroom.adapters.draft.job import IDLE_S, JOIN
from darkroom.domain.kinds import Kind
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import RemoteOutput
from darkroom.errors import DarkroomError, ProviderFailed, from_dict

POLL_S = {Kind.IMAGE.value: 0.1, Kind.VIDEO.value: 0.3, JOIN: 0.3}
"""Seconds between two polls."""


class DraftAdapter:
    """Renders drafts in worker processes, one for pictures and one for clips, and joins clips in a third.

    Args:
        idle_s: Seconds after which a worker without work ends.
    """

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._workers = {kind: WorkerClient(idle_s) for kind in POLL_S}

    def worker_pid(self, kind: str) -> int | None:
        """Return the process id of the worker for `image`, `video` or `join`, if it runs."""
        return self._workers[kind].pid

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Hand the work to a worker process.

        Raises:
            InvalidRequest: If the draft engine cannot do it; nothing was started.
        """
        job = job_of(call)
        await anyio.to_thread.run_sync(self._workers[job.kind].submit, job)
        operation: Json = {"task": job.task, "kind": job.kind}
        return Accepted(operation, provider_job_id=job.task, poll_after_s=POLL_S[job.kind])

    async def poll(self, operation: Json, call: Call) -> Pending | Succeeded | Failed:
        """Tell how a job stands; a look into memory."""
        task, kind = _named(operation)
        worker = self._workers.get(kind)
        state = worker.state(task) if worker else None
        if state is None:
            return Failed(_lost())
        if state.phase == "done":
            return _succeeded(state)
        if state.phase == "failed":
            return Failed(_error(state))
        if state.phase == "cancelled":
            return Failed(ProviderFailed("The draft was cancelled.", hint="Nothing was charged."))
        return Pending(state.fraction, state.message, POLL_S[kind])

    async def cancel(self, operation: Json, call: Call) -> Cancelled | TooLate:
        """Call a job off; the worker stops at its next frame."""
        task, kind = _named(operation)
        worker = self._workers.get(kind)
        if worker is not None and await anyio.to_thread.run_sync(worker.cancel, task):
            return Cancelled(charged=MicroUsd(0))
        return TooLate()

    async def aclose(self) -> None:
        """End all workers."""
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                for worker in self._workers.values():
                    group.start_soon(anyio.to_thread.run_sync, worker.close)


def create() -> DraftAdapter:
    """Return the adapter of the provider `draft`."""
    return DraftAdapter()


def _named(operation: Json) -> tuple[str, str]:
    return str(operation.get("task")), str(operation.get("kind"))


def _lost() -> ProviderFailed:
    return ProviderFailed(
        "The draft was lost with its worker: the server was restarted before it was ready.",
        hint="Nothing was charged. Ask again; the same words and seed give the same draft.",
    )


def _error(state: State) -> DarkroomError:
    return from_dict(state.data)


def _succeeded(state: State) -> Succeeded:
    files = cast("list[list[str]]", state.data["files"])
    outputs = tuple(RemoteOutput(path=path, media_type=media_type) for path, media_type in files)
    if state.job.kind == JOIN:  # nothing of it was drawn
        return Succeeded(outputs, cost=MicroUsd(0))
    notes: dict[str, JsonValue] = {
        "seed": cast("int", state.data["seed"]),
        "understood": cast("list[JsonValue]", state.data["understood"]),
        "not_understood": cast("list[JsonValue]", state.data["not_understood"]),
    }
    return Succeeded(outputs, cost=MicroUsd(0), notes=notes)
