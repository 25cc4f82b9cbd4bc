"""Redaction: clear named attributes of named features in all of history; a release of its own.

It is the one operation that overwrites. What it leaves of the values is the digest and seal of each
row from before, so that older releases stay provable.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from cityframe.core.digest import layer_digest, move_layer_sum, row_digests_of
from cityframe.errors import (
    DeclarationError,
    GateClosedError,
    IntegrityError,
    SourceUnreachableError,
)
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.model.release import LayerVersion, Release, ReleaseKind
from cityframe.store.chain import sha256
from cityframe.store.framework import Framework
from cityframe.store.history_query import as_schema
from cityframe.store.layer_plan import microseconds
from cityframe.store.provenance import (
    clear_losers,
    deliveries_of_losers,
    losers_evidence,
    losing_rows,
)
from cityframe.store.release_entry import enter_release
from cityframe.store.release_rows import LayerState, canonical
from cityframe.store.seal import sealed_columns, sealed_set, seals
from cityframe.store.tables import PROVENANCE, REDACTION, history_table
from cityframe.store.timeline import in_effect

_UIDS_A_QUERY = 10_000
_SHOWN = 10
_ENTRY = ("layer", "uid", "attributes", "decision", "row", "digest_before", "seal_before")


@dataclass(frozen=True)
class RedactionPlan:
    """What a redaction would do.

    Attributes
    ----------
    layer : Layer
        The contract.
    uids, attributes : tuple of str
        What to clear; sorted.
    parent : str
        Chain digest of the release that it is planned over.
    rows : Table
        Of the history rows that hold a value to clear, as they will be: ``fid, uid, delivery,
        digest, seal, digest_before, seal_before, release_to, valid_from, valid_to``.
    losers : Table
        The rows of provenance that hold what losing sources said: ``id``, the sealed columns and
        ``losers``.
    """

    layer: Layer
    uids: tuple[str, ...]
    attributes: tuple[str, ...]
    parent: str
    rows: pa.Table
    losers: pa.Table

    @property
    def has_values(self) -> bool:
        """Whether there is anything to clear."""
        return bool(self.rows.num_rows or self.losers.num_rows)

    @property
    def features(self) -> frozenset[str]:
        """The features that have a value to clear."""
        return frozenset([*_values(self.rows, "uid"), *_values(self.losers, "uid")])

    @property
    def digest(self) -> str:
        """What a decision binds to: BLAKE2b-256 over features, attributes, rows and parent.

        The parent's chain digest covers the losers.
        """
        body = {
            "parent": self.parent,
            "layer": self.layer.name,
            "uids": list(self.uids),
            "attributes": list(self.attributes),
            "rows": [seal.hex() for seal in _values(self.rows, "seal_before")],
        }
        return hashlib.blake2b(canonical(body).encode(), digest_size=32).hexdigest()

    @property
    def cycle(self) -> str:
        """The id under which the release is made."""
        return f"redaction-{self.digest[:16]}"

    @property
    def deliveries(self) -> tuple[str, ...]:
        """The deliveries that brought the rows, and those that lost."""
        lost = deliveries_of_losers(_values(self.losers, "losers"))
        return tuple(sorted({*_values(self.rows, "delivery"), *lost}))


def plan_redaction(
    framework: Framework, layer: str, uids: Sequence[str], attributes: Sequence[str]
) -> RedactionPlan:
    """Return what clearing attributes of features in all of history would do.

    Parameters
    ----------
    framework : Framework
        The store.
    layer : str
        Name of the layer.
    uids : sequence of str
        The features, current or not.
    attributes : sequence of str
        Names from the contract; key attributes too.

    Raises
    ------
    DeclarationError
        If there is no such layer, attribute or feature, or an attribute is the geometry.
    IntegrityError
        If a row is damaged: a redaction would hide that.
    """
    contract = framework.contract(layer)
    _check_attributes(contract, attributes)
    chosen, names = tuple(sorted(set(uids))), tuple(sorted(set(attributes)))
    if not chosen:
        raise DeclarationError(where=f"layer {layer}", found="no feature", expected="at least one")
    rows = _rows_of(framework, contract, chosen)
    unknown = sorted(set(chosen) - set(rows.column("uid").to_pylist()))
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise DeclarationError(
            where=f"layer {layer}",
            found=f"no feature {', '.join(unknown[:_SHOWN])}{more}",
            expected="uids that the layer has or had",
        )
    _check_sound(contract, rows)
    has_value = np.zeros(rows.num_rows, dtype=bool)
    for name in names:
        has_value |= rows.column(name).is_valid().to_numpy()
    parent = framework.current()
    return RedactionPlan(
        layer=contract,
        uids=chosen,
        attributes=names,
        parent=parent.digest if parent else "",
        rows=_cleared(contract, rows.filter(pa.array(has_value)), names),
        losers=losing_rows(framework.home, layer, chosen, names),
    )


def redact(
    framework: Framework,
    plan: RedactionPlan,
    *,
    decision: str,
    evidence: Mapping[str, Any],
    at: dt.datetime,
) -> Release:
    """Make a plan the next release; call `forget` afterwards.

    Parameters
    ----------
    framework : Framework
        The store.
    plan : RedactionPlan
        Made over the newest release, with rows to clear.
    decision : str
        Hash of the ledger's entry with the decision.
    evidence : mapping
        JSON-ready: the decision itself.
    at : datetime
        The release's time.

    Returns
    -------
    Release
        The new one; the same one if the plan was carried out before.

    Raises
    ------
    DeclarationError
        If there is nothing to clear.
    GateClosedError
        If another release came in between.
    SourceUnreachableError
        If another writer holds the store; nothing was written.
    """
    if not plan.has_values:
        raise DeclarationError(
            where=f"layer {plan.layer.name}",
            found=f"no value of {', '.join(plan.attributes)} in these features",
            expected="a value to clear",
        )
    home = framework.home
    with home.exclusive():
        done = framework.released_by(plan.cycle)
        if done is not None:
            return done
        parent = framework.current()
        if parent is None or parent.digest != plan.parent:
            raise GateClosedError(
                where=f"redaction of layer {plan.layer.name}",
                found="another release came in between",
                remedy="look what the redaction would do now, and decide anew",
            )
        number = parent.number + 1
        entries = _entries(plan, decision)
        body = {
            **evidence,
            "candidate_digest": plan.digest,
            "redaction": {
                "layer": plan.layer.name,
                "attributes": list(plan.attributes),
                "features": len(plan.features),
                "rows": plan.rows.num_rows,
                "entries": entries_digest(entries),
                **losers_evidence(plan.losers),
            },
        }
        created_at = at.astimezone(dt.UTC).isoformat(timespec="seconds")
        head = {
            "number": number,
            "kind": ReleaseKind.REDACTION.value,
            "created_at": created_at,
            "valid_at": parent.valid_at,
            "cycle": plan.cycle,
            "candidate": plan.digest,
            "parent": parent.digest,
        }
        state = _state_after(framework, plan, parent)
        with home.transaction() as connection:
            _overwrite(connection, plan)
            clear_losers(connection, plan.losers, number)
            home.touched(connection, plan.layer, created_at.replace("+00:00", "Z"))
            enter_release(connection, head, [state], framework.contracts(), [], body)
            if entries:
                rows = [{**one, "release": number} for one in entries]
                connection.execute(sa.insert(REDACTION), rows)
    return framework.release(number)


def forget(framework: Framework, layer: Layer) -> None:
    """Make the home let go of what rows held before they were overwritten; may be repeated.

    The GeoPackage is written anew and its log emptied: no byte of the old values is left in either.
    In PostGIS the old rows are freed for reuse and the statistics taken anew; their bytes go with
    ``VACUUM FULL``, the server's own log and backups, which are the operator's.

    Raises
    ------
    SourceUnreachableError
        If a reader holds the GeoPackage, or there is no room to write it anew.
    """
    engine = framework.home.engine
    with framework.home.exclusive(), engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(
                f'VACUUM (ANALYZE) "{history_table(layer).name}", "{PROVENANCE.name}"'
            )
            return
        try:
            # pages keep remains of rows that were moved in them: overwriting alone is not enough
            connection.exec_driver_sql("VACUUM")
            is_held = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
        except (sa.exc.OperationalError, SourceUnreachableError) as error:
            raise _not_forgotten(framework, str(error)) from error
        if is_held:
            raise _not_forgotten(framework, "a reader holds the file")


def entries_digest(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the SHA-256 over rows of ``cf_redaction``, as a release's evidence holds it."""
    lines = [
        canonical(
            {
                name: one[name].hex() if isinstance(one[name], bytes) else one[name]
                for name in _ENTRY
            }
        )
        for one in entries
    ]
    return sha256("\n".join(sorted(lines)))


