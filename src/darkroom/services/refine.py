"""Continues from an earlier job or output."""

from collections.abc import Callable
from dataclasses import dataclass

import anyio.to_thread

from darkroom.catalog.providers import Provider, normal
from darkroom.catalog.routing import Candidate
from darkroom.domain.job import Job, Submission
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.modes import mode_of
from darkroom.domain.output import Output
from darkroom.domain.request import SEEDS, Earlier, ImageRequest, MediaInput, VideoRequest, clip
from darkroom.errors import InvalidRequest, UnknownJob, Unsupported
from darkroom.store.base import JobStore

AnyRequest = ImageRequest | VideoRequest
_ROLES = {
    (Kind.IMAGE, Kind.IMAGE): Role.SOURCE,
    (Kind.IMAGE, Kind.VIDEO): Role.FIRST_FRAME,
    (Kind.VIDEO, Kind.VIDEO): Role.VIDEO,
}
"""What a result is for the next one, by the kinds of both."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What may be used now."""

    usable: Callable[[str, str], Candidate | None]
    """The offer of a provider and model that this version, the keys and the day let us use."""
    account: Callable[[Provider], str | None]


async def continue_from(
    request: AnyRequest, target: str, store: JobStore, principal: str, offers: Offers
) -> tuple[AnyRequest, str]:
    """Return the request that continues from a job or output id, and the id of the job that it continues.

    What the draft engine made is drawn again, with the instruction added to its words. Without an instruction, so is
    every result that its own model is to make anew, with another seed. With one, a model that keeps the conversation
    goes on with it; any other changes the result, its own model first. A picture that is to become a clip is its first
    frame.

    Raises:
        UnknownJob: If the caller has no such job or output.
        InvalidRequest: If that job has no result.
        Unsupported: If a film of joined clips is to be changed, or a picture made of a clip.
    """
    parent, output = await _target(target, store, principal)
    made = parent.submissions[output.submission]
    if parent.mode is Mode.JOIN_VIDEO:
        raise Unsupported(
            f"{parent.id} is a film joined of clips, which cannot be drawn again.",
            field="refine",
            hint="Nothing was stored. Refine one of its clips, and join them anew.",
        )
    if request.kind is Kind.IMAGE and parent.kind is Kind.VIDEO:
        raise Unsupported(
            "A picture cannot be made of a clip.",
            field="refine",
            hint="Nothing was stored. Save a frame of it as a picture, and give that in images.",
        )
    own = await anyio.to_thread.run_sync(offers.usable, made.provider, made.model)
    if own is not None and not _may_be(request, own):
        own = None
    extends = isinstance(request, VideoRequest) and request.extend
    if request.kind is parent.kind and not extends:
        if made.replayable:
            return _redrawn(request, parent, made.notes.get("seed")), parent.id
        if own is not None and not request.prompt and not request.images:
            return _again(request, parent, made, own), parent.id
    if request.kind is parent.kind and own is not None and own.offer.continues:
        earlier = await _earlier(parent, output, own, store, offers)
        if earlier is not None:
            strict = request.strict if "strict" in request.model_fields_set else parent.request.strict
            turn = _pinned(_told(request, parent), own).model_copy(update={"follows": earlier, "strict": strict})
            return turn, parent.id
    return _changed(request, parent, output, own, offers), parent.id


def _may_be(request: AnyRequest, own: Candidate) -> bool:
    """Return whether what the caller names, if anything, is that offer."""
    plain = (own.offer.model, *own.offer.aliases)
    names = {normal(name) for name in (*plain, *(f"{own.provider.id}/{name}" for name in plain))}
    model = request.model is None or normal(request.model) in names
    makers = {normal(own.provider.id), normal(own.provider.title)}
    return model and (request.provider is None or normal(request.provider) in makers)


def _pinned(request: AnyRequest, own: Candidate) -> AnyRequest:
    return request.model_copy(update={"provider": own.provider.id, "model": own.offer.model})


def _again(request: AnyRequest, parent: Job, made: Submission, own: Candidate) -> AnyRequest:
    """Return the same request of the same model, with the next seed where it has seeds."""
    seed = made.notes.get("seed", made.effective.seed)
    drawn = _redrawn(_pinned(request, own), parent, seed)
    return drawn if own.offer.seed or "seed" in request.model_fields_set else drawn.having(seed=None)


async def _earlier(parent: Job, output: Output, own: Candidate, store: JobStore, offers: Offers) -> Earlier | None:
    """Return what the conversation goes on with; None where it cannot: of another account, or not kept."""
    made = parent.submissions[output.submission]
    if made.account != offers.account(own.provider):
        return None
    kept = made.provider_job_id if parent.kind is Kind.VIDEO else await store.turn(parent.id, made.idx)
    if not kept:
        return None
    before = made.effective.follows.pictures if made.effective.follows else 0
    results = sum(item.submission == made.idx for item in parent.outputs)
    return Earlier(
        job_id=parent.id,
        submission=made.idx,
        offer=own.name,
        account=made.account,
        pictures=0 if parent.kind is Kind.VIDEO else before + len(made.effective.inputs) + results,
        width=output.width,
        height=output.height,
        duration=output.duration,
    )


def _told(request: AnyRequest, parent: Job) -> AnyRequest:
    """Return the request with the words of the one before, where it has none."""
    return request if request.prompt else request.having(prompt=parent.request.prompt)


def _changed(request: AnyRequest, parent: Job, output: Output, own: Candidate | None, offers: Offers) -> AnyRequest:
    """Return the request with the result as what it changes, by its own model, its provider's best, or any other."""
    role = _ROLES[parent.kind, request.kind]
    request = _told(request, parent)
    lead = MediaInput(src=output.id, role=role)
    changed = request.model_copy(update={"images": (lead, *request.images)})
    if own is None or request.kind is not parent.kind:
        return changed
    mode = mode_of(changed)
    able = [offer for offer in (own.offer, *own.provider.offers) if role in offer.inputs and mode in offer.operations]
    named = [item for offer in able if (item := offers.usable(own.provider.id, offer.model)) and _may_be(request, item)]
    return _pinned(changed, max(named, key=lambda item: (item == own, item.offer.rank))) if named else changed


async def _target(target: str, store: JobStore, principal: str) -> tuple[Job, Output]:
    output = await store.output(target, principal)
    parent = await store.get(output.job_id if output else target, principal)
    if parent is None:
        raise UnknownJob(
            f"There is no job or output {clip(target)!r}.",
            field="refine",
            hint="Nothing was stored. check_job without job_id lists your newest jobs and their outputs.",
        )
    if not parent.outputs:  # of several submissions, one that failed or is unknown does not stand in the way
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
    next_seed = old if instruction else (old + before.n) % SEEDS  # past those of all its outputs
    return request.having(**{**kept, "seed": next_seed, **said, "prompt": prompt, "refine": request.refine})
