"""What is killed, stopped and restarted when: drawn from the seed before the run begins, and so the same each time."""

import random
from dataclasses import dataclass
from typing import Literal

type Kind = Literal["kill", "stop", "term"]

LEASE_S = 2.0
MEAN_PAUSE_S = {"short": 1.0, "long": 2.5}
CALM_S = 1.5
"""How long everything runs before the first fault."""

# How often a part is hit, what is done to it, and for how many seconds a stop lasts: workers past their leases, keepers
# past theirs (3 s), servers long enough for callers to give up.
PARTS: dict[str, tuple[int, list[Kind], tuple[float, float]]] = {
    "wire": (6, ["kill", "kill", "stop", "stop", "term"], (LEASE_S + 0.5, LEASE_S + 2)),
    "sdk": (4, ["kill", "kill", "stop", "term"], (LEASE_S + 0.5, LEASE_S + 2)),
    "sdk-child": (3, ["kill", "kill", "stop"], (LEASE_S + 0.5, LEASE_S + 2)),
    "web": (3, ["kill", "kill", "stop", "term"], (0.5, 3)),
    "keeper": (3, ["kill", "stop", "term"], (3.5, 6)),
    "valkey": (2, ["kill", "stop", "term"], (0.5, 3)),
    "postgres": (2, ["kill", "kill", "stop", "term"], (0.5, 3)),
}


@dataclass(frozen=True)
class Planned:
    """at_s: from the start of the load. for_s: how long it stays stopped, or down."""

    at_s: float
    part: str
    kind: Kind
    for_s: float


def plan(seed: str, parts: dict[str, int], *, load_s: float) -> list[Planned]:
    """The faults of one run. parts: how many of each kind there are; their names are wire-1, wire-2, …"""
    pick = random.Random(f"{seed}:faults")
    mean_s = MEAN_PAUSE_S["short" if load_s < 60 else "long"]
    kinds = [kind for kind in PARTS if parts.get(kind)]
    weights = [PARTS[kind][0] for kind in kinds]
    faults: list[Planned] = []
    at_s = CALM_S
    free_at: dict[str, float] = {}
    while True:
        at_s += pick.expovariate(1 / mean_s)
        if at_s >= load_s:
            return faults
        [kind] = pick.choices(kinds, weights)
        _, ways, stop_s = PARTS[kind]
        part = f"{kind}-{pick.randint(1, parts[kind])}"
        way = pick.choice(ways)
        for_s = round(pick.uniform(*stop_s) if way == "stop" else pick.uniform(0.05, 1), 2)
        target = part.replace("sdk-child", "sdk")
        if free_at.get(target, 0) <= at_s:  # what lies already is not hit again
            free_at[target] = at_s + for_s
            faults.append(Planned(round(at_s, 2), part, way, for_s))
