"""Holds what the provider saw against what darkroom stored: rows, money, history, files."""

import base64
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darkroom.domain.job import ENDED, State, may_move
from fake_provider.engine import Script, picture
from fake_provider.server import FakeProvider

MOMENTS = 16
"""How many moments, about, the ledger is asked for what was spent since."""


@dataclass
class Verdict:
    """What was found; every list but `unknown` is empty when the promises hold."""

    jobs: int = 0
    lost: list[str] = field(default_factory=list[str])
    """Acknowledged to the caller, or accepted by the provider, and not in the store."""
    stuck: list[str] = field(default_factory=list[str])
    """Neither ended nor of unknown fate."""
    twice: list[str] = field(default_factory=list[str])
    """Accepted by the provider more than once."""
    ends: dict[str, State] = field(default_factory=dict[str, State])
    """How each submission ended, by its prompt."""
    wrong: list[str] = field(default_factory=list[str])
    """Files, money or histories that are not as they must be."""
    unknown: list[str] = field(default_factory=list[str])
    findable: list[str] = field(default_factory=list[str])
    """Of unknown fate although the provider has it and can be asked."""
    turns: int = 0
    """Kept of results, to go on with them."""
    succeeded: int = 0
    failed: int = 0
    integrity: str = "ok"

    @property
    def holds(self) -> bool:
        """Whether both promises were kept, whatever stayed unknown."""
        return not (self.lost or self.stuck or self.twice or self.wrong or self.findable) and self.integrity == "ok"

    def line(self) -> str:
        """Return the verdict as a row of a table."""
        return (
            f"jobs {self.jobs}, succeeded {self.succeeded}, failed {self.failed}, unknown {len(self.unknown)}, "
            f"lost {len(self.lost)}, stuck {len(self.stuck)}, twice {len(self.twice)}, wrong {len(self.wrong)}, "
            f"turns {self.turns}, integrity {self.integrity}"
        )


def rows(database: Path, sql: str, *values: Any) -> list[sqlite3.Row]:
    """Return what a query finds."""
    db = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)
    db.row_factory = sqlite3.Row
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def check(
    folder: Path, provider: FakeProvider, expected: Sequence[str] = (), tag: str = "", askable: Sequence[str] = ()
) -> Verdict:
    """Compare the provider's history with the store and the files.

    Args:
        folder: Of the processes.
        provider: Whose history is the truth.
        expected: Prompts of submissions that were acknowledged to a caller.
        tag: With which all prompts of these processes begin.
        askable: Providers that can be asked what became of a submission.
    """
    database = folder / "home" / "darkroom.sqlite3"
    verdict = Verdict()
    verdict.integrity = str(rows(database, "PRAGMA integrity_check")[0][0])
    parts = rows(database, "SELECT *, json_extract(effective, '$.prompt') AS prompt FROM submissions")
    verdict.jobs = len({part["job_id"] for part in parts})
    by_prompt = {str(part["prompt"]): part for part in parts}
    taken = [item for item in provider.history if item.accepted and not item.repeated and item.prompt.startswith(tag)]
    accepted = {item.prompt: item.accepted for item in taken}
    often = Counter(item.prompt for item in taken)
    verdict.twice = sorted(prompt for prompt, times in often.items() if times > 1)
    verdict.lost = sorted({*expected, *accepted} - set(by_prompt))
    for prompt, part in by_prompt.items():
        _check_part(verdict, database, prompt, part, accepted.get(prompt), askable)
        _check_fate(verdict, prompt, accepted.get(prompt), provider.script_of(prompt))
        remote = accepted.get(prompt)
        _check_turn(verdict, database, prompt, part, provider.turns.get(remote or ""))
        if remote is not None and provider.heard.get(prompt, ()) != _earlier(database, part):
            verdict.wrong.append(f"{prompt}: went on with {provider.heard.get(prompt)}, and not as is noted")
    verdict.wrong += provider.faults
    _check_files(verdict, folder, database)
    sql = "SELECT job_id, idx FROM turns EXCEPT SELECT job_id, idx FROM submissions"
    verdict.wrong += [f"{row['job_id']}/{row['idx']}: a turn of nobody" for row in rows(database, sql)]
    verdict.wrong += check_sums(database)
    verdict.wrong += ledger_faults(database)
    return verdict


def check_sums(database: Path) -> list[str]:
    """Hold every submission's ledger against its cost, and all of it against the view that budgets read."""
    wrong: list[str] = []
    total = 0
    amounts: dict[tuple[str, int], dict[str, int]] = {}
    for row in rows(database, "SELECT * FROM ledger ORDER BY id"):
        amounts.setdefault((row["job_id"], row["submission"]), {})[row["kind"]] = row["micro_usd"]
    for part in rows(database, "SELECT * FROM submissions"):
        said = amounts.pop((part["job_id"], part["idx"]), {})
        closed = said.keys() - {"reserved"}
        cost = said.get("adjusted", said.get("settled", 0 if closed else said.get("reserved", 0)))
        name = f"{part['job_id']}/{part['idx']}"
        if State(part["state"]) in ENDED and not closed:
            wrong.append(f"{name}: money is reserved for what has ended")
        if part["actual"] is not None and closed and part["actual"] != cost:
            wrong.append(f"{name}: cost {part['actual']}, and the ledger says {cost}")
        total += cost
    wrong += [f"{job}/{idx}: money of nobody" for job, idx in amounts]
    seen = rows(database, "SELECT COALESCE(SUM(micro_usd), 0) AS total FROM spending")[0]["total"]
    return wrong if seen == total else [*wrong, f"{seen} spent, and the submissions cost {total}"]


