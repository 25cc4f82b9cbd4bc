"""A delivery of a whole layer with eight attributes, reconciled from end to end."""

from collections.abc import Iterator
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
from quality_cost.lines import Line
from store_cost.buildings import LAYER
from store_cost.measure import Meter, run

from cityframe.config.source import Feed, Guards
from cityframe.core.frames import with_column_types
from cityframe.model.delivery import Delivery, DeliveryKind
from cityframe.reconcile import FrameLayer, Setting, reconcile
from reconcile_cost.polygons import changed, layer_rings, polygons

SHARE = 0.018
GUARDS = Guards(removed_share=1, removed_cell_share=1, shift_m=1e9)
OBSERVED_AT = "2026-03-01T00:00:00Z"


def reconciled(rows: int) -> Iterator[Line]:
    """Yield what a snapshot costs with its keys and without."""
    for has_key in (True, False):
        outcome = run(reconcile_layer, rows, has_key)
        what = f"snapshot, 1.8 % changed, {'keys' if has_key else 'no keys'}"
        yield Line("layer", what, outcome.cost, outcome.cost.cpu_s * 1e6 / rows, "us a row")
        yield Line("layer", f"changes: {outcome.value:,}")


def reconcile_layer(meter: Meter, rows: int, has_key: bool) -> int:
    """Reconcile a full delivery; return how many features change."""
    ring = layer_rings(rows)
    layer = LAYER if has_key else replace(LAYER, key=())
    later = np.random.default_rng(2).permutation(rows)
    numbers = np.arange(rows)
    before = _frame(numbers, polygons(ring))
    before["uid"] = [f"b{number:011x}" for number in numbers.tolist()]
    after = _frame(later, polygons(changed(ring, SHARE, 1)[later]))
    after = after.assign(
        record=numbers, source_key=after["code"], operation="upsert", valid_from=OBSERVED_AT
    )
    current = FrameLayer(layer, with_column_types(before, layer))
    # the store has the digests of what stands
    current.index()
    incoming = with_column_types(after, layer)
    setting = Setting(
        layer=layer,
        feed=Feed(layer=layer.name, columns={}, guards=GUARDS),
        delivery=Delivery("d1", "s", "here", OBSERVED_AT, OBSERVED_AT, (), "00"),
        delivery_kind=DeliveryKind.FULL,
        accuracy_m=0.25,
    )
    with meter("reconcile"):
        outcome = reconcile(current, incoming, setting)
    return len(outcome.changes)


def _frame(number: np.ndarray, geometry: np.ndarray) -> gpd.GeoDataFrame:
    text = number.astype(str)
    columns = {
        "name": np.char.add("house ", (number % 977).astype(str)),
        "usage": np.char.add("use ", (number % 4).astype(str)),
        "address": np.char.add("street ", (number % 3011).astype(str)),
        "floors": number % 32 + 1,
        "height_m": number % 900 / 10,
        "built": np.datetime64("1980-01-01") + (number % 15_000).astype("timedelta64[D]"),
        "is_public": number % 10 == 0,
        "code": text,
    }
    return gpd.GeoDataFrame(pd.DataFrame(columns), geometry=geometry, crs=LAYER.crs)
