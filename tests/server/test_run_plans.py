"""What a dry run of `run_agent` says."""

import pytest
from helpers_server import call, words
from mcp.client import Client

from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Mode
from darkroom.server.run_plans import plan_text, plan_view, priced
from darkroom.services.runs import RunPlan
from darkroom.services.work_prices import StepPrice, WorkPrice
from helpers_runs import make_run

FILM = {"task": "a 15 s product video for blue running shoes", "workflow": "product_video"}


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a provider whose pictures and clips are paid for."""
    monkeypatch.setenv("FAL_KEY", "id:secret")


async def test_a_dry_run_of_a_workflow_says_what_it_costs_and_assumes_and_stores_nothing(client: Client) -> None:
    view = await call(client, "run_agent", **FILM, dry_run=True)
    assert view["status"] == "estimate"
    assert view["cost"] == {"low_usd": 0.0, "likely_usd": 0.0, "high_usd": 0.0}
    assert [(row["step"], row["calls"]) for row in view["steps"]] == [("keyframes", 4), ("clips", 4), ("film", 1)]
    assert view["inputs"]["duration"] == 15
    assert "product" not in view["assumed"]
    assert view["assumed"].items() <= view["inputs"].items()
    assert view["next"] == "Nothing was stored: all of it is free (9 calls). Call again without dry_run to start it."
    text = words(await client.call_tool("run_agent", {**FILM, "dry_run": True}))
    assert "Read from the task: product = blue running shoes" in text
    assert "Assumed, because nobody said: " in text
    assert text.endswith(view["next"])
    assert await call(client, "check_job") == {"jobs": []}


async def test_a_dry_run_of_a_task_says_who_would_think(client: Client) -> None:
    view = await call(client, "run_agent", task="Write a line.", agent="copy", dry_run=True)
    assert (view["agent"], "cost" in view) == ("copy", False)
    assert "no language model would think, you get a brief" in view["next"]
    one = await call(client, "run_agent", task="make a video of a cat playing a piano", dry_run=True)
    assert one["steps"] == [{"step": "generate_video", "calls": 1, "models": ["draft/draft-video"], "likely_usd": 0.0}]


@pytest.mark.usefixtures("keyed")
async def test_what_is_paid_for_is_told_before_and_when_it_begins(client: Client) -> None:
    view = await call(client, "run_agent", **FILM, max_cost=1, dry_run=True)
    assert "the cap is $1.00" in view["next"]
    assert view["cost"]["likely_usd"] > 1
    refused = await client.call_tool("run_agent", {**FILM, "max_cost": 1})
    assert refused.is_error
    assert "product_video would cost" in words(refused)
    assert await call(client, "check_job") == {"jobs": []}
    started = await client.call_tool("run_agent", {**FILM, "wait": 0})
    assert "When it began, all of it would cost about $" in words(started)


def test_what_is_to_be_minded_is_told_before_it_begins() -> None:
    run = make_run(model="acme/chat", warnings=("The price of acme/chat is not known.",))
    text = plan_text(RunPlan(run, None, None))
    assert text.startswith("The price of acme/chat is not known.\nNothing was stored: acme/chat would think")


def test_a_price_is_told_in_words() -> None:
    def step(low: int, high: int, calls: int, unknown: int = 0) -> StepPrice:
        return StepPrice("x", calls, ("acme/one",), MicroUsd(low), MicroUsd(low), MicroUsd(high), unknown)

    assert priced(WorkPrice((step(0, 0, 1),))) == "all of it is free (1 call)"
    assert priced(WorkPrice((step(500_000, 500_000, 2),))) == "all of it would cost about $0.50 for 2 calls"
    assert priced(WorkPrice((step(500_000, 900_000, 2, 1),), open_steps=("film",))) == (
        "all of it would cost about $0.50 ($0.50 to $0.90) for 2 calls; "
        "no price is known for 1 of 2 calls; film cannot be told before"
    )


def test_a_model_that_would_think_is_named() -> None:
    run = make_run(mode=Mode.LOOP, model="acme/chat", agent=None)
    view = plan_view(RunPlan(run, None, None))
    assert view["model"] == "acme/chat"
    assert "acme/chat would think, paid by its tokens. What it starts is priced call by call" in view["next"]
