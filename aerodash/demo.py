"""The demo: a project with sample entries, flags and jobs, its owner and its API key, for whoever looks around.

All of it is made once. Whatever a person changed or deleted since stays so at the next start.
"""

import json
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

import cache_admin.services as cache
import jobs_admin.services as jobs
from aerodash import audit, engines, keys, private
from aerodash.auth import ALL_SCOPES, Door, Role, Scope, system_actor
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from aerodash.models import ApiKey, AuditEntry, Member, Project, User
from jobs_admin import batches, job_types, schedules
from jobs_admin.engine.contract import NewJob, TypeSettings

SLUG = "demo"
USERNAME = "demo"
KEY_NAME = "demo"
SEEDED = "demo.seed"
TRAFFIC_EVERY_S = (2.0, 5.0)

type Sample = tuple[str, bytes, int | None, bytes | None]

_ACTOR = system_actor(Door.COMMAND)


def see_to_it() -> tuple[User, Project, str]:
    """Make what is missing of the demo; returns its owner, its project and its API key's text.

    Raises EngineDown if the sample data are missing and cannot be written.
    """
    project, _ = Project.objects.get_or_create(
        slug=SLUG, defaults={"name": "Demo shop", "environment": Project.Environment.DEVELOPMENT}
    )
    user = _owner(project)
    if not AuditEntry.objects.filter(project=project, verb=SEEDED).exists():
        engines.run(seed(ProjectId(project.pk)))
    return user, project, _key(project, settings.AERODASH_DATA / "demo-key")


async def seed(project: ProjectId) -> None:
    """Write the sample entries, flags, types, schedules and jobs, and note it in the audit log.

    Begun again after an interruption, it does not double the jobs.
    """
    chance = random.Random(8787)
    await cache.set_many(project, _ACTOR, entries=[*_entries(chance), *_flags()])
    for type, say in _TYPES.items():
        await job_types.configure(project, _ACTOR, type=type, settings=say)
    for name, schedule in _SCHEDULES.items():
        await schedules.set_schedule(project, _ACTOR, name=name, **schedule)
    if not await _has_jobs(project):
        await jobs.enqueue_many(project, _ACTOR, jobs=list(_jobs(chance)))
        await _import(project, chance)
    await audit.record(project, _ACTOR, verb=SEEDED, target=SLUG)


def traffic(project: Project, stopping: threading.Event) -> None:
    """Enqueue a job and count a page view every few seconds, until told to stop."""
    chance = random.Random()
    said = False
    while not stopping.wait(chance.uniform(*TRAFFIC_EVERY_S)):
        try:
            engines.run(_one_visit(ProjectId(project.pk), chance))
            said = False
        except EngineDown as exc:
            if not said:
                print(f"demo traffic waits: {exc.message}", flush=True)
            said = True


async def _one_visit(project: ProjectId, chance: random.Random) -> None:
    await jobs.enqueue(project, _ACTOR, job=chance.choice(list(_jobs(chance))))
    await cache.increment(project, _ACTOR, key=f"views:post-{chance.randint(1, 40)}")


async def _import(project: ProjectId, chance: random.Random) -> None:
    """An upload as one batch, with a mail when its last row is done."""
    mail = {"template": "import-finished", "to": "ines@example.com", "data": {"name": "Ines"}}
    batch = await batches.create(
        project, _ACTOR, name="customers-2026.csv", on_complete=_job("send-email", mail)
    )
    rows = [replace(job, batch=batch) for job in _rows(chance, 150)]
    await jobs.enqueue_many(project, _ACTOR, jobs=rows)
    await batches.seal(project, _ACTOR, batch=batch)


async def _has_jobs(project: ProjectId) -> bool:
    from jobs_admin.models import Job

    return await Job.objects.filter(project_id=project).aexists()


def _owner(project: Project) -> User:
    user, made = User.objects.get_or_create(username=USERNAME, defaults={"first_name": "Demo"})
    if made:  # signs in by link; `manage.py changepassword demo` gives it a password
        user.set_unusable_password()
        user.save(update_fields=["password"])
    Member.objects.get_or_create(project=project, user=user, defaults={"role": Role.OWNER})
    return user


