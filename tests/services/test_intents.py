"""Which messages are plainly a request for a picture or a clip, and what is said once it is started."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from darkroom.domain.job import State
from darkroom.domain.kinds import Kind
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.services.intents import LONGEST_TASK, MediaIntent, read, reply
from factories import make_job, make_submission

TABLE: dict[str, Any] = tomllib.loads((Path(__file__).parent / "intents.toml").read_text("utf-8"))
MISSES = [text for texts in TABLE["misses"].values() for text in texts]
CAT = MediaIntent(Kind.VIDEO, "video of a cat", {"prompt": "a cat"})


def test_the_table_is_large_enough() -> None:
    assert len(TABLE["hits"]) >= 40
    assert len(MISSES) >= 40


@pytest.mark.parametrize("row", TABLE["hits"], ids=lambda row: row["text"])
def test_a_plain_request_is_read(row: dict[str, Any]) -> None:
    intent = read(row["text"])
    assert intent is not None
    assert intent.tool == row["tool"]
    assert intent.arguments == {"prompt": row["prompt"], **row.get("with", {})}
    (VideoRequest if intent.kind is Kind.VIDEO else ImageRequest).model_validate(intent.arguments)


@pytest.mark.parametrize("text", MISSES)
def test_whatever_is_in_doubt_is_no_request(text: str) -> None:
    assert read(text) is None


def test_a_long_message_is_work_for_somebody_who_reads() -> None:
    assert read("make a video of a cat" + " in the sun" * (LONGEST_TASK // 11)) is None


def test_a_message_that_names_a_model_is_left_to_somebody_who_knows_models() -> None:
    assert read("make a video of a cat in the style of kling") is not None
    assert read("make a video of a cat in the style of Kling", names=["kling", "ai"]) is None


def made(state: State, provider: str = "acme", **change: Any) -> Any:
    return make_job(submissions=(make_submission(state=state, provider=provider, **change),))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.QUEUED, "I've started your video of a cat. check_job('"),
        (State.SUCCEEDED, "Here is your video of a cat."),
        (State.FAILED, "Your video of a cat could not be made. It was too dark."),
        (State.CANCELLED, "Your video of a cat was cancelled."),
        (State.SUBMIT_UNKNOWN, "Your video of a cat may have been started: no answer came, so it is not sent again."),
    ],
)
def test_the_reply_says_what_became_of_it(state: State, said: str) -> None:
    error = {"message": "It was too dark."} if state is State.FAILED else None
    words = reply(CAT, made(state, error=error))
    assert words.startswith(said)
    assert "draft" not in words


def test_the_reply_names_the_time_where_it_is_known() -> None:
    assert "ready in about 40 s." in reply(CAT, made(State.RUNNING), 40)
    assert "ready in about 3 minutes." in reply(CAT, made(State.RUNNING), 200)


def test_a_draft_is_called_one() -> None:
    started = reply(CAT, made(State.QUEUED, "draft"))
    assert started.startswith("I've started a draft of your video of a cat. No provider made it")
    assert reply(CAT, made(State.SUCCEEDED, "draft")).startswith("Here is a draft of your video of a cat. No provider")
    assert reply(CAT, made(State.FAILED, "draft")) == "Draft of your video of a cat could not be made."


def test_several_are_spoken_of_as_several() -> None:
    intent = read("make three pictures of a cat")
    assert intent is not None
    assert reply(intent, made(State.SUCCEEDED)) == "Here are your 3 pictures of a cat."
    assert reply(intent, made(State.SUCCEEDED, "draft")).startswith("Here are drafts of your 3 pictures of a cat.")
    assert reply(intent, made(State.CANCELLED)) == "Your 3 pictures of a cat were cancelled."
    assert reply(intent, made(State.QUEUED, "draft")).startswith("I've started drafts of your 3 pictures of a cat.")


@pytest.mark.parametrize(
    ("text", "prompt", "title"),
    [
        ("Make an image of a red kite, spend at most 1 cent", "a red kite", "image of a red kite"),
        ("make a video of a cat for under $1", "a cat", "video of a cat"),
        ("Spend no more than a dollar. Make an image of a fox, please", "a fox", "image of a fox"),
    ],
)
def test_what_it_may_cost_is_neither_in_the_prompt_nor_in_the_reply(text: str, prompt: str, title: str) -> None:
    intent = read(text)
    assert intent is not None
    assert (intent.arguments["prompt"], intent.title) == (prompt, title)
