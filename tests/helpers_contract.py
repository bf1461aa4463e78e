"""Plays the documented exchanges of a provider through its adapter.

A recording is one JSON file per provider: `{"provider": ..., "not_applicable": {shape: why}, "cases": [case, ...]}`.
A case: `name`, `mark` (how sure the shape is, and where it is from), `shape` (one of `SHAPES`), `do` (`submit`, `poll`,
`cancel`, `locate`, `check`, `upload`), `model`, for submissions `request` and `inputs` (and `mode` for what no tool
asks for yet, such as upscale_image), for the others `operation`
and, where it matters, `age_ms`, how long ago the submission was;
`exchange`, a list of `{"sent": {...}, "answer": {...}}` in their order; and `result`. A `path` that is no whole address
is on the host of the base URL; a header that must not be sent is null.
"""

import email
import email.policy
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

import anyio
import httpx2

from darkroom.adapters.base import (
    Absent,
    Accepted,
    Adapter,
    Blob,
    Call,
    Cancelled,
    Failed,
    Follow,
    Health,
    Made,
    Pending,
    Reads,
    Succeeded,
    TooLate,
    Unsure,
)
from darkroom.adapters.registry import Registry
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.fit import fit
from darkroom.catalog.options import check_options
from darkroom.catalog.providers import Offer, Provider
from darkroom.domain.kinds import Mode, Role
from darkroom.domain.request import Effective, MediaInput, request_adapter
from darkroom.errors import DarkroomError
from darkroom.net import spool
from darkroom.net.client import ShardedClient
from darkroom.net.guard import Guard
from darkroom.net.provider import ProviderHttp, place
from factories import FakeClock

Json = dict[str, Any]
RECORDINGS = Path(__file__).parent / "adapters" / "recordings"
PERSON = Path(__file__).parent / "adapters" / "authorized_user.json"
"""A made-up file of credentials, where a provider takes one."""
SHAPES = (
    "accepted",
    "pending",
    "done",
    "done_several",
    "failed",
    "blocked",
    "rate_limited",
    "no_credits",
    "auth",
    "retired",
    "unknown_state",
    "malformed",
    "error_in_200",
    "other",
)
NOW = 1_795_000_000_000
"""Milliseconds since 1970, in November 2026."""
OPERATION = 4_000
"""Characters that an operation stays below."""
NOTES = frozenset({"seed", "revised_prompt", "sent_text", "understood", "not_understood"})


