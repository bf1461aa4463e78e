"""Reading answers tolerantly: what is not there, or of another type, is None."""

from typing import Any

import pytest

from darkroom.adapters.base import Made
from darkroom.adapters.reading import (
    dig,
    fraction_at,
    in_line,
    items,
    links,
    needed,
    number_at,
    output_of,
    seed_at,
    text_at,
    texts,
)
from darkroom.domain.output import RemoteOutput
from darkroom.errors import UnexpectedAnswer

DATA: dict[str, Any] = {"a": {"b": [{"c": 1}, {"c": "two"}]}, "empty": "", "no": None, "yes": True, "list": []}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ((), DATA),
        (("a", "b", 0, "c"), 1),
        (("a", "b", 1, "c"), "two"),
        (("a", "b", 2, "c"), None),
        (("a", "b", -1, "c"), None),
        (("list", -1), None),
        (("a", "b", "c"), None),
        (("a", 0), None),
        (("a", "x", "y"), None),
        (("empty", 0), None),
        (("no", "x"), None),
        (("yes",), True),
    ],
)
def test_what_lies_at_a_path(path: tuple[str | int, ...], found: Any) -> None:
    assert dig(DATA, *path) == found


def test_entries_are_those_of_a_list() -> None:
    assert items([1, None, {"a": 2}]) == [1, None, {"a": 2}]
    assert [items(data) for data in (None, {"a": 1}, "text", 5)] == [[], [], [], []]


@pytest.mark.parametrize("data", [None, [], "text", 5, True])
def test_no_answer_is_too_odd_to_be_read(data: Any) -> None:
    assert dig(data, "a", 0) is None
    assert text_at(data, "a") is None
    assert number_at(data, "a") is None
    with pytest.raises(UnexpectedAnswer, match=r"has no a\.0\."):
        needed(data, "a", 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [("t1", "t1"), (5, "5"), (0, "0"), (2.5, "2.5"), ("", None), (None, None), (True, None), ([], None), ({}, None)],
)
def test_an_id_may_be_text_or_a_number(value: Any, text: str | None) -> None:
    assert text_at({"id": value}, "id") == text
    if text is None:
        with pytest.raises(UnexpectedAnswer, match=r"has no id\."):
            needed({"id": value}, "id")
    else:
        assert needed({"id": value}, "id") == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5.0),
        (0, 0.0),
        (2.5, 2.5),
        ("2.5", 2.5),
        (" 7 ", 7.0),
        ("7 credits", None),
        ("", None),
        (None, None),
        (True, None),
        ([5], None),
        (float("nan"), None),
        ("nan", None),
        ("-inf", None),
        (10**400, None),
        ("1e400", None),
    ],
)
def test_a_number_may_be_text_and_is_one_that_can_be_counted_with(value: Any, number: float | None) -> None:
    assert number_at({"left": value}, "left") == number


@pytest.mark.parametrize(
    ("data", "found"), [(["a", 1, "b", None], ["a", "b"]), ([], []), ("ab", []), ({"a": "b"}, []), (None, [])]
)
def test_the_texts_of_a_list(data: Any, found: list[str]) -> None:
    assert texts(data) == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("https://a.test/1.png", ["https://a.test/1.png"]),
        ("http://a.test/1.png", ["http://a.test/1.png"]),
        ("data:image/png;base64,AA==", ["data:image/png;base64,AA=="]),
        ("file:///etc/passwd", []),
        ("a word", []),
        ({"url": "https://a.test/1.png", "preview": "https://a.test/2.png"}, ["https://a.test/1.png"]),
        ({"href": "https://a.test/1.png"}, []),
        (["https://a.test/2.png", {"url": "https://a.test/1.png"}, None, ["https://a.test/3.png"]],
         ["https://a.test/2.png", "https://a.test/1.png", "https://a.test/3.png"]),
        ({"url": ["https://a.test/1.png"]}, ["https://a.test/1.png"]),
        (None, []),
        (5, []),
    ],
)  # fmt: skip
def test_the_addresses_of_a_result_in_their_order(data: Any, found: list[str]) -> None:
    assert links(data) == found


@pytest.mark.parametrize(
    ("value", "fraction"), [(0, 0.0), (0.4, 0.4), ("0.4", 0.4), (1, 1.0), (40, None), (-1, None), (None, None)]
)
def test_how_far_work_is_on_the_one_scale_that_is_shown(value: Any, fraction: float | None) -> None:
    assert fraction_at({"progress": value}, "progress") == fraction


@pytest.mark.parametrize(
    ("value", "notes"), [(7, {"seed": 7}), (0, {"seed": 0}), (True, {}), ("7", {}), (7.5, {}), (None, {}), ([7], {})]
)
def test_a_seed_is_noted_where_there_is_one(value: Any, notes: dict[str, Any]) -> None:
    assert seed_at({"result": {"seed": value}}, "result", "seed") == notes


@pytest.mark.parametrize(
    ("url", "made"),
    [
        ("data:image/png;base64,cGljdHVyZQ==", Made(b"picture", "image/png", "raw")),
        ("data:image/svg+xml,%3Csvg/%3E", Made(b"<svg/>", "image/svg+xml", "raw")),
        ("data:;base64,cGljdHVyZQ==", Made(b"picture", "image/webp", "raw")),
    ],
)
def test_a_result_within_its_address_is_taken_out_of_it(url: str, made: Made) -> None:
    assert output_of(url, media_type="image/webp", variant="raw", expires_at=5) == made


def test_a_result_elsewhere_is_fetched_later() -> None:
    found = output_of("https://a.test/1.png", media_type="image/png", variant="raw", expires_at=5)
    assert found == RemoteOutput(url="https://a.test/1.png", media_type="image/png", variant="raw", expires_at=5)


@pytest.mark.parametrize(
    "url", ["data:", "data:image/png;base64,", "data:image/png;base64,*", "data:image/png;base64,A"]
)
def test_an_address_that_should_hold_a_result_and_does_not_is_refused(url: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="holds nothing"):
        output_of(url)


@pytest.mark.parametrize(
    ("state", "waits"),
    [("queued", True), ("IN_QUEUE", True), ("Queueing", True), ("PENDING", True), ("running", False), (None, False)],
)
def test_work_that_only_waits_at_its_provider_is_told_as_waiting(state: str | None, waits: bool) -> None:
    assert in_line(state) == ("It waits for its turn at the provider." if waits else None)
