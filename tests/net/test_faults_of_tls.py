"""Faults of an encrypted connection, which the library does not always turn into errors of its own."""

import datetime
import errno
import ipaddress
import os
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Never

import anyio
import anyio.abc
import httpx2
import pytest
from anyio.streams.tls import TLSStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from darkroom.errors import Overloaded, ProviderFailed, SubmitUnknown
from darkroom.net import client as client_module
from darkroom.net.classify import Verdict, verdict_of
from darkroom.net.client import ShardedClient
from darkroom.net.download import Downloader
from darkroom.net.provider import ProviderHttp
from factories import NOW, FakeClock
from helpers_catalog import make_provider

ACME = make_provider()
DAY = datetime.timedelta(days=1)
BAD_RECORD = b"\x17\x03\x03\x00\x20" + b"x" * 32


def write_certificate(path: Path) -> None:
    """Write a key and a certificate of this machine's own address, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)  # noqa: TID251 because TLS looks at the machine's own clock
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), today - DAY, today + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + made.public_bytes(encoding))


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "own.pem"
    write_certificate(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@pytest.fixture
def calls() -> list[bytes]:
    return []


@pytest.fixture
async def url(request: pytest.FixtureRequest, certificate: Path, calls: list[bytes]) -> AsyncGenerator[str]:
    """Serve one way of failing: `answer`, `record` (nonsense after the request), `end`, or `handshake`."""
    way: str = request.param
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    await anyio.to_thread.run_sync(context.load_cert_chain, certificate)

    async def handle(raw: anyio.abc.SocketStream) -> None:
        async with raw:
            if way == "handshake":
                with suppress(anyio.EndOfStream):
                    await raw.receive()
                return
            stream = await TLSStream.wrap(raw, server_side=True, ssl_context=context, standard_compatible=False)
            calls.append(await stream.receive())
            if way == "record":
                await raw.send(BAD_RECORD)
            elif way == "answer":
                await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield f"https://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("url", ["answer"], indirect=True)
async def test_an_encrypted_answer_comes_and_nobody_waits_for_the_other_end_to_say_goodbye(
    client: ShardedClient, url: str
) -> None:
    assert (await ProviderHttp(client, ACME, url).submit("POST", "images", timeout_s=5)).body == b"ok"


@pytest.mark.parametrize("url", ["handshake"], indirect=True)
async def test_a_handshake_that_is_broken_off_sent_nothing(client: ShardedClient, url: str, calls: list[bytes]) -> None:
    with pytest.raises(Overloaded, match="nothing was sent"):
        await ProviderHttp(client, ACME, url).submit("POST", "images", timeout_s=5)
    assert calls == []


@pytest.mark.parametrize("url", ["record", "end"], indirect=True)
async def test_a_fault_after_the_request_leaves_a_submission_unknown(
    client: ShardedClient, url: str, calls: list[bytes]
) -> None:
    with pytest.raises(SubmitUnknown):
        await ProviderHttp(client, ACME, url).submit("POST", "images", timeout_s=5)
    assert len(calls) == 1


@pytest.mark.parametrize("url", ["record", "end"], indirect=True)
async def test_a_fault_in_a_poll_or_a_download_is_trouble_that_may_pass(
    client: ShardedClient, clock: FakeClock, url: str, calls: list[bytes], tmp_path: Path
) -> None:
    with pytest.raises(ProviderFailed):
        await ProviderHttp(client, ACME, url).request("GET", "tasks/1", timeout_s=5)
    with pytest.raises(ProviderFailed):
        await Downloader(client, clock).fetch(f"{url}/film", tmp_path / "film", hosts=(), base_url=url)
    assert (len(calls), len(clock.slept), clock.now() >= NOW) == (8, 6, True)


def _fails(number: int) -> Callable[..., Never]:
    def fail(*_: object, **__: object) -> Never:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("where", [(httpx2, "create_ssl_context"), (anyio, "connect_tcp")], ids=lambda found: found[1])
@pytest.mark.parametrize("url", ["answer"], indirect=True)
async def test_a_call_for_which_no_file_is_left_was_not_sent_and_may_be_sent_again(
    client: ShardedClient,
    url: str,
    calls: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    where: tuple[object, str],
    number: int,
) -> None:
    http = ProviderHttp(client, ACME, url)
    with monkeypatch.context() as patch:
        patch.setattr(*where, _fails(number))
        with pytest.raises(Overloaded, match="too many files are open; nothing was sent") as caught:
            await http.submit("POST", "images", timeout_s=5)
    assert verdict_of(caught.value) is Verdict.REFUSED
    assert calls == []
    assert (await http.submit("POST", "images", timeout_s=5)).body == b"ok"


@pytest.mark.parametrize("url", ["handshake"], indirect=True)
async def test_a_handshake_for_which_no_file_is_left_sent_nothing(
    client: ShardedClient, url: str, calls: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TLSStream, "wrap", _fails(errno.EMFILE))  # as where certificates are read for each of them
    with pytest.raises(Overloaded, match="too many files are open; nothing was sent"):
        await ProviderHttp(client, ACME, url).submit("POST", "images", timeout_s=5)
    assert calls == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
@pytest.mark.parametrize("url", ["answer"], indirect=True)
async def test_a_lack_of_files_after_the_request_proves_nothing(
    client: ShardedClient, url: str, calls: list[bytes], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(client_module, "_whole", _fails(number))
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        await ProviderHttp(client, ACME, url).submit("POST", "images", timeout_s=5)
    assert verdict_of(caught.value) is Verdict.UNKNOWN
    assert len(calls) == 1


@pytest.mark.parametrize("url", ["answer"], indirect=True)
async def test_another_fault_of_the_machine_before_the_request_stays_what_it_is(
    client: ShardedClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx2, "create_ssl_context", _fails(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        await ProviderHttp(client, ACME, url).submit("POST", "images", timeout_s=5)
    assert verdict_of(caught.value) is Verdict.UNKNOWN
