"""What a file is, by its first bytes: never by its name or by what somebody says of it."""

import codecs
from typing import NamedTuple

HEAD = 4096
"""Bytes that suffice to tell."""


class Format(NamedTuple):
    """How a kind of media is called by its decoder and by people."""

    decoder: str
    """Pillow's format name, or FFmpeg's demuxer for clips."""
    extensions: tuple[str, ...]
    """The usual one first."""


PICTURES = {
    "image/png": Format("PNG", (".png",)),
    "image/jpeg": Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif")),
    "image/webp": Format("WEBP", (".webp",)),
    "image/gif": Format("GIF", (".gif",)),
    "image/avif": Format("AVIF", (".avif",)),
    "image/bmp": Format("BMP", (".bmp",)),
    "image/tiff": Format("TIFF", (".tiff", ".tif")),
}
CLIPS = {
    "video/mp4": Format("mov", (".mp4", ".m4v")),
    "video/quicktime": Format("mov", (".mov", ".qt")),
    "video/webm": Format("matroska", (".webm",)),
    "video/x-matroska": Format("matroska", (".mkv",)),
}
FORMATS = PICTURES | CLIPS
OUTPUT_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", *CLIPS})
"""What a provider may deliver."""

_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"II+\0": "image/tiff",
    b"MM\0+": "image/tiff",
}
_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_OTHERS = {
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or office document",
    b"\x1f\x8b": "a gzip archive",
    b"8BPS": "a Photoshop document",
    b"\0\0\1\0": "an icon",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"ID3": "MP3 sound",
    b"OggS": "Ogg sound",
    b"fLaC": "FLAC sound",
    b"\x7fELF": "a program",
    b"MZ": "a program",
}


def media_type_of(head: bytes) -> str | None:
    """Return the media type that a file's first bytes show; None where it is no picture or clip that we know."""
    for start, media_type in _STARTS.items():
        if head.startswith(start):
            return media_type
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    # Two letters alone would take any text that begins with them: the four reserved bytes are zero in real files.
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    return _box_type(head)


def _box_type(head: bytes) -> str | None:
    if head[4:8] in _BOXES:
        return "video/quicktime"
    if head[4:8] != b"ftyp":
        return None
    brands = _brands(head)
    if b"avif" in brands or b"avis" in brands:
        return "image/avif"
    if brands[0] in _HEIF_BRANDS or brands[0] in (b"M4A ", b"M4B "):
        return None
    return "video/quicktime" if brands[0] == b"qt  " else "video/mp4"


def _brands(head: bytes) -> list[bytes]:
    end = min(int.from_bytes(head[:4], "big"), 128)
    return [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]


def looks_like(head: bytes) -> str:
    """Return words for what the first bytes show, such as `an HTML page`."""
    media_type = media_type_of(head)
    if media_type:
        kind = "picture" if media_type in PICTURES else "clip"
        return f"a {kind} of type {media_type}"
    if head[4:8] == b"ftyp":
        return "a HEIC picture" if _brands(head)[0] in _HEIF_BRANDS else "sound"
    if head.startswith(b"RIFF"):
        return "WAVE sound" if head[8:12] == b"WAVE" else "an AVI clip"
    for start, words in _OTHERS.items():
        if head.startswith(start):
            return words
    return _kind_of_text(head)


def _kind_of_text(head: bytes) -> str:
    text = text_of(head)
    if text is None:
        return "data of an unknown kind"
    start = text[:400].lower()
    if "<svg" in start:
        return "an SVG drawing"
    if start.startswith(("<!doctype html", "<html")) or "<html" in start:
        return "an HTML page"
    return "JSON text" if start.startswith(("{", "[")) else "text"


def text_of(head: bytes, limit: int = HEAD) -> str | None:
    """Return the first bytes as printable text on one line; None where they are no text."""
    decoder = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        # The head may end within a character: an incremental decoder leaves that rest alone.
        text = codecs.getincrementaldecoder(decoder)().decode(head)
    except UnicodeDecodeError:
        return None
    printable = [letter for letter in text if letter.isprintable() or letter.isspace()]
    if not printable or len(printable) < 0.95 * len(text):
        return None
    return " ".join("".join(printable).split())[:limit]
