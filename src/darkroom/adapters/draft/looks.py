"""The light of a scene, by time of day and weather."""

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

from darkroom.adapters.draft.lexicon import data_file, rgb
from darkroom.adapters.draft.pixels import Stops, luma, mix, shade
from darkroom.adapters.draft.spec import Rgb, SceneSpec


@dataclass(frozen=True, slots=True)
class Light:
    """Colours that every painter of a scene shares."""

    sky: tuple[Rgb, ...]
    haze: Rgb
    light: Rgb
    ambient: Rgb
    land: Rgb
    water: tuple[Rgb, ...]
    cloud: tuple[Rgb, Rgb]
    sun: tuple[float, float]
    """Share of the width, and of the height above the horizon."""
    glow: float
    stars: float
    night: bool = False
    cover: float = 0.35
    """Share of the sky under clouds."""
    veiled: bool = False
    """No sun or moon is to be seen."""

    def stops(self) -> Stops:
        """Return the sky as gradient stops, zenith to horizon."""
        places = (0.0, 0.42, 0.78, 1.0)
        return [(place, colour) for place, colour in zip(places, self.sky, strict=True)]


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(data_file("looks.toml").decode())


def _colours(values: list[str]) -> tuple[Rgb, ...]:
    return tuple(rgb(value) for value in values)


def light_of(spec: SceneSpec, mirrored: bool = False) -> Light:
    """Return the light that a prompt asks for; `mirrored` puts the sun on the other side."""
    entry = cast("dict[str, Any]", _tables()[spec.time])
    across, up = entry["sun"]
    lit, dark = _colours(entry["cloud"])
    light = Light(
        sky=_colours(entry["sky"]),
        haze=rgb(entry["haze"]),
        light=rgb(entry["light"]),
        ambient=rgb(entry["ambient"]),
        land=rgb(entry["land"]),
        water=_colours(entry["water"]),
        cloud=(lit, dark),
        sun=(1 - across if mirrored else across, up),
        glow=entry["glow"],
        stars=entry["stars"],
        night=spec.time == "night",
    )
    return _weathered(_coloured(light, spec), spec.weather)


def _grey(colour: Rgb, share: float, darker: float = 1.0) -> Rgb:
    level = round(luma(colour) * 255)
    return shade(mix(colour, (level, level, min(255, level + 8)), share), darker)


_WEATHER = {
    "cloudy": (0.25, 0.96, 0.62, False),
    "rain": (0.55, 0.74, 0.85, True),
    "storm": (0.62, 0.52, 0.9, True),
    "snow": (0.45, 1.0, 0.6, True),
    "fog": (0.5, 1.02, 0.3, True),
}
"""Share of grey, brightness, cloud cover, whether the sun is veiled."""


def _weathered(light: Light, weather: str) -> Light:
    if weather not in _WEATHER:
        return replace(light, cover=0.16) if weather == "clear" and light.night else light
    grey, level, cover, veiled = _WEATHER[weather]
    level = max(level, 0.8) if light.night else level

    def dull(colour: Rgb) -> Rgb:
        return _grey(colour, grey, level)

    sky = tuple(dull(colour) for colour in light.sky)
    if weather in {"fog", "snow"}:
        sky = tuple(mix(colour, light.haze, 0.45) for colour in sky)
    return replace(
        light,
        sky=sky,
        haze=dull(light.haze),
        ambient=mix(light.ambient, _grey(light.ambient, 0.6, level), 0.7),
        land=mix(light.land, _grey(light.land, 0.5, level), 0.8),
        water=tuple(dull(colour) for colour in light.water),
        cloud=(_grey(light.cloud[0], grey, level * 0.95), _grey(light.cloud[1], grey, level * 0.85)),
        cover=cover,
        veiled=veiled,
        stars=0.0 if veiled else light.stars,
        glow=light.glow * (0.35 if veiled else 1),
    )


def _coloured(light: Light, spec: SceneSpec) -> Light:
    """Lean the sky towards the colours that the prompt gives to the whole picture."""
    colours = sorted(spec.colours, key=luma)
    if not colours:
        return light
    places = [round(at * (len(colours) - 1) / 3) for at in range(4)]
    wanted = [colours[place] for place in places]
    sky = tuple(mix(one, two, 0.5) for one, two in zip(light.sky, wanted, strict=True))
    return replace(light, sky=sky, haze=mix(light.haze, wanted[3], 0.4))
