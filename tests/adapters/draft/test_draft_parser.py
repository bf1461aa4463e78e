"""What prompts are read as: precision first, a missing object rather than an absurd one."""

import pytest

from darkroom.adapters.draft.lexicon import art_pack, lexicon
from darkroom.adapters.draft.parser import parse
from darkroom.adapters.draft.spec import SceneSpec, Thing

RED, BLACK, WHITE = (214, 48, 49), (28, 28, 32), (245, 245, 245)


def _shape(spec: SceneSpec) -> tuple[str, str, str, list[tuple[str, int]]]:
    return spec.setting, spec.time, spec.weather, [(thing.sprite, thing.count) for thing in spec.things]


@pytest.mark.parametrize(
    ("prompt", "setting", "time", "weather", "things"),
    [
        ("a sailing boat at sunset on a calm sea", "sea", "sunset", "clear", [("sailboat", 1)]),
        ("neon city street in the rain at night, cyberpunk", "city", "night", "rain", []),
        ("alpine lake with snow-capped mountains at dawn, mist", "mountain", "dawn", "fog", []),
        ("a red car driving through the desert", "desert", "day", "clear", [("automobile", 1)]),
        ('poster saying "SALE 50%" in bold red and yellow', "abstract", "day", "clear", []),
        ("a cat playing piano in a jazz bar", "room", "day", "clear", [("cat", 1), ("prop:piano", 1)]),
        ("two foxes in a snowy forest", "forest", "day", "snow", [("prop:fox", 2)]),
        ("coral reef with tropical fish", "underwater", "day", "clear", [("tropical fish", 3)]),
        ("an astronaut floating above the earth", "space", "day", "clear", [("prop:astronaut", 1)]),
        ("luxury perfume bottle product shot on marble", "product", "day", "clear", [("prop:perfume", 1)]),
        ("abstract flowing silk, teal and gold", "abstract", "day", "clear", []),
        ('logo "Lumen" above a lamp, plain background', "plain", "day", "clear", [("prop:lamp", 1)]),
        ("a lamp on a desk", "room", "day", "clear", [("prop:lamp", 1)]),
        ("trust and synergy", "concept", "day", "clear", []),
        ("a cup of coffee next to a croissant", "product", "day", "clear", [("hot beverage", 1), ("croissant", 1)]),
        ("hot air balloons over a valley at sunrise", "mountain", "dawn", "clear", [("prop:hot air balloon", 3)]),
        ("a lighthouse in a storm, no people", "sea", "day", "storm", [("prop:lighthouse", 1)]),
        ("a hiker without a dog on a mountain", "mountain", "day", "clear", [("person walking", 1)]),
        ("golden retriever in a meadow", "field", "day", "clear", [("dog", 1)]),
        ("five elephants in the savanna at dusk", "field", "sunset", "clear", [("elephant", 5)]),
        ("a polar bear", "snow", "day", "clear", [("prop:polar bear", 1)]),
        ("a pair of running shoes", "product", "day", "clear", [("running shoe", 2)]),
        ("northern lights over a snowy landscape", "snow", "night", "clear", []),
        ("Times Square at midnight", "city", "night", "clear", []),
        ("a camel and a pyramid", "desert", "day", "clear", [("camel", 1), ("prop:pyramid", 1)]),
        ("a UFO above a farm at night", "field", "night", "clear", [("flying saucer", 1)]),
        ("watching the launch of our new product line", "product", "day", "clear", []),
        ("CEO presenting quarterly results to the board", "concept", "day", "clear", []),
        ("a bow of the ship in fog", "sea", "day", "fog", [("ship", 1)]),
        ("time flies", "concept", "day", "clear", []),
        ("a bear market and a bull run", "concept", "day", "clear", []),
        ("three wolves under a full moon", "field", "night", "clear", [("prop:wolf", 3)]),
        ("wind turbines on green hills", "field", "day", "clear", [("prop:wind turbine", 3)]),
        ("a bowl of ramen on a wooden table", "room", "day", "clear", [("steaming bowl", 1)]),
        ("starry night", "field", "night", "clear", []),
        ("rocket in space next to a planet", "space", "day", "clear", [("rocket", 1)]),
        ("", "concept", "day", "clear", []),
    ],
)
def test_a_prompt_is_read_precisely(
    prompt: str, setting: str, time: str, weather: str, things: list[tuple[str, int]]
) -> None:
    assert _shape(parse(prompt)) == (setting, time, weather, things)


