"""The one call that may cost money: intent before it, and whatever comes of it stored."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeGuard

import anyio
import anyio.to_thread

from darkroom.adapters.base import Accepted, Adapter, Call, Failed, Succeeded
from darkroom.catalog.prices import counted_cost
from darkroom.domain.job import INSTEAD, Job, LedgerKind, State, Submission
from darkroom.domain.money import FREE, MicroUsd
from darkroom.domain.output import RemoteOutput
from darkroom.errors import (
    AuthFailed,
    BudgetExceeded,
    DarkroomError,
    InsufficientCredits,
    ModelRetired,
    NotConfigured,
    Overloaded,
    ProviderFailed,
    RateLimited,
    StorageError,
    TimedOut,
    UnexpectedAnswer,
    lost_answer,
)
from darkroom.events import Progress
from darkroom.net.classify import Verdict, verdict_of
from darkroom.runtime import inputs, schedule
from darkroom.runtime.collect import charge, charge_of, collect
from darkroom.runtime.held import Held
from darkroom.runtime.kit import Kit
from darkroom.store.base import Acceptance, Intent, Move

log = logging.getLogger(__name__)
REPLAYS = 3
"""How often a replayable submission is sent in all before it fails."""
ASIDE_S = 0.05
PATIENCE = 3
"""How often a provider without room is asked before another offer is."""
LONG_S = 300.0
"""A pause, as after a day's quota, that is not waited for where another offer may be asked at once."""
UPLOADS = 6
"""How often it is tried again to bring the pictures to the provider; nothing is paid for by then."""


async def submit(kit: Kit, held: Held, job: Job, part: Submission) -> Held | None:
    """Send a queued submission, unless it was cancelled, came too late, or cannot be sent."""
    if job.cancel_requested_at is not None:
        return await kit.end(part, State.CANCELLED, None)
    deadline_at = own_deadline(job)
    if deadline_at is not None and deadline_at <= kit.clock.now():
        return await kit.end(part, State.FAILED, TimedOut("The deadline passed before the job was sent."))
    try:
        adapter = kit.adapters.adapter(part.provider)
        call = await inputs.ready(kit, adapter, await kit.call(job, part))
    except StorageError:
        raise
    except (Overloaded, RateLimited, ProviderFailed) as exc:
        if held.failures < UPLOADS:
            log.warning("job %s: its pictures could not be brought to %s: %s", job.id, part.provider, kit.plain(exc))
            return kit.trouble(held)
        return await kit.end(part, State.FAILED, exc)
    except DarkroomError as exc:
        return await kit.end(part, State.FAILED, exc)
    except Exception as exc:  # because a fault before the call costs nothing, and must be shown
        log.exception("job %s could not be prepared", job.id)
        error = ProviderFailed(f"{part.provider} could not be prepared: {type(exc).__name__}. Nothing was sent.")
        return await kit.end(part, State.FAILED, error)
    async with kit.limit(call.provider, "submit"):
        if kit.closing:
            return None
        kit.sending.add(held.key)
        try:
            return await _intend(kit, adapter, call, held, job, part)
        finally:
            kit.sending.discard(held.key)


async def _intend(kit: Kit, adapter: Adapter, call: Call, held: Held, job: Job, part: Submission) -> Held | None:
    held.intent = call.submit_key
    intent = Intent(call.submit_key, kit.accounts.account(call.provider), kit.clock.now())
    sent = await kit.store.intend(part.ref, kit.owner, intent)
    if sent is None:  # somebody else was quicker, or it was cancelled: the next look says which
        return kit.later(held, ASIDE_S)
    if kit.closing:
        await unsent(kit, sent)
        return None
    held.intent = None
    try:
        answer = await adapter.submit(call)
    except Exception as exc:  # because the fate of the call must be stored whatever happened
        return await _refused(kit, held, job, sent, exc)
    return await answered(kit, call, held, job, sent, answer)


async def unsent(kit: Kit, part: Submission) -> None:
    """Take back an intent whose call was never made."""
    await kit.move(part, Move(State.QUEUED, kit.clock.now(), detail="not sent", release=True))


