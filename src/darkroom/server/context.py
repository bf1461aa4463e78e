"""What a tool needs from the program, and what it needs from the call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations

if TYPE_CHECKING:  # an idle server has loaded none of it
    from darkroom.artifacts.base import ArtifactStore
    from darkroom.catalog.plans import PlanBook
    from darkroom.catalog.providers import Offer, Provider
    from darkroom.clock import Clock
    from darkroom.domain.job import Event, Job, LedgerRow
    from darkroom.domain.run import Run
    from darkroom.domain.sampling import Sampler
    from darkroom.events import Watch
    from darkroom.server.links import Links
    from darkroom.server.schema import ToolArgs
    from darkroom.services.agents import AgentCatalogue
    from darkroom.services.callbacks import CallbackBook
    from darkroom.services.estimates import Estimates
    from darkroom.services.generation import Generation
    from darkroom.services.jobs import Jobs
    from darkroom.services.pricing import Pricing
    from darkroom.services.runs import Runs
    from darkroom.services.sessions import Sessions
    from darkroom.services.skills import SkillLibrary
    from darkroom.services.tokens import TokenBook
    from darkroom.services.usage import UsageBook
    from darkroom.services.workflows import WorkflowLibrary
    from darkroom.settings import Settings
    from darkroom.store.token_base import Pace

LOCAL = "local"


class Source(Protocol):
    """What a server answers from: the program, or what loads it on first use."""

    @property
    def settings(self) -> Settings:
        """What the user set."""
        ...

    async def program(self) -> Program:
        """Return the running program; whatever keeps it from being loaded is raised, and the next call tries again."""
        ...


class Program(Protocol):
    """The running program, as the MCP face sees it; `app.App` is the one there is."""

    @property
    def settings(self) -> Settings:
        """What the user set."""
        ...

    @property
    def clock(self) -> Clock:
        """The clock."""
        ...

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Every provider by id."""
        ...

    @property
    def generation(self) -> Generation:
        """Makes jobs of requests."""
        ...

    @property
    def pricing(self) -> Pricing:
        """Prices work at offers."""
        ...

    @property
    def plans(self) -> PlanBook:
        """The billing plans."""
        ...

    @property
    def estimates(self) -> Estimates:
        """Answers what things cost."""
        ...

    @property
    def usage(self) -> UsageBook:
        """Answers what was spent."""
        ...

    @property
    def skills(self) -> SkillLibrary:
        """Finds and invokes skills."""
        ...

    @property
    def agents(self) -> AgentCatalogue:
        """Answers about agents."""
        ...

    @property
    def jobs(self) -> Jobs:
        """What may be asked about jobs."""
        ...

    @property
    def callbacks(self) -> CallbackBook:
        """What may be asked about callbacks."""
        ...

    @property
    def artifacts(self) -> ArtifactStore:
        """Where the files lie."""
        ...

    @property
    def runs(self) -> Runs:
        """Starts, answers and stops runs."""
        ...

    @property
    def sessions(self) -> Sessions:
        """The conversations."""
        ...

    @property
    def workflows(self) -> WorkflowLibrary:
        """The workflows that there are."""
        ...

    @property
    def tokens(self) -> TokenBook:
        """The bearer tokens of the HTTP face."""
        ...

    @property
    def pace(self) -> Pace:
        """Counts the tool calls that come in over HTTP."""
        ...

    def brief_text(self, brief: dict[str, Any]) -> str:
        """Return a brief in words."""
        ...

    async def sampled(self, run: Run, sampler: Sampler) -> Run:
        """Advance a run whose thinking is the client's, until it ends, waits or needs the client again."""
        ...

    async def run_history(self, run: Run) -> tuple[list[dict[str, Any]], list[LedgerRow]]:
        """Return the moves of a run and the ledger rows of its own calls."""
        ...

    async def secret(self, purpose: str) -> bytes:
        """Return 32 secret bytes that this installation keeps for a purpose.

        Raises:
            StorageError: If they cannot be kept.
        """
        ...

    async def ready(self) -> None:
        """Return once jobs can be stored and advanced.

        Raises:
            StorageError: If they cannot.
        """
        ...

    async def intact(self) -> None:
        """Make sure that the file of the jobs is still there and whole.

        Raises:
            StorageError: If it is not.
        """
        ...

    def stop_waiting(self) -> None:
        """Have every call that waits answer at once with how things stand: the process is about to end."""
        ...

    def changes(self) -> AbstractContextManager[Watch]:
        """Watch whatever moves, in this process or another, until the block ends."""
        ...

    async def history(self, job: Job) -> tuple[list[Event], list[LedgerRow]]:
        """Return the moves and the ledger rows of a job."""
        ...


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of one tool."""

    program: Program
    report: Callable[[float, float | None, str], Awaitable[None]]
    """Sends progress: done, total, message; does nothing when the client did not ask for it."""
    principal: str = LOCAL
    context: Context[Any, Any] | None = None
    """The request itself: what the client can do, and what it sent along."""
    links: Links | None = None
    """Makes addresses of outputs, for callers that cannot open files of this machine."""
    note: str | None = None
    """What is to be said of the answer, such as that it is an earlier call's."""

    as_task: bool = False
    """Whether a task goes on in the place of an answer that would take longer."""
    repeats: bool = False
    """Whether it is about a task: the same answer as often as it is asked for, its thumbnails too, by any process."""

    def noting(self, note: str | None) -> ToolCall:
        """Return the call with a note on its answer."""
        return replace(self, note=note)

    def offer(self, job: Job) -> Offer | None:
        """Return the offer that a job runs at, while the manifests still have it."""
        part = job.lead
        provider = self.program.providers.get(part.provider)
        return provider.offer(part.model) if provider else None


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as a value: what is published, and what runs."""

    name: str
    title: str
    description: str
    args: type[ToolArgs]
    output: dict[str, Any]
    annotations: ToolAnnotations
    run: Callable[[Any, ToolCall], Awaitable[CallToolResult | InputRequiredResult]]
    starts: bool = False
    """Whether it starts something that may go on as a task."""
