from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from cityframe.conform import Conformed
from cityframe.errors import DeclarationError

Run = Callable[..., Conformed]
Make = Callable[..., Any]
Found = Callable[..., list[str]]

NO_GEOMETRY = {"geometry": {"none": True}}


def test_text_number_boolean_date_come_in_the_contracts_types(
    run: Run, make_layer: Make, make_table: Make
) -> None:
    layer = make_layer(
        {"name": "string", "floors": "integer", "height_m": "real", "built": "date",
         "is_public": "boolean", "checked": "datetime"}
    )  # fmt: skip
    table = make_table(
        {"NAME": [" 黄鹤楼 "], "FL": ["5"], "H": ["51.4"], "B": ["1985-06-01"], "P": ["true"],
         "C": ["2024-01-01T08:00:00+08:00"]}
    )  # fmt: skip
    columns = {"name": "NAME", "floors": "FL", "height_m": "H", "built": "B", "is_public": "P",
               "checked": "C"}  # fmt: skip
    outcome = run(table, {"columns": columns, **NO_GEOMETRY}, layer)
    row = outcome.frame.iloc[0]
    assert row["name"] == "黄鹤楼"
    assert (row["floors"], row["height_m"], bool(row["is_public"])) == (5, 51.4, True)
    assert row["built"] == pd.Timestamp("1985-06-01")
    assert row["checked"] == pd.Timestamp("2024-01-01T00:00Z")
    assert outcome.frame.dtypes.astype(str).to_dict() == {
        "record": "Int64", "source_key": "str", "operation": "str",
        "valid_from": "datetime64[us, UTC]", "name": "str", "floors": "Int64",
        "height_m": "float64", "built": "datetime64[s]", "is_public": "boolean",
        "checked": "datetime64[us, UTC]", "geometry": "geometry",
    }  # fmt: skip
    assert outcome.findings.empty


def test_value_not_of_its_type_returns_the_record_and_names_the_value(
    run: Run, make_layer: Make, make_table: Make, found: Found
) -> None:
    layer = make_layer({"floors": "integer", "height_m": "real"})
    table = make_table({"FL": ["5", "five", "6"], "H": ["1.5", "1,5", None]})
    outcome = run(table, {"columns": {"floors": "FL", "height_m": "H"}, **NO_GEOMETRY}, layer)
    assert list(outcome.frame["floors"]) == [5, 6]
    assert found(outcome, "type") == [
        "floors is 'five' (column 'FL'); height_m is '1,5' (column 'H')"
    ]
    assert list(outcome.fates["fate"]) == ["returned"]
    assert outcome.findings.iloc[0]["record"] == 1
    assert "floors: a whole number" in outcome.findings.iloc[0]["expected"]
    assert outcome.quarantine_reasons == ()


def test_null_in_a_mandatory_attribute_is_left_to_the_rules(
    run: Run, make_layer: Make, make_table: Make
) -> None:
    layer = make_layer({"name": {"type": "string", "nullable": False}})
    outcome = run(make_table({"N": [""]}), {"columns": {"name": "N"}, **NO_GEOMETRY}, layer)
    assert len(outcome.frame) == 1
    assert outcome.frame["name"].isna().all()


def test_declared_nulls_and_blanks_are_null(run: Run, make_layer: Make, make_table: Make) -> None:
    layer = make_layer({"id": "string", "a": "string", "b": "integer", "c": "real"})
    table = make_table(
        {"ID": ["1", "2", "3"], "A": ["-", "x", " "], "B": ["N/A", "7", ""],
         "C": [-9999.0, 1.5, float("nan")]}
    )  # fmt: skip
    columns = {
        "id": "ID",
        "a": {"column": "A", "nulls": ["-"]},
        "b": {"column": "B", "nulls": ["N/A"]},
        "c": {"column": "C", "nulls": ["-9999"]},
    }
    frame = run(table, {"columns": columns, **NO_GEOMETRY}, layer).frame
    assert frame["a"].isna().tolist() == [True, False, True]
    assert frame["b"].isna().tolist() == [True, False, True]
    assert frame["c"].isna().tolist() == [True, False, True]


