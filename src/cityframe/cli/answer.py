"""What a command answers: one object, and the same in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unicodedata import east_asian_width


@dataclass(frozen=True)
class Answer:
    """The answer of a command.

    Attributes
    ----------
    body : mapping
        JSON-ready; printed with ``--output json``.
    text : str
        The same for a person.
    exit_code : int
        0 done, 4 stopped at a gate or quarantined.
    """

    body: Mapping[str, Any]
    text: str
    exit_code: int = 0
    notes: tuple[str, ...] = field(default=())


def table(rows: Iterable[Iterable[object]], header: Iterable[str]) -> str:
    """Return rows as columns, aligned on a terminal: a Chinese character takes two places."""
    lines = [[str(cell) for cell in row] for row in rows]
    head = list(header)
    widths = [
        max([_width(head[place]), *(_width(line[place]) for line in lines)])
        for place in range(len(head))
    ]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in [head, *lines]
    )


def _width(text: str) -> int:
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text)
