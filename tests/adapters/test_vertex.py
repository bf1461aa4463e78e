"""What the recordings of Vertex AI cannot show: access tokens and their files, regions, turns that go on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio
import anyio.lowlevel
import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.types import Options

from darkroom.adapters import google_tokens
from darkroom.adapters.base import Call, Pending, Succeeded, Turn
from darkroom.adapters.google_tokens import ENDPOINT, SCOPE
from darkroom.adapters.vertex import VertexAdapter
from darkroom.catalog.providers import Providers
from darkroom.domain.kinds import Role
from darkroom.domain.output import RemoteOutput
from darkroom.errors import AuthFailed, DarkroomError, InvalidRequest, NotConfigured, Overloaded
from darkroom.net.classify import Verdict, verdict_of
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from factories import FakeClock
from helpers_body import a_blob
from helpers_contract import NOW, PERSON, Json, call_of

VERTEX = Providers()["vertex"]
PICTURE = {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": "Ym9hdA=="}}]}
DONE = {"candidates": [{"content": PICTURE, "finishReason": "STOP"}]}


class Wire:
    """Google's places for tokens, pictures and clips: it keeps what was sent, and counts the tokens."""

    def __init__(self, base_url: str | None = None) -> None:
        self.sent: list[httpx2.Request] = []
        self.tokens: list[dict[str, list[str]]] = []
        self.refuses = 0
        self.says: Any = {"error": "invalid_grant", "error_description": "Account deleted."}
        client = ShardedClient(FakeClock(NOW), transport=httpx2.MockTransport(self.answer))
        self.adapter = VertexAdapter(ProviderHttp(client, VERTEX, base_url))

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        if not request.url.path.endswith("/token"):
            self.sent.append(request)
            return httpx2.Response(200, json=DONE)
        self.tokens.append(parse_qs(body.decode()))
        await anyio.lowlevel.checkpoint()
        if self.refuses:
            return httpx2.Response(self.refuses, json=self.says)
        return httpx2.Response(200, json={"access_token": f"token-{len(self.tokens)}", "expires_in": 3600})


def a_call(folder: Path, **case: Any) -> Call:
    return call_of(VERTEX, {"model": "nano-banana-2.1", **case}, folder)


def with_file(call: Call, folder: Path, data: Any) -> Call:
    """Return a call whose credentials file holds this."""
    path = folder / "credentials.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return replace(call, credentials={**call.credentials, "GOOGLE_APPLICATION_CREDENTIALS": str(path)})


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def service_account(key: RSAPrivateKey, **more: str) -> Json:
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    named = {"client_email": "robot@project.test", "private_key_id": "k1", "private_key": text}
    return {"type": "service_account", **named, **more}


