"""Named releases are views that any program opens."""

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import sqlalchemy as sa

from cityframe.model.release import Release
from cityframe.store.framework import Framework
from cityframe.store.views import drop_views, name_views, named_views

Make = Callable[..., Release]
FIRST = [("u1", "new", 0, 1), ("u2", "new", 20, 2)]


def rows_of(framework: Framework, view: str) -> dict[str, int]:
    with framework.home.engine.connect() as connection:
        rows = connection.execute(sa.text(f'SELECT uid, floors FROM "{view}"')).all()
    return {uid: int(floors) for uid, floors in rows}


def test_a_named_release_stays_as_it_was_while_the_layer_moves_on(
    framework: Framework, release: Make
) -> None:
    release(FIRST)
    assert name_views(framework, 1, "census") == ["buildings_census"]
    release([("u1", "attributes", 0, 9), ("u2", "removed", 20, 2)], valid_from="2020-01-15")
    assert rows_of(framework, "buildings_census") == {"u1": 1, "u2": 2}
    assert rows_of(framework, "buildings") == {"u1": 9}
    assert named_views(framework) == {"census": 1}


def test_the_same_name_again_makes_the_views_anew_and_dropping_leaves_none(
    framework: Framework, release: Make
) -> None:
    release(FIRST)
    for _ in range(2):
        name_views(framework, 1, "census")
    assert drop_views(framework, "census") == ["buildings_census"]
    assert named_views(framework) == {}
    with pytest.raises(Exception, match="buildings_census"):
        rows_of(framework, "buildings_census")


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_gdal_opens_the_view_of_a_release_as_a_layer(framework: Framework, release: Make) -> None:
    release(FIRST)
    name_views(framework, 1, "census")
    path = Path(framework.label)
    assert dict(pyogrio.list_layers(path))["buildings_census"] == "Polygon"
    frame: gpd.GeoDataFrame = pyogrio.read_dataframe(path, layer="buildings_census")
    assert sorted(frame["uid"]) == ["u1", "u2"]
    assert frame.crs.to_epsg() == 4547
