"""Every adapter against the documented exchanges of its provider."""

import importlib
import json
import re
import ssl
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from darkroom.adapters.base import Cancellable, Checkable, Locatable, Resumable, Signs, Uploads
from darkroom.adapters.registry import adapter_names
from darkroom.catalog.providers import Providers, Status
from darkroom.catalog.wires import ErrorRule
from darkroom.domain.kinds import Kind, Mode
from helpers_contract import RECORDINGS, SHAPES, adapter_of, call_of, cases, play, recording

PROVIDERS = Providers()
assert len(PROVIDERS) > 20
for _name in adapter_names():  # reads files, which the event loop must not
    importlib.import_module(f"darkroom.adapters.{_name}")
RECORDED = sorted(path.stem for path in RECORDINGS.glob("*.json"))
NEEDED = frozenset(SHAPES) - {"other"}
LATER = frozenset({Mode.UPSCALE_VIDEO})
"""Operations that no call of this version asks for."""
MARK = re.compile(r"\[[CSOD3U]\]")
ABILITIES = {"upload": Uploads, "cancel": Cancellable, "locate": Locatable, "check": Checkable}
MADE = ("succeeded",)
ENDS: dict[str, tuple[str, ...]] = {
    "accepted": ("accepted", "succeeded"),
    "pending": ("pending",),
    "unknown_state": ("pending",),
    "done": MADE,
    "done_several": MADE,
    "failed": ("provider_failed", "invalid_request", "unsupported", "result_expired", "overloaded", "submit_unknown"),
    "blocked": ("content_blocked",),
    "rate_limited": ("rate_limited", "overloaded"),
    "no_credits": ("insufficient_credits",),
    "auth": ("auth_failed",),
    "retired": ("model_retired", "invalid_request", "unsupported"),
    "malformed": ("unexpected_answer", "submit_unknown"),
}
"""What a case of each shape may come to."""


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare every case the reading of the system's certificates, which nothing here uses."""
    monkeypatch.setattr(httpx2, "create_ssl_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("provider_id", "case"), [pytest.param(*item, id=f"{item[0]}-{item[1]['name']}") for item in cases()]
)
async def test_a_documented_exchange(provider_id: str, case: dict[str, Any], tmp_path: Path) -> None:
    assert await play(PROVIDERS[provider_id], case, tmp_path), "something was compared"


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


@pytest.mark.parametrize(
    ("provider_id", "case"), [pytest.param(*item, id=f"{item[0]}-{item[1]['name']}") for item in cases()]
)
def test_what_comes_of_a_case_is_what_its_shape_says(provider_id: str, case: dict[str, Any]) -> None:
    del provider_id
    shape, result = case["shape"], case["result"]
    end = result.get("raises") or result.get("failed") or next(iter(result))
    assert MARK.search(case["mark"]), "how sure it is: [C], [S], [O], [D], [3] or [U]"
    assert end in ENDS.get(shape, (end,))
    made = result.get("succeeded", {})
    several = len([*made.get("urls", []), *made.get("made", []), *made.get("failed", [])]) > 1
    assert shape not in MADE or not several
    assert shape != "done_several" or several
    if shape == "error_in_200":
        assert {"raises", "failed"} & set(result)
        assert 200 in {step["answer"]["status"] for step in case["exchange"]}
    if end == "accepted":
        assert "operation" in result["accepted"], "what is asked about later is part of what comes of it"


@pytest.mark.parametrize("provider_id", RECORDED)
def test_every_ability_of_an_adapter_is_recorded(provider_id: str, tmp_path: Path) -> None:
    provider, whole = PROVIDERS[provider_id], recording(provider_id)["cases"]
    adapter = adapter_of(provider)
    done = {case["do"] for case in whole}
    assert done - {"submit", "poll"} == {name for name, ability in ABILITIES.items() if isinstance(adapter, ability)}
    for case in whole:
        if isinstance(adapter, Resumable) and case["do"] == "submit" and "accepted" in case["result"]:
            operation = adapter.operation_of(case["result"]["accepted"]["id"], call_of(provider, case, tmp_path))
            assert json.loads(json.dumps(operation)) == operation


@pytest.mark.anyio
@pytest.mark.parametrize("provider_id", RECORDED)
async def test_downloads_are_signed_where_the_manifest_says_so(provider_id: str, tmp_path: Path) -> None:
    provider = PROVIDERS[provider_id]
    adapter = adapter_of(provider)
    assert isinstance(adapter, Signs) is provider.auth_for_downloads
    call = call_of(provider, {}, tmp_path)
    made_of_a_file = any(name.endswith("_APPLICATION_CREDENTIALS") for name in call.credentials)  # see test_vertex
    if isinstance(adapter, Signs) and not made_of_a_file:
        headers = await adapter.download_headers(call)
        assert all(any(value in text for text in headers.values()) for value in call.credentials.values())


@pytest.mark.parametrize("provider_id", RECORDED)
def test_every_row_of_a_provider_s_errors_is_what_some_case_means(
    provider_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: set[int] = set()
    fits = ErrorRule.fits

    def noted(self: ErrorRule, *args: Any) -> bool:
        if found := fits(self, *args):
            reached.add(id(self))
        return found

    async def play_all() -> None:
        wrong = [case for case in recording(provider_id)["cases"] if {"raises", "failed"} & set(case["result"])]
        for number, case in enumerate(wrong):
            folder = tmp_path / str(number)
            await anyio.Path(folder).mkdir()
            await play(PROVIDERS[provider_id], case, folder)

    monkeypatch.setattr(ErrorRule, "fits", noted)
    anyio.run(play_all)
    assert [rule for rule in PROVIDERS[provider_id].errors if id(rule) not in reached] == []
