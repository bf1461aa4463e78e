"""Ambience for clips: wind, waves, rain, birds, a street, a soft chord; all computed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.adapters.draft.spec import SceneSpec

RATE = 48_000
Sound = NDArray[np.floating[Any]]
"""Samples from -1 to 1; ambience is 2 x samples."""

_Random = np.random.Generator


def ambience(spec: SceneSpec, seconds: float, seed: int) -> Sound:
    """Return stereo sound for a scene, 2 x samples, faded in and out."""
    random = np.random.default_rng(seed ^ 0x5EED)
    count = max(RATE // 10, round(seconds * RATE))
    total = np.zeros((2, count), np.float32)
    for name, level in _elements(spec):
        total += _MAKERS[name](random, count) * np.float32(level)
    fade = min(count // 2, round(RATE * 0.25))
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    total[:, :fade] *= ramp
    total[:, -fade:] *= ramp[::-1]
    return np.tanh(total * 1.1).astype(np.float32)


def _elements(spec: SceneSpec) -> list[tuple[str, float]]:
    night = spec.time == "night"
    by_setting: dict[str, list[tuple[str, float]]] = {
        "sea": [("waves", 0.5), ("wind", 0.12)],
        "mountain": [("wind", 0.3)],
        "city": [("street", 0.4)],
        "forest": [("wind", 0.12), ("crickets" if night else "birds", 0.3)],
        "field": [("wind", 0.1), ("crickets" if night else "birds", 0.3)],
        "desert": [("wind", 0.32)],
        "snow": [("wind", 0.28)],
        "space": [("drone", 0.4)],
        "underwater": [("deep", 0.5)],
        "room": [("street", 0.1), ("chord", 0.2)],
    }
    found = list(by_setting.get(spec.setting, [("chord", 0.32)]))
    if spec.setting not in {"space", "underwater"}:
        if spec.weather in {"rain", "storm"}:
            found = [entry for entry in found if entry[0] not in {"birds", "crickets"}] + [("rain", 0.4)]
        if spec.weather == "storm":
            found.append(("thunder", 0.7))
    return found


def _band(random: _Random, count: int, low: float, high: float, slope: float = 0.0) -> Sound:
    """Return stereo noise between two frequencies (Hz); `slope` falls with frequency."""
    size = 1 << (count - 1).bit_length()
    pitch = np.fft.rfftfreq(size, 1 / RATE)
    shape = 1 / (1 + (low / np.maximum(pitch, 1)) ** 4) / (1 + (pitch / high) ** 4)
    shape *= np.maximum(pitch / max(low, 1), 1e-3) ** -slope
    spectrum = (random.normal(size=(2, pitch.size)) + 1j * random.normal(size=(2, pitch.size))) * shape
    wave = np.fft.irfft(spectrum, axis=1)[:, :count]
    return (wave / (np.abs(wave).max() + 1e-9)).astype(np.float32)


def _slow(random: _Random, count: int, period_s: float, low: float = 0.3) -> Sound:
    at = np.arange(count, dtype=np.float32) / RATE
    wave = np.sin(2 * np.pi * at / period_s + float(random.uniform(0, 6))) + 0.5 * np.sin(
        2 * np.pi * at / (period_s * 0.37)
    )
    return (low + (1 - low) * (wave + 1.5) / 3).astype(np.float32)


def _wind(random: _Random, count: int) -> Sound:
    return _band(random, count, 90, 520, 0.5) * _slow(random, count, 5.3)


def _waves(random: _Random, count: int) -> Sound:
    return (
        _band(random, count, 70, 380, 0.6) * _slow(random, count, 6.1)
        + 0.35 * _band(random, count, 900, 5000) * _slow(random, count, 6.1, 0.02) ** 2
    )


def _rain(random: _Random, count: int) -> Sound:
    return 0.8 * _band(random, count, 1200, 9000) + 0.2 * _band(random, count, 200, 900)


def _street(random: _Random, count: int) -> Sound:
    return _band(random, count, 45, 240, 0.8) + 0.18 * _band(random, count, 500, 1800) * _slow(random, count, 3.4, 0.05)


def _deep(random: _Random, count: int) -> Sound:
    return _band(random, count, 40, 260, 0.7) * _slow(random, count, 4.2, 0.5) + 0.4 * _drops(
        random, count, (300, 900), 4
    )


def _drone(random: _Random, count: int) -> Sound:
    at = np.arange(count, dtype=np.float32) / RATE
    wave = sum(
        np.sin(2 * np.pi * pitch * at + float(random.uniform(0, 6))) / (n + 1)
        for n, pitch in enumerate((55.0, 82.6, 110.4, 165.3))
    )
    return np.stack([wave, np.roll(wave, 700)]).astype(np.float32) * 0.5 * _slow(random, count, 7.0, 0.6)


def _chord(random: _Random, count: int) -> Sound:
    at = np.arange(count, dtype=np.float32) / RATE
    root = float(random.choice([130.8, 146.8, 164.8]))
    wave = np.zeros(count, np.float32)
    for number, ratio in enumerate((1.0, 1.25, 1.5, 1.875, 2.25)):
        beat = 1 + 0.2 * np.sin(2 * np.pi * at * (0.11 + 0.05 * number))
        wave += (np.sin(2 * np.pi * root * ratio * at) * beat / (number + 1.5)).astype(np.float32)
    return np.stack([wave, np.roll(wave, 400)]).astype(np.float32) * 0.4


def _drops(random: _Random, count: int, pitches: tuple[float, float], rate: float) -> Sound:
    """Return short rising tones, `rate` a second."""
    total = np.zeros((2, count), np.float32)
    for _ in range(max(1, round(rate * count / RATE))):
        length = round(RATE * float(random.uniform(0.04, 0.12)))
        start = int(random.integers(0, max(1, count - length)))
        at = np.arange(min(length, count - start), dtype=np.float32) / RATE
        base = float(random.uniform(*pitches))
        tone = np.sin(2 * np.pi * (base * at + base * 3 * at**2)) * np.exp(-at * 34)
        side = float(random.uniform(0.2, 0.8))
        total[0, start : start + at.size] += tone * side
        total[1, start : start + at.size] += tone * (1 - side)
    return total


def _birds(random: _Random, count: int) -> Sound:
    total = np.zeros((2, count), np.float32)
    for _ in range(max(1, round(0.8 * count / RATE))):
        base, side = float(random.uniform(2300, 4300)), float(random.uniform(0.15, 0.85))
        start = int(random.integers(0, max(1, count - RATE // 2)))
        for note in range(int(random.integers(2, 6))):
            first = start + round(note * RATE * 0.11)
            at = np.arange(max(0, min(round(RATE * 0.08), count - first)), dtype=np.float32) / RATE
            bend = base * (1 + 0.12 * float(random.normal()))
            tone = np.sin(2 * np.pi * (bend * at + 5200 * at**2)) * np.sin(np.pi * np.clip(at / 0.08, 0, 1)) * 0.5
            total[0, first : first + at.size] += tone * side
            total[1, first : first + at.size] += tone * (1 - side)
    return total


def _crickets(random: _Random, count: int) -> Sound:
    at = np.arange(count, dtype=np.float32) / RATE
    gate = np.clip(np.sin(2 * np.pi * 17 * at), 0, 1) * (np.sin(2 * np.pi * 1.1 * at) > -0.2)
    wave = np.sin(2 * np.pi * 4300 * at) * gate * 0.3
    return np.stack([wave, np.roll(wave, 900)]).astype(np.float32)


def _thunder(random: _Random, count: int) -> Sound:
    at = np.arange(count, dtype=np.float32) / RATE
    return _band(random, count, 28, 130, 0.8) * np.exp(-((at % 2.6) * 1.1)).astype(np.float32)


_MAKERS = {
    "wind": _wind,
    "waves": _waves,
    "rain": _rain,
    "street": _street,
    "deep": _deep,
    "drone": _drone,
    "chord": _chord,
    "birds": _birds,
    "crickets": _crickets,
    "thunder": _thunder,
}
