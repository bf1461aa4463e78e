"""Moments, days and months as people say them."""

from datetime import datetime

import pytest

from darkroom.errors import InvalidRequest
from darkroom.services.usage import day_of, month_of, parse_since

HOUR = 3_600_000
DAY = 24 * HOUR
FRIDAY = "2026-11-20T13:14:15.678+00:00"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


NOW = at(FRIDAY)


# Moments in words


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("today", "2026-11-20T00:00+00:00"),
        ("day", "2026-11-20T00:00+00:00"),
        ("  Today ", "2026-11-20T00:00+00:00"),
        ("yesterday", "2026-11-19T00:00+00:00"),
        ("week", "2026-11-16T00:00+00:00"),
        ("this week", "2026-11-16T00:00+00:00"),
        ("month", "2026-11-01T00:00+00:00"),
        ("This Month", "2026-11-01T00:00+00:00"),
        ("7d", "2026-11-13T13:14:15.678+00:00"),
        ("24h", "2026-11-19T13:14:15.678+00:00"),
        ("1 hour", "2026-11-20T12:14:15.678+00:00"),
        ("36 hours", "2026-11-19T01:14:15.678+00:00"),
        ("1 day", "2026-11-19T13:14:15.678+00:00"),
        ("last 30 days", "2026-10-21T13:14:15.678+00:00"),
        ("2w", "2026-11-06T13:14:15.678+00:00"),
        ("2 weeks", "2026-11-06T13:14:15.678+00:00"),
        ("0d", FRIDAY),
        ("0001-01-01", "0001-01-01T00:00+00:00"),
        ("2026-11", "2026-11-01T00:00+00:00"),
        ("2025-02", "2025-02-01T00:00+00:00"),
        ("2026-11-20", "2026-11-20T00:00+00:00"),
        ("2026-02-28", "2026-02-28T00:00+00:00"),
        ("2026-11-20T10:30", "2026-11-20T10:30+00:00"),
        ("2026-11-20 10:30:05", "2026-11-20T10:30:05+00:00"),
        ("2026-11-20T10:30:00Z", "2026-11-20T10:30+00:00"),
        ("2026-11-20t10:30:00z", "2026-11-20T10:30+00:00"),
        ("2026-11-20T10:30:00+09:00", "2026-11-20T01:30+00:00"),
        ("2026-11-20T18:00:00+05:30", "2026-11-20T12:30+00:00"),
        (FRIDAY, FRIDAY),
    ],
)
def test_a_moment_may_be_said_in_many_ways(text: str, moment: str) -> None:
    assert parse_since(text, NOW, "UTC") == at(moment)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("today", "2026-11-21T00:00+09:00"),
        ("yesterday", "2026-11-20T00:00+09:00"),
        ("week", "2026-11-16T00:00+09:00"),
        ("month", "2026-11-01T00:00+09:00"),
        ("2026-11", "2026-11-01T00:00+09:00"),
        ("2026-11-21", "2026-11-21T00:00+09:00"),
        ("2026-11-21T00:30", "2026-11-21T00:30+09:00"),
        ("2026-11-20T10:30:00+00:00", "2026-11-20T10:30+00:00"),
        ("3h", "2026-11-20T13:00+00:00"),
    ],
)
def test_a_moment_is_one_of_the_users_time_zone_unless_it_names_its_own(text: str, moment: str) -> None:
    assert parse_since(text, at("2026-11-20T16:00+00:00"), "Asia/Tokyo") == at(moment)


@pytest.mark.parametrize(
    ("day", "begin"), [("16", "16"), ("17", "16"), ("18", "16"), ("20", "16"), ("21", "16"), ("22", "16"), ("23", "23")]
)
def test_a_week_begins_on_monday(day: str, begin: str) -> None:
    now = at(f"2026-11-{day}T09:00+00:00")
    assert parse_since("week", now, "UTC") == at(f"2026-11-{begin}T00:00+00:00")


@pytest.mark.parametrize(
    ("zone", "now", "text", "moment"),
    [
        # Clocks go forward on 29 March 2026 and back on 25 October 2026, both Sundays.
        ("Europe/Berlin", "2026-03-30T10:00+02:00", "yesterday", "2026-03-29T00:00+01:00"),
        ("Europe/Berlin", "2026-03-29T10:00+02:00", "week", "2026-03-23T00:00+01:00"),
        ("Europe/Berlin", "2026-10-25T10:00+01:00", "today", "2026-10-25T00:00+02:00"),
        ("Europe/Berlin", "2026-10-25T10:00+01:00", "week", "2026-10-19T00:00+02:00"),
        ("Europe/Berlin", "2026-10-26T10:00+01:00", "yesterday", "2026-10-25T00:00+02:00"),
        ("Europe/Berlin", "2026-10-26T10:00+01:00", "month", "2026-10-01T00:00+02:00"),
        ("Europe/Berlin", "2026-10-25T12:00+01:00", "24h", "2026-10-24T13:00+02:00"),
        # Here 9 March 2025, a Sunday, begins at one, and midnight comes twice on 2 November 2025, a Sunday too.
        ("America/Havana", "2025-03-09T20:00-04:00", "today", "2025-03-09T01:00-04:00"),
        ("America/Havana", "2025-03-09T20:00-04:00", "yesterday", "2025-03-08T00:00-05:00"),
        ("America/Havana", "2025-03-09T20:00-04:00", "week", "2025-03-03T00:00-05:00"),
        ("America/Havana", "2025-03-10T20:00-04:00", "yesterday", "2025-03-09T01:00-04:00"),
        ("America/Havana", "2025-11-02T00:30-05:00", "today", "2025-11-02T00:00-04:00"),
        ("America/Havana", "2025-11-03T20:00-05:00", "yesterday", "2025-11-02T00:00-04:00"),
    ],
)
def test_days_of_23_and_25_hours_are_whole_days(zone: str, now: str, text: str, moment: str) -> None:
    assert parse_since(text, at(now), zone) == at(moment)


