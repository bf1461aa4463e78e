"""`darkroom db check|backup|restore`: care for the job database."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from darkroom.app import App
from darkroom.cli.console import EXIT_FAILED, EXIT_USAGE, err, fail, load_settings, out
from darkroom.errors import DarkroomError
from darkroom.runtime.liveness import Presence
from darkroom.server.views import error_text

T = TypeVar("T")
group = typer.Typer(no_args_is_help=True, help="Check the job database, make a backup, put one back.")
SHOWN = 5


@group.command()
def check() -> None:
    """Look for damage, while others may use the database; changes nothing; exit code 1 if there is some."""
    app = App(load_settings())
    found = _told(app.store.care.check)
    schema = "" if found.version is None else f", schema {found.version}"
    jobs = "" if found.jobs is None else f", {_count(found.jobs, 'job')}"
    out.print(f"{found.path}: {found.size / 1e6:.1f} MB{schema}{jobs}", markup=False)
    for finding in found.findings:
        colour, level = ("red", "damage") if finding.damage else ("yellow", "note")
        out.print(f"[{colour}]{level:8}[/]{finding.what:12}", end="")
        out.print(finding.says, markup=False)
    if found.damaged:
        newest = app.store.care.newest_backup()
        err.print(f"Put a backup back with: darkroom db restore {newest[0] if newest else 'FILE'}", markup=False)
        raise SystemExit(EXIT_FAILED)
    out.print(f"[green]{'ok':8}[/]nothing is damaged")


@group.command()
def backup(
    path: Annotated[Path | None, typer.Argument(help="File or folder; a file must not be there yet.")] = None,
) -> None:
    """Copy the database into one file, while others may use it."""
    app = App(load_settings())
    saved = _told(lambda: app.store.care.backup(path, app.clock.now()))
    out.print(str(saved.path), markup=False)
    err.print(
        f"{_count(saved.jobs, 'job')}, {saved.unfinished} of them unfinished, {saved.size / 1e6:.1f} MB", markup=False
    )


@group.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put a backup in place of the database, which is moved aside.

    Newer jobs are taken over from it as far as it can be read. What may have been sent since is not sent again.
    """
    app = App(load_settings())
    home = app.settings.home
    running = _running(app)
    if running:
        fail(
            f"{_count(len(running), 'darkroom process', 'es')} {'uses' if len(running) == 1 else 'use'} "
            f"{app.settings.database}.\nNothing was changed. "
            "End the programs that run darkroom, then try again."
        )
    if not yes:
        if not _interactive():
            fail("Nobody can be asked here. Nothing was changed. Say --yes to go on.", EXIT_USAGE)
        if not typer.confirm(f"Put {file} in place of the job database in {home}?", err=True):
            fail("Nothing was changed.")
    done = _told(lambda: app.store.care.restore(file, app.clock.now()))
    out.print(str(done.path), markup=False)
    lines = [
        f"{_count(done.jobs, 'job')} {'is' if done.jobs == 1 else 'are'} there now.",
        "There was no database before." if done.aside is None else f"The database before is kept as {done.aside}.",
    ]
    if done.aside is not None and not done.readable:
        lines.append("Nothing in it could be read.")
    work = done.salvage
    for ids, text in (
        (work.added, "newer than the backup, taken over"),
        (work.advanced, "further along than in the backup, taken over"),
        (work.lost, "newer than the backup, could not be read"),
        (work.held_back, "waited to be sent and may have been sent since; ended, see retry_job"),
        (work.stopped, "went on when the backup was made and may have gone further since; ended, start again"),
    ):
        if ids:
            lines.append(f"{len(ids)} {text}: {_named(ids)}")
    for line in lines:
        err.print(line, markup=False)


def _told(work: Callable[[], T]) -> T:
    """Return what the work returns; a refusal is printed in words."""
    try:
        return work()
    except DarkroomError as exc:
        fail(error_text(exc))


def _running(app: App) -> list[str]:
    """Return the processes that hold their lock: those that run, or are only hung."""
    folder = app.settings.home / "workers"
    presence = Presence(folder, "restore")
    # By their locks rather than by their rows: those can be read however damaged the database is.
    every = [replace(presence.renew(app.clock), id=lock.stem) for lock in folder.glob("*.lock")]
    dead = presence.dead(every, app.clock.boot())
    return sorted({worker.id for worker in every} - set(dead))


def _interactive() -> bool:
    return sys.stdin.isatty()


def _count(number: int, thing: str, ending: str = "s") -> str:
    return f"{number} {thing}{'' if number == 1 else ending}"


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more
