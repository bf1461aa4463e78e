"""What an answer shows of files: small pictures and links."""

import base64

from mcp_types import ContentBlock, ImageContent, ResourceLink

from darkroom.domain.job import Job
from darkroom.server.context import ToolCall

THUMBNAILS = 4
"""Small pictures in one answer."""


async def files_of(
    job: Job, call: ToolCall, thumbnails: int, *, first: bool
) -> tuple[list[ContentBlock], list[ContentBlock]]:
    """Return small pictures of a job's files, as the settings want them (once, where `auto`), and links to them."""
    pictures: list[ContentBlock] = []
    setting = call.program.settings.thumbnails
    if setting == "always" or (setting == "auto" and first):
        for output in job.outputs[:thumbnails]:
            data = await call.program.artifacts.read(output, thumbnail=True)
            if data is not None:
                pictures.append(ImageContent(data=base64.b64encode(data).decode(), mime_type="image/webp"))
    links: list[ContentBlock] = [
        ResourceLink(
            uri=f"darkroom://outputs/{output.id}",
            name=output.path.replace("\\", "/").rpartition("/")[2],
            mime_type=output.media_type,
            size=output.bytes,
        )
        for output in job.outputs
    ]
    return pictures, links
