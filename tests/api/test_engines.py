"""The engine loop's own rules, on the engines that really run."""

import asyncio

import pytest

from aerodash import engines
from aerodash.errors import EngineDown


async def _answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_submit_gives_a_future_that_any_thread_can_wait_for() -> None:
    assert engines.submit(_answer()).result(timeout=60) == 42
    assert engines.run(_answer()) == 42


async def test_run_on_the_engine_loop_itself_is_refused_rather_than_stuck() -> None:
    async def wait_for_itself() -> None:
        engines.run(_answer())

    with pytest.raises(RuntimeError, match="wait for itself"):
        await asyncio.wrap_future(engines.submit(wait_for_itself()))


@pytest.mark.parametrize("name", ["cache", "jobs", "jobs-reader", "feed"])
def test_every_engine_can_be_checked_and_told_to_drain(name: str) -> None:
    engines.start()
    engine = engines.get(name)
    engines.run(engine.check())
    assert asyncio.iscoroutinefunction(engine.drain)


def test_a_replaced_engine_is_back_afterwards_also_after_a_failure() -> None:
    engines.start()
    here, other = engines.get("cache"), engines.get("jobs")
    with pytest.raises(EngineDown), engines.replaced("cache", other):
        engines.get("nobody")
    assert engines.get("cache") is here
    with engines.replaced("cache", other):
        assert engines.get("cache") is other
    with engines.replaced("cache", None), pytest.raises(EngineDown):
        engines.get("cache")
    assert engines.get("cache") is here
    with engines.replaced("nobody", other):
        assert engines.get("nobody") is other
    assert "nobody" not in engines.names()
