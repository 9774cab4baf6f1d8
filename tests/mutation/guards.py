"""Finds the guards of SQL statements: each condition of each WHERE and of each join's ON, of statements that write."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOKEN = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\"[^\"]*\"|[A-Za-z_][\w.]*|[()]|\s+|.", re.DOTALL)
ENDS = {")", "ON", "RETURNING", "ORDER", "LIMIT", "GROUP", "FOR", "UNION", "EXCEPT", "HAVING", "WINDOW"}
ENDS_OF_ON = ENDS | {"WHERE", "JOIN", "LEFT", "CROSS"}
WRITES = {"UPDATE", "INSERT", "DELETE"}


@dataclass(frozen=True)
class Guard:
    """One condition, by its place in the file's text."""

    begin: int
    end: int
    condition: str


def writes(sql: str) -> bool:
    """Whether the statement changes rows; FOR UPDATE alone only locks them."""
    words = [token for _, token in _tokens(sql) if not token.isspace()]
    return any(
        word in WRITES and (place == 0 or words[place - 1] not in {"FOR", "DO"})
        for place, word in enumerate(words)
    )


def guards(sql: str) -> list[Guard]:
    """Every condition that AND joins to others in a WHERE or ON, or that stands there alone."""
    return [Guard(begin, end, " ".join(sql[begin:end].split())) for begin, end in sorted(_conditions(sql))]


def without(sql: str, guard: Guard) -> str:
    """The statement with one condition that is always true; its parameters stay, with their types."""
    return f"{sql[: guard.begin]}({guard.condition} OR TRUE){sql[guard.end :]}"


def of_folder(folder: Path) -> Iterator[tuple[Path, Guard]]:
    for path in sorted(folder.glob("*.sql")):
        if writes(sql := path.read_text()):
            for guard in guards(sql):
                yield path, guard


def _tokens(sql: str) -> Iterator[tuple[int, str]]:
    for found in TOKEN.finditer(sql):
        if not found[0].startswith("--"):
            yield found.start(), found[0]


def _conditions(sql: str) -> Iterator[tuple[int, int]]:
    tokens = [(at, token) for at, token in _tokens(sql) if not token.isspace()]
    for place, (_, token) in enumerate(tokens):
        if token == "WHERE":
            yield from _of_clause(tokens[place + 1 :], ENDS)
        if token == "ON" and tokens[place + 1][1] != "CONFLICT":
            yield from _of_clause(tokens[place + 1 :], ENDS_OF_ON)


def _of_clause(tokens: list[tuple[int, str]], ends: set[str]) -> Iterator[tuple[int, int]]:
    """The conditions of the clause that begins with these tokens."""
    found: list[tuple[int, int]] = []
    depth, between = 0, False
    first = last = -1
    for at, token in tokens:
        if depth == 0 and token == "DO":
            return  # which index an ON CONFLICT means: no condition on rows
        if depth == 0 and token in ends:
            break
        depth += (token == "(") - (token == ")")
        if depth == 0 and token == "BETWEEN":
            between = True
        elif depth == 0 and token == "AND":
            if between:
                between = False
            else:
                found.append((first, last))
                first = -1
                continue
        if first < 0:
            first = at
        last = at + len(token)
    yield from [*found, (first, last)]
