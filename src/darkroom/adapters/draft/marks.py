"""What a file says about itself: who made it, that no camera did, and with which words."""

import re
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from darkroom.adapters.draft.job import Job

ENGINE = "darkroom draft engine"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
_KINDS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MIXED_TYPE, SYNTHETIC_TYPE = f"{_KINDS}composite", f"{_KINDS}compositeSynthetic"
"""What a film of joined clips is: of any clips, and of some that an algorithm made."""
NOTICE = "Made by an algorithm: a draft, not a photograph."
MAX_PROMPT_BYTES = 20_000
"""A JPEG holds less than 64 kB of XMP."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def prompt_text(job: Job) -> str:
    """Return the prompt as it may stand in a file: no control characters, bounded."""
    text = _NOT_XML.sub(" ", job.prompt)
    return text.encode("utf-8", "ignore")[:MAX_PROMPT_BYTES].decode("utf-8", "ignore")


def xmp(job: Job, seed: int) -> bytes:
    """Return an XMP packet: engine, IPTC source type and, with full metadata, prompt and seed."""
    lines = [
        f"<xmp:CreatorTool>{ENGINE}</xmp:CreatorTool>",
        f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>",
        f"<photoshop:Instructions>{NOTICE}</photoshop:Instructions>",
    ]
    if job.metadata == "full":
        words = escape(prompt_text(job))
        lines.append(
            f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{words}</rdf:li></rdf:Alt></dc:description>'
        )
        lines.append(f"<Iptc4xmpExt:AIPromptInformation>{words}</Iptc4xmpExt:AIPromptInformation>")
        lines.append(f"<darkroom:seed>{seed}</darkroom:seed>")
    spaces = (
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:darkroom="urn:darkroom:draft"'
    )
    body = f'<rdf:RDF {spaces}><rdf:Description rdf:about="">{"".join(lines)}</rdf:Description></rdf:RDF>'
    packet = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{body}</x:xmpmeta>'
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{packet}<?xpacket end="w"?>'.encode()


def clip_metadata(job: Job) -> dict[str, str]:
    """Return the tags of an mp4."""
    if job.metadata == "none":
        return {}
    comment = f"{NOTICE} Engine: {ENGINE}. digitalSourceType: {SOURCE_TYPE}"
    tags = {"comment": comment, "artist": ENGINE}
    if job.metadata == "full":
        tags["description"] = prompt_text(job)
        tags["comment"] = f"{comment} seed: {job.seed}"
    return tags


def film_metadata(job: Job, clips: Sequence[dict[str, str]]) -> dict[str, str]:
    """Return the tags of a film joined of clips with those tags; the mark of those that no camera made goes with it."""
    if job.metadata == "none":
        return {}
    made = any("algorithmicmedia" in text.lower() or SYNTHETIC_TYPE in text for tags in clips for text in tags.values())
    kind = SYNTHETIC_TYPE if made else MIXED_TYPE
    tags = {"comment": f"Joined of {len(clips)} clips. Engine: {ENGINE}. digitalSourceType: {kind}"}
    if job.metadata == "full" and job.prompt:
        tags["description"] = prompt_text(job)
    return tags


def save_picture(picture: Image.Image, path: Path, job: Job, seed: int) -> None:
    """Write one picture with its marks; the format is the job's."""
    if job.format == "png":
        info = PngInfo()
        if job.metadata != "none":
            info.add_itxt("Software", ENGINE)
            info.add_itxt("Comment", NOTICE)
            if job.metadata == "full":
                info.add_itxt("Description", prompt_text(job))
                info.add_itxt("Seed", str(seed))
            info.add_itxt("XML:com.adobe.xmp", xmp(job, seed).decode())
        picture.save(path, "PNG", pnginfo=info, compress_level=6)
        return
    quality = {"low": 80, "high": 94}.get(job.quality, 90)
    extra = {} if job.metadata == "none" else {"xmp": xmp(job, seed)}
    if job.format == "webp":
        picture.save(path, "WEBP", quality=quality, method=4, **extra)
    else:
        picture.save(path, "JPEG", quality=quality, subsampling=0 if quality > 90 else 2, optimize=True, **extra)
