"""Worker processes under a supervisor: whatever ends one, the attempt is recorded with its reason, and work goes on."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aerodash_sdk import Client, NewJob
from aerodash_sdk.worker import options

from aerodash.cli import worker as worker_command
from jobs_admin.models import Attempt

from .conftest import PATIENCE_S, WorkerProcess, until

type StartProcess = Callable[..., WorkerProcess]


def attempts(job_id: str) -> list[Attempt]:
    return [*Attempt.objects.filter(job_id=job_id).order_by("run")]


def ready(process: WorkerProcess, times: int = 1) -> None:
    until(lambda: len(process.children) >= times)


def begin_slow_job(client: Client) -> str:
    ref = client.queue.send("slow")
    until(lambda: client.cache.get(f"begun:{ref.job_id}") is not None)
    return ref.job_id


def test_handler_that_ends_the_process_is_a_recorded_attempt(
    client: Client, worker_process: WorkerProcess
) -> None:
    ref = client.queue.send("exit-hard")
    job = client.queue.wait(ref.job_id)
    assert (job.status, job.attempts) == ("completed", 2)
    first, second = attempts(ref.job_id)
    assert (first.outcome, first.error_message) == ("worker_lost", "worker process exited with status 3")
    assert first.worker_id != second.worker_id
    assert worker_process.process.poll() is None


def test_work_goes_on_as_soon_as_another_process_is_up(client: Client, worker_process: WorkerProcess) -> None:
    """That another one is started at once: test_worker_processes.py of the SDK."""
    job_id = begin_slow_job(client)
    client.cache.delete(f"begun:{job_id}")
    worker_process.signal_child(signal.SIGKILL)
    # Nobody sweeps here, so it is not the end of the lease that brings the job back.
    until(lambda: client.cache.get(f"begun:{job_id}") == 2)
    client.cache.set(f"may-end:{job_id}", True)
    assert client.queue.wait(job_id).status == "completed"
    [lost, _] = attempts(job_id)
    assert lost.error_message == "worker process was killed by SIGKILL"


def test_crash_leaves_its_traceback(client: Client, start_process: StartProcess) -> None:
    start_process()
    ref = client.queue.send("segfault")
    assert client.queue.wait(ref.job_id).status == "completed"
    lost = attempts(ref.job_id)[0]
    assert (lost.outcome, lost.error_message) == ("worker_lost", "worker process was killed by SIGSEGV")
    assert lost.traceback.startswith("Fatal Python error: Segmentation fault")
    assert "in segfault" in lost.traceback
    assert lost.traceback.index("in segfault") < lost.traceback.index("heartbeat.py")


def test_process_over_its_memory_limit_is_ended_with_the_stacks_of_its_threads(
    client: Client, start_process: StartProcess
) -> None:
    start_process("--memory-limit", "256M")
    ref = client.queue.send("eat-memory")
    assert client.queue.wait(ref.job_id).status == "completed"
    lost = attempts(ref.job_id)[0]
    assert lost.outcome == "worker_lost"
    assert lost.error_message.startswith("MemoryLimitExceeded: the worker process used ")
    assert lost.error_message.endswith("its limit is 256 MiB")
    assert "in eat_memory" in lost.traceback


def test_sys_exit_fails_the_run_and_not_the_worker(client: Client, worker_process: WorkerProcess) -> None:
    ref = client.queue.send("exit-softly", max_retries=0)
    job = client.queue.wait(ref.job_id)
    assert (job.status, job.error_details.type) == ("failed", "SystemExit")
    assert "in exit_softly" in job.error_details.traceback
    again = begin_slow_job(client)
    client.cache.set(f"may-end:{again}", True)
    assert client.queue.wait(again).result["pid"] == worker_process.children[0]


@pytest.mark.parametrize("type", ["hang", "block-loop"])
def test_process_whose_handler_hangs_for_ever_is_replaced(
    client: Client, worker_process: WorkerProcess, type: str
) -> None:
    ref = client.queue.send(type, retry_delay=0)
    until(lambda: len(attempts(ref.job_id)) == 1)
    [hung] = attempts(ref.job_id)
    assert (hung.outcome, hung.error_type) == ("failed", "TimeLimitExceeded")
    assert "in wait_for_ever" in hung.traceback
    assert client.queue.wait(ref.job_id).status == "completed"
    ready(worker_process, times=2)
    assert "this process ends and is replaced" in worker_process.log


def test_async_handler_that_hangs_costs_no_process(client: Client, worker_process: WorkerProcess) -> None:
    ref = client.queue.send("hang-async", retry_delay=0)
    assert client.queue.wait(ref.job_id).status == "completed"
    hung = attempts(ref.job_id)[0]
    assert (hung.outcome, hung.error_type) == ("failed", "TimeLimitExceeded")
    assert "in sleep_for_ever" in hung.traceback
    assert len(worker_process.children) == 1


def test_cancel_reaches_an_async_handler_in_another_process(
    client: Client, worker_process: WorkerProcess
) -> None:
    ref = client.queue.send("slow-async")
    until(lambda: client.cache.get(f"begun:{ref.job_id}") == 1)
    assert client.queue.cancel_job(ref.job_id).accepted
    assert client.queue.wait(ref.job_id).status == "cancelled"
    assert client.cache.get(f"cleaned-up:{ref.job_id}") is True
    assert [attempt.outcome for attempt in attempts(ref.job_id)] == ["cancelled"]


def test_jobs_held_ready_by_a_dead_process_are_not_charged(
    client: Client, start_process: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PREFETCH", "3")
    process = start_process()
    refs = client.queue.send_many([NewJob("slow", number) for number in range(4)])
    until(lambda: all(client.queue.get_job(ref.job_id).status == "processing" for ref in refs))
    process.signal_child(signal.SIGKILL)
    ready(process, times=2)
    for ref in refs:
        client.cache.set(f"may-end:{ref.job_id}", True)
    assert {client.queue.wait(ref.job_id).status for ref in refs} == {"completed"}
    ends = [attempts(ref.job_id)[0].outcome for ref in refs]
    assert sorted(ends) == ["released", "released", "released", "worker_lost"]


def test_processes_work_side_by_side_and_end_together(client: Client, start_process: StartProcess) -> None:
    process = start_process("--processes", "2")
    ready(process, times=2)
    jobs = [begin_slow_job(client), begin_slow_job(client)]
    for job_id in jobs:
        client.cache.set(f"may-end:{job_id}", True)
    pids = {client.queue.wait(job_id).result["pid"] for job_id in jobs}
    assert pids == {*process.children}
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(PATIENCE_S) == 0, process.log


def test_children_end_when_their_parent_is_killed(client: Client, worker_process: WorkerProcess) -> None:
    job_id = begin_slow_job(client)
    worker_process.process.kill()
    worker_process.process.wait()
    until(lambda: "stopping" in worker_process.log)
    client.cache.set(f"may-end:{job_id}", True)
    assert client.queue.wait(job_id).result["by"] == "process"
    until(lambda: "stopped" in worker_process.log)


HOLDING = """
import ctypes
from aerodash_sdk.worker import Worker

