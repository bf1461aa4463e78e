"""What `store/run_base.py` promises of money: a run's own calls in the ledger, limits over its tree, what it costs."""

from typing import Any

import anyio
import pytest

from darkroom.domain.job import LedgerKind, State
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Awaits, Mode, Run, RunKind, RunState
from darkroom.errors import BudgetExceeded
from darkroom.store.base import Limit, Spent
from darkroom.store.run_base import RunCost, RunStore
from factories import NOW, job_id, make_job, make_ledger_row
from helpers_money import DAY, EVER, end, make_limit, put, row_of
from helpers_runs import RUN_ID, Stores, call, claim, get, going, make_change, make_run, run_id, saved, waiting

pytestmark = pytest.mark.anyio

SETTLED, RELEASED, ADJUSTED = LedgerKind.SETTLED, LedgerKind.RELEASED, LedgerKind.ADJUSTED


def capped(cap: int, number: int = 1, **overrides: Any) -> Limit:
    return make_limit(cap, name="cap of the run", setting="max_cost", since=0, run_id=run_id(number), **overrides)


async def spent_on(store: Stores, identity: str = RUN_ID) -> list[Spent]:
    return [row for row in await store.spent(*EVER) if row.job_id == identity]


async def inside(store: Stores, number: int, parent: int, root: int) -> Run:
    return await going(store.runs, number, parent_run_id=run_id(parent), root_run_id=run_id(root))


# The run's own calls


async def test_a_call_is_booked_with_what_the_run_knows_by_then(store: Stores) -> None:
    run = await going(store.runs, principal="ann", plan="agency", model=None)
    run = await saved(store.runs, run, model="other/fast/chat", turn=1, ledger=(call(amount=50, at=NOW + 3),))
    assert await store.runs.ledger(RUN_ID) == [call(amount=50, at=NOW + 3)]
    assert await store.spent(*EVER) == [
        Spent(
            job_id=RUN_ID,
            submission=1,
            principal="ann",
            kind="chat",
            provider="other",
            model="fast/chat",
            plan="agency",
            labels=(),
            state=State.RUNNING,
            at=NOW + 3,
            outputs=1,
            estimate=MicroUsd(50),
            micro_usd=MicroUsd(50),
            certain=False,
            open=True,
            agent="copywriter",
            tier="standard",
        )
    ]
    assert await store.spent(*EVER, "local") == []


@pytest.mark.parametrize(("model", "provider", "name"), [(None, "", ""), ("local-model", "", "local-model")])
async def test_a_call_of_no_known_provider_is_booked_too(
    store: Stores, model: str | None, provider: str, name: str
) -> None:
    await saved(store.runs, await going(store.runs, model=model), ledger=(call(),))
    [row] = await spent_on(store)
    assert (row.provider, row.model, row.micro_usd) == (provider, name, 40)


@pytest.mark.parametrize(
    ("rows", "state", "cost", "certain"),
    [
        ([call(kind=SETTLED, amount=30)], State.SUCCEEDED, 30, True),
        ([call(kind=SETTLED, amount=30, certain=False)], State.FAILED, 30, False),
        ([call(kind=RELEASED, amount=7)], State.FAILED, 0, True),
        ([call(kind=RELEASED, amount=7, certain=False)], State.FAILED, 0, False),
        ([call(kind=SETTLED, amount=30, certain=False), call(kind=ADJUSTED, amount=9)], State.SUCCEEDED, 9, True),
        ([call(kind=RELEASED, amount=7), call(kind=ADJUSTED, amount=9)], State.SUCCEEDED, 9, True),
    ],
)
async def test_a_call_has_the_state_that_follows_from_its_money(
    store: Stores, rows: list[Any], state: State, cost: int, certain: bool
) -> None:
    run = await saved(store.runs, await going(store.runs), ledger=(call(),))
    await saved(store.runs, run, ledger=tuple(rows))
    [row] = await spent_on(store)
    assert (row.state, row.micro_usd, row.certain, row.open) == (state, cost, certain, False)


async def test_a_call_without_a_price_has_no_estimate(store: Stores) -> None:
    await saved(store.runs, await going(store.runs), ledger=(call(amount=0, certain=False),))
    [row] = await spent_on(store)
    assert (row.estimate, row.micro_usd) == (None, 0)


async def test_what_is_released_is_what_was_reserved_and_a_second_word_is_left_out(runs: RunStore) -> None:
    run = await saved(runs, await going(runs), ledger=(call(), call(turn=2, amount=5)))
    run = await saved(runs, run, ledger=(call(kind=RELEASED, amount=1, at=NOW + 1),))
    await saved(runs, run, ledger=(call(kind=RELEASED, amount=1, at=NOW + 2), call(turn=7, kind=RELEASED, amount=1)))
    assert await runs.ledger(RUN_ID) == [
        call(),
        call(turn=2, amount=5),
        call(kind=RELEASED, amount=40, at=NOW + 1),
        call(turn=7, kind=RELEASED, amount=1),
    ]


