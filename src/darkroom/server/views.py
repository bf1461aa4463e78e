"""What callers see of a job: the lean view of every answer, and the full record."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from darkroom.catalog.plans import Plans
from darkroom.catalog.prices import Quote
from darkroom.catalog.providers import Offer
from darkroom.domain.job import Event, Job, LedgerRow, State, Submission
from darkroom.domain.kinds import Mode
from darkroom.domain.money import json_usd, show_usd, to_micro
from darkroom.domain.output import Output
from darkroom.domain.request import clip
from darkroom.domain.run import Callback
from darkroom.errors import DarkroomError
from darkroom.events import Progress
from darkroom.server.callback_views import callback_view
from darkroom.services.estimates import job_cost
from darkroom.services.jobs import Lineage
from darkroom.services.routes import Proposal

DRAFT = "draft"
TELLING = 0.05
"""The part of a job from which its progress says when it ends."""
JOB_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "job_id": {"type": "string"},
        "status": {"type": "string"},
        "outputs": {"type": "array"},
        "cost": {"type": "object"},
        "error": {"type": "object"},
        "next": {"type": "string"},
    },
}
JOBS_SCHEMA: dict[str, Any] = {"type": "object", "properties": {"jobs": {"type": "array"}}}


def without_none(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data without keys whose value is None or empty; absent means null."""
    return {key: value for key, value in data.items() if value is not None and value != [] and value != {}}


def output_view(output: Output) -> dict[str, Any]:
    """Return what an answer says of one file."""
    return without_none(
        {
            "id": output.id,
            "path": output.path,
            "mime_type": output.media_type,
            "width": output.width,
            "height": output.height,
            "duration": output.duration,
            "variant": output.variant,
        }
    )


def job_view(
    job: Job, *, now: int, progress: Progress | None = None, offer: Offer | None = None, plans: Plans | None = None
) -> dict[str, Any]:
    """Return the lean view of a job; `offer` gives the typical time, `plans` the credits."""
    part = _leading(job)
    waiting = not job.ended and job.state is not State.SUBMIT_UNKNOWN
    eta_s = _eta_s(job, offer, now, progress) if waiting else None
    return without_none(
        {
            "job_id": job.id,
            "kind": job.kind.value,
            "status": job.state.value,
            "provider": part.provider,
            "model": part.model,
            "mode": job.mode.value,
            "progress": round(progress.fraction, 2) if waiting and progress and progress.fraction is not None else None,
            "message": (progress.message if waiting and progress else None) or _message(job, part),
            "seed": part.notes.get("seed", part.effective.seed),
            "outputs": [output_view(output) for output in job.outputs],
            "cost": _cost(job, plans),
            "error": job.error if job.state in (State.FAILED, State.SUBMIT_UNKNOWN) else None,
            "warnings": [
                *job.warnings,
                *_tried(job),
                *_missing(job),
            ],
            "draft": True if _is_draft(job, part) else None,
            "revised_prompt": part.notes.get("revised_prompt"),
            "parent_job_id": job.parent_job_id,
            "retry_of": job.retry_of,
            "eta_s": eta_s,
            "check_after_s": _check_after_s(job, eta_s, now) if waiting else None,
            "next": next_step(job),
        }
    )


def _leading(job: Job) -> Submission:
    """Return the submission that the job's state comes from."""
    return next((part for part in job.submissions if part.state is job.state), job.lead)


def _tried(job: Job) -> list[str]:
    """Say who refused it before another offer took it."""
    aside = [item for item in job.submissions if item.put_aside]
    return [f"{item.provider}/{item.model} refused it ({(item.error or {}).get('code')})." for item in aside]


def _missing(job: Job) -> list[str]:
    """Say of a job that succeeded in part what was not delivered, and why."""
    missing = [f"output {item.index}: {item.message}" for part in job.submissions for item in part.failed_outputs]
    if job.state is not State.SUCCEEDED:
        return missing
    for part in job.submissions:
        if part.state is State.SUCCEEDED or part.put_aside:
            continue
        first, last = part.effective.start + 1, part.effective.start + part.effective.n
        which = f"output {first}" if first == last else f"outputs {first} to {last}"
        why = (part.error or {}).get("message") or f"{part.state}."
        missing.append(f"{which}: {why}")
    return missing


