import json
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest

from darkroom.adapters.base import (
    Absent,
    Accepted,
    Call,
    Cancellable,
    Cancelled,
    Failed,
    Locatable,
    Made,
    Pending,
    Reads,
    Resumable,
    Succeeded,
    TooLate,
    Unsure,
)
from darkroom.catalog.providers import Provider
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.errors import (
    AuthFailed,
    ContentBlocked,
    DarkroomError,
    InsufficientCredits,
    InvalidRequest,
    Overloaded,
    ProviderFailed,
    RateLimited,
    ResultExpired,
    SubmitUnknown,
    UnexpectedAnswer,
)
from darkroom.net import spool
from darkroom.net.answer import Answer
from darkroom.net.classify import Verdict, verdict_of
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from factories import JOB_ID, NOW, FakeClock, make_effective
from fake_provider.adapters.fake import FakeAdapter, create
from fake_provider.engine import KEY, Script, picture
from fake_provider.install import manifest
from fake_provider.server import FakeProvider, running_provider

LIMIT_S = 10.0
OPERATION: dict[str, Any] = {"id": "p000001"}
NOWHERE = "http://127.0.0.1:1"


class Talk:
    """An adapter for one running provider, and the calls that it is given."""

    def __init__(self, client: ShardedClient, base_url: str, folder: Path, **more: Any) -> None:
        self.provider = Provider.model_validate(manifest(base_url, **more))
        self.adapter: FakeAdapter = create(ProviderHttp(client, self.provider))
        self._folder = folder

    def call(self, **overrides: Any) -> Call:
        synchronous = overrides.pop("synchronous", False)
        values: dict[str, Any] = {
            "job_id": JOB_ID,
            "submit_key": "key-1",
            "provider": self.provider,
            "offer": self.provider.offer("fake-sync" if synchronous else "fake-image"),
            "credentials": {"DARKROOM_FAKE_KEY": KEY},
            "now": NOW,
            "request": make_effective(),
            "inputs": (),
            "scratch": self._folder,
            "spool": self._folder / "answer",
        }
        return Call(**(values | overrides))

    async def submit(self, **overrides: Any) -> Accepted | Succeeded:
        return await self.adapter.submit(self.call(**overrides))

    async def poll(self) -> Pending | Succeeded | Failed:
        return await self.adapter.poll(OPERATION, self.call())


@pytest.fixture
def talk(client: ShardedClient, provider: FakeProvider, tmp_path: Path) -> Talk:
    return Talk(client, provider.base_url, tmp_path)


async def test_it_has_every_optional_protocol_that_a_lost_answer_needs(talk: Talk) -> None:
    for protocol in (Reads, Resumable, Locatable, Cancellable):
        assert isinstance(talk.adapter, protocol)


# Submitting


async def test_accepted_work_is_named_by_its_id(talk: Talk, provider: FakeProvider) -> None:
    request = make_effective(prompt="a hen", n=3)
    assert await talk.submit(request=request) == Accepted(OPERATION, "p000001")
    (work,) = provider.works.values()
    assert (work.prompt, work.n, work.key) == ("a hen", 3, "key-1")


@pytest.mark.parametrize(("raw", "count"), [(False, 2), (True, 1)])
async def test_a_synchronous_answer_is_made_of_pictures(
    talk: Talk, provider: FakeProvider, raw: bool, count: int
) -> None:
    provider.default = Script(raw=raw)
    answer = await talk.submit(synchronous=True, request=make_effective(n=2))
    assert isinstance(answer, Succeeded)
    assert answer.outputs == tuple(Made(picture("p000001", at), "image/png") for at in range(1, count + 1))


async def test_a_synchronous_answer_with_nothing_has_no_outputs(talk: Talk, provider: FakeProvider) -> None:
    provider.default = Script(nothing=True)
    assert await talk.submit(synchronous=True) == Succeeded(())


@pytest.mark.parametrize("script", [Script(), Script(raw=True)])
@pytest.mark.parametrize("synchronous", [True, False])
async def test_a_kept_answer_reads_as_it_did_at_first(
    talk: Talk, provider: FakeProvider, script: Script, synchronous: bool
) -> None:
    provider.default = script
    call = talk.call(synchronous=synchronous)
    first = await talk.adapter.submit(call)
    kept = await anyio.to_thread.run_sync(spool.load, call.spool)
    assert kept is not None
    assert talk.adapter.read(kept, call) == first
    assert len(provider.history) == 1