def _check_attributes(layer: Layer, attributes: Sequence[str]) -> None:
    where = f"layer {layer.name}"
    if {"geom", "geometry"} & set(attributes):
        raise DeclarationError(
            where=where,
            found="the geometry",
            expected="attributes: a geometry can't be redacted",
            remedy="if the place itself is personal, let a cycle replace it and ask for the "
            "history's removal outside of cityframe",
        )
    unknown = sorted(set(attributes) - set(layer.attribute_names))
    if unknown or not attributes:
        raise DeclarationError(
            where=where,
            found=f"no attribute {', '.join(unknown)}" if unknown else "no attribute",
            expected=f"some of {', '.join(layer.attribute_names)}",
        )


def _rows_of(framework: Framework, layer: Layer, uids: Sequence[str]) -> pa.Table:
    names = ["fid", "seal", "release_to", *sealed_columns(layer), *layer.attribute_names]
    uid = history_table(layer).c.uid
    parts = [
        as_schema(
            framework.history_rows(layer, names, uid.in_(uids[start : start + _UIDS_A_QUERY])),
            names,
            layer,
        )
        for start in range(0, len(uids), _UIDS_A_QUERY)
    ]
    return pa.concat_tables(parts).sort_by("fid")


def _check_sound(layer: Layer, rows: pa.Table) -> None:
    as_they_say = rows.column("digest"), rows.column("seal")
    as_they_are = row_digests_of(rows, layer).cast(pa.binary()), seals(rows, layer)
    for said, found in zip(as_they_say, as_they_are, strict=True):
        same = pc.equal(said.combine_chunks(), found).to_numpy(zero_copy_only=False)
        if not same.all():
            uid = rows.column("uid")[int(np.flatnonzero(~same)[0])]
            raise IntegrityError(
                where=f"layer {layer.name} uid {uid}",
                found="a row that is not what its digest and seal say",
                remedy="run `cityframe fsck`; a redaction would hide the damage",
            )


