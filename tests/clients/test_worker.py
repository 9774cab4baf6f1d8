"""Workers of our SDK against the live server: how runs end, and what stopping, pausing and killing does to jobs."""

import asyncio
import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from aerodash_sdk import Client, NewJob
from aerodash_sdk.worker import Fail, Job, JobLogHandler, Retry, Worker, current_job

from aerodash import engines
from jobs_admin import services
from jobs_admin.models import Attempt

from .conftest import PATIENCE_S, Line, WorkerProcess, until

type Start = Callable[[Worker], threading.Thread]


def sweep() -> int:
    """What the keeper does all the time: end the runs whose lease has expired."""
    return engines.run(services.sweep())


def attempts(job_id: str) -> list[Attempt]:
    """The ended runs of a job, oldest first."""
    return [*Attempt.objects.filter(job_id=job_id).order_by("run")]


def test_return_value_becomes_the_result(client: Client, start: Start) -> None:
    worker = Worker(client)

    @worker.job("add")
    def add(job: Job) -> int:
        return job.payload["a"] + job.payload["b"]

    start(worker)
    ref = client.queue.send("add", {"a": 2, "b": 3})
    job = client.queue.wait(ref.job_id)
    assert (job.status, job.result, job.attempts) == ("completed", 5, 1)


def test_async_handler_runs(client: Client, start: Start) -> None:
    worker = Worker(client)

    @worker.job("greet")
    async def greet(job: Job) -> str:
        return f"Hello {job.payload}"

    start(worker)
    ref = client.queue.send("greet", "Zoë")
    assert client.queue.wait(ref.job_id).result == "Hello Zoë"


def test_exception_fails_the_job_with_its_traceback(client: Client, start: Start) -> None:
    worker = Worker(client)

    @worker.job("import-row")
    def import_row(job: Job) -> float:
        return float(job.payload["amount"])

    start(worker)
    ref = client.queue.send("import-row", {"amount": "many"}, max_retries=0)
    job = client.queue.wait(ref.job_id)
    assert job.status == "failed"
    assert job.error_details.type == "ValueError"
    assert "could not convert string to float: 'many'" in job.error_details.message
    assert "in import_row" in job.error_details.traceback


def test_retry_says_when_the_job_runs_again(client: Client, start: Start) -> None:
    worker = Worker(client)

    @worker.job("deliver")
    def deliver(job: Job) -> int:
        if job.attempts == 1:
            raise Retry("busy", after=job.payload)
        return job.attempts

    start(worker)
    at_once = client.queue.send("deliver", 0)
    later = client.queue.send("deliver", 300)
    job = client.queue.wait(at_once.job_id)
    assert (job.status, job.result, job.attempts) == ("completed", 2, 2)
    until(lambda: client.queue.get_job(later.job_id).state == "retrying")
    [attempt] = attempts(later.job_id)
    waits_s = client.queue.get_job(later.job_id).scheduled_at.timestamp() - attempt.ended_at_ms / 1000
    assert waits_s == pytest.approx(300, abs=1)


def test_fail_leaves_no_retry(client: Client, start: Start) -> None:
    worker = Worker(client)

    @worker.job("send-email")
    def send_email(job: Job) -> None:
        raise Fail("no such template")

    start(worker)
    ref = client.queue.send("send-email", {}, max_retries=9)
    job = client.queue.wait(ref.job_id)
    assert (job.status, job.attempts) == ("failed", 1)
    assert "no such template" in job.error


def test_result_that_the_server_refuses_fails_the_job_and_holds_up_no_other(
    client: Client, start: Start
) -> None:
    worker = Worker(client, concurrency=3)

    @worker.job("blow-up")
    def blow_up(job: Job) -> object:
        return {"big": "x" * 2_000_000, "odd": object(), "small": "x"}[job.payload]

    refs = {
        kind: client.queue.send("blow-up", kind, max_retries=0).job_id for kind in ("big", "small", "odd")
    }
    start(worker)
    jobs = {kind: client.queue.wait(job_id) for kind, job_id in refs.items()}
    assert jobs["small"].result == "x"
    for kind in ("big", "odd"):
        assert (jobs[kind].status, jobs[kind].error_details.type) == ("failed", "InvalidResult")


