"""What a caller wants done: what is refused, how a conversation is read, and what makes two tasks the same."""

from dataclasses import replace
from typing import Any

import pytest

from darkroom.catalog.agents import TIERS
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Message
from darkroom.errors import InvalidRequest
from darkroom.services.caps import Terms
from darkroom.services.tasks import (
    MOST_CONTEXT,
    MOST_HISTORY,
    MOST_TASK,
    Task,
    cap_notes,
    capped,
    check,
    read_history,
    task_hash,
)
from helpers_tasks import task


def refused(what: Task) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check(what)
    assert (caught.value.hint or "").startswith("Nothing was stored or started.")
    return caught.value


@pytest.mark.parametrize(
    ("most", "more"),
    [
        ({"text": "a" * MOST_TASK}, {"text": "a" * (MOST_TASK + 1)}),
        ({"context": {"words": "a" * (MOST_CONTEXT - 13)}}, {"context": {"words": "a" * (MOST_CONTEXT - 12)}}),
        ({"agent": "image", "session_id": "ses_1"}, {"agent": "image", "workflow": "brand_kit"}),
        ({"workflow": "brand_kit", "tier": "premium"}, {"workflow": "brand_kit", "tier": "best"}),
    ],
    ids=["letters", "bytes", "agent", "tier"],
)
def test_a_task_within_its_bounds_is_taken_and_what_is_beyond_them_is_not(
    most: dict[str, Any], more: dict[str, Any]
) -> None:
    check(task(**most))
    refused(task(**more))


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_task_says_something(text: str) -> None:
    error = refused(task(text))
    assert (error.message, error.field) == ("task is empty.", "task")


def test_a_task_has_a_most_of_letters() -> None:
    error = refused(task("a" * (MOST_TASK + 1)))
    assert (error.message, error.field) == ("task has 20,001 letters.", "task")
    assert error.allowed == "1 to 20,000 letters"


def test_a_tier_that_there_is_not_is_refused_with_the_nearest() -> None:
    error = refused(task(tier="premum"))
    assert error.message == "There is no tier 'premum'. Did you mean 'premium'?"
    assert (error.field, error.allowed) == ("tier", list(TIERS))


@pytest.mark.parametrize("letter", ["a", "é", "\ud800"])
def test_a_context_is_counted_in_bytes_whatever_its_letters(letter: str) -> None:
    error = refused(task(context={"words": letter * 10_000_000}))
    assert error.field == "context"
    assert error.message.startswith("context holds 20,000" if letter == "é" else "context holds 10,000")


def test_an_agent_and_a_workflow_do_not_go_together() -> None:
    error = refused(task(agent="image", workflow="brand_kit"))
    assert (error.message, error.field) == ("agent and workflow were both given.", "workflow")


def test_a_workflow_has_no_session() -> None:
    error = refused(task(workflow={"steps": []} | {"name": "own"}, session_id="ses_1"))
    assert (error.message, error.field) == ("A workflow has no session.", "session_id")


# The conversation before


def test_a_history_is_read_as_messages() -> None:
    said: Any = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Yes?", "at": 5}]
    assert read_history(said) == (
        Message(role="user", content="Hello"),
        Message(role="assistant", content="Yes?", at=5),
    )


def test_no_history_is_an_empty_one() -> None:
    assert read_history(None) == ()
    assert read_history([]) == ()


@pytest.mark.parametrize(
    "value",
    [
        "Hello",
        {"role": "user", "content": "Hello"},
        ["Hello"],
        [{"role": "system", "content": "Obey"}],
        [{"role": "user"}],
        [{"role": "user", "content": "Hello"}] * (MOST_HISTORY + 1),
    ],
    ids=["words", "one", "list of words", "role", "no content", "too many"],
)
def test_what_is_no_history_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"context\.history cannot be read") as caught:
        read_history(value)
    assert caught.value.field == "context"
    assert "up to 200 of" in str(caught.value.allowed)


# Identity


def test_two_tasks_of_the_same_words_are_the_same_whomever_they_tell() -> None:
    one = task(context={"a": 1, "b": 2, "invocation_id": "x"}, callback_url="https://one.example.com")
    two = task("  Plan the opening of a bakery.\n", context={"b": 2, "a": 1, "invocation_id": "y"})
    assert task_hash(one) == task_hash(two)


@pytest.mark.parametrize(
    "change",
    [
        {"task": "Plan the opening of a bank."},
        {"agent": "image"},
        {"workflow": "brand_kit"},
        {"session_id": "ses_1"},
        {"context": {"a": 2}},
        {"tier": "premium"},
        {"model": "acme/large"},
    ],
)
def test_whatever_is_said_makes_another_task(change: dict[str, Any]) -> None:
    whole = task(context={"a": 1})
    assert task_hash(replace(whole, **change)) != task_hash(whole)


FILM = "a film of our $89 chair, costs at most $2"


@pytest.mark.parametrize(("given", "cap"), [(None, 2_000_000), (5_000_000, 2_000_000), (1_000_000, 1_000_000)])
def test_the_words_of_a_workflows_task_cap_it_and_the_lower_cap_holds(given: int | None, cap: int) -> None:
    what = task(FILM, workflow="product_video")
    terms = capped(what, Terms(max_cost=None if given is None else MicroUsd(given)))
    read = cap == 2_000_000
    assert (terms.max_cost, terms.cap_words) == (cap, "costs at most $2" if read else None)
    assert cap_notes(what, terms) == (("max_cost is $2.00, since the task says 'costs at most $2'.",) if read else ())


def test_what_may_be_a_cap_is_named_and_is_none() -> None:
    what = task("lunch boxes under $5", workflow="product_video")
    assert capped(what, Terms()) == Terms()
    assert cap_notes(what, Terms()) == (
        "Not taken as a limit of what this may cost: 'under $5'. max_cost, in US dollars, is one.",
    )


def test_an_agents_task_caps_its_run_where_it_speaks_of_media_or_plainly_of_the_work() -> None:
    for text in (FILM, "write a text, it must cost at most $2"):
        assert capped(task(text), Terms()).max_cost == 2_000_000
    assert cap_notes(task(FILM), capped(task(FILM), Terms())) == (
        "max_cost is $2.00, since the task says 'costs at most $2'.",
    )


def test_an_amount_of_an_agents_task_that_may_be_anything_is_named() -> None:
    what = task("plan a dinner, budget of $50")
    assert capped(what, Terms()) == Terms()
    assert cap_notes(what, Terms()) == (
        "Not taken as a limit of what this may cost: 'budget of $50'. max_cost, in US dollars, is one.",
    )
    assert cap_notes(task("plan a dinner"), Terms()) == ()
