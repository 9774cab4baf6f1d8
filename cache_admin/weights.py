"""What folders of keys weigh: their bytes, estimated from keys all over them, and how far off that may be.

Counts are exact; sizes are looked up for one key of each of many equal stretches of a folder's index. So the cost does
not depend on how many keys there are, and a folder of few keys is weighed exactly.
Source: architecture, "Valkey layout"; sampling by strata with 95 % bounds, any textbook.
"""

import asyncio
import math
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aerodash import engines
from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from cache_admin.bounds import check_prefix
from cache_admin.engine.contract import CacheEngine, Sample

LEVEL_ROWS = 200
KEYS_A_FOLDER = (8, 200)
KEYS_A_LEVEL = 2000
GLANCE_A_FOLDER = (4, 40)
GLANCE_A_LEVEL = 600
HEAVIEST = 50
LARGEST = 10
FRESH_S = 30.0
LEVELS_KEPT = 256
SURE = 2.0
"""Standard errors on either side: 95 of 100 samples would come so near."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a folder, or all loose keys of a level, weigh.

    count: its keys; is_counted: exactly. size_bytes: of values and metadata. error_bytes: it is that far off at most, with
    95 % certainty; 0 if every key was looked at. sampled: how many were.
    """

    prefix: str
    count: int
    size_bytes: int
    error_bytes: int
    sampled: int
    is_counted: bool = True

    @property
    def is_exact(self) -> bool:
        return self.is_counted and self.sampled >= self.count

    @property
    def mean_bytes(self) -> int:
        return round(self.size_bytes / self.count) if self.count else 0

    @property
    def error_per_cent(self) -> float:
        return 100 * self.error_bytes / self.size_bytes if self.size_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Level:
    """What lies directly below a prefix, the heaviest first.

    loose: the keys without a further ":", None if there are none. total: all of it. largest: (key, bytes) of the largest
    entries among those looked at. unseen: keys in folders that are not listed, about; a folder with fewer than one in
    `one_in` keys may be among them (0: every folder is listed).
    """

    folders: tuple[Weight, ...]
    loose: Weight | None
    total: Weight
    largest: tuple[tuple[str, int], ...]
    unseen: int = 0
    one_in: int = 0


