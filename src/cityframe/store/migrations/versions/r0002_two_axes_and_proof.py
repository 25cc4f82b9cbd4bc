"""Reference times, seals, lineage, contracts by release; digests of version 2.

Revision ID: 0002

Digests of rows, layers and releases are computed anew, for their definition changed; a release
keeps the one it had as ``former_digest`` in its evidence. Its reference time is its own time or
that of the newest row that it knew, whichever is later: so its state stays what it was.
"""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from alembic import op

from cityframe.core.arrow_rows import ARROW_TYPES, GEOMETRY, MOMENT
from cityframe.core.digest import LAYER_SUM_BYTES, layer_digest, layer_sum, row_digests_of
from cityframe.model.layer import AttributeType, GeometryType, Layer
from cityframe.model.release import LayerVersion
from cityframe.store import contract as contract_form
from cityframe.store.chain import chain_body, chain_digest
from cityframe.store.release_rows import canonical
from cityframe.store.seal import sealed_set, seals

revision = "0002"
down_revision = "0001"

_BATCH = 20_000
_TABLES = (
    """CREATE TABLE cf_contract (layer TEXT NOT NULL, release INTEGER NOT NULL,
        contract TEXT NOT NULL, PRIMARY KEY (layer, release))""",
    """CREATE TABLE cf_lineage (id INTEGER NOT NULL PRIMARY KEY,
        release INTEGER NOT NULL REFERENCES cf_release (number), layer TEXT NOT NULL,
        event TEXT NOT NULL, parent TEXT NOT NULL, child TEXT, share DOUBLE)""",
    "CREATE INDEX ix_cf_lineage_parent ON cf_lineage (parent)",
    "CREATE INDEX ix_cf_lineage_child ON cf_lineage (child)",
    """CREATE TABLE cf_due (id INTEGER NOT NULL PRIMARY KEY, layer TEXT NOT NULL,
        at TEXT NOT NULL, uid TEXT NOT NULL)""",
    "CREATE INDEX cf_due_at ON cf_due (layer, at)",
    """CREATE TABLE cf_redaction (id INTEGER NOT NULL PRIMARY KEY,
        release INTEGER NOT NULL REFERENCES cf_release (number), layer TEXT NOT NULL,
        uid TEXT NOT NULL, attributes TEXT NOT NULL, decision TEXT NOT NULL,
        "row" INTEGER NOT NULL, digest_before BLOB NOT NULL, seal_before BLOB NOT NULL)""",
    """CREATE TABLE cf_view (name TEXT NOT NULL PRIMARY KEY,
        release INTEGER NOT NULL REFERENCES cf_release (number))""",
    "ALTER TABLE cf_release ADD COLUMN valid_at TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE cf_release ADD COLUMN parent TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE cf_release_layer ADD COLUMN opened TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE cf_release_layer ADD COLUMN closed TEXT NOT NULL DEFAULT ''",
)
_KEPT = (
    "fid", "uid", "valid_from", "valid_to", "release_from", "release_to", "delivery", "record",
    "change", "has_new_attributes",
)  # fmt: skip
_TYPES = {
    AttributeType.STRING: "TEXT",
    AttributeType.INTEGER: "INTEGER",
    AttributeType.REAL: "REAL",
    AttributeType.BOOLEAN: "BOOLEAN",
    AttributeType.DATE: "DATE",
    AttributeType.DATETIME: "DATETIME",
}


def upgrade() -> None:
    """Migrate a GeoPackage; PostGIS never had the first layout."""
    connection = op.get_bind()
    layers = [
        contract_form.read(text)
        for (text,) in _rows(connection, "SELECT contract FROM cf_layer ORDER BY name")
    ]
    for statement in _TABLES:
        connection.exec_driver_sql(statement)
    for layer in layers:
        _rebuild(connection, layer)
        connection.exec_driver_sql(
            "INSERT INTO cf_contract SELECT ?, min(release), ? FROM cf_release_layer "
            "WHERE layer = ?",
            (layer.name, contract_form.write(layer), layer.name),
        )
    connection.exec_driver_sql("DROP TABLE cf_layer")
    numbers = [row[0] for row in _rows(connection, "SELECT number FROM cf_release ORDER BY 1")]
    for number in numbers:
        _set_reference_time(connection, layers, number)
    for layer in layers:
        _digest_again(connection, layer)
        _seal_sets(connection, layer, numbers)
        _add_tombstones(connection, layer, numbers)
    for number in numbers:
        _chain_again(connection, layers, number)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    message = "migrations go forward only"
    raise NotImplementedError(message)


