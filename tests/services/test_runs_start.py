"""From a task to a stored run: what is refused before anything is stored, what is the same run, what is kept."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from darkroom.app import App
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Awaits, Message, Mode, Run, RunKind, RunState
from darkroom.errors import DarkroomError, InvalidRequest, NotConfigured, PriceUnknown, UnknownJob, UnknownModel
from darkroom.services.caps import Terms
from darkroom.services.tasks import Task
from darkroom.settings import Settings
from factories import FakeClock
from helpers_services import opened
from helpers_tasks import WORDS, asking, begun, claimed, counts, succeeded, task

ANN = Terms(principal="ann")
HOOK = "https://hooks.example.com/1"


@pytest.fixture
async def thinking(clock: FakeClock, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[App]:
    """With a language model, and with one whose price nobody knows."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("DARKROOM_OPENAI_COMPATIBLE_BASE_URL", "http://127.0.0.1:1/v1")
    async with opened(settings, clock) as app:
        yield app


async def refused(app: App, what: Task, terms: Terms | None = None, **more: Any) -> DarkroomError:
    """Check that a task is refused and leaves nothing behind."""
    before = await counts(app)
    with pytest.raises(DarkroomError) as caught:
        await app.runs.start(what, terms or Terms(), **more)
    assert await counts(app) == before
    return caught.value


# Refusals


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (task(" "), "task is empty."),
        (task("a" * 20_001), "task has 20,001 letters."),
        (task(context={"words": "a" * 10_000_000}), "context holds 10,000,013 bytes."),
        (task(agent="imag"), "There is no agent 'imag'. Did you mean 'image'?"),
        (task(workflow="brand_kitt"), "There is no workflow 'brand_kitt'. Did you mean 'brand_kit'?"),
        (task(tier="premum"), "There is no tier 'premum'. Did you mean 'premium'?"),
        (task(agent="image", workflow="brand_kit"), "agent and workflow were both given."),
        (task(workflow="brand_kit", session_id="ses_1"), "A workflow has no session."),
        (task(session_id="ses_1"), "There is no session 'ses_1'."),
        (task(context={"history": "Hello"}), "context.history cannot be read."),
        (task(context={"conversation_history": [{"role": "me"}]}), "context.history cannot be read."),
    ],
    ids=lambda value: None if isinstance(value, Task) else value[:30],
)
async def test_what_cannot_be_is_refused_and_nothing_is_stored(app: App, what: Task, message: str) -> None:
    error = await refused(app, what)
    assert error.message == message


async def test_an_unknown_model_names_those_that_come_near(thinking: App) -> None:
    known = str((await begun(thinking)).model).partition("/")[2]
    error = await refused(thinking, task(model=f"{known}x"))
    assert isinstance(error, UnknownModel)
    assert error.message == f"There is no language model '{known}x'. Did you mean '{known}'?"
    assert known in (error.allowed or ())


async def test_a_named_model_without_its_key_says_which_one(app: App) -> None:
    error = await refused(app, task(model="openai"))
    assert isinstance(error, NotConfigured)
    assert "OPENAI_API_KEY" in error.message


async def test_a_session_is_seen_by_its_own_principal_alone(app: App) -> None:
    session = (await begun(app)).session_id
    await succeeded(app)
    error = await refused(app, task("Go on.", session_id=session), ANN)
    assert isinstance(error, UnknownJob)
    assert error.message == f"There is no session {session!r}."


async def test_a_history_cannot_be_laid_over_that_of_a_session(app: App) -> None:
    session = (await begun(app)).session_id
    await succeeded(app)
    said: Any = [{"role": "user", "content": "Hello"}]
    error = await refused(app, task("Go on.", session_id=session, context={"history": said}))
    assert error.message == "context.history seeds a new session; this one has its own."
    assert error.field == "context"


async def test_a_callback_to_a_host_that_nobody_listed_is_refused(app: App, clock: FakeClock) -> None:
    error = await refused(app, task(callback_url=HOOK))
    assert isinstance(error, NotConfigured)
    listed = app.settings.model_copy(update={"callback_hosts": ("other.example.com",)})
    async with opened(listed, clock) as other:
        error = await refused(other, task(callback_url=HOOK))
    assert error.field == "callback_url"
    assert "other.example.com" in error.message or "DARKROOM_CALLBACK_HOSTS" in (error.hint or "")


