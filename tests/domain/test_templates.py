"""Templates: references, small sums, filters, and what is left out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.domain.expressions import FILTERS, TAKES_MORE, Const, Op, Path, parse, paths
from darkroom.domain.templates import fill, fill_text, look_up, said, texts
from darkroom.errors import InvalidRequest

SCOPE: dict[str, Any] = {
    "inputs": {"product": "blue shoes", "seconds": 15, "none": None, "flag": True},
    "steps": {
        "script": {"beats": [{"say": "one", "s": 1}, {"say": "two|2", "s": 2.5}]},
        "shots": [{"output": "a"}, {}],
    },
    "item": {"prompt": "p"},
    "index": 1,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{inputs.seconds}", 15),
        ("{inputs.seconds} s", "15 s"),
        ("{inputs.seconds * 0.2}", 3),
        ("{inputs.seconds / 4 + 1 * 2}", 5.75),
        ("{(inputs.seconds + 1) * 2 - 1}", 31),
        ("{inputs.seconds / 0}", None),
        ("{inputs.product * 2}", None),
        ("{inputs.seconds >= 15}", True),
        ("{inputs.seconds < 15}", False),
        ("{inputs.seconds <= 14}", False),
        ("{inputs.seconds > 14.5}", True),
        ("{inputs.product == 'blue shoes'}", True),
        ("{inputs.product != 'blue shoes'}", False),
        ("{inputs.none}", None),
        ("x{inputs.none}x", "xx"),
        ("{inputs.flag}, {index + 1}", "yes, 2"),
        ("{item.prompt}", "p"),
        ("{item.nothing.more}", None),
        ("{steps.script.beats.say}", ["one", "two|2"]),
        ("{steps.script.beats[index].say}", "two|2"),
        ("{steps.script.beats[0].s}", 1),
        ("{steps.script.beats[7].s}", None),
        ("{steps.shots.output}", ["a"]),
        ("{inputs.product[0]}", None),
        ("{{no}}", "{no}"),
        ("{steps.script.beats | table}", "| say | s |\n| --- | --- |\n| one | 1 |\n| two/2 | 2.5 |"),
        ("{steps.script.beats.say | bullets}", "- one\n- two|2"),
        ("{steps.script.beats | count}", 2),
        ("{inputs.none | count}", 0),
        ("{inputs.product | count}", 1),
        ("{inputs.none | table}", ""),
        ("{inputs.product | title}", "Blue shoes"),
        ("{inputs.product | caps}", "BLUE SHOES"),
        ("{inputs.product | tag}", "BlueShoes"),
        ("{inputs.product | initial}", "B"),
        ("{inputs.seconds / 4 | round}", 4),
        ("{inputs.product | round}", None),
        ("{steps.script.beats}!", "one; 1, two|2; 2.5!"),
    ],
)
def test_a_template_has_the_value_of_its_expressions(text: str, value: object) -> None:
    assert fill_text(text, SCOPE) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{inputs.a", "not closed"),
        ("a}", "not closed"),
        ("{}", "no expression"),
        ("{a b}", "no expression"),
        ("{a +}", "no expression"),
        ("{(a}", "no expression"),
        ("{a.}", "no expression"),
        ("{a[b]}", "no expression"),
        ("{a[1}", "no expression"),
        ("{a[1.5]}", "no expression"),
        ("{a ; b}", "no expression"),
        ("{a | titles}", "Did you mean 'title'?"),
        ("{a |}", "no expression"),
        ("{a | or}", "no expression"),
        ("{a | or 3}", "no expression"),
        ("{" + "a + " * 100 + "a}", "letters"),
        ("x" * 20_001, "20,001 letters"),
    ],
)
def test_what_is_no_template_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words.replace("?", r"\?")):
        parse(text)


def test_every_filter_that_may_be_written_exists_and_takes_nothing_for_nothing() -> None:
    calls = [f"{name} ''" if name in TAKES_MORE else name for name in FILTERS]
    assert all(fill_text(f"{{inputs.none | {call}}}", SCOPE) in ("", 0, None, False) for call in calls)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{inputs.none | or inputs.product}", "blue shoes"),
        ("{inputs.none | or 'nothing'}", "nothing"),
        ("{inputs.product | or 'nothing'}", "blue shoes"),
        ("Here.{inputs.product | prefix ' Offer: ' | suffix '.'}", "Here. Offer: blue shoes."),
        ("Here.{inputs.none | prefix ' Offer: ' | suffix '.'}", "Here."),
        ("{inputs.product | the}", "the blue shoes"),
        ("has {inputs.product | has 'Blue'}", "has yes"),
        ("has {inputs.product | has 'shoe'}", "has no"),
        ("has {inputs.none | has 'blue'}", "has no"),
        ("in {inputs.product | or 'navy' | hue 'main'}", "in"),
        ("in {inputs.none | or 'navy' | hue 'main'}", "in #1B2A4A"),
        ("{inputs.none | or 'Spoke & Wheel' | the}", "Spoke & Wheel"),
    ],
)
def test_what_has_no_value_may_have_another_or_be_left_out(text: str, filled: str) -> None:
    assert fill_text(text, SCOPE) == filled


def test_an_entry_that_can_do_without_a_value_stays_in_its_list() -> None:
    assert fill(["to {inputs.none | or 'all' | title}", "to {inputs.none | title}"], SCOPE) == ["to All"]


def test_what_stands_behind_a_filter_is_a_reference_too() -> None:
    (value,) = parse("{a.b | or c.d}")
    assert not isinstance(value, str)
    assert [str(path) for path in paths(value)] == ["a.b", "c.d"]


def test_references_are_found_in_every_part_of_an_expression() -> None:
    (value,) = parse("{a.b + (c[index] * 2) == d[3].e | count}")
    assert not isinstance(value, str)
    assert [str(path) for path in paths(value)] == ["a.b", "c[index]", "d[3].e"]
    assert parse("{1 + 2}")[0] == Op("+", Const(1.0), Const(2.0))


def test_values_are_filled_through_and_through() -> None:
    value: Any = {"a": ["{inputs.product}", 3, ["{index}"]], "b": {"if": "{inputs.flag}", "c": None}, "d": True}
    assert fill(value, SCOPE) == {"a": ["blue shoes", 3, [1]], "b": {"c": None}, "d": True}


def test_entries_of_lists_that_refer_to_nothing_are_left_out() -> None:
    assert fill(["first_frame={steps.shots[1].output}", "{steps.shots[0].output}"], SCOPE) == ["a"]
    assert fill([{"if": "{inputs.seconds > 20}", "x": 1}, {"if": False}, {"if": True, "x": "{index}"}], SCOPE) == [
        {"x": 1}
    ]


def test_a_list_is_made_of_another_one() -> None:
    make: Any = {"each": "{steps.script.beats}", "make": {"prompt": "{item.say} {index}"}}
    made = [{"prompt": "one 0"}, {"prompt": "two|2 1"}]
    assert fill(make, SCOPE) == made
    assert fill(["x", make], SCOPE) == ["x", *made]
    assert fill({"each": "{inputs.none}", "make": 1}, SCOPE) == []


def test_texts_are_found_with_their_places() -> None:
    value: Any = {"a": ["x", {"b": "y"}], "c": 1}
    assert list(texts(value)) == [("a[0]", "x"), ("a[1].b", "y")]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    )
)
def test_a_single_reference_keeps_any_value_and_any_value_can_be_said(value: Any) -> None:
    assert fill_text("{inputs.x}", {"inputs": {"x": value}}) == value
    assert isinstance(said(value), str)


@given(
    st.lists(st.sampled_from(["steps", "script", "beats", "say", 0, 1, 9, -1]), max_size=5),
    st.integers(min_value=0, max_value=99),
)
def test_looking_up_never_fails_and_finds_only_what_is_there(parts: list[str | int], index: int) -> None:
    found = look_up(Path(("steps", *parts)), {**SCOPE, "index": index})
    assert found is None or said(found) in said(SCOPE["steps"]) or isinstance(found, list)


@given(st.text(alphabet="{}ab.[]|+-*/()<>='1 ", max_size=30))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        parts = parse(text)
    except InvalidRequest:
        return
    assert isinstance(said(fill_text(text, SCOPE)), str)
    assert all(part for part in parts)
