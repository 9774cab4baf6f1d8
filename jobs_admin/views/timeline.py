"""Everything that happened to a job as lines, newest first."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aerodash import instants
from aerodash.console.jsontext import pretty
from aerodash.templatetags.aerodash_ui import size, spell
from jobs_admin.records import AttemptRow, EventRow, JobDetail

FOLD_CHARS = 8 * 1024
TRACEBACK_CHARS = 128 * 1024
"""Of all tracebacks on one page, from the newest on: the timeline is sent at every change."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline. tone: "", "bad", "warn", "good" or "run". fold: a text behind its title, fold_title.

    left_out: the run whose traceback does not stand here, because there are so many; 0: none.
    """

    at: datetime
    title: str
    icon: str = ""
    tone: str = ""
    meta: str = ""
    error: str = ""
    traceback: str = ""
    fold_title: str = ""
    fold: str = ""
    until: datetime | None = None
    left_out: int = 0

    @property
    def css(self) -> str:
        return f"ad-{self.tone}" if self.tone else ""


def entries(detail: JobDetail, now: datetime, *, up_to: int | None = None) -> list[Entry]:
    """Everything that happened in these runs, newest first; on top what comes next, if it has a time.

    up_to: the newest run that is shown, None for all that came after it, too.
    """
    lines: list[Entry] = []
    left = TRACEBACK_CHARS
    for attempt in detail.attempts:
        entry = _of_run(attempt)
        left -= len(entry.traceback)
        if left < 0 and lines and entry.traceback:
            entry = replace(entry, traceback="", left_out=attempt.run)
        lines.append(entry)
    first = detail.older_runs + 1 if detail.older_runs else 0
    last = detail.row.run if up_to is None else up_to
    lines += [
        _of_event(event, detail)
        for event in detail.events
        if first <= event.run <= last and (first == 0 or event.kind != "enqueued")
    ]
    lines.sort(key=lambda entry: entry.at, reverse=True)
    row = detail.row
    if up_to is None and row.status == "pending" and row.due_at > now:
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
    "timed_out": Entry(_NEVER, "Run {} ended: over its time limit", icon="hourglass-off", tone="bad"),
    "worker_lost": Entry(_NEVER, "Run {} lost: its worker died", icon="plug-connected-x", tone="bad"),
    "lease_expired": Entry(_NEVER, "Run {} lost: its lease expired", icon="plug-connected-x", tone="bad"),
    "released": Entry(_NEVER, "Run {} given back unfinished", icon="arrow-back-up"),
    "cancelled": Entry(_NEVER, "Run {} ended as cancelled", icon="ban"),
}


def _of_event(event: EventRow, detail: JobDetail) -> Entry:
    by = f"by {event.by}" + (f" ({event.door})" if event.door else "")
    say = event.details
    match event.kind:
        case "enqueued":
            return Entry(event.at, "Enqueued", icon="plus", meta=f"{by} · {detail.row.max_retries} retries")
        case "replaced":
            title = "Replaced by a later enqueue with its unique key"
            meta = f"{by} · payload version {say['payload_version']}"
            return Entry(event.at, title, icon="refresh", meta=meta)
        case "cancel_requested":
            return Entry(event.at, "Asked to stop", icon="hand-stop", tone="warn", meta=by)
        case "cancelled":
            title = f"Cancelled before run {event.run + 1}" if event.run else "Cancelled before it began"
            return Entry(event.at, title, icon="ban", meta=by)
        case "expired":
            meta = "it had not begun by then, and will not"
            return Entry(event.at, "Its deadline passed", icon="hourglass-off", tone="bad", meta=meta)
        case "cancel_seen":
            meta = f"{event.by}, by its heartbeat; whatever it answers, the job ends as cancelled"
            return Entry(event.at, "Its worker knows", icon="check", meta=meta)
        case "run_now":
            was = instants.of_ms(int(str(say["was_due_at_ms"])))
            meta = f"{by} · was due {was:%Y-%m-%d %H:%M:%S}"
            return Entry(event.at, "Made due now", icon="player-play", meta=meta)
        case "retried":
            return _retried(event, by)
        case "late_result":
            return _late(event, by)
        case "poisoned":
            title = f"Stopped after {say['crashes']} crashes in a row"
            meta = "its workers kept dying while they ran it"
            return Entry(event.at, title, icon="skull", tone="bad", meta=meta)
    return Entry(event.at, event.kind, icon="info-circle", meta=by)


def _retried(event: EventRow, by: str) -> Entry:
    say = event.details
    entry = Entry(event.at, f"Retried by hand, was {say['was']}", icon="rotate-clockwise", meta=by)
    if "payload_before" not in say:
        return entry
    title, text = _fold("Payload before", str(say["payload_before"]))
    meta = f"{by} · with an edited payload, version {say['payload_version']}"
    return replace(entry, meta=meta, fold_title=title, fold=text)


def _late(event: EventRow, by: str) -> Entry:
    say = event.details
    cause = "a cancel had won" if say["refused"] == "cancelled" else "its lease was over"
    more = f"; {say['more']:,} more like it came after" if say.get("more") else ""
    title, text = _fold("What it sent", str(say.get("result", "")), say.get("result_bytes"))
    return Entry(
        event.at,
        f"Late result refused: {say['outcome']}",
        icon="shield-x",
        meta=f"{by} · {cause}; the status did not change{more}",
        error=": ".join(str(say[part]) for part in ("error_type", "error") if part in say),
        fold_title=title,
        fold=text,
    )


def _fold(title: str, text: str, size_bytes: object = None) -> tuple[str, str]:
    """A JSON text and its title, ("", "") for none. Of a long one its beginning: the timeline is sent at every change.

    size_bytes: of the whole, if the text is only the beginning of it already.
    """
    if not text:
        return "", ""
    if size_bytes is None and len(text) <= FOLD_CHARS:
        return title, pretty(text)
    whole = size_bytes if isinstance(size_bytes, int) else len(text.encode())
    return f"{title}, the beginning of {size(whole)}", text[:FOLD_CHARS]
