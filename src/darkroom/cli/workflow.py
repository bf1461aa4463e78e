"""`darkroom workflow list`, `show`, `run`, `check` and `schema`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from pydantic import JsonValue
from rich.markup import escape
from rich.table import Table

from darkroom.app import App
from darkroom.catalog.workflows import schema as workflow_schema
from darkroom.cli.agent import start_task
from darkroom.cli.console import EXIT_USAGE, ask, err, fail, out
from darkroom.cli.run_options import (
    Again,
    AsJson,
    Context,
    ContextFile,
    DryRun,
    MaxCost,
    Model,
    Tier,
    Wait,
    context_of,
    terms_of,
    workflow_of,
)
from darkroom.domain.request import clip
from darkroom.domain.workflow import Step, Workflow
from darkroom.domain.workflow_check import sorted_steps
from darkroom.server.money_texts import several
from darkroom.server.run_views import workflow_row
from darkroom.server.views import without_none
from darkroom.services.tasks import Task
from darkroom.services.workflows import Begun, Planned

group = typer.Typer(no_args_is_help=True, help="Work in several steps: see it, check your own, run it.")
Flow = Annotated[str, typer.Argument(metavar="WORKFLOW", help="A name, a .json or .toml file, or - for stdin.")]
SHOWN = 100
"""Letters of a prompt that are shown of what a step will make."""


@group.command("list")
def workflows(as_json: AsJson = False) -> None:
    """List the workflows that darkroom brings along."""
    rows = ask(lambda app: [workflow_row(flow) for flow in app.workflows.select()])
    if as_json:
        out.print_json(data=rows)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("workflow", "steps", "does"):
        table.add_column(name, no_wrap=name == "workflow", overflow="fold")
    for row in rows:
        table.add_row(row["workflow"], str(len(row["steps"])), escape(row["does"]))
    out.print(table)


@group.command("run")
def start(
    workflow: Flow,
    task: Annotated[str, typer.Argument(metavar="TASK", help="What is to be made, in a sentence.")],
    context: Context = None,
    context_file: ContextFile = None,
    tier: Tier = None,
    model: Model = None,
    max_cost: MaxCost = None,
    dry_run: DryRun = False,
    wait: Wait = None,
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Run a workflow and follow its steps."""
    asked = Task(
        task=task,
        workflow=workflow_of(workflow),
        context=context_of(context, context_file),
        tier=tier.strip().lower() if tier else None,
        model=model,
    )
    start_task(asked, terms_of(max_cost, again=again, dry_run=dry_run), wait, as_json=as_json)


