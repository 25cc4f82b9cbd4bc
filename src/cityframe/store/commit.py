"""Commit a candidate: one transaction over all layers, or nothing."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from cityframe.core.arrow_rows import to_frame
from cityframe.core.frames import key_text
from cityframe.errors import GateClosedError, IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store import contract as contract_form
from cityframe.store.bridge import collisions, plan_bridge, plan_bridge_restore
from cityframe.store.candidate import (
    Candidate,
    first_state,
    is_first,
    read_changes,
    read_light,
    verify_candidate,
)
from cityframe.store.chain import sha256
from cityframe.store.framework import Framework
from cityframe.store.home import Bulk
from cityframe.store.layer_plan import (
    LayerPlan,
    due_moments,
    microseconds_of,
    plan_changes,
    plan_restore,
)
from cityframe.store.layout import prepare
from cityframe.store.new_rows import added_rows, first_rows
from cityframe.store.provenance import release_rows
from cityframe.store.reconciliation import (
    ReconciliationPlan,
    restored_digest,
    staged_bridge,
    staged_provenance,
)
from cityframe.store.release_entry import enter_release
from cityframe.store.release_rows import LayerState
from cityframe.store.seal import sealed_set
from cityframe.store.tables import CONTRACT, DUE
from cityframe.store.views import refuse_named

REMOVED_EVENT = "removed"
_EXAMPLES = 10


@dataclass
class _LayerWork:
    """One layer in the making: its plan, or its first rows to load; seals as they are known."""

    layer: Layer
    state: LayerState
    is_new: bool
    plan: LayerPlan | None = None
    bulk: Bulk | None = None
    due: Sequence[tuple[str, str]] = ()
    opened: list["pa.Array[Any]"] = field(default_factory=list)
    closed: list["pa.ChunkedArray[Any]"] = field(default_factory=list)


def commit(
    framework: Framework,
    candidate: Candidate,
    layers: Mapping[str, Layer],
    *,
    kind: ReleaseKind,
    cycle: str,
    evidence: Mapping[str, Any],
    at: dt.datetime,
) -> Release:
    """Make a candidate the next release.

    A candidate over an older release is moved onto the newest one if no release since touched its
    features; the evidence then says ``rebased_from``.

    Parameters
    ----------
    framework : Framework
        The store.
    candidate : Candidate
        Its files are verified first.
    layers : mapping of str to Layer
        Contracts of at least the changed layers.
    kind : ReleaseKind
        How the release came about.
    cycle : str
        Id of the cycle; committing the same candidate of a cycle again returns its release.
    evidence : mapping
        JSON-ready proof: rule-set digest, report digest, decisions, waivers, deliveries.
    at : datetime
        The release's time.

    Returns
    -------
    Release
        The new one.

    Raises
    ------
    GateClosedError
        If a release since the candidate was staged touched the same features; it names them. If
        another candidate of the cycle is a release.
    IntegrityError
        If the candidate's files are not what its digest says.
    DeclarationError
        If a layer's contract can't follow the one in the store, or a new layer has the name of a
        view.
    SourceUnreachableError
        If another writer holds the store, or the connection is lost; nothing was written.
    """
    home = framework.home
    with home.exclusive():
        done = framework.released_by(cycle)
        if done is not None:
            return _same(done, candidate)
        verify_candidate(candidate)
        prepare(home)
        parent = framework.current()
        body = {**evidence, "candidate_digest": candidate.digest}
        if (parent.number if parent else 0) != candidate.parent:
            _check_collisions(framework, candidate, parent)
            body["rebased_from"] = candidate.parent
        number = parent.number + 1 if parent else 1
        stored = framework.contracts()
        declared = {**stored, **layers}
        chosen = [_contract(candidate, declared[name]) for name in candidate.layers]
        chosen += _fallen_due(framework, candidate, stored, parent)
        works = [_work(framework, candidate, layer, stored, number) for layer in chosen]
        _check_states(works, candidate, is_rebased="rebased_from" in body)
        lineage = _lineage(candidate, works)
        reconciled = _reconciled(framework, candidate, works, lineage, number)
        body |= reconciled.evidence
        head = {
            "number": number,
            "kind": kind.value,
            "created_at": at.astimezone(dt.UTC).isoformat(timespec="seconds"),
            "valid_at": _reference_time(candidate, parent),
            "cycle": cycle,
            "candidate": candidate.digest,
            "parent": parent.digest if parent else "",
        }
        with home.transaction([work.bulk for work in works if work.bulk]) as connection:
            contracts = _contracts(framework, connection, candidate, declared, stored, number)
            for work in works:
                _write(framework, connection, candidate, work, number, str(head["created_at"]))
            states = [_with_sealed_sets(work) for work in works]
            enter_release(connection, head, states, contracts, lineage, body)
            reconciled.write(home, connection, number)
    return framework.release(number)


def _same(done: Release, candidate: Candidate) -> Release:
    if done.evidence.get("candidate_digest") != candidate.digest:
        raise GateClosedError(
            where=f"cycle {done.cycle}",
            found=f"another candidate of it is release {done.number}",
            expected="one candidate a cycle",
            remedy="open the next cycle",
        )
    return done


def _reference_time(candidate: Candidate, parent: Release | None) -> str:
    if parent is None or candidate.restores is not None:
        return candidate.valid_at
    return max(candidate.valid_at, parent.valid_at)


def _contract(candidate: Candidate, layer: Layer) -> Layer:
    if sha256(contract_form.write(layer)) != candidate.contracts[layer.name]:
        raise IntegrityError(
            where=f"schemas/{layer.name}.yaml",
            found="a contract other than the one that the candidate was staged with",
            remedy="stage the cycle again",
        )
    return layer


def _check_collisions(framework: Framework, candidate: Candidate, parent: Release | None) -> None:
    newest = parent.number if parent else 0
    where = f"candidate {candidate.digest[:16]}"
    if newest < candidate.parent or candidate.restores is not None:
        raise GateClosedError(
            where=where,
            found=f"release {newest} is the newest",
            expected=f"release {candidate.parent}, over which the candidate was staged",
            remedy="stage again and decide over the new candidate",
        )
    bridge = staged_bridge(candidate.folder, candidate.reconciliation)
    for name in sorted({*candidate.files, *bridge}):
        stored = framework.contracts().get(name)
        if stored is None:
            continue
        since = set(framework.touched_uids(stored, candidate.parent, newest))
        both = sorted(since.intersection(read_light(candidate, name)["uid"]))
        if name in bridge:
            both += collisions(framework, name, bridge[name], since, candidate.parent)
        # each side may have brought the same feature as a new one
        both += _new_on_both_sides(framework, candidate, stored, sorted(since))
        if both:
            more = f" and {len(both) - _EXAMPLES} more" if len(both) > _EXAMPLES else ""
            raise GateClosedError(
                where=where,
                found=f"releases {candidate.parent + 1} to {newest} changed features of layer "
                f"{name} that it changes too: {', '.join(both[:_EXAMPLES])}{more}",
                expected="changes of other features only",
                remedy="stage the cycle again over the newest release and decide anew",
            )


def _new_on_both_sides(
    framework: Framework, candidate: Candidate, layer: Layer, since: Sequence[str]
) -> list[str]:
    """Return the keys of new features that releases since have brought under other uids."""
    if not layer.key:
        return []
    changes = read_changes(candidate, layer)
    new = key_text(changes[changes["change"] == ChangeKind.NEW], layer.key).dropna()
    known = to_frame(framework.known_rows(layer, since, ("uid", *layer.key)), layer)
    return sorted(set(new).intersection(key_text(known, layer.key).dropna()))


def _fallen_due(
    framework: Framework, candidate: Candidate, stored: Mapping[str, Layer], parent: Release | None
) -> list[Layer]:
    """Return layers beside the candidate's with rows, released since, that fall due with it."""
    if parent is None or candidate.restores is not None:
        return []
    until = _reference_time(candidate, parent)
    return [
        layer
        for name, layer in stored.items()
        if name not in candidate.layers and framework.due_uids(layer, parent.valid_at, until)
    ]


