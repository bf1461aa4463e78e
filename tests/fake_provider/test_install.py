import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from darkroom import adapters
from darkroom.adapters.registry import Registry, adapter_names
from darkroom.catalog.providers import ManifestError, Provider, Providers, check_own, read_manifest
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from factories import FakeClock
from fake_provider.install import environment, install, manifest, uninstall, write_manifest
from fake_provider.server import FakeProvider

BASE = "http://127.0.0.1:8123"


@pytest.fixture
def installed() -> Generator[None]:
    install()
    yield
    uninstall()
    sys.modules.pop("darkroom.adapters.fake", None)


def doctor(env: dict[str, str]) -> list[str]:
    """Return what `darkroom doctor` says about providers."""
    command = [sys.executable, "-m", "darkroom", "doctor", "--json"]
    found = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    rows: list[dict[str, str]] = json.loads(found.stdout)
    assert [row for row in rows if row["level"] == "wrong"] == []
    assert found.returncode == 0
    return [row["says"] for row in rows if row["what"] == "provider"]


@pytest.mark.usefixtures("installed")
def test_the_adapter_is_known_while_it_is_installed() -> None:
    assert "fake" in adapter_names()
    install()
    uninstall()
    assert "fake" not in adapter_names()
    uninstall()
    assert not any("fake_provider" in folder for folder in adapters.__path__)


@pytest.mark.usefixtures("installed")
def test_the_registry_makes_it() -> None:
    providers = {"fake": Provider.model_validate(manifest(BASE))}
    client = ShardedClient(FakeClock())
    registry = Registry(providers, lambda provider: ProviderHttp(client, provider))
    assert type(registry.adapter("fake")).__name__ == "FakeAdapter"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("provider_id", "more"),
    [
        ("fake", {}),
        ("other", {"title": "Öther \"one\"", "idempotency": "key", "lookup": "list"}),
        ("third", {"safe_statuses": [503, 529], "retention_s": 3600.5, "auth_for_downloads": True}),
        ("fourth", {"limits": {"submits": 1, "polls": 1}, "download_hosts": ["*.files.test"]}),
    ],
)  # fmt: skip
def test_a_written_manifest_is_one_that_a_user_may_have(tmp_path: Path, provider_id: str, more: dict[str, Any]) -> None:
    write_manifest(tmp_path / "own", BASE, provider_id, **more)
    provider = read_manifest(tmp_path / "own" / f"{provider_id}.toml")
    assert provider == Provider.model_validate(manifest(BASE, provider_id, **more))
    check_own(provider, Providers(), adapter_names())
    assert provider.credentials == ((f"DARKROOM_{provider_id.upper()}_KEY",),)
    assert [offer.synchronous for offer in provider.offers] == [False, True]
    assert all(offer.prices for offer in provider.offers)


def test_its_manifest_is_refused_where_the_adapter_is_not_installed(tmp_path: Path) -> None:
    write_manifest(tmp_path, BASE)
    with pytest.raises(ManifestError, match="no adapter 'fake'"):
        check_own(read_manifest(tmp_path / "fake.toml"), Providers(), adapter_names())


def test_another_process_is_ready_for_it(provider: FakeProvider, tmp_path: Path) -> None:
    folder = tmp_path / "providers"
    write_manifest(folder, provider.base_url)
    write_manifest(folder, provider.base_url, "other", adapter="fake")
    env = environment(folder)
    said = doctor(env)
    assert "fake: ready, 2 live offers of 2" in said
    assert "other: ready, 2 live offers of 2" in said
    del env["DARKROOM_OTHER_KEY"]
    assert "other: needs DARKROOM_OTHER_KEY, 2 live offers of 2" in doctor(env)
    assert provider.connections == 0
