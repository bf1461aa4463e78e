"""Pictures and clips that callers give us: checked, and kept in DARKROOM_HOME under the hash of their content."""

import base64
import binascii
import contextlib
import difflib
import hashlib
import itertools
import os
import re
import stat
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import anyio
import anyio.to_thread

from darkroom.artifacts import clips, files, media
from darkroom.artifacts.base import MediaFacts, StoredInput
from darkroom.artifacts.paths import MAX_PATH, confined, fault_of_text, user_path
from darkroom.artifacts.sniff import HEAD, PICTURES, looks_like
from darkroom.domain.kinds import Kind
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest, ResultExpired
from darkroom.net.guard import Guard, Unreachable, Unsafe

MAX_BYTES = 50_000_000
MAX_PIXELS = 64 << 20
"""64 megapixels, 8192x8192: the largest picture that can be asked for can go in again."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_WEB = re.compile(r"https?:", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORMS = "a path of a {noun}, an https:// or file:// address, a data:{data}/... URI or the id of an output"
_FORMS_FROM_AFAR = "an https:// address, a data:{data}/... URI or the id of an output"
_LISTED = 2000
"""Names of a folder that are compared with a missing one."""


@dataclass(frozen=True, slots=True)
class _Sort:
    """What is asked for, in the words of messages."""

    noun: str
    data: str
    """The beginning of its media types."""
    names: str
    """The formats that are taken."""

    def forms(self, *, local: bool) -> str:
        """Return how one may be given; callers from afar name no files."""
        return (_FORMS if local else _FORMS_FROM_AFAR).format(noun=self.noun, data=self.data)


_PICTURE = _Sort("picture", "image", "PNG, JPEG, WebP, GIF, AVIF, BMP or TIFF")
_CLIP = _Sort("clip", "video", clips.NAMES)


class LocalInputs:
    """Takes local files, web addresses and data URIs, and keeps them as `<home>/inputs/<sha256><extension>`."""

    def __init__(self, *, home: Path, allowed_dirs: Sequence[Path], guard: Guard) -> None:
        self._guard = guard
        self._home = home.absolute()
        self._folder = self._home / "inputs"
        self._allowed = tuple(folder.absolute() for folder in allowed_dirs)
        # One picture may take 256 MB while it is decoded.
        self._decoding = anyio.CapacityLimiter(4)
        # A film is asked for again with the same clips; decoding each anew takes half a second.
        self._known: dict[str, MediaFacts] = {}

    async def take(self, src: str, *, local: bool, kind: Kind = Kind.IMAGE) -> StoredInput:
        """Read, check by decoding, and keep a picture or a clip; see the protocol."""
        src = src.strip()
        if kind is Kind.VIDEO:
            return await self._take_clip(src, local)
        if _WEB.match(src):
            data = await self._fetch(src, local, _PICTURE)
            async with self._decoding:
                return await anyio.to_thread.run_sync(self._keep, data, _name_of(src), "The picture at that address")
        async with self._decoding:
            return await anyio.to_thread.run_sync(self._take, src, local)

    async def _take_clip(self, src: str, local: bool) -> StoredInput:
        if _WEB.match(src):
            data = await self._fetch(src, local, _CLIP)
            return await self._keep_clip(partial(BytesIO, data), _name_of(src), "The clip at that address")
        given = await anyio.to_thread.run_sync(self._given, src, local, _CLIP)
        if isinstance(given, bytes):
            return await self._keep_clip(partial(BytesIO, given), None, "The data URI")
        return await self._keep_clip(partial(_opened, given, _CLIP), given.name, f"The file {clip(given.name)!r}")

    async def _keep_clip(self, opening: Callable[[], IO[bytes]], name: str | None, subject: str) -> StoredInput:
        """Copy a clip piece by piece, decode the copy, and give it the name of its hash."""
        with _refusing(subject, _CLIP):
            temporary, sha256 = await anyio.to_thread.run_sync(self._copy, opening)
            try:
                facts = self._known.get(sha256)
                if facts is None:
                    async with self._decoding:
                        facts = await clips.checked(temporary)
                path = self._folder / f"{sha256}{facts.extension}"
                with files.storing(self._home, variable="DARKROOM_HOME", kept="Nothing was stored."):
                    await clips.publish(temporary, path)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(partial(temporary.unlink, missing_ok=True))
        self._known[sha256] = facts
        return StoredInput(sha256, path, facts, name)

    def _copy(self, opening: Callable[[], IO[bytes]]) -> tuple[Path, str]:
        with opening() as file, files.storing(self._home, variable="DARKROOM_HOME", kept="Nothing was stored."):
            return clips.copied(self._folder, clips.pieces(file))

    async def _fetch(self, url: str, local: bool, sort: _Sort) -> bytes:
        try:
            return await self._guard.fetch(url, limit=MAX_BYTES)
        except Unsafe as exc:
            other = "the path of a file" if local else f"a data:{sort.data}/... URI"
            advice = f"Give a public https:// address, or {other}."
            raise _refusal(f"The address {clip(url)!r} {exc}; it was not opened.", advice) from exc
        except Unreachable as exc:
            other = "the path of the file" if local else f"it as a data:{sort.data}/... URI"
            advice = f"Check the address, or download the {sort.noun} and give {other}."
            raise _refusal(f"The {sort.noun} {clip(url)!r} could not be fetched. {exc}", advice) from exc

    def get(self, sha256: str) -> StoredInput:
        """Return what was kept under that hash; see the protocol."""
        if _SHA256.fullmatch(sha256):
            for media_type, kind in PICTURES.items():
                path = self._folder / f"{sha256}{kind.extensions[0]}"
                with contextlib.suppress(FileNotFoundError):
                    return StoredInput(sha256, path, _facts_of_file(path, media_type))
            found = clips.kept(self._folder, sha256)
            if found is not None:
                return StoredInput(sha256, *found)
        raise _gone(sha256)

    def _take(self, src: str, local: bool) -> StoredInput:
        given = self._given(src, local, _PICTURE)
        if isinstance(given, bytes):
            return self._keep(given, None, "The data URI")
        return self._keep(_read(given), given.name, f"The file {clip(given.name)!r}")

    def _given(self, src: str, local: bool, sort: _Sort) -> bytes | Path:
        """Return the content of a data URI, or the path of a file that may be read."""
        scheme = _SCHEME.match(src)
        kind = scheme[1].lower() if scheme else ""
        if kind == "data":
            return _data_of_uri(src, local, sort)
        advice = f"Give {sort.forms(local=local)}."
        if kind and kind != "file":
            raise _refusal(f"The {sort.noun} {clip(src)!r} is an address of an unknown kind.", advice)
        if not local:
            raise _refusal("Paths of files are not accepted over this connection.", advice)
        return self._find(_path_of_uri(src) if kind == "file" else src, sort)

    def _keep(self, data: bytes, name: str | None, subject: str) -> StoredInput:
        with _refusing(subject, _PICTURE):
            facts, data = _check(data)
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._folder / f"{sha256}{facts.extension}"
        if not files.same_content(path, sha256, len(data)):
            with files.storing(self._home, variable="DARKROOM_HOME", kept="Nothing was stored."):
                files.write_whole(path, data)
        return StoredInput(sha256, path, facts, name)

    def _find(self, text: str, sort: _Sort) -> Path:
        """Return the resolved path of a file inside the allowed folders.

        A relative path is tried from the working folder, then from each allowed one, as a person would look for it.
        """
        fault = fault_of_text(text)
        if fault:
            raise _refusal(f"The {sort.noun} {clip(text)!r} {fault}.", f"Give {sort.forms(local=True)}.")
        path = user_path(text)
        tries = self._tries(path)
        inside = [resolved for entry in tries if (resolved := self._confine(entry)) is not None]
        if not inside:
            raise self._outside(text, tries, sort)
        found = next((entry for entry in inside if _exists(entry)), None)
        if found is None:
            # What lies beside an allowed folder is nobody's business.
            raise _missing(text, path, [entry for entry in inside if self._confine(entry.parent)], sort)
        return found

    def _tries(self, path: Path) -> list[Path]:
        if path.is_absolute():
            return [path]
        folders = [folder / path for folder in self._allowed]
        try:
            return [path.absolute(), *folders]
        except OSError:  # the working folder was deleted
            return folders

    def _confine(self, path: Path) -> Path | None:
        resolved, homes = confined(path, self._allowed)
        return resolved if any(not _hidden(parts) for parts in homes) else None

    def _outside(self, text: str, tries: Sequence[Path], sort: _Sort) -> InvalidRequest:
        folders = ", ".join(str(folder) for folder in self._allowed) or "none"
        if any(confined(path, self._allowed)[1] for path in tries):
            return _refusal(
                f"The {sort.noun} {clip(text)!r} lies in a hidden folder, or is a hidden file.",
                f"Copy it to a visible place in one of the allowed folders: {folders}.",
            )
        return _refusal(
            f"The {sort.noun} {clip(text)!r} is outside the folders that may be read.",
            f"Copy it to one of them, or add its folder to DARKROOM_ALLOWED_INPUT_DIRS. Allowed: {folders}.",
            allowed=[str(folder) for folder in self._allowed],
        )


def _check(data: bytes) -> tuple[MediaFacts, bytes]:
    """Return what a picture holds, and its bytes: the same, or encoded anew where it was lying on its side."""
    media_type = media.known_type(data[:HEAD])
    if media_type not in PICTURES:
        raise media.NotMedia(f"is {looks_like(data[:HEAD])}, no picture")
    picture = media.open_picture(BytesIO(data), media_type, MAX_PIXELS)
    media.load(picture)
    whole = media.upright(picture) or data
    facts = media.facts_of(picture, media_type)
    return replace(facts, clear=media.is_clear(picture), file_bytes=len(whole)), whole


def _facts_of_file(path: Path, media_type: str) -> MediaFacts:
    try:
        with path.open("rb") as file:
            return media.facts_of(media.open_picture(file, media_type, MAX_PIXELS), media_type)
    except FileNotFoundError:
        raise
    except (OSError, media.NotMedia) as exc:
        raise _gone(path.stem) from exc


def _read(path: Path) -> bytes:
    """Return a picture's bytes; only a regular file of a bearable size is read."""
    with _readable(path), _opened(path, _PICTURE) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        name = clip(path.name)
        raise _refusal(f"The file {name!r} is larger than 50 MB.", "Give a smaller copy.", allowed="up to 50 MB")
    return data


