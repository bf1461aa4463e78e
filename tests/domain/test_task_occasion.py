"""What a task marks: a product, an opening, a sale, an event, news."""

import pytest

from darkroom.domain.task_occasion import Occasion, occasion_in, read_occasion


@pytest.mark.parametrize(
    ("task", "kind", "thing"),
    [
        ("announce the merger of Acme and Globex", "news", "merger of Acme and Globex"),
        ("announcing our partnership with Red Cross on 3 May", "news", "partnership with Red Cross"),
        ("celebrate our 10th anniversary", "news", "10th anniversary"),
        ("Launch the opening of our second bakery in Leeds", "opening", None),
        ("opening a second bakery in Leeds on 3 May", "opening", None),
        ("We're opening a climbing gym in Porto", "opening", None),
        ("Grand opening: Kanto, a ramen bar", "opening", None),
        ("Spoke, a bike shop, opens on 3 May", "opening", None),
        ("Black Friday sale at our bike shop Spoke", "sale", None),
        ("our summer sale of garden chairs", "sale", None),
        ("A launch event for our summer collection on 5 June", "event", "launch event for our summer collection"),
        ("a jazz night in our bar", "event", "jazz night"),
        ("promote the Riverside Festival on 5 June", "event", "Riverside Festival"),
        ("Kanto is a ramen bar that opens late", None, None),
        ("a scooter for sale, made for Bolt", None, None),
        ("an event app for planners", None, None),
        ("a campaign for our merger advisory firm", None, None),
        ("launch our tea party set", None, None),
        ("launch our open source tool", None, None),
        ("a video with an opening shot of the sea", None, None),
        ("opening offer: 10% off our tea", None, None),
        ("Launch Pulse, a heart rate ring", None, None),
    ],
)
def test_an_occasion_is_read_and_where_in_doubt_it_is_a_product(task: str, kind: str | None, thing: str | None) -> None:
    assert (read_occasion(task), occasion_in(task).thing) == (kind, thing)


def test_an_opening_and_a_sale_give_way_to_their_place_and_goods() -> None:
    assert occasion_in("plan the opening of our bakery").rest == " launch of our bakery"
    assert occasion_in("our summer sale of chairs").rest == " for  chairs"
    plain = occasion_in("launch a mug")
    assert (plain.kind, plain.rest) == (Occasion.PRODUCT, "launch a mug")
