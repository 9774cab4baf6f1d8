"""The page of one type: does it run as it should, how did it do, what does the project say about it."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse

from aerodash import instants
from aerodash.auth import Scope
from aerodash.console import charts
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.console.charts import Chart, Series, Window
from aerodash.realtime.pages import LiveView, live_url
from aerodash.realtime.shared import once
from aerodash.rollups import markers
from aerodash.rollups import queries as timeline
from aerodash.rollups.queries import Rollup
from jobs_admin import queries, type_figures, worker_figures
from jobs_admin.type_figures import TypeNow
from jobs_admin.views.type_settings import facts, length_text
from jobs_admin.views.types import STATES, check_name, limits_of, rate_words
from jobs_admin.views.why import Part

ERRORS_LOOKED_AT = 50
ERRORS_SHOWN = 5
RANGE = "1h"
CHARTS_EVERY_S = 10.0

_ENDS = (
    ("jobs.completed", "completed", "good"),
    ("jobs.retried", "failed, tried again", "warn"),
    ("jobs.failed", "failed for good", "bad"),
    ("jobs.cancelled", "cancelled", "idle"),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something that is so now. tone: "bad", "warn", "good", or "" where nobody need do anything."""

    tone: str
    icon: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    """A schedule that enqueues the type. next_at: None while it is paused."""

    name: str
    when: str
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class SeenError:
    """An error among the newest failed jobs: how often, and the newest job that ended with it."""

    text: str
    count: int
    job_id: str
    at: datetime | None


@project_page(Scope.QUEUE_READ)
async def type_page(request: HttpRequest, access: Access, type: str) -> HttpResponse:
    """/p/<slug>/types/<type>, and for htmx its live fragments."""
    check_name(type)
    given = request.GET.dict()
    context = await database_sync_to_async(whole, thread_sensitive=False)(access, type, given)
    return answer(request, "jobs_admin/type.html", context)


def push(view: LiveView) -> str:
    """What the socket sends; with the charts when their newest step is over."""
    name = view.params.get("type", "")
    context = content(view.access, name, view.since)
    part = view.render("jobs_admin/type.html#live-now", context)
    window = charts.window(view.params, now=datetime.now(UTC), default=RANGE)
    if window.is_zoomed:
        return part
    began = time.monotonic()
    key = ("type-charts", view.access.project_id, view.access.role, name, window.range)
    drawn = once(key, began - CHARTS_EVERY_S, lambda: (time.monotonic(), _charts(view.access, name, window)))
    if drawn[0] < began:
        return part
    return part + view.render("jobs_admin/type.html#live-charts", drawn[1])


def whole(access: Access, name: str, given: Mapping[str, str]) -> dict[str, object]:
    """The context of the page as it is loaded."""
    window = charts.window(given, now=datetime.now(UTC), default=RANGE)
    return {
        **content(access, name, time.monotonic()),
        **_charts(access, name, window),
        "live_url": live_url(access, "type", type=name, **window.params()),
    }


def content(access: Access, name: str, since: float) -> dict[str, object]:
    """What is pushed with every change."""
    project, actor = access.project_id, access.actor
    [now] = type_figures.look(project, actor, names=[name], since=since)
    alive, is_spent = 0, False
    if now.is_late and not now.is_taken:
        alive = worker_figures.roll(project, actor, since=since).count("alive")
    elif now.is_late:
        is_spent = type_figures.is_spent(project, actor, type=now.row)
    slug = access.project.slug
    jobs_url = f"/p/{slug}/jobs?{urlencode({'type': name})}"
    counts = now.row.counts
    return {
        "now": now,
        "name": name,
        "state": STATES.get(now.trouble),
        "sentences": sentences(now, alive, is_spent),
        "limits": limits_of(now.row),
        "counts": [
            (status, getattr(counts, status), f"{jobs_url}&status={status}")
            for status in ("pending", "processing", "failed", "completed", "cancelled")
        ],
        "jobs_url": jobs_url,
        "due_url": f"{jobs_url}&status=due",
        "failed_url": f"{jobs_url}&status=failed",
        "due_most": type_figures.DUE_COUNTED,
        "facts": facts(now.row),
        "schedules": _schedules(access, name),
        "errors": _errors(access, name),
        "errors_of": ERRORS_LOOKED_AT,
        "may_change": access.may(Scope.QUEUE_MANAGE),
    }


def sentences(now: TypeNow, alive: int, is_spent: bool) -> list[Sentence]:
    """How it stands, the worst first. alive: workers of the project. is_spent: its rate's starts are used up."""
    said = []
    row, due = now.row, now.due
    if row.paused is not None:
        by = f" by {row.paused.by}" if row.paused.by else ""
        reason = f": “{row.paused.reason}”" if row.paused.reason else ""
        waits = _jobs(row.counts.pending, "pending job waits", "pending jobs wait")
        runs = row.counts.processing
        still = f" {_jobs(runs, 'job that had begun goes', 'jobs that had begun go')} on." if runs else ""
        said.append(
            Sentence(
                "warn",
                "player-pause",
                (
                    Part(f"Paused{by} "),
                    Part(at=row.paused.at, form="ago"),
                    Part(f"{reason}. {waits} until it is resumed.{still}"),
                ),
            )
        )
    if now.hour is not None and now.hour.is_failing:
        hour = now.hour
        text = (
            f"{hour.wrong_percent:.1f} % of its runs failed in the last hour: {hour.wrong:,} of {hour.runs:,}. "
            f"{_jobs(hour.failed, 'job', 'jobs')} failed for good."
        )
        said.append(Sentence("bad", "circle-x", (Part(text),)))
    if now.is_late and due.oldest_at is not None:
        waits = (Part("Its oldest due job has waited "), Part(at=due.oldest_at, form="since"))
        if now.is_taken:
            said.append(Sentence("warn", "clock-exclamation", (*waits, Part(_held_back(now, is_spent)))))
        else:
            said.append(Sentence("bad", "plug-connected-x", (*waits, Part(_not_taken(row.name, alive)))))
    return said or [_quiet(now)]


