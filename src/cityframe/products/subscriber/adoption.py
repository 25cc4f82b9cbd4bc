"""The first rows of a subscription: tables are made, or adopted if they hold the same rows."""

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.package.manifest import PackagedLayer
from cityframe.products.subscriber.database import NewLayer, Session
from cityframe.products.subscriber.mapping import LayerTable, SubscriberMapping, layer_table
from cityframe.products.subscriber.move import MovedLayer
from cityframe.products.subscriber.proof import (
    KeptDigest,
    LayerProof,
    RowDigests,
    prove_layer,
    prove_rows,
)
from cityframe.products.subscriber.received import Received


def add_layers(
    session: Session, package: Received, mapping: SubscriberMapping
) -> dict[str, MovedLayer]:
    """Make or adopt the tables of all layers of a full package, and prove them.

    Raises
    ------
    DeclarationError
        If a table that is there lacks a column or has another CRS.
    IntegrityError
        If it holds other rows.
    """
    tables = {
        one.contract.name: layer_table(one.contract, mapping) for one in package.manifest.layers
    }
    adopted = {name for name, table in tables.items() if session.has_table(table.name)}
    for name in sorted(adopted):
        _check_table(session, tables[name])
    session.lock(tables[name].name for name in sorted(adopted))
    session.create_layers(
        [
            NewLayer(tables[layer.contract.name], package.rows(layer))
            for layer in package.manifest.layers
            if layer.contract.name not in adopted
        ]
    )
    moved = {}
    for layer in package.manifest.layers:
        name = layer.contract.name
        kept = package.kept_digests(name)
        proof = prove_layer(session, tables[name], kept=kept)
        if name in adopted:
            _check_rows(session, tables[name], package, layer, proof, kept)
            session.ensure_uid_index(tables[name])
        elif proof.state != layer.after:
            raise IntegrityError(
                where=f"{session.where} table {tables[name].name}",
                found=f"{proof.state}",
                expected=f"{layer.after}, as the package has it",
                remedy="nothing was changed: see whether this database alters what is written",
            )
        moved[name] = MovedLayer(uid_sum=proof.uid_sum, kept=proof.kept)
    return moved


def _check_table(session: Session, table: LayerTable) -> None:
    there = session.columns(table.name)
    needed = [table.uid, *table.columns.values()]
    if table.has_geometry:
        needed.append(table.geometry)
    where = f"{session.where} table {table.name}"
    if missing := [name for name in needed if name not in there]:
        raise DeclarationError(
            where=where,
            found=f"no column {', '.join(missing)}",
            expected=f"the columns of the layer {table.layer.name}",
            remedy="give the columns' names in the mapping, or rename the table to have one made",
        )
    if table.has_geometry and session.crs(table) != table.layer.crs.upper():
        raise DeclarationError(
            where=where,
            found=f"CRS {session.crs(table)} of {table.geometry}",
            expected=table.layer.crs,
            remedy="rename the table to have one made",
        )


def _check_rows(
    session: Session,
    table: LayerTable,
    package: Received,
    layer: PackagedLayer,
    found: LayerProof,
    kept: dict[str, KeptDigest],
) -> None:
    expected = prove_rows(RowDigests(package.rows(layer), layer.contract, kept))
    if (found.state, found.uid_sum) != (expected.state, expected.uid_sum):
        raise IntegrityError(
            where=f"{session.where} table {table.name}",
            found=f"{found.state.count} features of digest {found.state.digest}",
            expected=f"the {expected.state.count} features of release "
            f"{package.manifest.release.number}, digest {expected.state.digest}, under their uids",
            remedy="compare the database with the package, or rename the table to have one made",
        )