def _check_part(
    verdict: Verdict, database: Path, prompt: str, part: sqlite3.Row, remote: str | None, askable: Sequence[str]
) -> None:
    state = verdict.ends[prompt] = State(part["state"])
    if state is State.SUBMIT_UNKNOWN:
        verdict.unknown.append(prompt)
        if remote is not None and part["provider"] in askable:
            verdict.findable.append(prompt)
    elif state not in ENDED:
        verdict.stuck.append(f"{prompt}: {state}")
    elif state is State.SUCCEEDED:
        verdict.succeeded += 1
        if remote is None:
            verdict.wrong.append(f"{prompt}: succeeded, and the provider never had it")
        _check_outputs(verdict, database, prompt, part, remote or "")
    else:
        verdict.failed += 1
    known = part["provider_job_id"]
    if remote is not None and known is not None and known != remote:
        verdict.wrong.append(f"{prompt}: known as {known}, accepted as {remote}")
    _check_history(verdict, database, prompt, part, state)
    _check_money(verdict, database, prompt, part, state)


def _check_fate(verdict: Verdict, prompt: str, remote: str | None, script: Script) -> None:
    """Nothing fails but what the provider refused or failed, and none of that succeeds."""
    state = verdict.ends[prompt]
    if state is State.SUCCEEDED and script.doomed:
        verdict.wrong.append(f"{prompt}: succeeded, and the provider says that it did not")
    elif state is State.FAILED and not script.doomed and remote is None:
        if not script.refuse:  # a refusal that comes back to a process that was taken for dead ends the job
            verdict.wrong.append(f"{prompt}: failed, and nothing was wrong with it")
    elif state is State.FAILED and not script.doomed:
        verdict.lost.append(f"{prompt}: failed, and the provider accepted it as {remote}")


def _check_outputs(verdict: Verdict, database: Path, prompt: str, part: sqlite3.Row, remote: str) -> None:
    sql = "SELECT * FROM outputs WHERE job_id = ? AND submission = ? ORDER BY idx"
    found = rows(database, sql, part["job_id"], part["idx"])
    wanted = [hashlib.sha256(picture(remote, number)).hexdigest() for number in range(1, _count(part) + 1)]
    if [output["sha256"] for output in found] != wanted:
        verdict.wrong.append(f"{prompt}: {len(found)} outputs, and not the {len(wanted)} that the provider made")
    for output in found:
        path = Path(output["path"])
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != output["sha256"]:
            verdict.wrong.append(f"{prompt}: {path.name} is not what was noted")


def _check_turn(verdict: Verdict, database: Path, prompt: str, part: sqlite3.Row, said: Any) -> None:
    """What can be gone on with has its turn, word for word once its pictures are put back; nothing else has one."""
    sql = "SELECT content FROM turns WHERE job_id = ? AND idx = ?"
    kept = [json.loads(row["content"]) for row in rows(database, sql, part["job_id"], part["idx"])]
    wanted = [said] if said is not None and State(part["state"]) is State.SUCCEEDED else []
    verdict.turns += len(kept)
    sql = "SELECT path FROM outputs WHERE job_id = ? AND submission = ? ORDER BY idx"
    files: list[Path] = [Path(row["path"]) for row in rows(database, sql, part["job_id"], part["idx"])]
    for place in (item["inlineData"] for turn in kept for item in turn["parts"] if "inlineData" in item):
        if isinstance(place["data"], dict):
            number: int = place["data"]["output"]
            place["data"] = base64.b64encode(files[number].read_bytes()).decode()
    if kept != wanted:
        verdict.wrong.append(f"{prompt}: {part['state']}, and its {len(kept)} turns are not the {len(wanted)} answered")


def _earlier(database: Path, part: sqlite3.Row) -> tuple[str, ...]:
    """Return the prompts of the results that a submission goes on with, oldest first."""
    follows = json.loads(part["effective"]).get("follows")
    if follows is None:
        return ()
    sql = "SELECT *, json_extract(effective, '$.prompt') AS prompt FROM submissions WHERE job_id = ? AND idx = ?"
    [before] = rows(database, sql, follows["job_id"], follows["submission"])
    return (*_earlier(database, before), str(before["prompt"]))


def _count(part: sqlite3.Row) -> int:
    return int(json.loads(part["effective"]).get("n", 1))


