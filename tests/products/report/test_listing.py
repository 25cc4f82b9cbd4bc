import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.core.findings import findings_frame
from cityframe.errors import DeclarationError
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.products.report.listing import finding_totals, list_findings, source_titles

CRS = "EPSG:4547"


def findings(rows, *, rule="r", gate=Gate.NOTE, weight=DefectClass.D, layer="parcel", crs=CRS):
    return findings_frame(
        pd.DataFrame(rows),
        rule=rule,
        kind="k",
        defect_class=weight,
        gate=gate,
        scope=Scope.CANDIDATE,
        layer=layer,
        delivery="",
        crs=crs,
    )


def test_most_severe_findings_come_first(sample):
    table = list_findings(sample.findings, sample.layers).table
    rank = table["gate"].map({"block": 0, "review": 1, "note": 2})
    assert rank.is_monotonic_increasing
    for _, same_gate in table.groupby("gate"):
        assert same_gate["defect_class"].is_monotonic_increasing


def test_order_does_not_depend_on_the_frames_handed_in(sample):
    (frame,) = sample.findings.values()
    halves = {"b": frame.iloc[::2], "a": frame.iloc[1::2]}
    turned = {"x": frame.iloc[::-1]}
    whole = list_findings(sample.findings, sample.layers)
    for other in (halves, turned):
        listing = list_findings(other, sample.layers)
        pd.testing.assert_frame_equal(listing.table, whole.table)
        assert shapely.equals_exact(listing.geometry, whole.geometry)[
            ~shapely.is_missing(whole.geometry)
        ].all()
        assert finding_totals(listing) == finding_totals(whole)


def test_places_stay_with_their_findings(sample):
    frame = findings(
        {
            "uid": ["b", "a"],
            "found": ["f", "f"],
            "geometry": [shapely.Point(2, 2), shapely.Point(1, 1)],
        }
    )
    listing = list_findings({"one": frame}, sample.layers)
    place = dict(zip(listing.table["uid"], listing.geometry, strict=True))
    assert place == {"a": shapely.Point(1, 1), "b": shapely.Point(2, 2)}


def test_waived_findings_are_listed_and_not_counted_as_open(sample):
    frame = findings({"uid": ["a", "b"], "found": ["f", "f"]}, gate=Gate.BLOCK)
    listing = list_findings({"one": frame}, sample.layers, frozenset(frame["finding_id"].iloc[:1]))
    totals = finding_totals(listing)
    assert (totals.total, totals.waived, totals.open_by_gate["block"]) == (2, 1, 1)


@pytest.mark.parametrize("change", ["found", "geometry", "waiver"])
def test_digest_moves_with(sample, change):
    rows = {"uid": ["a"], "found": ["f"], "geometry": [shapely.Point(1, 1)]}
    before = finding_totals(list_findings({"one": findings(rows)}, sample.layers)).digest
    other = {
        "found": rows | {"found": ["g"]},
        "geometry": rows | {"geometry": [shapely.Point(1, 1.001)]},
        "waiver": rows,
    }[change]
    frame = findings(other)
    waived = frozenset(frame["finding_id"]) if change == "waiver" else frozenset()
    after = finding_totals(list_findings({"one": frame}, sample.layers, waived)).digest
    assert before != after


@pytest.mark.parametrize(
    "geometry",
    [shapely.Point(np.nan, 1), shapely.Polygon(), shapely.LineString([(0, 0), (np.inf, 1)]), None],
)
def test_finding_without_a_usable_place_is_listed_without_one(sample, geometry):
    frame = findings({"uid": ["a", "b"], "found": "f", "geometry": [shapely.Point(0, 0), geometry]})
    listing = list_findings({"one": frame}, sample.layers)
    assert shapely.is_missing(listing.geometry).sum() == 1


def test_findings_of_a_table_need_no_crs(sample):
    frame = findings({"uid": ["a"], "found": ["f"]}, crs=None)
    assert len(list_findings({"tables": frame}, sample.layers).table) == 1


def test_missing_column_is_named(sample):
    frame = findings({"uid": ["a"], "found": ["f"]}).drop(columns=["expected", "gate"])
    with pytest.raises(DeclarationError, match="findings of one: no column gate, expected"):
        list_findings({"one": frame}, sample.layers)


def test_unknown_layer_is_refused(sample):
    frame = findings({"uid": ["a"], "found": ["f"]}, layer="moon")
    with pytest.raises(DeclarationError, match="'moon'"):
        list_findings({"one": frame}, sample.layers)


def test_place_in_another_crs_than_its_layer_is_refused(sample):
    frame = findings({"uid": ["a"], "found": ["f"], "geometry": [shapely.Point(0, 0)]})
    moved = gpd.GeoDataFrame(frame).set_crs("EPSG:4526", allow_override=True)
    with pytest.raises(DeclarationError, match="EPSG:4526, expected EPSG:4547"):
        list_findings({"one": moved}, sample.layers)


def test_a_delivery_older_than_the_report_has_its_sources_title(sample):
    one = sample.report.deliveries[0]
    older = f"{one.delivery.source}.0123456789abcdef"
    found = source_titles(sample.report, [one.delivery.id, older, "nobody.0123"])
    assert found == {one.delivery.id: one.source_title, older: one.source_title}
