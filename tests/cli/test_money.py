"""`darkroom estimate`, `usage`, `models` and `providers`, as a person uses them."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]
RunJson = Callable[..., Any]
FOX = ("generate", "image", "a red fox", "--size", "64x64")


def test_ten_clips_are_priced_everywhere(run: Run) -> None:
    done = run("estimate", "video", "-n", "10", "--duration", "8")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("10 x video at draft/draft-video (ready): $0.00")
    assert "- vertex/veo-3.1-fast: $8.00 (no adapter yet)" in lines


def test_an_estimate_as_json_is_that_of_the_tool(run_json: RunJson) -> None:
    view = run_json("estimate", "video", "--model", "gen4.5", "--duration", "10", "-n", "2", "--json")
    assert (view["offer"], view["cost_usd"]["likely"], view["credits"]) == ("runway/gen4.5", 2.4, 216)


def test_an_operation_alone_lists_its_offers(run: Run) -> None:
    assert "- draft/draft-image: $0.00" in run("estimate", "image").stdout


def test_a_month_is_written_as_numbers_of_things(run: Run) -> None:
    text = run("estimate", "month", "videos=10", "images=100").stdout
    assert "- videos 10 (runway/gen4.5): $12.00, 1,080 credits" in text
    assert "Plan brand" in text


def test_a_job_tells_what_it_cost(run: Run, run_json: RunJson) -> None:
    job = run_json(*FOX, "--json")
    text = run("estimate", "job", job["job_id"]).stdout
    assert "estimate $0.00, actual $0.00, 0 credits on plan brand" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("estimate", "vidoe"), 1, "Did you mean 'video'"),
        (("estimate", "month", "videos"), 2, "is no number of something"),
        (("estimate", "month", "videos=many"), 2, "is no number of something"),
        (("estimate", "job"), 2, "Which job?"),
        (("estimate", "spent"), 2, "darkroom usage"),
        (("usage", "--by", "colour"), 2, "--by takes day, kind"),
        (("usage", "--month", "2999-01"), 1, "still to come"),
        (("usage", "--since", "sometime"), 1, "is no moment"),
        (("models", "nonsense"), 1, "There is no model"),
        (("models", "--provider", "nobody"), 2, "There is no provider"),
        (("models", "--under", "cheap"), 1, "amount in US dollars"),
        (("models", "--kind", "smell"), 1, "There is no operation"),
    ],
)
def test_a_mistake_is_answered_in_words(run: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = run(*arguments, code=code)
    assert message in done.stderr


def test_usage_is_a_table_with_bars(run: Run) -> None:
    run(*FOX)
    text = run("usage", "--since", "today", "--by", "provider").stdout
    assert "Spent since" in text
    assert "draft" in text
    assert "1 submissions" in text
    assert "Spent since" in run("usage").stdout


def test_usage_is_csv_for_a_spreadsheet(run: Run) -> None:
    run(*FOX)
    rows = list(csv.DictReader(io.StringIO(run("usage", "--csv").stdout)))
    assert [(row["provider"], row["kind"], row["cost_usd"], row["state"]) for row in rows] == [
        ("draft", "image", "0", "succeeded")
    ]


def test_usage_as_json_has_the_figures_of_the_tool(run: Run, run_json: RunJson) -> None:
    assert run_json("usage", "--json")["submissions"] == 0
    run(*FOX)
    view = run_json("usage", "--json", "--principal", "local")
    assert (view["submissions"], view["by"]["kind"][0]["name"]) == (1, "image")


def test_models_are_filtered(run: Run, run_json: RunJson) -> None:
    assert [row["offer"] for row in run_json("models", "--ready", "--json")] == [
        "draft/draft-image",
        "draft/draft-video",
    ]
    cheap = run_json("models", "--kind", "image", "--provider", "fal", "--under", "0.01", "--json")
    assert cheap
    assert all(row["usual_usd"] <= 0.01 and row["offer"].startswith("fal/") for row in cheap)
    assert "elevenlabs/eleven-v3" in run("models", "--kind", "speech").stdout
    assert "No model fits" in run("models", "--under", "0", "--kind", "speech").stderr


def test_one_model_is_told_whole(run: Run) -> None:
    view: Any = json.loads(run("models", "gen4.5").stdout)
    assert view["offers"][0]["offer"] == "runway/gen4.5"


def test_providers_say_what_is_missing(run: Run, run_json: RunJson) -> None:
    assert "no adapter yet" in run("providers").stdout
    rows = {row["provider"]: row for row in run_json("providers", "--json")}
    assert rows["draft"]["state"] == "ready"
