"""One look at something for all who want to see it at once, and an end to waiting for a store that does not answer.

Looks of one key follow each other; those that ask while one is under way share the next. So many pages that are
opened at once cost the database what one costs, and a store that hangs gathers no pile of questions.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from django.db import DatabaseError

from aerodash import engines
from aerodash.console.access import database_away
from aerodash.errors import EngineDown

KEPT = 512
PATIENCE_S = 2.0
"""How long a page waits for a look before it does without."""

type Look[T] = Callable[[], Awaitable[T]]


class _Seen:
    """The looks of one key. running: the last that has begun. next: the one that waits for it."""

    def __init__(self) -> None:
        self.began_at = float("-inf")
        self.running: asyncio.Task[Any] | None = None
        self.next: asyncio.Task[Any] | None = None


_kept: OrderedDict[Hashable, _Seen] = OrderedDict()


@engines.on_engine_loop
async def see[T](
    key: Hashable, look: Look[T], *, since: float, what: str, patience_s: float | None = None
) -> T:
    """What look() finds, begun after `since` (time.monotonic()) by this caller or by another one.

    what: who is asked, for the sentence of a failure. patience_s: None for PATIENCE_S. Raises EngineDown when that one
    is away or does not answer in time, and whatever else look() raises.
    """
    patience_s = PATIENCE_S if patience_s is None else patience_s
    seen = _of(key)
    if seen.running is not None and seen.began_at >= since:
        task = seen.running
    else:
        if seen.next is None:
            seen.next = asyncio.create_task(_next(seen, look))
            seen.next.add_done_callback(_note)
        task = seen.next
    try:
        async with asyncio.timeout(patience_s):
            found: T = await asyncio.shield(task)
            return found
    except TimeoutError:
        raise EngineDown(f"{what} did not answer within {patience_s:g} s.") from None
    except DatabaseError as exc:
        raise database_away(exc) from exc


async def _next[T](seen: _Seen, look: Look[T]) -> T:
    if seen.running is not None:
        await asyncio.wait([seen.running])
    seen.began_at = time.monotonic()
    seen.running, seen.next = seen.next, None
    return await look()


def _of(key: Hashable) -> _Seen:
    seen = _kept.setdefault(key, _Seen())
    _kept.move_to_end(key)
    if len(_kept) > KEPT:
        _kept.popitem(last=False)
    return seen


def _note(task: asyncio.Task[Any]) -> None:
    """Take note of a failure that nobody waits for any more: it was said to those who did."""
    if not task.cancelled():
        task.exception()