worker = Worker(concurrency=1)


@worker.job("hold")
def hold(job):
    if job.attempts == 1:
        ctypes.PyDLL(None).sleep(1000)  # C code that keeps the interpreter's lock
"""
IMPATIENT = (
    "from aerodash_sdk.worker.supervisor import Supervisor; Supervisor(['held_jobs.py'], silent_s=3).run()"
)


def test_process_in_which_something_holds_the_interpreter_is_ended(
    client: Client, live_server_url: str, api_key: str, tmp_path: Path
) -> None:
    (tmp_path / "held_jobs.py").write_text(HOLDING)
    supervisor = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT],
        cwd=tmp_path,
        env={**os.environ, "AERODASH_URL": live_server_url, "AERODASH_API_KEY": api_key},
    )
    try:
        ref = client.queue.send("hold")
        assert client.queue.wait(ref.job_id).status == "completed"
        lost = attempts(ref.job_id)[0]
        assert lost.error_message == "worker process did not respond for 3 s"
        assert "in hold" in lost.traceback
    finally:
        supervisor.terminate()
        assert supervisor.wait(PATIENCE_S) == 0


VERSIONED = """
from aerodash_sdk.worker import Worker

worker = Worker(grace_s=5)
worker.job("version")(lambda job: {version})
"""


def test_reload_runs_the_new_code_and_waits_for_a_broken_file_to_be_mended(
    client: Client, start_process: StartProcess, tmp_path: Path
) -> None:
    program = tmp_path / "shop_jobs.py"
    program.write_text(VERSIONED.format(version=1))
    process = start_process("--reload", handlers=program)

    def version() -> int:
        return client.queue.wait(client.queue.send("version").job_id).result

    assert version() == 1
    program.write_text("this is no Python")
    until(lambda: "before it took jobs" in process.log)
    program.write_text(VERSIONED.format(version=2))
    ready(process, times=2)
    assert version() == 2
    assert "shop_jobs.py has changed: starting again" in process.log


def test_stop_before_a_process_takes_jobs_is_a_clean_one(start_process: StartProcess, tmp_path: Path) -> None:
    program = tmp_path / "slow_jobs.py"
    program.write_text("print('importing', flush=True)\nimport time\ntime.sleep(60)")
    process = start_process(handlers=program)
    until(lambda: "importing" in process.log)
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(PATIENCE_S) == 0, process.log


def test_process_that_is_killed_while_it_starts_is_started_again(
    client: Client, start_process: StartProcess, tmp_path: Path
) -> None:
    program = tmp_path / "killed_jobs.py"
    program.write_text(
        "import os, pathlib, signal\n"
        "mark = pathlib.Path('was-killed')\n"
        "if not mark.exists():\n"
        "    mark.touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n" + VERSIONED.format(version=1)
    )
    process = start_process(handlers=program)
    assert client.queue.wait(client.queue.send("version").job_id).result == 1
    assert "was killed by SIGKILL before it took jobs" in process.log


def test_program_that_never_comes_up_ends_the_supervisor(start_process: StartProcess, tmp_path: Path) -> None:
    program = tmp_path / "broken_jobs.py"
    program.write_text("import no_such_module_at_all")
    process = start_process(handlers=program)
    assert process.process.wait(PATIENCE_S) == 1
    assert "No module named 'no_such_module_at_all'" in process.log
    assert process.log.count("before it took jobs") == 1


def test_aerodash_worker_has_the_same_options_and_supervises_too(
    client: Client, start_process: StartProcess
) -> None:
    ours, sdks = argparse.ArgumentParser(), argparse.ArgumentParser()
    worker_command.arguments(ours)
    options.add_arguments(sdks)
    assert ours.format_help() == sdks.format_help()
    start_process(command=("aerodash", "worker"))
    ref = client.queue.send("exit-hard")
    assert client.queue.wait(ref.job_id).attempts == 2
