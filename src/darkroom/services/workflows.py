"""Workflows as people meet them: found by name, checked, their inputs read from a task, and shown before they run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import JsonValue

from darkroom.catalog.workflows import read_workflow
from darkroom.domain.names import did_you_mean, plain
from darkroom.domain.request import clip
from darkroom.domain.task_words import READERS
from darkroom.domain.templates import fill, fill_text, said
from darkroom.domain.unread import left_out, other_number
from darkroom.domain.workflow import JOBS, Step, StepKind, StepState, Unit, Work, Workflow
from darkroom.domain.workflow_answers import drafted, given_in, is_given
from darkroom.domain.workflow_check import needs, sorted_steps
from darkroom.domain.workflow_kinds import NOTHING
from darkroom.domain.workflow_steps import Ready, Tool, generation, given_files, go_on, made, ready_in, scope_at
from darkroom.errors import InvalidRequest, NotConfigured, UnexpectedAnswer
from darkroom.services.agents import AgentCatalogue
from darkroom.services.brainstorm import Idea, brainstorm
from darkroom.services.inputs import check_count, check_names, read_input
from darkroom.services.skills import SkillLibrary

LATER = "later:"
"""How a file is called in a plan, that a step is still to make."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A workflow with its inputs, ready to become a run."""

    work: dict[str, Any]
    """What the run starts from: `Run.work`."""
    sources: dict[str, str]
    """By input: `context`, `task` or `default`."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a step will do."""

    step: str
    kind: str
    title: str
    about: str
    who: str | None
    """The agent or the skill."""
    after: tuple[str, ...]
    items: int | None
    """How many times it is done; None where that is known only on the way."""
    calls: tuple[tuple[Tool, dict[str, JsonValue]], ...]
    """What it will generate; files that are still to be made are called `later:step[index]`."""
    given: bool
    approximate: bool
    """Whether a language model may decide otherwise."""


