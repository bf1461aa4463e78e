"""Keeps the folders of this machine from callers who are elsewhere."""

import json
import re

from mcp_types import CallToolResult

from darkroom.settings import Settings


def without_folders(text: str, settings: Settings) -> str:
    """Return a text that names the folders of the user instead of saying where they lie; addresses stay as they are."""
    shown = text
    for folder, name in ((settings.outputs, "the output folder"), (settings.home, "DARKROOM_HOME")):
        for written in {str(folder), json.dumps(str(folder))[1:-1]}:
            shown = re.sub(rf"(?<![\w.:/\]-]){re.escape(written)}(?![\w-])", name, shown)
    return shown


def seen_from_afar(answer: CallToolResult, settings: Settings) -> CallToolResult:
    """Return an answer that says nothing of where the user's folders lie."""
    said = answer.model_dump_json(by_alias=True, exclude_unset=True)
    shown = without_folders(said, settings)
    return answer if shown == said else CallToolResult.model_validate_json(shown)
