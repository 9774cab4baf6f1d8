"""How many jobs a worker holds and when it asks for more; timers; what a handler is wrapped in."""

import threading
import time
from collections.abc import Sequence

import msgspec
import pytest
from aerodash_sdk.core.work import LeasedJob
from aerodash_sdk.worker import lane as lanes
from aerodash_sdk.worker.job import Job
from aerodash_sdk.worker.lane import Lane
from aerodash_sdk.worker.leases import Held, Leases
from aerodash_sdk.worker.middleware import is_async, wrapped
from aerodash_sdk.worker.timers import Timers


def held(job_id: str = "j", payload: bytes = b"null") -> Held:
    leased = LeasedJob(job_id, "t", msgspec.Raw(payload), 1, 3, "token")
    return Held(Job.of(leased, None), leased, ends_at=0.0)


class Shelf(Lane):
    """A lane whose handlers the test plays: jobs begin and end when it says so."""

    def __init__(self, *, concurrency: int, prefetch: int | None) -> None:
        super().__init__(Leases(), ["t"], concurrency=concurrency, prefetch=prefetch)
        self.left: list[Held] = []
        self.at_work = 0

    def start(self) -> None: ...
    def submit(self, some: Sequence[Held]) -> None:
        self.left += some

    def take_waiting(self) -> list[Held]:
        taken, self.left = self.left, []
        return taken

    def waiting(self) -> int:
        return len(self.left)

    def running(self) -> int:
        return self.at_work

    def cancel(self, held: Held) -> None: ...
    def stuck(self, held: Held) -> None: ...
    def stop(self) -> None: ...

    def begin(self) -> None:
        self.left.pop()
        self.at_work += 1
        self.begun(time.monotonic())

    def end(self, took_s: float) -> None:
        self.at_work -= 1
        self.freed(took_s)


def room_later(lane: Lane) -> tuple[threading.Thread, list[int]]:
    room: list[int] = []
    waiting = threading.Thread(target=lambda: room.append(lane.wait_for_room()))
    waiting.start()
    while not lane._awaited and waiting.is_alive():
        time.sleep(0.001)
    with lane._changed:  # free once it sleeps
        return waiting, room


def test_new_worker_asks_for_as_many_jobs_as_it_has_handlers() -> None:
    assert Shelf(concurrency=4, prefetch=None).wait_for_room() == 4


def test_prefetch_is_held_on_top_and_filled_up_once_half_is_used() -> None:
    lane = Shelf(concurrency=2, prefetch=10)
    assert lane.wait_for_room() == 12
    lane.submit([held() for _ in range(12)])
    waiting, room = room_later(lane)
    for _ in range(6):
        assert room == []
        lane.begin()
        lane.end(0.001)
    lane.begin()
    waiting.join(30)
    assert room == [6]


def test_busy_handlers_leave_room_for_those_that_are_free() -> None:
    lane = Shelf(concurrency=2, prefetch=0)
    lane.submit([held()])
    lane.begin()
    assert lane.wait_for_room() == 1
    lane.submit([held()])
    lane.begin()
    waiting, room = room_later(lane)
    lane.end(1.0)
    waiting.join(30)
    assert room == [1]


