"""Long work: started, done in steps by the keeper, stopped, gone on with after a kill, in turns with others."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from aerodash import database, engines, operations
from aerodash.auth import Actor, Scope
from aerodash.errors import EngineDown, InvalidInput, NotAllowed
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, Project
from aerodash.models import Operation as Row
from aerodash.operations import keeper, kinds, store
from aerodash.operations.keeper import Runner
from aerodash.operations.kinds import Json, Kind, Step, Words
from aerodash.operations.record import Operation

AWAY = "Valkey cannot be reached."


@dataclass
class Counting:
    """Work whose every step counts one, up to `total`; at place 1 there is nothing to do.

    away_at: the place where its store is away. fault: what its next step raises. steps: (project, place) of each done.
    """

    name: str
    total: int = 5
    away_at: int | None = None
    fault: Exception | None = None
    steps: list[tuple[ProjectId, int]] = field(default_factory=list)
    told: int = 0

    async def step(self, project: ProjectId, params: Json, cursor: Json | None) -> Step:
        place = 0 if cursor is None else int(str(cursor["place"]))
        if place == self.away_at:
            raise EngineDown(AWAY)
        if self.fault is not None:
            raise self.fault
        self.steps.append((project, place))
        skipped = int(place == 1)
        following = {"place": place + 1} if place + 1 < self.total else None
        return Step(following, done=1 - skipped, skipped=skipped, result={"last": place})

    def tell(self, project: ProjectId, params: Json) -> None:
        self.told += 1


@pytest.fixture
def counting(project) -> Iterator[Counting]:
    kind = Counting(f"test.{project.slug}")
    kinds.register(
        Kind(
            kind.name, Scope.CACHE_WRITE, Scope.CACHE_READ, "thing", kind.step,
            lambda params: Words("Counting", "Counted", "things"), kind.tell,
        )
    )  # fmt: skip
    yield kind
    kinds.forget(kind.name)


@pytest.fixture(autouse=True)
def _nothing_is_open():
    """What other tests left open would be worked on here too."""
    # One by one: a keeper of the test before may still write its own.
    for open_one in Row.objects.filter(state__in=Row.OPEN):
        mine = Row.objects.filter(pk=open_one.pk, state__in=Row.OPEN)
        mine.update(state=Row.State.CANCELLED, ended_at=timezone.now())


@pytest.fixture
async def runs(monkeypatch) -> AsyncIterator[Callable[[Runner], asyncio.Future[None]]]:
    """runs(runner): work with it again and again, as the keeper does; cut off at the latest when the test ends."""
    monkeypatch.setattr(keeper, "HELD_UP_S", 0.05)
    monkeypatch.setattr(keeper, "HELD_UP_AT_MOST_S", 0.1)
    started: list[asyncio.Future[None]] = []

    async def forever(runner: Runner) -> None:
        while True:
            await runner.run()
            await asyncio.sleep(0.01)

    def run(runner: Runner) -> asyncio.Future[None]:
        started.append(asyncio.wrap_future(engines.submit(forever(runner))))
        return started[-1]

    yield run
    for future in started:
        await cut_off(future)


async def cut_off(future: asyncio.Future[None]) -> None:
    future.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await future


async def start(project: ProjectId, actor: Actor, counting: Counting) -> Operation:
    return await operations.start(
        project, actor, kind=counting.name, params={}, total=counting.total, is_exact=True
    )


async def seen(one: Operation) -> Operation:
    found = await database.ask(store.find)(one.project, one.id, [one.kind])
    assert found is not None
    return found


async def until(one: Operation, condition: Callable[[Operation], bool], within_s: float = 20) -> Operation:
    deadline = time.monotonic() + within_s
    while not condition(found := await seen(one)):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)
    return found


async def has_ended(one: Operation) -> Operation:
    return await until(one, lambda found: not found.is_open)


async def audited(project: ProjectId) -> list[tuple[str, str, str]]:
    def read() -> list[tuple[str, str, str]]:
        lines = AuditEntry.objects.filter(project_id=project).order_by("id")
        return [(line.verb, line.target, line.details.get("reason", "")) for line in lines]

    return await database.ask(read)()


async def test_work_is_done_in_steps_and_told(project_id, actor, counting, runs):
    started = await operations.start(
        project_id, actor, kind=counting.name, params={"key": "a\0é"}, total=5, is_exact=False, reason="why"
    )
    assert (started.state, started.params, started.total_is_exact) == ("waiting", {"key": "a\0é"}, False)
    runs(Runner())
    ended = await has_ended(started)
    assert (ended.state, ended.done, ended.skipped, ended.done_is_exact) == ("done", 4, 1, True)
    assert ended.result == {"last": 4}
    assert counting.steps == [(project_id, place) for place in range(5)]
    assert ended.started_at
    assert ended.ended_at
    assert counting.told
    assert await audited(project_id) == [(f"{counting.name}.start", str(started.id), "why")]


async def test_after_a_kill_the_next_keeper_goes_on_where_the_last_had_written(
    project_id, actor, counting, runs, monkeypatch
):
    counting.away_at = 2
    started = await start(project_id, actor, counting)
    killed = runs(Runner())
    await until(started, lambda one: one.done + one.skipped == 2)
    monkeypatch.setattr(store, "put_down", _nothing)  # kill -9 lets nobody write
    await cut_off(killed)
    counting.away_at = None
    assert (await seen(started)).state == "running"
    runs(Runner())
    ended = await has_ended(started)
    assert (ended.state, ended.done, ended.skipped, ended.turn) == ("done", 4, 1, 2)
    assert ended.done_is_exact is False, "what the killed one did after it last wrote is not counted"
    assert [place for _, place in counting.steps] == [0, 1, 2, 3, 4]


def _nothing(left: object) -> None:
    pass


async def test_a_keeper_that_ends_puts_its_work_down_and_nothing_is_uncounted(
    project_id, actor, counting, monkeypatch
):
    counting.total = 1_000_000
    started = await start(project_id, actor, counting)
    first = asyncio.ensure_future(Runner().run())
    await until(started, lambda one: one.done > 0)
    await cut_off(first)
    put_down = await until(started, lambda one: one.state == "waiting")
    assert put_down.done + put_down.skipped == len(counting.steps)
    counting.total = len(counting.steps) + 1
    await Runner().run()
    ended = await seen(started)
    assert (ended.state, ended.done_is_exact) == ("done", True)
    assert ended.done + ended.skipped == len(counting.steps) == counting.total


async def test_one_that_was_cut_off_unnoticed_writes_no_more(project_id, actor, counting):
    started = await start(project_id, actor, counting)
    [late] = await database.ask(store.take)([started])
    [mine] = await database.ask(store.take)([late])
    assert await database.ask(store.take)([late]) == [], "of two that take it up one gets it"
    moved = late.after({"place": 9}, done=9, skipped=0, result={})
    assert await database.ask(store.write)([moved]) == {}
    assert await database.ask(store.end)(moved, Row.State.DONE) is False
    await database.ask(store.put_down)([moved])
    assert await seen(started) == mine


async def test_work_that_was_taken_over_is_dropped(project_id, actor, counting, runs):
    counting.total = 1_000_000
    started = await start(project_id, actor, counting)
    runs(Runner())
    running = await until(started, lambda one: one.done > 0)
    taken = await database.ask(store.take)([running])
    assert [one.turn for one in taken] == [2]
    # The same process may take it up again, but never goes on with the turn that it lost.
    again = await until(started, lambda one: one.turn == 3 and one.done > running.done)
    assert again.done_is_exact is False


async def test_cancel_stops_it_and_keeps_what_is_done(project_id, actor, counting, runs):
    counting.total = 1_000_000
    started = await start(project_id, actor, counting)
    runs(Runner())
    await until(started, lambda one: one.done > 0)
    asked = await operations.cancel(project_id, actor, id=str(started.id), reason="wrong one")
    assert asked
    assert asked.cancel_requested_by == "key test"
    ended = await has_ended(started)
    assert (ended.state, ended.cancel_requested_by) == ("cancelled", "key test")
    assert ended.done + ended.skipped == len(counting.steps) < counting.total
    assert [(verb, reason) for verb, _, reason in await audited(project_id)] == [
        (f"{counting.name}.start", ""), (f"{counting.name}.cancel", "wrong one"),
    ]  # fmt: skip
    again = await operations.cancel(project_id, actor, id=str(started.id))
    assert again == ended
    assert len(await audited(project_id)) == 2


async def test_cancel_of_what_nobody_has_begun_ends_it_at_once(project_id, actor, counting, runs):
    started = await start(project_id, actor, counting)
    ended = await operations.cancel(project_id, actor, id=str(started.id))
    assert ended
    assert (ended.state, ended.is_open) == ("cancelled", False)
    assert ended.ended_at
    later = await start(project_id, actor, counting)
    runs(Runner())
    await has_ended(later)
    assert len(counting.steps) == counting.total, "only the later one was worked on"


async def test_cancel_of_what_a_killed_keeper_left_is_heard_by_the_next(project_id, actor, counting, runs):
    started = await start(project_id, actor, counting)
    await database.ask(store.take)([started])
    await operations.cancel(project_id, actor, id=str(started.id))
    runs(Runner())
    assert (await has_ended(started)).state == "cancelled"
    assert counting.steps == []


async def test_two_take_turns(project_id, actor, counting, runs):
    counting.total = 60
    other = ProjectId(
        (await database.ask(Project.objects.create)(slug=f"{counting.name[5:]}-b", name="B")).pk
    )
    first = await start(project_id, actor, counting)
    second = await start(other, actor, counting)
    runs(Runner())
    await has_ended(first)
    await has_ended(second)
    order = [project for project, _ in counting.steps]
    assert len(order) == 120
    assert order[:100:2] == [order[0]] * 50
    assert order[1:100:2] == [order[1]] * 50
    assert {order[0], order[1]} == {project_id, other}


async def test_one_project_with_much_to_do_leaves_room_for_others(project_id, actor, counting, runs):
    counting.total = 1_000_000
    other = ProjectId(
        (await database.ask(Project.objects.create)(slug=f"{counting.name[5:]}-b", name="B")).pk
    )
    greedy = [await start(project_id, actor, counting) for _ in range(keeper.AT_ONCE_A_PROJECT + 1)]
    modest = await start(other, actor, counting)
    runs(Runner())
    await until(modest, lambda one: one.done > 0)
    assert (await seen(greedy[-1])).state == "waiting"
    assert {(await seen(one)).state for one in greedy[:-1]} == {"running"}


async def test_while_its_store_is_away_it_waits_and_then_goes_on(project_id, actor, counting, runs):
    counting.away_at = 3
    started = await start(project_id, actor, counting)
    runs(Runner())
    held_up = await until(started, lambda one: bool(one.error))
    assert (held_up.state, held_up.error, held_up.done) == ("running", AWAY, 2)
    counting.away_at = None
    ended = await has_ended(started)
    assert (ended.state, ended.error, ended.done) == ("done", "", 4)
    assert ended.done_is_exact is False, "a step whose reply was lost may have been done"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (InvalidInput("The prefix is none."), "The prefix is none."),
        (
            ZeroDivisionError("secret"),
            "It failed for a reason that is in the keeper's log (ZeroDivisionError).",
        ),
    ],
)
async def test_a_fault_ends_it_and_says_why(project_id, actor, counting, runs, fault, sentence):
    counting.fault = fault
    started = await start(project_id, actor, counting)
    runs(Runner())
    ended = await has_ended(started)
    assert (ended.state, ended.error) == ("failed", sentence)


async def test_the_database_away_loses_no_work(project_id, actor, counting, monkeypatch):
    started = await start(project_id, actor, counting)
    runner = Runner()
    with monkeypatch.context() as patch:
        patch.setattr(store, "end", _no_database)
        with pytest.raises(DatabaseError):
            await runner.run()
    await runner.run()
    ended = await seen(started)
    assert (ended.state, ended.done, ended.done_is_exact) == ("done", 4, True)
    assert len(counting.steps) == counting.total, "no step was done again"


def _no_database(*_: object) -> None:
    raise DatabaseError("the database is away")


async def test_a_kind_that_this_version_does_not_know_is_left_alone(project_id, actor, counting, runs):
    started = await start(project_id, actor, counting)
    await database.ask(Row.objects.filter(pk=started.id).update)(kind="from.tomorrow")
    known = await start(project_id, actor, counting)
    runs(Runner())
    await has_ended(known)
    row = await database.ask(Row.objects.get)(pk=started.id)
    assert (row.state, row.turn) == ("waiting", 0)


async def test_rights_are_the_kinds_own(project_id, actor, reader, counting):
    nobody = Actor(kind="key", id="3", label="key flags", scopes=frozenset({Scope.FLAGS_READ}))
    with pytest.raises(NotAllowed):
        await start(project_id, reader, counting)
    started = await start(project_id, actor, counting)
    with pytest.raises(NotAllowed):
        await operations.cancel(project_id, reader, id=str(started.id))
    assert await operations.get(project_id, reader, id=str(started.id)) == await seen(started)
    assert await operations.get(project_id, nobody, id=str(started.id)) is None
    assert await operations.cancel(project_id, nobody, id=str(started.id)) is None
    assert (await operations.list_page(project_id, nobody))[0] == []
    elsewhere = ProjectId(project_id + 1_000_000)
    assert await operations.get(elsewhere, actor, id=str(started.id)) is None
    assert await operations.cancel(elsewhere, actor, id=str(started.id)) is None
    assert (await seen(started)).cancel_requested_at is None


async def test_a_project_can_have_so_many_open(project_id, actor, counting, monkeypatch):
    monkeypatch.setattr(operations, "OPEN_AT_MOST", 2)
    await start(project_id, actor, counting)
    await start(project_id, actor, counting)
    with pytest.raises(EngineDown) as refused:
        await start(project_id, actor, counting)
    assert refused.value.reason == "overloaded"


async def test_pages_of_the_list_are_newest_first(project_id, actor, counting):
    started = [await start(project_id, actor, counting) for _ in range(5)]
    await operations.cancel(project_id, actor, id=str(started[0].id))
    first, cursor = await operations.list_page(project_id, actor, limit=3)
    rest, end = await operations.list_page(project_id, actor, limit=3, cursor=cursor)
    assert [one.id for one in (*first, *rest)] == [one.id for one in reversed(started)]
    assert end is None
    stopped, _ = await operations.list_page(project_id, actor, states=["cancelled"])
    assert [one.id for one in stopped] == [started[0].id]
    with pytest.raises(InvalidInput):
        await operations.list_page(project_id, actor, cursor="x")


async def test_who_waits_for_one_that_does_not_move_is_told_its_id(project_id, actor, counting, monkeypatch):
    monkeypatch.setattr(operations, "PATIENCE_S", 0.3)
    started = await start(project_id, actor, counting)
    with pytest.raises(EngineDown) as told:
        await operations.ended(project_id, started)
    assert told.value.details == {
        "reason": "operation_unfinished", "operationId": str(started.id), "state": "waiting",
    }  # fmt: skip


async def test_who_waits_is_answered_before_the_process_ends(project_id, actor, counting):
    started = await start(project_id, actor, counting)
    waits = operations.Waits()
    with engines.replaced(operations.ENGINE, waits):
        waiting = asyncio.ensure_future(operations.ended(project_id, started))
        await asyncio.sleep(0)
        await waits.drain()
        with pytest.raises(EngineDown) as told:
            await waiting
    assert told.value.details["operationId"] == str(started.id)


async def test_what_ended_long_ago_is_forgotten(project_id, actor, counting):
    old, kept, open_still = [await start(project_id, actor, counting) for _ in range(3)]
    for one in (old, kept):
        await operations.cancel(project_id, actor, id=str(one.id))
    long_ago = timezone.now() - timedelta(days=keeper.KEPT_DAYS, hours=1)
    await database.ask(Row.objects.filter(pk=old.id).update)(ended_at=long_ago)
    await keeper.prune()
    found, _ = await operations.list_page(project_id, actor)
    assert [one.id for one in found] == [open_still.id, kept.id]
