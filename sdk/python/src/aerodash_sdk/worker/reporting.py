"""Passes on what handlers say while they run: progress and log lines, a few calls a second whatever they do."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aerodash_sdk.client import Client
from aerodash_sdk.core import work
from aerodash_sdk.core.errors import AeroDashError, ConnectionFailed, RateLimited, ServerFault, Unavailable
from aerodash_sdk.core.work import LeasedJob, NewLine, Report
from aerodash_sdk.worker.contact import Contact
from aerodash_sdk.worker.job import Job, Level, current_job
from aerodash_sdk.worker.part import Part

EVERY_S = 0.3
LINE_BYTES = 4096
MESSAGE_CHARS = 500
# The server keeps 1000 lines a job; the last one says how many more there were.
LINES_PER_RUN = 999
_LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")

log = logging.getLogger("aerodash.worker")

type _Key = tuple[str, str]


@dataclass(slots=True)
class _Said:
    """What one run said and the server was not told. lines: how many it wrote in all, over: how many too many."""

    leased: LeasedJob
    percent: float | None = None
    message: str | None = None
    new_lines: deque[NewLine] = field(default_factory=deque)
    lines: int = 0
    over: int = 0

    @property
    def dirty(self) -> bool:
        return self.percent is not None or bool(self.new_lines)


class Reporter:
    """A thread that sends the last progress and the new lines of every run that said something.

    on_answer: called with a leased job and the server's word for it, when that is not `accepted`.
    """

    def __init__(
        self,
        client: Client,
        contact: Contact,
        *,
        on_answer: Callable[[LeasedJob, str], None],
        on_fault: Callable[[], None],
    ) -> None:
        self._client = client
        self._contact = contact
        self._on_answer = on_answer
        self._lock = threading.Lock()
        self._said: dict[_Key, _Said] = {}
        self._news = threading.Event()
        self._stop = threading.Event()
        # Held while a call is under way, so that nothing a run said can arrive after its end.
        self._sending = threading.Lock()
        self._thread = Part("report", self._run, on_fault)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._news.set()

    def progress(self, leased: LeasedJob, percent: float, message: str | None) -> None:
        with self._lock:
            said = self._of(leased)
            said.percent = percent
            said.message = _cut(message, MESSAGE_CHARS) if message is not None else said.message
        self._news.set()

    def log(self, leased: LeasedJob, level: Level, message: str) -> None:
        if level not in _LEVELS:
            raise ValueError(f"{level!r} is not a level: {', '.join(_LEVELS)}.")
        line = NewLine(level, _cut(message, LINE_BYTES), _now())
        with self._lock:
            said = self._of(leased)
            if said.lines < LINES_PER_RUN:
                said.lines += 1
                said.new_lines.append(line)
            else:
                said.over += 1
                return
        self._news.set()

    def flush(self, ended: Sequence[LeasedJob] = ()) -> None:
        """Send everything that is waiting. ended: runs that say no more, and are about to be settled.

        Raises AeroDashError if the server cannot be told now; what it would never take is dropped.
        """
        with self._sending:
            with self._lock:
                for leased in ended:
                    said = self._said.get(_key(leased))
                    if said is not None and said.over:
                        text = f"{said.over} more lines were written and are not kept"
                        said.new_lines.append(NewLine("warning", text, _now()))
                        said.over = 0
            while reports := self._take():
                self._send(reports)
            with self._lock:
                for leased in ended:
                    self._said.pop(_key(leased), None)

    def _of(self, leased: LeasedJob) -> _Said:
        said = self._said.get(_key(leased))
        if said is None:
            said = self._said[_key(leased)] = _Said(leased)
        return said

    def _run(self) -> None:
        while True:
            self._news.wait()
            if self._stop.wait(EVERY_S):
                return
            self._news.clear()
            try:
                self.flush()
            except AeroDashError as error:
                self._contact.failed(error)
                self._stop.wait(1.0)
                self._news.set()

    def _take(self) -> list[tuple[_Said, Report]]:
        with self._lock:
            taken: list[tuple[_Said, Report]] = []
            lines = 0
            for said in [said for said in self._said.values() if said.dirty][: work.MAX_REPORTS_PER_CALL]:
                lines += min(len(said.new_lines), work.MAX_LINES_PER_REPORT)
                if lines > work.MAX_LINES_PER_CALL:
                    break
                taken.append((said, self._report(said)))
            return taken

    @staticmethod
    def _report(said: _Said) -> Report:
        count = min(len(said.new_lines), work.MAX_LINES_PER_REPORT)
        report = Report(
            said.leased.id,
            said.leased.lease_token,
            said.percent,
            said.message,
            [said.new_lines.popleft() for _ in range(count)],
        )
        said.percent = said.message = None
        return report

    def _send(self, taken: list[tuple[_Said, Report]]) -> None:
        try:
            words = self._client.call(work.progress([report for _, report in taken]))
        except (ConnectionFailed, Unavailable, RateLimited, ServerFault):
            with self._lock:
                for said, report in taken:
                    _put_back(said, report)
            raise
        except AeroDashError as error:
            log.error("what %d runs said is lost: %s", len(taken), error)
            return
        self._contact.answered()
        for (said, _), word in zip(taken, words, strict=True):
            if word == "lease_lost":
                with self._lock:
                    self._said.pop(_key(said.leased), None)
            if word != "accepted":
                self._on_answer(said.leased, word)


class JobLogHandler(logging.Handler):
    """Sends what a handler logs to its job's log: logging.getLogger("shop").addHandler(JobLogHandler()).

    A record is written by the job whose handler logs it, on its own thread or task; other records are passed over,
    and so is what this package and its HTTP library log.
    """

    def emit(self, record: logging.LogRecord) -> None:
        job: Job | None = current_job()
        if job is None or record.name.partition(".")[0] in {"aerodash", "urllib3"}:
            return
        try:
            job.log(self.format(record), _level(record.levelno))
        except Exception:  # noqa: BLE001 - as every logging.Handler: logging must not break the program
            self.handleError(record)


def _key(leased: LeasedJob) -> _Key:
    return leased.id, leased.lease_token


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


def _put_back(said: _Said, report: Report) -> None:
    """Keep what could not be sent, unless the run has said something newer."""
    if said.percent is None:
        said.percent = report.percent
        said.message = said.message or report.message
    said.new_lines.extendleft(reversed(report.logs))


def _cut(text: str, size: int) -> str:
    """At most size bytes of text that JSON can carry."""
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) <= size:
        return encoded.decode()
    return encoded[: size - 3].decode("utf-8", "ignore") + "…"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
