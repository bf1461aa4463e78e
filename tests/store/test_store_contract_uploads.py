"""What every store keeps of pictures that were brought to a provider."""

import pytest

from darkroom.store.base import JobStore, Upload
from factories import NOW

pytestmark = pytest.mark.anyio


def upload(**said: object) -> Upload:
    plain = {"sha256": "ab" * 32, "provider": "acme", "account": "a1", "named": {"id": 7}, "expires_at": NOW + 1000}
    return Upload(**{**plain, **said})  # pyright: ignore[reportArgumentType] because the values are of many types


async def test_what_was_noted_is_found_for_the_same_picture_provider_and_account_alone(store: JobStore) -> None:
    await store.note_upload(upload())
    assert await store.uploaded("ab" * 32, "acme", "a1", NOW) == {"id": 7}
    assert await store.uploaded("cd" * 32, "acme", "a1", NOW) is None
    assert await store.uploaded("ab" * 32, "other", "a1", NOW) is None
    assert await store.uploaded("ab" * 32, "acme", "a2", NOW) is None


async def test_what_has_expired_is_found_no_more_and_may_be_noted_anew(store: JobStore) -> None:
    await store.note_upload(upload())
    assert await store.uploaded("ab" * 32, "acme", "a1", NOW + 1000) is None
    await store.note_upload(upload(named="acme://2", expires_at=NOW + 5000))
    assert await store.uploaded("ab" * 32, "acme", "a1", NOW + 1000) == "acme://2"
