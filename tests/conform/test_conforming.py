from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cityframe.config.source import ColumnMapping
from cityframe.conform import INTAKE_RULES, Conformed
from cityframe.model.fate import FATE_COLUMNS
from cityframe.model.finding import FINDING_COLUMNS

Run = Callable[..., Conformed]
Make = Callable[..., Any]
Found = Callable[..., list[str]]

PLAIN = {"columns": {"name": "NAME"}, "geometry": {"none": True}}


@pytest.fixture(scope="session")
def names(make_layer: Make) -> Any:
    return make_layer({"name": "string"})


# count


@pytest.mark.parametrize(
    ("count", "expected"), [({"min": 3}, "at least 3"), ({"max": 1}, "at least 1 and at most 1")]
)
def test_count_out_of_range_quarantines(
    run: Run, make_table: Make, names: Any, count: dict[str, int], expected: str
) -> None:
    outcome = run(make_table({"NAME": ["a", "b"]}), {**PLAIN, "count": count}, names)
    assert outcome.quarantine_reasons == ("intake.count: 2 records",)
    assert outcome.findings.iloc[0]["expected"] == expected
    assert outcome.findings.iloc[0]["found_zh"] == "2 条记录"
    assert len(outcome.frame) == 2


def test_count_includes_the_records_that_are_returned(
    run: Run, make_table: Make, names: Any
) -> None:
    table = make_table({"NAME": ["a", "a", "a"]})
    outcome = run(table, {**PLAIN, "count": {"min": 3, "max": 3}}, names)
    assert outcome.quarantine_reasons == ()


# operations


CHANGES = {**PLAIN, "operation": {"column": "OP", "insert": ["I", "新增"], "delete": ["D"]}}


def test_operations_of_a_changes_delivery(
    run: Run, make_table: Make, names: Any, found: Found
) -> None:
    table = make_table(
        {"NAME": list("abcdef"), "OP": ["I", "新增 ", "update", "D", "upsert", None]}
    )
    outcome = run(table, CHANGES, names, delivery="changes")
    assert outcome.frame["operation"].tolist() == ["insert", "insert", "update", "delete"]
    assert found(outcome, "unknown-operation") == ["OP is 'upsert'", "OP is None"]
    assert outcome.fates["record"].tolist() == [4, 5]


def test_other_deliveries_hold_upserts(run: Run, make_table: Make, names: Any) -> None:
    outcome = run(make_table({"NAME": ["a"]}), PLAIN, names, delivery="partial")
    assert outcome.frame["operation"].tolist() == ["upsert"]


def test_missing_operation_column_quarantines(
    run: Run, make_table: Make, names: Any, found: Found
) -> None:
    outcome = run(make_table({"NAME": ["a"]}), CHANGES, names, delivery="changes")
    assert found(outcome, "missing-column") == ["things.csv: columns that are missing: 'OP'"]
    assert outcome.frame["operation"].isna().all()


# valid time


def test_valid_from_is_the_time_of_the_delivery_unless_a_column_says_it(
    run: Run, make_table: Make, names: Any, found: Found
) -> None:
    observed = pd.Timestamp("2024-05-01T00:00Z")
    table = make_table(
        {"NAME": list("abcd"), "SINCE": ["2020-01-02", "2020-01-02T08:00:00+08:00", "", "soon"]}
    )
    outcome = run(table, {**PLAIN, "valid_from": "SINCE"}, names)
    day = pd.Timestamp("2020-01-02T00:00Z")
    assert outcome.frame["valid_from"].tolist() == [day, day, observed]
    assert found(outcome, "type") == ["valid_from is 'soon' (column 'SINCE')"]
    plain = run(make_table({"NAME": ["a"]}), PLAIN, names)
    assert plain.frame["valid_from"].tolist() == [observed]


def test_valid_from_in_local_time(run: Run, make_table: Make, names: Any) -> None:
    table = make_table({"NAME": ["a", "b"], "SINCE": ["2020-01-02", "9999"]})
    mapping = {"column": "SINCE", "time_zone": "Asia/Shanghai", "nulls": ["9999"]}
    outcome = run(table, {**PLAIN, "valid_from": mapping}, names)
    assert outcome.frame["valid_from"].tolist() == [
        pd.Timestamp("2020-01-01T16:00Z"),
        pd.Timestamp("2024-05-01T00:00Z"),
    ]


def test_valid_from_may_be_a_constant(run: Run, make_table: Make, names: Any) -> None:
    feed = {**PLAIN, "valid_from": {"value": "2019-07-01"}}
    outcome = run(make_table({"NAME": ["a"]}), feed, names)
    assert outcome.frame["valid_from"].tolist() == [pd.Timestamp("2019-07-01T00:00Z")]


# the whole


def test_input_is_left_alone(run: Run, make_layer: Make, make_table: Make) -> None:
    shapes = [shapely.Point(30.6, 114.3), shapely.Point(114.3, 30.6, 5), None]
    table = make_table({"NAME": [" a", "b", "c"]}, geometry=shapes)
    before, geometry = table.frame.copy(), table.geometry.copy()
    run(table, {"columns": {"name": "NAME"}}, make_layer({"name": "string"}, geometry="Point"))
    pd.testing.assert_frame_equal(table.frame, before)
    assert list(table.geometry) == list(geometry)


