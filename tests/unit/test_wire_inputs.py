"""The request decoder: aliases, nulls, whole floats, bounds, and users' JSON kept as it came."""

import contextlib
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodash.errors import InvalidInput
from aerodash.wire.inputs import Decoder, Request


class Item(Request):
    aliases = {"ttl": ("expirationTtl",)}  # noqa: RUF012
    nullable = frozenset({"value"})
    key: str
    value: msgspec.Raw
    ttl: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Many(Request):
    entries: list[Item] | dict[str, msgspec.Raw]
    note: msgspec.Raw | None = None


class Nested(Request):
    items: Annotated[list[Item], msgspec.Meta(max_length=3)]


class Aliased(Request):
    aliases = {"payload": ("data",)}  # noqa: RUF012
    payload: msgspec.Raw


class Counter(Request):
    amount: int = 1


class Delay(Request):
    base: int
    over: str = msgspec.field(name="while", default="unfinished")


class Worded(Request):
    kind: Literal["fixed", "list"] = "fixed"
    lasts: Literal["unfinished"] | float | None = None


class Several(Request):
    aliases = {"delay": ("delaySeconds",)}  # noqa: RUF012
    delay: float | Delay | None = None
    key: str | Delay | None = None
    one: Delay | None = None


item, many = Decoder(Item), Decoder(Many)
nested, aliased, counter = Decoder(Nested), Decoder(Aliased), Decoder(Counter)
several, worded = Decoder(Several), Decoder(Worded)


def decode(text: str) -> Item:
    return item.decode(text.encode())


def test_null_and_absent_mean_the_same_for_an_optional_field() -> None:
    assert decode('{"key":"a","value":1,"ttl":null}').ttl is None
    assert decode('{"key":"a","value":1}').ttl is None


def test_null_is_a_value_where_the_contract_says_so() -> None:
    assert bytes(decode('{"key":"a","value":null}').value) == b"null"
    assert bytes(decode('{"key":"a","value":null,"extra":1}').value) == b"null"


@pytest.mark.parametrize("text", ["60", "60.0", "6e1"])
def test_whole_floats_count_as_integers(text: str) -> None:
    assert decode(f'{{"key":"a","value":1,"ttl":{text}}}').ttl == 60


@pytest.mark.parametrize("text", ["true", '"60"', "60.5", "0", "-1", "[]", "1e400"])
def test_what_is_not_a_positive_integer_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        decode(f'{{"key":"a","value":1,"ttl":{text}}}')


def test_an_alias_is_the_field_and_two_that_disagree_are_refused() -> None:
    assert decode('{"key":"a","value":1,"expirationTtl":5}').ttl == 5
    assert decode('{"key":"a","value":1,"ttl":5,"expirationTtl":5.0}').ttl == 5
    with pytest.raises(InvalidInput) as caught:
        decode('{"key":"a","value":1,"ttl":5,"expirationTtl":6}')
    assert caught.value.details["reason"] == "conflicting_aliases"


def test_unknown_fields_are_ignored() -> None:
    assert decode('{"key":"a","value":1,"colour":"red"}').key == "a"


@pytest.mark.parametrize(
    "value",
    [
        "123456789012345678901234567890",
        "1.10",
        "-0.0",
        '"\\u00e9\\ud83d\\ude00"',
        '{"b" :1, "a":[ ]}',
        '"\\u0000"',
    ],
)
@pytest.mark.parametrize("extra", ["", ',"unknown":1'])
def test_a_value_comes_through_byte_for_byte(value: str, extra: str) -> None:
    assert bytes(decode(f'{{"key":"a","value":{value}{extra}}}').value) == value.encode()


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "1e999", '"\\ud800"', '"\\udc00x"', "9" * 4301, "[" * 100_000]
)
def test_what_other_readers_cannot_read_back_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput):
        decode(f'{{"key":"a","value":{value}}}')


@pytest.mark.parametrize("value", [b"NaN", b"1e999", b'"\\ud800"', b'"\xff"', b"9" * 4301, b"[" * 100_000])
@pytest.mark.parametrize("extra", [b"", b',"unknown":1'])
def test_values_inside_a_list_are_checked_too(value: bytes, extra: bytes) -> None:
    with pytest.raises(InvalidInput):
        nested.decode(b'{"items":[{"key":"a","value":' + value + extra + b"}]}")


