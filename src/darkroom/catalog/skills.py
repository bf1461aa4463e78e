"""Skills: how a piece of work is done well, in the Agent Skills format (agentskills.io), shipped and the user's own."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, cast

from pydantic import JsonValue, TypeAdapter, ValidationError

from darkroom.catalog.data import manifests_dir
from darkroom.catalog.documents import Document, DocumentError, read_document

FILE = "SKILL.md"
NAME_MAX, DESCRIPTION_MAX, FILES_MAX, BYTES_MAX = 64, 1024, 512, 16 * 2**20
"""Bounds of the format, and of what a host must accept of one skill (SEP-2640)."""
OTHER = "other"
"""The category of a skill that names none."""
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_QUESTION = re.compile(r"`([a-z][a-z0-9_]*)`: (.+?\?)(?: Heard as: (.+))?")
_CALLS = re.compile(r"```json\s*\n(.*?)```", re.DOTALL)
_NOT_FOR = "Not for:"
_METADATA = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True)
class Question:
    """Something that must be known before the work begins."""

    key: str
    text: str
    heard: tuple[str, ...] = ()
    """Words in a request that answer it."""


@dataclass(frozen=True, slots=True)
class CallTemplate:
    """A tool call that follows from a skill; its texts hold places such as `{product|the product}`."""

    tool: str
    why: str
    arguments: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill, read; lists are empty where its text has no such section."""

    name: str
    id: str
    title: str
    description: str
    category: str
    agent: str | None
    aliases: tuple[str, ...]
    match: tuple[str, ...]
    frameworks: tuple[str, ...]
    intro: str
    use_cases: tuple[str, ...]
    not_for: tuple[str, ...]
    questions: tuple[Question, ...]
    method: str
    """The steps as they stand, with the tables between them."""
    deliverables: tuple[str, ...]
    best_practices: tuple[str, ...]
    mistakes: tuple[str, ...]
    quality_bar: tuple[str, ...]
    calls: tuple[CallTemplate, ...]
    body: str
    folder: Path
    files: tuple[str, ...]
    """Every file of the folder, SKILL.md first, as paths inside it."""
    front: Mapping[str, JsonValue]
    """The front matter as it stands."""
    own: bool = False
    """Whether it is the user's."""


@dataclass(frozen=True, slots=True)
class SkillFile:
    """One file of a skill."""

    name: str
    """Its path inside the folder."""
    sha256: str
    size: int
    """Bytes."""


def manifest(skill: Skill) -> tuple[SkillFile, ...]:
    """Return every file of a skill as it is now, SKILL.md first; blocks.

    Raises:
        OSError: If one of them cannot be read any more.
    """
    found: list[SkillFile] = []
    for name in skill.files:
        data = (skill.folder / name).read_bytes()
        found.append(SkillFile(name, hashlib.sha256(data).hexdigest(), len(data)))
    return tuple(found)


def read_skill(folder: Path, root: Path, *, own: bool = False) -> Skill:
    """Read one skill; blocks.

    Raises:
        DocumentError: If it breaks a rule of the format; the message says which.
    """
    if not folder.resolve().is_relative_to(root.resolve()):
        raise DocumentError(f"the folder is a link that leads out of {root}")
    document = read_document(folder / FILE, folder)
    name = _checked_name(document.front, folder.name)
    meta = _metadata(document.front)
    cases = document.items("when to use")
    return Skill(
        name=name,
        id=meta.get("id", name.replace("-", "_")),
        title=meta.get("title", name.replace("-", " ").capitalize()),
        description=_description(document.front),
        category=meta.get("category", OTHER),
        agent=meta.get("agent"),
        aliases=_words(meta.get("aliases")),
        match=_words(meta.get("match")),
        frameworks=_words(meta.get("frameworks")),
        intro=document.intro,
        use_cases=tuple(case for case in cases if not case.startswith(_NOT_FOR)),
        not_for=tuple(case.removeprefix(_NOT_FOR).strip() for case in cases if case.startswith(_NOT_FOR)),
        questions=tuple(_question(text, number) for number, text in enumerate(document.items("key questions"), 1)),
        method=document.text("method"),
        deliverables=document.items("deliverables"),
        best_practices=document.items("best practices"),
        mistakes=document.items("common mistakes"),
        quality_bar=document.items("quality bar"),
        calls=_calls(document),
        body=document.body,
        folder=folder,
        files=_files(folder),
        front=cast("dict[str, JsonValue]", _plain(document.front)),
        own=own,
    )


def _checked_name(front: Mapping[str, Any], folder: str) -> str:
    name = front.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_MAX or not _NAME.fullmatch(name):
        raise DocumentError(
            f"name is {str(name)[:NAME_MAX]!r}; it takes 1 to {NAME_MAX} small letters, digits and single hyphens"
        )
    if name != folder:
        raise DocumentError(f"name is {name!r} and its folder is {folder[:80]!r}; both must be the same")
    return name


