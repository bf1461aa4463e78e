"""Bodies as manifests describe them."""

from typing import Any

import pytest
from pydantic import ValidationError

from darkroom.adapters.body import body_of, form_of, number_text, put, put_in, slots_of, wire_of
from darkroom.catalog.wires import PLAIN, ErrorRule, Form, Slot
from darkroom.domain.kinds import Role
from darkroom.errors import Unsupported
from helpers_body import a_blob, a_call
from helpers_catalog import make_offer, make_provider, make_video_offer


def a_body(offer: dict[str, Any], *roles: Role, provider: dict[str, Any] | None = None, **request: Any) -> Any:
    """Return the body of a made-up offer with these pictures."""
    made = make_offer(**offer)
    blobs = tuple(a_blob(role, number) for number, role in enumerate(roles, 1))
    return body_of(a_call(made, make_provider(offers=[made], **provider or {}), blobs=blobs, **request))


# Where a value goes.


@pytest.mark.parametrize(
    ("names", "body"),
    [
        (["a"], {"a": 1}),
        (["a.b.c"], {"a": {"b": {"c": 1}}}),
        (["a.b", "a.c"], {"a": {"b": 1, "c": 2}}),
        (["a[]"], {"a": [1]}),
        (["a[]", "a[]"], {"a": [1, 2]}),
        (["a.b[]", "a.b[]", "a.c"], {"a": {"b": [1, 2], "c": 3}}),
        (["a#"], {"a": 1}),
        (["a#", "a#", "a#"], {"a": 1, "a_2": 2, "a_3": 3}),
        (["a.b#", "a.b#"], {"a": {"b": 1, "b_2": 2}}),
        (["a", "a"], {"a": 2}),
    ],
)
def test_a_name_says_where_a_value_goes(names: list[str], body: Any) -> None:
    made: dict[str, Any] = {}
    for number, name in enumerate(names, 1):
        put(made, name, number)
    assert made == body


@pytest.mark.parametrize("names", [("a", "a.b"), ("a[]", "a.b"), ("a", "a[]"), ("a.b", "a[]"), ("a.b", "a.b.c")])
def test_a_value_within_another_is_refused_before_anything_is_sent(names: tuple[str, str]) -> None:
    made: dict[str, Any] = {}
    put(made, names[0], 1)
    with pytest.raises(Unsupported, match="two values"):
        put(made, names[1], 2)


# How a value is written.


@pytest.mark.parametrize(
    ("slot", "value", "written"),
    [
        ({}, "words", "words"),
        ({}, 5.0, 5),
        ({}, 2.5, 2.5),
        ({}, 7, 7),
        ({}, True, True),
        ({}, (1280, 720), "1280x720"),
        ({"joined": ":"}, (1280, 720), "1280:720"),
        ({"as": "text"}, 5.0, "5"),
        ({"as": "text"}, 2.5, "2.5"),
        ({"as": "text"}, 30.0, "30"),
        ({"as": "text"}, 7, "7"),
        ({"as": "text"}, True, "true"),
        ({"as": "text"}, False, "false"),
        ({"as": "seconds"}, 5.0, "5s"),
        ({"as": "seconds"}, 2.5, "2.5s"),
        ({"as": "integer"}, 5.4, 5),
        ({"as": "integer"}, 5.6, 6),
        ({"as": "integer"}, "8", 8),
        ({"as": "lower"}, "1K", "1k"),
        ({"as": "upper"}, "1080p", "1080P"),
        ({"as": "object"}, (1280, 720), {"width": 1280, "height": 720}),
        ({"as": "object"}, "16:9", "16:9"),
        ({"values": {"true": "on", "false": "off"}}, True, "on"),
        ({"values": {"true": "on", "false": "off"}}, False, "off"),
        ({"values": {"5": "short"}}, 5.0, "short"),
        ({"values": {"5": "short"}}, 6.0, 6),
        ({"values": {"5": 0}}, 5.0, 0),
        ({"values": {"1280x720": "wide"}}, (1280, 720), "wide"),
        ({"values": {"1280:720": "wide"}, "joined": ":"}, (1280, 720), "wide"),
        ({"values": {"16:9": "landscape"}}, "16:9", "landscape"),
        ({"values": {"5": "short"}, "as": "text"}, 5.0, "short"),
        ({"wrap": "url"}, "words", {"url": "words"}),
        ({"wrap": "url", "beside": {"type": "first"}}, "words", {"url": "words", "type": "first"}),
        ({"wrap": "seconds", "as": "text"}, 5.0, {"seconds": "5"}),
        ({"beside": {"type": "first"}}, "words", "words"),
    ],
)
def test_a_slot_says_how_a_value_is_written(slot: dict[str, Any], value: Any, written: Any) -> None:
    body: dict[str, Any] = {}
    put_in(body, Slot.model_validate({"to": "x", **slot}), value)
    assert body == {"x": written}
    assert type(body["x"]) is type(written)


