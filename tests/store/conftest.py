"""A small layer and frames of it for the store's tests."""

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from cityframe.core.frames import with_column_types
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.model.text import Title
from cityframe.store.candidate import write_candidate
from cityframe.store.commit import commit
from cityframe.store.framework import Framework, open_framework


def attribute(name: str, kind: AttributeType) -> Attribute:
    return Attribute(name=name, type=kind, title=Title(zh=name, en=name))


BUILDINGS = Layer(
    name="buildings",
    title=Title(zh="建筑物", en="Buildings"),
    geometry=GeometryType.POLYGON,
    crs="EPSG:4547",
    precision_m=0.001,
    accuracy_m=0.25,
    key=("number",),
    attributes=(
        attribute("number", AttributeType.STRING),
        attribute("floors", AttributeType.INTEGER),
        attribute("height_m", AttributeType.REAL),
        attribute("is_listed", AttributeType.BOOLEAN),
        attribute("built", AttributeType.DATE),
        attribute("surveyed_at", AttributeType.DATETIME),
    ),
)

REGISTER = Layer(
    name="register",
    title=Title(zh="登记", en="Register"),
    geometry=GeometryType.NONE,
    crs="EPSG:4547",
    precision_m=0.001,
    accuracy_m=0.25,
    key=("number",),
    attributes=(attribute("number", AttributeType.STRING),),
)


@pytest.fixture
def buildings() -> Layer:
    return BUILDINGS


@pytest.fixture
def register() -> Layer:
    return REGISTER


@pytest.fixture(params=["geopackage", "postgis"])
def framework(request: pytest.FixtureRequest, tmp_path: Path) -> Framework:
    """An empty framework, once in each home."""
    if request.param == "geopackage":
        return open_framework(tmp_path / "store")
    server = request.getfixturevalue("postgis_url")
    return open_framework(tmp_path / "store", f"{server}?schema=s{uuid.uuid4().hex}")


def building_changes(
    rows: Sequence[tuple[str, str, float, int]],
    valid_from: str = "2020-01-01",
    valid_to: str | None = None,
) -> gpd.GeoDataFrame:
    """Changes from (uid, kind, x, floors); each building is 10 m by 10 m at x."""
    frame = gpd.GeoDataFrame(
        {
            "uid": [row[0] for row in rows],
            "change": [row[1] for row in rows],
            "has_new_attributes": False,
            "delivery": "survey.0",
            "record": range(len(rows)),
            "basis": "key",
            "valid_from": pd.to_datetime([valid_from] * len(rows), utc=True),
            "valid_to": pd.to_datetime([valid_to] * len(rows), utc=True),
            "number": [f"甲{row[0]}" for row in rows],
            "floors": [row[3] for row in rows],
            "height_m": [3.0 * row[3] for row in rows],
            "is_listed": [None] * len(rows),
            "built": pd.to_datetime(["1999-12-31"] * len(rows)),
            "surveyed_at": pd.to_datetime([valid_from] * len(rows), utc=True),
        },
        geometry=[shapely.box(500000 + r[2], 3e6, 500010 + r[2], 3e6 + 10) for r in rows],
        crs=BUILDINGS.crs,
    )
    return with_column_types(frame, BUILDINGS)


@pytest.fixture
def make_changes() -> Callable[..., gpd.GeoDataFrame]:
    return building_changes


@pytest.fixture
def release(framework: Framework, tmp_path: Path) -> Callable[..., Release]:
    """Commit a release of building changes and return it."""

    def make(
        rows: Sequence[tuple[str, str, float, int]],
        *,
        valid_at: dt.datetime | None = None,
        **options: Any,
    ) -> Release:
        number = len(framework.releases()) + 1
        changes = {"buildings": building_changes(rows, **options)}
        layers = {"buildings": BUILDINGS}
        moment = dt.datetime(2020, number, 1, tzinfo=dt.UTC)
        candidate = write_candidate(
            tmp_path / f"c{number}", framework, changes, layers, valid_at=valid_at or moment
        )
        return commit(
            framework,
            candidate,
            layers,
            kind=ReleaseKind.CYCLE,
            cycle=f"cycle-{number}",
            evidence={"decisions": ["ok"]},
            at=moment,
        )

    return make
