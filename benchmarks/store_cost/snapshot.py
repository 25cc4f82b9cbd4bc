"""From a full snapshot of which 1 % changed to a release, without rules."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio

from cityframe.config.source import Feed
from cityframe.core.frames import with_column_types
from cityframe.model.delivery import Delivery, DeliveryKind
from cityframe.pipeline.current import StoredLayer
from cityframe.reconcile import Setting, reconcile
from store_cost import geopackage
from store_cost.buildings import LAYER, SCHEMA, change_path
from store_cost.framework import load, moment, opened, release
from store_cost.measure import Meter


def prepare(_meter: Meter, folder: Path, url: str | None) -> None:
    """Load the store and write the snapshot: the buildings after the first change."""
    load(Meter(), folder, url)
    before = pq.read_table(folder / "before.parquet")
    change = pq.read_table(change_path(folder, 1))
    touched = pd.Series(before["uid"].to_pylist()).isin(change["uid"].to_pylist())
    kept = change.filter(pa.array(change["change"].to_numpy() != "removed"))
    after = pa.concat_tables([before.filter(pa.array(~touched)), kept.select(SCHEMA.names)])
    geopackage.write(after.drop_columns(["uid"]), geopackage.emptied(folder / "snapshot.gpkg"))


def snapshot_to_release(meter: Meter, folder: Path, url: str | None) -> dict[str, int]:
    """Read the snapshot, reconcile it, stage and commit; returns the changes by kind."""
    framework = opened(meter, folder, url)
    with meter("read the snapshot"):
        frame = pyogrio.read_dataframe(folder / "snapshot.gpkg", use_arrow=True)
    with meter("type and number its records"):
        incoming = _conformed(frame)
    at = moment(2).isoformat().replace("+00:00", "Z")
    delivery = Delivery(
        id="survey.0123456789abcdef", source="survey", origin="snapshot.gpkg", observed_at=at,
        landed_at=at, files=(), digest="0123456789abcdef" * 4,
    )  # fmt: skip
    with meter("reconcile"):
        reconciled = reconcile(
            StoredLayer(framework, LAYER, moment(2)),
            incoming,
            Setting(
                layer=LAYER,
                feed=Feed(layer=LAYER.name, columns={}),
                delivery=delivery,
                delivery_kind=DeliveryKind.FULL,
                accuracy_m=0.25,
            ),
        )
    made = release(meter, framework, folder, reconciled.changes, 2)
    (version,) = made.layers
    return dict(version.changes)


def _conformed(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the snapshot as conforming would: typed, with numbered records."""
    frame = frame.assign(
        record=pd.Series(np.arange(len(frame)), dtype="Int64"),
        source_key=frame["code"],
        operation=pd.Series(["upsert"] * len(frame), dtype="str"),
        valid_from=pd.Series([moment(2)] * len(frame), dtype="datetime64[us, UTC]"),
    )
    return with_column_types(frame, LAYER)
