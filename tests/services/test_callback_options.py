"""Who is to be told belongs to the call: it is kept with the job, and is no part of the request."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from darkroom.app import App
from darkroom.domain.job import Job, State
from darkroom.domain.run import Callback, Delivery
from darkroom.errors import DarkroomError, InvalidRequest, NotConfigured
from darkroom.services.caps import Terms
from darkroom.services.generation import Started
from darkroom.settings import Settings
from factories import FakeClock
from helpers_services import ME, TERMS, image, opened, picture, planned, put, run_until, started, succeed

HOOK = "https://hooks.example.com/jobs/1?token=t0ken"


@pytest.fixture
def listing() -> Settings:
    return Settings.load(callback_hosts="hooks.example.com")


@pytest.fixture
async def told(clock: FakeClock, listing: Settings) -> AsyncGenerator[App]:
    """A program whose callbacks may go to one host."""
    async with opened(listing, clock) as program:
        yield program


def asking(url: Any = HOOK, **options: Any) -> dict[str, Any]:
    return {"options": {"callback_url": url, **options}}


async def callback(app: App, job: Job) -> Callback:
    found = await app.callbacks.of(job.id, ME)
    assert found is not None
    return found


async def test_a_callback_is_kept_with_the_job_and_due_when_that_ends(told: App, clock: FakeClock) -> None:
    job = await started(told, image(**asking(invocation_id="inv-1")))
    kept = await callback(told, job)
    assert (kept.state, kept.url, kept.invocation_id, kept.created_at) == (
        Delivery.WAITING,
        HOOK,
        "inv-1",
        job.created_at,
    )
    clock.advance(3)
    await succeed(told, job)
    ended = await callback(told, job)
    assert (ended.state, ended.due_at) == (Delivery.DUE, clock.now())


async def test_it_is_due_when_a_job_fails_or_is_cancelled_too(told: App) -> None:
    failed = await started(told, image(**asking()))
    await run_until(told, failed.id, State.FAILED)
    assert (await callback(told, failed)).state is Delivery.DUE
    queued = await started(told, image(prompt="another", **asking()))
    await told.jobs.cancel(queued.id, ME)
    assert (await callback(told, queued)).state is Delivery.DUE


async def test_it_is_neither_in_the_request_nor_sent_to_a_provider(told: App) -> None:
    job = await started(told, image(**asking(invocation_id="inv-1", labels=["a"])))
    assert job.labels == ("a",)
    assert "t0ken" not in job.model_dump_json()
    assert "inv-1" not in job.model_dump_json()


async def test_an_equal_call_gets_the_first_job_whoever_is_to_be_told(told: App) -> None:
    first = await started(told, image())
    again = await told.generation.start(image(**asking()), TERMS)
    assert isinstance(again, Started)
    assert (again.job.id, again.created) == (first.id, False)
    assert (await callback(told, first)).subject == first.id, "it is told of the job that there is"


async def test_an_equal_call_for_what_has_ended_is_told_at_once(told: App) -> None:
    first = await started(told, image())
    await succeed(told, first)
    await told.generation.start(image(**asking()), TERMS)
    assert (await callback(told, first)).state is Delivery.DUE


@pytest.mark.parametrize("url", [None, False])
async def test_a_callback_that_is_off_is_none(told: App, url: Any) -> None:
    job = await started(told, image(**asking(url)))
    assert await told.callbacks.of(job.id, ME) is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"callback_url": "https://elsewhere.test/?token=t0ken"}, "options.callback_url"),
        ({"callback_url": "https://169.254.169.254/"}, "options.callback_url"),
        ({"callback_url": "https://10.0.0.1/"}, "options.callback_url"),
        ({"callback_url": "http://127.0.0.1:8000/"}, "options.callback_url"),
        ({"callback_url": 5}, "options.callback_url"),
        ({"callback_url": HOOK, "invocation_id": []}, "options.invocation_id"),
        ({"invocation_id": "inv-1"}, "options.invocation_id"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_stored(
    told: App, pictures: Path, options: dict[str, Any], field: str
) -> None:
    path = put(pictures / "fox.png", picture())
    with pytest.raises(InvalidRequest) as caught:
        await told.generation.start(image(images=[path], options=options), TERMS)
    assert caught.value.field == field
    assert "t0ken" not in f"{caught.value.message}{caught.value.hint}"
    assert await told.store.find() == []
    assert await told.callbacks.find(ME) == []
    assert not (told.settings.home / "inputs").exists()


async def test_without_listed_hosts_it_is_refused(app: App) -> None:
    with pytest.raises(NotConfigured, match="no host is listed"):
        await app.generation.start(image(**asking()), TERMS)
    assert await app.store.find() == []


async def test_a_dry_run_checks_it_and_keeps_none(told: App) -> None:
    await planned(told, image(**asking()), Terms(dry_run=True))
    assert await told.callbacks.find(ME) == []
    with pytest.raises(DarkroomError):
        await told.generation.start(image(**asking("https://elsewhere.test/")), Terms(dry_run=True))


async def test_a_retry_tells_nobody_unless_that_is_said_anew(told: App) -> None:
    first = await started(told, image(**asking()))
    await succeed(told, first)
    silent = await told.generation.retry(first.id, {}, TERMS)
    assert isinstance(silent, Started)
    assert await told.callbacks.of(silent.job.id, ME) is None
    await succeed(told, silent.job)
    other = f"{HOOK}&again=1"
    loud = await told.generation.retry(first.id, {"seed": 4, **asking(other)}, TERMS)
    assert isinstance(loud, Started)
    assert (await callback(told, loud.job)).url == other
