"""Writes the generated files: schemas of the manifests, the lists of what there is, server.json, parts of the README.

`--check` writes nothing and fails when one of them is stale.
"""

import json
import re
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from darkroom.adapters.registry import adapter_names
from darkroom.app import App
from darkroom.catalog.prices import TOKEN_UNITS
from darkroom.catalog.providers import Offer, Providers, Status, Unit, schema
from darkroom.catalog.workflows import schema as workflow_schema
from darkroom.cli.hosts import HOSTS, HostName
from darkroom.cli.jsonc import put
from darkroom.domain.kinds import Mode
from darkroom.server import listing
from darkroom.server.desk import publish
from darkroom.server.knowledge import skill_resource
from darkroom.server.prompts import prompts
from darkroom.server.resources import RESOURCES, TEMPLATES
from darkroom.server.tools import TOOLS
from darkroom.settings import PREFIX, Settings
from server_json import server_json

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def as_json(data: object) -> str:
    """Return data as the text of a file."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def tool_table() -> str:
    """Return the README's table of tools."""
    rows = ["| tool | what it does | parameters |", "|---|---|---|"]
    for tool in TOOLS:
        names = ", ".join(
            f"**{name}**" if field.is_required() else name for name, field in tool.args.model_fields.items()
        )
        rows.append(f"| `{tool.name}` | {tool.description} | {names} |")
    return "\n".join(rows)


SOURCES = {
    Mode.TEXT_TO_IMAGE: "text",
    Mode.EDIT_IMAGE: "edit",
    Mode.REFERENCE_TO_IMAGE: "references",
    Mode.UPSCALE_IMAGE: "upscale",
    Mode.TEXT_TO_VIDEO: "text",
    Mode.IMAGE_TO_VIDEO: "first frame",
    Mode.FIRST_LAST_FRAME: "both ends",
    Mode.REFERENCE_TO_VIDEO: "references",
    Mode.TIMELINE: "scenes",
    Mode.EDIT_VIDEO: "edit",
    Mode.EXTEND_VIDEO: "extend",
    Mode.UPSCALE_VIDEO: "upscale",
    Mode.JOIN_VIDEO: "join",
}
"""What each operation makes a picture or a clip of."""


def provider_table() -> str:
    """Return the README's table of providers."""
    rows = [
        "| provider | key | makes | offers | prices in USD | today | what it is |",
        "|---|---|---|---|---|---|---|",
    ]
    for provider in Providers().values():
        keys = provider.keys(quote="`") or "none needed"
        there = [offer for offer in provider.offers if offer.status is not Status.RETIRED]
        today = "works" if provider.adapter_name in adapter_names() else "prices only"
        name = f"{provider.title} (`{provider.id}`)"
        prices = "free" if all(offer.replayable for offer in there) else price_ranges(there)
        made = kinds_and_sources(there)
        rows.append(f"| {name} | {keys} | {made} | {len(there)} | {prices} | {today} | {provider.summary} |")
    return "\n".join(rows)


def kinds_and_sources(offers: Sequence[Offer]) -> str:
    """Return what offers make, and pictures and clips of what."""
    words: list[str] = []
    for kind in dict.fromkeys(offer.kind for offer in offers):
        modes = {mode for offer in offers if offer.kind is kind for mode in offer.operations}
        sources = ", ".join(word for mode, word in SOURCES.items() if mode in modes)
        words.append(f"{kind.value} ({sources})" if sources else kind.value)
    return ", ".join(words)


def price_ranges(offers: Sequence[Offer]) -> str:
    """Return the lowest and the highest price of each unit that offers charge by."""
    found: dict[Unit, list[Decimal]] = {}
    for offer in offers:
        for price in offer.prices:
            if not price.part and price.unit not in TOKEN_UNITS:
                found.setdefault(price.unit, []).extend((price.low or price.usd, price.high or price.usd))
    spans = [(unit.value.replace("_", " "), f"{min(items):.4g}", f"{max(items):.4g}") for unit, items in found.items()]
    words = [f"{unit} {low}" if low == high else f"{unit} {low} to {high}" for unit, low, high in spans]
    tokens = ["by the token"] if any(charged_by_token(offer) for offer in offers) else []
    return "; ".join([*words, *tokens]) or "not known"


def charged_by_token(offer: Offer) -> bool:
    """Return whether it is charged by the token."""
    return offer.tokens is not None or any(price.unit in TOKEN_UNITS for price in offer.prices)


def setting_table() -> str:
    """Return the README's table of settings."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    defaults = {"home": "`~/.darkroom`", "output_dir": "`~/Darkroom`", "principals": ""}
    for name, field in Settings.model_fields.items():
        usual = f"`{field.default}`" if field.default not in (None, ()) else ""
        default = defaults.get(name, usual)
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def host_blocks() -> str:
    """Return what `darkroom install --print` prints for each host, with the command by its name alone."""
    blocks: list[str] = []
    for name in HostName:
        host = HOSTS[name]
        block = put("", host.path, host.entry(("darkroom", "serve"), {}))
        blocks.append(f"**{host.title}**, `darkroom install {name}` ({host.files()})\n\n```json\n{block}```")
    return "\n\n".join(blocks)


def readme() -> str:
    """Return the README with its tables and blocks written anew between their markers."""
    text = README.read_text(encoding="utf-8")
    parts = {
        "hosts": host_blocks(),
        "tools": tool_table(),
        "providers": provider_table(),
        "settings": setting_table(),
    }
    for name, table in parts.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        text, count = marked.subn(lambda match, table=table: f"{match[1]}\n{table}\n{match[2]}", text)
        if count != 1:
            sys.exit(f"README.md must have the markers of its {name} once")
    return text


def generated() -> dict[Path, str]:
    """Return every generated file and its text."""
    schemas = ROOT / "manifests" / "schema"
    files = {
        schemas / "provider.json": as_json(schema()),
        schemas / "workflow.json": as_json(workflow_schema()),
        ROOT / "server.json": as_json(server_json()),
        README: readme(),
    }
    return {**files, **listings()}


def listings() -> dict[Path, str]:
    """Return the lists of what there is that a server answers from before anything is loaded."""
    library = App(Settings(skills_dir=None)).skills
    folder = ROOT / "resources" / listing.FOLDER
    files = {folder / "tools" / f"{tool.name}.json": as_json(wire(publish(tool))) for tool in TOOLS}
    for name, items in {
        "resources": [*RESOURCES, *map(skill_resource, library.select())],
        "templates": TEMPLATES,
        "prompts": prompts(library),
    }.items():
        files[folder / f"{name}.json"] = as_json([wire(item) for item in items])
    return files


def wire(item: BaseModel) -> dict[str, Any]:
    """Return what clients get."""
    return item.model_dump(mode="json", by_alias=True, exclude_none=True)


def main() -> None:
    """Write what is stale, or with `--check` say what is."""
    check = sys.argv[1:] == ["--check"]
    stale = [
        path for path, text in generated().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(generated()[path], encoding="utf-8")
    if check and stale:
        sys.exit("run: make generated")


if __name__ == "__main__":
    main()
