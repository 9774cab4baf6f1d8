"""How cache keys and values are written on a page."""

import re
from typing import Any

from django import template

from aerodash.templatetags.aerodash_ui import size

register = template.Library()

_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@register.filter
def visible(text: str) -> str:
    """The text with control and direction characters written as \\x00 or \\u202e, so that none can hide or reorder it."""
    if text.isprintable():
        return text
    return _INVISIBLE.sub(lambda found: _escape(found.group()), text)


@register.filter
def visible_lines(text: str) -> str:
    """The same for text of several lines: line ends and tabs stay."""
    return _INVISIBLE.sub(
        lambda found: found.group() if found.group() in "\n\t" else _escape(found.group()), text
    )


@register.filter
def slice_from(key: str, prefix: str) -> str:
    """The key without the prefix that it begins with."""
    return key.removeprefix(prefix)


@register.filter
def per_cent(rollout: float) -> str:
    """25, 12.5, 0.01: a rollout without needless zeros."""
    return f"{rollout:.2f}".rstrip("0").rstrip(".")


@register.filter
def weighed(weight: Any) -> str:
    """How a folder's size came about: "every key looked at", or "± 12 KiB, from 8 of its 100,000 keys"."""
    if weight.is_exact:
        return "every key looked at"
    return f"± {size(weight.error_bytes)}, from {weight.sampled:,} of its {weight.count:,} keys"


@register.filter
def milliseconds(microseconds: int) -> str:
    """0.4 ms, 12 ms, 1,240 ms."""
    number = microseconds / 1000
    return f"{number:,.0f} ms" if number >= 10 else f"{number:.1f} ms"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