async def test_a_model_without_a_price_is_refused_under_a_cap_and_warned_of_without_one(thinking: App) -> None:
    what = task(model="openai_compatible/own")
    error = await refused(thinking, what, Terms(max_cost=MicroUsd(1)))
    assert isinstance(error, PriceUnknown)
    assert error.message == "The price of openai_compatible/own is not known, and a cap of $0.000001 is set."
    run = await begun(thinking, what)
    assert (run.mode, run.model) == (Mode.LOOP, "openai_compatible/own")
    assert "The price of openai_compatible/own is not known" in run.warnings[0]


async def test_a_repetition_brings_its_run_whatever_may_be_spent_by_now(thinking: App) -> None:
    what, poor = task(model="openai_compatible/own"), Terms(max_cost=MicroUsd(1))
    run = await begun(thinking, what)
    found = await thinking.runs.start(what, poor)
    assert (found.run.id, found.created) == (run.id, False)
    assert isinstance(await refused(thinking, what, Terms(max_cost=MicroUsd(1), again=True)), PriceUnknown)
    assert isinstance(await refused(thinking, what, Terms(max_cost=MicroUsd(1), principal="ann")), PriceUnknown)
    with pytest.raises(PriceUnknown):
        await thinking.runs.plan(what, poor)


# One run at a time in a session


async def busy(app: App, run: Run, what: str) -> InvalidRequest:
    error = await refused(app, task("Something else.", session_id=run.session_id))
    assert isinstance(error, InvalidRequest)
    assert (error.message, error.field) == (f"In session {run.session_id} the run {run.id} {what}.", "session_id")
    assert f"cancel_job('{run.id}')" in (error.hint or "")
    return error


async def test_a_session_in_which_a_run_goes_on_takes_no_other(app: App) -> None:
    run = await begun(app)
    error = await busy(app, run, "is queued")
    assert f"check_job('{run.id}')" in (error.hint or "")
    await claimed(app)
    await busy(app, run, "is running")


async def test_a_session_that_waits_for_an_answer_says_how_to_answer(app: App) -> None:
    run = await begun(app)
    await asking(app)
    error = await busy(app, run, "waits for an answer")
    assert f"run_agent(run_id='{run.id}', answer=...)" in (error.hint or "")


async def test_neither_a_key_nor_asking_again_puts_two_runs_into_a_session(app: App) -> None:
    session = (await begun(app)).session_id
    await succeeded(app)
    what = task("Go on.", session_id=session)
    run = await begun(app, what)
    assert (await app.runs.start(what, Terms())).run.id == run.id
    for terms in (Terms(again=True), Terms(idempotency_key="key")):
        error = await refused(app, what, terms)
        assert error.message == f"In session {session} the run {run.id} is queued."


async def test_of_two_calls_at_once_in_a_session_one_is_refused(app: App) -> None:
    session = (await begun(app)).session_id
    await succeeded(app)
    answers: list[str] = []

    async def call(words: str) -> None:
        try:
            answers.append((await app.runs.start(task(words, session_id=session), Terms())).run.state)
        except InvalidRequest as exc:
            answers.append(str(exc.field))

    async with anyio.create_task_group() as tasks:
        for words in ("One.", "Two."):
            tasks.start_soon(call, words)
    assert sorted(answers) == ["queued", "session_id"]
    assert len(await app.runs.find("local")) == 2


# The same call


async def test_the_same_call_is_the_same_run_until_its_result_is_old(app: App, clock: FakeClock) -> None:
    run = await begun(app)
    assert await app.runs.start(task(), Terms()) == await app.runs.start(task(), Terms())
    done = await succeeded(app)
    assert (await app.runs.start(task(), Terms())).run.id == run.id
    await app.runs.delivered(done)
    clock.advance(120)
    assert not (await app.runs.start(task(), Terms())).created
    clock.advance(1)
    assert (await begun(app)).id != run.id
    assert await counts(app) == (2, 2, 0)


