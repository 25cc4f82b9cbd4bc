"""Commit a candidate: one transaction over all layers, or nothing."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from cityframe.core.digest import LAYER_SUM_BYTES
from cityframe.errors import DeclarationError, GateClosedError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store import contract as contract_form
from cityframe.store.candidate import Candidate, verify_candidate
from cityframe.store.framework import Framework
from cityframe.store.geopackage import (
    create_layer,
    create_scaffold,
    spatial_index,
    update_extent,
)
from cityframe.store.release_rows import LayerState
from cityframe.store.sqlite import sqlite_engine, write_transaction
from cityframe.store.tables import (
    LAYER,
    METADATA,
    RELEASE,
    RELEASE_LAYER,
    changes_table,
    history_table,
)


def commit(
    framework: Framework,
    candidate: Candidate,
    layers: Mapping[str, Layer],
    *,
    kind: ReleaseKind,
    cycle: str,
    evidence: Mapping[str, Any],
    at: dt.datetime,
    restores: int | None = None,
) -> Release:
    """Make a candidate the next release.

    Parameters
    ----------
    framework : Framework
        The store.
    candidate : Candidate
        Over the current release; its rows are verified first.
    layers : mapping of str to Layer
        Contracts of at least the changed layers.
    kind : ReleaseKind
        How the release came about.
    cycle : str
        Id of the cycle; committing the same candidate of a cycle again returns its release.
    evidence : mapping
        JSON-ready proof: rule-set digest, report digest, decisions, deliveries.
    at : datetime
        The release's time.
    restores : int, optional
        The release that is said again, on both time axes; the candidate is the inverse change.

    Returns
    -------
    Release
        The new one.

    Raises
    ------
    GateClosedError
        If another release was made since the candidate was staged.
    IntegrityError
        If the candidate's rows are not what its digest says.
    DeclarationError
        If a layer's contract is not the one in the store.
    """
    done = framework.released_by(cycle)
    if done is not None and done.evidence.get("candidate_digest") == candidate.digest:
        return done
    current = framework.current()
    _check_parent(candidate, current.number if current else 0)
    framework.path.parent.mkdir(parents=True, exist_ok=True)
    engine = sqlite_engine(framework.path)
    with write_transaction(engine) as connection:
        create_scaffold(connection)
        METADATA.create_all(connection)
        for name in candidate.layers:
            _ensure_layer(connection, framework, layers[name])
    verify_candidate(candidate, framework)
    created_at = at.astimezone(dt.UTC).isoformat(timespec="seconds")
    with write_transaction(engine, attached=candidate.changes_path) as connection:
        parent = connection.execute(
            sa.select(RELEASE).order_by(RELEASE.c.number.desc()).limit(1)
        ).first()
        number = parent.number + 1 if parent else 1
        _check_parent(candidate, number - 1)
        body = {**evidence, "candidate_digest": candidate.digest}
        digest = chain_digest(parent.digest if parent else "", number, candidate, body)
        connection.execute(
            sa.insert(RELEASE).values(
                number=number,
                kind=kind.value,
                created_at=created_at,
                cycle=cycle,
                candidate=candidate.digest,
                digest=digest,
                evidence=_canonical(body),
            )
        )
        if restores is not None:
            for layer in layers.values():
                _restore(connection, layer, number, restores, layer.name in candidate.layers)
        for name in candidate.layers:
            if restores is None:
                _apply(connection, layers[name], number)
            update_extent(connection, layers[name], created_at.replace("+00:00", "Z"))
        _record_layers(connection, number, candidate)
    return framework.release(number)


def chain_digest(
    parent: str, number: int, candidate: Candidate, evidence: Mapping[str, Any]
) -> str:
    """Return the digest of a release over its parent's digest, its content and its evidence."""
    text = _canonical(
        {
            "parent": parent,
            "number": number,
            "candidate": candidate.digest,
            "evidence": hashlib.sha256(_canonical(evidence).encode()).hexdigest(),
        }
    )
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def _check_parent(candidate: Candidate, newest: int) -> None:
    if newest != candidate.parent:
        raise GateClosedError(
            where=f"candidate {candidate.digest[:16]}",
            found=f"release {newest} was made since this candidate was staged",
            expected=f"release {candidate.parent} to be the newest",
            remedy="stage the cycle again and decide over the new candidate",
        )


def _ensure_layer(connection: sa.Connection, framework: Framework, layer: Layer) -> None:
    declared = contract_form.write(layer)
    stored = connection.execute(
        sa.select(LAYER.c.contract).where(LAYER.c.name == layer.name)
    ).scalar()
    if stored is None:
        create_layer(connection, layer)
        connection.execute(sa.insert(LAYER).values(name=layer.name, contract=declared))
    elif not contract_form.is_same(contract_form.read(stored), layer):
        raise DeclarationError(
            where=f"schemas/{layer.name}.yaml",
            found="a contract other than the one in the store",
            expected=f"the contract in {framework.path}",
            remedy="undo the change, or give the layer a new name; contracts can't change yet",
        )


