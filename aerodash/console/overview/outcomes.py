"""What became of jobs lately, from the timeline, and which types fail more than they do by habit.

A type is judged against itself: by the median of its own recent steps and how far they scatter (the median of the
distances from it), so that one that always fails a little is quiet, and one that never does is heard at once.
Source: insight.md, "Suspects".
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aerodash import instants
from aerodash.auth import Actor, Scope
from aerodash.console.overview.lines import counts
from aerodash.ids import ProjectId
from aerodash.rollups.queries import Rollup

JUDGED = 5
"""Types with the most failures of the last hour: each costs what reading some hundred buckets does."""
STEP_S = 300
STEPS = 36
LATELY_STEPS = 3
"""What counts as lately: the step that goes on and the two before it, so 10 to 15 minutes."""
HOUR_STEPS = 12
HABIT_STEPS = 4
HABIT_HOURS = 6
"""Steps with runs, and hours with runs of the last day, that a habit can be told from; better from hours, which a fault
that goes on does not soon outnumber."""
FAILURES_LEAST = 5
SCATTER = 4 * 1.4826
"""Times the median distance: 1.4826 makes it a standard deviation where steps scatter normally."""
MARGIN = 0.02
WITHOUT_HABIT = 0.1
"""What part of its runs a type may fail of which no habit is known."""
MANY = 20
MANY_RATE = 0.1
BAD_RATE = 0.05
HOUR_STEP_S = 600
MINUTE_STEPS = 6

_FAILED = ("jobs.failed", "jobs.retried")
_ENDED = ("jobs.completed", *_FAILED)


@dataclass(frozen=True, slots=True)
class Step:
    """What runs of a type ended as in one step: retried ones failed, and were to be tried again."""

    at: datetime
    completed: int
    failed: int
    retried: int

    @property
    def failures(self) -> int:
        return self.failed + self.retried

    @property
    def runs(self) -> int:
        return self.completed + self.failures


@dataclass(frozen=True, slots=True)
class Habit:
    """What part of its runs a type fails: as a rule, and at most before it is out of the ordinary."""

    rate: float
    limit: float


@dataclass(frozen=True, slots=True)
class Failing:
    """A type out of its habit. rate: what part of its runs failed lately. failed: jobs that failed for good in the last
    hour. since: when the steps began that are out of it, None if it always was so. habit: None while none is known."""

    type: str
    rate: float
    failures: int
    failed: int
    since: datetime | None
    habit: Habit | None

    @property
    def is_bad(self) -> bool:
        return self.rate >= BAD_RATE


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Jobs a minute, over the last whole minute; usual_…: the median of the hours of the last day, None in its first two.

    failing: the worst first. None as a figure: nothing has been counted yet.
    """

    failed: int | None
    completed: int | None
    usual_failed: float | None
    usual_completed: float | None
    failing: tuple[Failing, ...]


def now(project: ProjectId, actor: Actor, *, at: datetime) -> Outcomes:
    """Four statements, and two more while there are failures: of all types, and of the JUDGED with the most of them."""
    actor.require(Scope.QUEUE_READ)
    minute = counts(project, actor, _ENDED, start_at=at - timedelta(seconds=90), end_at=at, step_s=10)
    hours = counts(
        project, actor, ("jobs.enqueued", *_ENDED), start_at=at - timedelta(hours=25), end_at=at, step_s=3600
    )
    failing = [judge(*one) for one in _steps(project, actor, at)]
    worst = sorted(filter(None, failing), key=lambda one: (not one.is_bad, -one.failures, one.type))
    return Outcomes(
        failed=_last_minute(minute["jobs.failed"]),
        completed=_last_minute(minute["jobs.completed"]),
        usual_failed=_usual(hours["jobs.failed"], hours["jobs.enqueued"]),
        usual_completed=_usual(hours["jobs.completed"], hours["jobs.enqueued"]),
        failing=tuple(worst),
    )


