"""API keys: how they are made, and how a request's key becomes a principal without asking the database each time."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError
from django.utils import timezone

from aerodash.auth import ProjectId, Scope
from aerodash.errors import EngineDown, NotAuthenticated

PREFIX = "ac_secret_"
TRUSTED_FOR_S = 0.9  # a revoked key is refused everywhere within 1 s
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Principal:
    """What a valid key stands for."""

    project: ProjectId
    slug: str
    key_id: str
    label: str
    scopes: frozenset[Scope]
    origins: frozenset[str]


def digest(text: str) -> str:
    """What is stored of a key: SHA-256 in hex. Keys are 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def mint(project, name: str, scopes: Iterable[Scope], *, expires_at: datetime | None = None):
    """Make a key for a project: (the stored ApiKey, its text). The text cannot be had again.

    Text: `ac_secret_` and 43 characters of A-Za-z0-9_-. Source: wire contract, section 2.
    """
    from aerodash.models import ApiKey

    text = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        project=project,
        name=name,
        digest=digest(text),
        hint=text[: len(PREFIX) + 4],
        scopes=sorted(scope.value for scope in scopes),
        expires_at=expires_at,
    )
    return key, text


class KeyRing:
    """The keys that this process has seen in the last second, good and bad ones, and how to look up the rest.

    Lives on the engine loop. One look-up at a time per key, however many requests carry it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._seen: dict[str, tuple[float, Principal | None]] = {}
        self._asking: dict[str, asyncio.Future[Principal | None]] = {}
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
            found = await self._ask(token)
        if found is None:
            raise NotAuthenticated("This API key is unknown, revoked or expired.")
        return found

    async def knows_origin(self, origin: str) -> bool:
        """Whether any project lets pages of this origin call the API. A preflight carries no key to ask for more."""
        until, origins = self._origins
        if self.clock() >= until:
            loop = asyncio.get_running_loop()
            origins = await loop.run_in_executor(self._threads, _all_origins)
            self._origins = (self.clock() + TRUSTED_FOR_S, origins)
        return origin in origins

    async def _ask(self, token: str) -> Principal | None:
        if (pending := self._asking.get(token)) is not None:
            return await asyncio.shield(pending)
        loop = asyncio.get_running_loop()
        pending = self._asking[token] = loop.run_in_executor(self._threads, _look_up, token)
        try:
            found = await asyncio.shield(pending)
        except DatabaseError as exc:
            raise EngineDown("The database cannot be asked about this key.", reason="database") from exc
        finally:
            self._asking.pop(token, None)
        while len(self._seen) >= REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen.pop(token, None)
        self._seen[token] = (self.clock() + TRUSTED_FOR_S, found)
        return found


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
    )


def _all_origins() -> frozenset[str]:
    from aerodash.models import Project

    lists = Project.objects.exclude(allowed_origins=[]).values_list("allowed_origins", flat=True)
    return frozenset(origin for origins in lists for origin in origins)
