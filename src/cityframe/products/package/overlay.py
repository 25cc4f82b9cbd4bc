"""Lay a change over rows: what both the publisher and the subscriber do, with every row checked."""

from collections.abc import Collection

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from cityframe.core.digest import row_digests
from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import GeometryType, Layer
from cityframe.products.package.change_table import NEW, OLD, SIDE_COLUMNS, is_named
from cityframe.products.package.manifest import PackagedLayer
from cityframe.products.package.table import (
    GEOMETRY,
    SYSTEM_TYPES,
    compute,
    table_schema,
    to_frame,
    with_provenance,
)
from cityframe.products.package.tally import known_digests

_REMEDY = "apply the change to the release that it starts from"


def overlay(
    rows: gpd.GeoDataFrame,
    changes: pa.Table,
    layer: PackagedLayer,
    *,
    where: str = "the base",
    unproved: Collection[str] = (),
) -> gpd.GeoDataFrame:
    """Return rows as they are after a change, sorted by uid, with ``digest``.

    Parameters
    ----------
    rows : GeoDataFrame
        Layer frame in the contract before, each uid once: at least the features that the change
        moves on; others stay as they are. With ``uid``, ``valid_from``, the attributes, the
        geometry and, where known, ``delivery``, ``record``, ``basis`` and ``digest``.
    changes : Table
        The layer's change table, or some of its rows.
    layer : PackagedLayer
        The layer in the manifest of the change.
    where : str
        The rows' place, for messages.
    unproved : collection of str
        Features whose rows give their digests no more, because a redaction cleared values: the
        digests of the change are taken for theirs.

    Raises
    ------
    IntegrityError
        If a row that the change replaces or removes is not there as the change knows it, a row
        that it adds is there already, or the result does not have the digest that the change
        promises. The message names the feature.
    """
    known = with_provenance(rows)
    known = known.assign(digest=known_digests(known, layer.former_contract))
    taken = pd.array(list(unproved), "str")
    places = _checked_places(known, changes, where, taken)
    after = changes.filter(compute.not_equal(changes["change"], ChangeKind.REMOVED.value))
    is_after = np.asarray(compute.is_valid(changes["digest_after"]))
    given = _rows_after(known, places[is_after], after, layer.contract)
    digests = row_digests(given, layer.contract)
    promised = np.array(after["digest_after"].to_pylist(), dtype=object)
    is_proved = ~given["uid"].isin(taken).to_numpy()
    _refuse(
        given["uid"].to_numpy(), (digests != promised) & is_proved, where,
        "another row than the change promises", "its digest after",
    )  # fmt: skip
    left = np.ones(len(known), dtype=bool)
    left[places[places >= 0]] = False
    columns = [*table_schema(layer.contract).names, "digest"]
    if GEOMETRY not in columns:
        columns.append(GEOMETRY)
    parts = [
        _in_contract(known[left], layer.contract)[columns],
        given.assign(digest=promised)[columns],
    ]
    filled = [part for part in parts if len(part)] or parts[:1]
    result = pd.concat(filled, ignore_index=True).sort_values("uid", ignore_index=True)
    return gpd.GeoDataFrame(result, geometry=GEOMETRY, crs=layer.contract.crs)


def swapped(changes: pa.Table) -> pa.Table:
    """Return the inverse of changes: new is removed, old values are new ones.

    Raises
    ------
    IntegrityError
        If old values were withheld.
    """
    withheld = compute.not_equal(changes["withheld"], "")
    if compute.any(withheld).as_py():
        row = changes.filter(withheld).slice(0, 1).to_pylist()[0]
        raise IntegrityError(
            where=f"uid {row['uid']}",
            found=f"values of {row['withheld']} that a redaction withholds",
            expected="all values before",
            remedy="a change over redacted values can be applied, but not undone",
        )
    kinds = changes["change"]
    other = {ChangeKind.NEW: ChangeKind.REMOVED, ChangeKind.REMOVED: ChangeKind.NEW}
    for kind, opposite in other.items():
        kinds = compute.if_else(compute.equal(changes["change"], kind.value), opposite.value, kinds)
    pairs = dict(SIDE_COLUMNS)
    pairs |= {
        name: NEW + name.removeprefix(OLD)
        for name in changes.column_names
        if name.startswith(OLD) and NEW + name.removeprefix(OLD) in changes.column_names
    }
    source = {**pairs, **{after: before for before, after in pairs.items()}}
    columns = [
        kinds if name == "change" else changes[source.get(name, name)]
        for name in changes.column_names
    ]
    return pa.Table.from_arrays(columns, schema=changes.schema)


