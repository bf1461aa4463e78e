import http.client
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from PIL import Image

from darkroom.net.answer import Answer
from darkroom.net.client import ShardedClient
from darkroom.net.download import Downloader
from factories import FakeClock
from fake_provider.engine import KEY, Script, picture
from fake_provider.server import FakeProvider, running_provider

AUTH = {"authorization": f"Bearer {KEY}"}
LIMIT_S = 10.0
TESTS = Path(__file__).parent.parent


class Asking:
    """Speaks to one provider as a client with its key does."""

    def __init__(self, client: ShardedClient, provider: FakeProvider) -> None:
        self._client = client
        self._base = provider.base_url

    async def call(self, method: str, path: str, headers: dict[str, str] | None = None, **parts: Any) -> Answer:
        url = path if path.startswith("http") else f"{self._base}{path}"
        return await self._client.request(method, url, headers=AUTH | (headers or {}), **parts)

    async def submit(self, prompt: str = "a fox", path: str = "/v1/jobs", key: str = "k1", n: int = 1) -> Answer:
        body = {"prompt": prompt, "key": key, "n": n}
        return await self.call("POST", path, {"idempotency-key": key}, json=body)

    async def accepted(self, prompt: str = "a fox", **more: Any) -> str:
        answer = await self.submit(prompt, **more)
        assert answer.status == 202
        return str(answer.json()["id"])

    async def poll(self, work_id: str) -> dict[str, Any]:
        answer = await self.call("GET", f"/v1/jobs/{work_id}")
        assert answer.status == 200
        return answer.json()

    async def done(self, prompt: str = "a fox", **more: Any) -> list[str]:
        """Submit, poll until it is done, and return the links."""
        work_id = await self.accepted(prompt, **more)
        found = await self.poll(work_id)
        while found["status"] == "running":
            found = await self.poll(work_id)
        return [output["url"] for output in found["outputs"]]


@pytest.fixture
def asking(client: ShardedClient, provider: FakeProvider) -> Asking:
    return Asking(client, provider)


# Who may ask, and for what


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/jobs"), ("GET", "/v1/jobs/p000001"), ("GET", "/what")])
async def test_nobody_without_the_key_is_served(
    client: ShardedClient, provider: FakeProvider, headers: dict[str, str], method: str, path: str
) -> None:
    answer = await client.request(method, f"{provider.base_url}{path}", headers=headers)
    assert (answer.status, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert provider.history == []


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/what"), ("PUT", "/v1/jobs"), ("GET", "/v1/jobs/p9"), ("DELETE", "/v1/jobs/p9")]
)
async def test_an_address_or_a_job_that_does_not_exist_is_told(asking: Asking, method: str, path: str) -> None:
    answer = await asking.call(method, path)
    assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found")
    assert (await asking.submit()).status == 202


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b"{}"])
async def test_a_request_without_a_prompt_is_refused_and_costs_nothing(
    asking: Asking, provider: FakeProvider, content: bytes
) -> None:
    assert (await asking.call("POST", "/v1/jobs", content=content)).status == 400
    assert (provider.history, provider.works) == ([], {})


async def test_a_file_of_no_work_is_told(asking: Asking) -> None:
    assert (await asking.call("GET", "/files/p9/1.png")).status == 404
    assert (await asking.submit()).status == 202


async def test_requests_in_a_row_share_a_connection(asking: Asking, provider: FakeProvider) -> None:
    await asking.done()
    assert provider.connections == 1


# Work


async def test_work_runs_for_as_many_polls_as_written_and_is_then_done(asking: Asking, provider: FakeProvider) -> None:
    provider.default = Script(polls=2)
    work_id = await asking.accepted()
    found = [await asking.poll(work_id) for _ in range(3)]
    assert [item["status"] for item in found] == ["running", "running", "succeeded"]
    assert [item.get("progress") for item in found] == [pytest.approx(1 / 3), pytest.approx(2 / 3), None]  # pyright: ignore[reportUnknownMemberType] because approx is untyped
    assert provider.polls == 3


