"""Names that people know models and options by lead to an offer, or to what took its place."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from darkroom.catalog.options import check_options
from darkroom.catalog.providers import Offer, Option, Providers, Status, normal
from darkroom.catalog.routing import Candidate, Choice, candidates, gone, route
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.errors import DarkroomError, InvalidRequest, ModelRetired, NotConfigured, Unsupported

PROVIDERS = Providers()
DAY = date(2026, 11, 21)
READY = frozenset(PROVIDERS)
OFFERS = [(provider.id, offer) for provider in PROVIDERS.values() for offer in provider.offers]
LIVE = [(provider, offer) for provider, offer in OFFERS if not gone(offer, DAY)]

MODELS: dict[Kind, str] = {
    Kind.VIDEO: """
        sora2 sora-2 sora-2-pro sora openai SORA2 sora-2-text-to-video
        veo3 veo3.1 VEO3 veo veo3_fast veo-3.1 veo-3.1-fast veo-3.1-generate-preview veo-3.1-fast-generate-preview
        kling kling1.6 kling25 wan wan2.1 wan25-fast minimax minimax-hailuo-02 luma pika hunyuan seedance
        seedance-v1-lite gen3a gen3a_turbo gen3 gemini mj_video mj_video_hd midjourney higgsfield runway
    """,
    Kind.IMAGE: """
        dall-e-3 dall-e DALL_E_3 dalle gpt-image-1 gpt-image openai azure/dall-e-3
        flux-1.1-pro flux-dev flux-schnell flux-pro flux aurora grok grok-2-image xai
        imagen-3 imagen IMAGEN4 imagen-4.0-generate-001 imagen4-fast google/imagen4-fast
        gemini gemini-2.0-flash-exp GEMINI_2_0 nano-banana seedream4
        sd3-large sd3-medium sdxl-1.0 core sd3 sd3.5 sd-ultra sd stability replicate
        MIDJOURNEY midjourney mj_txt2img mj_img2img mj_style_reference mj_omni_reference
    """,
    Kind.SPEECH: "tts-1 tts-1-hd elevenlabs openai openai_tts google_tts en-US-Neural2-J",
    Kind.SOUND: "elevenlabs",
    Kind.TRANSCRIPTION: "whisper whisper-1 openai",
    Kind.VISION: "gpt-4o GPT_4O openai",
    Kind.RESEARCH: "sonar sonar-pro sonar-reasoning perplexity grok-2 grok-3",
    Kind.SLIDES: "presenton gamma beautiful_ai",
    Kind.CHAT: """
        claude-sonnet-4-20250514 claude-sonnet-4 claude-opus-4-5 claude-opus-4.5 claude-haiku-3.5 claude-haiku-3-5
        gpt-4o GPT_4O gpt-4-turbo gpt-4.1 grok-2 grok-2-mini grok-3 grok-3-fast gemini grok
        gemini-2.0-flash-exp gemini-1.5-pro gemini-1.5-flash gemini-1.5-flash-8b GEMINI_2_0
    """,
}
NAMES = [(name, kind) for kind, names in MODELS.items() for name in names.split()]
HIGGSFIELD = """
    sora2 veo3 veo3.1 kling kling1.6 wan wan2.1 minimax luma pika hunyuan seedance
    kling25 wan25-fast minimax-hailuo-02 seedance-v1-lite
"""
OPTIONS = """
    guidance steps cfg_scale prompt_upsampling style_preset mode background moderation output_format
    output_compression style user person_generation enhance_prompt fps compression_quality watermark speed version
    variety stylization weirdness ow motion seeds generation_type task_type video_batch_size enable_translation
    n_frames remove_watermark num_images camera_control voice template include_images ai_model
