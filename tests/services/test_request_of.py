"""The request of a media call, by the arguments that a run gives."""

from typing import Any

import pytest

from darkroom.domain.kinds import Kind
from darkroom.errors import InvalidRequest
from darkroom.services.generation import request_of
from helpers_services import image, video


def refused(tool: str, arguments: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        request_of(tool, arguments)
    assert (caught.value.hint or "").startswith("Nothing was stored")
    return caught.value


def test_the_arguments_of_a_tool_are_its_request() -> None:
    assert request_of("generate_image", {"prompt": "a red fox", "n": 2}) == image(n=2)
    clip: dict[str, Any] = {"prompt": "a red fox runs", "duration": 4, "images": ["first_frame=out_1"]}
    assert request_of("generate_video", clip) == video(duration=4, images=["first_frame=out_1"])
    assert request_of("generate_video", clip).kind is Kind.VIDEO


def test_what_is_nothing_was_not_said() -> None:
    assert request_of("generate_image", {"prompt": "a red fox", "n": None, "model": None}) == image()


def test_an_argument_that_there_is_not_names_the_nearest() -> None:
    error = refused("generate_image", {"prompt": "a red fox", "aspect_ration": "1:1"})
    assert error.message == "generate_image has no argument 'aspect_ration'. Did you mean 'aspect_ratio'?"
    assert error.field == "aspect_ration"


def test_nobody_says_what_kind_it_is() -> None:
    error = refused("generate_video", {"prompt": "a red fox", "kind": "image"})
    assert error.message.startswith("generate_video has no argument 'kind'.")


@pytest.mark.parametrize("value", [0, "many", [2]])
def test_a_value_that_cannot_be_is_told_by_its_field(value: Any) -> None:
    error = refused("generate_image", {"prompt": "a red fox", "n": value})
    assert error.field == "n"
    assert error.message.startswith("n")


def test_a_value_of_another_type_is_told_by_its_field() -> None:
    error = refused("generate_image", {"prompt": "a red fox", "options": "fast"})
    assert error.field == "options"
