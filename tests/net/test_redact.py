import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from darkroom.net.redact import MASK, redact

SECRETS = st.text(string.ascii_letters + string.digits + "-_./+=", min_size=6, max_size=60)
TOKEN = st.text(string.ascii_letters + string.digits, min_size=20, max_size=60).map(lambda text: text + "7")


@given(st.text(), SECRETS, st.text(), st.text())
def test_a_secret_never_survives(before: str, secret: str, between: str, after: str) -> None:
    assume(secret not in MASK)
    assert secret not in redact(f"{before}{secret}{between}{secret}{after}", [secret])


@given(st.text(), st.lists(SECRETS))
def test_twice_is_as_good_as_once(text: str, secrets: list[str]) -> None:
    assume(not any(part in MASK for part in secrets))
    once = redact(text, secrets)
    assert redact(once, secrets) == once


@given(
    st.lists(
        st.sampled_from(
            ["Bearer ", "Key ", "token=", "&key=", '"', " ", "secret: ", "sk-", "Basic ", "a1b2c3d4e5", "eyJ", "."]
        ),
        max_size=12,
    )
)  # fmt: skip
def test_twice_is_as_good_as_once_for_what_looks_like_credentials(parts: list[str]) -> None:
    once = redact("".join(parts))
    assert redact(once) == once


@pytest.mark.parametrize(
    "shape",
    [
        "Authorization: Bearer {}",
        "authorization: {}",
        "Key {}",
        "Token {}",
        "Basic {}",
        '{{"token": "Bearer {}"}}',
        "x-api-key: {}",
        "x-goog-api-key={}",
        "https://acme.test/a?key={}&b=1",
        "https://acme.test/a?b=1&X-Amz-Signature={}",
        "https://acme.test/a?X-Amz-Credential={}",
        "https://acme.test/a?X-Goog-Signature={}",
        "https://acme.test/a?sig={}#end",
        "(access_token={})",
        "{{'client_secret': '{}'}}",
        "the key is sk-{}",
        "sk-proj-{}",
        "eyJ{0}.{0}.{0}",
    ],
)
@given(token=TOKEN)
def test_what_looks_like_a_credential_is_masked(shape: str, token: str) -> None:
    assert token not in redact(shape.format(token))


@pytest.mark.parametrize(
    "text",
    [
        "The key provided is not valid.",
        "token expired, key parameter missing",
        "Prompt is too long: 4001 of 4000 characters.",
        "https://acme.test/v1/tasks/task_0123456789?page=2",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_short_values_are_left_alone_and_longer_ones_masked_first() -> None:
    assert redact("abc abcdefgh abcdef", ["abc", "abcdef", "abcdefgh"]) == f"abc {MASK} {MASK}"


def test_a_secret_is_known_in_an_address_too() -> None:
    assert redact("https://acme.test/?who=a%2Fb%2Bc%2Fd", ["a/b+c/d"]) == f"https://acme.test/?who={MASK}"
