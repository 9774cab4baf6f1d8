"""The demo's worker: a handler for each job type of the sample data, with small real work in it.

    aerodash worker examples/demo_worker.py:worker

Runs take from 0.05 to 6 s, so that a person sees jobs go from pending to processing to completed. Some fail on
purpose, and always the same ones: by their payload (a bad address, a bad row, a host that is down) they fail for
good, by their id and attempt (a busy mail server, a flaky host) a later run succeeds.
"""

import csv
import hashlib
import hmac
import io
import json
import random
import zlib
from email.message import EmailMessage
from email.utils import make_msgid
from urllib.parse import urlsplit

from aerodash_sdk.worker import Fail, Job, Retry, Worker

worker = Worker(concurrency=4, grace_s=10)

SUBJECTS = {
    "welcome": "Welcome, {name}",
    "onboarding-tip-1": "{name}, your first cache entry",
    "onboarding-tip-2": "{name}, your first job",
    "password-reset": "Your new password",
    "import-finished": "Your import has finished",
}


@worker.job("send-email")
def send_email(job: Job) -> dict[str, object]:
    """Compose a mail from a template. One mail in five finds the mail server busy at first."""
    template = str(job.payload.get("template", "welcome"))
    to = str(job.payload.get("to", ""))
    if template not in SUBJECTS:
        raise Fail(f"there is no template {template!r}")
    if "@" not in to:
        raise Fail(f"{to!r} is not a mail address")
    return compose(job, to, template, job.payload.get("data") or {})


@worker.job("send-welcome-email")
def send_welcome_email(job: Job) -> dict[str, object]:
    return compose(job, str(job.payload["email"]), "welcome", job.payload)


def compose(job: Job, to: str, template: str, data: dict[str, object]) -> dict[str, object]:
    if job.attempts == 1 and number_of(job) % 5 == 0:
        raise Retry("421 mail server is busy, try again", after=2)
    message = EmailMessage()
    message["To"] = to
    message["From"] = "shop@example.com"
    message["Message-ID"] = make_msgid(domain="example.com")
    message["Subject"] = SUBJECTS[template].format(name=data.get("name", "friend"))
    message.set_content(f"Hello {data.get('name', 'friend')},\n\nthis is the {template} mail.\n")
    work_for(job, 0.2, 1.2)
    return {"messageId": message["Message-ID"], "bytes": len(message.as_bytes())}


@worker.job("generate-report")
def generate_report(job: Job) -> dict[str, object]:
    """Write a month's sales as CSV and sum them up: slow, in steps, and it stops if it is cancelled."""
    month = str(job.payload.get("month", "2026-01"))
    sales = random.Random(month)
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["day", "orders", "revenue"])
    revenue = 0.0
    for day in range(1, 31):
        if job.wait_cancelled(seconds_for(job, 2.0, 6.0) / 30):
            job.log(f"cancelled on day {day}", "warning")
            return {"stoppedAt": day}
        job.progress(100 * day / 30, f"day {day} of 30")
        orders = sales.randint(20, 400)
        takings = round(orders * sales.uniform(8, 60), 2)
        revenue += takings
        rows.writerow([f"{month}-{day:02}", orders, takings])
    text = table.getvalue()
    job.log(f"{month}: 30 days, {revenue:.2f} in all")
    return {
        "month": month,
        "revenue": round(revenue, 2),
        "bytes": len(text),
        "crc32": zlib.crc32(text.encode()),
    }


@worker.job("deliver-webhook")
def deliver_webhook(job: Job) -> dict[str, object]:
    """Sign an event as for a receiver. A host named down never takes it, a flaky one takes it at the third try."""
    url = urlsplit(str(job.payload.get("url", "")))
    body = json.dumps(job.payload.get("event", {}), sort_keys=True).encode()
    signature = hmac.new(b"demo secret", body, hashlib.sha256).hexdigest()
    work_for(job, 0.05, 0.6)
    host = url.hostname or ""
    if host.startswith("down."):
        raise ConnectionRefusedError(f"{host}:443 refused the connection")
    if host.startswith("flaky.") and job.attempts < 3:
        raise TimeoutError(f"{host} did not answer within 10 s")
    if host.startswith("busy.") and job.attempts == 1:
        raise Retry(f"{host} answered 429", after=3)
    return {"status": 200, "signature": f"sha256={signature}"}


@worker.job("import-row")
def import_row(job: Job) -> dict[str, object]:
    """Check one row of an upload. A bad row raises where it is bad, so the job shows a real traceback."""
    row = job.payload.get("data") or {}
    work_for(job, 0.05, 0.3)
    name, amount = str(row["name"]).strip(), float(row["amount"])
    if not name:
        raise ValueError("the row has no name")
    return {"id": hashlib.sha256(f"{name}{amount}".encode()).hexdigest()[:12], "cents": round(amount * 100)}


@worker.job("resize-image")
async def resize_image(job: Job) -> dict[str, object]:
    """Draw a picture and shrink it by averaging squares of pixels, in plain Python."""
    width = min(max(int(job.payload.get("width", 64)), 8), 256)
    scale, side = 4, 4
    source = [[(x * y) % 256 for x in range(width * scale)] for y in range(width * scale)]
    small = bytes(
        sum(source[y * scale + dy][x * scale + dx] for dy in range(side) for dx in range(side))
        // (side * side)
        for y in range(width)
        for x in range(width)
    )
    return {"width": width, "height": width, "bytes": len(small), "crc32": zlib.crc32(small)}


def number_of(job: Job) -> int:
    """A number that stays the same for a job, whichever run it is."""
    return zlib.crc32(job.id.encode())


def seconds_for(job: Job, shortest: float, longest: float) -> float:
    return shortest + (longest - shortest) * (number_of(job) % 1000) / 1000


def work_for(job: Job, shortest: float, longest: float) -> None:
    job.wait_cancelled(seconds_for(job, shortest, longest))
