"""API keys: how they are made, and how a request's key becomes a principal without asking the database each time."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import Error as DatabaseTrouble
from django.db.models import Q
from django.utils import timezone

from aerodash import database
from aerodash.auth import Actor, Scope
from aerodash.errors import EngineDown, InvalidInput, NotAuthenticated
from aerodash.ids import ProjectId

PREFIX = "ac_secret_"
TRUSTED_FOR_S = 0.9  # a revoked key is refused everywhere within 1 s
REMEMBERED = 10_000
NAME_CHARS = 120
VALID_MOST = 1_000
"""Keys of one project that are neither revoked nor expired."""


@dataclass(frozen=True, slots=True)
class Principal:
    """What a valid key stands for."""

    project: ProjectId
    slug: str
    key_id: str
    label: str
    scopes: frozenset[Scope]
    origins: frozenset[str]
    compat: str


def digest(text: str) -> str:
    """What is stored of a key: SHA-256 in hex. Keys are 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


async def create(
    project: ProjectId,
    actor: Actor,
    *,
    name: str,
    scopes: Iterable[Scope],
    expires_at: datetime | None = None,
    compat: str = "auto",
):
    """Make a key, and note it in the audit log: (the stored ApiKey, its text). The text cannot be had again.

    name: what people will know it by, 1..120 characters. scopes: at least one. expires_at: in the future; None means
    never. compat: one of ApiKey.Compat.
    Raises InvalidInput for what is out of bounds, or for one more than VALID_MOST keys; NotAllowed unless the actor may
    administrate the project.
    """
    from aerodash import audit

    actor.require(Scope.ADMIN)
    name, may = name.strip(), frozenset(scopes)
    if not 1 <= len(name) <= NAME_CHARS or not name.isprintable():
        raise InvalidInput(f"A key's name has 1 to {NAME_CHARS} characters.", field="name")
    if not may:
        raise InvalidInput("A key must be allowed something.", field="scopes")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidInput("A key cannot expire in the past.", field="expires")
    key, text = _new(project, name, may, expires_at, compat)
    if not await database.ask(_add)(key):
        raise InvalidInput(
            f"A project has at most {VALID_MOST:,} valid keys; revoke one that nobody uses first.",
            field="name",
        )
    await audit.record(project, actor, verb="key.create", target=_called(key), after=", ".join(key.scopes))
    return key, text


async def revoke(project: ProjectId, actor: Actor, *, key_id: int) -> bool:
    """Have the key refused within a second, everywhere, and note it in the audit log.

    Returns False if the project has no such key, or it was revoked already.
    Raises NotAllowed unless the actor may administrate the project.
    """
    from aerodash import audit

    actor.require(Scope.ADMIN)
    key = await database.ask(_revoke)(project, key_id)
    if key is None:
        return False
    await audit.record(project, actor, verb="key.revoke", target=_called(key))
    return True


async def set_compat(project: ProjectId, actor: Actor, *, key_id: int, compat: str) -> bool:
    """Change how replies to this key bend to generated clients, within a second, and note it in the audit log.

    compat: one of ApiKey.Compat. Returns False if the project has no such key, or it is revoked.
    Raises NotAllowed unless the actor may administrate the project.
    """
    from aerodash import audit

    actor.require(Scope.ADMIN)
    changed = await database.ask(_set_compat)(project, key_id, compat)
    if changed is None:
        return False
    key, before = changed
    await audit.record(project, actor, verb="key.compat", target=_called(key), before=before, after=compat)
    return True


def mint(
    project, name: str, scopes: Iterable[Scope], *, expires_at: datetime | None = None, compat: str = "auto"
):
    """Like `create`, for a Project of a test or a benchmark: asks for no right and leaves no line in the audit log."""
    key, text = _new(project.pk, name, scopes, expires_at, compat)
    key.save()
    return key, text


def _new(project: ProjectId, name: str, scopes: Iterable[Scope], expires_at: datetime | None, compat: str):
    """(an ApiKey that is not stored yet, its text): `ac_secret_` and 43 characters of A-Za-z0-9_-.

    Source: wire contract, section 2.
    """
    from aerodash.models import ApiKey

    text = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        project_id=project,
        name=name,
        digest=digest(text),
        hint=text[: len(PREFIX) + 4],
        scopes=sorted(scope.value for scope in scopes),
        expires_at=expires_at,
        compat=compat,
    )
    return key, text


