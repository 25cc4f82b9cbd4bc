"""Train the scorer of polygon matching from pairs that people judged.

Figures come from places that a model was not trained on: the places
are dealt into `FOLDS` lots, and each lot is scored by a model of the others.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Flags, Numbers
from cityframe.core.matching.learned import Trees, TreeScorer
from cityframe.core.matching.pair_features import FEATURE_COLUMNS
from cityframe.core.matching.polygons import HALF, UNSURE_BAND
from cityframe.errors import CityframeError, DeclarationError
from cityframe.pipeline.judged_pairs import Judged

FOLDS = 10
PARAMETERS = {"max_iter": 100, "learning_rate": 0.1, "max_leaf_nodes": 12, "max_features": 0.4}
"""Of scikit-learn's HistGradientBoostingClassifier: small trees on changing features, as there are
only some thousand pairs."""

SEEDS = (0, 1, 2)
"""A scorer is the mean of as many models: a single one depends on its seed."""


@dataclass(frozen=True)
class Training:
    """A trained scorer and how well its kind does on places it was not trained on.

    Attributes
    ----------
    figures : dict
        ``precision``, ``recall``, ``f1``; ``questions`` and ``errors_outside_questions``, shares
        of the judged pairs.
    """

    scorer: TreeScorer
    figures: dict[str, float]


def train(judged: Judged, tolerance: Tolerance, *, digest: str, date: dt.date) -> Training:
    """Train on all judged pairs, and tell how well such a model does on other places.

    Parameters
    ----------
    digest : str
        Of the judged pairs, for the record.
    date : date
        Of the training, for the record.
    """
    pairs = judged.pairs
    probability = np.zeros(len(pairs))
    for scorer, rows in held_out(pairs):
        probability[rows] = np.where(
            pairs["is_near"].to_numpy()[rows], scorer.score(pairs.iloc[np.flatnonzero(rows)]), 0.0
        )
    figures = _figures(pairs["match"].to_numpy(), probability)
    record = {
        "date": date.isoformat(),
        "pairs": {
            "digest": digest,
            "count": len(pairs),
            "matches": int(pairs["match"].sum()),
            "within_reach": int(pairs["is_near"].sum()),
            "left_out": judged.left_out,
        },
        "places": sorted(pairs["place"].unique()),
        "sigma_m": tolerance.sigma_m,
        "library": f"scikit-learn {metadata.version('scikit-learn')}",
        "parameters": PARAMETERS,
        "seeds": SEEDS,
        "figures_on_other_places": figures,
    }
    return Training(fit(pairs, record), figures)


def held_out(pairs: pd.DataFrame) -> Iterator[tuple[TreeScorer, Flags]]:
    """Yield a scorer for each lot of places, trained on the others, and the rows of that lot."""
    size = pairs["place"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    lots = min(FOLDS, len(size))
    # the largest first, each to the smallest lot: lots of like size, and always the same ones
    filled = np.zeros(lots, dtype=np.intp)
    lot_of = {}
    for place, count in size.items():
        lot_of[place] = int(filled.argmin())
        filled[lot_of[place]] += count
    lot = pairs["place"].map(lot_of).to_numpy()
    for number in range(lots):
        rows: Flags = lot == number
        yield fit(pairs[~rows], {}), rows


def fit(pairs: pd.DataFrame, record: dict[str, Any]) -> TreeScorer:
    """Train a scorer on judged pairs within reach.

    Raises
    ------
    DeclarationError
        If scikit-learn is not installed.
    """
    try:
        ensemble = import_module("sklearn.ensemble")
    except ImportError as error:
        raise DeclarationError(
            found="scikit-learn is not installed",
            remedy="install the extra: pip install 'cityframe[learned]'",
        ) from error
    near = pairs[pairs["is_near"]]
    values = near[list(FEATURE_COLUMNS)].to_numpy(dtype=np.float64)
    models = [
        ensemble.HistGradientBoostingClassifier(**PARAMETERS, random_state=seed).fit(
            values, near["match"].to_numpy()
        )
        for seed in SEEDS
    ]
    scorer = _as_data(models, record)
    # the trees of the library have no public form: what was taken over must say the same
    raw = np.mean([model.decision_function(values) for model in models], axis=0)
    if not np.allclose(scorer.score(near), 1 / (1 + np.exp(-raw)), atol=1e-9):
        raise CityframeError(
            found="the trained trees say something else than scikit-learn's own",
            expected="a version of scikit-learn that keeps its trees as 1.7 does",
            remedy="install another version, and report it",
        )
    return scorer


def _as_data(models: Sequence[Any], record: dict[str, Any]) -> TreeScorer:
    """Return the mean of models as arrays."""
    trees = [one.nodes for model in models for (one,) in model._predictors]
    sizes = np.array([len(nodes) for nodes in trees])
    root = (np.cumsum(sizes) - sizes).astype(np.intp)
    nodes = np.concatenate(trees)
    is_leaf = nodes["is_leaf"].astype(bool)
    own_root = np.repeat(root, sizes)
    left, right = (
        np.where(is_leaf, -1, own_root + nodes[name].astype(np.intp)) for name in ("left", "right")
    )
    return TreeScorer(
        FEATURE_COLUMNS,
        float(np.mean([np.ravel(model._baseline_prediction)[0] for model in models])),
        Trees(
            root=root,
            feature=np.where(is_leaf, -1, nodes["feature_idx"]).astype(np.intp),
            threshold=np.where(is_leaf, 0.0, nodes["num_threshold"]),
            left=left,
            right=right,
            value=np.where(is_leaf, nodes["value"], 0.0) / len(models),
        ),
        record,
    )


def write_scorer(scorer: TreeScorer, path: Path) -> None:
    """Write a model as JSON; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(scorer.document(), ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def file_digest(path: Path) -> str:
    """Return the BLAKE2b-128 digest of a file, in hexadecimal."""
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _figures(is_match: Flags, probability: Numbers) -> dict[str, float]:
    is_linked = probability > HALF
    is_question = np.abs(probability - HALF) <= UNSURE_BAND
    hits = int((is_match & is_linked).sum())
    wrong = (is_match != is_linked) & ~is_question
    return {
        "precision": hits / max(int(is_linked.sum()), 1),
        "recall": hits / max(int(is_match.sum()), 1),
        "f1": 2 * hits / max(int(is_match.sum() + is_linked.sum()), 1),
        "questions": float(is_question.mean()),
        "errors_outside_questions": float(wrong.mean()),
    }