def test_constant_fills_every_record(run: Run, make_layer: Make, make_table: Make) -> None:
    layer = make_layer({"name": "string", "city": "string", "level": "integer", "ok": "boolean"})
    columns = {
        "name": "N",
        "city": {"value": "武汉"},
        "level": {"value": 3},
        "ok": {"value": False},
    }
    frame = run(make_table({"N": ["a", "b"]}), {"columns": columns, **NO_GEOMETRY}, layer).frame
    assert frame["city"].tolist() == ["武汉", "武汉"]
    assert frame["level"].tolist() == [3, 3]
    assert frame["ok"].tolist() == [False, False]


def test_feed_of_constants_alone_keeps_its_records(
    run: Run, make_layer: Make, make_table: Make
) -> None:
    feed = {"columns": {"city": {"value": "武汉"}}, "ignore": ["N"], **NO_GEOMETRY,
            "duplicates": {"exact": "merge"}}  # fmt: skip
    outcome = run(make_table({"N": ["a", "b"]}), feed, make_layer({"city": "string"}))
    assert outcome.records == 2
    assert outcome.fates["fate"].tolist() == ["merged"]


def test_constant_that_does_not_fit_is_a_declaration_error(
    run: Run, make_layer: Make, make_table: Make
) -> None:
    feed = {"columns": {"level": {"value": "high"}}, **NO_GEOMETRY}
    with pytest.raises(
        DeclarationError, match=r"sources/office.yaml, feed things, columns.level: 'high' does not"
    ):
        run(make_table({"N": []}), feed, make_layer({"level": "integer"}))


# codes


def test_codes_are_translated_and_an_unlisted_one_returns_the_record(
    run: Run, make_layer: Make, make_table: Make, found: Found
) -> None:
    use = {"type": "string", "codes": ["residential", "commercial"]}
    layer = make_layer({"id": "string", "use": use})
    codes = {"1": "residential", "2": "commercial", "9": None}
    columns = {"id": "ID", "use": {"column": "U", "codes": codes}}
    table = make_table({"ID": list("abcde"), "U": ["1", "2", "9", "3", None]})
    outcome = run(table, {"columns": columns, **NO_GEOMETRY}, layer)
    used = outcome.frame.set_index("record")["use"]
    assert used[0] == "residential"
    assert used[1] == "commercial"
    assert used[[2, 4]].isna().all()
    assert found(outcome, "unknown-code") == ["use is '3' (column 'U')"]
    assert outcome.findings.iloc[0]["expected"] == "use: one of '1', '2', '9'"


def test_codes_of_numbers_are_their_digits(run: Run, make_layer: Make, make_table: Make) -> None:
    layer = make_layer({"is_on": "boolean", "lanes": "integer"})
    columns = {
        "is_on": {"column": "E", "codes": {"1": True, "0": False}},
        "lanes": {"column": "L", "codes": {"one": 1, "two": 2}},
    }
    table = make_table({"E": [1.0, 0.0, float("nan")], "L": ["one", "two", "two"]})
    frame = run(table, {"columns": columns, **NO_GEOMETRY}, layer).frame
    assert frame["is_on"].tolist()[:2] == [True, False]
    assert pd.isna(frame["is_on"].iloc[2])
    assert frame["lanes"].tolist() == [1, 2, 2]


def test_empty_code_stands_for_null(run: Run, make_layer: Make, make_table: Make) -> None:
    columns = {"id": "ID", "use": {"column": "U", "codes": {"": "unknown", "1": "known"}}}
    table = make_table({"ID": list("abc"), "U": ["", "1", None]})
    layer = make_layer({"id": "string", "use": "string"})
    frame = run(table, {"columns": columns, **NO_GEOMETRY}, layer).frame
    assert frame["use"].tolist() == ["unknown", "known", "unknown"]


def test_value_outside_the_contracts_codes_returns_the_record(
    run: Run, make_layer: Make, make_table: Make, found: Found
) -> None:
    layer = make_layer({"use": {"type": "string", "codes": ["住宅", "商业"]}})
    table = make_table({"U": ["住宅", "工业"]})
    outcome = run(table, {"columns": {"use": "U"}, **NO_GEOMETRY}, layer)
    assert outcome.frame["use"].tolist() == ["住宅"]
    assert found(outcome, "unknown-code") == ["use is '工业' (column 'U')"]


