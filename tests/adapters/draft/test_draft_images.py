"""Pictures: real files of the size and format that was asked, deterministic, marked, varied."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from draft_harness import Harness, harness, paint, pixels
from PIL import Image

from darkroom.adapters.base import Failed
from darkroom.adapters.draft.marks import SOURCE_TYPE
from darkroom.domain.kinds import Mode, Quality, Role
from darkroom.errors import InvalidRequest

pytestmark = pytest.mark.anyio
PROMPTS = (
    "a boat on the sea",
    "an alpine lake",
    "a valley in the mountains",
    "neon city street in the rain",
    "a city at noon",
    "a fox in a foggy forest at night with fireflies",
    "a camel in the desert",
    "a planet in space",
    "the earth",
    "fish on a coral reef",
    "a horse in a flower field under a rainbow",
    "cat in a room",
    "coffee on a table",
    "perfume on a marble pedestal",
    "abstract silk",
    "penguins in the arctic under the northern lights",
    "trust",
    "thunderstorm over the sea",
    "crescent moon over a snowy field, snowing",
    "noir city",
    "watercolor meadow",
)
SUNSET = "a sailing boat at sunset on a calm sea"


@pytest.mark.parametrize("form", ["png", "webp", "jpeg"])
@pytest.mark.parametrize("size", [(320, 180), (180, 320), (200, 200), (64, 64), (401, 97)])
async def test_a_picture_has_the_format_and_size_that_was_asked(
    draft: Harness, form: str, size: tuple[int, int]
) -> None:
    [path] = await draft.files("an alpine lake at dawn", size=size, options={"format": form})
    with Image.open(path) as picture:
        picture.load()
        assert (picture.format, picture.size) == (form.upper(), size)


async def test_a_logo_stands_on_one_plain_colour(draft: Harness) -> None:
    [path] = await draft.files('logo "Lumen" above a lamp, plain background, cream and teal', size=(200, 200))
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"), dtype=np.int16)
    assert np.ptp(grey[40:160, 2:30]) < 60
    assert np.ptp(grey[60:140, 60:140]) > 120


@pytest.mark.parametrize("prompt", PROMPTS)
async def test_every_backdrop_makes_a_picture_that_is_not_flat(draft: Harness, prompt: str) -> None:
    [path] = await draft.files(prompt, size=(200, 120))
    with Image.open(path) as picture:
        colours = np.asarray(picture.convert("RGB"), np.float32)
    assert colours.std() > 8
    assert 12 < colours.mean() < 246


async def test_the_same_request_gives_the_same_pixels_in_another_process(draft: Harness, tmp_path: Path) -> None:
    first = await draft.files(SUNSET, seed=5)
    async with harness(tmp_path) as other:
        second = await other.files(SUNSET, seed=5)
    assert pixels(first[0]) == pixels(second[0])


async def test_without_a_seed_the_words_decide(draft: Harness) -> None:
    one, again = await draft.run(SUNSET), await draft.run(SUNSET)
    other = await draft.run("a boat on the sea")
    assert one.notes["seed"] == again.notes["seed"] != other.notes["seed"]


async def test_several_pictures_are_visibly_different(draft: Harness) -> None:
    paths = await draft.files(SUNSET, n=4, seed=1)
    shown = [np.frombuffer(pixels(path), np.uint8).astype(np.float32) for path in paths]
    for at, one in enumerate(shown):
        for other in shown[at + 1 :]:
            assert np.abs(one - other).mean() > 6


async def test_a_variation_is_the_picture_of_its_own_seed(draft: Harness) -> None:
    third = (await draft.files(SUNSET, n=3, seed=10))[2]
    [alone] = await draft.files(SUNSET, seed=12)
    assert pixels(third) == pixels(alone)


@pytest.mark.parametrize("quality", list(Quality))
async def test_each_quality_works(draft: Harness, quality: Quality) -> None:
    [path] = await draft.files("a castle on a hill", quality=quality)
    with Image.open(path) as picture:
        assert picture.size == (320, 180)


async def test_it_tells_seed_and_what_was_understood(draft: Harness) -> None:
    done = await draft.run("a red car and a qwertyuiop in the desert", seed=77)
    assert done.notes == {"seed": 77, "understood": ["red", "car", "desert"], "not_understood": ["qwertyuiop"]}
    assert done.cost == 0


async def test_a_negated_object_is_not_drawn(draft: Harness) -> None:
    [with_boat] = await draft.files("a boat on the sea", seed=3)
    [without] = await draft.files("a boat on the sea", seed=3, negative_prompt="boat")
    assert pixels(with_boat) != pixels(without)


async def test_an_edit_keeps_the_picture_and_brings_the_weather(draft: Harness, tmp_path: Path) -> None:
    source = paint(tmp_path / "in.png", (90, 160, 210))
    edit: dict[str, Any] = {"mode": Mode.EDIT_IMAGE, "inputs": [(Role.SOURCE, source)], "size": (200, 120)}
    [plain] = await draft.files("make it nicer", **edit)
    [night] = await draft.files('at night in the rain, "HELLO"', **edit)
    same = np.frombuffer(pixels(plain), np.uint8).astype(np.float32).reshape(120, 200, 3)
    dark = np.frombuffer(pixels(night), np.uint8).astype(np.float32).reshape(120, 200, 3)
    assert np.abs(same[60, 120] - (90, 160, 210)).max() < 20
    assert same[60, 20].mean() < same[60, 120].mean()
    assert dark.mean() < same.mean() * 0.8


async def test_references_give_the_palette(draft: Harness, tmp_path: Path) -> None:
    red, blue = paint(tmp_path / "red.png", (220, 30, 30)), paint(tmp_path / "blue.png", (30, 40, 220))
    means: list[Any] = []
    for path in (red, blue):
        options: dict[str, Any] = {"mode": Mode.REFERENCE_TO_IMAGE, "inputs": [(Role.REFERENCE, path)] * 4}
        [made] = await draft.files("hills", **options)
        means.append(np.frombuffer(pixels(made), np.uint8).reshape(-1, 3).mean(axis=0))
    assert means[0][0] > means[0][2] + 30
    assert means[1][2] > means[1][0] + 30


async def test_an_input_that_is_no_picture_is_named(draft: Harness, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    call = draft.call("hills", mode=Mode.EDIT_IMAGE, inputs=[(Role.SOURCE, broken)])
    answer = await draft.end(await draft.submit(call), call)
    assert isinstance(answer, Failed)
    assert "Input 1 is not a picture" in answer.error.message


@pytest.mark.parametrize("form", ["png", "webp", "jpeg"])
@pytest.mark.parametrize("kept", ["full", "minimal", "none"])
async def test_a_file_says_what_it_is(draft: Harness, form: str, kept: str) -> None:
    prompt = 'a castle <&> "cäsar" \x07 on a hill'
    [path] = await draft.files(prompt, seed=4242, options={"format": form, "_metadata": kept})
    raw = path.read_bytes()
    with Image.open(path) as picture:
        xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
        text = xmp.decode() if isinstance(xmp, bytes) else str(xmp)
        assert ("darkroom draft engine" in text) == (kept != "none")
        assert (SOURCE_TYPE in text) == (kept != "none")
        assert ("cäsar" in text) == (kept == "full")
        assert ("4242" in text) == (kept == "full")
        if text:
            import xml.etree.ElementTree as ElementTree

            ElementTree.parse(io.StringIO(text[text.index("<x:xmpmeta") : text.index("<?xpacket end")]))
    if kept == "none":
        assert b"draft engine" not in raw


@pytest.mark.parametrize(
    "prompt",
    [
        "\x00\x1b[31m\x07\ufffe",
        "sea " * 8_000,
        "קוף על עץ",
        "🦊" * 3_000,
        "猫がピアノを弾く" * 100,
        '"' * 500,
        "\ud800 lone",
        "",
        '"مرحبا"',
    ],
    ids=range(9),
)
@pytest.mark.parametrize("form", ["png", "jpeg"])
async def test_hostile_prompts_make_a_picture(draft: Harness, prompt: str, form: str) -> None:
    [path] = await draft.files(prompt, size=(128, 96), options={"format": form})
    with Image.open(path) as picture:
        picture.load()
        assert picture.size == (128, 96)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("size", {"size": (2049, 64)}),
        ("size", {"size": (63, 64)}),
        ("n", {"n": 5}),
        ("options.format", {"options": {"format": "bmp"}}),
        ("options._metadata", {"options": {"_metadata": "some"}}),
        ("images", {"mode": Mode.EDIT_IMAGE}),
    ],
)
async def test_what_it_cannot_do_is_refused_before_anything_starts(
    tmp_path: Path, field: str, options: dict[str, Any]
) -> None:
    async with harness(tmp_path) as fresh:
        with pytest.raises(InvalidRequest) as caught:
            await fresh.submit(fresh.call(**options))
        assert caught.value.field == field
        assert fresh.adapter.worker_pid("image") is None


def test_importing_the_adapter_loads_no_picture_library() -> None:
    code = "import sys, darkroom.adapters.draft.adapter as a; print(sorted({'numpy', 'PIL', 'av'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
