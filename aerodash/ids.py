"""The kinds of ids, so that a type checker tells one from another. They live below everything that speaks of them."""

from typing import NewType

ProjectId = NewType("ProjectId", int)
"""Project's primary key."""

JobId = NewType("JobId", str)
"""A UUIDv7 in its 36-character form."""
