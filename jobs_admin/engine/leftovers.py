"""What jobs leave behind when they have gone, and how long it is kept: lanes, counters, workers, batches.

forget: Forget -> bool, whether there is more to look at. A walk over all of them in stretches; part of the engines'
contract, as batches.py is.

A lane goes once its type has had no job for long. A lease must never miss a job because its lane was just removed, and
every process remembers lanes that are there, to enqueue without a look at them. So each enqueue makes sure of its lane
again once what is remembered of it is LANE_KNOWN_MS old, and notes when; and a lane goes only LANE_KEPT_MS after that
note, which is so much later that no process goes by its memory any more. Jobs that ended keep the lanes of their type,
so that they can be put back without a look either.
"""

from dataclasses import dataclass

LANE_KNOWN_MS = 3_600_000
LANE_KEPT_MS = 7 * 24 * 3_600_000
WORKER_KEPT_MS = 7 * 24 * 3_600_000
"""A worker that was not heard for so long is forgotten; attempts go on naming it."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Look at the next `limit` of them. batch_ms: how long a batch is kept after its end, and after that while it has members."""

    limit: int
    batch_ms: int
