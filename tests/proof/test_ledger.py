"""A proof that the proofs see a corrupted ledger."""

import sqlite3
from collections.abc import Generator
from pathlib import Path

import pytest

from fake_provider.engine import Script
from fake_provider.install import manifest
from fake_provider.server import FakeProvider, running_provider
from proof.cast import zygote
from proof.checker import check, ledger_faults, rows
from proof.driver import PRICE, Config, Wanted

JOBS = ((Wanted("good", n=2), Wanted("well", model="fake-sync")), (Wanted("refused"),), (Wanted("lost"),))
GOOD = "job_id = (SELECT job_id FROM submissions WHERE json_extract(effective, '$.prompt') = 'good') AND submission = 0"
REFUSED = "job_id = (SELECT job_id FROM submissions WHERE json_extract(effective, '$.prompt') = 'refused')"
LOST = "job_id = (SELECT job_id FROM submissions WHERE json_extract(effective, '$.prompt') = 'lost')"
COPY = """INSERT INTO ledger (job_id, submission, kind, micro_usd, at, certain, principal, provider, model)
          SELECT {job}, submission, '{kind}', {amount}, at, certain, principal, provider, model
          FROM ledger WHERE {which} AND kind = 'reserved'"""


def copy(which: str, kind: str, amount: str = "micro_usd", job: str = "job_id") -> str:
    """Return how a row of another kind is made of a reservation."""
    return COPY.format(which=which, kind=kind, amount=amount, job=job)


CORRUPTIONS = {
    "nothing was reserved": (f"DELETE FROM ledger WHERE {GOOD} AND kind = 'reserved'", "has nothing reserved"),
    "an end without a word on its money": (
        f"DELETE FROM ledger WHERE {GOOD} AND kind = 'settled'",
        "is succeeded, and its money is still only reserved",
    ),
    "a failure that keeps its reservation": (
        f"DELETE FROM ledger WHERE {REFUSED} AND kind = 'released'",
        "is failed, and its money is still only reserved",
    ),
    "another amount settled": (f"UPDATE ledger SET micro_usd = 1 WHERE {GOOD} AND kind = 'settled'", "ledger says 1"),
    "another amount released": (
        f"UPDATE ledger SET micro_usd = 1 WHERE {REFUSED} AND kind = 'released'",
        "released another amount than it had reserved",
    ),
    "both settled and released": (copy(GOOD, "released"), "is both settled and released"),
    "settled before its end": (copy(LOST, "settled"), "is submit_unknown, and its ledger says"),
    "released before its end": (copy(LOST, "released"), "is submit_unknown, and its ledger says"),
    "adjusted before its end": (copy(LOST, "adjusted"), "is submit_unknown, and its ledger says"),
    "adjusted in the ledger alone": (copy(GOOD, "adjusted", "7"), "ledger says 7"),
    "a submission that forgot what it cost": (
        f"UPDATE submissions SET actual = 0 WHERE {GOOD.replace('submission =', 'idx =')}",
        "costs 0, and the ledger says",
    ),
    "money of nobody": (copy(GOOD, "reserved", job="'job_of_nobody'"), "and there is no such submission"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Path, FakeProvider]]:
    """Jobs that ended well, one that was refused and one whose fate is unknown."""
    folder = tmp_path_factory.mktemp("ledger")
    with running_provider() as provider:
        provider.script("refused", Script(refuse=(400,) * 9))
        provider.script("lost", Script(cut="accepted"))
        with zygote() as processes:
            providers = {"fake": manifest(provider.base_url)}
            assert processes.run(Config(folder=folder, providers=providers, jobs=JOBS)) == 0
        yield folder, provider


def database(folder: Path) -> Path:
    return folder / "home" / "darkroom.sqlite3"


def test_a_sound_ledger_has_no_fault(finished: tuple[Path, FakeProvider]) -> None:
    folder, provider = finished
    verdict = check(folder, provider, [part.prompt for job in JOBS for part in job])
    assert verdict.holds, verdict
    assert (verdict.succeeded, verdict.failed, len(verdict.unknown)) == (2, 1, 1)
    assert ledger_faults(database(folder)) == []
    spent = rows(database(folder), "SELECT SUM(micro_usd) AS all_, SUM(open * micro_usd) AS open FROM spending")
    assert (spent[0]["all_"], spent[0]["open"]) == (4 * PRICE, PRICE), "what failed costs nothing"


@pytest.mark.parametrize("what", list(CORRUPTIONS))
def test_a_corrupted_ledger_is_seen(finished: tuple[Path, FakeProvider], what: str) -> None:
    folder, provider = finished
    statement, fault = CORRUPTIONS[what]
    file = database(folder)
    sound = sqlite3.connect(":memory:")
    with sqlite3.connect(file) as db:
        db.backup(sound)
        assert db.execute(statement).rowcount == 1
    try:
        assert any(fault in found for found in ledger_faults(file)), ledger_faults(file)
        verdict = check(folder, provider)
    finally:
        sound.backup(db)
        db.close()
        sound.close()
    assert not verdict.holds
    assert any(fault in found for found in verdict.wrong)
    assert ledger_faults(file) == [], "it is sound again"


def test_a_second_row_of_a_kind_cannot_be_and_would_be_seen(finished: tuple[Path, FakeProvider]) -> None:
    folder, _ = finished
    with sqlite3.connect(database(folder)) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(copy(GOOD, "reserved"))
    db.close()
    copied = folder / "copied.sqlite3"
    with sqlite3.connect(copied) as other:
        other.execute("ATTACH ? AS sound", (str(database(folder)),))
        for table in ("submissions", "ledger"):
            other.execute(f"CREATE TABLE {table} AS SELECT * FROM sound.{table}")
        [view] = other.execute("SELECT sql FROM sound.sqlite_master WHERE name = 'spending'").fetchone()
        other.execute(view)
        assert other.execute(copy(GOOD, "reserved")).rowcount == 1
    other.close()
    assert any("has 2 rows that are reserved" in fault for fault in ledger_faults(copied))
