"""The city's own deliveries, against what an exact comparison by hand finds in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest

from cityframe.config.source import Feed, Guards
from cityframe.core.frames import empty_frame, with_column_types
from cityframe.model.delivery import Delivery, DeliveryKind
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.reconcile import FrameLayer, Reconciled, Setting, compose, reconcile

pytestmark = pytest.mark.city

TITLE = Title("道路中心线", "Street centrelines")
# regenerated in each export, or the date of the export
IGNORED = ("geometry", "globalid", "editdate")
Update = Callable[..., Reconciled]


def read(folder: Path, date: str) -> gpd.GeoDataFrame:
    """Return one delivery's centrelines by their last record a key, in metres."""
    path = f"zip://{folder / f'cambridge_{date}.zip'}!TRANS_Centerlines.geojson"
    frame = gpd.read_file(path).to_crs("EPSG:26986").rename(columns=str.lower)
    return frame[frame["id"].notna() & ~frame["id"].duplicated(keep="last")]


@pytest.fixture(scope="module")
def update(city_data: Path) -> Update:
    """Return a function that reconciles one delivery of the city with the one before."""

    def run(before: str, after: str, accuracy_m: float, **limits: Any) -> Reconciled:
        frames = [read(city_data, date) for date in (before, after)]
        names = [c for c in frames[0] if c in frames[1] and c not in IGNORED]
        is_number = {name: frames[0][name].dtype.kind in "if" for name in names}
        layer = Layer(
            name="centrelines",
            title=TITLE,
            geometry=GeometryType.LINESTRING,
            crs="EPSG:26986",
            precision_m=0.001,
            accuracy_m=accuracy_m,
            key=("id",),
            attributes=tuple(
                Attribute(
                    name,
                    AttributeType.REAL if is_number[name] else AttributeType.STRING,
                    TITLE,
                )
                for name in names
            ),
        )
        current = FrameLayer(layer, empty_frame(layer, ["uid"]))
        feed = Feed(layer=layer.name, columns={}, guards=Guards(**limits))
        for date, frame in zip((before, after), frames, strict=True):
            incoming = with_column_types(frame[[*names, "geometry"]], layer).assign(
                record=range(len(frame)),
                source_key=frame["id"].astype("str"),
                operation="upsert",
                valid_from=pd.NaT,
            )
            setting = Setting(
                layer=layer,
                feed=feed,
                delivery=Delivery(f"city.{date}", "city", "", f"{date}T00:00:00Z", "", (), ""),
                delivery_kind=DeliveryKind.FULL,
                accuracy_m=accuracy_m,
            )
            result = reconcile(current, incoming, setting)
            current = compose(current, result.changes)
        return result

    return run


@pytest.mark.parametrize(
    ("accuracy_m", "expected"),
    [
        # by exact comparison: 52 with another geometry, one of them 2.7 km away under the same id
        (0.001, {"reshaped": 51, "attributes": 121, "new": 20, "removed": 14}),
        (0.1, {"moved": 1, "reshaped": 48, "attributes": 123, "new": 20, "removed": 14}),
        (0.5, {"moved": 2, "reshaped": 44, "attributes": 123, "new": 20, "removed": 14}),
    ],
)
def test_two_years_of_street_centrelines(
    update: Update, accuracy_m: float, expected: dict[str, int]
) -> None:
    result = update("2014-02-13", "2016-03-15", accuracy_m, removed_share=0.01)
    assert result.changes["change"].value_counts().to_dict() == expected
    assert result.findings["rule"].tolist() == ["reconcile.implausible-match"]
    assert "2671 m" in result.findings["found"].iloc[0]
    # 149 by exact comparison, one of them withheld with the recycled id
    assert result.changes["has_new_attributes"].sum() == 148
    assert len(result.fates) == 2608


def test_streets_that_were_joined_are_not_lost(update: Update) -> None:
    result = update("2014-02-13", "2016-03-15", 0.1, removed_min=1, removed_cell_share=1)
    # 14 keys are gone, 0.54 %: more than the default; five of those streets are part of others now
    assert result.lineage["event"].value_counts().to_dict() == {
        "merged": 5,
        "split": 2,
        "replaced": 2,
    }
    assert result.quarantine_reasons == ()
    strict = update("2014-02-13", "2016-03-15", 0.1, removed_min=1, removed_share=0.003)
    assert strict.quarantine_reasons[0] == (
        "9 of 2602 features (0.35%) of centrelines would be removed"
    )


@pytest.mark.parametrize("accuracy_m", [0.001, 0.1, 0.5, 1.0])
def test_the_shift_of_2019_is_named_under_any_accuracy(update: Update, accuracy_m: float) -> None:
    result = update("2019-02-04", "2019-04-02", accuracy_m)
    assert "\n".join(result.quarantine_reasons) == (
        "the whole layer centrelines is shifted by dx = -0.042 m, dy = 0.961 m "
        "(2617 of 2625 features)"
    )
    assert set(result.fates["fate"]) == {"waiting"}
