"""A scene as a pile of 8-bit layers: still plates, and things that move between them."""

from typing import Protocol

from PIL import Image

from darkroom.adapters.draft.looks import Light
from darkroom.adapters.draft.pixels import Random
from darkroom.adapters.draft.spec import SceneSpec


class Layer(Protocol):
    """Something that is drawn onto each frame."""

    def draw(self, frame: Image.Image, seconds: float) -> None:
        """Draw onto an RGB frame of the stage's size."""
        ...


class Plate:
    """A still picture with transparency."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.picture = Image.new("RGBA", size)
        self._ready: tuple[Image.Image, Image.Image, tuple[int, int]] | None = None

    def draw(self, frame: Image.Image, seconds: float) -> None:
        """Paste what is not transparent."""
        if self._ready is None:
            box = self.picture.getchannel("A").getbbox() or (0, 0, 1, 1)
            part = self.picture.crop(box)
            self._ready = (part.convert("RGB"), part.getchannel("A"), (int(box[0]), int(box[1])))
            self.picture = Image.new("RGBA", (1, 1))
        colours, alpha, at = self._ready
        frame.paste(colours, at, alpha)


class Stage:
    """Where a scene is painted, from back to front.

    Attributes:
        horizon: The height in pixels at which sky and ground meet.
        ground: Where objects stand: (far, near) heights in pixels of their feet.
        water_top: The row where water starts, if there is any.
        walkers: Something will stand on the ground.
        wheels: Something will drive.
        tabled: What stands in the room stands on a table.
        pedestal: The width of a pedestal's top, if there is one.
    """

    def __init__(self, width: int, height: int, spec: SceneSpec, light: Light, random: Random) -> None:
        self.width, self.height = width, height
        self.spec, self.light, self.random = spec, light, random
        self.horizon = round(height * 0.6)
        self.ground = (height * 0.74, height * 0.9)
        self.base = Image.new("RGB", (width, height))
        self.layers: list[Layer] = []
        self.water_top: int | None = None
        self.walkers = False
        self.wheels = False
        self.tabled = False
        self.pedestal: float | None = None

    @property
    def unit(self) -> float:
        """The length that object sizes are a share of."""
        return min(self.height, self.width * 0.8)

    def paint(self, picture: Image.Image, at: tuple[float, float] = (0, 0)) -> None:
        """Paint an RGB or RGBA picture with its upper left corner at `at`."""
        left, top = round(at[0]), round(at[1])
        if not self.layers:
            self.base.paste(picture, (left, top), picture if picture.mode == "RGBA" else None)
            return
        last = self.layers[-1]
        if not isinstance(last, Plate):
            last = Plate((self.width, self.height))
            self.layers.append(last)
        box = (
            max(0, -left),
            max(0, -top),
            min(picture.width, self.width - left),
            min(picture.height, self.height - top),
        )
        if box[2] > box[0] and box[3] > box[1]:
            part = picture.crop(box).convert("RGBA")
            last.picture.alpha_composite(part, (left + box[0], top + box[1]))

    def add(self, layer: Layer) -> None:
        """Put something that moves on top of all so far."""
        self.layers.append(layer)

    def frame(self, seconds: float) -> Image.Image:
        """Return the whole scene at a time."""
        picture = self.base.copy()
        for layer in self.layers:
            layer.draw(picture, seconds)
        return picture
