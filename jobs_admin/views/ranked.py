"""What lists share that are looked through whole and kept in an order of their own: types and workers.

Their URL has a state and a part of a name; a page begins behind a row's key, or ends before one.
"""

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import ClassVar, Protocol, Self
from urllib.parse import urlencode

from aerodash import limits
from aerodash.errors import InvalidInput
from jobs_admin.bounds import check_text


class Keyed(Protocol):
    """A row. key: text by which the list is ordered."""

    @property
    def key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Filters:
    """What the URL says. state: one of `states`, "" for all. q: a part of a name. after, before: keys of rows."""

    states: ClassVar[Sequence[str]]
    what: ClassVar[str]
    """What is listed, with its article, for a refusal."""

    state: str = ""
    q: str = ""
    after: str = ""
    before: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """Raises InvalidInput for an unknown state: the URL is anybody's."""
        filters = cls(**{field.name: given.get(field.name, "") for field in fields(cls)})
        if filters.state not in ("", *cls.states):
            raise InvalidInput(
                f"{filters.state!r} is no state of {cls.what}.", reason="unknown_status", field="state"
            )
        check_text("q", filters.q, limits.KEY_BYTES)
        return filters

    @property
    def is_first_page(self) -> bool:
        return not self.after and not self.before

    def url(self, **changes: str) -> str:
        """The address of the page with something changed; a changed filter begins at the first row again."""
        given = {"state": self.state, "q": self.q, **changes}
        return "?" + urlencode({name: value for name, value in given.items() if value})

    def as_params(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str
    count: int
    url: str
    current: bool


def page_of[T: Keyed](found: Sequence[T], filters: Filters, size: int) -> tuple[Sequence[T], str, str]:
    """A page of the rows, and the addresses of those before and after it, "" where there are none."""
    keys = [row.key for row in found]
    if filters.before:
        end = bisect.bisect_left(keys, filters.before)
        start = max(end - size, 0)
    else:
        start = bisect.bisect_right(keys, filters.after) if filters.after else 0
        end = start + size
    page = found[start:end]
    newer = filters.url(before=page[0].key) if page and start > 0 else ""
    older = filters.url(after=page[-1].key) if page and end < len(found) else ""
    return page, newer, older
