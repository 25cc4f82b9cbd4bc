"""Move one layer's table from one release to its neighbour, and prove both ends.

=================  ===========================================================
before             count and layer digest of the own rows are those before
schema             columns of attributes that came are added; those of
                   attributes that went (an undo) are dropped
rows               deleted, updated (only columns that differ), inserted
after              count and layer digest of the rows are those after
=================  ===========================================================
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from cityframe.core.arrow_rows import GEOMETRY, row_schema
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import GeometryType, Layer
from cityframe.products.package.manifest import LayerState, PackagedLayer
from cityframe.products.package.records import Redaction
from cityframe.products.package.table import GEOMETRY as CHANGED_GEOMETRY
from cityframe.products.subscriber.database import NewLayer, Session
from cityframe.products.subscriber.mapping import LayerTable
from cityframe.products.subscriber.proof import (
    UID_MODULUS,
    KeptDigest,
    LayerProof,
    prove_layer,
    uid_sum_of,
)

NAMED_AT_MOST = 5
"""Features that a message names; the others are counted."""


@dataclass(frozen=True)
class LayerMove:
    """What is known of a layer before it is moved.

    Attributes
    ----------
    packaged : PackagedLayer
        Contracts, counts and digests before and after.
    changes : Table
        One row a feature; see `cityframe.products.package.change_table`.
    before, after : LayerTable or None
        The table under the contract before and after; None where the layer is not there.
    uid_sum : int
        Of the rows before, as the state has it.
    kept : mapping of str to KeptDigest
        Redacted rows before.
    redactions : sequence of Redaction
        Of this layer, those of rows that give their digest no more.
    """

    packaged: PackagedLayer
    changes: pa.Table
    before: LayerTable | None
    after: LayerTable | None
    uid_sum: int
    kept: Mapping[str, KeptDigest]
    redactions: Sequence[Redaction] = ()


@dataclass(frozen=True)
class MovedLayer:
    """What the state notes of a layer after it was moved."""

    uid_sum: int
    kept: dict[str, KeptDigest]


def move_layer(session: Session, move: LayerMove) -> MovedLayer | None:
    """Move a layer; None if it is gone.

    Raises
    ------
    IntegrityError
        If the rows before or after are not those that the package names.
    DeclarationError
        If a table or column that is to be made is there already.
    """
    uid_sum = 0
    if move.before is not None:
        uid_sum = _prove_before(session, move, move.before).uid_sum
    if move.after is None:
        if move.before is not None:
            session.drop_layer(move.before)
        return None
    if move.before is None:
        _create(session, move.after, move.changes)
    elif not (
        move.changes.num_rows
        or move.redactions
        or move.packaged.before != move.packaged.after
        or move.packaged.contract_before
    ):
        return MovedLayer(uid_sum=uid_sum, kept=dict(move.kept))
    else:
        _move_columns(session, move.before, move.after)
        _move_rows(session, move.after, move.changes)
    _clear(session, move.after, move.redactions)
    return _prove_after(session, move, move.after, _uid_sum_after(uid_sum, move.changes))


def _create(session: Session, table: LayerTable, changes: pa.Table) -> None:
    if session.has_table(table.name):
        raise DeclarationError(
            where=session.where,
            found=f"a table {table.name}",
            expected=f"none: the layer {table.layer.name} is new",
            remedy="rename it, or give the layer another table in the mapping",
        )
    rows = _rows_after(changes, table.layer, ["uid", "valid_from"])
    batches = rows.to_batches() or [pa.RecordBatch.from_pylist([], schema=rows.schema)]
    session.create_layers([NewLayer(table, batches)])


def _clear(session: Session, table: LayerTable, redactions: Sequence[Redaction]) -> None:
    """Clear what a decision ordered to be cleared, whatever the values are."""
    uids: dict[str, list[str]] = {}
    for redaction in redactions:
        for name in redaction.attributes:
            uids.setdefault(_own_name(name), []).append(redaction.uid)
    there = [*table.layer.attribute_names, *([GEOMETRY] if table.has_geometry else [])]
    types = row_schema(table.layer)
    for name in sorted(uids.keys() & set(there)):
        nulls = pa.nulls(len(uids[name]), types.field(name).type)
        session.update(table, pa.table({"uid": uids[name], name: nulls}), [name])


def _prove_before(session: Session, move: LayerMove, table: LayerTable) -> LayerProof:
    watched = move.changes.column("uid").to_numpy().tolist()
    proof = prove_layer(session, table, watched=watched, kept=move.kept)
    where = f"{session.where} table {table.name}"
    differing = _differing(proof, move.changes)
    if proof.state != move.packaged.before or differing:
        raise IntegrityError(
            where=where,
            found=_found(proof.state, differing),
            expected=f"{_state_text(move.packaged.before)}, from which the package leads on",
            remedy="nothing was changed: undo what was changed by hand, or compare the database "
            "with the full package of this release",
        )
    if proof.uid_sum != move.uid_sum:
        raise IntegrityError(
            where=where,
            found="the right rows under wrong uids",
            expected="each row under its own uid",
            remedy="nothing was changed: undo what was changed by hand, or compare the database "
            "with the full package of this release",
        )
    return proof


def _prove_after(session: Session, move: LayerMove, table: LayerTable, uid_sum: int) -> MovedLayer:
    touched = set(move.changes.column("uid").to_numpy())
    kept = {uid: one for uid, one in move.kept.items() if uid not in touched}
    for one in move.redactions:
        if one.digest and (one.uid not in kept or kept[one.uid].kept != one.digest):
            kept[one.uid] = KeptDigest(kept=one.digest)
    proof = prove_layer(session, table, kept=kept)
    if (proof.state, proof.uid_sum) != (move.packaged.after, uid_sum):
        raise IntegrityError(
            where=f"{session.where} table {table.name}",
            found=f"{_state_text(proof.state)} after the change",
            expected=_state_text(move.packaged.after),
            remedy="nothing was changed: see whether a trigger or column type of this database "
            "alters what is written",
        )
    return MovedLayer(uid_sum=uid_sum, kept=proof.kept)


def _differing(proof: LayerProof, changes: pa.Table) -> dict[str, str]:
    """Return what is wrong with each feature that the change starts from, by uid."""
    wrong: dict[str, str] = {}
    uids, expected = (changes.column(name).to_numpy() for name in ("uid", "digest_before"))
    for uid, digest in zip(uids, expected, strict=True):
        found = proof.digests.get(uid)
        if found != digest:
            wrong[uid] = (
                "is missing" if found is None else "is there" if digest is None else "is another"
            )
    return wrong


def _found(state: LayerState, differing: dict[str, str]) -> str:
    if not differing:
        return f"{_state_text(state)}; a feature that the package does not change is another one"
    named = [f"{uid} {what}" for uid, what in list(differing.items())[:NAMED_AT_MOST]]
    more = len(differing) - len(named)
    return f"{_state_text(state)}; {', '.join(named)}" + (f" and {more} more" if more else "")


def _state_text(state: LayerState | None) -> str:
    return "no layer" if state is None else f"{state.count} features of digest {state.digest}"


def _move_columns(session: Session, before: LayerTable, after: LayerTable) -> None:
    there = {name.casefold() for name in session.columns(after.name)}
    for name in before.columns.keys() - after.columns.keys():
        session.drop_column(before, before.columns[name])
    for attribute, column in after.attributes():
        if attribute.name in before.columns:
            continue
        if column.casefold() in there:
            raise DeclarationError(
                where=f"{session.where} table {after.name}",
                found=f"a column {column}",
                expected=f"none: the attribute {attribute.name} is new",
                remedy="rename it, or give the attribute another column in the mapping",
            )
        session.add_column(after, attribute)


def _move_rows(session: Session, table: LayerTable, changes: pa.Table) -> None:
    kinds = changes.column("change")
    is_removed = pc.equal(kinds, pa.scalar(ChangeKind.REMOVED.value))
    is_new = pc.equal(kinds, pa.scalar(ChangeKind.NEW.value))
    session.delete(table, changes.filter(is_removed).column("uid"))
    known = changes.filter(pc.invert(pc.or_(is_removed, is_new)))
    for changed in sorted(pc.unique(known.column("changed")).to_numpy(zero_copy_only=False)):
        rows = known.filter(pc.equal(known.column("changed"), pa.scalar(changed)))
        names = [_own_name(name) for name in changed.split(",") if name]
        values = _rows_after(rows, table.layer, ["uid", "valid_from"])
        there = [name for name in names if name in values.column_names]
        session.update(table, values, [*there, "valid_from"])
    session.insert(table, _rows_after(changes.filter(is_new), table.layer, ["uid", "valid_from"]))


def _rows_after(changes: pa.Table, layer: Layer, system: list[str]) -> pa.Table:
    """Return the rows after, as far as they changed: uid, valid_from, attributes, ``geom``."""
    names = [*system, *(f"new_{name}" for name in layer.attribute_names)]
    if layer.geometry is not GeometryType.NONE:
        names.append(f"new_{CHANGED_GEOMETRY}")
    return changes.select(names).rename_columns(row_schema(layer, system).names)


def _own_name(changed: str) -> str:
    return GEOMETRY if changed == CHANGED_GEOMETRY else changed


def _uid_sum_after(before: int, changes: pa.Table) -> int:
    uids = changes.column("uid")
    for name, sign in (("digest_before", -1), ("digest_after", 1)):
        digests = changes.column(name)
        there = pc.is_valid(digests)
        one_side = uid_sum_of(
            uids.filter(there).to_numpy().tolist(), digests.filter(there).to_numpy().tolist()
        )
        before = (before + sign * one_side) % UID_MODULUS
    return before
