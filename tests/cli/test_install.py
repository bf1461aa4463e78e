"""`darkroom install`: what it writes, keeps, says and never touches."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import Result

from darkroom.cli import starting
from darkroom.cli.hosts import HOSTS, HostName

Run = Callable[..., Result]
COMMAND = ["/opt/v/bin/darkroom", "serve"]
PLAIN = {"command": COMMAND[0], "args": ["serve"]}


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """What was started, in place of starting it; the home folder is where it usually is."""
    found: list[tuple[list[str], dict[str, str]]] = []

    def check(command: Sequence[str], environment: Mapping[str, str]) -> None:
        found.append((list(command), dict(environment)))

    monkeypatch.setattr(starting, "check", check)
    monkeypatch.setattr(starting, "command", lambda: list(COMMAND))
    monkeypatch.delenv("DARKROOM_HOME")
    monkeypatch.delenv("DARKROOM_OUTPUT_DIR")
    return found


@pytest.fixture
def cursor(home: Path) -> Path:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    return path


@pytest.mark.parametrize("name", list(HostName))
def test_every_host_gets_an_entry_and_loses_it_again(run: Run, name: HostName) -> None:
    path, host = HOSTS[name].file(), HOSTS[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"theirs": {"a": 1}}', encoding="utf-8")
    result = run("install", name)
    typed = {"type": "stdio"} if name in (HostName.CLAUDE_CODE, HostName.VSCODE) else {}
    assert json.loads(path.read_bytes()) == {"theirs": {"a": 1}, host.container: {"darkroom": {**typed, **PLAIN}}}
    assert f"{host.title} now starts '/opt/v/bin/darkroom serve', as {path} says." in result.stdout
    assert f"The file as it was: {path}.before-darkroom-1" in result.stderr
    result = run("install", name, "--undo")
    assert json.loads(path.read_bytes()) == {"theirs": {"a": 1}, host.container: {}}
    assert f"{path}.before-darkroom-2" in result.stderr


def test_what_is_printed_is_what_is_written_into_a_new_file(
    run: Run, home: Path, tried: list[tuple[list[str], dict[str, str]]]
) -> None:
    path = home / ".cursor" / "mcp.json"
    printed = run("install", "cursor", "--print")
    assert f"This belongs into {path}. Nothing was changed." in printed.stderr
    assert (path.parent.exists(), tried) == (False, [])
    result = run("install", "cursor")
    assert path.read_text("utf-8") == printed.stdout
    assert f"{path.parent} is new: is Cursor installed here?" in result.stderr
    assert tried == [(COMMAND, {})]


def test_a_second_call_changes_nothing_but_tries_the_start_again(
    run: Run, cursor: Path, tried: list[tuple[list[str], dict[str, str]]]
) -> None:
    run("install", "cursor")
    before = cursor.read_bytes()
    result = run("install", "cursor")
    assert "Cursor has darkroom already" in result.stdout
    assert (cursor.read_bytes(), len(tried), len(list(cursor.parent.iterdir()))) == (before, 2, 1)


def test_comments_and_what_the_user_added_to_our_entry_stay(
    run: Run, cursor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """{
    // mine
    "mcpServers": {
        "darkroom": {"command": "uvx", "args": ["darkroom-mcp", "serve"], /* key */ "env": {"FAL_KEY": "k"}, "off": 1},
    },
}
"""
    cursor.write_text(text, encoding="utf-8")
    run("install", "cursor")
    changed = text.replace('"uvx"', '"/opt/v/bin/darkroom"').replace('["darkroom-mcp", "serve"]', '["serve"]')
    assert cursor.read_text("utf-8") == changed
    monkeypatch.setenv("DARKROOM_HOME", "/opt/dr")
    run("install", "cursor")
    assert cursor.read_text("utf-8") == changed.replace('"k"}', '"k", "DARKROOM_HOME": "/opt/dr"}')


def test_the_start_is_tried_with_the_variables_that_the_host_will_set(
    run: Run, cursor: Path, tried: list[tuple[list[str], dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {**PLAIN, "env": {"FAL_KEY": "k", "DARKROOM_HOME": "/opt/old", "odd": 1}}
    cursor.write_text(json.dumps({"mcpServers": {"darkroom": entry}}), encoding="utf-8")
    monkeypatch.setenv("DARKROOM_HOME", "/opt/new")
    run("install", "cursor")
    assert tried == [(COMMAND, {"FAL_KEY": "k", "DARKROOM_HOME": "/opt/new"})]


def test_a_command_that_does_not_start_is_never_written(
    run: Run, cursor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*_: object) -> None:
        raise starting.CannotStart("it fell over")

    monkeypatch.setattr(starting, "check", check)
    result = run("install", "cursor", code=1)
    assert "'/opt/v/bin/darkroom serve' does not work here: it fell over" in result.stderr
    assert f"{cursor} was left as it is" in result.stderr
    assert not cursor.exists()


def test_what_the_host_writes_while_the_start_is_tried_is_kept(
    run: Run, cursor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor.write_text('{"starts": 1}', encoding="utf-8")

    def check(*_: object) -> None:
        cursor.write_text('{"starts": 2}', encoding="utf-8")

    monkeypatch.setattr(starting, "check", check)
    run("install", "cursor")
    assert json.loads(cursor.read_bytes()) == {"starts": 2, "mcpServers": {"darkroom": PLAIN}}
    assert (cursor.parent / "mcp.json.before-darkroom-1").read_text("utf-8") == '{"starts": 2}'


@pytest.mark.parametrize("option", [[], ["--undo"]])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"mcpServers": {"a": 1 "b": 2}}', "is broken at line 1, column 24: a comma or the closing }"),
        ('{"mcpServers": {"darkroom": {"url": "https://example.com/mcp"}}}', "does not start darkroom on this machine"),
    ],
)
def test_what_is_broken_or_not_ours_is_left_as_it_is(
    run: Run, cursor: Path, tried: list[object], text: str, says: str, option: list[str]
) -> None:
    cursor.write_text(text, encoding="utf-8")
    result = run("install", "cursor", *option, code=1)
    assert says in result.stderr
    assert "It was left as it is" in result.stderr
    assert (cursor.read_text("utf-8"), list(cursor.parent.iterdir()), tried) == (text, [cursor], [])


def test_a_list_where_servers_belong_is_left_as_it_is(run: Run, cursor: Path) -> None:
    cursor.write_text('{"mcpServers": []}', encoding="utf-8")
    assert '"mcpServers" holds a list where an object belongs' in run("install", "cursor", code=1).stderr
    assert "has no entry for darkroom" in run("install", "cursor", "--undo").stdout
    assert cursor.read_text("utf-8") == '{"mcpServers": []}'


def test_a_file_that_cannot_be_used_is_told(run: Run, cursor: Path) -> None:
    cursor.mkdir()
    assert "is no file" in run("install", "cursor", code=1).stderr


def test_undo_without_an_entry_or_a_file_changes_nothing(run: Run, cursor: Path) -> None:
    assert "has no entry for darkroom. Nothing was changed." in run("install", "cursor", "--undo").stdout
    assert not cursor.exists()
    cursor.write_text("// empty\n{}", encoding="utf-8")
    run("install", "cursor", "--undo")
    assert cursor.read_text("utf-8") == "// empty\n{}"


def test_another_file_can_be_named(run: Run, tmp_path: Path) -> None:
    path = tmp_path / ".mcp.json"
    run("install", "claude-code", "--file", str(path))
    assert json.loads(path.read_bytes())["mcpServers"]["darkroom"]["type"] == "stdio"


def test_keys_are_never_written_and_those_that_a_host_would_miss_are_named(
    run: Run, cursor: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".darkroom").mkdir()
    (home / ".darkroom" / ".env").write_text("BFL_API_KEY=kept\n", encoding="utf-8")
    monkeypatch.setenv("BFL_API_KEY", "kept")
    assert "in this shell alone" not in run("install", "cursor").stderr
    monkeypatch.setenv("FAL_KEY", "hush")
    result = run("install", "cursor")
    assert "FAL_KEY is set in this shell alone: Cursor may not see that." in result.stderr
    assert f"belong into {home / '.darkroom' / '.env'}, as NAME=value" in result.stderr
    monkeypatch.setenv("DARKROOM_MAX_COST", "2")
    result = run("install", "cursor")
    assert "DARKROOM_MAX_COST, FAL_KEY are set in this shell alone" in result.stderr
    assert "hush" not in result.output + cursor.read_text("utf-8")


def test_print_and_undo_do_not_go_together(run: Run) -> None:
    assert "do not go together" in run("install", "cursor", "--print", "--undo", code=2).stderr
