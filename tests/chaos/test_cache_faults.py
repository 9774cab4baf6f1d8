"""The cache over HTTP while Valkey dies, its memory is full, or callers behave badly."""

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis

from aerodash import limits
from tests.chaos import cache_load
from tests.chaos.harness import PATIENCE_S, Installation, wait_for
from tests.ports import free_port

pytestmark = pytest.mark.chaos

MIB = 1024 * 1024
SLOW_CALLERS = 20


@pytest.fixture(scope="module")
def running() -> Iterator[Installation]:
    """One that all tests here use which do not kill its parts; they start with an empty cache."""
    with TemporaryDirectory(prefix="aerodash-chaos-", ignore_cleanup_errors=True) as folder:
        made = Installation(Path(folder) / "var", free_port())
        try:
            made.up()
            yield made
        finally:
            made.close()


def test_a_killed_valkey_costs_refusals_and_no_wrong_answer(installation: Installation):
    installation.up()
    tally = cache_load.run(installation, answers=4000, kills=2)
    assert tally.wrong == []
    assert tally.refused > 0


def test_a_full_memory_refuses_writes_and_lets_reads_and_deletes_go_on(running: Installation):
    running.ok("/cache/flush", {})
    running.ok("/cache/set", {"key": "kept", "value": "x" * 1000})
    with redis.Redis.from_url((running.data / "valkey" / "url").read_text()) as store:
        store.config_set("maxmemory", "1mb")
        for path, body in [
            ("set", {"key": "new", "value": 1}),
            ("setMany", {"entries": {"new": 1}}),
            ("increment", {"key": "n"}),
        ]:
            status, refusal = running.call(f"/cache/{path}", body)
            assert (status, refusal["details"]["reason"]) == (503, "out_of_memory"), path
            assert "memory is full" in refusal["message"]
        assert running.ok("/cache/get", {"key": "kept"})["exists"] is True
        assert running.ok("/cache/keys", {})["keys"] == ["kept"]
        assert running.ok("/cache/delete", {"key": "kept"})["success"] is True
        assert running.ok("/cache/flush", {})["deleted"] == 0
        store.config_set("maxmemory", "0")
    assert running.ok("/cache/set", {"key": "new", "value": 1})["success"] is True


def test_entries_that_the_store_lost_are_out_of_every_count_after_one_listing(running: Installation):
    running.ok("/cache/flush", {})
    running.ok("/cache/setMany", {"entries": {f"k{i}": i for i in range(100)}})
    with redis.Redis.from_url((running.data / "valkey" / "url").read_text()) as store:
        lost = store.keys("{*}:v:k1*")
        assert store.unlink(*lost) == 11
    assert len(running.ok("/cache/keys", {})["keys"]) == 89
    assert running.ok("/cache/flush", {})["deleted"] == 89


def test_callers_that_behave_badly_cost_bounded_memory(running: Installation):
    """Each limit leaves what was measured twice the room or more, and is far below what unbounded work would take."""
    running.ok("/cache/flush", {})
    running.ok("/cache/set", {"key": "k", "value": 1})
    web = running.pid_of("web")

    def grew_by(before: int) -> float:
        return (sum(_peaks(web)) - before) / MIB

    before = sum(_peaks(web))
    with contextlib.ExitStack() as open_connections:
        for _ in range(SLOW_CALLERS):
            slow = open_connections.enter_context(_begin(running, 25 * MIB))
            slow.sendall(b'{"key":"k","value":"' + b"x" * 256 * 1024)
        assert running.ok("/cache/get", {"key": "k"})["exists"] is True
        assert grew_by(before) < 150, "what was announced is not set aside"
    assert running.ok("/cache/get", {"key": "k"})["value"] == 1, "half-sent bodies write nothing"

    before = sum(_peaks(web))
    value = "x" * (limits.VALUE_BYTES - 2)
    for number in range(4):
        running.ok("/cache/set", {"key": f"large{number}", "value": value})
        assert running.ok("/cache/get", {"key": f"large{number}"})["value"] == value
    assert grew_by(before) < 500, "one value of 25 MiB at a time, in a few copies"

    before = sum(_peaks(web))
    million = ["k"] * 1_000_000
    for path, body in [
        ("deleteMany", {"keys": million}),
        ("getMany", {"keys": million}),
        ("setMany", {"entries": million}),
    ]:
        status, refusal = running.call(f"/cache/{path}", body)
        assert (status, refusal["code"]) == (400, "VALIDATION_ERROR"), path
    status, _ = running.call("/cache/set", {"key": "list", "value": million})
    assert status == 200
    assert len(running.ok("/cache/get", {"key": "list"})["value"]) == 1_000_000
    assert grew_by(before) < 400

    with _begin(running, limits.BODY_BYTES + 1) as too_long:
        assert b" 413 " in too_long.recv(1000).split(b"\r\n")[0]
    assert running.pid_of("web") == web


def test_a_reader_that_takes_nothing_holds_up_nobody(running: Installation):
    running.ok("/cache/flush", {})
    running.ok("/cache/set", {"key": "large", "value": "x" * (8 * MIB)})
    body = json.dumps({"key": "large"}).encode()
    with contextlib.ExitStack() as open_connections:
        for _ in range(5):
            idle = open_connections.enter_context(_begin(running, len(body), path="/cache/get"))
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.sendall(body)
        for number in range(50):
            running.ok("/cache/set", {"key": "k", "value": number})
            assert running.ok("/cache/get", {"key": "k"})["value"] == number
    wait_for("an answer", running.answers)


def _begin(installation: Installation, length: int, *, path: str = "/cache/set") -> socket.socket:
    """A connection on which a request has been begun, up to its body."""
    connection = socket.create_connection(("127.0.0.1", installation.port), timeout=PATIENCE_S)
    connection.sendall(
        f"POST /v1{path} HTTP/1.1\r\nHost: x\r\nX-Aerostack-Key: {installation.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
    )
    return connection


def _peaks(pid: int) -> list[int]:
    """The most memory, in bytes, that a process and its children have ever had."""
    family = [pid, *_children(pid)]
    return [
        int(found.group(1)) * 1024
        for one in family
        if (found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{one}/status").read_text()))
    ]


def _children(pid: int) -> list[int]:
    own = [
        int(p)
        for t in os.listdir(f"/proc/{pid}/task")
        for p in Path(f"/proc/{pid}/task/{t}/children").read_text().split()
    ]
    return own + [grandchild for child in own for grandchild in _children(child)]