@pytest.mark.anyio
async def test_a_service_account_signs_for_its_token(tmp_path: Path, key: RSAPrivateKey) -> None:
    wire, call = Wire(), with_file(a_call(tmp_path), tmp_path, service_account(key, token_uri=ENDPOINT))
    await wire.adapter.submit(call)
    form = {name: values[0] for name, values in wire.tokens[0].items()}
    assert form.pop("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    signed, public = form["assertion"], key.public_key()
    unread = Options(verify_exp=False, verify_iat=False)  # the clock of this test is another
    claims = jwt.decode(signed, public, algorithms=["RS256"], audience=ENDPOINT, options=unread)
    now = NOW // 1000
    wanted = {"iss": "robot@project.test", "aud": ENDPOINT, "scope": SCOPE, "iat": now, "exp": now + 3600}
    assert claims == wanted
    assert jwt.get_unverified_header(form["assertion"])["kid"] == "k1"
    assert wire.sent[0].headers["authorization"] == "Bearer token-1"


@pytest.mark.anyio
async def test_a_token_is_asked_for_once_for_many_and_again_before_it_ends(tmp_path: Path) -> None:
    wire, call = Wire(), a_call(tmp_path)
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(wire.adapter.check, call)
    await wire.adapter.check(replace(call, now=NOW + 3_539_000))
    assert len(wire.tokens) == 1
    late = replace(call, now=NOW + 3_540_000)
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(wire.adapter.check, late)
    assert len(wire.tokens) == 2
    await wire.adapter.submit(late)
    assert wire.sent[0].headers["authorization"] == "Bearer token-2"


@pytest.mark.anyio
async def test_each_account_has_its_own_token(tmp_path: Path) -> None:
    wire, call = Wire(), a_call(tmp_path)
    await wire.adapter.check(call)
    await wire.adapter.check(replace(call, credentials={**call.credentials, "GOOGLE_CLOUD_PROJECT": "another"}))
    assert len(wire.tokens) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_grant_is_the_account_s_fault_and_says_what_to_do(tmp_path: Path, status: int) -> None:
    wire = Wire()
    wire.refuses = status
    wire.says = {"error": "invalid_grant", "error_description": "Account deleted, and made-up is no secret."}
    with pytest.raises(AuthFailed) as caught:
        await wire.adapter.submit(a_call(tmp_path))
    told = caught.value
    assert told.provider_code == "invalid_grant"
    assert "Account deleted" in (told.provider_message or "")
    assert "made-up" not in (told.provider_message or ""), "what was given for the token is not shown"
    assert "credentials file" in (told.hint or "")
    assert wire.sent == []
    wire.refuses = 0
    await wire.adapter.submit(a_call(tmp_path))
    assert len(wire.sent) == 1, "a refusal is not kept"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "says"), [(503, {}), (404, {}), (200, "<html>"), (200, {"token": "of another sort"})]
)
async def test_without_a_token_nothing_was_sent_and_it_may_be_tried_again(
    tmp_path: Path, status: int, says: Any
) -> None:
    wire = Wire()
    wire.refuses, wire.says = status, says
    with pytest.raises(Overloaded) as caught:
        await wire.adapter.submit(a_call(tmp_path))
    assert verdict_of(caught.value) is Verdict.REFUSED
    assert wire.sent == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("no JSON", "cannot be read"),
        ({"type": "external_account"}, "external_account"),
        ([], "only service_account and authorized_user"),
        ({"type": "authorized_user", "client_id": "a"}, "lacks"),
        ({"type": "service_account", "client_email": "a", "private_key": "b", "private_key_id": "c"}, "private key"),
        ({**json.loads(PERSON.read_text("utf-8")), "token_uri": "https://elsewhere.test/token"}, "none of Google's"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named_before_anything_is_sent(
    tmp_path: Path, data: Any, says: str
) -> None:
    wire = Wire()
    with pytest.raises(NotConfigured, match=says):
        await wire.adapter.submit(with_file(a_call(tmp_path), tmp_path, data))
    assert (wire.sent, wire.tokens) == ([], [])


@pytest.mark.anyio
async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    call = a_call(tmp_path)
    gone = replace(call, credentials={**call.credentials, "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none")})
    with pytest.raises(NotConfigured, match="cannot be read"):
        await Wire().adapter.check(gone)


class Revoked(Wire):
    """Google that accepts no token but one."""

    good = "token-2"
    tries = 0

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/token"):
            return await super().answer(request)
        self.tries += 1
        if request.headers["authorization"] != f"Bearer {self.good}":
            return httpx2.Response(
                401, json={"error": {"code": 401, "message": "Expired.", "status": "UNAUTHENTICATED"}}
            )
        return httpx2.Response(200, json={"done": False} if "fetchPredict" in request.url.path else DONE)


@pytest.mark.anyio
async def test_a_new_token_that_is_refused_ends_the_call_and_is_not_used_again(tmp_path: Path) -> None:
    wire, call = Revoked(), a_call(tmp_path)
    with pytest.raises(AuthFailed):
        await wire.adapter.submit(call)
    assert (wire.tries, len(wire.tokens)) == (1, 1), "the paid call is not repeated by its adapter"
    assert isinstance(await wire.adapter.submit(call), Succeeded)
    assert (wire.tries, len(wire.tokens)) == (2, 2)


