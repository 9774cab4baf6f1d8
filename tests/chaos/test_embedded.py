"""The embedded Valkey by itself: started, killed, left behind, taken over."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest
import redis

from aerodash import embedded, processes
from aerodash.embedded import Embedded
from aerodash.errors import EngineDown

pytestmark = pytest.mark.chaos

type Start = Callable[[Path], Embedded]


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="aerodash-valkey-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture
def start() -> Iterator[Start]:
    """embedded.start, whose servers end with the test."""
    started: list[Embedded] = []

    def begin(folder: Path, **options: str) -> Embedded:
        server = embedded.start(folder, **options)
        started.append(server)
        return server

    yield begin
    for server in reversed(started):
        server.stop()


def _client(server: Embedded) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


def test_data_survive_a_stop_and_a_kill(folder: Path, start: Start):
    server = start(folder)
    with _client(server) as client:
        client.set("a", "1")
    server.stop()
    server = start(folder)
    with _client(server) as client:
        client.set("b", "2")
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    with _client(start(folder)) as client:
        assert client.mget("a", "b") == ["1", "2"]


def test_it_never_evicts_and_writes_every_command_down(folder: Path, start: Start):
    with _client(start(folder)) as client:
        told = client.config_get("maxmemory-policy", "appendonly", "appendfsync")
    assert told == {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec"}


def test_one_that_was_left_behind_is_taken_over_with_the_settings_of_now(folder: Path, start: Start):
    left = start(folder)
    taken = start(folder, appendfsync="always")
    assert taken.pid == left.pid
    assert taken.process is None
    with _client(taken) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
    taken.stop()
    assert not processes.alive(left.pid)


def test_one_that_hangs_is_ended_and_replaced(folder: Path, start: Start):
    left = start(folder)
    os.kill(left.pid, signal.SIGSTOP)
    # So long the new one may take to start, too.
    new = embedded.start(folder, timeout_s=3, stop_s=0.5)
    try:
        assert new.pid != left.pid
        assert not processes.alive(left.pid)
    finally:
        new.stop()


def test_a_number_that_another_process_has_by_now_is_left_alone(folder: Path, start: Start):
    start(folder).stop()
    (folder / "pid").write_text(str(os.getpid()))
    assert start(folder).pid != os.getpid()


def test_a_folder_too_deep_for_a_socket_gets_a_loopback_port_and_keeps_it(folder: Path, start: Start):
    deep = folder / ("d" * 100)
    first = start(deep)
    assert first.url.startswith("redis://:")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert start(deep).url == first.url
    assert start(deep).process is None, "taken over by port as well"


def test_a_loopback_port_is_no_way_in_for_other_users(folder: Path, start: Start):
    deep = folder / ("d" * 100)
    server = start(deep)
    address = urlsplit(server.url)
    assert address.password is not None
    assert len(address.password) >= 32
    with (
        redis.Redis(host="127.0.0.1", port=address.port or 0) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.set("a", "1")
    assert address.password not in processes.command(server.pid)
    for path in (deep / "url", deep / "password.conf"):
        assert path.stat().st_mode & 0o777 == 0o600
    with _client(server) as owner:
        assert owner.set("a", "1") is True


def test_one_that_an_older_version_left_open_is_replaced(folder: Path, start: Start):
    deep = folder / ("d" * 100)
    left = start(deep)
    with _client(left) as client:
        client.set("kept", "1")
        client.config_set("requirepass", "")
    port = urlsplit(left.url).port
    (deep / "url").write_text(f"redis://127.0.0.1:{port}")
    new = start(deep)
    assert new.pid != left.pid
    assert urlsplit(new.url).port == port
    with _client(new) as client:
        assert client.get("kept") == "1"


def test_its_folder_is_closed_to_other_users(folder: Path, start: Start):
    home = folder / "valkey"
    home.mkdir()
    home.chmod(0o755)
    start(home)
    assert home.stat().st_mode & 0o777 == 0o700


def test_one_that_cannot_start_says_why(folder: Path):
    (folder / "appendonlydir").write_text("a file where its folder should be")
    with pytest.raises(EngineDown, match=r"Valkey did not start: .*appendonlydir"):
        embedded.start(folder)
