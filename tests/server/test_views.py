"""What a job's state means for its caller, in one sentence."""

from typing import Any

import pytest

from darkroom.domain.job import State
from darkroom.server.views import next_step
from factories import NOW, make_job


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": State.SUCCEEDED}, "refine='job_0000000000000001'"),
        ({"state": State.SUCCEEDED, "provider": "draft"}, "set a provider's key"),
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
    ],
)
def test_every_state_says_what_to_do_next(fields: dict[str, Any], expected: str) -> None:
    asked = NOW if fields.pop("cancelled", False) else None
    assert expected in next_step(make_job(**fields).model_copy(update={"cancel_requested_at": asked}))
