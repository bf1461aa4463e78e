"""Prompts for clients with a prompt menu: one for each category of skills, and one that brainstorms."""

from collections.abc import Mapping

from mcp_types import GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from darkroom.catalog.frameworks import families, tasks
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest
from darkroom.server import skill_views as views
from darkroom.services.brainstorm import FIELDS, brainstorm
from darkroom.services.skills import SkillLibrary

BRAINSTORM = "brainstorm"


def prompts(library: SkillLibrary) -> list[Prompt]:
    """Return every prompt; may read files."""
    categories = sorted({skill.category for skill in library.select()})
    return [*(_category(library, category) for category in categories), _brainstorm()]


def _category(library: SkillLibrary, category: str) -> Prompt:
    names = ", ".join(skill.id for skill in library.select(category=category))
    return Prompt(
        name=category,
        title=f"{category.capitalize()} skills",
        description=clip(f"Do {category} work as a professional does: {names}.", views.LONG),
        arguments=[
            PromptArgument(name="work", description="What is to be done.", required=True),
            PromptArgument(name="skill", description="Which skill; the best for the work if left out.", required=False),
        ],
    )


def _brainstorm() -> Prompt:
    about = {
        "task_type": f"One of {', '.join(tasks())}.",
        "market_stage": f"One of {', '.join(families()['market_stages'].by_id)}.",
        "audience": "Who it is for.",
        "product": "What is sold.",
    }
    return Prompt(
        name=BRAINSTORM,
        title="Brainstorm",
        description="Angles, headlines and value propositions, chosen for the market and filled.",
        arguments=[PromptArgument(name=key, description=about[key], required=key == FIELDS[0]) for key in FIELDS],
    )


def prompt(library: SkillLibrary, name: str, arguments: Mapping[str, str]) -> GetPromptResult:
    """Return the text of a prompt; may read files.

    Raises:
        InvalidRequest: If there is none of that name, or an argument cannot be used.
    """
    known = {item.name: item for item in prompts(library)}
    if name not in known:
        raise InvalidRequest(f"There is no prompt {clip(name)!r}.{did_you_mean(name, known)}", field="name")
    takes = [item.name for item in known[name].arguments or ()]
    if odd := next((key for key in arguments if key not in takes), None):
        near = did_you_mean(odd, takes)
        raise InvalidRequest(f"{name} has no argument {clip(odd)!r}.{near}", field=clip(odd), allowed=takes)
    if name == BRAINSTORM:
        return _said("A brainstorm.", views.skill_text(views.brainstorm_view(brainstorm(arguments, {}))))
    work = arguments.get("work", "").strip()
    if not work:
        raise InvalidRequest("Say what is to be done: work is empty.", field="work")
    if arguments.get("skill"):
        skill = library.get(arguments["skill"])
    else:
        inside = library.select(category=name)
        skill = next((item for item in library.select(category=name, search=work)), inside[0])
    view = views.invocation_view(library.invoke(skill, work, {}))
    return _said(skill.title, views.skill_text(view))


def _said(about: str, text: str) -> GetPromptResult:
    return GetPromptResult(description=about, messages=[PromptMessage(role="user", content=TextContent(text=text))])
