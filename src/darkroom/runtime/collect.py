"""Brings results home: fetched, checked, kept, and asked for anew when their links expired."""

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from darkroom.adapters.base import Failed, Signs, Succeeded
from darkroom.artifacts.base import Placement
from darkroom.domain.job import Job, LedgerKind, State, Submission
from darkroom.domain.money import FREE, MicroUsd
from darkroom.domain.output import FailedOutput, Output, RemoteOutput
from darkroom.errors import (
    AuthFailed,
    DarkroomError,
    NotConfigured,
    ProviderFailed,
    ResultExpired,
    StorageError,
    UnexpectedAnswer,
)
from darkroom.events import Progress
from darkroom.runtime import schedule
from darkroom.runtime.held import Held
from darkroom.runtime.kit import Kit
from darkroom.store.base import Move

log = logging.getLogger(__name__)
RENEWALS = 3
"""How often expired links are asked for anew, without a result in between."""
ODD = 3
"""How often something else than a file may come from a link before that is taken for the answer."""
SPARE = 100
"""Above it are numbers of outputs that nobody asked for, where several submissions serve a job."""
RETENTION_S = 7 * 86_400.0
"""How long a result is asked for where the manifest does not say how long the provider keeps it."""


async def collect(kit: Kit, held: Held, job: Job, part: Submission) -> Held | None:
    """Keep every result; what cannot be had or stored now is tried again, what is gone is a failed output."""
    if part.provider not in kit.providers and any(result.url for result in part.results):
        log.warning("job %s waits for its provider: %s is no longer in the manifests", job.id, part.provider)
        return kit.later(held, schedule.PARKED_S)
    outputs: list[Output] = []
    own = part.effective
    failed = [item.model_copy(update={"index": own.start + item.index}) for item in part.failed_outputs]
    numbered = zip(_numbers(job, part, failed), part.results, strict=False)
    for index, result in sorted(numbered, key=lambda item: item[1].expires_at or float("inf")):
        try:
            outputs.append(await _kept(kit, held, job, part, index, result))
        except ResultExpired as exc:
            if _may_renew(kit, held, part, result):
                return await _renew(kit, held, part)
            failed.append(FailedOutput(index=index, code=exc.code, message=exc.message))
        except DarkroomError as exc:
            if _may_come(kit, held, result, exc):
                kit.bus.progress(job.id, Progress(None, f"finished, but not saved yet: {exc.message}"))
                return kit.trouble(held)
            failed.append(FailedOutput(index=index, code=exc.code, message=exc.message))
    return await _done(kit, part, sorted(outputs, key=lambda item: item.index), failed)


def _numbers(job: Job, part: Submission, failed: Sequence[FailedOutput]) -> Iterator[int]:
    """Count a submission's outputs, after those of the ones before it and without those that the provider left out.

    More than were asked for get numbers that no other submission has.
    """
    own = part.effective
    asked = range(own.start + 1, own.start + own.n + 1)
    alone = own.n >= job.request.n
    missing = {item.index for item in failed}
    more = itertools.count(asked.stop if alone else SPARE * (part.idx + 1))
    return (number for number in itertools.chain(asked, more) if number not in missing)


def _may_renew(kit: Kit, held: Held, part: Submission, result: RemoteOutput) -> bool:
    """Return whether the provider may have a fresh link for one that expired."""
    if part.operation is None or result.url is None:
        return False
    return held.renewals < RENEWALS and not is_past(kit, held)


def _may_come(kit: Kit, held: Held, result: RemoteOutput, exc: DarkroomError) -> bool:
    """Return whether trying again may bring a result that did not come."""
    if isinstance(exc, StorageError):
        return True
    if result.url is None or is_past(kit, held):
        return False
    if isinstance(exc, NotConfigured | AuthFailed):  # the key of the download: it may be put back
        return True
    return exc.retryable and (not isinstance(exc, UnexpectedAnswer) or held.failures < ODD)


async def _done(kit: Kit, part: Submission, outputs: list[Output], failed: list[FailedOutput]) -> None:
    charged = charge(part.actual, part)
    if not outputs:
        first = failed[0]
        kind = ResultExpired if first.code == ResultExpired.code else ProviderFailed
        return await kit.end(part, State.FAILED, kind(first.message), charged=charged)
    done = Move(
        State.SUCCEEDED,
        kit.clock.now(),
        outputs=tuple(outputs),
        failed_outputs=tuple(failed),
        actual=charged,
        ledger=(kit.row(part, LedgerKind.SETTLED, charged, certain=part.actual is not None or charged == 0),),
    )
    await kit.move(part, done)
    return None


