"""What the kinds of steps take and need."""

from typing import Any

import pytest

from darkroom.domain.workflow import Step, StepKind
from darkroom.domain.workflow_kinds import by_nearness, fields_for
from darkroom.errors import InvalidRequest
from darkroom.server.views import error_text
from helpers_flow import flow, image


def test_each_kind_takes_its_own_fields() -> None:
    assert set(fields_for(None)) == set(Step.model_fields)
    assert {"agent", "returns"} <= set(fields_for(StepKind.AGENT))
    assert not {"agent", "task", "arguments"} & set(fields_for(StepKind.SKILL)) - {"task"}
    assert {"arguments", "model", "retries"} <= set(fields_for(StepKind.IMAGE))
    assert "model" not in fields_for(StepKind.JOIN)


def test_names_are_listed_with_the_nearest_first() -> None:
    assert by_nearness("retry", ["id", "kind", "retries", "task"]) == ["retries", "id", "kind", "task"]
    assert by_nearness("zzz", ["id", "kind"]) == ["id", "kind"]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            {"id": "a", "kind": "agent", "agent": "copy"},
            ("Step 'a' is of kind agent and has no task. Nothing was started. Steps of that kind need agent and task."),
        ),
        (image("a", agent="copy"), "Step 'a' is of kind image, which has no agent. Allowed: "),
        (
            image("a", arguments={}),
            (
                "Step 'a' has no argument 'prompt'. Nothing was started. Write \"arguments\": "
                '{"prompt": ...} in the step.'
            ),
        ),
        (
            image("a", arguments={"promptt": "x"}),
            (
                "Step 'a' has an argument 'promptt', which image steps do not take. Did you "
                "mean 'prompt'? Allowed: prompt, negative_prompt, size,"
            ),
        ),
        (
            image("a", arguments={"prompt": "x", "model": "y"}),
            ("Step 'a' has an argument 'model', which image steps do not take."),
        ),
    ],
)
def test_what_a_kind_does_not_take_or_lacks_is_told(step: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        flow(step)
    text = error_text(caught.value)
    assert text.startswith(said), text
    assert ("model stands beside arguments, not in it" in text) is ("'model'" in text)
