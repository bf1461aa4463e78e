"""Brings the earlier turns of a conversation that a request goes on with."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio.to_thread

from darkroom.adapters.base import Blob, Turn
from darkroom.artifacts.base import ArtifactStore
from darkroom.domain.job import Submission
from darkroom.domain.kinds import Kind, Role
from darkroom.domain.output import Output
from darkroom.domain.request import Earlier
from darkroom.errors import InvalidRequest, ResultExpired
from darkroom.store.base import JobStore

MAX_BYTES = 14_000_000
"""Of all pictures of a conversation together: requests are bounded at about 20 MB, in base64 a third larger."""
GONE = "Nothing was sent or charged. Put the file back, or describe the picture anew."


async def turns_of(
    store: JobStore, artifacts: ArtifactStore, inputs: Callable[[Submission], Sequence[Blob]], part: Submission
) -> tuple[Turn, ...]:
    """Return the turns, oldest first: all that go in, or where they are too large, the latest of them.

    Raises:
        InvalidRequest: If the last result is no longer as it was made, which the provider must get back.
    """
    turns: list[Turn] = []
    earlier, size = part.effective.follows, 0
    while earlier is not None:
        found = await _turn(store, artifacts, inputs, earlier)
        turn, before = found if found else (None, None)
        size += await anyio.to_thread.run_sync(_size, turn) if turn else 0
        if turn is None or (turns and size > MAX_BYTES):
            break
        turns.append(turn)
        earlier = before
    if part.effective.follows is not None and not turns:
        raise InvalidRequest("The result to go on with is gone or was changed.", field="refine", hint=GONE)
    return tuple(reversed(turns))


async def _turn(
    store: JobStore, artifacts: ArtifactStore, inputs: Callable[[Submission], Sequence[Blob]], earlier: Earlier
) -> tuple[Turn, Earlier | None] | None:
    job = await store.get(earlier.job_id)
    if job is None:
        return None
    part = job.submissions[earlier.submission]
    content = await store.turn(job.id, part.idx)
    if content is None and job.kind is Kind.IMAGE:
        return None
    made = [item for item in job.outputs if item.submission == part.idx]
    outputs = [] if content is None else [await _output(artifacts, item) for item in made]
    if None in outputs:
        return None
    try:
        shown = () if content is None else tuple(await anyio.to_thread.run_sync(inputs, part))
    except ResultExpired:
        return None
    turn = Turn(
        request=part.effective,
        inputs=shown,
        outputs=tuple(blob for blob in outputs if blob),
        content=content,
        provider_job_id=part.provider_job_id,
    )
    return turn, part.effective.follows


def _size(turn: Turn) -> int:
    return sum(len(blob.content) for blob in turn.outputs) + sum(blob.path.stat().st_size for blob in turn.inputs)


async def _output(artifacts: ArtifactStore, output: Output) -> Blob | None:
    """Return a result with its bytes; None where they are not what was made."""
    data = await artifacts.read(output)
    if data is None or await anyio.to_thread.run_sync(lambda: hashlib.sha256(data).hexdigest()) != output.sha256:
        return None
    return Blob(
        path=Path(output.path),
        role=Role.SOURCE,
        media_type=output.media_type,
        sha256=output.sha256,
        width=output.width or 0,
        height=output.height or 0,
        content=data,
    )
