"""How the pages under bench/results write numbers and tables."""

import statistics
from collections.abc import Sequence


def number(value: float) -> str:
    """Three digits or more: 12,345 or 0.0123."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(values: Sequence[float] | None) -> str:
    """The median, and of several the lowest and the highest too; a dash for none."""
    if not values:
        return "–"
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))} to {number(max(values))})"


def head(titles: list[str]) -> list[str]:
    """The first two lines of a table."""
    return [row(titles), "|" + "---|" * len(titles)]


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
