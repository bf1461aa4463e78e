"""What a provider counted, as what it cost after all."""

from typing import Any

import pytest
from helpers_runtime import ACME, Rig, png

from darkroom.adapters.base import Made, Succeeded
from darkroom.domain.job import LedgerKind, State
from darkroom.domain.money import MicroUsd

pytestmark = pytest.mark.anyio
COUNTED = {"text_in": 1000, "image_out": 1290}


@pytest.fixture(autouse=True)
def rates(rig: Rig) -> None:
    """An offer that prices two sorts of tokens."""
    data = ACME.model_dump(mode="json")
    data["offers"][0]["rates"] = {"text_in": "0.5", "image_out": "30"}
    rig.providers["acme"] = ACME.model_validate(data)


def answer(**more: Any) -> Succeeded:
    return Succeeded((Made(png(), "image/png"),), **more)


@pytest.mark.parametrize("polled", [False, True])
@pytest.mark.parametrize(
    ("said", "settled"),
    [
        ({"tokens": COUNTED}, (39_200, True)),
        ({"tokens": COUNTED, "cost": MicroUsd(5)}, (5, True)),
        ({"tokens": COUNTED, "cost": MicroUsd(0)}, (0, True)),
        ({"tokens": {**COUNTED, "thoughts": 7}}, (40_000, False)),
        ({}, (40_000, False)),
    ],
)
async def test_what_was_counted_is_priced_unless_the_provider_names_the_cost(
    rig: Rig, said: dict[str, Any], settled: tuple[int, bool], *, polled: bool
) -> None:
    if polled:
        rig.adapter.polls = [answer(**said)]
        job = await rig.job(await rig.begun())
        assert await rig.stepper.advance(await rig.held(job)) is None
    else:
        rig.adapter.submits = [answer(**said)]
        job = await rig.add()
        assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert (part.state, part.actual) == (State.SUCCEEDED, settled[0])
    assert (await rig.money(job))[1:] == [(LedgerKind.SETTLED, *settled)]


async def test_the_counts_are_noted_beside_what_else_is_known(rig: Rig) -> None:
    rig.adapter.submits = [answer(tokens=COUNTED, notes={"seed": 7})]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).notes == {"seed": 7, "tokens": COUNTED}


async def test_a_model_that_left_the_manifests_meanwhile_costs_what_was_estimated(rig: Rig) -> None:
    held = await rig.begun()
    data = rig.providers["acme"].model_dump(mode="json")
    found = rig.adapter.polls = [answer(tokens=COUNTED)]

    async def leave(call: object) -> Succeeded:
        rig.providers["acme"] = ACME.model_validate({**data, "offers": data["offers"][1:]})
        return found[0]

    rig.adapter.polls = [leave]
    assert await rig.stepper.advance(held) is None
    assert (await rig.money(held))[1:] == [(LedgerKind.SETTLED, 40_000, False)]


async def test_what_was_counted_without_a_result_costs_that_and_no_picture(rig: Rig) -> None:
    rig.adapter.submits = [Succeeded((), tokens={"text_in": 1000})]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.job(job)).state is State.FAILED
    assert (await rig.money(job))[-1] == (LedgerKind.SETTLED, 500, False)
