"""Where the shipped data lie: inside the wheel, or at the top of a checkout."""

import tomllib
from functools import cache
from pathlib import Path


@cache
def data_dir() -> Path:
    """Return the folder that holds `manifests` and `resources`.

    Raises:
        FileNotFoundError: If the installation has neither.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "_data", package.parent.parent):
        if (folder / "manifests" / "providers").is_dir():
            return folder
    raise FileNotFoundError("This installation of darkroom has no manifests; install it again.")


def manifests_dir(family: str) -> Path:
    """Return the folder of the shipped manifests of one family: providers, agents, skills."""
    return data_dir() / "manifests" / family


def resource_text(name: str) -> str:
    """Return a shipped text: what models and people read, kept outside the code.

    Raises:
        FileNotFoundError: If there is none of that name.
    """
    return (data_dir() / "resources" / name).read_text(encoding="utf-8").strip()


@cache
def requests(family: str) -> dict[str, tuple[str, ...]]:
    """Return how people ask for each of the agents or skills, by id; reads a file the first time."""
    rows = tomllib.loads(resource_text(f"requests/{family}.toml"))[family]
    return {name: tuple(several) for name, several in rows.items()}