async def test_a_later_word_on_a_call_is_taken_once(store: Stores) -> None:
    run = await saved(store.runs, await going(store.runs), ledger=(call(),))
    assert not await store.adjust(RUN_ID, 1, MicroUsd(3), NOW), "it is still open"
    await saved(store.runs, run, ledger=(call(kind=SETTLED),))
    assert await store.adjust(RUN_ID, 1, MicroUsd(3), NOW)
    assert not await store.adjust(RUN_ID, 1, MicroUsd(4), NOW)
    assert [row.micro_usd for row in await spent_on(store)] == [3]


@pytest.mark.parametrize("target", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED])
async def test_no_reservation_stays_open_when_a_run_ends(store: Stores, target: RunState) -> None:
    run = await saved(store.runs, await going(store.runs), ledger=(call(), call(turn=2, amount=5)))
    await saved(store.runs, run, target, ledger=(call(turn=2, kind=SETTLED, amount=4),))
    assert (await store.runs.ledger(RUN_ID))[2:] == [
        call(turn=2, kind=SETTLED, amount=4),
        call(kind=SETTLED, amount=40, at=NOW + 5_000, certain=False),
    ]
    assert [(row.open, row.certain, row.micro_usd) for row in await spent_on(store)] == [
        (False, False, 40),
        (False, True, 4),
    ]


async def test_a_cancel_settles_what_nobody_knows_of(store: Stores) -> None:
    await waiting(store.runs, Awaits.CLIENT, ledger=(call(),))
    await store.runs.request_cancel(RUN_ID, "local", NOW + 8)
    assert (await store.runs.ledger(RUN_ID))[1:] == [call(kind=SETTLED, at=NOW + 8, certain=False)]


# Limits


async def test_a_call_is_held_against_limits_and_a_refusal_changes_nothing(store: Stores) -> None:
    run = await saved(store.runs, await going(store.runs), ledger=(call(amount=60_000),))
    history = await store.runs.history(RUN_ID)
    with pytest.raises(BudgetExceeded) as caught:
        change = make_change(RunState.WAITING, awaits=Awaits.CLIENT, ledger=(call(turn=2, amount=40_001),))
        await store.runs.save(run, run.owner or "", _limited(change, capped(100_000)))
    assert "of the cap of the run of $0.10 only $0.04 is left" in caught.value.message
    assert caught.value.hint == "Nothing was stored or sent. Make it cheaper, or raise max_cost."
    assert await get(store.runs) == run
    assert await store.runs.history(RUN_ID) == history
    assert await store.runs.ledger(RUN_ID) == [call(amount=60_000)]
    await saved(store.runs, run, ledger=(call(turn=2, amount=40_000),), limits=(capped(100_000),))


def _limited(change: Any, *limits: Limit) -> Any:
    return type(change)(at=change.at, target=change.target, awaits=change.awaits, ledger=change.ledger, limits=limits)


async def test_what_a_call_frees_in_the_same_change_is_there_for_the_next(runs: RunStore) -> None:
    run = await saved(runs, await going(runs), ledger=(call(amount=90_000),))
    rows = (call(turn=2, amount=90_000), call(kind=SETTLED, amount=10_000))
    await saved(runs, run, ledger=rows, limits=(capped(100_000),))
    assert (await runs.cost(RUN_ID)).actual == 100_000


async def test_a_limit_of_a_run_counts_everything_inside_it_and_nothing_else(store: Stores) -> None:
    root = await going(store.runs, 1)
    child, grandchild = await inside(store, 2, 1, 1), await inside(store, 3, 2, 1)
    stranger = await going(store.runs, 9)
    await put(store, 1, 1_000, run_id=run_id(1))
    await put(store, 2, 20_000, run_id=run_id(3))
    await put(store, 7, 900_000)
    await put(store, 8, 900_000, run_id=run_id(9))
    await saved(store.runs, stranger, ledger=(call(9, amount=900_000),))
    root = await saved(store.runs, root, ledger=(call(1, amount=300),))
    await saved(store.runs, child, ledger=(call(2, amount=4_000),))
    grandchild = await saved(store.runs, grandchild, ledger=(call(3, amount=50),))
    limit = capped(25_360)
    with pytest.raises(BudgetExceeded, match=r"only \$0\.00001 is left \(\$0\.02535 used"):
        await store.runs.save(grandchild, "worker-1", make_change(ledger=(call(3, 2, amount=11),), limits=(limit,)))
    with pytest.raises(BudgetExceeded):
        await put(store, 3, 11, run_id=run_id(2), limits=[limit])
    await put(store, 3, 10, run_id=run_id(2), limits=[limit])
    with pytest.raises(BudgetExceeded):
        await store.runs.save(root, "worker-1", make_change(ledger=(call(1, 2, amount=1),), limits=(limit,)))