@engines.on_engine_loop
async def heaviest(project: ProjectId, actor: Actor, *, prefix: str = "") -> Level:
    """The folders below a prefix by weight. Looks at some 2000 to 4000 keys, in steps of a few milliseconds.

    Up to 200 folders and loose keys: all are weighed. More: those that hold the most of 2000 sampled keys.
    Raises InvalidInput, NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_READ)
    check_prefix(prefix)
    engine = _engine()
    level = await engine.tree(project, prefix=prefix, limit=LEVEL_ROWS)
    if level.last is not None:
        return await _heaviest_of_many(engine, project, prefix)
    names = [folder.prefix for folder in level.folders]
    each = _each(len(names), KEYS_A_FOLDER, KEYS_A_LEVEL)
    found = await engine.sample(project, names, each=each, keys=level.keys)
    folders = [_weight(name, sample) for name, sample in zip(names, found, strict=False)]
    loose = _together(
        prefix, [_weight(key, one) for key, one in zip(level.keys, found[len(names) :], strict=True)]
    )
    total = _together(prefix, [*folders, *([loose] if loose.count else [])])
    return Level(_by_weight(folders), loose if loose.count else None, total, _largest(found))


async def _heaviest_of_many(engine: CacheEngine, project: ProjectId, prefix: str) -> Level:
    [coarse] = await engine.sample(project, [prefix], each=KEYS_A_LEVEL)
    groups: dict[str, list[int]] = defaultdict(list)
    for key, size_bytes in coarse.keys:
        groups[_folder(key, prefix)].append(size_bytes)
    loose_sizes = groups.pop("", [])
    chosen = sorted(groups, key=lambda name: (-sum(groups[name]), name))[:HEAVIEST]
    found = await engine.sample(project, chosen, each=_each(len(chosen), KEYS_A_FOLDER, KEYS_A_LEVEL))
    folders = [_weight(name, sample) for name, sample in zip(chosen, found, strict=True)]
    size = len(coarse.keys)
    loose = _share(prefix, coarse.count, loose_sizes, size) if loose_sizes else None
    return Level(
        _by_weight(folders),
        loose,
        _weight(prefix, coarse),
        _largest([coarse, *found]),
        unseen=max(coarse.count - sum(one.count for one in folders) - (loose.count if loose else 0), 0),
        one_in=max(coarse.count // max(size, 1), 1),
    )


_glances: "OrderedDict[tuple[ProjectId, str], tuple[float, tuple[str, ...], asyncio.Future[dict[str, Weight]]]]" = OrderedDict()


@engines.on_engine_loop
async def glance(
    project: ProjectId, actor: Actor, *, prefix: str, folders: Sequence[str]
) -> dict[str, Weight]:
    """About what the folders of one level weigh, by prefix: some 600 keys are looked at, and the answer is kept for
    30 s for whoever asks next about the same folders. Raises NotAllowed, EngineDown."""
    actor.require(Scope.CACHE_READ)
    if not folders:
        return {}
    names = tuple(folders)
    at, known, look = _glances.get((project, prefix), (float("-inf"), (), None))
    failed = look is not None and look.done() and (look.cancelled() or look.exception() is not None)
    if look is None or failed or known != names or time.monotonic() - at > FRESH_S:
        look = asyncio.ensure_future(_glance(project, names))
        _glances[project, prefix] = time.monotonic(), names, look
        _glances.move_to_end((project, prefix))
        while len(_glances) > LEVELS_KEPT:
            _glances.popitem(last=False)
    return await asyncio.shield(look)


async def _glance(project: ProjectId, names: Sequence[str]) -> dict[str, Weight]:
    each = _each(len(names), GLANCE_A_FOLDER, GLANCE_A_LEVEL)
    found = await _engine().sample(project, names, each=each)
    return {name: _weight(name, sample) for name, sample in zip(names, found, strict=True)}


def _each(folders: int, bounds: tuple[int, int], together: int) -> int:
    return min(max(together // max(folders, 1), bounds[0]), bounds[1])


def _weight(prefix: str, sample: Sample) -> Weight:
    """The whole from a part of it: the mean's standard error, less what has been seen of the whole already."""
    sizes = [size for _, size in sample.keys]
    n = len(sizes)
    if n == 0:
        return Weight(prefix, sample.count, 0, 0, 0)
    if n >= sample.count:
        return Weight(prefix, sample.count, sum(sizes), 0, n)
    mean = sum(sizes) / n
    error = _deviation(sizes, mean) / math.sqrt(n) * math.sqrt(1 - n / sample.count)
    return Weight(prefix, sample.count, round(sample.count * mean), _up(SURE * sample.count * error), n)


def _share(prefix: str, count: int, sizes: Sequence[int], looked_at: int) -> Weight:
    """A part of which only the share of the keys looked at is known."""
    padded = [*sizes, *[0] * (looked_at - len(sizes))]
    mean = sum(padded) / looked_at
    error = _deviation(padded, mean) / math.sqrt(looked_at)
    number = round(count * len(sizes) / looked_at)
    return Weight(
        prefix, number, round(count * mean), _up(SURE * count * error), len(sizes), is_counted=False
    )


def _together(prefix: str, parts: Sequence[Weight]) -> Weight:
    """Parts that were sampled apart: their variances add up."""
    error = math.sqrt(sum(part.error_bytes**2 for part in parts))
    return Weight(
        prefix,
        sum(part.count for part in parts),
        sum(part.size_bytes for part in parts),
        _up(error),
        sum(part.sampled for part in parts),
        is_counted=all(part.is_counted for part in parts),
    )


def _deviation(sizes: Sequence[int], mean: float) -> float:
    """Of a single one nothing is known: it may be all off."""
    if len(sizes) < 2:
        return mean
    return math.sqrt(sum((size - mean) ** 2 for size in sizes) / (len(sizes) - 1))


def _up(number: float) -> int:
    return math.ceil(number)


def _by_weight(folders: Iterable[Weight]) -> tuple[Weight, ...]:
    return tuple(sorted(folders, key=lambda one: (-one.size_bytes, one.prefix)))


def _largest(samples: Iterable[Sample]) -> tuple[tuple[str, int], ...]:
    sizes = {key: size for sample in samples for key, size in sample.keys if size}
    return tuple(sorted(sizes.items(), key=lambda row: (-row[1], row[0]))[:LARGEST])


def _folder(key: str, prefix: str) -> str:
    """The folder that a key lies in directly below the prefix, "" for a loose one."""
    colon = key.find(":", len(prefix))
    return key[: colon + 1] if colon >= 0 else ""


def _engine() -> CacheEngine:
    return engines.get("cache")
