"""The client over real sockets, against a server that fails on command."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from aerodash_sdk import Client
from aerodash_sdk.core.errors import BadReply, NotSent, ReplyLost, Unavailable
from aerodash_sdk.core.retrying import RetryPolicy

QUICK = RetryPolicy(tries=3, base_s=0.01, cap_s=0.01)


class LastWords(bytes):
    """A reply after which the server hangs up."""


class Scripted:
    """Answers one request after another from a script. An entry: the reply's bytes, b"" to hang up, None to wait."""

    def __init__(self) -> None:
        self.script: list[bytes | None] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.asked = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):  # closed already, by its own thread
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError), connection, connection.makefile("rb") as stream:
            while head := self._head(stream):
                length = int(
                    next(line for line in head if line.lower().startswith(b"content-length")).split()[1]
                )
                self.requests.append(b"".join(head) + stream.read(length))
                reply = self.script.pop(0)
                self.asked.set()
                if reply is None:
                    stream.read()
                if not reply:
                    return
                connection.sendall(reply)
                if isinstance(reply, LastWords):
                    return

    @staticmethod
    def _head(stream) -> list[bytes]:
        head = []
        while (line := stream.readline()) not in {b"", b"\r\n"}:
            head.append(line)
        return head


def reply(body: dict, status: int = 200, **headers: str) -> bytes:
    text = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}", "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + text


HAS = reply({"exists": True})
AWAY = reply(
    {"code": "INTERNAL_ERROR", "message": "away", "details": {"reason": "engine_down"}}, 503, Retry_After="0"
)
ACCEPTED = reply({"jobId": "j", "success": True, "status": "pending"}, 201)


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def client(server: Scripted) -> Iterator[Client]:
    with Client(server.url, "the-key", retry=QUICK, timeout_s=60) as client:
        yield client


def test_one_connection_carries_many_calls_with_the_key(server: Scripted, client: Client) -> None:
    server.script = [HAS, HAS]
    assert client.cache.has("a")
    assert client.cache.has("b")
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /v1/cache/has HTTP/1.1\r\n")
    assert b"X-Aerostack-Key: the-key\r\n" in server.requests[0]
    assert server.requests[0].endswith(b'{"key":"a"}')


def test_read_is_repeated_after_a_lost_reply_and_a_503(server: Scripted, client: Client) -> None:
    server.script = [b"", AWAY, HAS]
    assert client.cache.has("a")
    assert len(server.requests) == 3


def test_enqueue_after_a_lost_reply_is_repeated_with_the_same_idempotency_key(
    server: Scripted, client: Client
) -> None:
    server.script = [b"", ACCEPTED]
    assert client.queue.send("send-email", {}).job_id == "j"
    first, second = (json.loads(request.rpartition(b"\r\n")[2]) for request in server.requests)
    assert len(first["idempotencyKey"]) == 32
    assert first == second


def test_enqueue_without_a_key_is_never_repeated_after_a_lost_reply(server: Scripted, client: Client) -> None:
    server.script = [b"", ACCEPTED]
    with pytest.raises(ReplyLost):
        client.queue.send("send-email", {}, retry_safe=False)
    assert len(server.requests) == 1


def test_enqueue_is_repeated_when_the_server_says_that_it_took_nothing(
    server: Scripted, client: Client
) -> None:
    server.script = [AWAY, ACCEPTED]
    assert client.queue.send("send-email", {}).job_id == "j"
    assert len(server.requests) == 2


def test_tries_come_to_an_end(server: Scripted, client: Client) -> None:
    server.script = [AWAY, AWAY, AWAY, HAS]
    with pytest.raises(Unavailable):
        client.cache.has("a")
    assert len(server.requests) == 3


def test_reply_cut_short_is_a_lost_one(server: Scripted, client: Client) -> None:
    server.script = [LastWords(ACCEPTED[:-3])]
    with pytest.raises(ReplyLost):
        client.queue.send("send-email", {}, retry_safe=False)


def test_nobody_listening_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", "k", retry=QUICK) as client, pytest.raises(NotSent):
        client.queue.send("send-email", {})


def test_redirect_is_not_followed_with_the_key(server: Scripted, client: Client) -> None:
    server.script = [reply({}, 307, Location="http://127.0.0.1:9/elsewhere")]
    with pytest.raises(BadReply, match="status 307"):
        client.cache.has("a")


def test_slow_reply_is_a_lost_one(server: Scripted) -> None:
    server.script = [None]
    with Client(server.url, "k", timeout_s=0.1) as client, pytest.raises(ReplyLost):
        client.queue.send("send-email", {}, retry_safe=False)


def test_cut_breaks_a_call_under_way_from_another_thread(server: Scripted, client: Client) -> None:
    server.script = [None]
    threading.Thread(target=lambda: (server.asked.wait(60), client.cut())).start()
    begun_at = time.monotonic()
    with pytest.raises(NotSent, match="cut"):  # the lost reply is retried, and refused
        client.cache.has("a")
    assert time.monotonic() - begun_at < 40, "it did not wait for its time to be over"


def test_reads_carry_the_revision_of_the_last_write(server: Scripted, client: Client) -> None:
    wrote = {"success": True, "revision": "aa.7"}
    found = {"value": 1, "exists": True, "revision": "aa.7"}
    server.script = [reply(wrote, X_Aerodash_Revision="aa.7"), reply(found, X_Aerodash_Revision="aa.3"), HAS]
    client.cache.set("k", 1)
    assert client.cache.get("k") == 1
    client.cache.has("k")
    sent = [b"X-Aerodash-Revision: aa.7\r\n" in request for request in server.requests]
    assert sent == [False, True, False]
    assert all(b"X-Aerostack-Key: the-key\r\n" in request for request in server.requests)