def judge(type: str, steps: Sequence[Step], hours: Sequence[Step] = ()) -> Failing | None:
    """Whether this type fails more than it may.

    steps: STEPS of STEP_S, the oldest first; hours: the same of the last day. The last of either goes on still.
    """
    before, lately, hour = steps[:-LATELY_STEPS], steps[-LATELY_STEPS:], steps[-HOUR_STEPS:]
    failures, runs = sum(step.failures for step in lately), sum(step.runs for step in lately)
    failed, hour_runs = sum(step.failed for step in hour), sum(step.runs for step in hour)
    habit = habit_of(hours[:-1], HABIT_HOURS) or habit_of(before, HABIT_STEPS)
    limit = habit.limit if habit else WITHOUT_HABIT
    rate = failures / runs if runs else 0.0
    is_off = failures >= FAILURES_LEAST and rate > limit
    hour_rate = sum(step.failures for step in hour) / hour_runs if hour_runs else 0.0
    if is_off:
        return Failing(type, rate, failures, failed, _since(steps, limit), habit)
    if failed >= MANY and hour_rate >= MANY_RATE:
        return Failing(type, hour_rate, sum(step.failures for step in hour), failed, None, habit)
    return None


def habit_of(steps: Sequence[Step], least: int) -> Habit | None:
    """None if fewer than `least` of these steps have runs."""
    rates = [step.failures / step.runs for step in steps if step.runs]
    if len(rates) < least:
        return None
    rate = statistics.median(rates)
    scatter = statistics.median(abs(one - rate) for one in rates)
    return Habit(rate, rate + max(SCATTER * scatter, rate, MARGIN))


def _since(steps: Sequence[Step], limit: float) -> datetime | None:
    """Where the unbroken row of steps over the limit began; steps without runs say nothing. None if all of them are."""
    since: datetime | None = None
    for step in reversed(steps):
        if step.runs and step.failures / step.runs <= limit:
            return since
        if step.runs:
            since = step.at
    return None


def _steps(
    project: ProjectId, actor: Actor, at: datetime
) -> Iterator[tuple[str, Sequence[Step], Sequence[Step]]]:
    """The types to be judged, with their steps and their hours."""
    hour = counts(
        project, actor, _FAILED, labels=None, start_at=at - timedelta(hours=1), end_at=at, step_s=HOUR_STEP_S
    )
    failures: dict[str, int] = {}
    for found in hour.values():
        for type, line in found.values.items():
            failures[type] = failures.get(type, 0) + sum(int(count or 0) for count in line)
    worst = sorted(filter(failures.get, failures), key=lambda type: (-failures[type], type))[:JUDGED]
    if not worst:
        return
    ranges = ((STEP_S, STEPS), (3600, 25))
    fine, coarse = (
        counts(
            project, actor, _ENDED, labels=worst,
            start_at=at - timedelta(seconds=(number - 1) * step_s), end_at=at, step_s=step_s,
        )
        for step_s, number in ranges
    )  # fmt: skip
    for type in worst:
        yield type, _of_type(fine, type), _of_type(coarse, type)


def _of_type(found: Mapping[str, Rollup], type: str) -> list[Step]:
    lines = zip(*(found[metric].values[type] for metric in _ENDED), strict=True)
    at = next(iter(found.values())).at
    return [
        Step(instants.of_ms(at_s * 1000), *(int(count or 0) for count in line))
        for at_s, line in zip(at, lines, strict=True)
    ]


def _last_minute(found: Rollup) -> int | None:
    """Counts of the last six buckets of 10 s that are whole."""
    (line,) = found.values.values()
    whole = [
        value for start, value in zip(found.at, line, strict=True) if start + found.step_s <= found.as_of_s
    ]
    return sum(int(value or 0) for value in whole[-MINUTE_STEPS:]) if len(whole) >= MINUTE_STEPS else None


def _usual(hours: Rollup, enqueued: Rollup) -> float | None:
    """A minute's count as a rule: the median of the whole hours of the last day, from the first that has any jobs."""
    (line,), (there,) = hours.values.values(), enqueued.values.values()
    pairs = list(zip(line, there, strict=True))[:-1]  # the hour that goes on says too little
    first = next((place for place, (_, jobs) in enumerate(pairs) if jobs), len(pairs))
    known = [count or 0 for count, _ in pairs[first:]]
    return statistics.median(known) / 60 if len(known) >= 2 else None
