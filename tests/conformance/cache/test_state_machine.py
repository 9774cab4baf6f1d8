"""Random histories of verbs against the model. A failure prints the shortest history that shows it."""

import asyncio
import itertools

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from cache_admin.engine.contract import Give, NewEntry
from cache_admin.engine.valkey import ValkeyCache
from tests.conformance.cache.conftest import Server, new_project, pass_time, until_it_answers
from tests.conformance.cache.model import Model

# Neighbours in byte order of ':', prefixes of each other, and what breaks naive bounds: NUL, two to four byte UTF-8.
KEYS = [
    "a",
    "a:",
    "a:b",
    "a:b:c",
    "a:é",
    "a:😀",
    "a😀",
    "a;",
    "a9",
    "b",
    ":",
    "::x",
    "\x00",
    "é",
    "é:é",
    "\uffff",
    "😀",
    "😀:1",
]
PREFIXES = ["", "a", "a:", "a:b", "a:b:", ":", "\x00", "é", "é:", "\uffff", "😀", "😀:", "none"]
NUMBERS = [b"0", b"-0", b"41", b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808"]

keys = st.sampled_from(KEYS)
prefixes = st.sampled_from(PREFIXES)
values = st.sampled_from([b"null", b'"text"', b'{"a": 1.50}', b"1.0", b"1e3", *NUMBERS])
metadata = st.sampled_from([None, None, b"{}", b'{"m": 1}', b'{"other":"\xc3\xa9"}'])
ttls = st.sampled_from([None, None, 3600, 315_360_000])
amounts = st.sampled_from([1, -1, 0, 5, 2**63 - 1, -(2**63)])
new_entries = st.builds(NewEntry, keys, values, ttls, metadata)


class CacheHistory(RuleBasedStateMachine):
    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.runner = asyncio.Runner()
        self.model = Model()
        self.project = new_project()
        self.run = self.runner.run
        self.run(self.open())
        self.last_n = 0

    async def open(self) -> None:
        self.engine = ValkeyCache(self.server.url)
        await self.engine.open()
        await until_it_answers(self.engine)
        self.store = self.server.client(self.project)

    async def close(self) -> None:
        await self.engine.close()
        await self.store.aclose()

    def teardown(self) -> None:
        self.run(self.close())
        self.runner.close()

    def newer(self, revision: str) -> str:
        """Every write that changed something has a higher number than all before."""
        n = int(revision.partition(".")[2])
        assert n > self.last_n
        self.last_n = n
        return revision

    @rule(
        entry=new_entries,
        keep_ttl=st.booleans(),
        condition=st.sampled_from(["", "", "absent", "present", "right", "wrong"]),
    )
    def set(self, entry: NewEntry, keep_ttl: bool, condition: str) -> None:
        held = self.model.entries.get(entry.key)
        conditions = {
            "if_revision": {"right": held.revision if held else "x.1", "wrong": "x.0"}.get(condition),
            "if_absent": condition == "absent",
            "if_present": condition == "present",
        }
        result = self.run(self.engine.set(self.project, entry, keep_ttl=keep_ttl, **conditions))
        refusal = self.model.refusal(entry.key, **conditions)
        assert (result.done, result.reason) == (refusal is None, refusal)
        if refusal:
            assert result.revision == (held.revision if held else None)
        else:
            self.model.set(entry, keep_ttl=keep_ttl)
            self.model.entries[entry.key].revision = self.newer(result.revision)

    @rule(entries=st.lists(new_entries, min_size=1, max_size=5))
    def set_many(self, entries: list[NewEntry]) -> None:
        revision = self.newer(self.run(self.engine.set_many(self.project, entries)))
        for entry in entries:
            self.model.set(entry)
            self.model.entries[entry.key].revision = revision

    @rule(key=keys, condition=st.sampled_from(["", "", "right", "wrong"]))
    def delete(self, key: str, condition: str) -> None:
        held = self.model.entries.get(key)
        if_revision = {"right": held.revision if held else "x.1", "wrong": "x.0"}.get(condition)
        result = self.run(self.engine.delete(self.project, key, if_revision=if_revision))
        refusal = self.model.refusal(key, if_revision=if_revision, if_absent=False, if_present=False)
        assert (result.done, result.reason) == (refusal is None, refusal)
        assert result.removed == (held is not None and refusal is None)
        if result.removed:
            self.model.delete([key])
            self.newer(result.revision)

    @rule(some=st.lists(keys, min_size=1, max_size=6))
    def delete_many(self, some: list[str]) -> None:
        removed = self.run(self.engine.delete_many(self.project, some))
        assert removed.number == self.model.delete(some)
        if removed.number:
            self.newer(removed.revision)

    @rule(key=keys, ttl_s=ttls)
    def expire(self, key: str, ttl_s: int | None) -> None:
        held = self.model.entries.get(key)
        result = self.run(self.engine.expire(self.project, key, ttl_s))
        assert result.done == (held is not None)
        if held:
            held.ttl_s = ttl_s
            held.revision = self.newer(result.revision)

    @rule(key=keys, amount=amounts, initial_value=amounts, ttl_s=ttls)
    def increment(self, key: str, amount: int, initial_value: int, ttl_s: int | None) -> None:
        result = self.run(
            self.engine.increment(self.project, key, amount, initial_value=initial_value, ttl_s=ttl_s)
        )
        assert (result.value or result.reason) == self.model.increment(key, amount, initial_value, ttl_s)
        if result.value:
            self.model.entries[key].revision = self.newer(result.revision)

    @rule(prefix=prefixes)
    def flush(self, prefix: str) -> None:
        removed = self.run(self.engine.flush(self.project, prefix))
        assert removed.number == self.model.delete(self.model.keys(prefix))
        if removed.number:
            self.newer(removed.revision)

    @rule(some=st.frozensets(keys))
    def time_passes(self, some: frozenset[str]) -> None:
        over = tuple(k for k in some if k in self.model.entries and self.model.entries[k].ttl_s)
        if over:
            self.run(pass_time(self.store, self.project, over))
            self.model.delete(list(over))

    @rule()
    def purge(self) -> None:
        assert self.run(self.engine.purge(self.project, budget_s=1))

    @rule(prefix=prefixes, limit=st.integers(1, 4), down=st.booleans(), give=st.sampled_from(Give))
    def list_in_pages(self, prefix: str, limit: int, down: bool, give: Give) -> None:
        rows, after = [], None
        for _ in itertools.count():
            page = self.run(
                self.engine.list(self.project, prefix=prefix, after=after, limit=limit, give=give, down=down)
            )
            rows += page.rows
            if not page.more:
                break
            after = page.rows[-1].key
        expected = self.model.keys(prefix)
        assert [row.key for row in rows] == (expected[::-1] if down else expected)
        for row in rows if give is not Give.KEYS else []:
            held = self.model.entries[row.key]
            assert (row.metadata, row.revision) == (held.metadata, held.revision)
            if give is Give.PREVIEW:
                assert row.preview == held.value[:200]
                assert row.size_bytes == len(held.value) + len(held.metadata or b"")

    @rule(prefix=prefixes, limit=st.integers(1, 4))
    def tree_in_pages(self, prefix: str, limit: int) -> None:
        folders, loose, after = [], [], None
        for _ in itertools.count():
            level = self.run(self.engine.tree(self.project, prefix=prefix, after=after, limit=limit))
            folders += [(folder.prefix, folder.count) for folder in level.folders]
            loose += level.keys
            assert (level.total.number, level.total.exact) == (len(self.model.keys(prefix)), True)
            if level.last is None:
                break
            after = level.last
        assert (folders, loose) == self.model.tree(prefix)

    @rule(prefix=prefixes)
    def count(self, prefix: str) -> None:
        count = self.run(self.engine.count(self.project, prefix))
        assert (count.number, count.exact) == (len(self.model.keys(prefix)), True)

    @invariant()
    def entries_are_the_models(self) -> None:
        before = self.run(self.engine.now_ms())
        entries = self.run(self.engine.get_many(self.project, KEYS))
        for key, entry in zip(KEYS, entries, strict=True):
            held = self.model.entries.get(key)
            assert (entry is None) == (held is None)
            if entry and held:
                assert (entry.value, entry.metadata, entry.revision) == (
                    held.value,
                    held.metadata,
                    held.revision,
                )
                assert (entry.expires_at_ms is None) == (held.ttl_s is None)
                if entry.expires_at_ms is not None:
                    assert before - 60_000 < entry.expires_at_ms - held.ttl_s * 1000 <= before + 1000


def test_every_history_is_the_models(server: Server):
    run_state_machine_as_test(
        lambda: CacheHistory(server),
        settings=hypothesis_settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
