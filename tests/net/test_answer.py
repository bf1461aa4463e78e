import json

import pytest

from darkroom.errors import UnexpectedAnswer
from darkroom.net.answer import Answer


def test_an_answer_reads_as_json() -> None:
    assert Answer(200, {}, b'{"id": "t1"}').json() == {"id": "t1"}


@pytest.mark.parametrize("status", [199, 300, 404, 500])
def test_only_a_status_of_success_is_ok(status: int) -> None:
    assert not Answer(status).ok
    assert Answer(200).ok
    assert Answer(299).ok


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_named_as_such(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="status 200"):
        Answer(200, {}, body).json()


def test_the_beginning_of_what_came_is_shown_without_credentials() -> None:
    key = "sk-" + "a1b2" * 100
    with pytest.raises(UnexpectedAnswer) as caught:
        Answer(200, {}, f"{'x ' * 95}{key}".encode()).json()
    assert caught.value.provider_message == "x " * 95 + "[redacted]"


def test_text_is_cut_between_characters() -> None:
    assert Answer(200, {}, ("ä€𝄞" * 100).encode()).text(5) == "ä€𝄞ä€"


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'{"code": "bad\\ud83d"}', {"code": "bad\ufffd"}),
        (b'["\\uD83D\\uDE00", {"\\udc00": 1}]', ["\U0001f600", {"\ufffd": 1}]),
        (b'["\\ud83d", 1, null]', ["\ufffd", 1, None]),
    ],
)
def test_halves_of_characters_do_not_get_in(body: bytes, data: object) -> None:
    found = Answer(200, {}, body).json()
    assert found == data
    json.dumps(found, ensure_ascii=False).encode()
