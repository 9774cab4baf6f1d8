"""A job's runs as a picture on a time axis: when it waited, when it ran, how each run ended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from aerodash.templatetags.aerodash_ui import spell
from jobs_admin.records import AttemptRow, JobDetail

RUNS_MAX = 8
# Right of RIGHT is room for the words beside a run that ends there.
WIDTH = 720.0
LEFT, RIGHT, TOP, LANE = 70.0, 590.0, 18, 24

_STEPS_S = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(
        60,
        120,
        300,
        600,
        900,
        1800,
        3600,
        7200,
        10800,
        21600,
        43200,
        86400,
        172_800,
        604_800,
        2_592_000,
        31_536_000,
    ),
)
_LOOKS = {
    "completed": "ok",
    "processing": "running",
    "lease_expired": "crash",
    "worker_lost": "crash",
    "cancelled": "wait",
    "released": "wait",
}
_WORDS = {
    "completed": "completed",
    "failed": "failed",
    "timed_out": "over its time limit",
    "worker_lost": "worker lost",
    "lease_expired": "lease expired",
    "released": "given back",
    "cancelled": "cancelled",
    "processing": "runs",
}


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One run: it waited from wait_x on and began at x. note stands beside it, at note_x."""

    label: str
    y: int
    wait_x: float
    wait_width: float
    x: float
    width: float
    look: str
    note: str
    note_x: float
    note_anchor: str


@dataclass(frozen=True, slots=True)
class Axis:
    """The picture, in the units of its viewBox. now_x: where the line for now stands, None after the end."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    now_x: float | None
    height: int
    bottom: int
    words: str
    hidden: int


def axis(detail: JobDetail, now: datetime, *, up_to: int | None = None) -> Axis | None:
    """The newest runs, oldest on top, and the next one if it has a time; None where there is nothing to draw.

    up_to: the newest run that is shown, None where the page shows what comes next, too.
    """
    runs = list(reversed(detail.attempts))
    hidden = max(len(runs) - RUNS_MAX, 0)
    is_open = up_to is None and detail.row.status in ("pending", "processing")
    shown = runs[hidden:]
    row = detail.row
    waits = row.status == "pending" and up_to is None
    if not shown and not waits:
        return None
    starts = row.created_at
    if hidden:
        starts = runs[hidden - 1].ended_at or starts
    elif detail.older_runs:
        starts = shown[0].due_at
    ends = max([now if is_open else starts, *(r.ended_at or now for r in shown)])
    if waits:
        ends = max(ends, row.due_at)
    span = max((ends - starts).total_seconds(), 0.01) * 1.06

    def x(at: datetime) -> float:
        return round(LEFT + (at - starts).total_seconds() / span * (RIGHT - LEFT), 1)

    bars, since = [], starts
    for index, run in enumerate(shown):
        end = run.ended_at or now
        note = f"{spell(run.ran_s)}, {_WORDS[run.outcome]}"
        bars.append(_bar(f"run {run.run}", index, x(since), x(run.started_at), x(end), _look(run), note))
        since = end
    if waits:
        index = len(bars)
        is_due = row.due_at <= now
        begins = now if is_due else max(row.due_at, since)
        bars.append(
            _bar(f"run {row.run + 1}", index, x(since), x(begins), 0, "next", "due" if is_due else "")
        )
    height = TOP + LANE * len(bars) + 14
    return Axis(
        bars=tuple(bars),
        ticks=_ticks(starts, span, x),
        now_x=x(now) if is_open else None,
        height=height + 14,
        bottom=height,
        words="Runs on a time axis: "
        + "; ".join(f"{bar.label} {bar.note or 'is due later'}" for bar in bars)
        + ".",
        hidden=hidden,
    )


def _look(run: AttemptRow) -> str:
    return _LOOKS.get(run.outcome, "fail")


def _bar(label: str, index: int, wait_x: float, x: float, end_x: float, look: str, note: str) -> Bar:
    width = max(round(end_x - x, 1), 3.0) if look != "next" else 14.0
    fits = x + width + 8 + len(note) * 5.6 < WIDTH
    return Bar(
        label=label,
        y=TOP + 4 + LANE * index,
        wait_x=wait_x,
        wait_width=max(round(x - wait_x, 1), 0),
        x=x,
        width=width,
        look=look,
        note=note,
        note_x=x + width + 6 if fits else min(wait_x, x) - 6,
        note_anchor="start" if fits or min(wait_x, x) < 180 else "end",
    )


def _ticks(starts: datetime, span: float, x: Callable[[datetime], float]) -> tuple[Tick, ...]:
    # Labels with milliseconds are as wide as a fifth of the axis.
    step = next((s for s in _STEPS_S if span / s <= (8 if s >= 1 else 5)), _STEPS_S[-1])
    first = starts.timestamp() // step * step + step
    pattern = "%Y-%m-%d" if step >= 86400 else "%H:%M" if step >= 60 else "%H:%M:%S"
    ticks = []
    for index in range(int(span / step) + 1):
        at = datetime.fromtimestamp(first + index * step, UTC)
        if (at - starts).total_seconds() > span:
            break
        label = at.strftime(pattern) + (f".{at.microsecond // 1000:03}" if step < 1 else "")
        ticks.append(Tick(x(at), label))
    return tuple(ticks)
