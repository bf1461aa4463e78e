"""A scene of shipped adapters with their shipped manifests, behind providers that speak their wire formats."""

import tomllib
from pathlib import Path
from typing import Any

from darkroom.catalog.data import manifests_dir
from darkroom.catalog.providers import base_url_variable
from darkroom.domain.kinds import Mode, Role
from fake_provider.engine import Envelope, Script
from fake_provider.envelopes import fal, google, gpt, kling, xai
from fake_provider.server import FakeProvider
from proof.blows import Scene
from proof.driver import Wanted

QUICK = {"first_s": 0.1, "min_s": 0.1, "max_s": 0.5}
"""How often the providers are asked here, instead of what the manifests say."""
KINDS = (
    Wanted("", "kling", "kling-image-2.1", n=2),
    Wanted("", "kling", "kling-1", mode=Mode.IMAGE_TO_VIDEO, picture=Role.FIRST_FRAME),
    Wanted("", "fal", "gpt-image-2", n=2),
    Wanted("", "fal", "gpt-image-2", mode=Mode.EDIT_IMAGE, picture=Role.SOURCE),
    Wanted("", "openai", "gpt-image-2", n=2),
    Wanted("", "azure", "gpt-image-2", mode=Mode.EDIT_IMAGE, picture=Role.SOURCE),
    Wanted("", "xai", "grok-imagine-image", n=2),
    Wanted("", "xai", "grok-imagine-video-1.5", mode=Mode.IMAGE_TO_VIDEO, picture=Role.FIRST_FRAME),
    Wanted("", "google", "nano-banana-2.1", goes_on=True),
    Wanted("", "google", "nano-banana-2.1", mode=Mode.EDIT_IMAGE, picture=Role.SOURCE),
    Wanted("", "vertex", "nano-banana-pro", mode=Mode.EDIT_IMAGE, picture=Role.SOURCE, goes_on=True),
    Wanted("", "vertex", "imagen-4", n=2),
    Wanted("", "vertex", "veo-3.1-fast", mode=Mode.IMAGE_TO_VIDEO, picture=Role.FIRST_FRAME),
)
"""Kling can be asked by our key, and takes pictures within the body; fal cannot, and takes them before.

OpenAI, Azure, xAI, Google and Vertex answer with the pictures, and know nothing of them later. Google's two go on with
a result where they get their own turn of it back word for word. Clips of Vertex are in a bucket.
"""
NAMES = tuple(dict.fromkeys(kind.provider for kind in KINDS))
CALM = Script(accept_delay_s=0.15, polls=2)
FATES = {
    "slow": Script(accept_delay_s=0.8),
    "patient": Script(polls=6),
    "busy": Script(refuse=(429,), retry_after="0.2"),
    "full": Script(refuse=(503,), retry_after="0.2"),
    "bad": Script(refuse=(400,) * 9),
    "poor": Script(refuse=(402,) * 9),
    "fails": Script(fail="model_error"),
    "unread": Script(cut="unread"),
    "ill": Script(refuse=(500,)),
    "lost": Script(accept_delay_s=0.15, cut="accepted"),
    "half": Script(cut="half"),
    "denied": Script(deny=500),
    "garbled": Script(wrong_json=True),
    "expired": Script(link_life=1),
    "crumbled": Script(cut_download=300),
}
"""What becomes of submissions, by the last word of their prompts; of the rest nothing special."""
SHARES = (*FATES, *["calm"] * len(FATES))


def envelopes() -> dict[str, Envelope]:
    """Return the wire formats of the scene."""
    return {
        "kling": kling.Kling(),
        "fal": fal.Fal(),
        "openai": gpt.openai(),
        "azure": gpt.azure(),
        "xai": xai.Xai(),
        "google": google.Google(),
        "vertex": google.Vertex(),
    }


def scene(provider: FakeProvider, folder: Path) -> Scene:
    """Return the scene, with a provider that speaks these wire formats; it is told how to treat each fate.

    Credentials that are a file are in `folder`.
    """
    provider.default = CALM
    for fate, script in FATES.items():
        provider.script(f"-{fate}", script)
    moved = {base_url_variable(name): provider.base_url_of(name) for name in NAMES}
    keys = {**kling.CREDENTIALS, **fal.CREDENTIALS, **gpt.OPENAI, **gpt.AZURE, **xai.CREDENTIALS, **google.GOOGLE}
    return Scene(
        providers={name: _manifest(name) for name in NAMES},
        kinds=KINDS,
        fates=SHARES,
        askable=("kling",),
        environment={**keys, **google.vertex(folder, provider.base_url_of("vertex")), **moved},
        pause_s=0.04,
    )


def _manifest(provider_id: str) -> dict[str, Any]:
    """Return a shipped manifest, with the offers that are used here and without chats and pauses between polls."""
    data = tomllib.loads((manifests_dir("providers") / f"{provider_id}.toml").read_text(encoding="utf-8"))
    data.pop("chat", None)
    used = {wanted.model for wanted in KINDS if wanted.provider == provider_id}
    return {**data, "poll": QUICK, "offers": [offer for offer in data["offers"] if offer["model"] in used]}
