"""What is Azure's own: an endpoint that is a credential, deployments, and a key of two sorts."""

from pathlib import Path

import httpx2
import pytest

from darkroom.adapters.azure import create
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Providers
from darkroom.errors import InvalidRequest, NotConfigured, UnexpectedAnswer, Unsupported
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from factories import FakeClock
from helpers_contract import call_of

AZURE = Providers()["azure"]
ENDPOINT = "https://res.openai.azure.com"
KEY = {"AZURE_OPENAI_API_KEY": "key", "AZURE_OPENAI_ENDPOINT": f"{ENDPOINT}/"}
TOKEN = {"AZURE_OPENAI_AD_TOKEN": "token"}
VERSION = {"OPENAI_API_VERSION": "2025-04-01-preview"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("environment", "url", "headers"),
    [
        (KEY, f"{ENDPOINT}/openai/v1/images/generations", {"api-key": "key"}),
        (KEY | TOKEN, f"{ENDPOINT}/openai/v1/images/generations", {"authorization": "Bearer token"}),
        (
            KEY | VERSION,
            f"{ENDPOINT}/openai/deployments/pictures%2Fmine/images/generations?api-version=2025-04-01-preview",
            {"api-key": "key"},
        ),
        (
            KEY | TOKEN | {"DARKROOM_AZURE_BASE_URL": "https://gateway.test/azure"},
            "https://gateway.test/azure/openai/v1/images/generations",
            {"authorization": "Bearer token"},
        ),
    ],
)
async def test_the_endpoint_is_the_base_url_and_a_token_wins(
    tmp_path: Path, environment: dict[str, str], url: str, headers: dict[str, str]
) -> None:
    sent: list[httpx2.Request] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json={"data": [{"b64_json": "cGljdHVyZQ=="}]})

    accounts = Accounts({"azure": AZURE}, environment, b"key")
    client = ShardedClient(FakeClock(), transport=httpx2.MockTransport(answer))
    adapter = create(ProviderHttp(client, AZURE, accounts.base_url(AZURE)))
    case = {"credentials": accounts.credential(AZURE), "request": {"options": {"deployment": "pictures/mine"}}}
    await adapter.submit(call_of(AZURE, case, tmp_path))
    found = sent[0].url.copy_with(host=sent[0].headers["host"].partition(":")[0])
    assert str(found) == url
    assert {name: sent[0].headers[name] for name in ("api-key", "authorization") if name in sent[0].headers} == headers


def test_a_base_url_of_the_user_s_own_does_for_the_endpoint() -> None:
    key = {"AZURE_OPENAI_API_KEY": "key"}
    given = {"DARKROOM_AZURE_BASE_URL": "https://gateway.test"}
    assert Accounts({"azure": AZURE}, key, b"key").ready() == frozenset()
    accounts = Accounts({"azure": AZURE}, key | given, b"key")
    assert accounts.ready() == {"azure"}
    assert accounts.base_url(AZURE) == "https://gateway.test"
    assert accounts.account(AZURE) in accounts.all()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("base_url", "says"), [(None, "no base URL"), ("myres", "can be called"), ("res.test", "can be called")]
)
async def test_without_an_endpoint_that_can_be_called_nothing_is_sent(
    tmp_path: Path, base_url: str | None, says: str
) -> None:
    adapter = create(ProviderHttp(ShardedClient(FakeClock()), AZURE, base_url))
    call = call_of(AZURE, {"credentials": KEY}, tmp_path)
    with pytest.raises(NotConfigured, match=says):
        await adapter.submit(call)
    with pytest.raises(NotConfigured, match=says):
        await adapter.check(call)


@pytest.mark.anyio
async def test_a_deployment_that_is_not_there_is_named_with_what_to_say_instead(tmp_path: Path) -> None:
    async def answer(request: httpx2.Request) -> httpx2.Response:
        del request
        return httpx2.Response(404, json={"error": {"code": "DeploymentNotFound", "message": "It does not exist."}})

    client = ShardedClient(FakeClock(), transport=httpx2.MockTransport(answer))
    call = call_of(AZURE, {"credentials": KEY, "request": {"options": {"deployment": "mine"}}}, tmp_path)
    with pytest.raises(InvalidRequest, match="no deployment 'mine'") as caught:
        await create(ProviderHttp(client, AZURE, ENDPOINT)).submit(call)
    assert caught.value.field == "options.deployment"
    assert "options.deployment" in (caught.value.hint or "")
    assert caught.value.provider_message == "It does not exist."


@pytest.mark.anyio
@pytest.mark.parametrize("status", [409, 416])
async def test_a_conflict_is_a_refusal(tmp_path: Path, status: int) -> None:
    client = ShardedClient(
        FakeClock(), transport=httpx2.MockTransport(lambda _: httpx2.Response(status, json={"error": {"code": "x"}}))
    )
    with pytest.raises(InvalidRequest):
        await create(ProviderHttp(client, AZURE, ENDPOINT)).submit(call_of(AZURE, {"credentials": KEY}, tmp_path))


@pytest.mark.anyio
async def test_a_blocked_resource_is_told_as_one(tmp_path: Path) -> None:
    said = {"error": {"message": "Your resource has been temporarily blocked."}}
    client = ShardedClient(FakeClock(), transport=httpx2.MockTransport(lambda _: httpx2.Response(403, json=said)))
    with pytest.raises(Unsupported, match="has blocked your resource") as caught:
        await create(ProviderHttp(client, AZURE, ENDPOINT)).submit(call_of(AZURE, {"credentials": KEY}, tmp_path))
    assert "temporarily blocked" in (caught.value.provider_message or "")


@pytest.mark.anyio
async def test_there_is_nothing_to_ask_about(tmp_path: Path) -> None:
    adapter = create(ProviderHttp(ShardedClient(FakeClock()), AZURE, ENDPOINT))
    with pytest.raises(UnexpectedAnswer, match="nothing that could be asked"):
        await adapter.poll({}, call_of(AZURE, {"credentials": KEY}, tmp_path))
