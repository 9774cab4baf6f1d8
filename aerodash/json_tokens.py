"""JSON text as a run of tokens, for whoever lays it out, colours it or cuts it and must not change what a token says."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def tokens(text: str) -> Iterator[re.Match[str]]:
    """The tokens of valid JSON text with their places; what lies between them is only space."""
    return _TOKEN.finditer(text)
