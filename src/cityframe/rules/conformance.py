"""What a rule kind must keep, to be run by the tests of whoever offers one.

::

    from pathlib import Path

    from cityframe.rules.conformance import Sowing, conform

    def test_the_kind_conforms():
        conform(KIND, Path(__file__).with_name("roof_slope.yaml"), sowing())

The package must be installed (``pip install -e .``), so that its entry point is tried as well.
`cityframe rule new NAME` writes all of it. Cases are those of `cityframe.rules.proving.cases`; a
sowing is clean data with defects at known places. Each ``assert_`` function can be called alone;
all raise AssertionError and say what is wrong.
"""

from collections.abc import Mapping, Sequence
from inspect import getdoc
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import yaml
from pydantic import ValidationError

from cityframe.model.layer import GeometryType
from cityframe.rules.checking.execution import Execution, Threads
from cityframe.rules.checking.since import LayerChange, Since
from cityframe.rules.context import geometries
from cityframe.rules.kind import RuleKind
from cityframe.rules.proving.cases import AS_OF, Case, read_cases
from cityframe.rules.proving.sowing import (
    WHOLE_LAYER,
    Recall,
    Sowing,
    compiled_sowing,
    recall_of,
    sowing_context,
)
from cityframe.rules.proving.without_gate import Findings, findings_of
from cityframe.rules.registry import manual_text, rule_kinds

__all__ = [
    "AS_OF",
    "WHOLE_LAYER",
    "Recall",
    "Sowing",
    "assert_bad_geometry_is_borne",
    "assert_cases_hold",
    "assert_documented",
    "assert_offered",
    "assert_reach_is_kept",
    "assert_recall",
    "conform",
    "recall_of",
]

CASES = frozenset({"pass", "fail", "limit", "empty"})
"""What the cases of a kind must show: clean data, defects, the limit, no features."""

_FEW_ROWS = 16
_ALL_AT_ONCE = Threads(workers=1)
_MANUAL_CHARACTERS = 80
_BAD: Mapping[GeometryType, Sequence[str | None]] = {
    GeometryType.POINT: (None, "POINT EMPTY"),
    GeometryType.MULTIPOINT: (None, "MULTIPOINT EMPTY"),
    GeometryType.LINESTRING: (None, "LINESTRING EMPTY", "LINESTRING (0 0, 0 0)"),
    GeometryType.MULTILINESTRING: (None, "MULTILINESTRING EMPTY", "MULTILINESTRING ((0 0, 0 0))"),
    GeometryType.POLYGON: (None, "POLYGON EMPTY", "POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))"),
    GeometryType.MULTIPOLYGON: (
        None, "MULTIPOLYGON EMPTY", "MULTIPOLYGON (((0 0, 1 1, 1 0, 0 1, 0 0)))",
    ),
}  # fmt: skip


def conform(kind: RuleKind, cases: Path, sowing: Sowing) -> None:
    """Require all that a rule kind must keep.

    Parameters
    ----------
    kind : RuleKind
        Offered by an installed package.
    cases : Path
        Case file of the kind.
    sowing : Sowing
        Some hundred rows, most of them clean.

    Raises
    ------
    AssertionError
        The first that it does not keep.
    DeclarationError
        If the case file can't be read, or another package's kind can't be loaded.
    """
    assert_offered(kind)
    assert_documented(kind)
    read = read_cases(cases)
    assert_cases_hold(kind, read)
    assert_bad_geometry_is_borne(kind, read)
    assert_reach_is_kept(kind, sowing)
    assert_recall(kind, sowing)


def assert_offered(kind: RuleKind) -> None:
    """Require that an entry point offers the kind, and that name and number are its own."""
    kinds = rule_kinds()
    _require(
        kinds.get(kind.name) is kind,
        f"no entry point of cityframe.rules offers kind {kind.name}: is the package installed?",
    )
    same = [one.name for one in kinds.values() if one.number == kind.number and one is not kind]
    _require(not same, f"number {kind.number} is that of {', '.join(same)}: take another one")
    measure = kind.measure
    is_named = bool(measure.register and measure.id and measure.name)
    _require(is_named, f"the measure of {kind.name} has no register, id or name")


def assert_documented(kind: RuleKind) -> None:
    """Require a manual page with an example that the parameters accept, and a word on each."""
    text = manual_text(kind.name)
    _require(len(text) > _MANUAL_CHARACTERS, f"{kind.name}: the module's docstring is no manual")
    _require("```yaml\n" in text, f"{kind.name}: the docstring has no example (```yaml)")
    example = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    _require(example.get("kind") == kind.name, f"{kind.name}: the example is of another kind")
    try:
        kind.params.model_validate(example.get("parameters", {}))
    except ValidationError as error:
        message = f"{kind.name}: the example does not fit the parameters: {error}"
        raise AssertionError(message) from error
    _require(bool(getdoc(kind.params)), f"{kind.name}: the parameters have no docstring")
    for name, field in kind.params.model_fields.items():
        _require(bool(field.description), f"{kind.name}: parameter {name} has no description")


