"""Every alias, bound, null and wrong type of the wire contract, sections 3 and 9, on both lanes.

Values past 25 MiB and the like, which cost seconds, are in the file of their route, on one lane: the decoder is one.
"""

import json
from typing import Any

import msgspec
import pytest

import aerodash.urls  # noqa: F401 - enters the operations in the table
from aerodash import limits
from aerodash.wire.inputs import Decoder, Request, requests_in
from aerodash.wire.operation import OPERATIONS
from tests.api.lanes import RID, same

JOB = "0198f2a0-0000-7000-8000-000000000000"
MIB = 1024 * 1024

KEY_1024 = "k" * 1024
CACHE_KEYED = {
    "get": {},
    "set": {"value": 1},
    "has": {},
    "delete": {},
    "expire": {"ttl": 60},
    "increment": {},
}


def enqueue(**fields: object) -> tuple[str, dict[str, object]]:
    return "/v1/queue/enqueue", {"type": "t", "payload": {}} | fields


ACCEPTED: list[tuple[str, Any]] = [
    # Bounds, at the last value that is taken.
    *((f"/v1/cache/{verb}", {"key": KEY_1024} | rest) for verb, rest in CACHE_KEYED.items()),
    *((f"/v1/cache/{verb}", {"key": "é" * 512} | rest) for verb, rest in CACHE_KEYED.items()),
    ("/v1/cache/set", {"key": "k", "value": 1, "ttl": 1}),
    ("/v1/cache/set", {"key": "k", "value": 1, "ttl": limits.TTL_MAX_S}),
    ("/v1/cache/set", {"key": "k", "value": 1, "metadata": {"m": "x" * (4096 - 9)}}),
    ("/v1/cache/set", b'{"key":"n","value":' + b"9" * 4300 + b"}"),
    ("/v1/cache/getMany", {"keys": [f"k{i}" for i in range(1000)]}),
    ("/v1/cache/setMany", {"entries": {f"k{i}": i for i in range(1000)}}),
    ("/v1/cache/deleteMany", {"keys": [f"k{i}" for i in range(10_000)]}),
    ("/v1/cache/getMany", {"keys": []}),
    ("/v1/cache/setMany", {"entries": []}),
    ("/v1/cache/setMany", {"entries": {}}),
    ("/v1/cache/deleteMany", {"keys": []}),
    ("/v1/cache/list", {"limit": 1}),
    ("/v1/cache/list", {"limit": 1000, "prefix": KEY_1024}),
    ("/v1/cache/keys", {"limit": 1}),
    ("/v1/cache/keys", {"limit": 10_000, "prefix": ""}),
    ("/v1/cache/increment", {"key": "low", "amount": -(2**63)}),
    ("/v1/cache/increment", {"key": "high", "amount": 2**63 - 1}),
    enqueue(type="t" * 128),
    enqueue(type="A-z0.9_:x"),
    enqueue(payload="x" * (MIB - 2)),
    enqueue(delaySeconds=0),
    enqueue(delaySeconds=limits.DELAY_MAX_S),
    enqueue(maxRetries=0),
    enqueue(maxRetries=limits.MAX_RETRIES),
    ("/v1/queue/jobs", {"limit": 1}),
    ("/v1/queue/jobs", {"limit": 200}),
    # Null for an optional field, whole floats, unknown fields.
    ("/v1/cache/get", {"key": "k", "withTtl": None}),
    (
        "/v1/cache/set",
        {"key": "k", "value": None, "ttl": None, "metadata": None, "ifRevision": None, "ifAbsent": None, "ifPresent": None},
    ),
    ("/v1/cache/set", {"key": "k", "value": 1, "expirationTtl": None, "ttl": 60.0, "color": [None]}),
    ("/v1/cache/set", b'{"key":"k","value":1,"ttl":6e1}'),
    ("/v1/cache/delete", {"key": "k", "ifRevision": None}),
    ("/v1/cache/setMany", {"entries": [{"key": "k", "value": None, "ttl": None, "metadata": None, "x": 1}], "ttl": None}),
    ("/v1/cache/list", {"prefix": None, "limit": 5.0, "cursor": None}),
    ("/v1/cache/keys", {"prefix": None, "cursor": None}),
    ("/v1/cache/flush", {"prefix": "none", "why": "not"}),
    ("/v1/cache/expire", {"key": "k", "ttl": None}),
    ("/v1/cache/increment", {"key": "n2", "amount": 2.0, "initialValue": 1.0, "ttl": None}),
    enqueue(payload=None, delaySeconds=None, maxRetries=None, priority=None, tags=None, batch=None),
    enqueue(data=None, payload=None, maxRetries=3.0, delay=1.5),
    ("/v1/queue/jobs", {"status": None, "type": None, "limit": None, "cursor": None}),
    # An object of options where a number or a prefix stands (Node).
    ("/v1/cache/set", {"key": "k", "value": 1, "ttl": {"ttl": 60, "metadata": {"m": 1}}}),
    ("/v1/cache/set", {"key": "k", "value": 1, "ttl": {}}),
    ("/v1/cache/setMany", {"entries": {"k": 1}, "ttl": {"ttl": 60}}),
    ("/v1/cache/expire", {"key": "k", "ttl": {"ttl": 60}}),
    ("/v1/cache/increment", {"key": "n3", "ttl": {"ttl": 60}}),
    ("/v1/cache/list", {"prefix": {"prefix": "k", "limit": 5}}),
    ("/v1/cache/keys", {"prefix": {}}),
    ("/v1/cache/flush", {"prefix": {"prefix": "none"}}),
    # Any character in a key, NUL too; any JSON as a value.
    *(("/v1/cache/set", {"key": key, "value": key}) for key in ("\0", "a\0b", " ", "/", "😀", "é", '"\\')),
    *(("/v1/cache/set", {"key": "v", "value": value}) for value in (0, -1, 1.5, True, "", [], {}, [[{}]], {"": None})),
    # Two aliases that say the same.
    ("/v1/cache/set", {"key": "k", "value": 1, "ttl": 60, "expirationTtl": 60.0}),
    ("/v1/queue/enqueue", {"type": "t", "payload": {"a": 1}, "data": {"a": 1.0}}),
    ("/v1/queue/job", {"jobId": JOB, "job_id": JOB, "id": JOB}),
]  # fmt: skip

