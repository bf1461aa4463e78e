"""The file of a host: read whole, written whole, with what was there kept beside it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from darkroom.artifacts.files import make_folder, publish, sync_folder, write_temporary

PRIVATE = 0o600
"""Mode of a new file: users put keys into it."""


class HostFileError(Exception):
    """The file cannot be used; the message names it, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class HostFile:
    """A host's file as it was read.

    Attributes:
        path: Where it really is, behind links.
        text: What it holds, with its own line ends; empty where there is none yet.
        mode: Its rights; None where there is none yet.
    """

    path: Path
    text: str
    mode: int | None

    @classmethod
    def read(cls, path: Path) -> "HostFile":
        """Read a file, which need not exist.

        Raises:
            HostFileError: If something there is no file with UTF-8 text that may be read.
        """
        try:
            real = path.expanduser().resolve()
            try:
                mode = real.stat().st_mode
            except FileNotFoundError:
                return cls(real, "", None)
            if not stat.S_ISREG(mode):
                raise HostFileError(f"{path} is no file.")
            return cls(real, real.read_bytes().decode("utf-8"), stat.S_IMODE(mode))
        except UnicodeDecodeError as exc:
            raise HostFileError(f"{path} is not written in UTF-8 (at byte {exc.start}). It was left as it is.") from exc
        except (OSError, RuntimeError) as exc:  # a loop of links is either, by the version of Python
            raise HostFileError(f"{path} cannot be read: {_words(exc)}.") from exc

    def write(self, text: str) -> Path | None:
        """Put another text in its place, at once and whole; return the copy of what was there, if anything was.

        Raises:
            HostFileError: If it may not be written, or was changed since it was read.
        """
        if self.mode is not None and not (self.mode & stat.S_IWUSR and os.access(self.path, os.W_OK)):
            raise HostFileError(f"{self.path} may only be read. It was left as it is.")
        if HostFile.read(self.path) != self:
            raise HostFileError(f"Something else changed {self.path} just now. It was left as it is: try again.")
        copy = None
        try:
            make_folder(self.path.parent)
            if self.mode is not None:
                copy = self._copy(self.mode)
            self._replace(text)
        except OSError as exc:
            if copy is not None:
                copy.unlink(missing_ok=True)
            raise HostFileError(f"{self.path} cannot be written: {_words(exc)}. It was left as it is.") from exc
        return copy

    def _copy(self, mode: int) -> Path:
        temporary = write_temporary(self.path.parent, "darkroom", [self.text.encode("utf-8")], mode)
        try:
            for number in range(1, 10_000):
                copy = self.path.with_name(f"{self.path.name}.before-darkroom-{number}")
                try:
                    publish(temporary, copy)
                except FileExistsError:
                    continue
                return copy
            raise FileExistsError(17, "thousands of copies lie beside it already")
        finally:
            temporary.unlink(missing_ok=True)

    def _replace(self, text: str) -> None:
        mode = PRIVATE if self.mode is None else self.mode
        temporary = write_temporary(self.path.parent, "darkroom", [text.encode("utf-8")], mode)
        try:
            temporary.chmod(mode)  # what the umask took away
            temporary.replace(self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(self.path.parent)


def _words(exc: Exception) -> str:
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
