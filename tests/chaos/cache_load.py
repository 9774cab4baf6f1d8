"""Callers who each know what their answer must be, while Valkey is killed and restarted under them.

    python -m tests.chaos.cache_load [answers]      100 000 by default, on an installation of its own

A reply that went to the wrong caller, or that an old connection held, shows at once: every caller has a key of its own
whose value names the caller and counts up, and reads back what it has just written.
"""

import http.client
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.harness import PATIENCE_S, Installation, wait_for
from tests.ports import free_port

CALLERS = 16
REFUSED_WITHIN_S = 1.0


@dataclass
class Tally:
    """What the callers saw. wrong: answers that were not theirs, or not an answer at all; first few of them.

    slowest_refusal_s: the longest wait for a 503. back_s: per kill, from Valkey's first answer to the API's.
    """

    answers: int = 0
    refused: int = 0
    slowest_refusal_s: float = 0.0
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


class Load:
    """CALLERS threads, each with a connection that it keeps."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._done = threading.Event()
        self._lock = threading.Lock()
        self.tally = Tally()
        self._threads = [threading.Thread(target=self._call, args=(f"caller-{i}",)) for i in range(CALLERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _call(self, name: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._installation.port, timeout=PATIENCE_S)
        # known: what is stored. A write of which nothing is known may have happened: then either will do.
        number, may_be = 0, {None}
        while not self._done.is_set():
            number += 1
            mine = f"{name}:{number}"
            reply = self._ask(connection, "set", {"key": name, "value": mine})
            may_be = may_be | {mine} if reply is None else {mine}
            reply = self._ask(connection, "get", {"key": name})
            if reply is None:
                continue
            with self._lock:
                self.tally.answers += 1
                if reply.get("value") not in may_be:
                    self.tally.wrong.append(f"{name} read {reply}, not one of {sorted(map(str, may_be))}")
            may_be = {reply.get("value")}
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, verb: str, body: dict[str, object]) -> dict | None:
        """The reply of a success, None for a 503 as it should be; any other is wrong."""
        headers = {"X-Aerostack-Key": self._installation.key, "Content-Type": "application/json"}
        began = time.monotonic()
        connection.request("POST", f"/v1/cache/{verb}", json.dumps(body), headers)
        answer = connection.getresponse()
        text = json.loads(answer.read())
        took_s = time.monotonic() - began
        if answer.status == 200:
            return text
        with self._lock:
            self.tally.refused += 1
            self.tally.slowest_refusal_s = max(self.tally.slowest_refusal_s, took_s)
            self.tally.reasons[str(text.get("details", {}).get("reason"))] += 1
            if answer.status != 503 or answer.headers.get("Retry-After") is None:
                self.tally.wrong.append(f"{verb} answered {answer.status} {dict(answer.headers)} {text}")
        return None


def run(installation: Installation, *, answers: int, kills: int) -> Tally:
    """Load a running installation until so many answers were checked, and kill its Valkey so often meanwhile."""
    with Load(installation) as load:
        for kill in range(1, kills + 1):
            wait_for(
                "answers", lambda kill=kill: load.tally.answers >= answers * kill / (kills + 1), within_s=600
            )
            killed = installation.pid_of("Valkey")
            refused = load.tally.refused
            os.kill(killed, signal.SIGKILL)
            wait_for("a refusal", lambda refused=refused: load.tally.refused > refused)
            wait_for("another Valkey", lambda killed=killed: installation.pid_of("Valkey") != killed)
            before = load.tally.answers
            wait_for("answers again", lambda before=before: load.tally.answers > before + 10 * CALLERS)
        wait_for("the rest of the answers", lambda: load.tally.answers >= answers, within_s=600)
    return load.tally


def main(answers: int) -> int:
    with tempfile.TemporaryDirectory(prefix="aerodash-cache-") as folder:
        installation = Installation(Path(folder) / "var", free_port())
        try:
            installation.up()
            tally = run(installation, answers=answers, kills=10)
        finally:
            installation.close()
    print(
        f"{tally.answers} answers checked, {len(tally.wrong)} wrong; {tally.refused} refused "
        f"({dict(tally.reasons)}), the slowest after {tally.slowest_refusal_s:.2f} s."
    )
    print("\n".join(tally.wrong[:10]))
    return bool(tally.wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