def test_every_job_of_a_crowd_runs_once(client: Client, start: Start) -> None:
    worker = Worker(client, concurrency=4, prefetch=16)
    runs: Counter[int] = Counter()

    @worker.job("count")
    def count(job: Job) -> None:
        runs[job.payload] += 1

    client.queue.send_many([NewJob("count", number) for number in range(300)])
    start(worker)
    until(lambda: len(client.queue.list_jobs(type="count", status="completed", limit=300)) == 300)
    assert runs == Counter(range(300))


def test_cancel_reaches_a_running_handler(client: Client, start: Start) -> None:
    worker = Worker(client, lease_s=1)
    seen = threading.Event()

    @worker.job("long")
    def long(job: Job) -> str:
        if job.wait_cancelled(PATIENCE_S):
            seen.set()
        return "late"

    start(worker)
    ref = client.queue.send("long")
    until(lambda: client.queue.get_job(ref.job_id).status == "processing")
    assert client.queue.cancel_job(ref.job_id).accepted
    assert client.queue.wait(ref.job_id, timeout_s=PATIENCE_S).status == "cancelled"
    assert seen.is_set()


def test_cancel_ends_an_async_handler_where_it_waits(client: Client, start: Start) -> None:
    worker = Worker(client, lease_s=1)
    cleaned_up = threading.Event()

    @worker.job("long")
    async def long(job: Job) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            cleaned_up.set()

    start(worker)
    ref = client.queue.send("long")
    until(lambda: client.queue.get_job(ref.job_id).status == "processing")
    assert client.queue.cancel_job(ref.job_id).accepted
    assert client.queue.wait(ref.job_id, timeout_s=PATIENCE_S).status == "cancelled"
    assert cleaned_up.is_set()
    [attempt] = attempts(ref.job_id)
    assert (attempt.outcome, attempt.error_type) == ("cancelled", "CancelledError")
    assert "await asyncio.sleep(600)" in attempt.traceback


def test_progress_learns_of_a_cancel_sooner_than_the_heart(client: Client, start: Start) -> None:
    worker = Worker(client, lease_s=3600)  # its heart would tell in twenty minutes
    stopped = threading.Event()

    @worker.job("long")
    def long(job: Job) -> None:
        percent = 0
        while not job.wait_cancelled(0.05):
            percent += 1
            job.progress(percent % 100)
        stopped.set()

    start(worker)
    ref = client.queue.send("long")
    until(lambda: client.queue.get_job(ref.job_id).progress is not None)
    client.queue.cancel_job(ref.job_id)
    assert client.queue.wait(ref.job_id, timeout_s=PATIENCE_S).status == "cancelled"
    assert stopped.is_set()


def test_async_handlers_run_at_once_and_beside_sync_ones(client: Client, start: Start) -> None:
    worker = Worker(client, concurrency=1, async_concurrency=5)
    together = asyncio.Barrier(5)
    may_end = threading.Event()

    @worker.job("meet")
    async def meet(job: Job) -> None:
        await together.wait()

    @worker.job("block")
    def block(job: Job) -> None:
        may_end.wait(PATIENCE_S)

    start(worker)
    blocked = client.queue.send("block")
    until(lambda: client.queue.get_job(blocked.job_id).status == "processing")
    refs = client.queue.send_many([NewJob("meet", number) for number in range(5)])
    assert {client.queue.wait(ref.job_id, timeout_s=PATIENCE_S).status for ref in refs} == {"completed"}
    may_end.set()
    assert client.queue.wait(blocked.job_id).status == "completed"