async def test_an_answer_that_is_no_json_leaves_the_work_unknown_and_is_kept(
    talk: Talk, provider: FakeProvider
) -> None:
    provider.default = Script(wrong_json=True)
    call = talk.call()
    with pytest.raises(UnexpectedAnswer, match="no JSON") as caught:
        await talk.adapter.submit(call)
    assert verdict_of(caught.value) is Verdict.UNKNOWN
    kept = await anyio.to_thread.run_sync(spool.load, call.spool)
    assert kept is not None
    with pytest.raises(UnexpectedAnswer):
        talk.adapter.read(kept, call)
    assert provider.accepted("a red fox") == ["p000001"]


@pytest.mark.parametrize("body", [b"[]", b"{}", b"5", b"null", b'{"images": [{"b64": "a"}]}', b'{"images": [{}]}'])
async def test_an_answer_of_another_shape_leaves_the_work_unknown(talk: Talk, body: bytes) -> None:
    with pytest.raises((UnexpectedAnswer, KeyError, TypeError, ValueError)) as caught:
        talk.adapter.read(Answer(200, {}, body), talk.call())
    assert verdict_of(caught.value) is Verdict.UNKNOWN


@pytest.mark.parametrize(("cut", "works"), [("unread", 0), ("accepted", 1), ("half", 1)])
async def test_a_lost_answer_leaves_the_work_unknown_whether_it_was_taken_or_not(
    talk: Talk, provider: FakeProvider, cut: str, works: int
) -> None:
    provider.default = Script(cut=cut)
    call = talk.call()
    with pytest.raises(SubmitUnknown):
        await talk.adapter.submit(call)
    assert (provider.connections, len(provider.works)) == (1, works)
    assert await anyio.to_thread.run_sync(spool.load, call.spool) is None


async def test_a_stopped_submission_is_not_made_again(talk: Talk, provider: FakeProvider) -> None:
    provider.default = Script(never_answer=True)
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talk.submit)
            while not provider.open_submissions:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert provider.connections == 1


@pytest.mark.parametrize(
    ("status", "kind", "verdict"),
    [
        (400, InvalidRequest, Verdict.FINAL),
        (401, AuthFailed, Verdict.FINAL),
        (402, InsufficientCredits, Verdict.FINAL),
        (422, InvalidRequest, Verdict.FINAL),
        (429, RateLimited, Verdict.REFUSED),
        (503, Overloaded, Verdict.REFUSED),
        (500, SubmitUnknown, Verdict.UNKNOWN),
        (409, SubmitUnknown, Verdict.UNKNOWN),
    ],
)
async def test_a_refusal_says_whether_the_work_may_be_sent_again(
    client: ShardedClient,
    provider: FakeProvider,
    tmp_path: Path,
    status: int,
    kind: type[DarkroomError],
    verdict: Verdict,
) -> None:
    talk = Talk(client, provider.base_url, tmp_path, safe_statuses=[503])
    provider.default = Script(refuse=(status,), retry_after="9")
    call = talk.call()
    with pytest.raises(kind) as caught:
        await talk.adapter.submit(call)
    assert verdict_of(caught.value) is verdict
    assert caught.value.retry_after_s == (None if verdict is Verdict.UNKNOWN else 9)
    assert (len(provider.history), provider.works) == (1, {})
    assert not await anyio.Path(call.spool).exists()


async def test_a_wrong_key_is_named_and_not_shown(talk: Talk) -> None:
    with pytest.raises(AuthFailed) as caught:
        await talk.submit(credentials={"DARKROOM_FAKE_KEY": "another-key-7"})
    assert "another-key-7" not in json.dumps(caught.value.to_dict())


async def test_a_provider_that_is_down_was_sent_nothing(client: ShardedClient, tmp_path: Path) -> None:
    with pytest.raises(Overloaded, match="nothing was sent"):
        await Talk(client, NOWHERE, tmp_path).submit()


# Polling


async def test_work_is_pending_and_then_ready(talk: Talk, provider: FakeProvider) -> None:
    provider.default = Script(polls=1, failed_outputs=(2,))
    await talk.submit(request=make_effective(n=2))
    assert await talk.poll() == Pending(0.5)
    assert await talk.poll() == Succeeded(
        (RemoteOutput(url=f"{provider.base_url}/files/p000001/1.png?link=1", media_type="image/png"),),
        (FailedOutput(index=2, code="blocked", message="not delivered"),),
    )


async def test_a_status_that_it_does_not_know_is_still_pending(talk: Talk, provider: FakeProvider) -> None:
    provider.default = Script(status="dreaming")
    await talk.submit()
    assert isinstance(await talk.poll(), Pending)