def test_meaning_outside_the_contracts_codes_is_a_declaration_error(
    run: Run, make_layer: Make, make_table: Make
) -> None:
    layer = make_layer({"use": {"type": "string", "codes": ["residential"]}})
    columns = {"use": {"column": "U", "codes": {"1": "residental"}}}
    with pytest.raises(DeclarationError, match=r"'residental' does not fit.*'residential'"):
        run(make_table({"U": []}), {"columns": columns, **NO_GEOMETRY}, layer)


def test_long_code_lists_are_cut_in_messages(run: Run, make_layer: Make, make_table: Make) -> None:
    codes = [f"c{n}" for n in range(500)]
    layer = make_layer({"use": {"type": "string", "codes": codes}})
    outcome = run(make_table({"U": ["x"]}), {"columns": {"use": "U"}, **NO_GEOMETRY}, layer)
    assert outcome.findings.iloc[0]["expected"].endswith("and 480 more")


# units


def test_units_are_converted_to_the_contracts(run: Run, make_layer: Make, make_table: Make) -> None:
    layer = make_layer({"depth_m": {"type": "real", "unit": "m"},
                        "dn_mm": {"type": "integer", "unit": "mm"}})  # fmt: skip
    columns = {"depth_m": {"column": "D", "unit": "ft_us"}, "dn_mm": {"column": "DN", "unit": "m"}}
    table = make_table({"D": ["3937", None], "DN": ["0.3", "1.2"]})
    frame = run(table, {"columns": columns, **NO_GEOMETRY}, layer).frame
    assert frame["depth_m"].iloc[0] == 1200.0
    assert frame["depth_m"].isna().iloc[1]
    assert frame["dn_mm"].tolist() == [300, 1200]
    assert str(frame["dn_mm"].dtype) == "Int64"


def test_conversion_that_leaves_a_fraction_is_no_integer(
    run: Run, make_layer: Make, make_table: Make, found: Found
) -> None:
    layer = make_layer({"dn_mm": {"type": "integer", "unit": "mm"}})
    columns = {"dn_mm": {"column": "DN", "unit": "in"}}
    outcome = run(make_table({"DN": ["4", "50"]}), {"columns": columns, **NO_GEOMETRY}, layer)
    assert outcome.frame["dn_mm"].tolist() == [1270]
    assert found(outcome, "type") == ["dn_mm is '4' (column 'DN')"]


@pytest.mark.parametrize(
    ("attribute", "mapping", "message"),
    [
        ({"type": "real", "unit": "m"}, {"unit": "cubit"}, "unit 'cubit' is unknown"),
        ({"type": "real", "unit": "m"}, {"unit": "kPa"}, "measures pressure, expected a unit of l"),
        ({"type": "real"}, {"unit": "mm"}, "the attribute has no unit"),
        ({"type": "string"}, {"unit": "mm"}, "unit 'mm' on an attribute of type string"),
        ({"type": "real", "unit": "m"}, {"unit": "mm", "codes": {"1": 1}}, "both unit and codes"),
    ],
)
def test_unit_that_can_not_be_converted_is_a_declaration_error(
    run: Run, make_layer: Make, make_table: Make,
    attribute: dict[str, Any], mapping: dict[str, Any], message: str,
) -> None:  # fmt: skip
    feed = {"columns": {"depth": {"column": "D", **mapping}}, **NO_GEOMETRY}
    with pytest.raises(DeclarationError, match="sources/office.yaml.*columns.depth.*" + message):
        run(make_table({"D": ["1"]}), feed, make_layer({"depth": attribute}))


# text


def test_control_characters_return_a_record_and_line_breaks_are_noted(
    run: Run, make_layer: Make, make_table: Make, found: Found
) -> None:
    table = make_table({"N": ["plain", "nul\x00byte", "two\nlines", "esc\x1b[0m", "c1\x85x"]})
    outcome = run(table, {"columns": {"name": "N"}, **NO_GEOMETRY}, make_layer({"name": "string"}))
    assert outcome.frame["name"].tolist() == ["plain", "two\nlines"]
    assert len(found(outcome, "control-character")) == 3
    assert found(outcome, "line-break") == [r"name is 'two\nlines' (column 'N')"]
    notes = outcome.findings[outcome.findings["rule"] == "intake.line-break"]
    assert notes["gate"].tolist() == ["note"]
