"""What the forms that enqueue have in common: the fields of a job, read from what people typed.

Bounds are the verbs' own; here a text only becomes a number, an instant or a list, or is refused with its field.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from aerodash import jsontext
from aerodash.errors import InvalidInput
from jobs_admin.engine.contract import NewJob, Unique

PRIORITIES = (
    (0, "0, the most urgent"), (1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5, as usual"), (6, "6"), (7, "7"), (8, "8"),
    (9, "9, the least urgent"),
)  # fmt: skip


def new_job(given: Mapping[str, str], payload: str, *, was: NewJob | None = None) -> NewJob:
    """The job that the fields describe, due at once. was: what it had before; what no field is for stays.

    Raises InvalidInput with the field.
    """
    data = jsontext.check(payload)
    job = NewJob(given.get("type", "").strip(), data.decode(), len(data))
    if was is not None:
        job.retry, job.timeout_ms = was.retry, was.timeout_ms
        job.partition_key, job.traceparent = was.partition_key, was.traceparent
    job.priority = whole(given.get("priority", "5") or "5", "priority")
    retries = given.get("retries", "").strip()
    job.max_retries = whole(retries, "retries") if retries else None
    job.tags = tags(given.get("tags", ""))
    job.unique = _unique(given.get("unique", "").strip(), was)
    return job


def whole(text: str, field: str) -> int:
    """Raises InvalidInput for what is no whole number."""
    digits = text.replace(",", "").strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
        raise InvalidInput(f"{text!r} is not a whole number.", reason="invalid_field", field=field)
    return int(digits)


def number(text: str, field: str) -> float:
    """Raises InvalidInput for what is no number, or none that an amount can be."""
    try:
        found = float(text.replace(",", "").strip())
    except ValueError:
        raise InvalidInput(f"{text!r} is not a number.", reason="invalid_field", field=field) from None
    if not 0 <= found < 1e12:
        raise InvalidInput(f"{text!r} is out of bounds.", reason="out_of_range", field=field)
    return found


def tags(text: str) -> tuple[str, ...]:
    """With commas between, each once."""
    return tuple(dict.fromkeys(tag for part in text.split(",") if (tag := part.strip())))


def instant(text: str, field: str) -> datetime:
    """What a datetime-local control sends, as UTC. Raises InvalidInput for what is no instant."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(
            "A time is written as 2026-03-18 12:04:31, in UTC.", reason="invalid_field", field=field
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _unique(key: str, was: NewJob | None) -> Unique | None:
    if not key:
        return None
    # How long it is held, and what becomes of a later one, no field says.
    return was.unique if was is not None and was.unique is not None and was.unique.key == key else Unique(key)