async def _refused(kit: Kit, held: Held, job: Job, part: Submission, exc: Exception) -> Held | None:
    """Store what it means that a call brought no result."""
    if isinstance(exc, DarkroomError):
        kit.health.ill(part.provider, exc)
    if _may_go_elsewhere(exc, part) and await _elsewhere(kit, job, part, exc):
        return None
    match verdict_of(exc):
        case Verdict.FINAL if isinstance(exc, DarkroomError):
            await kit.end(part, State.FAILED, exc)
            return await _late_end(kit, part, exc)
        case Verdict.REFUSED if isinstance(exc, DarkroomError):
            pause = schedule.refusal_pause(part.attempt, exc.retry_after_s)
            deadline_at = own_deadline(job)
            if deadline_at is not None and kit.clock.now() + pause * 1000 >= deadline_at:
                await kit.end(part, State.FAILED, exc)  # it would only wait for its deadline
                return await _late_end(kit, part, exc)
            kit.bus.progress(job.id, Progress(None, f"waits {round(pause)} s: {exc.message}"))
            following = await _queued_again(kit, held, job, part, pause, exc.message)
            return following or await _late_end(kit, part, exc)
        case _:
            return await _unknown(kit, held, job, part, exc)


def _may_go_elsewhere(exc: Exception, part: Submission) -> TypeGuard[DarkroomError]:
    """Return whether another offer may be asked: after a provable refusal that is no fault of the request."""
    if isinstance(exc, InsufficientCredits | AuthFailed | ModelRetired | NotConfigured):
        return True
    if not isinstance(exc, Overloaded | RateLimited):
        return False
    return part.attempt >= PATIENCE or (exc.retry_after_s or 0) > LONG_S


async def _elsewhere(kit: Kit, job: Job, part: Submission, exc: DarkroomError) -> bool:
    """Put another offer in the place of one that refused, with a reservation of its own; return whether there is."""
    if kit.rerouter is None:
        return False
    account = isinstance(exc, InsufficientCredits | AuthFailed | NotConfigured)
    other = await kit.rerouter.instead(job, part, account=account)
    if other is None:
        return False
    row = kit.row(part, LedgerKind.RELEASED, part.estimate, certain=True)
    move = Move(
        State.FAILED,
        kit.clock.now(),
        detail=f"{exc.message} Goes on with {other.submission.provider}/{other.submission.model}.",
        error=exc.to_dict(),
        actual=FREE,
        notes={INSTEAD: True},
        ledger=(row,),
    )
    work = partial(kit.store.reroute, part.ref, kit.owner, move, other.submission, other.reserved, other.limits)
    try:
        placed = await kit.stored(part, None, work)
    except BudgetExceeded as over:
        log.info("job %s is not sent elsewhere: %s", job.id, over.message)
        return False
    if placed is not None:
        kit.bus.work()
    return placed is not None


async def _late_end(kit: Kit, part: Submission, exc: DarkroomError, charged: MicroUsd | None = FREE) -> None:
    """End what became unknown while its process was taken for dead, now that it was refused, or failed at once.

    Not while its provider is being asked: that may have sent it again with its key.
    """
    job = await kit.store.get(part.job_id)
    late = job.submissions[part.idx] if job else None
    if late and late.state is State.SUBMIT_UNKNOWN and late.submit_key == part.submit_key and late.owner is None:
        await kit.end(late, State.FAILED, exc, charged=charged)


async def _queued_again(kit: Kit, held: Held, job: Job, part: Submission, pause: float, why: str) -> Held | None:
    now = kit.clock.now()
    move = Move(State.QUEUED, now, detail=why, due_at=now + int(pause * 1000))
    return kit.again(held, job, await kit.move(part, move), kit.clock.boot() + pause)


async def _unknown(kit: Kit, held: Held, job: Job, part: Submission, exc: Exception) -> Held | None:
    log.warning("job %s: no answer to its submission: %s", job.id, kit.plain(exc))
    if part.replayable:
        if part.attempt < REPLAYS:
            pause = schedule.refusal_pause(part.attempt, None)
            return await _queued_again(kit, held, job, part, pause, "no answer; sent again, since it is free")
        error = exc if isinstance(exc, DarkroomError) else ProviderFailed(f"{part.provider} did not answer.")
        return await kit.end(part, State.FAILED, error)
    await unsure(kit, part, kit.plain(exc), answered=isinstance(exc, UnexpectedAnswer))
    return None


async def unsure(kit: Kit, part: Submission, why: str, *, answered: bool = False) -> None:
    """Say of a paid call that nobody knows what came of it, with what came where something did."""
    said = (f"its answer cannot be read ({why.rstrip('.')})",) if answered else ()
    error = lost_answer(part.provider, *said).to_dict()
    await kit.move(part, Move(State.SUBMIT_UNKNOWN, kit.clock.now(), error=error, detail=why, release=True))