async def test_whoever_asks_again_gets_another_run_and_so_does_somebody_else(app: App) -> None:
    first = await begun(app)
    assert (await begun(app, terms=Terms(again=True))).id != first.id
    assert (await begun(app, terms=ANN)).principal == "ann"


async def test_a_failed_run_is_not_given_for_a_new_call(app: App) -> None:
    run = await begun(app)
    await app.runs.cancel(run.id, "local")
    assert (await begun(app)).id != run.id


async def test_a_key_names_its_run_for_ever_and_no_other_task(app: App, clock: FakeClock) -> None:
    terms = Terms(idempotency_key="key")
    run = await begun(app, terms=terms)
    await app.runs.delivered(await succeeded(app))
    clock.advance(86_400)
    assert (await app.runs.start(task(), terms)).run.id == run.id
    error = await refused(app, task("Something else."), terms)
    assert error.field == "idempotency_key"
    assert error.message.startswith(f"idempotency_key was used for {run.id}; not the same: task (")
    assert (await begun(app, terms=Terms(principal="ann", idempotency_key="key"))).id != run.id


async def test_a_repetition_keeps_its_session(app: App) -> None:
    terms = Terms(idempotency_key="key")
    run = await begun(app, terms=terms)
    assert (await app.runs.start(task(), terms)).run.session_id == run.session_id
    assert await counts(app) == (1, 1, 0)


# What is kept


async def test_a_run_keeps_what_was_said_and_begins_a_session(app: App, clock: FakeClock) -> None:
    said: Any = [{"role": "user", "content": "Hello"}]
    what = task(f"  {WORDS}\n", agent="image agent", context={"history": said, "placement": "web"})
    run = await begun(app, what, Terms(max_cost=MicroUsd(5), idempotency_key="key"))
    assert run == await app.runs.get(run.id, "local")
    assert (run.task, run.context, run.agent) == (WORDS, {"placement": "web"}, "image")
    assert (run.kind, run.state, run.max_cost, run.idempotency_key) == (RunKind.AGENT, RunState.QUEUED, 5, "key")
    assert run.deadline_at == clock.now() + 2 * 3_600_000
    assert run.session_id is not None
    session = await app.sessions.get(run.session_id, "local")
    assert (session.title, session.agent) == (WORDS, "image")
    assert session.history == (Message(role="user", content="Hello"),)


async def test_the_title_of_a_session_is_short(app: App) -> None:
    run = await begun(app, task("word " * 100))
    title = (await app.sessions.get(run.session_id or "", "local")).title
    assert title is not None
    assert len(title) <= 80
    assert title.startswith("word word")


async def test_a_session_remembers_its_agent_with_the_tier_that_belongs_to_it(app: App) -> None:
    first = await begun(app, task(agent="legal"))
    assert first.tier == "premium"
    await succeeded(app)
    second = await begun(app, task("And then?", session_id=f" {first.session_id} "))
    assert (second.agent, second.tier, second.session_id) == ("legal", "premium", first.session_id)
    await succeeded(app)
    third = await begun(app, task("Draw it.", session_id=first.session_id, agent="image", tier="economy"))
    assert (third.agent, third.tier) == ("image", "economy")
    assert await counts(app) == (3, 1, 0)


async def test_without_an_agent_the_tier_is_the_usual_one(app: App) -> None:
    run = await begun(app, task(session_id=""))
    assert (run.agent, run.tier) == (None, "standard")
    await succeeded(app)
    assert (await begun(app, task("More.", session_id=run.session_id))).agent is None


async def test_a_callback_is_kept_with_its_run(app: App, clock: FakeClock) -> None:
    listed = app.settings.model_copy(update={"callback_hosts": ("hooks.example.com",)})
    async with opened(listed, clock) as other:
        run = await begun(other, task(callback_url=HOOK, context={"invocation_id": "call-7"}))
        callback = await other.callbacks.of(run.id, "local")
    assert callback is not None
    assert (callback.url, callback.invocation_id) == (HOOK, "call-7")


