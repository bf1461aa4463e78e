"""What the registry of MCP servers must know: `server.json`, made from the manifests and the settings."""

import tomllib
from pathlib import Path

from darkroom import __version__
from darkroom.catalog.providers import Provider, Providers, base_url_variable
from darkroom.settings import PREFIX, SECRET, Settings

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
NAME = "io.github.darkroom-mcp/darkroom"
MAIN = (
    "home", "output_dir", "allowed_input_dirs", "agent_model", "prefer", "max_cost", "daily_budget", "monthly_budget",
    "confirm_above", "callback_hosts", "callback_secret",
)  # fmt: skip
"""Settings that are worth a field where a person fills in a form; all others are in the README."""


def server_json() -> dict[str, object]:
    """Return the entry of the registry; the version is the one and only of the project."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    return {
        "$schema": SCHEMA,
        "name": NAME,
        "title": "darkroom",
        "description": "Images and videos with any provider, as jobs that are never lost and never paid for twice.",
        "version": __version__,
        "packages": [
            {
                "registryType": "pypi",
                "identifier": project["name"],
                "version": __version__,
                "runtimeHint": "uvx",
                "packageArguments": [{"type": "positional", "value": "serve"}],
                "transport": {"type": "stdio"},
                "environmentVariables": [*_settings(), *_credentials()],
            }
        ],
    }


def _settings() -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for name in MAIN:
        field = Settings.model_fields[name]
        about = field.description or ""
        folder = field.annotation is Path
        variable = f"{PREFIX}{name.upper()}"
        found.append(_variable(variable, about[:1].upper() + about[1:], secret=name in SECRET, filepath=folder))
    return found


def _credentials() -> list[dict[str, object]]:
    """Return the credentials of every provider, each once, and what else of theirs only the user knows."""
    uses: dict[str, list[str]] = {}
    others: list[dict[str, object]] = []
    for provider in Providers().values():
        for name in dict.fromkeys(name for names in provider.credentials for name in names):
            uses.setdefault(name, []).append(_use(provider, name))
        others += [_variable(name, f"{provider.title}, where wanted", secret=False) for name in provider.extras]
        if provider.chat and provider.base_url is None:
            about = f"{provider.title}: its address"
            others.append(_variable(base_url_variable(provider.id), about, secret=False))
    return [*(_variable(name, "; ".join(said), secret=True) for name, said in uses.items()), *others]


def _use(provider: Provider, name: str) -> str:
    """Return whose a credential is, and what it needs beside it."""
    sets = [names for names in provider.credentials if name in names]
    beside = [" and ".join(other for other in names if other != name) for names in sets]
    return provider.title if "" in beside else f"{provider.title}, with {' or '.join(beside)}"


def _variable(name: str, description: str, *, secret: bool, filepath: bool = False) -> dict[str, object]:
    return {
        "name": name,
        "description": description,
        **({"format": "filepath"} if filepath else {}),
        "isRequired": False,
        "isSecret": secret,
    }
