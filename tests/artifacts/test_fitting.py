"""Pictures made to fit: within the sides, pixels, bytes and types of an offer."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from darkroom.artifacts import fitting
from darkroom.artifacts.fitting import fitted
from darkroom.artifacts.media import NotMedia
from darkroom.catalog.wires import PictureLimits

TYPES = {"GIF": "image/gif", "BMP": "image/bmp", "PNG": "image/png", "WEBP": "image/webp", "TIFF": "image/tiff"}


def written(folder: Path, kind: str, size: tuple[int, int], mode: str = "RGB", *, noisy: bool = False) -> Path:
    picture = Image.effect_noise(size, 90).convert(mode) if noisy else Image.new(mode, size, 77)
    path = folder / f"a.{kind.lower()}"
    picture.save(path, kind)
    return path


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def test_a_picture_within_the_limits_stays_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, "PNG", (640, 480))
    assert fitted(path, "image/png", PictureLimits()) == (path.read_bytes(), "image/png")


@pytest.mark.parametrize(
    ("limits", "size"),
    [
        (PictureLimits(max_side=320), (320, 240)),
        (PictureLimits(max_pixels=320 * 240), (320, 240)),
        (PictureLimits(min_side=600), (800, 600)),
    ],
)
def test_sides_are_brought_within_the_limits_and_the_ratio_stays(
    limits: PictureLimits, size: tuple[int, int], tmp_path: Path
) -> None:
    data, kind = fitted(written(tmp_path, "PNG", (640, 480)), "image/png", limits)
    assert kind == "image/png"
    assert opened(data).size == size


@pytest.mark.parametrize(
    ("kind", "mode", "allowed", "expected"),
    [
        ("GIF", "P", ("image/png", "image/jpeg"), "image/png"),
        ("BMP", "RGB", ("image/jpeg",), "image/jpeg"),
        ("PNG", "RGBA", ("image/jpeg", "image/webp"), "image/webp"),
        ("PNG", "RGBA", ("image/jpeg",), "image/jpeg"),
        ("WEBP", "RGB", ("image/png", "image/jpeg"), "image/png"),
        ("TIFF", "CMYK", ("image/png",), "image/png"),
    ],
)
def test_another_type_is_written_anew(
    kind: str, mode: str, allowed: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    path = written(tmp_path, kind, (64, 48), mode)
    data, media_type = fitted(path, TYPES[kind], PictureLimits(media_types=allowed))
    assert media_type == expected
    assert f"image/{str(opened(data).format).lower()}" == expected
    assert opened(data).size == (64, 48)


def test_a_picture_of_too_many_bytes_is_written_otherwise_before_it_is_made_smaller(tmp_path: Path) -> None:
    path = written(tmp_path, "PNG", (400, 400), noisy=True)
    most = path.stat().st_size // 2
    data, media_type = fitted(path, "image/png", PictureLimits(max_bytes=most))
    assert len(data) <= most
    assert media_type in ("image/webp", "image/jpeg")
    assert opened(data).size == (400, 400)
    data, media_type = fitted(path, "image/png", PictureLimits(max_bytes=most, media_types=("image/png",)))
    assert len(data) <= most
    assert media_type == "image/png"
    assert opened(data).size < (400, 400)


def test_nothing_is_written_in_vain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "PNG", (400, 400), noisy=True)
    kinds: list[str] = []
    real = fitting._saved  # pyright: ignore[reportPrivateUsage] because it is what takes the time

    def saved(picture: Image.Image, kind: str, **how: int) -> bytes:
        kinds.append(kind)
        return real(picture, kind, **how)

    monkeypatch.setattr(fitting, "_saved", saved)
    fitted(path, "image/png", PictureLimits(max_bytes=path.stat().st_size - 1))
    assert kinds == ["JPEG"]


def test_what_cannot_be_made_to_fit_is_said(tmp_path: Path) -> None:
    noisy = written(tmp_path, "PNG", (600, 600), noisy=True)
    with pytest.raises(NotMedia, match=r"0\.01 MB"):
        fitted(noisy, "image/png", PictureLimits(max_bytes=10_000, min_side=600, media_types=("image/png",)))
    with pytest.raises(NotMedia, match="least and largest"):
        fitted(written(tmp_path, "BMP", (2000, 20)), "image/bmp", PictureLimits(max_side=2000, min_side=300))
