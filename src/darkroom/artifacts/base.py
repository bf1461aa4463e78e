"""What the rest of darkroom may ask of the place where bytes live."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from darkroom.domain.kinds import Kind
from darkroom.domain.output import Output, RemoteOutput


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What decoding a file showed."""

    media_type: str
    extension: str
    """With its dot."""
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    """Seconds; None for pictures."""
    clear: bool | None = field(default=None, compare=False)
    """Whether a picture is transparent anywhere; None where its pixels were not looked at."""
    file_bytes: int | None = field(default=None, compare=False)
    """How large the file of a picture is; None where it was not kept here."""


@dataclass(frozen=True, slots=True)
class StoredInput:
    """An input that was checked and kept under its content hash."""

    sha256: str
    path: Path
    facts: MediaFacts
    name: str | None = None
    """The file name that the caller knows it by."""

    @property
    def ref(self) -> str:
        """How a stored request names it."""
        return f"input:{self.sha256}"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one output belongs."""

    job_id: str
    submission: int
    index: int
    """Position within the job, from 1."""
    count: int
    """How many outputs the job has in all."""
    slug: str
    """What a person would call it: any text, such as the prompt; the store makes a file name of its first words."""
    created_at: int
    """Milliseconds since 1970, of the job."""
    save_as: str | None = None
    """As `check_target` accepted it; empty means None."""
    principal: str = "local"
    """Whose it is: all but `local` have a folder of their own."""


class InputStore(Protocol):
    """Keeps what callers give us, so that a job needs nothing of theirs later."""

    async def take(self, src: str, *, local: bool, kind: Kind = Kind.IMAGE) -> StoredInput:
        """Read, check by decoding, and keep a path, `file://` or `https://` address or data URI.

        Identical content is kept once. A picture that EXIF turns is kept upright, encoded anew; every other one keeps
        its bytes. A relative path is looked for in the working folder and in the allowed folders.

        Args:
            src: What the caller gave.
            local: Whether paths are allowed at all.
            kind: What it must be: a picture, or with `video` a clip, which may have more bytes and keeps them as they
                are.

        Raises:
            InvalidRequest: If it is missing, of another kind, outside the allowed folders, or larger than the caps;
                its field is `images`; or if its address is not on the public internet, or does not answer.
            StorageError: If it cannot be kept.
        """
        ...

    def get(self, sha256: str) -> StoredInput:
        """Return what was kept under that hash; blocks while it reads the file's header.

        Size and length of a clip are not told: they take decoding, as `take` did.

        Raises:
            ResultExpired: If it is gone or was damaged.
        """
        ...


class ArtifactStore(Protocol):
    """Keeps what jobs made."""

    def check_target(self, save_as: str | None) -> None:
        """Refuse a `save_as` that could not be honoured, and an output folder that cannot be written; blocks.

        `hero.png` names a file (`hero-1.png`, `hero-2.png` where a job has several), `hero` the same without saying the
        format, `campaign/` or an existing folder the place for our own names. A media extension that is not the real
        one gives way to it; a name that another file has gets ` (2)`.

        Raises:
            InvalidRequest: If it leaves the allowed folders, has a name that some system does not take, or the
                extension of something that is no media; its field is `save_as`.
            StorageError: If the folder cannot be made or written, or the disk has under 50 MB left.
        """
        ...

    async def keep(self, source: RemoteOutput, place: Placement) -> Output:
        """Check one result by decoding it, copy it to its place durably, and make its thumbnail or poster.

        Repeating it for the same place gives the same output, also after a crash in between. The source is left as it
        is, whatever happens. A `save_as` that is no longer allowed gives way to the usual place, a thumbnail that
        cannot be made is left out, and so are the size and duration of a clip whose decoding runs out of its bounds:
        none of these fails a result that was paid for.

        Raises:
            UnexpectedAnswer: If the file is no picture or clip, is damaged, or is larger than the caps; the beginning
                of a text is in `provider_message`.
            ResultExpired: If the source is gone.
            StorageError: If it cannot be read or kept.
            Unsupported: If the source is a web address.
        """
        ...

    async def read(self, output: Output, *, thumbnail: bool = False) -> bytes | None:
        """Return the bytes of an output or of its thumbnail; None when there is none, or the user deleted the file.

        Raises:
            StorageError: If it is there and cannot be read.
        """
        ...

    def scratch(self, job_id: str, idx: int) -> Path:
        """Make and return the private folder for the files of one submission that is under way; blocks.

        Raises:
            ValueError: If that is no id of a job.
            StorageError: If it cannot be made.
        """
        ...

    def hold(self, path: Path, data: bytes) -> None:
        """Keep bytes in a scratch folder until `keep` takes them, durably and whole; blocks.

        Raises:
            StorageError: If they cannot be kept.
        """
        ...

    def sweep(self, job_id: str) -> None:
        """Remove a job's scratch folder, as far as that is possible; blocks.

        Raises:
            ValueError: If that is no id of a job.
        """
        ...
