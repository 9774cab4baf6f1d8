"""What every console template knows: who is here, in which project, which theme, where one can go.

Reads only what the access check has already put on the request: it never asks the database, so that it also works
for anonymous people and inside async views.
"""

from typing import NamedTuple

from django.http import HttpRequest

from aerodash import __version__
from aerodash.auth import Scope

THEME_COOKIE = "aerodash_theme"
THEMES = ("auto", "light", "dark")


class Section(NamedTuple):
    """One entry of the navigation. key: what follows `g` on the keyboard. needs: who lacks this right is not led there."""

    name: str
    label: str
    icon: str
    key: str
    needs: Scope | None = None


SECTIONS = (
    Section("overview", "Overview", icon="layout-dashboard", key="o"),
    Section("cache", "Cache", icon="database", key="c"),
    Section("flags", "Flags", icon="flag", key="f"),
    Section("jobs", "Jobs", icon="stack-2", key="j"),
    Section("types", "Types", icon="category", key="t"),
    Section("workers", "Workers", icon="server-2", key="w"),
    Section("schedules", "Schedules", icon="calendar-repeat", key="h"),
    Section("batches", "Batches", icon="packages", key="b"),
    Section("operations", "Operations", icon="progress", key="p"),
    Section("engine", "Engine", icon="gauge", key="m"),
    Section("audit", "Audit", icon="history", key="a"),
    Section("settings", "Settings", icon="settings", key="s", needs=Scope.ADMIN),
)


_BEGIN_A_GROUP = ("jobs", "operations")
"""Before these the navigation has a line."""


def console(request: HttpRequest) -> dict[str, object]:
    """The variable `console`: project, projects, role, actor, user, theme, next_theme, nav, section, keeps, version.

    section: the part of the project that is open; keeps: the same, if another project has it too.
    """
    access = getattr(request, "console", None)
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    theme = theme if theme in THEMES else "auto"
    parts = request.path.split("/")
    section = parts[3] if len(parts) > 3 and parts[1] == "p" else ""
    names = {one.name for one in SECTIONS}
    return {
        "console": {
            "project": access and access.project,
            "projects": access.projects if access else (),
            "role": access and access.role.value,
            "actor": access and access.actor,
            "user": access and access.user,
            "theme": theme,
            "next_theme": THEMES[(THEMES.index(theme) + 1) % len(THEMES)],
            "section": section if section in {*names, "search"} else "",
            "keeps": section if section in names else "",
            "nav": [
                {
                    "label": item.label,
                    "icon": item.icon,
                    "key": item.key,
                    "url": f"/p/{access.project.slug}/{item.name}",
                    "current": item.name == section,
                    "begins_group": item.name in _BEGIN_A_GROUP,
                }
                for item in SECTIONS
                if item.needs is None or access.may(item.needs)
            ]
            if access
            else [],
            "version": __version__,
        }
    }
