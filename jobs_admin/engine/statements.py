"""The named statements of a dialect: sql/<dialect>/<statement>.sql, read once. Parameters are `:name` in both.

PostgreSQL runs most statements once for many rows. Such a file declares what each row has, in a line of its opening
(or several):

    -- Given: id uuid, project bigint, token text
    UPDATE jobs_admin_job AS job SET … FROM given WHERE job.id = given.id AND … RETURNING given.n, job.run

and reads the rows from `given`, which has these columns and n, the row's number. A statement that answers rows has
n first. Where a row's id is given, a guard on its status is written `status || '' = 'pending'`, which no index serves:
the planner believes the last statistics, and would else read all that is pending, if that was little then.

On SQLite a few hot statements take many rows as well, as JSON. RETURNING does not know `given` there, so they answer
the first given column first, which names the row.

A `:name` that is not declared has the same value in all rows, as `:now` does. A file without the line is run for one
set of values, and answers its columns only.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")  # not the type of a ::cast
_GIVEN = "-- Given:"
_NUMBER = re.compile(r"\$(\d+)")

MOST = 1_000_000
"""Rows in one statement; never reached. Said in it, so that the planner takes them for few and goes to each by an index."""


@dataclass(frozen=True, slots=True)
class Statement:
    """As PostgreSQL takes it: parameters are $1, $2, …

    given: the columns of its rows with their types, an array each, first; none where it takes one set of values.
    names: the other parameters, in their order.
    """

    sql: str
    given: tuple[tuple[str, str], ...]
    names: tuple[str, ...]


@cache
def load(dialect: str) -> dict[str, str]:
    """Every statement by its file's name, without the comment that opens it; on SQLite with its `given`, if it has one."""
    return {path.stem: _with_given(path.read_text(), dialect) for path in _files(dialect)}


@cache
def load_given(dialect: str) -> dict[str, tuple[str, ...]]:
    """The columns of their rows, of those statements that take many at once."""
    given = {path.stem: _given(path.read_text()) for path in _files(dialect)}
    return {name: tuple(column for column, _ in columns) for name, columns in given.items() if columns}


@cache
def load_sets() -> dict[str, Statement]:
    """Every statement of PostgreSQL by its file's name."""
    return {path.stem: _statement(path.read_text()) for path in _files("postgres")}


@cache
def load_joined(names: tuple[str, ...]) -> str:
    """Some of PostgreSQL's statements as one, whose parameters are theirs in this order.

    Only for such as add rows and answer nothing: none of them sees what another does, or runs before another.
    """
    texts, before = [], 0
    for place, statement in enumerate((load_sets()[name] for name in names), 1):
        moved = _NUMBER.sub(lambda found, before=before: f"${before + int(found[1])}", statement.sql)  # type: ignore[misc]
        texts.append(f"part_{place} AS ({moved})")
        before += len(statement.given) + len(statement.names)
    return f"WITH {', '.join(texts)} SELECT"


def _files(dialect: str) -> list[Path]:
    return sorted((_FOLDER / dialect).glob("*.sql"))


def _sql(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()


def _with_given(text: str, dialect: str) -> str:
    columns = [name for name, _ in _given(text)]
    if dialect != "sqlite" or not columns:
        return _sql(text)
    values = ", ".join(f"value ->> {place}" for place in range(len(columns)))
    return f"WITH given ({', '.join(columns)}) AS (SELECT {values} FROM json_each(:given))\n{_sql(text)}"


def _statement(text: str) -> Statement:
    given = _given(text)
    sql = _sql(text)
    names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
    number = {name: len(given) + place for place, name in enumerate(names, 1)}
    sql = _PARAMETER.sub(lambda found: f"${number[found[1]]}", sql)
    if given:
        arrays = ", ".join(f"${place}::{type}[]" for place, (_, type) in enumerate(given, 1))
        columns = ", ".join(f'"{name}"' for name, _ in given)
        rows = f"given AS (SELECT * FROM unnest({arrays}) WITH ORDINALITY AS given ({columns}, n) WHERE n BETWEEN 1 AND {MOST})"
        first, _, rest = sql.partition(" ")
        sql = f"WITH {rows}, {rest}" if first == "WITH" else f"WITH {rows}\n{sql}"
    return Statement(sql, given, names)


def _given(text: str) -> tuple[tuple[str, str], ...]:
    lines = [line.removeprefix(_GIVEN) for line in text.splitlines() if line.startswith(_GIVEN)]
    columns = [column.split(maxsplit=1) for column in ",".join(lines).split(",") if column.strip()]
    return tuple((name, type) for name, type in columns)
