"""What the console asks before a flag changes in production: its name typed again, and a reason for the audit log.

The reason is the verbs' own rule (flags/reason.py), so that no page can forget it; typing the name is for people who
clicked on the wrong row, and so belongs to the pages.
"""

from django.http import HttpRequest

from aerodash.console.access import Access
from cache_admin.flushes import FLAG_PREFIX
from cache_admin.templatetags.cache_ui import visible


def asks_first(access: Access, key: str) -> bool:
    """Whether a change of this entry needs its name typed and a reason: a flag's in production."""
    return access.project.is_production and key.startswith(FLAG_PREFIX)


def is_typed(request: HttpRequest, name: str) -> bool:
    """Whether the name was typed as the page shows it, which is how people read characters that hide."""
    return request.POST.get("typed", "").strip() == visible(name).strip()


def reason_of(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()
