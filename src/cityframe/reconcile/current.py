"""The state of a layer that a delivery is reconciled with."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.digest import row_digests
from cityframe.core.frames import empty_frame, key_text
from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer

_BATCH = 100_000


class CurrentLayer(Protocol):
    """One layer as it stands, its rows read only where they are needed."""

    layer: Layer

    def index(self) -> pd.DataFrame:
        """Return ``uid``, ``key`` (`key_text` of the layer's key, null for none) and ``digest``."""

    def rows(self, uids: Sequence[str]) -> gpd.GeoDataFrame:
        """Return layer frame with ``uid``, all attributes and geometry, in the order of uids."""

    def all_rows(self) -> gpd.GeoDataFrame:
        """Return all rows as a layer frame with ``uid``."""


class FrameLayer:
    """A layer held in memory.

    Parameters
    ----------
    layer : Layer
        The contract.
    frame : GeoDataFrame
        Layer frame with ``uid`` and all attributes; other columns are left out.
    """

    def __init__(self, layer: Layer, frame: gpd.GeoDataFrame) -> None:
        self.layer = layer
        columns = ["uid", *layer.attribute_names, "geometry"]
        self._frame = frame[columns].reset_index(drop=True)

    @cached_property
    def _uids(self) -> "pd.Index[str]":
        uids: pd.Index[str] = pd.Index(self._frame["uid"])
        return uids

    @cached_property
    def _index(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "uid": self._frame["uid"],
                "key": key_text(self._frame, self.layer.key),
                "digest": digests_of(self._frame, self.layer),
            }
        )

    def index(self) -> pd.DataFrame:
        """Return ``uid``, ``key`` and ``digest`` of each feature."""
        return self._index

    def rows(self, uids: Sequence[str]) -> gpd.GeoDataFrame:
        """Return the rows of some features in the order of ``uids``.

        Raises
        ------
        IntegrityError
            If the layer has no such feature.
        """
        at = self._uids.get_indexer(pd.Index(list(uids), dtype="str"))
        if (at < 0).any():
            unknown = next(uid for uid, position in zip(uids, at, strict=True) if position < 0)
            raise _no_feature(unknown, self.layer)
        return self._frame.iloc[at].reset_index(drop=True)

    def all_rows(self) -> gpd.GeoDataFrame:
        """Return all rows."""
        return self._frame


class ChangedLayer:
    """A layer with changes applied: the changed rows lie over it, the others stay where they are.

    Parameters
    ----------
    base : CurrentLayer
        The state before.
    changes : GeoDataFrame
        A change table.
    """

    def __init__(self, base: CurrentLayer, changes: gpd.GeoDataFrame) -> None:
        self.layer = base.layer
        self._base = base
        is_removed = changes["change"] == ChangeKind.REMOVED.value
        self._touched, self._removed = changes["uid"], changes.loc[is_removed, "uid"]
        self._overlay = FrameLayer(base.layer, changes[~is_removed])

    @cached_property
    def _index(self) -> pd.DataFrame:
        below = self._base.index()
        kept = below[~below["uid"].isin(self._touched)]
        return pd.concat([kept, self._overlay.index()], ignore_index=True)

    def index(self) -> pd.DataFrame:
        """Return ``uid``, ``key`` and ``digest`` of each feature."""
        return self._index

    def rows(self, uids: Sequence[str]) -> gpd.GeoDataFrame:
        """Return the rows of some features in the order of ``uids``.

        Raises
        ------
        IntegrityError
            If the layer has no such feature.
        """
        wanted = pd.Series(uids, dtype="str")
        gone = wanted[wanted.isin(self._removed)]
        if len(gone):
            raise _no_feature(gone.iloc[0], self.layer)
        is_above = wanted.isin(self._overlay.all_rows()["uid"])
        above = self._overlay.rows(wanted[is_above].tolist())
        below = self._base.rows(wanted[~is_above].tolist())
        order = np.concatenate([np.flatnonzero(is_above), np.flatnonzero(~is_above)])
        return stacked([above, below], self.layer).iloc[np.argsort(order)].reset_index(drop=True)

    def all_rows(self) -> gpd.GeoDataFrame:
        """Return all rows, those that did not change first."""
        below = self._base.all_rows()
        kept = below[~below["uid"].isin(self._touched)]
        return stacked([kept, self._overlay.all_rows()], self.layer)


def compose(current: CurrentLayer, changes: gpd.GeoDataFrame) -> CurrentLayer:
    """Return the layer with changes applied, without copying it.

    A second delivery of a cycle is reconciled with the outcome of the first.

    Parameters
    ----------
    current : CurrentLayer
        The state before.
    changes : GeoDataFrame
        A change table on it; not changed and not to be changed later.
    """
    return ChangedLayer(current, changes) if len(changes) else current


def digests_of(frame: gpd.GeoDataFrame, layer: Layer) -> npt.NDArray[np.object_]:
    """Return the row digests, worked out in batches: the canonical bytes of a row are not small."""
    digests = np.empty(len(frame), dtype=object)
    for batch in batches(len(frame)):
        digests[batch] = row_digests(frame.iloc[batch], layer)
    return digests


def batches(count: int) -> Iterator[slice]:
    """Return slices that cover ``count`` rows, each of a size that memory bears."""
    return (slice(start, start + _BATCH) for start in range(0, count, _BATCH))


def stacked(
    parts: Sequence[gpd.GeoDataFrame], layer: Layer, system_columns: Sequence[str] = ("uid",)
) -> gpd.GeoDataFrame:
    """Return layer frames one under another, with a new RangeIndex."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return empty_frame(layer, system_columns)
    table = pd.concat(filled, ignore_index=True)
    return gpd.GeoDataFrame(table, geometry="geometry", crs=layer.crs)


def _no_feature(uid: str, layer: Layer) -> IntegrityError:
    return IntegrityError(found=f"no feature {uid!r}", where=f"layer {layer.name}")
