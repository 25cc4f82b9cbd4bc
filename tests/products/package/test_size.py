"""A change package weighs no more than geodiff's changeset of the same change."""

import string

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pygeodiff
import pytest
import shapely

from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.products.package import LayerDelta
from cityframe.products.package.change_file import read_change_file, write_changes
from cityframe.products.package.change_table import change_table

FEATURES, CHANGES = 5_000, 500
PROVENANCE = {"delivery": "survey-2025", "valid_from": "2025-03-01"}
_TYPES = {
    "name": AttributeType.STRING, "street": AttributeType.STRING, "usage": AttributeType.STRING,
    "code": AttributeType.STRING, "floors": AttributeType.INTEGER, "height_m": AttributeType.REAL,
}  # fmt: skip
TITLE = Title(zh="建筑物", en="Buildings")
LAYER = Layer(
    name="buildings",
    title=TITLE,
    geometry=GeometryType.POLYGON,
    crs="EPSG:4547",
    precision_m=0.001,
    accuracy_m=0.25,
    key=(),
    attributes=tuple(Attribute(name, kind, TITLE) for name, kind in _TYPES.items()),
)


def buildings(count, random, *, fid_from, delivery, valid_from):
    """Return star-shaped buildings of 11 corners with rounded coordinates."""
    angle = np.linspace(0, 2 * np.pi, 11, endpoint=False)
    place = np.array([500_000, 3_400_000]) + random.uniform(0, 10_000, (count, 1, 2))
    radius = random.uniform(5, 9, (count, 11))
    corners = radius[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    letters = np.array(list(string.digits + string.ascii_uppercase))
    columns = {
        "fid": np.arange(fid_from, fid_from + count),
        "uid": ["".join(row) for row in letters[random.integers(0, 32, (count, 20))]],
        "valid_from": pd.Series([pd.Timestamp(valid_from, tz="UTC")] * count).dt.as_unit("us"),
        "delivery": delivery,
        "record": pd.array(random.permutation(count), "Int64"),
        "basis": "rule 3",
        "name": [f"幸福小区{number}号楼" for number in random.integers(1, 200, count)],
        "street": [f"中山路{number}号" for number in random.integers(1, 999, count)],
        "usage": random.choice(["住宅", "商业", "工业"], count),
        "code": [f"3201{number:08d}" for number in random.integers(0, 10**8, count)],
        "floors": pd.array(random.integers(1, 33, count), "Int64"),
        "height_m": random.integers(30, 900, count) / 10,
    }
    shapes = shapely.polygons(np.round(place + corners, 3))
    return gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4547")


def bent(shape, random):
    corners = shapely.get_coordinates(shape)
    corners[3] = np.round(corners[3] + random.normal(0, 2, 2), 3)
    return shapely.polygons(corners)


def changed(before, random):
    """Return the layer after, and the kind of each change: a tenth new, a tenth removed."""
    tenth = CHANGES // 10
    removed, moved, reshaped, attributes, _ = np.split(
        random.permutation(len(before)), np.cumsum([tenth, 2 * tenth, 2 * tenth, 4 * tenth])
    )
    after = before.copy()
    shapes = after.geometry.to_numpy().copy()
    shapes[moved] = [
        shapely.transform(one, lambda xy: np.round(xy + random.normal(0, 1, 2), 3))
        for one in shapes[moved]
    ]
    shapes[reshaped] = [bent(one, random) for one in shapes[reshaped]]
    after = after.set_geometry(gpd.GeoSeries(shapes, crs=before.crs))
    after.loc[attributes, "floors"] = after.loc[attributes, "floors"] + 1
    after.loc[attributes, "name"] = after.loc[attributes, "name"] + "A"
    touched = np.concatenate([moved, reshaped, attributes])
    after.loc[touched, "delivery"] = "survey-2026"
    after.loc[touched, "valid_from"] = pd.Timestamp("2026-03-01", tz="UTC")
    after.loc[touched, "record"] = random.permutation(len(touched))
    fresh = buildings(
        tenth, random, fid_from=len(before) + 1, delivery="survey-2026", valid_from="2026-03-01"
    )
    kinds = {"removed": removed, "moved": moved, "reshaped": reshaped, "attributes": attributes}
    kind_of = {
        uid: kind for kind, places in kinds.items() for uid in before["uid"].to_numpy()[places]
    }
    return pd.concat([after.drop(index=removed), fresh], ignore_index=True), kind_of


@pytest.fixture
def two_states():
    random = np.random.default_rng(7)
    before = buildings(
        FEATURES, random, fid_from=1, delivery="survey-2025", valid_from="2025-03-01"
    )
    return before, *changed(before, random)


def changeset_bytes(folder, before, after, level):
    """Return the size of geodiff's changeset; the features keep their row numbers."""
    for name, frame in (("before", before), ("after", after)):
        frame.to_file(folder / f"{name}.gpkg", layer="buildings", engine="pyogrio", FID="fid")
    paths = [str(folder / name) for name in ("before.gpkg", "after.gpkg", "diff")]
    pygeodiff.GeoDiff().create_changeset(*paths)
    content = (folder / "diff").read_bytes()
    return pa.Codec("zstd", compression_level=level).compress(content).size


def test_a_change_is_no_larger_than_a_changeset_of_geodiff(tmp_path, two_states):
    before, after, kinds = two_states
    removed = before[before["uid"].isin(kinds)].reset_index(drop=True)
    removed["change"] = removed["uid"].map(kinds)
    is_added = ~after["uid"].isin(before["uid"]) | after["uid"].isin(kinds)
    table = change_table(LayerDelta(LAYER, removed, after[is_added].reset_index(drop=True)))
    path = tmp_path / "buildings.changes.parquet"
    write_changes(path, table, LAYER)
    assert read_change_file(path, LAYER).equals(table)
    assert len(table) == CHANGES
    # the same compression at the same, its strongest level
    assert path.stat().st_size <= changeset_bytes(tmp_path, before, after, level=19)


def test_the_same_changes_give_the_same_bytes_in_any_order(tmp_path, two_states):
    before, after, kinds = two_states
    removed = before[before["uid"].isin(kinds)]
    removed = removed.assign(change=removed["uid"].map(kinds))
    added = after[~after["uid"].isin(before["uid"]) | after["uid"].isin(kinds)]
    for name, seed in (("one", 1), ("two", 2)):
        sides = [
            side.sample(frac=1, random_state=seed).reset_index(drop=True)
            for side in (removed, added)
        ]
        write_changes(tmp_path / name, change_table(LayerDelta(LAYER, *sides)), LAYER)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
