"""The state of a layer that a delivery is reconciled with."""

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import Protocol

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.digest import geometry_bytes, row_digests
from cityframe.core.frames import empty_frame, key_text
from cityframe.core.three_way import same_values
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

    def known_uids(self, uids: Sequence[str]) -> Collection[str]:
        """Return those of the uids that the layer has or ever had."""

    def bridge(self, source: str) -> pd.DataFrame:
        """Return ``source_id``, ``uid``: which feature a source's names stand for."""

    def standing(self, uids: Sequence[str]) -> pd.DataFrame:
        """Return `STANDING_COLUMNS` of the features of which that is known."""

    def origins(self, uids: Sequence[str]) -> pd.DataFrame:
        """Return `ORIGIN_COLUMNS`: who said each value of some features; none where unknown."""

    def base_rows(self, release: int, uids: Sequence[str]) -> gpd.GeoDataFrame:
        """Return rows as of `rows`, as a release had them; those it did not have are left out."""


STANDING_COLUMNS = ("uid", "since", "source")
"""``since``: no value of the feature was observed later. ``source``: of all that was ever said of
it, empty where several sources spoke."""
ORIGIN_COLUMNS = ("uid", "attribute", "source", "delivery", "observed_at")
"""Who said the present value of an attribute (``geometry`` is one), in which delivery, of when."""


def no_standing() -> pd.DataFrame:
    """Return `STANDING_COLUMNS` without rows."""
    return _typed_columns(STANDING_COLUMNS, moment="since")


def no_origins() -> pd.DataFrame:
    """Return `ORIGIN_COLUMNS` without rows."""
    return _typed_columns(ORIGIN_COLUMNS, moment="observed_at")


class FrameLayer:
    """A layer held in memory.

    Parameters
    ----------
    layer : Layer
        The contract.
    frame : GeoDataFrame
        Layer frame with ``uid`` and all attributes; other columns are left out.
    bridge : DataFrame, optional
        ``source``, ``source_id``, ``uid``.
    """

    def __init__(
        self, layer: Layer, frame: gpd.GeoDataFrame, bridge: pd.DataFrame | None = None
    ) -> None:
        self.layer = layer
        self._bridge = no_bridge() if bridge is None else bridge
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

    def known_uids(self, uids: Sequence[str]) -> Collection[str]:
        """Return those of the uids that the layer has."""
        return frozenset(self._uids.intersection(pd.Index(list(uids), dtype="str")))

    def bridge(self, source: str) -> pd.DataFrame:
        """Return the names that a source's features are known by."""
        known = self._bridge[self._bridge["source"] == source]
        return known[["source_id", "uid"]]

    def standing(self, _uids: Sequence[str]) -> pd.DataFrame:
        """Return nothing: a frame does not tell since when it holds."""
        return no_standing()

    def origins(self, _uids: Sequence[str]) -> pd.DataFrame:
        """Return nothing: a frame does not tell who said its values."""
        return no_origins()

    def base_rows(self, _release: int, _uids: Sequence[str]) -> gpd.GeoDataFrame:
        """Return nothing: a frame has no former states."""
        return empty_frame(self.layer, ("uid",))


