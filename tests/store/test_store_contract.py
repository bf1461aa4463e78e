"""What `store/base.py` promises, sentence by sentence; nothing here knows which store it is."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from darkroom.domain.job import ACTIVE, ENDED, Job, LedgerKind, State, Submission, may_move
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.domain.request import Kind, MediaInput, Mode, Role, VideoRequest
from darkroom.errors import InvalidRequest, StorageError
from darkroom.events import Bus
from darkroom.store.base import Claimed, JobStore
from factories import (
    JOB_ID,
    NOW,
    OWNER,
    job_id,
    make_acceptance,
    make_effective,
    make_intent,
    make_job,
    make_ledger_row,
    make_move,
    make_output,
    make_request,
    make_worker,
)

pytestmark = pytest.mark.anyio

WAYS: dict[State, tuple[State, ...]] = {
    State.QUEUED: (),
    State.SUBMITTING: (State.SUBMITTING,),
    State.SUBMIT_UNKNOWN: (State.SUBMITTING, State.SUBMIT_UNKNOWN),
    State.RUNNING: (State.SUBMITTING, State.RUNNING),
    State.PARKED: (State.SUBMITTING, State.RUNNING, State.PARKED),
    State.DOWNLOADING: (State.SUBMITTING, State.DOWNLOADING),
    State.SUCCEEDED: (State.SUBMITTING, State.DOWNLOADING, State.SUCCEEDED),
    State.FAILED: (State.FAILED,),
    State.CANCELLED: (State.CANCELLED,),
}
"""How a claimed submission comes into each state."""


async def claim(store: JobStore, owner: str = OWNER, **changes: Any) -> list[Claimed]:
    values: dict[str, Any] = {"accounts": ["acme/main"], "now": NOW, "limit": 100}
    return await store.claim(owner, **(values | changes))


async def take(store: JobStore, owner: str = OWNER) -> Submission:
    """Claim the only submission that is free."""
    [claimed] = await claim(store, owner)
    return claimed.submission


async def walk(store: JobStore, part: Submission, states: Sequence[State], **last: Any) -> Submission:
    """Move a submission along these states; the last move has what `last` says."""
    for number, state in enumerate(states, 1):
        changes = last if number == len(states) else {}
        if state is State.SUBMITTING:
            moved = await store.intend(part.ref, part.owner or "", make_intent())
        else:
            moved = await store.move(part.ref, part.owner, make_move(state, at=NOW + 5_000 + number, **changes))
        assert moved is not None
        part = moved
    return part


async def bring(store: JobStore, state: State, job: Job | None = None, **last: Any) -> Submission:
    """Add a job, claim it, and bring its only submission to a state."""
    job = job or make_job()
    await store.add(job)
    return await walk(store, await take(store), WAYS[state], **last)


async def get(store: JobStore, identity: str = JOB_ID) -> Job:
    job = await store.get(identity)
    assert job is not None
    return job


# Opening and closing


async def test_closing_twice_does_nothing_and_an_open_store_may_be_opened_again(make_store: Any) -> None:
    store: JobStore = make_store()
    await store.open()
    await store.open()
    await store.add(make_job())
    await store.close()
    await store.close()
    await store.open()
    assert (await get(store)).id == JOB_ID
    await store.close()


async def test_many_tasks_may_open_one_store(make_store: Any) -> None:
    store: JobStore = make_store()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(store.open)
    await store.add(make_job())
    assert await store.get(JOB_ID) is not None
    await store.close()


async def test_a_store_that_is_not_open_says_so(make_store: Any) -> None:
    store: JobStore = make_store()
    with pytest.raises(StorageError, match="not open"):
        await store.add(make_job())
    with pytest.raises(StorageError, match="not open"):
        await store.get(JOB_ID)
    with pytest.raises(StorageError, match="not open"):
        await store.data_version()


async def test_what_is_being_written_is_finished_before_the_store_closes(make_store: Any) -> None:
    store: JobStore = make_store()
    await store.open()
    async with anyio.create_task_group() as tasks:
        for number in range(600):
            tasks.start_soon(store.register, make_worker(id=f"worker-{number:03d}"))
        await anyio.lowlevel.checkpoint()
        tasks.start_soon(store.close)
    await store.open()
    assert len(await store.workers()) == 600
    await store.close()


# Adding


async def test_a_job_comes_back_as_it_was_added(store: JobStore) -> None:
    job = make_job(
        idempotency_key="key",
        max_cost=90_000,
        save_as="fox.png",
        labels=("zoo", "grün"),
        priority=3,
        warnings=("no seed",),
        retry_of=job_id(7),
        parent_job_id=job_id(8),
        request=make_request(
            images=[
                MediaInput(src="input:ab", role=Role.SOURCE, sha256="ab", media_type="image/png", width=3, height=4)
            ],
            size="1024x512",
            options={"style": None, "deep": {"list": [1, "zwei", None]}},
        ),
        parts=[
            {"effective": make_effective(options={"a": None}), "account": "acme/main", "replayable": True},
            {"provider": "other", "due_at": 5, "deadline_at": 6, "operation": {"id": 1}, "notes": {"seed": 1}},
            {"results": (RemoteOutput(url="https://cdn.example/1"),), "error": {"code": "x"}, "estimate": None},
            {
                "failed_outputs": (FailedOutput(index=1, code="x", message="y"),),
                "provider_job_id": "r",
                "accepted_at": 1,
            },
        ],
    )
    added = await store.add(job)
    assert added.created
    assert added.job == job
    assert await store.get(JOB_ID) == job
    assert await store.find() == [job]


async def test_a_video_with_pictures_in_its_scenes_comes_back_as_it_was_added(store: JobStore) -> None:
    picture = MediaInput(src="input:cd", role=Role.FIRST_FRAME, sha256="cd", media_type="image/png")
    request = VideoRequest.model_validate(
        {"prompt": "x", "duration": "8s", "scenes": [{"image": picture}, {"prompt": "b"}]}
    )
    job = make_job(kind=Kind.VIDEO, mode=Mode.TIMELINE, request=request)
    await store.add(job)
    assert await store.get(JOB_ID) == job


async def test_a_new_job_has_its_ledger_rows_and_a_first_event_for_every_submission(store: JobStore) -> None:
    rows = [make_ledger_row(), make_ledger_row(submission=1, certain=False)]
    await store.add(make_job(parts=[{}, {}]), rows)
    assert await store.ledger(JOB_ID) == rows
    events = await store.events(JOB_ID)
    assert [(event.seq, event.submission, event.origin, event.target, event.at) for event in events] == [
        (1, 0, None, State.QUEUED, NOW),
        (2, 1, None, State.QUEUED, NOW),
    ]


@pytest.mark.parametrize("state", list(State))
async def test_a_key_returns_its_job_whatever_the_state(store: JobStore, state: State) -> None:
    await bring(store, state, make_job(idempotency_key="key"))
    for again in (False, True):
        added = await store.add(make_job(id=job_id(2), idempotency_key="key"), [make_ledger_row()], again=again)
        assert not added.created
        assert added.job == await get(store)
    assert await store.get(job_id(2)) is None
    assert await store.ledger(JOB_ID) == []


async def test_a_key_used_for_another_request_is_refused_with_what_differs(store: JobStore) -> None:
    await store.add(make_job(idempotency_key="key"))
    other = make_request(prompt="a blue fox", n=2)
    with pytest.raises(InvalidRequest, match=rf"{JOB_ID}.*: prompt, n\.") as caught:
        await store.add(make_job(id=job_id(2), idempotency_key="key", request=other, request_hash="other"), again=True)
    assert caught.value.field == "idempotency_key"
    assert JOB_ID in (caught.value.hint or "")
    assert [job.id for job in await store.find()] == [JOB_ID]


async def test_a_key_used_for_another_kind_is_refused_with_what_only_the_first_had(store: JobStore) -> None:
    await store.add(make_job(idempotency_key="key", request=make_request(size="512x512")))
    video = VideoRequest(prompt="a red fox")
    with pytest.raises(InvalidRequest, match=r"kind.*size"):
        await store.add(make_job(idempotency_key="key", kind=Kind.VIDEO, request=video, request_hash="other"))


async def test_a_key_used_for_a_retry_of_another_job_is_refused(store: JobStore) -> None:
    await store.add(make_job(idempotency_key="key"))
    with pytest.raises(InvalidRequest, match=r": retry_of\."):
        await store.add(make_job(id=job_id(2), idempotency_key="key", retry_of=job_id(9), request_hash="other"))


async def test_keys_and_requests_of_another_principal_are_not_repetitions(store: JobStore) -> None:
    await store.add(make_job(idempotency_key="key"))
    assert (await store.add(make_job(id=job_id(2), principal="other", idempotency_key="key"))).created
    assert (await store.add(make_job(id=job_id(3), principal="third"))).created


async def test_a_request_with_a_key_is_not_looked_up_by_its_hash(store: JobStore) -> None:
    await store.add(make_job())
    assert (await store.add(make_job(id=job_id(2), idempotency_key="key"))).created


async def test_a_request_without_a_key_finds_the_job_that_was_made_with_one(store: JobStore) -> None:
    await store.add(make_job(idempotency_key="key"))
    assert (await store.add(make_job(id=job_id(2)))).job.id == JOB_ID


@pytest.mark.parametrize("state", sorted(ACTIVE | {State.SUCCEEDED}))
async def test_the_same_request_returns_the_job_that_has_not_ended_or_was_not_delivered(
    store: JobStore, state: State
) -> None:
    await bring(store, state)
    added = await store.add(make_job(id=job_id(2), created_at=NOW + 10**9))
    assert not added.created
    assert added.job == await get(store)


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_a_failed_or_cancelled_job_is_never_returned_by_its_hash(store: JobStore, state: State) -> None:
    await bring(store, state)
    assert (await store.add(make_job(id=job_id(2)))).created


async def test_again_makes_a_new_job(store: JobStore) -> None:
    await store.add(make_job())
    assert (await store.add(make_job(id=job_id(2)), again=True)).created


async def test_another_request_makes_a_new_job(store: JobStore) -> None:
    await store.add(make_job())
    assert (await store.add(make_job(id=job_id(2), request_hash="other"))).created


@pytest.mark.parametrize(
    ("after_ms", "fresh_for_ms", "created"),
    [(0, 120_000, False), (120_000, 120_000, False), (120_001, 120_000, True), (0, 0, False), (1, 0, True)],
)
async def test_a_delivered_job_is_returned_until_the_window_ends(
    store: JobStore, after_ms: int, fresh_for_ms: int, created: bool
) -> None:
    await bring(store, State.SUCCEEDED)
    await store.delivered(JOB_ID, NOW + 10_000)
    job = make_job(id=job_id(2), created_at=NOW + 10_000 + after_ms)
    assert (await store.add(job, fresh_for_ms=fresh_for_ms)).created is created


async def test_the_newest_of_several_same_requests_is_returned(store: JobStore) -> None:
    for number in (1, 2, 3):
        await store.add(make_job(id=job_id(number)), again=True)
    assert (await store.add(make_job(id=job_id(4)))).job.id == job_id(3)


async def test_the_same_request_at_the_same_time_makes_one_job(store: JobStore, open_another: Any) -> None:
    other: JobStore = await open_another()
    found: list[tuple[str, bool]] = []

    async def add(where: JobStore, number: int) -> None:
        added = await where.add(make_job(id=job_id(number)))
        found.append((added.job.id, added.created))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(add, (store, other)[number % 2], number)
    assert len({identity for identity, _ in found}) == 1
    assert sum(created for _, created in found) == 1


# Looking


async def test_nothing_is_found_where_nothing_is(store: JobStore) -> None:
    assert await store.get(JOB_ID) is None
    assert await store.find() == []
    assert await store.output("out_1") is None
    assert await store.events(JOB_ID) == []
    assert await store.ledger(JOB_ID) == []
    assert await store.workers() == []
    assert await claim(store) == []
    assert await store.request_cancel(JOB_ID, "local", NOW) is None
    await store.delivered(JOB_ID, NOW)


async def test_principals_are_hidden_from_each_other(store: JobStore) -> None:
    output = make_output()
    await bring(store, State.SUCCEEDED, outputs=(output,))
    assert await store.get(JOB_ID, "local") == await store.get(JOB_ID) == await get(store)
    assert await store.output(output.id, "local") == await store.output(output.id) == output
    for stranger in ("other", "", "*", "%", "LOCAL"):
        assert await store.get(JOB_ID, stranger) is None
        assert await store.output(output.id, stranger) is None
        assert await store.find(principal=stranger) == []
        assert await store.request_cancel(JOB_ID, stranger, NOW) is None


async def test_find_filters_by_principal_states_and_label_and_pages_from_the_newest(store: JobStore) -> None:
    for number in range(1, 13):
        labels = ("even", "x") if number % 2 == 0 else ("odd",)
        principal = "local" if number < 12 else "other"
        await store.add(make_job(id=job_id(number), labels=labels, principal=principal), again=True)
    await store.request_cancel(job_id(4), "local", NOW)

    async def numbers(**filters: Any) -> list[int]:
        return [int(job.id.removeprefix("job_")) for job in await store.find(**filters)]

    assert await numbers() == list(range(12, 2, -1))
    assert await numbers(limit=3) == [12, 11, 10]
    assert await numbers(limit=3, before=job_id(10)) == [9, 8, 7]
    assert await numbers(limit=3, before=job_id(1)) == []
    assert await numbers(limit=0) == []
    assert await numbers(principal="local", limit=1) == [11]
    assert await numbers(label="even") == [12, 10, 8, 6, 4, 2]
    assert await numbers(label="eve") == []
    assert await numbers(states=[State.CANCELLED]) == [4]
    assert await numbers(states=[State.CANCELLED, State.QUEUED], limit=99) == list(range(12, 0, -1))
    both: dict[str, Any] = {"states": [State.QUEUED], "label": "even", "principal": "local", "before": job_id(10)}
    assert await numbers(**both) == [8, 6, 2]


# Claiming


async def test_twenty_claimers_share_fifty_jobs_and_none_gets_another_s(store: JobStore, open_another: Any) -> None:
    others: list[JobStore] = [await open_another(), await open_another()]
    for number in range(50):
        await store.add(make_job(id=job_id(number)), again=True)
    taken: list[tuple[str, str]] = []

    async def grab(owner: str, where: JobStore) -> None:
        while claimed := await claim(where, owner, limit=3):
            assert len(claimed) <= 3
            assert {item.submission.owner for item in claimed} == {owner}
            taken.extend((item.job.id, owner) for item in claimed)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(grab, f"worker-{number}", [store, *others][number % 3])
    assert sorted(identity for identity, _ in taken) == [job_id(number) for number in range(50)]
    assert {identity: (await get(store, identity)).submissions[0].owner for identity, _ in taken} == dict(taken)


async def test_higher_priority_goes_first_and_then_what_is_due_first(store: JobStore) -> None:
    for number, priority, due_at in [(1, 0, 9), (2, -1, 1), (3, 5, NOW * 2), (4, 0, 3), (5, 5, 2)]:
        await store.add(make_job(id=job_id(number), priority=priority, due_at=due_at), again=True)
    assert [item.job.id for item in await claim(store, limit=4)] == [job_id(number) for number in (5, 3, 4, 1)]
    assert [item.job.id for item in await claim(store)] == [job_id(2)]


async def test_a_submission_with_an_account_goes_only_to_who_holds_it(store: JobStore) -> None:
    accounts = [None, "acme/main", "acme/second"]
    for number, account in enumerate(accounts, 1):
        await store.add(make_job(id=job_id(number), account=account), again=True)
    assert [item.job.id for item in await claim(store, accounts=[])] == [job_id(1)]
    assert await claim(store, accounts=["other", ""]) == []
    assert [item.job.id for item in await claim(store, accounts=["other", "acme/second"])] == [job_id(3)]
    assert [item.job.id for item in await claim(store, accounts=["acme/main"])] == [job_id(2)]


async def test_a_claim_shows_the_new_version_and_writes_no_event(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}]))
    first, second = await claim(store)
    assert (first.submission.idx, second.submission.idx) == (0, 1)
    assert second.job == await get(store)
    assert first.submission == second.job.submissions[0]
    assert first.submission.version == 1
    assert len(await store.events(JOB_ID)) == 2
    assert await claim(store, "worker-2") == []


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.PARKED, State.DOWNLOADING])
async def test_what_is_released_may_be_claimed_again(store: JobStore, state: State) -> None:
    part = await bring(store, state)
    released = await store.move(part.ref, OWNER, make_move(state, release=True))
    assert released is not None
    assert released.owner is None
    [claimed] = await claim(store, "worker-2")
    assert (claimed.submission.owner, claimed.submission.state) == ("worker-2", state)


@pytest.mark.parametrize("state", [State.SUBMITTING, State.SUBMIT_UNKNOWN])
async def test_what_may_have_been_paid_is_never_claimed(store: JobStore, state: State) -> None:
    part = await bring(store, state)
    assert await store.move(part.ref, OWNER, make_move(state, release=True)) is not None
    assert await claim(store, "worker-2") == []


@pytest.mark.parametrize("state", sorted(ENDED))
async def test_what_has_ended_has_no_owner_and_is_not_claimed(store: JobStore, state: State) -> None:
    part = await bring(store, state)
    assert part.owner is None
    assert await claim(store) == []


# The intent


async def test_an_intent_is_stored_with_everything_the_paid_call_needs(store: JobStore) -> None:
    await store.add(make_job())
    part = await take(store)
    sent = await store.intend(part.ref, OWNER, make_intent())
    assert sent is not None
    assert sent == (await get(store)).submissions[0]
    expected = part.model_copy(
        update={
            "state": State.SUBMITTING,
            "attempt": 1,
            "submit_key": "key-1",
            "account": "acme/main",
            "sent_at": NOW + 1_000,
            "version": part.version + 1,
        }
    )
    assert sent == expected
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target, event.owner, event.at) == (State.QUEUED, State.SUBMITTING, OWNER, NOW + 1_000)
    assert (await get(store)).updated_at == NOW + 1_000


async def test_every_intent_counts_one_attempt_more(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    part = await walk(store, part, [State.QUEUED])
    sent = await store.intend(part.ref, OWNER, make_intent(submit_key="key-2"))
    assert sent is not None
    assert (sent.attempt, sent.submit_key) == (2, "key-2")


async def test_an_intent_of_another_version_or_owner_changes_nothing(store: JobStore) -> None:
    await store.add(make_job())
    part = await take(store)
    before = await get(store)
    stale = part.ref.model_copy(update={"version": part.version - 1})
    assert await store.intend(stale, OWNER, make_intent()) is None
    assert await store.intend(part.ref, "worker-2", make_intent()) is None
    assert await store.intend(part.ref.model_copy(update={"idx": 1}), OWNER, make_intent()) is None
    assert await store.intend(part.ref.model_copy(update={"job_id": job_id(9)}), OWNER, make_intent()) is None
    assert await get(store) == before
    assert len(await store.events(JOB_ID)) == 1


async def test_an_intent_after_a_cancel_is_refused(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    await store.request_cancel(JOB_ID, "local", NOW)
    part = await walk(store, part, [State.QUEUED])
    before = await get(store)
    assert await store.intend(part.ref, OWNER, make_intent()) is None
    assert await get(store) == before


@pytest.mark.parametrize("state", sorted(set(State) - {State.QUEUED}))
async def test_an_intent_from_another_state_is_refused(store: JobStore, state: State) -> None:
    part = await bring(store, state)
    assert await store.intend(part.ref, OWNER, make_intent()) is None
    assert (await get(store)).submissions[0] == part


# The acceptance


async def test_an_acceptance_is_stored_with_all_that_it_says(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    accepted = await store.accept(make_acceptance())
    assert accepted == (await get(store)).submissions[0]
    assert accepted == part.model_copy(
        update={
            "state": State.RUNNING,
            "operation": {"id": "remote-1"},
            "provider_job_id": "remote-1",
            "accepted_at": NOW + 2_000,
            "due_at": NOW + 4_000,
            "deadline_at": NOW + 900_000,
            "version": part.version + 1,
        }
    )
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target, event.at) == (State.SUBMITTING, State.RUNNING, NOW + 2_000)


async def test_a_repeated_acceptance_changes_nothing(store: JobStore) -> None:
    await bring(store, State.SUBMITTING)
    accepted = await store.accept(make_acceptance())
    assert await store.accept(make_acceptance(operation={"id": "remote-2"}, at=NOW + 9_000)) == accepted
    assert (await get(store)).submissions[0] == accepted
    assert len(await store.events(JOB_ID)) == 3


async def test_an_acceptance_gets_in_after_a_cancel_and_after_another_owner_took_over(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    await store.request_cancel(JOB_ID, "local", NOW)
    assert await store.move(part.ref, OWNER, make_move(State.SUBMITTING, release=True)) is not None
    accepted = await store.accept(make_acceptance())
    assert accepted is not None
    assert (accepted.state, accepted.owner) == (State.RUNNING, None)
    assert (await get(store)).cancel_requested_at == NOW


async def test_an_acceptance_leads_out_of_submit_unknown_and_clears_its_error(store: JobStore) -> None:
    await bring(store, State.SUBMITTING)
    assert await store.reap([OWNER], NOW + 1_500) == [JOB_ID]
    assert (await get(store)).error is not None
    accepted = await store.accept(make_acceptance())
    assert accepted is not None
    assert (accepted.state, accepted.error) == (State.RUNNING, None)
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target) == (State.SUBMIT_UNKNOWN, State.RUNNING)


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_a_late_acceptance_leaves_its_operation_in_a_job_that_ended_and_moves_nothing(
    store: JobStore, state: State
) -> None:
    part = await bring(store, State.SUBMIT_UNKNOWN)
    await walk(store, part, [state])
    before = await get(store)
    late = await store.accept(make_acceptance())
    assert late is not None
    assert (late.state, late.operation, late.provider_job_id) == (state, {"id": "remote-1"}, "remote-1")
    assert late.accepted_at is None
    after = await get(store)
    assert (after.submissions, after.finished_at) == ((late,), before.finished_at)
    assert len(await store.events(JOB_ID)) == 4


@pytest.mark.parametrize(
    "wrong", [{"attempt": 2}, {"attempt": 0}, {"submit_key": "key-2"}, {"idx": 1}, {"job_id": job_id(9)}]
)
async def test_an_acceptance_of_another_attempt_matches_nothing(store: JobStore, wrong: dict[str, Any]) -> None:
    await bring(store, State.SUBMITTING)
    before = await get(store)
    assert await store.accept(make_acceptance(**wrong)) is None
    assert await get(store) == before


async def test_a_job_that_was_never_sent_accepts_nothing(store: JobStore) -> None:
    await store.add(make_job())
    assert await store.accept(make_acceptance(attempt=0)) is None


# Moves


@pytest.mark.parametrize("replayable", [False, True])
@pytest.mark.parametrize("origin", list(State))
async def test_the_transition_table_decides_every_move(store: JobStore, origin: State, replayable: bool) -> None:
    for number, target in enumerate(State, 1):
        name = job_id(number)
        part = await bring(store, origin, make_job(id=name, request_hash=target, replayable=replayable))
        before, events = await get(store, name), await store.events(name)
        same = origin is target and origin in ACTIVE
        if same or may_move(origin, target, replayable=replayable):
            moved = await store.move(part.ref, part.owner, make_move(target, at=NOW + 60_000))
            after = await get(store, name)
            assert moved is not None
            assert moved == after.submissions[0]
            assert (moved.state, moved.version, after.state) == (target, part.version + 1, target)
            assert after.updated_at == NOW + 60_000
            assert after.finished_at == (NOW + 60_000 if target in ENDED else None)
            assert len(await store.events(name)) == len(events) + (not same)
        else:
            move = make_move(target, outputs=(make_output(job_id=name),))
            with pytest.raises(ValueError, match=f"no move from {origin} to {target}"):
                await store.move(part.ref, part.owner, move)
            assert await get(store, name) == before
            assert await store.events(name) == events


async def test_a_move_stores_everything_it_brings(store: JobStore) -> None:
    part = await bring(store, State.RUNNING)
    changes: dict[str, Any] = {
        "due_at": 7,
        "deadline_at": 8,
        "operation": {"id": "remote-9"},
        "results": (RemoteOutput(url="https://cdn.example/1", variant="raw", expires_at=9),),
        "failed_outputs": (FailedOutput(index=2, code="content_blocked", message="no"),),
        "notes": {"seed": 42},
        "error": {"code": "timed_out", "message": "slow"},
        "actual": 39_000,
    }
    moved = await store.move(part.ref, OWNER, make_move(State.DOWNLOADING, detail="done", **changes))
    assert moved == part.model_copy(update={**changes, "state": State.DOWNLOADING, "version": part.version + 1})
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target, event.owner, event.detail) == (
        State.RUNNING,
        State.DOWNLOADING,
        OWNER,
        "done",
    )
    kept = await store.move(
        part.ref.model_copy(update={"version": part.version + 1}), OWNER, make_move(State.SUCCEEDED)
    )
    assert kept is not None
    assert moved is not None
    assert kept == moved.model_copy(update={"state": State.SUCCEEDED, "version": part.version + 2, "owner": None})


@pytest.mark.parametrize("wrong", [{"version": 2}, {"idx": 1}, {"job_id": job_id(9)}])
@pytest.mark.parametrize("target", [State.DOWNLOADING, State.RUNNING])
async def test_a_move_of_another_version_changes_nothing(store: JobStore, wrong: dict[str, Any], target: State) -> None:
    part = await bring(store, State.RUNNING)
    before, events = await get(store), await store.events(JOB_ID)
    move = make_move(target, outputs=(make_output(),), ledger=(make_ledger_row(),), actual=1)
    assert await store.move(part.ref.model_copy(update=wrong), OWNER, move) is None
    assert await get(store) == before
    assert await store.events(JOB_ID) == events
    assert await store.ledger(JOB_ID) == []


@pytest.mark.parametrize("owner", ["worker-2", None, ""])
async def test_a_move_of_another_owner_changes_nothing(store: JobStore, owner: str | None) -> None:
    part = await bring(store, State.RUNNING)
    before = await get(store)
    assert await store.move(part.ref, owner, make_move(State.DOWNLOADING)) is None
    assert await get(store) == before


async def test_what_nobody_owns_is_moved_by_nobody(store: JobStore) -> None:
    job = make_job()
    await store.add(job)
    assert await store.move(job.submissions[0].ref, OWNER, make_move(State.FAILED)) is None
    assert await store.move(job.submissions[0].ref, None, make_move(State.FAILED)) is not None


async def test_of_many_equal_moves_one_wins(store: JobStore) -> None:
    part = await bring(store, State.RUNNING)
    won: list[bool] = []

    async def move() -> None:
        won.append(await store.move(part.ref, OWNER, make_move(State.DOWNLOADING)) is not None)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(move)
    assert won.count(True) == 1


async def test_outputs_are_kept_with_the_move_and_only_once(store: JobStore) -> None:
    part = await bring(store, State.DOWNLOADING)
    outputs = [make_output(index=number, duration=1.5, variant="raw", thumbnail="t.webp") for number in (2, 1)]
    again = make_output(index=1, path="/elsewhere.png")
    part = await walk(store, part, [State.DOWNLOADING], outputs=tuple(outputs))
    await walk(store, part, [State.SUCCEEDED], outputs=(again, make_output(index=3)))
    kept = (await get(store)).outputs
    assert [output.index for output in kept] == [1, 2, 3]
    assert kept[0] == outputs[1]
    assert await store.output(outputs[1].id) == outputs[1]


async def test_the_ledger_has_one_row_of_a_kind_for_every_submission(store: JobStore) -> None:
    rows = [make_ledger_row(), make_ledger_row(micro_usd=1), make_ledger_row(submission=1)]
    await store.add(make_job(parts=[{}, {}]), rows)
    first, _ = await claim(store)
    settled = make_ledger_row(kind=LedgerKind.SETTLED, at=NOW + 1, certain=False)
    part = await walk(store, first.submission, [State.QUEUED], ledger=(settled, make_ledger_row(micro_usd=2)))
    await walk(store, part, [State.FAILED], ledger=(make_ledger_row(kind=LedgerKind.SETTLED, micro_usd=3),))
    assert await store.ledger(JOB_ID) == [rows[0], rows[2], settled]


async def test_events_are_the_whole_history_in_order(store: JobStore) -> None:
    await bring(store, State.SUCCEEDED, make_job(created_at=NOW))
    events = await store.events(JOB_ID)
    assert [event.seq for event in events] == [1, 2, 3, 4]
    assert [(event.origin, event.target) for event in events] == [
        (None, State.QUEUED),
        (State.QUEUED, State.SUBMITTING),
        (State.SUBMITTING, State.DOWNLOADING),
        (State.DOWNLOADING, State.SUCCEEDED),
    ]
    assert [event.owner for event in events] == [None, OWNER, OWNER, OWNER]


async def test_a_job_finishes_when_its_last_submission_does(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}]))
    first, second = await claim(store)
    assert await store.move(first.submission.ref, OWNER, make_move(State.FAILED, at=NOW + 1)) is not None
    job = await get(store)
    assert (job.state, job.finished_at) == (State.QUEUED, None)
    assert await store.move(second.submission.ref, OWNER, make_move(State.CANCELLED, at=NOW + 2)) is not None
    job = await get(store)
    assert (job.state, job.finished_at) == (State.FAILED, NOW + 2)
    assert [found.id for found in await store.find(states=[State.FAILED])] == [JOB_ID]


# Cancelling


async def test_a_cancel_ends_what_is_queued_at_once_and_gives_its_money_back(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {"estimate": None}]), [make_ledger_row()])
    job = await store.request_cancel(JOB_ID, "local", NOW + 50)
    assert job == await get(store)
    assert job is not None
    assert (job.state, job.cancel_requested_at, job.finished_at) == (State.CANCELLED, NOW + 50, NOW + 50)
    assert [part.actual for part in job.submissions] == [0, 0]
    released = [(row.submission, row.kind, row.micro_usd, row.at) for row in await store.ledger(JOB_ID)]
    assert released == [
        (0, LedgerKind.RESERVED, 40_000, NOW),
        (0, LedgerKind.RELEASED, 40_000, NOW + 50),
        (1, LedgerKind.RELEASED, 0, NOW + 50),
    ]
    assert [event.target for event in await store.events(JOB_ID)] == [State.QUEUED] * 2 + [State.CANCELLED] * 2
    assert await claim(store) == []


async def test_a_cancel_takes_what_is_queued_from_its_owner(store: JobStore) -> None:
    await store.add(make_job())
    part = await take(store)
    await store.request_cancel(JOB_ID, "local", NOW)
    assert await store.intend(part.ref, OWNER, make_intent()) is None
    assert (await get(store)).submissions[0].owner is None


@pytest.mark.parametrize("state", sorted(ACTIVE - {State.QUEUED}))
async def test_a_cancel_of_what_was_sent_sets_the_flag_and_changes_no_version(store: JobStore, state: State) -> None:
    part = await bring(store, state)
    job = await store.request_cancel(JOB_ID, "local", NOW + 50)
    assert job is not None
    assert (job.cancel_requested_at, job.submissions, job.finished_at) == (NOW + 50, (part,), None)
    assert await store.ledger(JOB_ID) == []
    assert await store.move(part.ref, OWNER, make_move(state)) is not None


async def test_a_cancel_ends_the_queued_part_of_a_job_whose_other_part_was_sent(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}]))
    first, _ = await claim(store)
    sent = await walk(store, first.submission, [State.SUBMITTING])
    job = await store.request_cancel(JOB_ID, "local", NOW + 50)
    assert job is not None
    assert job.submissions[0] == sent
    assert job.submissions[1].state is State.CANCELLED
    assert (job.state, job.finished_at) == (State.SUBMITTING, None)


async def test_repeating_a_cancel_changes_nothing(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    await store.request_cancel(JOB_ID, "local", NOW + 50)
    await walk(store, part, [State.QUEUED])
    before = await get(store)
    assert await store.request_cancel(JOB_ID, "local", NOW + 99) == before
    assert await get(store) == before


@pytest.mark.parametrize("state", sorted(ENDED))
async def test_a_cancel_of_what_has_ended_changes_nothing(store: JobStore, state: State) -> None:
    await bring(store, state)
    before = await get(store)
    assert await store.request_cancel(JOB_ID, "local", NOW + 50) == before
    assert await get(store) == before


# Delivery


async def test_the_first_delivery_is_remembered_and_changes_no_version(store: JobStore) -> None:
    part = await bring(store, State.SUCCEEDED)
    await store.delivered(JOB_ID, NOW + 70)
    await store.delivered(JOB_ID, NOW + 90)
    job = await get(store)
    assert job.delivered_at == NOW + 70
    assert job.submissions == (part,)


async def test_a_job_that_is_not_finished_is_not_delivered(store: JobStore) -> None:
    await bring(store, State.RUNNING)
    await store.delivered(JOB_ID, NOW + 70)
    assert (await get(store)).delivered_at is None


# Workers


async def test_workers_are_listed_with_the_progress_of_their_jobs(store: JobStore) -> None:
    first, second = make_worker(progress={JOB_ID: (0.25, "grün"), job_id(2): (None, None)}), make_worker(id="worker-2")
    await store.register(second)
    await store.register(first)
    assert await store.workers() == [first, second]
    progress: dict[str, tuple[float | None, str | None]] = {JOB_ID: (0.5, None)}
    assert await store.heartbeat("worker-2", 9_000.5, progress)
    assert await store.workers() == [first, make_worker(id="worker-2", lease_until=9_000.5, progress=progress)]


async def test_a_worker_that_registers_again_has_one_row(store: JobStore) -> None:
    await store.register(make_worker())
    await store.register(make_worker(pid=7))
    assert await store.workers() == [make_worker(pid=7)]


async def test_a_heartbeat_of_a_worker_that_is_gone_says_so(store: JobStore) -> None:
    await store.register(make_worker())
    assert await store.reap([OWNER], NOW) == []
    assert not await store.heartbeat(OWNER, 9_000.0, {})
    assert await store.workers() == []


# Taking over from the dead


@pytest.mark.parametrize("state", [State.QUEUED, State.SUBMIT_UNKNOWN, State.RUNNING, State.PARKED, State.DOWNLOADING])
async def test_what_a_dead_worker_owned_loses_its_owner_and_nothing_else(store: JobStore, state: State) -> None:
    await store.register(make_worker())
    part = await bring(store, state)
    events = await store.events(JOB_ID)
    assert await store.reap([OWNER], NOW + 100) == [JOB_ID]
    assert (await get(store)).submissions[0] == part.model_copy(update={"owner": None, "version": part.version + 1})
    assert await store.events(JOB_ID) == events
    assert await store.workers() == []
    assert await store.move(part.ref, OWNER, make_move(State.FAILED)) is None
    assert len(await claim(store, "worker-2")) == (state is not State.SUBMIT_UNKNOWN)


async def test_what_a_dead_worker_was_sending_becomes_submit_unknown(store: JobStore) -> None:
    await store.register(make_worker())
    part = await bring(store, State.SUBMITTING)
    assert await store.reap([OWNER], NOW + 100) == [JOB_ID]
    job = await get(store)
    assert (job.state, job.submissions[0].owner, job.submissions[0].version) == (
        State.SUBMIT_UNKNOWN,
        None,
        part.version + 1,
    )
    assert job.error is not None
    assert job.error["code"] == "submit_unknown"
    assert "may have been accepted and charged" in job.error["message"]
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target, event.at, event.owner) == (
        State.SUBMITTING,
        State.SUBMIT_UNKNOWN,
        NOW + 100,
        OWNER,
    )


@pytest.mark.parametrize("state", [State.SUBMITTING, State.RUNNING])
async def test_what_may_be_replayed_is_queued_again(store: JobStore, state: State) -> None:
    part = await bring(store, state, make_job(replayable=True))
    assert await store.reap([OWNER], NOW + 100) == [JOB_ID]
    job = await get(store)
    [freed] = job.submissions
    assert (job.state, freed.owner, freed.due_at, freed.error) == (State.QUEUED, None, NOW + 100, None)
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target) == (state, State.QUEUED)
    [claimed] = await claim(store, "worker-2")
    sent = await store.intend(claimed.submission.ref, "worker-2", make_intent(submit_key="key-2"))
    assert sent is not None
    assert sent.attempt == part.attempt + 1


@pytest.mark.parametrize("state", [State.QUEUED, State.PARKED, State.DOWNLOADING])
async def test_what_may_be_replayed_keeps_the_other_states(store: JobStore, state: State) -> None:
    part = await bring(store, state, make_job(replayable=True))
    await store.reap([OWNER], NOW + 100)
    assert (await get(store)).submissions[0] == part.model_copy(update={"owner": None, "version": part.version + 1})


async def test_what_nobody_owns_and_was_being_sent_becomes_submit_unknown(store: JobStore) -> None:
    await store.register(make_worker(id="alive"))
    part = await bring(store, State.SUBMITTING)
    assert await store.move(part.ref, OWNER, make_move(State.SUBMITTING, release=True)) is not None
    assert await store.reap([], NOW + 100) == [JOB_ID]
    assert (await get(store)).state is State.SUBMIT_UNKNOWN


async def test_what_belongs_to_a_worker_whose_row_is_gone_is_freed_by_whoever_looks(store: JobStore) -> None:
    await bring(store, State.SUBMITTING)
    assert await store.reap(["worker-9"], NOW + 100) == [JOB_ID]
    assert (await get(store)).state is State.SUBMIT_UNKNOWN
    assert await store.reap(["worker-9"], NOW + 200) == []


async def test_what_the_living_own_and_what_has_ended_stays(store: JobStore) -> None:
    for number in (1, 2):
        await store.add(make_job(id=job_id(number)), again=True)
    running, ending = [item.submission for item in await claim(store)]
    await walk(store, running, [State.SUBMITTING])
    await walk(store, ending, [State.FAILED])
    await store.register(make_worker())
    await store.register(make_worker(id="worker-2"))
    before = await store.find(limit=99)
    assert await store.reap(["worker-2"], NOW + 100) == []
    assert await store.find(limit=99) == before
    assert [worker.id for worker in await store.workers()] == [OWNER]


async def test_many_dead_workers_are_buried_at_once(store: JobStore) -> None:
    await store.register(make_worker())
    for number in (3, 2, 1):
        await store.add(make_job(id=job_id(number)), again=True)
        await store.register(make_worker(id=f"dead-{number}"))
        await claim(store, f"dead-{number}")
    assert await store.reap([f"dead-{number}" for number in (1, 2, 3)], NOW) == [job_id(1), job_id(2), job_id(3)]
    assert await store.workers() == [make_worker()]
    assert len(await claim(store)) == 3


# Being told


async def test_the_data_version_tells_of_another_s_commit_and_not_of_our_own(
    store: JobStore, open_another: Any
) -> None:
    other: JobStore = await open_another()
    await other.register(make_worker())
    before = await store.data_version()
    assert await store.data_version() == before
    await store.add(make_job())
    await store.delivered(JOB_ID, NOW)
    await store.get(JOB_ID)
    assert await store.data_version() == before
    await other.request_cancel(JOB_ID, "local", NOW)
    seen = await store.data_version()
    assert seen != before
    assert await store.data_version() == seen
    await store.register(make_worker(id="worker-2"))
    assert await store.data_version() == seen


async def test_waiters_of_this_process_hear_of_every_change_after_it_is_stored(store: JobStore, bus: Bus) -> None:
    await store.add(make_job())
    assert (await bus.next_work(0)).work
    part = await take(store)
    with bus.watch(JOB_ID) as watch:
        assert not await watch.wait(0)
        sent = await store.intend(part.ref, OWNER, make_intent())
        assert await watch.wait(0)
        accepted = await store.accept(make_acceptance())
        assert await watch.wait(0)
        assert sent is not None
        assert accepted is not None
        await store.move(sent.ref, OWNER, make_move(State.DOWNLOADING))
        assert not await watch.wait(0)
        moved = await store.move(accepted.ref, OWNER, make_move(State.RUNNING, release=True))
        assert await watch.wait(0)
        assert moved is not None
        await store.request_cancel(JOB_ID, "local", NOW)
        assert await watch.wait(0)
        assert not (await bus.next_work(0)).work
        await claim(store)
        await store.reap([OWNER], NOW)
        assert await watch.wait(0)
        assert (await bus.next_work(0)).work


async def test_an_accepted_job_without_an_owner_is_offered_to_all(store: JobStore, bus: Bus) -> None:
    await bring(store, State.SUBMITTING)
    await store.reap([OWNER], NOW)
    await bus.next_work(0)
    await store.accept(make_acceptance())
    assert (await bus.next_work(0)).work
    assert len(await claim(store, "worker-2")) == 1
