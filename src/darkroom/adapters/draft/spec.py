"""What a prompt describes, as plain data."""

from dataclasses import dataclass

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Thing:
    """One kind of object; `sprite` is a name of the art pack, or `prop:` and a name of ours."""

    word: str
    sprite: str
    count: int = 1
    colour: Rgb | None = None
    relation: str | None = None
    """How it stands to the object before it: on, at, beside, under, behind, front, above."""


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """A prompt, understood."""

    caption: str
    setting: str
    """sea, mountain, city, forest, desert, space, underwater, field, room, product, abstract, plain, snow, concept."""
    named: bool = False
    """The prompt names the setting itself."""
    time: str = "day"
    weather: str = "clear"
    styles: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    colours: tuple[Rgb, ...] = ()
    """Colours of the picture as a whole, at most five."""
    text: str = ""
    things: tuple[Thing, ...] = ()
    camera: str = ""
    understood: tuple[str, ...] = ()
    not_understood: tuple[str, ...] = ()
