"""What the Workers pages show: which processes run jobs, what each runs now, and what became of the jobs of lost ones.

A worker's row says when it was heard last and whether a supervisor saw it die; that it stopped, nobody says. So one that
is silent counts as lost if its leases ran out or runs of its go on, and as stopped otherwise. No index leads from a
worker to its runs that have ended: they are found among those of the newest jobs, RUNS_LOOKED_AT of them, and among the
newest jobs of the types that it runs now.
Plain functions over the ORM; all need the queue:read right.
"""

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from aerodash import instants
from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from aerodash.realtime.shared import once
from jobs_admin.models import Job, Worker
from jobs_admin.rollups import ALIVE_MS

WORKERS_MOST = 5_000
"""The list has those that were heard last. A worker is forgotten seven days after it was."""

LEASES_MOST = 20_000
"""So many running jobs of a project are read to tell who runs them; the oldest."""

RUNS_LOOKED_AT = 5_000
RUNS_SHOWN = 20
TYPES_LOOKED_AT = 5
JOBS_OF_TYPE_LOOKED_AT = 300
FATES_KNOWN_S = 5.0
CREATED_AFTER_MS = 60_000
"""A worker can have run no job that was created so long after it was heard last: it is noted every few seconds."""

JOBS_A_WORKER = 3
"""Running jobs that a line of the list names."""

STATES = ("lost", "alive", "stopped")
LOST_LATELY = timedelta(hours=24)
"""A loss stands on top of the list for so long."""

_LOST = ("lease_expired", "worker_lost")


@dataclass(frozen=True, slots=True)
class Running:
    """A job that a worker holds."""

    id: str
    type: str
    started_at: datetime | None
    lease_expires_at: datetime | None
    is_cancelling: bool


@dataclass(frozen=True, slots=True)
class WorkerNow:
    """A worker as it stands. key: its place in the list, and a cursor. state: of STATES.

    lost_at: when it was seen to die, or was last heard before its leases ran out. reason: what its supervisor said.
    ran_out: leases of it that ran out, among the runs that were looked at. running: the first jobs that it holds, the
    longest running first; leases: how many it holds, is_more: or more.
    """

    key: str
    id: str
    hostname: str
    pid: int
    version: str
    state: str
    first_seen_at: datetime
    last_seen_at: datetime
    lost_at: datetime | None
    reason: str
    ran_out: int
    leases: int
    is_more: bool
    running: tuple[Running, ...]

    @property
    def name(self) -> str:
        return f"{self.hostname}:{self.pid}" if self.hostname else self.id

    @property
    def types(self) -> list[str]:
        """Of the running jobs that are named."""
        return list(dict.fromkeys(job.type for job in self.running))

    @property
    def is_orphaning(self) -> bool:
        """Silent, with jobs that wait for their leases to run out."""
        return self.state == "lost" and self.leases > 0


