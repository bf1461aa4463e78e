"""What a person sees while work goes on, and in which words."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import Result

from darkroom.cli import following, running
from darkroom.cli.following import Line
from darkroom.cli.words import as_commands

Run = Callable[..., Result]
STEPS = (
    Line("script", "succeeded", "0.2 s", 1.0),
    Line("clips", "running", "3 of 5 clips", 0.65),
    Line("film", "queued", queued=True),
)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 60 columns in place of stderr."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60, no_color=True, legacy_windows=False)
    monkeypatch.setattr(following, "err", console)
    return screen


def plain(screen: io.StringIO) -> str:
    """Return what was written, without colours and moves."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


def test_a_terminal_shows_a_line_a_step_with_its_bar(terminal: io.StringIO) -> None:
    with following.screen(keep=True) as shown:
        shown.show(STEPS)
    text = plain(terminal)
    assert "✓ script" in text
    assert "━━━━━━━━━━━━━" in text
    assert "running, 3 of 5 clips" in text
    assert "· film" in text


def test_long_words_stay_on_their_line(terminal: io.StringIO) -> None:
    with following.screen(keep=True) as shown:
        shown.show([Line("clips", "failed", "the provider refused it " * 9), Line("film", "skipped")])
    lines = plain(terminal).splitlines()
    assert any("✗ clips" in line and line.rstrip().endswith("…") for line in lines)
    assert all(len(line) <= 60 for line in lines)


def test_without_a_terminal_each_change_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with following.screen(keep=True) as shown:
        shown.show(STEPS)
        shown.show(STEPS)
        shown.show([*STEPS[:2], Line("film", "running")])
    said = capsys.readouterr().err.splitlines()
    assert said == ["script: succeeded, 0.2 s", "clips: running, 3 of 5 clips", "film: running"]


def test_a_run_is_followed_in_a_terminal(run: Run, terminal: io.StringIO, tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text(
        'steps = [{ id = "a", title = "first picture", kind = "image", arguments = { prompt = "f", size = "64x64" } },'
        ' { id = "b", kind = "image", after = ["a"], arguments = { prompt = "a hare", size = "64x64" } }]',
        encoding="utf-8",
    )
    done = run("workflow", "run", str(path), "two animals")
    assert "✓ first picture" in plain(terminal)
    assert "first picture: " not in done.stderr


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0, "0.0 s"), (9_940, "9.9 s"), (9_960, "10 s"), (59_600, "1 min 0 s"), (185_000, "3 min 5 s"),
     (7_500_000, "2 h 5 min")],
)  # fmt: skip
def test_a_span_is_said_as_people_say_it(ms: int, words: str) -> None:
    assert running.duration(ms) == words


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Answer it with run_agent(run_id='run_1', answer=...).", "Answer it with darkroom agent answer run_1 ANSWER."),
        ("Call check_job(job_id='job_1', wait=25) to wait.", "Call darkroom check job_1 --wait 600 to wait."),
        ("Stop it with cancel_job('run_1').", "Stop it with darkroom cancel run_1."),
        ("Then run_agent(task='go on', session_id='ses_1').", "Then darkroom agent run --session ses_1 'go on'."),
        ("Start it again with run_agent.", "Start it again with darkroom agent run."),
        (
            "If they agree, repeat the call with max_cost=0.04.",
            "If they agree, repeat the command with --max-cost 0.04.",
        ),
        ("Ask; if they agree, call with max_cost=2.", "Ask; if they agree, repeat the command with --max-cost 2."),
        ("Raise max_cost in a new call.", "Raise --max-cost in a new command."),
        (
            "max_cost=0 takes free offers only: name provider='draft', or raise max_cost.",
            "--max-cost 0 takes free offers only: name --provider draft, or raise --max-cost.",
        ),
        ("Pass options={'allow_unpriced': true} to run it.", "Pass --option allow_unpriced=true to run it."),
        ("Give context={'product': ...}.", "Give --context product=...."),
        ("(check_job shows, cancel_job stops)", "(darkroom check shows, darkroom cancel stops)"),
        ("It broke. retry_job starts it anew.", "It broke. The same command with --again starts it anew."),
        ("darkroom://agents lists all.", "darkroom agents lists all."),
        ("Start it with retry_job.", "Start it with the same command with --again."),
        ("run_agent(session_id='ses_1', task=...) goes on.", "darkroom agent run --session ses_1 TASK goes on."),
        ("run_agent(task, agent=<candidate>)", "run_agent(task, agent=<candidate>)"),
    ],
)
def test_calls_of_tools_are_said_as_commands(said: str, expected: str) -> None:
    assert as_commands(said) == expected