def _work(
    framework: Framework,
    candidate: Candidate,
    layer: Layer,
    stored: Mapping[str, Layer],
    number: int,
) -> _LayerWork:
    is_new = layer.name not in stored
    if is_new:
        refuse_named(framework, layer.name)
    if candidate.restores is not None:
        plan = plan_restore(framework, layer, candidate.restores, number, candidate.valid_at)
        return _planned(layer, plan, is_new=is_new)
    current = framework.current()
    valid_at = _reference_time(candidate, current)
    light = read_light(candidate, layer.name)
    if not is_first(light, layer, stored):
        plan = plan_changes(framework, layer, light, number, valid_at)
        return _planned(layer, plan, is_new=is_new)
    work = _LayerWork(
        layer=layer,
        # moved onto a release of a later time, more of the rows may have fallen due
        state=candidate.layers[layer.name]
        if valid_at == candidate.valid_at
        else first_state(light, layer, valid_at),
        is_new=True,
        due=sorted(set(due_moments(light, microseconds_of(valid_at)))),
    )
    return replace(work, bulk=Bulk(layer, first_rows(candidate, layer, number, work.opened)))


def _planned(layer: Layer, plan: LayerPlan, *, is_new: bool) -> _LayerWork:
    work = _LayerWork(layer=layer, state=plan.state, is_new=is_new, plan=plan, due=plan.due)
    work.closed.append(plan.closed.column("seal"))
    work.opened.append(plan.copies.column("seal").combine_chunks())
    return work


