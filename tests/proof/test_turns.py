"""A proof that the proofs see a kept turn that is not as it was answered."""

import json
import sqlite3
from collections.abc import Generator
from pathlib import Path

import pytest

from fake_provider.server import FakeProvider, running_provider
from proof import shipped
from proof.cast import zygote
from proof.checker import check, rows
from proof.driver import Wanted

FIRST = Wanted("first-google-calm", "google", "nano-banana-2.1")
SECOND = Wanted("second-google-calm", "google", "nano-banana-2.1", goes_on=True)
FAILED = Wanted("failed-google-bad", "google", "nano-banana-2.1")
OF = "job_id = (SELECT job_id FROM submissions WHERE json_extract(effective, '$.prompt') = '{}')"
SIGNATURE = "$.parts[2].thoughtSignature"
CORRUPTIONS = {
    "none kept": (f"DELETE FROM turns WHERE {OF.format(FIRST.prompt)}", "its 0 turns are not the 1 answered"),
    "without a signature": (
        f"UPDATE turns SET content = json_remove(content, '{SIGNATURE}') WHERE {OF.format(FIRST.prompt)}",
        "its 1 turns are not the 1 answered",
    ),
    "with the signature of another": (
        f"""UPDATE turns SET content = json_set(content, '{SIGNATURE}',
            (SELECT json_extract(content, '{SIGNATURE}') FROM turns WHERE {OF.format(SECOND.prompt)}))
            WHERE {OF.format(FIRST.prompt)}""",
        "its 1 turns are not the 1 answered",
    ),
    "of what failed": (
        f"INSERT INTO turns SELECT job_id, 0, '{{\"parts\": []}}' FROM submissions WHERE {OF.format(FAILED.prompt)}",
        "failed, and its 1 turns are not the 0 answered",
    ),
    "of nobody": (
        f"INSERT INTO turns SELECT job_id, 7, content FROM turns WHERE {OF.format(FIRST.prompt)}",
        "a turn of nobody",
    ),
    "one conversation noted as two": (
        f"""UPDATE submissions SET effective = json_remove(effective, '$.follows')
            WHERE {OF.format(SECOND.prompt)}""",
        f"{SECOND.prompt}: went on with ('{FIRST.prompt}',), and not as is noted",
    ),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Path, FakeProvider]]:
    """A result, one that goes on with it, and what was refused."""
    folder = tmp_path_factory.mktemp("turns")
    with running_provider(shipped.envelopes()) as provider, zygote() as processes:
        scene = shipped.scene(provider, folder)
        assert processes.run(scene.config(folder, jobs=((FIRST,), (FAILED,)))) == 0
        assert processes.run(scene.config(folder, stream=(SECOND,))) == 0
        yield folder, provider


def database(folder: Path) -> Path:
    return folder / "home" / "darkroom.sqlite3"


def test_sound_turns_have_no_fault(finished: tuple[Path, FakeProvider]) -> None:
    folder, provider = finished
    verdict = check(folder, provider, [FIRST.prompt, SECOND.prompt, FAILED.prompt])
    assert verdict.holds, verdict
    assert (verdict.succeeded, verdict.failed, verdict.turns) == (2, 1, 2)
    assert provider.heard[SECOND.prompt] == (FIRST.prompt,)
    kept = [json.loads(row["content"]) for row in rows(database(folder), "SELECT content FROM turns")]
    assert [part["inlineData"]["data"] for turn in kept for part in turn["parts"][2:]] == [{"output": 0}] * 2


@pytest.mark.parametrize("what", list(CORRUPTIONS))
def test_a_turn_that_is_not_as_it_was_is_seen(finished: tuple[Path, FakeProvider], what: str) -> None:
    folder, provider = finished
    statement, fault = CORRUPTIONS[what]
    sound = sqlite3.connect(":memory:")
    with sqlite3.connect(database(folder)) as db:
        db.backup(sound)
        assert db.execute(statement).rowcount == 1
    try:
        verdict = check(folder, provider)
    finally:
        sound.backup(db)
        db.close()
        sound.close()
    assert not verdict.holds
    assert any(fault in found for found in verdict.wrong), verdict.wrong
    assert check(folder, provider).holds, "it is sound again"
