"""`darkroom token`, and where `darkroom serve --http` does not listen."""

import json
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import uvicorn
from typer.testing import Result

from darkroom.cli import serve_http
from darkroom.domain.token import Scope

Run = Callable[..., Result]


def made(run: Run, *arguments: str) -> dict[str, Any]:
    return json.loads(run("token", "add", *arguments, "--json").stdout)


def test_a_token_is_printed_alone_and_once(run: Run) -> None:
    done = run("token", "add", "ann", "--scope", "read", "--expires", "30d")
    secret = done.stdout.strip()
    assert secret.startswith("drk_")
    assert "\n" not in secret
    assert "lets ann look until" in done.stderr
    assert "copy it now" in done.stderr
    listed = run("token", "list").stdout
    assert "ann" in listed
    assert "holds" in listed
    assert secret not in listed


def test_a_token_as_data(run: Run) -> None:
    token = made(run, "ann", "--plan", "agency")
    assert (token["principal"], token["scopes"], token["plan"]) == ("ann", list(Scope), "agency")
    assert token["token"].startswith("drk_")
    assert "digest" not in token
    [row] = json.loads(run("token", "list", "--json").stdout)
    assert (row["id"], row["status"]) == (token["id"], "holds")
    assert token["token"] not in str(row)


def test_a_revoked_token_stays_in_the_list(run: Run) -> None:
    token = made(run, "ann")
    assert "opens nothing any more" in run("token", "revoke", token["id"]).stdout
    assert "revoked" in run("token", "list").stdout
    assert "There is no token 'token_nope'" in run("token", "revoke", "token_nope", code=1).stderr


def test_without_tokens_the_list_says_how_to_make_one(run: Run) -> None:
    assert "darkroom token add NAME" in run("token", "list").stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("local",), "A token cannot stand for 'local'"),
        (("ann", "--expires", "soon"), "is no span of time"),
        (("ann", "--plan", "gold"), "There is no plan 'gold'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(run: Run, arguments: tuple[str, ...], told: str) -> None:
    assert told in run("token", "add", *arguments, code=1).stderr
    assert json.loads(run("token", "list", "--json").stdout) == []


# ---------------------------------------------------------------------- where it listens


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports at which something was served, in place of serving it."""
    ports: list[int] = []

    def note(_: uvicorn.Server, sockets: list[socket.socket]) -> None:
        ports.extend(listening.getsockname()[1] for listening in sockets)

    monkeypatch.setattr(uvicorn.Server, "run", note)
    return ports


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "media.example.com"])
def test_it_does_not_listen_for_others_without_tokens(run: Run, served: list[int], host: str) -> None:
    done = run("serve", "--http", "--host", host, "--port", "0", code=2)
    assert f"does not listen on {host} without tokens" in done.stderr
    assert "darkroom token add NAME" in done.stderr
    assert not served


@pytest.mark.parametrize(
    ("name", "value"), [("PUBLIC_URL", "https://media.example.com"), ("ALLOWED_HOSTS", "media.example.com")]
)
def test_it_does_not_serve_other_names_without_tokens(
    run: Run, served: list[int], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"DARKROOM_{name}", value)
    assert f"does not serve {value} without tokens" in run("serve", "--http", "--port", "0", code=2).stderr
    assert not served


def test_it_listens_for_this_machine_without_tokens_and_says_where(run: Run, served: list[int]) -> None:
    done = run("serve", "--http", "--port", "0")
    [port] = served
    assert f"http://127.0.0.1:{port}/mcp for this machine alone" in done.stderr


def test_it_listens_for_others_where_there_are_tokens(run: Run, served: list[int]) -> None:
    made(run, "ann")
    done = run("serve", "--http", "--host", "0.0.0.0", "--port", "0")
    assert "with a bearer token" in done.stderr
    assert len(served) == 1


def test_a_port_that_is_taken_is_told(run: Run, served: list[int]) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--http", "--port", str(port), code=1)
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Try another --port" in done.stderr
    assert not served


def test_an_address_of_version_6_is_shown_in_brackets(run: Run, served: list[int]) -> None:
    done = run("serve", "--http", "--host", "::1", "--port", "0")
    assert "http://[::1]:" in done.stderr
    assert len(served) == 1


def test_each_process_serves_what_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"host": "127.0.0.1", "log_json": False, "log_level": "WARNING"}
    monkeypatch.setenv(serve_http.BOUND, json.dumps(told))
    assert callable(serve_http.application())
