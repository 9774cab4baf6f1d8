"""Settings that hold, and wrong ones that are refused by the name of their variable."""

import runpy
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

SETTINGS = Path(__file__).resolve().parents[2] / "aerodash" / "settings.py"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The settings as a process with these variables would have them, on a data folder of its own."""
    for name in (
        *("VALKEY_URL", "CHANNELS_URL", "DATABASE_URL", "DATABASE_URL_FILE", "SECRET_KEY"),
        *("AERODASH_TEST_DATABASE", "AERODASH_WEB_PROCESSES"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AERODASH_DATA", str(tmp_path / "var"))

    def settings(**variables: str) -> dict[str, Any]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(SETTINGS))

    return settings


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "AERODASH_LOG_LEVEL",
            "LOUD",
            "AERODASH_LOG_LEVEL: 'LOUD' is none of CRITICAL, DEBUG, ERROR, INFO, WARNING.",
        ),
        (
            "VALKEY_URL",
            "http://valkey",
            "VALKEY_URL: it begins with none of redis://, rediss://, unix://.",
        ),
        (
            "VALKEY_REPLICA_URL",
            "redis://near:port",
            "VALKEY_REPLICA_URL: a port in it is no number up to 65535.",
        ),
        (
            "AERODASH_PUBLIC_URL",
            "console.example.com",
            "AERODASH_PUBLIC_URL: 'console.example.com' is no address like https://console.example.com.",
        ),
        (
            "AERODASH_PUBLIC_URL",
            "ftp://console.example.com",
            "AERODASH_PUBLIC_URL: 'ftp://console.example.com' is no address like https://console.example.com.",
        ),
        (
            "AERODASH_PUBLIC_URL",
            "https://example.com:http",
            "AERODASH_PUBLIC_URL: 'https://example.com:http' is no address like https://console.example.com.",
        ),
        (
            "AERODASH_PUBLIC_URL",
            "https://[::1",
            "AERODASH_PUBLIC_URL: 'https://[::1' is no address like https://console.example.com.",
        ),
        (
            "AERODASH_PUBLIC_URL",
            "https://example.com/console",
            "AERODASH_PUBLIC_URL: 'https://example.com/console' has more than a scheme, a host and a port.",
        ),
        (
            "DATABASE_URL",
            "sqlite://",
            "DATABASE_URL: 'sqlite://' names no file; use sqlite:///absolute/path.",
        ),
        (
            "DATABASE_URL",
            "sqlite://shop/jobs.sqlite3",
            "DATABASE_URL: 'sqlite://shop/jobs.sqlite3' names no file; use sqlite:///absolute/path.",
        ),
        (
            "DATABASE_URL",
            "mysql://shop:hunter2@db/shop",
            "DATABASE_URL: it begins neither with sqlite: nor with postgresql:, "
            "as in sqlite:///absolute/path or postgresql://user:password@host:5432/name.",
        ),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter2@db",
            "DATABASE_URL: it names no database; use postgresql://user:password@host:5432/name.",
        ),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter2@db:http/shop",
            "DATABASE_URL: 'http' is no port, which is 1 to 65535.",
        ),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter2@db:70000/shop",
            "DATABASE_URL: '70000' is no port, which is 1 to 65535.",
        ),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter2@db/shop?sslmod=require",
            "DATABASE_URL: PostgreSQL knows no parameter 'sslmod'.",
        ),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter2@db/shop?sslmode=always",
            "DATABASE_URL: sslmode 'always' is none of disable, allow, prefer, require, verify-ca, verify-full.",
        ),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter%2@db/shop",
            "DATABASE_URL: it is no address like postgresql://user:password@host:5432/name; "
            "characters such as @ / : % in a user or password stand percent-encoded.",
        ),
        (
            "DATABASE_URL",
            "postgresql://shop:hunter2@[::1/shop",
            "DATABASE_URL: it is no address like postgresql://user:password@host:5432/name; "
            "characters such as @ / : % in a user or password stand percent-encoded.",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_name(read, name: str, value: str, sentence: str):
    with pytest.raises(ImproperlyConfigured) as refused:
        read(**{name: value})
    assert str(refused.value) == sentence
    assert "hunter" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://shop:p%40ss%2Fword@db.example:6432/shop_jobs?sslmode=require",
            {
                "USER": "shop",
                "PASSWORD": "p@ss/word",
                "HOST": "db.example",
                "PORT": "6432",
                "NAME": "shop_jobs",
                "sslmode": "require",
            },
        ),
        (
            "postgres:///shop?host=/var/run/PostgreSQL",
            {"USER": "", "PASSWORD": "", "HOST": "/var/run/PostgreSQL", "PORT": "", "NAME": "shop"},
        ),
        ("postgresql://%2Fvar%2Frun/shop", {"HOST": "/var/run", "NAME": "shop"}),
        ("postgresql://[fd00::7]:5433/shop", {"HOST": "fd00::7", "PORT": "5433"}),
        (
            "postgresql://a:5432,b:5433/shop",
            {"HOST": "a,b", "PORT": "5432,5433", "target_session_attrs": "read-write"},
        ),
        ("postgresql:///?service=shop", {"NAME": "", "service": "shop"}),
        (
            "postgresql://db/shop?application_name=shop&connect_timeout=9",
            {"application_name": "shop", "connect_timeout": "9"},
        ),
    ],
)
def test_postgresql_is_addressed_as_its_own_programs_take_it(read, url: str, expected: dict[str, str]):
    settings = read(DATABASE_URL=url)
    entry = settings["DATABASES"]["default"]
    assert settings["DATABASE_KIND"] == "postgres"
    said = {name: entry.get(name, entry["OPTIONS"].get(name)) for name in expected}
    assert said == expected


def test_what_the_address_says_of_a_session_wins(read):
    entry = read(DATABASE_URL="postgresql://db/shop?options=-c%20lock_timeout%3D1s")["DATABASES"]["default"]
    assert entry["OPTIONS"]["options"].startswith("-c TimeZone=UTC -c statement_timeout=30s ")
    assert entry["OPTIONS"]["options"].endswith(" -c lock_timeout=1s")


def test_the_address_may_come_from_a_file_and_is_not_repeated_if_it_is_wrong(read, tmp_path: Path):
    secret = tmp_path / "url"
    secret.write_text("postgresql://shop:hunter2@db/shop\n")
    assert read(DATABASE_URL_FILE=str(secret))["DATABASES"]["default"]["PASSWORD"] == "hunter2"
    secret.write_text("postgresql://shop:hunter2@db:shop\n")
    with pytest.raises(ImproperlyConfigured) as refused:
        read(DATABASE_URL_FILE=str(secret))
    assert "hunter2" not in str(refused.value)


def test_sqlite_has_one_web_process_and_postgresql_one_a_core(read, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(6)), raising=False)
    assert read()["AERODASH_WEB_PROCESSES"] == 1
    assert read(DATABASE_URL="postgresql://db/shop")["AERODASH_WEB_PROCESSES"] == 6
    assert read(AERODASH_WEB_PROCESSES="2")["AERODASH_WEB_PROCESSES"] == 2


def test_a_public_url_is_taken_without_its_slash_and_as_browsers_write_it(read):
    settings = read(AERODASH_PUBLIC_URL="https://Console.Example.com:8443/")
    assert settings["AERODASH_PUBLIC_URL"] == "https://console.example.com:8443"
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://console.example.com:8443"]
    assert "console.example.com" in settings["ALLOWED_HOSTS"]
    assert settings["SESSION_COOKIE_SECURE"] is True


def test_an_ipv6_host_stands_in_brackets_where_it_is_part_of_an_address(read):
    settings = read(AERODASH_HOST="fd00::7")
    assert settings["AERODASH_HOST"] == "fd00::7"
    assert settings["AERODASH_PUBLIC_URL"] == "http://[fd00::7]:8787"
    assert "[fd00::7]" in settings["ALLOWED_HOSTS"]


def test_a_secret_file_that_is_empty_is_refused(read, tmp_path: Path):
    empty = tmp_path / "key"
    empty.touch()
    with pytest.raises(ImproperlyConfigured, match=f"^SECRET_KEY_FILE: {empty} is empty"):
        read(SECRET_KEY_FILE=str(empty))


def test_the_secret_key_is_made_once_and_only_its_owner_may_read_it(read, tmp_path: Path):
    first = read()["SECRET_KEY"]
    assert len(first) >= 50
    assert read()["SECRET_KEY"] == first
    assert mode(tmp_path / "var" / "secret-key") == 0o600
    assert mode(tmp_path / "var") == 0o700
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret-key"]


def test_an_empty_secret_key_is_refused(read, tmp_path: Path):
    path = tmp_path / "var" / "secret-key"
    path.parent.mkdir()
    path.touch()
    with pytest.raises(ImproperlyConfigured, match=f"^SECRET_KEY: {path} is empty"):
        read()


def test_processes_that_start_at_once_agree_on_the_secret_key(read, tmp_path: Path):
    path = tmp_path / "var" / "secret-key"
    seen: set[str] = set()
    made = threading.Event()

    def watch() -> None:
        while not made.is_set():
            try:
                seen.add(path.read_text())
            except FileNotFoundError:
                continue

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        for _ in range(20):
            path.unlink(missing_ok=True)
            assert read()["SECRET_KEY"] == path.read_text()
    finally:
        made.set()
        watching.join()
    assert "" not in seen, "the file was there before its content"


def test_a_folder_that_others_could_read_is_closed_to_them(read, tmp_path: Path):
    data = tmp_path / "var"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    read()
    assert mode(data) == 0o700


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777
