"""The worker's parts that need no server: declaring handlers, outcomes, the table of leases, finding a worker."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from aerodash_sdk import Client
from aerodash_sdk.core.errors import Misconfigured
from aerodash_sdk.core.work import LeasedJob
from aerodash_sdk.worker import Fail, Job, Retry, Worker, load, outcomes
from aerodash_sdk.worker.leases import Held, Leases


def held(token: str = "t") -> Held:
    leased = LeasedJob("j", "send-email", msgspec.Raw(b"null"), 1, 3, token)
    return Held(Job.of(leased, None), leased, ends_at=0.0)


def failure(exc: Exception) -> outcomes.Settlement:
    with pytest.raises(type(exc)) as raised:
        raise exc
    return outcomes.failed("j", "t", raised.value)


def test_type_has_one_handler() -> None:
    worker = Worker()
    worker.job("send-email")(lambda job: None)
    with pytest.raises(ValueError, match="has a handler already"):
        worker.job("send-email")
    assert worker.types == ["send-email"]


@pytest.mark.parametrize("type", ["", "a b", "a/b", "x" * 129])
def test_impossible_job_type_is_refused_when_declared(type: str) -> None:
    with pytest.raises(ValueError, match="not a job type"):
        Worker().job(type)


def test_generator_cannot_be_a_handler() -> None:
    def handler(job: Job):
        yield

    with pytest.raises(ValueError, match="generator"):
        Worker().job("t")(handler)


@pytest.mark.parametrize("bounds", [{"concurrency": 0}, {"lease_s": 0}, {"lease_s": 3601}, {"wait_s": 31}])
def test_bounds_are_checked_when_declared(bounds: dict) -> None:
    with pytest.raises(ValueError, match="must be from"):
        Worker(**bounds)


def test_worker_without_handlers_does_not_start() -> None:
    with pytest.raises(ValueError, match="no handlers"):
        Worker(url="http://127.0.0.1:9", api_key="k").run()


class BrokenClient(Client):
    """A client with a fault that no handler and no server makes."""

    def without_retries(self) -> Client:
        return self

    def call(self, request):
        raise ZeroDivisionError


def test_worker_does_not_go_on_without_one_of_its_threads(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(BrokenClient("http://127.0.0.1:9", "k"))
    worker.job("t")(print)
    with pytest.raises(RuntimeError, match="thread of the worker failed"):
        worker.run()
    assert "lease thread failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_exception_becomes_type_message_and_traceback() -> None:
    settled = failure(KeyError("amount"))
    assert (settled.outcome, settled.final, settled.retry_after_seconds) == ("failed", False, None)
    assert (settled.error.type, settled.error.message) == ("KeyError", "'amount'")
    assert "raise exc" in settled.error.traceback


def test_traceback_begins_in_the_handler() -> None:
    def handler() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as raised:
        handler()
    lines = outcomes.failed("j", "t", raised.value).error.traceback.splitlines()
    assert lines[1].endswith("in handler")


def test_long_traceback_keeps_its_end_and_odd_text_is_sent() -> None:
    settled = failure(ValueError("\ud800" + "x" * 100_000))
    assert settled.error.message.startswith("\\ud800x")
    assert len(settled.error.message) == outcomes.MESSAGE_CHARS
    assert len(settled.error.traceback) == outcomes.TRACEBACK_CHARS
    assert "ValueError" in failure(ValueError("short")).error.traceback


@pytest.mark.parametrize(
    ("after", "seconds"), [(None, None), (0, 0), (1.2, 1.2), (timedelta(minutes=1), 60), (-5, 0)]
)
def test_retry_says_when(after: object, seconds: float | None) -> None:
    settled = failure(Retry("busy", after=after))
    assert (settled.outcome, settled.retry_after_seconds, settled.final) == ("failed", seconds, False)
    assert settled.error.message == "busy"


def test_fail_is_final() -> None:
    assert failure(Fail("no such template")).final


def test_result_that_is_no_json_makes_a_failed_run() -> None:
    settled = outcomes.completed("j", "t", object())
    assert (settled.outcome, settled.error.type) == ("failed", "InvalidResult")
    assert outcomes.completed("j", "t", None).outcome == "completed"


def test_only_the_first_word_about_a_run_counts() -> None:
    leases = Leases()
    run = held()
    leases.add([run])
    assert leases.decide(run)
    assert not leases.decide(run)
    assert leases.wait_decided(0)


def test_job_that_is_withdrawn_wakes_its_handler() -> None:
    job = held().job
    assert not job.wait_cancelled(0)
    job.withdraw()
    assert job.cancelled
    assert job.wait_cancelled(60)


SOURCE = "from aerodash_sdk.worker import Worker\nworker = Worker()\nworker.job('t')(print)\nother = 1\n"


def test_worker_is_found_by_module_and_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mail_module.py").write_text(SOURCE)
    (tmp_path / "mail_file.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    assert load("mail_module:worker").types == ["t"]
    assert load("mail_module").types == ["t"]
    assert load(f"{tmp_path}/mail_file.py:worker").types == ["t"]


@pytest.mark.parametrize("target", ["no_such_module_here:worker", "gone.py", "json:dumps", "json:nothing"])
def test_target_that_is_no_worker_is_said(target: str) -> None:
    with pytest.raises(Misconfigured):
        load(target)


def test_missing_import_inside_the_module_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text("import no_such_dependency_at_all\n")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(ModuleNotFoundError):
        load("broken_module:worker")
