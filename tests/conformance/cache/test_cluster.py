"""A cluster whose slots move and whose nodes die, while callers use it."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.crc import key_slot

from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from cache_admin.engine.contract import Give, NewEntry
from cache_admin.engine.nodes import Nodes
from cache_admin.engine.valkey import ValkeyCache
from tests import cache_servers
from tests.cache_servers import Cluster, Process
from tests.conformance.cache.conftest import new_project

PATIENCE_S = 60


@pytest.fixture
async def engine(cluster: Cluster) -> AsyncIterator[ValkeyCache]:
    async with opened(cluster.url) as engine:
        yield engine


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[ValkeyCache]:
    engine = ValkeyCache(url)
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()


def slot_of(project: ProjectId) -> int:
    return key_slot(b"%d" % project)


def project_on(cluster: Cluster, node: Process) -> ProjectId:
    return next(
        p for p in map(lambda _: new_project(), itertools.count()) if cluster.owner(slot_of(p)) is node
    )


def move_keys(source: Process, target: Process, slot: int) -> int:
    """Move what the slot holds on the source, until nothing is left there; how many keys."""
    moved = 0
    while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 50):
        source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "KEYS", *keys)
        moved += len(keys)
    return moved


class Load:
    """Callers that go on until told to stop; every answer is checked, and no error is taken for an answer."""

    def __init__(self, engine: ValkeyCache, project: ProjectId) -> None:
        self.engine, self.project = engine, project
        self.done = asyncio.Event()
        self.written: dict[str, bytes] = {}
        self.counted = 0
        self.rounds = 0

    async def write(self, name: str) -> None:
        for number in itertools.count():
            if self.done.is_set():
                return
            key, value = f"{name}:{number % 40}", b"%d" % number
            assert (await self.engine.set(self.project, NewEntry(key, value))).done
            self.written[key] = value
            entry = await self.engine.get(self.project, key)
            assert entry is not None
            assert entry.value == value
            assert await self.engine.get(self.project, f"{name}:never") is None
            self.rounds += 1

    async def count(self) -> None:
        while not self.done.is_set():
            answer = await self.engine.increment(self.project, "n", 1)
            self.counted += 1
            assert int(answer.value) == self.counted

    async def look(self) -> None:
        while not self.done.is_set():
            rows = (await self.engine.list(self.project, limit=1000, give=Give.METADATA)).rows
            assert {row.key for row in rows} >= {"still:1", "still:2"}
            entries = await self.engine.get_many(self.project, ["still:1", "absent", "still:2"])
            assert [entry and entry.value for entry in entries] == [b"1", None, b"2"]
            assert (await self.engine.count(self.project, "still:")).number == 2

    async def run(self, meanwhile) -> None:
        await self.engine.set_many(self.project, [NewEntry("still:1", b"1"), NewEntry("still:2", b"2")])
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(self.write(name))
            group.create_task(self.count())
            group.create_task(self.look())
            await self.some_rounds()
            await meanwhile(self)
            await self.some_rounds()
            self.done.set()
        await self.check()

    async def some_rounds(self) -> None:
        until = self.rounds + 150
        while self.rounds < until:  # noqa: ASYNC110 - the rounds are counted by others
            await asyncio.sleep(0.005)

    async def check(self) -> None:
        """Nothing that was acknowledged is lost."""
        entries = await self.engine.get_many(self.project, list(self.written))
        assert [entry and entry.value for entry in entries] == list(self.written.values())
        assert (await self.engine.count(self.project)).number == len(self.written) + 3
        assert int((await self.engine.get(self.project, "n")).value) == self.counted


async def test_a_slot_that_moves_key_by_key_costs_no_error_and_no_write(
    cluster: Cluster, engine: ValkeyCache
):
    source, target = cluster.nodes[0], cluster.nodes[1]
    project = project_on(cluster, source)
    slot = slot_of(project)

    def ask(node: Process, *command: str | int) -> asyncio.Future:
        return asyncio.to_thread(node.ask, *command)

    async def move(load: Load) -> None:
        ids = [await ask(node, "CLUSTER", "MYID") for node in (source, target)]
        await ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        await ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        assert await asyncio.to_thread(move_keys, source, target, slot) > 100
        for node in (target, source, cluster.nodes[2]):
            await ask(node, "CLUSTER", "SETSLOT", slot, "NODE", ids[1])

    await Load(engine, project).run(move)
    assert cluster.owner(slot) is target
    assert source.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 0


async def test_a_slot_that_moves_in_one_piece_costs_no_error_and_no_write(
    cluster: Cluster, engine: ValkeyCache
):
    """Valkey 9's own way, which the guide recommends."""
    source, target = cluster.nodes[1], cluster.nodes[2]
    project = project_on(cluster, source)
    slot = slot_of(project)

    async def move(load: Load) -> None:
        there = await asyncio.to_thread(target.ask, "CLUSTER", "MYID")
        await asyncio.to_thread(
            source.ask, *("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", there)
        )
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(cluster.owner, slot) is not target:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    await Load(engine, project).run(move)


async def test_a_slot_that_stays_between_two_nodes_is_refused_as_busy_and_found_when_it_is_over(
    cluster: Cluster, engine: ValkeyCache, monkeypatch: pytest.MonkeyPatch
):
    source, target = cluster.nodes[2], cluster.nodes[0]
    project = project_on(cluster, source)
    slot = slot_of(project)
    await engine.set(project, NewEntry("k", b"1"))
    ids = [node.ask("CLUSTER", "MYID") for node in (source, target)]
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    source.ask("MIGRATE", "127.0.0.1", target.port, f"{{{project}}}:idx", 0, 10_000)
    monkeypatch.setattr("cache_admin.engine.nodes.HOPS_MAX", 4)
    with pytest.raises(EngineDown) as caught:
        await engine.set(project, NewEntry("k", b"2"))
    assert (caught.value.reason, caught.value.status, caught.value.retry_after_s) == ("busy", 503, 1)
    assert (await engine.get(project, "k")).value == b"1", "one key is on one side"
    move_keys(source, target, slot)
    for node in (target, source):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    assert (await engine.set(project, NewEntry("k", b"3"))).done
    assert (await engine.get(project, "k")).value == b"3"


