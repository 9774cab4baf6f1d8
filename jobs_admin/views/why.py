"""Why a job is not running, or what becomes of it now: one sentence of facts above its page."""

from dataclasses import dataclass
from datetime import datetime

from aerodash.templatetags.aerodash_ui import spell
from jobs_admin.records import AttemptRow, JobDetail, PauseRow
from jobs_admin.waiting import AHEAD_MAX, Full, Keeper, Spent, Standing, Workers


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


def why(detail: JobDetail, standing: Standing | None, keeper: Keeper, now: datetime) -> Why | None:
    """The sentence; None where the question does not arise. standing: of a pending job."""
    row = detail.row
    if row.status == "pending" and standing is not None:
        parts = (*_pending(detail, standing, keeper, now), *_deadline(detail, now))
        return Why("warn", "Why is this not running?", parts)
    if row.status == "processing":
        return _processing(detail, keeper, now)
    if row.status == "failed":
        return Why("bad", "Why did it end?", (Part(_failed(detail)),))
    return None


def _processing(detail: JobDetail, keeper: Keeper, now: datetime) -> Why | None:
    ends = detail.lease_expires_at
    is_over = ends is not None and ends <= now
    if is_over and not keeper.is_there:
        begin = (Part("Its worker was last heard before its lease ended, "), Part(at=ends, form="ago"))
        return Why("warn", "Why does it not go on?", (*begin, Part(". "), *_no_keeper(keeper)))
    if is_over:
        text = "Its worker has not been heard for the whole of its lease, so the run is taken from it now."
        return Why("warn", "What happens now?", (Part(text),))
    if detail.row.state != "cancelling":
        return None
    if any(event.kind == "cancel_seen" and event.run == detail.row.run for event in detail.events):
        text = f"{detail.row.worker or 'Its worker'} knows that it is to stop. Whatever it answers, the job ends as cancelled"
        return Why("warn", "What happens now?", (Part(text + ", at the latest in "), _left(ends), Part(".")))
    by = f"{detail.cancel_requested_by} asked it to stop; its worker learns at the next heartbeat. "
    text = by + "It ends as cancelled, at the latest when its lease ends, in "
    return Why("warn", "What happens now?", (Part(text), _left(ends), Part(".")))


def _no_keeper(keeper: Keeper) -> tuple[Part, ...]:
    """Said where only the keeper can go on."""
    if keeper.last_at is None:
        return (Part("No keeper has ever run here, so nothing ends it: start one with “aerodash keeper”."),)
    return (
        Part("No keeper has run since "),
        Part(at=keeper.last_at, form="ago"),
        Part(", so nothing ends it: start one with “aerodash keeper”."),
    )


def _pending(detail: JobDetail, standing: Standing, keeper: Keeper, now: datetime) -> tuple[Part, ...]:
    row = detail.row
    deadline = detail.carried.deadline_at
    if deadline is not None and deadline <= now:
        if not keeper.is_there:
            return (Part("Its deadline has passed, so it will not run. "), *_no_keeper(keeper))
        return (Part("Its deadline has passed, so it will not run: it fails as expired within seconds."),)
    if standing.paused is not None:
        return _paused(detail, standing.paused, now)
    if row.due_at > now:
        runs = deadline is None or deadline > row.due_at
        text = f", because {_cause(detail)}.{_then(row.type, standing) if runs else ''}"
        return (Part("It waits until "), _until(row.due_at), Part(text))
    if standing.full is not None:
        return (Part(_full(row.type, standing.full) + _first(standing)),)
    if standing.spent is not None:
        return (*_spent(row.type, standing.spent), Part(_first(standing)))
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


def _then(type: str, standing: Standing) -> str:
    """What may hold it back when it is due; "" if nothing is seen that would."""
    if standing.full is not None:
        most = standing.full.most
        return f" Then {type} may have no more than {most:,} running at once, and now it has {standing.full.running:,}."
    if not standing.workers.lately:
        return " Then it needs a worker, and none has been at work in the last 2 minutes."
    return ""


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
    first = _first(standing)
    if standing.running:
        run = "runs" if standing.running == 1 else "run"
        text = f"It is due and waits for a worker; {standing.running:,} of its type {run} now."
        return (Part(text + first),)
    begin = "It is due and waits for a worker. None of its type runs now"
    return (Part(begin), *_seen(standing.workers, detail.row.type), Part(first))


def _first(standing: Standing) -> str:
    """How many come before it; "" for none."""
    if not standing.ahead:
        return ""
    many = f"{AHEAD_MAX:,} or more" if standing.ahead >= AHEAD_MAX else f"{standing.ahead:,}"
    jobs = "due job of its type comes" if standing.ahead == 1 else "due jobs of its type come"
    return f" {many} {jobs} first, older or more urgent."


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
    error = f" with {detail.error_type}" if detail.error_type else ""
    return f"It failed{error}: {budget}. Retry gives it the whole budget again."


def _until(at: datetime) -> Part:
    return Part(at=at, form="until")


def _left(at: datetime | None) -> Part:
    return Part(at=at, form="left")