async def test_a_workflow_is_prepared_and_has_no_session(app: App, clock: FakeClock) -> None:
    run = await begun(app, task("A brand kit for Alder, a bakery.", workflow="brand kit"))
    assert (run.kind, run.mode, run.workflow) == (RunKind.WORKFLOW, Mode.STEPS, "brand_kit")
    assert (run.session_id, run.agent, run.tier) == (None, None, None)
    assert run.work["workflow"]["name"] == "brand_kit"
    assert run.deadline_at == clock.now() + 12 * 3_600_000
    assert await counts(app) == (1, 0, 0)


async def test_a_workflow_keeps_the_model_and_the_tier_that_were_asked_for(thinking: App) -> None:
    what = task("A brand kit for Alder, a bakery.", workflow="brand_kit", model="anthropic", tier="premium")
    run = await begun(thinking, what)
    assert (run.mode, run.model, run.tier) == (Mode.STEPS, "anthropic", "premium")


async def test_a_cap_in_the_words_of_a_workflow_is_that_of_the_run(app: App) -> None:
    what = task("A brand kit for Alder, a bakery. It may cost at most $2.", workflow="brand_kit")
    run = await begun(app, what, Terms(max_cost=MicroUsd(5_000_000)))
    assert run.max_cost == 2_000_000
    assert run.warnings == ("max_cost is $2.00, since the task says 'It may cost at most $2'.",)
    assert (await app.runs.plan(what, Terms())).run.max_cost == 2_000_000


async def test_a_run_remembers_that_its_cap_comes_from_words(app: App) -> None:
    read = await begun(app, task("Write a line, it must cost at most 20 cents."))
    assert (read.max_cost, read.work) == (200_000, {"cap_words": "it must cost at most 20 cents"})
    said = await begun(app, task("Write another line."), Terms(max_cost=MicroUsd(200_000)))
    assert (said.max_cost, said.work) == (200_000, {})


# Who thinks


@pytest.mark.parametrize(
    ("set_to", "model", "lent", "mode"),
    [
        (None, None, False, Mode.LOOP),
        (None, None, True, Mode.LOOP),
        (None, "client", True, Mode.CLIENT),
        (None, "off", True, Mode.HAND_OFF),
        ("client", None, True, Mode.CLIENT),
        ("client", None, False, Mode.LOOP),
        ("client", "anthropic", True, Mode.LOOP),
        ("client", "off", True, Mode.HAND_OFF),
        ("off", None, True, Mode.HAND_OFF),
        ("off", "Client", True, Mode.CLIENT),
        ("off", "anthropic", False, Mode.LOOP),
    ],
)
async def test_where_a_model_is_configured(
    thinking: App, clock: FakeClock, set_to: str | None, model: str | None, lent: bool, mode: Mode
) -> None:
    async with opened(thinking.settings.model_copy(update={"agent_model": set_to}), clock) as app:
        run = await begun(app, task(model=model), can_sample=lent)
    assert run.mode is mode
    assert (run.model or "").startswith("anthropic/claude" if mode is Mode.LOOP else "")
    assert (run.model is None) == (mode is not Mode.LOOP)


@pytest.mark.parametrize(
    ("set_to", "model", "lent", "mode"),
    [
        (None, None, False, Mode.HAND_OFF),
        (None, None, True, Mode.CLIENT),
        (None, "off", True, Mode.HAND_OFF),
        ("off", None, True, Mode.HAND_OFF),
        ("client", None, False, Mode.HAND_OFF),
        ("client", None, True, Mode.CLIENT),
    ],
)
async def test_where_no_model_is_configured(
    app: App, clock: FakeClock, set_to: str | None, model: str | None, lent: bool, mode: Mode
) -> None:
    async with opened(app.settings.model_copy(update={"agent_model": set_to}), clock) as other:
        run = await begun(other, task(model=model), can_sample=lent)
    assert (run.mode, run.model) == (mode, None)


async def test_a_run_of_the_clients_model_waits_for_the_client(app: App) -> None:
    run = await begun(app, can_sample=True)
    assert (run.state, run.awaits) == (RunState.WAITING, Awaits.CLIENT)
    assert await app.store.runs.claim("worker-1", app.clock.now(), 9) == []


async def test_a_model_that_the_client_does_not_lend_is_refused(thinking: App) -> None:
    error = await refused(thinking, task(model="client"))
    assert error.message.startswith("model 'client' is the caller's own model")
    assert error.field == "model"
