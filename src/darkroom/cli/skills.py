"""`darkroom skills`, `skill show`, `skill invoke`, `skill validate` and `agents`."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from darkroom.app import App
from darkroom.catalog.documents import DocumentError
from darkroom.catalog.skills import FILE, Skill, read_skill
from darkroom.cli.console import EXIT_FAILED, EXIT_USAGE, ask, err, fail, out
from darkroom.server import skill_views as views
from darkroom.server.tools import TOOLS
from darkroom.services.brainstorm import brainstorm

AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
Name = Annotated[str, typer.Argument(help="A skill by name, in any spelling.")]
group = typer.Typer(no_args_is_help=True, help="Show, use or check one skill.")


def skills(
    words: Annotated[list[str] | None, typer.Argument(help="What you want to do.")] = None,
    category: Annotated[str | None, typer.Option(help="Only skills of that category.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the skills, or those that fit some words, the best first."""
    wanted = " ".join(words or ()) or None

    def work(app: App) -> tuple[list[dict[str, Any]], list[str]]:
        found = app.skills.select(category=category, search=wanted)
        return [views.skill_row(skill) for skill in found], list(app.skills.problems)

    rows, problems = ask(work)
    if as_json:
        out.print_json(data=rows)
    elif rows:
        out.print(_table(rows, "skill", "category", "does"))
    else:
        err.print(f"No skill fits {wanted!r}; darkroom skills lists all.", markup=False)
    for problem in problems:
        err.print(problem, style="yellow", markup=False)


def agents(
    words: Annotated[list[str] | None, typer.Argument(help="A task: who should do it.")] = None,
    layer: Annotated[str | None, typer.Option(help="Only agents of that layer.")] = None,
    tier: Annotated[str | None, typer.Option(help="economy, standard or premium.")] = None,
    show: Annotated[str | None, typer.Option(help="One agent: all about it.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the agents, say who fits a task, or show one."""
    task = " ".join(words or ())
    if show is not None:
        details = ask(lambda app: views.agent_details(found := app.agents.find(show), app.agents.needs(found)))
        out.print_json(data=details) if as_json else out.print(_agent(details))
    elif task and layer is None and tier is None:
        best = ask(lambda app: [views.recommendation_view(item) for item in app.agents.recommend(task)])
        if as_json:
            out.print_json(data=best)
        elif best:
            out.print(_table(best, "agent", "confidence", "reason"))
        else:
            err.print("No agent fits; darkroom agents lists all.")
    else:
        rows = ask(
            lambda app: [
                views.agent_row(item) for item in app.agents.select(layer=layer, tier=tier, search=task or None)
            ]
        )
        out.print_json(data=rows) if as_json else out.print(_table(rows, "agent", "layer", "tier", "does"))


def _table(rows: list[dict[str, Any]], *columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("skill", "agent"))
    for row in rows:
        table.add_row(*(escape(str(row[column])) for column in columns))
    return table


def _agent(details: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, title=details["name"], title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in details.items():
        if name in ("inputs", "providers"):
            for item in value:
                table.add_row(name.removesuffix("s"), escape(_line(item)))
        elif name not in ("name", "prompt", "does"):
            table.add_row(name.replace("_", " "), escape(_plain(value)))
    table.add_row("prompt", escape(details["prompt"]))
    return table


def _plain(value: object) -> str:
    return ", ".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)


def _line(item: dict[str, Any]) -> str:
    if "why" in item:
        return f"{item['name']}{'' if item['required'] else ' (optional)'}: {item['why']}"
    missing = "; ".join(f"{name} {why}" for name, why in item["missing"].items())
    return f"{item['for']}: ready {', '.join(item['ready']) or 'none'}{f'; not ready: {missing}' if missing else ''}"


@group.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Print a skill as it stands in its file."""
    skill = ask(lambda app: app.skills.get(name))
    if as_json:
        out.print_json(data=views.skill_details(skill))
        return
    out.print(f"{skill.title} ({skill.folder / FILE})", markup=False, style="bold")
    out.print(Markdown(skill.body), soft_wrap=False)


@group.command()
def invoke(
    name: Name,
    request: Annotated[str, typer.Argument(metavar="INPUT", help="What is to be done.")] = "",
    known: Annotated[list[str] | None, typer.Option("--with", help="What is known, as name=value.")] = None,
    task_type: Annotated[str | None, typer.Option("--brainstorm", help="Brainstorm: landing_page, email, ...")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the brief for one piece of work: what to do, what to ask, which tool calls follow."""
    context = dict(_pair(text) for text in known or ())

    def work(app: App) -> dict[str, Any]:
        if task_type is not None:
            return views.brainstorm_view(brainstorm({"task_type": task_type}, context, request, name))
        return views.invocation_view(app.skills.invoke(app.skills.get(name), request, context))

    view = ask(work)
    out.print_json(data=view) if as_json else out.print(views.skill_text(view), markup=False)


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        fail(f"--with takes name=value, not {text[:80]!r}.", EXIT_USAGE)
    return key.strip(), value.strip()


@group.command()
def validate(
    folders: Annotated[list[Path], typer.Argument(help="Folders of skills, or one that holds such folders.")],
) -> None:
    """Check skills of your own by the rules of the format; ends with 1 if one breaks them."""
    checked = [skill for folder in folders for skill in _skill_folders(folder)]
    broken = 0
    for folder in checked:
        try:
            skill = _checked(folder)
        except (DocumentError, OSError) as exc:
            broken += 1
            err.print(f"{folder}: {exc}", style="red", markup=False)
        else:
            asks = f"{len(skill.questions)} questions, {len(skill.calls)} next calls, {len(skill.files)} files"
            out.print(f"{folder}: good ({asks})", markup=False)
    if not checked:
        fail(f"There is no skill in {', '.join(map(str, folders))}: a skill is a folder with a {FILE}.", EXIT_USAGE)
    if broken:
        raise SystemExit(EXIT_FAILED)


def _checked(folder: Path) -> Skill:
    skill = read_skill(folder, folder.parent)
    unknown = sorted({call.tool for call in skill.calls} - {tool.name for tool in TOOLS})
    if unknown:
        raise DocumentError(f"its next calls name {', '.join(unknown)[:80]}, and there is no such tool")
    return skill


def _skill_folders(folder: Path) -> list[Path]:
    path = folder.expanduser().resolve()
    if path.name == FILE:
        return [path.parent]
    if (path / FILE).exists() or not path.is_dir():
        return [path]
    return [inner for inner in sorted(path.iterdir()) if inner.is_dir() and not inner.name.startswith(".")]
