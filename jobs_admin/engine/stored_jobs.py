"""A job that is to be enqueued later, as JSON text: what a schedule enqueues, and what follows a batch."""

import dataclasses
import json

from jobs_admin.engine.contract import NewJob, Unique, Who
from jobs_admin.engine.rules import RetryPolicy


def dump(job: NewJob) -> str:
    return json.dumps(dataclasses.asdict(job), ensure_ascii=False)


def load(text: str) -> NewJob:
    """What dump was given."""
    stored = json.loads(text)
    if (retry := stored["retry"]) is not None:
        stored["retry"] = RetryPolicy(**{**retry, "delays_ms": tuple(retry["delays_ms"])})
    if (unique := stored["unique"]) is not None:
        stored["unique"] = Unique(**unique)
    return NewJob(**{**stored, "tags": tuple(stored["tags"])})


def dump_with(who: Who, job: NewJob) -> str:
    """The same with who asked for it."""
    return json.dumps({"who": dataclasses.asdict(who), "job": dump(job)}, ensure_ascii=False)


def load_with(text: str) -> tuple[Who, NewJob]:
    """What dump_with was given."""
    stored = json.loads(text)
    return Who(**stored["who"]), load(stored["job"])
