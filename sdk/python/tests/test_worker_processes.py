"""The parts of a supervised worker process that need no server: slots, dumps, memory, file watching, options."""

import argparse
import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from aerodash_sdk.core.errors import Misconfigured
from aerodash_sdk.worker import outcomes
from aerodash_sdk.worker.child import Child, telling_first
from aerodash_sdk.worker.memory import parse_bytes, resident_bytes
from aerodash_sdk.worker.options import add_arguments, start
from aerodash_sdk.worker.reloading import FileWatch, times
from aerodash_sdk.worker.slots import COUNT, Slots, new_map
from aerodash_sdk.worker.supervisor import QUICK_DEATHS, Supervisor

JOB = "01920000-0000-7000-8000-00000000000{}"


def test_parent_sees_which_jobs_its_child_runs() -> None:
    descriptor = new_map()
    child, parent = Slots(descriptor), Slots(descriptor)
    child.begin(0, JOB.format(1))
    child.begin(COUNT - 1, JOB.format(2))
    child.begin(5, JOB.format(3))
    child.end(5)
    assert parent.running() == [JOB.format(1), JOB.format(2)]
    child.begin(0, "short")
    assert parent.running() == ["short", JOB.format(2)]
    os.close(descriptor)


def test_parent_sees_that_its_child_is_alive() -> None:
    descriptor = new_map()
    child, parent = Slots(descriptor), Slots(descriptor)
    seen = set()
    for _ in range(300):
        child.beat()
        seen.add(parent.beats)
    assert len(seen) == 256
    os.close(descriptor)


def test_dump_begins_with_the_thread_that_crashed_then_those_that_run_handlers() -> None:
    poll = 'Thread 0x1 (most recent call first):\n  File "socket.py", line 1 in readinto'
    handler = (
        'Thread 0x2 (most recent call first):\n  File "shop.py", line 2 in f\n'
        '  File "aerodash_sdk/worker/threads.py", line 3 in _outcome'
    )
    crashed = 'Current thread 0x3 (most recent call first):\n  File "shop.py", line 4 in g'
    fatal = "Fatal Python error: Segmentation fault"
    assert telling_first("\n\n".join([fatal, poll, handler, crashed])) == "\n\n".join(
        [fatal, crashed, handler, poll]
    )
    assert telling_first("\n\n".join([poll, crashed, handler])) == "\n\n".join([handler, poll, crashed])
    assert telling_first("") == ""


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 * 1024**2), ("2g", 2 * 1024**3), ("64 KiB", 65536), (300, 300)]
)
def test_amount_of_memory_is_read(text: str | int, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "lots", "1T", "-5M", "1.5G"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount of memory"):
        parse_bytes(text)


def test_memory_of_a_process_is_known_and_of_none_is_not() -> None:
    mine = resident_bytes(os.getpid())
    assert mine is not None
    assert 5_000_000 < mine < 10**10
    assert resident_bytes(2**22 + 1) is None


def test_changed_file_is_noticed_and_installed_packages_are_not(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "jobs.py").write_text("a = 1")
    (tmp_path / ".venv" / "hidden.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert [*times(tmp_path)] == [str(tmp_path / "shop" / "jobs.py")]
    seen: list[str] = []
    told = threading.Event()
    watch = FileWatch(tmp_path, lambda path: (seen.append(path), told.set()))
    watch.start()
    deadline = time.monotonic() + 60
    while not told.wait(0.05):
        assert time.monotonic() < deadline
        os.utime(tmp_path / "shop" / "jobs.py")
    watch.stop()
    assert seen[0] == str(tmp_path / "shop" / "jobs.py")


class Dead(Child):
    """A worker process that took jobs and was killed."""

    def __init__(self) -> None:
        self.number = 1
        self.started_at = time.monotonic()
        self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.process.kill()
        self.process.communicate()

    ready = True
    hello = None
    doom = None

    def bury(self) -> None: ...


def test_another_process_is_started_at_once_until_too_many_die_young() -> None:
    supervisor = Supervisor(["shop_jobs.py"])
    [place] = supervisor._places
    for _ in range(QUICK_DEATHS):
        supervisor._died(Dead())
        assert place.restart_at <= time.monotonic()
    supervisor._died(dead := Dead())
    assert place.restart_at > dead.started_at + 0.2
    for descriptor in (supervisor._lifeline, supervisor._lifeline_end):
        os.close(descriptor)


@pytest.mark.parametrize(
    "words",
    [["m:w", "--concurrency", "0"], ["m:w", "--processes", "257"], ["m:w", "--memory-limit", "much"]],
)
def test_option_out_of_bounds_is_one_sentence(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(Misconfigured, match=words[1]):
        start(parser.parse_args(words))


def test_stack_of_a_coroutine_goes_down_to_what_it_awaits() -> None:
    async def inner() -> None:
        await asyncio.get_running_loop().create_future()

    async def outer() -> None:
        await inner()

    async def look() -> str:
        coroutine = outer()
        task = asyncio.ensure_future(coroutine)
        await asyncio.sleep(0)
        where = outcomes.stack_of_coroutine(coroutine)
        task.cancel()
        return where

    where = asyncio.run(look())
    assert "in outer\n    await inner()" in where
    assert "in inner\n    await asyncio" in where


def test_stack_of_a_thread_ends_where_it_hangs() -> None:
    let_go, begun = threading.Event(), threading.Event()

    def hang_here() -> None:
        begun.set()
        let_go.wait()

    thread = threading.Thread(target=hang_here)
    thread.start()
    begun.wait(30)
    deadline = time.monotonic() + 30
    while "in wait" not in (where := outcomes.stack_of_thread(thread.ident)):
        assert time.monotonic() < deadline
    let_go.set()
    thread.join()
    assert "in hang_here" in where
    assert where.index("in hang_here") < where.index("in wait")
