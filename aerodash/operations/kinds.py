"""The kinds of long work there are. An app registers its own where its verbs are (cache_admin.flushes, for one).

A kind is a function that does ONE bounded step from a cursor. The keeper calls it again and again, with pauses, and
begins again from an older cursor after it was killed: a step that is done twice must do no more than once.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aerodash.auth import Scope
from aerodash.ids import ProjectId

type Json = Mapping[str, object]
"""What JSON text can hold; any character, NUL too."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did. cursor: where the next one begins; None when all is done.

    done: how many things it changed. skipped: how many it looked at and left as they are. result: facts that the
    operation's result has from now on.
    """

    cursor: Json | None
    done: int
    skipped: int = 0
    result: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Words:
    """An operation in words for people: "Deleting" / "Deleted", "keys under" and the target, which may be empty.

    left: why things stay as they are. page: the path of its own page below the project's, "" if it has none.
    """

    doing: str
    did: str
    what: str
    target: str = ""
    left: str = "written since"
    page: str = ""


type DoStep = Callable[[ProjectId, Json, Json | None], Awaitable[Step]]
"""(project, params, cursor or None at the start). Takes a few ms, because API calls wait meanwhile. Raises EngineDown
when the store is away: the keeper tries again; any other exception ends the operation as failed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of operation.

    scope: the right to start and cancel it; sees: the right to look at it. unit: what is counted, in the singular.
    tell: says to the live pages that things changed; called with each progress that is written.
    """

    name: str
    scope: Scope
    sees: Scope
    unit: str
    step: DoStep
    words: Callable[[Json], Words]
    tell: Callable[[ProjectId, Json], None]


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Enter a kind in the table; once, from an app's ready()."""
    _kinds[kind.name] = kind


def forget(name: str) -> None:
    """For tests: take a kind out of the table again."""
    del _kinds[name]


def find(name: str) -> Kind:
    """Raises KeyError for a kind that this version does not know."""
    return _kinds[name]


def knows(name: str) -> bool:
    """Whether this version has a kind of this name."""
    return name in _kinds


def every() -> list[Kind]:
    return list(_kinds.values())
