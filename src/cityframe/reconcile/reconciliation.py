"""Reconcile a delivery with a layer: what it would change, and what must be asked first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.core.findings import concat_findings
from cityframe.reconcile.asking import Asker, concat_questions
from cityframe.reconcile.cascade import Matches, match_records
from cityframe.reconcile.changes import Draft, change_table
from cityframe.reconcile.comparison import Comparison, compare
from cityframe.reconcile.coverage import absent_inside, count_inside, outside_findings
from cityframe.reconcile.current import CurrentLayer
from cityframe.reconcile.edges import match_edges
from cityframe.reconcile.fates import record_fates
from cityframe.reconcile.former_deliveries import Absence, held_absent
from cityframe.reconcile.guards import Guard
from cityframe.reconcile.lineage import LIVES_ON, lineage_of
from cityframe.reconcile.merging import Merging
from cityframe.reconcile.origin import bridge_rows, concat_provenance, match_provenance
from cityframe.reconcile.question_findings import QUESTION_RULES, question_findings
from cityframe.reconcile.record_findings import record_findings
from cityframe.reconcile.records import Records
from cityframe.reconcile.roles import MatchedRecords, Role
from cityframe.reconcile.setting import Setting
from cityframe.reconcile.shape_pass import shape_pass
from cityframe.reconcile.shapes import ShapeOutcome
from cityframe.reconcile.shared_boundaries import follow_boundaries

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
        Of the guards, and about records; each question is one.
    questions : GeoDataFrame
        `cityframe.model.question.QUESTION_COLUMNS`.
    lineage : DataFrame
        ``event, parent, child, share``: splits, merges and replacements, by uid.
    bridge : DataFrame
        ``source, source_id, uid, matched_by, score, margin``: names that stand for another
        feature than before.
    provenance : DataFrame
        `cityframe.reconcile.merging.PROVENANCE_COLUMNS`: matches that no name made, and values
        over which sources disagreed.
    absent : mapping of str to int
        Features that a full delivery lacks and that stay for now: from how many in a row.
    answers_met : tuple of str
        Answers that took part.
    quarantine_reasons : tuple of str
        Not empty: the delivery must be set aside whole. The changes are then what would have
        happened, and every record that it would have brought in is waiting.
    """

    changes: gpd.GeoDataFrame
    fates: pd.DataFrame
    findings: gpd.GeoDataFrame
    questions: gpd.GeoDataFrame
    lineage: pd.DataFrame
    bridge: pd.DataFrame
    provenance: pd.DataFrame
    quarantine_reasons: tuple[str, ...]
    absent: Mapping[str, int] = field(default_factory=dict)
    answers_met: tuple[str, ...] = ()


def reconcile(current: CurrentLayer, incoming: gpd.GeoDataFrame, setting: Setting) -> Reconciled:
    """Work out what a delivery changes in a layer.

    Parameters
    ----------
    current : CurrentLayer
        The layer as it stands, with the changes of the cycle's former deliveries (`compose`).
    incoming : GeoDataFrame, n rows
        Conformed layer frame: the provided attributes, geometry, ``record``, ``source_key``,
        ``operation``, ``valid_from``, perhaps ``uid`` and ``source_id``.
    setting : Setting
        Contract, declarations, answers and history.

    Returns
    -------
    Reconciled
        The same for the same input.
    """
    layer, delivery, tolerance = setting.layer, setting.delivery, setting.tolerance
    records = Records.read(incoming, layer, setting.feed, setting.held_records)
    index = current.index()
    matches, shapes = _match(current, index, records, setting)
    matched = MatchedRecords.sort_out(records, index, matches)
    comparison = compare(current, matched, tolerance, _merging(setting))
    comparison = comparison.taken_as_plausible(matches.matched_by[comparison.incoming] == "answer")

    guard = Guard(layer, delivery.id, setting.feed.guards, tolerance)
    displaced = guard.displacement(comparison, len(matched.at(Role.UPDATE)))
    if displaced:
        # one question about the whole layer is enough
        comparison = comparison.without_questions()
    absent, absence = _absent(current, matched, shapes, setting)
    lineage = lineage_of(current, matched, comparison, shapes, absent, setting)

    draft = Draft(matched, delivery, setting.node, lineage.basis_of_records())
    new = draft.new(current)
    ends = lineage.ends(draft.begins())
    removed = draft.removed(current, absent, ends)
    changes = change_table([new, draft.changed(comparison), removed], layer)
    living = index["uid"].iloc[ends.index[ends["event"].isin(LIVES_ON)]]
    lost = removed[~removed["uid"].isin(living)]
    held = concat_findings(
        [
            *displaced,
            *guard.removal(current, lost, _count(current, lost, setting), setting.removal_history),
            *guard.churn(changes, len(index), setting.former),
        ],
        layer.crs,
    )
    provenance = [match_provenance(changes, matched, comparison, delivery)]
    seams: list[gpd.GeoDataFrame] = []
    if held.empty:
        changes, seams, followed = _follow(current, changes, matched, setting)
        provenance += followed
    questions = _questions(current, matched, comparison, setting)
    fates = record_fates(matched, comparison, new[["uid", "basis"]], _rules_of_doubt(matches))
    if len(held):
        fates.hold(", ".join(held["rule"]))
    uids = fates.uids()
    return Reconciled(
        changes=changes,
        fates=fates.frame(),
        findings=concat_findings(
            [
                held,
                question_findings(questions, layer, delivery.id, tolerance),
                record_findings(matched, delivery.id),
                *_outside(records, setting),
                *seams,
            ],
            layer.crs,
        ),
        questions=questions,
        lineage=lineage.table(uids),
        bridge=bridge_rows(current, matched, uids, setting),
        provenance=concat_provenance(provenance),
        quarantine_reasons=tuple(held["found"]),
        absent=absence.times,
        answers_met=setting.constraints.taking_part(records.subject, comparison.answered)
        if setting.constraints
        else (),
    )