def _key(project: Project, path: Path) -> str:
    """The text kept in the file while it is a valid key of the project; else a new one, which takes its place."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        text = ""
    if ApiKey.objects.filter(project=project, digest=keys.digest(text), revoked_at=None).exists():
        return text
    project_id = ProjectId(project.pk)
    for lost in ApiKey.objects.filter(project=project, name=KEY_NAME, revoked_at=None):
        engines.run(keys.revoke(project_id, _ACTOR, key_id=lost.pk))
    scopes = ALL_SCOPES - {Scope.ADMIN}
    _, text = engines.run(keys.create(project_id, _ACTOR, name=KEY_NAME, scopes=scopes))
    private.write(path, text)
    return text


_NAMES = ("Jane", "Ines", "Omar", "Li", "Ada", "Noah", "Mina", "Theo", "Sofia", "Kofi", "Yuki", "Lena")
_CITIES = ("Berlin", "Lisbon", "Lagos", "Osaka", "Oslo", "Lima", "Turin", "Ghent")
_DEVICES = ("mobile", "desktop", "tablet")
_PLANS = ("free", "pro", "team")
_PAGES = ("home", "pricing", "docs", "docs:cache", "docs:queue", "docs:flags", "blog", "blog:launch", "about")
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


def _entries(chance: random.Random) -> Iterator[Sample]:
    """Some hundreds of entries as a shop would have them."""
    for _ in range(160):
        region, device = chance.choice(("eu", "eu", "eu", "us")), chance.choice(_DEVICES)
        name = chance.choice(_NAMES)
        session = {
            "user": f"user-{chance.randint(1, 120)}",
            "name": name,
            "cart": chance.randint(0, 6),
            "theme": "dark",
        }
        yield _entry(
            f"session:{region}:{_token(chance)}", session, chance.randint(900, 24 * 3600), {"device": device}
        )
    for number in range(1, 121):
        name = chance.choice(_NAMES)
        profile = {
            "id": number,
            "name": name,
            "email": f"{name.lower()}.{number}@example.com",
            "plan": chance.choice(_PLANS),
            "city": chance.choice(_CITIES),
        }
        yield _entry(f"user:{number}", profile, None, {"source": "signup"})
    for _ in range(45):
        items = [
            {
                "sku": f"A-{chance.randint(100, 999)}",
                "quantity": chance.randint(1, 4),
                "price": chance.randint(300, 9900) / 100,
            }
            for _ in range(chance.randint(1, 5))
        ]
        yield _entry(
            f"cart:{chance.randint(1, 120)}:{_token(chance)[:6]}",
            {"items": items, "currency": "EUR"},
            7 * 24 * 3600,
        )
    for page in _PAGES:
        for language in ("en", "de", "fr"):
            html = f"<h1>{page.rpartition(':')[2].title()}</h1>" + "<p>Fast, and yours.</p>" * chance.randint(
                2, 30
            )
            yield _entry(
                f"page:{page}:{language}",
                html,
                chance.randint(600, 6 * 3600),
                {"rendered": "edge", "status": 200},
            )
    for _ in range(30):
        address = f"192.0.2.{chance.randint(1, 254)}"
        yield _entry(f"ratelimit:{address}", chance.randint(1, 90), chance.randint(1200, 3600))
    for number in range(1, 41):
        yield _entry(f"views:post-{number}", chance.randint(3, 25_000), None)


def _flags() -> Iterator[Sample]:
    """Flags as people leave them: on, off, half rolled out, and one that somebody mistyped."""
    checkout = {
        "enabled": True,
        "rollout": 25,
        "description": "The one-page checkout",
        "tags": ["checkout", "growth"],
    }
    yield _entry("flag:new-checkout", checkout, None)
    dark = {"enabled": True, "rollout": 50, "description": "Dark colours by default", "tags": ["design"]}
    yield _entry("flag:dark-mode", dark, None)
    yield _entry(
        "flag:beta-search", {"enabled": False, "description": "Search by meaning", "tags": ["search"]}, None
    )
    yield _entry(
        "flag:free-shipping",
        {"enabled": True, "description": "No postage over 50 EUR", "tags": ["checkout"]},
        None,
    )
    yield _entry(
        "flag:maintenance",
        {"enabled": False, "description": "Show the maintenance page", "tags": ["ops"]},
        None,
    )
    yield _entry(
        "flag:legacy-banner",
        {"enabled": "yes", "description": "Broken on purpose: enabled is no boolean"},
        None,
    )


def _jobs(chance: random.Random) -> Iterator[NewJob]:
    """Jobs for examples/demo_worker.py: most succeed, some on a later try, some never, some are due later."""
    templates = ("welcome", "onboarding-tip-1", "onboarding-tip-2", "password-reset")
    for number in range(1, 25):
        name = chance.choice(_NAMES)
        mail = {
            "template": chance.choice(templates),
            "to": f"{name.lower()}.{number}@example.com",
            "data": {"name": name},
        }
        yield _job("send-email", mail)
    yield _job("send-email", {"template": "welcome", "to": "jane at example.com", "data": {"name": "Jane"}})
    for name in _NAMES[:4]:
        yield _job(
            "send-welcome-email",
            {"userId": f"user-{name.lower()}", "email": f"{name.lower()}@example.com", "name": name},
        )
    month = datetime.now(UTC).replace(day=1)
    for _ in range(4):
        month = (month - timedelta(days=1)).replace(day=1)
        yield _job("generate-report", {"month": f"{month:%Y-%m}", "format": "csv"})
    for host in (
        "hooks.example.com",
        "hooks.example.org",
        "flaky.example.com",
        "busy.example.com",
        "down.example.com",
    ):
        event = {"id": f"evt_{_token(chance)}", "type": "order.paid", "amount": chance.randint(500, 20_000)}
        yield _job("deliver-webhook", {"url": f"https://{host}/orders", "event": event}, max_retries=2)
    yield from _rows(chance, 12)
    yield _job("import-row", {"row": 13, "data": {"name": "Omar", "amount": "12,5O"}}, max_retries=0)
    for width in (32, 64, 96):
        yield _job("resize-image", {"path": f"products/{_token(chance)}.png", "width": width})
    later = (30, 120, 600, 3600, 24 * 3600)
    for delay_s, template in zip(later, (*templates, "welcome"), strict=True):
        mail = {"template": template, "to": "later@example.com", "data": {"name": "Lena"}}
        yield _job("send-email", mail, delay_s=delay_s)


def _rows(chance: random.Random, count: int) -> Iterator[NewJob]:
    for number in range(1, count + 1):
        row = {"name": chance.choice(_NAMES), "amount": f"{chance.randint(100, 9999) / 100}"}
        yield _job("import-row", {"row": number, "data": row}, max_retries=1)


def _entry(key: str, value: object, ttl_s: int | None, metadata: object | None = None) -> Sample:
    return key, _json(value), ttl_s, None if metadata is None else _json(metadata)


def _job(type: str, payload: object, *, delay_s: float = 0, max_retries: int = 3) -> NewJob:
    return jobs.new_job(type, _json(payload), delay_s=delay_s, max_retries=max_retries)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _token(chance: random.Random) -> str:
    return "".join(chance.choices(_LETTERS, k=12))


_TYPES = {
    "deliver-webhook": TypeSettings(concurrency=2, rate=20, rate_per_ms=1000, timeout_ms=30_000),
    "generate-report": TypeSettings(concurrency=1, timeout_ms=60_000, retention_completed_s=30 * 24 * 3600),
}

_SCHEDULES: dict[str, dict[str, Any]] = {
    "nightly-report": {
        "job": _job("generate-report", {"month": "2026-01", "format": "csv"}),
        "cron_line": "30 2 * * *",
        "timezone": "Europe/Berlin",
    },
    "product-pictures": {
        "job": _job("resize-image", {"path": "products/of-the-day.png", "width": 64}),
        "every_s": 120.0,
    },
    "monday-newsletter": {
        "job": _job(
            "send-email",
            {"template": "onboarding-tip-2", "to": "readers@example.com", "data": {"name": "all"}},
        ),
        "cron_line": "0 8 * * 1",
        "timezone": "Europe/Lisbon",
        "paused": True,
    },
}