def test_a_slot_without_a_name_and_a_value_that_is_none_are_left_out() -> None:
    body: dict[str, Any] = {}
    put_in(body, Slot(to=""), "words")
    put_in(body, Slot(to="x"), None)
    assert body == {}


@pytest.mark.parametrize(
    ("number", "text"), [(5.0, "5"), (2.5, "2.5"), (0.1, "0.1"), (600.0, "600"), (1e20, "1" + "0" * 20)]
)
def test_a_number_is_written_as_people_write_it(number: float, text: str) -> None:
    assert number_text(number) == text


def test_the_pictures_of_a_list_are_objects_of_their_own_in_their_order() -> None:
    fields = {
        "source": {"to": "in.images[]", "wrap": "image_url", "beside": {"type": "first"}},
        "reference": {"to": "in.images[]", "wrap": "image_url"},
    }
    body = a_body({"fields": fields, "pictures": "base64"}, Role.REFERENCE, Role.SOURCE, Role.REFERENCE)
    assert body["in"]["images"] == [
        {"image_url": "cGljdHVyZSAx"},
        {"image_url": "cGljdHVyZSAy", "type": "first"},
        {"image_url": "cGljdHVyZSAz"},
    ]


@pytest.mark.parametrize("fields", [{"source": "image", "reference": "image"}, {"source": "image"}])
def test_a_picture_that_has_no_place_of_its_own_is_refused_since_it_would_be_lost(fields: dict[str, str]) -> None:
    with pytest.raises(Unsupported, match="takes no picture as reference"):
        a_body({"fields": fields}, Role.SOURCE, Role.REFERENCE)


# Which slot counts.


def test_the_slot_of_an_operation_counts_before_the_offer_s_and_that_before_the_provider_s() -> None:
    offer = {
        "fields": {"prompt": "offer", "seed": "offer_seed"},
        "fields_of": {"edit_image": {"prompt": "edit"}, "text_to_image": {"seed": ""}},
    }
    provider = {"fields": {"prompt": "all", "seed": "all_seed", "n": "all_n"}}
    told = {"prompt": "words", "seed": 7, "n": 2}
    edit = a_body(offer, provider=provider, mode="edit_image", **told)
    assert edit == {"edit": "words", "offer_seed": 7, "all_n": 2}
    text = a_body(offer, provider=provider, **told)
    assert text == {"offer": "words", "all_n": 2}
    plain = a_body({}, provider=provider, **told)
    assert plain == {"all": "words", "all_seed": 7, "all_n": 2}


def test_every_value_of_a_request_has_a_name_of_its_own() -> None:
    told: dict[str, Any] = {
        "kind": "video",
        "mode": "text_to_video",
        "prompt": "words",
        "rules": "Be exact.",
        "negative_prompt": "rain",
        "seed": 7,
        "n": 2,
        "width": 1280,
        "height": 720,
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "duration": 5,
        "audio": False,
        "quality": "high",
    }
    offer = make_video_offer(fields={name: f"in.{name}" for name in PLAIN})
    want = {name: told[name] for name in PLAIN if name != "size"}
    assert body_of(a_call(offer, **told)) == {"in": {**want, "size": "1280x720"}}


def test_what_is_not_said_is_not_sent() -> None:
    fields = {name: name for name in PLAIN}
    assert set(a_body({"fields": fields}, prompt="")) == {"n", "width", "height", "size", "aspect_ratio"}


