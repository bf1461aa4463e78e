"""What holds the house together and no other tool checks: sizes, reasons, manifests, contents of the wheel."""

import ast
import io
import os
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import darkroom
from darkroom.adapters.registry import adapter_names

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "darkroom"
MODULES = sorted(SRC.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
GENERATE = ROOT / "scripts" / "generate.py"
MODULE_LINES, FUNCTION_LINES = 500, 80
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def functions(tree: ast.AST) -> Iterator[Function]:
    """Return the functions at any depth, looking at statements alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield node
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from functions(node)


def shipped_files() -> list[Path]:
    """Return what git keeps or would keep; without git (a source archive), all but caches and environments."""
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        found = [ROOT / name for name in listing.stdout.decode("utf-8").split("\0") if name]
    else:
        found = [
            path for path in ROOT.rglob("*") if not re.search(r"/(\.|__pycache__|build|dist)", f"/{name_of(path)}")
        ]
    return sorted(path for path in found if path.is_file())


def text_of(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return None


# Sizes


def too_long(paths: list[Path]) -> list[str]:
    found: list[str] = []
    for path in paths:
        source = path.read_text("utf-8")
        lines = source.count("\n")
        if lines > MODULE_LINES:
            found.append(f"{name_of(path)}: {lines} lines")
        for node in functions(ast.parse(source)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{name_of(path)}:{node.lineno} {node.name}: {length} lines")
    return found


def test_modules_and_functions_stay_short() -> None:
    assert too_long([*MODULES, *TESTS]) == []


def test_a_long_module_and_a_long_function_are_found(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def long():\n" + "    x = 1\n" * FUNCTION_LINES + "y = 1\n" * MODULE_LINES, "utf-8")
    assert too_long([path]) == ["long.py: 581 lines", "long.py:1 long: 81 lines"]


def empty(paths: list[Path]) -> list[str]:
    return [
        name_of(path)
        for path in paths
        if path.name != "__init__.py"
        and not [node for node in ast.parse(path.read_text("utf-8")).body if not isinstance(node, ast.Expr)]
    ]


def test_no_module_is_empty() -> None:
    assert empty(MODULES) == []


def test_an_empty_module_is_found(tmp_path: Path) -> None:
    (tmp_path / "later.py").write_text('"""Comes later."""\n\n...\n', "utf-8")
    (tmp_path / "__init__.py").write_text('"""A package."""\n', "utf-8")
    assert empty(sorted(tmp_path.glob("*.py"))) == ["later.py"]


# Promises and reasons

DIRECTIVE = re.compile(
    r"#\s*(?:noqa(?::\s*[A-Z]+\d+(?:,?\s*[A-Z]+\d+)*)?|pyright:\s*(?:ignore|basic)(?:\[[^\]]*\])?"
    r"|type:\s*ignore(?:\[[^\]]*\])?|pragma:\s*no (?:cover|branch))(?P<reason>[^#]*)"
)


def unexplained(source: str) -> list[int]:
    """Return the lines with a directive that silences a tool without at least two words that say why."""
    lines: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        found = list(DIRECTIVE.finditer(token.string))
        if found and len(re.findall(r"[A-Za-z']{2,}", found[-1]["reason"])) < 2:
            lines.append(token.start[0])
    return lines


def test_what_silences_a_tool_says_why() -> None:
    assert [f"{name_of(path)}:{line}" for path in MODULES for line in unexplained(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("comment", "explained"),
    [
        ("# noqa: S101", False),
        ("# noqa: S101, PLC0415", False),
        ("# noqa: S101 because the type is known", True),
        ("# type: ignore[attr-defined]", False),
        ("# pyright: ignore[reportAny]", False),
        ("# pyright: ignore[reportAny] - rows are untyped", True),
        ("# pragma: no cover", False),
        ("# pragma: no cover, since only Windows comes here", True),
        ("# an ordinary comment", True),
    ],
)
def test_a_silenced_tool_without_a_reason_is_found(comment: str, explained: bool) -> None:
    assert unexplained(f"x = '# noqa'\ny = 1  {comment}\n") == ([] if explained else [2])


def test_nothing_in_the_package_is_left_for_later() -> None:
    later = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|NotImplemented" + r"Error)\b")
    texts = [path for path in SRC.rglob("*") if path.suffix in (".py", ".sql", ".toml", ".md")]
    assert [name_of(path) for path in texts if later.search(path.read_text("utf-8"))] == []


MACHINE = {
    "a path of one machine": re.compile(r"(?<![\w.~\-}>)\]])/(?:(?:home|Users)/\w|(?:root|work)/)"),
    "a package index": re.compile(
        r"index[-_]url|/simpl[e]/|pypi\.[o]rg|pythonhoste[d]|registry\.npm[j]s", re.IGNORECASE
    ),
}


def machine_names(text: str) -> list[str]:
    return [f"{what}: {found[0]!r}" for what, pattern in MACHINE.items() for found in pattern.finditer(text)]


def test_no_file_names_a_machine_or_a_package_index() -> None:
    texts = [(path, text) for path in shipped_files() if (text := text_of(path)) is not None]
    assert [f"{name_of(path)}: {hit}" for path, text in texts for hit in machine_names(text)] == []


@pytest.mark.parametrize(
    "parts",
    [("/home", "/me/x"), ("see /Users", "/me"), ("'/root", "/x'"), ("--index", "-url"), ("https://pypi", ".org/p")],
)
def test_a_machine_or_a_package_index_is_found(parts: tuple[str, str]) -> None:
    assert len(machine_names("".join(parts))) == 1


# Tests that test


CHECKS = frozenset({"raises", "RaisesGroup", "warns", "fail", "validate"})


def checks(node: ast.AST) -> tuple[bool, set[str]]:
    """Tell whether code below a node checks something itself, by an assert of a value or pytest; and what it calls."""
    itself, called = False, set[str]()
    for part in ast.walk(node):
        if isinstance(part, ast.Assert):
            itself = itself or not isinstance(part.test, ast.Constant)
        elif isinstance(part, ast.Call):
            called.add(part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", ""))
    return itself or bool(called & CHECKS) or any(name.startswith(("assert_", "expect_")) for name in called), called


def asserting_nothing(source: str) -> list[str]:
    """Return the tests of a file that no outcome of the code under test could fail."""
    every = [(node.name, *checks(node)) for node in functions(ast.parse(source))]
    proven = {name for name, itself, _ in every if itself}
    while more := {name for name, _, called in every if called & proven} - proven:
        proven |= more
    return [name for name, _, _ in every if name.startswith("test_") and name not in proven]


def test_every_test_asserts_something() -> None:
    assert [
        f"{name_of(path)}: {name}"
        for path in TESTS
        if path.name.startswith("test_")
        for name in asserting_nothing(path.read_text("utf-8"))
    ] == []


def test_a_test_that_asserts_nothing_is_found() -> None:
    source = """
def check(x): assert x
def test_direct(): assert f()
def test_raises():
    with pytest.raises(ValueError): f()
async def test_by_helper(): check(f())
def test_constant(): assert True
async def test_nothing(): await f()
"""
    assert asserting_nothing(source) == ["test_constant", "test_nothing"]


# Import contracts


def test_each_import_contract_can_fail(tmp_path: Path) -> None:
    """`make lint` proves that the contracts hold; this, that each is broken by what it forbids."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in contracts} == {"layers", "concrete", "services"}, (
        "each needs an offender here"
    )
    offenders = {
        "domain/offender.py": "import darkroom.store.base\n",  # layers
        "server/offender.py": "import darkroom.store.sqlite\n",  # concrete
        "services/offender.py": "import darkroom.adapters.base\n",  # services
    }
    copy = tmp_path / "src" / "darkroom"
    shutil.copytree(SRC, copy, ignore=shutil.ignore_patterns("__pycache__", "data"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, source in offenders.items():
        (copy / name).write_text(source, "utf-8")
    report = lint_imports(tmp_path)
    for contract in contracts:
        assert f"{contract['name']} BROKEN" in report
    for chain in (
        "darkroom.domain.offender -> darkroom.store.base",
        "darkroom.server.offender -> darkroom.store.sqlite",
        "darkroom.services.offender -> darkroom.adapters.base",
    ):
        assert chain in report


def test_a_module_outside_the_layers_is_found(tmp_path: Path) -> None:
    shutil.copytree(SRC, tmp_path / "src" / "darkroom", ignore=shutil.ignore_patterns("__pycache__", "data"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "src" / "darkroom" / "helpers.py").write_text("X = 1\n", "utf-8")
    assert "darkroom.helpers" in lint_imports(tmp_path) or "helpers" in lint_imports(tmp_path)


def lint_imports(folder: Path) -> str:
    """Run import-linter on the package below a folder and return what it says, on one line; it must complain."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "NO_COLOR": "1", "COLUMNS": "400"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return " ".join(done.stdout.split())


# Manifests, generated files, package


def manifests() -> dict[str, dict[str, object]]:
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in (ROOT / "manifests/providers").glob("*.toml")}


def test_a_manifest_is_named_after_its_provider() -> None:
    assert [name for name, manifest in manifests().items() if manifest["id"] != name] == []


def test_every_adapter_has_a_manifest() -> None:
    assert adapter_names() <= {manifest.get("adapter", manifest["id"]) for manifest in manifests().values()}


def test_every_adapter_has_a_test() -> None:
    folder = ROOT / "tests" / "adapters"
    tested = {path.stem for path in (folder / "recordings").iterdir()} | {path.name for path in folder.iterdir()}
    assert adapter_names() - tested == set()


@pytest.mark.skipif(not GENERATE.exists(), reason="there is no generator yet")
def test_generated_files_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(GENERATE), "--check"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, f"run `make generated`\n{done.stdout}{done.stderr}"


def test_the_version_has_one_value() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert darkroom.__version__ == project["version"]


def test_every_direct_dependency_is_pinned() -> None:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lines = [*described["project"]["dependencies"], *described["dependency-groups"]["dev"]]
    pins = {normal(line) for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in line}
    assert [line for line in lines if normal(line) not in pins] == []


def normal(requirement: str) -> str:
    name = re.match(r"[\w.\-]+", requirement)
    return re.sub(r"[-_.]+", "-", name[0]).lower() if name else ""


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if not re.match(r"darkroom_mcp-[^/]+\.dist-info/", name)}
    expected = {f"darkroom/{path.relative_to(SRC).as_posix()}" for path in shipped_files() if path.is_relative_to(SRC)}
    for family in ("manifests", "resources"):
        top = ROOT / family
        expected |= {f"darkroom/_data/{name_of(path)}" for path in shipped_files() if path.is_relative_to(top)}
    assert held == expected
    assert "darkroom/_data/manifests/providers/draft.toml" in held
    assert [name for name in held if re.search(r"/migrations/.*\.sql$", name)] != []
    assert [name for name in held if name.startswith("darkroom/adapters/draft/data/")] != []
    assert [name for name in held if "test_" in name or "conftest" in name] == []


MONEY = (
    "domain/money.py", "catalog/prices.py", "catalog/plans.py", "catalog/tokens.py", "services/caps.py",
    "services/usage.py", "services/estimates.py", "services/pricing.py", "store/sqlite/money.py",
)  # fmt: skip
SHOWN_ONLY = {"json_usd", "_facts", "_piece"}
"""Functions of these modules that make JSON numbers, or sizes and seconds that prices are compared with."""


@pytest.mark.parametrize("name", MONEY)
def test_no_float_touches_a_price(name: str) -> None:
    tree = ast.parse((ROOT / "src" / "darkroom" / name).read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    apart = {id(node) for function in functions if function.name in SHOWN_ONLY for node in ast.walk(function)}
    floats = [
        f"line {node.lineno}"
        for node in ast.walk(tree)
        if id(node) not in apart
        and (
            (isinstance(node, ast.Constant) and isinstance(node.value, float))
            or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float")
        )
    ]
    assert floats == []
