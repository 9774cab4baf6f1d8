"""Real keepers in processes of their own: one is killed in the middle of long work, another goes on with it."""

import itertools
import time
from collections.abc import Callable

from aerodash import engines
from aerodash.models import Operation as Row
from cache_admin import bulk, flushes, queries, services
from cache_admin.bulk import Change, Rule

KEYS = 60_000
EXTENDED_KEYS = 15_000
PATIENCE_S = 60.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_flush_whose_keeper_is_killed_is_ended_by_the_next(project_id, actor, start_keeper):
    entries = ((f"s:{n:06}", b"1", None, None) for n in range(KEYS))
    for chunk in itertools.batched(entries, 1000):
        engines.run(services.set_many(project_id, actor, entries=chunk))
    wanted = engines.run(bulk.measure(project_id, actor, prefix="s:"))
    started = engines.run(flushes.start(project_id, actor, wanted=wanted))
    engines.run(services.set_entry(project_id, actor, key=f"s:{KEYS - 1:06}", value=b'"later"'))
    row = Row.objects.filter(pk=started.id)

    killed = start_keeper()
    wait_for(lambda: row.get().done > 0)
    killed.kill()
    killed.wait()
    left = row.get()
    assert (left.state, left.turn) == ("running", 1)
    assert 0 < left.done < KEYS

    start_keeper()
    wait_for(lambda: row.get().state == "done")
    ended = row.get()
    assert (ended.turn, ended.skipped, ended.done_is_exact) == (2, 1, False)
    assert left.done < ended.done <= KEYS - 1
    page = engines.run(queries.list_keys(project_id, actor, prefix="s:"))
    assert page.keys == (f"s:{KEYS - 1:06}",)


def test_an_extension_whose_keeper_is_killed_extends_each_entry_once(project_id, actor, start_keeper):
    entries = ((f"s:{n:06}", b"1", 60_000, None) for n in range(EXTENDED_KEYS))
    for chunk in itertools.batched(entries, 1000):
        engines.run(services.set_many(project_id, actor, entries=chunk))
    before = expiries(project_id)
    rule = Rule(Change.EXTEND, ttl_s=1000)
    wanted = engines.run(bulk.measure(project_id, actor, prefix="s:"))
    started = engines.run(bulk.start(project_id, actor, wanted=wanted, rule=rule))
    row = Row.objects.filter(pk=started.id)

    killed = start_keeper()
    wait_for(lambda: row.get().done > 0)
    killed.kill()
    killed.wait()
    start_keeper()
    wait_for(lambda: row.get().state == "done")
    ended = row.get()
    assert ended.turn == 2
    assert ended.done + ended.skipped <= EXTENDED_KEYS
    assert expiries(project_id) == {key: at + 1_000_000 for key, at in before.items()}


def expiries(project_id) -> dict[str, int]:
    """Key → when it expires, of all."""

    async def read() -> dict[str, int]:
        found, after = {}, None
        while True:
            step = await engines.get("cache").read_step(
                project_id, "s:", after=after, limit=1000, size_bytes=10_000_000
            )
            found |= {entry.key: entry.expires_at_ms for entry in step.entries}
            after = step.last
            if after is None:
                return found

    return engines.run(read())