def _check_states(works: Sequence[_LayerWork], candidate: Candidate, *, is_rebased: bool) -> None:
    if is_rebased:
        return
    for work in works:
        expected = candidate.layers[work.layer.name]
        if work.state != expected:
            raise IntegrityError(
                where=f"{candidate.path(work.layer.name)}",
                found="changes that do not lead to the candidate's digest",
                expected=expected.version.digest,
                remedy="stage the cycle again",
            )


def _reconciled(
    framework: Framework,
    candidate: Candidate,
    works: Sequence[_LayerWork],
    lineage: Sequence[Mapping[str, Any]],
    number: int,
) -> ReconciliationPlan:
    if candidate.restores is not None:
        bridge = plan_bridge_restore(framework, candidate.restores, number)
        if restored_digest(bridge) != candidate.reconciliation:
            raise IntegrityError(
                where="cf_bridge",
                found="names other than those that the decision was taken over",
                remedy="run `cityframe fsck`",
            )
    else:
        said = staged_bridge(candidate.folder, candidate.reconciliation)
        removed = {work.layer.name: work.plan.removed for work in works if work.plan}
        bridge = plan_bridge(framework, said, removed, lineage, number)
    provenance = staged_provenance(candidate.folder, candidate.reconciliation)
    return ReconciliationPlan(bridge=bridge, provenance=release_rows(provenance, number))


def _contracts(
    framework: Framework,
    connection: sa.Connection,
    candidate: Candidate,
    layers: Mapping[str, Layer],
    stored: dict[str, Layer],
    number: int,
) -> dict[str, Layer]:
    """Enter contracts that are new or changed; return all of them as of the release."""
    for name in candidate.contracts:
        layer = _contract(candidate, layers[name])
        if name in stored:
            if contract_form.is_same(stored[name], layer):
                continue
            added = contract_form.added_attributes(stored[name], layer)
            grown = stored[name]
            for attribute in added:
                grown = replace(grown, attributes=(*grown.attributes, attribute))
                framework.home.add_column(connection, grown, attribute)
        connection.execute(
            sa.insert(CONTRACT).values(
                layer=name, release=number, contract=contract_form.write(layer)
            )
        )
        stored[name] = layer
    return stored


def _write(
    framework: Framework,
    connection: sa.Connection,
    candidate: Candidate,
    work: _LayerWork,
    number: int,
    created_at: str,
) -> None:
    home, layer = framework.home, work.layer
    if work.is_new:
        home.create_layer(connection, layer)
    if work.bulk is not None:
        home.add_bulk(connection, work.bulk)
    if work.is_new:
        home.index_layer(connection, layer)
    if work.plan is not None:
        home.close_rows(
            connection, layer, work.plan.closed.column("fid").to_numpy().tolist(), number
        )
        home.copy_rows(connection, layer, work.plan.copies)
        for rows in added_rows(candidate, layer, work.plan.added, number, work.opened):
            home.add_rows(connection, layer, rows)
    home.touched(connection, layer, created_at.replace("+00:00", "Z"))
    if work.due:
        rows_due = [{"layer": layer.name, "at": at, "uid": uid} for at, uid in work.due]
        connection.execute(sa.insert(DUE), rows_due)


def _with_sealed_sets(work: _LayerWork) -> LayerState:
    version = replace(
        work.state.version, opened=sealed_set(work.opened), closed=sealed_set(work.closed)
    )
    return replace(work.state, version=version)


def _lineage(candidate: Candidate, works: Sequence[_LayerWork]) -> list[dict[str, Any]]:
    """Return the candidate's events, and a tombstone for each feature that ends without one."""
    events = [dict(one) for one in candidate.lineage]
    told = {(one["layer"], one["parent"]) for one in events}
    for work in works:
        name = work.layer.name
        events += [
            {"layer": name, "event": REMOVED_EVENT, "parent": uid, "child": None, "share": None}
            for uid in (work.plan.removed if work.plan else ())
            if (name, uid) not in told
        ]
    return events
