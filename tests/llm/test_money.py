"""What a run may spend, and what becomes of calls that bring no answer."""

from decimal import Decimal
from typing import Any

import pytest
from helpers_llm import World, calls, results, says, world

from darkroom.domain.job import LedgerKind
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Run, RunState
from darkroom.errors import (
    AuthFailed,
    DarkroomError,
    InvalidRequest,
    Overloaded,
    ProviderFailed,
    RateLimited,
    SubmitUnknown,
    UnexpectedAnswer,
)
from darkroom.llm.limits import REFUSALS, USUAL_TOKENS
from darkroom.settings import Settings
from darkroom.store.run_base import RunChange
from factories import NOW

FOX, DOG = ("generate_image", {"prompt": "a fox"}), ("generate_image", {"prompt": "a dog"})


def code(run: Run) -> str:
    assert run.state is RunState.FAILED
    return (run.error or {})["code"]


# Caps


async def test_a_cap_counts_thinking_and_jobs_together(paid: World) -> None:
    model = paid.says(calls(FOX), calls(DOG), says("One of two."))
    run = await paid.think(paid.start(max_cost=MicroUsd(70_000)))
    assert run.output == "One of two."
    assert len(run.actions) == 1
    [told] = results(model.asked[2])
    assert told["error"]["code"] == "budget_exceeded"
    assert "You cannot agree to spending" in told["error"]["hint"]
    assert len(await paid.jobs()) == 1


async def test_a_job_is_told_what_is_left_for_it(paid: World) -> None:
    paid.says(calls(FOX), says("x"))
    run = await paid.think(paid.start(max_cost=MicroUsd(100_000)))
    job = await paid.app.store.get(run.actions[0].job_id or "")
    assert job is not None
    assert job.max_cost == 100_000 - 120


async def test_nothing_is_asked_that_could_pass_the_cap(paid: World) -> None:
    model = paid.says(says("x"))
    run = await paid.think(paid.start(max_cost=MicroUsd(1000)))
    assert code(run) == "budget_exceeded"
    assert (model.asked, paid.runs.books, run.turn) == ([], [], 0)
    assert "Nothing was stored" not in (run.error or {})["hint"]


async def test_a_used_up_cap_makes_no_drafts_in_secret(paid: World) -> None:
    model = paid.says(calls(FOX), says("Nothing was left."))
    run = paid.start(max_cost=MicroUsd(100_000))

    def saved(number: int, change: RunChange) -> None:
        del number
        if (change.work or {}).get("left"):
            now = paid.runs.rows[run.id]
            paid.runs.rows[run.id] = now.model_copy(update={"work": {**now.work, "left": 0}})

    paid.runs.after = saved
    ended = await paid.think(run)
    assert (ended.output, ended.actions) == ("Nothing was left.", ())
    [told] = results(model.asked[1])
    assert "used up" in told["error"]["message"]
    assert await paid.jobs() == []


