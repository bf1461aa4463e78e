"""`darkroom agent` and `darkroom session`, as a person uses them, and runs in `check` and `cancel`."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from helpers_cli import QuickPictures
from typer.testing import CliRunner, Result

from darkroom.app import App
from darkroom.cli import running, session
from darkroom.cli.commands import cli
from darkroom.domain.run import Action, Awaits, Mode, Question, Run, RunState
from darkroom.errors import AuthFailed
from darkroom.services.caps import Terms
from darkroom.services.runs import Runs, StartedRun
from darkroom.services.tasks import Task
from darkroom.settings import Settings

Cli = Callable[..., Result]
RunJson = Callable[..., Any]
SLOGAN = ("agent", "run", "a slogan for a coffee roastery")
IDEAS: dict[str, Any] = {
    "id": "ideas",
    "kind": "agent",
    "agent": "copy",
    "task": "Write about {inputs.product}.",
    "returns": {"lines": {"type": "list", "items": "text"}},
    "draft": {"lines": ["{inputs.product} at dawn", "{inputs.product} at night"]},
}
POSTER: dict[str, Any] = {
    "name": "poster",
    "inputs": {"product": {"reader": "subject", "required": True}},
    "steps": [
        IDEAS,
        {
            "id": "pictures",
            "kind": "image",
            "for_each": "{steps.ideas.lines}",
            "retries": 0,
            "arguments": {"prompt": "{item}", "size": "64x64"},
        },
    ],
    "output": {"summary": "Pictures of {inputs.product}.", "files": ["{steps.pictures.output}"]},
}


@pytest.fixture
def poster(tmp_path: Path) -> str:
    """A small workflow in a file."""
    path = tmp_path / "poster.json"
    path.write_text(json.dumps(POSTER), encoding="utf-8")
    return str(path)


def stored(*runs: Run) -> None:
    """Store runs as a program leaves them that has ended."""
    app = App(Settings.load())

    async def work() -> None:
        async with app.running(advance=False):
            await app.opened()
            for item in runs:
                await app.store.runs.add(item)

    anyio.run(work)


def asking(run_id: str = "run_asks", **fields: Any) -> Run:
    """Return a run that waits for an answer; once it has it, its brief is handed over."""
    values: dict[str, Any] = {
        "id": run_id,
        "principal": "local",
        "mode": Mode.HAND_OFF,
        "agent": "copy",
        "task": "a slogan",
        "request_hash": run_id,
        "state": RunState.WAITING,
        "awaits": Awaits.ANSWER,
        "question": Question(text="For whom is it?"),
        "created_at": 1_790_000_000_000,
        "updated_at": 1_790_000_000_000,
    }
    return Run.model_validate(values | fields)


@pytest.fixture
def at_terminal(quick: QuickPictures, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command for a person who types something."""
    for module in (running, session):
        monkeypatch.setattr(module, "somebody", lambda: True)

    def invoke(*arguments: str, types: str, code: int = 0) -> Result:
        done = CliRunner().invoke(cli, arguments, input=types)
        assert done.exit_code == code, done.output
        return done

    return invoke


# run


def test_without_a_language_model_the_whole_brief_is_printed(run: Cli) -> None:
    done = run(*SLOGAN, "--agent", "copy", "--context", "audience=students", "-c", "words=5")
    assert "a slogan for a coffee roastery" in done.stdout
    assert "- audience: students" in done.stdout
    assert "DELIVER" in done.stdout
    assert "(copy): succeeded after" in done.stderr
    assert "darkroom agent run --session ses_" in done.stderr
    assert "run_agent" not in done.stderr


def test_json_is_the_whole_run(run_json: RunJson) -> None:
    view = run_json(*SLOGAN)
    assert (view["status"], view["brief"]["task"]) == ("succeeded", SLOGAN[2])


def test_a_workflow_tells_of_its_steps_and_prints_its_files(run: Cli, poster: str) -> None:
    done = run("agent", "run", "a poster for a red bicycle", "--workflow", poster)
    first, _, drafted, _, told, *paths = done.stdout.splitlines()
    assert first == "Pictures of red bicycle."
    assert drafted.startswith("Written from templates, without a language model")
    assert told == "Read from the task: product = red bicycle."
    assert len(paths) == 2
    assert all(Path(path).exists() for path in paths)
    assert "ideas: succeeded" in done.stderr
    assert "2 of 2 pictures" in done.stderr
    assert "(poster): succeeded after" in done.stderr
    assert "cost $0.00" in done.stderr


