"""What is kept over time. Each app registers its own metrics (jobs_admin.rollups, cache_admin.rollups)."""

from dataclasses import dataclass
from enum import Enum

from aerodash.auth import Scope

LABELS_MOST = 1_000
"""Labels in a project and family; what comes later is kept under OTHER. A label has no more than LABEL_CHARS."""
LABEL_CHARS = 128
OTHER = "(other)"
TOTAL = ""
"""The label of what all labels are together."""
UNNAMED = "(none)"
"""What has no name of its own."""


class Kind(Enum):
    """What a bucket holds. COUNT: how many. GAUGE: what was measured now and then. HISTOGRAM: whole milliseconds."""

    COUNT = "count"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Keep(Enum):
    """Which of a gauge's samples stands for a longer time: what would be looked for afterwards."""

    MEAN = "mean"
    MOST = "most"
    LEAST = "least"


@dataclass(frozen=True, slots=True)
class Metric:
    """scope: the right to read it. label: what tells its parts apart, "" if it has none. keep: for gauges.

    marks: what a new label means, as a marker on the timeline ("Worker version {} first seen"); "" for nothing.
    """

    name: str
    kind: Kind
    unit: str
    scope: Scope
    label: str = ""
    keep: Keep = Keep.MEAN
    marks: str = ""

    @property
    def family(self) -> str:
        """The word before the dot: labels are bounded, and chosen, for a family together."""
        return self.name.partition(".")[0]


_metrics: dict[str, Metric] = {}


def register(*metrics: Metric) -> None:
    """Called once from an app's ready()."""
    _metrics.update({metric.name: metric for metric in metrics})


def find(name: str) -> Metric:
    """Raises KeyError for a name that nobody registered: a mistake in the code that asks."""
    return _metrics[name]


def marking() -> list[Metric]:
    """Those whose new labels are markers."""
    return [metric for metric in _metrics.values() if metric.marks]
