"""What every console template knows: who is here, in which project, which theme, where one can go.

Reads only what the access check has already put on the request: it never asks the database, so that it also works
for anonymous people and inside async views.
"""

from typing import NamedTuple

from django.http import HttpRequest

from aerodash import __version__

THEME_COOKIE = "aerodash_theme"
THEMES = ("auto", "light", "dark")


class Section(NamedTuple):
    """One entry of the navigation. key: what follows `g` on the keyboard."""

    name: str
    label: str
    icon: str
    key: str


SECTIONS = (
    Section("cache", "Cache", icon="database", key="c"),
    Section("flags", "Flags", icon="flag", key="f"),
    Section("jobs", "Jobs", icon="stack-2", key="j"),
    Section("operations", "Operations", icon="progress", key="p"),
)


def console(request: HttpRequest) -> dict[str, object]:
    """The variable `console`: project, projects, role, actor, user, theme, next_theme, nav, section, version."""
    access = getattr(request, "console", None)
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    theme = theme if theme in THEMES else "auto"
    parts = request.path.split("/")
    section = parts[3] if len(parts) > 3 and parts[1] == "p" else ""
    return {
        "console": {
            "project": access and access.project,
            "projects": access.projects if access else (),
            "role": access and access.role.value,
            "actor": access and access.actor,
            "user": access and access.user,
            "theme": theme,
            "next_theme": THEMES[(THEMES.index(theme) + 1) % len(THEMES)],
            "section": section if section in {s.name for s in SECTIONS} else "",
            "nav": [
                {
                    "label": item.label,
                    "icon": item.icon,
                    "key": item.key,
                    "url": f"/p/{access.project.slug}/{item.name}",
                    "current": item.name == section,
                }
                for item in SECTIONS
            ]
            if access
            else [],
            "version": __version__,
        }
    }
