"""What a job's state means for its caller, in one sentence."""

from typing import Any

import pytest

from darkroom.domain.job import INSTEAD, State
from darkroom.domain.kinds import Mode
from darkroom.events import Progress
from darkroom.server.views import job_text, job_view, next_step
from factories import NOW, make_effective, make_job, make_output, make_request
from helpers_catalog import make_offer


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": State.SUCCEEDED}, "refine='job_0000000000000001'"),
        ({"state": State.SUCCEEDED, "provider": "draft"}, "set a provider's key"),
        ({"state": State.SUCCEEDED, "provider": "draft", "mode": Mode.JOIN_VIDEO}, "Show the file."),
        ({"state": State.FAILED}, "retry_job('job_0000000000000001', changes={...})"),
        ({"state": State.FAILED, "error": {"hint": "Set a key."}}, "Set a key."),
        (
            {"state": State.SUCCEEDED, "cancelled": True, "actual": 40_000},
            "too late: it is done, and $0.04 was charged",
        ),
        ({"state": State.CANCELLED, "actual": 0}, "retry_job('job_0000000000000001') starts it again"),
        ({"state": State.CANCELLED, "actual": 0}, "nothing was charged"),
        (
            {"state": State.CANCELLED, "estimate": 40_000},
            "nobody knows whether its provider charged it; $0.04 is counted",
        ),
        ({"state": State.CANCELLED, "estimate": None}, "nobody knows whether its provider charged it. retry_job"),
        ({"state": State.SUBMIT_UNKNOWN}, "only knowingly, with retry_job"),
        ({"state": State.PARKED}, "check_job again in some minutes"),
        ({"state": State.RUNNING}, "check_job(job_id='job_0000000000000001', wait=25)"),
        ({"state": State.RUNNING, "cancelled": True}, "acme has not confirmed one, and may finish and charge it"),
        ({"state": State.FAILED, "error": {"code": "auth_failed"}}, "Mend the key of acme"),
        ({"state": State.FAILED, "error": {"code": "insufficient_credits"}}, "Top up the account at acme"),
        ({"state": State.FAILED, "error": {"code": "overloaded", "retryable": True}}, "tries it again, as a new job"),
    ],
)
def test_every_state_says_what_to_do_next(fields: dict[str, Any], expected: str) -> None:
    asked = NOW if fields.pop("cancelled", False) else None
    assert expected in next_step(make_job(**fields).model_copy(update={"cancel_requested_at": asked}))


def test_who_refused_it_first_is_told_and_not_counted() -> None:
    refused = {"provider": "other", "notes": {INSTEAD: True}, "actual": 0, "estimate": 30_000,
               "error": {"code": "insufficient_credits"}, "state": State.FAILED}  # fmt: skip
    job = make_job(state=State.RUNNING, parts=[refused, {"state": State.RUNNING, "estimate": 20_000}])
    view = job_view(job, now=NOW)
    assert view["warnings"] == ["other/acme-image-1 refused it (insufficient_credits)."]
    assert view["cost"]["estimate_usd"] == 0.02


def test_what_is_missing_of_a_job_that_succeeded_in_part_is_told_with_the_way_to_it() -> None:
    lost = {"message": "The provider had trouble.", "code": "provider_failed"}
    parts = [
        {"effective": make_effective(n=2), "state": State.SUCCEEDED, "actual": 80_000},
        {"effective": make_effective(n=2, start=2), "state": State.FAILED, "error": lost, "actual": 0},
        {"effective": make_effective(start=4), "state": State.CANCELLED, "actual": 0},
    ]
    made = (make_output(index=1), make_output(index=2))
    job = make_job(parts=parts, request=make_request(n=5), outputs=made)
    view = job_view(job, now=NOW)
    assert view["status"] == "succeeded"
    assert view["warnings"] == ["outputs 3 to 4: The provider had trouble.", "output 5: cancelled."]
    assert view["cost"]["actual_usd"] == 0.08
    assert "changes={'n': 3}" in view["next"]


def test_after_silence_what_is_there_is_shown_and_the_rest_named() -> None:
    parts = [{"state": State.SUCCEEDED}, {"state": State.SUBMIT_UNKNOWN, "effective": make_effective(start=1)}]
    job = make_job(parts=parts, request=make_request(n=2), outputs=(make_output(),))
    assert "Show what is there" in next_step(job)
    assert "changes={'n': 1}" in next_step(job)


def test_the_words_of_the_provider_are_in_the_text() -> None:
    error = {"code": "invalid_request", "message": "acme refused it.", "provider_message": "size is too large"}
    job = make_job(state=State.FAILED, error=error, actual=0)
    assert "acme refused it. The provider says: size is too large." in job_text(job_view(job, now=NOW))


def test_a_model_that_is_gone_is_named_with_the_way_to_others() -> None:
    job = make_job(state=State.FAILED, error={"code": "model_retired", "message": "gone"}, actual=0)
    assert "acme/acme-image-1 is gone there; darkroom://models has others" in next_step(job)


@pytest.mark.parametrize(
    ("seconds", "fraction", "typical", "eta", "check_after"),
    [
        (0, None, 20, 20, 10),
        (15, None, 20, 5, 2),
        (30, 0.67, 20, 15, 8),
        (30, 0.0, 20, None, 3),
        (240, None, 20, None, 10),
        (5, None, None, None, 2),
    ],
)
def test_what_is_left_is_told_by_progress_and_not_at_all_once_it_takes_longer(
    seconds: int, fraction: float | None, typical: float | None, eta: int | None, check_after: int
) -> None:
    job = make_job(state=State.RUNNING, created_at=NOW)
    offer = make_offer(typical_s=typical)
    view = job_view(job, now=NOW + seconds * 1000, progress=Progress(fraction), offer=offer)
    assert (view.get("eta_s"), view["check_after_s"]) == (eta, check_after)
