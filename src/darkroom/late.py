"""The program, loaded when somebody asks something of it or work waits: hosts keep many servers, most of them idle."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

import anyio
import anyio.abc
import anyio.to_thread

from darkroom.clock import Clock, SystemClock
from darkroom.collecting import staying
from darkroom.runtime.liveness import Presence
from darkroom.settings import Settings, known_variables, set_variables, unread_names
from darkroom.store.unfinished import Unfinished

if TYPE_CHECKING:
    from darkroom.app import App

LOOK_S = 0.5
AGAIN_S = 30.0
"""After a program that could not be loaded."""
NAMING = frozenset({"prefer", "enable", "plan", "principals", "providers_dir", "skills_dir"})
"""Settings that name what there is, or say where more of it lies: only the program can tell whether they are right."""
log = logging.getLogger(__name__)


class Late:
    """Stands for the program until it is needed."""

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, load: Callable[[], App] | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self._load = load or self._app
        others = Presence(settings.workers_dir, "")
        self._unfinished = Unfinished(settings.database, lambda rows: others.dead(rows, self.clock.boot()))
        self._loading = anyio.Lock()
        self._loaded: App | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self.closed = anyio.Event()
        """Set once everything is given back."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Self]:
        """Run until the block ends, and the program with it where it was needed."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self._look)
                yield self
                tasks.cancel_scope.cancel()
        finally:
            self._tasks = self._loaded = None
            self.closed.set()

    async def program(self) -> App:
        """Return the running program, which is loaded the first time."""
        if self._loaded is None:
            with anyio.CancelScope(shield=True):  # what a caller who gives up began is of use to the next
                await self._started()
        if self._loaded is None:
            raise RuntimeError("the program is ending")
        return self._loaded

    async def _started(self) -> None:
        async with self._loading:
            if self._loaded is None and self._tasks is not None:
                app = await anyio.to_thread.run_sync(self._load)
                await self._tasks.start(self._run, app)
                self._loaded = app

    async def _run(self, app: App, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with app.running():
            task_status.started()
            with anyio.CancelScope(shield=True):  # what is wrong is said even where the end comes at once
                for warning in await anyio.to_thread.run_sync(app.warnings):
                    logging.getLogger("darkroom.settings").warning(warning)
            await anyio.sleep_forever()

    def _app(self) -> App:
        """Load the program; blocks."""
        with staying():
            from darkroom.app import App

            return App(self.settings, clock=self.clock)

    async def _look(self) -> None:
        """Load the program once there is something to be said or done; where that fails, try again later."""
        needed = await anyio.to_thread.run_sync(self._to_be_checked)
        while self._loaded is None:
            if needed:
                try:
                    await self.program()
                except Exception as exc:  # such as files that an upgrade is just replacing
                    log.warning("darkroom could not be loaded, and tries again: %s: %s", type(exc).__name__, exc)
                    await self.clock.sleep(AGAIN_S)
            else:
                await self.clock.sleep(LOOK_S)  # at first, too: a host is told first what tools there are
                needed = await anyio.to_thread.run_sync(self._unfinished.look, self.clock.now())

    def _to_be_checked(self) -> bool:
        """Return whether the settings have anything of which only the program can tell whether it is right; blocks."""
        try:
            named = self.settings.model_fields_set & NAMING or set_variables() - known_variables() or unread_names()
            return bool(named) or self.settings.plans_file.exists()
        except OSError:  # the program says what is wrong with the folder
            return True
