"""What the fixtures answer with: the smallest picture and sound, and shorthands for answers."""

import base64
import io
import wave
from typing import Any

from mcp_types import CallToolResult, EmbeddedResource, TextContent, TextResourceContents
from PIL import Image


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1, 1), "red").save(file, "PNG")
    return file.getvalue()


def _silence() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(bytes(16))
    return file.getvalue()


PICTURE = _picture()
IMAGE = base64.b64encode(PICTURE).decode()
SOUND = base64.b64encode(_silence()).decode()


def said(text: str) -> CallToolResult:
    """Return an answer that is one text."""
    return CallToolResult(content=[TextContent(text=text)])


def embedded(uri: str, text: str, media_type: str = "text/plain") -> EmbeddedResource:
    """Return a resource that travels in an answer."""
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=media_type, text=text))


def structured(fields: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the JSON Schema of an object."""
    return {"type": "object", "properties": fields, **({"required": list(required)} if required else {})}
