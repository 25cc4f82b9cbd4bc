"""The difference of one layer between two releases: by kind, attribute by attribute, provenance.

Differences can be inverted and concatenated: that from release 1 to 2 and that from 2 to 3 are
together the one from 1 to 3. They hold Arrow rows; a geometry is decoded when a frame is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cityframe.core.arrow_rows import GEOMETRY, to_frame
from cityframe.core.canonical_geometry import geometry_items
from cityframe.errors import DeclarationError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.store.framework import Framework

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
_RECORDED = (ChangeKind.MOVED.value, ChangeKind.RESHAPED.value)
_NOT_SHOWN = ["change", "has_new_attributes"]


@dataclass(frozen=True)
class LayerDifference:
    """One layer's difference from an older to a newer release.

    Attributes
    ----------
    layer : Layer
        The contract.
    older, newer : int
        The releases; 0 is the empty framework. ``older`` may be the later one: what differs is
        then undone.
    rows_before, rows_after : Table
        As of `Framework.changed_rows`, sorted by uid. Rows of features that differ, and of some
        that have been written anew and say the same.
    ended_by : mapping
        As of `Framework.changed_rows`.
    """

    layer: Layer
    older: int
    newer: int
    rows_before: pa.Table
    rows_after: pa.Table
    ended_by: Mapping[str, str | None]

    @cached_property
    def features(self) -> pd.DataFrame:
        """What differs, one row a feature, sorted by uid.

        ``uid``; ``change``, a `ChangeKind`; ``has_new_attributes`` beside a geometry or alone;
        ``ended_by``, of a removed feature what ended it, else null. The kind of a geometry that
        differs is the one recorded with the newest row, reshaped if none is.
        """
        in_before, in_after = self._pairs
        is_new, is_gone = in_before < 0, in_after < 0
        both = ~is_new & ~is_gone
        has_new_attributes = np.zeros(len(both), dtype=bool)
        has_new_attributes[both] = self._differs_in_attributes
        kinds = np.full(len(both), ChangeKind.ATTRIBUTES.value, dtype=object)
        kinds[is_new], kinds[is_gone] = ChangeKind.NEW.value, ChangeKind.REMOVED.value
        kinds[np.flatnonzero(both)[self._differs_in_geometry]] = self._recorded_kinds
        uids = np.where(
            is_new,
            _column(self.rows_after, "uid", in_after).to_numpy(),
            _column(self.rows_before, "uid", in_before).to_numpy(),
        )
        ended_by = [
            self.ended_by.get(uid) if gone and self.older < self.newer else None
            for uid, gone in zip(uids, is_gone, strict=True)
        ]
        return pd.DataFrame(
            {
                "uid": pd.Series(uids, dtype="str"),
                "change": pd.Series(kinds, dtype="str"),
                "has_new_attributes": has_new_attributes,
                "ended_by": pd.Series(ended_by, dtype="str"),
            }
        )

    @cached_property
    def before(self) -> gpd.GeoDataFrame:
        """The features that differ as the older release has them, sorted by uid.

        ``uid, valid_from, delivery, digest, record, basis``, attributes, geometry.
        """
        return self._frame(self.rows_before, self._pairs[0])

    @cached_property
    def after(self) -> gpd.GeoDataFrame:
        """The same features as the newer release has them."""
        return self._frame(self.rows_after, self._pairs[1])

    def counts(self) -> dict[str, int]:
        """Return the number of features by kind."""
        kinds = self.features["change"].value_counts()
        return {str(kind): int(kinds[kind]) for kind in sorted(kinds.index)}

    def attribute_changes(self) -> pd.DataFrame:
        """Return which attributes differ, and how, of features that are in both releases.

        Returns
        -------
        DataFrame
            ``uid``, ``attribute``, ``before`` and ``after`` (values, null: None); by uid, then in
            the order of the contract.
        """
        before, after = self._both
        parts = []
        for place, attribute in enumerate(self.layer.attributes):
            rows = np.flatnonzero(_differs(before, after, attribute))
            part = {
                "row": rows,
                "place": place,
                "uid": before.column("uid").take(rows).to_pandas().astype("str"),
                "attribute": pd.Series(attribute.name, index=range(len(rows)), dtype="str"),
            }
            for name, side in (("before", before), ("after", after)):
                values = side.column(attribute.name).take(rows).to_pylist()
                part[name] = pd.Series(values, dtype=object)
            parts.append(pd.DataFrame(part))
        found = pd.concat(parts).sort_values(["row", "place"], ignore_index=True)
        return found[["uid", "attribute", "before", "after"]]

    @cached_property
    def _pairs(self) -> tuple[Places, Places]:
        """Places of the features that differ in either table, -1 where it is not there."""
        before, after = (
            pd.Index(rows.column("uid").to_pandas()) for rows in (self.rows_before, self.rows_after)
        )
        uids = before.union(after)
        in_before, in_after = before.get_indexer(uids), after.get_indexer(uids)
        digests = (
            _column(rows, "digest", places)
            for rows, places in ((self.rows_before, in_before), (self.rows_after, in_after))
        )
        chosen = _unequal(*digests)
        return in_before[chosen].astype(np.int64), in_after[chosen].astype(np.int64)

    @cached_property
    def _both(self) -> tuple[pa.Table, pa.Table]:
        """Rows before and after, one pair a feature that is in both releases and differs."""
        in_before, in_after = self._pairs
        both = (in_before >= 0) & (in_after >= 0)
        return self.rows_before.take(in_before[both]), self.rows_after.take(in_after[both])

    @cached_property
    def _differs_in_attributes(self) -> Mask:
        before, after = self._both
        differs = np.zeros(before.num_rows, dtype=bool)
        for attribute in self.layer.attributes:
            differs |= _differs(before, after, attribute)
        return differs

    @cached_property
    def _differs_in_geometry(self) -> Mask:
        before, after = self._both
        if self.layer.geometry is GeometryType.NONE:
            return np.zeros(before.num_rows, dtype=bool)
        sides = [side.column(GEOMETRY) for side in (before, after)]
        # another drawing of the same geometry has other bytes
        unsure = _unequal(*sides)
        differs = unsure & ~self._differs_in_attributes
        unsure &= ~differs
        forms = [
            geometry_items(side.filter(pa.array(unsure)).combine_chunks(), self.layer)
            for side in sides
        ]
        differs[unsure] = _unequal(*forms)
        return differs

    @property
    def _recorded_kinds(self) -> npt.NDArray[np.object_]:
        before, after = self._both
        newest = after if self.older < self.newer else before
        kinds = newest.column("change").to_pandas()[self._differs_in_geometry]
        known = kinds.where(kinds.isin(_RECORDED), ChangeKind.RESHAPED.value)
        return known.to_numpy(dtype=object)

    def _frame(self, rows: pa.Table, places: Places) -> gpd.GeoDataFrame:
        return to_frame(rows.take(places[places >= 0]).drop_columns(_NOT_SHOWN), self.layer)


def difference_of(framework: Framework, layer: Layer, older: int, newer: int) -> LayerDifference:
    """Return what differs in a layer between two releases, at a cost that follows the changes.

    Parameters
    ----------
    framework : Framework
        The store.
    layer : Layer
        The contract; attributes that a release did not have yet are null there.
    older, newer : int
        Release numbers; 0 is the empty framework.

    Raises
    ------
    DeclarationError
        If there is no such release.
    """
    before, after, ended_by = framework.changed_rows(layer, older, newer)
    return LayerDifference(
        layer=layer,
        older=older,
        newer=newer,
        rows_before=before.sort_by("uid"),
        rows_after=after.sort_by("uid"),
        ended_by=ended_by,
    )


def inverse(difference: LayerDifference) -> LayerDifference:
    """Return the difference that undoes another: what `difference_of` gives the other way."""
    return replace(
        difference,
        older=difference.newer,
        newer=difference.older,
        rows_before=difference.rows_after,
        rows_after=difference.rows_before,
    )


def concatenate(first: LayerDifference, second: LayerDifference) -> LayerDifference:
    """Return the difference from the start of the first to the end of the second.

    Parameters
    ----------
    first, second : LayerDifference
        Of one layer and one direction; the second starts where the first ends.

    Raises
    ------
    DeclarationError
        If they do not follow one another.
    """
    if first.older > first.newer:
        return inverse(concatenate(inverse(second), inverse(first)))
    if first.newer != second.older or second.older > second.newer or first.layer != second.layer:
        raise DeclarationError(
            where=f"layer {first.layer.name}",
            found=f"the difference from release {second.older} to {second.newer} of layer "
            f"{second.layer.name} after that from {first.older} to {first.newer}",
            expected=f"one of the same layer, from release {first.newer} to a later one",
        )
    return replace(
        first,
        newer=second.newer,
        rows_before=_overlaid(first.rows_before, second.rows_before, first.rows_after),
        rows_after=_overlaid(second.rows_after, first.rows_after, second.rows_before),
        ended_by={**first.ended_by, **second.ended_by},
    )


def _overlaid(rows: pa.Table, others: pa.Table, known: pa.Table) -> pa.Table:
    """Return rows and those others whose uid is neither in rows nor in ``known``."""
    seen = pa.concat_tables([rows.select(["uid"]), known.select(["uid"])]).column("uid")
    unseen: Any = pc.invert(pc.is_in(others.column("uid"), value_set=seen.combine_chunks()))
    return pa.concat_tables([rows, others.filter(unseen)]).sort_by("uid")


def _differs(before: pa.Table, after: pa.Table, attribute: Attribute) -> Mask:
    """Return where an attribute differs as the digest has it: text in NFC, not-a-number is null."""
    sides: list[Any] = [side.column(attribute.name) for side in (before, after)]
    if attribute.type is AttributeType.STRING:
        # the stubs of pyarrow lack this function
        sides = [pc.utf8_normalize(side, form="NFC") for side in sides]  # type: ignore[attr-defined]
    if attribute.type is AttributeType.REAL:
        sides = [pc.if_else(pc.is_nan(side), None, side) for side in sides]
    return _unequal(*sides)


def _unequal(left: Any, right: Any) -> Mask:
    """Return where two columns differ; nulls are equal."""
    same = pc.if_else(pc.is_null(left), pc.is_null(right), pc.equal(left, right))
    result: Mask = ~same.fill_null(False).to_numpy(zero_copy_only=False)
    return result


def _column(rows: pa.Table, name: str, places: Places) -> "pa.ChunkedArray[Any]":
    """Return values by place, null where it is -1."""
    chosen: Any = pa.array(places, mask=places < 0)
    return rows.column(name).take(chosen)
