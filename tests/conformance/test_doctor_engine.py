"""What `aerodash doctor` says of the store: its version, what it does when it is full, and its replica."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from aerodash.cli import doctor
from tests import cache_servers
from tests.cache_servers import Process


@pytest.fixture(scope="module")
def primary() -> Iterator[Process]:
    with cache_servers.valkey("--repl-diskless-sync-delay", "0") as server:
        yield server


@pytest.fixture
def other() -> Iterator[Process]:
    with cache_servers.valkey() as server:
        yield server


def findings(primary: str, replica: str = "") -> dict[str, doctor.Finding]:
    said = SimpleNamespace(VALKEY_URL=primary, VALKEY_REPLICA_URL=replica)
    return {finding.subject: finding for finding in doctor.engine(said)}


def test_a_store_as_it_should_be_has_nothing_to_mend(primary):
    found = findings(primary.url)
    assert not any(finding.mend for finding in found.values())
    assert found["engine"].fact.startswith("Valkey 9")
    assert found["eviction policy"].fact == "noeviction"


def test_a_store_that_drops_entries_when_full_is_to_be_mended(other):
    other.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert "noeviction" in findings(other.url)["eviction policy"].mend


def test_a_store_that_is_away_is_said_to_be(primary, unused_tcp_port):
    found = findings(f"redis://127.0.0.1:{unused_tcp_port}")
    assert list(found) == ["engine"]
    assert found["engine"].fact.startswith("no answer")


def test_each_server_of_several_is_named(primary, other):
    found = findings(f"{primary.url},{other.address}")
    assert {f"engine {primary.address}", f"engine {other.address}"} <= set(found)


def test_a_replica_in_step_is_so_many_bytes_behind(primary, other):
    cache_servers.follow(primary, other)
    finding = findings(primary.url, other.url)["replica"]
    assert finding.fact.endswith("bytes behind the primary")
    assert not finding.mend


def test_a_replica_that_follows_another_is_to_be_mended(primary, other):
    cache_servers.follow(primary, other)
    cache_servers.hold_back(other)
    finding = findings(primary.url, other.url)["replica"]
    assert finding.fact == "it does not follow the primary"
    assert finding.mend


def test_a_replica_that_is_none_is_to_be_mended(primary, other):
    finding = findings(primary.url, other.url)["replica"]
    assert finding.fact == "it is a primary"
    assert finding.mend


def test_a_replica_that_is_away_costs_speed_only(primary, unused_tcp_port):
    finding = findings(primary.url, f"redis://127.0.0.1:{unused_tcp_port}")["replica"]
    assert finding.fact.startswith("no answer")
    assert "reads go to the primary" in finding.mend