class ChangedLayer:
    """A layer with changes applied: the changed rows lie over it, the others stay where they are.

    Parameters
    ----------
    base : CurrentLayer
        The state before.
    changes : GeoDataFrame
        A change table.
    bridge : DataFrame, optional
        ``source``, ``source_id``, ``uid``: what names stand for from now on.
    """

    def __init__(
        self, base: CurrentLayer, changes: gpd.GeoDataFrame, bridge: pd.DataFrame | None = None
    ) -> None:
        self.layer = base.layer
        self._base = base
        self._bridge = no_bridge() if bridge is None else bridge
        is_removed = changes["change"] == ChangeKind.REMOVED.value
        self._touched, self._removed = changes["uid"], changes.loc[is_removed, "uid"]
        kept = changes[~is_removed]
        self._overlay = FrameLayer(base.layer, kept)
        self._new = kept.loc[kept["change"] == ChangeKind.NEW.value, "uid"]
        self._said = pd.DataFrame(
            {
                "delivery": kept["delivery"].astype("str"),
                "source": kept["delivery"].astype("str").map(source_of),
                "since": kept["valid_from"],
            }
        ).set_index(pd.Index(kept["uid"], name="uid"))

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

    def standing(self, uids: Sequence[str]) -> pd.DataFrame:
        """Return `STANDING_COLUMNS`; a change made over the layer is the last that was said."""
        below = self._base.standing(uids).set_index("uid")
        said = self._said.loc[self._said.index.isin(uids)]
        former = below["source"].reindex(said.index)
        # what is not new was said before, by this source or by others or by who knows whom
        is_alone = (former == said["source"]) | said.index.isin(self._new)
        above = said.assign(source=said["source"].where(is_alone, ""))[["since", "source"]]
        rest = below[~below.index.isin(said.index)]
        return pd.concat([part for part in (rest, above) if len(part)] or [below]).reset_index()

    def origins(self, uids: Sequence[str]) -> pd.DataFrame:
        """Return `ORIGIN_COLUMNS`: a change made over the layer said what it changed."""
        below = self._base.origins(uids)
        said = self._said.loc[self._said.index.isin(uids)]
        if said.empty:
            return below
        names = [*self.layer.attribute_names, "geometry"]
        is_new = said.index.isin(self._new)
        changed = np.ones((len(said), len(names)), dtype=bool)
        there = said.index[~is_new].tolist()
        before, after = self._base.rows(there), self._overlay.rows(there)
        changed[~is_new] = np.column_stack(
            [~_same_column(before, after, name, self.layer) for name in names]
        )
        row, column = np.nonzero(changed)
        above = (
            said.iloc[row]
            .rename(columns={"since": "observed_at"})
            .assign(attribute=np.array(names, dtype=object)[column])
            .astype({"attribute": "str"})
            .reset_index()[list(ORIGIN_COLUMNS)]
        )
        both = pd.concat([part for part in (below, above) if len(part)] or [below])
        return both.drop_duplicates(["uid", "attribute"], keep="last", ignore_index=True)

    def base_rows(self, release: int, uids: Sequence[str]) -> gpd.GeoDataFrame:
        """Return rows as a release had them, which the changes are not part of."""
        return self._base.base_rows(release, uids)

    def known_uids(self, uids: Sequence[str]) -> Collection[str]:
        """Return those of the uids that the layer ever had or that the changes bring."""
        brought = frozenset(uids) & frozenset(self._touched)
        return brought.union(self._base.known_uids(uids))

    def bridge(self, source: str) -> pd.DataFrame:
        """Return the names that a source's features are known by; those set last count."""
        own = self._bridge[self._bridge["source"] == source]
        both = pd.concat([self._base.bridge(source), own[["source_id", "uid"]]], ignore_index=True)
        return both.drop_duplicates("source_id", keep="last", ignore_index=True)


def no_bridge() -> pd.DataFrame:
    """Return a bridge table without rows."""
    return pd.DataFrame({name: pd.Series(dtype="str") for name in ("source", "source_id", "uid")})


def compose(
    current: CurrentLayer, changes: gpd.GeoDataFrame, bridge: pd.DataFrame | None = None
) -> CurrentLayer:
    """Return the layer with changes applied, without copying it.

    A second delivery of a cycle is reconciled with the outcome of the first.

    Parameters
    ----------
    current : CurrentLayer
        The state before.
    changes : GeoDataFrame
        A change table on it; not changed and not to be changed later.
    bridge : DataFrame, optional
        ``source``, ``source_id``, ``uid``: what names stand for from now on.
    """
    if changes.empty and (bridge is None or bridge.empty):
        return current
    return ChangedLayer(current, changes, bridge)


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


def source_of(delivery: str) -> str:
    """Return the name of the source in a delivery's id."""
    return delivery.rpartition(".")[0]


def _same_column(
    before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, name: str, layer: Layer
) -> npt.NDArray[np.bool_]:
    if name != "geometry":
        return same_values(before[name], after[name])
    forms = (geometry_bytes(side.geometry.to_numpy(), layer) for side in (before, after))
    return np.array([one == other for one, other in zip(*forms, strict=True)], dtype=bool)


def _typed_columns(names: Sequence[str], *, moment: str) -> pd.DataFrame:
    kinds = {name: "datetime64[us, UTC]" if name == moment else "str" for name in names}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _no_feature(uid: str, layer: Layer) -> IntegrityError:
    return IntegrityError(found=f"no feature {uid!r}", where=f"layer {layer.name}")
