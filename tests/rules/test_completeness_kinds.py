"""The kinds about completeness and classification against their definitions."""

import datetime as dt
from difflib import SequenceMatcher

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binomtest

from cityframe.rules.context import Context
from cityframe.rules.geometry.middles import middles
from cityframe.rules.kinds.sampled_misclassification import confidence_interval
from cityframe.rules.names import folded_names, name_similarity
from cityframe.rules.registry import rule_kinds

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
THINGS = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(0, 9), st.text("abAＢ -", max_size=4), st.sampled_from("xy")
    ),
    max_size=8,
)
COLUMNS = {"name": "string", "source": "string"}


@pytest.fixture(scope="module")
def context_of(layer_of):
    """Return a function that makes a context over named points, with one other layer."""

    def frame(things, prefix):
        shapes = np.array([shapely.Point(one[:2]) for one in things], dtype=object)
        columns = {
            "uid": [f"{prefix}{row}" for row in range(len(things))],
            "name": [one[2] for one in things],
            "source": [one[3] for one in things],
        }
        frame = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(shapes, crs="EPSG:4547"))
        return frame.astype(dict.fromkeys(columns, "str"))

    def make(things, others):
        layers = {name: layer_of(name, "Point", COLUMNS) for name in ("things", "other")}
        other = frame(others, "o")
        return Context(
            layer=layers["things"],
            frame=frame(things, "f"),
            layers=layers,
            as_of=AS_OF,
            read_other=lambda _: other,
        )

    return make


def near(one, two, within):
    return (one[0] - two[0]) ** 2 + (one[1] - two[1]) ** 2 <= within**2


def likeness(one, two):
    one, two = folded_names(pd.Series([one, two], dtype="str"), alike=False)
    return 1.0 if one == two else SequenceMatcher(None, one, two, autojunk=False).ratio()


@settings(max_examples=60, deadline=None)
@given(THINGS, THINGS, st.integers(0, 4))
def test_excess_and_missing_are_what_has_nothing_near_on_the_other_side(
    context_of, things, others, within
):
    kind = rule_kinds()["excess_and_missing"]
    table = kind.check(
        context_of(things, others), kind.params(layer="other", within_m=float(within))
    )
    excess = [
        row
        for row, one in enumerate(things)
        if not any(near(one, other, within) for other in others)
    ]
    missing = [
        f"o{row}"
        for row, other in enumerate(others)
        if not any(near(one, other, within) for one in things)
    ]
    assert table["row"].tolist() == excess + [-1] * len(missing)
    assert table["other"].tolist() == [""] * len(excess) + missing


@settings(max_examples=60, deadline=None)
@given(THINGS, THINGS, st.integers(0, 4), st.sampled_from([0.4, 0.75, 1.0]))
def test_duplicates_of_another_layer_are_the_near_ones_with_like_names(
    context_of, things, others, within, least
):
    kind = rule_kinds()["cross_source_duplicates"]
    parameters = kind.params(layer="other", within_m=within, column="name", min_similarity=least)
    table = kind.check(context_of(things, others), parameters)
    assert list(zip(table["row"], table["other"], strict=True)) == [
        (row, f"o{number}")
        for row, one in enumerate(things)
        for number, other in enumerate(others)
        if near(one, other, within) and likeness(one[2], other[2]) >= least
    ]


@settings(max_examples=60, deadline=None)
@given(THINGS, st.integers(0, 4))
def test_duplicates_of_one_layer_are_pairs_of_two_sources(context_of, things, within):
    kind = rule_kinds()["cross_source_duplicates"]
    parameters = kind.params(source_column="source", within_m=within)
    table = kind.check(context_of(things, []), parameters)
    assert list(zip(table["row"], table["other_row"], strict=True)) == [
        (row, other)
        for row in range(len(things))
        for other in range(row + 1, len(things))
        if things[row][3] != things[other][3] and near(things[row], things[other], within)
    ]


@pytest.mark.parametrize("wrong", [0, 1, 7, 50])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_the_confidence_interval_is_that_of_the_exact_binomial_test(wrong, confidence):
    wanted = binomtest(wrong, 50).proportion_ci(confidence, method="exact")
    assert confidence_interval(wrong, 50, confidence) == pytest.approx(tuple(wanted))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("人民路10号", "人民路１０号"),
        ("Ring Road", "RING-road"),
        ("Ring Road 10", "Ring Road 1O"),
        ("Москва", "Mocкba"),
        ("已建路", "己建路"),
        ("Kanalstraße", "Kanalstrasse"),
    ],
)
def test_names_that_look_alike_fold_to_one(one, two):
    folded = folded_names(pd.Series([one, two], dtype="str"))
    assert folded[0] == folded[1]


def test_names_that_a_reader_tells_apart_stay_apart():
    names = pd.Series(["人民路10号", "人民路11号", "人民街10号", "Ring Road", None], dtype="str")
    folded = folded_names(names)
    assert folded.nunique() == 4
    assert pd.isna(folded[4])


@given(st.lists(st.tuples(st.text("abc", max_size=6), st.text("abc", max_size=6)), max_size=6))
def test_the_similarity_is_difflibs_where_it_reaches_the_least(pairs):
    one, two = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = name_similarity(one, two, least=0.6)
    for share, (left, right) in zip(found, pairs, strict=True):
        matcher = SequenceMatcher(None, left, right, autojunk=False)
        wanted = 1.0 if left == right else matcher.ratio()
        assert share == pytest.approx(wanted) if wanted >= 0.6 else share < 0.6


def test_the_middle_of_a_feature_lies_on_it():
    shapes = np.array(
        [
            shapely.from_wkt(text)
            for text in (
                "POINT (1 2)",
                "MULTILINESTRING ((0 0, 4 0), (9 9, 9 10))",
                "POLYGON ((0 0, 9 0, 9 9, 8 9, 8 1, 0 1, 0 0))",
                "POINT EMPTY",
                "MULTIPOLYGON EMPTY",
            )
        ]
        + [None],
        dtype=object,
    )
    points = middles(shapes)
    assert shapely.intersects(points[:3], shapes[:3]).all()
    assert points[1].equals(shapely.Point(2, 0))
    assert shapely.is_missing(points[3:]).all()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("excess_and_missing", {"layer": "other"}),
        ("excess_and_missing", {"layer": "other", "within_m": 1.0, "column": "name"}),
        ("excess_and_missing", {"layer": "other", "within_m": 1.0, "look_for": []}),
        ("cross_source_duplicates", {"within_m": 1.0}),
        ("cross_source_duplicates", {"within_m": 1.0, "layer": "a", "source_column": "b"}),
        ("counts_a_zone", {"layer": "other"}),
        ("counts_a_zone", {"layer": "other", "min_per_km2": 2, "max_per_km2": 1}),
        ("sampled_misclassification", {"layer": "other", "column": "name"}),
    ],
)
def test_parameters_that_mean_nothing_are_refused(name, parameters):
    with pytest.raises(ValidationError):
        rule_kinds()[name].params(**parameters)
