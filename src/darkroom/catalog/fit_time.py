"""Fits lengths to an offer: of clips and scenes, of films of joined clips, of clips that are changed."""

from darkroom.catalog.fitting import Fitting
from darkroom.catalog.joins import together_s
from darkroom.catalog.ranges import DurationRange
from darkroom.domain.kinds import Mode, Role
from darkroom.domain.request import Earlier, MediaInput, Scene, VideoRequest

DEFAULT_DURATION_S = 5.0
SCENE_S = 3.0


def fit_time(work: Fitting, mode: Mode, inputs: tuple[MediaInput, ...]) -> tuple[tuple[Scene, ...], float | None]:
    """Return the scenes, and the seconds of the result: a clip that is changed stays as long as it is."""
    if mode is Mode.JOIN_VIDEO:
        return (), _film_length(work, inputs)
    if mode not in (Mode.EDIT_VIDEO, Mode.EXTEND_VIDEO):
        return _scenes_and_length(work)
    given: MediaInput | Earlier | None = next(
        (item for item in inputs if item.role is Role.VIDEO), work.request.follows
    )
    seconds, limits = given.duration if given else None, work.offer.clip
    if seconds is not None and isinstance(given, MediaInput) and not limits.min_s <= seconds <= limits.max_s:
        bounds = f"{limits.min_s:g} to {limits.max_s:g} s"
        raise work.refuse(f"The clip lasts {seconds:g} s, which {work.offer.model} does not take.", "images", bounds)
    if mode is Mode.EXTEND_VIDEO:
        return _scenes_and_length(work)
    _unused_duration(work, "a clip that is changed stays as long as it is")
    return (), seconds


def _scenes_and_length(work: Fitting) -> tuple[tuple[Scene, ...], float | None]:
    request = work.request
    have = work.offer.duration
    if not isinstance(request, VideoRequest) or have is None:
        return (), None
    if not request.scenes:
        return (), _snap_duration(work, have, request.duration)
    fixed = sum(scene.duration or 0 for scene in request.scenes)
    open_scenes = sum(scene.duration is None for scene in request.scenes)
    total = request.duration
    if total is None or not open_scenes:
        total = fixed + SCENE_S * open_scenes
        if open_scenes:
            low, high = _bounds(have)
            total = min(max(total, low), high)
    share = (total - fixed) / open_scenes if open_scenes else 0.0
    if open_scenes and share < 0.5:
        raise work.refuse(
            "The scenes with a duration leave no time for the others.", "scenes", "0.5 s or more for each scene"
        )
    scenes = tuple(scene.model_copy(update={"duration": scene.duration or round(share, 3)}) for scene in request.scenes)
    return scenes, _snap_duration(work, have, total)


def _unused_duration(work: Fitting, why: str) -> None:
    asked = work.request.duration if isinstance(work.request, VideoRequest) else None
    if asked is None:
        return
    if work.request.exact:
        raise work.refuse(f"{work.offer.model} cannot choose a duration.", "duration", "leave it out")
    work.warnings.append(f"duration {asked:g} s was not used: {why}.")


def _film_length(work: Fitting, inputs: tuple[MediaInput, ...]) -> float | None:
    """Return how long the clips are together; None before they were looked at."""
    _unused_duration(work, "a film lasts as long as its clips")
    total = together_s(inputs)
    most = work.offer.duration.max_s if work.offer.duration else None
    if total is not None and most is not None and total > most:
        raise work.refuse(f"The clips last {total:g} s together.", "images", f"up to {most:g} s in all")
    return total


def _bounds(have: DurationRange) -> tuple[float, float]:
    return (min(have.values), max(have.values)) if have.values else (have.min_s, have.max_s)


def _snap_duration(work: Fitting, have: DurationRange, asked: float | None) -> float:
    low, high = _bounds(have)
    if asked is None:
        wanted = have.default_s if have.default_s is not None else min(max(DEFAULT_DURATION_S, low), high)
        return min(have.values, key=lambda value: abs(value - wanted)) if have.values else wanted
    allowed = " or ".join(f"{value:g}" for value in have.values) + " s" if have.values else f"{low:g} to {high:g} s"
    if not low <= asked <= high:
        raise work.refuse(f"{work.offer.model} makes no clips of {asked:g} s.", "duration", allowed)
    used = min(have.values, key=lambda value: abs(value - asked)) if have.values else asked
    if used != asked:
        work.snap("duration", f"{asked:g} s", f"{used:g} s", allowed)
    return used