TOO_LONG = [("k" * 1025, "key_too_long"), ("é" * 513, "key_too_long"), ("", "invalid_field")]

REFUSED: list[tuple[str, Any, str, str | None]] = [
    *(
        (f"/v1/cache/{verb}", {"key": key} | rest, reason, "key")
        for verb, rest in CACHE_KEYED.items()
        for key, reason in TOO_LONG
    ),
    *(
        (f"/v1/cache/{verb}", {"key": key} | rest, reason, "key")
        for verb, rest in CACHE_KEYED.items()
        for key, reason in ((5, "invalid_field"), (True, "invalid_field"), (["k"], "invalid_field"), (None, "missing"))
    ),
    *((f"/v1/cache/{verb}", rest, "missing", "key") for verb, rest in CACHE_KEYED.items()),
    *(
        ("/v1/cache/set", {"key": "k", "value": 1, "ttl": ttl}, "invalid_field", "ttl")
        for ttl in (0, -1, limits.TTL_MAX_S + 1, 1.5, True, "60", [60], "")
    ),
    ("/v1/cache/set", b'{"key":"k","value":1,"ttl":1e400}', "malformed_json", None),
    ("/v1/cache/set", {"key": "k", "value": 1, "ttl": {"ttl": "60"}}, "invalid_field", "ttl"),
    ("/v1/cache/set", {"key": "k", "value": 1, "ttl": {"ttl": {"ttl": 60}}}, "invalid_field", "ttl"),
    ("/v1/cache/set", {"key": "k", "value": 1, "ttl": {"value": 2}}, "conflicting_aliases", "value"),
    ("/v1/cache/set", {"key": "k", "value": 1, "ttl": {"ttl": 1}, "expirationTtl": 2}, "conflicting_aliases", "ttl"),
    ("/v1/cache/set", {"key": "k", "value": 1, "ttl": 60, "expirationTtl": 61}, "conflicting_aliases", "ttl"),
    *(
        ("/v1/cache/set", {"key": "k", "value": 1, "metadata": metadata}, "invalid_field", "metadata")
        for metadata in ("text", 5, [1], True)
    ),
    ("/v1/cache/set", {"key": "k", "value": 1, "metadata": {"m": "x" * (4096 - 8)}}, "metadata_too_large", "metadata"),
    ("/v1/cache/set", {"key": "k", "value": 1, "ifRevision": 5}, "invalid_field", "ifRevision"),
    *(
        ("/v1/cache/set", {"key": "k", "value": 1, name: wrong}, "invalid_field", name)
        for name in ("ifAbsent", "ifPresent")
        for wrong in (1, "true", [])
    ),
    *(
        ("/v1/cache/set", {"key": "k", "value": 1} | two, "conflicting_conditions", None)
        for two in (
            {"ifAbsent": True, "ifPresent": True},
            {"ifAbsent": True, "ifRevision": "e.1"},
            {"ifPresent": True, "ifRevision": "e.1"},
        )
    ),
    *(
        ("/v1/cache/set", b'{"key":"k","value":' + value + b"}", "malformed_json", None)
        for value in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b'"\\ud800"', b"01", b"'a'", b"9" * 4301, b"")
    ),
    ("/v1/cache/set", b'{"key":"\\ud800","value":1}', "malformed_json", None),
    ("/v1/cache/set", b'{"key":"k\xff","value":1}', "malformed_json", None),
    ("/v1/cache/set", b'{"key":"k","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_json", None),
    ("/v1/cache/set", {"key": "k"}, "missing", "value"),
    ("/v1/cache/get", {"key": "k", "withTtl": 1}, "invalid_field", "withTtl"),
    ("/v1/cache/delete", {"key": "k", "ifRevision": True}, "invalid_field", "ifRevision"),
    *(
        (f"/v1/cache/{verb}", {"keys": keys}, reason, field)
        for verb, most in (("getMany", 1000), ("deleteMany", 10_000))
        for keys, reason, field in (
            ("k", "invalid_field", "keys"),
            ({"k": 1}, "invalid_field", "keys"),
            (["k", 5], "invalid_field", "keys"),
            (["k", None], "invalid_field", "keys"),
            (["k", ""], "empty_key", "keys[1]"),
            (["k", "x" * 1025], "key_too_long", "keys[1]"),
            (["k"] * (most + 1), "too_many", "keys"),
            (None, "missing", "keys"),
        )
    ),
    ("/v1/cache/setMany", {}, "missing", "entries"),
    ("/v1/cache/setMany", {"entries": 5}, "invalid_field", "entries"),
    ("/v1/cache/setMany", {"entries": "k"}, "invalid_field", "entries"),
    ("/v1/cache/setMany", {"entries": ["k"]}, "invalid_field", "entries[0]"),
    ("/v1/cache/setMany", {"entries": [{"key": "k"}]}, "missing", "entries[0].value"),
    ("/v1/cache/setMany", {"entries": [{"key": "k", "value": 1, "ttl": "1"}]}, "invalid_field", "entries[0].ttl"),
    (
        "/v1/cache/setMany",
        {"entries": [{"key": "k", "value": 1, "ttl": 1, "expirationTtl": 2}]},
        "conflicting_aliases",
        "entries[0].ttl",
    ),
    ("/v1/cache/setMany", {"entries": {"": 1}}, "empty_key", "entries[0].key"),
    ("/v1/cache/setMany", {"entries": {"k": 1}, "ttl": 0}, "invalid_field", "ttl"),
    ("/v1/cache/setMany", {"entries": {"k": 1}, "metadata": 5}, "invalid_field", "entries[0].metadata"),
    ("/v1/cache/setMany", {"entries": {f"k{i}": i for i in range(1001)}}, "too_many", "entries"),
    ("/v1/cache/setMany", {"entries": [{"key": f"k{i}", "value": i} for i in range(1001)]}, "too_many", "entries"),
    *(
        (f"/v1/cache/{verb}", {"limit": limit}, "invalid_field", "limit")
        for verb, most in (("list", 1000), ("keys", 10_000))
        for limit in (0, -1, most + 1, 1.5, True, "5", [])
    ),
    *(
        (f"/v1/cache/{verb}", {"prefix": prefix}, reason, "prefix")
        for verb in ("list", "keys", "flush")
        for prefix, reason in ((5, "invalid_field"), (["a"], "invalid_field"), ("x" * 1025, "key_too_long"))
    ),
    ("/v1/cache/flush", {"prefix": {}}, "invalid_field", "prefix"),
    ("/v1/cache/flush", {"prefix": {"Prefix": "a"}}, "invalid_field", "prefix"),
    *(
        (f"/v1/cache/{verb}", {"cursor": cursor}, reason, "cursor")
        for verb in ("list", "keys")
        for cursor, reason in ((5, "invalid_field"), ("!", "invalid_cursor"), ("é", "invalid_cursor"), ("_w", "invalid_cursor"))
    ),
    ("/v1/cache/list", {"prefix": "b", "cursor": "YQ"}, "invalid_cursor", "cursor"),
    ("/v1/cache/expire", {"key": "k"}, "missing", "ttl"),
    *(("/v1/cache/expire", {"key": "k", "ttl": ttl}, "invalid_field", "ttl") for ttl in (0, -5, True, "60", 1.5)),
    ("/v1/cache/expire", {"key": "k", "ttl": None, "expirationTtl": 5}, "conflicting_aliases", "ttl"),
    *(
        ("/v1/cache/increment", {"key": "n", name: wrong}, "invalid_field", name)
        for name in ("amount", "initialValue")
        for wrong in ("1", True, 1.5, [1], {})
    ),
    ("/v1/cache/increment", {"key": "n", "amount": 2**63}, "out_of_range", "amount"),
    ("/v1/cache/increment", {"key": "n", "initialValue": -(2**63) - 1}, "out_of_range", "initialValue"),
    ("/v1/cache/increment", {"key": "n", "initialValue": 1, "initial_value": 2}, "conflicting_aliases", "initialValue"),
    ("/v1/cache/increment", {"key": "n", "ttl": 0}, "invalid_field", "ttl"),
    ("/v1/queue/enqueue", {"payload": {}}, "missing", "type"),
    ("/v1/queue/enqueue", {"type": "t"}, "missing", "payload"),
    *((*enqueue(type=wrong), "invalid_field", "type") for wrong in (5, "", "a b", "é", "t" * 129, ["t"])),
    (*enqueue(payload="x" * (MIB - 1)), "payload_too_large", "payload"),
    *((*enqueue(delaySeconds=wrong), "invalid_field", "delaySeconds") for wrong in (-1, "5", True, limits.DELAY_MAX_S + 1)),
    *((*enqueue(maxRetries=wrong), "invalid_field", "maxRetries") for wrong in (-1, "3", True, 1.5, 1001)),
    ("/v1/queue/enqueue", {"type": "t", "payload": 1, "data": True}, "conflicting_aliases", "payload"),
    ("/v1/queue/enqueue", {"type": "t", "data": 1, "delay": 1, "delaySeconds": 2}, "conflicting_aliases", "delaySeconds"),
    ("/v1/queue/enqueue", {"type": "t", "data": 1, "retries": 1, "max_retries": 2}, "conflicting_aliases", "maxRetries"),
    ("/v1/queue/job", {}, "missing", "jobId"),
    ("/v1/queue/job", {"jobId": 5}, "invalid_field", "jobId"),
    ("/v1/queue/job", {"jobId": "a", "id": "b"}, "conflicting_aliases", "jobId"),
    ("/v1/queue/cancel", {"job_id": None}, "missing", "jobId"),
    *(("/v1/queue/jobs", {"limit": wrong}, "invalid_field", "limit") for wrong in (0, 201, True, "5")),
    ("/v1/queue/jobs", {"status": 5}, "invalid_field", "status"),
    ("/v1/queue/jobs", {"status": "sleeping"}, "unknown_status", "status"),
    ("/v1/queue/jobs", {"cursor": 5}, "invalid_field", "cursor"),
    *((f"/v1{path}", body, "malformed_json", None) for path in ("/cache/get", "/queue/job") for body in (b"", b"[]", b"5", b'"k"', b"null", b"{}{}", b"{,}", b"\xff")),
]  # fmt: skip