def test_the_constants_of_an_operation_join_those_of_the_offer() -> None:
    offer = {
        "constants": {"a": 1, "in.b": 2, "in.c": {"d": 3}},
        "constants_of": {"edit_image": {"in.b": 4, "e": [5]}, "text_to_image": {"f": 6}},
        "fields": {"prompt": "in.c.prompt"},
    }
    assert a_body(offer, mode="edit_image", prompt="x") == {
        "a": 1,
        "in": {"b": 4, "c": {"d": 3, "prompt": "x"}},
        "e": [5],
    }
    assert a_body(offer, prompt="x") == {"a": 1, "in": {"b": 2, "c": {"d": 3, "prompt": "x"}}, "f": 6}


def test_no_request_leaves_something_in_the_manifest_for_the_next() -> None:
    offer = make_offer(
        constants={"in": {"deep": {}}, "list": []},
        fields={"prompt": "in.deep.prompt", "seed": "in.seed", "source": "list[]"},
    )
    first = body_of(a_call(offer, prompt="a secret", seed=7, blobs=(a_blob(Role.SOURCE),)))
    assert len(first["list"]) == 1
    assert body_of(a_call(offer, prompt="")) == {"in": {"deep": {}}, "list": []}
    assert offer.constants == {"in": {"deep": {}}, "list": []}


def test_options_go_by_the_name_on_the_wire_else_by_their_own() -> None:
    options = {
        "strength": {"type": "number", "wire": "in.image.strength"},
        "raw": {"type": "boolean"},
        "format": {"type": "string", "wire": "out.format"},
    }
    told = {"strength": 0.5, "raw": False, "format": "png", "of_another_manifest": 1}
    body = a_body({"options": options, "constants": {"raw": True, "in.x": 1}}, options=told)
    assert body == {
        "in": {"x": 1, "image": {"strength": 0.5}},
        "raw": False,
        "out": {"format": "png"},
        "of_another_manifest": 1,
    }


def test_the_model_s_name_is_that_of_the_operation_else_the_offer_s_else_the_model() -> None:
    offer = make_offer(wire="vendor/one", wires={"edit_image": "vendor/one/edit"})
    assert wire_of(a_call(offer, mode="edit_image")) == "vendor/one/edit"
    assert wire_of(a_call(offer)) == "vendor/one"
    assert wire_of(a_call(make_offer())) == "acme-1"


# Pictures.


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ("data_uri", "data:image/png;base64,cGljdHVyZSAx"),
        ("base64", "cGljdHVyZSAx"),
        ("upload", "upload-1"),
        ("url", "https://pictures.test/1.png"),
    ],
)
def test_a_picture_goes_out_in_the_form_that_the_provider_takes(form: str, sent: str) -> None:
    fields = {"fields": {"source": "image"}}
    assert a_body(fields, Role.SOURCE, provider={"pictures": form})["image"] == sent
    assert a_body({**fields, "pictures": form}, Role.SOURCE, provider={"pictures": "base64"})["image"] == sent


def test_a_picture_is_a_data_uri_where_nobody_says_otherwise_and_bytes_are_the_picture_itself() -> None:
    offer = make_offer(fields={"source": "image"})
    assert form_of(a_call(offer)) is Form.DATA_URI
    blob = a_blob(Role.SOURCE)
    multipart = make_offer(fields={"source": "image"}, pictures="bytes")
    assert body_of(a_call(multipart, blobs=(blob,)))["image"] is blob


def test_a_clip_may_go_out_in_another_form_and_the_pictures_beside_it_with_it() -> None:
    offer = make_offer(fields={"source": "image", "video": "clip"})
    provider, picture, clip = make_provider(offers=[offer], clips="upload"), a_blob(Role.SOURCE), a_blob(Role.VIDEO, 2)
    assert body_of(a_call(offer, provider, blobs=(picture,)))["image"] == picture.data_uri
    sent = body_of(a_call(offer, provider, blobs=(picture, clip)))
    assert (sent["image"], sent["clip"]) == ("upload-1", "upload-2")
    assert body_of(a_call(offer, blobs=(clip,)))["clip"] == clip.data_uri


