"""Each kind on sown defects: all found, nothing else, and its reach kept.

The table of recall and false alarms is printed at the end of the run.
"""

import importlib.util
from pathlib import Path

import pytest

from cityframe.rules.conformance import (
    assert_bad_geometry_is_borne,
    assert_reach_is_kept,
    recall_of,
)
from cityframe.rules.registry import built_in, rule_kinds


def _sowings():
    found = {}
    for path in sorted((Path(__file__).parent / "seeded").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"seeded_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert not set(found) & set(module.SOWINGS), path
        found |= module.SOWINGS
    return found


SOWINGS = _sowings()


def test_every_built_in_kind_has_a_sowing():
    assert set(SOWINGS) == {entry.name for entry in built_in()}


@pytest.mark.parametrize("kind", sorted(SOWINGS))
def test_every_sown_defect_is_found_and_nothing_else(kind, record_property):
    recall = recall_of(kind, SOWINGS[kind]())
    record_property("recall of", kind)
    record_property("sown", recall.sown)
    record_property("found", recall.sown - len(recall.missed))
    record_property("false alarms", len(recall.false_alarms))
    assert recall.sown
    assert not recall.missed
    assert not recall.false_alarms


@pytest.mark.parametrize("kind", sorted(SOWINGS))
def test_tiles_and_changes_find_what_a_full_check_finds(kind):
    assert_reach_is_kept(rule_kinds()[kind], SOWINGS[kind]())


@pytest.mark.parametrize("kind", sorted(SOWINGS))
def test_null_empty_and_invalid_geometry_is_borne(kind, cases_of):
    failing = [case for case in cases_of(kind) if case.what == "fail"]
    assert_bad_geometry_is_borne(rule_kinds()[kind], failing[:2])