def by_path(cases: list[tuple[Any, ...]]) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """The cases of each path together: a test a case would make two projects for each."""
    paths = dict.fromkeys(case[0] for case in cases)
    return [(path, [case[1:] for case in cases if case[0] == path]) for path in paths]


@pytest.mark.parametrize(("path", "cases"), by_path(ACCEPTED))
async def test_what_the_contract_allows_is_taken_alike(lanes, path: str, cases: list[tuple[Any]]) -> None:
    enqueues = path.endswith("enqueue")
    for (body,) in cases:
        replies = [await lane.post(path, body, headers=RID) for lane in lanes]
        assert [reply.status for reply in replies] == [201 if enqueues else 200] * 2, (body, replies[0].body)
        if not enqueues:  # whose ids differ
            same(*replies)


@pytest.mark.parametrize(("path", "cases"), by_path(REFUSED))
async def test_what_it_does_not_allow_is_refused_alike(
    lanes, path: str, cases: list[tuple[Any, str, str]]
) -> None:
    for body, reason, field in cases:
        replies = [await lane.post(path, body, headers=RID) for lane in lanes]
        same(*replies)
        assert (replies[0].status, replies[0].json["code"]) == (400, "VALIDATION_ERROR"), (
            body,
            replies[0].body,
        )
        details = replies[0].json["details"]
        assert (details["reason"], details.get("field")) == (reason, field), (body, replies[0].body)


