"""Credentials neither reach logs nor stop a job for want of a proper look at them."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from darkroom.errors import NotConfigured
from darkroom.net.classify import Verdict, verdict_of
from darkroom.net.client import ShardedClient
from darkroom.net.download import Downloader
from darkroom.net.provider import ProviderHttp
from darkroom.net.redact import redact
from factories import FakeClock
from helpers_catalog import make_provider
from helpers_net import Reply, Server

ACME = make_provider()
KEY = "k7-very-secret-credential"


@pytest.mark.parametrize("value", [f"{KEY} ", f" {KEY}", f"{KEY}\t", "Bearer ", " "])
async def test_a_key_with_a_space_around_it_is_named_before_anything_is_sent(
    client: ShardedClient, server: Server, value: str
) -> None:
    http = ProviderHttp(client, ACME, server.url)
    with pytest.raises(NotConfigured, match="x-api-key") as caught:
        await http.submit("POST", "images", headers={"x-api-key": value})
    assert verdict_of(caught.value) is Verdict.FINAL
    assert KEY not in f"{caught.value.message} {caught.value.hint}"
    assert (caught.value.__cause__, server.connections) == (None, 0)


@pytest.mark.parametrize("value", [KEY, f"Bearer {KEY}", "a b\tc", "7", ""])
async def test_a_proper_header_is_sent_as_it_is(client: ShardedClient, server: Server, value: str) -> None:
    await ProviderHttp(client, ACME, server.url).submit("POST", "images", headers={"x-api-key": value})
    assert server.seen[0].headers["x-api-key"] == value


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
async def test_no_log_shows_an_address_with_a_key_whatever_its_level(
    client: ShardedClient, server: Server, caplog: pytest.LogCaptureFixture, tmp_path: Path, level: int
) -> None:
    http = ProviderHttp(client, ACME, server.url)
    server.replies(Reply(302, {"location": f"/film?sig={KEY}", "set-cookie": KEY}), Reply(body=b"film"))
    with caplog.at_level(level):
        url = f"{server.url}/film?sig={KEY}"
        await Downloader(client, FakeClock()).fetch(url, tmp_path / "film", hosts=(), base_url=server.url)
        await http.submit("POST", "images", params={"key": KEY}, headers={"authorization": KEY})
        await http.request("GET", "tasks", params={"key": KEY})
    assert len(server.seen) == 4
    assert KEY not in caplog.text


def test_a_program_that_logs_everything_shows_no_address_either() -> None:
    code = """
import logging, anyio, httpx2
from darkroom.net.client import ShardedClient
from darkroom.clock import SystemClock
from darkroom.telemetry import configure_logging
configure_logging(level="DEBUG")
client = ShardedClient(SystemClock(), transport=httpx2.MockTransport(lambda request: httpx2.Response(200)))
anyio.run(client.request, "GET", "https://acme.test/?key=very-secret")
logging.getLogger("darkroom").info("done")
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50).stderr
    assert "done" in said
    assert "very-secret" not in said


@pytest.mark.parametrize("name", ["x-goog-api-key", "client_secret", "X-Amz-Signature", "my-own-secret-token", "_key"])
def test_a_name_may_have_any_beginning(name: str) -> None:
    assert redact(f"?{name}=abcdef123456&b=1") == f"?{name}=[redacted]&b=1"
