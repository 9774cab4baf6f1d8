"""What a project says about all jobs of one type: shown as facts on its page, and changed with the form of this one.

The form takes lengths of time as people write them ("90 s", "7 d"); bounds are the verb's own (job_types.configure), and
said before they are hurt. What is wrong stands beside its field, and everything typed stays.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings as server
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from aerodash import limits
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.errors import InvalidInput
from jobs_admin import forms, job_types, waiting
from jobs_admin.records import TypeRow
from jobs_admin.schemas import RetryDelay
from jobs_admin.schemas_types import RateLimit, Retention, TypeSettings
from jobs_admin.views.types import check_name

_UNITS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
_LENGTH = re.compile(
    r"(?P<number>\d{1,12}(?:\.\d{1,3})?)\s*(?P<unit>s|sec|second|seconds|m|min|minute|minutes|h|hour|hours|d|day|days)?"
)
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")

KINDS = {
    "": "Default",
    "exponential": "Exponential: it doubles",
    "fixed": "Fixed: always the same",
    "list": "List, then the last again",
}


DEFAULT_WAIT = "exponential, from 4 s to 1 h"


class Wrong(Exception):
    """A text that a field does not take. The message is a sentence for beside it."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input. wire: its name in a refusal by the verb. placeholder: what holds if it stays empty."""

    name: str
    label: str
    hint: str
    parse: Callable[[str], Any]
    wire: str
    placeholder: str = "no limit"
    is_long: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A field as the form shows it. error: a sentence, "" for none."""

    field: Field
    text: str
    error: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One setting in words. is_set: False where the default holds."""

    label: str
    value: str
    is_set: bool


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text.replace(",", "").replace(" ", "")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 15):
            raise Wrong(f"Write a whole number from {low:,} to {high:,}.")
        if not low <= int(digits) <= high:
            raise Wrong(f"This must lie between {low:,} and {high:,}.")
        return int(digits)

    return parse


def _length(low: float, high: int, *, whole: bool = False) -> Callable[[str], float | int]:
    def parse(text: str) -> float | int:
        found = _LENGTH.fullmatch(text.lower())
        if found is None:
            raise Wrong("Write a length of time such as 90 s, 15 min, 12 h or 7 d.")
        unit = found["unit"] or "s"
        factor = _UNITS["min" if unit.startswith("m") else unit[0]]
        seconds = Decimal(found["number"]) * factor
        if not Decimal(str(low)) <= seconds <= high:
            raise Wrong(f"This must lie between {length_text(low)} and {length_text(high)}.")
        if whole and seconds != int(seconds):
            raise Wrong("This must be whole seconds.")
        return int(seconds) if seconds == int(seconds) else float(seconds)

    return parse


def _delays(text: str) -> list[float]:
    parse = _length(0, limits.DELAY_MAX_S)
    parts = [part.strip() for part in re.split(r"[,;\n]", text) if part.strip()]
    if len(parts) > limits.RETRY_DELAYS:
        raise Wrong(f"At most {limits.RETRY_DELAYS} delays; these are {len(parts)}.")
    return [parse(part) for part in parts]


def _paths(text: str) -> list[str]:
    paths = [line.strip() for line in text.splitlines() if line.strip()]
    if len(paths) > limits.SECRET_PATHS:
        raise Wrong(f"At most {limits.SECRET_PATHS} paths; these are {len(paths)}.")
    for path in paths:
        if not _POINTER.fullmatch(path) or len(path) > limits.SECRET_PATH_CHARS:
            raise Wrong(
                f"“{path[:40]}” is no JSON Pointer such as /card/number, of at most {limits.SECRET_PATH_CHARS} characters."
            )
    return paths


def _kind(text: str) -> str:
    if text not in KINDS:
        raise Wrong("Choose one of the kinds.")
    return text


_AT_ONCE = _whole(1, limits.CONCURRENCY_MAX)
_STARTS = _whole(1, limits.RATE_MAX)
_PERIOD = _length(0.001, limits.RATE_PERIOD_MAX_S)
_KEPT = _length(1, limits.RETENTION_MAX_S, whole=True)
_DELAY = _length(0, limits.DELAY_MAX_S)