async def test_a_body_of_32_mib_is_read_and_one_byte_more_is_413(lanes) -> None:
    body = b'{"key":"k"}'.ljust(limits.BODY_BYTES)
    replies = [await lane.post("/v1/cache/get", body, headers=RID) for lane in lanes]
    same(*replies)
    assert replies[0].status == 200
    replies = [await lane.post("/v1/cache/get", body + b" ", headers=RID) for lane in lanes]
    same(*replies)
    assert replies[0].status == 413


ALIASES = {
    ("/cache/set", "ttl"): (60, "expirationTtl"),
    ("/cache/setMany", "ttl"): (60, "expirationTtl"),
    ("/cache/expire", "ttl"): (60, "expirationTtl"),
    ("/cache/increment", "ttl"): (60, "expirationTtl"),
    ("/cache/increment", "initialValue"): (5, "initial_value"),
    ("/queue/enqueue", "payload"): ({"a": 1}, "data"),
    ("/queue/enqueue", "delaySeconds"): (3600, "delay", "delay_seconds"),
    ("/queue/enqueue", "maxRetries"): (7, "max_retries", "retries"),
    ("/queue/enqueue", "retryDelay"): (5, "retryDelaySeconds", "retry_delay", "retry_delay_seconds"),
    ("/queue/enqueue", "timeoutSeconds"): (60, "timeout", "timeout_seconds"),
    ("/queue/job", "jobId"): (JOB, "job_id", "id"),
    ("/queue/cancel", "jobId"): (JOB, "job_id", "id"),
}
"""What section 9 lists for the operations that published clients know, written out so that none can be lost."""
NEEDED: dict[str, dict[str, object]] = {
    "/cache/set": {"key": "k", "value": 1},
    "/cache/setMany": {"entries": {"k": 1}},
    "/cache/expire": {"key": "k"},
    "/cache/increment": {"key": "k"},
    "/queue/enqueue": {"type": "t", "payload": {"a": 1}},
    "/queue/job": {},
    "/queue/cancel": {},
}


