"""What people do with the job database at the command line."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from darkroom.cli import db as command
from darkroom.cli.commands import cli
from darkroom.clock import SystemClock
from darkroom.runtime.liveness import Presence
from darkroom.settings import Settings
from darkroom.store.sqlite import runs
from helpers_runs import RUN_ID, make_run

Run = Callable[..., Result]
RunJson = Callable[..., Any]
FOX = ("generate", "image", "a red fox", "--size", "64x64")


@pytest.fixture
def path() -> Path:
    return Settings.load().database


def on(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql)


def spoil(path: Path, name: str) -> None:
    """Overwrite the first page of a table or an index."""
    with closing(sqlite3.connect(path)) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        [page] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    data = bytearray(path.read_bytes())
    data[(page - 1) * size : page * size] = b"\xa5" * size
    path.write_bytes(data)


def test_a_sound_database_is_said_to_be_one(run: Run, path: Path) -> None:
    run(*FOX)
    text = run("db", "check").stdout
    assert str(path) in text
    assert ", 1 job\n" in text
    assert "nothing is damaged" in text


def test_notes_are_no_damage(run: Run, path: Path) -> None:
    Path(run(*FOX).stdout.strip()).unlink()
    text = run("db", "check").stdout
    assert "moved or deleted since" in text
    assert "nothing is damaged" in text


def test_damage_ends_with_code_one_and_the_way_out(run: Run, path: Path) -> None:
    run(*FOX)
    backup = run("db", "backup").stdout.strip()
    spoil(path, "runs_newest")
    result = run("db", "check", code=1)
    assert "structure" in result.stdout
    assert backup in result.stderr
    path.write_bytes(b"junk")
    assert "not a database" in run("db", "check", code=1).stdout


def test_an_empty_file_is_damage_and_the_newest_backup_is_named(run: Run, path: Path) -> None:
    run(*FOX)
    backup = run("db", "backup").stdout.strip()
    path.write_bytes(b"")
    result = run("db", "check", code=1)
    assert "the file is empty, so it holds no jobs" in result.stdout
    assert "nothing is damaged" not in result.stdout
    assert backup in result.stderr
    assert "darkroom db check" in run("db", "backup", code=1).stderr
    run("db", "restore", backup, "--yes")
    assert "nothing is damaged" in run("db", "check").stdout


def test_no_database_is_said_in_words(run: Run) -> None:
    assert "There is no job database" in run("db", "check", code=1).stderr
    assert "There is no job database" in run("db", "backup", code=1).stderr


def test_a_backup_prints_its_path_and_never_overwrites(run: Run, tmp_path: Path) -> None:
    run(*FOX)
    result = run("db", "backup")
    assert Path(result.stdout.strip()).is_file()
    assert "1 job, 0 of them unfinished" in result.stderr
    target = tmp_path / "copy.db"
    assert run("db", "backup", str(target)).stdout.strip() == str(target)
    assert "exists already" in run("db", "backup", str(target), code=1).stderr


def test_a_backup_is_put_back_and_it_is_said_what_became_of_every_job(run: Run, run_json: RunJson, path: Path) -> None:
    job = run_json(*FOX)
    on(path, "UPDATE submissions SET replayable = 0, state = 'queued'")
    on(path, "UPDATE jobs SET outcome = NULL, finished_at = NULL")
    run("db", "backup", str(path.with_name("copy.db")))
    path.write_bytes(b"junk")
    result = run("db", "restore", str(path.with_name("copy.db")), "--yes")
    assert result.stdout.strip() == str(path)
    for expected in (
        "1 job is there now",
        "before-restore",
        "could be read",
        "may have been sent since",
        job["job_id"],
    ):
        assert expected in result.stderr
    assert "may have been sent" in run("check", job["job_id"], code=1).stdout


def test_a_run_that_may_have_gone_on_is_named(run: Run, path: Path) -> None:
    run(*FOX)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        runs.add(db, make_run(), again=True, fresh_for_ms=0, session=None, callback=None)
    backup = run("db", "backup").stdout.strip()
    path.write_bytes(b"junk")
    told = run("db", "restore", backup, "--yes").stderr
    assert f"1 went on when the backup was made and may have gone further since; ended, start again: {RUN_ID}" in told


def test_newer_jobs_are_taken_over(run: Run, path: Path) -> None:
    run(*FOX)
    backup = run("db", "backup").stdout.strip()
    for number in range(7):
        run("generate", "image", f"fox {number}", "--size", "64x64")
    result = run("db", "restore", backup, "--yes")
    assert "7 newer than the backup, taken over" in result.stderr
    assert "8 jobs are there now" in result.stderr
    assert "and 2 more" in result.stderr
    path.unlink()
    assert "There was no database before" in run("db", "restore", backup, "--yes").stderr


def test_a_file_that_is_no_backup_is_refused(run: Run, path: Path) -> None:
    run(*FOX)
    data = path.read_bytes()
    path.with_name("junk.db").write_bytes(b"junk")
    assert "is damaged" in run("db", "restore", str(path.with_name("junk.db")), "--yes", code=1).stderr
    assert "There is no file" in run("db", "restore", "nothing.db", "--yes", code=1).stderr
    assert path.read_bytes() == data


def test_nothing_is_replaced_while_a_process_of_ours_runs(run: Run, path: Path) -> None:
    run(*FOX)
    backup = run("db", "backup").stdout.strip()
    data = path.read_bytes()
    presence = Presence(path.parent / "workers", "w_running")
    presence.enter(SystemClock())
    (path.parent / "workers" / "w_ended.lock").touch()
    assert "1 darkroom process uses" in run("db", "restore", backup, "--yes", code=1).stderr
    second = Presence(path.parent / "workers", "w_second")
    second.enter(SystemClock())
    assert "2 darkroom processes use" in run("db", "restore", backup, "--yes", code=1).stderr
    assert path.read_bytes() == data
    presence.leave()
    second.leave()
    run("db", "restore", backup, "--yes")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_people_are_asked_first(run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    run(*FOX)
    backup = run("db", "backup").stdout.strip()
    assert "Say --yes" in run("db", "restore", backup, code=2).stderr
    monkeypatch.setattr(command, "_interactive", lambda: True)
    result = CliRunner().invoke(cli, ["db", "restore", backup], input=answer)
    assert (result.exit_code, "Put" in result.stderr) == (code, True)


# doctor


def database_says(rows: list[dict[str, str]]) -> tuple[str, str]:
    return next((row["level"], row["says"]) for row in rows if row["what"] == "database")


def test_doctor_tells_of_damage_and_of_backups(run: Run, run_json: RunJson, path: Path) -> None:
    run(*FOX)
    assert database_says(run_json("doctor")) == (
        "ok",
        "0 jobs under way, no damage, no backup yet: darkroom db backup",
    )
    backup = Path(run("db", "backup").stdout.strip())
    assert "backup 0 hours ago" in database_says(run_json("doctor"))[1]
    old = time.strftime("darkroom-%Y%m%dT%H%M%SZ.sqlite3", time.gmtime(SystemClock().now() / 1000 - 5 * 86_400))
    backup.rename(backup.with_name(old))
    spoil(path, "runs_newest")
    level, says = database_says(run_json("doctor", code=1))
    assert level == "wrong"
    assert "damaged" in says
    assert "backup 5 days ago" in says
