import json

import geopandas as gpd
import pytest
import shapely

from cityframe.errors import DeclarationError
from cityframe.products.report.columns import Grid
from cityframe.products.report.feature_columns import (
    check_features,
    distinct_features,
    feature_columns,
)
from cityframe.products.report.listing import list_findings

GRID = {"EPSG:4547": Grid(0.0, 0.0, 0.001)}


@pytest.fixture
def listing(sample):
    return list_findings(sample.findings, sample.layers)


def features(ids, sides, attributes, *, uid="p-1", geometry=None):
    return gpd.GeoDataFrame(
        {
            "finding_id": ids,
            "side": sides,
            "uid": uid,
            "attributes": [
                one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)
                for one in attributes
            ],
        },
        geometry=geometry or [shapely.box(0, 0, 1, 1)] * len(ids),
        crs="EPSG:4547",
    )


def columns(frame, listing, layers):
    kept = {"parcel": distinct_features(frame, listing)}
    return feature_columns(kept, ("parcel",), listing, layers, GRID)


def test_feature_of_two_findings_stands_once(sample, listing):
    first, second = listing.table["finding_id"].iloc[:2]
    frame = features([first, second], ["after", "after"], [{"land_use": "0701"}] * 2)
    encoded = columns(frame, listing, sample.layers)
    (table,) = encoded["tables"]
    assert len(table["side"]) == 1
    assert encoded["counts"][:3] == [1, 1, 0]
    assert encoded["of"] == [0, 0]


def test_geometry_that_did_not_change_stands_once(sample, listing):
    identity = listing.table["finding_id"].iloc[0]
    attributes = [{"land_use": "0701"}, {"land_use": "0702"}]
    frame = features([identity] * 2, ["before", "after"], attributes)
    (table,) = columns(frame, listing, sample.layers)["tables"]
    assert table["place"] == [0, 0]
    assert table["block"]["n"] == 1


def test_absent_null_and_like_values_are_told_apart(sample, listing):
    identity = listing.table["finding_id"].iloc[0]
    values = [{"x": None}, {}, {"x": 1}, {"x": True}, {"x": "1"}, {"x": 1.0}]
    places = [shapely.Point(n, 0) for n in range(len(values))]
    frame = features([identity] * len(values), "after", values, geometry=places)
    (table,) = columns(frame, listing, sample.layers)["tables"]
    encoded = table["attributes"]["x"]
    assert encoded["at"] == [0, -1, 1, 2, 3, 4]
    assert json.dumps(encoded["values"]) == '[null, 1, true, "1", 1.0]'


def test_attributes_stand_in_the_order_of_the_contract(sample, listing):
    identity = listing.table["finding_id"].iloc[0]
    frame = features([identity], ["after"], [{"extra": 1, "owner_kind": "a", "parcel_no": "b"}])
    (table,) = columns(frame, listing, sample.layers)["tables"]
    assert list(table["attributes"]) == ["parcel_no", "owner_kind", "extra"]


def test_features_of_findings_that_are_not_listed_are_left_out(sample, listing):
    encoded = columns(features(["unknown"], ["after"], [{}]), listing, sample.layers)
    assert encoded["of"] == []
    assert encoded["tables"][0]["side"] == []


@pytest.mark.parametrize("text", ["{", "[1]", '{"x": NaN}'])
def test_attributes_that_are_no_json_object_are_refused(sample, listing, text):
    frame = features([listing.table["finding_id"].iloc[0]], ["after"], [text])
    with pytest.raises(DeclarationError, match="features of parcel"):
        columns(frame, listing, sample.layers)


def test_frame_must_fit_its_layer(sample):
    good = features(["a"], ["after"], [{}])
    check_features("parcel", good, sample.layers)
    with pytest.raises(DeclarationError, match="no column uid"):
        check_features("parcel", good.drop(columns="uid"), sample.layers)
    with pytest.raises(DeclarationError, match="'during', expected before or after"):
        check_features("parcel", good.assign(side="during"), sample.layers)
    with pytest.raises(DeclarationError, match="features of moon: no such layer"):
        check_features("moon", good, sample.layers)
    with pytest.raises(DeclarationError, match="CRS EPSG:4490, expected EPSG:4547"):
        check_features("parcel", good.to_crs("EPSG:4490"), sample.layers)