@pytest.mark.anyio
async def test_an_old_token_that_is_refused_is_no_fault_of_the_account_and_the_next_attempt_has_another(
    tmp_path: Path,
) -> None:
    wire, call = Revoked(), a_call(tmp_path)
    await wire.adapter.check(call)
    later = replace(call, now=NOW + google_tokens.NEW_MS + 1)
    with pytest.raises(Overloaded) as caught:
        await wire.adapter.submit(later)
    assert verdict_of(caught.value) is Verdict.REFUSED
    assert (wire.tries, len(wire.tokens)) == (1, 1), "the paid call is not repeated by its adapter"
    assert isinstance(await wire.adapter.submit(later), Succeeded)
    assert (wire.tries, len(wire.tokens)) == (2, 2)


@pytest.mark.anyio
async def test_a_question_is_asked_once_more_with_a_new_token_and_no_oftener(tmp_path: Path) -> None:
    wire, call = Revoked(), a_call(tmp_path, model="veo-3.1")
    operation: Json = {"id": "op-1", "location": "global"}
    await wire.adapter.check(call)
    later = replace(call, now=NOW + 61_000)
    assert await wire.adapter.poll(operation, later) == Pending()
    assert (wire.tries, len(wire.tokens)) == (2, 2)
    wire.good = "none"
    with pytest.raises(AuthFailed):
        await wire.adapter.poll(operation, replace(call, now=NOW + 122_000))
    assert (wire.tries, len(wire.tokens)) == (4, 3)
    with pytest.raises(AuthFailed):
        await wire.adapter.poll(operation, replace(call, now=NOW + 123_000))
    assert (wire.tries, len(wire.tokens)) == (5, 4), "a new one that is refused is not made anew at once"


class Bucket(Wire):
    """Google with a clip in a bucket, which is open to those whose token it knows."""

    opens = "Bearer token-1"

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/token"):
            return await super().answer(request)
        self.sent.append(request)
        if request.method == "HEAD":
            return httpx2.Response(200 if request.headers["authorization"] == self.opens else 403)
        clip = {"gcsUri": "gs://mine/a b/clip.mp4", "mimeType": "video/mp4"}
        return httpx2.Response(200, json={"done": True, "response": {"videos": [clip]}})


@pytest.mark.anyio
async def test_a_clip_in_a_bucket_is_named_and_its_download_has_a_token(tmp_path: Path) -> None:
    wire, call = Bucket(), a_call(tmp_path, model="veo-3.1")
    done = await wire.adapter.poll({"id": "op-1", "location": "global"}, call)
    url = "https://storage.googleapis.com/mine/a%20b/clip.mp4"
    assert done == Succeeded((RemoteOutput(url=url, media_type="video/mp4"),))
    assert [request.method for request in wire.sent] == ["POST", "HEAD"], "its bytes are not read here"
    assert await wire.adapter.download_headers(call) == {"Authorization": "Bearer token-1"}
    assert len(wire.tokens) == 1


@pytest.mark.anyio
async def test_a_bucket_that_may_not_be_read_is_the_accounts_fault_and_not_an_expired_result(tmp_path: Path) -> None:
    wire, call = Bucket(), a_call(tmp_path, model="veo-3.1")
    wire.opens = "nobody's"
    with pytest.raises(AuthFailed):
        await wire.adapter.poll({"id": "op-1", "location": "global"}, call)


@pytest.mark.anyio
async def test_a_fault_in_making_a_token_says_that_nothing_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, now_s: int) -> None:
        raise ImportError("google.auth")

    monkeypatch.setattr(google_tokens, "_grant", broken)
    wire = Wire()
    with pytest.raises(NotConfigured, match="ImportError") as caught:
        await wire.adapter.submit(a_call(tmp_path))
    assert verdict_of(caught.value) is Verdict.FINAL
    assert "Nothing was sent" in (caught.value.hint or "")
    assert (wire.sent, wire.tokens) == ([], [])


