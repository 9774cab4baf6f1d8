"""What a chart shows: figures over time, with the changes that may explain them. `{% chart %}` draws one.

A view makes a Chart from a rollup and puts it into its context; templates/components/chart.html and static/js/chart.js
do the rest. The same figures stand in a table, and as a drawing that needs no script.
"""

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from urllib.parse import urlencode

from aerodash.errors import InvalidInput
from aerodash.templatetags.aerodash_ui import size, spell

type Tone = Literal["good", "bad", "warn", "run", "idle", "accent"]
type Unit = Literal["bytes", "ms", "s", "%"] | str

RANGES = {
    "1h": ("1 h", 3_600),
    "3h": ("3 h", 10_800),
    "24h": ("24 h", 86_400),
    "3d": ("3 days", 259_200),
    "30d": ("30 days", 2_592_000),
    "1y": ("1 year", 31_536_000),
}
"""What `?range=` may say: the word on the picker, and the seconds."""

SHORTEST_S = 60
"""Below this a zoom shows nothing: the finest buckets are 10 s wide."""

DAY_IS_TOLD_S = 72_000
"""Where a chart shows more than 20 h, an hour alone could be of two days."""

TABLE_ROWS = 100
DRAWING_WIDTH, DRAWING_HEIGHT = 600, 150
DASHES = ("", "6 3", "2 2", "10 3 2 3", "1 3", "12 4")
"""SVG dash patterns by a series' place, so that no two of one chart differ by colour alone."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line. values: one for each moment of the chart, None where nothing is known (a gap).

    tone: the colour, by its meaning. dash: None chooses a pattern by the line's place, so that no two look alike;
    False is solid, True dashed.
    """

    label: str
    values: Sequence[float | None]
    tone: Tone = "accent"
    dash: bool | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """A change at a moment (epoch seconds, UTC): a dashed line in the chart, and a link in the list below it.

    label: what changed, e.g. "flag new-mailer 25 → 100 %". url: where it is told; "" for nowhere.
    """

    at: float
    label: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Figures over time.

    id: of the page's element, unique on the page, e.g. "jobs-per-minute".
    title: what is counted, e.g. "Jobs per minute". unit: "bytes", "ms", "s" and "%" are written in their own way; any
    other is a word that stands after a figure ("jobs"), or "" for none.
    at: the moments, epoch seconds, rising. Each series has a value for each of them.
    range_url: the page's address with all its state but `range`, `from` and `to`; with it one can zoom by dragging,
    which leads to that address with `from` and `to` (see `window`). "" for a chart that cannot be zoomed.
    empty: the sentence for a chart without figures. url: where the title leads; "" for nowhere. small: less high.

    Raises ValueError for a series of another length than `at`.
    """

    id: str
    title: str
    unit: Unit
    at: Sequence[float]
    series: Sequence[Series]
    markers: Sequence[Marker] = ()
    range_url: str = ""
    empty: str = "Nothing was counted in this time. Figures appear while the keeper runs, every 10 s."
    url: str = ""
    small: bool = False

    def __post_init__(self) -> None:
        for one in self.series:
            if len(one.values) != len(self.at):
                raise ValueError(f"{one.label}: {len(one.values)} values for {len(self.at)} moments.")

    @property
    def has_figures(self) -> bool:
        return any(value is not None for one in self.series for value in one.values)

    @property
    def lines(self) -> list["Line"]:
        """The series with their looks and their words."""
        top = self._top()
        return [
            Line(one, pattern, self._ends(one), self._now(one), self._segments(one, top))
            for one, pattern in zip(self.series, _patterns(self.series), strict=True)
        ]

    @property
    def summary(self) -> str:
        """The chart in a sentence or two, for those who cannot see it."""
        if not self.has_figures:
            return f"{self.title}: {self.empty}"
        time = _clock(self.at)
        said = [f"{self.title} from {time(self.at[0])} to {time(self.at[-1])} UTC."]
        for line in self.lines:
            said.append(f"{line.series.label}: {line.now} at the end, {line.ends}.")
        return " ".join(said)

    @property
    def top(self) -> str:
        """The figure at the upper edge of the drawing."""
        return figure(self._top(), self.unit)

    @property
    def first_at(self) -> str:
        return _clock(self.at)(self.at[0])

    @property
    def last_at(self) -> str:
        return _clock(self.at)(self.at[-1])

    @property
    def every(self) -> int:
        """Which moments the table has: every so-manieth."""
        return max(math.ceil(len(self.at) / TABLE_ROWS), 1)

    @property
    def rows(self) -> list["Row"]:
        """The table, newest first: at most TABLE_ROWS, the last moment always among them."""
        time = _clock(self.at)
        places = range(len(self.at) - 1, -1, -self.every)
        return [
            Row(
                datetime.fromtimestamp(self.at[place], UTC),
                time(self.at[place]),
                tuple(figure(one.values[place], self.unit) for one in self.series),
            )
            for place in places
        ]

    @property
    def marks(self) -> list["Mark"]:
        """The changes within the chart's time, newest first, as links."""
        if not self.at:
            return []
        days = self.at[-1] - self.at[0] > DAY_IS_TOLD_S
        form = "%Y-%m-%d %H:%M" if days else "%H:%M"
        inside = [one for one in self.markers if self.at[0] <= one.at <= self.at[-1] + self._step]
        inside.sort(key=lambda one: -one.at)
        moments = [datetime.fromtimestamp(one.at, UTC) for one in inside]
        return [Mark(at, f"{at:{form}}", one.label, one.url) for one, at in zip(inside, moments, strict=True)]

    @property
    def _step(self) -> float:
        """How far apart the moments are: the last one stands for what came until the next."""
        return self.at[-1] - self.at[-2] if len(self.at) > 1 else 60

    @property
    def ticks(self) -> list[float]:
        """Where the changes stand in the drawing."""
        if len(self.at) < 2:
            return []
        first, last = self.at[0], self.at[-1]
        at = (min(one.at.timestamp(), last) for one in self.marks)
        return [round((one - first) / (last - first) * DRAWING_WIDTH, 1) for one in at]

    @property
    def as_json(self) -> str:
        """What the script draws."""
        return json.dumps(
            {
                "unit": self.unit,
                "at": list(self.at),
                "series": [
                    {"tone": one.tone, "dash": pattern, "values": [_short(value) for value in one.values]}
                    for one, pattern in zip(self.series, _patterns(self.series), strict=True)
                ],
                "markers": [min(one.at.timestamp(), self.at[-1]) for one in self.marks],
                "zoom": self.range_url,
            },
            separators=(",", ":"),
        )

    def _known(self, one: Series) -> list[float]:
        return [value for value in one.values if value is not None]

    def _now(self, one: Series) -> str:
        known = self._known(one)
        return figure(known[-1] if known else None, self.unit)

    def _ends(self, one: Series) -> str:
        known = self._known(one)
        if not known:
            return "nothing known"
        return f"lowest {figure(min(known), self.unit)}, highest {figure(max(known), self.unit)}"

    def _top(self) -> float:
        if self.unit == "%":
            return 100.0
        return max((value for one in self.series for value in self._known(one)), default=0.0) or 1.0

    def _segments(self, one: Series, top: float) -> list[str]:
        """SVG points of each stretch without a gap."""
        if not self.at:
            return []
        first, last = self.at[0], self.at[-1]
        width = max(last - first, 1)
        segments: list[list[str]] = [[]]
        for at, value in zip(self.at, one.values, strict=True):
            if value is None:
                if segments[-1]:
                    segments.append([])
                continue
            x = (at - first) / width * DRAWING_WIDTH
            y = DRAWING_HEIGHT - min(max(value, 0) / top, 1) * (DRAWING_HEIGHT - 4)
            segments[-1].append(f"{x:.0f},{y:.0f}")
        # A line of one point is drawn, with round ends, if the point stands there twice.
        return [" ".join(points * 2 if len(points) == 1 else points) for points in segments if points]


