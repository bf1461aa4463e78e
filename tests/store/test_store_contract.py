"""What `store/base.py` promises of adding, looking and claiming; nothing here knows which store it is."""

from typing import Any

import anyio
import pytest

from darkroom.domain.job import ACTIVE, ENDED, State
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.domain.request import MediaInput, VideoRequest
from darkroom.errors import InvalidRequest, StorageError
from darkroom.store.base import JobStore
from factories import (
    JOB_ID,
    NOW,
    OWNER,
    job_id,
    make_effective,
    make_job,
    make_ledger_row,
    make_move,
    make_output,
    make_request,
    make_worker,
)
from helpers_store import bring, claim, get

pytestmark = pytest.mark.anyio


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
    with pytest.raises(
        InvalidRequest, match=rf"{JOB_ID}.*: prompt \('a red fox' then, 'a blue fox' now\), n \(1 then, 2 now\)\."
    ) as caught:
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
    with pytest.raises(InvalidRequest, match=rf": retry_of \(nothing then, '{job_id(9)}' now\)\."):
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


async def test_which_job_stands_for_another_is_told_without_adding_it(store: JobStore) -> None:
    first, key = make_job(), {"idempotency_key": "key", "request_hash": "other"}
    assert await store.equal(first) is None
    await store.add(first)
    await store.add(make_job(id=job_id(2), **key))
    assert (await store.equal(make_job(id=job_id(3))) or first).id == first.id
    assert await store.equal(make_job(id=job_id(3)), again=True) is None
    assert await store.equal(make_job(id=job_id(3), principal="somebody")) is None
    found = await store.equal(make_job(id=job_id(3), **key), again=True)
    assert found is not None
    assert found.id == job_id(2)
    assert len(await store.find(limit=10)) == 2


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
