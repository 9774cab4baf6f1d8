"""Ids made by the client: time-ordered, so that a database appends them instead of scattering them."""

import os
import time


def new_key() -> str:
    """A 128-bit id as 32 hex digits: milliseconds since the epoch, then 80 random bits."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
