"""What this process counted, and the little table that it is put into every two seconds for the keeper.

Counting takes no statement and no lock: it is called on the engine loop after the commits that it is about. A process
that is killed loses its last two seconds. A database that takes nothing makes nobody wait: figures are kept, up to a
bound, and sent with the next ones.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence

from django.db import Error

from aerodash.ids import ProjectId
from aerodash.rollups.cells import Cell
from aerodash.rollups.metrics import OTHER
from aerodash.rollups.steps import FINEST_S

ENGINE = "rollups"
FLUSH_S = 2.0
CELLS_MOST = 20_000
"""Cells that are kept: above it labels are put together as OTHER, and above twice as many the oldest are given up."""
CELLS_IN_DELTA = 200

type Key = tuple[ProjectId, str, str, int]
"""Project, metric, label, and the second at which the bucket begins."""
type Delta = tuple[ProjectId, str]
"""A row of RollupDelta."""
type Send = Callable[[Sequence[Delta]], Awaitable[None]]

log = logging.getLogger("aerodash.rollups")


class Tally:
    """An engine of this process (aerodash.engines), which lives on the engine loop."""

    def __init__(self, send: Send, *, flush_s: float = FLUSH_S, cells_most: int = CELLS_MOST) -> None:
        """send: adds all these rows or none; django.db.Error means that they are to be sent again."""
        self._send = send
        self._flush_s = flush_s
        self._cells_most = cells_most
        self._cells: dict[Key, Cell] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._fails = False

    async def open(self) -> None:
        pass

    async def drain(self) -> None:
        pass

    async def check(self) -> None:
        """Figures that wait make nothing unready."""

    async def close(self) -> None:
        """Send what is left, if the database takes it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is not None:
            await self._sending
        await self.flush()
        if self._cells:
            log.warning("%d figures of this process's last seconds are lost", len(self._cells))

    def cell(self, project: ProjectId, metric: str, label: str, at_ms: int) -> Cell:
        """What is counted of this at that instant. The caller adds to it at once, and keeps it no longer."""
        key = (project, metric, label, at_ms // (FINEST_S * 1000) * FINEST_S)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._new(key)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._flush_s, self._turn)
        return cell

    async def flush(self) -> None:
        """Send what was counted so far; what cannot be sent is kept."""
        cells, self._cells = self._cells, {}
        if not cells:
            return
        try:
            await self._send(deltas_of(cells))
        except Error as exc:
            self._keep(cells)
            if not self._fails:
                log.warning("the database does not take this process's figures, which are kept: %s", exc)
            self._fails = True
        else:
            self._fails = False

    def _turn(self) -> None:
        """One flush at a time; the next begins flush_s after the last has ended."""
        self._sending = asyncio.get_running_loop().create_task(self._flush_and_rest())

    async def _flush_and_rest(self) -> None:
        try:
            await self.flush()
        finally:
            self._timer, self._sending = None, None
            if self._cells:
                self._timer = asyncio.get_running_loop().call_later(self._flush_s, self._turn)

    def _keep(self, cells: dict[Key, Cell]) -> None:
        for key, cell in cells.items():
            (self._cells.get(key) or self._new(key)).add(cell)

    def _new(self, key: Key) -> Cell:
        """A cell that was not there, unless there are too many."""
        if len(self._cells) >= self._cells_most:
            project, metric, _, at_s = key
            key = (project, metric, OTHER, at_s)
            if len(self._cells) >= 2 * self._cells_most and key not in self._cells:
                self._give_up_oldest()
        return self._cells.setdefault(key, Cell())

    def _give_up_oldest(self) -> None:
        oldest = min(at_s for _, _, _, at_s in self._cells)
        lost = [key for key in self._cells if key[3] == oldest]
        for key in lost:
            del self._cells[key]
        log.warning("%d figures are lost: the database has taken none for too long", len(lost))


def deltas_of(cells: dict[Key, Cell]) -> list[Delta]:
    """Rows of bounded size, each of one project."""
    by_project: dict[ProjectId, list[object]] = {}
    for (project, metric, label, at_s), cell in cells.items():
        figures = [metric, label, at_s, cell.count, cell.total, cell.least, cell.most, cell.times]
        by_project.setdefault(project, []).append(figures)
    return [
        (project, json.dumps(figures[start : start + CELLS_IN_DELTA], separators=(",", ":")))
        for project, figures in by_project.items()
        for start in range(0, len(figures), CELLS_IN_DELTA)
    ]


def cells_of(project: ProjectId, text: str) -> list[tuple[Key, Cell]]:
    """The cells of a row. Raises ValueError for text that is not ours."""
    try:
        return [
            (
                (project, str(metric), str(label), int(at_s)),
                Cell(int(count), float(total), least, most, {int(where): n for where, n in times.items()}),
            )
            for metric, label, at_s, count, total, least, most, times in json.loads(text)
        ]
    except (TypeError, AttributeError) as exc:
        raise ValueError(f"These are no figures: {exc}") from exc