def _message(job: Job, part: Submission) -> str | None:
    """Return what the draft engine understood, or what was joined, in words."""
    if job.state is not State.SUCCEEDED or part.provider != DRAFT:
        return None
    if job.mode is Mode.JOIN_VIDEO:
        return _joined(part, job.outputs)
    return "A local draft, made without any provider." + _heard(part)


def _is_draft(job: Job, part: Submission) -> bool:
    """Tell whether what a job makes is drawn here; clips that are joined are what they were."""
    return part.provider == DRAFT and job.mode is not Mode.JOIN_VIDEO


def _joined(part: Submission, outputs: Sequence[Output]) -> str:
    count = len(part.effective.inputs)
    seconds = next((item.duration for item in outputs if item.duration), part.effective.duration or 0)
    return f"Joined {count} clip{'s' if count != 1 else ''} on this machine: {round(seconds, 1):g} seconds."


def _heard(part: Submission) -> str:
    words: list[str] = []
    for key, label in (("understood", "It shows"), ("not_understood", "It does not show")):
        heard = part.notes.get(key)
        if isinstance(heard, list) and heard:
            words.append(f" {label}: {clip(', '.join(str(word) for word in heard), 160)}.")
    return "".join(words)


def _cost(job: Job, plans: Plans | None) -> dict[str, Any]:
    cost = job_cost(job)
    plan = job.plan if plans and job.plan in plans.plans else None
    return without_none(
        {
            "estimate_usd": None if cost.estimate is None else json_usd(cost.estimate),
            "actual_usd": None if cost.actual is None else json_usd(cost.actual),
            "credits": cost.credits(plans, plan) if plans and plan else None,
            "plan": plan,
        }
    )


def _eta_s(job: Job, offer: Offer | None, now: int, progress: Progress | None) -> int | None:
    """Return the seconds left: by its own progress, else by what is typical; None once it has taken longer."""
    taken = (now - job.created_at) / 1000
    if progress is not None and progress.fraction is not None and progress.fraction >= TELLING:
        return max(1, round(taken * (1 - progress.fraction) / progress.fraction))
    if offer is None or offer.typical_s is None or offer.typical_s <= taken:
        return None
    return max(1, round(offer.typical_s - taken))


def _check_after_s(job: Job, eta_s: int | None, now: int) -> int:
    """Return half of the seconds left, or a tenth of those taken where nobody knows what is left; 2 to 10."""
    wanted = (now - job.created_at) / 10_000 if eta_s is None else eta_s / 2
    return min(max(round(wanted), 2), 10)


def next_step(job: Job) -> str:
    """Return in one sentence what to do now."""
    match job.state:
        case State.SUCCEEDED:
            return _after_success(job)
        case State.FAILED:
            return _after_failure(job)
        case State.CANCELLED:
            return f"It stopped; {charged(job)}. retry_job('{job.id}') starts it again, as a new job."
        case State.SUBMIT_UNKNOWN:
            return _after_silence(job)
        case State.PARKED:
            return "It is past its deadline and still asked for, less often; check_job again in some minutes."
        case _ if job.cancel_requested_at is not None:
            return (
                f"The stop is noted; {job.lead.provider} has not confirmed one, and may finish and charge it all the "
                f"same. check_job(job_id='{job.id}', wait=25) says how it ended."
            )
        case _:
            return f"Call check_job(job_id='{job.id}', wait=25) to wait for it; it goes on by itself."


def _after_silence(job: Job) -> str:
    if not job.outputs:
        return "It was not sent again. Pay for a new attempt only knowingly, with retry_job."
    lacking = job.request.n - len(job.outputs)
    return (
        "Show what is there. The rest was not sent again: pay for a new attempt only knowingly, with "
        f"retry_job('{job.id}', changes={{'n': {lacking}}})."
    )


