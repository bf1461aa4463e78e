"""Every adapter against the documented exchanges of its provider."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from darkroom.adapters.registry import adapter_names
from darkroom.catalog.providers import Providers, Status
from darkroom.domain.kinds import Kind, Mode
from helpers_contract import RECORDINGS, SHAPES, call_of, cases, play, recording

PROVIDERS = Providers()
assert len(PROVIDERS) > 20
for _name in adapter_names():  # reads files, which the event loop must not
    importlib.import_module(f"darkroom.adapters.{_name}")
RECORDED = sorted(path.stem for path in RECORDINGS.glob("*.json"))
NEEDED = frozenset(SHAPES) - {"other"}
LATER = frozenset({Mode.EDIT_VIDEO, Mode.EXTEND_VIDEO, Mode.UPSCALE_VIDEO})
"""Operations on clips, which no call of this version can take in."""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("provider_id", "case"), [pytest.param(*item, id=f"{item[0]}-{item[1]['name']}") for item in cases()]
)
async def test_a_documented_exchange(provider_id: str, case: dict[str, Any], tmp_path: Path) -> None:
    await play(PROVIDERS[provider_id], case, tmp_path)


def test_every_adapter_but_the_draft_has_a_recording() -> None:
    assert set(RECORDED) == set(adapter_names()) - {"draft"}


@pytest.mark.parametrize("provider_id", RECORDED)
def test_every_shape_of_an_answer_is_recorded_or_does_not_exist(provider_id: str) -> None:
    whole = recording(provider_id)
    shapes = {case["shape"] for case in whole["cases"]}
    assert shapes <= set(SHAPES)
    assert NEEDED - shapes == set(whole.get("not_applicable", {})), "each shape that is left out needs its reason"
    assert all(case["mark"] for case in whole["cases"]), "each case says how sure it is"
    names = [case["name"] for case in whole["cases"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("provider_id", RECORDED)
def test_every_operation_and_input_role_of_a_provider_is_sent(provider_id: str, tmp_path: Path) -> None:
    provider = PROVIDERS[provider_id]
    live = [offer for offer in provider.offers if offer.status is not Status.RETIRED]
    live = [offer for offer in live if offer.kind in (Kind.IMAGE, Kind.VIDEO) and not offer.off]
    sent = [
        call_of(provider, case, tmp_path)
        for case in recording(provider_id)["cases"]
        if case["do"] == "submit" and "raises" not in case["result"]
    ]
    assert {blob.role for call in sent for blob in call.inputs} >= {role for offer in live for role in offer.inputs}
    operations = {mode for offer in live for mode in offer.operations if mode not in LATER}
    assert {call.request.mode for call in sent} >= operations
