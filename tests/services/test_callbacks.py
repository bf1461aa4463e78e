"""A callback that cannot be is refused in words before anything is stored, and a failed one can be sent again."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import JsonValue, SecretStr

from darkroom.domain.run import Delivery
from darkroom.errors import InvalidRequest, NotConfigured, UnknownJob
from darkroom.events import Bus
from darkroom.services.callbacks import CallbackBook, wished
from darkroom.settings import Settings
from factories import JOB_ID, NOW, FakeClock, job_id
from helpers_callbacks import MemoryOutbox, make_callback

HOOK = "https://hooks.example.com/jobs/1?token=t0ken"
SECRET = "s3cret-of-callbacks"


def hosts(*entries: str) -> Settings:
    return Settings.model_construct(callback_hosts=entries, callback_secret=SecretStr(SECRET))


LISTED = hosts("hooks.example.com", "*.example.org", "127.0.0.1:8000")


# Asked for


@pytest.mark.parametrize(
    ("invocation_id", "kept"), [("inv-123", "inv-123"), (" 7 ", "7"), (7, "7"), (None, ""), ("\u00fc 1", "\u00fc 1")]
)
def test_a_callback_is_made_for_the_job_or_run(invocation_id: JsonValue, kept: str) -> None:
    made = wished(f" {HOOK} ", invocation_id, LISTED).callback("run_1", "ann", NOW)
    assert (made.subject, made.principal, made.url, made.created_at) == ("run_1", "ann", HOOK, NOW)
    assert (made.invocation_id, made.state, made.body, made.attempts) == (kept, Delivery.WAITING, None, 0)


def test_without_listed_hosts_the_setting_is_named() -> None:
    with pytest.raises(NotConfigured) as caught:
        wished(HOOK, None, hosts(), where="options.")
    assert caught.value.message.startswith("options.callback_url cannot be used: no host is listed")
    assert caught.value.field == "options.callback_url"
    assert "DARKROOM_CALLBACK_HOSTS" in str(caught.value.hint)
    assert caught.value.message.endswith("DARKROOM_CALLBACK_HOSTS is empty.")
    assert "Nothing was stored or sent. Set DARKROOM_CALLBACK_HOSTS=hooks.example.com" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://hoks.example.com/?token=t0ken", "names the host 'hoks.example.com', which is not listed. Did you"),
        ("https://elsewhere.test/?token=t0ken", "callback_url names the host 'elsewhere.test', which is not listed."),
        ("https://169.254.169.254/latest", "names the host '169.254.169.254', which is not listed."),
        ("https://10.0.0.1/", "names the host '10.0.0.1', which is not listed."),
        ("https://localhost/", "names the host 'localhost', which is not listed."),
        ("https://hooks.example.com:22/", "callback_url names port 22 of 'hooks.example.com'"),
        ("http://hooks.example.com/", "callback_url does not begin with https://."),
        ("https://me:t0ken@hooks.example.com/", "callback_url holds a user name."),
        (f"https://hooks.example.com/{'t0ken' * 1000}", "callback_url is longer than 2,000 characters."),
        ("", "callback_url must be an https address, not ''."),
        (True, "callback_url must be an https address, not 'True'."),
        (["x"], "callback_url must be an https address, not"),
    ],
)
def test_an_address_that_cannot_be_is_refused_in_words(url: JsonValue, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        wished(url, None, LISTED)
    error = caught.value
    shown = f"{error.message} {error.hint} {error.allowed}"
    assert said in error.message
    assert error.field == "callback_url"
    assert "Nothing was stored or sent." in str(error.hint)
    assert "t0ken" not in shown


@pytest.mark.parametrize(
    "url", ["https://elsewhere.test/", "https://hoks.example.net/", "https://hooks.example.com:22/"]
)
def test_a_host_that_is_not_listed_is_answered_with_those_that_are(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        wished(url, None, LISTED)
    allowed = caught.value.allowed
    assert ", ".join(LISTED.callback_hosts) in (allowed if isinstance(allowed, str) else ", ".join(allowed or ()))
    assert "Did you mean" not in caught.value.message


def test_of_many_listed_hosts_the_first_are_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        wished("https://elsewhere.test/", None, hosts(*(f"host{number}.example.com" for number in range(30))))
    assert caught.value.allowed == [f"host{number}.example.com" for number in range(20)]


@pytest.mark.parametrize("invocation_id", ["", "  ", "x" * 201, "a\nb", True, 1.5, ["a"], {"a": 1}])
def test_a_name_that_cannot_be_is_refused(invocation_id: JsonValue) -> None:
    with pytest.raises(InvalidRequest) as caught:
        wished(HOOK, invocation_id, LISTED, where="options.")
    assert caught.value.field == "options.invocation_id"
    assert caught.value.allowed == "1 to 200 printable characters"
    assert len(caught.value.message) < 200


# Looked at


def book(*kept: Any) -> tuple[CallbackBook, MemoryOutbox, Bus]:
    outbox, bus = MemoryOutbox(*kept), Bus()
    return CallbackBook(outbox, bus, FakeClock(NOW + 5_000)), outbox, bus


def subjects(found: Sequence[Any]) -> list[str]:
    return [item.subject for item in found]


async def test_a_callback_is_shown_to_its_principal_alone() -> None:
    asked, _, _ = book(make_callback(principal="ann"))
    assert await asked.of(JOB_ID, "bob") is None
    assert await asked.of(job_id(9), "ann") is None
    found = await asked.of(JOB_ID, "ann")
    assert found is not None
    assert found.subject == JOB_ID


async def test_callbacks_are_listed_newest_first_and_by_state() -> None:
    asked, _, _ = book(
        make_callback(job_id(1), created_at=NOW),
        make_callback(job_id(2), created_at=NOW + 1, state=Delivery.FAILED),
        make_callback(job_id(3), created_at=NOW + 2, principal="ann"),
    )
    assert subjects(await asked.find("local")) == [job_id(2), job_id(1)]
    assert subjects(await asked.find("local", limit=1)) == [job_id(2)]
    assert subjects(await asked.find("local", status=" Failed ")) == [job_id(2)]
    with pytest.raises(InvalidRequest, match=r"no status 'delivred'\. Did you mean 'delivered'\?"):
        await asked.find("local", status="delivred")


async def test_a_failed_callback_is_sent_once_more_with_the_same_text() -> None:
    failed = make_callback(state=Delivery.FAILED, attempts=15, status=500, error="It answered.", body="{}")
    asked, outbox, bus = book(failed)
    with bus.watch_all() as watch:
        due = await asked.again(JOB_ID, "local")
        assert watch.changed.is_set()
    assert outbox.kept[JOB_ID] == due
    assert (due.state, due.attempts, due.due_at, due.body) == (Delivery.DUE, 0, NOW + 5_000, "{}")
    assert (due.status, due.error, due.url) == (None, None, failed.url)


@pytest.mark.parametrize("state", [Delivery.WAITING, Delivery.DUE, Delivery.DELIVERED])
async def test_only_a_failed_one_is_sent_again(state: Delivery) -> None:
    asked, outbox, _ = book(make_callback(state=state))
    with pytest.raises(InvalidRequest, match=f"is {state}; only a failed one"):
        await asked.again(JOB_ID, "local")
    assert outbox.noted == []


async def test_one_that_there_is_not_is_told_with_the_nearest() -> None:
    asked, outbox, _ = book(make_callback(principal="ann"), make_callback("job_000000000000000a"))
    with pytest.raises(UnknownJob, match="Did you mean 'job_000000000000000a'"):
        await asked.again("job_000000000000000b", "local")
    with pytest.raises(UnknownJob, match="There is no callback of"):
        await asked.again(JOB_ID, "bob")
    assert outbox.noted == []
