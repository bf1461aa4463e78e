"""`darkroom doctor --online`: every provider with its key is asked, and none hides another."""

from functools import partial

import anyio.to_thread
import httpx2
import pytest

from darkroom.app import App
from darkroom.cli.checks import check_all
from darkroom.net.client import ShardedClient
from darkroom.settings import Settings

KEYS = {
    "BFL_API_KEY": "made-up-bfl",
    "LUMAAI_API_KEY": "made-up-luma",
    "REPLICATE_API_TOKEN": "made-up-replicate",
    "RUNWAYML_API_SECRET": "made-up-runway",
    "STABILITY_API_KEY": "made-up-stability",
    "PERPLEXITY_API_KEY": "made-up-perplexity",
}


def answer(request: httpx2.Request) -> httpx2.Response:
    match request.url.host:
        case "api.bfl.ai":
            return httpx2.Response(200, json={"credits": 12.5})
        case "api.lumalabs.ai":
            return httpx2.Response(401, json={"detail": "wrong key made-up-luma"})
        case "api.replicate.com":
            raise httpx2.ConnectError("refused", request=request)
        case "api.openai.com":
            return httpx2.Response(404, json={"detail": "Not Found"})
        case "api.stability.ai":
            return httpx2.Response(200, content=b"<html>")
        case _:
            return httpx2.Response(503)


async def made(monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]) -> App:
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    app = await anyio.to_thread.run_sync(partial(App, await anyio.to_thread.run_sync(Settings.load)))
    app.client = ShardedClient(app.clock, transport=httpx2.MockTransport(answer))
    return app


async def test_each_is_told_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = await check_all(await made(monkeypatch, KEYS))
    told = {says.partition(":")[0]: (level, says.partition(": ")[2]) for level, _, says in rows}
    assert set(told) == {"bfl", "luma", "replicate", "runway", "stability"}, "perplexity has no adapter yet"
    assert told["bfl"][0] == "ok"
    assert told["bfl"][1].startswith("ok in ")
    assert told["bfl"][1].endswith(", 12.5 credits left")
    assert told["luma"][0] == "wrong"
    assert told["luma"][1].startswith("auth_failed")
    assert "made-up-luma" not in told["luma"][1]
    assert told["replicate"][1].startswith("unreachable")
    assert told["stability"][1].startswith("unexpected_answer")
    assert told["runway"][0] == "warning"
    assert not told["runway"][1].startswith("unreachable"), "it answered"


async def test_without_keys_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await check_all(await made(monkeypatch, {})) == [("ok", "online", "no provider has a key")]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("openai", {"OPENAI_API_KEY": "made-up-openai"}),
        ("azure", {"AZURE_OPENAI_API_KEY": "made-up-azure", "AZURE_OPENAI_ENDPOINT": "https://api.openai.com"}),
    ],
)
async def test_a_server_without_a_list_of_models_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch, name: str, keys: dict[str, str]
) -> None:
    ((level, _, says),) = await check_all(await made(monkeypatch, keys))
    assert level == "warning"
    assert says.startswith(f"{name}: the server has no list of models (status 404), so the key could not be checked")
    assert "expired" not in says
