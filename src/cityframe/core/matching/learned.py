"""A scorer learned from judged pairs, kept as data: trees as arrays, and how they were trained.

A model is a JSON document: plain numbers and words, so reading one runs nothing. Its trees are
walked here; the library that grew them is not needed.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from cityframe.core.displacement import Numbers, Positions
from cityframe.core.matching.pair_features import FEATURE_COLUMNS
from cityframe.errors import IntegrityError

FORMAT = "cityframe-scorer-1"
_BATCH = 100_000


class Scorer(Protocol):
    """Tells how likely pairs of polygons are one feature."""

    def score(self, features: pd.DataFrame) -> Numbers:
        """Return a probability from 0 to 1 for each row.

        Parameters
        ----------
        features : DataFrame
            `cityframe.core.matching.pair_features.FEATURE_COLUMNS`.
        """
        ...


@dataclass(frozen=True)
class Trees:
    """Regression trees, node after node, each tree's root first.

    Attributes
    ----------
    root : ndarray of int, one a tree
        Position of its root among the nodes.
    feature : ndarray of int, one a node
        Column that the node looks at; -1 for a leaf.
    threshold : ndarray
        Up to it a value goes left.
    left, right : ndarray of int
        Positions of the next nodes.
    value : ndarray
        What a leaf adds.
    """

    root: Positions
    feature: Positions
    threshold: Numbers
    left: Positions
    right: Positions
    value: Numbers


@dataclass(frozen=True)
class TreeScorer:
    """Boosted trees: the logistic function of a baseline and what the trees add.

    Attributes
    ----------
    columns : tuple of str
        Features, in the order of the trees' columns.
    record : dict
        How the model was trained: data, counts, places, library, parameters, date, figures.
    """

    columns: tuple[str, ...]
    baseline: float
    trees: Trees
    record: dict[str, Any]

    def score(self, features: pd.DataFrame) -> Numbers:
        """Return a probability from 0 to 1 for each row."""
        values = features[list(self.columns)].to_numpy(dtype=np.float64)
        raw = np.full(len(values), self.baseline)
        for start in range(0, len(values), _BATCH):
            batch = slice(start, start + _BATCH)
            for root in self.trees.root:
                raw[batch] += self._leaf(values[batch], int(root))
        probability: Numbers = 1 / (1 + np.exp(-raw))
        return probability

    def _leaf(self, values: Numbers, root: int) -> Numbers:
        trees = self.trees
        node = np.full(len(values), root, dtype=np.intp)
        inner = np.flatnonzero(trees.feature[node] >= 0)
        while len(inner):
            at = node[inner]
            is_left = values[inner, trees.feature[at]] <= trees.threshold[at]
            node[inner] = np.where(is_left, trees.left[at], trees.right[at])
            inner = inner[trees.feature[node[inner]] >= 0]
        leaf: Numbers = trees.value[node]
        return leaf

    def document(self) -> dict[str, Any]:
        """Return the model, JSON-ready."""
        trees = {name: array.tolist() for name, array in vars(self.trees).items()}
        return {
            "format": FORMAT,
            "record": self.record,
            "columns": list(self.columns),
            "baseline": self.baseline,
            "trees": trees,
        }


def read_scorer(path: Path) -> TreeScorer:
    """Read a model.

    Raises
    ------
    IntegrityError
        If the file is no model, is damaged, or wants features that are not known here.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        scorer = _scorer(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    unknown = sorted(set(scorer.columns) - set(FEATURE_COLUMNS))
    if unknown:
        raise _damaged(path, f"the features {unknown}")
    if not _is_sound(scorer):
        raise _damaged(path, "trees that lead nowhere")
    return scorer


def _scorer(document: dict[str, Any]) -> TreeScorer:
    if document["format"] != FORMAT:
        message = f"the format {document['format']!r}"
        raise ValueError(message)
    nodes = document["trees"]
    trees = Trees(
        root=np.array(nodes["root"], dtype=np.intp),
        feature=np.array(nodes["feature"], dtype=np.intp),
        threshold=np.array(nodes["threshold"], dtype=np.float64),
        left=np.array(nodes["left"], dtype=np.intp),
        right=np.array(nodes["right"], dtype=np.intp),
        value=np.array(nodes["value"], dtype=np.float64),
    )
    columns, baseline = tuple(document["columns"]), float(document["baseline"])
    return TreeScorer(columns, baseline, trees, dict(document["record"]))


def _is_sound(scorer: TreeScorer) -> bool:
    """Tell whether each walk ends: a node's next ones come after it, and all arrays agree."""
    trees = scorer.trees
    count = len(trees.feature)
    nodes = (trees.threshold, trees.left, trees.right, trees.value)
    if any(array.shape != (count,) for array in nodes) or not np.isfinite(trees.value).all():
        return False
    inner = np.flatnonzero(trees.feature >= 0)
    following = np.concatenate([trees.left[inner], trees.right[inner]])
    return bool(
        (following > np.concatenate([inner, inner])).all()
        and (following < count).all()
        and ((trees.root >= 0) & (trees.root < count)).all()
        and (trees.feature < len(scorer.columns)).all()
    )


def _damaged(path: Path, found: str) -> IntegrityError:
    return IntegrityError(
        where=str(path),
        found=found,
        expected=f"a model in the format {FORMAT}",
        remedy="train it again: cityframe match train",
    )
