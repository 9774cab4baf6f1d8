"""Who is calling, and what they may do.

People (by role) and programs (by API key) end up as one Actor with a set of scopes, so a service asks one
question whichever door the call came in by.
"""

import enum
from dataclasses import dataclass, field

from aerodash.errors import NotAllowed


class Scope(enum.StrEnum):
    """What a key may do; `admin` includes all. Source: wire contract, section 4."""

    CACHE_READ = "cache:read"
    CACHE_WRITE = "cache:write"
    QUEUE_READ = "queue:read"
    QUEUE_ENQUEUE = "queue:enqueue"
    QUEUE_WORK = "queue:work"
    QUEUE_MANAGE = "queue:manage"
    FLAGS_EVALUATE = "flags:evaluate"
    FLAGS_READ = "flags:read"
    FLAGS_WRITE = "flags:write"
    ADMIN = "admin"


ALL_SCOPES: frozenset[Scope] = frozenset(Scope)


class Role(enum.StrEnum):
    """A person's role in one project, most powerful first."""

    OWNER = "owner"
    OPERATOR = "operator"
    DEVELOPER = "developer"
    FLAG_EDITOR = "flag editor"
    VIEWER = "viewer"


_READ = frozenset({Scope.CACHE_READ, Scope.QUEUE_READ, Scope.FLAGS_READ, Scope.FLAGS_EVALUATE})
ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.OWNER: ALL_SCOPES,
    Role.OPERATOR: ALL_SCOPES - {Scope.ADMIN},
    Role.DEVELOPER: _READ | {Scope.CACHE_WRITE, Scope.QUEUE_ENQUEUE, Scope.QUEUE_MANAGE},
    Role.FLAG_EDITOR: _READ | {Scope.FLAGS_WRITE},
    Role.VIEWER: _READ,
}


class Door(enum.StrEnum):
    """By which way a change came in; kept in the audit log."""

    API = "api"
    CONSOLE = "console"
    COMMAND = "command"
    KEEPER = "keeper"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a key, a person or the system itself, with what it may do in one project.

    label: what people read ("Ines", "key shop-api"). request_id joins the audit line to the logs.
    """

    kind: str
    id: str
    label: str
    scopes: frozenset[Scope] = field(default_factory=frozenset)
    door: Door = Door.API
    request_id: str = ""

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def require(self, scope: Scope) -> None:
        """Raise NotAllowed unless this actor has the scope."""
        if not self.may(scope):
            raise NotAllowed(
                f"This needs the {scope.value} right, which {self.label} does not have.", scope=scope.value
            )


def system_actor(door: Door = Door.KEEPER) -> Actor:
    """The actor of what AeroDash does by itself: sweeps, demo data, commands."""
    return Actor(kind="system", id="system", label="AeroDash", scopes=ALL_SCOPES, door=door)
