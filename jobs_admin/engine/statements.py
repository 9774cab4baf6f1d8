"""The named statements of a dialect: sql/<dialect>/<verb>.sql, read once."""

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"


@cache
def load(dialect: str) -> dict[str, str]:
    """Every statement by its file's name, without the comment that opens it."""
    return {
        path.stem: "\n".join(
            line for line in path.read_text().splitlines() if not line.startswith("--")
        ).strip()
        for path in sorted((_FOLDER / dialect).glob("*.sql"))
    }