def test_an_equal_call_is_said_to_be_one(run: Cli) -> None:
    def made(text: str) -> str:
        return next(word for word in text.split() if word.startswith("run_"))

    first = run(*SLOGAN)
    second = run(*SLOGAN)
    assert "--again forces a new one" in second.stderr
    assert made(second.stderr.partition("\n")[2]) == made(first.stderr)
    assert made(run(*SLOGAN, "--again").stderr) != made(first.stderr)


def test_a_run_is_only_started_and_finished_later(run: Cli, run_json: RunJson, poster: str) -> None:
    view = run_json("workflow", "run", poster, "a poster for tea", "--wait", "0")
    assert view["status"] == "queued"
    assert "queued" in run("check", view["run_id"]).stderr
    assert run_json("agent", "list", "--status", "active")[0]["run_id"] == view["run_id"]
    done = run("check", view["run_id"], "--wait", "60")
    assert "Pictures of tea." in done.stdout
    assert run_json("check", view["run_id"])["status"] == "succeeded"


def test_a_run_that_fails_ends_with_code_one_and_its_reason(run: Cli, quick: QuickPictures, poster: str) -> None:
    quick.error = AuthFailed("The key was refused.")
    done = run("workflow", "run", poster, "a poster for tea", code=1)
    assert "pictures: failed, The key was refused" in done.stderr
    assert "(poster): failed after" in done.stderr
    made = next(word for word in done.stderr.split() if word.startswith("run_"))
    assert "failed" in run("agent", "list", "--status", "failed").stdout
    run("check", made, code=1)
    assert "The key was refused" in run("agent", "show", made).stdout


def test_a_run_is_stopped_by_either_command(run: Cli, run_json: RunJson) -> None:
    first, second = (run_json(*SLOGAN, "--again", "--wait", "0")["run_id"] for _ in range(2))
    assert f"{first}: cancelled" in run("cancel", first).stdout
    assert f"{second}: cancelled" in run("agent", "cancel", second).stdout
    assert run_json("agent", "cancel", first)["status"] == "cancelled"
    assert "cancelled" in run("agent", "list").stdout


def test_a_stop_that_is_still_to_be_confirmed_says_so(run: Cli) -> None:
    stored(asking(cancel_requested_at=1_790_000_000_000, awaits=Awaits.WORK, question=None, waiting_for=("job_x",)))
    assert "The stop is noted; darkroom check run_asks --wait 60" in run("check", "run_asks").stderr


def test_a_run_of_a_lent_model_says_how_it_goes_on_and_stops(run: Cli) -> None:
    stored(asking(awaits=Awaits.CLIENT, question=None))
    told = run("check", "run_asks").stderr
    assert "run_agent(run_id='run_asks')" in told
    assert "darkroom cancel run_asks stops it" in told


def test_breaking_off_names_the_run_and_how_to_go_on() -> None:
    text = running.broken_off("run_1")
    assert text.startswith("Interrupted. run_1 is kept")
    assert "darkroom check run_1 --wait 600" in text