def test_a_list_over_its_bound_is_refused_before_its_items_are_read() -> None:
    with pytest.raises(InvalidInput) as caught:
        nested.decode(b'{"items":[0,1,2,3]}')
    assert caught.value.details == {"reason": "too_many", "field": "items", "limit": 3}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9007199254740993.0", 9007199254740993),
        ("-9223372036854775808.0", -(2**63)),
        ("1e3", 1000),
        ("0e-999", 0),
    ],
)
def test_a_whole_float_counts_as_exactly_that_integer(text: str, number: int) -> None:
    assert counter.decode(f'{{"amount":{text}}}'.encode()).amount == number


@pytest.mark.parametrize(
    "text",
    ["0.99999999999999999999", "1e-999", "1.0000000000000000000001", "1e999", "1e-99999999999999999999"],
)
def test_a_float_that_only_rounds_to_a_whole_one_does_not(text: str) -> None:
    with pytest.raises(InvalidInput):
        counter.decode(f'{{"amount":{text}}}'.encode())


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("60", "60.0", True),
        ('{"a":[1]}', '{ "a": [1.0] }', True),
        ("true", "1", False),
        ("[0]", "[false]", False),
    ],
)
def test_aliases_agree_when_they_mean_the_same_value(one: str, other: str, agree: bool) -> None:
    with contextlib.nullcontext() if agree else pytest.raises(InvalidInput) as caught:
        aliased.decode(f'{{"payload":{one},"data":{other}}}'.encode())
    if caught is not None:
        assert caught.value.reason == "conflicting_aliases"


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(InvalidInput):
        item.decode(b'{"key":"a","value":"\xff"}')


def test_the_message_names_the_field_inside_a_list() -> None:
    with pytest.raises(InvalidInput) as caught:
        many.decode(b'{"entries":[{"key":"a","value":1},{"key":"b"}]}')
    assert caught.value.details["field"] == "entries[1].value"


def test_aliases_and_whole_floats_work_inside_a_list() -> None:
    decoded = many.decode(b'{"entries":[{"key":"a","value":1,"expirationTtl":60.0}]}')
    assert decoded.entries[0].ttl == 60


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"3", b"{", b'{"key"}'])
def test_a_body_that_is_not_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        item.decode(body)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_invalid_input(body: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        item.decode(body)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=5))
def test_the_fast_way_and_the_way_by_field_agree(values: dict) -> None:
    body = msgspec.json.encode({"key": "k", "value": values})
    with_more = msgspec.json.encode({"key": "k", "value": values, "unknown": 0})
    assert bytes(item.decode(body).value) == bytes(item.decode(with_more).value)


@pytest.mark.parametrize("name", ["delay", "delaySeconds"])
def test_a_field_may_be_a_number_or_an_object_under_every_name(name: str) -> None:
    assert several.decode(b'{"%b":5}' % name.encode()).delay == 5
    sent = several.decode(b'{"%b":{"base":2.0,"while":"x","more":1}}' % name.encode()).delay
    assert (sent.base, sent.over) == (2, "x")
    assert several.decode(b'{"%b":null,"key":"k","extra":1}' % name.encode()).key == "k"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"delay":"5"}', "delay"),
        ('{"delay":true}', "delay"),
        ('{"delay":[]}', "delay"),
        ('{"delay":{}}', "delay.base"),
        ('{"delay":{"base":"2"}}', "delay.base"),
        ('{"delay":{"base":2,"while":5}}', "delay.while"),
        ('{"key":5}', "key"),
        ('{"key":[{"base":1}]}', "key"),
        ('{"one":5}', "one"),
        ('{"one":"x"}', "one"),
        ('{"one":[]}', "one"),
        ('{"one":[{"base":1}]}', "one"),
    ],
)
def test_what_is_none_of_a_fields_types_is_refused_by_its_name(body: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        several.decode(body.encode())
    assert refused.value.details["field"] == field


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"kind":"lists"}', "kind: Invalid enum value 'lists'; it takes fixed, list."),
        ('{"lasts":"ever"}', "lasts: Invalid enum value 'ever'; it takes unfinished."),
        ('{"kind":5}', "kind: Expected `str`, got `int`."),
    ],
)
def test_a_word_that_is_not_taken_is_refused_with_those_that_are(body: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        worded.decode(body.encode())
    assert refused.value.message == sentence


def test_an_item_that_is_not_an_object_is_refused_by_its_place() -> None:
    with pytest.raises(InvalidInput) as refused:
        nested.decode(b'{"items":[{"key":"k","value":1},5]}')
    assert refused.value.message == "items[1] must be a JSON object."
    assert refused.value.details == {"reason": "invalid_field", "field": "items[1]"}