def test_short_handlers_prefetch_much_and_long_ones_nothing() -> None:
    lane = Shelf(concurrency=8, prefetch=None)
    lane.freed(0.001)
    assert lane.wait_for_room() == lanes.BATCH_JOBS
    lane.submit([held() for _ in range(lanes.AHEAD_MAX // 2)])
    assert lane.wait_for_room() == lanes.BATCH_JOBS
    lane.take_waiting()
    for _ in range(500):
        lane.freed(10.0)
    assert lane.wait_for_room() == 8


def test_big_payloads_are_not_prefetched_by_the_thousand() -> None:
    lane = Shelf(concurrency=8, prefetch=None)
    lane.leased([held(payload=b'"' + b"x" * 1_048_576 + b'"')])
    lane.freed(0.0001)
    assert lane.wait_for_room() == 8 + 15


def test_unsettled_runs_hold_up_more_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "UNSETTLED_MAX", 1)
    lane = Shelf(concurrency=2, prefetch=0)
    ended = [held("a"), held("b")]
    lane._leases.add(ended)
    for one in ended:
        lane._leases.decide(one)
    waiting, room = room_later(lane)
    waiting.join(0.1)
    assert room == []
    lane._leases.drop(ended[0])
    waiting.join(30)
    assert room == [2]


def test_closed_lane_has_no_room() -> None:
    lane = Shelf(concurrency=1, prefetch=0)
    lane.submit([held()])
    waiting, room = room_later(lane)
    lane.close()
    waiting.join(30)
    assert room == [0]


def test_jobs_wait_in_vain_behind_long_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Shelf(concurrency=1, prefetch=None)
    lane.submit([held(), held()])
    lane.begin()
    assert not lane.hoards()
    monkeypatch.setattr(lanes, "HOARD_S", -1.0)
    assert lane.hoards()
    lane.take_waiting()
    assert not lane.hoards()


def test_jobs_of_one_lease_may_share_a_token() -> None:
    leases = Leases()
    first, second = held("a"), held("b")
    leases.add([first, second])
    assert leases.decide(first)
    assert leases.decide(second)
    leases.drop(first)
    assert leases.all() == [second]
    assert leases.find(second.leased) is second


@pytest.fixture
def timers():
    """Not started: what is due by then is called in the order of time."""
    timers = Timers(tick=lambda: None, tick_s=60.0, on_fault=lambda: None)
    yield timers
    timers.stop()


def test_timer_calls_in_order_of_time(timers: Timers) -> None:
    seen: list[str] = []
    done = threading.Event()
    timers.after(0.1, held("late"), lambda run: (seen.append(run.leased.id), done.set()))
    timers.after(0.02, held("soon"), lambda run: seen.append(run.leased.id))
    timers.start()
    assert done.wait(30)
    assert seen == ["soon", "late"]


def test_timer_leaves_alone_what_has_ended(timers: Timers) -> None:
    seen: list[str] = []
    done = threading.Event()
    over = held("over")
    timers.after(0.02, over, lambda run: seen.append(run.leased.id))
    over.returned = True
    timers.after(0.05, held("on"), lambda run: done.set())
    timers.start()
    assert done.wait(30)
    assert seen == []


def test_timers_of_ended_runs_do_not_pile_up(timers: Timers) -> None:
    timers.start()
    for _ in range(5000):
        run = held()
        timers.after(3600, run, lambda run: None)
        run.returned = True
    assert len(timers._entries) < 2500


def noted(name: str, seen: list[str]):
    def middleware(job, call_next):
        seen.append(f"{name} in")
        result = call_next(job)
        seen.append(f"{name} out")
        return result

    return middleware


def test_first_middleware_is_outermost_and_the_result_goes_through() -> None:
    seen: list[str] = []

    async def not_for_sync(job, call_next):
        raise AssertionError

    handler = wrapped(
        lambda job: seen.append("handler") or 7, [noted("a", seen), not_for_sync, noted("b", seen)]
    )
    assert handler(held().job) == 7
    assert seen == ["a in", "b in", "handler", "b out", "a out"]


async def test_async_middleware_wraps_async_handlers() -> None:
    seen: list[str] = []

    async def outer(job, call_next):
        seen.append("in")
        result = await call_next(job)
        seen.append("out")
        return result * 2

    async def double(job):
        return 4

    handler = wrapped(double, [noted("sync", seen), outer])
    assert is_async(handler)
    assert await handler(held().job) == 8
    assert seen == ["in", "out"]


def test_object_with_an_async_call_is_async() -> None:
    class Mailer:
        async def __call__(self, job: Job) -> None: ...

    assert is_async(Mailer())
    assert not is_async(print)
    assert not is_async(lambda job: None)
