"""What templates need to say things the console's way: icons, status words, times, sizes, figures.

Times show relative with the exact UTC in the title; static/js/times.js keeps them going. Source: mock README.
"""

import functools
import re
import time
import warnings
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from aerodash import instants, static_files

register = template.Library()

SPRITE = "vendor/icons-3.48.0/icons.svg"


class Word(NamedTuple):
    """How one status looks: an icon beside the word, always both."""

    icon: str
    css: str


STATUS = {
    "pending": Word(icon="clock", css="pending"),
    "due": Word(icon="clock", css="pending"),
    "scheduled": Word(icon="calendar-clock", css="scheduled"),
    "retrying": Word(icon="rotate-clockwise", css="retrying"),
    "processing": Word(icon="player-play", css="processing"),
    "cancelling": Word(icon="hand-stop", css="cancelling"),
    "completed": Word(icon="circle-check", css="completed"),
    "failed": Word(icon="circle-x", css="failed"),
    "cancelled": Word(icon="ban", css="cancelled"),
    "paused": Word(icon="player-pause", css="paused"),
    "lost": Word(icon="plug-connected-x", css="lost"),
    # of operations
    "waiting": Word(icon="clock", css="pending"),
    "running": Word(icon="player-play", css="processing"),
    "stopping": Word(icon="hand-stop", css="cancelling"),
    "done": Word(icon="circle-check", css="completed"),
    "stopped": Word(icon="ban", css="cancelled"),
}


@register.simple_tag
@functools.lru_cache(maxsize=1024)  # a page has two hundred
def icon(name: str, css: str = "") -> SafeString:
    """{% icon "clock" %}: an icon from the sprite, hidden from screen readers: the word beside it speaks.

    One that the sprite lacks leaves its place empty and warns, which in tests is an error.
    """
    if name not in _icons():
        warnings.warn(f"No icon {name!r}: scripts/vendor icons, or CHOSEN_ICONS there.", stacklevel=2)
    return format_html(
        '<svg class="ad-ico{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        f" {css}" if css else "",
        static(SPRITE),
        name,
    )


@register.simple_tag
def status(word: str) -> SafeString:
    """{% status job.state %}: the icon and the word of the status vocabulary."""
    look = STATUS[word]
    return format_html('<span class="ad-st ad-st-{}">{}{}</span>', look.css, icon(look.icon), word)


@register.simple_tag
def status_icon(word: str) -> SafeString:
    return icon(STATUS[word].icon)


@register.simple_tag
def copy(value: str, what: str, *, say: bool = True) -> SafeString:
    """{% copy job.id "job id" %}: a button that copies the value; hidden where there is no script to do it.

    say: whether its label names the value, which tells many such buttons apart.
    """
    return format_html(
        '<button type="button" class="ad-copy" data-copy="{}" aria-label="Copy {} {}">{}</button>',
        value, what, value if say else "", icon("copy"),
    )  # fmt: skip


@register.simple_tag
def ago(at: datetime | None) -> SafeString:
    """{% ago job.ended_at %}: "4 s ago", kept going by the script."""
    if at is None:
        return SafeString("")
    seconds = max(time.time() - at.timestamp(), 0)
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        instants.text_of(at),
        _exact(at),
        f"{spell(seconds, coarse=True)} ago",
    )


@register.simple_tag
def clock(at: datetime | None) -> SafeString:
    """{% clock event.at %}: 12:04:31.220, for timelines, with its date unless that is today; all of it is in the title."""
    if at is None:
        return SafeString("")
    at = at.astimezone(UTC)
    day = "" if at.date() == datetime.now(UTC).date() else f"{at:%Y-%m-%d} "
    shown = f"{day}{at:%H:%M:%S}.{at.microsecond // 1000:03}"
    return format_html('<time datetime="{}" title="{}">{}</time>', instants.text_of(at), _exact(at), shown)