def _rate_fields(prefix: str, wire: str, of: str) -> tuple[Field, ...]:
    return (
        Field(f"{prefix}rate", "Starts", f"How many {of} may start in the time beside it: 1 to 1,000,000.", _STARTS, f"{wire}.limit"),
        Field(f"{prefix}per", "In", "Such as 1 s or 1 min; at most 24 h.", _PERIOD, f"{wire}.perSeconds", "1 s"),
        Field(f"{prefix}burst", "Burst", "How many may start at once after a quiet time: 1 to 1,000,000.", _STARTS, f"{wire}.burst", "the same as starts"),
    )  # fmt: skip


def _groups() -> tuple[tuple[str, str, tuple[Field, ...]], ...]:
    def kept(status: str, days: int) -> Field:
        return Field(
            f"kept_{status}",
            status.capitalize(),
            "1 s to 10 years, such as 7 d.",
            _KEPT,
            f"retention.{status}",
            f"{days} d",
        )

    return (
        ("Retries", "For jobs that do not say themselves. A worker's own wish for the next run comes first.", (
            Field("retries", "Retries after the first run", "0 to 1,000. With 3, a job runs up to 4 times.", _whole(0, limits.MAX_RETRIES), "maxRetries", "3"),
            Field("kind", "Wait between runs", f"Default: {DEFAULT_WAIT}; half of it by luck.", _kind, "retryDelay.kind"),
            Field("base", "First wait", "Of exponential and fixed: 0 s to 10 years.", _DELAY, "retryDelay.base", "4 s"),
            Field("cap", "Longest wait", "Of exponential: 0 s to 10 years.", _DELAY, "retryDelay.cap", "1 h"),
            Field("delays", "Waits", "Of list: up to 100, with commas between them, such as 10 s, 1 min, 1 h.", _delays, "retryDelay.delays", "10 s, 1 min, 1 h"),
        )),
        ("Time", "", (
            Field("timeout", "Time limit of a run", "1 s to 7 d. A run that takes longer counts as failed.", _length(1, limits.TIMEOUT_MAX_S), "timeoutSeconds"),
            Field("lease", "Lease", "1 s to 1 h. After so long without a heartbeat a job goes to another worker.", _length(1, limits.LEASE_MAX_S), "leaseSeconds", "30 s"),
        )),
        ("How much at once", "Over all workers together.", (
            Field("concurrency", "At once", "How many may run at the same time: 1 to 1,000,000.", _AT_ONCE, "concurrency"),
            *_rate_fields("", "rateLimit", "jobs"),
        )),
        ("How much at once per partition key", "For jobs that carry a key, such as a customer's id; for each key apart.", (
            Field("key_concurrency", "At once", "1 to 1,000,000.", _AT_ONCE, "partitionConcurrency"),
            *_rate_fields("key_", "partitionRateLimit", "of a key"),
        )),
        ("How long ended jobs are kept", "Then they are deleted with all that is about them.", (
            kept("completed", server.AERODASH_KEEP_COMPLETED_DAYS),
            kept("failed", server.AERODASH_KEEP_FAILED_DAYS),
            kept("cancelled", server.AERODASH_KEEP_CANCELLED_DAYS),
        )),
        ("Secrets", "", (
            Field("secrets", "Secret places in the payload", "JSON Pointers (RFC 6901), one a line, such as /card/number; up to 50.", _paths, "secretPaths", "/card/number", is_long=True),
        )),
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.QUEUE_MANAGE)
async def type_settings(request: HttpRequest, access: Access, type: str) -> HttpResponse:
    """/p/<slug>/types/<type>/settings: GET shows the form, POST saves all of it."""
    check_name(type)
    row = await database_sync_to_async(waiting.of_type, thread_sensitive=False)(
        access.project_id, access.actor, type=type
    )
    before = texts_of(row)
    if request.method != "POST":
        return _form(request, access, row, before, {})
    given = {name: request.POST.get(name, "").strip() for name in before}
    wanted, errors = settings_from(given)
    if request.POST.get("seen") != _digest(before):
        errors[""] = (
            "Somebody else changed these settings since you opened the form. Nothing was saved; what you typed stands "
            f"below. Theirs: {'; '.join(_changes({}, before)) or 'all defaults'}. Save again to replace them."
        )
    if errors or wanted is None:
        return _form(request, access, row, given, errors)
    try:
        settings = forms.type_settings(wanted)
        await job_types.configure(access.project_id, access.actor, type=type, settings=settings)
    except InvalidInput as exc:
        return _form(request, access, row, given, _refused(exc))
    changed = _changes(before, texts_of(TypeRow(row.name, row.counts, row.paused, settings)))
    if changed:
        messages.success(request, f"Saved for {type}: {'; '.join(changed)}.")
    else:
        messages.info(request, f"The settings of {type} were so already.")
    return HttpResponseRedirect(reverse("type", args=[access.project.slug, type]))


