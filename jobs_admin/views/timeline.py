"""A job's runs as a picture on a time axis, and everything that happened to it as lines, newest first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aerodash.templatetags.aerodash_ui import spell
from jobs_admin.records import AttemptRow, EventRow, JobDetail

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
    "cancelled": "wait",
    "released": "wait",
}
_WORDS = {
    "completed": "completed",
    "failed": "failed",
    "lease_expired": "lease expired",
    "released": "released",
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


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline. tone: "", "bad", "warn" or "good"."""

    at: datetime
    title: str
    icon: str = ""
    tone: str = ""
    meta: str = ""
    error: str = ""
    traceback: str = ""
    until: datetime | None = None

    @property
    def css(self) -> str:
        return f"ad-{self.tone}" if self.tone else ""


def axis(detail: JobDetail, now: datetime) -> Axis | None:
    """The newest runs, oldest on top, and the next one if it has a time; None where there is nothing to draw."""
    runs = list(reversed(detail.attempts))
    hidden = max(len(runs) - RUNS_MAX, 0)
    shown = runs[hidden:]
    row = detail.row
    waits = row.status == "pending"
    if not shown and not waits:
        return None
    begins = runs[hidden - 1].ended_at if hidden else row.created_at
    starts = begins or row.created_at
    ends = max(
        [now if row.status in ("pending", "processing") else starts, *(r.ended_at or now for r in shown)]
    )
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
        bars.append(
            _bar(
                f"run {row.run + 1}",
                index,
                x(since),
                x(max(row.due_at, since)),
                0,
                "next",
                "due" if row.due_at <= now else "",
            )
        )
    height = TOP + LANE * len(bars) + 14
    return Axis(
        bars=tuple(bars),
        ticks=_ticks(starts, span, x),
        now_x=x(now) if row.status in ("pending", "processing") else None,
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
    step = next((s for s in _STEPS_S if span / s <= 8), _STEPS_S[-1])
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


def entries(detail: JobDetail, now: datetime) -> list[Entry]:
    """Everything that happened, newest first; on top what comes next, if it has a time."""
    lines = [_of_run(attempt) for attempt in detail.attempts]
    lines += [_of_event(event, detail) for event in detail.events]
    lines.sort(key=lambda entry: entry.at, reverse=True)
    row = detail.row
    if row.status == "pending" and row.due_at > now:
        title = f"Run {row.run + 1} is due" + (
            f", attempt {row.attempts + 1} of {row.max_retries + 1}" if row.run else ""
        )
        tone = "warn" if row.attempts else ""
        lines.insert(0, Entry(row.due_at, title, icon="calendar-clock", tone=tone, until=row.due_at))
    return lines


def _of_run(run: AttemptRow) -> Entry:
    meta = f"{run.worker} · waited {spell(max((run.started_at - run.due_at).total_seconds(), 0))}"
    if run.ended_at is None:
        return Entry(run.started_at, f"Run {run.run} began", icon="player-play", tone="run", meta=meta)
    meta += f" · ran {spell(run.ran_s)}"
    if run.next_due_at is not None:
        meta += f" · next after {spell(max((run.next_due_at - run.ended_at).total_seconds(), 0))}"
    about = replace(_RUN_LINES[run.outcome], at=run.ended_at, meta=meta, traceback=run.traceback)
    error = f"{run.error_type}: {run.error_message}" if run.error_type else run.error_message
    return replace(about, title=about.title.format(run.run), error=error)


_NEVER = datetime.min.replace(tzinfo=UTC)
_RUN_LINES = {
    "completed": Entry(_NEVER, "Run {} completed", icon="circle-check", tone="good"),
    "failed": Entry(_NEVER, "Run {} failed", icon="circle-x", tone="bad"),
    "lease_expired": Entry(_NEVER, "Run {} lost: its lease expired", icon="plug-connected-x", tone="bad"),
    "released": Entry(_NEVER, "Run {} given back by its worker", icon="arrow-back-up"),
    "cancelled": Entry(_NEVER, "Run {} ended as cancelled", icon="ban"),
}


def _of_event(event: EventRow, detail: JobDetail) -> Entry:
    by = f"by {event.by}" + (f" ({event.door})" if event.door else "")
    match event.kind:
        case "enqueued":
            return Entry(event.at, "Enqueued", icon="plus", meta=f"{by} · {detail.row.max_retries} retries")
        case "cancel_requested":
            return Entry(event.at, "Asked to stop", icon="hand-stop", tone="warn", meta=by)
        case "cancelled":
            return Entry(event.at, "Cancelled before it began", icon="ban", meta=by)
        case "retried":
            edited = " · with an edited payload" if "payload_before" in event.details else ""
            title = f"Retried by hand, was {event.details['was']}"
            return Entry(event.at, title, icon="rotate-clockwise", meta=by + edited)
        case "late_result":
            cause = "a cancel had won" if event.details["refused"] == "cancelled" else "its lease was over"
            title = f"Late result refused: {event.details['outcome']}"
            return Entry(event.at, title, icon="shield-x", meta=f"{by} · {cause}; the status did not change")
        case "poisoned":
            title = f"Stopped after {event.details['crashes']} crashes in a row"
            return Entry(
                event.at, title, icon="skull", tone="bad", meta="its workers kept dying while they ran it"
            )
    return Entry(event.at, event.kind, icon="info-circle", meta=by)


def why(detail: JobDetail, running: int, waiting: int, now: datetime) -> tuple[str, Sequence[str]] | None:
    """Why the job is not running, as a tone and the parts of one sentence; None where the question does not arise.

    running, waiting: jobs of its type now. The parts "{due}" and "{lease}" are filled with a countdown by the page.
    """
    row = detail.row
    last = detail.attempts[0] if detail.attempts else None
    if row.status == "pending":
        if row.due_at > now:
            if row.attempts and last is not None:
                cause = "lost its worker" if last.outcome == "lease_expired" else "failed"
                return "warn", ("It waits until", "{due}", f", because run {last.run} {cause}.")
            return "warn", ("It waits until", "{due}", ", because it was enqueued with a delay.")
        others = f", {waiting - 1:,} other{'s wait' if waiting != 2 else ' waits'}" if waiting > 1 else ""
        if not running:
            return "warn", (
                f"It is due and waits for a worker{others}. None of its type runs now: is a worker alive that takes it?",
            )
        return "warn", (
            f"It is due and waits for a worker; {running:,} of its type run{'s' if running == 1 else ''} now{others}.",
        )
    if row.state == "cancelling":
        asked = f"{detail.cancel_requested_by} asked it to stop; its worker learns at the next heartbeat."
        return "warn", (asked + " It ends as cancelled, at the latest when its lease ends,", "{lease}", ".")
    if row.status == "failed":
        if row.attempts <= row.max_retries:
            return "bad", (
                f"It failed for good after attempt {row.attempts} of {row.max_retries + 1}: no further try was wanted.",
            )
        return "bad", (f"It failed: {_budget(row.attempts)} Retry gives it the whole budget again.",)
    return None


def _budget(attempts: int) -> str:
    return "its only attempt is used up." if attempts == 1 else f"all {attempts} attempts are used up."
