"""The rules by which a run of a workflow goes on: what is ready, what it is given, and what becomes of the rest."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import JsonValue

from darkroom.domain.assumed import assumed, told
from darkroom.domain.expressions import INDEX
from darkroom.domain.request import clip
from darkroom.domain.templates import fill, fill_text, said
from darkroom.domain.unread import left_out
from darkroom.domain.workflow import DRAFTED, JOBS, MAX_ITEMS, Step, StepKind, StepState, Table, Unit, Work
from darkroom.domain.workflow_check import Need, lists_of, needs
from darkroom.errors import DarkroomError, InvalidRequest

FILM = "film-join"
"""The model that joins clips on this machine."""
_CALLED = 100
"""Letters of a task by which a film is called that has no words of its own."""
TEMPLATES = "Written from templates, without a language model: what the task wishes beyond that is not in it."
Tool = Literal["generate_image", "generate_video"]


@dataclass(frozen=True, slots=True)
class Ready:
    """A step, or one item of it, that can be started."""

    key: str
    step: Step
    index: int | None = None


def key_of(run_id: str, ready: Ready, attempt: int) -> str:
    """Return what makes a repetition of a start the same start."""
    return f"{run_id}/{ready.key}/{attempt}"


def go_on(work: Work, now: int) -> Work:
    """Return the work with the lists counted that are known by now; `now` in milliseconds."""
    lists, steps = dict(work.lists), dict(work.steps)
    for step in work.workflow.steps:  # in their own order, so that a chain may take several rounds; callers loop
        here = work.model_copy(update={"lists": lists, "steps": steps})
        if step.for_each and step.id not in lists and not here.unit(step.id).over:
            _count(here, step, lists, steps, now)
    done = work.model_copy(update={"lists": lists, "steps": steps})
    return done if done == work else go_on(done, now)


def given_up(work: Work, wrong: Ready, now: int) -> Work:
    """Return the work with everything skipped that has not begun, since a step has failed that may not.

    What the run is for cannot be made any more, so nothing further is paid for; what is under way is left to end.
    """
    why, steps = f"Not started, since step {wrong.key} failed.", dict(work.steps)
    for ready in [ready for step in work.workflow.steps for ready in _open(work, step)]:
        unit = work.unit(ready.key)
        told = f"{unit.message} {why.replace('started', 'tried again')}" if unit.message else why
        steps[ready.key] = unit.model_copy(update={"state": StepState.SKIPPED, "ended_at": now, "message": told})
    return work.model_copy(update={"steps": steps})


def _count(work: Work, step: Step, lists: dict[str, int], steps: dict[str, Unit], now: int) -> None:
    """Note how many items a step has, once what it goes through is known."""
    if not all(_ended(work, Need(name), None) for name in lists_of(step)):
        return
    rows = fill_text(step.for_each or "", scope_at(work, step))
    found = cast("list[JsonValue]", rows) if isinstance(rows, list) else []
    if len(found) > MAX_ITEMS:
        error = InvalidRequest(
            f"{step.called} would have {len(found)} items.", field=step.id, allowed=f"up to {MAX_ITEMS}"
        )
        steps[step.id] = failed(work.unit(step.id), error, now)
    else:
        lists[step.id] = len(found)


def ready_in(work: Work) -> list[Ready]:
    """Return what can be started now, in the order of the workflow."""
    found: list[Ready] = []
    for step in work.workflow.steps:
        if step.for_each is None or step.id in work.lists:
            wanted = needs(step, work.workflow)
            found += [ready for ready in _open(work, step) if all(_ended(work, need, ready.index) for need in wanted)]
    return found


def running_in(work: Work) -> list[Ready]:
    """Return what was started and has not ended."""
    return [
        ready for step in work.workflow.steps for ready in _items(work, step) if _is(work, ready, StepState.RUNNING)
    ]


def _open(work: Work, step: Step) -> Iterator[Ready]:
    return (ready for ready in _items(work, step) if _is(work, ready, StepState.QUEUED))


def _is(work: Work, ready: Ready, state: StepState) -> bool:
    return work.unit(ready.key).state is state


def _items(work: Work, step: Step) -> list[Ready]:
    if step.id not in work.lists:
        return [Ready(step.id, step)]
    return [Ready(key, step, index) for index, key in enumerate(work.keys(step.id))]


def _ended(work: Work, need: Need, index: int | None) -> bool:
    """Return whether a step is done, or was optional and has failed."""
    step = work.workflow.step(need.step)
    if step.for_each and step.id not in work.lists:
        units = [work.unit(step.id)]
    elif need.same and index is not None:
        units = [work.unit(f"{step.id}[{index}]")]
    else:
        units = work.units(step.id)
    return all(unit.over and (step.optional or unit.state is StepState.SUCCEEDED) for unit in units)


def over(work: Work) -> bool:
    """Return whether nothing is left to be done or awaited."""
    return all(unit.over for step in work.workflow.steps for unit in work.units(step.id))


def failures(work: Work) -> list[Ready]:
    """Return what failed and may not, in the order of the workflow."""
    return [
        ready
        for step in work.workflow.steps
        if not step.optional
        for ready in _items(work, step)
        if _is(work, ready, StepState.FAILED)
    ]


def failed(unit: Unit, error: DarkroomError | Mapping[str, Any], now: int) -> Unit:
    """Return a unit that has ended with an error."""
    told = error.to_dict() if isinstance(error, DarkroomError) else dict(error)
    return unit.model_copy(
        update={"state": StepState.FAILED, "error": told, "ended_at": now, "message": str(told.get("message", ""))}
    )


def scope_at(work: Work, step: Step | None = None, index: int | None = None) -> dict[str, Any]:
    """Return what templates may refer to, for a step and its item; without a step, for the whole workflow."""
    steps: dict[str, JsonValue] = {}
    wanted = None if step is None else {need.step for need in needs(step, work.workflow)}
    for other in work.workflow.steps:
        if wanted is not None and other.id not in wanted:
            continue
        outputs = [cast("JsonValue", unit.output) for unit in work.units(other.id)]
        steps[other.id] = outputs if other.for_each else outputs[0]
    scope: dict[str, Any] = {"task": work.task, "inputs": work.inputs, "tables": chosen(work), "steps": steps}
    if step is not None and index is not None:
        rows = fill_text(step.for_each or "", scope)
        scope |= {"item": cast("list[JsonValue]", rows)[index], INDEX: index}
    return scope


def chosen(work: Work) -> dict[str, JsonValue]:
    """Return the row of each table that fits best: the longest word found, else the first row without words."""
    scope = {"task": work.task, "inputs": work.inputs}
    return {name: _row(table, said(fill_text(table.by, scope))) for name, table in work.workflow.tables.items()}


def _row(table: Table, text: str) -> JsonValue:
    words = [_single(word) for word in re.findall(r"[^\W_]+", text.lower())]
    best, longest = None, 0
    for row in table.rows:
        for phrase in row.get("match", ()):
            wanted = [_single(word) for word in phrase.lower().split()]
            there = any(words[at : at + len(wanted)] == wanted for at in range(len(words)))
            if there and len(phrase) > longest:
                best, longest = row, len(phrase)
    usual = next((row for row in table.rows if not row.get("match")), table.rows[0])
    return {name: value for name, value in (best or usual).items() if isinstance(value, str)}


def _single(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def generation(work: Work, ready: Ready) -> tuple[Tool, dict[str, JsonValue]]:
    """Return the tool call of an image, video or join step: its name and arguments, without what has no value.

    Raises:
        InvalidRequest: If there is nothing to join.
    """
    scope, step = scope_at(work, ready.step, ready.index), ready.step
    filled = cast("dict[str, JsonValue]", fill(step.arguments, scope))
    if step.kind is StepKind.JOIN:
        return "generate_video", _joined(step, filled, work.task)
    named = {"model": step.model, "provider": step.provider}
    filled |= {name: fill_text(text, scope) for name, text in named.items() if text}
    tool: Tool = "generate_image" if step.kind is StepKind.IMAGE else "generate_video"
    return tool, {name: value for name, value in filled.items() if value not in (None, "", [])}


def _joined(step: Step, filled: dict[str, JsonValue], task: str) -> dict[str, JsonValue]:
    clips = filled.pop("clips")
    names = [said(item) for item in clips if item] if isinstance(clips, list) else [said(clips)] if clips else []
    if not names:
        raise InvalidRequest(f"{step.called} has no clips to join.", field=step.id, hint="Nothing was started for it.")
    resolution, prompt = filled.pop("resolution", None), filled.pop("prompt", None) or clip(task, _CALLED)
    options: dict[str, JsonValue] = {name: value for name, value in filled.items() if value not in (None, "")}
    images: list[JsonValue] = [f"clip={name}" for name in names]
    call: dict[str, JsonValue] = {"prompt": prompt, "model": FILM, "images": images}
    extra: dict[str, JsonValue] = {"resolution": resolution, "options": options}
    return call | {name: value for name, value in extra.items() if value}


def made(unit: Unit, outputs: list[str], now: int) -> Unit:
    """Return a unit whose job has succeeded, with the ids of its outputs."""
    output: dict[str, JsonValue] = {
        "output": outputs[0] if outputs else None,
        "outputs": cast("list[JsonValue]", outputs),
        "job": unit.job_id,
    }
    return unit.model_copy(update={"state": StepState.SUCCEEDED, "output": output, "ended_at": now, "message": None})


def result(work: Work) -> tuple[str, dict[str, JsonValue]]:
    """Return the summary and the data of a run: `files`, what was `assumed`, and what the workflow names besides."""
    scope, wanted = scope_at(work), work.workflow.output
    files: list[JsonValue] = []
    for text in wanted.files:
        found = fill_text(text, scope)
        files += [item for item in (found if isinstance(found, list) else [found]) if item]
    data = cast("dict[str, JsonValue]", fill(cast("JsonValue", wanted.data), scope))
    summary, taken = said(fill_text(wanted.summary, scope)), assumed(work.inputs, work.sources)
    notes = told(work.workflow, work.inputs, work.sources)
    more: dict[str, JsonValue] = {"assumed": taken} if taken else {}
    drafted = _templates(work) if any(unit.message == DRAFTED for unit in work.steps.values()) else ""
    return "\n\n".join(part for part in (summary, drafted, notes) if part), {
        "files": list(dict.fromkeys(map(said, files))),
        **more,
        **data,
    }


def _templates(work: Work) -> str:
    return "\n".join(part for part in (TEMPLATES, left_out(work.workflow, work.task)) if part)


def kept(work: Work) -> list[str]:
    """Return the ids of every output that the steps have made."""
    steps = [step for step in work.workflow.steps if step.kind in JOBS]
    outputs = [unit.output for step in steps for unit in work.units(step.id) if unit.output]
    return [said(item) for output in outputs for item in cast("list[JsonValue]", output["outputs"])]


def given_files(work: Work, ready: Ready) -> list[str]:
    """Return the outputs that the caller gave for a step or item, so that nothing has to be made for it."""
    given = work.given.get(ready.step.id, {}).get("outputs")
    found = given if isinstance(given, list) else []
    return [said(item) for item in (found if ready.index is None else found[ready.index : ready.index + 1]) if item]


def finished(work: Work) -> dict[str, JsonValue]:
    """Return what finished steps have made, in the form in which a context can give it to another run.

    What the caller gave for steps that were not reached is among it.
    """
    found: dict[str, JsonValue] = {}
    for step in work.workflow.steps:
        if step.kind is StepKind.AGENT and not step.for_each:
            answer = work.unit(step.id).output or work.given.get(step.id)
            if answer:
                found[step.id] = answer
        elif step.kind in JOBS:
            files = [_files_of(work, ready) for ready in _items(work, step)]
            if any(files):
                several = step.for_each is not None
                found[step.id] = [names[0] if names else None for names in files] if several else list(files[0])
    return found


def _files_of(work: Work, ready: Ready) -> list[str]:
    output = work.unit(ready.key).output
    return [said(name) for name in cast("list[JsonValue]", output["outputs"])] if output else given_files(work, ready)
