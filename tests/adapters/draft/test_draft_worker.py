"""The worker processes: cancelled, killed, orphaned, idle, shut down."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from draft_harness import LIMIT_S, Harness, alive, harness

from darkroom.adapters.base import Cancelled, Failed, Pending, Succeeded, TooLate
from darkroom.adapters.draft.worker import explain
from darkroom.domain.kinds import Mode
from darkroom.domain.money import MicroUsd
from darkroom.errors import ProviderFailed, StorageFull

pytestmark = pytest.mark.anyio
LONG: dict[str, Any] = {"mode": Mode.TEXT_TO_VIDEO, "duration": 15.0, "size": (640, 360)}


async def _gone(pid: int) -> None:
    with anyio.fail_after(5):
        while alive(pid):  # noqa: ASYNC110 because nothing tells us when a stranger ends
            await anyio.sleep(0.02)


async def test_a_clip_is_cancelled_between_two_frames(draft: Harness) -> None:
    call = draft.call(**LONG)
    operation = await draft.submit(call)
    await draft.until_running(operation, call, "frame ")
    assert await draft.adapter.cancel(operation, call) == Cancelled(charged=MicroUsd(0))
    assert isinstance(await draft.adapter.poll(operation, call), Failed)
    await draft.run("hills", mode=Mode.TEXT_TO_VIDEO, size=(128, 72), duration=0.5)
    assert list(call.scratch.iterdir()) == []


async def test_a_waiting_job_is_cancelled_and_the_running_one_goes_on(draft: Harness) -> None:
    first, second = draft.call("hills", mode=Mode.TEXT_TO_VIDEO), draft.call(**LONG)
    running, waiting = await draft.submit(first), await draft.submit(second)
    assert isinstance(await draft.adapter.cancel(waiting, second), Cancelled)
    assert isinstance(await draft.end(running, first), Succeeded)
    assert isinstance(await draft.adapter.cancel(running, first), TooLate)


async def test_progress_is_told(draft: Harness) -> None:
    call = draft.call(**LONG)
    operation = await draft.submit(call)
    await draft.until_running(operation, call, "of 360")
    answer = await draft.adapter.poll(operation, call)
    assert isinstance(answer, Pending)
    assert answer.fraction is not None
    assert 0 <= answer.fraction < 1
    assert answer.poll_after_s == 0.3
    await draft.adapter.cancel(operation, call)


async def test_a_picture_does_not_wait_for_a_clip(draft: Harness) -> None:
    clip = draft.call(**LONG)
    operation = await draft.submit(clip)
    await draft.until_running(operation, clip)
    await draft.run("hills", size=(128, 72))
    assert isinstance(await draft.adapter.poll(operation, clip), Pending)
    await draft.adapter.cancel(operation, clip)


async def test_the_same_submission_twice_is_one_job(draft: Harness) -> None:
    call = draft.call("hills", size=(128, 72))
    assert await draft.submit(call) == await draft.submit(call)
    assert isinstance(await draft.end(await draft.submit(call), call), Succeeded)


async def test_a_task_of_another_process_is_lost(draft: Harness) -> None:
    answer = await draft.adapter.poll({"task": "long gone", "kind": "image"}, draft.call())
    assert isinstance(answer, Failed)
    assert isinstance(answer.error, ProviderFailed)
    assert answer.error.retryable
    assert "lost with its worker" in answer.error.message


async def test_a_killed_worker_fails_its_job_and_the_next_one_is_done_by_another(tmp_path: Path) -> None:
    async with harness(tmp_path) as fresh:
        first, second = fresh.call(**LONG), fresh.call("hills", mode=Mode.TEXT_TO_VIDEO, size=(128, 72))
        running, waiting = await fresh.submit(first), await fresh.submit(second)
        await fresh.until_running(running, first)
        pid = fresh.adapter.worker_pid("video")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        answer = await fresh.end(running, first)
        assert isinstance(answer, Failed)
        assert "killed by signal 9" in answer.error.message
        assert isinstance(await fresh.end(waiting, second), Succeeded)
        assert fresh.adapter.worker_pid("video") != pid


async def test_a_worker_without_work_ends_and_comes_back(tmp_path: Path) -> None:
    async with harness(tmp_path, idle_s=0.2) as fresh:
        await fresh.run("hills", size=(64, 64))
        pid = fresh.adapter.worker_pid("image")
        if pid is not None:
            await _gone(pid)
        await fresh.run("hills", size=(64, 64))
        assert fresh.adapter.worker_pid("image") != pid


async def test_closing_ends_both_workers_and_what_they_did(tmp_path: Path) -> None:
    async with harness(tmp_path) as fresh:
        call = fresh.call(**LONG)
        operation = await fresh.submit(call)
        await fresh.run("hills", size=(64, 64))
        await fresh.until_running(operation, call)
        pids = [fresh.adapter.worker_pid(kind) for kind in ("image", "video")]
        await fresh.adapter.aclose()
        assert not any(pid is None or alive(pid) for pid in pids)
        answer = await fresh.end(operation, call)
        assert isinstance(answer, Failed)
        assert "shut down" in answer.error.message


PARENT = """
import sys
from pathlib import Path
from darkroom.adapters.draft.client import WorkerClient
from darkroom.adapters.draft.job import Job
client = WorkerClient()
size = (640, 360)
job = Job("t", "video", "text_to_video", sys.argv[1], "", None, *size, 1, "low", "mp4", 24, 15, True, 1, "none")
client.submit(job)
while not (state := client.state("t")) or not state.message.startswith("frame"):
    pass
print(client.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
async def test_the_worker_dies_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        with anyio.fail_after(LIMIT_S):
            pid = int(await anyio.to_thread.run_sync(parent.stdout.readline))
        assert alive(pid)
        parent.kill()
    await _gone(pid)


async def test_the_worker_ignores_an_interrupt_of_the_terminal(draft: Harness) -> None:
    await draft.run("hills", size=(64, 64))
    pid = draft.adapter.worker_pid("image")
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    await draft.run("hills", size=(64, 64))
    assert draft.adapter.worker_pid("image") == pid
    assert os.getpgid(pid) != os.getpgid(0)


def test_answers_are_alone_on_stdout(tmp_path: Path) -> None:
    job = '{"do": "cancel", "task": "x"}\n'
    command = [sys.executable, "-m", "darkroom.adapters.draft.worker", "--idle", "0.1"]
    done = subprocess.run(command, input=job, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_full_disk_is_told_as_such() -> None:
    told = explain(OSError(errno.ENOSPC, "No space left on device"))
    assert told["code"] == StorageFull.code


async def test_a_folder_that_is_gone_fails_the_job(draft: Harness) -> None:
    call = draft.call("hills", size=(64, 64))
    call.scratch.rmdir()
    answer = await draft.end(await draft.submit(call), call)
    assert isinstance(answer, Failed)
    assert "FileNotFoundError" in answer.error.message