async def test_one_node_that_answers_is_enough_to_find_the_rest(cluster: Cluster):
    nobody = cache_servers.free_port()
    for url in (cluster.nodes[1].url, f"redis://127.0.0.1:{nobody},{cluster.nodes[2].address}"):
        async with opened(url) as engine:
            async with asyncio.timeout(PATIENCE_S):
                await until_it_answers(engine, new_project())
            for node in cluster.nodes:
                project = project_on(cluster, node)
                first = await engine.set(project, NewEntry("k", b"1"))
                assert (await engine.get(project, "k")).revision == first.revision
            await engine.check()


async def test_a_project_takes_its_epoch_from_its_own_node(cluster: Cluster, engine: ValkeyCache):
    epochs = set()
    for node in cluster.nodes:
        result = await engine.set(project_on(cluster, node), NewEntry("k", b"1"))
        run_id = str(node.ask("INFO", "server")).partition("run_id:")[2][:8]
        assert result.revision.partition(".")[0] == run_id
        epochs.add(run_id)
    assert len(epochs) == 3


async def test_several_servers_that_are_no_cluster_are_refused(tmp_path):
    with cache_servers.valkey() as one, cache_servers.valkey() as two:
        async with opened(f"redis://{one.address},{two.address}") as engine, asyncio.timeout(PATIENCE_S):
            while True:
                with pytest.raises(EngineDown) as caught:
                    await engine.get(ProjectId(1), "k")
                if "no cluster" in caught.value.message:
                    break


@pytest.fixture
def mortal() -> Iterator[Cluster]:
    """A cluster of our own, of which the first node has a replica and is given up after a second of silence."""
    with cache_servers.cluster(replicas=1, timeout_ms=1000) as cluster:
        yield cluster


async def test_a_killed_primary_is_replaced_by_its_replica_and_a_killed_node_by_its_restart(mortal: Cluster):
    first, second = mortal.nodes[0], mortal.nodes[1]
    projects = {node: project_on(mortal, node) for node in mortal.nodes[:3]}
    async with opened(mortal.url) as engine:
        before = {}
        for node, project in projects.items():
            before[node] = await engine.set(project, NewEntry("k", b"1"))
        first.ask("WAIT", 1, 10_000)
        first.kill()
        refusal = await until_it_is_refused(engine, projects[first])
        assert (refusal.status, refusal.retry_after_s) == (503, 1)
        async with asyncio.timeout(PATIENCE_S):
            assert (await until_it_answers(engine, projects[first])).value == b"1"
            while True:
                with contextlib.suppress(EngineDown):
                    again = await engine.set(projects[first], NewEntry("k", b"2"))
                    break
                await asyncio.sleep(0.02)
        assert again.done
        assert again.revision.partition(".")[0] != before[first].revision.partition(".")[0], (
            "a run of its own"
        )

        second.kill()
        await until_it_is_refused(engine, projects[second])
        second.start()
        async with asyncio.timeout(PATIENCE_S):
            assert (await until_it_answers(engine, projects[second])).value == b"1"
            while True:
                with contextlib.suppress(EngineDown):
                    await engine.check()
                    break
                await asyncio.sleep(0.02)


async def test_closing_leaves_no_task_and_answers_what_is_queued(cluster: Cluster):
    before = asyncio.all_tasks()
    engine = ValkeyCache(cluster.url)
    await engine.open()
    project = new_project()
    await until_it_answers(engine, project)
    writes = [asyncio.create_task(engine.set(project, NewEntry(f"k{i}", b"1"))) for i in range(50)]
    await asyncio.sleep(0)
    await engine.close()
    assert all(result.done for result in await asyncio.gather(*writes))
    assert asyncio.all_tasks() == before
    with pytest.raises(EngineDown):
        await engine.get(project, "k1")


async def test_closing_hangs_up_on_a_node_that_it_heard_of_meanwhile(cluster: Cluster, monkeypatch):
    monkeypatch.setattr(Nodes, "_take_map", lambda *_: None)
    before = asyncio.all_tasks()
    nodes = Nodes(cluster.nodes[0].url)
    await nodes.open()
    async with asyncio.timeout(PATIENCE_S):
        while not nodes.is_up:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
    elsewhere = project_on(cluster, cluster.nodes[1])
    read = asyncio.create_task(nodes.command("GET", b"{%d}:v:k" % elsewhere))
    await asyncio.sleep(0)
    await nodes.close()
    assert await read is None
    assert not nodes.is_up
    assert asyncio.all_tasks() == before


async def test_a_single_server_is_seen_to_be_none(tmp_path):
    with cache_servers.valkey() as server:
        nodes = Nodes(server.url)
        await nodes.open()
        assert await nodes.command("GET", "k") is None
        assert not nodes.is_cluster
        await nodes.close()


async def until_it_answers(engine: ValkeyCache, project: ProjectId):
    while True:
        try:
            return await engine.get(project, "k")
        except EngineDown:
            await asyncio.sleep(0.02)


async def until_it_is_refused(engine: ValkeyCache, project: ProjectId) -> EngineDown:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await engine.get(project, "k")
            except EngineDown as exc:
                return exc
