"""One figure of the quality table, and those that judged pairs give."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cityframe.core.displacement import Flags

DATA = Path(os.environ.get("CITYFRAME_DATA", Path(__file__).parents[3] / "shared" / "data"))
"""Where the real data lies; it is no part of the repository."""


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes
    ----------
    at_least, at_most : float or None
        The target; None on both for a figure that stands for comparison only.
    count : int
        Over how many cases it was taken.
    """

    section: str
    what: str
    value: float
    count: int
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_missed(self) -> bool:
        """Whether the target is missed."""
        too_low = self.at_least is not None and not self.value >= self.at_least
        return too_low or (self.at_most is not None and not self.value <= self.at_most)

    def text(self) -> str:
        """Return the figure as one line of the table."""
        target = "" if self.at_least is None else f" >= {self.at_least}"
        target += "" if self.at_most is None else f" <= {self.at_most}"
        target += " MISSED" if self.is_missed else ""
        return f"{self.section:11s}{self.what:64s}{self.value:9.4f}{target:18s}{self.count:>9,}"


@dataclass(frozen=True)
class Targets:
    """What the figures of judged pairs should reach; None where nothing is asked for."""

    f1: float | None = None
    questions: float | None = None
    errors: float | None = None


def pair_figures(
    section: str,
    what: str,
    judged: tuple[Flags, Flags, Flags],
    targets: Targets | None = None,
) -> list[Figure]:
    """Return precision, recall, F1, share of questions, and share of errors outside of them.

    Parameters
    ----------
    judged : tuple of ndarray of bool, n each
        Of each judged pair: whether it is one, whether it was linked, whether that is a question.
        Precision, recall and F1 take a question for what it proposes; the errors outside the
        questions are what a person would never see.
    """
    is_pair, is_linked, is_question = judged
    hits = int((is_pair & is_linked).sum())
    precision = hits / max(int(is_linked.sum()), 1)
    recall = hits / max(int(is_pair.sum()), 1)
    f1 = 2 * hits / max(int(is_pair.sum() + is_linked.sum()), 1)
    wanted = targets or Targets()
    count = len(is_pair)
    unseen = (is_pair != is_linked) & ~is_question
    return [
        Figure(section, f"{what}: precision", precision, int(is_linked.sum())),
        Figure(section, f"{what}: recall", recall, int(is_pair.sum())),
        Figure(section, f"{what}: F1", f1, count, at_least=wanted.f1),
        Figure(section, f"{what}: questions", _mean(is_question), count, at_most=wanted.questions),
        Figure(
            section, f"{what}: errors outside them", _mean(unseen), count, at_most=wanted.errors
        ),
    ]


def _mean(flags: Flags) -> float:
    return float(np.mean(flags)) if len(flags) else 0.0