def valid(project: ProjectId):
    """The project's keys that are neither revoked nor expired."""
    from aerodash.models import ApiKey

    not_over = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return ApiKey.objects.filter(not_over, project_id=project, revoked_at=None)


def _add(key) -> bool:
    """False if the project has as many valid ones as it may."""
    if valid(key.project_id).count() >= VALID_MOST:
        return False
    key.save()
    return True


def _revoke(project: ProjectId, key_id: int):
    """The ApiKey, now revoked; None if there is none to revoke."""
    from aerodash.models import ApiKey

    valid = ApiKey.objects.filter(pk=key_id, project_id=project, revoked_at=None)
    return ApiKey.objects.get(pk=key_id) if valid.update(revoked_at=timezone.now()) else None


def _set_compat(project: ProjectId, key_id: int, compat: str):
    """(the ApiKey, what it said before); None if there is no valid one."""
    from aerodash.models import ApiKey

    key = ApiKey.objects.filter(pk=key_id, project_id=project, revoked_at=None).first()
    if key is None:
        return None
    before, key.compat = key.compat, compat
    key.save(update_fields=["compat"])
    return key, before


def _called(key) -> str:
    return f"key {key.pk} ({key.name})"


class KeyRing:
    """The keys that this process has seen in the last second, good and bad ones, and how to look up the rest.

    Lives on the engine loop. One question at a time per key, however many requests carry it; all are asked in one
    thread, which has a database connection of its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._seen: dict[str, tuple[float, Principal | None]] = {}
        self._asking: dict[str, asyncio.Future[Any]] = {}
        self._origins: tuple[float, frozenset[str]] = (0.0, frozenset())
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="keys")

    async def principal(self, text: str) -> Principal:
        """Whom this key stands for. Raises NotAuthenticated, or EngineDown when the database cannot be asked."""
        if not text:
            raise NotAuthenticated("Send an API key in X-Aerostack-Key.", reason="missing_key")
        token = digest(text)
        seen = self._seen.get(token)
        if seen is not None and seen[0] > self.clock():
            found = seen[1]
        else:
            found = await self._find(token)
        if found is None:
            raise NotAuthenticated("This API key is unknown, revoked or expired.")
        return found

    async def knows_origin(self, origin: str) -> bool:
        """Whether any project lets pages of this origin call the API. A preflight carries no key to ask for more.

        Raises EngineDown when the database cannot be asked.
        """
        until, origins = self._origins
        if self.clock() >= until:
            origins = await self._ask("origins", _all_origins)
            self._origins = (self.clock() + TRUSTED_FOR_S, origins)
        return origin in origins

    async def _find(self, token: str) -> Principal | None:
        found = await self._ask(token, _look_up, token)
        while len(self._seen) >= REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen.pop(token, None)
        self._seen[token] = (self.clock() + TRUSTED_FOR_S, found)
        return found

    async def _ask[T](self, what: str, question: Callable[..., T], *arguments: object) -> T:
        """The database's answer, asked for once however many wait for it, whichever of them hangs up meanwhile."""
        pending = self._asking.get(what)
        if pending is None:
            loop = asyncio.get_running_loop()
            pending = loop.run_in_executor(self._threads, database.keep_asking, question, *arguments)
            self._asking[what] = pending
            pending.add_done_callback(lambda done: self._answered(what, done))
        try:
            return await asyncio.shield(pending)
        except DatabaseTrouble as exc:
            raise EngineDown(
                "The database cannot be asked about API keys.", reason="database_unavailable"
            ) from exc

    def _answered(self, what: str, done: asyncio.Future[Any]) -> None:
        del self._asking[what]
        if not done.cancelled():
            done.exception()  # looked at here, since all who waited may have hung up


def _look_up(token: str) -> Principal | None:
    from aerodash.models import ApiKey

    key = ApiKey.objects.select_related("project").filter(digest=token, revoked_at=None).first()
    if key is None or (key.expires_at is not None and key.expires_at <= timezone.now()):
        return None
    return Principal(
        project=ProjectId(key.project_id),
        slug=key.project.slug,
        key_id=str(key.pk),
        label=f"key {key.name}",
        scopes=frozenset(Scope(s) for s in key.scopes),
        origins=frozenset(key.project.allowed_origins),
        compat=key.compat,
    )


def _all_origins() -> frozenset[str]:
    from aerodash.models import Project

    lists = Project.objects.exclude(allowed_origins=[]).values_list("allowed_origins", flat=True)
    return frozenset(origin for origins in lists for origin in origins)