"""
PAIRS = [
    ("kie", "IMAGEN4", Kind.IMAGE),
    ("kie", "google/imagen4-fast", Kind.IMAGE),
    ("kie", "VEO3", Kind.VIDEO),
    ("kie", "veo3_fast", Kind.VIDEO),
    ("kie", "MIDJOURNEY", Kind.IMAGE),
    ("kie", "MIDJOURNEY", Kind.VIDEO),
    ("kie", "SORA2", Kind.VIDEO),
    ("kie", "sora-2-text-to-video", Kind.VIDEO),
    ("google", "IMAGEN4", Kind.IMAGE),
    ("google", "VEO3", Kind.VIDEO),
    ("google", "GEMINI_2_0", Kind.IMAGE),
    ("google", "gemini-1.5-pro", Kind.CHAT),
    ("google", "imagen-3", Kind.IMAGE),
    ("azure", "DALL_E_3", Kind.IMAGE),
    ("azure", "GPT_4O", Kind.CHAT),
    ("openai", "DALL_E_3", Kind.IMAGE),
    ("openai", "SORA2", Kind.VIDEO),
    ("openai", "GPT_4O", Kind.CHAT),
    ("openai", "dall-e-3", Kind.IMAGE),
    ("openai", "sora-2", Kind.VIDEO),
    *(("higgsfield", name, Kind.VIDEO) for name in HIGGSFIELD.split()),
    ("higgsfield", "nano-banana", Kind.IMAGE),
    ("higgsfield", "seedream4", Kind.IMAGE),
    ("runway", "gen3a", Kind.VIDEO),
    ("runway", "gen3a_turbo", Kind.VIDEO),
    ("replicate", "flux-1.1-pro", Kind.IMAGE),
    ("replicate", "flux-dev", Kind.IMAGE),
    ("replicate", "flux-schnell", Kind.IMAGE),
    ("bfl", "flux-dev", Kind.IMAGE),
    ("bfl", "flux-pro", Kind.IMAGE),
    ("stability", "sd3-large", Kind.IMAGE),
    ("stability", "sd3-medium", Kind.IMAGE),
    ("stability", "sdxl-1.0", Kind.IMAGE),
    ("stability", "core", Kind.IMAGE),
    ("xai", "aurora", Kind.IMAGE),
    ("xai", "grok-2-image", Kind.IMAGE),
    ("xai", "grok-2", Kind.RESEARCH),
    ("xai", "grok-3-fast", Kind.CHAT),
    ("perplexity", "sonar-reasoning", Kind.RESEARCH),
]


def resolved(
    name: str | None, kind: Kind, provider: str | None = None, mode: Mode | None = None
) -> list[Candidate] | str:
    """Return the offers of a name, or the successor of a model that is gone; fail where there is neither."""
    among = {provider: PROVIDERS[provider]} if provider else PROVIDERS
    for one in [mode] if mode else [one for one in Mode if one.kind is kind]:
        choice = Choice(kind=kind, mode=one, model=name, provider=provider, enabled=tuple(among))
        try:
            return list(route(among, choice, READY, DAY))
        except ModelRetired as exc:
            assert exc.successor, f"{name} has no successor"
            return exc.successor
        except Unsupported:
            continue
    pytest.fail(f"{name} leads to nothing")


def options(name: str) -> list[tuple[str, Offer, Option]]:
    """Return every form that offers give an option of that name."""
    return [(provider, offer, offer.options[name]) for provider, offer in OFFERS if name in offer.options]


LIVE_NAMES = {(offer.kind, normal(name)) for _, offer in LIVE for name in (offer.model, *offer.aliases)}


def is_live(name: str, kind: Kind) -> bool:
    return (kind, normal(name)) in LIVE_NAMES


# Models


@pytest.mark.parametrize(("name", "kind"), NAMES)
def test_a_known_name_leads_to_an_offer_or_to_its_successor(name: str, kind: Kind) -> None:
    found = resolved(name, kind)
    if isinstance(found, str):
        assert is_live(found, kind)
        assert not isinstance(resolved(found, kind), str)
    else:
        assert all(item.offer.kind is kind for item in found)


@pytest.mark.parametrize(("provider", "name", "kind"), PAIRS)
def test_a_known_name_leads_somewhere_at_its_service(provider: str, name: str, kind: Kind) -> None:
    found = resolved(name, kind, provider)
    if isinstance(found, str):
        assert is_live(found, kind)
    else:
        assert {item.provider.id for item in found} == {provider}


@pytest.mark.parametrize(
    ("name", "kind", "successor"),
    [
        ("dall-e-3", Kind.IMAGE, "gpt-image-2"),
        ("gpt-image-1", Kind.IMAGE, "gpt-image-2"),
        ("imagen-3", Kind.IMAGE, "nano-banana-2"),
        ("aurora", Kind.IMAGE, "grok-imagine-image-2.0"),
        ("gen3a", Kind.VIDEO, "gen4.5"),
        ("sd3-large", Kind.IMAGE, "sd3.5-large"),
        ("sonar-reasoning", Kind.RESEARCH, "sonar-reasoning-pro"),
        ("claude-sonnet-4-20250514", Kind.CHAT, "claude-sonnet-5-5"),
    ],
)
def test_a_model_that_is_gone_names_what_took_its_place(name: str, kind: Kind, successor: str) -> None:
    found = resolved(name, kind)
    assert isinstance(found, str)
    assert found.startswith(successor)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_name_of_a_live_offer_finds_it(provider: str) -> None:
    for offer in (offer for owner, offer in LIVE if owner == provider):
        for name in (offer.model, *offer.aliases):
            found = resolved(name, offer.kind, provider, offer.operations[0])
            assert not isinstance(found, str), f"{name} of {offer.model}"
            assert offer.model in {item.offer.model for item in found}, f"{name} of {offer.model}"


@pytest.mark.parametrize("kind", list(Kind))
def test_a_medium_has_offers_without_naming_any(kind: Kind) -> None:
    found = resolved(None, kind)
    assert not isinstance(found, str)
    assert all(not gone(item.offer, DAY) for item in found)


GOOGLE = {
    Kind.VIDEO: """
        veo veo3 veo3.1 VEO3 veo3_fast veo-3.1 veo-3.1-fast veo-3.1-lite veo-3.1-generate-preview
        veo-3.1-fast-generate-preview veo-3.1-generate-001 veo-3.0-generate-001 veo-3.0-fast-generate-001
        veo-2.0-generate-001 gemini gemini-omni gemini-omni-flash sora-2
    """,
    Kind.IMAGE: """
        nano-banana nano-banana-2 nano-banana-2.1 nano-banana-pro google/nano-banana gemini gemini-2.0-flash-exp
        GEMINI_2_0 gemini-2.5-flash-image gemini-2.5-flash-image-preview gemini-3-pro-image imagen imagen-3 imagen-4
        IMAGEN4 imagen4-fast google/imagen4-fast imagen-4.0-generate-001 imagen-4.0-ultra-generate-001
    """,
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in GOOGLE.items() for name in names.split()])
def test_with_a_key_of_google_alone_its_names_lead_to_what_the_key_can_use(kind: Kind, name: str) -> None:
    ready = {"google", "draft"}
    for mode in (Mode.TEXT_TO_VIDEO, Mode.IMAGE_TO_VIDEO) if kind is Kind.VIDEO else (Mode.TEXT_TO_IMAGE,):
        choice = Choice(kind=kind, mode=mode, model=name)
        try:
            found = route(PROVIDERS, choice, ready, DAY)
        except ModelRetired as exc:
            assert f"Use {exc.successor!r} instead." in exc.message
            found = route(PROVIDERS, replace(choice, model=exc.successor), ready, DAY)
        assert {item.provider.id for item in found} == {"google"}


# The lists as a whole


def test_two_live_offers_of_a_provider_share_no_name_for_the_same_operation() -> None:
    taken: dict[tuple[str, Mode, str], str] = {}
    for provider, offer in LIVE:
        for name in {normal(known) for known in (offer.model, *offer.aliases)}:
            for mode in offer.operations:
                other = taken.setdefault((provider, mode, name), offer.model)
                assert other == offer.model, f"{provider}: {name} is {other} and {offer.model}"


def test_every_successor_is_alive() -> None:
    named = [(provider, offer) for provider, offer in OFFERS if offer.successor]
    dead = [
        f"{provider}/{offer.model} -> {offer.successor}"
        for provider, offer in named
        if not is_live(offer.successor or "", offer.kind)
    ]
    assert len(named) > 50
    assert dead == []


def test_every_offer_that_is_gone_names_a_successor() -> None:
    left = [f"{provider}/{offer.model}" for provider, offer in OFFERS if gone(offer, DAY) and not offer.successor]
    assert left == []


def test_every_offer_that_ends_or_has_ended_says_when() -> None:
    leaving = [offer for _, offer in OFFERS if offer.status is not Status.LIVE]
    assert leaving
    assert [offer.model for offer in leaving if offer.shutdown is None] == []
    assert [offer.model for offer in leaving if offer.status is Status.ENDING and gone(offer, DAY)] == []
    assert [offer.model for _, offer in LIVE if offer.status is Status.LIVE and offer.shutdown] == []


def test_every_price_has_its_source_and_its_day() -> None:
    prices = [(provider, offer.model, item) for provider, offer in OFFERS for item in offer.prices]
    assert len(prices) > 300
    assert [(provider, model) for provider, model, item in prices if not item.source.strip()] == []
    assert [(provider, model) for provider, model, item in prices if item.as_of > DAY] == []


def test_every_offer_is_listed_by_its_medium_the_retired_ones_too() -> None:
    listed = sorted(item.name for kind in Kind for item in candidates(PROVIDERS, kind))
    assert listed == sorted(f"{provider}/{offer.model}" for provider, offer in OFFERS)
    assert len(listed) > len(LIVE)


def test_a_live_name_without_keys_asks_for_them() -> None:
    choice = Choice(kind=Kind.VIDEO, mode=Mode.TEXT_TO_VIDEO, model="veo-3.1-fast")
    with pytest.raises(NotConfigured):
        route(PROVIDERS, choice, (), DAY)


# Options


@pytest.mark.parametrize("name", OPTIONS.split())
def test_a_known_option_is_some_offers_or_gone_with_a_reason(name: str) -> None:
    found = options(name)
    assert found
    assert all(option.gone is None or len(option.gone) > 10 for _, _, option in found)


@pytest.mark.parametrize(
    ("provider", "model", "values", "good", "bad"),
    [
        ("kie", "midjourney", {}, {"variety": 100}, {"variety": 101}),
        ("kie", "midjourney", {}, {"variety": 5}, {"variety": 7}),
        ("kie", "midjourney", {}, {"stylization": 1000}, {"stylization": 1050}),
        ("kie", "midjourney", {}, {"stylization": 50}, {"stylization": 75}),
        ("kie", "midjourney", {}, {"weirdness": 3000}, {"weirdness": 3100}),
        ("kie", "midjourney", {}, {"weirdness": 0}, {"weirdness": 150}),
        ("kie", "midjourney", {"task_type": "mj_omni_reference"}, {"ow": 1000}, {"ow": 0}),
        ("kie", "midjourney", {}, {"task_type": "mj_txt2img"}, {"ow": 500}),
        ("kie", "midjourney", {}, {"speed": "relaxed"}, {"speed": "slow"}),
        ("kie", "midjourney", {}, {"version": "niji6"}, {"version": "8"}),
        ("kie", "midjourney", {}, {"enable_translation": True}, {"enable_translation": "yes"}),
        ("kie", "midjourney", {}, {"watermark": "me"}, {"watermark": True}),
        ("kie", "midjourney-video", {}, {"motion": "high"}, {"motion": "medium"}),
        ("kie", "midjourney-video", {}, {"video_batch_size": 4}, {"video_batch_size": 3}),
        ("kie", "midjourney-video", {}, {"task_type": "mj_video_hd"}, {"task_type": "mj_txt2img"}),
        ("kie", "veo-3.1-fast", {}, {"generation_type": "REFERENCE_2_VIDEO"}, {"generation_type": "TEXT"}),
        ("vertex", "veo-3.1-fast", {}, {"person_generation": "dont_allow"}, {"person_generation": "maybe"}),
        ("vertex", "veo-3.1-fast", {}, {"enhance_prompt": False}, {"enhance_prompt": 1}),
        ("vertex", "veo-3.1-fast", {}, {"fps": 24}, {"fps": 0}),
        ("bfl", "flux-dev", {}, {"guidance": 1.5}, {"guidance": 1.4}),
        ("bfl", "flux-dev", {}, {"steps": 50}, {"steps": 51}),
        ("bfl", "flux-dev", {}, {"prompt_upsampling": True}, {"prompt_upsampling": "true"}),
        ("stability", "sd3.5-large", {}, {"style_preset": "anime"}, {"style_preset": "manga"}),
        ("stability", "sd3.5-large", {}, {"cfg_scale": 7.5}, {"cfg_scale": "high"}),
        ("openai", "gpt-image-2.5-flare", {}, {"background": "opaque"}, {"background": "blue"}),
        ("openai", "gpt-image-2.5-flare", {}, {"moderation": "low"}, {"moderation": "off"}),
        ("openai", "gpt-image-2.5-flare", {}, {"output_format": "webp"}, {"output_format": "bmp"}),
        (
            "openai",
            "gpt-image-2.5-flare",
            {"output_format": "webp"},
            {"output_compression": 100},
            {"output_compression": 101},
        ),
        ("openai", "tts-1-hd", {}, {"voice": "alloy"}, {"voice": "rachel"}),
        ("openai", "tts-1-hd", {}, {"speed": 4}, {"speed": 4.1}),
    ],
)
def test_an_option_takes_what_it_may_hold_and_nothing_else(
    provider: str, model: str, values: dict[str, Any], good: dict[str, Any], bad: dict[str, Any]
) -> None:
    offer = PROVIDERS[provider].offer(model)
    assert offer is not None
    assert good.items() <= check_options(values | good, offer).items()
    with pytest.raises(InvalidRequest):
        check_options(values | bad, offer)


@pytest.mark.parametrize(
    ("provider", "model", "name", "value"),
    [
        ("kie", "veo-3.1-fast", "seeds", 12345),
        ("kie", "imagen-4-fast", "num_images", "4"),
        ("kie", "sora-2", "n_frames", "10"),
        ("kie", "sora-2", "remove_watermark", True),
        ("higgsfield", "kling-2.5-turbo-pro", "camera_control", "zoom_in"),
        ("google", "gemini-omni-1.2-flash", "enhance_prompt", True),
        ("google", "gemini-omni-1.2-flash", "person_generation", "allow_adult"),
        ("stability", "stable-image-core", "cfg_scale", 7),
        ("stability", "sd3.5-large", "mode", "text-to-image"),
        ("xai", "grok-imagine-image-2.0", "background", "opaque"),
        ("xai", "grok-imagine-image-2.0", "moderation", True),
        ("xai", "grok-imagine-image-2.0", "output_format", "png"),
        ("xai", "grok-imagine-image-2.0", "output_compression", 80),
        ("xai", "grok-imagine-image-2.0", "style", "vivid"),
        ("bfl", "flux-1.1-pro", "guidance", 3.5),
        ("bfl", "flux-1.1-pro", "steps", 28),
        ("presenton", "presenton", "ai_model", "gpt-4o"),
        ("beautiful_ai", "beautiful-ai", "template", "pitch_deck"),
    ],
)
def test_an_option_that_is_gone_is_refused_with_the_reason(provider: str, model: str, name: str, value: Any) -> None:
    offer = PROVIDERS[provider].offer(model)
    assert offer is not None
    with pytest.raises(DarkroomError, match="is gone: "):
        check_options({name: value}, offer)


@pytest.mark.parametrize("role", [Role.MASK, Role.LAST_FRAME, Role.REFERENCE, Role.FIRST_FRAME, Role.SOURCE])
def test_what_pictures_are_for_is_an_input_and_no_option(role: Role) -> None:
    assert any(role in offer.inputs for _, offer in LIVE)
    assert options(role) == []


@pytest.mark.parametrize("name", ["seed", "negative_prompt"])
def test_arguments_of_every_call_are_no_options(name: str) -> None:
    assert any(getattr(offer, name) for _, offer in LIVE)
    assert options(name) == []


def test_every_option_with_a_default_accepts_it() -> None:
    for _, offer in LIVE:
        defaults = {name: item.default for name, item in offer.options.items() if item.default is not None}
        assert check_options(defaults, offer) == defaults
