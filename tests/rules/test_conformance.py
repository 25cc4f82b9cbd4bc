"""What conformance asks of the kinds of other packages, and that it notices what is missing."""

import sys
import types
from dataclasses import replace
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import shapely
from pydantic import Field

from cityframe.errors import DeclarationError
from cityframe.model.finding import Gate
from cityframe.model.layer import GeometryType
from cityframe.rules import registry
from cityframe.rules.conformance import Sowing, conform
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import own_measure
from cityframe.rules.proving.cases import read_cases
from cityframe.rules.words import words

PAGE = """A roof is large enough.

Null and invalid geometries pass; their own rules find them. This is the page.

```yaml
kind: roof_size
parameters: {min_m2: 2.0}
```
"""
CASES = """\
kind: roof_size
geometry: Polygon
parameters: {min_m2: 2.0}
cases:
  - {title: large, is: pass, grid: aa, features: [{cells: a}]}
  - title: small
    is: fail
    grid: aab
    features: [{cells: a}, {cells: b}]
    findings: [{row: 1, found: 1.00 m², found_zh: 1.00 平方米, place: {cells: b}}]
  - {title: limit, is: limit, grid: aa, features: [{cells: a}]}
  - {title: none, is: empty, features: []}
"""


class RoofParameters(Parameters):
    """What the kind needs."""

    min_m2: float = Field(gt=0, description="smallest area allowed, in m²")


class BareParameters(Parameters):
    """Says nothing of its parameter."""

    min_m2: float


def _check(context, parameters):
    area = shapely.area(context.usable_geometry)
    row = np.flatnonzero(area < parameters.min_m2)
    return defects(row=row, found=words("{a:.2f} m²", "{a:.2f} 平方米", a=area[row]))


def _first_neighbour(context, parameters):
    """Looks at the whole layer, though the kind says that it looks at a feature alone."""
    found = _check(context, parameters)
    return found.assign(found=f"{len(context.frame)} roofs") if len(found) else found


def _kind(**more):
    given = {
        "name": "roof_size", "number": 1000, "group": "other", "measure": own_measure("x", "y"),
        "params": RoofParameters, "reach": "feature", "geometry": AREAS, "check": _check,
    }  # fmt: skip
    return RuleKind(**{**given, **more})


@pytest.fixture
def offer(monkeypatch):
    """Return a function that offers a kind as another package would."""

    def offer_kind(kind, page=PAGE, name="roof_size"):
        module = types.ModuleType("another_package", page)
        module.KIND = kind
        monkeypatch.setitem(sys.modules, "another_package", module)
        entry = EntryPoint(name=name, value="another_package:KIND", group=registry.GROUP)
        monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
        registry._registered.cache_clear()
        return kind

    yield offer_kind
    monkeypatch.undo()
    registry._registered.cache_clear()


@pytest.fixture
def cases(tmp_path):
    path = tmp_path / "roof_size.yaml"
    path.write_text(CASES, encoding="utf-8")
    return path


@pytest.fixture
def sowing(layer_of, frame_of):
    layer = layer_of("roofs", "Polygon")
    frame = frame_of(layer, [{"uid": f"r{row:03d}"} for row in range(100)])
    side = np.where(np.arange(100) % 10 == 3, 1.0, 3.0)
    x = np.arange(100) * 5.0
    frame = frame.set_geometry(shapely.box(x, 0, x + side, side), crs=layer.crs)
    failing = frozenset(frame["uid"][side == 1.0])
    return Sowing(layer, frame, {"min_m2": 2.0}, failing)


def test_a_sound_kind_conforms(offer, cases, sowing):
    conform(offer(_kind()), cases, sowing)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"number": 32}, "number 32 is that of overlaps"),
        ({"measure": own_measure("", "y")}, "has no register, id or name"),
        ({"params": BareParameters}, "parameter min_m2 has no description"),
        ({"check": lambda context, parameters: no_defects()}, "0 findings, not 1"),
        ({"check": lambda context, parameters: None}, "AttributeError|TypeError"),
        (
            {"check": lambda context, parameters: no_defects().drop(columns="row")},
            "defects without row",
        ),
        ({"check": lambda context, _: defects(row=[7], found=["x"])}, "positions outside"),
        ({"check": lambda context, _: 1 / 0}, "ZeroDivisionError"),
    ],
)
def test_what_a_kind_lacks_is_told(offer, cases, sowing, changed, told):
    kind = offer(_kind(**changed))
    with pytest.raises(AssertionError, match=told):
        conform(kind, cases, sowing)


