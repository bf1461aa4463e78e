"""Links to outputs: what they open, for whom, and until when."""

from typing import Any

import pytest
from starlette.datastructures import URL, QueryParams

from darkroom.server.links import LIFE_S, Links, holder, outward
from factories import NOW

KEY = b"k" * 32
OUTPUT = "out_1_1"
LINKS = Links(KEY, "https://media.example.com", "ann", NOW)


def said(url: str) -> dict[str, str]:
    return dict(QueryParams(URL(url).query))


def test_a_link_opens_its_output_for_its_holder_until_its_time_is_over() -> None:
    url = LINKS.url(OUTPUT)
    assert url.startswith("https://media.example.com/outputs/out_1_1?")
    assert holder(KEY, OUTPUT, said(url), NOW) == "ann"
    assert holder(KEY, OUTPUT, said(url), NOW + LIFE_S * 1000 - 1) == "ann"
    assert holder(KEY, OUTPUT, said(url), NOW + LIFE_S * 1000) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"by": "bob"},
        {"by": "local"},
        {"until": "99999999999"},
        {"until": "never"},
        {"sig": ""},
        {"sig": "\u00e4" * 43},
        {"sig": "\ud800"},
    ],
)
def test_whatever_is_altered_closes_it(changed: dict[str, str]) -> None:
    assert holder(KEY, OUTPUT, {**said(LINKS.url(OUTPUT)), **changed}, NOW) is None


def test_it_opens_no_other_output_and_nothing_of_another_installation() -> None:
    fields = said(LINKS.url(OUTPUT))
    assert holder(KEY, "out_2_1", fields, NOW) is None
    assert holder(b"x" * 32, OUTPUT, fields, NOW) is None
    assert holder(KEY, OUTPUT, {}, NOW) is None


def test_views_hold_addresses_in_place_of_paths() -> None:
    view: dict[str, Any] = {
        "job_id": "job_1",
        "outputs": [{"id": OUTPUT, "path": "/srv/me/x.png", "mime_type": "image/png"}],
        "files": [{"id": OUTPUT, "path": "/x.png", "mime_type": "image/png", "thumbnail": "/srv/me/t.webp"}],
        "inside": {"steps": ({"path": "/a/b"}, "text", 7)},
    }
    assert outward(view, None) is view
    assert outward(view, LINKS) == {
        "job_id": "job_1",
        "outputs": [{"id": OUTPUT, "mime_type": "image/png", "url": LINKS.url(OUTPUT)}],
        "files": [{"id": OUTPUT, "mime_type": "image/png", "url": LINKS.url(OUTPUT)}],
        "inside": {"steps": [{"path": "/a/b"}, "text", 7]},
    }
    assert "/srv/me" in str(view), "what was given is not changed"