@dataclass(frozen=True, slots=True)
class Roll:
    """The workers of a project: those lost lately first, then the living by name, then the others, last heard first."""

    workers: tuple[WorkerNow, ...]
    is_cut: bool

    def count(self, state: str) -> int:
        return sum(worker.state == state for worker in self.workers)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a worker that has ended, and where its job stands now."""

    job_id: str
    type: str
    run: int
    outcome: str
    started_at: datetime
    ended_at: datetime
    waited_s: float
    ran_s: float
    error: str
    status: str


@dataclass(frozen=True, slots=True)
class Runs:
    """A worker's newest runs. outcomes: how all that were found ended. fates: where the jobs of those that it lost
    stand now. is_whole: everything that is kept was looked at."""

    runs: tuple[Run, ...]
    outcomes: dict[str, int]
    fates: dict[str, int]
    is_whole: bool


def roll(project: ProjectId, actor: Actor, *, since: float) -> Roll:
    """All workers of the project that are remembered. since: time.monotonic(); what was read after it will do."""
    actor.require(Scope.QUEUE_READ)
    return once(("workers-roll", project), since, lambda: _roll(project))


def worker(project: ProjectId, actor: Actor, *, id: str) -> tuple[WorkerNow, Runs] | None:
    """One worker with all that it runs, and its newest ended runs; None if it is unknown or forgotten.

    Runs: those of it that are found (see the module), at most RUNS_SHOWN.
    """
    actor.require(Scope.QUEUE_READ)
    row = Worker.objects.filter(project_id=project, worker_id=id).first()
    if row is None:
        return None
    held = [_running(job) for job in _held(project, only=id)]
    ended = _runs(project, row, list(dict.fromkeys(job.type for job in held))[:TYPES_LOOKED_AT])
    ran_out = ended.outcomes.get("lease_expired", 0)
    return _now(row, held, len(held), ran_out, instants.now_ms(), is_cut=len(held) >= LEASES_MOST), ended


def fates(project: ProjectId, actor: Actor, *, id: str) -> dict[str, int]:
    """Where the jobs that a worker lost stand now, by status. Of a few seconds ago, because a list asks for several."""
    actor.require(Scope.QUEUE_READ)

    def ask() -> dict[str, int]:
        row = Worker.objects.filter(project_id=project, worker_id=id).first()
        return {} if row is None else _runs(project, row).fates

    return once(("worker-fates", project, id), time.monotonic() - FATES_KNOWN_S, ask)


def _runs(project: ProjectId, row: Worker, types: Sequence[str] = ()) -> Runs:
    """types: that it runs now; of these the newest ended jobs are looked at, too, however old they are."""
    newest, is_whole = _newest_runs(row.last_seen_at_ms + CREATED_AFTER_MS, worker=row.worker_id)
    found = {
        (run[0], run[2]): run for run in (*newest, *_runs_of_types(project, row.worker_id, types))
    }.values()
    jobs = {
        job.pk: job
        for job in Job.objects.filter(pk__in=[run[0] for run in found]).only("project_id", "type", "status")
        if job.project_id == project
    }
    mine = [_run(run, jobs[run[0]]) for run in found if run[0] in jobs]
    mine.sort(key=lambda run: run.ended_at, reverse=True)
    fates = Counter({run.job_id: run.status for run in mine if run.outcome in _LOST}.values())
    outcomes = Counter(run.outcome for run in mine)
    return Runs(tuple(mine[:RUNS_SHOWN]), dict(outcomes), dict(fates), is_whole)


def _roll(project: ProjectId) -> Roll:
    now_ms = instants.now_ms()
    rows = list(Worker.objects.filter(project_id=project).order_by("-last_seen_at_ms")[: WORKERS_MOST + 1])
    held: dict[str, list[HeldRow]] = {}
    all_held = _held(project)
    for job in all_held:
        held.setdefault(job[0], []).append(job)
    ran_out = _ran_out(rows[:WORKERS_MOST], now_ms)
    workers = [
        _now(
            row,
            [_running(job) for job in held.get(row.worker_id, [])[:JOBS_A_WORKER]],
            len(held.get(row.worker_id, ())),
            ran_out.get(row.worker_id, 0),
            now_ms,
            is_cut=len(all_held) >= LEASES_MOST,
        )
        for row in rows[:WORKERS_MOST]
    ]
    return Roll(tuple(sorted(workers, key=lambda one: one.key)), len(rows) > WORKERS_MOST)


def _now(
    row: Worker, running: Sequence[Running], leases: int, ran_out: int, now_ms: int, *, is_cut: bool
) -> WorkerNow:
    is_heard = row.last_seen_at_ms >= now_ms - ALIVE_MS
    is_dead = row.lost_at_ms is not None
    state = "stopped"
    if is_dead or (not is_heard and (leases or ran_out)):
        state = "lost"
    elif is_heard:
        state = "alive"
    lost_ms = (row.lost_at_ms or row.last_seen_at_ms) if state == "lost" else None
    return WorkerNow(
        key=_key(row, state, lost_ms, now_ms),
        id=row.worker_id,
        hostname=row.hostname,
        pid=row.pid,
        version=row.version,
        state=state,
        first_seen_at=instants.of_ms(row.first_seen_at_ms),
        last_seen_at=instants.of_ms(row.last_seen_at_ms),
        lost_at=None if lost_ms is None else instants.of_ms(lost_ms),
        reason=row.lost_reason,
        ran_out=ran_out,
        leases=leases,
        is_more=is_cut,
        running=tuple(running),
    )


def _key(row: Worker, state: str, lost_ms: int | None, now_ms: int) -> str:
    """Those lost lately before the living, the others after them."""
    if state == "alive":
        return f"1 {row.hostname} {row.pid:010} {row.worker_id}"
    is_new = lost_ms is not None and lost_ms >= now_ms - LOST_LATELY // timedelta(milliseconds=1)
    at_ms = row.last_seen_at_ms if lost_ms is None else lost_ms
    return f"{0 if is_new else 2} {instants.LAST_MS - at_ms:015} {row.worker_id}"


# Read past the ORM: there may be twenty thousand.
_HELD = """
SELECT worker_id, id, type, started_at_ms, lease_expires_at_ms, cancel_requested_at_ms IS NOT NULL
FROM jobs_admin_job
WHERE project_id = %s AND status = 'processing'{only}
ORDER BY id LIMIT %s
"""

type HeldRow = tuple[str, object, str, int | None, int | None, bool]


def _held(project: ProjectId, only: str | None = None) -> list[HeldRow]:
    """What runs now and who holds it, the oldest jobs first. Index: job_by_status."""
    sql = _HELD.format(only="" if only is None else " AND worker_id = %s")
    with connection.cursor() as cursor:
        cursor.execute(sql, [project, *([] if only is None else [only]), LEASES_MOST])
        rows: list[HeldRow] = cursor.fetchall()
    return rows


def _running(row: HeldRow) -> Running:
    _, id, type, started_ms, expires_ms, is_cancelling = row
    return Running(
        str(uuid.UUID(str(id))),
        type,
        None if started_ms is None else instants.of_ms(started_ms),
        None if expires_ms is None else instants.of_ms(expires_ms),
        bool(is_cancelling),
    )


def _ran_out(rows: Sequence[Worker], now_ms: int) -> dict[str, int]:
    """How many leases ran out of silent workers that nobody saw die. Nothing is read where there are none."""
    silent = [row for row in rows if row.lost_at_ms is None and row.last_seen_at_ms < now_ms - ALIVE_MS]
    if not silent:
        return {}
    ids = {row.worker_id for row in silent}
    found, _ = _newest_runs(now_ms, outcome="lease_expired")
    return Counter(worker for worker in (row[1] for row in found) if worker in ids)


# Where many jobs wait, those that end now were created long ago, but are the newest of their type that have ended.
_ENDED = """
SELECT id FROM (
    SELECT id, worker_id FROM jobs_admin_job
    WHERE project_id = %s AND type = %s AND status = %s ORDER BY id DESC LIMIT %s
) AS ended WHERE worker_id = %s
"""


def _runs_of_types(project: ProjectId, worker: str, types: Sequence[str]) -> list[tuple]:
    """Runs of a worker that are the last ones of the newest jobs of these types. Index: job_by_type."""
    ids: list[object] = []
    with connection.cursor() as cursor:
        for type in types:
            for status in ("completed", "failed"):
                cursor.execute(_ENDED, [project, type, status, JOBS_OF_TYPE_LOOKED_AT, worker])
                ids += [id for (id,) in cursor.fetchall()]
        if not ids:
            return []
        cursor.execute(_ATTEMPTS.format(ids=", ".join(["%s"] * len(ids))), [worker, *ids])
        return [(uuid.UUID(str(row[0])), *row[1:]) for row in cursor.fetchall()]


_COLUMNS = "job_id, worker_id, run, outcome, due_at_ms, leased_at_ms, ended_at_ms, error_type, error_message"
_ATTEMPTS = f"SELECT {_COLUMNS} FROM jobs_admin_attempt WHERE worker_id = %s AND job_id IN ({{ids}})"

# The newest jobs' runs, by the primary key (job, run): ids of jobs follow time. Their number is bounded before they are
# looked through, so that it costs the same however many there are.
_NEWEST = """
SELECT * FROM (
    SELECT job_id, worker_id, run, outcome, due_at_ms, leased_at_ms, ended_at_ms, error_type, error_message
    FROM jobs_admin_attempt
    WHERE job_id <= %s
    ORDER BY job_id DESC, run DESC
    LIMIT %s
) AS newest
"""


def _newest_runs(
    until_ms: int, *, worker: str | None = None, outcome: str | None = None
) -> tuple[list[tuple], bool]:
    """Of the RUNS_LOOKED_AT runs of the newest jobs that were created by then: those of a worker, or of an outcome.

    And whether these were all that there are.
    """
    wanted = "worker_id = %s" if worker is not None else "outcome = %s"
    last = uuid.UUID(int=((until_ms << 80) | (1 << 80) - 1))
    as_stored = last.hex if connection.vendor == "sqlite" else last
    with connection.cursor() as cursor:
        cursor.execute(f"{_NEWEST} WHERE {wanted}", [as_stored, RUNS_LOOKED_AT, worker or outcome])
        found = [(uuid.UUID(str(row[0])), *row[1:]) for row in cursor.fetchall()]
        cursor.execute(
            "SELECT 1 FROM jobs_admin_attempt WHERE job_id <= %s ORDER BY job_id DESC, run DESC LIMIT 1 OFFSET %s",
            [as_stored, RUNS_LOOKED_AT],
        )
        return found, cursor.fetchone() is None


def _run(row: tuple, job: Job) -> Run:
    job_id, _, run, outcome, due_ms, leased_ms, ended_ms, error_type, error_message = row
    return Run(
        job_id=str(job_id),
        type=job.type,
        run=run,
        outcome=outcome,
        started_at=instants.of_ms(leased_ms),
        ended_at=instants.of_ms(ended_ms),
        waited_s=max(leased_ms - due_ms, 0) / 1000,
        ran_s=max(ended_ms - leased_ms, 0) / 1000,
        error=": ".join(filter(None, (error_type, error_message.partition("\n")[0]))),
        status=job.status,
    )
