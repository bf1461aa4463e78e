"""`darkroom doctor`: what this installation can do, and what is wrong with it."""

import importlib.metadata
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from darkroom import __version__
from darkroom.app import App
from darkroom.cli.checks import check_all
from darkroom.cli.console import EXIT_FAILED, load_settings, out, run
from darkroom.errors import DarkroomError

Row = tuple[str, str, str]
OLD_SQLITE = (3, 51, 3)
LOW_DISK = 1_000_000_000


def doctor(
    online: Annotated[
        bool, typer.Option("--online", help="Ask every provider that has a key, by a call that costs nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Check settings, folders, database, codecs and providers; exit code 1 if something is wrong."""
    settings = load_settings()
    app = App(settings)
    rows = [
        *_program(),
        *_folders(settings.home, settings.outputs),
        *_database(app),
        *_codecs(),
        *_providers(app),
        *(run(check_all) if online else ()),
        *(("warning", "setting", text) for text in app.warnings()),
    ]
    if as_json:
        out.print_json(data=[{"level": level, "what": what, "says": says} for level, what, says in rows])
    else:
        colours = {"ok": "green", "warning": "yellow", "wrong": "red"}
        for level, what, says in rows:
            out.print(f"[{colours[level]}]{level:8}[/]{what:12}", end="")
            out.print(says, markup=False)
    if any(level == "wrong" for level, _, _ in rows):
        raise SystemExit(EXIT_FAILED)


def _program() -> Iterator[Row]:
    versions = f"darkroom {__version__}, Python {platform.python_version()}, mcp {importlib.metadata.version('mcp')}"
    yield "ok", "program", f"{versions}, {platform.system()} {platform.machine()}"


def _folders(home: Path, outputs: Path) -> Iterator[Row]:
    for what, folder, mode in (("home", home, 0o700), ("outputs", outputs, 0o777)):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=mode)
            with tempfile.TemporaryFile(dir=folder):
                free = shutil.disk_usage(folder).free
        except OSError as exc:
            yield "wrong", what, f"{folder} cannot be written: {exc.strerror}"
        else:
            level = "ok" if free > LOW_DISK else "warning"
            yield level, what, f"{folder}, {free / 1e9:.1f} GB free"


def _database(app: App) -> Iterator[Row]:
    async def count(app: App) -> tuple[int, int]:
        unfinished = await app.jobs.find("local", status="active", limit=1000)
        unknown = await app.jobs.find("local", status="unknown", limit=1000)
        return len(unfinished) - len(unknown), len(unknown)

    try:
        unfinished, unknown = run(count)
    except SystemExit:
        yield "wrong", "database", "cannot be opened; see above"
        return
    yield _soundness(app, unfinished)
    if unknown:
        yield "warning", "database", f"{unknown} submissions without an answer: darkroom jobs --status unknown"
    if sqlite3.sqlite_version_info < OLD_SQLITE:
        yield (
            "warning",
            "sqlite",
            f"{sqlite3.sqlite_version} has a known, rare fault when several processes checkpoint, so only one does",
        )
    else:
        yield "ok", "sqlite", sqlite3.sqlite_version


def _soundness(app: App, unfinished: int) -> Row:
    """Return what the quick half of the database's check says, and how old the newest backup is."""
    damage = [finding.says for finding in app.store.care.check(whole=False).findings if finding.damage]
    newest = app.store.care.newest_backup()
    age = "no backup yet: darkroom db backup" if newest is None else f"backup {_age(app.clock.now() - newest[1])} ago"
    if damage:
        return "wrong", "database", f"damaged ({damage[0][:80]}), see darkroom db check; {age}"
    return "ok", "database", f"{unfinished} jobs under way, no damage, {age}"


def _age(ms: int) -> str:
    hours = max(0, ms) // 3_600_000
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"


def _codecs() -> Iterator[Row]:
    try:
        from av.codec import Codec

        Codec("libx264", "w")
        Codec("aac", "w")
    except (ImportError, ValueError, OSError) as exc:
        yield "wrong", "video", f"clips cannot be encoded: {exc}"
    else:
        yield "ok", "video", f"H.264 and AAC (PyAV {importlib.metadata.version('av')})"


def _providers(app: App) -> Iterator[Row]:
    try:
        accounts = app.accounts()
    except DarkroomError as exc:
        yield "wrong", "providers", exc.message
        return
    for provider in app.providers.values():
        needed, fault = accounts.needs(provider), accounts.fault(provider)
        state = "ready" if needed is None else f"needs {needed}"
        live, every = app.pricing.live(provider), len(provider.offers)
        yield "wrong" if fault else "ok", "provider", f"{provider.id}: {state}, {live} live offers of {every}"
