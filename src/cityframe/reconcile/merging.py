"""Merge what a source says of features into what the framework says, attribute by attribute."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.config.reconciling import GEOMETRY, Reconciling
from cityframe.core.agreement import Agreement, Tolerance, compare_geometry
from cityframe.core.three_way import (
    UNLISTED,
    Choice,
    Claims,
    MergedColumn,
    MergeRule,
    Sides,
    merge_sides,
    same_values,
)
from cityframe.model.layer import Layer
from cityframe.model.question import Action
from cityframe.reconcile.current import CurrentLayer
from cityframe.reconcile.disputes import (
    CONFLICT_COLUMNS,
    PROVENANCE_COLUMNS,
    Dispute,
    Pairs,
    Speakers,
    Texts,
    empty_table,
    stacked_tables,
)

Flags = npt.NDArray[np.bool_]
AnswerKey = tuple[str, str, str]
"""Uid, attribute, digest of the two values."""


@dataclass(frozen=True)
class Merging:
    """What a merge must know beside the values.

    Attributes
    ----------
    source, delivery : str
        Who speaks, and in which delivery.
    observed_at : str
        When the delivery's content was so, ISO 8601 in UTC, for records that say nothing of it.
    rules : Reconciling
        The layer's authorities.
    base : int or None
        The release that the source worked from; None where it does not say.
    answers : mapping of AnswerKey to (Action, str)
        Conflicts that a person decided: `Action.TAKE` or `Action.KEEP`, and who.
    """

    source: str
    delivery: str
    observed_at: str
    rules: Reconciling = field(default_factory=Reconciling)
    base: int | None = None
    answers: Mapping[AnswerKey, tuple[Action, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Merged:
    """What counts, of k pairs.

    Attributes
    ----------
    taken : mapping of str to ndarray of bool
        By attribute (`GEOMETRY` is one): where the incoming value differs and counts.
    provenance : DataFrame
        ``pair`` (position) and `PROVENANCE_COLUMNS`.
    conflicts : DataFrame
        ``pair`` (position) and `CONFLICT_COLUMNS`.
    not_before : Series of datetime, k
        Since when the present row holds, where something of it stays although the record says
        otherwise, else NaT: a row of both can't hold from an earlier moment on.
    kept : ndarray of bool, k
        Where something of the present row stays although the record says otherwise.
    answered : tuple of AnswerKey
        The conflicts that an answer decided.
    """

    taken: Mapping[str, Flags]
    provenance: pd.DataFrame
    conflicts: pd.DataFrame
    not_before: pd.Series
    kept: Flags
    answered: tuple[AnswerKey, ...] = ()


def merge_pairs(
    current: CurrentLayer, pairs: Pairs, tolerance: Tolerance, merging: Merging
) -> Merged:
    """Merge pairs whose rows differ, attribute by attribute.

    Returns
    -------
    Merged
        By the rules of `cityframe.core.three_way`. A geometry within tolerance of another is
        taken as the same. Where an answer of a person is known, no question is asked again.
    """
    base = _base_rows(current, pairs, merging)
    sides = {
        name: _geometry_sides(pairs, base, current.layer, tolerance)
        if name == GEOMETRY
        else _attribute_sides(name, pairs, base)
        for name in pairs.names
    }
    observed = pairs.said["valid_from"].fillna(pd.Timestamp(merging.observed_at))
    standing = current.standing(pairs.uids.tolist()).set_index("uid").reindex(pairs.uids)
    speakers = _speakers(current, pairs, sides, standing, observed, merging)
    taken: dict[str, Flags] = {}
    kept = np.zeros(len(pairs.uids), dtype=bool)
    answered: list[AnswerKey] = []
    losses, conflicts = [empty_table(PROVENANCE_COLUMNS)], [empty_table(CONFLICT_COLUMNS)]
    for name, side in sides.items():
        column = merge_sides(side, _claims(name, speakers[name], observed, merging))
        dispute = Dispute(
            name,
            pairs,
            base,
            speakers[name],
            observed,
            current.layer,
            merging.source,
            merging.delivery,
        )
        undecided = dispute.conflicts(np.flatnonzero(column.choice == Choice.CONFLICT))
        column, decided_by, is_asked = _answered(column, undecided, merging)
        conflicts.append(undecided[is_asked])
        answered += _keys(undecided[~is_asked])
        losses.append(dispute.losses(side, column, decided_by))
        taken[name] = column.is_taken()
        kept |= side.differs & ~taken[name]
    since = standing["since"].reset_index(drop=True)
    return Merged(
        taken=taken,
        provenance=stacked_tables(losses),
        conflicts=stacked_tables(conflicts),
        not_before=since.where(kept),
        kept=kept,
        answered=tuple(answered),
    )


def _attribute_sides(name: str, pairs: Pairs, base: gpd.GeoDataFrame | None) -> Sides:
    before, after = pairs.before[name], pairs.after[name]
    origin = before if base is None else base[name]
    return Sides(
        differs=~same_values(before, after),
        current_changed=~same_values(origin, before),
        incoming_changed=~same_values(origin, after),
        has_base=_is_there(base, len(before)),
        is_blank=before.isna().to_numpy(dtype=bool),
    )


def _geometry_sides(
    pairs: Pairs, base: gpd.GeoDataFrame | None, layer: Layer, tolerance: Tolerance
) -> Sides:
    differs = ~np.isin(pairs.agreement, [Agreement.EQUAL, Agreement.WITHIN])
    before, after = pairs.before.geometry.to_numpy(), pairs.after.geometry.to_numpy()
    has_base = _is_there(base, len(before))
    changed = np.zeros((2, len(before)), dtype=bool)
    rows = np.flatnonzero(differs & has_base)
    if base is not None and len(rows):
        origin = base.geometry.to_numpy()[rows]
        for place, side in enumerate((before, after)):
            found = compare_geometry(origin, side[rows], layer, tolerance)["agreement"]
            changed[place, rows] = ~found.isin([Agreement.EQUAL, Agreement.WITHIN])
    return Sides(differs, changed[0], changed[1], has_base, np.asarray(shapely.is_missing(before)))


def _base_rows(current: CurrentLayer, pairs: Pairs, merging: Merging) -> gpd.GeoDataFrame | None:
    """Return the features as the base has them, by position; null where it does not have them."""
    if merging.base is None:
        return None
    uids = pairs.uids
    found = current.base_rows(merging.base, uids.tolist()).set_index("uid", drop=False)
    return gpd.GeoDataFrame(found.reindex(uids).reset_index(drop=True), geometry="geometry")


def _is_there(base: gpd.GeoDataFrame | None, count: int) -> Flags:
    if base is None:
        return np.zeros(count, dtype=bool)
    there: Flags = base["uid"].notna().to_numpy(dtype=bool)
    return there


def _speakers(
    current: CurrentLayer,
    pairs: Pairs,
    sides: Mapping[str, Sides],
    standing: pd.DataFrame,
    observed: pd.Series,
    merging: Merging,
) -> dict[str, Speakers]:
    """Return who said the current values; looked up only where that decides something."""
    count = len(pairs.uids)
    since = standing["since"].reset_index(drop=True)
    # most often a source goes on with what it alone said before
    speaks = (standing["source"] == merging.source).to_numpy(dtype=bool)
    is_own = speaks & (since < observed).to_numpy(dtype=bool)
    is_open = np.zeros(count, dtype=bool)
    for side in sides.values():
        is_open |= side.is_open()
    wanted = pairs.uids[is_open & ~is_own].tolist()
    origins = current.origins(wanted) if wanted else None
    found: dict[str, Speakers] = {}
    for name in sides:
        source, delivery = (pd.Series([None] * count, dtype="str") for _ in range(2))
        moments = pd.Series([pd.NaT] * count, dtype="datetime64[us, UTC]")
        if origins is not None:
            of = origins[origins["attribute"] == name].set_index("uid").reindex(pairs.uids)
            source, delivery = (of[one].reset_index(drop=True) for one in ("source", "delivery"))
            moments = of["observed_at"].reset_index(drop=True)
        found[name] = Speakers(
            source.mask(is_own, merging.source), delivery, moments.mask(is_own, since)
        )
    return found


def _claims(name: str, speakers: Speakers, observed: pd.Series, merging: Merging) -> Claims:
    authorities = merging.rules.authorities(name)
    # a source that dates its own value back corrects it: that is as new as the delivery
    is_own = (speakers.source == merging.source).fillna(False).astype(bool)
    said_at = pd.Timestamp(merging.observed_at)
    ranks: npt.NDArray[np.int64] | None = None
    if authorities is not None:
        place = {source: rank for rank, source in enumerate(authorities)}
        ranks = speakers.source.map(place).fillna(UNLISTED).to_numpy().astype(np.int64)
    return Claims(
        rank_current=ranks,
        rank_incoming=None if authorities is None else place.get(merging.source, UNLISTED),
        time_current=_utc(speakers.observed_at),
        time_incoming=_utc(observed.mask(is_own & (observed < said_at), said_at)),
        is_own=is_own.to_numpy(),
    )


def _answered(
    column: MergedColumn, undecided: pd.DataFrame, merging: Merging
) -> tuple[MergedColumn, Texts, Flags]:
    """Apply the answers to conflicts; return the column, who decided, which are still asked."""
    decided_by = np.full(len(column.choice), "", dtype=object)
    answers = [merging.answers.get(key) for key in _keys(undecided)]
    choice, rule = column.choice.copy(), column.rule.copy()
    for pair, answer in zip(undecided["pair"], answers, strict=True):
        if answer is not None:
            action, who = answer
            is_taken = action is Action.TAKE
            choice[pair] = Choice.TAKE_INCOMING if is_taken else Choice.TAKE_CURRENT
            rule[pair] = list(MergeRule).index(MergeRule.ANSWER)
            decided_by[pair] = who
    return MergedColumn(choice, rule), decided_by, np.array([one is None for one in answers], bool)


def _keys(undecided: pd.DataFrame) -> list[AnswerKey]:
    return list(zip(undecided["uid"], undecided["attribute"], undecided["digest"], strict=True))


def _utc(column: pd.Series) -> npt.NDArray[np.datetime64]:
    plain = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return np.asarray(plain.to_numpy(), dtype="datetime64[us]")
