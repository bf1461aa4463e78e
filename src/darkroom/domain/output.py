"""Files: what a provider says it made, and what we kept of it."""

from pydantic import BaseModel, ConfigDict, Field


class RemoteOutput(BaseModel):
    """One result as the provider offers it: a URL to fetch, or a file that is already on this machine."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    url: str | None = None
    path: str | None = None
    media_type: str | None = None
    variant: str | None = None
    """`raw`, `min` and the like, where a provider makes several of one picture."""
    expires_at: int | None = None
    """Milliseconds since 1970."""


class FailedOutput(BaseModel):
    """One result of several that a provider did not deliver."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    index: int
    code: str
    message: str


class Output(BaseModel):
    """One kept file."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    job_id: str
    submission: int
    index: int
    """Position within the job, from 1."""
    path: str
    thumbnail: str | None = None
    """WebP of at most 512 pixels a side: of the picture, or of the clip's first frame."""
    media_type: str
    bytes: int = Field(ge=0)
    sha256: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    """Seconds; None for pictures."""
    variant: str | None = None
