"""JSON as people read it: indented and coloured, from the text itself, so that no number changes on the way.

9007199254740993 and 1.10 stay as they were written, and so do keys that occur twice. The text is known to be valid.
"""

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from aerodash.json_tokens import tokens

PRETTY_BYTES = 256 * 1024

_INDENT = "  "


def pretty(text: str) -> SafeString:
    """HTML for a <pre class="ad-code">. Over 256 KiB it is the text as it is: colouring would cost more than it shows."""
    if len(text.encode()) > PRETTY_BYTES:
        return SafeString(conditional_escape(text))
    words = [found.group() for found in tokens(text)]
    parts: list[str] = []
    depth = 0
    for index, token in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        if token in "{[":
            depth += 1
            parts.append(token if following in ("}", "]") else token + _line(depth))
        elif token in "}]":
            depth -= 1
            empty = index > 0 and words[index - 1] in ("{", "[")
            parts.append(token if empty else _line(depth) + token)
        elif token == ",":
            parts.append("," + _line(depth))
        elif token == ":":
            parts.append(": ")
        else:
            kind = "ad-m" if token[0] != '"' else "ad-k" if following == ":" else "ad-s"
            parts.append(format_html('<span class="{}">{}</span>', kind, token))
    return mark_safe("".join(parts))  # every piece is punctuation, or escaped by format_html


def _line(depth: int) -> str:
    return "\n" + _INDENT * depth