async def test_work_runs_for_as_long_as_written(asking: Asking, provider: FakeProvider) -> None:
    provider.default = Script(polls=0, seconds=3600)
    work_id = await asking.accepted()
    assert (await asking.poll(work_id))["status"] == "running"
    provider.works[work_id].accepted_at -= 3600
    assert (await asking.poll(work_id))["status"] == "succeeded"


async def test_a_status_of_its_own_is_said_while_it_runs(asking: Asking, provider: FakeProvider) -> None:
    provider.default = Script(status="dreaming")
    work_id = await asking.accepted()
    assert [(await asking.poll(work_id))["status"] for _ in range(2)] == ["dreaming", "succeeded"]


async def test_work_may_fail_in_the_end(asking: Asking, provider: FakeProvider) -> None:
    provider.default = Script(polls=0, fail="blocked")
    found = await asking.poll(await asking.accepted())
    assert (found["status"], found["error"]["code"]) == ("failed", "blocked")


async def test_what_is_made_is_a_picture_that_anybody_may_fetch(
    asking: Asking, client: ShardedClient, provider: FakeProvider
) -> None:
    links = await asking.done(n=2)
    files = [await client.request("GET", link) for link in links]
    assert [file.body for file in files] == [picture("p000001", 1), picture("p000001", 2)]
    assert files[0].headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(files[0].body)) as image:
        assert image.format == "PNG"
    assert provider.downloads == 2


async def test_some_or_all_outputs_may_be_missing(asking: Asking, provider: FakeProvider) -> None:
    provider.script("partly", Script(polls=0, failed_outputs=(2,)))
    provider.script("empty", Script(polls=0, nothing=True))
    partly = await asking.poll(await asking.accepted("partly", n=3))
    assert [item["url"].partition("?")[0][-5:] for item in partly["outputs"]] == ["1.png", "3.png"]
    assert [(item["index"], item["code"]) for item in partly["failed"]] == [(2, "blocked")]
    assert await asking.done("empty") == []


# Answers of submissions


async def test_a_synchronous_answer_holds_the_pictures(asking: Asking, provider: FakeProvider) -> None:
    provider.script("raw", Script(raw=True))
    provider.script("nothing", Script(nothing=True))
    answer = await asking.submit(path="/v1/images", n=2)
    assert (answer.status, len(answer.json()["images"])) == (200, 2)
    raw = await asking.submit("raw", path="/v1/images")
    assert (raw.body, raw.headers["content-type"]) == (picture("p000002", 1), "image/png")
    assert raw.headers["x-request-id"] == "p000002"
    assert (await asking.submit("nothing", path="/v1/images")).json()["images"] == []
    assert [item.endpoint for item in provider.history] == ["/v1/images"] * 3


async def test_refusals_come_in_order_and_then_the_work_is_taken(asking: Asking, provider: FakeProvider) -> None:
    provider.default = Script(refuse=(429, 503), retry_after="7")
    answers = [await asking.submit() for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 503, 202]
    assert [answer.headers.get("retry-after") for answer in answers] == ["7", "7", None]
    assert answers[0].json()["error"]["code"] == "status_429"
    assert [item.accepted for item in provider.history] == [None, None, "p000001"]


async def test_refusals_are_counted_for_each_prompt(asking: Asking, provider: FakeProvider) -> None:
    provider.default = Script(refuse=(429,))
    assert [(await asking.submit(prompt)).status for prompt in ("a", "b", "a", "b")] == [429, 429, 202, 202]
    assert "retry-after" not in (await asking.submit("c")).headers


@pytest.mark.parametrize(("cut", "taken"), [("unread", 0), ("accepted", 1), ("half", 1)])
async def test_a_cut_loses_the_answer_before_or_after_the_work_was_taken(
    asking: Asking, provider: FakeProvider, cut: str, taken: int
) -> None:
    provider.script("cut", Script(cut=cut))
    with pytest.raises(httpx2.RemoteProtocolError):
        await asking.submit("cut")
    assert (len(provider.history), len(provider.works), provider.open_submissions) == (taken, taken, 0)
    assert (await asking.submit()).status == 202