def _rows(connection: sa.Connection, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
    return list(connection.exec_driver_sql(sql, values).all())


def _rebuild(connection: sa.Connection, layer: Layer) -> None:
    """Give a history table its new columns, constraints, indexes and view."""
    name, old = f"{layer.name}_history", f"{layer.name}_history_of_0001"
    attributes = [f'"{one.name}" {_TYPES[one.type]}' for one in layer.attributes]
    geometry = [] if layer.geometry is GeometryType.NONE else [f"geom {layer.geometry.upper()}"]
    content = [f'"{one.name}"' for one in layer.attributes] + (["geom"] if geometry else [])
    connection.exec_driver_sql(f'DROP VIEW "{layer.name}"')
    # later references of the R-tree's entries are by the table's name, which comes back
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    connection.exec_driver_sql(f'ALTER TABLE "{name}" RENAME TO "{old}"')
    columns = ", ".join(
        [
            "fid INTEGER NOT NULL PRIMARY KEY", "uid TEXT NOT NULL",
            "valid_from DATETIME NOT NULL", "valid_to DATETIME", "release_from INTEGER NOT NULL",
            "release_to INTEGER", "digest BLOB NOT NULL", "seal BLOB NOT NULL",
            "delivery TEXT NOT NULL", "record INTEGER", "basis TEXT", "ended_by TEXT",
            "change TEXT", "has_new_attributes BOOLEAN NOT NULL", *attributes, *geometry,
            "CHECK (valid_to > valid_from)", "CHECK (release_to > release_from)",
        ]
    )  # fmt: skip
    connection.exec_driver_sql(f'CREATE TABLE "{name}" ({columns})')
    kept = ", ".join([*_KEPT, *content])
    connection.exec_driver_sql(
        f"INSERT INTO \"{name}\" ({kept}, digest, seal) SELECT {kept}, x'', x'' FROM \"{old}\""
    )
    connection.exec_driver_sql(f'DROP TABLE "{old}"')
    for suffix, indexed in (
        ("closed", "(release_to) WHERE release_to IS NOT NULL"),
        ("opened", "(release_from)"),
    ):
        connection.exec_driver_sql(f'CREATE INDEX "{name}_{suffix}" ON "{name}" {indexed}')
    connection.exec_driver_sql(
        f'CREATE UNIQUE INDEX "{name}_uid" ON "{name}" (uid, release_from, valid_from)'
    )
    _create_triggers(connection, name)
    shown = ", ".join(["uid", "valid_from", "release_from", "delivery", *content])
    moment = "(SELECT valid_at FROM cf_release ORDER BY number DESC LIMIT 1)"
    connection.exec_driver_sql(
        f'CREATE VIEW "{layer.name}" AS SELECT fid AS OGC_FID, {shown} FROM "{name}" '
        f"WHERE release_to IS NULL AND valid_from <= {moment} "
        f"AND (valid_to IS NULL OR valid_to > {moment})"
    )


def _create_triggers(connection: sa.Connection, name: str) -> None:
    meets = (
        "o.uid = NEW.uid AND o.fid IS NOT NEW.fid "
        "AND o.release_from < coalesce(NEW.release_to, 9e18) "
        "AND coalesce(o.release_to, 9e18) > NEW.release_from "
        "AND o.valid_from < coalesce(NEW.valid_to, '~') "
        "AND coalesce(o.valid_to, '~') > NEW.valid_from"
    )
    for event in ("INSERT", "UPDATE OF uid, valid_from, valid_to, release_from"):
        connection.exec_driver_sql(
            f'CREATE TRIGGER "{name}_{event[:6].lower()}" BEFORE {event} ON "{name}" '
            f'WHEN EXISTS (SELECT 1 FROM "{name}" o WHERE {meets}) BEGIN '
            "SELECT RAISE(ABORT, 'periods of one uid overlap'); END"
        )


def _set_reference_time(connection: sa.Connection, layers: list[Layer], number: int) -> None:
    moments = [
        row[0].replace("+00:00", "Z")
        for row in _rows(
            connection, "SELECT created_at FROM cf_release WHERE number = ?", (number,)
        )
    ]
    for layer in layers:
        moments += [
            moment
            for row in _rows(
                connection,
                f'SELECT max(valid_from), max(valid_to) FROM "{layer.name}_history" '
                "WHERE release_from <= ?",
                (number,),
            )
            for moment in row
            if moment is not None
        ]
    connection.exec_driver_sql(
        "UPDATE cf_release SET valid_at = ? WHERE number = ?", (max(moments), number)
    )


def _digest_again(connection: sa.Connection, layer: Layer) -> None:
    """Compute the digest and seal of each row."""
    for rows in _batches(connection, layer):
        rows = rows.append_column("digest", row_digests_of(rows, layer))
        fids = rows.column("fid").to_pylist()
        digests, sealed = rows.column("digest").to_pylist(), seals(rows, layer).to_pylist()
        connection.exec_driver_sql(
            f'UPDATE "{layer.name}_history" SET digest = ?, seal = ? WHERE fid = ?',
            list(zip(digests, sealed, fids, strict=True)),
        )


def _batches(connection: sa.Connection, layer: Layer) -> Iterator[pa.Table]:
    types: dict[str, pa.DataType] = {
        "fid": pa.int64(), "uid": pa.string(), "valid_from": MOMENT, "valid_to": MOMENT,
        "release_from": pa.int64(), "delivery": pa.string(), "record": pa.int64(),
        "basis": pa.string(), "ended_by": pa.string(), "change": pa.string(),
        "has_new_attributes": pa.bool_(),
    }  # fmt: skip
    types |= {one.name: ARROW_TYPES[one.type] for one in layer.attributes}
    if layer.geometry is not GeometryType.NONE:
        types[GEOMETRY] = pa.binary()
    names = ", ".join(f'"{name}"' for name in types)
    last = 0
    while True:
        found = _rows(
            connection,
            f'SELECT {names} FROM "{layer.name}_history" WHERE fid > ? ORDER BY fid LIMIT {_BATCH}',
            (last,),
        )
        if not found:
            return
        last = found[-1][0]
        columns = zip(*found, strict=True)
        yield pa.table(
            {
                name: _array(list(values), name, kind)
                for (name, kind), values in zip(types.items(), columns, strict=True)
            }
        )


def _array(values: list[Any], name: str, kind: "pa.DataType") -> Any:
    if name == GEOMETRY:
        return pa.array([_wkb(value) for value in values], type=kind)
    if pa.types.is_boolean(kind):
        return pa.array([None if value is None else bool(value) for value in values], type=kind)
    if pa.types.is_timestamp(kind):
        return pa.array(values, type=pa.string()).cast(kind)
    if pa.types.is_date(kind):
        return pa.array(values, type=pa.string()).cast(kind)
    return pa.array(values, type=kind)


def _wkb(blob: bytes | None) -> bytes | None:
    if blob is None:
        return None
    return blob[8 + (0, 32, 48, 48, 64)[(blob[3] >> 1) & 7] :]


def _seal_sets(connection: sa.Connection, layer: Layer, numbers: list[int]) -> None:
    """Write digest and sum of the layer, and the sets of rows opened and closed, a release each."""
    name = f"{layer.name}_history"
    for number in numbers:
        (moment,) = _rows(
            connection, "SELECT valid_at FROM cf_release WHERE number = ?", (number,)
        )[0]
        state = _rows(
            connection,
            f'SELECT digest FROM "{name}" WHERE release_from <= ? '
            "AND (release_to IS NULL OR release_to > ?) AND valid_from <= ? "
            "AND (valid_to IS NULL OR valid_to > ?)",
            (number, number, moment, moment),
        )
        total = layer_sum(row[0] for row in state)
        sets = [
            sealed_set(
                [
                    pa.array(
                        [
                            row[0]
                            for row in _rows(
                                connection,
                                f'SELECT seal FROM "{name}" WHERE {column} = ?',
                                (number,),
                            )
                        ],
                        type=pa.binary(),
                    )
                ]
            )
            for column in ("release_from", "release_to")
        ]
        connection.exec_driver_sql(
            "UPDATE cf_release_layer SET digest = ?, sum = ?, opened = ?, closed = ? "
            "WHERE release = ? AND layer = ?",
            (
                layer_digest(total, len(state)), total.to_bytes(LAYER_SUM_BYTES, "little"), *sets,
                number, layer.name,
            ),
        )  # fmt: skip


def _add_tombstones(connection: sa.Connection, layer: Layer, numbers: list[int]) -> None:
    """Enter each feature that a release removed."""
    name = f"{layer.name}_history"
    state = (
        f'SELECT uid FROM "{name}" WHERE release_from <= ? AND (release_to IS NULL '
        "OR release_to > ?) AND valid_to IS NULL"
    )
    for number in numbers[1:]:
        connection.exec_driver_sql(
            "INSERT INTO cf_lineage (release, layer, event, parent) "
            f"SELECT ?, ?, 'removed', uid FROM ({state} EXCEPT {state}) ORDER BY uid",
            (number, layer.name, number - 1, number - 1, number, number),
        )


def _chain_again(connection: sa.Connection, layers: list[Layer], number: int) -> None:
    """Write the release's place in the chain; its former digest goes into the evidence."""
    row = connection.exec_driver_sql("SELECT * FROM cf_release WHERE number = ?", (number,))
    head = dict(row.mappings().one())
    before = _rows(connection, "SELECT digest FROM cf_release WHERE number = ?", (number - 1,))
    head["parent"] = before[0][0] if before else ""
    evidence = {**json.loads(head["evidence"]), "former_digest": head["digest"]}
    of_layers = connection.exec_driver_sql(
        "SELECT * FROM cf_release_layer WHERE release = ? ORDER BY layer", (number,)
    ).mappings()
    versions = [
        LayerVersion(
            layer=one["layer"], count=one["count"], digest=one["digest"],
            changes=json.loads(one["changes"]), opened=one["opened"], closed=one["closed"],
        )
        for one in of_layers
    ]  # fmt: skip
    lineage = connection.exec_driver_sql(
        "SELECT layer, event, parent, child, share FROM cf_lineage WHERE release = ?", (number,)
    ).mappings()
    body = chain_body(
        head,
        versions,
        {layer.name: layer for layer in layers},
        [dict(one) for one in lineage],
        evidence,
    )
    connection.exec_driver_sql(
        "UPDATE cf_release SET digest = ?, parent = ?, evidence = ? WHERE number = ?",
        (chain_digest(body), head["parent"], canonical(evidence), number),
    )
