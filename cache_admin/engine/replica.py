"""A replica of the store that answers point reads, as long as it is there and not behind what the reader has seen.

Whatever it cannot answer, the primary can: nothing here fails, waits for a lost connection, or is slower than SILENCE_S.
Source: architecture, decision 7; docs/decisions/0014.
"""

from collections.abc import Sequence

from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from cache_admin.engine.contract import ReplicaState
from cache_admin.engine.link import Link
from cache_admin.engine.vitals import fields

SILENCE_S = 0.3
"""After so much silence the reads under way go to the primary, and all others until it answers again."""


class Replica:
    """Two links, as for the primary. Lives on one event loop.

    served, behind, away: how many reads it answered, and left to the primary for which reason.
    """

    def __init__(self, url: str, *, timeout_s: float = SILENCE_S) -> None:
        self._point, self._bulk = (Link(url, timeout_s=timeout_s, scripts=()) for _ in range(2))
        self.served = self.behind = self.away = 0

    async def open(self) -> None:
        await self._point.open()
        await self._bulk.open()

    async def close(self) -> None:
        await self._point.close()
        await self._bulk.close()

    @property
    def is_up(self) -> bool:
        return self._point.is_up

    async def read(
        self,
        project: ProjectId,
        names: Sequence[bytes],
        *,
        rev: bytes,
        epoch: bytes,
        seen: str,
        bulk: bool = False,
    ) -> list[bytes | None] | None:
        """The strings under these names, or None: ask the primary.

        seen: the newest revision that the reader knows, "" if none. What this revision says is read together with the
        strings, in one command, so they are at least as new as it. rev, epoch: where the project keeps it.
        """
        link = self._bulk if bulk else self._point
        if not link.is_up:
            self.away += 1
            return None
        try:
            found = await link.read(project, (rev, epoch, *names) if seen else names)
        except EngineDown:
            self.away += 1
            return None
        if seen:
            if not _is_as_new(found[0], found[1], seen):
                self.behind += 1
                return None
            del found[:2]
        self.served += 1
        return found

    async def state(self, primary_offset: int | None) -> ReplicaState:
        """primary_offset: how far the primary's stream of changes has come, None if it did not say."""
        counts = {"served": self.served, "behind": self.behind, "away": self.away}
        if not self.is_up:
            return ReplicaState(answers=False, follows=False, lag_bytes=None, silent_s=None, **counts)
        try:
            said = fields(await self._point.command("INFO", "replication"))
        except EngineDown:
            return ReplicaState(answers=False, follows=False, lag_bytes=None, silent_s=None, **counts)
        offset = said.get("slave_repl_offset")
        lag = max(0, primary_offset - int(offset)) if offset and primary_offset is not None else None
        follows = said.get("master_link_status") == "up"
        silent = said.get("master_last_io_seconds_ago" if follows else "master_link_down_since_seconds", "-1")
        return ReplicaState(
            answers=True,
            follows=follows,
            lag_bytes=lag,
            silent_s=None if int(silent) < 0 else int(silent),
            **counts,
        )


def _is_as_new(n: bytes | None, epoch: bytes | None, seen: str) -> bool:
    """Numbers of two epochs do not compare: the later may have begun before the end of the earlier was copied."""
    seen_epoch, _, seen_n = seen.partition(".")
    if n is None or epoch is None or epoch.decode() != seen_epoch or not _is_number(seen_n):
        return False
    return int(n) >= int(seen_n)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20
