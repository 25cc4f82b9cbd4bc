"""Each rule kind against its cases, and what every kind must have."""

from inspect import getdoc

import pandas as pd
import shapely
import yaml

from cityframe.rules.registry import manual_text, rule_kinds


def test_case_gives_exactly_its_findings(case):
    checked = case.check()
    assert [result.message for result in checked.results] in ([""], ["no release to compare with"])
    found = checked.findings
    assert len(found) == len(case.findings), found[["record", "other", "found"]].to_string()
    for number, wanted in enumerate(case.findings):
        row = found.iloc[number]
        assert (None if pd.isna(row["record"]) else row["record"]) == wanted["row"]
        assert row["other"] == wanted.get("other", "")
        for text in ("found", "expected", "found_zh", "expected_zh"):
            assert wanted.get(text, "") in row[text]
        if "uid" in wanted:
            assert row["uid"] == wanted["uid"]
        if "place" in wanted:
            _assert_same_place(found.geometry.iloc[number], case.grid.geometry(wanted["place"]))


def _assert_same_place(found, wanted):
    if wanted is None:
        assert found is None
        return
    assert found is not None
    assert found.geom_type == wanted.geom_type, found
    assert shapely.hausdorff_distance(found, wanted) < 1e-6, found


def test_equal_input_gives_equal_findings(case_files):
    for cases in case_files.values():
        case = next(case for what, case in cases if what == "fail")
        one, two = case.check(), case.check()
        assert one.findings.equals(two.findings)
        assert one.results == two.results


def test_every_kind_has_cases_that_pass_fail_stand_at_the_limit_and_are_empty(case_files):
    assert set(case_files) == set(rule_kinds())
    for kind, cases in case_files.items():
        assert {what for what, _ in cases} == {"pass", "fail", "limit", "empty"}, kind
        for what, case in cases:
            assert case.kind == kind
            assert (len(case.frame) == 0) == (what == "empty"), case.title
            assert what != "fail" or case.findings, case.title
            assert what != "pass" or not case.findings, case.title


def test_every_kind_is_documented_with_an_example_that_its_parameters_accept():
    for name, kind in rule_kinds().items():
        text = manual_text(name)
        assert len(text) > 80, name
        example = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
        assert example["kind"] == name
        kind.params.model_validate(example.get("parameters", {}))
        assert getdoc(kind.params), name
        for parameter, field in kind.params.model_fields.items():
            assert field.description, f"{name}.{parameter}"


def test_numbers_and_names_are_unique():
    kinds = list(rule_kinds().values())
    assert len({kind.number for kind in kinds}) == len(kinds)
    assert len(kinds) >= 37
