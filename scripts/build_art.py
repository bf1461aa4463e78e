"""Build the draft engine's art pack from two npm packages.

Usage: python scripts/build_art.py [--check]

Pictures: Noto Emoji as packed by @iconify-json/noto (Apache-2.0; flags are left out, they have other terms).
Names: emojibase-data (MIT). The result is one compressed file beside the draft adapter.
"""

import argparse
import json
import lzma
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ART = "@iconify-json/noto@1.2.9"
WORDS = "emojibase-data@17.0.0"
TARGET = Path(__file__).parents[1] / "src/darkroom/adapters/draft/data/art.json.xz"
PEOPLE, ANIMALS, FOOD, TRAVEL, ACTIVITIES, OBJECTS = 1, 3, 4, 5, 6, 7
KEPT_PEOPLE = re.compile(
    r"(person|man|woman)( (standing|walking|running|surfing|swimming|biking|rowing boat|climbing|in lotus position))?"
    r"|(woman|man) dancing|person in lotus position|person golfing|snowboarder|skier|horse racing|ballet dancer"
    r"|astronaut|firefighter|cook|farmer|scientist|artist|pilot|mage|superhero|elf|fairy|mermaid|merperson|vampire|zombie"
    r"|Santa Claus|Mrs\. Claus|ninja|guard|princess|prince|baby|boy|girl|child|old man|old woman|family"
    r"|man in tuxedo|woman with veil|footprints|brain|anatomical heart|bone|tooth"
)


def slug(text: str) -> str:
    """Return a label the way the art package spells its names."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def unpack(package: str, folder: Path) -> Path:
    """Fetch one npm package by its name and return its unpacked folder."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is needed to fetch the art.")
    done = subprocess.run([npm, "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True)
    name = done.stdout.strip().splitlines()[-1]
    target = folder / name.removesuffix(".tgz")
    with tarfile.open(folder / name) as archive:
        archive.extractall(target, filter="data")
    return target / "package"


def wanted(entry: dict[str, Any]) -> bool:
    """Tell whether an entry may become an object of a picture."""
    group = entry.get("group")
    if group == PEOPLE:
        return KEPT_PEOPLE.fullmatch(entry["label"]) is not None
    return group in {ANIMALS, FOOD, TRAVEL, ACTIVITIES, OBJECTS}


def lean(body: str) -> str:
    """Shorten the numbers of an SVG body; 128 units a side need no more than one decimal."""
    return re.sub(r"(\d*\.\d{2})\d+", lambda found: found[1], body)


def build(art: Path, words: Path) -> dict[str, list[Any]]:
    """Return label -> [group, width in units, SVG body]."""
    icons = json.loads((art / "icons.json").read_text("utf-8"))
    chars = json.loads((art / "chars.json").read_text("utf-8"))
    pack: dict[str, list[Any]] = {}
    for entry in json.loads((words / "en/data.json").read_text("utf-8")):
        if not wanted(entry):
            continue
        code = entry["hexcode"].lower()
        bare = code.replace("-fe0f", "")
        name = next((chars[key] for key in (code, bare, f"{code}-fe0f") if key in chars), slug(entry["label"]))
        icon = icons["icons"].get(name)
        if icon:
            width = icon.get("width", icons.get("width", 128))
            pack[entry["label"].lower()] = [entry["group"], width, lean(icon["body"])]
    return dict(sorted(pack.items()))


def main() -> None:
    """Build the pack, or with --check tell whether the kept one is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        art, words = unpack(ART, folder), unpack(WORDS, folder)
        pack = build(art, words)
        raw = json.dumps(pack, ensure_ascii=False, separators=(",", ":")).encode()
        if options.check:
            same = TARGET.exists() and lzma.decompress(TARGET.read_bytes()) == raw
            raise SystemExit(0 if same else "The kept art pack is out of date.")
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_bytes(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME))
        shutil.copyfile(words / "LICENSE", TARGET.parent / "LICENSE-emojibase.txt")
    print(f"{len(pack)} pictures, {len(raw):,} bytes, packed {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