def _checked_places(
    known: gpd.GeoDataFrame,
    changes: pa.Table,
    where: str,
    taken: "pd.api.extensions.ExtensionArray",
) -> npt.NDArray[np.intp]:
    """Return where each changed feature stands among the rows, -1 for a new one."""
    uids = changes["uid"].to_pandas()
    places = pd.Index(known["uid"]).get_indexer(pd.Index(uids))
    is_new = np.asarray(compute.equal(changes["change"], ChangeKind.NEW.value))
    names = uids.to_numpy()
    _refuse(names, ~is_new & (places < 0), where, "no such feature", "a feature")
    _refuse(names, is_new & (places >= 0), where, "a feature", "none, as the change adds it")
    found = known.iloc[places[~is_new]]
    expected = changes.filter(pa.array(~is_new))
    digests = np.array(expected["digest_before"].to_pylist(), dtype=object)
    moments = pa.array(found["valid_from"], expected["valid_from_before"].type)
    same = (found["digest"].to_numpy() == digests) | found["uid"].isin(taken).to_numpy()
    same &= np.asarray(compute.equal(expected["valid_from_before"], moments))
    _refuse(names[~is_new], ~same, where, "another content", "the row of the change")
    return np.asarray(places)


def _rows_after(
    known: gpd.GeoDataFrame, places: npt.NDArray[np.intp], after: pa.Table, layer: Layer
) -> gpd.GeoDataFrame:
    """Return the changed and new rows: what differs from the change, all else as it was."""
    schema = table_schema(layer)
    names = [name if name in SYSTEM_TYPES else f"{NEW}{name}" for name in schema.names]
    columns = [after[name].combine_chunks() for name in names]
    given = to_frame(pa.record_batch(columns, schema=schema), layer)
    if known.empty:
        return given
    former = _in_contract(known, layer).iloc[places].reset_index(drop=True)
    is_new = compute.equal(after["change"], ChangeKind.NEW.value)
    for name in layer.attribute_names:
        is_given = np.asarray(compute.or_(is_new, is_named(after["changed"], name)))
        given[name] = given[name].where(is_given, former[name])
    if layer.geometry is not GeometryType.NONE:
        is_given = np.asarray(compute.or_(is_new, is_named(after["changed"], GEOMETRY)))
        shapes = np.where(is_given, given.geometry.to_numpy(), former.geometry.to_numpy())
        given = given.set_geometry(gpd.GeoSeries(shapes, crs=layer.crs))
    return given


def _in_contract(rows: gpd.GeoDataFrame, layer: Layer) -> gpd.GeoDataFrame:
    """Return rows with the attributes of a contract; those that it adds are null."""
    missing = [one.name for one in layer.attributes if one.name not in rows.columns]
    if not missing:
        return rows
    schema = table_schema(layer)
    nulls = to_frame(
        pa.record_batch([pa.nulls(len(rows), one.type) for one in schema], schema=schema), layer
    )
    return rows.assign(**{name: nulls[name].array for name in missing})


def _refuse(
    uids: npt.NDArray[np.object_], is_wrong: npt.NDArray[np.bool_], where: str, found: str,
    expected: str,
) -> None:  # fmt: skip
    if is_wrong.any():
        uid = uids[int(np.flatnonzero(is_wrong)[0])]
        raise IntegrityError(
            where=f"{where} uid {uid}", found=found, expected=expected, remedy=_REMEDY
        )
