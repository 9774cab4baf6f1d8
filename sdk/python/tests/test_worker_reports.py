"""What handlers say while they run: coalesced, bounded, kept through an absence of the server, sent before the end."""

import logging

import msgspec
import pytest
from aerodash_sdk import Client
from aerodash_sdk.core.errors import NotAllowed, NotSent
from aerodash_sdk.core.work import LeasedJob
from aerodash_sdk.worker import JobLogHandler, current_job
from aerodash_sdk.worker import job as jobs
from aerodash_sdk.worker.contact import Contact
from aerodash_sdk.worker.job import Job
from aerodash_sdk.worker.reporting import LINES_PER_RUN, Reporter


class Listening(Client):
    """A client that keeps what it should send. answers: an exception to raise, or the word for every report."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "k")
        self.sent: list[list[dict]] = []
        self.answers: list[Exception | str] = []

    def call(self, request):
        answer = self.answers.pop(0) if self.answers else "accepted"
        if isinstance(answer, Exception):
            raise answer
        reports = msgspec.json.decode(request.body)["reports"]
        self.sent.append(reports)
        return [answer] * len(reports)


@pytest.fixture
def client() -> Listening:
    return Listening()


@pytest.fixture
def answered() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def reporter(client: Listening, answered: list) -> Reporter:
    """Not started: the tests flush."""
    return Reporter(
        client,
        Contact(),
        on_answer=lambda leased, word: answered.append((leased.id, word)),
        on_fault=lambda: None,
    )


def job_of(reporter: Reporter, job_id: str = "j") -> Job:
    return Job.of(LeasedJob(job_id, "t", msgspec.Raw(b"{}"), 1, 3, "token"), reporter)


def test_last_progress_wins(client: Listening, reporter: Reporter) -> None:
    job = job_of(reporter)
    for percent in range(101):
        job.progress(percent, f"step {percent}")
    reporter.flush()
    reporter.flush()
    assert client.sent == [[{"jobId": "j", "leaseToken": "token", "percent": 100.0, "message": "step 100"}]]


def test_jobs_of_one_lease_are_kept_apart(client: Listening, reporter: Reporter) -> None:
    job_of(reporter, "a").progress(10)
    job_of(reporter, "b").progress(20)
    reporter.flush()
    assert [(report["jobId"], report["percent"]) for report in client.sent[0]] == [("a", 10), ("b", 20)]


def test_progress_stays_within_bounds(client: Listening, reporter: Reporter) -> None:
    job = job_of(reporter)
    job.progress(100.1)
    reporter.flush()
    assert client.sent[0][0]["percent"] == 100
    with pytest.raises(ValueError, match="not a number"):
        job.progress(float("nan"))


def test_lines_go_out_a_hundred_at_a_time_in_order(client: Listening, reporter: Reporter) -> None:
    job = job_of(reporter)
    for number in range(250):
        job.log(f"line {number}", "warning")
    reporter.flush()
    assert [len(reports[0]["logs"]) for reports in client.sent] == [100, 100, 50]
    lines = [line for reports in client.sent for line in reports[0]["logs"]]
    assert [line["message"] for line in lines] == [f"line {number}" for number in range(250)]
    assert {line["level"] for line in lines} == {"warning"}
    assert all(line["at"].endswith("Z") for line in lines)


def test_lines_over_the_bound_are_counted(client: Listening, reporter: Reporter) -> None:
    job = job_of(reporter)
    for _ in range(LINES_PER_RUN + 7):
        job.log("x")
    reporter.flush([job._leased])
    lines = [line for reports in client.sent for line in reports[0]["logs"]]
    assert len(lines) == LINES_PER_RUN + 1
    assert lines[-1]["message"] == "7 more lines were written and are not kept"


def test_long_line_and_odd_text_can_be_sent(client: Listening, reporter: Reporter) -> None:
    job = job_of(reporter)
    job.log("é" * 5000)
    job.log("\ud800")
    reporter.flush()
    first, second = client.sent[0][0]["logs"]
    assert len(first["message"].encode()) <= 4096
    assert first["message"].endswith("é…")
    assert second["message"] == "\\ud800"


def test_unknown_level_is_refused(reporter: Reporter) -> None:
    with pytest.raises(ValueError, match="not a level"):
        job_of(reporter).log("x", "loud")


def test_what_could_not_be_sent_is_sent_later_unless_newer_was_said(
    client: Listening, reporter: Reporter
) -> None:
    job = job_of(reporter)
    job.progress(10, "begun")
    job.log("one")
    client.answers = [NotSent("away")]
    with pytest.raises(NotSent):
        reporter.flush()
    job.log("two")
    reporter.flush()
    [report] = client.sent[0]
    assert (report["percent"], report["message"]) == (10, "begun")
    assert [line["message"] for line in report["logs"]] == ["one", "two"]


def test_what_the_server_refuses_is_dropped_and_holds_up_nothing(
    client: Listening, reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    job_of(reporter).progress(10)
    client.answers = [NotAllowed("no")]
    reporter.flush()
    reporter.flush()
    assert client.sent == []
    assert "is lost: no" in caplog.text


def test_answers_that_are_no_consent_are_passed_on(
    client: Listening, reporter: Reporter, answered: list
) -> None:
    job_of(reporter).progress(10)
    client.answers = ["cancel_requested"]
    reporter.flush()
    assert answered == [("j", "cancel_requested")]


def test_job_made_by_a_test_may_speak_to_nobody() -> None:
    job = Job("j", "t", {"a": 1})
    job.progress(50, "half")
    job.log("hello")
    assert job.payload == {"a": 1}


@pytest.fixture
def shop_log():
    log = logging.getLogger("shop.orders")
    handler = JobLogHandler()
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield log
    log.removeHandler(handler)
    jobs.enter(None)


def test_logging_handler_writes_to_the_job_that_logs(
    client: Listening, reporter: Reporter, shop_log: logging.Logger
) -> None:
    shop_log.info("nobody's")
    job = job_of(reporter)
    jobs.enter(job)
    assert current_job() is job
    shop_log.debug("small")
    shop_log.error("order %d failed", 7)
    reporter.flush()
    assert [(line["level"], line["message"]) for line in client.sent[0][0]["logs"]] == [
        ("debug", "small"),
        ("error", "order 7 failed"),
    ]


def test_logging_handler_passes_over_the_worker_s_own_records(client: Listening, reporter: Reporter) -> None:
    jobs.enter(job_of(reporter))
    handler = JobLogHandler()
    for name in ("aerodash.worker", "urllib3.connectionpool"):
        handler.emit(logging.LogRecord(name, logging.INFO, "f", 1, "own", (), None))
    jobs.enter(None)
    reporter.flush()
    assert client.sent == []
