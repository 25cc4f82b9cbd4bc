"""Read the changes of a package and check that they hold together."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cityframe.core.digest import row_digests
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.products.package.change_file import read_change_file
from cityframe.products.package.change_table import (
    NEW,
    OLD,
    SIDE_COLUMNS,
    is_named,
    joined_names,
    value_columns,
)
from cityframe.products.package.manifest import (
    PackagedLayer,
    PackageFormat,
    PackageKind,
    PackageManifest,
    data_path,
)
from cityframe.products.package.records import (
    LineageEvent,
    Redaction,
    read_lineage,
    read_redactions,
)
from cityframe.products.package.rows import check_equal
from cityframe.products.package.table import SYSTEM_TYPES, compute, table_schema, to_frame

_BEFORE, _AFTER = (list(names) for names in zip(*SIDE_COLUMNS[:2], strict=True))


def read_changes(folder: Path, manifest: PackageManifest, layer: str) -> pa.Table:
    """Read a layer's change table: the canonical columns, geometry as WKB.

    Raises
    ------
    DeclarationError
        If it is no change package, or has no such layer.
    IntegrityError
        If the file can't be read as what it should be.
    """
    packaged = manifest.layer(layer)
    if manifest.kind is not PackageKind.CHANGE or packaged is None:
        raise DeclarationError(
            where=str(folder),
            found=f"a {manifest.kind} package, layers "
            f"{', '.join(one.contract.name for one in manifest.layers)}",
            expected=f"a change package with layer {layer}",
        )
    path = folder / data_path(manifest.kind, PackageFormat.GEOPARQUET, layer)
    return read_change_file(path, packaged.wide_contract)


def check_changes(folder: Path, manifest: PackageManifest) -> None:
    """Check all that a change package says of itself, without a base.

    Raises
    ------
    IntegrityError
        If a row does not fit its kind, a digest, count or order is wrong, or an event of the
        lineage is about features that do not change.
    """
    redactions = read_redactions(folder)
    lineage = read_lineage(folder)
    for layer in manifest.layers:
        name = layer.contract.name
        where = f"{folder / data_path(manifest.kind, PackageFormat.GEOPARQUET, name)}"
        changes = read_changes(folder, manifest, name)
        kinds = {
            ChangeKind(one["values"]): one["counts"]
            for one in compute.value_counts(changes["change"]).to_pylist()
            if one["values"] in list(ChangeKind)
        }
        gained = kinds.get(ChangeKind.NEW, 0) - kinds.get(ChangeKind.REMOVED, 0)
        count = gained + (layer.before.count if layer.before else 0)
        _check_form(changes, layer, where)
        check_equal(
            where,
            [
                ("rows", len(changes), layer.rows),
                ("changes", kinds, layer.changes),
                ("features", count, layer.after.count if layer.after else 0),
            ],
        )
        if not len(changes) and layer.before and layer.after:
            check_equal(where, [("no changes, state after", layer.after, layer.before)])
        _check_withheld(changes, [one for one in redactions if one.layer == name], where)
        _check_digests(changes, layer, unproved_uids(redactions, name), where)
        _check_lineage(changes, lineage, name, where)


def unproved_uids(redactions: Collection[Redaction], layer: str) -> frozenset[str]:
    """Return the features of a layer whose rows may give their digests no more."""
    return frozenset(one.uid for one in redactions if one.layer == layer)


def _check_form(changes: pa.Table, layer: PackagedLayer, where: str) -> None:
    """Check order, kinds, and that each value is there where it should be and nowhere else."""
    uids = changes["uid"]
    _refuse(uids, compute.is_null(uids), where, "a row without uid", "a uid")
    if len(uids) > 1:
        in_order = compute.less(uids.slice(0, len(uids) - 1), uids.slice(1))
        _refuse(
            uids.slice(1), compute.invert(in_order), where,
            "a row out of order, or a uid that stands twice", "rows sorted by uid, each uid once",
        )  # fmt: skip
    kind = changes["change"]
    known = compute.is_in(kind, pa.array(list(ChangeKind), pa.string()))
    _refuse(
        uids, compute.invert(known), where, "a kind of change that is not known", "a ChangeKind"
    )
    is_new = compute.equal(kind, ChangeKind.NEW.value)
    is_gone = compute.equal(kind, ChangeKind.REMOVED.value)
    for names, is_absent in ((_BEFORE, is_new), (_AFTER, is_gone)):
        for name in names:
            wrong = compute.not_equal(compute.is_null(changes[name]), is_absent)
            _refuse(uids, wrong, where, f"{name} that does not fit its kind", "null on a side "
                    "where the feature is not, and only there")  # fmt: skip
    _check_values(changes, layer, compute.or_(is_new, is_gone), where)


def _check_values(changes: pa.Table, layer: PackagedLayer, is_whole: Any, where: str) -> None:
    uids = changes["uid"]
    kind = changes["change"]
    is_new = compute.equal(kind, ChangeKind.NEW.value)
    is_gone = compute.equal(kind, ChangeKind.REMOVED.value)
    names = {}
    for name in value_columns(layer.wide_contract):
        is_changed = is_named(changes["changed"], name)
        is_withheld = is_named(changes["withheld"], name)
        old, new = changes[f"{OLD}{name}"], changes[f"{NEW}{name}"]
        may_be_old = compute.and_not(compute.or_(is_changed, is_gone), is_withheld)
        may_be_new = compute.or_(is_changed, is_new)
        stray = compute.or_(
            compute.and_not(compute.is_valid(old), may_be_old),
            compute.and_not(compute.is_valid(new), may_be_new),
        )
        _refuse(uids, stray, where, f"a value of {name}", "none, as it is not said to differ")
        idle = compute.and_(is_changed, compute.and_(compute.is_null(old), compute.is_null(new)))
        _refuse(uids, compute.and_not(idle, is_withheld), where, f"{name} null as before",
                "another value, as it is said to differ")  # fmt: skip
        names[name] = is_changed
    listed = joined_names(names, len(uids))
    unknown = compute.not_equal(changes["changed"], listed)
    _refuse(uids, unknown, where, "names that are no attributes", "attributes in their order")
    named = compute.and_(is_whole, compute.not_equal(changes["changed"], ""))
    _refuse(uids, named, where, "a new or removed feature with single values", "a whole row")


def _check_withheld(changes: pa.Table, redactions: Collection[Redaction], where: str) -> None:
    """Check that only what a redaction clears is withheld, and that nothing hides behind it.

    The rows of redacted features prove no digest, so no other value of theirs may differ while
    the digest stays as it was.
    """
    cleared: dict[str, set[str]] = {}
    for one in redactions:
        cleared.setdefault(one.uid, set()).update(one.attributes)
    touched = pa.array(list(cleared), pa.string())
    is_due = compute.or_(
        compute.is_in(changes["uid"], touched), compute.not_equal(changes["withheld"], "")
    )
    for row in changes.filter(compute.fill_null(is_due, True)).to_pylist():
        names = set((row["withheld"] or "").split(","))
        if row["digest_before"] == row["digest_after"]:
            names |= set(row["changed"].split(","))
        allowed = cleared.get(row["uid"], set())
        hidden = [
            name
            for name in sorted(names - {""})
            if name not in allowed or row.get(f"{NEW}{name}") is not None
        ]
        if hidden:
            raise IntegrityError(
                where=f"{where} uid {row['uid']}",
                found=f"{', '.join(hidden)} withheld or altered",
                expected="what its redaction clears, and null after",
            )


def _check_digests(
    changes: pa.Table, layer: PackagedLayer, unproved: Collection[str], where: str
) -> None:
    """Compute the digests of whole rows again: new ones after, removed ones before."""
    for kind, side, contract in (
        (ChangeKind.NEW, NEW, layer.contract),
        (ChangeKind.REMOVED, OLD, layer.former_contract),
    ):
        rows = changes.filter(compute.equal(changes["change"], kind.value))
        rows = rows.filter(compute.equal(rows["withheld"], ""))
        rows = rows.filter(
            compute.invert(compute.is_in(rows["uid"], pa.array(list(unproved), pa.string())))
        )
        column = "digest_after" if side == NEW else "digest_before"
        digests = row_digests(whole_rows(rows, contract, side), contract)
        differs = digests != np.array(rows[column].to_pylist(), dtype=object)
        _refuse(rows["uid"], pa.array(differs, pa.bool_()), where,
                f"{column} that the row does not give", "the digest of the row")  # fmt: skip


def whole_rows(changes: pa.Table, layer: Layer, side: str) -> Any:
    """Return the rows of one side (``old_`` or ``new_``) as a layer frame, as far as given."""
    schema = table_schema(layer)
    former = {after: before for before, after in SIDE_COLUMNS} if side == OLD else {}
    names = [
        former.get(name, name) if name in SYSTEM_TYPES else f"{side}{name}" for name in schema.names
    ]
    columns = [changes[name].combine_chunks() for name in names]
    return to_frame(pa.record_batch(columns, schema=schema), layer)


def _check_lineage(
    changes: pa.Table, lineage: Collection[LineageEvent], layer: str, where: str
) -> None:
    """Check that each event is about a feature that changes."""
    uids = set(changes["uid"].to_pylist())
    for event in lineage:
        if event.layer == layer and event.parent not in uids and event.child not in uids:
            raise IntegrityError(
                where=f"{where} uid {event.parent}",
                found=f"{event.event} in the lineage of a feature that does not change",
                expected="an event about features of the change",
            )


def _refuse(uids: Any, is_wrong: Any, where: str, found: str, expected: str) -> None:
    wrong = np.flatnonzero(np.asarray(compute.fill_null(is_wrong, True), dtype=bool))
    if len(wrong):
        raise IntegrityError(
            where=f"{where} uid {uids[int(wrong[0])]}",
            found=found,
            expected=expected,
            remedy="get the package again from the publisher",
        )