async def answered(
    kit: Kit, call: Call, held: Held | None, job: Job, part: Submission, answer: Accepted | Succeeded | Failed
) -> Held | None:
    """Store what the provider answered to a submission, now or found later, whatever it takes."""
    kit.health.well(part.provider)
    if isinstance(answer, Succeeded):
        return await finished(kit, call.scratch, held, job, part, answer)
    if isinstance(answer, Failed):
        charged = charge_of(answer, part)
        await kit.end(part, State.FAILED, answer.error, charged=charged)
        return await _late_end(kit, part, answer.error, charged)
    now = kit.clock.now()
    wait = answer.poll_after_s or schedule.poll_interval(job.kind, 0, call.provider.poll)
    acceptance = Acceptance(
        job_id=job.id,
        idx=part.idx,
        attempt=part.attempt,
        submit_key=call.submit_key,
        at=now,
        operation=answer.operation,
        provider_job_id=answer.provider_job_id,
        due_at=now + int(wait * 1000),
        deadline_at=own_deadline(job) or schedule.deadline_ms(job.kind, now),
    )
    stored = await kit.stored(part, answer.provider_job_id, partial(kit.store.accept, acceptance))
    fresh = await kit.store.get(job.id) or job
    if fresh.cancel_requested_at is not None:
        wait = 0.0
    return None if held is None else kit.again(held, fresh, stored, kit.clock.boot() + wait)


async def finished(
    kit: Kit, scratch: Path, held: Held | None, job: Job, part: Submission, answer: Succeeded
) -> Held | None:
    """Note what is to be downloaded, keeping first what the answer itself holds, and go on with it at once."""
    offer = kit.offer(part.provider, part.model)
    counted = counted_cost(offer, answer.tokens) if offer and answer.cost is None else answer.cost
    if not answer.outputs:
        why = answer.failed[0].message if answer.failed else "It delivered nothing."
        error = ProviderFailed(f"{part.provider} said that it was done, without a result. {why}")
        return await kit.end(part, State.FAILED, error, charged=charge(counted, part))
    results = await _kept(kit, scratch, part, answer)
    move = Move(
        State.DOWNLOADING,
        kit.clock.now(),
        results=results,
        failed_outputs=answer.failed,
        notes={**answer.notes, **({"tokens": dict(answer.tokens)} if answer.tokens else {})},
        actual=counted,
        turn=answer.turn,
        release=held is None,
    )
    moved = await kit.move(part, move)
    if moved is None:
        return await _late(kit, part, move)
    if held is None:
        return None
    following = kit.again(held, job, moved, kit.clock.boot())
    fresh = await kit.store.get(job.id)
    return following and await collect(kit, following, fresh or job, moved)


async def _kept(kit: Kit, scratch: Path, part: Submission, answer: Succeeded) -> tuple[RemoteOutput, ...]:
    """Keep what an answer holds in files, whatever it takes: nobody can be asked for it again."""
    failures = 0
    while True:
        try:
            with anyio.CancelScope(shield=True):
                return await anyio.to_thread.run_sync(_write, kit, scratch, part, answer)
        except StorageError as exc:
            failures += 1
            log.error("job %s: its result cannot be kept yet: %s", part.job_id, exc.message)  # noqa: TRY400 because the trace says nothing more
            kit.bus.progress(part.job_id, Progress(None, f"finished, but not saved yet: {exc.message}"))
            await kit.clock.sleep(schedule.trouble_pause(failures))


def _write(kit: Kit, scratch: Path, part: Submission, answer: Succeeded) -> tuple[RemoteOutput, ...]:
    results: list[RemoteOutput] = []
    for number, output in enumerate(answer.outputs, start=1):
        if isinstance(output, RemoteOutput):
            results.append(output)
            continue
        path = scratch / f"made-{part.attempt}-{number}"
        kit.artifacts.hold(path, output.data)
        results.append(RemoteOutput(path=str(path), media_type=output.media_type, variant=output.variant))
    return tuple(results)


async def _late(kit: Kit, part: Submission, move: Move) -> None:
    """Let in a synchronous answer whose process was taken for dead meanwhile; anybody then goes on with it.

    Whoever is just asking its provider about it moves its version, so it is tried until it is in.
    """
    while True:
        job = await kit.store.get(part.job_id)
        late = job.submissions[part.idx] if job else None
        if late is None or late.state is not State.SUBMIT_UNKNOWN or late.submit_key != part.submit_key:
            return
        let_in = partial(kit.store.move, late.ref, late.owner, replace(move, release=True))
        if await kit.stored(late, None, let_in) is not None:
            kit.bus.work()
            return


def own_deadline(job: Job) -> int | None:
    """Return the caller's deadline; the usual one counts anew from each acceptance."""
    return None if job.request.deadline_s is None else job.created_at + int(job.request.deadline_s * 1000)
