"""What tools answer to the model: short JSON, with what to do next."""

import json
from collections.abc import Mapping
from typing import Any

from darkroom.catalog.prices import Quote
from darkroom.catalog.routing import DRAFT
from darkroom.domain.job import Job
from darkroom.domain.money import json_usd
from darkroom.domain.output import Output
from darkroom.domain.request import clip
from darkroom.errors import DarkroomError, MoneyError
from darkroom.llm.limits import RESULT_CHARS
from darkroom.services.estimates import Estimate, Listed, job_cost
from darkroom.services.skills import Candidate, Invocation

MODELS = 20
"""Rows of a list of models."""
ASK_THE_USER = (
    "You cannot agree to spending. Finish what can be done without it, and tell the user what it would cost and that "
    "a higher max_cost in a new call allows it."
)


def text_of(data: Mapping[str, Any]) -> str:
    """Return data as compact JSON without what is empty, cut where it is too long."""
    told = {key: value for key, value in data.items() if value not in (None, [], {}, ())}
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    if len(text) <= RESULT_CHARS:
        return text
    return f"{text[:RESULT_CHARS]} (cut: {len(text) - RESULT_CHARS:,} characters are left out)"


def error_text(error: DarkroomError) -> str:
    """Return a mistake with what to do about it."""
    told = error.to_dict()
    if isinstance(error, MoneyError):
        told["hint"] = ASK_THE_USER  # the hints of these are for whoever may decide about money
    return text_of({"error": told})


def job_row(job: Job, *, paths: bool) -> dict[str, Any]:
    """Return a job in short; `paths`: whether files of this machine may be named."""
    cost = job_cost(job)
    row: dict[str, Any] = {
        "job_id": job.id,
        "status": job.state.value,
        "kind": job.kind.value,
        "model": f"{job.lead.provider}/{job.lead.model}",
        "draft": True if job.lead.provider == DRAFT else None,
        "outputs": [_output(output, paths=paths) for output in job.outputs],
        "estimate_usd": None if cost.estimate is None else json_usd(cost.estimate),
        "actual_usd": None if cost.actual is None else json_usd(cost.actual),
        "warnings": list(job.warnings),
        "revised_prompt": job.lead.notes.get("revised_prompt"),
    }
    if job.error:
        row["error"] = {name: job.error[name] for name in ("code", "message", "hint") if job.error.get(name)}
    return {key: value for key, value in row.items() if value not in (None, [], {})}


def _output(output: Output, *, paths: bool) -> dict[str, Any]:
    row = {
        "id": output.id,
        "path": output.path if paths else None,
        "width": output.width,
        "height": output.height,
        "duration": output.duration,
    }
    return {key: value for key, value in row.items() if value is not None}


def estimate_text(found: Estimate) -> str:
    """Return a price with what could be taken instead."""
    return text_of(
        {
            "offer": found.priced.candidate.name,
            "cost_usd": _amounts(found.priced.one, found.priced.piece.n),
            "price": None if found.priced.one else "not known",
            "state": found.state,
            "assumed": list(found.assumed),
            "warnings": [*found.priced.warnings, *found.warnings],
            "others": [
                {
                    "offer": one.candidate.name,
                    "usd": None if one.likely is None else json_usd(one.likely),
                    "state": state,
                }
                for one, state in found.others[:3]
            ],
        }
    )


def _amounts(one: Quote | None, count: int) -> dict[str, Any] | None:
    if one is None:
        return None
    return {name: json_usd(getattr(one, name) * count) for name in ("low", "likely", "high")}


def models_text(rows: list[Listed]) -> str:
    """Return offers, ready ones first, with the price of their usual work."""
    return text_of(
        {
            "models": [
                {
                    "model": row.candidate.name,
                    "state": row.state,
                    "usual_usd": None if row.usual is None else json_usd(row.usual.likely),
                }
                for row in rows[:MODELS]
            ],
            "left_out": max(len(rows) - MODELS, 0) or None,
        }
    )


def skill_text(found: Invocation) -> str:
    """Return a skill made ready for the work."""
    return text_of(
        {
            "skill": found.skill.id,
            "prompt": found.prompt,
            "questions": [item.text for item in found.questions],
            "deliverables": list(found.deliverables),
            "context": {key: value for key, value in found.context.items() if key != "files"},
            "next": "Follow it yourself; ask what is open only where it matters, else assume and say so.",
        }
    )


def skills_text(found: list[Candidate], words: str) -> str:
    """Return the skills that may help."""
    rows = [{"skill": item.skill.id, "what": item.reason, "confidence": round(item.confidence, 2)} for item in found]
    return text_of({"skills": rows, "next": f"Nothing fits {clip(words)!r}." if not rows else "Call use_skill."})
