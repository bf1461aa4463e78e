"""Things that tests make: every field has a default, and any may be given."""

from typing import Any

from anyio.lowlevel import checkpoint

from darkroom.domain.job import Job, LedgerKind, LedgerRow, State, Submission
from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import Output
from darkroom.domain.request import Effective, ImageRequest
from darkroom.net.client import ShardedClient
from darkroom.net.guard import Guard
from darkroom.store.base import Acceptance, Intent, Move, Worker

NOW = 1_767_225_600_000
"""2026-01-01 00:00:00 UTC."""
JOB_ID = "job_0000000000000001"
OWNER = "worker-1"


class FakeClock:
    """A clock that only tests move: set `wall` (milliseconds), `running` and `booted` (seconds), or `advance` all."""

    def __init__(self, wall: int = NOW, running: float = 1_000.0, booted: float = 5_000.0) -> None:
        self.wall = wall
        self.running = running
        self.booted = booted
        self.slept: list[float] = []
        """What was asked of `sleep`, in order."""

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.running

    def boot(self) -> float:
        return self.booted

    def advance(self, seconds: float) -> None:
        self.wall += round(seconds * 1000)
        self.running += seconds
        self.booted += seconds

    async def sleep(self, seconds: float) -> None:
        """Return at once, after other tasks had their turn, with the time advanced."""
        self.slept.append(seconds)
        self.advance(seconds)
        await checkpoint()


def job_id(number: int) -> str:
    """Return an id; higher numbers are newer."""
    return f"job_{number:016d}"


def make_request(**overrides: Any) -> ImageRequest:
    return ImageRequest.model_validate({"prompt": "a red fox", **overrides})


def make_effective(**overrides: Any) -> Effective:
    values: dict[str, Any] = {
        "kind": Kind.IMAGE,
        "mode": Mode.TEXT_TO_IMAGE,
        "prompt": "a red fox",
        "width": 1024,
        "height": 1024,
        "aspect_ratio": "1:1",
    }
    return Effective.model_validate(values | overrides)


def make_submission(**overrides: Any) -> Submission:
    values: dict[str, Any] = {
        "job_id": JOB_ID,
        "idx": 0,
        "provider": "acme",
        "model": "acme-image-1",
        "effective": make_effective(),
        "estimate": MicroUsd(40_000),
    }
    return Submission.model_validate(values | overrides)


def make_job(**overrides: Any) -> Job:
    """Return a queued picture job with one submission; `parts` are overrides of its submissions, one entry each.

    Any override of a submission field that a job does not have goes to all submissions: `make_job(replayable=True)`.
    """
    identity = overrides.pop("id", JOB_ID)
    parts: list[dict[str, Any]] = overrides.pop("parts", [{}])
    names = [name for name in overrides if name in Submission.model_fields and name not in Job.model_fields]
    shared = {name: overrides.pop(name) for name in names}
    created_at = overrides.pop("created_at", NOW)
    values: dict[str, Any] = {
        "id": identity,
        "principal": "local",
        "kind": Kind.IMAGE,
        "mode": Mode.TEXT_TO_IMAGE,
        "request": make_request(),
        "request_hash": "hash-of-a-red-fox",
        "created_at": created_at,
        "updated_at": created_at,
        "submissions": tuple(
            make_submission(**({"job_id": identity, "idx": idx} | shared | part)) for idx, part in enumerate(parts)
        ),
    }
    return Job.model_validate(values | overrides)


def make_output(**overrides: Any) -> Output:
    owner = overrides.get("job_id", JOB_ID)
    index = overrides.get("index", 1)
    values: dict[str, Any] = {
        "id": f"out_{owner.partition('_')[2]}_{index}",
        "job_id": owner,
        "submission": 0,
        "index": index,
        "path": f"/pictures/fox-{index}.png",
        "media_type": "image/png",
        "bytes": 1234,
        "sha256": "ab" * 32,
        "width": 1024,
        "height": 1024,
    }
    return Output.model_validate(values | overrides)


def make_ledger_row(**overrides: Any) -> LedgerRow:
    values: dict[str, Any] = {
        "job_id": JOB_ID,
        "submission": 0,
        "kind": LedgerKind.RESERVED,
        "micro_usd": MicroUsd(40_000),
        "at": NOW,
    }
    return LedgerRow.model_validate(values | overrides)


def make_worker(**overrides: Any) -> Worker:
    values: dict[str, Any] = {
        "id": OWNER,
        "host": "studio",
        "pid": 4242,
        "boot_id": "boot-1",
        "started_at": NOW,
        "lease_until": 5_060.0,
    }
    return Worker(**(values | overrides))


def make_intent(**overrides: Any) -> Intent:
    values: dict[str, Any] = {"submit_key": "key-1", "account": "acme/main", "at": NOW + 1_000}
    return Intent(**(values | overrides))


def make_acceptance(**overrides: Any) -> Acceptance:
    values: dict[str, Any] = {
        "job_id": JOB_ID,
        "idx": 0,
        "attempt": 1,
        "submit_key": "key-1",
        "at": NOW + 2_000,
        "operation": {"id": "remote-1"},
        "provider_job_id": "remote-1",
        "due_at": NOW + 4_000,
        "deadline_at": NOW + 900_000,
    }
    return Acceptance(**(values | overrides))


def make_move(target: State, **overrides: Any) -> Move:
    values: dict[str, Any] = {"at": NOW + 5_000}
    return Move(target=target, **(values | overrides))


async def _nowhere(host: str) -> list[str]:
    raise OSError(host)


NO_WEB = Guard(ShardedClient(FakeClock()), _nowhere, proxied=False)
"""Opens no web address: there is no host."""
