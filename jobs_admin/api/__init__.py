"""The queue operations of the wire contract, section 4: importing this enters them in the table."""

from jobs_admin.api import batches, jobs, schedules, types, work  # noqa: F401
