"""Where the client finds its server and key."""

import pytest
from aerodash_sdk import Client
from aerodash_sdk.core.errors import Misconfigured
from aerodash_sdk.core.settings import endpoint


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AERODASH_URL", raising=False)
    monkeypatch.delenv("AERODASH_API_KEY", raising=False)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (None, "http://127.0.0.1:8787/v1"),
        ("https://dash.example.com", "https://dash.example.com/v1"),
        ("https://dash.example.com/", "https://dash.example.com/v1"),
        ("https://dash.example.com/v1/", "https://dash.example.com/v1"),
        ("https://example.com/dash", "https://example.com/dash/v1"),
    ],
)
def test_address_may_be_written_as_people_write_it(given: str | None, url: str) -> None:
    assert endpoint(given, "k").url == url


def test_environment_fills_in_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AERODASH_URL", "http://10.0.0.1:9000")
    monkeypatch.setenv("AERODASH_API_KEY", "from-environment")
    assert endpoint(None, None).url == "http://10.0.0.1:9000/v1"
    assert endpoint(None, None).api_key == "from-environment"
    assert endpoint(None, "given").api_key == "given"


def test_missing_key_is_said_at_once() -> None:
    with pytest.raises(Misconfigured, match="AERODASH_API_KEY"):
        Client()


@pytest.mark.parametrize("url", ["127.0.0.1:8787", "ftp://host", "http://", "http://host/v1?x=1"])
def test_unusable_address_is_said_at_once(url: str) -> None:
    with pytest.raises(Misconfigured, match="address"):
        Client(url, "k")


@pytest.mark.parametrize("key", ["ac_secret_…", "ac secret", "ac_secret_x\n"])
def test_unusable_key_is_said_at_once(key: str) -> None:
    with pytest.raises(Misconfigured, match="characters"):
        Client("http://h", key)


def test_key_does_not_show_in_representations() -> None:
    assert "geheim" not in repr(endpoint(None, "geheim")) + repr(Client("http://h", "geheim"))
