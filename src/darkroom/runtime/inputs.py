"""Brings the pictures of a call into the form that its provider takes, before anything is promised."""

import hashlib
import logging
from dataclasses import replace
from functools import partial

import anyio
import anyio.to_thread

from darkroom.adapters.base import Adapter, Blob, Call, Uploads
from darkroom.adapters.body import form_of
from darkroom.artifacts.fitting import fitted
from darkroom.artifacts.media import NotMedia
from darkroom.catalog.wires import Form
from darkroom.domain.request import CLIPS
from darkroom.errors import InvalidRequest, NotConfigured
from darkroom.runtime.kit import Kit
from darkroom.store.base import Upload

log = logging.getLogger(__name__)
NOTHING = "Nothing was sent or charged."
SPARE_MS = 600_000
"""How long before its end an uploaded picture is no longer named."""


async def ready(kit: Kit, adapter: Adapter, call: Call) -> Call:
    """Return a call whose pictures are within the offer's limits, loaded, and uploaded where that is wanted.

    Raises:
        InvalidRequest: If a picture cannot be brought within the limits.
        DarkroomError: If one could not be uploaded; nothing was paid for.
    """
    form = form_of(call)
    if form in (Form.URL, Form.FILE):
        return call
    turns = [replace(turn, inputs=tuple([await _loaded(blob, call) for blob in turn.inputs])) for turn in call.history]
    blobs = [await _loaded(blob, call) for blob in call.inputs]
    if form is Form.UPLOAD:
        blobs = [await _uploaded(kit, adapter, blob, call) for blob in blobs]
    return replace(call, inputs=tuple(blobs), history=tuple(turns))


async def _loaded(blob: Blob, call: Call) -> Blob:
    """Return an input with its content, made smaller or written anew where the offer wants that."""
    if blob.role in CLIPS:
        return await _loaded_clip(blob, call)
    limits = call.offer.picture or call.provider.picture
    try:
        content, media_type = await anyio.to_thread.run_sync(partial(fitted, blob.path, blob.media_type, limits))
    except (NotMedia, OSError) as exc:
        why = exc.reason if isinstance(exc, NotMedia) else "can no longer be read"
        raise InvalidRequest(
            f"A picture {why}, so {call.offer.model} cannot take it.",
            field="images",
            hint=f"{NOTHING} Give another picture, or name another model.",
        ) from exc
    return replace(blob, content=content, media_type=media_type)


async def _loaded_clip(blob: Blob, call: Call) -> Blob:
    """Return a clip with its content, as it is: making it smaller would cost what it is to keep."""
    limits = call.offer.clip
    try:
        content = await anyio.Path(blob.path).read_bytes()
    except OSError as exc:
        content, fault = b"", "can no longer be read"
        log.warning("job %s: a clip cannot be read: %s", call.job_id, exc.strerror)
    else:
        fault = ""
        if len(content) > limits.max_bytes:
            fault = f"has {len(content) / 1e6:.1f} MB, more than {limits.max_bytes / 1e6:g}"
        elif blob.media_type not in limits.media_types:
            fault = f"is of the type {blob.media_type}, not {' or '.join(limits.media_types)}"
    if fault:
        raise InvalidRequest(
            f"The clip {fault}, so {call.offer.model} cannot take it.",
            field="images",
            hint=f"{NOTHING} Give another clip, or name another model.",
        )
    return replace(blob, content=content)


async def _uploaded(kit: Kit, adapter: Adapter, blob: Blob, call: Call) -> Blob:
    """Return an input that its provider holds, bringing it there unless it is there already."""
    if not isinstance(adapter, Uploads):
        raise NotConfigured(f"{call.provider.title} has no way to bring a picture to it.", hint=NOTHING)
    sha256 = hashlib.sha256(blob.content).hexdigest()
    account = kit.accounts.account(call.provider) or ""
    named = await kit.store.uploaded(sha256, call.provider.id, account, kit.clock.now())
    if named is None:
        named = await adapter.upload(blob, call)
        expires_at = kit.clock.now() + max(0, int(call.provider.uploads_kept_s * 1000) - SPARE_MS)
        await kit.store.note_upload(Upload(sha256, call.provider.id, account, named, expires_at))
    return replace(blob, uploaded=named)
