"""Bounds on what callers may send. Over a bound is a refusal with a reason, or a cut that says so; never a silent one.

Source: wire contract, sections 4 and 9.
"""

BODY_BYTES = 32 * 1024 * 1024

KEY_BYTES = 1024
VALUE_BYTES = 25 * 1024 * 1024
METADATA_BYTES = 4 * 1024
TTL_MAX_S = 10 * 365 * 24 * 3600
GET_MANY_KEYS = 1000
GET_MANY_BYTES = 128 * 1024 * 1024
"""Of values in one answer: a key may be named a thousand times, and its value may be 25 MiB."""
SET_MANY_ENTRIES = 1000
DELETE_MANY_KEYS = 10_000
LIST_KEYS = 1000
KEYS_KEYS = 10_000
IMPORT_BYTES = 4 * 1024**3
IMPORT_LINE_BYTES = 2 * VALUE_BYTES + 64 * 1024
"""An export writes a value that has line ends as a text, in which each byte may need two."""
IMPORTS_KEPT = 20
"""Of one project: uploaded files that nobody has removed and that are not a week old."""
PAGE_BYTES = IMPORT_BYTES + 1024 * 1024
"""Of a request to the console: the largest is an upload with what its form adds."""
COUNTER_MIN = -(2**63)
COUNTER_MAX = 2**63 - 1

PAYLOAD_BYTES = 1024 * 1024
RESULT_BYTES = 1024 * 1024
JOB_TYPE_PATTERN = r"^[A-Za-z0-9._:-]{1,128}$"
JOB_TYPES = 10_000
"""Of one project, with jobs or settings. A lease looks at each of them."""
JOBS_PER_PAGE = 200
TYPES_PER_PAGE = 1000
MAX_RETRIES = 1000
DELAY_MAX_S = 10 * 365 * 24 * 3600
PRIORITY_MAX = 9
UNIQUE_KEY_CHARS = 256
"""Of unique keys, idempotency keys and partition keys: characters, of which none is NUL (PostgreSQL keeps none)."""
TAGS = 20
TAG_CHARS = 64
TIMEOUT_MAX_S = 7 * 24 * 3600
RETRY_DELAYS = 100
TRACEPARENT_PATTERN = r"^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$"
"""W3C Trace Context, section 3.2: a version, a trace id, a parent id and flags."""
LEASE_JOBS = 1000
LEASE_TYPES = 1000
LEASE_TOKEN_CHARS = 64
JOB_ID_CHARS = 64
WORKER_ID_CHARS = 64
HOSTNAME_CHARS = 128
VERSION_CHARS = 64
PID_MAX = 2**32
LEASE_MAX_S = 3600
WAIT_MAX_S = 30
SETTLE_RESULTS = 1000
ENQUEUE_MANY_JOBS = 10_000
ERROR_TYPE_BYTES = 256
ERROR_MESSAGE_BYTES = 8 * 1024
TRACEBACK_BYTES = 64 * 1024
"""Over these two a message and a traceback are cut, visibly, and not refused: the result of a run is worth more."""
PROGRESS_REPORTS = 1000
PROGRESS_MESSAGE_BYTES = 1024
REPORT_LINES = 100
REPORTS_LINES = 10_000
"""Of all reports in one call: they are kept in one transaction."""
LOG_LINE_BYTES = 4 * 1024
"""Over these two bounds in bytes a handler's message and line are cut, visibly."""
LOG_LINES = 1000
"""Of a job's log: later lines are counted, not kept."""
LOG_LINES_PER_PAGE = 1000
BEGUN_JOBS = 10_000
LOST_REASON_BYTES = 1024
REFUSED_RETRIES = 1000
"""Listed in one answer; the others are counted."""
LATE_RESULTS = 20
LATE_RESULT_BYTES = 8 * 1024
"""What a job's timeline keeps of results that came after their lease: so many, and so much of each."""

BATCH_NAME_CHARS = 128
BATCHES_PER_PAGE = 200
SCHEDULES_PER_PAGE = 1000
CRON_CHARS = 128
TIMEZONE_CHARS = 64
EVERY_MIN_S = 1
EVERY_MAX_S = 10 * 365 * 24 * 3600

PAUSE_REASON_CHARS = 256
CONCURRENCY_MAX = 1_000_000
RATE_MAX = 1_000_000
RATE_PERIOD_MAX_S = 24 * 3600
RETENTION_MAX_S = 10 * 365 * 24 * 3600
SECRET_PATHS = 50
SECRET_PATH_CHARS = 256
