"""Answers of steps: schemas, drafts, what a caller gives, and shares that sum up."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from darkroom.domain.workflow import Share, Step, Value, Work
from darkroom.domain.workflow_answers import answered, drafted, given_in, is_given, json_schema, read, shared
from darkroom.domain.workflow_steps import (
    Ready,
    chosen,
    finished,
    generation,
    given_files,
    go_on,
    made,
    ready_in,
    result,
    scope_at,
)
from darkroom.errors import UnexpectedAnswer
from helpers_flow import FILM, SCRIPT, flow, image

BEATS = Value.model_validate(
    {"type": "list", "items": {"picture": {}, "seconds": {"type": "number", "required": False}}}
)


def _work(**given_: Any) -> Work:
    return Work(workflow=flow(), inputs={"product": "red shoes", "seconds": 6}, given=given_)


def test_a_step_tells_a_model_what_to_answer() -> None:
    step = Step.model_validate(
        {
            **SCRIPT,
            "returns": {
                "tone": {"about": "in a word", "choices": ["warm", "cold"]},
                "n": {"type": "number", "least": 1, "most": 5, "required": False},
                "ok": {"type": "flag"},
                "words": {"type": "list", "items": "text", "most": 3},
                "rows": {"type": "list", "items": {"a": {"type": "number"}}, "least": 1},
            },
        }
    )
    assert json_schema(step) == {
        "type": "object",
        "properties": {
            "tone": {"type": "string", "enum": ["warm", "cold"], "description": "in a word"},
            "n": {"type": "number", "minimum": 1, "maximum": 5},
            "ok": {"type": "boolean"},
            "words": {"type": "array", "items": {"type": "string"}, "minItems": 0, "maxItems": 3},
            "rows": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"a": {"type": "number"}},
                    "required": ["a"],
                    "additionalProperties": False,
                },
                "minItems": 1,
                "maxItems": 60,
            },
        },
        "required": ["tone", "ok", "words", "rows"],
        "additionalProperties": False,
    }
    assert json_schema(Step.model_validate({"id": "a", "kind": "agent"})) is None


@pytest.mark.parametrize(
    ("value", "found", "expected"),
    [
        (Value(), " text ", "text"),
        (Value(required=False), None, None),
        (Value(type="list", required=False), "", []),
        (Value(type="number"), 2.5, 2.5),
        (Value(type="number"), "about 3 s", 3.0),
        (Value(type="flag"), True, True),
        (Value(type="flag"), "yes", True),
        (Value(type="flag"), "never", False),
        (Value(choices=("a", "b")), "a", "a"),
        (Value(type="list"), "one\n\n- two\n3. three", ["one", "two", "three"]),
        (Value(type="list", items="number"), ["1", 2], [1.0, 2]),
        (BEATS, "0:00-0:03 A cup\nScene 2: [0:03 \u2013 0:06] Steam", [
            {"picture": "A cup", "seconds": None}, {"picture": "Steam", "seconds": None}]),
        (BEATS, ["a", {"picture": "b", "seconds": "4 s", "more": 1}], [
            {"picture": "a", "seconds": None}, {"picture": "b", "seconds": 4.0}]),
    ],
)  # fmt: skip
def test_what_is_found_is_read_as_its_field_says(value: Value, found: JsonValue, expected: JsonValue) -> None:
    assert read(value, found, "x") == expected


@pytest.mark.parametrize(
    ("value", "found", "words"),
    [
        (Value(), None, "The answer has no x."),
        (Value(type="number"), "none", "and no number"),
        (Value(choices=("a",)), "b", "x is 'b'"),
        (Value(type="list", least=2), ["a"], "x has 1 entries"),
        (Value(type="list", most=1), ["a", "b"], "x has 2 entries"),
        (BEATS, [{"seconds": 1}], r"The answer has no x\[0\].picture"),
    ],
)
def test_what_cannot_be_read_is_said(value: Value, found: JsonValue, words: str) -> None:
    with pytest.raises(UnexpectedAnswer, match=words):
        read(value, found, "x")


def test_a_draft_is_filled_and_what_was_given_is_laid_over_it() -> None:
    work = _work(script={"title": "Mine"})
    answer = drafted(work.workflow.step("script"), work, scope_at(work))
    assert answer == {
        "title": "Mine",
        "beats": [{"picture": "red shoes, close", "seconds": 2}, {"picture": "red shoes, wide", "seconds": 4}],
    }


def test_given_numbers_stay_and_absent_ones_are_shared() -> None:
    full = _work(script={"beats": [{"picture": "a", "seconds": 9}]})
    step = full.workflow.step("script")
    assert answered(step, {}, full, scope_at(full))["beats"] == [{"picture": "a", "seconds": 9}]
    part = _work(script={"beats": [{"picture": "a", "seconds": None}, {"picture": "b", "seconds": 1}]})
    assert answered(step, {}, part, scope_at(part))["beats"] == [
        {"picture": "a", "seconds": 3},
        {"picture": "b", "seconds": 3},
    ]


@given(st.lists(st.none() | st.floats(0, 100), max_size=30), st.one_of(st.integers(1, 90), st.floats(1, 90)))
def test_shares_sum_up_to_the_whole(numbers: list[float | None], total: float) -> None:
    share = Share(list="beats", field="seconds", of="x")
    rows: list[dict[str, JsonValue]] = [{"seconds": number} for number in numbers]
    found = [row["seconds"] for row in shared(share, rows, total)]
    parts = [part for part in found if isinstance(part, int | float)]
    if not rows:
        assert found == []
        return
    assert len(parts) == len(rows)
    assert all(part >= 0.1 for part in parts)
    whole = total == int(total) and total >= len(rows)
    assert sum(parts) == pytest.approx(total if whole else max(len(rows), round(total * 10)) / 10)
    assert not whole or all(isinstance(part, int) for part in parts)


@pytest.mark.parametrize("total", [None, 0, "x"])
def test_without_a_sum_nothing_is_shared(total: JsonValue) -> None:
    rows: list[dict[str, JsonValue]] = [{"seconds": 2}]
    assert shared(Share(list="b", field="seconds", of="x"), rows, total) == rows


def test_a_context_gives_results_by_step_or_by_field() -> None:
    step = flow().step("script")
    beats = [{"picture": "a", "seconds": None}]
    assert given_in(step, {"script": {"beats": ["a"], "other": 1}}) == {"beats": beats}
    assert given_in(step, {"script": "1. a"}) == {"beats": beats}
    assert given_in(step, {"beats": ["a"], "title": "T"}) == {"title": "T", "beats": beats}
    assert given_in(step, {"script": "", "beats": []}) == {}
    words = Step.model_validate({"id": "a", "kind": "agent", "returns": {"tone": {}, "b": {}}})
    assert given_in(words, {"a": "warm"}) == {"tone": "warm"}
    named = Step.model_validate({"id": "b", "kind": "agent", "returns": {"tone": {}, "b": {}}})
    assert given_in(named, {"b": "warm"}) == {"b": "warm"}
    plain = Step.model_validate({"id": "a", "kind": "agent"})
    assert given_in(plain, {"a": "said", "text": "not this"}) == {"text": "said"}
    assert given_in(Step.model_validate({"id": "a", "kind": "skill"}), {"a": "x"}) == {}
    assert given_in(Step.model_validate({"id": "a", "kind": "agent", "for_each": "{x}"}), {"a": "x"}) == {}


def test_a_context_gives_files_to_generation_steps() -> None:
    step = flow().step("frames")
    assert given_in(step, {"frames": ["out_1", None, "/etc/passwd"]}) == {"outputs": ["out_1", None, None]}
    assert given_in(step, {"frames": "out_1"}) == {"outputs": ["out_1"]}
    assert given_in(step, {"frames": ["x"]}) == {}
    work = _work(frames={"outputs": ["out_1", None]}, film={"outputs": ["out_f"]})
    assert given_files(work, Ready("frames[0]", step, 0)) == ["out_1"]
    assert given_files(work, Ready("frames[1]", step, 1)) == []
    assert given_files(work, Ready("frames[9]", step, 9)) == []
    assert given_files(work, Ready("film", work.workflow.step("film"))) == ["out_f"]
    assert given_files(_work(), Ready("film", step)) == []


def test_a_step_is_given_when_all_that_it_must_answer_is() -> None:
    step = flow().step("script")
    assert is_given(step, {"beats": []})
    assert not is_given(step, {"title": "x"})
    assert not is_given(step, {})


def test_the_row_with_the_longest_fitting_word_is_chosen() -> None:
    table = {
        "by": "{inputs.x}",
        "rows": [{"a": "usual"}, {"match": ["shoe"], "a": "1"}, {"match": ["dress shoes"], "a": "2"}],
    }
    whole = flow(image("p"), tables={"t": table}, inputs={"x": {}})
    works = [Work(workflow=whole, inputs={"x": text}) for text in ("cup", "Blue shoes", "a dress shoe", "glass")]
    assert [chosen(work)["t"] for work in works] == [
        {"a": "usual"},
        {"a": "1"},
        {"a": "2"},
        {"a": "usual"},
    ]
    only = flow(image("p"), tables={"t": {"by": "x", "rows": [{"match": ["y"], "a": "z"}]}})
    assert chosen(Work(workflow=only)) == {"t": {"a": "z"}}


def test_templates_may_use_the_words_of_the_task() -> None:
    table = {"by": "{task}", "rows": [{"a": "usual"}, {"match": ["fox"], "a": "wild"}]}
    step = image("p", arguments={"prompt": "{task | title}, {tables.t.a}"})
    work = Work(workflow=flow(step, tables={"t": table}), task="a red fox")
    assert generation(work, ready_in(work)[0]) == ("generate_image", {"prompt": "A red fox, wild"})


def test_a_list_that_was_given_is_gone_through_entry_by_entry() -> None:
    whole = flow(
        image("p", for_each="{inputs.shots}", arguments={"prompt": "{item}", "seed": "{index + 1}"}),
        inputs={"shots": {"type": "list"}},
    )
    work = go_on(Work(workflow=whole, inputs={"shots": ["a tram", "a sill"]}), 0)
    assert [generation(work, ready)[1] for ready in ready_in(work)] == [
        {"prompt": "a tram", "seed": 1},
        {"prompt": "a sill", "seed": 2},
    ]


def test_calls_are_made_without_what_has_no_value() -> None:
    step = image(
        "p", model="{inputs.model}", provider="{inputs.house}", arguments={"prompt": "x", "seed": "{inputs.s}"}
    )
    whole = flow(
        step, {"id": "v", "kind": "video", "arguments": {"prompt": "y"}}, inputs={"model": {}, "house": {}, "s": {}}
    )
    work = Work(workflow=whole, inputs={"model": None, "house": "acme", "s": None})
    one, two = ready_in(work)
    assert generation(work, one) == ("generate_image", {"prompt": "x", "provider": "acme"})
    assert generation(work, two) == ("generate_video", {"prompt": "y"})


def test_a_join_names_its_clips_and_options() -> None:
    join = {**FILM, "arguments": {"clips": ["out_1", "out_2"], "transition": "fade", "fps": None, "resolution": "720p"}}
    work = Work(workflow=flow(join))
    assert generation(work, ready_in(work)[0]) == (
        "generate_video",
        {
            "prompt": "",
            "model": "film-join",
            "images": ["clip=out_1", "clip=out_2"],
            "resolution": "720p",
            "options": {"transition": "fade"},
        },
    )
    single = Work(workflow=flow({**FILM, "arguments": {"clips": "out_1"}}), task="a morning in Lisbon")
    assert generation(single, ready_in(single)[0])[1]["prompt"] == "a morning in Lisbon"
    assert generation(single, ready_in(single)[0])[1]["images"] == ["clip=out_1"]


def test_the_result_names_each_file_once_and_what_is_finished_can_be_given_again() -> None:
    whole = flow(
        image("p"), image("q"), output={"files": ["{steps.p.outputs}", "{steps.p.output}", "{steps.q.output}"]}
    )
    work = Work(workflow=whole)
    unit = made(work.unit("p"), ["out_1", "out_2"], 1)
    work = work.model_copy(update={"steps": {"p": unit, "q": made(unit, [], 1)}})
    assert result(work) == ("", {"files": ["out_1", "out_2"]})
    assert finished(work) == {"p": ["out_1", "out_2"]}
