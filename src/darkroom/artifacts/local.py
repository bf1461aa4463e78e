"""Outputs in a folder of the user; thumbnails and working files in DARKROOM_HOME."""

import hashlib
import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.to_thread

from darkroom.artifacts import files, media
from darkroom.artifacts.base import Placement
from darkroom.artifacts.paths import Target, names_like, read_save_as, slug_of
from darkroom.artifacts.sniff import FORMATS
from darkroom.domain.job import output_id
from darkroom.domain.output import Output, RemoteOutput
from darkroom.errors import InvalidRequest, ResultExpired, StorageUnwritable, UnexpectedAnswer, Unsupported

log = logging.getLogger(__name__)
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HELD = "The result is held in memory and saved as soon as that works."
_SAFE = "The result is not lost: it stays where it came from."


class LocalArtifacts:
    """Keeps outputs as `<output_dir>/<yyyy-mm>/<slug>-<job>-<n>.<ext>`, or where `save_as` says.

    Those of other principals than `local` lie below `<output_dir>/principals/<principal>/`.

    Outputs get the permissions of any file of the user; what is in `home` is private.
    """

    def __init__(self, *, home: Path, output_dir: Path, allowed_output_dirs: Sequence[Path]) -> None:
        self._home = home.absolute()
        self._output_dir = output_dir.absolute()
        self._allowed = tuple(folder.absolute() for folder in allowed_output_dirs)
        # One result may take 350 MB while it is decoded.
        self._decoding = anyio.CapacityLimiter(4)

    def check_target(self, save_as: str | None) -> None:
        """Refuse what `keep` could not honour; see the protocol. Folders of `save_as` are not made yet."""
        target = self._read(save_as)
        folder = target.folder if target else self._output_dir
        with files.storing(folder, variable="DARKROOM_OUTPUT_DIR", kept="Nothing was stored."):
            if target is None:
                files.make_folder(folder)
            existing = next(path for path in (folder, *folder.parents) if path.exists())
            files.try_folder(existing)
            free = files.free_bytes(existing)
        if free < files.MIN_FREE:
            raise files.full(folder, "DARKROOM_OUTPUT_DIR", "Nothing was stored.")

    async def keep(self, source: RemoteOutput, place: Placement) -> Output:
        """Check, copy, name and depict one finished file; see the protocol.

        What the content is decides, not what was announced.
        """
        if source.path is None:
            raise Unsupported("Results behind web addresses cannot be fetched in this version.")
        path = Path(source.path)
        async with self._decoding:
            found = await _examined(path)
        return await anyio.to_thread.run_sync(self._keep, path, source.variant, found, place)

    async def read(self, output: Output, *, thumbnail: bool = False) -> bytes | None:
        """Return the bytes of an output or of its thumbnail; see the protocol."""
        name = output.thumbnail if thumbnail else output.path
        return None if name is None else await anyio.to_thread.run_sync(_bytes_of, Path(name))

    def scratch(self, job_id: str, idx: int) -> Path:
        """Make and return the private folder `<home>/scratch/<job_id>/<idx>`; see the protocol."""
        folder = self._scratch_of(job_id) / str(int(idx))
        with files.storing(self._home, variable="DARKROOM_HOME", kept="Nothing was lost."):
            files.make_folder(folder, 0o700)
        return folder

    def hold(self, path: Path, data: bytes) -> None:
        """Keep bytes in a scratch folder; see the protocol."""
        with files.storing(self._home, variable="DARKROOM_HOME", kept=_HELD):
            files.write_whole(path, data)

    def sweep(self, job_id: str) -> None:
        """Remove a job's scratch folder; see the protocol. What cannot be removed is left."""
        shutil.rmtree(self._scratch_of(job_id), ignore_errors=True)

    def _scratch_of(self, job_id: str) -> Path:
        return self._home / "scratch" / _checked(job_id)

    def _read(self, save_as: str | None) -> Target | None:
        return read_save_as(save_as, self._output_dir, self._allowed) if save_as and save_as.strip() else None

    def _keep(self, source: Path, variant: str | None, found: media.Examined, place: Placement) -> Output:
        folder, name = self._place(place, found.facts.media_type)
        prefix = f"{_bare(place.job_id)}-{place.index}"
        with _opened(source) as file, files.storing(folder, variable="DARKROOM_OUTPUT_DIR", kept=_SAFE):
            files.make_folder(folder)
            final, sha256, size = _copy(file, folder, name, prefix)
        out_id = output_id(place.job_id, place.index)
        facts = found.facts
        return Output(
            id=out_id,
            job_id=place.job_id,
            submission=place.submission,
            index=place.index,
            path=str(final),
            thumbnail=self._keep_thumbnail(found.thumbnail, out_id),
            media_type=facts.media_type,
            bytes=size,
            sha256=sha256,
            width=facts.width,
            height=facts.height,
            duration=facts.duration,
            variant=variant,
        )

    def _place(self, place: Placement, media_type: str) -> tuple[Path, str]:
        """Return the folder and the first choice of a name."""
        extensions = FORMATS[media_type].extensions
        own = f"{slug_of(place.slug)}-{_bare(place.job_id)}-{place.index}{extensions[0]}"
        try:
            target = self._read(place.save_as)
        except InvalidRequest as exc:
            # It was allowed when the job was accepted: what was paid for is not lost over a link changed since.
            log.warning("An output of %s goes to the usual folder: %s", place.job_id, exc.message)
            target = None
        if target is None:
            month = datetime.fromtimestamp(place.created_at / 1000, tz=UTC).strftime("%Y-%m")
            home = self._output_dir if place.principal == "local" else self._output_dir / "principals" / place.principal
            return home / month, own
        return target.folder, target.first_name(place.index, place.count, extensions) or own

    def _keep_thumbnail(self, data: bytes | None, out_id: str) -> str | None:
        if data is None:
            return None
        path = self._home / "thumbnails" / f"{out_id}.webp"
        try:
            files.write_whole(path, data)
        except OSError as exc:
            # The output itself is safe by now, and a small picture of it is no reason to fail the job.
            log.warning("The thumbnail of %s cannot be written: %s", out_id, exc.strerror)
            return None
        return str(path)


