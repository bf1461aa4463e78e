"""Briefs over the shipped catalogue: with drafts alone, or with a key."""

from functools import cache
from typing import Any

from darkroom.adapters.registry import adapter_names
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.agents import agents
from darkroom.catalog.providers import Providers
from darkroom.catalog.skills import Skills
from darkroom.domain.kinds import Kind
from darkroom.llm.handoff import HandOff
from darkroom.llm.handoff_media import Wanted
from darkroom.llm.handoff_prices import Prices, request_of
from darkroom.server.schema import parse
from darkroom.server.tools.cancel_job import CancelJobArgs
from darkroom.server.tools.check_job import CheckJobArgs
from darkroom.server.tools.estimate_credits import EstimateCreditsArgs
from darkroom.server.tools.generate_image import GenerateImageArgs
from darkroom.server.tools.generate_video import GenerateVideoArgs
from darkroom.server.tools.invoke_skill import InvokeSkillArgs, answer
from darkroom.server.tools.retry_job import RetryJobArgs
from darkroom.services.agents import AgentCatalogue
from darkroom.services.brainstorm import brainstorm
from darkroom.services.pricing import Pricing
from darkroom.services.routes import Routes
from darkroom.services.skills import SkillLibrary
from darkroom.settings import Settings
from factories import FakeClock

NO_KEYS: dict[str, str] = {}
LIVE = {"FAL_KEY": "fal-0123456789abcdef"}
ARGS = {
    "generate_image": GenerateImageArgs,
    "generate_video": GenerateVideoArgs,
    "invoke_skill": InvokeSkillArgs,
    "estimate_credits": EstimateCreditsArgs,
    "check_job": CheckJobArgs,
    "cancel_job": CancelJobArgs,
    "retry_job": RetryJobArgs,
}
RUN_AGENT = {"task", "agent", "session_id", "context", "workflow", "max_cost"}
"""The parameters of `run_agent` that briefs use."""


@cache
def shipped() -> Providers:
    """Return the shipped providers, read once."""
    return Providers(None, adapter_names())


class Desk:
    """Everything that briefs are made of."""

    def __init__(self, keys: dict[str, str] | None = None, **settings: Any) -> None:
        self.settings = Settings(**settings)
        clock, providers = FakeClock(), shipped()
        accounts = Accounts(providers, keys or NO_KEYS, b"key")
        pricing = Pricing(providers, lambda: accounts, self.settings, clock, adapter_names())
        self.agents = AgentCatalogue(agents, pricing)
        self.skills = SkillLibrary(Skills(None), self.agents)
        self.routes = Routes(
            providers=providers,
            accounts=lambda: accounts,
            settings=self.settings,
            clock=clock,
            adapters=adapter_names(),
        )
        self.prices = Prices(self.routes, self.settings)
        self.handoff = HandOff(
            agents=self.agents,
            skills=self.skills,
            routes=self.routes,
            settings=self.settings,
            workflows=("product_video",),
        )

    def brief(self, agent: str | None, task: str, **more: Any) -> dict[str, Any]:
        return self.handoff.brief(agent=None if agent is None else agents()[agent], task=task, **more)

    def check(self, call: dict[str, Any]) -> None:
        """Hold one call to its tool: the arguments, and the request or the answer that they make."""
        assert set(call) <= {"tool", "arguments", "why", "missing"}
        assert call["why"].endswith((".", "?", ")"))
        arguments, missing = call["arguments"], set(call.get("missing", ()))
        if call["tool"] == "run_agent":
            assert set(arguments) <= RUN_AGENT
            assert arguments["task"] or arguments["agent"] == "?"
            assert "agent" not in arguments or arguments["agent"] in {*agents(), "?"}
            return
        args = parse(ARGS[call["tool"]], {**arguments, **dict.fromkeys(missing & {"job_id", "prompt"}, "job_1")})
        if isinstance(args, GenerateImageArgs | GenerateVideoArgs):
            kind = Kind.IMAGE if isinstance(args, GenerateImageArgs) else Kind.VIDEO
            request_of(
                Wanted(kind, {key: value for key, value in arguments.items() if key not in ("max_cost", "again")})
            )
        elif isinstance(args, InvokeSkillArgs):
            if args.skill == "?":
                return
            assert self.skills.named(args.skill) is not None
            assert answer(args, self.skills)["next"]
            if args.brainstorm is not None:
                assert brainstorm(args.brainstorm, {}).angles
        elif isinstance(args, EstimateCreditsArgs):
            assert args.operation in ("image", "video", "music", "month", "spent")
        else:
            assert "job_id" in arguments or missing or call["tool"] == "check_job"


def calls(brief: dict[str, Any], tool: str) -> list[dict[str, Any]]:
    """Return a brief's calls of one tool."""
    return [call for call in brief.get("next_calls", []) if call["tool"] == tool]
