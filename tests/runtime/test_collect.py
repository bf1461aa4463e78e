"""How results come home from web addresses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from helpers_runtime import ACME, KEY, LIMIT_S, Fetches, Rig, Scripted, again, failing, png, until

from darkroom.adapters.base import Failed, Follow, Made, Pending, Succeeded
from darkroom.domain.job import Job, LedgerKind, State
from darkroom.domain.money import FREE, MicroUsd
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.errors import (
    AuthFailed,
    ContentBlocked,
    DarkroomError,
    NotConfigured,
    Overloaded,
    ProviderFailed,
    ResultExpired,
    StorageFull,
    StorageUnwritable,
    UnexpectedAnswer,
)
from darkroom.events import Progress
from darkroom.runtime import collect, schedule
from darkroom.runtime.held import Held
from factories import make_effective, make_request

pytestmark = pytest.mark.anyio
FULL = StorageFull("The disk is full.")
EXPIRED = ResultExpired("The link has expired.")
PAGE = UnexpectedAnswer("The host of the result sent a page, and no picture.")


def at(name: str, expires_at: int | None = None) -> RemoteOutput:
    """Return a result behind an address."""
    return RemoteOutput(url=f"https://files.acme.test/{name}.png", expires_at=expires_at)


def lies(rig: Rig, name: str, found: Any = None) -> None:
    """Say what lies behind an address: a picture unless told otherwise."""
    rig.fetcher.files[f"https://files.acme.test/{name}.png"] = png() if found is None else found


def fetched(rig: Rig) -> list[str]:
    """Return the names of what was asked for, in order."""
    return [url.rpartition("/")[2].removesuffix(".png") for url in rig.fetcher.asked]


async def ready(rig: Rig, *results: RemoteOutput, **more: Any) -> Held | None:
    """Return what is left of a submission whose provider is done, after its first download."""
    rig.adapter.polls = [Succeeded(results, **more)]
    return await again(rig, await rig.begun())


async def only(rig: Rig) -> Job:
    """Return the one job there is."""
    [job] = await rig.store.find(limit=2)
    return job


async def tried(rig: Rig, held: Held | None) -> int:
    """Advance until nothing is left to do, and return how often that was."""
    times = 0
    while held is not None:
        assert times < 100
        times += 1
        held = await again(rig, held)
    return times


# Fetching


@dataclass
class Signing(Scripted):
    """One whose provider wants its key with downloads."""

    async def download_headers(self, call: Follow) -> Mapping[str, str]:
        return {"authorization": f"Key {call.credentials[KEY]}"}


@pytest.mark.parametrize(
    ("adapter", "wanted", "sent"),
    [
        (Signing, True, {"authorization": "Key secret"}),
        (Signing, False, {}),
        (Scripted, True, {}),
    ],
)
async def test_a_key_goes_with_downloads_where_the_manifest_says_so(
    rig: Rig, adapter: type[Scripted], wanted: bool, sent: dict[str, str]
) -> None:
    lies(rig, "fox")
    rig.adapter = adapter()
    rig.providers["acme"] = ACME.model_copy(update={"auth_for_downloads": wanted})
    await ready(rig, at("fox"))
    assert rig.fetcher.headers == sent


@pytest.mark.parametrize("error", [NotConfigured("No key."), AuthFailed("Refused."), Overloaded("No token now.")])
async def test_a_download_whose_key_cannot_be_had_waits_for_it(rig: Rig, error: DarkroomError) -> None:
    class Keyless(Signing):
        faults = 3

        async def download_headers(self, call: Follow) -> Mapping[str, str]:
            self.faults -= 1
            if self.faults >= 0:
                raise error
            return await super().download_headers(call)

    lies(rig, "fox")
    rig.adapter = Keyless()
    rig.providers["acme"] = ACME.model_copy(update={"auth_for_downloads": True})
    held = await ready(rig, at("fox"))
    assert (held is not None, fetched(rig)) == (True, []), "nothing is asked for without it"
    assert await tried(rig, held) == 3
    assert (await only(rig)).state is State.SUCCEEDED
    assert rig.fetcher.headers == {"authorization": "Key secret"}


async def test_a_result_comes_from_its_address_into_the_working_folder_and_is_kept(rig: Rig) -> None:
    lies(rig, "fox")
    assert await ready(rig, at("fox"), cost=MicroUsd(35_000)) is None
    job = await only(rig)
    assert (job.state, len(job.outputs), job.submissions[0].failed_outputs) == (State.SUCCEEDED, 1, ())
    assert await anyio.Path(job.outputs[0].path).read_bytes() == png()
    assert (await rig.money(job))[1:] == [(LedgerKind.SETTLED, 35_000, True)]
    assert not (rig.folder / "home" / "scratch" / job.id).exists()


async def test_only_hosts_of_the_provider_and_the_users_own_base_url_may_have_a_credential(rig: Rig) -> None:
    rig.providers["acme"] = ACME.model_copy(update={"hosts": ("api.acme.test",), "download_hosts": ("*.cdn.test",)})
    rig.environment["DARKROOM_ACME_BASE_URL"] = "http://127.0.0.1:9"
    lies(rig, "fox")
    assert await ready(rig, at("fox")) is None
    assert rig.fetcher.terms == [(("api.acme.test",), "http://127.0.0.1:9")]
    assert rig.fetcher.headers == {}


async def test_what_expires_first_is_fetched_first_and_outputs_keep_their_numbers(rig: Rig) -> None:
    for name in ("late", "soon", "never"):
        lies(rig, name)
    now = rig.clock.now()
    assert await ready(rig, at("never"), at("late", now + 900_000), at("soon", now + 60_000)) is None
    assert fetched(rig) == ["soon", "late", "never"]
    assert [item.index for item in (await only(rig)).outputs] == [1, 2, 3]


async def test_among_many_downloads_the_one_that_expires_first_has_its_turn_first(rig: Rig) -> None:
    expiries = {"c": 300_000, "a": 30_000, "b": 90_000}
    rig.adapter.polls = [Succeeded((at(name, rig.clock.now() + ms),)) for name, ms in expiries.items()]
    for name in expiries:
        lies(rig, name)
    rig.kit.downloads = schedule.Gate(1)
    held = [await rig.begun() for _ in expiries]
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks, rig.kit.downloads.turn(0):
            for item in held:
                tasks.start_soon(rig.stepper.advance, item)

            async def waiting() -> bool:
                return rig.kit.downloads.waiting == 3

            await until(waiting)
            assert fetched(rig) == []
    assert fetched(rig) == ["a", "b", "c"]


async def test_a_restart_does_not_fetch_again_what_is_there(rig: Rig) -> None:
    lies(rig, "one")
    lies(rig, "two", [Overloaded("no room"), png()])
    held = await ready(rig, at("one"), at("two"))
    assert held is not None
    await rig.store.reap([rig.kit.owner], rig.clock.now())
    assert await rig.stepper_of("w_next").advance(await rig.claim("w_next")) is None
    assert fetched(rig) == ["one", "two", "two"]
    assert len((await only(rig)).outputs) == 2


async def test_results_whose_provider_left_the_manifests_wait_for_its_return(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    lies(rig, "fox", [Overloaded("no room"), png()])
    held = await ready(rig, at("fox"))
    acme = rig.providers.pop("acme")
    held = await again(rig, held)
    assert held is not None
    assert held.due == rig.clock.boot() + schedule.PARKED_S
    assert "waits for its provider: acme is no longer in the manifests" in caplog.text
    rig.providers["acme"] = acme
    assert await again(rig, held) is None
    assert (await only(rig)).state is State.SUCCEEDED


async def test_results_that_are_here_need_no_provider(rig: Rig) -> None:
    keep, rig.artifacts.keep = rig.artifacts.keep, failing(1, FULL, rig.artifacts.keep)
    held = await ready(rig, rig.file())
    rig.artifacts.keep = keep
    del rig.providers["acme"]
    assert await again(rig, held) is None
    assert (await only(rig)).state is State.SUCCEEDED


# Trouble on the way


@pytest.mark.parametrize("error", [Overloaded("no room"), ProviderFailed("cut again"), FULL])
async def test_what_may_come_later_is_tried_again_and_told(rig: Rig, error: Exception) -> None:
    lies(rig, "fox", [error, error, png()])
    held = await ready(rig, at("fox"))
    assert held is not None
    assert (held.failures, round(held.due - rig.clock.boot(), 3)) == (1, 2)
    assert rig.bus.progress_of(held.job_id) == Progress(None, f"finished, but not saved yet: {error}")
    assert await tried(rig, held) == 2
    assert (await only(rig)).state is State.SUCCEEDED
    assert len(rig.adapter.asked) == 1, "the provider is not asked again"


async def test_trouble_is_borne_as_long_as_the_provider_keeps_results(rig: Rig) -> None:
    rig.providers["acme"] = ACME.model_copy(update={"retention_s": 600.0})
    lies(rig, "fox", Overloaded("no room"))
    held = await ready(rig, at("fox"))
    begun = rig.clock.boot()
    assert await tried(rig, held) > 10
    assert rig.clock.boot() - begun > 540
    part = (await only(rig)).submissions[0]
    assert part.error is not None
    assert (part.state, part.error["code"]) == (State.FAILED, "provider_failed")
    assert (await rig.money(await only(rig)))[1:] == [(LedgerKind.SETTLED, 40_000, False)]


async def test_a_week_is_taken_for_how_long_results_are_kept_where_nobody_says_it(rig: Rig) -> None:
    lies(rig, "fox", [Overloaded("no room"), Overloaded("no room"), Overloaded("no room"), png()])
    held = await ready(rig, at("fox"))
    assert held is not None
    rig.clock.advance(6 * 86_400)
    held = await rig.stepper.advance(held)
    assert held is not None
    rig.clock.advance(86_400)
    assert await rig.stepper.advance(held) is None
    assert (await only(rig)).state is State.FAILED


async def test_a_disk_that_is_full_for_weeks_is_waited_for(rig: Rig) -> None:
    lies(rig, "fox")
    keep, rig.artifacts.keep = rig.artifacts.keep, failing(2, FULL, rig.artifacts.keep)
    held = await ready(rig, at("fox"))
    rig.clock.advance(30 * 86_400)
    held = await again(rig, held)
    rig.artifacts.keep = keep
    assert await again(rig, held) is None
    assert (await only(rig)).state is State.SUCCEEDED


async def test_a_page_instead_of_a_picture_is_borne_three_times(rig: Rig) -> None:
    lies(rig, "fox", PAGE)
    assert await tried(rig, await ready(rig, at("fox"))) == collect.ODD
    assert fetched(rig) == ["fox"] * (collect.ODD + 1)
    part = (await only(rig)).submissions[0]
    assert part.error is not None
    assert (part.state, part.error["code"]) == (State.FAILED, "provider_failed")
    assert part.error["message"] == PAGE.message


async def test_a_page_that_gives_way_to_the_picture_harms_nothing(rig: Rig) -> None:
    lies(rig, "fox", [PAGE, PAGE, png()])
    await tried(rig, await ready(rig, at("fox")))
    assert (await only(rig)).state is State.SUCCEEDED


async def test_a_file_that_turns_out_to_be_no_picture_is_fetched_anew(rig: Rig) -> None:
    lies(rig, "fox", [b"<html>please wait</html>", png()])
    held = await ready(rig, at("fox"))
    assert await again(rig, held) is None
    assert (await only(rig)).state is State.SUCCEEDED
    assert fetched(rig) == ["fox", "fox"]


async def test_a_page_among_several_results_is_a_failed_output(rig: Rig) -> None:
    lies(rig, "one")
    lies(rig, "two", PAGE)
    said = FailedOutput(index=3, code="content_blocked", message="blocked")
    await tried(rig, await ready(rig, at("one"), at("two"), failed=(said,)))
    job = await only(rig)
    assert (job.state, [item.index for item in job.outputs]) == (State.SUCCEEDED, [1])
    failed = job.submissions[0].failed_outputs
    assert [(item.index, item.code) for item in failed] == [(3, "content_blocked"), (2, "unexpected_answer")]


async def test_what_no_repetition_would_change_is_a_failed_output_at_once(rig: Rig) -> None:
    lies(rig, "fox", ContentBlocked("withdrawn"))
    assert await ready(rig, at("fox")) is None
    assert (await only(rig)).state is State.FAILED


async def test_results_of_later_submissions_are_numbered_after_those_of_the_earlier(rig: Rig) -> None:
    for name in ("a", "b", "c"):
        lies(rig, name)
    effective = [make_effective(n=2), make_effective(start=2)]
    job = await rig.add(parts=[{"effective": item} for item in effective], request=make_request(n=3))
    await rig.store.claim(rig.kit.owner, accounts=rig.kit.accounts.all(), now=0, limit=9)
    rig.adapter.submits = [Succeeded((at("c"),)), Succeeded((at("a"), at("b")))]
    for idx in (1, 0):
        assert await rig.stepper.advance(await rig.held(job, idx)) is None
    assert [(item.index, item.submission) for item in (await rig.job(job)).outputs] == [(1, 0), (2, 0), (3, 1)]


async def test_more_results_than_asked_for_take_no_number_of_another_submission(rig: Rig) -> None:
    for name in ("a", "b", "c"):
        lies(rig, name)
    effective = [make_effective(), make_effective(start=1)]
    job = await rig.add(parts=[{"effective": item} for item in effective], request=make_request(n=2))
    await rig.store.claim(rig.kit.owner, accounts=rig.kit.accounts.all(), now=0, limit=9)
    rig.adapter.submits = [Succeeded((at("a"), at("b"))), Succeeded((at("c"),))]
    for idx in (0, 1):
        assert await rig.stepper.advance(await rig.held(job, idx)) is None
    assert [(item.index, item.submission) for item in (await rig.job(job)).outputs] == [(1, 0), (2, 1), (100, 0)]


# Links that expired


async def test_links_that_expired_are_asked_for_anew(rig: Rig) -> None:
    lies(rig, "old", EXPIRED)
    lies(rig, "fresh")
    rig.adapter.polls = [Succeeded((at("old"),)), Succeeded((at("fresh"),))]
    held = await again(rig, await rig.begun())
    assert held is not None
    assert held.due == rig.clock.boot(), "fresh links are used at once"
    assert (await rig.part(held)).results == (at("fresh"),)
    assert await again(rig, held) is None
    assert (await only(rig)).state is State.SUCCEEDED
    assert await rig.moves(await only(rig)) == ["queued", "submitting", "running", "downloading", "succeeded"]


async def test_links_are_asked_for_anew_three_times_without_a_result_in_between(rig: Rig) -> None:
    lies(rig, "fox", EXPIRED)
    await tried(rig, await ready(rig, at("fox")))
    assert len(rig.adapter.asked) == 1 + collect.RENEWALS
    part = (await only(rig)).submissions[0]
    assert part.error is not None
    assert (part.state, part.error["code"]) == (State.FAILED, "result_expired")
    assert (await rig.money(await only(rig)))[1:] == [(LedgerKind.SETTLED, 40_000, False)]


async def test_a_provider_that_now_says_failed_has_no_fresh_links(rig: Rig) -> None:
    lies(rig, "one")
    lies(rig, "two", EXPIRED)
    rig.adapter.polls = [Succeeded((at("one"), at("two"))), Failed(ProviderFailed("gone"))]
    await tried(rig, await again(rig, await rig.begun()))
    job = await only(rig)
    assert (job.state, [item.code for item in job.submissions[0].failed_outputs]) == (
        State.SUCCEEDED,
        ["result_expired"],
    )
    assert len(rig.adapter.asked) == 2


@pytest.mark.parametrize("answer", [Pending(), Succeeded(()), ConnectionResetError()], ids=["pending", "empty", "no"])
async def test_a_provider_without_fresh_links_now_is_asked_later(rig: Rig, answer: Any) -> None:
    lies(rig, "old", EXPIRED)
    lies(rig, "fresh")
    rig.adapter.polls = [Succeeded((at("old"),)), answer, Succeeded((at("fresh"),))]
    held = await again(rig, await rig.begun())
    assert held is not None
    assert round(held.due - rig.clock.boot(), 3) == 2
    assert await tried(rig, held) == 2
    assert (await only(rig)).state is State.SUCCEEDED


async def test_a_provider_that_is_away_for_an_hour_just_when_links_expired_loses_nothing(rig: Rig) -> None:
    lies(rig, "old", EXPIRED)
    lies(rig, "fresh")
    away = [ConnectionResetError()] * 65
    rig.adapter.polls = [Succeeded((at("old"),)), *away, Succeeded((at("fresh"),))]
    held = await again(rig, await rig.begun())
    begun = rig.clock.boot()
    await tried(rig, held)
    assert rig.clock.boot() - begun > 3600
    assert (await only(rig)).state is State.SUCCEEDED


async def test_fresh_links_are_not_asked_for_once_the_provider_has_surely_dropped_the_results(rig: Rig) -> None:
    lies(rig, "old", EXPIRED)
    rig.adapter.polls = [Succeeded((at("old"),)), Pending()]
    held = await again(rig, await rig.begun())
    rig.clock.advance(collect.RETENTION_S)
    assert await again(rig, held) is None
    part = (await only(rig)).submissions[0]
    assert part.error is not None
    assert part.error["code"] == "result_expired"
    assert len(rig.adapter.asked) == 2


async def test_a_full_disk_while_links_are_asked_for_is_left_to_the_caller(rig: Rig) -> None:
    lies(rig, "old", EXPIRED)
    rig.adapter.polls = [Succeeded((at("old"),)), StorageUnwritable("read-only")]
    held = await rig.begun()
    with pytest.raises(StorageUnwritable):
        await again(rig, held)
    assert (await rig.part(held)).state is State.DOWNLOADING


async def test_fresh_links_of_work_that_somebody_else_has_by_now_are_dropped(rig: Rig) -> None:
    lies(rig, "old", EXPIRED)

    async def taken(_: object) -> Succeeded:
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        return Succeeded((at("fresh"),))

    rig.adapter.polls = [Succeeded((at("old"),)), taken]
    assert await again(rig, await rig.begun()) is None
    part = (await only(rig)).submissions[0]
    assert (part.state, part.owner, part.results) == (State.DOWNLOADING, None, (at("old"),))


async def test_results_of_a_call_that_cannot_be_asked_about_have_no_fresh_links(rig: Rig) -> None:
    lies(rig, "fox", EXPIRED)
    rig.adapter.submits = [Succeeded((at("fox"),), cost=FREE)]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert part.error is not None
    assert (part.error["code"], rig.adapter.asked) == ("result_expired", [])
    assert (await rig.money(job))[1:] == [(LedgerKind.RELEASED, 40_000, True)]


async def test_an_answer_that_holds_what_it_linked_to_before_is_taken_as_no_answer(rig: Rig) -> None:
    lies(rig, "old", EXPIRED)
    lies(rig, "fresh")
    rig.adapter.polls = [Succeeded((at("old"),)), Succeeded((Made(png()),)), Succeeded((at("fresh"),))]
    await tried(rig, await again(rig, await rig.begun()))
    assert (await only(rig)).state is State.SUCCEEDED


async def test_what_the_provider_left_out_keeps_its_number(rig: Rig) -> None:
    lies(rig, "one")
    lies(rig, "three")
    left_out = FailedOutput(index=2, code="provider_failed", message="not delivered")
    rig.adapter.polls = [Succeeded((at("one"), at("three")), failed=(left_out,))]
    job = await rig.add(effective=make_effective(n=3))
    held = await again(rig, await rig.stepper.advance(await rig.claim()))
    assert held is None
    done = await rig.job(job)
    assert [output.index for output in done.outputs] == [1, 3]
    assert [item.index for item in done.submissions[0].failed_outputs] == [2]


async def test_every_process_fetches_into_a_file_of_its_own(rig: Rig) -> None:
    lies(rig, "fox", [Overloaded("no room"), png()])
    held = await ready(rig, at("fox"))
    assert held is not None
    scratch = rig.folder / "home" / "scratch" / held.job_id / "0"
    (scratch / "result-1-1.w_other.part").write_bytes(b"of another process")
    (scratch / "result-1-1.w_other.json").write_text("{}", encoding="utf-8")
    assert isinstance(rig.fetcher, Fetches)
    rig.fetcher.left.clear()
    assert await again(rig, held) is None
    assert [path.name for path in rig.fetcher.left] == ["result-1-1.w_other"]
