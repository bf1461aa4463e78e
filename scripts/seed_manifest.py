"""Writes the offers of one provider as TOML from collected facts: capabilities and prices in JSON files.

A beginning to complete by hand: what the files do not tell (titles, options, ranks, times) is left out. The manifests
are the truth afterwards; running this again shows what the files say now. Usage:

    python scripts/seed_manifest.py FOLDER fal [MODEL ...]
"""

import argparse
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPERATIONS = {
    "t2i": "text_to_image",
    "text_to_image": "text_to_image",
    "edit": "edit_image",
    "t2v": "text_to_video",
    "text_to_video": "text_to_video",
    "video": "text_to_video",
    "i2v": "image_to_video",
    "image_to_video": "image_to_video",
    "first-last-frame": "first_last_frame",
    "reference": "reference_to_video",
    "extend": "extend_video",
    "v2v": "edit_video",
    "video_to_video": "edit_video",
    "upscale": "upscale_image",
    "image_upscale": "upscale_image",
    "video_upscale": "upscale_video",
    "tts": "text_to_speech",
    "text_to_speech": "text_to_speech",
    "sfx": "text_to_sound",
    "sound_effect": "text_to_sound",
    "music": "text_to_music",
    "stt": "transcribe",
    "vision": "describe_image",
    "search": "research",
    "chat": "chat",
    "slides": "text_to_slides",
}
UNITS = {
    "image": "image",
    "second": "second",
    "megapixel": "megapixel",
    "minute": "minute",
    "1k_chars": "kchar",
    "clip": "request",
    "generation": "request",
}
PROVIDERS = {
    "fal": "fal_ai",
    "runway": "runwayml",
    "bfl": "black_forest_labs",
    "google": "gemini",
    "vertex": "vertex_ai",
}
TAIL = re.compile(
    r"/(text-to-(image|video)|image-to-video|reference-to-video|first-last-frame-to-video|edit|extend-video)(?=/|$)"
)


@dataclass
class Seed:
    """What the files tell of one model."""

    name: str
    operations: dict[str, str] = field(default_factory=dict[str, str])
    """The provider's own name for each operation."""
    facts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    prices: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def model_id(wire: str) -> str:
    """Return the model id of an endpoint's path: without vendor and operation, lower case, no slashes."""
    path = TAIL.sub("", wire.removeprefix("fal_ai/"))
    path = re.sub(r"^(fal-ai|xai|bria|openai|google|fal_ai|runwayml|stability|luma|minimax|kie|elevenlabs)/", "", path)
    return re.sub(r"[^a-z0-9._-]+", "-", path.lower()).strip("-")


def collect(folder: Path, service: str) -> dict[str, Seed]:
    """Return what the files tell of each model of a service."""
    seeds: dict[str, Seed] = {}
    for path in sorted(folder.glob("capabilities_*.json")):
        for fact in json.loads(path.read_text(encoding="utf-8"))["models"]:
            if fact["service"] == service:
                _add(seeds, fact["model"], [fact.get("endpoint") or fact["kind"]], fact=fact)
    for row in json.loads((folder / "prices.json").read_text(encoding="utf-8"))["rows"]:
        if row["provider"] == PROVIDERS.get(service, service):
            _add(seeds, row["model"].removeprefix(f"{row['provider']}/"), [row["kind"]], price=row)
    return seeds


def _add(seeds: dict[str, Seed], wire: str, kinds: list[Any], *, fact: Any = None, price: Any = None) -> None:
    seed = seeds.setdefault(model_id(wire), Seed(model_id(wire)))
    names = [name for kind in kinds for name in (kind if isinstance(kind, list) else [kind])]
    for name in names:
        if name in OPERATIONS and (fact is not None or not seed.facts):
            seed.operations.setdefault(OPERATIONS[name], wire)
    if fact is not None:
        seed.facts.append(fact)
    if price is not None:
        seed.prices.append(price)


def conditions(variant: str) -> dict[str, Any] | None:
    """Return the conditions that a price's variant spells as `name=value`, or None where it is prose."""
    if not variant:
        return {}
    pairs = [part.split("=") for part in variant.split(",")]
    return {name.strip(): value.strip() for name, value in pairs} if all(len(p) == 2 for p in pairs) else None


def toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def lines(seed: Seed) -> Iterable[str]:
    """Return the offer as lines of TOML."""
    yield "[[offers]]"
    yield f"model = {toml(seed.name)}"
    wires = set(seed.operations.values())
    if len(wires) == 1:
        yield f"wire = {toml(wires.pop())}"
    yield f"operations = {toml(list(seed.operations))}"
    if len(set(seed.operations.values())) > 1:
        yield f"wires = {toml(seed.operations)}"
    for fact in seed.facts:
        told = {key: value for key, value in fact.items() if key not in ("service", "model", "kind")}
        yield f"# {fact['kind']}: {json.dumps(told, ensure_ascii=False)}"
    for row in seed.prices:
        yield from _price(row)
    yield ""


def _price(row: dict[str, Any]) -> Iterable[str]:
    when = conditions(row.get("variant") or "")
    if row["unit"] not in UNITS or when is None:
        yield f"# price: {row['price']} a {row['unit']}, {row.get('variant')}; {row.get('note', '')}".rstrip("; ")
        return
    yield "[[offers.prices]]"
    yield f"unit = {toml(UNITS[row['unit']])}"
    yield f"usd = {toml(row['price'])}"
    if when:
        yield f"when = {toml(when)}"
    yield f"source = {toml(row.get('source_url') or row['source'])}"
    yield f"as_of = {row['as_of'][:10]}"
    for key in ("note", "shutdown"):
        if row.get(key):
            yield f"# {key}: {row[key]}"


def main() -> None:
    """Print the offers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of capabilities_*.json and prices.json")
    parser.add_argument("service", help="provider id, such as fal")
    parser.add_argument("models", nargs="*", help="only these models")
    args = parser.parse_args()
    for name, seed in collect(args.folder, args.service).items():
        if not args.models or name in args.models:
            print("\n".join(lines(seed)))


if __name__ == "__main__":
    main()
