"""Which addresses are this machine's alone, and which hosts are accepted."""

import pytest

from darkroom.server import http
from darkroom.settings import Settings


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.7", False),
        ("media.example.com", False),
        ("", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert http.is_loopback(host) is loopback


def test_an_address_of_version_6_is_a_host_in_brackets() -> None:
    hosts = http.allowed_hosts(Settings.load(), "fd00::7")
    assert {"[fd00::7]", "[fd00::7]:*", "[::1]:*", "localhost"} <= set(hosts)
    assert "[fd00::7]:*" in http.allowed_hosts(Settings.load(allowed_hosts=("[fd00::7]",)), "::")
    assert "[fd00::7]:9:*" not in http.allowed_hosts(Settings.load(allowed_hosts=("[fd00::7]:9",)), "::")
