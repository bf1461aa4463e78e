"""What every command shares: consoles, errors in words, a running program."""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NoReturn, TypeVar, cast

import anyio
from rich.console import Console

from darkroom.app import App
from darkroom.cli.words import as_commands
from darkroom.errors import DarkroomError
from darkroom.server.views import error_text
from darkroom.settings import Settings, SettingsError

T = TypeVar("T")
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def fail(text: str, code: int = EXIT_FAILED) -> NoReturn:
    """Print an error and end the program."""
    err.print(text, style="red", markup=False)
    raise SystemExit(code)


def somebody() -> bool:
    """Return whether a person sits at the keyboard who can be asked."""
    return sys.stdin.isatty()


def load_settings() -> Settings:
    """Return the settings, or end the program with the reason."""
    try:
        return Settings.load()
    except SettingsError as exc:
        fail(str(exc), EXIT_USAGE)


def ask(work: Callable[[App], T]) -> T:
    """Ask a program that is not running: knowledge needs neither jobs nor network."""
    try:
        return work(App(load_settings()))
    except DarkroomError as exc:
        fail(as_commands(error_text(exc)))


def jobs_go_on() -> str:
    """Say what becomes of jobs when a command is broken off."""
    return "Interrupted. Jobs already stored go on when darkroom runs again."


def run(
    work: Callable[[App], Awaitable[T]], *, advance: bool = False, interrupted: Callable[[], str] = jobs_go_on
) -> T:
    """Run async work in a program; a refusal is printed in words and ends with exit code 1.

    Args:
        work: What is to be done.
        advance: Whether jobs and runs are moved forward meanwhile.
        interrupted: What is said after Ctrl-C.
    """
    app = App(load_settings())

    async def inside() -> T:
        async with opened(app, advance=advance):
            return await work(app)

    try:
        return anyio.run(inside)
    except BaseException as exc:  # because task groups wrap what happened inside them
        cause = single(exc)
        if isinstance(cause, DarkroomError):
            fail(as_commands(error_text(cause)))
        if isinstance(cause, SystemExit):
            raise cause from None
        if isinstance(cause, KeyboardInterrupt):
            fail(interrupted(), EXIT_INTERRUPTED)
        raise


@asynccontextmanager
async def opened(app: App, *, advance: bool) -> AsyncGenerator[App]:
    """Run a program with its store open."""
    async with app.running(advance=advance):
        await (app.ready() if advance else app.opened())
        yield app


def single(exc: BaseException) -> BaseException:
    """Return what happened inside groups of one."""
    inner = cast("tuple[BaseException, ...]", getattr(exc, "exceptions", ()))
    return single(inner[0]) if len(inner) == 1 else exc
