"""What a person may say became of a submission whose answer was lost."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from helpers_runtime import Rig, Scripted, again, lose

from darkroom.adapters.base import Accepted, Follow, Json
from darkroom.domain.job import Job, LedgerKind, State
from darkroom.errors import InvalidRequest, ResultExpired, UnknownJob, Unsupported
from darkroom.runtime.unknown import Operator
from factories import make_effective

pytestmark = pytest.mark.anyio
RESERVED = (LedgerKind.RESERVED, 40_000, True)
Word = Callable[[Operator, str], Awaitable[Job]]


@dataclass
class Following(Scripted):
    """One whose provider's work can be followed by its id alone."""

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        if " " in provider_job_id:
            raise InvalidRequest("No id of Acme's has a space.", field="provider-id")
        return {"id": provider_job_id}


@pytest.fixture
def operator(rig: Rig) -> Operator:
    rig.adapter = Following()
    return Operator(rig.stepper_of("operator").kit)


async def found(operator: Operator, job_id: str) -> Job:
    return await operator.found(job_id, "local", "r9")


async def absent(operator: Operator, job_id: str) -> Job:
    return await operator.absent(job_id, "local")


async def give_up(operator: Operator, job_id: str) -> Job:
    return await operator.give_up(job_id, "local")


ALL = pytest.mark.parametrize("say", [found, absent, give_up])


async def several(rig: Rig) -> Job:
    """Return a job of three submissions, of which the last two are lost."""
    job = await rig.add(parts=[{}, {}, {}], effective=make_effective())
    await rig.store.claim(rig.kit.owner, accounts=rig.kit.accounts.all(), now=0, limit=9)
    rig.adapter.submits = [Accepted({"id": "r1"}, "r1"), ConnectionResetError(), ConnectionResetError()]
    for idx in range(3):
        await rig.stepper.advance(await rig.held(job, idx))
    return await rig.job(job)


# Found


async def test_what_the_operator_found_is_followed_by_its_id_and_not_sent_again(rig: Rig, operator: Operator) -> None:
    job = await lose(rig)
    followed = await operator.found(job.id, "local", "r9")
    part = followed.submissions[0]
    assert (followed.state, part.operation, part.provider_job_id, part.error) == (
        State.RUNNING,
        {"id": "r9"},
        "r9",
        None,
    )
    assert (await rig.bus.next_work(0)).work
    rig.adapter.polls = [rig.done()]
    assert await again(rig, await rig.claim()) is None
    assert (await rig.part(job)).state is State.SUCCEEDED
    assert await rig.money(job) == [RESERVED, (LedgerKind.SETTLED, 40_000, False)]
    assert rig.adapter.sent == []


async def test_the_id_of_another_jobs_work_is_refused(rig: Rig, operator: Operator) -> None:
    other = await rig.begun()
    job = await lose(rig)
    with pytest.raises(InvalidRequest) as caught:
        await operator.found(job.id, "local", "r1")
    assert other.job_id in caught.value.message
    assert caught.value.field == "provider-id"
    assert await rig.job(job) == job


async def test_an_id_that_cannot_be_the_providers_is_refused(rig: Rig, operator: Operator) -> None:
    job = await lose(rig)
    with pytest.raises(InvalidRequest, match="has a space"):
        await operator.found(job.id, "local", "not an id")
    assert await rig.job(job) == job


async def test_work_that_cannot_be_followed_by_its_id_alone_is_refused(rig: Rig, operator: Operator) -> None:
    rig.adapter = Scripted()
    job = await lose(rig)
    with pytest.raises(Unsupported) as caught:
        await operator.found(job.id, "local", "r9")
    assert "--give-up" in str(caught.value.hint)
    assert await rig.job(job) == job


# Absent, given up


async def test_what_the_operator_did_not_find_there_fails_free_of_charge(rig: Rig, operator: Operator) -> None:
    job = await operator.absent((await lose(rig)).id, "local")
    assert job.error is not None
    assert (job.state, job.error["code"]) == (State.FAILED, "provider_failed")
    assert await rig.money(job) == [RESERVED, (LedgerKind.RELEASED, 40_000, True)]
    assert job.submissions[0].actual == 0


async def test_what_is_given_up_counts_as_spent_and_as_uncertain(rig: Rig, operator: Operator) -> None:
    job = await operator.give_up((await lose(rig)).id, "local")
    assert job.error is not None
    assert (job.state, job.error["code"]) == (State.FAILED, "submit_unknown")
    assert "Given up" in job.error["message"]
    assert await rig.money(job) == [RESERVED, (LedgerKind.SETTLED, 40_000, False)]
    event = (await rig.store.events(job.id))[-1]
    assert (event.target, event.detail) == (State.FAILED, "given up by the operator")