def test_findings_keep_their_identity_from_delivery_to_delivery(
    run: Run, make_layer: Make, make_table: Make
) -> None:
    layer = make_layer({"code": "string", "floors": "integer"}, key="code")
    feed = {"columns": {"code": "C", "floors": "F"}, "geometry": {"none": True}}
    first = run(make_table({"C": ["A", "B"], "F": ["x", "1"]}), feed, layer)
    second = run(make_table({"C": ["Z", "A"], "F": ["1", "y"]}), feed, layer)
    assert first.findings["finding_id"].tolist() == second.findings["finding_id"].tolist()


def test_returned_before_waiting_and_all_reasons_named(
    run: Run, make_layer: Make, make_table: Make, framework_of: Make
) -> None:
    layer = make_layer({"code": "string", "tax": "integer"}, key="code")
    framework = framework_of(layer, {"code": ["A"], "tax": [1]}, [None])
    join = {"layer": "things", "on": {"code": "P"}, "take": "feature"}
    outcome = run(
        make_table({"P": ["Z"], "TAX": ["x"]}),
        {"columns": {"tax": "TAX"}, "geometry": join}, layer, framework={"things": framework},
    )  # fmt: skip
    assert outcome.fates["fate"].tolist() == ["returned"]
    assert outcome.fates["reason"].tolist() == ["intake.type: tax is 'x' (column 'TAX')"]
    assert sorted(outcome.findings["rule"]) == ["intake.type", "intake.unmatched-join"]
    assert outcome.findings["found_zh"].tolist() == [
        "tax 的值为 'x'（列 'TAX'）",
        "code 'Z'：图层 things 中没有要素",
    ]


def test_every_rule_has_both_titles_and_a_measure() -> None:
    assert len(INTAKE_RULES) == 21
    for rule in INTAKE_RULES.values():
        assert rule.title.zh
        assert rule.title.en.isascii()
        assert rule.measure.name


CELLS = st.sampled_from(
    ["", " ", "1", "2", "3.5", "x", "a\x00b", "line\nbreak", "住宅", "2024-01-01", None]
)
SHAPES = st.sampled_from(
    [
        None,
        shapely.Point(114.3, 30.6),
        shapely.Point(114.3, 30.6, 7),
        shapely.Point(30.6, 114.3),
        shapely.Point(0, 0),
        shapely.Point(),
        shapely.MultiPoint([(114.3, 30.6)]),
        shapely.MultiPoint([(114.3, 30.6), (114.4, 30.6)]),
        shapely.LineString([(114.3, 30.6), (114.4, 30.6)]),
    ]
)
ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS, SHAPES), max_size=12)


@given(
    rows=ROWS,
    exact=st.sampled_from(["merge", "return"]),
    key=st.sampled_from(["first", "last", "return"]),
    missing_key=st.sampled_from(["return", "match"]),
    has_z=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_record_is_in_the_frame_or_has_one_fate(
    run: Run, make_layer: Make, make_table: Make,
    rows: list[Any], exact: str, key: str, missing_key: str, has_z: bool,
) -> None:  # fmt: skip
    heights = {"has_z": True, "vertical_datum": "EPSG:5737"} if has_z else {}
    layer = make_layer(
        {"code": "string", "floors": "integer", "use": {"type": "string", "codes": ["住宅", "x"]}},
        geometry="Point", key="code", **heights,
    )  # fmt: skip
    columns = [[row[place] for row in rows] for place in range(4)]
    table = make_table(
        {
            name: pd.Series(values, dtype="str")
            for name, values in zip(("C", "F", "U"), columns, strict=False)
        },
        geometry=columns[3],
    )
    feed = {
        "columns": {"code": "C", "floors": "F", "use": "U"},
        "duplicates": {"exact": exact, "key": key},
        "missing_key": missing_key,
        "count": {"min": 0},
    }
    # `run` holds that frame and fates share out the records, and that finding ids are unique
    outcome = run(table, feed, layer)
    again = run(table, feed, layer)
    pd.testing.assert_frame_equal(pd.DataFrame(outcome.findings), pd.DataFrame(again.findings))
    assert tuple(outcome.findings.columns) == FINDING_COLUMNS
    assert tuple(outcome.fates.columns) == FATE_COLUMNS
    assert set(outcome.fates["fate"]) <= {"merged", "returned"}
    returned = outcome.fates.loc[outcome.fates["fate"] == "returned", "record"]
    blocked = outcome.findings.loc[outcome.findings["gate"] == "block", "record"].dropna()
    assert set(returned) == set(blocked)
    keys = outcome.frame["source_key"].dropna()
    assert keys.is_unique
    kinds = shapely.get_type_id(outcome.frame.geometry.to_numpy())
    assert np.isin(kinds, [-1, 0]).all()


def test_time_zone_that_does_not_exist_is_refused_when_declared() -> None:
    with pytest.raises(ValidationError, match="a time zone of the IANA database"):
        ColumnMapping(column="CHECKED", time_zone="Asia/Wuhan")