def _after_success(job: Job) -> str:
    lacking = job.request.n - len(job.outputs) if job.outputs else 0
    if job.cancel_requested_at is not None:
        return f"The cancel came too late: it is done, and {charged(job)}. Show the file."
    if lacking > 0:
        return f"Show what is there; retry_job('{job.id}', changes={{'n': {lacking}}}) pays anew for what is missing."
    if job.mode is Mode.JOIN_VIDEO:
        return "Show the file."
    if job.lead.provider == DRAFT:
        return f"Show the file; set a provider's key for the real thing, or refine it with refine='{job.id}'."
    return f"Show the file, or continue from it with refine='{job.id}'."


def charged(job: Job) -> str:
    """Return in words what a job costs all the same."""
    if any(part.actual is None for part in job.submissions):
        estimate = sum(part.estimate or 0 for part in job.submissions if not part.put_aside)
        counted = f"; {show_usd(estimate)} is counted as spent" if estimate else ""
        return f"nobody knows whether its provider charged it{counted}"
    total = sum(part.actual or 0 for part in job.submissions)
    return f"{show_usd(total)} was charged" if total else "nothing was charged"


def _after_failure(job: Job) -> str:
    error, provider, again = job.error or {}, job.lead.provider, f"retry_job('{job.id}')"
    elsewhere = f"retry_job('{job.id}', changes={{'provider': ...}})"
    ways = {
        "auth_failed": f"Mend the key of {provider} (darkroom doctor --online tries it), then {again}; or {elsewhere}.",
        "not_configured": f"Set the key of {provider} again, then {again}; or {elsewhere}.",
        "insufficient_credits": f"Top up the account at {provider}, then {again}; or {elsewhere}.",
    }
    if error.get("hint"):
        return str(error["hint"])
    if error.get("code") == "model_retired":
        gone = f"{provider}/{job.lead.model}"
        return f"{gone} is gone there; darkroom://models has others: retry_job('{job.id}', changes={{'model': ...}})."
    if error.get("retryable"):
        return f"{again} tries it again, as a new job that is paid for anew."
    usual = f"Change what was wrong with retry_job('{job.id}', changes={{...}}); it is a new job."
    return ways.get(str(error.get("code")), usual)


def job_text(view: dict[str, Any]) -> str:
    """Return the answer's one short text."""
    files = ", ".join(str(item.get("path") or item["url"]) for item in view.get("outputs", []))
    error = _said(view.get("error", {}))
    amount = f" {round(view['progress'] * 100)} %" if "progress" in view else ""
    parts = [
        f"{view['kind']} {view['job_id']}: {view['status']}{amount}",
        files,
        _paid(view),
        error,
        view.get("message"),
        " ".join(view.get("warnings", [])),
        view["next"],
    ]
    return ". ".join(str(part).rstrip(".") for part in parts if part) + "."


def _said(error: dict[str, Any]) -> str | None:
    """Return an error's message, with the provider's own words where it has them."""
    message, theirs = error.get("message"), error.get("provider_message")
    told = not theirs or str(theirs) in str(message)
    return message if told else f"{str(message).rstrip('.')}. The provider says: {clip(theirs, 200)}"


def _paid(view: dict[str, Any]) -> str | None:
    """Say what a finished job cost; nothing of what is free."""
    cost = view.get("cost", {})
    if view["status"] not in ("succeeded", "failed", "cancelled") or view.get("draft"):
        return None
    if "actual_usd" in cost:
        return f"It cost {show_usd(to_micro(Decimal(str(cost['actual_usd']))))}" if cost["actual_usd"] else None
    return "What it cost is not known" if view["status"] == "succeeded" else None


def proposal_view(proposal: Proposal) -> dict[str, Any]:
    """Return what a dry run says: the offer, the effective request and the price; nothing was stored."""
    request = proposal.effective
    return without_none(
        {
            "status": "estimate",
            "kind": request.kind.value,
            "provider": proposal.candidate.provider.id,
            "model": proposal.candidate.offer.model,
            "mode": request.mode.value,
            "effective": {
                **without_none({"n": request.n, "duration": request.duration, "resolution": request.resolution}),
                "size": f"{request.width}x{request.height}",
            },
            "cost": _planned_cost(proposal.quote) if proposal.quote else None,
            "warnings": list(proposal.warnings),
            "draft": True if proposal.candidate.makes_drafts else None,
            "next": _after_plan(proposal),
        }
    )


