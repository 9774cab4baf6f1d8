"""The reads behind the pages: counts, pages and details, and the indexes that they use."""

import re
import uuid
from collections.abc import Iterator
from itertools import product

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from aerodash import instants
from aerodash.auth import Scope
from aerodash.errors import InvalidInput, NotAllowed
from aerodash.models import Project
from jobs_admin import filtered, queries, services
from jobs_admin.models import Batch, Job, JobLane, JobTag

FAR_MS = 4_000_000_000_000
WORKER = services.WorkerInfo("w-1", "host-a", 41, "1.0")


@pytest.fixture
def add(project_id, actor):
    """Enqueue a job; returns its id."""
    from aerodash import engines

    def add(type: str = "email", **options) -> str:
        return engines.run(
            services.enqueue(project_id, actor, job=services.new_job(type, b"{}", **options))
        ).job_id

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


@pytest.fixture
def crowd(project_id) -> Iterator[None]:
    """Many jobs, mostly another project's, that are gone afterwards: a small table is read whole, and rightly."""
    other = Project.objects.create(slug=f"crowd-{project_id}", name="Crowd").pk
    kinds = [
        {"status": "pending"},
        {"status": "pending", "attempts": 1},
        {"status": "completed"},
        {"status": "failed"},
        {"status": "processing", "lease_token": "t", "lease_expires_at_ms": FAR_MS},
        {
            "status": "processing",
            "lease_token": "t",
            "lease_expires_at_ms": FAR_MS,
            "cancel_requested_at_ms": 1,
        },
    ]
    jobs = [
        Job(
            id=uuid.UUID(int=number),
            project_id=other if number % 13 else project_id,
            type=("email", "sms", "push")[number % 3],
            created_at_ms=number,
            due_at_ms=number,
            payload_bytes=2,
            payload="{}",
            # Few of the finer words' jobs, as in life.
            **kinds[(0, 2, 3, 2, 0, 4, 2)[number % 7] if number % 50 else (1, 5)[number % 100 // 50]],
        )
        for number in range(1, 6_000)
    ]
    with transaction.atomic():
        Job.objects.bulk_create(jobs, batch_size=500)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE jobs_admin_job")
        yield
        transaction.set_rollback(True)


def plan(sql: str, *, prefer_indexes: bool = False) -> list[str]:
    """The steps by which the database would answer."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SET enable_seqscan = {'off' if prefer_indexes else 'on'}")
            cursor.execute(f"EXPLAIN {sql}")
            steps = [step for (step,) in cursor.fetchall() if "  (cost=" in step or "Cond" in step]
            cursor.execute("SET enable_seqscan = on")
            return steps
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return [row[3] for row in cursor.fetchall()]


def in_words(queryset: QuerySet) -> str:
    """The statement with its values in it, for `plan`."""
    with CaptureQueriesContext(connection) as captured:
        list(queryset)
    return captured.captured_queries[0]["sql"]


# How each database says that a range of an index is read in order, and whether the table is looked into.
IN_ORDER = {
    "sqlite": {
        "job_by_status": "COVERING INDEX job_by_status",
        "job_by_type": "COVERING INDEX job_by_type",
        "job_retrying": "INDEX job_retrying",
        "job_cancelling": "INDEX job_cancelling",
    },
    "postgresql": {
        name: f"Index Only Scan Backward using {name}"
        for name in ("job_by_status", "job_by_type", "job_retrying", "job_cancelling")
    },
}
SORTED = {"sqlite": "TEMP B-TREE", "postgresql": "Sort"}


def test_a_page_is_read_from_an_index_in_order(project_id, crowd):
    # With a type PostgreSQL goes by what it knows of the rows; SQLite, which knows nothing, is told.
    typed = [("retrying", "email", "job_retrying"), ("cancelling", "email", "job_cancelling")]
    for state, type, index in (
        *(typed if connection.vendor == "sqlite" else ()),
        ("pending", None, "job_by_status"),
        ("completed", None, "job_by_status"),
        ("completed", "email", "job_by_type"),
        ("retrying", None, "job_retrying"),
        ("cancelling", None, "job_cancelling"),
    ):
        ids = queries._of_state(project_id, state, type, 0).order_by("-pk").values_list("pk", flat=True)
        steps = plan(in_words(ids[:51]))
        assert any(IN_ORDER[connection.vendor][index] in step for step in steps), (state, steps)
        assert not any(SORTED[connection.vendor] in step for step in steps), (state, steps)


READS = {
    "sqlite": r"\(id=\?\)|project_id=\? AND .*status=\?|COVERING INDEX job_lease_order",
    "postgresql": r"Index Only Scan .*using job_|Index Scan using (jobs_admin_job_pkey|job_)"
    # As long as the rows are younger than the last vacuum, they are looked at as well.
    r"|Bitmap Heap Scan|Bitmap Index Scan on (jobs_admin_)?job_",
}


def test_a_page_reads_only_the_rows_it_shows(project_id, actor, crowd):
    for filter in ({}, {"status": "pending"}, {"type": "email"}, {"type": "email", "status": "failed"}):
        with CaptureQueriesContext(connection) as captured:
            assert queries.page(project_id, actor, **filter).jobs
            queries.finer_counts(project_id, actor)
        for query in captured.captured_queries:
            steps = plan(query["sql"])
            reads = [step for step in steps if re.search(r"(SEARCH|SCAN|on) (jobs_admin_job|job)\b", step)]
            assert reads, steps
            for step in reads:
                assert re.search(READS[connection.vendor], step), steps


@pytest.fixture
def labelled(project_id, crowd) -> str:
    """The crowd, with tags on all of it and a tenth of the project's jobs in a batch; the batch's id."""
    batch = Batch.objects.create(id=uuid.UUID(int=1), project_id=project_id, created_at_ms=1)
    own = list(Job.objects.filter(project_id=project_id).values_list("pk", flat=True))
    Job.objects.filter(pk__in=own[::10]).update(batch_id=batch.pk)
    jobs = Job.objects.filter(pk__lt=uuid.UUID(int=6_000)).values_list("pk", "project_id")
    tags = [
        JobTag(project_id=project, tag=("a", "b", "c")[number // 3 % 3], job_id=id)
        for number, (id, project) in enumerate(jobs)
    ]
    JobTag.objects.bulk_create(tags, batch_size=500)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE jobs_admin_job, jobs_admin_jobtag")
    return str(batch.pk)


FROM_INDEX = {
    "sqlite": {"tag": r"SEARCH .*jobtag.*\(project_id=\? AND tag=\?", "batch": "INDEX job_of_batch"},
    "postgresql": {"tag": r"Scan.* (using|on) jobs_admin_jobtag", "batch": "(using|on) job_of_batch"},
}


def test_a_tag_or_a_batch_is_read_from_its_own_index(project_id, actor, labelled):
    wanted = {"tag": {"tag": "a"}, "batch": {"batch": labelled}}
    for label, type, status in product(
        wanted, (None, "email"), (None, "pending", "retrying", "completed", "cancelling")
    ):
        with CaptureQueriesContext(connection) as captured:
            queries.page(project_id, actor, status=status, type=type, **wanted[label], limit=5)
        [sql] = [query["sql"] for query in captured.captured_queries if "range_0" in query["sql"]]
        # Of so few rows it may be cheaper to read all; what counts is that none need be.
        steps = plan(sql, prefer_indexes=True)
        what = (label, type, status, steps)
        assert any(re.search(FROM_INDEX[connection.vendor][label], step) for step in steps), what
        assert not any("SCAN jobs_admin" in step or "Seq Scan" in step for step in steps), what


def test_pages_of_a_tag_join_without_a_gap(project_id, actor, labelled):
    everything = [job.id for job in queries.page(project_id, actor, tag="a", limit=200).jobs]
    assert len(everything) > 20
    pages: list[str] = []
    cursor = None
    while cursor is not None or not pages:
        page = queries.page(project_id, actor, tag="a", before=cursor, limit=7)
        pages += [job.id for job in page.jobs]
        cursor = page.older
    assert pages == everything
    back = queries.page(project_id, actor, tag="a", after=everything[7], limit=7)
    assert ([job.id for job in back.jobs], back.newer) == (everything[:7], None)


HOSTILE = "x UNION ALL SELECT username FROM aerodash_user WHERE 1=1"


@pytest.mark.parametrize(
    "status", ["sleeping", "", HOSTILE, "pending; DROP TABLE jobs_admin_job", "pending'"]
)
def test_a_status_that_is_none_is_refused_by_every_list(project_id, actor, status: str) -> None:
    cursor = "01a20d50-2cb5-7223-bc6a-783d1f242067"
    with pytest.raises(InvalidInput):
        queries.newer_ids(project_id, actor, after=cursor, filter=queries.JobFilter(status))
    with pytest.raises(InvalidInput):
        queries.page(project_id, actor, status=status)


def test_a_hostile_type_matches_nothing(project_id, actor) -> None:
    assert queries.page(project_id, actor, type=HOSTILE).jobs == ()
    assert queries.counts(project_id, actor, type=HOSTILE).total == 0
    assert queries.finer_counts(project_id, actor, type=HOSTILE).due_now == 0


def test_next_runs_are_read_from_the_order_in_which_leases_look(project_id, actor, crowd):
    JobLane.objects.create(project_id=project_id, type="email", priority=5)
    JobLane.objects.create(project_id=project_id, type="sms", priority=5)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE jobs_admin_joblane")
    cursor = f"1000-{uuid.UUID(int=1)}"
    for asked in ({}, {"type": "email"}, {"state": "due"}, {"after": cursor}):
        with CaptureQueriesContext(connection) as captured:
            assert queries.next_runs(project_id, actor, **asked, limit=5).jobs
        _, ids, *_ = (query["sql"] for query in captured.captured_queries)
        steps = plan(ids, prefer_indexes=True)
        reads = [step for step in steps if re.search(r"(SEARCH|SCAN|on) jobs_admin_job\b", step)]
        assert reads, steps
        assert all("job_lease_order" in step for step in reads), steps


def test_jobs_of_a_time_are_read_from_the_same_indexes(project_id, actor, crowd):
    begin = instants.of_ms(0)
    for filter in ({}, {"status": "pending"}, {"type": "email"}, {"status": "retrying"}):
        with CaptureQueriesContext(connection) as captured:
            queries.page(
                project_id, actor, **filter, created_from=begin, created_to=instants.of_ms(2**40), limit=5
            )
            if "status" not in filter:
                assert filtered.figures(project_id, actor, queries.JobFilter(**filter, created_from=begin))
        for query in captured.captured_queries:
            reads = [
                step
                for step in plan(query["sql"], prefer_indexes=True)
                if re.search(r"(SEARCH|SCAN|on) jobs_admin_job\b", step)
            ]
            assert reads
            for step in reads:
                assert re.search(READS[connection.vendor], step), reads
