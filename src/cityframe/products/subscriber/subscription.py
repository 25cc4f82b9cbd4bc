"""Subscribe with a full package, apply changes, and go back: each in one transaction.

Whatever does not hold ends it with an error, and the subscriber's data is as it was before.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer
from cityframe.products.package.manifest import LayerState, PackagedLayer, PackageKind
from cityframe.products.package.overlay import swapped
from cityframe.products.package.records import Redaction
from cityframe.products.signature import SignedStatement, TrustStore
from cityframe.products.signature.public_key import moment_text
from cityframe.products.subscriber.adoption import add_layers
from cityframe.products.subscriber.chain import (
    check_contracts,
    check_follows,
    check_kind,
    check_recalls,
    check_undoes,
)
from cityframe.products.subscriber.connect import open_session
from cityframe.products.subscriber.database import Session
from cityframe.products.subscriber.mapping import SubscriberMapping, check_mapping, layer_table
from cityframe.products.subscriber.move import LayerMove, MovedLayer, move_layer
from cityframe.products.subscriber.receipt import Answer, sign_receipt
from cityframe.products.subscriber.received import Received, received
from cityframe.products.subscriber.state import (
    AppliedPackage,
    Subscription,
    is_subscribed,
    read_state,
    write_state,
)


@dataclass(frozen=True)
class Outcome:
    """What a database stands at after a package.

    Attributes
    ----------
    layers : mapping of str to LayerState
        Count and digest of each layer, as computed from the database's own rows.
    redactions : tuple of Redaction
        Decisions to clear values that came with the package and were not known here.
    receipt : SignedStatement or None
        If one was asked for.
    """

    state: Subscription
    layers: dict[str, LayerState]
    redactions: tuple[Redaction, ...] = ()
    receipt: SignedStatement | None = None


def subscribe(
    database: str,
    full_package: Path,
    trust: TrustStore,
    *,
    at: dt.datetime,
    mapping: SubscriberMapping | None = None,
    answer: Answer | None = None,
) -> Outcome:
    """Load a full package, or adopt tables that hold the same rows already.

    Parameters
    ----------
    database : str
        Path of a GeoPackage, which is made if it is not there, or
        ``postgresql://user@host:port/name?schema=NAME``.
    full_package : Path
        A folder or zip.
    trust : TrustStore
        The publishers' keys that are trusted.
    at : datetime
        The present, with offset.
    mapping : SubscriberMapping, optional
        Where the layers are kept; it is kept with the subscription.
    answer : Answer, optional
        How to sign a receipt; without it there is none.

    Raises
    ------
    IntegrityError
        If the package does not hold or its signer is not trusted, or a table that is there holds
        other rows.
    DeclarationError
        If the database has a subscription, the package is no full one, or a table that is there
        lacks a column or has another CRS.
    SourceUnreachableError, GateClosedError
        See `cityframe.products.subscriber.connect.open_session`.
    """
    _check_answer(answer)
    with received(full_package, trust, at) as package:
        manifest = package.manifest
        check_kind(manifest, PackageKind.FULL, package.where)
        with open_session(database, may_create=True) as session:
            if is_subscribed(session):
                raise DeclarationError(
                    where=session.where,
                    found=f"a subscription at release {read_state(session).current.release}",
                    expected="none",
                    remedy="apply change packages to it, or subscribe in another place",
                )
            names = mapping or SubscriberMapping()
            check_mapping(names, [one.contract for one in manifest.layers], "mapping")
            moved = add_layers(session, package, names)
            for layer in manifest.layers:
                session.note_change(layer_table(layer.contract, names), moment_text(at))
            state = Subscription(
                title=manifest.title,
                key_id=package.key_id,
                updated_at=moment_text(at),
                recalls=(),
                mapping=names,
                layers=tuple(one.contract for one in manifest.layers),
                uid_sums={name: f"{one.uid_sum:032x}" for name, one in moved.items()},
                redacted={name: one.kept for name, one in moved.items() if one.kept},
                redactions=_known(package),
                packages=(_applied(package, _known(package)),),
            )
            write_state(session, state)
    layers = _states_after(manifest.layers)
    return _answered(Outcome(state, layers, state.redactions), answer, at)


def apply(
    database: str,
    change_package: Path,
    trust: TrustStore,
    *,
    at: dt.datetime,
    mapping: SubscriberMapping | None = None,
    answer: Answer | None = None,
) -> Outcome:
    """Apply a change package: all of it, proved before and after, or nothing.

    Parameters
    ----------
    mapping : SubscriberMapping, optional
        In the place of the one kept with the subscription; for attributes and layers that come.

    Others as in `subscribe`.

    Raises
    ------
    IntegrityError
        If the package does not hold or its signer is not trusted, it starts from another release,
        or the rows are not those of the release before; the message names features where it can.
    DeclarationError
        If it was applied already, packages between are missing, or there is no subscription.
    GateClosedError
        If a recall has not been acknowledged, or a constraint of the subscriber's own forbids it.
    SourceUnreachableError
        If the database does not answer or has no room.
    """
    _check_answer(answer)
    with received(change_package, trust, at) as package:
        manifest = package.manifest
        check_kind(manifest, PackageKind.CHANGE, package.where)
        with open_session(database) as session:
            before = read_state(session)
            check_follows(manifest, before, package.where)
            check_recalls(manifest, before, package.where)
            check_contracts(manifest, before, package.where)
            names = mapping or before.mapping
            check_mapping(names, [one.contract for one in manifest.layers], "mapping")
            steps = [_Step(one, package.changes(one)) for one in manifest.layers]
            came = tuple(one for one in _known(package) if one not in before.redactions)
            state = _moved(session, before, steps, package.redactions, names, at).model_copy(
                update={
                    "title": manifest.title,
                    "key_id": package.key_id,
                    "redactions": (*before.redactions, *came),
                    "packages": (*before.packages, _applied(package, came)),
                }
            )
            write_state(session, state)
    layers = _states_after(manifest.layers)
    return _answered(Outcome(state, layers, came), answer, at)


def undo(
    database: str,
    change_package: Path,
    *,
    at: dt.datetime,
    answer: Answer | None = None,
) -> Outcome:
    """Go back one release: apply the inverse of the change package that was applied last.

    Rows that come back have the defaults in columns that the framework does not know; columns and
    tables that the change made are dropped. The package is known by its digest, so no key is asked
    for: what a key signed that was revoked since can be taken back, too.

    Parameters and errors as in `apply`.

    Raises
    ------
    DeclarationError
        If it is not the package that was applied last.
    GateClosedError
        If the package redacted values: what was cleared does not come back.
    """
    _check_answer(answer)
    with received(change_package, None) as package:
        manifest = package.manifest
        check_kind(manifest, PackageKind.CHANGE, package.where)
        with open_session(database) as session:
            before = read_state(session)
            check_undoes(manifest, before, package.where)
            steps = [_Step(_inverse(one), swapped(package.changes(one))) for one in manifest.layers]
            state = _moved(session, before, steps, (), before.mapping, at).model_copy(
                update={"packages": before.packages[:-1]}
            )
            write_state(session, state)
    layers = _states_after([step.layer for step in steps])
    return _answered(Outcome(state, layers), answer, at)


@dataclass(frozen=True)
class _Step:
    """What is done with one layer."""

    layer: PackagedLayer
    changes: pa.Table


def _moved(
    session: Session,
    before: Subscription,
    steps: list[_Step],
    redactions: tuple[Redaction, ...],
    mapping: SubscriberMapping,
    at: dt.datetime,
) -> Subscription:
    """Move all layers and return the state that follows, with the package still to be noted."""
    session.lock(layer_table(layer, mapping).name for layer in before.layers)
    layers: list[Layer] = []
    moved: dict[str, MovedLayer] = {}
    for step in steps:
        name, after = step.layer.contract.name, step.layer.after
        move = LayerMove(
            packaged=step.layer,
            changes=step.changes,
            before=layer_table(step.layer.former_contract, mapping) if step.layer.before else None,
            after=layer_table(step.layer.contract, mapping) if after else None,
            uid_sum=int(before.uid_sums.get(name, "0"), 16),
            kept=before.redacted.get(name, {}),
            redactions=[one for one in redactions if one.layer == name and one.digest],
        )
        if (found := move_layer(session, move)) is not None and move.after is not None:
            moved[name] = found
            layers.append(step.layer.contract)
            session.note_change(move.after, moment_text(at))
    return before.model_copy(
        update={
            "updated_at": moment_text(at),
            "mapping": mapping,
            "layers": tuple(layers),
            "uid_sums": {name: f"{one.uid_sum:032x}" for name, one in moved.items()},
            "redacted": {name: one.kept for name, one in moved.items() if one.kept},
        }
    )


def _inverse(layer: PackagedLayer) -> PackagedLayer:
    """Return a layer of a change with its two ends swapped."""
    has_moved = layer.contract_before is not None
    return layer.model_copy(
        update={
            "contract": layer.former_contract,
            "contract_before": layer.contract if has_moved else None,
            "before": layer.after,
            "after": layer.before,
        }
    )


def _known(package: Received) -> tuple[Redaction, ...]:
    return tuple(one.model_copy(update={"digest": None}) for one in package.redactions)


def _applied(package: Received, came: tuple[Redaction, ...]) -> AppliedPackage:
    manifest = package.manifest
    return AppliedPackage(
        release=manifest.release.number,
        release_digest=manifest.release.digest,
        package_digest=manifest.digest,
        redactions=len(came),
    )


def _states_after(layers: list[PackagedLayer] | tuple[PackagedLayer, ...]) -> dict[str, LayerState]:
    # proved from the rows, each layer, before the transaction was committed
    return {one.contract.name: one.after for one in layers if one.after is not None}


def _check_answer(answer: Answer | None) -> None:
    if answer is not None:
        answer.check()


def _answered(outcome: Outcome, answer: Answer | None, at: dt.datetime) -> Outcome:
    if answer is None:
        return outcome
    receipt = sign_receipt(answer, outcome.state, outcome.layers, at)
    return Outcome(outcome.state, outcome.layers, outcome.redactions, receipt)
