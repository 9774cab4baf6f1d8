"""A form made from payloads, and the payload made from it: what goes in comes out."""

import json

import pytest

from jobs_admin.payload_forms import Field, compose, infer, posted, secret_members, split


def kinds(*payloads: str) -> dict[str, str] | None:
    fields = infer(payloads)
    return None if fields is None else {field.name: field.kind for field in fields}


def test_each_member_gets_the_kind_that_its_values_have():
    assert kinds('{"to": "jane", "n": 1, "x": -1.50, "ok": true, "list": [1], "map": {"a": 1}, "none": null}') == {
        "to": "text", "n": "number", "x": "number", "ok": "boolean", "list": "json", "map": "json", "none": "json",
    }  # fmt: skip


def test_values_of_several_kinds_are_edited_as_json():
    assert kinds('{"a": 1}', '{"a": "one"}') == {"a": "json"}
    assert kinds('{"a": "x"}', '{"a": null}') == {"a": "json"}
    assert kinds('{"a": "x"}', '{"a": "two\\nlines"}') == {"a": "long"}


def test_members_that_some_payloads_lack_are_optional():
    fields = infer(['{"a": 1, "b": 2}', '{"a": 1, "c": 3}'])
    assert [(field.name, field.optional, field.sent) for field in fields] == [
        ("a", False, True), ("b", True, True), ("c", True, False),
    ]  # fmt: skip


def test_the_newest_values_are_hints_and_choices_begin_with_them():
    fields = infer(['{"to": "jane", "n": 9007199254740993, "ok": false, "at": {"x": 1.10}}', '{"to": "omar", "n": 1, "ok": true, "at": {}}'])  # fmt: skip
    assert [(field.value, field.hint) for field in fields] == [
        ("", "jane"), ("", "9007199254740993"), ("false", "false"), ('{"x": 1.10}', '{"x": 1.10}'),
    ]  # fmt: skip


def test_secret_members_show_nothing():
    secret = secret_members(("/token", "/card/number", "/a~1b"))
    assert secret == {"token", "card", "a/b"}
    fields = infer(['{"token": "t0p", "card": {"number": 4}, "to": "jane"}'], secret=sorted(secret))
    assert [(field.name, field.value, field.hint) for field in fields] == [
        ("token", "", ""), ("card", "", ""), ("to", "", "jane"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "payload",
    ["[1, 2]", "7", '"text"', '{"a": 1, "a": 2}', "{}", json.dumps({f"m{n}": n for n in range(41)}), '{"a\\nb": 1}',
     '{"a": "' + "x" * 70_000 + '"}'],
)  # fmt: skip
def test_what_a_form_cannot_carry_is_none(payload):
    assert infer([payload]) is None
    assert split(payload) is None


@pytest.mark.parametrize(
    "payload",
    ['{"a": 9007199254740993, "b": 1.10, "d": -0.0, "e": true, "f": null}', '{"a": "é\\u2603 \\"q\\"", "b": "two\\nlines"}',
     '{"a": "bell\\u0007", "c": "cr\\r\\nlf"}', '{"a": {"b": [1.0, {"c": null}]}, "": "no name"}'],
)  # fmt: skip
def test_to_a_form_and_back_no_value_changes(payload):
    text, fields = compose(split(payload))
    assert not any(field.error for field in fields)
    numbers = {"parse_float": str, "parse_int": str}
    assert json.loads(text, **numbers) == json.loads(payload, **numbers)


def test_numbers_keep_their_text():
    assert compose(split('{"n": 1.10, "big": 9007199254740993}'))[0] == '{"n": 1.10, "big": 9007199254740993}'


@pytest.mark.parametrize(
    ("field", "error"),
    [
        (Field("n", "number", "12a"), "A number is needed, such as 12 or -1.5."),
        (Field("n", "number", ""), "A number is needed here."),
        (Field("n", "number", "01"), "A number is needed, such as 12 or -1.5."),
        (Field("n", "number", "NaN"), "A number is needed, such as 12 or -1.5."),
        (Field("n", "boolean", "maybe"), "Choose true or false."),
        (Field("n", "json", "{oops}"), "at line 1, column 2."),
    ],
)
def test_what_is_wrong_in_a_field_is_said_there(field, error):
    _, [checked] = compose([field])
    assert error in checked.error
    assert checked.value == field.value


def test_a_field_that_is_not_sent_is_left_out_whatever_it_holds():
    assert (
        compose([Field("a", "number", "x", optional=True, sent=False), Field("b", "text", "")])[0]
        == '{"b": ""}'
    )


def test_json_typed_over_a_form_keeps_its_kinds_and_what_was_left_out():
    like = infer(['{"a": 1, "b": {"c": 1}, "d": true}'])
    fields = split('{"b": 2, "a": 3, "new": "x"}', like)
    assert [(field.name, field.kind, field.value, field.sent) for field in fields] == [
        ("b", "json", "2", True), ("a", "number", "3", True), ("new", "text", "x", True), ("d", "boolean", "true", False),
    ]  # fmt: skip


def test_a_form_that_was_sent_is_read_back():
    form = {
        "count": "4", "n0": "a", "k0": "long", "v0": "two\r\nlines", "h0": "old", "n1": "b", "k1": "number", "v1": "1",
        "o1": "1", "s1": "1", "n2": "c", "k2": "number", "v2": "2", "o2": "1", "n3": "d", "k3": "magic", "v3": "1",
    }  # fmt: skip
    assert posted(form) == (
        Field("a", "long", "two\nlines", "old"), Field("b", "number", "1", optional=True),
        Field("c", "number", "2", optional=True, sent=False),
    )  # fmt: skip
    assert posted({"count": "x"}) == posted({}) == ()
