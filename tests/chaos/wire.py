"""Requests of a chaos run: each is written down before and after, and its outcome is never guessed."""

import http.client
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.chaos.history import Recorder

ANSWER_WITHIN_S = 8.0


class Wire:
    """One caller's connection, kept open. ports: of the web processes; after a failure the next is taken."""

    def __init__(self, ports: Sequence[int], key: str, recorder: Recorder, *, first: int = 0) -> None:
        self._ports = ports
        self._turn = first
        self._key = key
        self._recorder = recorder
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        verb: str,
        asked: Mapping[str, Any],
        keep: Callable[[Any], Mapping[str, Any]],
        wait_s: float = 0,
    ) -> Any:
        """POST and write down what came of it; the reply if it was done, None if it was refused or nobody knows.

        asked: what the history keeps of the request; keep: what it keeps of the reply.
        """
        number = self._recorder.event(verb, "invoke", **asked)
        sent = False
        try:
            connection = self._open(wait_s)
            sent = True
            connection.request(
                "POST",
                f"/v1/queue/{path}",
                json.dumps(body),
                {"X-Aerostack-Key": self._key, "Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            reply = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self._close()
            phase = "unknown" if sent else "fail"
            self._recorder.event(verb, phase, number, error=f"{type(exc).__name__}: {exc}"[:200])
            return None
        if answer.status not in (200, 201):
            # A 5xx says that the server did not do it; whether the database did is what it could not find out.
            phase = "unknown" if answer.status >= 500 else "fail"
            self._recorder.event(verb, phase, number, error=f"{answer.status} {reply.get('message')}"[:200])
            if answer.status >= 500:
                self._close()
            return None
        self._recorder.event(verb, "ok", number, **keep(reply))
        return reply

    def close(self) -> None:
        self._close()

    def _open(self, wait_s: float) -> http.client.HTTPConnection:
        if self._connection is None:
            port = self._ports[self._turn % len(self._ports)]
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S + wait_s)
            try:
                connection.connect()
            except OSError:
                self._turn += 1
                raise
            assert connection.sock is not None
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        self._turn += 1
        if self._connection is not None:
            self._connection.close()
            self._connection = None