def _check_history(verdict: Verdict, database: Path, prompt: str, part: sqlite3.Row, state: State) -> None:
    sql = "SELECT origin, target FROM events WHERE job_id = ? AND submission = ? ORDER BY seq"
    at: State | None = None
    for row in rows(database, sql, part["job_id"], part["idx"]):
        origin = None if row["origin"] is None else State(row["origin"])
        target = State(row["target"])
        if origin is not at or (at is not None and not may_move(at, target)):
            verdict.wrong.append(f"{prompt}: moved from {at} to {target}, noted as from {origin}")
        at = target
    if at is not state:
        verdict.wrong.append(f"{prompt}: is {state}, and its history ends in {at}")


def _check_money(verdict: Verdict, database: Path, prompt: str, part: sqlite3.Row, state: State) -> None:
    sql = "SELECT kind, micro_usd FROM ledger WHERE job_id = ? AND submission = ? ORDER BY id"
    kinds = [(row["kind"], row["micro_usd"]) for row in rows(database, sql, part["job_id"], part["idx"])]
    closed = [kind for kind, _ in kinds[1:]]
    wanted = {State.SUCCEEDED: ["settled"], State.SUBMIT_UNKNOWN: []}.get(state)
    if [kind for kind, _ in kinds[:1]] != ["reserved"]:
        verdict.wrong.append(f"{prompt}: nothing was reserved")
    if (wanted is not None and closed != wanted) or (state in ENDED and len(closed) != 1):
        verdict.wrong.append(f"{prompt}: {state}, and its ledger says {kinds}")


def ledger_faults(database: Path) -> list[str]:
    """Return how the ledger breaks its rules; it alone must tell what every submission costs, and so every budget."""
    parts = {(part["job_id"], part["idx"]): part for part in rows(database, "SELECT * FROM submissions")}
    entries: dict[tuple[str, int], dict[str, list[sqlite3.Row]]] = {key: {} for key in parts}
    faults: list[str] = []
    for row in rows(database, "SELECT * FROM ledger ORDER BY id"):
        key = (row["job_id"], row["submission"])
        if key not in entries:
            faults.append(f"{key} has {row['kind']} money, and there is no such submission")
        entries.setdefault(key, {}).setdefault(row["kind"], []).append(row)
    for key, part in parts.items():
        faults += [f"{key} {fault}" for fault in _faults_of_entries(State(part["state"]), entries[key])]
    faults += _faults_of_sums(database, {key: _cost(part, entries[key]) for key, part in parts.items()}, entries)
    return faults


def _faults_of_entries(state: State, entries: dict[str, list[sqlite3.Row]]) -> list[str]:
    """Return what is wrong with the entries of one submission."""
    faults = [f"has {len(found)} rows that are {kind}" for kind, found in entries.items() if len(found) > 1]
    if "reserved" not in entries:
        return [*faults, "has nothing reserved"]
    closed = entries.keys() & {"settled", "released"}
    if state in ENDED and not closed:
        faults.append(f"is {state}, and its money is still only reserved")
    if state not in ENDED and entries.keys() != {"reserved"}:
        faults.append(f"is {state}, and its ledger says {list(entries)}")
    if len(closed) > 1:
        faults.append("is both settled and released")
    if "released" in entries and entries["released"][0]["micro_usd"] != entries["reserved"][0]["micro_usd"]:
        faults.append("released another amount than it had reserved")
    return faults


def _cost(part: sqlite3.Row, entries: dict[str, list[sqlite3.Row]]) -> int:
    """Return what a submission costs: as it says itself, else as settled, else nothing where given back, else all."""
    if part["actual"] is not None and State(part["state"]) in ENDED:
        return int(part["actual"])
    if "settled" in entries:
        return int(entries["settled"][0]["micro_usd"])
    return 0 if "released" in entries or "reserved" not in entries else int(entries["reserved"][0]["micro_usd"])


def _faults_of_sums(
    database: Path, costs: dict[tuple[str, int], int], entries: dict[tuple[str, int], dict[str, list[sqlite3.Row]]]
) -> list[str]:
    """Return where the ledger says another amount than the submissions: of each, and since some moments."""
    spending = rows(database, "SELECT * FROM spending")
    said = {(row["job_id"], row["submission"]): row["micro_usd"] for row in spending}
    faults = [
        f"{key} costs {cost}, and the ledger says {said.get(key)}"
        for key, cost in costs.items()
        if said.get(key) != cost
    ]
    begins = {key: found["reserved"][0]["at"] for key, found in entries.items() if "reserved" in found}
    moments = sorted(set(begins.values()))
    for since in moments[:: max(1, len(moments) // MOMENTS)]:
        wanted = sum(cost for key, cost in costs.items() if begins.get(key, since - 1) >= since)
        sums = rows(database, "SELECT SUM(micro_usd) AS spent FROM spending WHERE at >= ?", since)
        if sums[0]["spent"] != wanted:
            faults.append(f"since {since} {wanted} were spent, and the ledger says {sums[0]['spent']}")
    return faults


def _check_files(verdict: Verdict, folder: Path, database: Path) -> None:
    """Nothing lies about that no row names."""
    named = {row["path"] for row in rows(database, "SELECT path FROM outputs")}
    there = {str(path) for path in (folder / "out").rglob("*") if path.is_file() and not path.name.startswith(".")}
    verdict.wrong += [f"{Path(path).name} is nobody's" for path in sorted(there - named)]
