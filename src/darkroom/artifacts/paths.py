"""Names and places: which ones are safe on every system, and which lie in folders that may be used."""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darkroom.artifacts.sniff import FORMATS
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest

MAX_PATH = 1024
MAX_NAME = 200
"""Bytes of one name in UTF-8: every file system takes 255, and suffixes come on top."""
SLUG_LENGTH = 40
_MEDIA = frozenset(name for entry in FORMATS.values() for name in entry.extensions) | {
    ".avi", ".mpg", ".mpeg", ".mp3", ".wav", ".ogg", ".opus", ".flac", ".m4a", ".aac", ".heic", ".jxl"
}  # fmt: skip
_OTHER_WORDS = """
    .txt .md .html .htm .json .csv .pdf .doc .docx .xls .xlsx .ppt .pptx .zip .tar .gz .exe .dll .bat .cmd .com .sh
    .ps1 .py .js .ts .css .svg .xml .yaml .yml .toml .lnk .desktop .app .psd .ai .eps
"""
_OTHER = frozenset(_OTHER_WORDS.split())
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_FORBIDDEN = frozenset('<>:"|?*\\/')
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that reverse how a name is shown: `gpj.exe` for `exe.jpg`."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the user wants the files of a job."""

    folder: Path
    stem: str | None = None
    """None: our own names, inside that folder."""
    extension: str = ""
    """As the user wrote it, with its dot; empty when none was given."""

    def first_name(self, index: int, count: int, extensions: Sequence[str]) -> str | None:
        """Return the name of one output whose real media type has these extensions; None means our own name."""
        if self.stem is None:
            return None
        number = f"-{index}" if count > 1 else ""
        extension = self.extension if self.extension.lower() in extensions else extensions[0]
        return f"{self.stem}{number}{extension}"


def names_like(path: Path) -> Iterator[Path]:
    """Return `a.png`, `a (2).png`, `a (3).png` ... without end."""
    others = (path.with_name(f"{path.stem} ({number}){path.suffix}") for number in itertools.count(2))
    return itertools.chain([path], others)


def slug_of(text: str) -> str:
    """Return the first words as a file name: lower case, letters and digits of any script, at most 40 characters."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).lower())
    slug = ""
    for word in words:
        longer = f"{slug}-{word}" if slug else word[:SLUG_LENGTH]
        if len(longer) > SLUG_LENGTH:
            break
        slug = longer
    return slug or "untitled"


def fault_of_name(name: str) -> str | None:
    """Return what is wrong with one name of a path, or None; the rules of all systems hold on each of them."""
    if name.startswith("."):
        return "has a part that begins with a dot"
    if name.endswith((".", " ")):
        return "has a part that ends in a dot or a space"
    if set(name) & _FORBIDDEN:
        return 'has one of the characters < > : " | ? * or a backslash'
    if _RESERVED.fullmatch(name):
        return "has a part that is a device name on Windows (CON, NUL, COM1 and the like)"
    if len(name.encode(errors="surrogatepass")) > MAX_NAME:
        return f"has a part longer than {MAX_NAME} bytes"
    return None


def fault_of_text(text: str) -> str | None:
    """Return why a text can be no path at all, or None."""
    if len(text) > MAX_PATH:
        return f"is longer than {MAX_PATH:,} characters"
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _DIRECTIONS for letter in text):
        return "has control characters"
    return None


def user_path(text: str) -> Path:
    """Return the path that a person means, `~` being the home folder; nothing is looked up on the disk."""
    path = Path(text)
    if path.parts[:1] != ("~",):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # this account has no home folder: then "~" is a name like any other
        return path


def _looping(resolved: Path) -> bool:
    """Tell whether a loop of links is left in a resolved path: newer Pythons resolve one only halfway."""
    try:
        return any(part.is_symlink() for part in (resolved, *resolved.parents))
    except OSError:  # what cannot be looked at is refused where it is opened
        return False


def confined(path: Path, roots: Iterable[Path]) -> tuple[Path, list[tuple[str, ...]]]:
    """Return the path with links resolved, and its parts below each root that holds it: none means outside.

    A path of another drive or share is outside without being looked up: on Windows the mere look-up of a share tells a
    stranger's server who is asking.
    """
    folders = [root.absolute() for root in roots]
    if path.anchor.lower() not in {folder.anchor.lower() for folder in folders}:
        return path, []
    try:
        resolved = path.resolve()
        real = [folder.resolve() for folder in folders]
    except (OSError, RuntimeError):  # a loop of links
        return path, []
    if _looping(resolved):
        return path, []
    return resolved, [resolved.relative_to(root).parts for root in real if resolved.is_relative_to(root)]


def read_save_as(text: str, output_dir: Path, allowed: Sequence[Path]) -> Target:
    """Read `save_as`: a file or folder, relative to the output folder, or absolute inside it or an allowed one.

    - `hero.png`, `campaign/hero.webp`: that file. The extension gives way to the real media type.
    - `campaign/`, or a folder that exists: that folder, with our own names in it.
    - `hero`, `campaign/hero`, `v1.5`: the file's name without an extension, which is added.

    Raises:
        InvalidRequest: If it leaves those folders (also by a link), or has a name that some system does not take.
    """
    roots = (output_dir, *allowed)
    fault = fault_of_text(text)
    if fault:
        raise _refusal(text, fault, roots)
    path = user_path(text)
    if ".." in path.parts:
        raise _refusal(text, "has a part '..'", roots)
    whole = path if path.is_absolute() else output_dir.absolute() / path
    resolved, homes = confined(whole, roots)
    if not homes:
        raise _refusal(text, "is outside the folders that may be written", roots)
    for name in (*_own_parts(path, roots), *min(homes, key=len)):
        fault = fault_of_name(name)
        if fault:
            raise _refusal(text, fault, roots)
    is_root = () in homes
    if is_root or text.endswith(("/", "\\")) or _is_folder(resolved):
        return Target(resolved)
    return _file_target(text, whole, roots)


def _own_parts(path: Path, roots: Sequence[Path]) -> tuple[str, ...]:
    """Return the parts that the user chose: resolving may drop what Windows does not keep of a name."""
    if not path.is_absolute():
        return path.parts
    below = [path.relative_to(root).parts for root in roots if path.is_relative_to(root)]
    return min(below, key=len, default=path.parts[-1:])


def _file_target(text: str, path: Path, roots: Sequence[Path]) -> Target:
    # Not resolved itself: should that name be a link, it is another's file, and a free name is taken beside it.
    folder, homes = confined(path.parent, roots)
    if not homes:
        raise _refusal(text, "is outside the folders that may be written", roots)
    suffix = path.suffix
    if suffix.lower() in _OTHER:
        raise _refusal(text, f"ends in {suffix}, which no picture or clip has", roots)
    if suffix.lower() in _MEDIA:
        return Target(folder, path.stem, suffix)
    return Target(folder, path.name)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # it may not be looked at: the writing will say why
        return False


def _refusal(text: str, fault: str, roots: Sequence[Path]) -> InvalidRequest:
    return InvalidRequest(
        f"save_as {clip(text)!r} {fault}.",
        field="save_as",
        allowed="a file or folder name inside " + " or ".join(str(root) for root in roots),
        hint="Nothing was stored. Give a name such as save_as='campaign/hero.png'; "
        "DARKROOM_ALLOWED_OUTPUT_DIRS adds folders.",
    )