def recording(provider_id: str) -> dict[str, Any]:
    """Return one provider's recording."""
    return json.loads((RECORDINGS / f"{provider_id}.json").read_text(encoding="utf-8"))


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every case with its provider."""
    for path in sorted(RECORDINGS.glob("*.json")):
        for case in recording(path.stem)["cases"]:
            yield path.stem, case


async def play(provider: Provider, case: dict[str, Any], folder: Path) -> bool:
    """Play one case, and check what was sent and what came of it, also of an answer that is read again; return True."""
    call = call_of(provider, case, folder)
    base = Accounts({}, call.credentials, b"").base_url(provider)
    script = _Script(case["exchange"], base)
    client = ShardedClient(FakeClock(NOW), transport=httpx2.MockTransport(script.answer))
    secrets = tuple(call.credentials.values())
    guard = Guard(client, _public, proxied=False)
    registry = Registry({provider.id: provider}, lambda item: ProviderHttp(client, item, base, secrets, guard))
    adapter = registry.adapter(provider.id)
    try:
        await _check(lambda: _done(adapter, case, call), case["result"], secrets, script)
        if case["do"] == "submit" and isinstance(adapter, Reads):
            await _check_read_again(adapter, case, call, secrets)
    finally:
        await registry.aclose()
        await client.aclose()
    return True


async def _public(host: str) -> list[str]:
    del host
    return ["93.184.216.34"]


async def _check(work: Callable[[], Awaitable[Any]], wanted: Json, secrets: tuple[str, ...], script: "_Script") -> None:
    try:
        result = await work()
    except DarkroomError as exc:
        script.check()
        if "raises" not in wanted:
            raise
        _check_error(exc, wanted, secrets)
    else:
        script.check()
        assert "raises" not in wanted, f"returned {result!r}"
        check_result(result, wanted, secrets)


async def _check_read_again(adapter: Reads, case: dict[str, Any], call: Call, secrets: tuple[str, ...]) -> None:
    """Check that a kept answer of success leads to the same, after a crash: without inputs, by nobody who sent it."""
    kept = await anyio.to_thread.run_sync(spool.load, call.spool)
    good = [step for step in case["exchange"][-1:] if 200 <= step["answer"]["status"] < 300]
    assert (kept is not None) is bool(good), "the answer of success to the submission, and no other, is kept"
    if kept is None:
        return

    async def read() -> Any:
        return adapter.read(kept, replace(call, inputs=()))

    await _check(read, case["result"], secrets, _Script([], None))


async def _done(adapter: Any, case: dict[str, Any], call: Call) -> Any:
    # Whoever asks about accepted work has no more than this: the request and its inputs are not loaded again.
    follow = Follow(**{item.name: getattr(call, item.name) for item in fields(Follow)})
    match case["do"]:
        case "submit" | "locate" as name:
            return await getattr(adapter, name)(call)
        case "upload":
            return await adapter.upload(call.inputs[0], call)
        case "check":
            return await adapter.check(follow)
        case "poll" | "cancel" as name:
            return await getattr(adapter, name)(case["operation"], follow)
        case other:
            raise ValueError(other)


def adapter_of(provider: Provider) -> Adapter:
    """Return the adapter of a provider, on a wire that answers nothing."""
    client = ShardedClient(FakeClock(NOW), transport=httpx2.MockTransport(_Script([], None).answer))
    return Registry({provider.id: provider}, lambda item: ProviderHttp(client, item)).adapter(provider.id)


def credentials(provider: Provider, case: dict[str, Any]) -> dict[str, str]:
    """Return the case's credentials, else made-up values for the provider's first set of the fewest names."""
    names = min(provider.credentials, key=len, default=())
    made_up = {name: f"made-up-{name.lower().replace('_', '-')}-1" for name in names}
    files = {name: str(PERSON) for name in names if name.endswith("_APPLICATION_CREDENTIALS")}
    return case.get("credentials") or {**made_up, **files}


def offer_of(provider: Provider, case: dict[str, Any]) -> Offer:
    """Return the offer that a case is about; the first where it names none."""
    found = provider.offer(case["model"]) if "model" in case else provider.offers[0]
    assert found is not None, f"{provider.id} has no offer {case['model']}"
    return found


def call_of(provider: Provider, case: dict[str, Any], folder: Path) -> Call:
    """Return the call of a case, its request fitted to its offer as a user's would be."""
    offer = offer_of(provider, case)
    blobs = tuple(_blob(number, item, folder) for number, item in enumerate(case.get("inputs", []), 1))
    plain = {"kind": offer.kind.value, "prompt": "a red boat", **case.get("request", {})}
    images = [
        MediaInput(src=f"input:{blob.sha256}", role=blob.role, sha256=blob.sha256, width=blob.width, height=blob.height)
        for blob in blobs
    ]
    request = request_adapter.validate_python({**plain, "images": images})
    effective = _unasked(case, offer, images) if "mode" in case else fit(request, offer)[0]
    fitted = tuple(
        replace(blob, role=item.role) for blob, item in zip(blobs, effective.inputs, strict=True) if item.role
    )
    return Call(
        job_id="job_0001",
        submit_key=case.get("submit_key", "0123456789abcdef01234567"),
        sent_at=NOW - case.get("age_ms", 30_000),
        provider=provider,
        offer=offer,
        credentials=credentials(provider, case),
        now=NOW,
        request=effective,
        inputs=fitted,
        scratch=folder,
        spool=folder / "answer.spool",
    )


def _unasked(case: dict[str, Any], offer: Offer, images: list[MediaInput]) -> Effective:
    """Return a request for an operation that no tool asks for yet."""
    asked = case.get("request", {})
    options = check_options(asked.get("options", {}), offer, Mode(case["mode"]))
    whole: dict[str, Any] = {"width": 1024, "height": 1024, "aspect_ratio": "1:1", "inputs": images, "options": options}
    more = {name: asked[name] for name in ("duration", "resolution", "audio", "seed") if name in asked}
    return Effective(kind=offer.kind, mode=Mode(case["mode"]), prompt=asked.get("prompt", ""), **whole, **more)


