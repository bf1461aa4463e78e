"""The person at the client is asked before much is spent, and what an agent wants to know, in both eras."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from helpers_server import QuickDraft, call, connected, content, jobs_of, words
from mcp import Client
from mcp_types import (
    CreateMessageResult,
    CreateMessageResultWithTools,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    ErrorData,
    InputRequiredResult,
    SamplingCapability,
    SamplingToolsCapability,
    TextContent,
    ToolUseContent,
)

from darkroom.app import App
from darkroom.server import asking_user
from darkroom.settings import Settings
from helpers_services import MANIFEST

pytestmark = pytest.mark.anyio
STATELESS = "2026-07-28"
DEAR: dict[str, Any] = {"prompt": "a red fox", "model": "acme-pro", "n": 4, "size": "64x64", "wait": 40}
LOOK = {"prompt": "a red fox", "n": 4, "size": "64x64"}
FOUR = {"id": "look", "kind": "image", "model": "acme-pro", "arguments": LOOK}
FILM: dict[str, Any] = {"task": "Four foxes.", "workflow": json.dumps({"name": "four", "steps": [FOUR]}), "wait": 40}


class Everyone(QuickDraft):
    """Stands in for every provider."""

    def adapter(self, provider_id: str) -> "Everyone":
        return self


@pytest.fixture
def quick() -> QuickDraft:
    draft = Everyone()
    draft.ready.set()
    return draft


@pytest.fixture
def app(quick: QuickDraft, tmp_path: Path) -> App:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "acme.toml").write_text(MANIFEST, "utf-8")
    made = App(Settings.load(providers_dir=tmp_path / "manifests", confirm_above="0.10"))
    made.adapters = quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    return made


@dataclass
class Person:
    """A user who says the same to every question."""

    says: ElicitResult | ErrorData
    asked: list[str] = field(default_factory=list[str])
    schemas: list[Any] = field(default_factory=list[Any])
    hold: anyio.Event | None = None

    async def __call__(self, context: Any, params: Any) -> ElicitResult | ErrorData:
        del context
        self.asked.append(params.message)
        self.schemas.append(params.requested_schema)
        if self.hold is not None:
            await self.hold.wait()
        return self.says


def yes(**values: Any) -> ElicitResult:
    return ElicitResult(action="accept", content=values)


NO = ElicitResult(action="decline")


@asynccontextmanager
async def with_person(app: App, era: str, person: Person, **abilities: Any) -> AsyncGenerator[Client]:
    async with connected(app, era, elicitation_callback=person, **abilities) as client:
        yield client


async def test_who_agrees_to_the_price_gets_what_was_asked_for(app: App, era: str, quick: QuickDraft) -> None:
    person = Person(yes(agree=True))
    async with with_person(app, era, person) as client:
        made = await call(client, "generate_image", **DEAR)
        again = await call(client, "generate_image", **DEAR)
    assert (made["status"], made["cost"]["estimate_usd"]) == ("succeeded", 0.16)
    assert made["job_id"] == again["job_id"]
    assert len(quick.sent) == 1
    assert person.asked[0] == "acme/acme-pro would cost $0.16. Go on?"
    [schema] = person.schemas[:1]
    assert schema["required"] == ["agree"]
    assert schema["properties"]["agree"]["type"] == "boolean"
    assert "$0.16" in schema["properties"]["agree"]["title"]


@pytest.mark.parametrize("says", [NO, ElicitResult(action="cancel"), yes(agree=False), yes(), yes(other=True)])
async def test_who_does_not_agree_pays_nothing(app: App, era: str, quick: QuickDraft, says: ElicitResult) -> None:
    person = Person(says)
    async with with_person(app, era, person) as client:
        refused = await client.call_tool("generate_image", DEAR)
        assert await jobs_of(client) == []
    assert refused.is_error
    assert "The user did not agree. Nothing was stored or sent." in words(refused)
    assert len(person.asked) == 1
    assert not quick.sent


async def test_what_costs_less_or_was_agreed_to_before_is_not_asked(app: App, era: str) -> None:
    person = Person(NO)
    async with with_person(app, era, person) as client:
        await call(client, "generate_image", **{**DEAR, "n": 1})
        await call(client, "generate_image", **DEAR, max_cost=0.16)
        await call(client, "generate_image", **DEAR, dry_run=True)
        refused = await client.call_tool("generate_image", {**DEAR, "max_cost": 0.01, "again": True})
    assert "the cap is $0.01" in words(refused)
    assert person.asked == []


async def test_without_anybody_to_ask_the_answer_says_how_to_agree(app: App, era: str) -> None:
    async with connected(app, era) as client:
        refused = await client.call_tool("generate_image", DEAR)
    assert refused.is_error
    assert "if they agree, repeat the call with max_cost=0.16" in words(refused)


@pytest.mark.parametrize("era", ["legacy"], indirect=True)
async def test_a_client_that_fails_to_ask_is_as_one_that_cannot(app: App, era: str) -> None:
    async with with_person(app, era, Person(ErrorData(code=-1, message="no window"))) as client:
        refused = await client.call_tool("generate_image", DEAR)
    assert "repeat the call with max_cost=0.16" in words(refused)


@pytest.mark.parametrize("era", ["legacy"], indirect=True)
async def test_nobody_is_waited_for_without_end(app: App, era: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_user, "ASKING_S", 0.05)
    person = Person(yes(agree=True), hold=anyio.Event())
    async with with_person(app, era, person) as client:
        refused = await client.call_tool("generate_image", DEAR)
        assert "repeat the call with max_cost=0.16" in words(refused)
        assert await jobs_of(client) == []


async def test_a_retry_is_agreed_to_as_well(app: App, era: str) -> None:
    person = Person(yes(agree=True))
    async with with_person(app, era, person) as client:
        made = await call(client, "generate_image", **{**DEAR, "n": 1})
        again = await call(client, "retry_job", job_id=made["job_id"], changes={"n": 4}, wait=40)
    assert (again["retry_of"], again["cost"]["estimate_usd"]) == (made["job_id"], 0.16)
    assert len(person.asked) == 1


# ---------------------------------------------------------------------- between two calls


async def step(client: Client, before: InputRequiredResult | None, answer: Any = None, **arguments: Any) -> Any:
    """Make or repeat a call as a client that answers by hand."""
    more: dict[str, Any] = {}
    if before is not None:
        (key,) = before.input_requests or {}
        more = {"input_responses": {key: answer}, "request_state": before.request_state}
    return await client.session.call_tool("generate_image", arguments, allow_input_required=True, **more)


@pytest.mark.parametrize("era", [STATELESS], indirect=True)
async def test_a_round_that_comes_twice_asks_no_more_and_starts_no_more(app: App, era: str, quick: QuickDraft) -> None:
    async with with_person(app, era, Person(NO)) as client:
        first = await step(client, None, **DEAR)
        assert isinstance(first, InputRequiredResult)
        (asked,) = (first.input_requests or {}).values()
        assert isinstance(asked, ElicitRequest)
        assert isinstance(asked.params, ElicitRequestFormParams)
        made = [content(await step(client, first, yes(agree=True), **DEAR)) for _ in range(3)]
    assert len({view["job_id"] for view in made}) == 1
    assert len(quick.sent) == 1


@pytest.mark.parametrize("era", [STATELESS], indirect=True)
async def test_one_yes_pays_for_one_job_even_where_a_new_one_was_asked_for(
    app: App, era: str, quick: QuickDraft
) -> None:
    async with with_person(app, era, Person(NO)) as client:
        first, other = [await step(client, None, **DEAR, again=True) for _ in range(2)]
        made = [content(await step(client, first, yes(agree=True), **DEAR, again=True)) for _ in range(3)]
        assert len({view["job_id"] for view in made}) == 1
        new = content(await step(client, other, yes(agree=True), **DEAR, again=True))
    assert new["job_id"] != made[0]["job_id"], "another yes"
    assert len(quick.sent) == 2


async def test_a_repeated_call_brings_its_job_whatever_may_be_spent_by_now(app: App, era: str) -> None:
    person = Person(NO)
    async with with_person(app, era, person) as client:
        made = await call(client, "generate_image", **DEAR, max_cost=0.16)
        again = [await call(client, "generate_image", **DEAR, **more) for more in ({}, {"max_cost": 0.01})]
        new = await client.call_tool("generate_image", {**DEAR, "again": True})
        plan = await client.call_tool("generate_image", {**DEAR, "max_cost": 0.01, "dry_run": True})
    assert {view["job_id"] for view in again} == {made["job_id"]}
    assert len(person.asked) == 1
    assert "The user did not agree" in words(new)
    assert "the cap is $0.01" in words(plan)


async def test_a_repeated_run_is_not_asked_about_again(app: App, era: str, quick: QuickDraft) -> None:
    person = Person(yes(agree=True))
    async with with_person(app, era, person) as client:
        made = await call(client, "run_agent", **FILM)
        repeated = [await client.call_tool("run_agent", {**FILM, **more}) for more in ({}, {"max_cost": 0.01})]
        plan = await call(client, "run_agent", **FILM, dry_run=True)
    assert made["status"] == "succeeded"
    assert person.asked == ["four would cost $0.16. Go on?"]
    assert {content(answer)["run_id"] for answer in repeated} == {made["run_id"]}
    assert all("This is the run of an earlier, equal call" in words(answer) for answer in repeated)
    assert len(quick.sent) == 1
    assert "run_id" not in plan


async def test_a_run_that_its_user_does_not_agree_to_is_asked_about_each_time(app: App, era: str) -> None:
    person = Person(NO)
    async with with_person(app, era, person) as client:
        refused = [await client.call_tool("run_agent", FILM) for _ in range(2)]
    assert all("The user did not agree" in words(answer) for answer in refused)
    assert len(person.asked) == 2


@pytest.mark.parametrize("era", [STATELESS], indirect=True)
async def test_an_answer_holds_for_the_price_that_was_asked_alone(app: App, era: str, quick: QuickDraft) -> None:
    async with with_person(app, era, Person(NO)) as client:
        first = await step(client, None, **{**DEAR, "n": 3})
        offer = next(item for item in app.providers["acme"].offers if item.model == "acme-pro")
        dearer = offer.prices[0].model_copy(update={"usd": offer.prices[0].usd * 2})
        vars(offer)["prices"] = (dearer,)  # as a manifest that was changed between two calls
        second = await step(client, first, yes(agree=True), **{**DEAR, "n": 3})
        assert isinstance(second, InputRequiredResult), "it is asked anew"
        assert not quick.sent


# ---------------------------------------------------------------------- questions of agents


def lent(model: "TheirModel") -> dict[str, Any]:
    """Return what makes a client lend its model, with tools."""
    tools = SamplingCapability(tools=SamplingToolsCapability())
    return {"sampling_callback": model, "sampling_capabilities": tools}


class TheirModel:
    """A client's model that asks two things and then is done."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def __call__(self, context: Any, params: Any) -> CreateMessageResult | CreateMessageResultWithTools:
        del context
        self.heard.append(str(params.messages[-1]))
        questions = ("Which colour?", "Which size?")
        turn = len(self.heard) - 1
        if turn < len(questions):
            block = ToolUseContent(id=f"call-{turn}", name="ask_user", input={"question": questions[turn]})
            return CreateMessageResultWithTools(
                role="assistant", content=[block], model="theirs", stop_reason="toolUse"
            )
        done = TextContent(text="So be it.")
        return CreateMessageResult(role="assistant", content=done, model="theirs", stop_reason="endTurn")