async def test_an_answer_may_be_no_json(asking: Asking, provider: FakeProvider) -> None:
    provider.default = Script(wrong_json=True)
    answer = await asking.submit()
    assert (answer.status, answer.text()) == (202, "<html>nothing of the sort</html>")
    assert provider.accepted("a fox") == ["p000001"]


@pytest.mark.parametrize("script", [Script(never_answer=True), Script(accept_delay_s=3600)])
async def test_work_is_taken_long_before_it_is_answered(asking: Asking, provider: FakeProvider, script: Script) -> None:
    provider.default = script
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(asking.submit)
            while not provider.open_submissions:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert provider.accepted("a fox") == ["p000001"]


async def test_a_short_delay_ends_with_the_answer(asking: Asking, provider: FakeProvider) -> None:
    provider.default = Script(accept_delay_s=0.01)
    assert (await asking.submit()).status == 202
    assert provider.open_submissions == 0


# Downloads


async def test_a_link_expires_after_so_many_downloads_and_a_poll_gives_another(
    asking: Asking, client: ShardedClient, provider: FakeProvider
) -> None:
    provider.default = Script(link_life=1)
    (link,) = await asking.done()
    assert [(await client.request("GET", link)).status for _ in range(2)] == [200, 403]
    again = (await asking.poll("p000001"))["outputs"][0]["url"]
    assert again != link
    assert (await client.request("GET", again)).status == 200


async def test_a_page_may_come_where_a_file_belongs(
    asking: Asking, client: ShardedClient, provider: FakeProvider
) -> None:
    provider.default = Script(page=True)
    (link,) = await asking.done()
    assert (await client.request("GET", link)).headers["content-type"] == "text/html"


