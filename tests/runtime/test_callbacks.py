"""Callers elsewhere are told of an end once, with the same bytes in every attempt, whatever happens between them."""

import hashlib
import hmac
import json
import logging

import anyio
import pytest

from darkroom import __version__
from darkroom.domain.job import State
from darkroom.domain.notice import job_notice
from darkroom.domain.run import Callback, Delivery, Run, RunState
from darkroom.net.client import ShardedClient
from darkroom.runtime.callbacks import ATTEMPTS, HELD_S, LONGEST_S, Callbacks, pause_s
from factories import JOB_ID, NOW, FakeClock, make_job
from helpers_callbacks import SECRET, MemoryOutbox, ended_job, listed, make_callback, sender
from helpers_net import Reply, Seen, Server

LIMIT_S = 30.0


class Killed(BaseException):
    """The end of a process."""


@pytest.fixture
def outbox(server: Server) -> MemoryOutbox:
    """An ended job whose receiver is the server."""
    return MemoryOutbox(make_callback(url=f"{server.url}/hook?token=t0ken"), jobs=[ended_job()])


@pytest.fixture
def callbacks(outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server) -> Callbacks:
    return sender(outbox, client, clock, listed(server))


async def attempt(callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock) -> Callback:
    """Let the next attempt be due, make it, and return how far the callback is then."""
    clock.wall = max(clock.wall, outbox.kept[JOB_ID].due_at)
    with anyio.fail_after(LIMIT_S):
        await callbacks.deliver_due()
    return outbox.kept[JOB_ID]


# What is sent


async def test_the_notice_arrives_signed_over_the_bytes_that_were_sent(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server
) -> None:
    told = await attempt(callbacks, outbox, clock)
    assert (told.state, told.status, told.error, told.attempts) == (Delivery.DELIVERED, 200, None, 1)
    assert told.delivered_at == clock.now()
    [seen] = server.seen
    assert (seen.method, seen.path) == ("PATCH", "/hook?token=t0ken")
    assert seen.headers["x-signature"] == hmac.new(SECRET.encode(), seen.body, hashlib.sha256).hexdigest()
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"] == f"darkroom/{__version__}"
    assert seen.headers["idempotency-key"] == JOB_ID
    notice = json.loads(seen.body)
    assert (notice["invocation_id"], notice["job_id"], notice["status"]) == ("inv-1", JOB_ID, "succeeded")


async def test_without_a_secret_nothing_is_signed(
    outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server
) -> None:
    told = await attempt(sender(outbox, client, clock, listed(server), secret=None), outbox, clock)
    assert told.state is Delivery.DELIVERED
    assert "x-signature" not in server.seen[0].headers


async def test_a_run_is_told_too(client: ShardedClient, clock: FakeClock, server: Server) -> None:
    run = Run(
        id="run_1",
        principal="local",
        task="write",
        request_hash="hash",
        state=RunState.FAILED,
        created_at=NOW,
        updated_at=NOW,
    )
    outbox = MemoryOutbox(make_callback("run_1", url=f"{server.url}/hook"), runs=[run])
    await sender(outbox, client, clock, listed(server)).deliver_due()
    assert json.loads(server.seen[0].body)["run_id"] == "run_1"
    assert outbox.kept["run_1"].state is Delivery.DELIVERED
    assert outbox.shown == {"run_1": clock.now()}


@pytest.mark.parametrize("gone", [True, False])
async def test_a_job_whose_end_was_told_counts_as_shown_unless_it_was_before(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server, gone: bool
) -> None:
    server.replies(Reply(500), Reply(), Reply())
    await attempt(callbacks, outbox, clock)
    assert outbox.shown == {}
    await attempt(callbacks, outbox, clock)
    assert outbox.shown == {JOB_ID: clock.now()}
    outbox.shown.clear()
    outbox.kept[JOB_ID] = outbox.kept[JOB_ID].model_copy(update={"state": Delivery.DUE})
    outbox.jobs = {} if gone else {JOB_ID: ended_job(delivered_at=NOW)}
    assert (await attempt(callbacks, outbox, clock)).state is Delivery.DELIVERED
    assert outbox.shown == {}