def _cleared(layer: Layer, rows: pa.Table, attributes: Sequence[str]) -> pa.Table:
    """Return rows with attributes null, their new digests and seals, and those from before."""
    before = {"digest_before": rows.column("digest"), "seal_before": rows.column("seal")}
    for name in attributes:
        place = rows.column_names.index(name)
        field = rows.schema.field(name)
        rows = rows.set_column(place, field, pa.nulls(rows.num_rows, field.type))
    digests = row_digests_of(rows, layer).cast(pa.binary())
    rows = rows.set_column(rows.column_names.index("digest"), "digest", digests)
    rows = rows.set_column(rows.column_names.index("seal"), "seal", seals(rows, layer))
    for name, column in before.items():
        rows = rows.append_column(name, column)
    kept = ["fid", "uid", "delivery", "digest", "seal", "release_to", "valid_from", "valid_to"]
    return rows.select([*kept, *before])


def _entries(plan: RedactionPlan, decision: str) -> list[dict[str, Any]]:
    attributes = json.dumps(plan.attributes, ensure_ascii=False, separators=(",", ":"))
    names = ("uid", "fid", "digest_before", "seal_before")
    return [
        {
            "layer": plan.layer.name,
            "uid": row["uid"],
            "attributes": attributes,
            "decision": decision,
            "row": row["fid"],
            "digest_before": row["digest_before"],
            "seal_before": row["seal_before"],
        }
        for row in plan.rows.select(list(names)).to_pylist()
    ]


def _state_after(framework: Framework, plan: RedactionPlan, parent: Release) -> LayerState:
    """Return the layer's state: moved by its current rows; the sealed sets hold all rows."""
    state, rows = framework.state(plan.layer.name), plan.rows
    moment = microseconds(pa.chunked_array([[parent.valid_at]]).cast(rows["valid_from"].type))
    is_current = rows["release_to"].is_null().to_numpy() & in_effect(
        microseconds(rows["valid_from"]), microseconds(rows["valid_to"]), int(moment[0])
    )
    current = rows.filter(pa.array(is_current))
    total = move_layer_sum(
        state.total,
        removed=_values(current, "digest_before"),
        added=_values(current, "digest"),
    )
    count = state.version.count
    changes = {ChangeKind.ATTRIBUTES.value: current.num_rows} if current.num_rows else {}
    version = LayerVersion(
        layer=plan.layer.name,
        count=count,
        digest=layer_digest(total, count),
        changes=changes,
        opened=sealed_set([rows["seal"]]),
        closed=sealed_set([rows["seal_before"]]),
    )
    return LayerState(version=version, total=total)


def _overwrite(connection: sa.Connection, plan: RedactionPlan) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    if not plan.rows.num_rows:
        return
    table = history_table(plan.layer)
    new: dict[str, Any] = {
        **dict.fromkeys(plan.attributes),
        "digest": sa.bindparam("new_digest"),
        "seal": sa.bindparam("new_seal"),
    }
    statement = sa.update(table).where(table.c.fid == sa.bindparam("row")).values(new)
    names = {"fid": "row", "digest": "new_digest", "seal": "new_seal"}
    rows = plan.rows.select(list(names)).rename_columns(list(names.values()))
    connection.execute(statement, rows.to_pylist())


def _values(rows: pa.Table, name: str) -> list[Any]:
    result: list[Any] = rows.column(name).to_pylist()
    return result


def _not_forgotten(framework: Framework, found: str) -> SourceUnreachableError:
    return SourceUnreachableError(
        where=framework.label,
        found=f"the values are cleared, but the file still holds their bytes ({found})",
        expected="the file to itself, and room for a second copy of it",
        remedy="run the same command again",
    )