async def test_what_nobody_priced_is_given_up_with_nothing(rig: Rig, operator: Operator) -> None:
    job = await operator.give_up((await lose(rig, estimate=None)).id, "local")
    assert (await rig.money(job))[1:] == [(LedgerKind.SETTLED, 0, False)]


# Which one


async def test_one_of_several_submissions_is_named_by_its_number(rig: Rig, operator: Operator) -> None:
    job = await several(rig)
    with pytest.raises(InvalidRequest) as caught:
        await operator.absent(job.id, "local")
    assert caught.value.message == f"{job.id} has 2 submissions of unknown fate (1, 2)."
    assert "--submission" in str(caught.value.hint)
    assert await rig.job(job) == job
    job = await operator.absent(job.id, "local", 1)
    job = await operator.found(job.id, "local", "r9", 2)
    assert [part.state for part in job.submissions] == [State.RUNNING, State.FAILED, State.RUNNING]
    rows = [(row.submission, row.kind) for row in await rig.store.ledger(job.id)]
    assert rows[1:] == [(1, LedgerKind.RELEASED)]


async def test_the_only_lost_one_of_several_needs_no_number(rig: Rig, operator: Operator) -> None:
    job = await several(rig)
    await operator.give_up(job.id, "local", 1)
    job = await operator.give_up(job.id, "local")
    assert [part.state for part in job.submissions] == [State.RUNNING, State.FAILED, State.FAILED]


async def test_a_submission_that_is_not_lost_is_refused_by_its_number(rig: Rig, operator: Operator) -> None:
    job = await several(rig)
    for number in (0, 4):
        with pytest.raises(InvalidRequest) as caught:
            await operator.absent(job.id, "local", number)
        assert caught.value.message == f"{job.id} has no submission {number} of unknown fate, only submissions 1, 2."
        assert "--submission" in str(caught.value.hint)
    assert await rig.job(job) == job


async def test_a_number_that_the_only_submission_does_not_have_is_refused(rig: Rig, operator: Operator) -> None:
    job = await lose(rig)
    with pytest.raises(InvalidRequest) as caught:
        await operator.absent(job.id, "local", 4)
    assert caught.value.message == f"{job.id} has no submission 4 of unknown fate, only submission 0."
    assert await rig.job(job) == job


async def test_a_number_says_nothing_where_nothing_is_lost(rig: Rig, operator: Operator) -> None:
    held = await rig.begun()
    with pytest.raises(InvalidRequest, match="is running; only a submission of unknown fate"):
        await operator.absent(held.job_id, "local", 0)


@ALL
async def test_a_job_that_is_not_lost_is_left_as_it_is(rig: Rig, operator: Operator, say: Word) -> None:
    held = await rig.begun()
    with pytest.raises(InvalidRequest) as caught:
        await say(operator, held.job_id)
    assert caught.value.message.startswith(f"{held.job_id} is running;")
    assert (await rig.part(held)).state is State.RUNNING


@ALL
async def test_a_job_that_does_not_exist_or_is_somebody_elses_is_unknown(
    rig: Rig, operator: Operator, say: Word
) -> None:
    theirs = await lose(rig, principal="other")
    for job_id in (theirs.id, "job_none", "x" * 500):
        with pytest.raises(UnknownJob) as caught:
            await say(operator, job_id)
        assert len(caught.value.message) < 120
    assert (await rig.job(theirs)).state is State.SUBMIT_UNKNOWN


async def test_what_was_resolved_by_somebody_else_at_that_moment_is_shown_as_it_is(
    rig: Rig, operator: Operator
) -> None:
    job = await lose(rig)
    move = rig.store.move

    async def late(*args: object) -> object:
        rig.store.move = move
        await Operator(rig.kit).give_up(job.id, "local")
        return await move(*args)

    rig.store.move = late
    resolved = await operator.absent(job.id, "local")
    assert resolved.error is not None
    assert resolved.error["code"] == "submit_unknown"
    assert (await rig.money(job))[1:] == [(LedgerKind.SETTLED, 40_000, False)]


async def test_an_id_that_the_provider_does_not_know_changes_nothing(rig: Rig, operator: Operator) -> None:
    job = await lose(rig)
    rig.adapter.polls = [ResultExpired("Acme no longer has it.")]
    with pytest.raises(InvalidRequest, match="could not tell of 'r9': Acme no longer has it") as caught:
        await operator.found(job.id, "local", "r9")
    assert "Check the id" in str(caught.value.hint)
    assert (await rig.part(job)).state is State.SUBMIT_UNKNOWN
