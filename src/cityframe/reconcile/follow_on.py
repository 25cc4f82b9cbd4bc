"""Changes that follow from others: features that get another geometry without a record of theirs.

They are reshaped, or stay new if they are so; what let them in is their ``basis``, the rule of
their provenance.
"""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd

from cityframe.core.displacement import Geometries
from cityframe.model.change import ChangeKind
from cityframe.model.delivery import Delivery
from cityframe.model.layer import Layer
from cityframe.reconcile.changes import change_table
from cityframe.reconcile.current import CurrentLayer

FOLLOWED_COLUMNS = (
    "uid", "attribute", "source", "delivery", "record", "rule", "decided_by", "score", "margin",
    "losers",
)  # fmt: skip
"""Columns of the provenance of what followed, as the store keeps them."""


def with_geometry(
    changes: gpd.GeoDataFrame,
    current: CurrentLayer,
    layer: Layer,
    *,
    uids: Sequence[str],
    geometry: Geometries,
    valid_from: pd.Series,
    delivery: Delivery,
    basis: str,
) -> gpd.GeoDataFrame:
    """Return a change table in which some features have another geometry.

    Parameters
    ----------
    uids, geometry, valid_from
        The features (each once, none removed), what they get, and from when; n each.
    basis : str
        Of the rows of features that had none; a row that was there keeps its own.

    Returns
    -------
    GeoDataFrame
        A change table. Rows of the last change of a feature are altered (``attributes`` and
        ``moved`` become ``reshaped``); features without a row get one, without a record.
    """
    if not len(uids):
        return changes
    given = pd.Series(geometry, index=pd.Index(list(uids), dtype="str"), dtype=object)
    is_last = ~changes["uid"].duplicated(keep="last")
    at = np.flatnonzero(is_last & changes["uid"].isin(given.index))
    altered = changes.reset_index(drop=True)
    shapes = altered.geometry.to_numpy().copy()
    shapes[at] = given.loc[altered["uid"].iloc[at]].to_numpy()
    kinds = altered["change"].to_numpy(dtype=object).copy()
    kinds[at] = np.where(kinds[at] == ChangeKind.NEW.value, kinds[at], ChangeKind.RESHAPED.value)
    altered = altered.assign(change=kinds).set_geometry(gpd.GeoSeries(shapes, crs=layer.crs))
    fresh = np.flatnonzero(~given.index.isin(changes["uid"]))
    rows = current.rows(given.index[fresh].tolist())
    rows = rows.set_geometry(gpd.GeoSeries(given.to_numpy()[fresh], crs=layer.crs)).assign(
        change=ChangeKind.RESHAPED.value,
        has_new_attributes=False,
        delivery=delivery.id,
        record=pd.array([pd.NA] * len(fresh), dtype="Int64"),
        basis=basis,
        valid_from=valid_from.iloc[fresh].array,
        valid_to=pd.array([pd.NaT] * len(fresh), dtype="datetime64[us, UTC]"),
    )
    return change_table([altered, rows], layer)


def provenance_of(uids: Sequence[str], rule: str, delivery: Delivery) -> pd.DataFrame:
    """Return the provenance of geometries that followed by a rule: `FOLLOWED_COLUMNS`."""
    table = pd.DataFrame({"uid": pd.Series(list(uids), dtype="str")}).assign(
        attribute="geometry",
        source=delivery.source,
        delivery=delivery.id,
        record=pd.Series(pd.NA, index=range(len(uids)), dtype="Int64"),
        rule=rule,
        decided_by=pd.Series(None, index=range(len(uids)), dtype="str"),
        score=np.nan,
        margin=np.nan,
        losers=pd.Series(None, index=range(len(uids)), dtype="str"),
    )
    return table[list(FOLLOWED_COLUMNS)]