async def test_what_an_agent_asks_is_asked_within_the_call(app: App, era: str) -> None:
    model, person = TheirModel(), Person(yes(answer="a large blue one"))
    async with with_person(app, era, person, **lent(model)) as client:
        run = await call(client, "run_agent", task="Write a line about my bike", max_cost=1, wait=40)
    assert (run["status"], run["output"]) == ("succeeded", "So be it.")
    assert person.asked == ["Which colour?", "Which size?"]
    assert "a large blue one" in model.heard[1]


@pytest.mark.parametrize("says", [NO, yes(answer=""), yes()])
async def test_a_question_that_nobody_answers_waits_in_the_run(app: App, era: str, says: ElicitResult) -> None:
    model, person = TheirModel(), Person(says)
    async with with_person(app, era, person, **lent(model)) as client:
        run = await call(client, "run_agent", task="Write a line about my bike", max_cost=1, wait=40)
        assert (run["status"], run["question"]) == ("waiting", "Which colour?")
        assert f"run_agent(run_id='{run['run_id']}', answer=...)" in run["next"]
        person.says = yes(answer="blue")
        done = await call(client, "run_agent", run_id=run["run_id"], wait=40)
        assert (done["run_id"], done["status"]) == (run["run_id"], "succeeded")
    assert person.asked == ["Which colour?", "Which colour?", "Which size?"]
