"""What a callback says of a job or run that has ended, and how it is signed."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from darkroom.domain.job import Job, State
from darkroom.domain.output import Output
from darkroom.domain.run import Callback, Run

LOCAL = "local"
"""The principal that may be told paths of this machine."""


def signature(body: bytes, secret: str) -> str:
    """Return the HMAC-SHA256 of the exact bytes, as 64 hexadecimal digits in small letters."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def job_notice(job: Job, callback: Callback) -> str:
    """Return the text that tells of an ended job; its output is a list of files.

    All keys are always there, null where there is nothing to say; times are ISO 8601 in UTC. Plain ASCII.
    """
    local = callback.principal == LOCAL
    return _written(
        callback,
        job_id=job.id,
        status=job.state.value,
        output=[_file(item, local=local) for item in job.outputs],
        token_usage=None,
        error=None if job.state is State.SUCCEEDED else job.error,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def run_notice(run: Run, callback: Callback) -> str:
    """Return the text that tells of an ended run, with the same keys.

    Its output is the text that it brought; without one, the data that was asked for, or the brief that was handed out.
    """
    usage = {"input": run.input_tokens, "output": run.output_tokens, "total": run.input_tokens + run.output_tokens}
    return _written(
        callback,
        run_id=run.id,
        status=run.state.value,
        output=next((item for item in (run.output, run.data, run.brief) if item is not None), None),
        token_usage=usage,
        error=run.error,
        created_at=run.created_at,
        finished_at=run.finished_at,
    )


def _written(callback: Callback, *, created_at: int, finished_at: int | None, **told: Any) -> str:
    notice = {
        "invocation_id": callback.invocation_id or callback.subject,
        **told,
        "duration_ms": None if finished_at is None else max(0, finished_at - created_at),
        "completed_at": None if finished_at is None else _iso(finished_at),
    }
    return json.dumps(notice, separators=(",", ":"))


def _iso(moment: int) -> str:
    text = datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _file(output: Output, *, local: bool) -> dict[str, Any]:
    """Return what is told of one file; nobody but the owner of this machine hears of its paths."""
    told = {
        "id": output.id,
        "path": output.path if local else None,
        "mime_type": output.media_type,
        "width": output.width,
        "height": output.height,
        "duration": output.duration,
        "variant": output.variant,
        "bytes": output.bytes,
        "sha256": output.sha256,
    }
    return {name: value for name, value in told.items() if value is not None}
