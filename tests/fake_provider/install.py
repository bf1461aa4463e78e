"""Makes the fake provider known to darkroom: its adapter in this process or in others, and its manifest."""

import json
import os
import re
from pathlib import Path
from typing import Any

from darkroom import adapters

HERE = Path(__file__).parent
VARIABLE = "DARKROOM_{}_KEY"
DAY = re.compile(r"\d{4}-\d\d-\d\d")


def install() -> None:
    """Let this process find the adapter by the name `fake`."""
    folder = str(HERE / "adapters")
    if folder not in adapters.__path__:
        adapters.__path__.append(folder)


def uninstall() -> None:
    """Undo that."""
    folder = str(HERE / "adapters")
    if folder in adapters.__path__:
        adapters.__path__.remove(folder)


def manifest(base_url: str, provider_id: str = "fake", **more: Any) -> dict[str, Any]:
    """Return a manifest of the fake provider; `more` overrides whole fields."""
    price = {"unit": "image", "usd": "0.04", "source": base_url, "as_of": "2026-11-21"}
    common: dict[str, Any] = {"operations": ["text_to_image"], "count_max": 4, "prices": [price]}
    return {
        "id": provider_id,
        "title": "Fake",
        "adapter": "fake",
        "credentials": [VARIABLE.format(provider_id.upper())],
        "base_url": base_url,
        "poll": {"first_s": 0.02, "min_s": 0.02, "max_s": 0.1},
        "limits": {"submits": 8, "polls": 16},
        "offers": [{"model": "fake-image", **common}, {"model": "fake-sync", "synchronous": True, **common}],
        **more,
    }


def write_manifest(folder: Path, base_url: str, provider_id: str = "fake", **more: Any) -> None:
    """Write a manifest as a user would, into a folder for DARKROOM_PROVIDERS_DIR."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    data = manifest(base_url, provider_id, **more)
    lines += [f"{name} = {_toml(value)}" for name, value in data.items() if name != "offers"]
    for offer in data["offers"]:
        lines += ["", "[[offers]]", *(f"{name} = {_toml(value)}" for name, value in offer.items())]
    (folder / f"{provider_id}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        items: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType] because manifests are plain data here
        return "{" + ", ".join(f"{name} = {_toml(item)}" for name, item in items.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"  # pyright: ignore[reportUnknownVariableType] because manifests are plain data here
    if isinstance(value, str) and DAY.fullmatch(value):
        return value
    return json.dumps(value)


def environment(providers: Path, **more: str) -> dict[str, str]:
    """Return the environment of a program that knows the fake provider, whose manifests are in that folder."""
    path = os.pathsep.join(filter(None, [str(HERE / "startup"), os.environ.get("PYTHONPATH", "")]))
    keys = {VARIABLE.format(file.stem.upper()): "fake-key" for file in providers.glob("*.toml")}
    return {**os.environ, "PYTHONPATH": path, "DARKROOM_PROVIDERS_DIR": str(providers), **keys, **more}
