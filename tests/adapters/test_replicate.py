"""What the recordings of Replicate cannot show: models that are named by a version, and ids from outside."""

from pathlib import Path

import pytest

from darkroom.adapters.replicate import ReplicateAdapter
from darkroom.catalog.providers import Provider, Providers
from darkroom.clock import SystemClock
from darkroom.errors import InvalidRequest
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from helpers_contract import Json, call_of, play

REPLICATE = Providers()["replicate"]
HELLO = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"


def versioned(wire: str) -> Provider:
    first = REPLICATE.offers[0].model_copy(update={"wire": wire})
    return REPLICATE.model_copy(update={"offers": (first, *REPLICATE.offers[1:])})


def prediction(**values: object) -> Json:
    return {"id": "p1", "status": "starting", **values}


def exchange(method: str, path: str, answer: Json, **sent: object) -> Json:
    return {"sent": {"method": method, "path": path, **sent}, "answer": {"status": 200, "json": answer}}


SENT = {"prompt": "a red boat", "seed": 7, "num_outputs": 1, "aspect_ratio": "1:1"}
ACCEPTED = {"accepted": {"id": "p1", "operation": {"id": "p1", "get": None, "cancel": None}}}


@pytest.mark.anyio
@pytest.mark.parametrize("wire", [HELLO, f"replicate/hello-world:{HELLO}"])
async def test_a_version_goes_into_the_body(wire: str, tmp_path: Path) -> None:
    step = exchange("POST", "/v1/predictions", prediction(), json={"version": wire, "input": SENT})
    case = {"do": "submit", "request": {"seed": 7}, "exchange": [step], "result": ACCEPTED}
    await play(versioned(wire), case, tmp_path)


@pytest.mark.anyio
@pytest.mark.parametrize("wire", [HELLO, f"replicate/hello-world:{HELLO}"])
async def test_a_lost_prediction_of_a_version_is_found(wire: str, tmp_path: Path) -> None:
    listed = [prediction(version="hidden", input=SENT), prediction(version=HELLO, input=SENT)]
    query = {"created_after": "2026-11-18T11:01:10Z"}
    step = exchange("GET", "/v1/predictions", {"results": listed, "next": None}, query=query)
    case = {"do": "locate", "request": {"seed": 7}, "exchange": [step], "result": ACCEPTED}
    await play(versioned(wire), case, tmp_path)


@pytest.mark.anyio
async def test_an_id_that_is_none_is_refused(tmp_path: Path) -> None:
    client = ShardedClient(SystemClock())
    adapter = ReplicateAdapter(ProviderHttp(client, REPLICATE))
    call = call_of(REPLICATE, {}, tmp_path)
    assert adapter.operation_of("gm3qorzdhgbfurvjtvhg6dckhu", call) == {"id": "gm3qorzdhgbfurvjtvhg6dckhu"}
    with pytest.raises(InvalidRequest):
        adapter.operation_of("../account", call)
    await client.aclose()
