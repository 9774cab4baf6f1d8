"""Line by line: what an edit changes, and how two edits of one text fit together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

CONTEXT_LINES = 3

type Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a diff. sign: "+", "-", " ", or "…" for the unchanged lines left out; then text says how many."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """A run of lines in three versions. kind: "same" nobody changed it; "theirs", "yours" one did; "both" both did the
    same; "clash" both did, differently."""

    kind: Literal["same", "theirs", "yours", "both", "clash"]
    base: Lines
    theirs: Lines
    yours: Lines


def diff(before: str, after: str) -> list[DiffLine]:
    """What changes, with three lines around each change."""
    old, new = before.split("\n"), after.split("\n")
    lines: list[DiffLine] = []
    shown = 0
    for group in _matcher(old, new).get_grouped_opcodes(CONTEXT_LINES):
        lines += _left_out(group[0][1] - shown)
        for _, i1, i2, j1, j2 in group:
            if old[i1:i2] == new[j1:j2]:
                lines += [DiffLine(" ", line) for line in old[i1:i2]]
            else:
                lines += [DiffLine("-", line) for line in old[i1:i2]]
                lines += [DiffLine("+", line) for line in new[j1:j2]]
        shown = group[-1][2]
    return lines + (_left_out(len(old) - shown) if lines else [])


def merge(base: str, theirs: str, yours: str) -> list[Hunk]:
    """The three versions side by side. Lines changed by one side only need no choice, even next to each other's."""
    lines = tuple(base.split("\n"))
    changes = [
        (*change, side) for side, text in enumerate((theirs, yours)) for change in _changes(lines, text)
    ]
    hunks: list[Hunk] = []
    done = 0
    for start, end, sides in _groups(sorted(changes, key=lambda change: change[:2])):
        if start > done:
            same = lines[done:start]
            hunks.append(Hunk("same", same, same, same))
        hunks.append(_hunk(lines, start, end, *sides))
        done = end
    if done < len(lines):
        same = lines[done:]
        hunks.append(Hunk("same", same, same, same))
    return hunks


def resolve(hunks: list[Hunk], choices: Mapping[int, str]) -> str:
    """The merged text. choices: for a clash, by its place in the list, "theirs" or "yours"; theirs unless said."""
    lines: list[str] = []
    for number, hunk in enumerate(hunks):
        takes_yours = hunk.kind == "yours" or (hunk.kind == "clash" and choices.get(number) == "yours")
        lines += hunk.yours if takes_yours else hunk.theirs
    return "\n".join(lines)


type _Change = tuple[int, int, Lines]


def _changes(base: Lines, text: str) -> Iterator[_Change]:
    """(start, end, new lines) of each place that differs; runs of equal length go line by line."""
    new = tuple(text.split("\n"))
    for tag, i1, i2, j1, j2 in _matcher(base, new).get_opcodes():
        if tag == "replace" and i2 - i1 == j2 - j1:
            for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                yield i, i + 1, (new[j],)
        elif tag != "equal":
            yield i1, i2, new[j1:j2]


def _groups(
    changes: list[tuple[int, int, Lines, int]],
) -> Iterator[tuple[int, int, tuple[list[_Change], list[_Change]]]]:
    """Changes that overlap, together: (start, end, (theirs, yours)). Two insertions at one place overlap."""
    group: tuple[list[_Change], list[_Change]] = ([], [])
    start = end = 0
    for low, high, lines, side in changes:
        opened = bool(group[0] or group[1])
        if opened and not (low < end or low == high == start == end):
            yield start, end, group
            group, opened = ([], []), False
        start, end = (start, max(end, high)) if opened else (low, high)
        group[side].append((low, high, lines))
    if group[0] or group[1]:
        yield start, end, group


def _hunk(base: Lines, start: int, end: int, theirs: list[_Change], yours: list[_Change]) -> Hunk:
    left, right = _apply(base, start, end, theirs), _apply(base, start, end, yours)
    kind: Literal["theirs", "yours", "both", "clash"]
    if not yours:
        kind = "theirs"
    elif not theirs:
        kind = "yours"
    else:
        kind = "both" if left == right else "clash"
    return Hunk(kind, base[start:end], left, right)


def _apply(base: Lines, start: int, end: int, changes: list[_Change]) -> Lines:
    lines: list[str] = []
    at = start
    for low, high, new in changes:
        lines += [*base[at:low], *new]
        at = high
    return (*lines, *base[at:end])


def _matcher(old: list[str] | Lines, new: list[str] | Lines) -> SequenceMatcher[str]:
    # With autojunk, lines as common as "}," in a long text do not make it quadratic.
    return SequenceMatcher(None, old, new, autojunk=True)


def _left_out(number: int) -> list[DiffLine]:
    if number <= 0:
        return []
    return [DiffLine("…", f"{number:,} unchanged line{'' if number == 1 else 's'}")]
