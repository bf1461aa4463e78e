"""Resources: jobs, their records and files, and whatever can be read up."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp_types import Resource, ResourceTemplate

from darkroom.domain.names import LIKE, nearest
from darkroom.domain.output import Output
from darkroom.errors import InvalidRequest, ResultExpired, UnknownModel
from darkroom.server import catalogue, knowledge, run_resources
from darkroom.server.catalogue import Catalogue
from darkroom.server.context import LOCAL, Program
from darkroom.server.knowledge import SKILL_SCHEME, Knowledge
from darkroom.server.links import Links, outward
from darkroom.server.money_views import usage_view
from darkroom.server.views import job_view, output_view, record

INLINE_BYTES = 700_000
"""Larger files answer with their facts instead of their bytes: some hosts refuse answers over a megabyte."""
PAGE = 20
SCHEME = "darkroom://"

RESOURCES = (
    *catalogue.RESOURCES,
    *knowledge.RESOURCES,
    Resource(
        uri="darkroom://jobs",
        name="jobs",
        title="Jobs",
        description="Your newest jobs; the last line says how to read older ones.",
        mime_type="application/json",
    ),
    *run_resources.RESOURCES,
)
TEMPLATES = (
    *catalogue.TEMPLATES,
    *knowledge.TEMPLATES,
    ResourceTemplate(
        uri_template="darkroom://jobs/{job_id}",
        name="job",
        title="Job record",
        description="Everything known of a job: effective request, history, files, money.",
        mime_type="application/json",
    ),
    ResourceTemplate(
        uri_template="darkroom://jobs{?before}",
        name="older_jobs",
        title="Older jobs",
        description="Jobs older than the one named.",
        mime_type="application/json",
    ),
    ResourceTemplate(
        uri_template="darkroom://outputs/{output_id}",
        name="output",
        title="Output",
        description="One file, or where it lies when it is large.",
    ),
    ResourceTemplate(
        uri_template="darkroom://outputs/{output_id}/thumbnail",
        name="thumbnail",
        title="Thumbnail",
        description="A small picture of one file.",
        mime_type="image/webp",
    ),
    *run_resources.TEMPLATES,
)


class UnknownResource(Exception):
    """No resource has that URI; the message says which may have been meant."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads resources for one principal."""

    program: Program
    principal: str = LOCAL
    links: Links | None = None
    """Makes addresses of outputs, for callers that cannot open files of this machine."""

    async def read(self, uri: str) -> ReadResourceContents:
        """Return the content of a `darkroom://` or `skill://` resource.

        Raises:
            UnknownResource: If there is none of that URI.
            DarkroomError: If it exists and cannot be read.
        """
        if uri.startswith(SKILL_SCHEME):
            return await self._known(lambda: self.knowledge.skill_file(uri))
        path, _, query = uri.removeprefix(SCHEME).partition("?")
        parts = path.split("/")
        handlers: dict[tuple[str, int], Callable[[], Awaitable[ReadResourceContents]]] = {
            ("jobs", 1): lambda: self._jobs(query),
            ("jobs", 2): lambda: self._job(parts[1]),
            ("outputs", 2): lambda: self._output(parts[1]),
            ("usage", 2): lambda: self._usage(parts[1]),
            ("runs", 2): lambda: self._made(run_resources.read_run(self.program, self.principal, parts[1])),
            ("sessions", 1): lambda: self._made(run_resources.read_sessions(self.program, self.principal, query)),
            ("sessions", 2): lambda: self._made(
                run_resources.read_session(self.program, self.principal, parts[1], query)
            ),
        }
        if parts[0] == "outputs" and parts[2:] == ["thumbnail"]:
            return await self._thumbnail(parts[1])
        handler = handlers.get((parts[0], len(parts)))
        listed = (
            (self.catalogue.handler(parts, query) or self.knowledge.handler(parts)) if uri.startswith(SCHEME) else None
        )
        if listed is not None:
            return await self._known(lambda: _json(listed()))
        if handler is None or not uri.startswith(SCHEME):
            raise UnknownResource(await anyio.to_thread.run_sync(self._nearest, uri))
        return await handler()

    async def _made(self, data: Awaitable[dict[str, Any]]) -> ReadResourceContents:
        return self._shown(await data)

    def _shown(self, data: dict[str, Any]) -> ReadResourceContents:
        return _json(outward(data, self.links))

    @staticmethod
    async def _known(read: Callable[[], ReadResourceContents]) -> ReadResourceContents:
        try:
            return await anyio.to_thread.run_sync(read)
        except (UnknownModel, InvalidRequest) as exc:
            raise UnknownResource(exc.message) from exc

    def _nearest(self, uri: str) -> str:
        """Return which resource may have been meant; blocks."""
        fixed = [resource.uri.removeprefix(SCHEME) for resource in RESOURCES]
        known = [*fixed, *(f"pricing/providers/{x}" for x in self.program.providers)]
        near = nearest(uri.removeprefix(SCHEME), known, alike=LIKE)
        return f"Did you mean {SCHEME}{near[0]}?" if near else f"There are {', '.join(fixed)} under {SCHEME}."

    @property
    def knowledge(self) -> Knowledge:
        """The part of it that comes from skills, agents and frameworks."""
        return Knowledge(self.program)

    @property
    def catalogue(self) -> Catalogue:
        """The part of it that comes from the manifests."""
        return Catalogue(self.program, self.principal)

    async def _usage(self, month: str) -> ReadResourceContents:
        return _json(usage_view(await self.program.usage.month(month, self.principal)))

    async def _jobs(self, query: str) -> ReadResourceContents:
        before = query.removeprefix("before=") or None
        if before is not None:
            await self.program.jobs.get([before], self.principal)  # one that there is not is the start of no page
        jobs = await self.program.jobs.find(self.principal, limit=PAGE, before=before)
        now = self.program.clock.now()
        page: dict[str, Any] = {"jobs": [job_view(job, now=now, plans=self.program.plans.plans) for job in jobs]}
        if len(jobs) == PAGE:
            page["older"] = f"darkroom://jobs?before={jobs[-1].id}"
        return self._shown(page)

    async def _job(self, job_id: str) -> ReadResourceContents:
        job = (await self.program.jobs.get([job_id], self.principal))[0]
        events, ledger = await self.program.history(job)
        callback = await self.program.callbacks.of(job.id, self.principal)
        lineage = await self.program.jobs.lineage(job)
        now, plans = self.program.clock.now(), self.program.plans.plans
        return self._shown(record(job, events, ledger, now=now, plans=plans, callback=callback, lineage=lineage))

    async def _output(self, output_id: str) -> ReadResourceContents:
        output = await self.program.jobs.output(output_id, self.principal)
        if output.bytes > INLINE_BYTES:
            return self._shown(
                {
                    **output_view(output),
                    "bytes": output.bytes,
                    "sha256": output.sha256,
                    "thumbnail": f"{SCHEME}outputs/{output.id}/thumbnail",
                    "next": f"It is too large to send; open it at its {'url' if self.links else 'path'}.",
                }
            )
        return ReadResourceContents(content=await self._bytes(output), mime_type=output.media_type)

    async def _thumbnail(self, output_id: str) -> ReadResourceContents:
        output = await self.program.jobs.output(output_id, self.principal)
        return ReadResourceContents(content=await self._bytes(output, thumbnail=True), mime_type="image/webp")

    async def _bytes(self, output: Output, *, thumbnail: bool = False) -> bytes:
        data = await self.program.artifacts.read(output, thumbnail=thumbnail)
        if data is None:
            raise ResultExpired(
                f"The file of {output.id} is gone{'' if self.links else f' from {output.path}'}.",
                hint="It was moved or deleted; retry_job makes it anew.",
            )
        return data


def _json(data: dict[str, Any]) -> ReadResourceContents:
    return ReadResourceContents(content=json.dumps(data, ensure_ascii=False, indent=1), mime_type="application/json")