async def test_a_model_that_costs_nothing_makes_drafts_under_a_cap_of_nothing(
    paid_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = paid_settings.model_copy(update={"agent_price": (Decimal(0), Decimal(0))})
    async with world(settings, monkeypatch, priced=False) as found:
        found.says(calls(FOX), says("A draft."))
        run = await found.think(found.start(max_cost=MicroUsd(0)))
        assert run.output == "A draft."
        job = await found.app.store.get(run.actions[0].job_id or "")
        assert job is not None
        assert job.lead.provider == "draft"


async def test_a_budget_of_the_day_stops_the_run(plain_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = plain_settings.model_copy(update={"daily_budget": Decimal("0.001")})
    async with world(settings, monkeypatch) as found:
        found.says(says("x"))
        run = await found.think(found.start())
        assert code(run) == "budget_exceeded"
        assert "daily budget" in (run.error or {})["message"]


async def test_what_needs_a_word_of_the_user_is_not_agreed_to(
    paid_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = paid_settings.model_copy(update={"confirm_above": Decimal("0.01")})
    async with world(settings, monkeypatch) as found:
        model = found.says(calls(FOX), says("It would cost 4 cents."))
        run = await found.think(found.start())
        assert run.actions == ()
        [told] = results(model.asked[1])
        assert "higher max_cost in a new call" in told["error"]["hint"]
        found.says(calls(FOX), says("It would cost 4 cents."))
        words: dict[str, Any] = {"max_cost": MicroUsd(10**6), "work": {"cap_words": "at most $1"}}
        run = await found.think(found.start(id="run_2", **words))
        assert run.actions == (), "words in a task agree to nothing"


async def test_an_unknown_price_is_warned_of_or_refused_under_a_cap(
    plain_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(plain_settings, monkeypatch, priced=False) as found:
        found.says(says("x"))
        run = await found.think(found.start())
        assert "price of brain/brain-1 is not known" in run.warnings[0]
        assert found.runs.kinds(run.id) == [(1, "reserved", 0, False), (1, "settled", 0, False)]
        capped = await found.think(found.start(id="run_2", max_cost=MicroUsd(10**6)))
        assert code(capped) == "price_unknown"


async def test_a_guess_goes_by_the_answers_before_it_and_never_above_what_is_reserved(free: World) -> None:
    long = calls(FOX)
    long.usage.output_tokens = 50_000
    free.says(long, calls(("search_skills", {"words": "fox"})), says("x"))
    run = await free.think(free.start())
    rows = [row for row in free.runs.books if row.kind is LedgerKind.RESERVED]
    first, second, third = rows
    assert run.output == "x"
    assert second.guess == second.micro_usd, "a longer answer than may be given is not expected"
    assert third.guess == third.micro_usd
    free.says(calls(("search_skills", {"words": "fox"})), says("x"))
    await free.think(free.start(id="run_2"))
    again, short = [row for row in free.runs.books if (row.job_id, row.kind) == ("run_2", LedgerKind.RESERVED)]
    assert again.guess == first.guess
    assert again.guess is not None
    assert short.guess is not None
    assert short.guess < again.guess - (USUAL_TOKENS - 10) * 2 + 500, "by then an answer had ten tokens"


# What a provider says about tokens and cost


async def test_tokens_that_are_only_estimated_are_booked_as_uncertain(free: World) -> None:
    free.says(says("x", provider_details={"estimated": True}))
    run = await free.think(free.start())
    assert free.runs.kinds(run.id)[-1] == (1, "settled", 120, False)


async def test_the_providers_own_figure_is_booked(free: World) -> None:
    free.says(says("x", provider_details={"cost_micro_usd": 7}))
    run = await free.think(free.start())
    assert free.runs.kinds(run.id)[-1] == (1, "settled", 7, True)


# Calls without an answer


@pytest.mark.parametrize("error", [AuthFailed("no"), InvalidRequest("no")])
async def test_a_refusal_for_good_costs_nothing_and_ends_the_run(free: World, error: Exception) -> None:
    free.says(error)
    run = await free.think(free.start())
    assert code(run) == getattr(error, "code", "")
    assert free.runs.kinds(run.id)[-1] == (1, "released", 0, True)


async def test_a_provider_without_room_is_asked_again_later(free: World) -> None:
    model = free.says(RateLimited("slow", retry_after_s=30), Overloaded("full"), says("At last."))
    run = await free.think(free.start())
    assert (run.state, run.owner, run.due_at) == (RunState.QUEUED, None, NOW + 30_000)
    run = await free.think(run)
    assert run.due_at == NOW + 6000
    assert (await free.think(run)).output == "At last."
    assert [row[:2] for row in free.runs.kinds(run.id)] == [
        (1, "reserved"),
        (1, "released"),
        (2, "reserved"),
        (2, "released"),
        (3, "reserved"),
        (3, "settled"),
    ]
    assert len(model.asked) == 3


async def test_a_provider_that_never_has_room_ends_the_run(free: World) -> None:
    free.says(Overloaded("full"))
    run = free.start()
    for _ in range(REFUSALS):
        assert (await free.think(run)).state is RunState.QUEUED
    assert code(await free.think(run)) == "overloaded"
    assert {row[1] for row in free.runs.kinds(run.id)} == {"reserved", "released"}


@pytest.mark.parametrize("error", [SubmitUnknown("lost"), UnexpectedAnswer("odd"), ProviderFailed("broken")])
async def test_a_lost_answer_is_booked_as_a_guess_and_not_asked_for_again(free: World, error: DarkroomError) -> None:
    model = free.says(error, says("Here."))
    run = await free.think(free.start())
    assert code(run) == error.code
    assert len(model.asked) == run.turn == 1
    [reserved, settled] = free.runs.kinds(run.id)
    guess = free.runs.books[0].guess
    assert guess is not None
    assert USUAL_TOKENS * 2 < guess < reserved[2] / 3, "its words and a usual answer, not the longest that there is"
    assert settled == (1, "settled", guess, False)
    assert str((run.error or {})["hint"]).startswith("The model was not asked again by itself;")
