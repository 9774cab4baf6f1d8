"""Laying out and taking apart JSON text without touching what the tokens say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodash import jsontext
from aerodash.errors import InvalidInput

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_any_layout_comes_back_to_the_same_tokens(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only)
    assert jsontext.compact(text) == compact
    assert jsontext.compact(jsontext.pretty(text)) == compact
    assert jsontext.pretty(jsontext.pretty(text)) == jsontext.pretty(text)


def test_pretty_puts_a_member_on_a_line_and_short_lists_on_one():
    assert jsontext.pretty('{"a":[1,2.50],"b":{},"c":[],"d":[{"e":"x, {y}"}]}') == (
        '{\n  "a": [1, 2.50],\n  "b": {},\n  "c": [],\n  "d": [\n    {\n      "e": "x, {y}"\n    }\n  ]\n}'
    )


def test_pretty_of_deep_nesting_is_quick():
    assert jsontext.compact(jsontext.pretty("[" * 50_000 + "]" * 50_000)) == "[" * 50_000 + "]" * 50_000


@given(st.dictionaries(st.text(), values, max_size=6))
def test_members_are_found_where_they_stand(value):
    text = json.dumps(value, indent=2)
    found = {member.name: json.loads(text[member.start : member.end]) for member in jsontext.members(text)}
    assert found == value


def test_repeated_members_are_all_found():
    assert [member.name for member in jsontext.members(r'{"a":1, "\u0061":2}')] == ["a", "a"]


def test_members_of_what_is_no_object_are_refused():
    with pytest.raises(InvalidInput):
        jsontext.members("[1]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n "b": }', "line 2, column 7"),
        ("[1] 2", "line 1, column 6"),
        ("NaN", "not JSON"),
        ("1e999", "not JSON"),
        ("9" * 4400, "not JSON"),
        (r'"\ud800"', "not JSON"),
        ("\ud800", "lone surrogate"),
        ("  ", "A value is needed"),
    ],
)
def test_check_refuses_with_the_place(text, said):
    with pytest.raises(InvalidInput, match=said):
        jsontext.check(text)


def test_check_keeps_the_text():
    text = ' {"n": 9007199254740993, "é": 0.10} '
    assert jsontext.check(text) == text.encode()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{}", "JSON object"),
        (" [1]", "JSON list"),
        ('"x"', "text"),
        ("-1", "number"),
        ("true", "true or false"),
        ("null", "null"),
    ],
)
def test_kind_names_what_the_value_is(text, kind):
    assert jsontext.kind(text) == kind