async def _examined(path: Path) -> media.Examined:
    try:
        return await media.examine(path)
    except media.NotMedia as exc:
        raise UnexpectedAnswer(
            f"The provider's file is no result: it {exc.reason}.",
            hint="Nothing was kept of it. Check the job once more, or retry it.",
            provider_message=exc.excerpt,
        ) from exc
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _unreadable(path: Path, exc: OSError) -> ResultExpired | StorageUnwritable:
    if isinstance(exc, FileNotFoundError):
        return ResultExpired(
            f"The finished file {path.name} is gone before it was stored.", hint="Retry the job to make it again."
        )
    return StorageUnwritable(
        f"The finished file {path} cannot be read: {exc.strerror or type(exc).__name__}.",
        hint=f"{_SAFE} Check the permissions of that file.",
    )


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _copy(source: IO[bytes], folder: Path, name: str, prefix: str) -> tuple[Path, str, int]:
    """Copy a file durably into a folder under the first free name like `name`; return its path, sha256 and size.

    A file of that name with the same content is that very output, kept before a crash: it is used again.
    """
    digest = hashlib.sha256()
    files.discard_temporaries(folder, prefix)
    temporary = files.write_temporary(folder, prefix, _chunks(source, digest))
    try:
        sha256, size = digest.hexdigest(), temporary.stat().st_size
        final = next(path for path in names_like(folder / name) if _takes(path, temporary, sha256, size))
    finally:
        temporary.unlink(missing_ok=True)
    files.sync_folder(folder)
    return final, sha256, size


def _takes(final: Path, temporary: Path, sha256: str, size: int) -> bool:
    """Return whether the name is now that file's: it was free, or a file with that content had it."""
    try:
        files.publish(temporary, final)
    except FileExistsError:
        return files.same_content(final, sha256, size)
    return True


def _chunks(source: IO[bytes], digest: Any) -> Iterator[bytes]:
    while chunk := source.read(files.CHUNK):
        digest.update(chunk)
        yield chunk


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _checked(job_id: str) -> str:
    """Return an id that is safe as the name of a folder."""
    if not _JOB_ID.fullmatch(job_id):
        raise ValueError("not an id of a job")
    return job_id


def _bare(job_id: str) -> str:
    return _checked(job_id).removeprefix("job_")