def test_a_colour_belongs_to_the_object_that_follows_it() -> None:
    spec = parse("three white horses and a shiny black sports car on the beach, turquoise sky")
    assert [(thing.sprite, thing.colour) for thing in spec.things] == [("horse", WHITE), ("racing car", BLACK)]
    assert spec.colours == ((52, 191, 192),)


def test_a_colour_without_an_object_belongs_to_the_picture() -> None:
    assert parse("abstract waves in red and black").colours == (RED, BLACK)


@pytest.mark.parametrize("prompt", ['a sign reading "Grand Opening"', "a sign reading “Grand Opening”"])
def test_quoted_words_are_text_and_not_objects(prompt: str) -> None:
    spec = parse(prompt.replace("Grand Opening", "Grand Opening of the castle"))
    assert spec.text == "Grand Opening of the castle"
    assert spec.things == ()


@pytest.mark.parametrize(
    ("words", "camera"),
    [
        ("slow zoom in", "zoom_in"),
        ("camera pulls back", "zoom_out"),
        ("pan left", "pan_left"),
        ("slow pan", "pan_right"),
        ("tilt up", "tilt_up"),
        ("tilts down", "tilt_down"),
        ("static shot", "static"),
        ("orbiting camera", "orbit"),
    ],
)
def test_camera_words_are_understood(words: str, camera: str) -> None:
    assert parse(f"a castle on a hill, {words}").camera == camera


@pytest.mark.parametrize(
    ("prompt", "relation"),
    [
        ("a cat on a couch", "on"),
        ("a cat playing a piano", "at"),
        ("a dog next to a cat", "beside"),
        ("a rabbit under a tree", "under"),
        ("a horse behind a house", "behind"),
        ("a tiger in front of a castle", "front"),
        ("an eagle above a church", "above"),
    ],
)
def test_relations_between_two_objects_are_kept(prompt: str, relation: str) -> None:
    first, second = parse(prompt).things
    assert (first.relation, second.relation) == (None, relation)


def test_objects_of_the_negative_prompt_are_left_out() -> None:
    spec = parse("a cat and a dog in a meadow", "dog, people")
    assert [thing.sprite for thing in spec.things] == ["cat"]


def test_it_says_what_it_understood_and_what_not() -> None:
    spec = parse("a melancholy fisherman beside a red boat at dusk")
    assert spec.understood == ("red", "boat", "dusk")
    assert spec.not_understood == ("melancholy", "fisherman")


def test_at_most_four_kinds_and_seven_of_each() -> None:
    spec = parse("99 cats, a dog, a horse, a cow, a pig and a goat on a farm")
    assert (spec.things[0].sprite, spec.things[0].count) == ("cat", 7)
    assert len(spec.things) == 4


def test_every_name_in_the_tables_has_a_picture() -> None:
    from darkroom.adapters.draft.sprites import rasterise

    names = {value for meanings in lexicon().phrases.values() for table, value in meanings if table == "object"}
    assert all(name.startswith("prop:") or name in art_pack() for name in names | set(lexicon().kinds))
    for name in sorted(name for name in names if name.startswith("prop:")):
        assert rasterise(name, 40).height >= 16, name


@pytest.mark.parametrize(
    "prompt",
    [
        "\x00\x1b[31m\x07",
        "a" * 32_000,
        "קוף על עץ",
        "🦊🦊🦊",
        "猫がピアノを弾く",
        '"' * 500,
        "\ud800 lone",
        "no " * 900,
        "“”",
        "5" * 400,
    ],
)
def test_hostile_prompts_are_read_without_harm(prompt: str) -> None:
    assert isinstance(parse(prompt, prompt), SceneSpec)


def test_a_thing_is_plain_data() -> None:
    assert parse("a cat").things == (Thing("cat", "cat"),)


def test_things_decide_between_two_named_places() -> None:
    boats = parse("a lighthouse on a cliff at sunset, stormy sea, two sailing boats")
    assert boats.setting == "sea"
    assert parse("a cliff above the sea").setting == "mountain"