@register.simple_tag
def countdown(at: datetime | None, ended: str = "now", before: str = "", soon: bool = False) -> SafeString:
    """{% countdown job.due_at "due" "in" %}: in mm:ss until then, ticking; `ended` is what stands there afterwards.

    soon: the last minute is amber.
    """
    if at is None:
        return SafeString("")
    left = at.timestamp() - time.time()
    before = f"{before} " if before else ""
    return format_html(
        '<time datetime="{}" title="{}" data-until data-ended="{}" data-before="{}"{}{}>{}</time>',
        instants.text_of(at), _exact(at), ended, before,
        SafeString(" data-soon") if soon else "", SafeString(' class="ad-warn"') if soon and 0 < left < 60 else "",
        before + left_text(left) if left > 0 else ended,
    )  # fmt: skip


@register.simple_tag
def since(at: datetime | None) -> SafeString:
    """{% since job.started_at %}: mm:ss since then, counting up while something runs."""
    if at is None:
        return SafeString("")
    return format_html(
        '<time datetime="{}" title="{}" data-since>{}</time>',
        instants.text_of(at),
        _exact(at),
        left_text(time.time() - at.timestamp()),
    )


@register.inclusion_tag("components/chart.html")
def chart(chart: object) -> dict[str, object]:
    """{% chart chart %}: a panel with lines over time, from an aerodash.console.charts.Chart."""
    return {"chart": chart}


@register.inclusion_tag("components/ranges.html")
def ranges(window: object, url: str) -> dict[str, object]:
    """{% ranges window url %}: which time the page shows, to be chosen. window: aerodash.console.charts.Window.

    url: the address of the page with all its state but the time.
    """
    from aerodash.console import charts  # which writes figures with this module

    return {
        "window": window,
        "ranges": [
            (
                label,
                charts.with_params(url, {} if name == window.default else {"range": name}),
                name == window.range,
            )  # type: ignore[attr-defined]
            for name, (label, _) in charts.RANGES.items()
        ],
        "whole_url": url or "?",
        "fields": parse_qsl(urlsplit(url).query),
        "path": urlsplit(url).path,
    }


@register.simple_tag
def now_ms() -> int:
    """The server's time, by which the script corrects the browser's clock."""
    return int(time.time() * 1000)


@register.filter
def duration(seconds: float | None) -> str:
    """0.04 s, 1.2 s, 41 s, 1 min 51 s, 3 h 12 min; empty for None."""
    return "" if seconds is None else spell(seconds)


@register.filter
def coarse(seconds: float) -> str:
    """The same in whole seconds: 4 s, 1 min 51 s. For what is only known about."""
    return spell(seconds, coarse=True)


@register.filter
def grouped(number: int | None) -> str:
    """1,394,806; "–" for an unknown number."""
    return "–" if number is None else f"{number:,}"


@register.filter
def size(count: int | None) -> str:
    """168 B, 12.4 KiB, 1.5 MiB."""
    if count is None:
        return "–"
    amount, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while round(amount, 1) >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{count:,} B" if units[0] == "B" else f"{amount:,.1f} {units[0]}"


@register.filter
def tail(identifier: str) -> str:
    """The last eight characters: the heads of UUIDv7s are alike."""
    return f"…{identifier[-8:]}"


def spell(seconds: float, *, coarse: bool = False) -> str:
    """A length of time in its two largest units. coarse: whole seconds even below ten."""
    if seconds < 60:
        if coarse:
            return f"{int(seconds)} s"
        if seconds < 0.01:
            return "<0.01 s"
        return (
            f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
        )
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole // 60 % 60:02} min"
    return f"{whole // 86400:,} d {whole // 3600 % 24:02} h"


def left_text(seconds: float) -> str:
    """mm:ss, hh:mm:ss, then 30 d 00 h."""
    whole = max(int(seconds), 0)
    if whole >= 86400:
        return f"{whole // 86400:,} d {whole // 3600 % 24:02} h"
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours:02}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


@functools.cache
def _icons() -> frozenset[str]:
    sprite = static_files.find(SPRITE)
    return frozenset(re.findall(r'<symbol id="([^"]+)"', sprite.content.decode())) if sprite else frozenset()


def _exact(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"