def test_crowd_of_async_jobs_runs_once_each(client: Client, start: Start) -> None:
    worker = Worker(client, async_concurrency=10)
    runs: Counter[int] = Counter()

    @worker.job("count")
    async def count(job: Job) -> None:
        if job.payload % 3 == 0:
            await asyncio.sleep(0)
        runs[job.payload] += 1

    client.queue.send_many([NewJob("count", number) for number in range(500)])
    start(worker)
    until(lambda: len(client.queue.list_jobs(type="count", status="completed", limit=500)) == 500)
    assert runs == Counter(range(500))


def test_sync_handler_over_its_limit_fails_with_the_stack_it_hung_in(client: Client, start: Start) -> None:
    worker = Worker(client)
    may_end, told = threading.Event(), threading.Event()

    @worker.job("hang", timeout_s=1)
    def hang(job: Job) -> str:
        wait_here(may_end)
        if job.cancelled:
            told.set()
        return "late"

    def wait_here(event: threading.Event) -> None:
        event.wait(PATIENCE_S)

    start(worker)
    ref = client.queue.send("hang", max_retries=0)
    job = client.queue.wait(ref.job_id, timeout_s=PATIENCE_S)
    may_end.set()
    assert told.wait(PATIENCE_S)
    assert (job.status, job.error_details.type) == ("failed", "TimeLimitExceeded")
    assert "longer than its limit of 1 s" in job.error_details.message
    assert "in wait_here" in job.error_details.traceback
    assert client.queue.get_job(ref.job_id).status == "failed"


def test_async_handler_over_the_job_s_own_limit_is_cancelled(client: Client, start: Start) -> None:
    worker = Worker(client)

    @worker.job("hang", timeout_s=60)
    async def hang(job: Job) -> None:
        await wait_there()

    async def wait_there() -> None:
        await asyncio.get_running_loop().create_future()

    start(worker)
    ref = client.queue.send("hang", max_retries=0, timeout_seconds=1)
    job = client.queue.wait(ref.job_id, timeout_s=PATIENCE_S)
    assert (job.status, job.error_details.type) == ("failed", "TimeLimitExceeded")
    assert "in wait_there" in job.error_details.traceback


