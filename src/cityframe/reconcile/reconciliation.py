"""Reconcile a delivery with a layer: what it would change, and what must be asked first."""

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from shapely.geometry.base import BaseGeometry

from cityframe.config.reconciling import Reconciling
from cityframe.config.source import Feed
from cityframe.core.agreement import Tolerance
from cityframe.core.findings import concat_findings
from cityframe.model.delivery import Delivery, DeliveryKind
from cityframe.model.layer import Layer
from cityframe.reconcile.answers import NO_CONSTRAINTS, Constraints
from cityframe.reconcile.cascade import match_records
from cityframe.reconcile.changes import Draft, change_table
from cityframe.reconcile.comparison import compare
from cityframe.reconcile.coverage import absent_inside
from cityframe.reconcile.current import CurrentLayer
from cityframe.reconcile.fates import record_fates
from cityframe.reconcile.guards import Guard
from cityframe.reconcile.questions import AMBIGUOUS_MATCH, record_findings
from cityframe.reconcile.records import Records
from cityframe.reconcile.roles import MatchedRecords, Role

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Reconciled:
    """What a delivery would do to one layer.

    Attributes
    ----------
    changes : GeoDataFrame
        `cityframe.model.change.CHANGE_COLUMNS`, all attributes, geometry: the full rows after the
        change, for removed features as they were; sorted by uid.
    fates : DataFrame
        `cityframe.model.fate.FATE_COLUMNS`: one row a record, in their order.
    findings : GeoDataFrame
        Of the guards, and questions about records.
    quarantine_reasons : tuple of str
        Not empty: the delivery must be set aside whole. The changes are then what would have
        happened, and every record that it would have brought in is waiting.
    """

    changes: gpd.GeoDataFrame
    fates: pd.DataFrame
    findings: gpd.GeoDataFrame
    quarantine_reasons: tuple[str, ...]


def reconcile(
    current: CurrentLayer,
    incoming: gpd.GeoDataFrame,
    *,
    layer: Layer,
    feed: Feed,
    delivery: Delivery,
    delivery_kind: DeliveryKind,
    accuracy_m: float,
    removal_history: Sequence[float],
    node: str = "",
    rules: Reconciling | None = None,
    constraints: Constraints = NO_CONSTRAINTS,
    area: BaseGeometry | None = None,
    held_keys: frozenset[str] = frozenset(),
    held_uids: frozenset[str] = frozenset(),
    held_records: frozenset[int] = frozenset(),
) -> Reconciled:
    """Work out what a delivery changes in a layer.

    Parameters
    ----------
    current : CurrentLayer
        The layer as it stands, with the changes of the cycle's former deliveries (`compose`).
    incoming : GeoDataFrame, n rows
        Conformed layer frame: the provided attributes, geometry, ``record``, ``source_key``,
        ``operation``, ``valid_from``, perhaps ``uid`` and ``source_id``.
    accuracy_m : float
        Declared mean error of a point in the delivery, in metres.
    removal_history : sequence of float
        Shares of the layer that former deliveries of the feed removed.
    node : str
        Name of the city among those that exchange with it; new uids depend on it.
    constraints : Constraints
        What people answered about the layer and the source.
    area : geometry, optional
        Of which a full delivery speaks; everywhere by default.
    held_keys, held_uids : frozenset of str
        Features of which a record was returned before: they are not absent.
    held_records : frozenset of int
        Numbers of records in ``incoming`` that were returned before: they are matched, so that
        their features are not taken as absent, and nothing else; they get no fate.

    Returns
    -------
    Reconciled
        The same for the same input.
    """
    records, index = Records.read(incoming, layer, feed), current.index()
    tolerance = Tolerance.between(layer.accuracy_m, accuracy_m)
    matches = match_records(
        current,
        index,
        records,
        tolerance,
        bridge=current.bridge(delivery.source) if feed.id else None,
        constraints=constraints,
    )
    matched = MatchedRecords.sort_out(records, index, matches, held_records)
    comparison = compare(current, matched, tolerance)

    guard = Guard(layer, delivery.id, feed.guards, tolerance)
    displaced = guard.displacement(comparison, len(matched.at(Role.UPDATE)))
    if displaced:
        # one question about the whole layer is enough
        comparison = comparison.without_questions()
    is_full = delivery_kind in (DeliveryKind.FULL, DeliveryKind.LAYERS_CHANGED_ONLY)
    absent = _absent(matched, held_keys, held_uids) if is_full else np.empty(0, dtype=np.intp)
    if area is not None:
        absent = absent_inside(current, absent, area, tolerance)

    draft = Draft(matched, delivery, node, pd.Series(dtype="str"))
    new = draft.new(current)
    removed = draft.removed(current, absent, pd.Series(dtype="str"))
    mass = guard.removal(current, removed, len(index), removal_history)
    held = concat_findings([*displaced, *mass], layer.crs)
    unsure = pd.Series(AMBIGUOUS_MATCH.rule, index=matched.at(Role.UNSURE))
    fates = record_fates(matched, comparison, new[["uid", "basis"]], unsure)
    if len(held):
        fates.hold(", ".join(held["rule"]))
    asked = record_findings(matched, comparison, tolerance, delivery.id)
    return Reconciled(
        changes=change_table([new, draft.changed(comparison), removed], layer),
        fates=fates.frame(),
        findings=concat_findings([held, asked], layer.crs),
        quarantine_reasons=tuple(held["found"]),
    )


def _absent(
    matched: MatchedRecords, held_keys: frozenset[str], held_uids: frozenset[str]
) -> Positions:
    """Return the positions of the features that no record of the delivery speaks of."""
    index = matched.index
    is_held = index["key"].isin(held_keys) | index["uid"].isin(held_uids)
    return np.flatnonzero(~matched.matches.features_seen(len(index)) & ~is_held)
