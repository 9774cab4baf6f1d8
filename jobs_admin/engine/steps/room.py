"""Where the end of a run lets another one start: types that limit how many run at once."""

import time

from jobs_admin.engine.transactions import Transaction

KNOWN_S = 1.0
"""How long an engine goes by what it read of a type. A waiting lease polls as often, so a wake less costs no more."""


def wake(tx: Transaction) -> None:
    """Where this transaction ended runs of a type with such a limit, whoever waits for one may look again."""
    places = sorted(tx.freed)
    known, now = tx.memory.limited, time.monotonic()
    unknown = [place for place in places if place not in known or known[place][1] < now - KNOWN_S]
    rows = [{"project": project, "type": type} for project, type in unknown]
    for place, row in zip(unknown, tx.each("limits", rows), strict=True):
        known[place] = (row is not None, now)
    tx.due.update(project for project, type in places if known[project, type][0])