@pytest.mark.parametrize(
    ("media_type", "ending"), [("image/png", "png"), ("video/mp4", "mp4"), ("video/quicktime", "mov")]
)
def test_the_name_of_a_file_tells_its_type(media_type: str, ending: str) -> None:
    assert a_blob(Role.VIDEO, media_type=media_type, sha256="ab" * 32).file_name == f"{'ab' * 8}.{ending}"


def test_what_an_upload_returned_is_sent_whole() -> None:
    offer = make_offer(fields={"source": "image"}, pictures="upload")
    blob = a_blob(Role.SOURCE, uploaded={"id": "u1", "kind": "file"})
    assert body_of(a_call(offer, blobs=(blob,)))["image"] == {"id": "u1", "kind": "file"}


def test_a_picture_without_an_address_is_refused_where_only_addresses_are_taken() -> None:
    offer = make_offer(fields={"source": "image"}, pictures="url")
    with pytest.raises(Unsupported) as refused:
        body_of(a_call(offer, blobs=(a_blob(Role.SOURCE, url=None),)))
    assert refused.value.field == "images"
    assert "Acme" in refused.value.message


# What a manifest may say.


@pytest.mark.parametrize(
    "wrong",
    [
        {"fields": {"wording": "prompt"}},
        {"fields_of": {"edit_image": {"images": "image"}}},
        {"fields_of": {"edit_pictures": {"prompt": "prompt"}}},
        {"fields": {"prompt": {"as": "text"}}},
        {"fields": {"prompt": {"to": "prompt", "as": "number"}}},
        {"fields": {"prompt": {"to": "prompt", "form": "text"}}},
        {"fields": {"prompt": 5}},
        {"constants_of": {"edit_pictures": {"a": 1}}},
        {"pictures": "path"},
        {"picture": {"max_bytes": 5}},
        {"picture": {"max_size": 5}},
    ],
)
def test_what_no_request_has_is_refused_when_a_manifest_is_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_offer(**wrong)


def test_a_name_alone_is_a_slot_and_roles_have_slots_too() -> None:
    offer = make_offer(fields={"prompt": "text", **{str(role): f"{role}[]" for role in Role}})
    assert offer.fields["prompt"] == Slot(to="text")
    assert slots_of(a_call(offer))["logo"] == Slot(to="logo[]")


@pytest.mark.parametrize(
    ("rule", "status", "codes", "message", "fits"),
    [
        ({}, 500, (), "", True),
        ({"status": 402}, 402, (), "", True),
        ({"status": 402}, 403, (), "", False),
        ({"status": 402}, None, (), "", False),
        ({"code": "1102"}, 429, ("429", "1102"), "", True),
        ({"code": "1102"}, 429, ("11020",), "", False),
        ({"code": "1102"}, 429, (), "1102", False),
        ({"code": "SAFETY.*"}, 200, ("safety.input",), "", True),
        ({"code": "SAFETY.*"}, 200, ("unsafety.input",), "", False),
        ({"code": "*"}, 200, ("any",), "", True),
        ({"code": "*"}, 200, (), "", False),
        ({"text": "Not enough Credits"}, 400, (), "You have not enough credits left.", True),
        ({"text": "not enough credits"}, 400, ("not enough credits",), "", False),
        ({"status": 400, "code": "x", "text": "y"}, 400, ("x",), "why", True),
        ({"status": 400, "code": "x", "text": "y"}, 400, ("x",), "no", False),
        ({"status": 400, "code": "x", "text": "y"}, 400, ("z",), "why", False),
    ],
)
def test_a_row_of_errors_fits_where_all_that_it_names_agrees(
    rule: dict[str, Any], status: int | None, codes: tuple[str, ...], message: str, fits: bool
) -> None:
    assert ErrorRule.model_validate({"means": "unsupported", **rule}).fits(status, codes, message) is fits


def test_rules_lead_the_prompt_unless_they_have_a_place_of_their_own() -> None:
    together = a_body({"fields": {"prompt": "text"}}, prompt="a cat", rules="Be exact.")
    assert together == {"text": "Be exact.\n\na cat"}
    apart = a_body({"fields": {"prompt": "text", "rules": "system"}}, prompt="a cat", rules="Be exact.")
    assert apart == {"text": "a cat", "system": "Be exact."}