async def test_what_is_to_be_sent_is_kept_before_it_is_sent(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server
) -> None:
    kept: list[Callback] = []

    def look(seen: Seen) -> Reply:
        kept.append(outbox.kept[JOB_ID])
        assert seen.body == job_notice(ended_job(), kept[-1]).encode()
        return Reply()

    server.answer = look
    await attempt(callbacks, outbox, clock)
    assert (kept[0].body, kept[0].attempts) == (server.seen[0].body.decode(), 1)
    assert kept[0].due_at == NOW + round(HELD_S * 1000)


# Further attempts


@pytest.mark.parametrize("status", [500, 503, 599, 408, 425, 429])
async def test_trouble_that_may_pass_is_tried_again_with_the_same_bytes(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server, status: int
) -> None:
    server.replies(Reply(status), Reply(204))
    failed = await attempt(callbacks, outbox, clock)
    assert (failed.state, failed.status, failed.error) == (Delivery.DUE, status, f"It answered with status {status}.")
    outbox.jobs[JOB_ID] = ended_job(outputs=())  # such as files that were forgotten since
    told = await attempt(callbacks, outbox, clock)
    assert (told.state, told.status, told.attempts, told.error) == (Delivery.DELIVERED, 204, 2, None)
    first, second = server.seen
    assert (first.body, first.headers["x-signature"]) == (second.body, second.headers["x-signature"])


async def test_nothing_is_sent_before_it_is_due(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server
) -> None:
    server.replies(Reply(500))
    failed = await attempt(callbacks, outbox, clock)
    clock.wall = failed.due_at - 1
    await callbacks.deliver_due()
    assert len(server.seen) == 1


@pytest.mark.parametrize(("told", "least_s", "most_s"), [("120", 120, 120), ("0", 0.75, 1.25), ("7200", 600, 600)])
async def test_a_receiver_may_ask_for_a_longer_pause(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server, told: str, least_s: int, most_s: int
) -> None:
    server.replies(Reply(429, {"retry-after": told}))
    failed = await attempt(callbacks, outbox, clock)
    assert least_s * 1000 <= failed.due_at - clock.now() <= most_s * 1000


def test_pauses_double_up_to_ten_minutes_and_last_about_an_hour() -> None:
    pauses = [pause_s(number) for number in range(1, ATTEMPTS)]
    for number, pause in enumerate(pauses):
        nominal = min(2.0**number, LONGEST_S)
        assert 0.75 * nominal <= pause <= min(1.25 * nominal, LONGEST_S)
    assert 40 * 60 <= sum(pauses) <= 60 * 60