@group.command()
def show(
    workflow: Flow,
    task: Annotated[str, typer.Option(help="A task: what would be read from it, and made for it.")] = "",
    context: Context = None,
    context_file: ContextFile = None,
    as_source: Annotated[
        bool, typer.Option("--source", help="Print the whole of it as JSON, to begin one of your own with.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a workflow's inputs and steps, and what they would make of a task; starts nothing."""
    source, known = workflow_of(workflow), context_of(context, context_file)
    if as_source:
        out.print_json(data=ask(lambda app: app.workflows.read(source).model_dump(mode="json", exclude_defaults=True)))
        return

    def work(app: App) -> dict[str, Any]:
        flow = app.workflows.read(source)
        if not (task.strip() or known):
            return _view(flow, None, [], ())
        thinks = app.chat_models.choose(None, None) is not None
        begun = app.workflows.begin(flow, task, known, thinks=thinks)
        plan = app.workflows.plan(begun.work, thinks=thinks)
        return _view(flow, begun, plan, app.workflows.notes(begun.work, plan, thinks=thinks))

    view = ask(work)
    out.print_json(data=view) if as_json else _print(view)


def _view(flow: Workflow, begun: Begun | None, plan: list[Planned], notes: Sequence[str]) -> dict[str, Any]:
    """Return a workflow; with what a task makes of it where one is given."""
    values: Mapping[str, JsonValue] = begun.work.get("inputs", {}) if begun else {}
    inputs = [
        without_none(
            {
                "input": name,
                "about": item.about,
                "type": item.type,
                "required": item.required or None,
                "default": item.usual if item.default is not None else None,
                "choices": list(item.choices),
                "value": values.get(name),
                "from": begun.sources[name] if begun else None,
            }
        )
        for name, item in flow.inputs.items()
    ]
    steps = [_planned(item) for item in plan] or [_step(flow.step(name)) for name in sorted_steps(flow)]
    view = {"workflow": flow.name, "name": flow.title, "does": flow.about, "inputs": inputs, "steps": steps}
    return {**view, "notes": list(notes)} if notes else view


def _step(step: Step) -> dict[str, Any]:
    return without_none(
        {
            "step": step.id,
            "kind": step.kind.value,
            "title": step.called,
            "does": step.about or None,
            "who": step.agent or step.skill,
            "for_each": step.for_each,
        }
    )


def _planned(item: Planned) -> dict[str, Any]:
    return without_none(
        {
            "step": item.step,
            "kind": item.kind,
            "title": item.title,
            "does": item.about or None,
            "who": item.who,
            "after": list(item.after),
            "items": item.items,
            "given": item.given or None,
            "approximate": item.approximate or None,
            "calls": [{"tool": tool, "arguments": without_none(arguments)} for tool, arguments in item.calls],
        }
    )


def _print(view: dict[str, Any]) -> None:
    out.print(f"{view['name'] or view['workflow']}", style="bold", markup=False)
    if view["does"]:
        out.print(view["does"], markup=False, soft_wrap=False)
    planned = any("from" in item for item in view["inputs"])
    if view["inputs"]:
        out.print("\nInputs", style="bold")
        out.print(_planned_inputs(view["inputs"]) if planned else _inputs(view["inputs"]))
    out.print("\nSteps", style="bold")
    out.print(_steps(view["steps"]))
    for note in view.get("notes", ()):
        err.print(f"note: {note}", markup=False)
    if any(step.get("approximate") for step in view["steps"]):
        err.print("A language model answers the steps of agents, and may decide otherwise.", style="dim")
    if not planned and view["inputs"]:
        err.print("--task 'what you want' shows what would be read from it, and made.", style="dim")


def _grid(*fixed: bool) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for whole in fixed:
        table.add_column(no_wrap=whole, overflow="fold")
    return table


def _inputs(inputs: list[dict[str, Any]]) -> Table:
    """Return what may be said, and what is usual where nothing is said."""
    table = _grid(True, False, False)
    for item in inputs:
        usual = "required" if item.get("required") else _said(item.get("default"))
        choices = " (a list)" if item["type"] == "list" else ""
        choices += f" ({', '.join(item['choices'])})" if item.get("choices") else ""
        table.add_row(f"  {item['input']}", escape(usual), f"[dim]{escape(item.get('about', '') + choices)}[/]")
    return table


def _planned_inputs(inputs: list[dict[str, Any]]) -> Table:
    """Return what a task says, and where that is from."""
    table = _grid(True, True, False)
    sources = {"task": "from the task", "context": "given", "default": "as usual"}
    for item in inputs:
        source = sources[item["from"]] if "value" in item else "not said"
        told = _said(item["value"]) if "value" in item else item.get("about", "")
        table.add_row(f"  {item['input']}", f"[dim]{source}[/]", escape(told))
    return table


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value)))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _steps(steps: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for whole in (True, True, True, False):
        table.add_column(no_wrap=whole, overflow="fold")
    for number, step in enumerate(steps, 1):
        count = step.get("items")
        kind = f"{step['kind']}{f' x {count}' if count not in (None, 1) else ''}"
        notes = [step.get("does", ""), step.get("who") and f"By {step['who']}.", "Given." if step.get("given") else ""]
        if "for_each" in step:
            notes.append(f"Each of {step['for_each'].strip('{}').removeprefix('steps.')}.")
        told = "\n".join([" ".join(note for note in notes if note), *_calls(step)])
        table.add_row(f"  {number}.", escape(step["title"]), kind, escape(told))
    return table


def _calls(step: Mapping[str, Any]) -> list[str]:
    """Return what a step will generate, a line each."""
    return [f"- {_call(call['arguments'])}" for call in step.get("calls", ()) if step["kind"] in ("image", "video")]


def _call(arguments: Mapping[str, Any]) -> str:
    names = ("model", "duration", "size", "aspect_ratio", "resolution")
    facts = [f"{arguments[name]}{' s' if name == 'duration' else ''}" for name in names if name in arguments]
    prompt = clip(str(arguments.get("prompt", "")).replace("\n", " "), SHOWN)
    return f"{', '.join(facts)}: {prompt}" if facts else prompt


@group.command()
def check(
    file: Annotated[Path, typer.Argument(help="A workflow of your own, as .toml or .json; - for JSON on stdin.")],
) -> None:
    """Check a workflow of your own; ends with 1 and names the fault where one is found."""
    source = workflow_of(str(file))
    if isinstance(source, str):
        fail(f"{file} is neither a .toml nor a .json file; darkroom workflow list shows those by name.", EXIT_USAGE)
    flow = ask(lambda app: app.workflows.read(source))
    steps = ", ".join(sorted_steps(flow))
    needed = [name for name, item in flow.inputs.items() if item.required]
    asks = f"; asks for {', '.join(needed)}" if needed else ""
    where = "stdin" if str(file) == "-" else file
    out.print(f"{where}: good. {flow.name} has {several(len(flow.steps), 'step')}: {steps}{asks}.", markup=False)


@group.command()
def schema() -> None:
    """Print the JSON Schema of a workflow's file, for editors and models that write one."""
    out.print_json(data=workflow_schema())
