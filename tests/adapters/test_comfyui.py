"""What the recordings of the ComfyUI adapter cannot show: ids, seeds and kept workflows."""

import uuid
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from darkroom.adapters.base import Accepted
from darkroom.adapters.body import body_of
from darkroom.adapters.comfyui import create, key_of, seed_of
from darkroom.catalog.providers import Providers
from darkroom.catalog.wires import Slot
from darkroom.clock import SystemClock
from darkroom.errors import InvalidRequest
from darkroom.net.answer import Answer
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from helpers_contract import call_of

COMFY = Providers()["comfyui"]
ADAPTER = create(ProviderHttp(ShardedClient(SystemClock()), COMFY))
ID = "11111111-2222-4333-8444-555555555555"


def test_our_id_is_what_the_server_takes_and_the_same_each_time(tmp_path: Path) -> None:
    first, again, other = (call_of(COMFY, {"submit_key": key}, tmp_path) for key in ("a" * 24, "a" * 24, "b" * 24))
    assert str(uuid.UUID(key_of(first))) == key_of(first) == key_of(again) != key_of(other)


def test_an_answer_that_was_kept_names_the_seed_that_was_sent(tmp_path: Path) -> None:
    answer = Answer(200, body=f'{{"prompt_id": "{ID}"}}'.encode())
    first, other = (ADAPTER.read(answer, call_of(COMFY, {"submit_key": key * 24}, tmp_path)) for key in "ab")
    assert isinstance(first, Accepted)
    assert isinstance(other, Accepted)
    assert first.operation["id"] == other.operation["id"] == ID
    assert first.operation["seed"] != other.operation["seed"]


def test_a_workflow_without_a_seed_has_none(tmp_path: Path) -> None:
    call = call_of(COMFY, {}, tmp_path)
    bare = replace(call, offer=call.offer.model_copy(update={"fields": {**call.offer.fields, "seed": Slot(to="")}}))
    assert seed_of(call) is not None
    assert ADAPTER.read(Answer(200, body=f'{{"prompt_id": "{ID}"}}'.encode()), bare) == Accepted(
        {"id": ID, "seed": None}, ID
    )


def test_a_submission_leaves_the_workflow_of_the_manifest_as_it_is(tmp_path: Path) -> None:
    before = deepcopy(COMFY.offers[0].template)
    body = body_of(call_of(COMFY, {"request": {"seed": 7}}, tmp_path))
    assert body["3"]["inputs"]["seed"] == 7
    assert COMFY.offers[0].template == before


def test_work_can_be_followed_by_the_id_of_its_server_alone(tmp_path: Path) -> None:
    call = call_of(COMFY, {}, tmp_path)
    assert ADAPTER.operation_of(ID.upper(), call) == {"id": ID}
    with pytest.raises(InvalidRequest, match="UUID"):
        ADAPTER.operation_of("../queue", call)