def test_handler_that_hangs_keeps_its_place_where_nobody_supervises(
    client: Client, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(client, concurrency=1, limit_grace_s=0.1)
    may_end = threading.Event()

    @worker.job("hang", timeout_s=0.1)
    def hang(job: Job) -> None:
        may_end.wait(PATIENCE_S)

    worker.job("next")(lambda job: None)
    start(worker)
    first = client.queue.send("hang", max_retries=0)
    assert client.queue.wait(first.job_id, timeout_s=PATIENCE_S).status == "failed"
    until(lambda: "goes on for ever, and keeps its place" in caplog.text)
    second = client.queue.send("next")
    may_end.set()
    assert client.queue.wait(second.job_id, timeout_s=PATIENCE_S).status == "completed"


def test_deadline_that_passes_while_a_job_waits_here_keeps_it_from_beginning(
    client: Client, start: Start
) -> None:
    worker = Worker(client, concurrency=1, prefetch=1)
    may_end = threading.Event()
    seen: list[object] = []

    @worker.job("one-by-one")
    def one_by_one(job: Job) -> None:
        seen.append(job.payload)
        if job.payload == "first":
            may_end.wait(PATIENCE_S)

    def taken_by(allowed_s: float) -> tuple[str, datetime] | None:
        """A job that waits here, and its deadline; None if this busy machine let that pass before it was handed out."""
        deadline = datetime.now(UTC) + timedelta(seconds=allowed_s)
        ref = client.queue.send("one-by-one", "second", deadline=deadline)
        until(lambda: sweep() is not None and client.queue.get_job(ref.job_id).status != "pending")
        return None if client.queue.get_job(ref.job_id).ended else (ref.job_id, deadline)

    start(worker)
    first = client.queue.send("one-by-one", "first")
    until(lambda: seen)
    second, deadline = next(filter(None, map(taken_by, (1, 3, 10, 30))))
    until(lambda: datetime.now(UTC) > deadline)
    may_end.set()
    assert client.queue.wait(first.job_id).status == "completed"
    until(lambda: sweep() is not None and client.queue.get_job(second).ended)
    assert client.queue.get_job(second).status == "failed"
    assert seen == ["first"]


def test_progress_and_log_lines_are_there_when_the_job_has_ended(client: Client, start: Start) -> None:
    worker = Worker(client)
    shop_log = logging.getLogger("shop")
    shop_log.setLevel(logging.INFO)
    handler = JobLogHandler()

    @worker.job("report")
    def report(job: Job) -> None:
        job.progress(40, "reading")
        job.log("read 7 rows")
        shop_log.warning("row %d is empty", 3)
        job.progress(90, "writing")

    shop_log.addHandler(handler)
    start(worker)
    ref = client.queue.send("report")
    job = client.queue.wait(ref.job_id)
    shop_log.removeHandler(handler)
    assert (job.progress.percent, job.progress.message) == (90, "writing")
    page = client.queue.logs(ref.job_id)
    assert [(line.run, line.level, line.message) for line in page.lines] == [
        (1, "info", "read 7 rows"),
        (1, "warning", "row 3 is empty"),
    ]
    assert page.dropped == 0


def test_handler_sees_what_its_job_carries(client: Client, start: Start) -> None:
    worker = Worker(client)
    seen: list[Job] = []

    @worker.job("look")
    async def look(job: Job) -> None:
        assert current_job() is job
        seen.append(job)

    start(worker)
    deadline = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ref = client.queue.send(
        "look",
        {"a": 1},
        tags=["x", "y"],
        partition_key="eu",
        deadline=deadline,
        traceparent=traceparent,
        timeout_seconds=30,
        max_retries=1,
    )
    assert client.queue.wait(ref.job_id).status == "completed"
    [job] = seen
    assert (job.id, job.type, job.payload) == (ref.job_id, "look", {"a": 1})
    assert (job.run, job.attempts, job.max_retries, job.timeout_s) == (1, 1, 1, 30)
    assert (job.tags, job.partition_key, job.deadline) == (("x", "y"), "eu", deadline)
    assert (job.traceparent, job.batch) == (traceparent, None)


def test_middleware_wraps_the_handler_and_its_exception_fails_the_run(client: Client, start: Start) -> None:
    worker = Worker(client)
    seen: list[str] = []

    @worker.on_start
    def begin() -> None:
        seen.append("start")

    @worker.on_stop
    async def end() -> None:
        seen.append("stop")

    @worker.middleware
    def guard(job: Job, call_next: Callable[[Job], object]) -> object:
        seen.append(f"in {job.payload}")
        if job.payload == "bad":
            raise PermissionError("not this one")
        return {"wrapped": call_next(job)}

    @worker.job("guarded")
    def guarded(job: Job) -> int:
        return 1

    thread = start(worker)
    good = client.queue.wait(client.queue.send("guarded", "good").job_id)
    bad = client.queue.wait(client.queue.send("guarded", "bad", max_retries=0).job_id)
    assert good.result == {"wrapped": 1}
    assert bad.error_details.type == "PermissionError"
    assert "in guard" in bad.error_details.traceback
    worker.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert seen == ["start", "in good", "in bad", "stop"]


def test_on_start_that_raises_ends_the_worker_before_it_takes_a_job(client: Client) -> None:
    worker = Worker(client)
    worker.job("t")(print)
    stopped: list[bool] = []
    worker.on_stop(lambda: stopped.append(True))

    @worker.on_start
    def connect() -> None:
        raise ConnectionRefusedError("no database")

    with pytest.raises(ConnectionRefusedError):
        worker.run()
    assert stopped == [True]


# A busy machine may stand still for as long as a brief lease lasts: then a longer one is to be kept.
LEASES_S = (1, 3, 9)


def let_two_leases_pass(client: Client, job_id: str, lease_s: float) -> None:
    begun_at = client.queue.get_job(job_id).started_at

    def passed() -> bool:
        sweep()
        return (datetime.now(UTC) - begun_at).total_seconds() > 2.2 * lease_s

    until(passed)


def test_lease_of_a_type_s_own_length_is_kept_alive(client: Client, start: Start) -> None:
    worker = Worker(client)  # without a length of its own, its heart beats every ten seconds
    may_end = {lease_s: threading.Event() for lease_s in LEASES_S}

    @worker.job("brief-lease")
    def brief(job: Job) -> int:
        may_end[job.payload].wait(PATIENCE_S)
        return job.attempts

    def kept(lease_s: int) -> bool:
        client.queue.configure("brief-lease", lease_seconds=lease_s)
        ref = client.queue.send("brief-lease", lease_s)
        until(lambda: client.queue.get_job(ref.job_id).status == "processing")
        let_two_leases_pass(client, ref.job_id, lease_s)
        may_end[lease_s].set()
        return client.queue.wait(ref.job_id).result == 1

    start(worker)
    assert any(map(kept, LEASES_S))


def test_stop_gives_back_what_does_not_end_in_time(client: Client, start: Start) -> None:
    worker = Worker(client, grace_s=0.1)
    begun, told = threading.Event(), threading.Event()

    @worker.job("long")
    def long(job: Job) -> None:
        begun.set()
        if job.wait_cancelled(PATIENCE_S):
            told.set()

    thread = start(worker)
    ref = client.queue.send("long")
    assert begun.wait(PATIENCE_S)
    worker.stop()
    thread.join(PATIENCE_S)
    assert told.wait(PATIENCE_S)
    job = client.queue.get_job(ref.job_id)
    assert (job.status, job.attempts) == ("pending", 0)


def test_stop_ends_an_idle_worker_at_once(client: Client, start: Start) -> None:
    worker = Worker(client, wait_s=30)
    worker.job("nothing")(lambda job: None)
    thread = start(worker)
    ref = client.queue.send("nothing")
    client.queue.wait(ref.job_id)
    worker.stop()
    thread.join(20)  # a poll would go on for longer
    assert not thread.is_alive()


def test_result_outlives_a_server_that_is_away(
    client: Client, api_key: str, line: Line, start: Start
) -> None:
    worker = Worker(url=line.url, api_key=api_key)
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    @worker.job("long")
    def long(job: Job) -> str:
        begun.set()
        may_end.wait(PATIENCE_S)
        ended.set()
        return "kept"

    start(worker)
    ref = client.queue.send("long")
    assert begun.wait(PATIENCE_S)
    line.cut()
    may_end.set()
    assert ended.wait(PATIENCE_S)
    assert client.queue.get_job(ref.job_id).status == "processing"
    line.mend()
    job = client.queue.wait(ref.job_id, timeout_s=PATIENCE_S)
    assert (job.status, job.result, job.attempts) == ("completed", "kept", 1)
    again = client.queue.send("long")
    assert client.queue.wait(again.job_id, timeout_s=PATIENCE_S).result == "kept"


def test_stop_while_the_server_is_away_says_what_it_could_not_be_told(
    client: Client, api_key: str, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(url=line.url, api_key=api_key, concurrency=1, prefetch=1)
    begun, may_end = threading.Semaphore(0), threading.Event()

    @worker.job("long")
    def long(job: Job) -> None:
        begun.release()
        may_end.wait(PATIENCE_S)

    refs = client.queue.send_many([NewJob("long"), NewJob("long")])
    untold: list[int] = []
    thread = threading.Thread(target=lambda: untold.append(worker.run()))
    thread.start()
    assert begun.acquire(timeout=PATIENCE_S)
    line.cut()
    may_end.set()
    # One thread runs both in turn: once the second has begun, the outcome of the first is said and waits.
    assert begun.acquire(timeout=PATIENCE_S)
    worker.stop()
    worker.stop()
    thread.join(PATIENCE_S)
    assert untold == [2]
    assert f"long {refs[0].job_id}: completed, which the server could not be told" in caplog.text


def begin_slow_job(client: Client) -> str:
    """Enqueue a job for the worker process and wait until its handler is in it."""
    ref = client.queue.send("slow")
    until(lambda: client.cache.get(f"begun:{ref.job_id}") == 1)
    return ref.job_id


def slow_worker_here(client: Client) -> Worker:
    worker = Worker(client)
    worker.job("slow")(lambda job: {"by": "thread"})
    return worker


def test_sigterm_lets_the_running_job_end_and_exits_cleanly(
    client: Client, worker_process: WorkerProcess
) -> None:
    job_id = begin_slow_job(client)
    worker_process.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in worker_process.log)
    assert client.queue.get_job(job_id).status == "processing"
    waiting = client.queue.send("slow")
    client.cache.set(f"may-end:{job_id}", True)
    assert worker_process.process.wait(PATIENCE_S) == 0, worker_process.log
    job = client.queue.get_job(job_id)
    assert (job.status, job.result["by"]) == ("completed", "process")
    assert client.queue.get_job(waiting.job_id).status == "pending"


def test_second_signal_gives_the_running_job_back_at_once(
    client: Client, worker_process: WorkerProcess
) -> None:
    job_id = begin_slow_job(client)
    worker_process.process.send_signal(signal.SIGINT)
    until(lambda: "stopping" in worker_process.log)
    worker_process.process.send_signal(signal.SIGTERM)
    assert worker_process.process.wait(PATIENCE_S) == 0, worker_process.log  # its grace time is longer
    job = client.queue.get_job(job_id)
    assert (job.status, job.attempts) == ("pending", 0)


def test_job_of_a_killed_worker_runs_again_after_its_lease(
    client: Client, worker_process: WorkerProcess, start: Start
) -> None:
    job_id = begin_slow_job(client)
    # The parent first, so that nobody sees the child die.
    worker_process.signal_child(signal.SIGSTOP)
    worker_process.process.kill()
    worker_process.process.wait()
    worker_process.signal_child(signal.SIGKILL)
    start(slow_worker_here(client))
    until(lambda: sweep() is not None and client.queue.get_job(job_id).ended)
    job = client.queue.get_job(job_id)
    assert (job.status, job.result, job.attempts) == ("completed", {"by": "thread"}, 2)
    assert [attempt.outcome for attempt in attempts(job_id)] == ["lease_expired", "completed"]


def test_settle_after_a_lost_lease_is_refused(
    client: Client, worker_process: WorkerProcess, start: Start
) -> None:
    job_id = begin_slow_job(client)
    worker_process.signal_child(signal.SIGSTOP)
    try:
        start(slow_worker_here(client))
        # The paused worker's own poll may win the job once more, and lose it again.
        until(lambda: sweep() is not None and client.queue.get_job(job_id).ended)
    finally:
        worker_process.signal_child(signal.SIGCONT)
    client.cache.set(f"may-end:{job_id}", True)
    until(lambda: "refused by the server: lease_lost" in worker_process.log)
    assert client.queue.get_job(job_id).result == {"by": "thread"}


def test_long_handler_keeps_its_lease(
    client: Client, start_process: Callable[..., WorkerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(lease_s: int) -> bool:
        monkeypatch.setenv("TEST_LEASE_S", str(lease_s))
        process = start_process()
        job_id = begin_slow_job(client)
        let_two_leases_pass(client, job_id, lease_s)
        client.cache.set(f"may-end:{job_id}", True)
        attempts = client.queue.wait(job_id).attempts
        process.end()
        return attempts == 1

    assert any(map(kept, LEASES_S))


def test_missing_key_is_one_sentence(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("AERODASH_API_KEY", raising=False)
    process = WorkerProcess("http://127.0.0.1:9", "", tmp_path / "worker.log")
    assert process.process.wait(PATIENCE_S) == 2
    assert process.log.strip().endswith("There is no API key: pass api_key or set AERODASH_API_KEY.")