@pytest.mark.parametrize(
    ("path", "field", "alias"),
    [(path, field, alias) for (path, field), (_, *aliases) in ALIASES.items() for alias in aliases],
)
async def test_an_alias_means_what_the_field_means(lanes, path: str, field: str, alias: str) -> None:
    """By its decoded request, and seen from outside: the same answer, and a conflict with the field's own name."""
    value = ALIASES[path, field][0]
    other = {"b": 2} if isinstance(value, dict) else "other" if isinstance(value, str) else value + 1
    needed = {name: given for name, given in NEEDED[path].items() if name != field}
    decode = OPERATIONS[path].decoder.decode
    assert decode(_json(needed | {alias: value})) == decode(_json(needed | {field: value}))
    for lane in lanes:
        by_name, by_alias = [
            await lane.post(f"/v1{path}", needed | {name: value}, headers=RID) for name in (field, alias)
        ]
        assert (by_alias.status, by_alias.json.keys()) == (by_name.status, by_name.json.keys())
        assert by_alias.status < 300
        clash = await lane.post(f"/v1{path}", needed | {field: value, alias: other})
        assert (clash.status, clash.json["details"]["reason"]) == (400, "conflicting_aliases")
        assert clash.json["details"]["field"] == field


def requests() -> set[type[Request]]:
    """Every request type, those inside others too."""
    return {one for op in OPERATIONS.values() for one in (op.request, *requests_in(op.request))}