async def test_a_download_is_cut_and_gone_on_with(
    asking: Asking, client: ShardedClient, provider: FakeProvider, tmp_path: Path
) -> None:
    data = picture("p000001", 1)
    provider.default = Script(cut_download=len(data) // 3)
    (link,) = await asking.done()
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.request("GET", link)
    provider.downloads = 0
    to = await Downloader(client, FakeClock()).fetch(link, tmp_path / "1.png", hosts=(), base_url=provider.base_url)
    assert await anyio.Path(to).read_bytes() == data
    assert provider.downloads == -(-len(data) // (len(data) // 3))


async def test_a_range_is_served_of_the_same_version_alone(asking: Asking, client: ShardedClient) -> None:
    (link,) = await asking.done()
    whole = await client.request("GET", link)
    tag, size = whole.headers["etag"], len(whole.body)
    part = await client.request("GET", link, headers={"range": "bytes=10-", "if-range": tag})
    other = await client.request("GET", link, headers={"range": "bytes=10-", "if-range": '"older"'})
    beyond = await client.request("GET", link, headers={"range": f"bytes={size}-", "if-range": tag})
    assert (part.status, part.body) == (206, whole.body[10:])
    assert part.headers["content-range"] == f"bytes 10-{size - 1}/{size}"
    assert (other.status, other.body, other.headers.get("content-range")) == (200, whole.body, None)
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{size}")


# Cancelling, looking up, sending again


async def test_work_is_cancelled(asking: Asking, provider: FakeProvider) -> None:
    work_id = await asking.accepted()
    answer = await asking.call("DELETE", f"/v1/jobs/{work_id}")
    assert (answer.status, answer.json()) == (200, {"cancelled": True, "charged_usd": 0})
    assert (await asking.poll(work_id))["status"] == "cancelled"
    assert provider.cancels == 1


@pytest.mark.parametrize(("cancel", "status"), [("late", 409), ("unknown", 404)])
async def test_work_that_cannot_be_cancelled_goes_on(
    asking: Asking, provider: FakeProvider, cancel: str, status: int
) -> None:
    provider.default = Script(polls=0, cancel=cancel)
    work_id = await asking.accepted()
    assert (await asking.call("DELETE", f"/v1/jobs/{work_id}")).status == status
    assert (await asking.poll(work_id))["status"] == "succeeded"


@pytest.mark.parametrize("idempotency", [True, False])
async def test_a_key_is_taken_once_where_the_provider_promises_that(client: ShardedClient, idempotency: bool) -> None:
    with running_provider(idempotency=idempotency) as provider:
        asking = Asking(client, provider)
        ids = [await asking.accepted(key=key) for key in ("k1", "k1", "k2")]
        assert ids == (["p000001", "p000001", "p000002"] if idempotency else ["p000001", "p000002", "p000003"])
        assert [item.repeated for item in provider.history] == [False, idempotency, False]
        assert provider.accepted("a fox") == sorted(set(ids))


async def test_work_without_a_key_in_its_header_is_always_new(client: ShardedClient) -> None:
    with running_provider(idempotency=True) as provider:
        asking = Asking(client, provider)
        for _ in range(2):
            await asking.call("POST", "/v1/jobs", json={"prompt": "a fox", "key": "k1"})
        assert len(provider.works) == 2


@pytest.mark.parametrize("lookup", [True, False])
async def test_work_is_found_by_key_where_the_provider_offers_that(client: ShardedClient, lookup: bool) -> None:
    with running_provider(lookup=lookup) as provider:
        asking = Asking(client, provider)
        await asking.accepted(key="k 1")
        found = [(await asking.call("GET", "/v1/jobs", params={"key": key})).json()["jobs"] for key in ("k 1", "k")]
        assert found == [[{"id": "p000001"}] if lookup else [], []]


# Scripts and memory


async def test_the_newest_script_that_fits_a_prompt_wins(asking: Asking, provider: FakeProvider) -> None:
    provider.script("fox", Script(refuse=(500,)))
    provider.script("red fox", Script(refuse=(503,)))
    assert [(await asking.submit(prompt)).status for prompt in ("a fox", "a red fox", "a hen")] == [500, 503, 202]


async def test_everything_that_could_cost_money_is_remembered_in_order(asking: Asking, provider: FakeProvider) -> None:
    provider.script("no", Script(refuse=(400,)))
    await asking.submit("no", key="k1")
    await asking.submit("yes", key="k2")
    await asking.submit("yes", path="/v1/images", key="k3")
    await asking.poll("p000001")
    seen = [(item.number, item.endpoint, item.key, item.prompt, item.accepted) for item in provider.history]
    assert seen == [
        (1, "/v1/jobs", "k1", "no", None),
        (2, "/v1/jobs", "k2", "yes", "p000001"),
        (3, "/v1/images", "k3", "yes", "p000002"),
    ]
    assert [item.at for item in provider.history] == sorted(item.at for item in provider.history)
    assert provider.accepted("yes") == ["p000001", "p000002"]
    assert provider.accepted("no") == []


async def test_the_same_calls_give_the_same_answers(client: ShardedClient) -> None:
    told: list[list[bytes]] = []
    for _ in range(2):
        with running_provider() as provider:
            asking = Asking(client, provider)
            links = await asking.done(n=2)
            assert all(link.startswith(f"{provider.base_url}/files/p000001/") for link in links)
            told.append([(await asking.submit()).body, *[(await client.request("GET", link)).body for link in links]])
    assert told[0] == told[1]
    assert told[0][1] != told[0][2]


def test_it_runs_as_a_process_that_prints_its_port() -> None:
    command = [sys.executable, "-m", "fake_provider.server"]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            connection = http.client.HTTPConnection("127.0.0.1", int(process.stdout.readline()), timeout=LIMIT_S)
            connection.request("POST", "/v1/jobs", json.dumps({"prompt": "a fox"}), AUTH)
            work_id = json.loads(connection.getresponse().read())["id"]
            found: list[str] = []
            for _ in range(3):
                connection.request("GET", f"/v1/jobs/{work_id}", headers=AUTH)
                found.append(json.loads(connection.getresponse().read())["status"])
            connection.close()
        finally:
            process.kill()
    assert found == ["running"] * 3