@pytest.mark.parametrize(("code", "kind"), [("blocked", ContentBlocked), ("broken", ProviderFailed)])
async def test_failed_work_has_the_providers_code(
    talk: Talk, provider: FakeProvider, code: str, kind: type[DarkroomError]
) -> None:
    provider.default = Script(polls=0, fail=code)
    await talk.submit()
    ended = await talk.poll()
    assert isinstance(ended, Failed)
    assert (type(ended.error), ended.error.provider_code, ended.error.provider_message) == (kind, code, "no")


async def test_work_that_the_provider_does_not_know_is_said_so(talk: Talk) -> None:
    with pytest.raises(ResultExpired):
        await talk.poll()


async def test_a_poll_is_repeated_after_a_cut_and_a_submission_never(
    client: ShardedClient, clock: FakeClock, tmp_path: Path
) -> None:
    seen: list[str] = []

    def cut(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.method)
        raise httpx2.ReadError("reset")

    talk = Talk(ShardedClient(clock, transport=httpx2.MockTransport(cut)), NOWHERE, tmp_path)
    with pytest.raises(SubmitUnknown):
        await talk.submit()
    with pytest.raises(ProviderFailed):
        await talk.poll()
    assert (seen, len(clock.slept)) == (["POST"] + ["GET"] * 4, 3)


# Cancelling


async def test_cancelled_work_has_ended_and_cost_nothing(talk: Talk) -> None:
    await talk.submit()
    assert await talk.adapter.cancel(OPERATION, talk.call()) == Cancelled(MicroUsd(0))
    ended = await talk.poll()
    assert isinstance(ended, Failed)
    assert not ended.billed


@pytest.mark.parametrize("cancel", ["late", "unknown"])
async def test_work_that_cannot_be_cancelled_goes_on(talk: Talk, provider: FakeProvider, cancel: str) -> None:
    provider.default = Script(polls=0, cancel=cancel)
    await talk.submit()
    assert await talk.adapter.cancel(OPERATION, talk.call()) == TooLate()
    assert isinstance(await talk.poll(), Succeeded)


# Looking for lost work


@pytest.mark.parametrize("lookup", ["list", "key"])
async def test_lost_work_is_found_or_absent_where_it_can_be_looked_up(
    client: ShardedClient, tmp_path: Path, lookup: str
) -> None:
    with running_provider(lookup=True) as provider:
        provider.default = Script(cut="accepted")
        talk = Talk(client, provider.base_url, tmp_path, lookup=lookup)
        with pytest.raises(SubmitUnknown):
            await talk.submit()
        assert await talk.adapter.locate(talk.call()) == Accepted(OPERATION, "p000001")
        assert await talk.adapter.locate(talk.call(submit_key="key-2")) == Absent()
        assert len(provider.history) == 1


@pytest.mark.parametrize("synchronous", [True, False])
async def test_lost_work_is_found_by_sending_its_key_again(
    client: ShardedClient, tmp_path: Path, synchronous: bool
) -> None:
    with running_provider(idempotency=True) as provider:
        provider.script("a red fox", Script(cut="accepted"))
        talk = Talk(client, provider.base_url, tmp_path, idempotency="key")
        with pytest.raises(SubmitUnknown):
            await talk.submit(synchronous=synchronous)
        provider.works["p000001"].script = Script()
        provider.script("a red fox", Script())
        found = await talk.adapter.locate(talk.call(synchronous=synchronous))
        made = Succeeded((Made(picture("p000001", 1), "image/png"),))
        assert found == (made if synchronous else Accepted(OPERATION, "p000001"))
        assert provider.accepted("a red fox") == ["p000001"]
        assert [item.repeated for item in provider.history] == [False, True]


async def test_lost_work_stays_unsure_where_the_provider_offers_nothing(talk: Talk, provider: FakeProvider) -> None:
    assert await talk.adapter.locate(talk.call()) == Unsure()
    assert provider.connections == 0


async def test_a_key_goes_in_a_header_only_where_the_provider_reads_it(
    client: ShardedClient, provider: FakeProvider, tmp_path: Path
) -> None:
    seen: list[str | None] = []

    def look(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers.get("idempotency-key"))
        return httpx2.Response(202, json={"id": "p000001"})

    looking = ShardedClient(FakeClock(), transport=httpx2.MockTransport(look))
    for idempotency in ("none", "key"):
        await Talk(looking, NOWHERE, tmp_path, idempotency=idempotency).submit()
    assert seen == [None, "key-1"]


async def test_work_is_followed_by_an_id_that_a_person_gives(talk: Talk) -> None:
    assert talk.adapter.operation_of("p000001", talk.call()) == OPERATION
    with pytest.raises(InvalidRequest, match="begins with p"):
        talk.adapter.operation_of("task_1", talk.call())