async def test_the_calls_of_runs_count_in_the_budgets_of_everybody_and_of_their_principal(store: Stores) -> None:
    await saved(store.runs, await going(store.runs, principal="ann"), ledger=(call(amount=60_000),))
    with pytest.raises(BudgetExceeded) as caught:
        await put(store, 1, 50_000, limits=[make_limit(100_000)])
    assert "Wait for the next day" in (caught.value.hint or "")
    with pytest.raises(BudgetExceeded):
        await put(store, 1, 50_000, principal="ann", limits=[make_limit(100_000, principal="ann")])
    with pytest.raises(BudgetExceeded):
        await put(store, 1, 50_000, limits=[capped(100_000, principal="ann")])
    await put(store, 1, 50_000, limits=[make_limit(100_000, principal="local"), capped(50_000, principal="local")])
    await put(store, 2, 50_000, limits=[make_limit(50_000, since=NOW + DAY)], at=NOW + DAY)


async def test_a_cap_of_a_run_holds_for_two_processes_at_once(store: Stores, open_another: Any) -> None:
    other: Stores = await open_another()
    await going(store.runs)
    through: list[int] = []

    async def ask(number: int) -> None:
        try:
            await put((store, other)[number % 2], number, 15_000, run_id=RUN_ID, limits=[capped(100_000)])
        except BudgetExceeded:
            return
        through.append(number)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(1, 21):
                tasks.start_soon(ask, number)
    assert len(through) == 6
    assert (await store.runs.cost(RUN_ID)).actual == 90_000


# What it costs


async def test_a_run_that_did_nothing_costs_nothing(runs: RunStore) -> None:
    await going(runs)
    assert await runs.cost(RUN_ID) == RunCost(MicroUsd(0), MicroUsd(0), MicroUsd(0), certain=True)


async def test_a_run_costs_what_it_and_everything_inside_it_costs(store: Stores) -> None:
    run = await saved(store.runs, await going(store.runs, 1), ledger=(call(1, amount=100),))
    run = await saved(store.runs, run, ledger=(call(1, kind=SETTLED, amount=70), call(1, 2, amount=100)))
    child = await saved(store.runs, await inside(store, 2, 1, 1), model="other/m", ledger=(call(2, amount=1_000),))
    await put(store, 1, 30_000, run_id=run_id(2))
    await put(store, 5, 30_000)
    assert await store.runs.cost(RUN_ID) == RunCost(
        estimate=MicroUsd(31_200),
        actual=MicroUsd(31_170),
        open=MicroUsd(31_100),
        certain=False,
        models=("acme/acme-chat-1", "other/m", "acme/acme-image-1"),
    )
    assert await store.runs.cost(run_id(2)) == RunCost(
        estimate=MicroUsd(31_000),
        actual=MicroUsd(31_000),
        open=MicroUsd(31_000),
        certain=False,
        models=("other/m", "acme/acme-image-1"),
    )
    await saved(store.runs, run, RunState.SUCCEEDED, ledger=(call(1, 2, kind=RELEASED),))
    await saved(store.runs, child, RunState.SUCCEEDED, ledger=(call(2, kind=SETTLED, amount=900),))
    assert (await store.runs.cost(RUN_ID)).certain is False
    await store.request_cancel(job_id(1), "local", NOW)
    found = await store.runs.cost(RUN_ID)
    # What was given back is in no figure.
    assert (found.estimate, found.actual, found.open, found.certain) == (1_100, 970, 0, True)


async def test_a_call_of_which_nobody_learns_more_costs_its_guess(store: Stores) -> None:
    run = await going(store.runs)
    booked = call(amount=80_000, guess=MicroUsd(2_000))
    run = await saved(store.runs, run, turn=1, ledger=(booked,))
    assert await store.runs.ledger(RUN_ID) == [booked]
    found = await store.runs.cost(RUN_ID)
    assert (found.estimate, found.actual, found.open, found.uncertain, found.certain) == (
        2_000,
        80_000,
        80_000,
        0,
        False,
    )
    with pytest.raises(BudgetExceeded):
        await put(store, 1, 30_000, run_id=RUN_ID, limits=[capped(100_000)])
    await saved(store.runs, run, RunState.FAILED)
    found = await store.runs.cost(RUN_ID)
    assert (found.estimate, found.actual, found.open, found.uncertain, found.certain) == (2_000, 2_000, 0, 2_000, False)
    [row] = await spent_on(store)
    assert (row.estimate, row.micro_usd, row.certain, row.open) == (2_000, 2_000, False, False)


