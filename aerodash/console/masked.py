"""Keeps the tokens of sign-in links out of the log: Django writes the path of a request that it refuses.

A form that is sent without its CSRF token is refused before the link is used up, so such a line would hold a key.
"""

import logging
import re

_TOKEN = re.compile(r"""(/sign-in/)[^/?#\s"']+""")
_LOGGERS = ("django.request", "django.security.csrf", "django.server")


class MaskedToken(logging.Filter):
    """Lets every record through, with what follows /sign-in/ replaced."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        masked = _TOKEN.sub(r"\1…", said)
        if masked != said:
            record.msg, record.args = masked, None
        return True


def install() -> None:
    """Filters of a logger hold for what is logged by its own name only, so each that writes paths gets one."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(MaskedToken())