def test_a_kind_that_is_not_installed_is_told(offer, cases, sowing):
    offer(_kind())
    with pytest.raises(AssertionError, match="no entry point"):
        conform(_kind(), cases, sowing)


@pytest.mark.parametrize("page", ["Short.", PAGE.replace("min_m2", "min_area")])
def test_a_page_without_a_right_example_is_told(offer, cases, sowing, page):
    kind = offer(_kind(), page)
    with pytest.raises(AssertionError, match=r"no manual|does not fit"):
        conform(kind, cases, sowing)


@pytest.mark.parametrize("what", ["pass", "fail", "limit", "empty"])
def test_a_sort_of_case_that_is_missing_is_told(offer, cases, sowing, what):
    text = CASES.replace(f"is: {what}", "is: limit" if what != "limit" else "is: pass")
    cases.write_text(text, encoding="utf-8")
    kind = offer(_kind())
    with pytest.raises(AssertionError, match="cases that"):
        conform(kind, cases, sowing)


def test_a_case_file_that_is_none_is_refused(cases):
    cases.write_text("kind: roof_size\ncases: [{is: pass}]\n", encoding="utf-8")
    with pytest.raises(DeclarationError, match="no case"):
        read_cases(cases)
    text = CASES.replace("features: [{cells: a}]}", "features: [{cells: z}]}", 1)
    cases.write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError, match="no 'z' in the grid"):
        read_cases(cases)


def test_a_kind_that_fails_on_an_empty_geometry_is_told(offer, cases, sowing):
    def check(context, parameters):
        if any(one is None or one.is_empty for one in context.geometry):
            raise ValueError("no place")
        return _check(context, parameters)

    kind = offer(_kind(check=check))
    with pytest.raises(AssertionError, match=r"null, empty and invalid.*no place"):
        conform(kind, cases, sowing)


def test_a_kind_that_looks_beyond_its_reach_is_told(offer, cases, sowing):
    text = CASES.replace("found: 1.00 m²", "found: 2 roofs")
    cases.write_text(text, encoding="utf-8")
    kind = offer(_kind(check=_first_neighbour))
    with pytest.raises(AssertionError, match="in tiles, reach feature: differs"):
        conform(kind, cases, sowing)


def test_missed_defects_and_false_alarms_are_told(offer, cases, sowing):
    kind = offer(_kind())
    with pytest.raises(AssertionError, match="missed r000"):
        conform(kind, cases, replace(sowing, failing=sowing.failing | {"r000"}))
    with pytest.raises(AssertionError, match="false alarms r003"):
        conform(kind, cases, replace(sowing, failing=sowing.failing - {"r003"}))
    with pytest.raises(AssertionError, match="nothing is sown"):
        conform(kind, cases, replace(sowing, failing=frozenset()))


def test_a_kind_under_another_name_names_its_entry_point(offer):
    offer(_kind(), name="roof")
    with pytest.raises(DeclarationError, match=r"another_package:KIND.*entry point 'roof' gives"):
        registry.rule_kinds()


@pytest.mark.parametrize("value", ["another_package:NONE", "not_there_at_all:KIND"])
def test_what_can_not_be_loaded_names_its_entry_point(offer, monkeypatch, value):
    offer(_kind())
    entry = EntryPoint(name="roof_size", value=value, group=registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    registry._registered.cache_clear()
    with pytest.raises(DeclarationError, match=f"{value}.*does not load"):
        registry.rule_kinds()


def test_a_kind_that_fails_closes_the_gate(offer, cases):
    for check in (lambda context, _: 1 / 0, lambda context, _: "no table"):
        offer(_kind(check=check))
        case = next(case for case in read_cases(cases) if case.what == "pass")
        checked = case.check()
        assert checked.results[0].message
        assert checked.results[0].gate is Gate.BLOCK
        assert "could not be checked" in checked.gate_reasons[0]
    assert case.layer.geometry is GeometryType.POLYGON