def _opened(path: Path, sort: _Sort) -> IO[bytes]:
    """Open a file to be read; only a regular one is."""
    name = clip(path.name)
    with _readable(path):
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise _refusal(f"{name!r} is a folder.", f"Give the path of one {sort.noun} in it.")
        # Before opening: the mere opening of a device can do something.
        file = files.open_regular(path) if stat.S_ISREG(found.st_mode) else None
    if file is None:
        raise _refusal(f"{name!r} is no regular file.", f"Give the path of a {sort.noun}.")
    return file


@contextlib.contextmanager
def _readable(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as exc:
        name, reason = clip(path.name), exc.strerror or type(exc).__name__
        raise _refusal(f"The file {name!r} cannot be read: {reason}.", "Mend its permissions, or copy it.") from exc


def _data_of_uri(src: str, local: bool, sort: _Sort) -> bytes:
    head, comma, body = src[len("data:") :].partition(",")
    if len(body) > MAX_BYTES * 3:
        raise _refusal("The data URI is larger than 50 MB.", f"Give a smaller {sort.noun}.", allowed="up to 50 MB")
    parameters = [part.strip().lower() for part in head.split(";")]
    if not comma or not parameters[0].startswith(f"{sort.data}/"):
        example = "image/png" if sort is _PICTURE else "video/mp4"
        raise _refusal(
            f"The data URI is not one of a {sort.noun}.", f"It begins with data:{example};base64, for example."
        )
    data = unquote_to_bytes(body)
    if "base64" in parameters[1:]:
        data = _decoded(data, local)
    if len(data) > MAX_BYTES:
        raise _refusal("The data URI is larger than 50 MB.", f"Give a smaller {sort.noun}.", allowed="up to 50 MB")
    return data


def _decoded(data: bytes, local: bool) -> bytes:
    """Return decoded base64, also of the URL alphabet, with line breaks, or without padding."""
    text = b"".join(data.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error as exc:
        advice = "Send it whole, or give the path of the file." if local else "Send it whole."
        raise _refusal("The data URI holds no valid base64.", advice) from exc


def _path_of_uri(src: str) -> str:
    try:
        parts = urlsplit(src)
        host = parts.hostname
    except ValueError:  # brackets that hold no address
        host, parts = "?", None
    if parts is None or host not in (None, "", "localhost"):
        raise _refusal(f"The address {clip(src)!r} is on another machine.", "Give file:///path or the plain path.")
    path = unquote(parts.path)
    # file:///C:/x has a slash before the drive.
    return path[1:] if re.match(r"/[A-Za-z]:", path) and os.sep == "\\" else path


def _name_of(url: str) -> str | None:
    """Return what a web address calls its picture."""
    return unquote(urlsplit(url).path).rpartition("/")[2][:MAX_PATH] or None


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as exc:
        # What is there and may not be looked at is reported by the reading.
        return isinstance(exc, PermissionError)
    return True


def _missing(text: str, path: Path, tries: Sequence[Path], sort: _Sort) -> InvalidRequest:
    if len(path.parts) == 1 and not path.suffix:
        forms, words = sort.forms(local=True), f"The {sort.noun} {clip(text)!r} is neither a file nor a data URI."
        return _refusal(words, f"Give {forms}.", allowed=forms)
    near = list(dict.fromkeys(name for entry in tries for name in _similar(entry)))[:3]
    advice = f"Close to it: {', '.join(clip(name) for name in near)}." if near else "Check the path."
    return _refusal(f"There is no file {clip(text)!r}.", advice)


def _similar(path: Path) -> list[str]:
    """Return visible files of the same folder with a similar name."""
    try:
        with os.scandir(path.parent) as entries:
            seen = itertools.islice(entries, _LISTED)
            names = [entry.name for entry in seen if not entry.name.startswith(".") and entry.is_file()]
    except OSError:
        return []
    lower = {name.lower(): name for name in names}
    return [lower[name] for name in difflib.get_close_matches(path.name.lower()[:MAX_PATH], lower, n=3)]


def _hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") for part in parts)


@contextlib.contextmanager
def _refusing(subject: str, sort: _Sort) -> Generator[None]:
    """Turn what is no such media into a refusal."""
    try:
        yield
    except media.NotMedia as exc:
        advice = f"Give a whole {sort.noun}: {sort.names}."
        if exc.reason.endswith(", no picture") and "a clip of" in exc.reason:
            advice += " Clips are joined by generate_video, as clip=… in images."
        elif exc.reason.endswith(", no clip") and "a picture of" in exc.reason:
            advice += " Make a clip of the picture first, with generate_video."
        raise _refusal(f"{subject} {exc.reason}.", advice, allowed=sort.names) from exc
    except clips.TooLarge as exc:
        most = f"up to {clips.MAX_BYTES // 1_000_000} MB"
        raise _refusal(f"{subject} is larger than {most[6:]}.", "Give a smaller copy.", allowed=most) from exc


def _gone(sha256: str) -> ResultExpired:
    return ResultExpired(
        f"The input {clip(sha256, 12)} is no longer kept.", hint="Give the picture again, in a new job."
    )


def _refusal(message: str, advice: str, *, allowed: Sequence[str] | str | None = None) -> InvalidRequest:
    return InvalidRequest(message, field="images", allowed=allowed, hint=f"Nothing was stored. {advice}")
