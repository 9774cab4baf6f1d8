"""The reads behind the pages: counts, pages and details, and the indexes that they use."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aerodash.auth import Scope
from aerodash.errors import InvalidInput, NotAllowed
from jobs_admin import queries, services

WORKER = services.WorkerInfo("w-1", "host-a", 41, "1.0")


@pytest.fixture
def add(project_id, actor):
    """Enqueue a job; returns its id."""
    from aerodash import engines

    def add(type: str = "email", **options) -> str:
        return engines.run(services.enqueue(project_id, actor, type=type, payload=b"{}", **options)).job_id

    return add


@pytest.fixture
def run(project_id, actor):
    """Lease what is due of these types and end it; None leaves it running."""
    from aerodash import engines

    def run(outcome: str | None, *types: str, limit: int = 100, **said) -> list[str]:
        leased = engines.run(
            services.lease(
                project_id, actor, types=types or None, limit=limit, lease_s=60, wait_s=0, worker=WORKER
            )
        )
        if outcome is not None:
            results = [services.RunResult(job.id, job.lease_token, outcome, **said) for job in leased]
            assert engines.run(services.settle(project_id, actor, results=results)) == ["accepted"] * len(
                leased
            )
        return [job.id for job in leased]

    return run


@pytest.fixture
def cancel(project_id, actor):
    from aerodash import engines

    return lambda job_id: engines.run(services.cancel(project_id, actor, job_id=job_id))


@pytest.fixture
def mixed(add, run, cancel) -> dict[str, str]:
    """One job in each state."""
    jobs = {}
    for outcome in ("completed", "failed"):
        jobs[outcome] = add(outcome)
        run(
            outcome,
            outcome,
            final=True,
            error_message="no such user\nat line 3" if outcome == "failed" else "",
        )
    jobs["retrying"] = add("retrying", retry_base_s=600)
    run("failed", "retrying", error_message="later")
    jobs["cancelled"] = add("cancelled")
    cancel(jobs["cancelled"])
    jobs["processing"] = add("processing")
    jobs["cancelling"] = add("cancelling")
    run(None, "processing", "cancelling")
    cancel(jobs["cancelling"])
    jobs["scheduled"] = add("scheduled", delay_s=600)
    jobs["pending"] = add("pending")
    return jobs


def test_counts_per_status_and_type(mixed, project_id, actor):
    counts = queries.counts(project_id, actor)
    assert counts == queries.Counts(pending=3, processing=2, completed=1, failed=1, cancelled=1)
    assert counts.total == 8
    assert queries.counts(project_id, actor, type="failed") == queries.Counts(failed=1)
    assert queries.counts(project_id, actor, type="nobody") == queries.Counts()


def test_finer_counts(mixed, project_id, actor):
    assert queries.finer_counts(project_id, actor) == queries.FinerCounts(
        due_now=1, scheduled=1, retrying=1, cancelling=1
    )
    assert queries.finer_counts(project_id, actor, type="retrying").retrying == 1
    assert queries.finer_counts(project_id, actor, type="retrying").scheduled == 0


def test_types_with_their_counts(mixed, project_id, actor):
    types = queries.types(project_id, actor)
    assert [type.name for type in types] == sorted(mixed)
    assert {type.name: type.counts.total for type in types} == dict.fromkeys(mixed, 1)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("pending", ["pending", "scheduled", "retrying"]),
        ("processing", ["cancelling", "processing"]),
        ("due", ["pending"]),
        ("scheduled", ["scheduled"]),
        ("retrying", ["retrying"]),
        ("cancelling", ["cancelling"]),
        ("failed", ["failed"]),
    ],
)
def test_a_page_of_a_state(mixed, project_id, actor, filter, expected):
    page = queries.page(project_id, actor, status=filter)
    assert [row.id for row in page.jobs] == [mixed[state] for state in expected]
    assert [row.state for row in page.jobs] == expected


def test_pages_join_in_both_directions(add, run, project_id, actor):
    ids = [add(("a", "b")[n % 2]) for n in range(10)]
    run("completed", limit=3)
    ids.reverse()

    first = queries.page(project_id, actor, limit=4)
    second = queries.page(project_id, actor, limit=4, before=first.older)
    third = queries.page(project_id, actor, limit=4, before=second.older)

    assert [row.id for page in (first, second, third) for row in page.jobs] == ids
    assert (first.newer, third.older) == (None, None)
    back = queries.page(project_id, actor, limit=4, after=third.newer)
    assert back == queries.JobPage(back.jobs, second.older, second.newer)
    assert [row.id for row in back.jobs] == [row.id for row in second.jobs]
    top = queries.page(project_id, actor, limit=4, after=back.newer)
    assert ([row.id for row in top.jobs], top.newer) == (ids[:4], None)


def test_a_row_says_how_long_it_waited_and_ran_and_its_errors_first_line(mixed, project_id, actor):
    by_id = {row.id: row for row in queries.page(project_id, actor).jobs}
    failed, scheduled, pending = (by_id[mixed[state]] for state in ("failed", "scheduled", "pending"))
    assert failed.error == "no such user"
    assert (failed.worker, failed.run, failed.attempts) == ("host-a:41", 1, 1)
    assert failed.ran_s is not None
    assert 0 <= failed.ran_s < 10
    assert (scheduled.waited_s, scheduled.ran_s) == (None, None)
    assert pending.waited_s is not None
    assert pending.created_at.tzinfo is not None


def test_rows_by_id_leave_out_what_is_not_there(mixed, project_id, actor):
    ids = [mixed["failed"], "nonsense", mixed["pending"], "01900000-0000-7000-8000-000000000000"]
    assert [row.id for row in queries.rows(project_id, actor, ids=ids)] == [mixed["pending"], mixed["failed"]]


def test_a_job_with_its_attempts_and_timeline(mixed, project_id, actor):
    detail = queries.job(project_id, actor, job_id=mixed["retrying"])
    assert detail is not None
    assert (detail.payload, detail.result, detail.error_message) == ("{}", None, "later")
    [attempt] = detail.attempts
    assert (attempt.run, attempt.outcome, attempt.error_message) == (1, "failed", "later")
    assert attempt.next_due_at == detail.row.due_at
    assert [(event.kind, event.by, event.door) for event in detail.events] == [
        ("enqueued", "key test", "api")
    ]

    running = queries.job(project_id, actor, job_id=mixed["cancelling"])
    assert running is not None
    assert [(a.run, a.outcome, a.ended_at) for a in running.attempts] == [(1, "processing", None)]
    assert [event.kind for event in running.events] == ["cancel_requested", "enqueued"]
    assert running.cancel_requested_by == "key test"

    assert queries.job(project_id, actor, job_id="nonsense") is None


def test_bad_pages_are_refused(project_id, actor):
    for bad in ({"status": "waiting"}, {"limit": 0}, {"limit": 201}, {"before": "x"}, {"after": "x"}):
        with pytest.raises(InvalidInput):
            queries.page(project_id, actor, **bad)


def test_every_read_needs_the_right(project_id, actor):
    blind = type(actor)(kind="key", id="9", label="key blind", scopes=frozenset({Scope.CACHE_READ}))
    for read in (
        lambda: queries.counts(project_id, blind),
        lambda: queries.finer_counts(project_id, blind),
        lambda: queries.types(project_id, blind),
        lambda: queries.page(project_id, blind),
        lambda: queries.rows(project_id, blind, ids=[]),
        lambda: queries.records(project_id, blind, ids=[]),
        lambda: queries.job(project_id, blind, job_id="x"),
    ):
        with pytest.raises(NotAllowed):
            read()


@pytest.mark.parametrize(
    ("state", "index"),
    [
        *((status, "COVERING INDEX job_by_status") for status in ("pending", "completed")),
        ("retrying", "INDEX job_retrying"),
        ("cancelling", "INDEX job_cancelling"),
    ],
)
def test_a_page_is_read_from_an_index_in_order(project_id, state, index):
    ids = queries._of_state(project_id, state, None, 0).order_by("-pk").values_list("pk", flat=True)
    plan = ids[:51].explain()
    assert index in plan
    assert "TEMP B-TREE" not in plan
    if state == "completed":
        plan = (
            queries._of_state(project_id, state, "email", 0).order_by("-pk").values_list("pk")[:51].explain()
        )
        assert "COVERING INDEX job_by_type" in plan
        assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    "filter", [{}, {"status": "pending"}, {"type": "email"}, {"type": "email", "status": "failed"}]
)
def test_a_page_reads_only_the_rows_it_shows(project_id, actor, add, filter):
    add()
    with CaptureQueriesContext(connection) as captured:
        queries.page(project_id, actor, **filter)
        queries.finer_counts(project_id, actor)
    for query in captured.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            steps = [row[3] for row in cursor.fetchall()]
        for step in steps:
            if "jobs_admin_job" in step:
                assert re.search(
                    r"\(id=\?\)|project_id=\? AND .*status=\?|COVERING INDEX job_lease_order", step
                ), steps


HOSTILE = "x UNION ALL SELECT username FROM aerodash_user WHERE 1=1"


@pytest.mark.parametrize(
    "status", ["sleeping", "", HOSTILE, "pending; DROP TABLE jobs_admin_job", "pending'"]
)
def test_a_status_that_is_none_is_refused_by_every_list(project_id, actor, status: str) -> None:
    cursor = "01a20d50-2cb5-7223-bc6a-783d1f242067"
    with pytest.raises(InvalidInput):
        queries.newer(project_id, actor, after=cursor, status=status)
    with pytest.raises(InvalidInput):
        queries.page(project_id, actor, status=status)


def test_a_hostile_type_matches_nothing(project_id, actor) -> None:
    assert queries.page(project_id, actor, type=HOSTILE).jobs == ()
    assert queries.counts(project_id, actor, type=HOSTILE).total == 0
    assert queries.finer_counts(project_id, actor, type=HOSTILE).due_now == 0
