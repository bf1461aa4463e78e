"""The whole way: a run, the loop, a wire, and a provider on a real socket."""

import json
from typing import Any

import pytest
from helpers_llm import World, world
from helpers_wire import KEY

from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Providers
from darkroom.domain.run import RunState
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from darkroom.services.chat_models import ChatModels
from darkroom.settings import Settings
from helpers_net import Reply, Seen, Server, serving

SHIPPED = Providers()
SHIPPED.variables()


def openai(answers: int) -> dict[str, Any]:
    call = {"id": "a", "type": "function", "function": {"name": "generate_image", "arguments": '{"prompt": "a fox"}'}}
    message = {"content": None, "tool_calls": [call]} if answers == 0 else {"content": "Done."}
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


def anthropic(answers: int) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "a", "name": "generate_image", "input": {"prompt": "a fox"}}
    content = [call] if answers == 0 else [{"type": "text", "text": "Done."}]
    usage = {"input_tokens": 1000, "output_tokens": 100}
    return {"content": content, "stop_reason": "tool_use" if answers == 0 else "end_turn", "usage": usage}


def speaks(found: World, server: Server, provider: str, key: str) -> World:
    """Let the loop speak to a shipped provider, at the server's address."""
    base = f"{server.url}/v1" if provider == "openai" else server.url
    variables = {key: KEY, f"DARKROOM_{provider.upper()}_BASE_URL": base}
    accounts = Accounts(SHIPPED, variables, b"key")
    client = ShardedClient(found.clock)
    changes: dict[str, Any] = {
        "models": ChatModels(
            providers=SHIPPED, accounts=lambda: accounts, settings=found.app.settings, clock=found.clock
        ),
        "accounts": lambda: accounts,
        "http": lambda item: ProviderHttp(client, item, accounts.base_url(item), tuple(accounts.secrets())),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] because the table is untyped
    }
    for name, value in changes.items():
        object.__setattr__(found.kit, name, value)
    return found


@pytest.mark.parametrize(
    ("provider", "key", "says", "path"),
    [
        ("openai", "OPENAI_API_KEY", openai, "/v1/chat/completions"),
        ("anthropic", "ANTHROPIC_API_KEY", anthropic, "/v1/messages"),
    ],
)
async def test_a_run_through_a_real_socket_is_booked_by_what_was_told(
    plain_settings: Settings, monkeypatch: pytest.MonkeyPatch, provider: str, key: str, says: Any, path: str
) -> None:
    async with world(plain_settings, monkeypatch) as made, serving() as server:
        found = speaks(made, server, provider, key)

        def reply(seen: Seen) -> Reply:
            del seen
            return Reply(body=json.dumps(says(len(server.seen) - 1)).encode())

        server.answer = reply
        run = await found.think(found.start(tier="standard"))
        assert (run.state, run.output) == (RunState.SUCCEEDED, "Done."), run.error
        assert [seen.path for seen in server.seen] == [path, path]
        assert len(run.actions) == 1
        settled = [row for row in found.runs.kinds(run.id) if row[1] == "settled"]
        assert [certain for _, _, _, certain in settled] == [True, True]
        assert all(0 < amount < 10_000 for _, _, amount, _ in settled)
        assert (run.model or "").startswith(f"{provider}/")
        assert KEY not in json.dumps(run.model_dump(mode="json"))


async def test_a_refused_key_is_told_and_shown_nowhere(
    plain_settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(plain_settings, monkeypatch) as made, serving() as server:
        found = speaks(made, server, "openai", "OPENAI_API_KEY")
        error = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}
        server.replies(Reply(401, body=json.dumps(error).encode()))
        run = await found.think(found.start())
        assert (run.error or {})["code"] == "auth_failed"
        assert (run.error or {})["message"].endswith("; it is set as OPENAI_API_KEY.")
        assert KEY not in json.dumps(run.model_dump(mode="json")) + caplog.text
        assert [row[1] for row in found.runs.kinds(run.id)] == ["reserved", "released"]
