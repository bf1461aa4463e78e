"""Folders of skills, made up."""

from pathlib import Path

GOOD = """---
name: {name}
description: Cuts film. Use when clips must be joined.
metadata:
  id: {id}
  category: production
  agent: video_production
  aliases: splice, joining
  match: edit, cut, montage
---

# Film cutting

Cut on the move.

## When to use
- Three clips must become one
- Not for: sound (use `voiceover_direction`)

## Key questions
- `length`: How long may it be? Heard as: seconds, half a minute
- Anything else?

## Method
1. Lay the clips out.

## Deliverables
- one film

## Best practices
- Cut early.

## Common mistakes
- Cutting late.

## Quality bar
- Does it hold?

## Next calls
```json
[{{"tool": "generate_video", "why": "The missing shot",
   "arguments": {{"prompt": "{{product|a lamp}} for {{length|a while}}", "duration": 5, "images": ["{{input|x}}"],
                 "options": {{"labels": ["{{product|lamp}}"]}}}}}}]
```
"""


def write_skill(root: Path, name: str, text: str | None = None, skill_id: str | None = None) -> Path:
    """Write one skill folder and return it."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    text = GOOD.format(name=name, id=skill_id or name.replace("-", "_")) if text is None else text
    (folder / "SKILL.md").write_text(text, encoding="utf-8")
    return folder
