from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from cityframe.conform import Conformed

Run = Callable[..., Conformed]
Make = Callable[..., Any]
Found = Callable[..., list[str]]

FEED = {"columns": {"name": "NAME"}, "geometry": {"none": True}}


@pytest.fixture
def layer(make_layer: Make) -> Any:
    return make_layer({"name": "string", "note": "string"})


def test_unknown_column_quarantines_and_is_named(
    run: Run, make_table: Make, found: Found, layer: Any
) -> None:
    table = make_table({"NAME": ["a"], "OWNER": ["b"], "TAX": ["c"]})
    outcome = run(table, FEED, layer)
    assert found(outcome, "unknown-column") == [
        "things.csv: columns that are not declared: 'OWNER', 'TAX'"
    ]
    assert outcome.quarantine_reasons == (
        "intake.unknown-column: things.csv: columns that are not declared: 'OWNER', 'TAX'",
    )
    assert outcome.findings["record"].isna().all()
    assert outcome.frame["name"].tolist() == ["a"]  # complete as far as it could be made


def test_ignored_and_optional_columns_are_known(run: Run, make_table: Make, layer: Any) -> None:
    table = make_table({"NAME": ["a"], "(No column name)": ["b"], "TAX": ["c"]})
    feed = {**FEED, "ignore": ["(No column name)", "GONE"], "optional": ["TAX"]}
    outcome = run(table, feed, layer)
    assert outcome.findings.empty
    assert outcome.quarantine_reasons == ()


def test_missing_column_quarantines_and_its_attribute_is_absent(
    run: Run, make_table: Make, found: Found, layer: Any
) -> None:
    feed = {**FEED, "columns": {"name": "NAME", "note": "NOTE"}}
    outcome = run(make_table({"NAME": ["a"]}), feed, layer)
    assert found(outcome, "missing-column") == ["things.csv: columns that are missing: 'NOTE'"]
    assert len(outcome.quarantine_reasons) == 1
    assert "note" not in outcome.frame.columns


def test_optional_column_may_be_absent_and_absent_is_not_null(
    run: Run, make_table: Make, layer: Any
) -> None:
    feed = {**FEED, "columns": {"name": "NAME", "note": "NOTE"}, "optional": ["NOTE"]}
    without = run(make_table({"NAME": ["a"]}), feed, layer)
    assert without.quarantine_reasons == ()
    assert "note" not in without.frame.columns
    blank = run(make_table({"NAME": ["a"], "NOTE": [""]}), feed, layer)
    assert blank.frame["note"].isna().all()


@pytest.mark.parametrize("delivered", ["name", " NAME", "\ufeffNAME", "ＮＡＭＥ", "NA ME"])
def test_column_that_differs_in_spelling_only_is_said_to(
    run: Run, make_table: Make, found: Found, layer: Any, delivered: str
) -> None:
    outcome = run(make_table({delivered: ["a"]}), FEED, layer)
    said = "in case, white space or byte order mark only"
    assert said in found(outcome, "unknown-column")[0]
    assert f"'NAME' (differs from {delivered!r} {said})" in found(outcome, "missing-column")[0]
    assert "name" not in outcome.frame.columns


def test_column_that_stands_twice_quarantines(
    run: Run, make_table: Make, found: Found, layer: Any
) -> None:
    table = make_table(pd.DataFrame([["a", "b"]], columns=["NAME", "NAME"]))
    outcome = run(table, FEED, layer)
    assert found(outcome, "unknown-column") == ["things.csv: columns that stand twice: 'NAME'"]
    assert outcome.frame["name"].tolist() == ["a"]


def test_ten_thousand_unknown_columns_give_one_short_finding(
    run: Run, make_table: Make, found: Found, layer: Any
) -> None:
    table = make_table({"NAME": ["a"], **{f"C{n}": ["x"] for n in range(10_000)}})
    (text,) = found(run(table, FEED, layer), "unknown-column")
    assert text.endswith("'C19' and 9980 more")


def test_tables_of_one_feed_are_put_together_in_order(
    run: Run, make_table: Make, layer: Any
) -> None:
    parts = [
        make_table({"NAME": ["a", "b"]}, file="part1.shp"),
        make_table({"NAME": ["c"]}, file="part2.shp"),
    ]
    outcome = run(parts, FEED, layer)
    assert outcome.frame["record"].tolist() == [0, 1, 2]
    assert outcome.frame["name"].tolist() == ["a", "b", "c"]


def test_column_in_some_tables_only_quarantines_though_optional(
    run: Run, make_table: Make, found: Found, layer: Any
) -> None:
    feed = {**FEED, "columns": {"name": "NAME", "note": "NOTE"}, "optional": ["NOTE"]}
    parts = [
        make_table({"NAME": ["a"], "NOTE": ["x"]}, file="part1.shp"),
        make_table({"NAME": ["b"]}, file="part2.shp"),
    ]
    outcome = run(parts, feed, layer)
    assert found(outcome, "missing-column") == ["part2.shp: columns that are missing: 'NOTE'"]


def test_record_that_could_not_be_read_is_returned(
    run: Run, make_table: Make, found: Found, layer: Any
) -> None:
    parts = [
        make_table({"NAME": ["a", "b"]}),
        make_table({"NAME": ["c", None]}, defects={1: "properties are not an object"}),
    ]
    outcome = run(parts, FEED, layer)
    assert found(outcome, "unreadable") == ["properties are not an object"]
    assert outcome.fates["record"].tolist() == [3]


def test_no_table_at_all_is_a_count_out_of_range(run: Run, layer: Any, found: Found) -> None:
    outcome = run([], FEED, layer)
    assert outcome.records == 0
    assert found(outcome, "count") == ["0 records"]
    assert list(outcome.frame.columns) == [
        "record", "source_key", "operation", "valid_from", "name", "geometry",
    ]  # fmt: skip
