"""A scorer kept as data."""

import json

import numpy as np
import pandas as pd
import pytest

from cityframe.core.matching.learned import Trees, TreeScorer, read_scorer
from cityframe.errors import IntegrityError


def scorer() -> TreeScorer:
    """Return two trees: one asks for the share and then the distance, one is a leaf."""
    trees = Trees(
        root=np.array([0, 5]),
        feature=np.array([0, -1, 1, -1, -1, -1]),
        threshold=np.array([0.5, 0, 2.0, 0, 0, 0]),
        left=np.array([1, -1, 3, -1, -1, -1]),
        right=np.array([2, -1, 4, -1, -1, -1]),
        value=np.array([0, -3.0, 0, 4.0, 1.0, 0.5]),
    )
    return TreeScorer(("share_small", "distance_m"), -0.5, trees, {"date": "2026-01-31"})


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(scorer().document()), encoding="utf-8")
    return path


FEATURES = pd.DataFrame({"distance_m": [0.0, 0.0, 2.0, 2.1], "share_small": [0.5, 0.6, 0.6, 0.9]})


def test_a_value_at_the_threshold_goes_left_and_trees_add_up():
    raw = np.array([-3.0, 4.0, 4.0, 1.0])
    np.testing.assert_allclose(scorer().score(FEATURES), 1 / (1 + np.exp(-raw)))


def test_a_model_read_again_scores_the_same(model):
    again = read_scorer(model)
    np.testing.assert_array_equal(again.score(FEATURES), scorer().score(FEATURES))
    assert again.record == {"date": "2026-01-31"}


def test_no_rows_have_no_scores():
    assert len(scorer().score(FEATURES[:0])) == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "other"),
        ("columns", ["share_small", "moon"]),
        ("baseline", "x"),
        ("trees", {}),
        ("record", None),
    ],
)
def test_a_damaged_model_is_refused(model, key, value):
    document = json.loads(model.read_text()) | {key: value}
    model.write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="cityframe match train"):
        read_scorer(model)


@pytest.mark.parametrize(
    ("array", "at", "value"),
    [
        ("left", 0, 0),  # a circle
        ("right", 2, 99),
        ("root", 1, -1),
        ("feature", 0, 2),
        ("value", 1, float("nan")),
    ],
)
def test_trees_that_lead_nowhere_are_refused(model, array, at, value):
    document = json.loads(model.read_text())
    document["trees"][array][at] = value
    model.write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="lead nowhere"):
        read_scorer(model)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"format": 1}'])
def test_what_is_no_model_is_refused(tmp_path, text):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(IntegrityError):
        read_scorer(path)


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(IntegrityError, match=r"none\.json"):
        read_scorer(tmp_path / "none.json")