class Line(NamedTuple):
    """A series as the template writes it. pattern: its SVG dashes. ends: its lowest and highest, in words. now: its
    last known figure. segments: its points in the drawing that needs no script."""

    series: Series
    pattern: str
    ends: str
    now: str
    segments: list[str]


class Mark(NamedTuple):
    """A change as the list writes it. at_text: its time, with the day if the chart shows several."""

    at: datetime
    at_text: str
    label: str
    url: str


class Row(NamedTuple):
    """A line of the table. moment: how it is written."""

    at: datetime
    moment: str
    figures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a page shows. range: its name in RANGES, "" if the URL names its ends."""

    start_at: datetime
    end_at: datetime
    range: str
    default: str

    @property
    def is_zoomed(self) -> bool:
        return not self.range

    @property
    def seconds(self) -> float:
        return (self.end_at - self.start_at).total_seconds()

    @property
    def words(self) -> str:
        """In a heading: the last 3 h, or 2026-03-18 10:52 to 11:04 UTC."""
        if self.range:
            return f"the last {RANGES[self.range][0].removeprefix('1 ')}"
        day = self.start_at.date()
        until = f"{self.end_at:%H:%M}" if self.end_at.date() == day else f"{self.end_at:%Y-%m-%d %H:%M}"
        return f"{self.start_at:%Y-%m-%d %H:%M} to {until} UTC"

    def params(self) -> dict[str, str]:
        """What says the same again, in a URL or to the live socket; empty for what is shown unasked."""
        if self.range:
            return {} if self.range == self.default else {"range": self.range}
        return {"from": f"{self.start_at.timestamp():.0f}", "to": f"{self.end_at.timestamp():.0f}"}


def window(params: Mapping[str, str], *, now: datetime, default: str = "3h") -> Window:
    """The time that `range`, or `from` and `to`, ask for; else the range `default` that ends now.

    from, to: epoch seconds, or YYYY-MM-DDTHH:MM in UTC. Ends in the future are now; less than a minute is widened to one.
    Raises InvalidInput for what is no time, an unknown range, an end before its beginning.
    """
    if params.get("from") or params.get("to"):
        start_at, end_at = _instant(params, "from"), min(_instant(params, "to"), now)
        if start_at >= end_at:
            raise InvalidInput("The time shown must begin before it ends, and before now.", field="from")
        if (end_at - start_at).total_seconds() < SHORTEST_S:
            middle = start_at + (end_at - start_at) / 2
            start_at, end_at = (middle + timedelta(seconds=half * SHORTEST_S / 2) for half in (-1, 1))
        return Window(start_at, end_at, "", default)
    name = params.get("range") or default
    if name not in RANGES:
        raise InvalidInput(f"{name!r} is none of {', '.join(RANGES)}.", field="range")
    return Window(now - timedelta(seconds=RANGES[name][1]), now, name, default)


def with_params(url: str, params: Mapping[str, str]) -> str:
    """An address with more in its query."""
    if not params:
        return url
    return f"{url}{'&' if '?' in url and not url.endswith('?') else '' if '?' in url else '?'}{urlencode(params)}"


def figure(value: float | None, unit: Unit) -> str:
    """One figure in words: 12,400 · 1.5 MiB · 840 ms · 1 min 51 s · 99.2 %; "–" for None. As in static/js/chart.js."""
    if value is None:
        return "–"
    if unit == "bytes":
        return size(round(value))
    if unit == "ms":
        return f"{_number(value)} ms" if value < 1000 else spell(value / 1000)
    if unit == "s":
        return spell(value)
    return f"{_number(value)} %" if unit == "%" else _number(value)


def _number(value: float) -> str:
    """Whole from 100 on, else with as many places as matter."""
    if value == round(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"


def _short(value: float | None) -> float | int | None:
    if value is None:
        return None
    return int(value) if value == int(value) else round(value, 3)


def _patterns(series: Sequence[Series]) -> list[str]:
    patterns = []
    for place, one in enumerate(series):
        if one.dash is None:
            patterns.append(DASHES[place % len(DASHES)])
        else:
            patterns.append(DASHES[max(place, 1) % len(DASHES)] if one.dash else "")
    return patterns


def _clock(at: Sequence[float]) -> Callable[[float], str]:
    """How moments of this chart are written: as exact as they are apart, with the day if there are several."""
    apart = min((b - a for a, b in itertools.pairwise(at)), default=60)
    days = len(at) > 1 and at[-1] - at[0] > DAY_IS_TOLD_S
    if days:
        form = "%Y-%m-%d" if apart >= 86_400 else "%Y-%m-%d %H:%M"
    else:
        form = "%H:%M" if apart >= 60 else "%H:%M:%S"
    return lambda moment: f"{datetime.fromtimestamp(moment, UTC):{form}}"


def _instant(params: Mapping[str, str], name: str) -> datetime:
    said = params.get(name, "")
    try:
        if said.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(said), UTC)
        at = datetime.fromisoformat(said)
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(
            f"{said!r} is no time: write 2026-03-18T12:04, or seconds since 1970.", field=name
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
