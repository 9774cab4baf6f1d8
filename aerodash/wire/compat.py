"""The one place that knows the quirks of generated clients, where they contradict the product's own words.

Clients that openapi-generator made from the original's document hold replies to its types: a cached value is a string,
a job that waits is `queued`, and in Go a job's `data` is an object. Replies to them are bent to that; nobody else's are.
Source: wire contract, section 8; docs/decisions/0012.
"""

import enum
import re
from typing import Any

import msgspec
from msgspec import Raw


class Quirk(enum.Enum):
    """One way in which a reply is bent."""

    TEXT_VALUES = "a cached value that is neither a string nor null is its compact JSON text"
    QUEUED = "a pending job's status is queued"
    OBJECT_DATA = "a job's data is null where its payload is no object; payload keeps it"


type Quirks = frozenset[Quirk]

NONE: Quirks = frozenset()
ALL: Quirks = frozenset(Quirk)
AUTO, ON, OFF = "auto", "on", "off"
"""What a key may say: by the client's User-Agent, always, never."""

_AGENT = re.compile(r"OpenAPI-Generator/[^/]*/(python|go)")
_OF_LANGUAGE: dict[str, Quirks] = {
    "python": frozenset({Quirk.TEXT_VALUES, Quirk.QUEUED}),
    "go": frozenset({Quirk.TEXT_VALUES, Quirk.OBJECT_DATA}),
}


def quirks(mode: str, agent: str) -> Quirks:
    """How replies to this User-Agent bend, with a key that says AUTO, ON or OFF.

    ON makes a client that does not say who it is (the generated Flutter one) get all of them.
    """
    if mode == OFF:
        return NONE
    known = _AGENT.fullmatch(agent) if agent.startswith("OpenAPI-Generator/") else None
    if known is not None:
        return _OF_LANGUAGE[known[1]]
    return ALL if mode == ON else NONE


def bent(path: str, reply: Any, quirks: Quirks) -> Any:
    """The reply of the operation at this path, changed as the quirks say."""
    match path:
        case "/cache/get":
            if Quirk.TEXT_VALUES in quirks:
                reply.value = _as_text(reply.value)
        case "/queue/enqueue":
            _bend_job(reply, quirks)
        case "/queue/job":
            if reply.job is not None:
                _bend_job(reply.job, quirks)
        case "/queue/jobs":
            for job in reply.jobs:
                _bend_job(job, quirks)
    return reply


def _as_text(value: Raw) -> Raw:
    text = bytes(value)
    if text.startswith(b'"') or text == b"null":
        return value
    return Raw(msgspec.json.encode(msgspec.json.format(text, indent=-1).decode()))


def _bend_job(job: Any, quirks: Quirks) -> None:
    if Quirk.QUEUED in quirks and job.status == "pending":
        job.status = "queued"
    if Quirk.OBJECT_DATA in quirks and hasattr(job, "data") and not bytes(job.data).startswith(b"{"):
        job.data = Raw(b"null")
