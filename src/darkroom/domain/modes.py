"""What a request turns into what, from its inputs and scenes."""

from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.request import CLIPS, ImageRequest, MediaInput, VideoRequest
from darkroom.errors import InvalidRequest


def with_default_roles(request: ImageRequest | VideoRequest) -> tuple[MediaInput, ...]:
    """Return the inputs with a role each: the edited picture, the first frame, or references when there are several."""
    alone = sum(item.role is None for item in request.images) == 1
    first = Role.SOURCE if request.kind is Kind.IMAGE else Role.FIRST_FRAME
    taken = any(item.role is first for item in request.images)
    default = first if alone and not taken else Role.REFERENCE
    return tuple(item if item.role else item.model_copy(update={"role": default}) for item in request.images)


def mode_of(request: ImageRequest | VideoRequest) -> Mode:
    """Return what the request turns into what, from its inputs and scenes.

    Raises:
        InvalidRequest: If it gives clips beside something else: clips are joined, and nothing else is done with them.
    """
    roles = {item.role for item in with_default_roles(request)}
    if _check_clips(request, roles):
        return Mode.JOIN_VIDEO
    if isinstance(request, VideoRequest) and (Role.VIDEO in roles or request.follows or request.extend):
        return _change_of_clip(request, roles)
    if request.kind is Kind.IMAGE:
        if request.follows:
            return Mode.EDIT_IMAGE
        if roles & {Role.SOURCE, Role.MASK}:
            return Mode.EDIT_IMAGE
        return Mode.REFERENCE_TO_IMAGE if roles else Mode.TEXT_TO_IMAGE
    if request.scenes:
        return Mode.TIMELINE
    if Role.LAST_FRAME in roles:
        return Mode.FIRST_LAST_FRAME
    if roles & {Role.FIRST_FRAME, Role.SOURCE}:
        return Mode.IMAGE_TO_VIDEO
    return Mode.REFERENCE_TO_VIDEO if roles else Mode.TEXT_TO_VIDEO


def _change_of_clip(request: VideoRequest, roles: set[Role | None]) -> Mode:
    fault = None
    if Role.VIDEO not in roles and not request.follows:
        fault = "There is no clip to go on with."
    elif request.scenes:
        fault = "A clip is changed as a whole, without scenes."
    if fault:
        raise InvalidRequest(
            fault,
            field="images" if request.scenes else "options.extend",
            allowed="refine with the id of a clip, or video=… as an entry of images",
            hint="Nothing was stored.",
        )
    return Mode.EXTEND_VIDEO if request.extend else Mode.EDIT_VIDEO


def _check_clips(request: ImageRequest | VideoRequest, roles: set[Role | None]) -> bool:
    """Return whether clips are to be joined; refuse them beside anything else."""
    scenes = request.scenes if isinstance(request, VideoRequest) else ()
    in_scene = any(part.image is not None and part.image.role in CLIPS for part in scenes)
    if Role.VIDEO in roles and request.kind is Kind.IMAGE:
        raise InvalidRequest(
            "No picture is made of a clip.", field="images", hint="Nothing was stored. Give a picture."
        )
    if Role.CLIP not in roles and not in_scene:
        return False
    others = ", ".join(sorted(role for role in roles - {Role.CLIP} if role))
    fault = None
    if request.kind is Kind.IMAGE:
        fault = "No picture is made of clips."
    elif in_scene or scenes:
        fault = "Clips are joined by themselves, without scenes."
    elif others:
        fault = f"Clips are joined with clips alone, not with a picture as {others}."
    if fault:
        raise InvalidRequest(
            fault,
            field="images",
            allowed="clip=… for every entry of images of a video, or for none",
            hint="Nothing was stored. Make a clip of the picture or scene first, then join it with generate_video.",
        )
    return True
