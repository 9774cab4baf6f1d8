"""Two lanes that must answer alike: what compares their replies."""

import re

from tests.api.client import Reply

RID = {"x-request-id": "rid-1"}

_REVISION = re.compile(rb'("revision":")[0-9a-z]+\.(\d+)')
"""A revision's epoch is random for each project (and always as long): only its number is compared."""


def same(a: Reply, b: Reply) -> None:
    """Fail unless both answers have the same status, headers and bytes."""
    assert a.status == b.status
    assert _without_epoch(a.headers) == _without_epoch(b.headers)
    assert _REVISION.sub(rb"\1E.\2", a.body) == _REVISION.sub(rb"\1E.\2", b.body)


def _without_epoch(headers: dict[str, str]) -> dict[str, str]:
    revision = headers.get("x-aerodash-revision", "")
    return headers | {"x-aerodash-revision": revision.partition(".")[2]}
