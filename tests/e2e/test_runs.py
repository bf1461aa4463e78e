"""A film and an agent's work through servers that are killed again and again: neither result nor bill changes."""

import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import av
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult

from fake_provider.install import environment, write_manifest
from fake_provider.server import FakeProvider, running_provider
from helpers_chat_model import calling, results, saying, serving, tool_call
from helpers_chat_model import variables as thinks

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
BOUND_S = 250.0
KILLS = 5
SERVE = [sys.executable, "-m", "darkroom", "serve"]
Json = dict[str, Any]


def database() -> Path:
    return Path(os.environ["DARKROOM_HOME"]) / "darkroom.sqlite3"


def _rows(sql: str) -> list[Any]:
    db = sqlite3.connect(database(), timeout=30)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


async def rows(sql: str) -> list[Any]:
    return await anyio.to_thread.run_sync(_rows, sql)


async def call(tool: str, arguments: Json, variables: dict[str, str]) -> Json:
    """Call one tool of a server of its own, which then ends."""
    parameters = StdioServerParameters(command=SERVE[0], args=SERVE[1:], env={**os.environ, **variables})
    with anyio.fail_after(BOUND_S):
        async with Client(parameters) as client:
            result: CallToolResult = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


@contextmanager
def server(variables: dict[str, str]) -> Generator[subprocess.Popen[bytes]]:
    """Run a server that nobody speaks to, until it is killed."""
    with subprocess.Popen(
        SERVE, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env={**os.environ, **variables}
    ) as it:
        try:
            yield it
        finally:
            it.send_signal(signal.SIGKILL)


async def reached(sql: str, least: int) -> None:
    with anyio.fail_after(BOUND_S):
        while (await rows(sql))[0][0] < least:  # noqa: ASYNC110 because another process does it
            await anyio.sleep(0.02)


async def killed(variables: dict[str, str], marks: list[tuple[str, int]], end: str) -> None:
    """Start a server again and again, kill it at each mark, and let the last one come to the end."""
    for sql, least in marks:
        with server(variables):
            await reached(sql, least)
    with server(variables):
        await reached(end, 1)


ENDED = "SELECT COUNT(*) FROM runs WHERE state IN ('succeeded', 'failed', 'cancelled')"
DONE = "SELECT COUNT(*) FROM jobs WHERE outcome = 'succeeded'"
STARTED = "SELECT COUNT(*) FROM jobs"


async def test_a_film_is_made_whole_though_its_server_is_killed_five_times() -> None:
    off = {"DARKROOM_LINGER": "0"}
    task = "plan and draft a 6 s product video for blue running shoes"
    context = {"resolution": "360p", "aspect_ratio": "16:9"}
    begun = await call("run_agent", {"task": task, "workflow": "product_video", "context": context, "wait": 0}, off)
    marks = [(STARTED, 1), (DONE, 1), (STARTED, 3), (DONE, 3), (DONE, 4)]
    assert len(marks) == KILLS
    await killed(off, marks, ENDED)

    run = (await call("check_job", {"job_id": begun["run_id"]}, off))["jobs"][0]
    assert run["status"] == "succeeded", run
    steps = {step["step"]: step["status"] for step in run["steps"]}
    assert set(steps) == {"script", "storyboard", "keyframes", "clips", "film"}
    assert set(steps.values()) == {"succeeded"}
    film = run["outputs"][0]
    seconds = await anyio.to_thread.run_sync(_seconds, Path(film["path"]))
    assert seconds == pytest.approx(6.0, abs=0.1)
    assert run["cost"]["actual_usd"] == 0

    keys = [key for (key,) in await rows("SELECT idempotency_key FROM jobs")]
    scenes = (len(keys) - 1) // 2
    assert len(keys) == len(set(keys)) == 2 * scenes + 1 >= 5, "one keyframe and one clip a scene, and one film"
    assert all(key.startswith(begun["run_id"]) for key in keys)
    assert await rows("SELECT COUNT(*) FROM ledger WHERE kind = 'reserved' GROUP BY job_id HAVING COUNT(*) > 1") == []


def _seconds(path: Path) -> float:
    """Return the length of a clip, by its frames."""
    with av.open(str(path)) as clip:
        stream = clip.streams.video[0]
        frames = sum(1 for _ in clip.decode(video=0))
        return float(frames / (stream.average_rate or 1))


