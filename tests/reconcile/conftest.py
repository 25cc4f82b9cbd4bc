"""One small layer of each geometry, and a desk on which deliveries are reconciled with it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from cityframe.config.source import Feed, Guards
from cityframe.core.frames import empty_frame, with_column_types
from cityframe.model.delivery import Delivery, DeliveryKind
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.reconcile import CurrentLayer, FrameLayer, Reconciled, Setting, reconcile

CRS = "EPSG:4547"
OBSERVED_AT = "2026-03-01T00:00:00Z"
NO_GUARDS = Guards(removed_share=1, removed_cell_share=1, shift_m=1e9)
Row = Mapping[str, Any]


def layer(
    geometry: GeometryType, key: tuple[str, ...] = ("code",), *, has_z: bool = False
) -> Layer:
    title = Title("物", "things")
    return Layer(
        name="things",
        title=title,
        geometry=geometry,
        crs=CRS,
        precision_m=0.001,
        accuracy_m=0.1,
        key=key,
        attributes=(
            Attribute("code", AttributeType.STRING, title),
            Attribute("name", AttributeType.STRING, title),
            Attribute("floors", AttributeType.INTEGER, title),
        ),
    )


@dataclass(frozen=True)
class Desk:
    """Makes frames from short rows and reconciles them; ``at`` is WKT."""

    layer: Layer
    feed: Feed = field(default_factory=lambda: Feed(layer="things", columns={}, guards=NO_GUARDS))

    def guarded(self, **limits: Any) -> "Desk":
        return replace(self, feed=self.feed.model_copy(update={"guards": Guards(**limits)}))

    def current(self, *rows: Row) -> FrameLayer:
        table = pd.DataFrame(list(rows), columns=["uid", *self.layer.attribute_names, "at"])
        return FrameLayer(self.layer, self._typed(table))

    def incoming(self, *rows: Row, without: Sequence[str] = ()) -> gpd.GeoDataFrame:
        names = ["uid", "operation", "valid_from", *self.layer.attribute_names, "at"]
        table = pd.DataFrame(list(rows), columns=names)
        table["record"] = range(len(table))
        table["source_key"] = table["code"]
        table["operation"] = table["operation"].astype("object").fillna("upsert")
        return self._typed(table).drop(columns=list(without))

    def reconcile(
        self,
        current: CurrentLayer,
        incoming: gpd.GeoDataFrame,
        kind: DeliveryKind = DeliveryKind.FULL,
        *,
        delivery: str = "d1",
        **more: Any,
    ) -> Reconciled:
        setting = Setting(
            layer=self.layer,
            feed=self.feed,
            delivery=Delivery(delivery, "s", "here", OBSERVED_AT, OBSERVED_AT, (), "00"),
            delivery_kind=kind,
            **{"accuracy_m": 0.1, **more},
        )
        return reconcile(current, incoming, setting)

    def _typed(self, table: pd.DataFrame) -> gpd.GeoDataFrame:
        if table.empty:
            contract = (*self.layer.attribute_names, "at")
            return empty_frame(self.layer, [name for name in table if name not in contract])
        texts = table["at"].astype("object").where(table["at"].notna(), None)
        geometry = shapely.from_wkt(texts.to_numpy())
        frame = gpd.GeoDataFrame(
            table.drop(columns=["at"]), geometry=gpd.GeoSeries(geometry, crs=CRS), crs=CRS
        )
        return with_column_types(frame, self.layer)


@pytest.fixture(scope="session")
def points() -> Desk:
    return Desk(layer(GeometryType.POINT))


@pytest.fixture(scope="session")
def keyless() -> Desk:
    return Desk(layer(GeometryType.POINT, ()))


@pytest.fixture(scope="session")
def polygons() -> Desk:
    return Desk(layer(GeometryType.POLYGON))


@pytest.fixture(scope="session")
def tables() -> Desk:
    return Desk(layer(GeometryType.NONE))


@pytest.fixture(scope="session")
def city_data() -> Path:
    beside = Path(__file__).parents[3] / "shared" / "data"
    place = Path(os.environ.get("CITYFRAME_DATA", beside)) / "epochs" / "cambridge_ma"
    if not place.is_dir():
        pytest.skip(f"no real data: {place} is absent; set CITYFRAME_DATA")
    return place