def _held_back(now: TypeNow, is_spent: bool) -> str:
    say, running = now.row.settings, now.row.counts.processing
    if say.concurrency is not None and running >= say.concurrency:
        return f": all {say.concurrency:,} that may run at once are busy."
    if is_spent and say.rate is not None:
        return f": it may start {rate_words(say.rate, say.rate_per_ms)}, and these are used up."
    return f", while {_jobs(running, 'job runs', 'jobs run')}: more come than its workers take."


def _not_taken(name: str, alive: int) -> str:
    if not alive:
        return ", and none runs: no worker is alive."
    workers = "1 worker is alive" if alive == 1 else f"{alive:,} workers are alive"
    return f", and none runs, though {workers}: does {'it' if alive == 1 else 'one of them'} take {name}?"


def _quiet(now: TypeNow) -> Sentence:
    counts, hour = now.row.counts, now.hour
    if not counts.total and hour is None:
        return Sentence(
            "", "info-circle", (Part("No job of this type was ever enqueued, or all were long ago."),)
        )
    if not counts.pending and not counts.processing:
        lately = f"; {_jobs(hour.runs, 'run', 'runs')} ended in the last hour" if hour and hour.runs else ""
        return Sentence("good", "circle-check", (Part(f"Nothing waits and nothing runs{lately}."),))
    said = [f"{_jobs(counts.processing, 'job runs', 'jobs run')} now"]
    if hour is not None and hour.runs:
        wrong = f"{hour.wrong_percent:.1f} % of them failed" if hour.wrong else "none failed"
        said.append(f"{_jobs(hour.runs, 'run', 'runs')} ended in the last hour, {wrong}")
    if now.due.number == 0:
        said.append("no job is due")
    return Sentence("good", "circle-check", (Part("; ".join(said) + "."),))


def _jobs(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _schedules(access: Access, name: str) -> list[ScheduleLine]:
    found = type_figures.schedules_of(access.project_id, access.actor, type=name)
    return [
        ScheduleLine(
            one.name,
            one.cron or f"every {length_text((one.every_ms or 0) / 1000)}",
            instants.of_ms(one.next_at_ms) if one.next_at_ms is not None else None,
        )
        for one in found
    ]


def _errors(access: Access, name: str) -> list[SeenError]:
    """The errors of the newest failed jobs, the commonest first."""
    page = queries.page(access.project_id, access.actor, status="failed", type=name, limit=ERRORS_LOOKED_AT)
    counted = Counter(job.error for job in page.jobs)
    newest = {job.error: job for job in reversed(page.jobs)}
    return [
        SeenError(text, count, newest[text].id, newest[text].ended_at)
        for text, count in counted.most_common(ERRORS_SHOWN)
    ]


def _charts(access: Access, name: str, window: Window) -> dict[str, object]:
    project, actor = access.project_id, access.actor
    ask = {"label": name, "start_at": window.start_at, "end_at": window.end_at}
    step_s = 60 if 20 * 60 <= window.seconds <= 3 * 3600 else None
    url = f"/p/{access.project.slug}/types/{name}"
    ends = [
        (timeline.series(project, actor, metric, step_s=step_s, **ask), label, tone)
        for metric, label, tone in _ENDS
    ]
    wait = timeline.quantile_series(project, actor, "jobs.wait_ms", step_s=step_s, qs=(0.5, 0.95), **ask)
    run = timeline.quantile_series(project, actor, "jobs.run_ms", step_s=step_s, qs=(0.5, 0.95), **ask)
    happened = [
        charts.Marker(one.at.timestamp(), one.label)
        for one in markers.markers(project, actor, start_at=window.start_at, end_at=window.end_at)
        if one.kind == "worker" or one.target == name or one.kind == "flag"
    ]
    at = ends[0][0].at
    if step_s:  # a minute that goes on would look like a fall, or a rise
        at = at[: max(sum(one + step_s <= ends[0][0].as_of_s for one in at), 1)]
    return {
        "window": window,
        "page_url": url,
        "charts": [
            Chart(
                "ends", "Runs ended per minute", "jobs", at,
                [Series(label, rollup.per_minute(name)[: len(at)], tone) for rollup, label, tone in ends],
                happened, range_url=url,
            ),
            Chart(
                "wait", "Time from due to start", "ms", at, _times(wait, len(at)),
                range_url=url, small=True, empty="No job of this type started in this time.",
            ),
            Chart(
                "run", "Time of a run", "ms", at, _times(run, len(at)),
                range_url=url, small=True, empty="No run of this type ended in this time.",
            ),
        ],
    }  # fmt: skip


def _times(rollup: Rollup, steps: int) -> Sequence[Series]:
    return [
        Series("half below", rollup.values["p50"][:steps], "accent"),
        Series("95 % below", rollup.values["p95"][:steps], "warn"),
    ]