@dataclass
class Model:
    """A language model that asks for one picture, waits for it, and then says that it is done."""

    asked: list[Json] = field(default_factory=list[Json])
    lock: threading.Lock = field(default_factory=threading.Lock)
    room: float = math.inf
    """How many answers it still gives; whoever asks more is held until `gone`, and gets none."""
    held: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    def let(self, room: float) -> None:
        """Let whoever was held go without an answer, and give so many answers from now on."""
        self.gone.set()
        self.room, self.held, self.gone = room, threading.Event(), threading.Event()

    def answer(self, request: Json) -> Json | None:
        with self.lock:
            self.asked.append(request)
            self.room -= 1
            held, gone = (self.held, self.gone) if self.room < 0 else (None, None)
        if held and gone:
            held.set()
            gone.wait(BOUND_S)
            return None
        told = results(request)
        if not told:
            return calling(tool_call("call_1", "generate_image", {"prompt": "a red bicycle", "model": "fake-image"}))
        if len(told) == 1:
            job = next(word for word in told[0].replace('"', " ").split() if word.startswith("job_1"))
            return calling(tool_call("call_2", "wait_for_jobs", {"job_ids": [job]}))
        return saying("Here is your red bicycle.")


@pytest.fixture
def provider() -> Generator[FakeProvider]:
    with running_provider(idempotency=True, lookup=True) as running:
        yield running


@pytest.fixture
def variables(provider: FakeProvider, tmp_path: Path) -> dict[str, str]:
    write_manifest(tmp_path / "providers", provider.base_url, lookup="key")
    return {
        **environment(tmp_path / "providers"),
        "DARKROOM_LINGER": "0",
    }


async def test_a_model_makes_a_picture_by_itself_and_its_cost_is_told(variables: dict[str, str]) -> None:
    model = Model()
    with serving(model.answer) as address:
        told = {**variables, **thinks(address)}
        task = {"task": "Make me a red bicycle", "agent": "image", "max_cost": 1, "wait": 45}
        run = await call("run_agent", task, told)
        while "check_after_s" in run:
            run = (await call("check_job", {"job_id": run["run_id"], "wait": 45}, told))["jobs"][0]
    assert run["status"] == "succeeded", run
    assert run["output"] == "Here is your red bicycle."
    assert [action["tool"] for action in run["actions"]] == ["generate_image"]
    assert len(run.get("outputs", ())) == 1, run
    assert run["token_usage"] == {"input": 3000, "output": 300, "total": 3300}
    assert run["cost"]["actual_usd"] == pytest.approx(0.04 + 3 * (0.001 + 0.001))
    assert run["cost"]["models"] == ["openai_compatible/little", "fake/fake-image"]
    assert all(request["model"] == "little" for request in model.asked)


async def test_kills_on_the_way_repeat_no_picture_and_book_every_turn(
    variables: dict[str, str], provider: FakeProvider
) -> None:
    model = Model()
    with serving(model.answer) as address:
        told = {**variables, **thinks(address)}
        task = {"task": "Make me a red bicycle", "agent": "image", "max_cost": 0.3, "wait": 0}
        begun = await call("run_agent", task, told)
        marks = [(0, None), (1, STARTED), (0, None), (0, DONE), (1, None)]
        assert len(marks) == KILLS
        for room, mark in marks:  # at a mark, or else while the model is asked
            model.let(room)
            with server(told):
                if mark:
                    await reached(mark, 1)
                else:
                    assert await anyio.to_thread.run_sync(model.held.wait, BOUND_S)
        model.let(math.inf)
        await killed(told, [], ENDED)
        run = (await call("check_job", {"job_id": begun["run_id"]}, told))["jobs"][0]
    assert run["status"] == "succeeded", run
    assert run["output"] == "Here is your red bicycle."
    assert len(run["actions"]) == 1
    assert await rows("SELECT COUNT(*) FROM jobs") == [(1,)]
    assert len(provider.accepted("a red bicycle")) == 1, "the picture was paid for once"
    [(turn,)] = await rows("SELECT MAX(turn) FROM runs")
    booked = "SELECT COUNT(*) FROM ledger WHERE kind = 'reserved' AND job_id LIKE 'run_%'"
    closed = booked.replace("= 'reserved'", "IN ('settled', 'released')")
    assert await rows(booked) == await rows(closed) == [(turn,)], "every call of the model is in the ledger, and closed"
    assert len(model.asked) <= turn
    assert await rows("SELECT SUM(micro_usd) FROM spending WHERE provider = 'fake'") == [(40_000,)]
    sure = "SELECT SUM(micro_usd) FROM spending WHERE certain AND provider = 'openai_compatible'"
    assert await rows(sure) == [(3 * 2_000,)], "the turns that were answered cost what they cost without a kill"
    guesses = await rows(
        "SELECT submission, micro_usd, reserved FROM spending WHERE NOT certain AND provider <> 'fake'"
    )
    assert len(guesses) == turn - 3 >= 3, "three kills at least broke off a turn"
    assert all(0 < guess < reserved / 5 for _, guess, reserved in guesses)
    guessed = sum(guess for _, guess, _ in guesses)
    assert run["cost"]["uncertain_usd"] == pytest.approx((40_000 + guessed) / 1e6)
    assert run["cost"]["actual_usd"] == pytest.approx((40_000 + 6_000 + guessed) / 1e6)
    for number, _, _ in guesses:
        assert any(f"Turn {number} was broken off" in warning for warning in run["warnings"])
