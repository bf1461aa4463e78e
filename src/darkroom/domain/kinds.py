"""What offers make of what: media, operations, what pictures are for, effort."""

from enum import StrEnum


class Kind(StrEnum):
    """The medium that an offer makes; jobs make pictures and clips."""

    IMAGE = "image"
    VIDEO = "video"
    SPEECH = "speech"
    SOUND = "sound"
    MUSIC = "music"
    TRANSCRIPTION = "transcription"
    VISION = "vision"
    RESEARCH = "research"
    SLIDES = "slides"
    CHAT = "chat"


class Mode(StrEnum):
    """What the job turns into what; the `operations` of an offer."""

    TEXT_TO_IMAGE = "text_to_image"
    EDIT_IMAGE = "edit_image"
    REFERENCE_TO_IMAGE = "reference_to_image"
    TEXT_TO_VIDEO = "text_to_video"
    IMAGE_TO_VIDEO = "image_to_video"
    FIRST_LAST_FRAME = "first_last_frame"
    REFERENCE_TO_VIDEO = "reference_to_video"
    TIMELINE = "timeline"
    UPSCALE_IMAGE = "upscale_image"
    UPSCALE_VIDEO = "upscale_video"
    EDIT_VIDEO = "edit_video"
    EXTEND_VIDEO = "extend_video"
    JOIN_VIDEO = "join_video"
    TEXT_TO_SPEECH = "text_to_speech"
    TEXT_TO_SOUND = "text_to_sound"
    TEXT_TO_MUSIC = "text_to_music"
    TRANSCRIBE = "transcribe"
    DESCRIBE_IMAGE = "describe_image"
    RESEARCH = "research"
    TEXT_TO_SLIDES = "text_to_slides"
    CHAT = "chat"

    @property
    def kind(self) -> Kind:
        """The medium that it makes."""
        if self in _OTHER_KINDS:
            return _OTHER_KINDS[self]
        return Kind.IMAGE if self.endswith("image") else Kind.VIDEO


_OTHER_KINDS = {
    Mode.TEXT_TO_SPEECH: Kind.SPEECH,
    Mode.TEXT_TO_SOUND: Kind.SOUND,
    Mode.TEXT_TO_MUSIC: Kind.MUSIC,
    Mode.TRANSCRIBE: Kind.TRANSCRIPTION,
    Mode.DESCRIBE_IMAGE: Kind.VISION,
    Mode.RESEARCH: Kind.RESEARCH,
    Mode.TEXT_TO_SLIDES: Kind.SLIDES,
    Mode.CHAT: Kind.CHAT,
}


class Role(StrEnum):
    """What an input is for: a picture, a clip that is joined with others, or the one clip that is changed."""

    SOURCE = "source"
    REFERENCE = "reference"
    MASK = "mask"
    STYLE = "style"
    LOGO = "logo"
    CHARACTER = "character"
    FACE = "face"
    PRODUCT = "product"
    FIRST_FRAME = "first_frame"
    LAST_FRAME = "last_frame"
    CLIP = "clip"
    VIDEO = "video"


class Quality(StrEnum):
    """How much effort the provider spends."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    MAX = "max"
    AUTO = "auto"
