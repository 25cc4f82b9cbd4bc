"""Each rule kind against its cases, and what every kind must have."""

from inspect import getdoc

import yaml

from cityframe.rules.registry import built_in, manual_text, rule_kinds


def test_case_gives_exactly_its_findings(case):
    found = case.found()
    assert found.message in ("", "no release to compare with")
    assert not case.differences(found.findings)


def test_equal_input_gives_equal_findings(case_files):
    for cases in case_files.values():
        case = next(case for case in cases if case.what == "fail")
        assert case.found().findings.equals(case.found().findings)


def test_every_kind_has_cases_that_pass_fail_stand_at_the_limit_and_are_empty(case_files):
    assert set(case_files) == set(rule_kinds())
    for kind, cases in case_files.items():
        assert {case.what for case in cases} == {"pass", "fail", "limit", "empty"}, kind
        for case in cases:
            assert case.kind == kind
            assert (len(case.frame) == 0) == (case.what == "empty"), case.title
            assert case.what != "fail" or case.findings, case.title
            assert case.what != "pass" or not case.findings, case.title


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


def test_the_built_in_kinds_are_the_catalogue_of_ninety():
    kinds = rule_kinds()
    assert sorted(kinds[entry.name].number for entry in built_in()) == list(range(1, 91))
