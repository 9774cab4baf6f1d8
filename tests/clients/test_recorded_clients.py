"""What clients send that cannot be installed (N1, C1, F1), on both lanes: taken, and answered inside section 8's fences.

W1 speaks only the realtime socket.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from aerodash import engines, keys
from aerodash.auth import Scope
from tests.api import fences
from tests.api.client import ApiClient

RECORDED = sorted((Path(__file__).resolve().parent / "fixtures").glob("*.json"))


@pytest.mark.parametrize("express", [True, False], ids=["express", "ninja"])
@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_recorded_requests_are_answered_inside_the_fences(project, file: Path, express: bool) -> None:
    recorded = json.loads(file.read_text())
    text = keys.mint(project, file.stem, [Scope.ADMIN], compat=recorded["compat"])[1]
    caller = ApiClient(text, express=express)
    headers = {name: value.format(key=text) for name, value in recorded["headers"].items()}
    words = {"queued"} if recorded["compat"] == "on" else set()
    for call in recorded["calls"]:
        reply = engines.run(caller.post(call["path"], call["body"], headers=headers))
        body = fences.check(reply, status=call["status"], words=words)
        if recorded["compat"] == "on" and call["path"].endswith("/get"):
            assert isinstance(body["value"], str | None)
        if "/rpc" in call["path"] and call["status"] == 200:
            _check_result(call["body"]["method"], body)


def _check_result(method: str, result: Any) -> None:
    """The members that the core client reads, section 6."""
    read = {
        "cache.list": {"keys", "list_complete"},
        "cache.flush": {"deleted"},
        "cache.expire": {"success"},
        "cache.increment": {"value"},
        "queue.enqueue": {"jobId"},
        "queue.job": {"job", "exists"},
        "queue.jobs": {"jobs", "list_complete"},
        "queue.cancel": {"success"},
    }
    if method in read:
        assert read[method] <= set(result)
    if method in {"cache.keys", "cache.getMany"}:
        assert isinstance(result, list)


def test_every_client_that_can_be_recorded_is() -> None:
    assert [file.stem for file in RECORDED] == ["c1_core", "f1_flutter", "n1_node"]