def _match(
    current: CurrentLayer, index: pd.DataFrame, records: Records, setting: Setting
) -> tuple[Matches, ShapeOutcome]:
    matches = match_records(
        current,
        index,
        records,
        setting.tolerance,
        bridge=current.bridge(setting.delivery.source) if setting.feed.id else None,
        constraints=setting.constraints,
        keys=setting.feed.matching.keys,
    )
    shapes = shape_pass(current, index, records, matches, setting)
    matches = matches.with_pairs(shapes.pairs, "shape").with_candidates(shapes.candidates)
    return matches, shapes


def _merging(setting: Setting) -> Merging:
    return Merging(
        source=setting.delivery.source,
        delivery=setting.delivery.id,
        observed_at=setting.delivery.observed_at,
        rules=setting.rules,
        base=setting.base,
        answers=setting.constraints.values,
    )


def _absent(
    current: CurrentLayer, matched: MatchedRecords, shapes: ShapeOutcome, setting: Setting
) -> tuple[Positions, Absence]:
    """Return the positions of the features that go because nothing speaks of them."""
    index = matched.index
    nothing = np.empty(0, dtype=np.intp)
    if not setting.infers_absence:
        # it says nothing of absence: the count goes on with the next full delivery
        return nothing, Absence(np.empty(0, dtype=bool), setting.absent_before)
    is_held = index["key"].isin(setting.held_keys) | index["uid"].isin(setting.held_uids)
    is_seen = matched.matches.features_seen(len(index)) | is_held.to_numpy()
    is_seen[shapes.retired()] = True
    absent = np.flatnonzero(~is_seen)
    if setting.area is not None:
        absent = absent_inside(current, absent, setting.area, setting.tolerance)
    absence = held_absent(
        index["uid"].iloc[absent], setting.absent_before, setting.feed.guards.absent_in
    )
    return absent[absence.is_removed], absence


def _count(current: CurrentLayer, lost: gpd.GeoDataFrame, setting: Setting) -> int:
    """Return how many features the delivery speaks of: what a removal is a share of."""
    if setting.area is None or lost.empty:
        return len(current.index())
    return max(count_inside(current, setting.area, setting.tolerance), len(lost))


def _questions(
    current: CurrentLayer, matched: MatchedRecords, comparison: Comparison, setting: Setting
) -> gpd.GeoDataFrame:
    delivery = setting.delivery
    asker = Asker(matched.records, current, delivery.source, delivery.id)
    doubts = matched.matches.candidates
    far = comparison.incoming[comparison.is_implausible]
    is_asked = np.isin(doubts["incoming"], matched.at(Role.UNSURE))
    return concat_questions(
        [
            asker.about_matches(doubts[is_asked]),
            asker.about_far_ids(far, matched.matches.position[far]),
            asker.about_values(comparison.conflicts),
        ],
        setting.layer.crs,
    )


def _rules_of_doubt(matches: Matches) -> pd.Series:
    """Return the rule of the question about each doubtful record, by its position."""
    first = matches.candidates.drop_duplicates("incoming").set_index("incoming")["kind"]
    return first.map({kind.value: rule for kind, rule in QUESTION_RULES.items()})


def _follow(
    current: CurrentLayer, changes: gpd.GeoDataFrame, matched: MatchedRecords, setting: Setting
) -> tuple[gpd.GeoDataFrame, list[gpd.GeoDataFrame], list[pd.DataFrame]]:
    """Let neighbours follow: across shared boundaries, and across the borders of districts.

    Returns
    -------
    tuple
        The change table with what followed, findings, and the provenance of what followed.
    """
    layer, delivery, tolerance = setting.layer, setting.delivery, setting.tolerance
    findings, provenance = [], []
    if setting.rules.shared_boundaries and layer.geometry.single == "Polygon":
        changes, torn, rows = follow_boundaries(
            changes,
            current,
            layer,
            delivery=delivery,
            tolerance=tolerance,
            said=partial(_said_to_stay, matched),
        )
        findings.append(torn)
        provenance.append(rows)
    if setting.borders is not None:
        changes, apart, rows = match_edges(
            changes,
            current,
            layer,
            rules=setting.rules,
            borders=setting.borders,
            origins=current.origins,
            delivery=delivery,
            tolerance=tolerance,
            nodes=setting.nodes,
        )
        findings.append(apart)
        provenance.append(rows)
    return changes, findings, provenance


def _said_to_stay(matched: MatchedRecords, uids: Sequence[str]) -> Mapping[str, shapely.Geometry]:
    """Return what the delivery says of the geometry of features, by uid."""
    if not matched.records.has_geometry:
        return {}
    at = matched.at(Role.UPDATE)
    at = at[np.isin(matched.uids(at), np.asarray(uids, dtype=object))]
    geometry = matched.records.frame.geometry.to_numpy()[at]
    return dict(zip(matched.uids(at), geometry, strict=True))


def _outside(records: Records, setting: Setting) -> list[gpd.GeoDataFrame]:
    if setting.area is None or not records.has_geometry:
        return []
    return [
        outside_findings(
            records.frame,
            setting.area,
            layer=setting.layer,
            delivery=setting.delivery.id,
            tolerance=setting.tolerance,
        )
    ]