def _blob(number: int, item: dict[str, Any], folder: Path) -> Blob:
    """Return the n-th input; its content is the text `picture n`."""
    return Blob(
        path=folder / f"{number}.png",
        role=Role(item["role"]),
        media_type=item.get("media_type", "image/png"),
        sha256=f"{number:064x}",
        width=item.get("width", 1024),
        height=item.get("height", 1024),
        url=item.get("url"),
        content=f"picture {number}".encode(),
        uploaded=item.get("uploaded", f"https://uploads.test/{number}.png"),
    )


class _Script:
    """Answers requests one after another, and checks each."""

    def __init__(self, exchange: list[dict[str, Any]], base: str | None) -> None:
        self.left = list(exchange)
        self._base = base or ""
        self._wrong: AssertionError | None = None

    def check(self) -> None:
        """Raise what was wrong with a request, which an adapter may have swallowed, or with those that are missing."""
        if self._wrong:
            raise self._wrong
        assert self.left == [], "not everything that was expected was sent"

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        try:
            assert self.left, f"nothing more was expected, and {request.method} {request.url} was sent"
            step = self.left.pop(0)
            _check_sent(request, step["sent"], self._base)
        except AssertionError as exc:
            self._wrong = self._wrong or exc
            raise
        answer = step["answer"]
        headers = answer.get("headers", {})
        if "json" in answer:
            return httpx2.Response(answer["status"], headers=headers, json=answer["json"])
        return httpx2.Response(answer["status"], headers=headers, content=answer.get("text", "").encode())


def _check_sent(request: httpx2.Request, wanted: dict[str, Any], base: str) -> None:
    """Compare method, address, query and body whole, and of the headers those that are named; `~` begins a pattern."""
    assert request.method == wanted["method"]
    url = request.url.copy_with(host=request.headers["host"].partition(":")[0])
    path = url.raw_path.partition(b"?")[0].decode()
    assert wanted["path"] in (path, f"{url.scheme}://{url.netloc.decode()}{path}"), str(url)
    assert wanted["path"] != path or place(str(url)) == place(base), f"{url} is not on the base URL's host"
    query = parse_qsl(url.query.decode(), keep_blank_values=True)
    assert len(query) == len(dict(query)), "a name stands twice in the query"
    assert dict(query) == wanted.get("query", {})
    for name, value in wanted.get("headers", {}).items():
        _alike(request.headers.get(name), value, name)
    if "json" in wanted:
        assert request.headers["content-type"].startswith("application/json")
        _alike(json.loads(request.content), wanted["json"], "body")
    elif "multipart" in wanted:
        _alike(_parts(request), wanted["multipart"], "body")
    elif "text" in wanted:
        assert request.content.decode() == wanted["text"]
    else:
        assert request.content == b"", request.content


def _alike(have: Any, wanted: Any, where: str) -> None:
    if isinstance(wanted, str) and wanted.startswith("~"):
        assert isinstance(have, str), f"{where}: {have!r}"
        assert re.fullmatch(wanted[1:], have), f"{where}: {have!r}"
    elif isinstance(wanted, dict):
        assert isinstance(have, dict), f"{where}: {have!r}"
        have, wanted = cast("Json", have), cast("Json", wanted)
        assert set(have) == set(wanted), f"{where}: has {sorted(have)}, wanted {sorted(wanted)}"
        for name, value in wanted.items():
            _alike(have[name], value, f"{where}.{name}")
    elif isinstance(wanted, list):
        assert isinstance(have, list), f"{where}: {have!r}"
        have, wanted = cast("list[Any]", have), cast("list[Any]", wanted)
        assert len(have) == len(wanted), f"{where}: {have!r}"
        for number, (one, other) in enumerate(zip(have, wanted, strict=True)):
            _alike(one, other, f"{where}[{number}]")
    else:
        assert have == wanted, f"{where}: {have!r}, wanted {wanted!r}"
        assert type(have) is type(wanted), f"{where}: {have!r}, wanted {wanted!r}"


