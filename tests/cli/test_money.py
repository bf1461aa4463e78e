"""`darkroom estimate`, `usage`, `models` and `providers`, as a person uses them."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from darkroom.cli.console import out

Run = Callable[..., Result]
RunJson = Callable[..., Any]
FOX = ("generate", "image", "a red fox", "--size", "64x64")


def test_ten_clips_are_priced_everywhere(run: Run) -> None:
    done = run("estimate", "video", "-n", "10", "--duration", "8")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("10 x video at draft/draft-video (ready): free, a local draft")
    assert "- xai/grok-imagine-video-1.5-lite: $2.40 (needs XAI_API_KEY)" in lines


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
        (("usage", "--month", "2999-01"), 1, "'2999-01' is still to come"),
        (("usage", "--month", "2026-13"), 1, "'2026-13' is no month"),
        (("usage", "--month", "2026-01", "--since", "today"), 2, "not both"),
        (("estimate", "month", "videos=10", "videos=20"), 2, "videos is given twice"),
        (("estimate", "month", "videos=10", "-n", "3"), 2, "month takes no -n;"),
        (("estimate", "month", "videos=10", "--model", "gen4.5"), 2, "month takes no --model;"),
        (("estimate", "job", "job_1", "--input-tokens", "3"), 2, "job takes no --input-tokens;"),
        (("estimate", "video", "videos=10"), 2, "video takes no 'videos=10'"),
        (("estimate", "image", "--plan", "brnd"), 1, "Did you mean 'brand'?"),
        (("estimate", "image", "-n", "0"), 1, "from 1 to 1,000,000"),
        (("generate", "image", "a fox", "-o", "labels=x"), 1, "options.labels must be a list"),
        (("jobs", "adjust", "job_1", "much"), 1, "amount must be an amount in US dollars"),
        (("jobs", "adjust", "job_1", "2"), 1, "There is no job 'job_1'"),
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
    assert "Spent from" in text
    assert "100 % of what ended succeeded. That was estimated at $0.00 and cost $0.00." in text
    assert "draft" in text
    assert "1 submission," in text
    assert "Spent from" in run("usage").stdout
    for what in ("agent", "tier"):
        assert "(none)" in run("usage", "--by", what).stdout


def test_usage_is_csv_for_a_spreadsheet(run: Run) -> None:
    run(*FOX)
    rows = list(csv.DictReader(io.StringIO(run("usage", "--csv").stdout)))
    assert [(row["provider"], row["kind"], row["cost_usd"], row["state"]) for row in rows] == [
        ("draft", "image", "0", "succeeded")
    ]
    assert [(row["agent"], row["tier"]) for row in rows] == [("", "")]


def test_usage_as_json_has_the_figures_of_the_tool(run: Run, run_json: RunJson) -> None:
    assert run_json("usage", "--json")["submissions"] == 0
    run(*FOX)
    view = run_json("usage", "--json", "--principal", "local")
    assert (view["submissions"], view["by"]["kind"][0]["name"]) == (1, "image")


def test_a_job_is_booked_at_what_it_cost_after_all(run: Run, run_json: RunJson) -> None:
    job = run_json(*FOX, "--json")
    assert run("jobs", "adjust", job["job_id"], "0.25").stdout == f"{job['job_id']} is booked at $0.25 now.\n"
    assert run_json("usage")["total_usd"] == 0.25
    assert "was adjusted before, to $0.25" in run("jobs", "adjust", job["job_id"], "1", code=1).stderr
    assert "has no submission 3" in run("jobs", "adjust", job["job_id"], "1", "--submission", "3", code=1).stderr


def test_models_are_filtered(run: Run, run_json: RunJson) -> None:
    assert [row["offer"] for row in run_json("models", "--ready", "--json")] == [
        "draft/draft-image",
        "draft/draft-video",
        "draft/film-join",
    ]
    cheap = run_json("models", "--kind", "image", "--provider", "fal", "--under", "0.01", "--json")
    assert cheap
    assert all(row["usual_usd"] <= 0.01 and row["offer"].startswith("fal/") for row in cheap)
    assert "elevenlabs/eleven-v3" in run("models", "--kind", "speech").stdout
    assert "No model fits" in run("models", "--under", "0", "--kind", "speech").stderr


def test_one_model_is_told_whole(run: Run) -> None:
    view: Any = json.loads(run("models", "gen4.5", "--json").stdout)
    assert view["offers"][0]["offer"] == "runway/gen4.5"
    text = run("models", "gen4.5").stdout
    assert text.startswith("runway/gen4.5")
    assert "$0.12 a second (as of 2026-11-21, http" in text
    assert "{" not in text


def test_prices_are_whole_in_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = run("models", "--kind", "video", "--provider", "luma").stdout
    assert "limits" in rows
    monkeypatch.setattr(out, "width", 80)
    narrow = run("models", "--kind", "video", "--provider", "luma").stdout
    assert "$0.375-$1" in narrow, "five seconds of luma/ray-2, from the least to the most"
    assert "limits" not in narrow
    research = run("models", "--kind", "research", "--provider", "xai").stdout
    assert "from $" in research


def test_every_offer_is_within_reach(run: Run, run_json: RunJson) -> None:
    asked = ("estimate", "video", "-n", "10", "--duration", "8")
    first = run_json(*asked)
    every = run_json(*asked, "--all")
    assert len(every["offers"]) == first["rows"] > len(first["offers"]) == first["next_offset"]
    assert "next_offset" not in every
    after = run_json(*asked, "--offset", "2", "--limit", "3")
    assert after["offers"] == every["offers"][2:5]
    text = run(*asked, "--all").stdout
    assert all(f"- {row['offer']}: " in text for row in every["offers"])
    assert "--offset 25 shows the next" in run(*asked).stdout
    listed = run("estimate", "image", "--all").stdout
    assert listed.count("\n- ") > 50


def test_a_range_is_never_shown_as_one_price(run: Run, run_json: RunJson) -> None:
    row = next(row for row in run_json("estimate", "video", "--resolution", "1080p", "--all")["offers"]
               if row["offer"] == "luma/ray-2")  # fmt: skip
    assert (row["low_usd"], row["usd"], row["high_usd"]) == (0.375, 0.4, 1)
    fine = run("estimate", "video", "--resolution", "4k", "--all").stdout
    assert "$0.40 ($0.375 to $1.00)" in next(line for line in fine.splitlines() if "luma/ray-2" in line)
    assert "A call without model and provider would be refused: draft-video has no resolution 4k." in fine
    deep = run("estimate", "research", "--model", "sonar-deep-research", "-n", "2").stdout
    assert ": at least $" in deep
    assert "searches, citations and reasoning are not included" in deep


def test_a_months_header_has_both_ends(run: Run) -> None:
    assert "Spent from 2026-01-01 to 2026-01-31 (UTC)" in run("usage", "--month", "2026-01").stdout


def test_providers_say_what_is_missing(run: Run, run_json: RunJson) -> None:
    assert "not usable yet" in run("providers").stdout
    rows = {row["provider"]: row for row in run_json("providers", "--json")}
    assert rows["draft"]["state"] == "ready"
