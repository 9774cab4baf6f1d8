"""A project has so many types and no more: a lease looks at each. Types that it has already are never refused."""

import asyncio

import pytest

from aerodash import limits
from aerodash.errors import InvalidInput
from jobs_admin.engine.contract import NewJob, TypeSettings
from jobs_admin.engine.steps import types
from tests.conformance.jobs.conftest import ANN, APP, Queue


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOB_TYPES", 3)


def job(type: str, **options) -> NewJob:
    return NewJob(type=type, payload="{}", payload_bytes=2, **options)


async def fill(queue: Queue) -> None:
    """Two types with jobs, one of them in two lanes, and one with settings only."""
    for type, priority in (("a", 5), ("a", 1), ("b", 5)):
        await queue.enqueue(type, priority=priority)
    await queue.configure("c", concurrency=1)


async def test_a_type_too_many_is_refused_with_all_of_its_call(queue: Queue):
    await fill(queue)
    with pytest.raises(InvalidInput) as caught:
        await queue.engine.enqueue(queue.project, APP, [job("a"), job("d")])
    assert caught.value.reason == "too_many_types"
    assert dict(caught.value.details) == {"reason": "too_many_types", "field": "type", "limit": 3}
    assert "d" in caught.value.message
    assert len(queue.store.jobs(queue.project)) == 3
    assert queue.store.run("SELECT 1 FROM jobs_admin_joblane WHERE type = 'd'") == []


async def test_types_that_are_there_go_on_in_any_priority_and_with_any_settings(
    queue: Queue, elsewhere: Queue
):
    await fill(queue)
    for one in (queue, elsewhere):
        await one.enqueue("a", priority=9)
        await one.enqueue("c")
        await one.configure("b", concurrency=2)
        await one.engine.pause(one.project, ANN, "a", "")


async def test_settings_and_pauses_of_a_type_too_many_are_refused(queue: Queue):
    await fill(queue)
    for refused in (
        queue.engine.configure(queue.project, "d", TypeSettings()),
        queue.engine.pause(queue.project, ANN, "d", ""),
    ):
        with pytest.raises(InvalidInput, match="3 may have jobs or settings") as caught:
            await refused
        assert caught.value.reason == "too_many_types"


async def test_the_types_of_one_call_count_together(queue: Queue):
    with pytest.raises(InvalidInput, match="The type d "):
        await queue.engine.enqueue(queue.project, APP, [job(type) for type in "abcd"])
    assert len(await queue.engine.enqueue(queue.project, APP, [job(type) for type in "abca"])) == 4


async def test_who_comes_at_the_same_time_is_refused_alone(queue: Queue):
    await fill(queue)
    calls = [queue.enqueue(type) for type in ("a", "d", "b", "e", "c")]
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(one, InvalidInput) for one in done] == [False, True, False, True, False]


async def test_other_projects_have_their_own(queue: Queue):
    await fill(queue)
    queue.project = queue.store.new_project()
    await queue.enqueue("d")


async def test_a_full_project_is_counted_anew_after_a_while_only(queue: Queue, monkeypatch):
    await fill(queue)
    for _ in range(2):
        with pytest.raises(InvalidInput):
            await queue.enqueue("d")
    queue.store.run("DELETE FROM jobs_admin_jobtype WHERE name = 'c'")
    monkeypatch.setattr(types, "FULL_KNOWN_S", 0)
    await queue.enqueue("d")
