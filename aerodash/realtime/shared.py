"""Figures that several open pages need after the same change, asked for once in this process."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

KEYS_MAX = 256

_lock = threading.Lock()
_kept: OrderedDict[Hashable, "_Figure"] = OrderedDict()


class _Figure:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked_at = float("-inf")
        self.value: Any = None


def once[T](key: Hashable, since: float, make: Callable[[], T]) -> T:
    """The value of make(), or what another thread got from it after `since` (time.monotonic()).

    A figure asked for before the change that one wants to show is never given out.
    """
    with _lock:
        figure = _kept.setdefault(key, _Figure())
        _kept.move_to_end(key)
        while len(_kept) > KEYS_MAX:
            _kept.popitem(last=False)
    with figure.lock:
        if figure.asked_at < since:
            asked_at = time.monotonic()
            figure.value = make()
            figure.asked_at = asked_at
        return figure.value