def _place(job: Job, part: Submission, index: int) -> Placement:
    return Placement(
        job_id=job.id,
        submission=part.idx,
        index=index,
        count=max(job.request.n, len(part.results)),
        slug=part.effective.prompt or job.kind,
        created_at=job.created_at,
        save_as=job.save_as,
        principal=job.principal,
    )


async def _kept(kit: Kit, held: Held, job: Job, part: Submission, index: int, result: RemoteOutput) -> Output:
    here = await _here(kit, held, job, part, index, result)
    try:
        return await kit.artifacts.keep(here, _place(job, part, index))
    except UnexpectedAnswer:
        if result.url is not None and here.path is not None:  # what came is no result: the next try fetches it anew
            await anyio.Path(here.path).unlink(missing_ok=True)
        raise


async def _here(kit: Kit, held: Held, job: Job, part: Submission, index: int, result: RemoteOutput) -> RemoteOutput:
    """Return a result that is on this machine, fetching it first where it is elsewhere."""
    if result.url is None:
        return result
    provider = kit.providers[part.provider]
    folder = await anyio.to_thread.run_sync(kit.artifacts.scratch, job.id, part.idx)
    headers = await _signed(kit, held) if provider.auth_for_downloads else None
    async with kit.downloads.turn(result.expires_at or float("inf")):
        # A name of this process's own: one that was taken for dead may still be writing.
        name = f"result-{part.attempt}-{index}"
        left = await anyio.to_thread.run_sync(_left, folder, name)
        to, base_url = folder / f"{name}.{kit.owner}", kit.accounts.base_url(provider)
        path = await kit.fetcher.fetch(
            result.url, to, hosts=provider.hosts, base_url=base_url, headers=headers, left=left
        )
    return result.model_copy(update={"path": str(path)})


async def _signed(kit: Kit, held: Held) -> Mapping[str, str]:
    """Return what a provider wants with downloads from its own hosts."""
    adapter = kit.adapters.adapter(held.provider)
    return await adapter.download_headers(kit.follow(held)) if isinstance(adapter, Signs) else {}


def _left(folder: Path, name: str) -> list[Path]:
    """Return the files that other processes were bringing a result to."""
    found = {path.with_suffix("") if path.suffix in (".part", ".json") else path for path in folder.glob(f"{name}.*")}
    return sorted(found)


async def _renew(kit: Kit, held: Held, part: Submission) -> Held | None:
    """Ask the provider for its links once more."""
    try:
        call = kit.follow(held)
        async with kit.limit(call.provider, "poll"):
            answer = await kit.adapters.adapter(part.provider).poll(part.operation or {}, call)
    except StorageError:
        raise
    except Exception as exc:  # because a poll that fails says nothing about the job
        log.warning("job %s: its links could not be renewed: %s", held.job_id, kit.plain(exc))
        return kit.trouble(held)
    match answer:
        case Succeeded() if results := tuple(item for item in answer.outputs if isinstance(item, RemoteOutput)):
            held.renewals += 1
            moved = await kit.move(part, Move(State.DOWNLOADING, kit.clock.now(), results=results))
            return None if moved is None else kit.later(held, 0.0)
        case Failed():
            held.renewals = RENEWALS
            return kit.later(held, 0.0)
        case _:
            return kit.trouble(held)


def is_past(kit: Kit, held: Held) -> bool:
    """Return whether the provider has surely dropped what it made."""
    provider = kit.providers.get(held.provider)
    kept_s = (provider.retention_s if provider else None) or RETENTION_S
    return kit.clock.boot() - held.began > kept_s


def charge(said: MicroUsd | None, part: Submission) -> MicroUsd | None:
    """Return what the provider says that it charged, which may be nothing, else our estimate."""
    return part.estimate if said is None else said


def charge_of(failed: Failed, part: Submission) -> MicroUsd | None:
    """Return what work costs that ended without a result: nothing, unless its provider charges for that too."""
    return charge(failed.charged, part) if failed.billed else FREE