def _after_plan(proposal: Proposal) -> str:
    """Say of a dry run what it would cost, what would be put aside, and what is in its way."""
    quote = proposal.quote
    if quote is None:
        price = "be of unknown price"
    elif quote.free:
        price = "be free"
    else:
        span = f" ({show_usd(quote.low)} to {show_usd(quote.high)})" if quote.low != quote.high else ""
        least = "at least " if quote.partial else ""
        price = f"cost {least}{show_usd(quote.likely)}{span}; {show_usd(quote.high)} would be reserved"
    then = proposal.obstacle or "Call again without dry_run to start it."
    return f"Nothing was stored. This would {price}. {then}"


def _planned_cost(quote: Quote) -> dict[str, Any]:
    """Return a price before the work: what is likely, and what it may be where that varies."""
    spread = {"low_usd": json_usd(quote.low), "high_usd": json_usd(quote.high)} if quote.low != quote.high else {}
    least = {"at_least": True} if quote.partial else {}
    return {"estimate_usd": json_usd(quote.likely), **spread, **least, "reserved_usd": json_usd(quote.high)}


def error_view(error: DarkroomError) -> dict[str, Any]:
    """Return a refusal as structured content."""
    return {"status": "refused", "error": error.to_dict()}


def error_text(error: DarkroomError) -> str:
    """Return a refusal in words: what happened, what was kept, what to do next."""
    allowed = error.allowed if isinstance(error.allowed, str) else ", ".join(error.allowed or ())
    parts = [error.message, f"Allowed: {clip(allowed, 400)}" if allowed else "", error.hint or ""]
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part)


def record(
    job: Job,
    events: Sequence[Event],
    ledger: Sequence[LedgerRow],
    *,
    now: int,
    plans: Plans | None = None,
    callback: Callback | None = None,
    lineage: Lineage | None = None,
) -> dict[str, Any]:
    """Return everything that is known of a job, except secrets and file contents."""
    return {
        **job_view(job, now=now, plans=plans),
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "labels": list(job.labels),
        "idempotency_key": job.idempotency_key,
        "request": job.request.model_dump(mode="json", exclude_none=True),
        **({"lineage": without_none(_plain(lineage))} if lineage and lineage != Lineage() else {}),
        "submissions": [_submission(part) for part in job.submissions],
        "files": [
            without_none({**output_view(item), "bytes": item.bytes, "sha256": item.sha256, "thumbnail": item.thumbnail})
            for item in job.outputs
        ],
        **({"callback": callback_view(callback)} if callback is not None else {}),
        "history": [event.model_dump(mode="json", exclude_none=True, exclude={"job_id"}) for event in events],
        "ledger": [
            {
                "submission": row.submission,
                "kind": row.kind,
                "usd": json_usd(row.micro_usd),
                "certain": row.certain,
                "at": row.at,
            }
            for row in ledger
        ],
    }


def _plain(lineage: Lineage) -> dict[str, Any]:
    return {"ancestors": list(lineage.ancestors), "children": list(lineage.children)}


def _submission(part: Submission) -> dict[str, Any]:
    return without_none(
        {
            "offer": f"{part.provider}/{part.model}",
            "status": part.state.value,
            "attempt": part.attempt,
            "account": part.account,
            "provider_job_id": part.provider_job_id,
            "effective": part.effective.model_dump(mode="json", exclude_none=True),
            "sent_text": part.notes.get("sent_text") or (part.effective.text if part.effective.rules else None),
            "sent_at": part.sent_at,
            "notes": part.notes,
            "failed_outputs": [item.model_dump(mode="json") for item in part.failed_outputs],
            "error": part.error,
        }
    )