def assert_cases_hold(kind: RuleKind, cases: Sequence[Case]) -> None:
    """Require cases of each sort that give exactly their findings, each time."""
    sorts = {case.what for case in cases}
    _require(sorts == CASES, f"{kind.name}: cases that {sorted(sorts)}, not {sorted(CASES)}")
    for case in cases:
        where = f"{kind.name}, case {case.title!r}"
        _require(case.kind == kind.name, f"{where}: it is of kind {case.kind}")
        _require((len(case.frame) == 0) == (case.what == "empty"), f"{where}: empty has no feature")
        _require(case.what != "fail" or bool(case.findings), f"{where}: fail wants findings")
        _require(case.what != "pass" or not case.findings, f"{where}: pass wants none")
        found = case.found()
        _require(not found.is_error, f"{where}: {found.message}")
        different = case.differences(found.findings)
        _require(not different, f"{where}: {'; '.join(different)}")
        again = case.found().findings
        _require(again.equals(found.findings), f"{where}: equal input gives other findings")


def assert_bad_geometry_is_borne(kind: RuleKind, cases: Sequence[Case]) -> None:
    """Require that features with null, empty and invalid geometry make no check fail to run."""
    for case in cases:
        shape = case.layer.geometry
        if case.what == "empty" or shape is GeometryType.NONE:
            continue
        shapes = shapely.from_wkt(_BAD[shape])
        bad = case.frame.iloc[np.zeros(len(shapes), dtype=int)].copy()
        bad["uid"] = [f"~bad{number}" for number in range(len(shapes))]
        bad = bad.set_geometry(gpd.GeoSeries(shapes, index=bad.index, crs=case.frame.crs))
        frame = pd.concat([case.frame, bad], ignore_index=True)
        frame["record"] = pd.array(range(len(frame)), dtype="Int64")
        for one in (frame, bad.reset_index(drop=True)):
            found = case.found(one)
            told = f"{kind.name}, case {case.title!r} with null, empty and invalid geometry"
            _require(not found.is_error, f"{told}: {found.message}")


def assert_reach_is_kept(kind: RuleKind, sowing: Sowing) -> None:
    """Require the law of reach: tiles and changes give what a full check of the whole gives."""
    if kind.check is None:
        return  # Great Expectations looks at each record alone, and at all of them each time
    frame = sowing.frame.sort_values("uid", ignore_index=True)
    rules = compiled_sowing(kind.name, sowing)

    def found(
        rows: gpd.GeoDataFrame, execution: Execution = _ALL_AT_ONCE, since: Since | None = None
    ) -> Findings:
        return findings_of(sowing_context(rules, sowing, rows), rules, execution, since=since)

    whole = found(frame)
    tiles = Threads(workers=2, tile_rows=max(_FEW_ROWS, len(frame) // 8))
    _require_same(found(frame, tiles), whole, f"{kind.name}: in tiles, reach {kind.reach}")
    # every third feature that fails and every fifth of all come new, then go
    come = np.zeros(len(frame), dtype=bool)
    come[np.flatnonzero(frame["uid"].isin(sowing.failing))[::3]] = True
    come[::5] = True
    fewer = frame[~come].reset_index(drop=True)
    uids, name = frozenset(frame.loc[come, "uid"]), sowing.layer.name
    without = found(fewer)
    added = {name: LayerChange(uids, np.empty(0, dtype=object))}
    removed = {name: LayerChange(uids, geometries(frame[come]))}
    came = found(frame, since=Since(without.findings, added))
    _require_same(came, whole, f"{kind.name}: features that come, reach {kind.reach}")
    went = found(fewer, since=Since(whole.findings, removed))
    _require_same(went, without, f"{kind.name}: features that go, reach {kind.reach}")


def assert_recall(kind: RuleKind, sowing: Sowing) -> Recall:
    """Require that every sown defect is found and nothing else; return the figures."""
    _require(bool(sowing.failing), f"{kind.name}: nothing is sown")
    recall = recall_of(kind.name, sowing)
    _require(not recall.missed, f"{kind.name}: missed {_listed(recall.missed)}")
    _require(not recall.false_alarms, f"{kind.name}: false alarms {_listed(recall.false_alarms)}")
    return recall


def _require(holds: bool, message: str) -> None:
    """Raise AssertionError, whatever Python's -O says."""
    if not holds:
        raise AssertionError(message)


def _require_same(found: Findings, wanted: Findings, what: str) -> None:
    _require(found.message == wanted.message, f"{what}: {found.message or 'it could be checked'}")
    different = _plain(found) ^ _plain(wanted)
    _require(not different, f"{what}: differs in {_listed(different)}")


def _plain(found: Findings) -> frozenset[str]:
    """Return findings as texts, which can be compared."""
    table = found.findings
    places = [one and shapely.normalize(one).wkt for one in geometries(table)]
    names = ["finding_id", "uid", "other", "partner", "found", "expected"]
    texts = [table[name].astype("str").fillna("").tolist() for name in names]
    return frozenset(str(row) for row in zip(*texts, places, strict=True))


def _listed(what: frozenset[str]) -> str:
    shown = sorted(what)[:5]
    more = len(what) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
