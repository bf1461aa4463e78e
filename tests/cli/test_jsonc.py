"""Changing JSON with comments: every byte that is not ours stays."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.cli.jsonc import JsonFault, drop, put, read

PATH = ("servers", "us")
OURS = {"command": "run", "args": ["serve"]}

COMMENTED = """{
    // what I use
    "servers": {
        "a": {"command": "x"}, // about a
        "b": {"url": "http://x//y"} /* about b */
        // "c": {}
    },
    "inputs": [1, 2,], /* the
    end */
}
"""


def test_an_entry_goes_behind_the_last_one_and_its_comments() -> None:
    assert put(COMMENTED, PATH, OURS) == COMMENTED.replace(
        """"http://x//y"} /* about b */
""",
        """"http://x//y"}, /* about b */
        "us": {
            "command": "run",
            "args": ["serve"]
        }
""",
    )


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("{}", '{\n  "s": {\n    "us": 1\n  }\n}'),
        ('{"s": {}}', '{"s": {\n  "us": 1\n}}'),
        ('{"s": {"a": 2}}', '{"s": {"a": 2, "us": 1}}'),
        ('{"s": {"a": 2,}}', '{"s": {"a": 2, "us": 1,}}'),
        ('{"s": {"a": 2 /* two */}}', '{"s": {"a": 2, /* two */ "us": 1}}'),
        ('{\n\t"s": {\n\t\t"a": 2,\n\t}\n}', '{\n\t"s": {\n\t\t"a": 2,\n\t\t"us": 1,\n\t}\n}'),
        ('{\r\n "s": {\r\n  "a": 2 }\r\n}', '{\r\n "s": {\r\n  "a": 2,\r\n  "us": 1 }\r\n}'),
        ('{"s": { "a": 2,\n "b": 3 }}', '{"s": { "a": 2,\n "b": 3,\n "us": 1 }}'),
        ('{"s": { "a": [\n]}}', '{"s": { "a": [\n],\n  "us": 1}}'),
        ('{"s": { // none yet\n}}', '{"s": { // none yet\n  "us": 1\n}}'),
        ('\ufeff{"s": {"a": 2}}', '\ufeff{"s": {"a": 2, "us": 1}}'),
        ('{"s": {"us": 2}, "s": {"us": 3}}', '{"s": {"us": 2}, "s": {"us": 1}}'),
        ('{"s": {"us": [1, 2]}} // end', '{"s": {"us": 1}} // end'),
        ('{"s": {"us": 1 /* same */}}', '{"s": {"us": 1 /* same */}}'),
        ("", '{\n  "s": {\n    "us": 1\n  }\n}\n'),
        ("\ufeff \n", '\ufeff{\n  "s": {\n    "us": 1\n  }\n}\n'),
    ],
)
def test_a_value_is_put_in_the_manner_of_the_file(text: str, changed: str) -> None:
    assert put(text, ("s", "us"), 1) == changed
    assert put(changed, ("s", "us"), 1) == changed


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ('{"s": {"us": 1}}', '{"s": {}}'),
        ('{"s": { "us": 1, "a": 2 }}', '{"s": { "a": 2 }}'),
        ('{"s": {"a": 2, "us": 1}}', '{"s": {"a": 2}}'),
        ('{"s": {"a": 2, "us": 1, "b": 3}}', '{"s": {"a": 2, "b": 3}}'),
        ('{"s": {"us": 2, "a": 2, "us": 1}}', '{"s": { "a": 2}}'),
        ('{"s": {\n "a": 2, // two\n "us": 1\n}}', '{"s": {\n "a": 2 // two\n}}'),
        ('{"s": {\n "a": 2, // two\n "us": 1 }}', '{"s": {\n "a": 2 // two\n  }}'),
        ('{"s": {\n "a": 2, // two\n "us": 1 // one\n}}', '{"s": {\n "a": 2 // two\n  // one\n}}'),
        ('{"s": {\n "us": 1, // one\n "a": 2\n}}', '{"s": {\n  // one\n "a": 2\n}}'),
        ('{"s": {\r\n "a": 2,\r\n "us": 1 /* one */,\r\n}}', '{"s": {\r\n "a": 2,\r\n  /* one */\r\n}}'),
        ('{"s": { // no\n "us": 1 /* one\n*/,\n "a": 2}}', '{"s": { // no\n  /* one\n*/\n "a": 2}}'),
        ('{"s": {\n "a": 2\n , "us": 1\n}}', '{"s": {\n "a": 2\n \n}}'),
        ('{"s": {// keep\n "us": 1\n}}', '{"s": {// keep\n}}'),
        ('{"s": {"a": 2}}', '{"s": {"a": 2}}'),
        ('{"s": [1]}', '{"s": [1]}'),
        ('{"t": 1}', '{"t": 1}'),
        ("", ""),
    ],
)
def test_a_member_is_taken_out_with_one_comma_and_no_comment(text: str, changed: str) -> None:
    assert drop(text, ("s", "us")) == changed
    assert re.findall(r"//[^\r\n]*|/\*.*?\*/", changed) == re.findall(r"//[^\r\n]*|/\*.*?\*/", text)
    assert not text.strip() or "us" not in str(read(changed))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1\n  "b": 2}', "line 2, column 3: a comma or the closing } is missing here"),
        ("[1 2]", "line 1, column 4: a comma or the closing ] is missing here"),
        ('{"a" 1}', "line 1, column 6: a colon is missing here"),
        ('{"a": }', "line 1, column 7: a value is missing here"),
        ('{"a": yes}', "line 1, column 7: a value is missing here"),
        ('{"a": 01}', "line 1, column 7: a value is missing here"),
        ('\ufeff{\r\n"a": "b\n"}', "line 2, column 6: this text is broken"),
        ("{'a': 1}", "line 1, column 2: a name in double quotes, or the closing }, is missing here"),
        ('{"a": 1', "line 1, column 8: a comma or the closing } is missing here"),
        ('{"a": 1} x', "line 1, column 10: the file should end here"),
        ("{ /* a\n }", "line 1, column 3: this comment has no end"),
        ("[" * 1000, "line 1, column 202: this is nested too deeply"),
        ("// nothing else", "line 1, column 16: a value is missing here"),
        ('["a"]', "line 1, column 1: the file holds a list where an object belongs"),
        ('{\n"servers": null}', 'line 2, column 12: "servers" holds null where an object belongs'),
        ('{"servers": "x"}', 'line 1, column 13: "servers" holds a text where an object belongs'),
        ('{"servers": true}', 'line 1, column 13: "servers" holds true or false where an object belongs'),
        ('{"servers": -1.5e3}', 'line 1, column 13: "servers" holds a number where an object belongs'),
    ],
)
def test_a_broken_text_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(JsonFault, match=f"^{re.escape(says)}$"):
        put(text, PATH, OURS)


def test_a_long_number_is_left_as_it_is() -> None:
    text = f'{{"n": {"9" * 5000}}}'
    assert put(text, ("us",), 1) == f'{{"n": {"9" * 5000}, "us": 1}}'


# Any file


def gaps() -> st.SearchStrategy[str]:
    pieces = st.sampled_from(
        ["", "", " ", "\n", "\n    ", "\r\n\t", ' // a } comment, "us"\n', "/* { */", "/* a\n b */"]
    )
    return st.lists(pieces, max_size=3).map("".join)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text('ab/*\\"{},:\u00e4', max_size=4))
KEYS = st.sampled_from(["a", "b", "servers", "us", "\u00e4", "x,}"])


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """Write a value with gaps, comments and trailing commas anywhere."""
    if not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    parts: list[str] = []
    items: Any = value.items() if isinstance(value, dict) else [(None, item) for item in value]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] because the type is any
    for key, item in items:
        name = "" if key is None else f"{json.dumps(key)}{draw(gaps())}:{draw(gaps())}"
        parts.append(f"{draw(gaps())}{name}{draw(written(item))}{draw(gaps())}")
    body = ",".join(parts) + ("," + draw(gaps()) if parts and draw(st.booleans()) else draw(gaps()))
    return f"{{{body}}}" if isinstance(value, dict) else f"[{body}]"


ANY = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
FILES = st.dictionaries(KEYS, ANY, max_size=3)


@given(st.data())
def test_whatever_a_file_looks_like_only_our_entry_comes_and_goes(data: st.DataObject) -> None:
    held: dict[str, Any] = data.draw(FILES)
    held["servers"] = data.draw(st.dictionaries(KEYS, ANY, max_size=3))
    text = data.draw(gaps()) + data.draw(written(held)) + data.draw(gaps())
    assert read(text) == held
    entered = put(text, PATH, OURS)
    assert read(entered) == {**held, "servers": {**held["servers"], "us": OURS}}
    gone = drop(entered, PATH)
    others = {key: value for key, value in held["servers"].items() if key != "us"}
    assert read(gone) == {**held, "servers": others}
    assert put(entered, PATH, OURS) == entered
    assert drop(gone, PATH) == gone


@given(st.data())
def test_taking_out_what_was_put_in_gives_back_the_file(data: st.DataObject) -> None:
    servers = {key: value for key, value in data.draw(st.dictionaries(KEYS, ANY, max_size=3)).items() if key != "us"}
    text = json.dumps({"servers": servers, "b": 1}, indent=data.draw(st.sampled_from([None, 1, 4, "\t"])))
    assert drop(put(text, PATH, OURS), PATH) == text
