"""The change table of a layer: one row a feature, with old and new values of what differs.

===================  ========================================================================
uid                  sorted by Unicode code points, each once
change               a `ChangeKind`
changed              names of the attributes and ``geometry`` that differ, joined by commas in
                     the order of the contract; empty for new and removed
has_new_attributes   whether an attribute differs beside the geometry
withheld             names whose old values were redacted, joined by commas; mostly empty
..._before           ``valid_from``, ``digest``, ``delivery``, ``record``, ``basis`` of the row
                     before; null for new
valid_from           of the row after; null for removed
digest_after         of the row after; null for removed
delivery, ...        provenance of the row after; for removed of what ended it
old_..., new_...     each attribute and the geometry (WKB): null unless it differs; the whole
                     row for removed and new
===================  ========================================================================

The columns of attributes are those of the wider contract where attributes came or went.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa

from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import GeometryType, Layer
from cityframe.products.package.content import LayerDelta
from cityframe.products.package.table import (
    GEOMETRY,
    PROVENANCE,
    SYSTEM_TYPES,
    attribute_type,
    compute,
    table_schema,
    to_batch,
    with_provenance,
)
from cityframe.products.package.tally import known_digests

Column: TypeAlias = "pa.Array[Any]"
OLD, NEW = "old_", "new_"
SIDE_COLUMNS = (
    ("valid_from_before", "valid_from"),
    ("digest_before", "digest_after"),
    *((f"{name}_before", name) for name in PROVENANCE),
)
"""System columns of the row before and of the row after."""
_DIGEST = pa.binary(16)


def change_schema(layer: Layer) -> pa.Schema:
    """Return the canonical columns of a layer's changes.

    Parameters
    ----------
    layer : Layer
        The wider contract of the two.
    """
    kinds = {**SYSTEM_TYPES, "digest_after": _DIGEST}
    columns: dict[str, pa.DataType] = dict.fromkeys(("uid", "change", "changed"), pa.string())
    columns |= {"has_new_attributes": pa.bool_(), "withheld": pa.string()}
    columns |= {name: kinds[pair[1]] for pair in SIDE_COLUMNS for name in pair}
    for name, kind in value_columns(layer).items():
        columns |= {f"{side}{name}": kind for side in (OLD, NEW)}
    return pa.schema(list(columns.items()))


def value_columns(layer: Layer) -> dict[str, pa.DataType]:
    """Return what can differ: the attributes and, if the layer has one, the geometry."""
    columns = {one.name: attribute_type(one) for one in layer.attributes}
    if layer.geometry is not GeometryType.NONE:
        columns[GEOMETRY] = pa.binary()
    return columns


def is_named(names: "Column | pa.ChunkedArray[Any]", name: str) -> Column:
    """Return whether a name is among names joined by commas."""
    comma = pa.scalar(",")
    listed = compute.binary_join_element_wise(comma, names, comma, pa.scalar(""))
    found: Column = compute.match_substring(listed, f",{name},")
    return found


def joined_names(is_listed: Mapping[str, Column], rows: int) -> Column:
    """Return for each row the names that are listed, joined by commas."""
    blank = pa.array([""] * rows, pa.string())
    pieces = [compute.if_else(is_there, f",{name}", "") for name, is_there in is_listed.items()]
    joined = compute.binary_join_element_wise(blank, *pieces, "")
    names: Column = compute.utf8_ltrim(joined, ",")
    return names


def change_table(delta: LayerDelta) -> pa.Table:
    """Return the change table of a layer.

    Raises
    ------
    IntegrityError
        If a uid stands twice in a frame, or a row's kind does not fit the frames it stands in.
    DeclarationError
        If a column is missing or the CRS is not the contract's.
    """
    former = delta.layer_before or delta.layer
    wide = max(delta.layer, former, key=lambda one: len(one.attributes))
    removed, added = _side(delta.removed, former, wide), _side(delta.added, delta.layer, wide)
    uids = pa.array(
        np.unique(np.concatenate([removed["uid"].to_numpy(), added["uid"].to_numpy()])), pa.string()
    )
    before, after = _aligned(removed, uids), _aligned(added, uids)
    change = compute.fill_null(before["change"], ChangeKind.NEW.value)
    is_whole = compute.or_(compute.is_null(before["uid"]), compute.is_null(after["uid"]))
    _check_kinds(delta.layer.name, uids, change, before, after)

    columns: dict[str, Any] = {"uid": uids, "change": change}
    columns["withheld"] = compute.fill_null(before["withheld"], "")
    for name_before, name in SIDE_COLUMNS:
        columns[name_before], columns[name] = before[name], after[name]
    ended = compute.is_null(after["uid"])
    columns["delivery"] = compute.if_else(ended, before["ended_by"], after["delivery"])
    changed: dict[str, Column] = {}
    nothing = pa.scalar(None, pa.null())
    for name in value_columns(wide):
        is_withheld = is_named(columns["withheld"], name)
        differs = compute.and_not(
            compute.or_(_differs(before[name], after[name]), is_withheld), is_whole
        )
        is_given = compute.or_(differs, is_whole)
        columns[f"{OLD}{name}"] = compute.if_else(
            compute.and_not(is_given, is_withheld), before[name], nothing
        )
        columns[f"{NEW}{name}"] = compute.if_else(is_given, after[name], nothing)
        changed[name] = differs
    columns["changed"] = joined_names(changed, len(uids))
    columns["has_new_attributes"] = compute.fill_null(
        after["has_new_attributes"], _has_attributes(columns["changed"])
    )
    schema = change_schema(wide)
    arrays = [columns[field.name].cast(field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _side(frame: gpd.GeoDataFrame, layer: Layer, wide: Layer) -> pa.Table:
    """Return one side as a table with the columns of the wider contract; null where unknown."""
    known = with_provenance(frame)
    table = pa.Table.from_batches([to_batch(known, layer, table_schema(layer))])
    for name, kind in value_columns(wide).items():
        if name not in table.column_names:
            table = table.append_column(name, pa.array([None] * len(frame), kind))
    # a column `digest_after`, to be the pair of `digest_before`
    table = table.append_column("digest_after", pa.array(known_digests(frame, layer), _DIGEST))
    for name, kind in (
        ("change", pa.string()),
        ("ended_by", pa.string()),
        ("withheld", pa.string()),
        ("has_new_attributes", pa.bool_()),
    ):
        values = frame[name] if name in frame.columns else pd.Series([None] * len(frame))
        table = table.append_column(name, pa.array(values, kind, from_pandas=True))
    return table


def _aligned(side: pa.Table, uids: Column) -> dict[str, Column]:
    """Return the columns of a side with a row a uid: all null where it has none."""
    places = compute.index_in(uids, side["uid"])
    if len(places) - places.null_count != len(side):
        counts = compute.value_counts(side["uid"].combine_chunks())
        uid = next(one["values"] for one in counts.to_pylist() if one["counts"] > 1)
        raise IntegrityError(
            where=f"uid {uid}", found="two rows of one side", expected="each uid once"
        )
    rows = side.take(places)
    return {name: rows[name].combine_chunks() for name in rows.column_names}


def _check_kinds(
    layer: str, uids: Column, change: Column, before: dict[str, Column], after: dict[str, Column]
) -> None:
    """Check that just removed features have no row after."""
    is_gone = compute.is_null(after["uid"])
    is_known = compute.is_in(change, pa.array(list(ChangeKind), pa.string()))
    is_new = compute.is_null(before["uid"])
    fits = compute.and_(
        is_known,
        compute.and_(
            compute.equal(is_gone, compute.equal(change, ChangeKind.REMOVED.value)),
            compute.equal(is_new, compute.equal(change, ChangeKind.NEW.value)),
        ),
    )
    wrong = np.asarray(compute.invert(fits))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise IntegrityError(
            where=f"layer {layer} uid {uids[place]}",
            found=f"change {change[place].as_py()!r} "
            f"{'without' if is_gone[place].as_py() else 'with'} a row after",
            expected="a row after for all but removed features",
        )


def _differs(old: Column, new: Column) -> Column:
    """Return whether values differ to the last bit; null is a value."""
    if old.type == pa.float64():
        old, new = (_bits(one) for one in (old, new))
    is_other = compute.fill_null(compute.not_equal(old, new), False)
    differs: Column = compute.or_(is_other, compute.xor(compute.is_null(old), compute.is_null(new)))
    return differs


def _bits(values: Column) -> Column:
    bits: Column = values.view(pa.int64())
    return bits


def _has_attributes(changed: Any) -> Any:
    return compute.and_(compute.not_equal(changed, ""), compute.not_equal(changed, GEOMETRY))
