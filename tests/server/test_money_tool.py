"""`estimate_credits` and the resources of prices, models, providers and usage, through a real client."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from helpers_server import call, connected, content, read_json, words
from mcp import Client
from mcp.shared.exceptions import MCPError

from darkroom.app import App
from darkroom.settings import Settings

pytestmark = pytest.mark.anyio
FOX: dict[str, Any] = {"prompt": "a red fox", "size": "64x64"}
MOST_TEXT = 6_000


async def refused(client: Client, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool("estimate_credits", arguments)
    assert result.is_error
    view: dict[str, Any] = result.structured_content or {}
    return view["error"]


async def test_ten_clips_of_eight_seconds_are_priced_at_everyone_who_can_make_them(client: Client) -> None:
    result = await client.call_tool("estimate_credits", {"operation": "video", "n": 10, "duration": 8})
    view = content(result)
    assert (view["offer"], view["state"], view["cost_usd"]["likely"]) == ("draft/draft-video", "ready", 0)
    assert (view["draft"], view["price_usd"]) == (True, 0)
    assert words(result).startswith("10 x video at draft/draft-video (ready): free, a local draft\n")
    rows, count = [*view["offers"]], view["rows"]
    while "next_offset" in view:
        assert f"offset={view['next_offset']} shows the next of {view['rows']} offers" in view["next"]
        view = await call(client, "estimate_credits", operation="video", n=10, duration=8, offset=view["next_offset"])
        rows += view["offers"]
    assert len(rows) == len({row["offer"] for row in rows}) == count
    everyone = list(dict.fromkeys(row["offer"].partition("/")[0] for row in rows))
    first, rest = rows[: len(everyone)], rows[len(everyone) :]
    assert [row["offer"].partition("/")[0] for row in first] == everyone, "the best of every provider comes first"
    for part in (first, rest):
        amounts = [row["usd"] for row in part if "usd" in row]
        assert amounts == sorted(amounts)
    veo = next(row for row in rows if row["offer"] == "vertex/veo-3.1-fast")
    assert veo["usd"] == 8, "0.10 a second"
    assert veo["state"].startswith("needs GOOGLE_CLOUD_PROJECT")
    assert "- vertex/veo-3.1-fast: $8.00 (needs GOOGLE_CLOUD_PROJECT" in words(result)
    assert len(words(result)) < MOST_TEXT


async def test_a_named_model_is_told_with_credits_client_price_source_and_cheaper_ones(client: Client) -> None:
    view = await call(client, "estimate_credits", operation="video", model="gen4.5", duration=10, n=2)
    assert (view["offer"], view["n"], view["plan"]) == ("runway/gen4.5", 2, "brand")
    assert view["cost_usd"] == {"low": 2.4, "likely": 2.4, "high": 2.4}
    assert (view["credits"], view["price_usd"], view["margin_usd"], view["margin_percent"]) == (216, 7.2, 4.8, 66.7)
    assert view["credits_usd"] == 5.4
    assert view["price_source"].startswith("http")
    assert view["as_of"] == "2026-11-21"
    assert view["breakdown"] == [{"part": "second", "quantity": 10, "unit": "second", "usd": 1.2}]
    assert 0 < len(view["alternatives"]) <= 3
    assert all(row["usd"] < 2.4 for row in view["alternatives"])


async def test_an_unknown_price_is_no_zero(client: Client) -> None:
    result = await client.call_tool("estimate_credits", {"operation": "slides", "provider": "gamma"})
    view = content(result)
    assert "cost_usd" not in view
    assert "credits" not in view
    assert "price not known" in words(result)
    assert "allow_unpriced" in view["next"]


async def test_an_operation_alone_lists_its_offers(client: Client) -> None:
    result = await client.call_tool("estimate_credits", {"operation": "image"})
    view = content(result)
    assert view["offers"][0]["offer"] == "draft/draft-image"
    assert view["offers"][0]["state"] == "ready"
    assert view["more"] > 0
    assert "darkroom://models" in view["next"]
    assert f"and {view['more']} more" in words(result)
    few = await call(client, "estimate_credits", operation="slides")
    assert {row["offer"] for row in few["offers"]} >= {"gamma/gamma"}
    assert "more" not in few


async def test_a_month_is_told_with_the_plan_that_fits(client: Client) -> None:
    result = await client.call_tool(
        "estimate_credits", {"operation": "month", "usage": {"videos": 10, "presentations": 5}, "plan": "starter"}
    )
    view = content(result)
    assert (view["plan"], view["credits"], view["cost_usd"]["likely"]) == ("starter", 1200, 12)
    assert view["plan_advice"]["recommended_plan"] == "brand", "starter has no video"
    assert view["warnings"] == ["The price of presentations is not known; it is in no sum."]
    assert "- videos 10 (runway/gen4.5): $12.00, 1,200 credits" in words(result)


async def test_what_was_spent_is_told_from_the_ledger(client: Client) -> None:
    await call(client, "generate_image", **FOX, options={"labels": ["fox"]})
    result = await client.call_tool("estimate_credits", {"operation": "spent", "since": "today"})
    view = content(result)
    assert (view["submissions"], view["total_usd"], view["success_percent"]) == (1, 0, 100)
    assert view["by"]["label"] == [{"name": "fox", "usd": 0, "submissions": 1}]
    assert "- draft/draft-image: $0.00 (1)" in words(result)
    nothing = content(await client.call_tool("estimate_credits", {"operation": "spent", "since": "1h"}))
    assert nothing["submissions"] == 1


async def test_a_job_tells_what_it_costs(client: Client) -> None:
    job = await call(client, "generate_image", **FOX)
    assert job["cost"] == {"estimate_usd": 0, "actual_usd": 0, "credits": 0, "plan": "brand"}
    result = await client.call_tool("estimate_credits", {"operation": "job", "job_id": job["job_id"]})
    view = content(result)
    assert (view["estimate_usd"], view["actual_usd"], view["credits"]) == (0, 0, 0)
    assert view["breakdown"][0]["part"] == "reserved"
    assert words(result) == f"{job['job_id']} (succeeded): estimate $0.00, actual $0.00, 0 credits on plan brand."


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        ({"operation": "vidoe"}, "invalid_request", "operation"),
        ({"operation": "job"}, "invalid_request", "job_id"),
        ({"operation": "image", "job_id": "job_x"}, "invalid_request", "job_id"),
        ({"operation": "video", "n": 2, "job_id": "job_x"}, "invalid_request", "job_id"),
        ({"operation": "spent", "job_id": "job_x"}, "invalid_request", "job_id"),
        ({"operation": "job", "job_id": "job_x"}, "unknown_job", "job_id"),
        ({"operation": "month"}, "invalid_request", "usage"),
        ({"operation": "spent", "since": "2999-01"}, "invalid_request", "since"),
        ({"operation": "image", "model": "nonsense"}, "unknown_model", "model"),
        ({"operation": "image", "model": "dall-e-3"}, "model_retired", "model"),
        ({"operation": "image", "plan": "brnd", "n": 1}, "invalid_request", "plan"),
        ({"operation": "image", "n": -1}, "invalid_request", "n"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(
    client: Client, arguments: dict[str, Any], code: str, field: str
) -> None:
    error = await refused(client, **arguments)
    assert (error["code"], error["field"]) == (code, field)


async def test_ranges_and_shortages_are_told_in_words(client: Client) -> None:
    ranged = await client.call_tool("estimate_credits", {"operation": "video", "model": "ray-2", "provider": "luma"})
    assert "to $" in words(ranged).splitlines()[0]
    lacking = await client.call_tool("estimate_credits", {"operation": "video", "model": "gen4.5", "plan": "starter"})
    assert content(lacking)["plan_advice"].startswith("Plan starter has no video")
    assert "Plan starter has no video" in words(lacking)


# Resources


async def test_the_summary_begins_with_common_operations(client: Client) -> None:
    view = await read_json(client, "darkroom://pricing/summary")
    assert next(iter(view)) == "plan"
    rows = {row["name"]: row for row in view["common"]}
    assert rows["picture, FLUX schnell"]["usd"] == 0.003
    assert rows["picture, FLUX schnell"]["credits"] == 1
    assert {row["provider"] for row in view["providers"]} >= {"draft", "fal", "runway", "openai"}
    assert await read_json(client, "darkroom://pricing") == view


async def test_plans_tell_what_they_leave_at_full_use(client: Client) -> None:
    view = await read_json(client, "darkroom://pricing/plans")
    left = {plan["key"]: plan["full_use"]["margin_percent"] for plan in view["plans"]}
    assert left == {"starter": 59.2, "brand": 44.2, "agency": 31.3, "enterprise": 18.4}
    assert view["warnings"] == []


async def test_a_providers_prices_are_all_there(client: Client) -> None:
    view = await read_json(client, "darkroom://pricing/providers/runway")
    gen = next(offer for offer in view["offers"] if offer["offer"] == "runway/gen4.5")
    assert gen["prices"][0]["usd"] == 0.12
    assert gen["state"] == "needs RUNWAYML_API_SECRET"
    with pytest.raises(MCPError, match="Unknown resource"):
        await client.read_resource("darkroom://pricing/providers/nobody")


async def test_models_are_paged_and_found_by_any_of_their_names(client: Client) -> None:
    page = await read_json(client, "darkroom://models")
    names = [model["model"] for model in page["models"]]
    assert names == sorted(names)
    pages = 1
    while "more" in page:
        page = await read_json(client, page["more"])
        names += [model["model"] for model in page["models"]]
        pages += 1
    assert pages > 3
    assert len(names) == len(set(names))
    assert "veo-3.1-fast" in names
    veo = await read_json(client, "darkroom://models/veo-3.1-fast")
    assert {offer["offer"] for offer in veo["offers"]} >= {"vertex/veo-3.1-fast", "fal/veo-3.1-fast"}
    alone = await read_json(client, "darkroom://models/vertex/veo-3.1-fast")
    assert [offer["offer"] for offer in alone["offers"]] == ["vertex/veo-3.1-fast"]
    gone = await read_json(client, "darkroom://models/dall-e-3")
    assert gone["offers"][0]["status"] == "retired"
    with pytest.raises(MCPError, match="Unknown resource"):
        await client.read_resource("darkroom://models/nonsense")
    with pytest.raises(MCPError, match="Did you mean darkroom://providers"):
        await client.read_resource("darkroom://provider")
    with pytest.raises(MCPError, match="There are pricing/summary, "):
        await client.read_resource("darkroom://%%")


async def test_long_resources_come_in_pages_of_less_than_20_kb(client: Client) -> None:
    for uri, key in (
        ("darkroom://pricing/providers/fal", "offers"),
        ("darkroom://models/kling", "offers"),
        ("darkroom://models", "models"),
    ):
        names: list[str] = []
        more, pages = uri, 0
        while more:
            page = await read_json(client, more)
            assert len(json.dumps(page, indent=1, ensure_ascii=False).encode()) < 20_000
            names += [entry.get("offer") or entry["model"] for entry in page[key]]
            more, pages = page.get("more", ""), pages + 1
        assert pages > 1
        assert len(names) == len(set(names))


async def test_a_summary_tells_live_offers_and_all_and_what_is_wrong(app: App, client: Client) -> None:
    changes = {
        "common": {
            "old": {"operation": "image", "model": "dall-e-3"},
            "deck": {"operation": "slides", "model": "gamma"},
        }
    }
    await read_json(client, "darkroom://pricing/plans")
    app.plans.update(changes)
    view = await read_json(client, "darkroom://pricing/summary")
    assert [text for text in view["warnings"] if text.startswith("old: dall-e-3 was shut down")]
    deck = next(row for row in view["common"] if row["name"] == "deck")
    assert deck["price"] == "not known"
    assert "usd" not in deck
    live = {row["provider"]: (row["offers_live"], row["offers_all"]) for row in view["providers"]}
    assert live["openai"][0] < live["openai"][1]
    providers = (await read_json(client, "darkroom://providers"))["providers"]
    assert {row["provider"]: (row["offers_live"], row["offers_all"]) for row in providers} == live


async def test_a_bare_operation_with_an_unknown_plan_is_refused(client: Client) -> None:
    assert (await refused(client, operation="image", plan="brnd"))["field"] == "plan"
    assert (await refused(client, operation="image", offset=-1))["field"] == "offset"


async def test_providers_tell_what_is_missing(client: Client) -> None:
    rows = {row["provider"]: row for row in (await read_json(client, "darkroom://providers"))["providers"]}
    assert rows["draft"]["state"] == "ready"
    assert rows["perplexity"]["state"] == "not usable yet"
    assert rows["openai"]["state"] == "needs OPENAI_API_KEY"
    assert rows["openai"]["credentials"][0] == "OPENAI_API_KEY"


async def test_a_months_usage_is_a_resource(client: Client, app: App) -> None:
    await call(client, "generate_image", **FOX)
    name = datetime.fromtimestamp(app.clock.now() / 1000, UTC).strftime("%Y-%m")
    view = await read_json(client, f"darkroom://usage/{name}")
    assert view["submissions"] == 1
    with pytest.raises(MCPError, match="still to come"):
        await client.read_resource("darkroom://usage/2999-01")


@pytest.fixture
def own_plans(home: Path) -> Path:
    """A plans file of the user's own, there before the program starts."""
    folder = home / ".darkroom"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plans.toml"
    path.write_text('[plans.brand]\nmultiplier = "1.8"\n', "utf-8")
    return path


@pytest.mark.usefixtures("own_plans")
async def test_a_plans_file_of_the_users_own_counts(app: App, era: str) -> None:
    async with connected(app, era) as client:
        view = await call(client, "estimate_credits", operation="video", model="gen4.5", duration=10)
        assert view["credits"] == 216


def test_a_plans_file_that_cannot_be_used_is_told(own_plans: Path) -> None:
    own_plans.write_text('[plans.mine]\ntitle = "Mine"\n', "utf-8")
    broken = App(Settings.load(plan="yours"))
    assert broken.plans.read().plans.keys() == {"starter", "brand", "agency", "enterprise"}
    told = "; ".join(broken.warnings())
    assert "plans.mine" in told
    assert "are kept" in told
    assert "DARKROOM_PLAN holds 'yours', and there is no such plan; plan brand is used." in told
