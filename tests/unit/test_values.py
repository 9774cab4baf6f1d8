"""What a stored value is recognised as, and what is inside it."""

import base64
import gzip
import json
import re
import struct
import sys
import zlib

import msgspec
import pytest

from cache_admin import msgpacktext, values

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DOCUMENT = b'{"id": 9007199254740993, "price": 0.10, "name": "Ren\xc3\xa9e"}'


def text_of(data: bytes, *, urlsafe: bool = False) -> bytes:
    """The JSON text of a value that is these bytes in base64."""
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    return json.dumps(encode(data).decode()).encode()


@pytest.mark.parametrize(
    ("stored", "kind", "sentence"),
    [
        (b'{"a":1,"b":[1,2],"a":2}', "JSON object", "A JSON object of 3 members, 23 B."),
        (b'[{"a":1,"b":2}]', "JSON list", "A JSON list of 1 member, 15 B."),
        (b"[]", "JSON list", "A JSON list of 0 members, 2 B."),
        (b"41", "number", "A whole number of 2 digits; programs can count it up and down."),
        (b"0.10", "number", "A number of 4 B, kept digit for digit."),
        (b"null", "null", "The word null, without quotes, 4 B."),
        (b'"hello"', "text", "A text of 5 characters, 7 B with its quotes."),
        ('"é\\n"'.encode(), "text", "A text of 2 characters in 2 lines, 6 B with its quotes."),
    ],
)
def test_json_itself_is_told_in_a_sentence(stored: bytes, kind: str, sentence: str):
    value = values.recognise(stored)
    assert (value.kind, value.sentence) == (kind, sentence)
    assert not value.is_packed


@pytest.mark.parametrize("digits", ["9007199254740993", "-123456789012345678901234567890"])
def test_whole_numbers_beyond_a_float_are_told(digits: str):
    assert "more than a float can tell apart" in values.recognise(digits.encode()).sentence


@pytest.mark.parametrize("number", ["1773831871", "1773831871220"])
def test_numbers_that_are_instants_are_told_as_instants(number: str):
    assert "2026-03-18 11:04:31 UTC" in values.recognise(number.encode()).sentence


@pytest.mark.parametrize(
    ("name", "pack"),
    [("gzip", gzip.compress), ("zlib", zlib.compress), ("zstd", zstd.compress)],
)
def test_compressed_json_is_unpacked_and_kept_digit_for_digit(name, pack):
    packed = pack(DOCUMENT)
    value = values.recognise(text_of(packed))
    assert value.kind == f"base64 · {name} · JSON"
    assert value.sentence == (
        f"A text of {len(text_of(packed))} B that is base64 of {len(packed)} B, "
        f"which {name} unpacks to {len(DOCUMENT)} B: JSON."
    )
    assert [layer.name for layer in value.layers] == ["stored", "text", "base64", name]
    assert value.layer("base64").data == packed
    assert value.layer(name).data == DOCUMENT
    assert '"id": 9007199254740993' in value.decoded
    assert '"price": 0.10' in value.decoded


@pytest.mark.parametrize(
    "pack", [gzip.compress, zlib.compress, zstd.compress, lambda data: gzip.compress(gzip.compress(data))]
)
def test_a_bomb_is_unpacked_to_a_mebibyte_at_most(pack):
    value = values.recognise(text_of(pack(b"a" * 50_000_000)))
    assert max(len(layer.data) for layer in value.layers) <= values.UNPACKED_BYTES
    assert "over 1.0 MiB" in value.sentence
    assert "Only the first 1.0 MiB" in value.sentence
    assert len(value.decoded) <= values.SHOWN_BYTES


def test_a_frame_that_asks_for_a_large_window_is_not_decoded():
    data = zstd.compress(
        bytes(range(256)) * 64,
        options={zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0},
    )
    # One that claims 128 MiB of memory for its decoder: header byte 0, window descriptor 17 << 3.
    claims = data[:4] + bytes([0, 17 << 3]) + data[6:]
    assert values.recognise(text_of(claims)).kind in {"base64 · binary", "text"}


def test_messagepack_is_shown_as_text():
    packed = msgspec.msgpack.encode({"id": 2**64 - 1, "at": 1.5, "raw": b"\x00\x01", "n": None})
    value = values.recognise(text_of(packed, urlsafe=True))
    assert value.kind == "base64 · MessagePack"
    assert value.decoded == (
        '{\n  "id": 18446744073709551615,\n  "at": 1.5,\n  "raw": <binary, 2 B: 00 01>,\n  "n": null\n}'
    )


