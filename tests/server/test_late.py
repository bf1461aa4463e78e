"""A server that nobody asks anything: it lists what there is, and has loaded nothing else."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from helpers_server import LIMIT_S, QuickDraft, call, jobs_of
from mcp import Client
from mcp.shared.exceptions import MCPError

from darkroom.app import App
from darkroom.domain.request import ImageRequest
from darkroom.late import Late
from darkroom.server.build import DarkroomServer
from darkroom.services.caps import Terms
from darkroom.services.generation import Started
from darkroom.settings import Settings
from factories import FakeClock
from helpers_skills import write_skill

pytestmark = pytest.mark.anyio
LOOKS = 30


class Idle:
    """A server before its program is loaded, and how often it was."""

    def __init__(self, quick: QuickDraft) -> None:
        self.quick = quick
        self.clock = FakeClock()
        self.loads = 0
        self.broken = False
        self.late = Late(Settings.load(), clock=self.clock, load=self.load)

    def load(self) -> App:
        if self.broken:
            raise ModuleNotFoundError("No module named 'darkroom.app'")
        self.loads += 1
        app = App(Settings.load())
        app.adapters = self.quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
        return app

    async def looked(self) -> None:
        """Return once the store was looked at some more times."""
        seen = len(self.clock.slept)
        while len(self.clock.slept) < seen + LOOKS:
            await anyio.lowlevel.checkpoint()

    async def loaded(self) -> App:
        """Return the program, once it was loaded without anybody asking."""
        while not self.loads:
            await anyio.lowlevel.checkpoint()
        return await self.late.program()

    @asynccontextmanager
    async def client(self, era: str) -> AsyncGenerator[Client]:
        with anyio.fail_after(LIMIT_S):
            server = await anyio.to_thread.run_sync(DarkroomServer, self.late.running)
            async with Client(server, mode=era) as client:
                yield client


@pytest.fixture
def idle(quick: QuickDraft) -> Idle:
    return Idle(quick)


async def queued(app: App) -> str:
    """Store a job as a process that ends before it moves it."""
    async with app.running(advance=False):
        await app.opened()
        started = await app.generation.start(ImageRequest(prompt="a fox"), Terms())
    assert isinstance(started, Started)
    return started.job.id


async def ended(app: App, job_id: str) -> str:
    """Return how a job ended."""
    await app.ready()
    while not (job := (await app.jobs.get([job_id], "local"))[0]).ended:
        await anyio.lowlevel.checkpoint()
    return job.state.value


async def test_lists_are_answered_without_the_program(idle: Idle, era: str) -> None:
    async with idle.client(era) as client:
        assert len((await client.list_tools()).tools) == 8
        assert (await client.list_resources()).resources
        assert (await client.list_resource_templates()).resource_templates
        assert (await client.list_prompts()).prompts
        await idle.looked()
    assert idle.loads == 0
    assert not await anyio.Path(idle.late.settings.home).exists()


async def test_the_first_call_loads_the_program_once(idle: Idle, era: str) -> None:
    async with idle.client(era) as client, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(jobs_of, client)
    assert idle.loads == 1


async def test_everything_else_loads_it_too(idle: Idle, era: str) -> None:
    async with idle.client(era) as client:
        assert (await client.read_resource("darkroom://jobs")).contents
        assert idle.loads == 1
        made = await call(client, "generate_image", prompt="a fox", size="64x64", wait=40)
        assert made["status"] == "succeeded"
    assert idle.loads == 1


async def test_work_that_was_left_is_gone_on_with_without_a_call(idle: Idle, app: App) -> None:
    job_id = await queued(app)
    with anyio.fail_after(LIMIT_S):
        async with idle.late.running():
            assert await ended(await idle.loaded(), job_id) == "succeeded"
    assert idle.loads == 1


async def test_work_of_another_process_is_seen_when_it_comes(idle: Idle, app: App) -> None:
    with anyio.fail_after(LIMIT_S):
        async with idle.late.running():
            await idle.looked()
            assert idle.loads == 0
            job_id = await queued(app)
            assert await ended(await idle.loaded(), job_id) == "succeeded"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DARKROOM_TUMBNAILS", "auto", "Did you mean 'DARKROOM_THUMBNAILS'?"),
        ("DARKROOM_PREFER", "drft", "DARKROOM_PREFER names 'drft'"),
        ("DARKROOM_ENABLE", "nothing", "DARKROOM_ENABLE names 'nothing'"),
        ("DARKROOM_PLAN", "gold", "DARKROOM_PLAN holds 'gold'"),
    ],
)
async def test_what_the_program_alone_can_check_loads_it(
    quick: QuickDraft,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    value: str,
    told: str,
) -> None:
    monkeypatch.setenv(name, value)
    idle = await anyio.to_thread.run_sync(Idle, quick)
    with anyio.fail_after(LIMIT_S), caplog.at_level(logging.WARNING):
        async with idle.late.running():
            await idle.loaded()
            while told not in caplog.text:
                await anyio.lowlevel.checkpoint()
    assert idle.loads == 1


@pytest.mark.parametrize(("name", "text"), [("plans.toml", "wrong"), ("config.toml", "daily_budjet = 5")])
def test_own_plans_and_unknown_names_in_config_load_it(idle: Idle, name: str, text: str) -> None:
    own = Settings.load().home / name
    own.parent.mkdir(parents=True)
    own.write_text(text, encoding="utf-8")

    async def checked() -> None:
        with anyio.fail_after(LIMIT_S):
            async with idle.late.running():
                await idle.loaded()

    anyio.run(checked)
    assert idle.loads == 1


async def test_a_home_that_cannot_be_looked_into_is_left_to_the_program(
    idle: Idle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "exists", refused)
    with anyio.fail_after(LIMIT_S):
        async with idle.late.running():
            while not idle.loads:
                await anyio.lowlevel.checkpoint()
            monkeypatch.undo()
            await idle.loaded()
    assert idle.loads == 1


async def test_skills_of_the_users_own_are_listed(
    quick: QuickDraft, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, era: str
) -> None:
    await anyio.to_thread.run_sync(write_skill, tmp_path, "film-cutting")
    monkeypatch.setenv("DARKROOM_SKILLS_DIR", str(tmp_path))
    idle = await anyio.to_thread.run_sync(Idle, quick)
    async with idle.client(era) as client:
        assert "film-cutting" in {item.name for item in (await client.list_resources()).resources}
        assert any("film_cutting" in (item.description or "") for item in (await client.list_prompts()).prompts)


async def test_a_program_that_cannot_be_loaded_is_said_to_the_caller_and_loaded_for_the_next(
    idle: Idle, era: str, caplog: pytest.LogCaptureFixture
) -> None:
    idle.broken = True
    async with idle.client(era) as client:
        with pytest.raises(MCPError, match=r"could not be loaded .*ModuleNotFoundError.*Nothing was stored or sent"):
            await client.call_tool("check_job", {})
        assert (await client.list_tools()).tools
        idle.broken = False
        assert await jobs_of(client) == []
    assert "darkroom could not be loaded" in caplog.text


async def test_a_program_that_cannot_be_loaded_for_work_is_tried_again(
    idle: Idle, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await queued(app)
    idle.broken = True
    with anyio.fail_after(LIMIT_S):
        async with idle.late.running():
            while "tries again: ModuleNotFoundError" not in caplog.text:
                await anyio.lowlevel.checkpoint()
            idle.broken = False
            assert await ended(await idle.loaded(), job_id) == "succeeded"


async def test_work_that_a_living_process_goes_on_with_wakes_no_other(idle: Idle, app: App, quick: QuickDraft) -> None:
    quick.ready = anyio.Event()
    with anyio.fail_after(LIMIT_S):
        async with app.running():
            await app.ready()
            started = await app.generation.start(ImageRequest(prompt="a fox"), Terms())
            assert isinstance(started, Started)
            async with idle.late.running():
                await idle.looked()
                assert idle.loads == 0
                quick.ready.set()
                assert await ended(app, started.job.id) == "succeeded"
                await idle.looked()
    assert idle.loads == 0


async def test_a_caller_who_gives_up_leaves_the_program_to_the_next(idle: Idle) -> None:
    with anyio.fail_after(LIMIT_S):
        async with idle.late.running():
            with anyio.move_on_after(0):
                await idle.late.program()
            assert await idle.late.program() is await idle.late.program()
    assert idle.loads == 1


async def test_after_the_end_there_is_no_program(idle: Idle) -> None:
    with anyio.fail_after(LIMIT_S):
        async with idle.late.running():
            app = await idle.late.program()
    assert idle.late.closed.is_set()
    assert app.closed.is_set()
    with pytest.raises(RuntimeError, match="ending"):
        await idle.late.program()