def _parts(request: httpx2.Request) -> dict[str, Any]:
    """Return a multipart body: texts by name, files as `{"file": content, "type": media type}`; several as a list."""
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.content, policy=email.policy.HTTP)
    found: dict[str, list[Any]] = {}
    for part in message.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        value: Any = data.decode()
        if part.get_filename():
            value = {"file": value, "type": part.get_content_type()}
        found.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def check_result(result: Any, wanted: dict[str, Any], secrets: tuple[str, ...]) -> None:
    """Compare what an adapter returned with what a recording says.

    `{"accepted": {"id", "operation", "poll_after_s"}}`, `{"pending": {"fraction", "message"}}`, `{"succeeded": {"urls",
    "made", "variants", "media_types", "failed", "cost", "notes"}}`, `{"failed": error, "billed", "charged"}`,
    `{"cancelled": charged}`, `{"too_late": {}}`, `{"absent": {}}`, `{"unsure": {}}`, `{"health": {...}}`,
    `{"uploaded": value}`.
    """
    match result:
        case Accepted():
            assert set(wanted) == {"accepted"}, result
            said = wanted["accepted"]
            assert result.provider_job_id == said["id"]
            text = json.dumps(result.operation)
            assert json.loads(text) == result.operation
            assert not any(secret in text for secret in secrets), "an operation is stored, and holds no secret"
            assert len(text) < OPERATION, "an operation is small"
            _same(result, said, ("operation", "poll_after_s"))
        case Pending():
            assert set(wanted) == {"pending"}, result
            assert result.fraction is None or 0 <= result.fraction <= 1
            _same(result, wanted["pending"], ("fraction", "message", "poll_after_s"))
        case Succeeded():
            assert set(wanted) == {"succeeded"}, result
            _check_succeeded(result, wanted["succeeded"])
        case Failed():
            assert "failed" in wanted, result
            _check_error(result.error, {"raises": wanted["failed"], **wanted}, secrets)
            assert result.billed is wanted.get("billed", False)
            assert result.charged == wanted.get("charged")
        case Cancelled():
            assert set(wanted) == {"cancelled"}, result
            assert result.charged == wanted["cancelled"]
        case Health():
            assert set(wanted) == {"health"}, result
            _same(result, wanted["health"], ("ok", "balance", "problem"))
        case TooLate() | Absent() | Unsure():
            names = {TooLate: "too_late", Absent: "absent", Unsure: "unsure"}
            assert set(wanted) == {names[type(result)]}, result
        case _:
            assert wanted == {"uploaded": result}


def _same(result: Any, wanted: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in wanted:
            assert getattr(result, name) == wanted[name], f"{name}: {getattr(result, name)!r}"


def _check_succeeded(result: Succeeded, wanted: dict[str, Any]) -> None:
    assert result.outputs or result.failed, "work that succeeded has a result"
    assert set(result.notes) <= NOTES
    assert all((getattr(item, "expires_at", None) or NOW) >= NOW for item in result.outputs)
    urls = [item.url for item in result.outputs if not isinstance(item, Made)]
    assert urls == wanted.get("urls", [])
    assert [item.data.decode() for item in result.outputs if isinstance(item, Made)] == wanted.get("made", [])
    for name in ("variant", "media_type", "expires_at"):
        if f"{name}s" in wanted:
            assert [getattr(item, name, None) for item in result.outputs] == wanted[f"{name}s"]
    assert [(item.index, item.code) for item in result.failed] == [tuple(item) for item in wanted.get("failed", [])]
    assert (None if result.cost is None else int(result.cost)) == wanted.get("cost"), "in millionths of a dollar"
    if "notes" in wanted:
        assert result.notes == wanted["notes"]


def _check_error(error: DarkroomError, wanted: dict[str, Any], secrets: tuple[str, ...]) -> None:
    told = f"{error.message} {error.hint} {error.provider_message} {error.provider_code}"
    assert error.code == wanted["raises"], told
    for secret in secrets:
        assert secret not in told
    if "retry_after_s" in wanted:
        assert error.retry_after_s == wanted["retry_after_s"]
    if "code" in wanted:
        assert error.provider_code == wanted["code"]
    if "says" in wanted:
        assert wanted["says"] in (error.provider_message or "") + error.message
