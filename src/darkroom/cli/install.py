"""`darkroom install`: tells a host how to start darkroom, and takes that back."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.markup import escape

from darkroom.catalog.providers import Providers
from darkroom.cli import starting
from darkroom.cli.console import EXIT_USAGE, err, fail, out
from darkroom.cli.host_file import HostFile, HostFileError
from darkroom.cli.hosts import HOSTS, NAME, Host, HostName, is_ours
from darkroom.cli.jsonc import JsonFault, drop, put, read
from darkroom.settings import home_from_environment, kept_variables, known_variables


def install(
    host: Annotated[HostName, typer.Argument(help="Who shall start darkroom.")],
    print_only: Annotated[bool, typer.Option("--print", help="Print what belongs where; change nothing.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take darkroom out again, and nothing else.")] = False,
    file: Annotated[
        Path | None, typer.Option(help="Another file of that host, such as .mcp.json of a project.", show_default=False)
    ] = None,
) -> None:
    """Enter darkroom into the settings of an assistant.

    Everything else in its file stays, comments too, and a copy of the file is kept beside it. Keys are never written.
    """
    if print_only and undo:
        fail("--print and --undo do not go together.", EXIT_USAGE)
    there = HOSTS[host]
    path = file or there.file()
    if print_only:
        block = put("", there.path, there.entry(starting.command(), starting.variables()))
        typer.echo(block, nl=False)
        err.print(f"This belongs into {path}. Nothing was changed.", style="dim", markup=False)
        return
    try:
        _take_out(there, path) if undo else _enter(there, path)
    except JsonFault as exc:
        fail(f"{path} is broken at {exc}. It was left as it is: mend it, then call this again.")
    except HostFileError as exc:
        fail(str(exc))


def _enter(there: Host, path: Path) -> None:
    _, _, wanted = _entered(there, path)
    words = " ".join([str(wanted["command"]), *cast("list[str]", wanted["args"])])
    try:
        with err.status(escape(f"Starting it once: {words}")):
            starting.check(starting.command(), _variables(wanted))
    except starting.CannotStart as exc:
        fail(f"'{words}' does not work here: {exc}\n{path} was left as it is. 'darkroom doctor' may tell more.")
    found, text, wanted = _entered(there, path)  # the start took seconds, and a host that runs writes its file often
    if text == found.text:
        out.print(f"{there.title} has darkroom already, in {found.path}. Nothing was changed.", markup=False)
    else:
        new_folder = not found.path.parent.exists()
        copy = found.write(text)
        out.print(f"{there.title} now starts '{words}', as {found.path} says.", markup=False)
        _tell_copy(copy)
        if new_folder:
            err.print(f"{found.path.parent} is new: is {there.title} installed here?", style="yellow", markup=False)
        err.print(f"Restart {there.title}, then ask it for a picture.", style="dim", markup=False)
    _tell_keys(there, _variables(wanted))


def _entered(there: Host, path: Path) -> tuple[HostFile, str, dict[str, object]]:
    """Return a host's file, its text with our entry, and that entry."""
    found = HostFile.read(path)
    held = _held(there, found, path)
    wanted = there.entry(starting.command(), {**_variables(held), **starting.variables()})
    text = found.text
    for keys, value in _leaves(wanted) if held is not None else [((), wanted)]:
        text = put(text, (*there.path, *keys), value)
    return found, text, wanted


def _take_out(there: Host, path: Path) -> None:
    found = HostFile.read(path)
    if _held(there, found, path) is None:
        out.print(f"{found.path} has no entry for darkroom. Nothing was changed.", markup=False)
        return
    copy = found.write(drop(found.text, there.path))
    out.print(f"{there.title} starts darkroom no more, as {found.path} says.", markup=False)
    _tell_copy(copy)


def _held(there: Host, found: HostFile, path: Path) -> object:
    """Return our entry as the file has it, or None; one that is not ours ends the program."""
    here: object = read(found.text) if found.text.strip("\ufeff \t\r\n") else None
    for key in there.path:
        here = cast("Mapping[str, object]", here).get(key) if isinstance(here, Mapping) else None
    if here is not None and not is_ours(here):
        fail(
            f"{path} has an entry '{NAME}' that does not start darkroom on this machine. It was left as it is: "
            "give that entry another name, or take it out, then call this again."
        )
    return here


def _variables(entry: object) -> dict[str, str]:
    """Return the variables that an entry sets."""
    held = cast("Mapping[str, object]", entry).get("env") if isinstance(entry, Mapping) else None
    given: Mapping[str, object] = cast("Mapping[str, object]", held) if isinstance(held, Mapping) else {}
    return {name: value for name, value in given.items() if isinstance(value, str)}


def _leaves(entry: Mapping[str, object]) -> list[tuple[tuple[str, ...], object]]:
    """Return each field and each variable of an entry by itself, so that what else a user wrote there stays."""
    fields = [((name,), value) for name, value in entry.items() if name != "env"]
    return [*fields, *((("env", name), value) for name, value in _variables(entry).items())]


def _tell_copy(copy: Path | None) -> None:
    if copy is not None:
        err.print(f"The file as it was: {copy}", style="dim", markup=False)


def _tell_keys(there: Host, given: Mapping[str, str]) -> None:
    """Say where keys belong, and which variables of this shell a host would not see."""
    home = home_from_environment().absolute()
    err.print(f"Keys and settings belong into {home / '.env'}, as NAME=value.", style="dim", markup=False)
    providers = Providers()
    names = known_variables() | providers.variables()
    names |= {name for one in providers.values() for group in (*one.credentials, one.extras) for name in group}
    missed = sorted(name for name in names - given.keys() - kept_variables(home).keys() if os.environ.get(name))
    if missed:
        verb = "is" if len(missed) == 1 else "are"
        err.print(
            f"{', '.join(missed)} {verb} set in this shell alone: {there.title} may not see that.",
            style="yellow",
            markup=False,
        )