class WorkflowLibrary:
    """Lists, reads and prepares workflows; every method may read files, and none starts anything."""

    def __init__(
        self, workflows: Callable[[], Mapping[str, Workflow]], agents: AgentCatalogue, skills: SkillLibrary
    ) -> None:
        self._workflows = workflows
        self._agents = agents
        self._skills = skills

    def select(self) -> list[Workflow]:
        """Return every shipped workflow, by name."""
        return [flow for _, flow in sorted(self._workflows().items())]

    def find(self, name: str) -> Workflow:
        """Return a shipped workflow by name, title or alias, in any spelling.

        Raises:
            InvalidRequest: If there is none; the nearest is named.
        """
        every = self._workflows()
        for flow in every.values():
            if plain(name) in map(plain, (flow.name, flow.title, *flow.aliases)):
                return flow
        raise InvalidRequest(
            f"There is no workflow {clip(name)!r}.{did_you_mean(name, every)}",
            field="workflow",
            allowed=sorted(every),
            hint=f"{NOTHING} A workflow of your own is given as a JSON object with steps.",
        )

    def read(self, source: str | Mapping[str, Any]) -> Workflow:
        """Return the workflow of a name, a JSON text or data, checked whole.

        Raises:
            InvalidRequest: If there is none of that name, or something in it is wrong.
        """
        if isinstance(source, str) and not source.lstrip().startswith("{"):
            return self.find(source)
        flow = read_workflow(source)
        self._check_names(flow)
        return flow

    def _check_names(self, flow: Workflow) -> None:
        for step in flow.steps:
            try:
                if step.agent is not None:
                    self._agents.find(step.agent)
                elif step.skill is not None:
                    self._skills.get(step.skill)
            except InvalidRequest as exc:
                raise InvalidRequest(
                    f"Step {step.id!r}: {exc.message}", field=f"workflow.steps.{step.id}", hint=NOTHING
                ) from None
        for name, item in flow.inputs.items():
            if item.reader is not None and item.reader not in READERS:
                raise InvalidRequest(
                    f"Input {name!r} has a reader {clip(item.reader)!r}.{did_you_mean(item.reader, READERS)}",
                    field=f"workflow.inputs.{name}",
                    allowed=sorted(READERS),
                    hint=NOTHING,
                )

    def begin(self, flow: Workflow, task: str, context: Mapping[str, JsonValue], *, thinks: bool) -> Begun:
        """Return what a run of a workflow starts from; `thinks`: agents have a language model.

        Inputs are taken from the context, else read from the task, else as usual. The context may also give results
        of agent steps (`script`, or a field of its answer such as `scenes`) and ids of outputs of the others.

        Raises:
            InvalidRequest: If the task asks for several, an input is missing or impossible, a given result cannot be
                read, or the context has what the workflow does not know.
            NotConfigured: If a step has no draft and there is no language model.
        """
        check_names(flow, context)
        check_count(flow, task)
        inputs: dict[str, JsonValue] = {}
        sources: dict[str, str] = {}
        for name, item in flow.inputs.items():
            inputs[name], sources[name] = read_input(name, item, task, context)
        try:
            given = {step.id: found for step in flow.steps if (found := given_in(step, context))}
        except UnexpectedAnswer as exc:
            raise InvalidRequest(
                f"context: {exc.message}", field=f"context.{exc.field}", allowed=exc.allowed, hint=NOTHING
            ) from None
        for step in flow.steps:
            silent = step.kind is StepKind.AGENT and step.draft is None and not is_given(step, given.get(step.id, {}))
            if silent and not thinks:
                raise NotConfigured(
                    f"Step {step.id!r} needs a language model, and none is configured.",
                    hint=f"{NOTHING} Set a provider's key, or give the step's result as context.{step.id}.",
                )
        return Begun(Work(workflow=flow, task=task, inputs=inputs, sources=sources, given=given).dump(), sources)

    def plan(self, work: Mapping[str, Any], *, thinks: bool) -> list[Planned]:
        """Return what a run would do, step by step, as far as it can be known before; nothing is started."""
        here = Work.model_validate(work)
        calls: dict[str, list[tuple[Tool, dict[str, JsonValue]]]] = {}
        while found := ready_in(here := go_on(here, 0)):
            steps = dict(here.steps)
            for ready in found:
                steps[ready.key] = self._imagine(here, ready, calls.setdefault(ready.step.id, []))
            here = here.model_copy(update={"steps": steps})
        flow = here.workflow
        return [
            _planned(here, flow.step(name), tuple(calls.get(name, ())), thinks=thinks) for name in sorted_steps(flow)
        ]

    def notes(self, work: Mapping[str, Any], plan: Sequence[Planned], *, thinks: bool) -> tuple[str, ...]:
        """Return what of a task drafts will not do as it says, before any is made; `plan` as `plan` returns it.

        Nothing is known before where a language model thinks.
        """
        if thinks:
            return ()
        here = Work.model_validate(work)
        flow = here.workflow
        drafts = any(step.draft is not None and not here.given.get(step.id) for step in flow.steps)
        found = [left_out(flow, here.task)] if drafts else []
        for item in plan:
            made = sum(_count(arguments) for _, arguments in item.calls) if item.kind in JOBS else 0
            noun = item.step.rpartition("_")[2]
            asked = other_number(here.task, noun, made) if made else None
            if asked:
                found.append(f"The task says {asked!r}; {made} will be made: {flow.name} sets their number itself.")
        return tuple(note for note in found if note)

    def _imagine(self, work: Work, ready: Ready, calls: list[tuple[Tool, dict[str, JsonValue]]]) -> Unit:
        """Return a step as if it were done; unknown ones stay running, so that nothing is planned behind them."""
        step, done = ready.step, Unit(state=StepState.SUCCEEDED)
        if step.kind in JOBS:
            files = given_files(work, ready)
            if not files:
                tool, arguments = generation(work, ready)
                calls.append((tool, arguments))
                several = range(1, _count(arguments))
                files = [f"{LATER}{ready.key}", *(f"{LATER}{ready.key}.{number}" for number in several)]
            return made(done, files, 0)
        scope = scope_at(work, step, ready.index)
        if step.kind is StepKind.SKILL:
            task, context = said(fill_text(step.task or "", scope)), _filled(step.context, scope)
            return done.model_copy(
                update={"output": self.skilled(step.skill or "", task, context, _filled(step.brainstorm, scope))}
            )
        if step.draft is None and not is_given(step, work.given.get(step.id, {})):
            return Unit(state=StepState.RUNNING)
        return done.model_copy(update={"output": drafted(step, work, scope)})

    def skilled(
        self,
        skill: str,
        request: str,
        context: Mapping[str, JsonValue],
        asked: Mapping[str, JsonValue] | None = None,
    ) -> dict[str, JsonValue]:
        """Return the result of a skill step: a skill made ready, with ideas where `asked` says for what.

        Keys: skill, agent, prompt, deliverables, questions [{key, question}], and angles, headlines, propositions,
        visuals [{name, line, why}].

        Raises:
            InvalidRequest: If there is no such skill, or the brainstorm asks for what there is not.
        """
        made_ready = self._skills.invoke(self._skills.get(skill), request, context)
        ideas = brainstorm(asked, context, request, skill) if asked else None
        return {
            "skill": made_ready.skill.id,
            "agent": made_ready.agent,
            "prompt": made_ready.prompt,
            "deliverables": list(made_ready.deliverables),
            "questions": [{"key": item.key, "question": item.text} for item in made_ready.questions],
            "angles": _ideas(ideas.angles if ideas else ()),
            "headlines": _ideas(ideas.headlines if ideas else ()),
            "propositions": _ideas(ideas.propositions if ideas else ()),
            "visuals": _ideas(ideas.visuals if ideas else ()),
        }


def _planned(work: Work, step: Step, calls: tuple[tuple[Tool, dict[str, JsonValue]], ...], *, thinks: bool) -> Planned:
    units = work.units(step.id)
    known = all(unit.state is StepState.SUCCEEDED for unit in units)
    given = bool(work.given.get(step.id))
    return Planned(
        step=step.id,
        kind=step.kind.value,
        title=step.called,
        about=step.about,
        who=step.agent or step.skill,
        after=tuple(need.step for need in needs(step, work.workflow)),
        items=len(units) if known and (step.for_each is None or step.id in work.lists) else None,
        calls=calls,
        given=given,
        approximate=thinks and not given,
    )


def _count(arguments: Mapping[str, JsonValue]) -> int:
    """Return how many outputs a call makes."""
    count = arguments.get("n")
    return count if isinstance(count, int) else 1


def _filled(value: Mapping[str, JsonValue], scope: Mapping[str, Any]) -> dict[str, JsonValue]:
    return cast("dict[str, JsonValue]", fill(dict(value), scope))


def _ideas(ideas: tuple[Idea, ...]) -> list[JsonValue]:
    return [{"name": idea.entry.name, "line": idea.line, "why": idea.why} for idea in ideas]