@pytest.mark.anyio
async def test_no_token_is_shown_by_an_error_or_a_repr(tmp_path: Path) -> None:
    class Angry(Wire):
        async def answer(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.path.endswith("/token"):
                return await super().answer(request)
            return httpx2.Response(401, json={"error": {"code": 401, "message": f"No: {request.headers.raw}"}})

    wire = Angry()
    with pytest.raises(AuthFailed) as caught:
        await wire.adapter.submit(a_call(tmp_path))
    assert "token-1" not in json.dumps(caught.value.to_dict())
    assert "token-1" not in repr(vars(wire.adapter._tokens))  # pyright: ignore[reportPrivateUsage] because nothing of it may show


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("location", "base_url", "host"),
    [
        (None, None, "aiplatform.googleapis.com"),
        ("global", None, "aiplatform.googleapis.com"),
        ("europe-west4", None, "europe-west4-aiplatform.googleapis.com"),
        ("europe-west4", "http://127.0.0.1:1", "127.0.0.1"),
        ("mars-north1", "https://mars-north1-aiplatform.googleapis.com", "mars-north1-aiplatform.googleapis.com"),
    ],
)
async def test_a_region_has_its_own_host_unless_another_was_set(
    tmp_path: Path, location: str | None, base_url: str | None, host: str
) -> None:
    wire, call = Wire(base_url), a_call(tmp_path)
    more = {"GOOGLE_CLOUD_LOCATION": location} if location else {}
    await wire.adapter.submit(replace(call, credentials={**call.credentials, **more}))
    assert wire.sent[0].url.host == host
    assert f"/locations/{location or 'global'}/publishers/google/" in wire.sent[0].url.path


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOOGLE_CLOUD_LOCATION", "mars-north1"),
        ("GOOGLE_CLOUD_LOCATION", "evil.test/"),
        ("GOOGLE_CLOUD_LOCATION", "Global"),
        ("GOOGLE_CLOUD_PROJECT", "a/../b"),
        ("GOOGLE_CLOUD_PROJECT", "a project"),
    ],
)
async def test_a_project_or_region_that_cannot_be_one_is_named(tmp_path: Path, name: str, value: str) -> None:
    wire, call = Wire(), a_call(tmp_path)
    with pytest.raises(NotConfigured, match=name):
        await wire.adapter.submit(replace(call, credentials={**call.credentials, name: value}))
    assert (wire.sent, wire.tokens) == ([], [])


@pytest.mark.anyio
async def test_a_conversation_goes_on_here_too(tmp_path: Path) -> None:
    wire, call = Wire(), a_call(tmp_path)
    made = await wire.adapter.submit(call)
    assert isinstance(made, Succeeded)
    blob = a_blob(Role.SOURCE, content=b"boat")
    turn = Turn(request=call.request, inputs=(), outputs=(blob,), content=made.turn)
    await wire.adapter.submit(replace(a_call(tmp_path, request={"prompt": "make it blue"}), history=(turn,)))
    contents = json.loads(wire.sent[1].content)["contents"]
    assert contents[1] == PICTURE
    assert [item["role"] for item in contents] == ["user", "model", "user"]


@pytest.mark.anyio
async def test_clips_with_references_of_another_length_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    wire = Wire()
    call = a_call(tmp_path, model="veo-3.1", inputs=[{"role": "reference"}], request={"duration": 4})
    with pytest.raises(InvalidRequest, match="8 s only"):
        await wire.adapter.submit(call)
    assert wire.sent == []


@pytest.mark.parametrize("name", ["op/1", "", "../op", "a b"])
def test_an_id_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="no id"):
        Wire().adapter.operation_of(name, a_call(tmp_path))


@pytest.mark.anyio
async def test_a_strange_name_of_an_operation_is_not_followed(tmp_path: Path) -> None:
    class Strange(Wire):
        async def answer(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.path.endswith("/token"):
                return await super().answer(request)
            return httpx2.Response(200, json={"name": "projects/p/operations/../../secrets"})

    with pytest.raises(DarkroomError, match="cannot be one"):
        await Strange().adapter.submit(a_call(tmp_path, model="veo-3.1"))