def test_json_inside_a_text_is_shown_laid_out():
    value = values.recognise(json.dumps(DOCUMENT.decode()).encode())
    assert value.kind == "JSON"
    assert value.sentence.endswith("that is JSON itself.")
    assert value.decoded.startswith('{\n  "id": 9007199254740993,')


def test_a_picture_is_named_and_left_to_the_hex_view():
    value = values.recognise(
        json.dumps(
            "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
        ).encode()
    )
    assert value.kind == "base64 · a PNG picture"
    assert value.decoded is None
    assert value.is_packed


def test_a_text_with_escapes_is_shown_as_it_reads():
    assert values.recognise(b'"a\\nb\\u00e9"').decoded == "a\nbé"
    assert values.recognise(b'"plain"').decoded is None


@pytest.mark.parametrize(
    "text",
    [
        "password", "lavender", "session", "ABCDEFGH", "deadbeefdeadbeefdeadbeef", "sku-771-blue-large",
        "550e8400-e29b-41d4-a716-446655440000", "1773831871220123", "Please call me back tomorrow",
        "https://example.com/a/b", "", "{not json}", "[draft] title", "2026-03-18T12:04:31Z", "helloworldhelloworld",
    ],
)  # fmt: skip
def test_words_ids_and_dates_are_texts(text: str):
    value = values.recognise(json.dumps(text).encode())
    assert value.kind == "text"
    assert not value.is_packed


@pytest.mark.parametrize("cut", range(1, 12))
def test_the_beginning_of_a_text_may_end_anywhere(cut: int):
    whole = '"aé\\u00e9\\ud83d\\ude00\\n\\"x"'.encode()
    value = values.recognise(whole[:cut], size_bytes=len(whole))
    assert value.layers[0].data == whole[:cut]
    assert not value.layers[0].is_whole


def test_the_beginning_of_a_large_compressed_value_shows_the_beginning_of_what_it_holds():
    lines = b"".join(b"line %d of the log\n" % n for n in range(200_000))
    stored = text_of(gzip.compress(lines, 1))
    value = values.recognise(stored[:100_000], size_bytes=len(stored))
    assert value.kind == "base64 · gzip · text"
    assert value.decoded.startswith("line 0 of the log\nline 1 of")
    assert "base64 of over 73.2 KiB" in value.sentence


def test_hex_lines_have_sixteen_bytes_and_go_on_from_a_place():
    lines = values.hex_lines(bytes(range(256)) * 100)
    assert len(lines) == values.HEX_ROWS
    assert lines[4] == ("000040", "40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f", "@ABCDEFGHIJKLMNO")
    assert values.hex_lines(b"0123456789abcdefXY", 16) == [("000010", "58 59", "XY")]


# MessagePack


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x80", "{}"),
        (b"\x90", "[]"),
        (b"\x93\x01\xff\xd0\x80", "[\n  1,\n  -1,\n  -128\n]"),
        (b"\x91\xca" + struct.pack(">f", 0.1), "[\n  0.1\n]"),
        (b"\x91\xca" + struct.pack(">f", 16777216.0), "[\n  16777216\n]"),
        (b"\x91\xcb" + struct.pack(">d", 0.1), "[\n  0.1\n]"),
        (b"\x82\xa1a\x01\xa1a\x02", '{\n  "a": 1,\n  "a": 2\n}'),
        (b"\x81\x01\xc3", "{\n  1: true\n}"),
        (b"\x91\xd6\xff" + struct.pack(">I", 1773831871), "[\n  <time 2026-03-18 11:04:31 UTC>\n]"),
        (b"\x91\xd6\x05abcd", "[\n  <extension 5, 4 B: 61 62 63 64>\n]"),
        (b"\x91\xa1\xff", "[\n  <text that is not UTF-8, 1 B: ff>\n]"),
    ],
)
def test_messagepack_loses_nothing(data: bytes, text: str):
    assert msgpacktext.text_of(data) == text


@pytest.mark.parametrize(
    "data",
    [b"", b"\x01", b"\xa1a", b"\x91", b"\x91\x01\x01", b"\xdd\xff\xff\xff\xff", b"\x91\xc1", b"\xdf\xff\xff\xff\xff\x01", b"\x91" * 5000],
)  # fmt: skip
def test_what_is_no_single_map_or_list_is_refused_whatever_it_claims(data: bytes):
    with pytest.raises(msgpacktext.NotMessagePack):
        msgpacktext.text_of(data)


def test_nan_and_infinity_are_written():
    packed = b"\x93" + b"".join(
        b"\xca" + struct.pack(">f", x) for x in (float("nan"), float("inf"), -float("inf"))
    )
    assert re.findall(r"[-\w]+", msgpacktext.text_of(packed)) == ["nan", "inf", "-inf"]