async def test_after_the_last_attempt_it_is_given_up(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.replies(Reply(500))
    for _ in range(ATTEMPTS - 1):
        await attempt(callbacks, outbox, clock)
    told = await attempt(callbacks, outbox, clock)
    assert (told.state, told.attempts, len(server.seen)) == (Delivery.FAILED, ATTEMPTS, ATTEMPTS)
    assert told.error == f"It answered with status 500. That was attempt {ATTEMPTS}, the last."
    assert len({seen.body for seen in server.seen}) == 1
    assert "is given up" in caplog.text
    await attempt(callbacks, outbox, clock)
    assert len(server.seen) == ATTEMPTS


# What no further attempt would mend


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
async def test_a_refusal_ends_it(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server, status: int
) -> None:
    server.replies(Reply(status))
    told = await attempt(callbacks, outbox, clock)
    assert (told.state, told.status) == (Delivery.FAILED, status)
    assert told.error == f"It answered with status {status}, which a further attempt would not mend."


async def test_a_redirect_is_a_failure_and_is_not_followed(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server
) -> None:
    server.replies(Reply(307, {"location": f"{server.url}/elsewhere"}))
    told = await attempt(callbacks, outbox, clock)
    assert (told.state, told.status) == (Delivery.FAILED, 307)
    assert told.error == "It answered with a redirect (status 307), and redirects are not followed."
    assert [seen.path for seen in server.seen] == ["/hook?token=t0ken"]


async def test_a_host_that_is_listed_no_more_is_not_called(
    outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server
) -> None:
    told = await attempt(sender(outbox, client, clock, "hooks.example.com"), outbox, clock)
    assert (told.state, server.connections) == (Delivery.FAILED, 0)
    assert told.error == "The address names the host '127.0.0.1', which is not listed; nothing was sent."


async def test_a_public_name_that_leads_into_a_private_network_is_not_called(
    client: ShardedClient, clock: FakeClock
) -> None:
    async def resolve(host: str) -> list[str]:
        assert host == "hooks.example.com"
        return ["10.0.0.7"]

    outbox = MemoryOutbox(make_callback(), jobs=[ended_job()])
    told = await attempt(sender(outbox, client, clock, "hooks.example.com", resolve=resolve), outbox, clock)
    assert told.state is Delivery.FAILED
    assert told.error == "The address leads to a private or reserved place; nothing was sent."


async def test_there_may_be_nothing_to_tell_any_more(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server
) -> None:
    outbox.jobs.clear()
    told = await attempt(callbacks, outbox, clock)
    assert (told.state, told.error) == (Delivery.FAILED, "There is nothing to tell any more.")
    assert server.connections == 0


async def test_what_has_not_ended_is_left_for_later(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server
) -> None:
    outbox.jobs[JOB_ID] = make_job(state=State.RUNNING)
    kept = await attempt(callbacks, outbox, clock)
    assert (kept.state, kept.attempts, server.connections) == (Delivery.DUE, 0, 0)
    assert kept.due_at == clock.now() + round(HELD_S * 1000)


# No answer


async def test_a_connection_that_breaks_off_is_tried_again(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server
) -> None:
    server.replies(Reply(500), Reply(cut=-1))
    await attempt(callbacks, outbox, clock)
    told = await attempt(callbacks, outbox, clock)
    assert (told.state, told.status) == (Delivery.DUE, None)
    assert told.error == "There was no answer (RemoteProtocolError)."


async def test_an_answer_that_does_not_come_in_time_is_not_waited_for(
    outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server
) -> None:
    never = anyio.Event()
    server.answer = lambda seen: Reply(after=never if seen.method == "PATCH" else None)
    await client.request("GET", server.url)  # what a first connection takes is not to be measured here
    told = await attempt(sender(outbox, client, clock, listed(server), total_s=0.5), outbox, clock)
    assert (told.state, told.attempts, len(server.seen)) == (Delivery.DUE, 1, 2)
    assert told.error is not None
    assert told.error.startswith("There was no answer ")
    never.set()


async def test_an_attempt_as_a_whole_is_not_waited_for_either(client: ShardedClient, clock: FakeClock) -> None:
    async def resolve(host: str) -> list[str]:
        await anyio.sleep_forever()
        return [host]

    outbox = MemoryOutbox(make_callback(), jobs=[ended_job()])
    told = await attempt(
        sender(outbox, client, clock, "hooks.example.com", resolve=resolve, total_s=0.05), outbox, clock
    )
    assert (told.state, told.error) == (Delivery.DUE, "There was no answer within 0.05 s.")


async def test_a_host_that_is_not_found_is_tried_again(client: ShardedClient, clock: FakeClock) -> None:
    async def resolve(host: str) -> list[str]:
        raise OSError(host)

    outbox = MemoryOutbox(make_callback(), jobs=[ended_job()])
    told = await attempt(sender(outbox, client, clock, "hooks.example.com", resolve=resolve), outbox, clock)
    assert (told.state, told.error) == (Delivery.DUE, "There is no host 'hooks.example.com'.")


async def test_a_proxy_that_cannot_be_used_is_told(
    outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://nowhere")
    told = await attempt(sender(outbox, client, clock, listed(server)), outbox, clock)
    assert (told.state, server.connections) == (Delivery.DUE, 0)
    assert told.error is not None
    assert told.error.startswith("The proxy that the environment names cannot be used")


# Processes that end, and several of them


async def test_an_attempt_that_was_cut_off_by_a_kill_is_made_again_with_the_same_bytes(
    callbacks: Callbacks, outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server
) -> None:
    def die(method: str) -> None:
        if method == "callback":  # the attempt is over, and nothing of it is noted
            raise Killed

    outbox.before = die
    with pytest.RaisesGroup(Killed):
        await attempt(callbacks, outbox, clock)
    outbox.before = lambda method: None
    after = sender(outbox, client, clock, listed(server))
    await after.deliver_due()
    assert len(server.seen) == 1, "another process waits until the claim has passed"
    told = await attempt(after, outbox, clock)
    assert (told.state, told.attempts) == (Delivery.DELIVERED, 2)
    assert server.seen[0].body == server.seen[1].body
    assert server.seen[0].headers["idempotency-key"] == server.seen[1].headers["idempotency-key"]


async def test_a_last_attempt_that_was_cut_off_ends_it(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server
) -> None:
    outbox.kept[JOB_ID] = outbox.kept[JOB_ID].model_copy(update={"attempts": ATTEMPTS, "body": "{}"})
    told = await attempt(callbacks, outbox, clock)
    assert (told.state, told.error) == (Delivery.FAILED, "The last attempt was broken off.")
    assert server.connections == 0


async def test_two_processes_do_not_both_make_one_attempt(
    callbacks: Callbacks, outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server
) -> None:
    other = sender(outbox, client, clock, listed(server))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(callbacks.deliver_due)
        tasks.start_soon(other.deliver_due)
    assert len(server.seen) == 1
    assert outbox.kept[JOB_ID].attempts == 1


@pytest.mark.parametrize("gone", [True, False])
async def test_an_attempt_that_was_overtaken_changes_nothing(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server, gone: bool
) -> None:
    def overtake(seen: Seen) -> Reply:
        done = outbox.kept.pop(JOB_ID).model_copy(update={"attempts": 2, "state": Delivery.DELIVERED})
        if not gone:
            outbox.kept[JOB_ID] = done
        return Reply(500)

    server.answer = overtake
    await callbacks.deliver_due()
    assert len(outbox.noted) == 1
    assert gone or outbox.kept[JOB_ID].state is Delivery.DELIVERED


# Trouble of our own


@pytest.mark.parametrize("method", ["claim_callbacks", "note_callback", "callback", "get"])
async def test_a_store_that_cannot_be_reached_is_tried_again_later(
    callbacks: Callbacks,
    outbox: MemoryOutbox,
    clock: FakeClock,
    server: Server,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    outbox.broken = {method}
    await attempt(callbacks, outbox, clock)
    assert "the store: The disk is gone." in caplog.text
    outbox.broken = set()
    assert (await attempt(callbacks, outbox, clock)).state is Delivery.DELIVERED


async def test_a_fault_of_one_callback_is_logged_without_its_text(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(method: str) -> None:
        if method == "callback":
            raise ValueError("https://hooks.example.com/?token=t0ken")

    outbox.before = fail
    await attempt(callbacks, outbox, clock)
    assert f"the callback of {JOB_ID} failed: ValueError" in caplog.text
    assert "t0ken" not in caplog.text


async def test_neither_secret_nor_address_reaches_logs_or_what_is_kept(
    callbacks: Callbacks, outbox: MemoryOutbox, clock: FakeClock, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.replies(Reply(500), Reply(cut=-1), Reply(302, {"location": f"/{SECRET}"}, body=SECRET.encode()))
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            await attempt(callbacks, outbox, clock)
    assert outbox.kept[JOB_ID].state is Delivery.FAILED
    kept = "".join(item.model_dump_json(exclude={"url"}) for item in outbox.noted)
    assert SECRET not in f"{caplog.text}{kept}"
    assert "t0ken" not in f"{caplog.text}{kept}"
    assert "127.0.0.1" in caplog.text
