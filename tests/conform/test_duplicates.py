from collections.abc import Callable
from typing import Any

import pytest
import shapely

from cityframe.conform import Conformed
from cityframe.errors import DeclarationError

Run = Callable[..., Conformed]
Make = Callable[..., Any]
Found = Callable[..., list[str]]

COLUMNS = {"columns": {"code": "CODE", "name": "NAME"}, "crs": "EPSG:4547"}


@pytest.fixture
def keyed(make_layer: Make) -> Any:
    return make_layer({"code": "string", "name": "string"}, geometry="Point", key="code")


@pytest.fixture
def table_of(make_table: Make) -> Callable[..., Any]:
    def table(*rows: tuple[str | None, str, float]) -> Any:
        return make_table(
            {"CODE": [row[0] for row in rows], "NAME": [row[1] for row in rows]},
            geometry=[shapely.Point(500000 + row[2], 3300000) for row in rows],
        )

    return table


def test_exact_duplicates_are_merged_without_a_finding(
    run: Run, table_of: Make, keyed: Any
) -> None:
    table = table_of(("A", "x", 0), ("B", "y", 1), ("A", "x", 0), ("A", "x", 0))
    outcome = run(table, {**COLUMNS, "duplicates": {"exact": "merge"}}, keyed)
    assert outcome.frame["record"].tolist() == [0, 1]
    assert outcome.fates["fate"].tolist() == ["merged", "merged"]
    assert (
        outcome.fates["reason"].tolist()
        == ["intake.duplicate-record: says the same as record 0"] * 2
    )
    assert outcome.findings.empty


def test_exact_duplicates_are_returned_by_default(
    run: Run, table_of: Make, keyed: Any, found: Found
) -> None:
    outcome = run(table_of(("A", "x", 0), ("A", "x", 0)), COLUMNS, keyed)
    assert found(outcome, "duplicate-record") == ["says the same as record 0"]
    assert outcome.fates["fate"].tolist() == ["returned"]
    assert outcome.findings.geometry.iloc[0].equals(shapely.Point(500000, 3300000))


def test_geometries_agree_at_the_precision_of_the_layer(
    run: Run, table_of: Make, keyed: Any, found: Found
) -> None:
    feed = {**COLUMNS, "duplicates": {"exact": "merge"}}
    outcome = run(table_of(("A", "x", 0), ("A", "x", 0.0001)), feed, keyed)
    assert outcome.fates["fate"].tolist() == ["merged"]
    apart = run(table_of(("A", "x", 0), ("A", "x", 0.01)), feed, keyed)
    assert len(found(apart, "duplicate-key")) == 2


@pytest.mark.parametrize(("policy", "kept"), [("first", [0, 3]), ("last", [2, 3]), ("return", [3])])
def test_same_key_with_other_content_follows_the_policy(
    run: Run, table_of: Make, keyed: Any, found: Found, policy: str, kept: list[int]
) -> None:
    table = table_of(("A", "x", 0), ("A", "y", 1), ("A", "z", 2), ("B", "x", 0))
    outcome = run(table, {**COLUMNS, "duplicates": {"key": policy}}, keyed)
    assert outcome.frame["record"].tolist() == kept
    texts = found(outcome, "duplicate-key")
    assert texts == ["key 'A' stands several times: records 0, 1, 2"] * (4 - len(kept))
    assert outcome.findings.geometry.notna().all()
    assert outcome.findings["finding_id"].is_unique
    assert outcome.findings["source_key"].tolist() == ["A"] * len(texts)


def test_exact_duplicates_go_before_the_key_is_judged(run: Run, table_of: Make, keyed: Any) -> None:
    table = table_of(("A", "x", 0), ("A", "x", 0))
    outcome = run(table, {**COLUMNS, "duplicates": {"exact": "merge", "key": "return"}}, keyed)
    assert len(outcome.frame) == 1


def test_record_that_was_returned_is_no_duplicate(
    run: Run, make_layer: Make, make_table: Make
) -> None:
    layer = make_layer({"code": "string", "floors": "integer"}, key="code")
    table = make_table({"CODE": ["A", "A"], "FL": ["many", "5"]})
    feed = {"columns": {"code": "CODE", "floors": "FL"}, "geometry": {"none": True}}
    outcome = run(table, feed, layer)
    assert outcome.frame["record"].tolist() == [1]
    assert outcome.findings["rule"].tolist() == ["intake.type"]


def test_records_of_a_layer_without_key_are_duplicates_by_content(
    run: Run, make_layer: Make, make_table: Make
) -> None:
    layer = make_layer({"name": "string", "note": "string"})
    table = make_table({"NAME": ["a", "a", "a"], "NOTE": [None, "", "x"]})
    feed = {"columns": {"name": "NAME", "note": "NOTE"}, "geometry": {"none": True},
            "duplicates": {"exact": "merge"}}  # fmt: skip
    outcome = run(table, feed, layer)
    assert outcome.frame["record"].tolist() == [0, 2]


def test_key_of_several_attributes_is_one_text(
    run: Run, make_layer: Make, make_table: Make
) -> None:
    layer = make_layer({"street": "string", "number": "integer"}, key=["street", "number"])
    table = make_table({"S": ["Main", "Main"], "N": ["1", "2"]})
    feed = {"columns": {"street": "S", "number": "N"}, "geometry": {"none": True}}
    outcome = run(table, feed, layer)
    assert outcome.frame["source_key"].tolist() == ["Main|1", "Main|2"]


# missing keys


def test_record_without_key_is_returned(run: Run, table_of: Make, keyed: Any, found: Found) -> None:
    outcome = run(table_of(("A", "x", 0), (" ", "y", 1), (None, "z", 2)), COLUMNS, keyed)
    assert outcome.frame["record"].tolist() == [0]
    assert found(outcome, "missing-key") == ["no code", "no code"]
    assert outcome.fates["source_key"].tolist() == ["", ""]
    assert outcome.findings["finding_id"].is_unique


def test_record_without_key_may_be_left_to_matching(run: Run, table_of: Make, keyed: Any) -> None:
    table = table_of(("A", "x", 0), (None, "y", 1), (None, "z", 2))
    outcome = run(table, {**COLUMNS, "missing_key": "match"}, keyed)
    assert outcome.frame["source_key"].isna().tolist() == [False, True, True]
    assert outcome.findings.empty


def test_key_that_no_column_gives_is_a_declaration_error(
    run: Run, make_table: Make, keyed: Any
) -> None:
    feed = {"columns": {"name": "NAME"}, "geometry": {"none": True}}
    table = make_table({"NAME": ["x"]})
    with pytest.raises(DeclarationError, match=r"'code' of the key of layer things is not mapped"):
        run(table, feed, keyed)
    outcome = run(table, {**feed, "missing_key": "match"}, keyed)
    assert outcome.frame["source_key"].isna().all()
