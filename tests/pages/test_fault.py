"""Pages that fail with an error that nobody expected."""

from django.db import OperationalError
from django.test import Client

from aerodash.console import links


def _failing(error: Exception):
    def find(token: str):
        raise error

    return find


def test_a_page_outside_of_projects_says_that_the_database_is_away(monkeypatch) -> None:
    monkeypatch.setattr(links, "find", _failing(OperationalError("server closed the connection")))
    reply = Client(raise_request_exception=False).get("/sign-in/some-link")
    assert reply.status_code == 503
    assert reply["Retry-After"] == "1"
    assert "The database does not answer." in reply.content.decode()
    assert "server closed" not in reply.content.decode()


def test_any_other_fault_is_called_ours(monkeypatch) -> None:
    monkeypatch.setattr(links, "find", _failing(RuntimeError("a secret")))
    reply = Client(raise_request_exception=False).get("/sign-in/some-link")
    assert reply.status_code == 500
    assert "a fault of its own" in reply.content.decode()
    assert "a secret" not in reply.content.decode()
