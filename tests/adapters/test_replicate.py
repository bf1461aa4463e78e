"""What the recordings of Replicate cannot show: models that are named by a version, and ids from outside."""

import json
from pathlib import Path

import httpx2
import pytest

from darkroom.adapters.base import Accepted
from darkroom.adapters.replicate import ReplicateAdapter
from darkroom.catalog.providers import Provider, Providers
from darkroom.clock import SystemClock
from darkroom.errors import InvalidRequest
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from helpers_contract import Json, call_of

REPLICATE = Providers()["replicate"]
HELLO = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
SENT = {"prompt": "a red boat", "seed": 7, "num_outputs": 1, "aspect_ratio": "1:1"}
WIRES = pytest.mark.parametrize("wire", [HELLO, f"replicate/hello-world:{HELLO}"])


def versioned(wire: str) -> Provider:
    first = REPLICATE.offers[0].model_copy(update={"wire": wire})
    return REPLICATE.model_copy(update={"offers": (first, *REPLICATE.offers[1:])})


async def asked(do: str, wire: str, answer: Json, folder: Path) -> tuple[httpx2.Request, object]:
    """Return what was sent, and what came of the answer to it."""
    seen: list[httpx2.Request] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=answer)

    client = ShardedClient(SystemClock(), transport=httpx2.MockTransport(reply))
    provider = versioned(wire)
    adapter = ReplicateAdapter(ProviderHttp(client, provider))
    try:
        result = await getattr(adapter, do)(call_of(provider, {"request": {"seed": 7}}, folder))
    finally:
        await client.aclose()
    assert len(seen) == 1
    return seen[0], result


@pytest.mark.anyio
@WIRES
async def test_a_version_goes_into_the_body(wire: str, tmp_path: Path) -> None:
    request, result = await asked("submit", wire, {"id": "p1", "status": "starting"}, tmp_path)
    assert (request.method, request.url.path) == ("POST", "/v1/predictions")
    assert json.loads(request.content) == {"version": wire, "input": SENT}
    assert isinstance(result, Accepted)
    assert result.provider_job_id == "p1"


@pytest.mark.anyio
@WIRES
async def test_a_lost_prediction_of_a_version_is_found(wire: str, tmp_path: Path) -> None:
    listed = [{"id": "p0", "version": "hidden", "input": SENT}, {"id": "p1", "version": HELLO, "input": SENT}]
    request, result = await asked("locate", wire, {"results": listed, "next": None}, tmp_path)
    assert (request.method, request.url.path) == ("GET", "/v1/predictions")
    assert isinstance(result, Accepted)
    assert result.provider_job_id == "p1"


@pytest.mark.anyio
async def test_an_id_that_is_none_is_refused(tmp_path: Path) -> None:
    client = ShardedClient(SystemClock())
    adapter = ReplicateAdapter(ProviderHttp(client, REPLICATE))
    call = call_of(REPLICATE, {}, tmp_path)
    assert adapter.operation_of("gm3qorzdhgbfurvjtvhg6dckhu", call) == {"id": "gm3qorzdhgbfurvjtvhg6dckhu"}
    with pytest.raises(InvalidRequest):
        adapter.operation_of("../account", call)
    await client.aclose()