@pytest.mark.parametrize("text", ["2026-11-21", "2026-12", "2027-01-01", "2026-11-20T13:14:16", "9999-12-31"])
def test_a_moment_that_is_still_to_come_is_refused_with_words(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_since(text, NOW, "UTC")
    assert caught.value.message == f"since {text!r} is still to come."
    assert caught.value.field == "since"
    assert caught.value.allowed == "today, week, month, 7d, 24h, 2026-11 or 2026-11-21"
    assert caught.value.hint == "Nothing was changed."


def test_what_is_to_come_here_may_have_begun_elsewhere() -> None:
    assert parse_since("2026-11-21", at("2026-11-20T16:00+00:00"), "Asia/Tokyo") == at("2026-11-20T15:00+00:00")
    with pytest.raises(InvalidRequest, match="still to come"):
        parse_since("2026-11-21", at("2026-11-20T14:59+00:00"), "Asia/Tokyo")


@pytest.mark.parametrize(
    "text",
    ["", "   ", "soon", "7", "d", "7x", "-7d", "1.5d", "12345d", "2026-13", "2026-00", "2026-02-30", "0000-01", "2026",
     "tomorrow", "last month", "last week", "november", "2026-11-21T25:00", "2026-11-20T10:00+99:00", "\0"],
)  # fmt: skip
def test_what_is_no_moment_is_refused_with_words(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_since(text, NOW, "UTC")
    assert caught.value.message == f"since {text!r} is no moment."
    assert (caught.value.field, caught.value.hint) == ("since", "Nothing was changed.")


def test_long_nonsense_is_cut_in_the_answer() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_since("x" * 5_000, NOW, "UTC")
    assert "x" * 50 in caught.value.message
    assert len(caught.value.message) < 150


# Months


@pytest.mark.parametrize(
    ("text", "zone", "begin", "end"),
    [
        ("2026-11", "UTC", "2026-11-01T00:00+00:00", "2026-12-01T00:00+00:00"),
        (" 2026-02 ", "UTC", "2026-02-01T00:00+00:00", "2026-03-01T00:00+00:00"),
        ("2024-02", "UTC", "2024-02-01T00:00+00:00", "2024-03-01T00:00+00:00"),
        ("2025-12", "UTC", "2025-12-01T00:00+00:00", "2026-01-01T00:00+00:00"),
        ("2026-03", "Europe/Berlin", "2026-03-01T00:00+01:00", "2026-04-01T00:00+02:00"),
        ("2026-10", "Europe/Berlin", "2026-10-01T00:00+02:00", "2026-11-01T00:00+01:00"),
        ("2026-11", "America/New_York", "2026-11-01T00:00-04:00", "2026-12-01T00:00-05:00"),
    ],
)
def test_a_month_lasts_from_its_first_midnight_to_that_of_the_next(text: str, zone: str, begin: str, end: str) -> None:
    assert month_of(text, NOW, zone) == (at(begin), at(end))


def test_every_month_ends_where_the_next_one_begins() -> None:
    for zone in ("UTC", "Europe/Berlin", "America/Havana"):
        months = [f"{year}-{month:02d}" for year in range(2020, 2026) for month in range(1, 13)]
        spans = [month_of(text, NOW, zone) for text in months]
        assert [end for _, end in spans[:-1]] == [begin for begin, _ in spans[1:]]
        assert all(28 * DAY - HOUR <= end - begin <= 31 * DAY + HOUR for begin, end in spans)


@pytest.mark.parametrize(
    "text", ["", "month", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-21", "0000-01", "9999-12", "x"]
)
def test_what_is_no_month_is_refused_with_words(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        month_of(text, NOW, "UTC")
    assert caught.value.message == f"{text!r} is no month."


def test_a_month_that_is_still_to_come_is_refused_and_one_that_has_just_begun_is_not() -> None:
    with pytest.raises(InvalidRequest, match=r"^'2026-12' is still to come\.$"):
        month_of("2026-12", NOW, "UTC")
    assert month_of("2026-12", at("2026-12-01T00:00+00:00"), "UTC")[0] == at("2026-12-01T00:00+00:00")
    assert month_of("2026-12", at("2026-11-30T15:00+00:00"), "Asia/Tokyo")[0] == at("2026-12-01T00:00+09:00")
    with pytest.raises(InvalidRequest):
        month_of("2026-12", at("2026-11-30T14:59+00:00"), "Asia/Tokyo")


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        ("2026-11-20T23:59+00:00", "UTC", "2026-11-20"),
        ("2026-11-20T15:00+00:00", "Asia/Tokyo", "2026-11-21"),
        ("2026-11-20T04:59+00:00", "America/New_York", "2026-11-19"),
        ("2026-03-29T21:59+00:00", "Europe/Berlin", "2026-03-29"),
    ],
)
def test_a_moment_belongs_to_a_day_of_the_time_zone(moment: str, zone: str, day: str) -> None:
    assert day_of(at(moment), zone) == day
