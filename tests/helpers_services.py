"""A program with its own folders, made-up providers, and jobs that end when a test says so."""

import base64
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio.to_thread
from PIL import Image

from darkroom.app import App
from darkroom.clock import Clock
from darkroom.domain.job import Job, State
from darkroom.domain.output import Output
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.services.caps import Terms
from darkroom.services.generation import Started
from darkroom.services.routes import Proposal
from darkroom.settings import Settings
from darkroom.store.base import Intent, Move

ME = "local"
TERMS = Terms()
MANIFEST = """
id = "acme"
title = "Acme"
adapter = "draft"

[[offers]]
model = "acme-pro"
operations = ["text_to_image", "edit_image", "reference_to_image"]
count_max = 4
rank = 90
inputs = {source = 1, reference = 4}

[[offers.prices]]
unit = "image"
usd = "0.04"
source = "a page"
as_of = 2026-01-01

[[offers]]
model = "acme-mystery"
operations = ["text_to_image"]
rank = 10

[[offers]]
model = "acme-clip"
operations = ["text_to_video", "image_to_video"]
duration = {min_s = 2, max_s = 10}
inputs = {first_frame = 1}

[[offers.prices]]
unit = "second"
usd = "0.1"
source = "a page"
as_of = 2026-01-01
"""


@asynccontextmanager
async def opened(settings: Settings, clock: Clock) -> AsyncGenerator[App]:
    """Yield a program with an open store that advances nothing; making one looks for files, so it is not done here."""
    made = await anyio.to_thread.run_sync(partial(App, settings, clock=clock))
    async with made.running(advance=False) as app:
        await app.opened()
        yield app


def image(**fields: Any) -> ImageRequest:
    return ImageRequest.model_validate({"prompt": "a red fox", **fields})


def video(**fields: Any) -> VideoRequest:
    return VideoRequest.model_validate({"prompt": "a red fox runs", **fields})


def picture(colour: str = "red", size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def put(path: Path, data: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return os.fspath(path)


async def started(app: App, request: ImageRequest | VideoRequest, terms: Terms = TERMS) -> Job:
    """Start a request and return its new job."""
    made = await app.generation.start(request, terms)
    assert isinstance(made, Started)
    assert made.created
    return made.job


async def planned(app: App, request: ImageRequest | VideoRequest, terms: Terms) -> Proposal:
    made = await app.generation.start(request, terms)
    assert isinstance(made, Proposal)
    return made


async def step(app: App, job_id: str, target: State, owner: str | None, **change: Any) -> None:
    job = await app.store.get(job_id)
    assert job is not None
    assert await app.store.move(job.submissions[0].ref, owner, Move(target=target, at=app.clock.now(), **change))


async def run_until(app: App, job_id: str, *states: State, outputs: tuple[Output, ...] = (), **change: Any) -> Job:
    """Take a queued job through these states as a worker would; the changes belong to the last one."""
    owner = "worker-1"
    (claimed,) = await app.store.claim(owner, accounts=app.accounts().all(), now=app.clock.now(), limit=1)
    assert claimed.job.id == job_id
    intent = Intent(submit_key="key", account=claimed.submission.account, at=app.clock.now())
    assert await app.store.intend(claimed.submission.ref, owner, intent)
    for state in states:
        last = {"outputs": outputs, **change} if state is states[-1] else {}
        await step(app, job_id, state, owner, **last)
    job = await app.store.get(job_id)
    assert job is not None
    return job


async def succeed(app: App, job: Job, *, notes: dict[str, Any] | None = None, suffix: str = ".png") -> Job:
    """End a job with one picture in the output folder."""
    index = 1
    path = put(app.settings.outputs / f"{job.id}-{index}{suffix}", picture("blue"))
    output = Output(
        id=f"out_{job.id.partition('_')[2]}_{index}",
        job_id=job.id,
        submission=0,
        index=index,
        path=path,
        media_type="image/png",
        bytes=1,
        sha256="ab" * 32,
    )
    states = (State.DOWNLOADING, State.SUCCEEDED)
    return await run_until(app, job.id, *states, outputs=(output,), notes=notes or {})
