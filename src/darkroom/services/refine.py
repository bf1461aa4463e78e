"""Continues from an earlier job or output."""

from darkroom.domain.job import Job, State
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.output import Output
from darkroom.domain.request import SEEDS, ImageRequest, MediaInput, VideoRequest, clip
from darkroom.errors import InvalidRequest, UnknownJob, Unsupported
from darkroom.store.base import JobStore

AnyRequest = ImageRequest | VideoRequest


async def continue_from(request: AnyRequest, target: str, store: JobStore, principal: str) -> tuple[AnyRequest, str]:
    """Return the request that continues from a job or output id, and the id of the job that it continues.

    A picture that is to become a clip is its first frame. What the draft engine made is drawn again: with the
    instruction added to its words, or without one as a variation with another seed. Any other picture is edited.

    Raises:
        UnknownJob: If the caller has no such job or output.
        InvalidRequest: If that job has no result, or an edit lacks its instruction.
        Unsupported: If a clip of a provider that cannot redraw it is to be changed.
    """
    parent, output = await _target(target, store, principal)
    made = parent.submissions[output.submission]
    if parent.mode is Mode.JOIN_VIDEO:
        raise Unsupported(
            f"{parent.id} is a film joined of clips, which cannot be drawn again.",
            field="refine",
            hint="Nothing was stored. Refine one of its clips, and join them anew.",
        )
    if request.kind is parent.kind and made.replayable:
        return _redrawn(request, parent, made.notes.get("seed")), parent.id
    if parent.kind is Kind.VIDEO:
        raise Unsupported(
            f"{made.provider} cannot continue a clip.",
            field="refine",
            hint="Nothing was stored. Describe the clip anew.",
        )
    role = Role.FIRST_FRAME if request.kind is Kind.VIDEO else Role.SOURCE
    if not request.prompt:
        request = request.having(prompt=parent.request.prompt)
    lead = MediaInput(src=output.id, role=role)
    return request.model_copy(update={"images": (lead, *request.images)}), parent.id


async def _target(target: str, store: JobStore, principal: str) -> tuple[Job, Output]:
    output = await store.output(target, principal)
    parent = await store.get(output.job_id if output else target, principal)
    if parent is None:
        raise UnknownJob(
            f"There is no job or output {clip(target)!r}.",
            field="refine",
            hint="Nothing was stored. check_job without job_id lists your newest jobs and their outputs.",
        )
    if parent.state is not State.SUCCEEDED or not parent.outputs:
        raise InvalidRequest(
            f"{parent.id} is {parent.state} and has no result to continue from.",
            field="refine",
            hint="Nothing was stored. Wait for it with check_job, or start it again with retry_job.",
        )
    return parent, output or parent.outputs[0]


def _redrawn(request: AnyRequest, parent: Job, seed: object) -> AnyRequest:
    """Lay what the caller said over what the parent was asked."""
    before = parent.request
    old = seed if isinstance(seed, int) else 0
    said = {name: getattr(request, name) for name in request.model_fields_set if name != "prompt"}
    if said.get("aspect_ratio") is not None and isinstance(before, ImageRequest):
        said.setdefault("size", None)  # the size that was asked before would win
    instruction = request.prompt
    kept = {name: getattr(before, name) for name in type(before).model_fields if name not in ("kind", "refine")}
    prompt = f"{before.prompt}, {instruction}" if instruction else before.prompt
    next_seed = old if instruction else (old + 1) % SEEDS
    return request.having(**{**kept, "seed": next_seed, **said, "prompt": prompt, "refine": request.refine})
