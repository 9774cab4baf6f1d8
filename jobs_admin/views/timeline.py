"""Everything that happened to a job as lines, newest first, and in one sentence why it is not running."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aerodash.templatetags.aerodash_ui import spell
from jobs_admin.records import AttemptRow, EventRow, JobDetail


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
            more = f"; {event.details['more']:,} more like it came after" if event.details.get("more") else ""
            return Entry(
                event.at, title, icon="shield-x", meta=f"{by} · {cause}; the status did not change{more}"
            )
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