def test_null_is_absent_for_every_optional_field_of_every_operation() -> None:
    assert len(requests()) > 40
    for request in requests():
        for field in Decoder(request)._fields:
            if not field.required and field.name not in request.nullable:
                for name in (field.name, *request.aliases.get(field.name, ())):
                    assert field.find({name: msgspec.Raw(b"null")}, "") is None, (request, name)


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


async def test_a_cursor_survives_the_deletion_of_the_key_that_it_names(lane) -> None:
    await lane.post("/v1/cache/setMany", {"entries": {f"k{number}": 1 for number in range(6)}})
    for path in ("/v1/cache/list", "/v1/cache/keys"):
        first = (await lane.post(path, {"limit": 2})).json
        await lane.post("/v1/cache/delete", {"key": "k1"})
        rest = (await lane.post(path, {"limit": 10, "cursor": first["cursor"]})).json["keys"]
        assert [row if isinstance(row, str) else row["name"] for row in rest] == ["k2", "k3", "k4", "k5"]
        await lane.post("/v1/cache/set", {"key": "k1", "value": 1})


async def test_keys_come_in_the_byte_order_of_their_utf_8(lane) -> None:
    names = ["", "A", "a", "a\0", "a b", "a:", "aa", "é", "\uffff", "😀", "z"]
    await lane.post("/v1/cache/setMany", {"entries": {name: 1 for name in names if name}})
    in_order = sorted(filter(None, names), key=lambda name: name.encode())
    assert (await lane.post("/v1/cache/keys", {})).json["keys"] == in_order
    assert [row["key"] for row in (await lane.post("/v1/cache/list", {})).json["keys"]] == in_order


async def test_a_body_with_an_unknown_field_and_nothing_else_is_an_empty_one(lane) -> None:
    assert (await lane.post("/v1/cache/keys", {"unknown": 1})).json == {"keys": [], "truncated": False}