def settings_from(given: Mapping[str, str]) -> tuple[TypeSettings | None, dict[str, str]]:
    """What the form asks for, and what is wrong with it by field; None where something is."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for field in _fields():
        text = given.get(field.name, "")
        try:
            values[field.name] = field.parse(text) if text else None
        except Wrong as exc:
            errors[field.name] = str(exc)
    kind = given.get("kind", "")
    for name, kinds in (("base", ("exponential", "fixed")), ("cap", ("exponential",)), ("delays", ("list",))):
        if given.get(name) and kind not in kinds and kind in KINDS:
            errors.setdefault(
                name, f"This belongs to {' and '.join(kinds)}: choose that kind, or leave it empty."
            )
    if kind == "fixed" and not given.get("base"):
        errors["base"] = "Say how long the fixed wait is."
    if kind == "list" and not given.get("delays"):
        errors["delays"] = "Say at least one wait."
    for prefix in ("", "key_"):
        for name in ("per", "burst"):
            if given.get(prefix + name) and not given.get(f"{prefix}rate"):
                errors.setdefault(
                    f"{prefix}rate", "Say how many may start, or leave the fields beside it empty."
                )
    if errors:
        return None, errors
    retry = None
    if kind:
        retry = RetryDelay(kind=kind, base=values["base"], cap=values["cap"], delays=values["delays"])
    return TypeSettings(
        retryDelay=retry,
        leaseSeconds=values["lease"],
        timeoutSeconds=values["timeout"],
        maxRetries=values["retries"],
        concurrency=values["concurrency"],
        rateLimit=_rate(values, ""),
        partitionConcurrency=values["key_concurrency"],
        partitionRateLimit=_rate(values, "key_"),
        retention=Retention(
            completed=values["kept_completed"],
            failed=values["kept_failed"],
            cancelled=values["kept_cancelled"],
        ),
        secretPaths=values["secrets"] or None,
    ), {}


def texts_of(row: TypeRow) -> dict[str, str]:
    """The settings as the form shows them, by field; "" where nothing is set."""
    say = row.settings
    retry = say.retry
    texts = {
        "retries": _number(say.max_retries),
        "kind": retry.kind if retry else "",
        "base": _ms(retry.base_ms) if retry and retry.kind != "list" else "",
        "cap": _ms(retry.cap_ms) if retry and retry.kind == "exponential" else "",
        "delays": ", ".join(_ms(delay) for delay in retry.delays_ms)
        if retry and retry.kind == "list"
        else "",
        "timeout": _ms(say.timeout_ms),
        "lease": _ms(say.lease_ms),
        "concurrency": _number(say.concurrency),
        "rate": _number(say.rate),
        "per": _ms(say.rate_per_ms),
        "burst": _number(say.rate_burst),
        "key_concurrency": _number(say.partition_concurrency),
        "key_rate": _number(say.partition_rate),
        "key_per": _ms(say.partition_rate_per_ms),
        "key_burst": _number(say.partition_rate_burst),
        "kept_completed": _seconds(say.retention_completed_s),
        "kept_failed": _seconds(say.retention_failed_s),
        "kept_cancelled": _seconds(say.retention_cancelled_s),
        "secrets": "\n".join(say.secret_paths),
    }
    return texts


def facts(row: TypeRow) -> list[tuple[str, list[Fact]]]:
    """The settings in words, with the defaults where nothing is set."""
    texts = texts_of(row)
    wait = DEFAULT_WAIT
    match texts["kind"]:
        case "exponential":
            wait = f"exponential, from {texts['base']} to {texts['cap']}"
        case "fixed":
            wait = f"always {texts['base']}"
        case "list":
            wait = f"{texts['delays']}, then the last again"

    def fact(label: str, name: str, otherwise: str) -> Fact:
        return Fact(label, texts[name] or otherwise, bool(texts[name]))

    def rate(label: str, prefix: str) -> Fact:
        starts = texts[f"{prefix}rate"]
        if not starts:
            return Fact(label, "no limit", False)
        burst = texts[f"{prefix}burst"]
        return Fact(
            label,
            f"{starts} starts in {texts[f'{prefix}per']}" + (f", bursts of {burst}" if burst else ""),
            True,
        )

    secrets = texts["secrets"].splitlines()
    return [
        ("Retries", [fact("Retries", "retries", "3"), Fact("Wait between runs", wait, bool(texts["kind"]))]),
        ("Time", [fact("Time limit", "timeout", "none"), fact("Lease", "lease", "30 s")]),
        ("At once", [fact("Run at once", "concurrency", "no limit"), rate("Rate", "")]),
        ("Per key", [fact("Per partition key", "key_concurrency", "no limit"), rate("Rate per key", "key_")]),
        ("Kept", [
            fact("Completed kept", "kept_completed", f"{server.AERODASH_KEEP_COMPLETED_DAYS} d"),
            fact("Failed kept", "kept_failed", f"{server.AERODASH_KEEP_FAILED_DAYS} d"),
            fact("Cancelled kept", "kept_cancelled", f"{server.AERODASH_KEEP_CANCELLED_DAYS} d"),
        ]),
        ("Secrets", [Fact("Secret places", ", ".join(secrets) or "none", bool(secrets))]),
    ]  # fmt: skip


def length_text(seconds: float) -> str:
    """90 s, 15 min, 12 h, 7 d: in the largest unit that says it exactly, as the form reads it."""
    if seconds != int(seconds):
        return f"{seconds:g} s"
    for unit, factor in _UNITS.items():
        if seconds and seconds % factor == 0:
            return f"{int(seconds) // factor:,} {unit}".replace(",", "")
    return f"{int(seconds)} s"


def _form(
    request: HttpRequest, access: Access, row: TypeRow, texts: Mapping[str, str], errors: Mapping[str, str]
) -> HttpResponse:
    context = {
        "name": row.name,
        "now_is_paused": row.paused is not None,
        "groups": [
            (title, note, [Shown(field, texts[field.name], errors.get(field.name, "")) for field in fields])
            for title, note, fields in _groups()
        ],
        "kinds": KINDS,
        "error": errors.get("", ""),
        "wrong": sum(bool(name) for name in errors),
        "seen": _digest(texts_of(row)),
        "back_url": reverse("type", args=[access.project.slug, row.name]),
    }
    return answer(request, "jobs_admin/type-settings.html", context, status=FORM_AGAIN if errors else 200)


def _fields() -> list[Field]:
    return [field for _, _, fields in _groups() for field in fields]


def _refused(exc: InvalidInput) -> dict[str, str]:
    """The verb's own refusal, beside its field where it names one of ours."""
    said = str(exc.details.get("field", ""))
    for field in _fields():
        if said.removeprefix("settings.").partition("[")[0] == field.wire:
            return {field.name: exc.message}
    return {"": f"Nothing was saved. {exc.message}"}


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is another now, in words."""
    names = {
        field.name: f"{title.lower()}: {field.label.lower()}"
        for title, _, fields in _groups()
        for field in fields
    }
    changed = []
    for name, label in names.items():
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            changed.append(f"{label} {_short(old)} → {_short(new)}" if before else f"{label} {_short(new)}")
    return changed


def _short(text: str) -> str:
    return ", ".join(text.splitlines()) or "default"


def _digest(texts: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(texts), sort_keys=True).encode()).hexdigest()[:16]


def _rate(values: Mapping[str, Any], prefix: str) -> RateLimit | None:
    if values[f"{prefix}rate"] is None:
        return None
    per_s = values[f"{prefix}per"]
    return RateLimit(
        limit=values[f"{prefix}rate"],
        perSeconds=1 if per_s is None else per_s,
        burst=values[f"{prefix}burst"],
    )


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _ms(value: int | None) -> str:
    return "" if value is None else length_text(value / 1000)


def _seconds(value: int | None) -> str:
    return "" if value is None else length_text(value)
