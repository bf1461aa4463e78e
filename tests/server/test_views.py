"""What a job's state means for its caller, in one sentence."""

from typing import Any

import pytest

from darkroom.domain.job import State
from darkroom.server.views import next_step
from factories import make_job


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": State.SUCCEEDED}, "refine='job_0000000000000001'"),
        ({"state": State.SUCCEEDED, "provider": "draft"}, "set a provider's key"),
        ({"state": State.FAILED}, "retry_job('job_0000000000000001', changes={...})"),
        ({"state": State.FAILED, "error": {"hint": "Set a key."}}, "Set a key."),
        ({"state": State.CANCELLED}, "retry_job('job_0000000000000001') starts it again"),
        ({"state": State.SUBMIT_UNKNOWN}, "only knowingly, with retry_job"),
        ({"state": State.PARKED}, "check_job again in some minutes"),
        ({"state": State.RUNNING}, "check_job(job_id='job_0000000000000001', wait=25)"),
    ],
)
def test_every_state_says_what_to_do_next(fields: dict[str, Any], expected: str) -> None:
    assert expected in next_step(make_job(**fields))
