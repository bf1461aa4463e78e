"""`darkroom jobs callbacks`: whom darkroom tells, and how to tell them once more."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]
RunJson = Callable[..., Any]
FOX = ("generate", "image", "a red fox", "--size", "64x64")


class Receiver(HTTPServer):
    """Answers with `status`, and keeps what came."""

    status = 204

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.host = f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver  # pyright: ignore[reportIncompatibleVariableOverride] because it serves this one alone

    def do_PATCH(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Generator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Generator[Receiver]:
    with receiving() as server:
        monkeypatch.setenv("DARKROOM_CALLBACK_HOSTS", server.host)
        yield server


def asking(receiver: Receiver) -> tuple[str, ...]:
    return (*FOX, "--option", f"callback_url=http://{receiver.host}/hook?token=t0ken")


def test_without_callbacks_the_list_says_how_to_ask_for_one(run: Run) -> None:
    assert "options.callback_url" in run("jobs", "callbacks").stderr


def test_a_command_tells_of_its_job_before_it_ends(run: Run, run_json: RunJson, receiver: Receiver) -> None:
    job = run_json(*asking(receiver))
    assert len(receiver.bodies) == 1
    table = run("jobs", "callbacks").stdout
    for word in (job["job_id"], receiver.host, "delivered", "204"):
        assert word in table
    assert "t0ken" not in table
    [row] = run_json("jobs", "callbacks", "--status", "delivered")
    assert (row["subject"], row["host"], row["attempts"]) == (job["job_id"], receiver.host, 1)
    assert "delivered_at" in row
    assert run_json("jobs", "callbacks", "--status", "failed") == []


def test_a_failed_one_is_told_with_its_reason_and_sent_once_more(
    run: Run, run_json: RunJson, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.status = 410
    job = run_json(*asking(receiver))
    table = run("jobs", "callbacks").stdout
    assert "failed" in table
    assert "It answered with status 410" in table
    monkeypatch.setenv("COLUMNS", "80")
    narrow = run("jobs", "callbacks").stdout
    assert f"{job['job_id']}: It answered with status 410, which a further attempt would" in narrow
    monkeypatch.setenv("COLUMNS", "200")
    assert "failed" in run("jobs", "callbacks", "--again", job["job_id"], code=1).stdout
    receiver.status = 200
    [row] = run_json("jobs", "callbacks", "--again", job["job_id"])
    assert (row["status"], row["http_status"]) == ("delivered", 200)
    assert len(set(receiver.bodies)) == 1
    assert len(receiver.bodies) == 3
    refused = run("jobs", "callbacks", "--again", job["job_id"], code=1).stderr
    assert "only a failed one is sent again" in refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--again", "job_nothing"), "There is no callback of 'job_nothing'"),
        (("--status", "done"), "There is no status 'done'"),
    ],
)
def test_a_mistake_is_answered_in_words(run: Run, arguments: tuple[str, ...], said: str) -> None:
    assert said in run("jobs", "callbacks", *arguments, code=1).stderr
