"""JSON texts and tracebacks as a page shows them: bounded, and laid out for people."""

import re
from dataclasses import dataclass

from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from aerodash.console.jsontext import pretty

SHOWN_CHARS = 48 * 1024
"""Of a payload or a result on its page; the whole is a download."""
COPIED_CHARS = 16 * 1024
"""A text up to this can be copied from its page: the button holds it once more."""

_LIBRARY = re.compile(
    r"[/\\](?:(?:site|dist)-packages|lib[/\\]python\d[\d.]*(?![/\\](?:site|dist)-packages))[/\\]([\w.-]+)"
    r"|<frozen ([\w.]+)"
)


@dataclass(frozen=True, slots=True)
class Text:
    """A JSON text. html: of what is shown. copied: the text to copy, "" where there is too much of it."""

    html: str
    size_bytes: int
    is_cut: bool
    copied: str


@dataclass(frozen=True, slots=True)
class Frames:
    """Lines of a traceback that belong together. hidden: so many frames of libraries, folded away; 0: shown.

    words: which libraries.
    """

    html: SafeString
    hidden: int = 0
    words: str = ""


def text_of(text: str, form: str) -> Text:
    """form: pretty or raw. Of a long text the beginning, as it is: laid out it would not be JSON."""
    size_bytes = len(text) if text.isascii() else len(text.encode())
    is_cut = len(text) > SHOWN_CHARS
    html = text[:SHOWN_CHARS] if is_cut else text if form == "raw" else pretty(text)
    return Text(html, size_bytes, is_cut, text if len(text) <= COPIED_CHARS else "")


def traceback_of(text: str) -> tuple[Frames, ...]:
    """A Python traceback: the caller's own frames bold, those of libraries muted, two and more of them folded away.

    Any other text comes back as it is.
    """
    parts: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.lstrip().startswith('File "'):
            found = _LIBRARY.search(line)
            library = "" if found is None else _name(found)
            if library and parts and parts[-1][0].startswith("lib "):
                parts[-1] = (f"{parts[-1][0]},{library}", [*parts[-1][1], line])
            else:
                parts.append((f"lib {library}" if library else "app", [line]))
        elif line and not line[0].isspace():
            parts.append(("head" if line.startswith("Traceback") else "end", [line]))
        elif parts:
            parts[-1][1].append(line)
        else:
            parts.append(("head", [line]))
    return tuple(_folded(parts))


def _folded(parts: list[tuple[str, list[str]]]) -> list[Frames]:
    shown: list[Frames] = []
    together: list[tuple[str, list[str]]] = []
    for what, lines in parts:
        frames = sum(line.lstrip().startswith('File "') for line in lines)
        if what.startswith("lib ") and frames > 1:
            if together:
                shown.append(Frames(_lines(together)))
                together = []
            names = list(dict.fromkeys(what[4:].split(",")))
            words = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            shown.append(Frames(_lines([(what, lines)]), frames, words))
        else:
            together.append((what, lines))
    if together:
        shown.append(Frames(_lines(together)))
    return shown


def _lines(parts: list[tuple[str, list[str]]]) -> SafeString:
    looks = {"app": "ad-app", "end": "ad-e"}
    rows = [(looks.get(what, "ad-lib"), line) for what, lines in parts for line in lines]
    return format_html_join("\n", '<span class="{}">{}</span>', rows)


def _name(found: re.Match[str]) -> str:
    return (found[1] or found[2]).removesuffix(".py")
