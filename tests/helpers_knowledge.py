"""The shipped agents and skills, for a catalogue that is made up."""

from collections.abc import Mapping
from pathlib import Path

from darkroom.catalog.accounts import Accounts
from darkroom.catalog.agents import agents
from darkroom.catalog.providers import Provider
from darkroom.catalog.skills import Skills
from darkroom.services.agents import AgentCatalogue
from darkroom.services.pricing import Pricing
from darkroom.services.skills import SkillLibrary
from darkroom.settings import Settings
from factories import FakeClock
from helpers_pricing import KEYS


def agent_catalogue(providers: Mapping[str, Provider] | None = None) -> AgentCatalogue:
    found = providers or {}
    accounts = Accounts(found, KEYS, b"key")
    return AgentCatalogue(
        agents, Pricing(found, lambda: accounts, Settings(), FakeClock(), frozenset({"draft", "acme"}))
    )


def skill_library(own_dir: Path | None = None) -> SkillLibrary:
    return SkillLibrary(Skills(own_dir), agent_catalogue())
