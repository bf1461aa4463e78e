"""What the loop works with: stores, services, and the way to providers."""

from collections.abc import Callable
from dataclasses import dataclass

from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Provider
from darkroom.clock import Clock
from darkroom.net.provider import ProviderHttp
from darkroom.services.agents import AgentCatalogue
from darkroom.services.caps import Caps
from darkroom.services.chat_models import ChatModels
from darkroom.services.estimates import Estimates
from darkroom.services.generation import Generation
from darkroom.services.jobs import Jobs
from darkroom.services.skills import SkillLibrary
from darkroom.store.run_base import RunStore


@dataclass(frozen=True, slots=True)
class LoopKit:
    """All that a loop needs; one for the process."""

    runs: RunStore
    clock: Clock
    caps: Caps
    models: ChatModels
    accounts: Callable[[], Accounts]
    http: Callable[[Provider], ProviderHttp]
    agents: AgentCatalogue
    generation: Generation
    jobs: Jobs
    estimates: Estimates
    skills: SkillLibrary
