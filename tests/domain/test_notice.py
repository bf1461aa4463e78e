"""What a callback says, and how it is signed."""

import json
from typing import Any

import pytest

from darkroom.domain.job import State
from darkroom.domain.notice import job_notice, run_notice, signature
from darkroom.domain.run import Callback, Run, RunState
from factories import JOB_ID, NOW, make_job, make_output

KEYS = {"invocation_id", "status", "output", "token_usage", "duration_ms", "completed_at", "error"}


def callback(subject: str = JOB_ID, **overrides: Any) -> Callback:
    values = {"principal": "local", "url": "https://hooks.example.com:8443/a?token=7", "invocation_id": "inv-1"}
    return Callback.model_validate({"subject": subject, "created_at": NOW, **values, **overrides})


def make_run(**overrides: Any) -> Run:
    values: dict[str, Any] = {
        "id": "run_1",
        "principal": "local",
        "task": "write",
        "request_hash": "hash",
        "state": RunState.SUCCEEDED,
        "created_at": NOW,
        "updated_at": NOW,
        "finished_at": NOW + 3_500,
    }
    return Run.model_validate(values | overrides)


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        # RFC 4231, test cases 2 and 1
        ("Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("\x0b" * 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    ],
)
def test_a_signature_is_that_of_the_standard(key: str, text: str, expected: str) -> None:
    assert signature(text.encode(), key) == expected


def test_an_ended_job_is_told_with_its_files() -> None:
    output = make_output(variant="raw")
    job = make_job(state=State.SUCCEEDED, outputs=(output,), finished_at=NOW + 1_500)
    assert json.loads(job_notice(job, callback())) == {
        "invocation_id": "inv-1",
        "job_id": JOB_ID,
        "status": "succeeded",
        "output": [
            {
                "id": output.id,
                "path": output.path,
                "mime_type": "image/png",
                "width": 1024,
                "height": 1024,
                "variant": "raw",
                "bytes": 1234,
                "sha256": "ab" * 32,
            }
        ],
        "token_usage": None,
        "duration_ms": 1_500,
        "completed_at": "2026-01-01T00:00:01.500Z",
        "error": None,
    }


def test_nobody_else_hears_of_paths_of_this_machine() -> None:
    job = make_job(state=State.SUCCEEDED, outputs=(make_output(),), finished_at=NOW, principal="ann")
    text = job_notice(job, callback(principal="ann"))
    assert "path" not in json.loads(text)["output"][0]
    assert "/pictures" not in text


def test_a_failed_job_is_told_with_its_error_and_a_cancelled_one_without_output() -> None:
    error = {"code": "provider_failed", "message": "no luck", "retryable": True}
    failed = json.loads(job_notice(make_job(state=State.FAILED, error=error, finished_at=NOW), callback()))
    assert (failed["status"], failed["error"], failed["output"]) == ("failed", error, [])
    cancelled = json.loads(job_notice(make_job(state=State.CANCELLED), callback(invocation_id="")))
    assert (cancelled["status"], cancelled["completed_at"], cancelled["duration_ms"]) == ("cancelled", None, None)
    assert cancelled["invocation_id"] == JOB_ID
    assert set(failed) == set(cancelled) == {*KEYS, "job_id"}


@pytest.mark.parametrize(
    ("brought", "output"),
    [
        ({"output": "text \u00fc \ud800", "data": {"a": 1}}, "text \u00fc \ud800"),
        ({"data": {"a": 1}, "brief": {"role": "writer"}}, {"a": 1}),
        ({"brief": {"role": "writer"}}, {"role": "writer"}),
        ({}, None),
    ],
)
def test_an_ended_run_is_told_with_what_it_brought(brought: dict[str, Any], output: Any) -> None:
    text = run_notice(make_run(input_tokens=20, output_tokens=5).model_copy(update=brought), callback("run_1"))
    told = json.loads(text)
    assert set(told) == {*KEYS, "run_id"}
    assert (told["run_id"], told["status"], told["output"]) == ("run_1", "succeeded", output)
    assert told["token_usage"] == {"input": 20, "output": 5, "total": 25}
    assert (told["duration_ms"], told["completed_at"]) == (3_500, "2026-01-01T00:00:03.500Z")
    assert text.isascii()


def test_a_clock_that_went_back_makes_no_negative_duration() -> None:
    assert json.loads(run_notice(make_run(finished_at=NOW - 9), callback("run_1")))["duration_ms"] == 0


def test_a_callback_shows_its_host_and_not_its_address() -> None:
    assert callback().host == "hooks.example.com:8443"
    assert "token" not in repr(callback())
