"""Made-up calls and pictures for the tests of adapters."""

from pathlib import Path
from typing import Any

from darkroom.adapters.base import Blob, Call
from darkroom.catalog.providers import Offer, Provider
from darkroom.domain.kinds import Role
from helpers_catalog import effective, make_provider

NOW = 1_795_000_000_000
HERE = Path(__file__).parent
"""Where nothing is read or written: the adapters alone would."""


def a_blob(role: Role, number: int = 1, **fields: Any) -> Blob:
    values: dict[str, Any] = {
        "path": HERE / f"{number}.png",
        "role": role,
        "media_type": "image/png",
        "sha256": f"{number:064x}",
        "width": 1024,
        "height": 1024,
        "url": f"https://pictures.test/{number}.png",
        "content": f"picture {number}".encode(),
        "uploaded": f"upload-{number}",
    }
    return Blob(**values | fields)


def a_call(offer: Offer, provider: Provider | None = None, *, blobs: tuple[Blob, ...] = (), **request: Any) -> Call:
    return Call(
        job_id="job_1",
        submit_key="key",
        provider=provider or make_provider(offers=[offer]),
        offer=offer,
        credentials={},
        now=NOW,
        request=effective(**request),
        inputs=blobs,
        scratch=HERE,
        spool=HERE / "answer.spool",
    )