def _description(front: Mapping[str, Any]) -> str:
    description = front.get("description")
    if not isinstance(description, str) or not 1 <= len(description.strip()) <= DESCRIPTION_MAX:
        raise DocumentError(f"description must be a text of 1 to {DESCRIPTION_MAX} characters")
    return description.strip()


def _plain(value: Any) -> JsonValue:
    """Return a value of front matter as JSON has it; what JSON has not, such as dates, as text."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[Any, Any]", value)
        return {str(key): _plain(item) for key, item in fields.items()}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    kept = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if kept else str(value)


def _metadata(front: Mapping[str, Any]) -> dict[str, str]:
    try:
        return _METADATA.validate_python(front.get("metadata") or {}, strict=True)
    except ValidationError:
        raise DocumentError("metadata must hold texts only; put numbers into quotes") from None


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _question(text: str, number: int) -> Question:
    match = _QUESTION.fullmatch(text)
    if match is None:
        return Question(f"question_{number}", text)
    return Question(match[1], match[2], _words(match[3]))


def _calls(document: Document) -> tuple[CallTemplate, ...]:
    match = _CALLS.search(document.text("next calls"))
    if match is None:
        return ()
    try:
        return tuple(CallTemplate(call["tool"], call["why"], dict(call["arguments"])) for call in json.loads(match[1]))
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise DocumentError(f"the calls under Next calls cannot be read: {type(exc).__name__}: {exc}"[:200]) from None


def _files(folder: Path) -> tuple[str, ...]:
    """Return the files of a skill; links that lead out of it, and hidden files, are not of it."""
    inside, found, total = folder.resolve(), [FILE], (folder / FILE).stat().st_size
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name == FILE or any(part.startswith(".") for part in name.split("/")) or not path.is_file():
            continue
        if not path.resolve().is_relative_to(inside):
            continue
        total += path.stat().st_size
        found.append(name)
        if len(found) > FILES_MAX or total > BYTES_MAX:
            raise DocumentError(f"it has more than {FILES_MAX} files or {BYTES_MAX} bytes")
    return tuple(found)


@cache
def _shipped() -> dict[str, Skill]:
    root = manifests_dir("skills")
    found = (read_skill(folder, root) for folder in sorted(root.iterdir()) if folder.is_dir())
    return {skill.id: skill for skill in found}


class Skills(Mapping[str, Skill]):
    """All skills by id: the shipped ones, and those of the user's folder, which is read again when it changes.

    A skill of the user's with the id of a shipped one takes its place. Every look-up may read files.
    """

    def __init__(self, own_dir: Path | None = None) -> None:
        self._own_dir = own_dir
        self._all: dict[str, Skill] = {}
        self._seen: object = None
        self._lock = Lock()
        self.refused: dict[str, str] = {}
        """Why folders of the user's were left out, by folder name."""

    @property
    def problems(self) -> list[str]:
        """Why skills of the user's folder were left out."""
        return [f"skill {name}: {why}" for name, why in self.refused.items()]

    def current(self) -> Mapping[str, Skill]:
        """Return all skills as the folders hold them now; blocks."""
        with self._lock:
            seen = self._signature()
            if seen != self._seen:
                self._all, self._seen = _shipped() | self._own(), seen
            return self._all

    def _signature(self) -> object:
        if self._own_dir is None:
            return ()
        marks: list[tuple[str, int, int]] = []
        for path in sorted(self._own_dir.glob("**/*")) if self._own_dir.is_dir() else ():
            try:
                state = path.stat()
            except OSError:
                continue
            marks.append((str(path), state.st_mtime_ns, state.st_size))
        return self._own_dir.is_dir(), tuple(marks)

    def _own(self) -> dict[str, Skill]:
        own: dict[str, Skill] = {}
        self.refused = {}
        if self._own_dir is None:
            return own
        if not self._own_dir.is_dir():
            self.refused["DARKROOM_SKILLS_DIR"] = f"{self._own_dir} is not a folder"
            return own
        for folder in sorted(self._own_dir.iterdir()):
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            try:
                skill = read_skill(folder, self._own_dir, own=True)
                if skill.id in own:
                    raise DocumentError(f"its id {skill.id!r} is also that of {own[skill.id].name}")
                own[skill.id] = skill
            except (DocumentError, OSError) as exc:
                self.refused[folder.name[:80]] = f"left out, since {exc}"
        return own

    def __getitem__(self, key: str) -> Skill:
        return self.current()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.current())

    def __len__(self) -> int:
        return len(self.current())