async def test_a_limit_that_is_passed_is_told_with_digits_enough(store: Stores) -> None:
    run = await going(store.runs)
    with pytest.raises(BudgetExceeded, match=r"^This may cost \$2\.004; the cap of the run is \$2\.00\.$"):
        await put(store, 1, 2_004_000, run_id=RUN_ID, limits=[capped(2_000_000)])
    await saved(store.runs, run, ledger=(call(amount=4_000), call(kind=SETTLED, amount=4_000)))
    with pytest.raises(BudgetExceeded, match=r"of \$2\.00 only \$1\.996 is left \(\$0\.004 used\)\.$"):
        await put(store, 1, 2_000_000, run_id=RUN_ID, limits=[capped(2_000_000)])


async def test_what_a_call_reserves_is_given_back_whole(store: Stores) -> None:
    run = await saved(store.runs, await going(store.runs), ledger=(call(amount=80_000, guess=MicroUsd(2_000)),))
    await saved(store.runs, run, ledger=(call(kind=RELEASED),))
    assert [row.micro_usd for row in await store.runs.ledger(RUN_ID)] == [80_000, 80_000]
    assert (await store.runs.cost(RUN_ID)).actual == 0


async def test_free_work_that_is_not_done_leaves_the_cost_certain(store: Stores) -> None:
    run = await saved(store.runs, await going(store.runs), ledger=(call(amount=100),))
    await put(store, 1, 0, run_id=RUN_ID)
    await saved(store.runs, run, ledger=(call(kind=SETTLED, amount=70),))
    found = await store.runs.cost(RUN_ID)
    assert (found.actual, found.open, found.certain) == (70, 0, True)


async def test_open_work_without_a_price_leaves_the_cost_uncertain(store: Stores) -> None:
    run = await saved(store.runs, await going(store.runs), ledger=(call(amount=0, certain=False),))
    assert (await store.runs.cost(run.id)).certain is False


# Jobs of runs


async def test_a_job_knows_its_run_and_is_spent_by_its_agent(store: Stores) -> None:
    await store.runs.add(make_run(agent="designer", tier="premium"))
    job = await put(store, 1, 500, run_id=RUN_ID, plan="brand")
    await put(store, 2, 500)
    await put(store, 3, 500, run_id=run_id(9))
    assert (await store.get(job.id)) == job
    assert job.run_id == RUN_ID
    assert [(row.kind, row.agent, row.tier, row.plan) for row in await store.spent(*EVER)] == [
        ("image", "designer", "premium", "brand"),
        ("image", None, None, None),
        ("image", None, None, None),
    ]


async def test_what_no_agent_did_is_named_by_its_workflow_or_as_the_chat(store: Stores) -> None:
    await store.runs.add(make_run(agent=None))
    await store.runs.add(make_run(2, agent=None, workflow="brand_kit", kind=RunKind.WORKFLOW, mode=Mode.STEPS))
    await put(store, 1, 500, run_id=RUN_ID)
    await put(store, 2, 500, run_id=run_id(2))
    assert [row.agent for row in await store.spent(*EVER)] == ["chat", "brand_kit"]


async def test_what_a_job_costs_is_told_by_its_own_figures(store: Stores) -> None:
    await store.runs.add(make_run())
    await put(store, 1, 500, run_id=RUN_ID)
    await end(store, 1, State.SUCCEEDED, row_of(1, SETTLED, 400, certain=False))
    await store.add(
        make_job(id=job_id(2), request_hash="2", estimate=None, run_id=RUN_ID),
        [make_ledger_row(job_id=job_id(2), micro_usd=MicroUsd(9))],
    )
    first, second = await store.spent(*EVER)
    assert (first.state, first.estimate, first.micro_usd) == (State.SUCCEEDED, 500, 400)
    assert (second.state, second.estimate) == (State.QUEUED, None)


async def test_a_run_that_lost_its_process_keeps_what_it_booked(store: Stores) -> None:
    await saved(store.runs, await going(store.runs), ledger=(call(),), turn=1)
    await store.reap([], NOW)
    [run] = await claim(store.runs)
    run = await saved(store.runs, run, ledger=(call(turn=2),), turn=2)
    await saved(store.runs, run, RunState.SUCCEEDED, ledger=(call(turn=2, kind=SETTLED, amount=30),))
    found = await store.runs.cost(RUN_ID)
    assert (found.estimate, found.actual, found.certain) == (80, 70, False)
