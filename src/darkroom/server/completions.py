"""Completions of the arguments of prompts and of the places in resource URIs."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

import anyio.to_thread
from mcp_types import Completion, PromptReference, ResourceTemplateReference

from darkroom.catalog.frameworks import families, tasks
from darkroom.errors import InvalidRequest
from darkroom.server.context import Program
from darkroom.server.prompts import BRAINSTORM

MOST = 100
"""Values in one answer, by the protocol."""
LOOKED_AT = 200
"""How many of the caller's newest jobs, runs and sessions are looked at."""
MONTHS = 24

Reference = PromptReference | ResourceTemplateReference


async def complete(
    program: Program, principal: str, ref: Reference, name: str, begun: str, known: Mapping[str, str]
) -> Completion:
    """Return what an argument may be that begins so, or holds it.

    Args:
        program: The running program.
        principal: Whose jobs, runs and sessions are meant.
        ref: The prompt or the template of URIs.
        name: The argument or place.
        begun: What is there of it.
        known: The other arguments, as far as they are there.
    """
    found = await _Values(program, principal, ref, known).of(name)
    low = begun.lower()
    values = [value for value in found if value.lower().startswith(low)]
    values += [value for value in found if low in value.lower() and value not in values]
    return Completion(values=values[:MOST], total=len(values), has_more=len(values) > MOST)


@dataclass(frozen=True, slots=True)
class _Values:
    """Looks up what may stand somewhere."""

    program: Program
    principal: str
    ref: Reference
    known: Mapping[str, str]

    async def of(self, name: str) -> list[str]:
        """Return all values: names sorted, what was made newest first; none where anything may stand."""
        made: dict[str, Callable[[], Awaitable[list[str]]]] = {
            "job_id": self._jobs,
            "output_id": self._outputs,
            "run_id": self._runs,
            "session_id": self._sessions,
        }
        if name == "before":  # pages of jobs or of sessions; those of one session have numbers
            uri = self.ref.uri if isinstance(self.ref, ResourceTemplateReference) else ""
            paged = {"darkroom://jobs{?before}": self._jobs, "darkroom://sessions{?before}": self._sessions}
            return await paged[uri]() if uri in paged else []
        if name in made:
            await self.program.ready()
            return await made[name]()
        return await anyio.to_thread.run_sync(self._named, name)

    async def _jobs(self) -> list[str]:
        return [job.id for job in await self.program.jobs.find(self.principal, limit=LOOKED_AT)]

    async def _outputs(self) -> list[str]:
        jobs = await self.program.jobs.find(self.principal, limit=LOOKED_AT)
        return [output.id for job in jobs for output in job.outputs]

    async def _runs(self) -> list[str]:
        return [run.id for run in await self.program.runs.find(self.principal, limit=LOOKED_AT)]

    async def _sessions(self) -> list[str]:
        return [item.id for item in await self.program.sessions.find(self.principal, limit=LOOKED_AT)]

    def _named(self, name: str) -> list[str]:
        """Return the names of what is there for all; may read files."""
        program = self.program
        sources: dict[str, Callable[[], Iterable[str]]] = {
            "task_type": tasks,
            "market_stage": lambda: families()["market_stages"].by_id,
            "family": families,
            "agent": lambda: (agent.id for agent in program.agents.select()),
            "provider": lambda: program.providers,
            "model": self._models,
            "after": self._after,
            "skill": self._skills,
            "path": self._files,
        }
        if name == "month":
            return self._months()
        return sorted(sources[name]()) if name in sources else []

    def _models(self) -> set[str]:
        return {item.offer.model for item in self.program.pricing.offers()}

    def _after(self) -> Iterable[str]:
        """Return what a page may begin after: an offer of the provider or model that is named, or a model."""
        if "provider" in self.known:
            rows = self.program.estimates.listing()
            return (row.candidate.name for row in rows if row.candidate.provider.id == self.known["provider"])
        if "model" in self.known:
            offers = self.program.pricing.offers(ended=True)
            return (item.name for item in offers if item.offer.model == self.known["model"])
        return {row.candidate.offer.model for row in self.program.estimates.listing()}

    def _skills(self) -> Iterable[str]:
        skills = self.program.skills.select()
        if isinstance(self.ref, ResourceTemplateReference):
            return (skill.name for skill in skills)
        if self.ref.name == BRAINSTORM:
            return ()
        return (skill.id for skill in skills if skill.category == self.ref.name)

    def _files(self) -> Iterable[str]:
        try:
            return [quote(path) for path in self.program.skills.get(self.known.get("skill", "")).files]
        except InvalidRequest:
            return ()

    def _months(self) -> list[str]:
        """Return the last two years' months, newest first."""
        now = datetime.fromtimestamp(self.program.clock.now() / 1000, ZoneInfo(self.program.settings.timezone))
        counted = (divmod(now.year * 12 + now.month - 1 - back, 12) for back in range(MONTHS))
        return [f"{year}-{month + 1:02}" for year, month in counted]
