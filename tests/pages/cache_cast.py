"""What the tests of the cache and flags pages share: people with a role, entries, and a cache engine that is away."""

import contextlib
import itertools
from collections.abc import Iterator

from django.test import Client

from aerodash import engines
from aerodash.auth import ALL_SCOPES, Actor, Role
from aerodash.ids import ProjectId
from aerodash.models import Member, Project, User
from cache_admin import queries, services
from cache_admin.engine.contract import Entry
from cache_admin.engine.valkey import ValkeyCache

_numbers = itertools.count(1)
_WRITER = Actor(kind="key", id="9", label="key test", scopes=ALL_SCOPES)

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


def client_of(project: Project | None, role: Role = Role.OPERATOR, *, name: str = "") -> Client:
    """A browser in which a new person with this role in the project (None: in no project) is signed in."""
    user = User.objects.create_user(username=name or f"cache-person-{next(_numbers)}")
    if project is not None:
        Member.objects.create(project=project, user=user, role=role.value)
    client = Client()
    client.force_login(user)
    return client


def put(project: Project, key: str, value: bytes, **options: object) -> str:
    """Write an entry as a program would; its revision."""
    revision = engines.run(
        services.set_entry(ProjectId(project.pk), _WRITER, key=key, value=value, **options)
    ).revision
    assert revision
    return revision


def stored(project: Project, key: str) -> Entry | None:
    return engines.run(queries.get(ProjectId(project.pk), _WRITER, key=key))


def remove(project: Project, key: str) -> None:
    engines.run(services.delete(ProjectId(project.pk), _WRITER, key=key))


@contextlib.contextmanager
def cache_away() -> Iterator[None]:
    """The cache's engine, but at an address where nothing answers."""
    away = ValkeyCache("redis://127.0.0.1:1/0")
    engines.run(away.open())
    try:
        with engines.replaced("cache", away):
            yield
    finally:
        engines.run(away.close())