def test_ctrl_c_leaves_the_run_to_the_next_start(run: Cli, run_json: RunJson, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(running, "follow_run", broken)
        done = run(*SLOGAN, code=130)
    assert "goes on when darkroom runs again" in done.stderr
    left = run_json("agent", "list")[0]
    assert f"Interrupted. {left['run_id']} is kept" in done.stderr
    assert run_json("check", left["run_id"], "--wait", "60")["status"] == "succeeded"


def test_ctrl_c_before_anything_is_stored_says_so(run: Cli, run_json: RunJson, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("darkroom.services.runs.Runs.start", broken)
    assert "Interrupted before anything was stored." in run(*SLOGAN, code=130).stderr
    assert run_json("agent", "list") == []


# Questions


def test_a_question_is_printed_with_how_to_answer_it(run: Cli, run_json: RunJson) -> None:
    stored(asking())
    done = run("check", "run_asks", "--wait", "60")
    assert done.stdout == "For whom is it?\n"
    assert "darkroom agent answer run_asks 'your answer'" in done.stderr
    assert "asks" in run("agent", "list").stdout
    assert "For whom is it?" in run("agent", "show", "run_asks").stdout
    answered = run("agent", "answer", "run_asks", "for students")
    assert "DELIVER" in answered.stdout
    assert "for students" in run("agent", "show", "run_asks").stdout
    again = run("agent", "answer", "run_asks", "for all", code=1)
    assert "run_asks asks nothing: it has ended (succeeded)" in again.stderr


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every start one of the run that asks."""

    async def start(runs: Runs, task: Task, terms: Terms) -> StartedRun:
        return StartedRun(await runs.get("run_asks", terms.principal), created=True)

    monkeypatch.setattr(Runs, "start", start)
    stored(asking())


@pytest.mark.usefixtures("begun")
def test_a_question_is_asked_at_a_terminal_until_it_has_an_answer(run: Cli, at_terminal: Cli) -> None:
    done = at_terminal(*SLOGAN, types="  \nfor students\n")
    assert "For whom is it?\n> > " in done.stderr
    assert "DELIVER" in done.stdout
    assert "for students" in run("agent", "show", "run_asks").stdout


@pytest.mark.usefixtures("begun")
def test_leaving_a_question_open_keeps_the_run(run_json: RunJson, at_terminal: Cli) -> None:
    done = at_terminal(*SLOGAN, types="", code=130)
    assert "run_asks is kept, and waits. Answer with: darkroom agent answer run_asks" in done.stderr
    assert run_json("check", "run_asks")["status"] == "waiting"


def test_a_question_of_a_run_inside_is_shown_for_the_outer_one(run: Cli, run_json: RunJson) -> None:
    outer = asking("run_outer", awaits=Awaits.WORK, question=None, waiting_for=("run_asks",), agent="campaign",
                   actions=(Action(tool="run_agent", run_id="run_asks", key="k"),))  # fmt: skip
    stored(outer, asking(parent_run_id="run_outer", root_run_id="run_outer"))
    assert "darkroom agent answer run_asks" in run("check", "run_outer", "--wait", "60").stderr
    view = run_json("check", "run_outer")
    assert (view["question"], view["asking_run_id"]) == ("For whom is it?", "run_asks")


# Lists and records


def test_without_runs_and_sessions_the_lists_say_how_to_begin(run: Cli) -> None:
    assert "darkroom agent run" in run("agent", "list").stderr
    assert "There is none" in run("agent", "list", "--status", "failed").stderr
    assert "darkroom agent run" in run("session", "list").stderr


def test_lists_page(run: Cli, run_json: RunJson) -> None:
    older, newer = (run_json(*SLOGAN, "--again") for _ in range(2))
    page = run("agent", "list", "--limit", "1")
    assert newer["run_id"] in page.stdout
    assert f"darkroom agent list --before {newer['run_id']}" in page.stderr
    assert older["run_id"] in run("agent", "list", "--before", newer["run_id"]).stdout
    sessions = run("session", "list", "--limit", "1")
    assert newer["session_id"] in sessions.stdout
    assert f"--before {newer['session_id']}" in sessions.stderr
    assert run_json("session", "list", "--before", newer["session_id"])[0]["session_id"] == older["session_id"]


def test_all_about_a_run_is_shown(run: Cli, run_json: RunJson, poster: str) -> None:
    made = run_json("workflow", "run", poster, "a poster for tea")
    text = run("agent", "show", made["run_id"]).stdout
    for expected in ("a poster for tea", "product=tea", "ideas: succeeded", "(image): succeeded", "Pictures of tea."):
        assert expected in text
    record = run_json("agent", "show", made["run_id"])
    assert [row["step"] for row in record["steps"]] == ["ideas", "pictures"]
    assert len(record["jobs"]) == 2


# Sessions


def test_a_conversation_is_shown_continued_and_forgotten(run: Cli, run_json: RunJson) -> None:
    file = Path(os.environ["DARKROOM_HOME"]).parent / "context.json"
    history = [{"role": "user", "content": f"line {number}"} for number in range(25)]
    file.write_text(json.dumps({"history": history, "audience": "students"}), encoding="utf-8")
    name = run_json(*SLOGAN, "--context-file", str(file))["session_id"]
    said = len(run_json("session", "show", name, "--all")["history"])
    newest = run("session", "show", name)
    assert "line 3" not in newest.stdout
    assert f"--before {said - 20}, or --all" in newest.stderr
    assert "line 3" in run("session", "show", name, "--before", "5").stdout
    assert "line 3" in run("session", "show", name, "--all").stdout
    assert run_json("agent", "run", "shorter", "--session", name)["session_id"] == name
    assert "Nothing was deleted: say --yes" in run("session", "delete", name, code=2).stderr
    assert "is forgotten" in run("session", "delete", name, "--yes").stdout
    gone = run("session", "show", name, code=1).stderr
    assert "darkroom session list shows yours" in gone


def test_a_run_whose_model_has_no_room_is_said_to_pause(run: Cli) -> None:
    now = time.time_ns() // 1_000_000
    held = asking(state=RunState.QUEUED, awaits=None, question=None, mode=Mode.LOOP, agent="copy", model="acme/chat")
    held = held.model_copy(update={"work": {"refused": 3}, "due_at": now + 600_000, "updated_at": now + 588_000})
    stored(held)
    done = run("check", held.id, "--wait", "0.3")
    assert (
        "copy (agent): paused, acme/chat has no room just now, and is asked again after 12 s (attempt 4)" in done.stderr
    )


def test_a_job_and_an_agent_have_different_names(run: Cli) -> None:
    done = run("agent", "run", "make a picture of a red fox")
    assert "chat: succeeded" in done.stderr
    assert "darkroom check job_" in done.stdout, "what it says names commands"
    assert "job 1 (image): " in done.stderr
    assert "image (agent): succeeded" in run("agent", "run", "a red fox", "--agent", "image").stderr


def test_ids_of_sessions_are_whole_in_a_narrow_window(
    run: Cli, run_json: RunJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = "a slogan for a coffee roastery " * 9
    name = run_json("agent", "run", task, "--agent", "brand_guidelines")["session_id"]
    for width in ("80", "50"):
        monkeypatch.setattr("darkroom.cli.session.out.width", int(width))
        assert name in run("session", "list").stdout


def test_forgetting_asks_first_at_a_terminal(run_json: RunJson, at_terminal: Cli) -> None:
    name = run_json(*SLOGAN)["session_id"]
    kept = at_terminal("session", "delete", name, types="n\n", code=1)
    assert "Nothing was deleted." in kept.stderr
    assert "is forgotten" in at_terminal("session", "delete", name, types="y\n").stdout
    assert run_json("session", "list") == []


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("agent", "run", " "), 1, "task is empty"),
        ((*SLOGAN, "--agent", "copyy"), 1, "Did you mean"),
        ((*SLOGAN, "--tier", "gold"), 1, "There is no tier 'gold'"),
        ((*SLOGAN, "--model", "gtp"), 1, "There is no language model 'gtp'"),
        ((*SLOGAN, "--context", "audience"), 2, "--context takes name=value"),
        ((*SLOGAN, "--context-file", "nothing.json"), 2, "There is no file nothing.json"),
        ((*SLOGAN, "--max-cost", "cheap"), 2, "US dollars"),
        ((*SLOGAN, "--workflow", "nothing.toml"), 2, "There is no file nothing.toml"),
        ((*SLOGAN, "--workflow", "product_vido"), 1, "Did you mean 'product_video'?"),
        ((*SLOGAN, "--workflow", "-"), 2, "stdin is no JSON"),
        (("agent", "show", "run_nothing"), 1, "darkroom agent list shows your newest runs"),
        (("agent", "answer", "run_nothing", "yes"), 1, "There is no run 'run_nothing'"),
        (("agent", "cancel", "job_nothing"), 2, "darkroom cancel stops jobs"),
        (("cancel", "run_nothing"), 1, "There is no run 'run_nothing'"),
        (("agent", "cancel", "run_nothing"), 1, "There is no run 'run_nothing'"),
        (("agent", "list", "--status", "queue"), 2, "Did you mean 'queued'?"),
        (("check", "run_nothing"), 1, "There is no run 'run_nothing'"),
        (("session", "delete", "ses_nothing", "--yes"), 1, "There is no session 'ses_nothing'"),
    ],
)
def test_a_mistake_is_answered_in_words(
    run: Cli, run_json: RunJson, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    assert expected in run(*arguments, code=code).stderr
    assert run_json("agent", "list") == []
