"""Why a job is not running, or what becomes of it now: one sentence of facts above its page."""

from dataclasses import dataclass
from datetime import datetime

from aerodash.templatetags.aerodash_ui import spell
from jobs_admin.records import AttemptRow, JobDetail, PauseRow
from jobs_admin.waiting import Full, Spent, Standing, Workers


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence: text, or an instant, shown by its form.

    form: "until" (a clock and how long until then), "left" (how long until then), "ago" (how long since then).
    """

    text: str = ""
    at: datetime | None = None
    form: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """tone: "warn" while something waits or blocks, "bad" for a failure."""

    tone: str
    question: str
    parts: tuple[Part, ...]


_LOST = {"lease_expired", "worker_lost"}


def why(detail: JobDetail, standing: Standing | None, now: datetime) -> Why | None:
    """The sentence; None where the question does not arise. standing: of a pending job."""
    row = detail.row
    if row.status == "pending" and standing is not None:
        parts = (*_pending(detail, standing, now), *_deadline(detail, now))
        return Why("warn", "Why is this not running?", parts)
    if row.state == "cancelling":
        by = f"{detail.cancel_requested_by} asked it to stop; its worker learns at the next heartbeat. "
        text = Part(by + "It ends as cancelled, at the latest when its lease ends, in ")
        return Why("warn", "What happens now?", (text, _left(detail.lease_expires_at), Part(".")))
    if row.status == "failed":
        return Why("bad", "Why did it end?", (Part(_failed(detail)),))
    return None


def _pending(detail: JobDetail, standing: Standing, now: datetime) -> tuple[Part, ...]:
    row = detail.row
    deadline = detail.carried.deadline_at
    if deadline is not None and deadline <= now:
        return (Part("Its deadline has passed, so it will not run: it fails as expired within seconds."),)
    if standing.paused is not None:
        return _paused(detail, standing.paused, now)
    if row.due_at > now:
        return (Part("It waits until "), _until(row.due_at), Part(f", because {_cause(detail)}."))
    if standing.full is not None:
        return (Part(_full(row.type, standing.full)),)
    if standing.spent is not None:
        return _spent(row.type, standing.spent)
    return _no_worker(detail, standing)


def _paused(detail: JobDetail, pause: PauseRow, now: datetime) -> tuple[Part, ...]:
    row = detail.row
    by = f" by {pause.by}" if pause.by else ""
    reason = f": “{pause.reason}”" if pause.reason else ""
    begin = (Part(f"{row.type} was paused{by} "), Part(at=pause.at, form="ago"))
    if row.due_at <= now:
        return (*begin, Part(f"{reason}. It is due, and starts once the type is resumed."))
    return (*begin, Part(f"{reason}. It would be due at "), _until(row.due_at), Part("."))


def _cause(detail: JobDetail) -> str:
    last: AttemptRow | None = detail.attempts[0] if detail.attempts else None
    if last is None or not detail.row.attempts:
        return "it was enqueued with a delay"
    if last.outcome in _LOST:
        return f"run {last.run} lost its worker"
    if last.outcome == "timed_out":
        return f"run {last.run} was over its time limit"
    return f"run {last.run} failed"


def _full(type: str, full: Full) -> str:
    of = f"of {type} with partition key “{full.key}”" if full.key else f"of {type}"
    job, run = ("job", "runs") if full.running == 1 else ("jobs", "run")
    return f"It is due, but {full.running:,} {job} {of} {run}, and no more than {full.most:,} may at once."


def _spent(type: str, spent: Spent) -> tuple[Part, ...]:
    of = f"{type} with partition key “{spent.key}”" if spent.key else type
    per = "second" if spent.per_s == 1 else spell(spent.per_s, coarse=spent.per_s >= 1)
    text = f"It is due, but {of} may start {spent.starts:,} per {per}, and these are used up; the next may start in "
    return Part(text), _left(spent.next_at), Part(".")


def _no_worker(detail: JobDetail, standing: Standing) -> tuple[Part, ...]:
    count = standing.waiting - 1
    others = f", {count:,} other{' waits' if count == 1 else 's wait'}" if count > 0 else ""
    if standing.running:
        run = "runs" if standing.running == 1 else "run"
        text = f"It is due and waits for a worker; {standing.running:,} of its type {run} now{others}."
        return (Part(text),)
    begin = f"It is due and waits for a worker{others}. None of its type runs now"
    return (Part(begin), *_seen(standing.workers, detail.row.type))


def _seen(workers: Workers, type: str) -> tuple[Part, ...]:
    """What is known of workers. Which types an idle one would take is not: it is a question."""
    if workers.last_at is None:
        return (Part(", and no worker has ever taken a job here."),)
    if workers.lately:
        worked = "worker was" if workers.lately == 1 else "workers were"
        which = "it" if workers.lately == 1 else "one of them"
        return (
            Part(
                f", though {workers.lately:,} {worked} at work in the last 2 minutes: does {which} take {type}?"
            ),
        )
    last = Part(at=workers.last_at, form="ago")
    if workers.lost_at is not None:
        reason = f": {workers.lost_reason}" if workers.lost_reason else ""
        return (
            Part(f", and the last worker, {workers.last_name}, died "),
            Part(at=workers.lost_at, form="ago"),
            Part(f"{reason}."),
        )
    return (
        Part(f", and the last worker that was at work, {workers.last_name}, was heard "),
        last,
        Part(f": is one alive that takes {type}?"),
    )


def _deadline(detail: JobDetail, now: datetime) -> tuple[Part, ...]:
    """What a deadline that is still to come means for it."""
    deadline, due = detail.carried.deadline_at, detail.row.due_at
    if deadline is None or deadline <= now:
        return ()
    if deadline <= due:
        return (
            Part(" But its deadline is before that, "),
            _until(deadline),
            Part(": it will fail without running."),
        )
    return Part(" If it has not begun by "), _until(deadline), Part(", it fails as expired.")


def _failed(detail: JobDetail) -> str:
    row = detail.row
    ends = {event.kind: event for event in detail.events if event.run == row.run}
    if "expired" in ends:
        return "Its deadline passed before it could begin. Retry does not move the deadline."
    if (poisoned := ends.get("poisoned")) is not None:
        crashes = poisoned.details["crashes"]
        return f"It was stopped after {crashes} crashes in a row: its workers kept dying while they ran it."
    if row.attempts <= row.max_retries:
        return f"It failed for good after attempt {row.attempts} of {row.max_retries + 1}: no further try was wanted."
    budget = (
        "its only attempt is used up" if row.attempts == 1 else f"all {row.attempts} attempts are used up"
    )
    return f"It failed: {budget}. Retry gives it the whole budget again."


def _until(at: datetime) -> Part:
    return Part(at=at, form="until")


def _left(at: datetime | None) -> Part:
    return Part(at=at, form="left")
