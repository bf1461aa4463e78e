"""What every command shares: consoles, errors in words, a running program."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NoReturn, TypeVar, cast

import anyio
from rich.console import Console

from darkroom.app import App
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


def load_settings() -> Settings:
    """Return the settings, or end the program with the reason."""
    try:
        return Settings.load()
    except SettingsError as exc:
        fail(str(exc), EXIT_USAGE)


def run(work: Callable[[App], Awaitable[T]], *, advance: bool = False) -> T:
    """Run async work in a program; a refusal is printed in words and ends with exit code 1."""
    app = App(load_settings())

    async def inside() -> T:
        async with opened(app, advance=advance):
            return await work(app)

    try:
        return anyio.run(inside)
    except BaseException as exc:  # because task groups wrap what happened inside them
        cause = _single(exc)
        if isinstance(cause, DarkroomError):
            fail(error_text(cause))
        if isinstance(cause, SystemExit):
            raise cause from None
        if isinstance(cause, KeyboardInterrupt):
            fail("Interrupted. Jobs already stored go on when darkroom runs again.", EXIT_INTERRUPTED)
        raise


@asynccontextmanager
async def opened(app: App, *, advance: bool) -> AsyncGenerator[App]:
    """Run a program with its store open."""
    async with app.running(advance=advance):
        await (app.ready() if advance else app.opened())
        yield app


def _single(exc: BaseException) -> BaseException:
    """Return what happened inside groups of one."""
    inner = cast("tuple[BaseException, ...]", getattr(exc, "exceptions", ()))
    return _single(inner[0]) if len(inner) == 1 else exc