def _apply(connection: sa.Connection, layer: Layer, number: int) -> None:
    history, changes = history_table(layer), changes_table(layer)
    has_geometry = layer.geometry is not GeometryType.NONE
    content = [column.name for column in changes.columns if column.name in layer.attribute_names]
    content += ["geom"] if has_geometry else []
    moment = sa.func.strftime("%Y-%m-%dT%H:%M:%SZ", changes.c.valid_from)
    is_known = history.c.release_to.is_(None) & (history.c.release_from < number)
    first_fid = connection.execute(sa.select(sa.func.max(history.c.fid))).scalar() or 0
    # what was so until now stays known, with its end
    connection.execute(
        sa.insert(history).from_select(
            [
                "uid", "valid_from", "valid_to", "release_from", "digest", "delivery", "record",
                "has_new_attributes", *content,
            ],
            sa.select(
                history.c.uid, history.c.valid_from, moment, sa.literal(number),
                history.c.digest, history.c.delivery, history.c.record, sa.literal(0),
                *(history.c[name] for name in content),
            )
            .select_from(changes.join(history, history.c.uid == changes.c.uid))
            .where(
                is_known,
                history.c.valid_from < moment,
                history.c.valid_to.is_(None) | (history.c.valid_to > moment),
            ),
        )
    )  # fmt: skip
    moment_of_row = sa.select(moment).where(changes.c.uid == history.c.uid).scalar_subquery()
    connection.execute(
        sa.update(history)
        .where(
            is_known,
            history.c.uid.in_(sa.select(changes.c.uid)),
            history.c.valid_to.is_(None) | (history.c.valid_to > moment_of_row),
        )
        .values(release_to=number)
    )
    connection.execute(
        sa.insert(history).from_select(
            [
                "uid", "valid_from", "release_from", "digest", "delivery", "record", "change",
                "has_new_attributes", *content,
            ],
            sa.select(
                changes.c.uid, moment, sa.literal(number), changes.c.digest, changes.c.delivery,
                changes.c.record, changes.c.change, changes.c.has_new_attributes,
                *(changes.c[name] for name in content),
            )
            .where(changes.c.change != ChangeKind.REMOVED.value)
            .order_by(changes.c.uid),
        )
    )  # fmt: skip
    if has_geometry:
        _index_added(connection, layer, first_fid)


def _restore(
    connection: sa.Connection, layer: Layer, number: int, restores: int, has_changes: bool
) -> None:
    """Know again, of every feature touched since, exactly the rows known at an older release."""
    history = history_table(layer)
    changes = changes_table(layer)
    touched = sa.union(
        sa.select(history.c.uid).where(history.c.release_from > restores),
        sa.select(history.c.uid).where(history.c.release_to > restores),
    ).subquery()
    columns = [column.name for column in history.columns if column.name != "fid"]
    new = {"release_from": sa.literal(number), "release_to": sa.null(), "change": sa.null()}
    first_fid = connection.execute(sa.select(sa.func.max(history.c.fid))).scalar() or 0
    connection.execute(
        sa.insert(history).from_select(
            columns,
            sa.select(*(new.get(name, history.c[name]) for name in columns)).where(
                history.c.uid.in_(sa.select(touched.c.uid)),
                history.c.release_from <= restores,
                history.c.release_to.is_(None) | (history.c.release_to > restores),
            ),
        )
    )
    connection.execute(
        sa.update(history)
        .where(
            history.c.uid.in_(sa.select(touched.c.uid)),
            history.c.release_from < number,
            history.c.release_to.is_(None),
        )
        .values(release_to=number)
    )
    if has_changes:
        kind = sa.select(changes.c.change).where(changes.c.uid == history.c.uid)
        connection.execute(
            sa.update(history)
            .where(history.c.release_from == number, history.c.valid_to.is_(None))
            .values(change=kind.scalar_subquery())
        )
    if layer.geometry is not GeometryType.NONE:
        connection.exec_driver_sql(
            f'INSERT INTO "{spatial_index(layer)}" SELECT n.fid, r.minx, r.maxx, r.miny, r.maxy '
            f'FROM "{history.name}" n JOIN "{history.name}" o ON o.uid = n.uid '
            "AND o.valid_from = n.valid_from AND o.release_from <= ? AND o.release_to > ? "
            f'JOIN "{spatial_index(layer)}" r ON r.id = o.fid WHERE n.fid > ?',
            (restores, restores, first_fid),
        )


def _index_added(connection: sa.Connection, layer: Layer, first_fid: int) -> None:
    history, index = history_table(layer).name, spatial_index(layer)
    # bounds of new rows come from the candidate's own index, those of ended rows from ours
    connection.exec_driver_sql(
        f'INSERT INTO "{index}" SELECT h.fid, r.minx, r.maxx, r.miny, r.maxy '
        f'FROM candidate."{layer.name}" c '
        f'JOIN candidate."rtree_{layer.name}_geom" r ON r.id = c.fid '
        f'JOIN "{history}" h ON h.uid = c.uid '
        "WHERE h.fid > ? AND h.change IS NOT NULL",
        (first_fid,),
    )
    connection.exec_driver_sql(
        f'INSERT INTO "{index}" SELECT e.fid, r.minx, r.maxx, r.miny, r.maxy '
        f'FROM "{history}" e JOIN "{history}" o ON o.uid = e.uid AND o.digest = e.digest '
        "AND o.release_to = e.release_from AND o.valid_from = e.valid_from "
        f'JOIN "{index}" r ON r.id = o.fid WHERE e.fid > ? AND e.change IS NULL',
        (first_fid,),
    )


def _record_layers(connection: sa.Connection, number: int, candidate: Candidate) -> None:
    unchanged = connection.execute(
        sa.select(RELEASE_LAYER).where(RELEASE_LAYER.c.release == number - 1)
    ).mappings()
    rows = [
        {**row, "release": number, "changes": "{}"}
        for row in unchanged
        if row["layer"] not in candidate.layers
    ]
    rows += [_layer_row(number, state) for state in candidate.layers.values()]
    connection.execute(sa.insert(RELEASE_LAYER), rows)


def _layer_row(number: int, state: LayerState) -> dict[str, Any]:
    return {
        "release": number,
        "layer": state.version.layer,
        "count": state.version.count,
        "digest": state.version.digest,
        "sum": state.total.to_bytes(LAYER_SUM_BYTES, "little"),
        "changes": _canonical(state.version.changes),
    }


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
