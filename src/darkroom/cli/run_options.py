"""The options of commands that run something, and how they are read."""

import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from pydantic import JsonValue

from darkroom.cli.console import EXIT_USAGE, fail
from darkroom.domain.money import parse_usd
from darkroom.domain.request import clip
from darkroom.domain.workflow_faults import json_fault
from darkroom.errors import DarkroomError
from darkroom.server.views import error_text
from darkroom.services.caps import Terms

Context = Annotated[
    list[str] | None, typer.Option("--context", "-c", help="What is known, as name=value; as often as you like.")
]
ContextFile = Annotated[Path | None, typer.Option("--context-file", help="What is known, as a JSON object in a file.")]
Tier = Annotated[str | None, typer.Option(help="Language model: economy, standard or premium.")]
Model = Annotated[str | None, typer.Option(help="Language model by name; off hands the work to you, as a brief.")]
MaxCost = Annotated[str | None, typer.Option("--max-cost", help="Most that all of it may cost, in US dollars.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say the price and what would be done; store nothing.")]
Wait = Annotated[
    float | None, typer.Option(min=0, help="Seconds to wait; until it ends where left out, 0 = only start it.")
]
Again = Annotated[bool, typer.Option("--again", help="Force a new run where an equal one goes on or is just done.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run; darkroom agent list shows yours.")]


def context_of(pairs: Sequence[str] | None, file: Path | None) -> dict[str, JsonValue]:
    """Return what is known: the file's object with the pairs laid over it; numbers, lists and such are read as JSON."""
    found = _object(file) if file is not None else {}
    for pair in pairs or ():
        name, sign, text = pair.partition("=")
        if not sign or not name.strip():
            fail(f"--context takes name=value, not {clip(pair)!r}.", EXIT_USAGE)
        try:
            found[name.strip()] = json.loads(text)
        except ValueError:
            found[name.strip()] = text.strip()
    return found


def _object(file: Path) -> dict[str, JsonValue]:
    data = _parsed(_read(file), str(file), toml=False)
    if not isinstance(data, dict):
        fail(f"{file} must hold a JSON object, such as {{'product': 'a lamp'}}.", EXIT_USAGE)
    return cast("dict[str, JsonValue]", data)


def workflow_of(name: str) -> str | dict[str, Any]:
    """Return a workflow's name as it is, or the workflow that a file (JSON or TOML) or stdin (`-`) holds."""
    if name == "-":
        return _flow(sys.stdin.read(), "stdin", "workflow", toml=False)
    path = Path(name).expanduser()
    if path.suffix.lower() not in (".json", ".toml"):
        return name
    return _flow(_read(path), str(path), _plain(path.stem), toml=path.suffix.lower() == ".toml")


def _flow(text: str, where: str, name: str, *, toml: bool) -> dict[str, Any]:
    data = _parsed(text, where, toml=toml)
    if not isinstance(data, dict):
        fail(f"{where} holds no workflow: it must be an object with steps.", EXIT_USAGE)
    return {"name": name, **cast("dict[str, Any]", data)}


def _plain(stem: str) -> str:
    """Return a file's name as that of a workflow."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem.lower())[:40]
    return name if name[:1].isalpha() else "workflow"


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        fail(f"There is no file {path}.", EXIT_USAGE)
    except (OSError, UnicodeDecodeError) as exc:
        fail(f"{path} cannot be read: {exc}.", EXIT_USAGE)


def _parsed(text: str, where: str, *, toml: bool) -> Any:
    try:
        return tomllib.loads(text) if toml else json.loads(text)
    except (ValueError, RecursionError) as exc:
        fail(f"{where} is no {f'TOML: {exc}' if toml else f'JSON: {json_fault(exc)}'}.", EXIT_USAGE)


def terms_of(max_cost: str | None, *, again: bool, dry_run: bool = False) -> Terms:
    """Return what the command says about itself."""
    try:
        cap = None if max_cost is None else parse_usd(max_cost, "--max-cost")
        return Terms(max_cost=cap, again=again, dry_run=dry_run)
    except DarkroomError as exc:
        fail(error_text(exc), EXIT_USAGE)
