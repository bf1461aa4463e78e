"""What the recordings of the Stability AI adapter cannot show: kept answers, and work known by its id alone."""

from pathlib import Path

from darkroom.adapters.base import Accepted, Made, Succeeded
from darkroom.adapters.stability import create
from darkroom.catalog.providers import Providers
from darkroom.clock import SystemClock
from darkroom.net.answer import Answer
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from helpers_contract import call_of

STABILITY = Providers()["stability"]
ADAPTER = create(ProviderHttp(ShardedClient(SystemClock()), STABILITY))


def test_a_picture_that_was_kept_can_be_read_again(tmp_path: Path) -> None:
    headers = {"content-type": "application/json; type=image/webp"}
    answer = Answer(200, headers, b'{"image": "cGljdHVyZQ==", "finish_reason": "SUCCESS", "seed": 5}')
    assert ADAPTER.read(answer, call_of(STABILITY, {}, tmp_path)) == Succeeded(
        (Made(b"picture", "image/webp"),), notes={"seed": 5}
    )


def test_work_can_be_followed_by_its_id_alone(tmp_path: Path) -> None:
    call = call_of(STABILITY, {}, tmp_path)
    accepted = ADAPTER.read(Answer(200, body=b'{"id": "a1"}'), call)
    assert accepted == Accepted(ADAPTER.operation_of("a1", call), "a1")
