"""Callbacks in memory, jobs that have ended, and a sender for a receiver on this machine."""

from collections.abc import Callable, Sequence
from typing import Any

from darkroom.clock import Clock
from darkroom.domain.job import Job, State
from darkroom.domain.run import Callback, Delivery, Run
from darkroom.errors import StorageUnwritable
from darkroom.events import Bus
from darkroom.net.client import ShardedClient
from darkroom.net.guard import Resolver, look_up
from darkroom.net.listed import ListedHttp, Listing
from darkroom.runtime.callbacks import Callbacks
from factories import JOB_ID, NOW, make_job, make_output
from helpers_net import Server

SECRET = "s3cret-of-callbacks"


def make_callback(subject: str = JOB_ID, **overrides: Any) -> Callback:
    """Return a callback that is due."""
    values: dict[str, Any] = {
        "subject": subject,
        "principal": "local",
        "url": "https://hooks.example.com/jobs?token=t0ken-of-the-caller",
        "invocation_id": "inv-1",
        "state": Delivery.DUE,
        "created_at": NOW,
    }
    return Callback.model_validate(values | overrides)


def ended_job(job_id: str = JOB_ID, **overrides: Any) -> Job:
    values: dict[str, Any] = {"state": State.SUCCEEDED, "finished_at": NOW, "outputs": (make_output(job_id=job_id),)}
    return make_job(id=job_id, **(values | overrides))


class MemoryOutbox:
    """Keeps callbacks, runs and jobs as a store does, without a file; any method can be made to fail."""

    def __init__(self, *callbacks: Callback, jobs: Sequence[Job] = (), runs: Sequence[Run] = ()) -> None:
        self.kept = {item.subject: item for item in callbacks}
        self.jobs = {item.id: item for item in jobs}
        self.runs = {item.id: item for item in runs}
        self.noted: list[Callback] = []
        self.shown: dict[str, int] = {}
        """When the ends of jobs and runs were first shown, by id."""
        self.broken: set[str] = set()
        """Names of methods that cannot reach their medium."""
        self.before: Callable[[str], None] = lambda method: None
        """Called at the beginning of each method."""

    def _reach(self, method: str) -> None:
        self.before(method)
        if method in self.broken:
            raise StorageUnwritable("The disk is gone.")

    async def get(self, run_id: str) -> Run | None:
        self._reach("get")
        return self.runs.get(run_id)

    async def delivered(self, run_id: str, at: int) -> None:
        assert run_id in self.runs
        self.shown[run_id] = at

    async def callback(self, subject: str) -> Callback | None:
        self._reach("callback")
        return self.kept.get(subject)

    async def callbacks(
        self, *, principal: str | None = None, states: Sequence[Delivery] = (), limit: int = 20
    ) -> list[Callback]:
        found = [
            item
            for item in self.kept.values()
            if principal in (None, item.principal) and (not states or item.state in states)
        ]
        return sorted(found, key=lambda item: item.created_at, reverse=True)[:limit]

    async def claim_callbacks(self, now: int, until: int, limit: int) -> list[Callback]:
        self._reach("claim_callbacks")
        due = [item for item in self.kept.values() if item.state is Delivery.DUE and item.due_at <= now][:limit]
        for item in due:
            self.kept[item.subject] = item.model_copy(update={"due_at": until})
        return [self.kept[item.subject] for item in due]

    async def note_callback(self, callback: Callback) -> None:
        self._reach("note_callback")
        self.noted.append(callback)
        self.kept[callback.subject] = callback


class Jobs:
    """The jobs of an outbox, as the store of jobs gives them."""

    def __init__(self, outbox: MemoryOutbox) -> None:
        self._outbox = outbox

    async def get(self, job_id: str) -> Job | None:
        return self._outbox.jobs.get(job_id)

    async def delivered(self, job_id: str, at: int) -> None:
        assert job_id in self._outbox.jobs
        self._outbox.shown[job_id] = at


def listed(server: Server) -> str:
    """Return a receiver as it is listed."""
    return server.url.removeprefix("http://")


def sender(
    outbox: MemoryOutbox,
    client: ShardedClient,
    clock: Clock,
    *hosts: str,
    secret: str | None = SECRET,
    bus: Bus | None = None,
    total_s: float = 10.0,
    resolve: Resolver = look_up,
) -> Callbacks:
    """Return one process's sender."""
    return Callbacks(
        outbox=outbox,
        jobs=Jobs(outbox),
        http=ListedHttp(client, Listing(hosts), resolve, proxied=False),
        clock=clock,
        bus=bus or Bus(),
        secret=lambda: secret,
        total_s=total_s,
    )
