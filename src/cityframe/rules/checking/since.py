"""What a check may keep of the one before: the findings that no change can have reached."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from cityframe.errors import IntegrityError
from cityframe.rules.checking.attempt import suspects_of
from cityframe.rules.checking.boxes import Boxes, near
from cityframe.rules.checking.gathering import own_places
from cityframe.rules.checking.parts import Whole
from cityframe.rules.checking.reach import ALONE, reach_of
from cityframe.rules.compiled import CompiledRule
from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects, no_defects

_REACHES = (0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True)
class LayerChange:
    """What changed of a layer since the check before.

    Attributes
    ----------
    uids : frozenset of str
        Features that were added, removed or changed in any way.
    before : ndarray of geometries
        Where those lay that were there before; in any order, None allowed.
    """

    uids: frozenset[str]
    before: Geometries


@dataclass(frozen=True)
class Since:
    """A check that was made before, by the same rules.

    Attributes
    ----------
    findings : GeoDataFrame
        All that it found in the layer, waived ones too: `cityframe.model.finding.FINDING_COLUMNS`.
    changed : mapping of str to LayerChange
        By layer; a layer that is not named has not changed.
    """

    findings: gpd.GeoDataFrame
    changed: Mapping[str, LayerChange] = field(default_factory=dict)


class Recheck:
    """Says which rows each rule has to look at again, and what it keeps of the others.

    Raises
    ------
    IntegrityError
        If the rows of a layer are not in the order of their uids: the first of two features must
        be the same one in every check.
    """

    def __init__(self, whole: Whole, since: Since) -> None:
        self._whole, self._since = whole, since
        self._layer = whole.context.layer.name
        self._uid = _uids_in_order(whole.context.frame, self._layer)
        self._boxes: dict[str, Boxes] = {}
        self._due: dict[tuple[float, frozenset[str]], Positions] = {}
        self._stirred: dict[str, Positions] = {}
        mine = since.changed.get(self._layer)
        self._changed = np.empty(0, dtype=np.int64) if mine is None else _rows(self._uid, mine)

    def is_carried(self, rule: CompiledRule) -> bool:
        """Return whether a rule that is checked whole need not be checked at all.

        Findings on no feature are not carried: several of them may have become one.
        """
        kind, parameters = rule.kind, rule.parameters
        needs = kind.needs or parameters.needed_context() or kind.depends_on_time
        if needs or kind.reach == "versions" or self._changed_layers(rule):
            return False
        return bool((self._of(rule)["uid"] != "").all())

    def due(self, rule: CompiledRule) -> Positions:
        """Return the rows whose findings a rule with a reach has to find anew, ascending."""
        reach, layers = reach_of(rule), self._changed_layers(rule)
        if reach is None or reach == ALONE or rule.kind.is_pairwise:
            return self._changed
        if rule.kind.suspects is not None:
            return self._due_where_stirred(rule, reach)
        return self._near_changes(_rounded(reach), layers)

    def _near_changes(self, reach: float, layers: frozenset[str]) -> Positions:
        """Return the rows that changed or lie within reach of a change, ascending."""
        if (reach, layers) not in self._due:
            rows = self._whole.rows
            reached = near(rows.boxes, self._seeds(layers), reach, rows.shapes)
            self._due[reach, layers] = np.union1d(self._changed, reached)
        return self._due[reach, layers]

    def _due_where_stirred(self, rule: CompiledRule, reach: float) -> Positions:
        """Return the rows within reach of those changes that touch a defect, or may do so."""
        name = rule.rule.id
        if name not in self._stirred:
            layers, rows, contact = self._changed_layers(rule), self._whole.rows, _rounded(0.0)
            touched = self._near_changes(contact, layers)
            part = self._whole.part(self._whole.cut(touched, rows.boxes[touched], contact))
            # a kind that raises is told by the jobs, over all that a change may have reached
            suspects = suspects_of(part.focused(touched).context, rule)
            if isinstance(suspects, str):
                return self._near_changes(_rounded(reach), layers)
            places = shapely.bounds(np.asarray(self._of(rule)["geometry"], dtype=object))
            around = np.concatenate([rows.boxes[part.positions[suspects]], places.reshape(-1, 4)])
            seeds = self._seeds(layers)
            seeds = seeds[near(seeds, around, contact)]
            self._stirred[name] = near(rows.boxes, seeds, reach * 1.001, rows.shapes)
        return self._stirred[name]

    def _seeds(self, layers: frozenset[str]) -> Boxes:
        """Return where the changed features of some layers lay and where they lie."""
        return np.concatenate([np.empty((0, 4)), *map(self._changed_boxes, sorted(layers))])

    def carried(self, rule: CompiledRule) -> pd.DataFrame:
        """Return the findings on rows that are not due, as defects of the present rows.

        Those of features that are gone are dropped.

        Raises
        ------
        IntegrityError
            If such a finding names a partner that is gone: the kind looks beyond its reach.
        """
        found = self._of(rule)
        row = _places(self._uid, found["uid"])
        is_kept = row >= 0
        if reach_of(rule) is not None:
            is_kept &= ~np.isin(row, self.due(rule))
        found, row = found[is_kept], row[is_kept]
        if found.empty:
            return no_defects()
        other_row = _places(self._uid, found["partner"])
        if rule.kind.is_pairwise:
            is_kept = ~np.isin(other_row, self._changed) & (
                (other_row >= 0) | (found["partner"] == "").to_numpy()
            )
            found, row, other_row = found[is_kept], row[is_kept], other_row[is_kept]
        if ((other_row < 0) & (found["partner"] != "").to_numpy()).any():
            raise IntegrityError(
                found=f"{rule.rule.id} depends on a feature beyond its reach that is gone",
                where=rule.place,
                expected=f"a kind that keeps to its reach ({rule.kind.reach})",
                remedy=f"mend kind {rule.kind.name}, or check whole",
            )
        others = [
            other.removeprefix(partner).removeprefix(",")
            for other, partner in zip(found["other"], found["partner"], strict=True)
        ]
        return defects(
            row=row,
            other_row=other_row,
            other=others,
            found=found["found"],
            expected=found["expected"],
            geometry=_unless_own(self._whole.context, row, np.asarray(found["geometry"])),
        ).assign(found_zh=_text(found["found_zh"]), expected_zh=_text(found["expected_zh"]))

    def _changed_layers(self, rule: CompiledRule) -> frozenset[str]:
        names = {self._layer, *(other.name for other in rule.parameters.needed_layers())}
        return frozenset(names & self._since.changed.keys())

    def _changed_boxes(self, name: str) -> Boxes:
        """Return where the changed features of a layer lay and where they lie."""
        if name not in self._boxes:
            change = self._since.changed[name]
            if name == self._layer:
                now = self._whole.rows.boxes[self._changed]
            else:
                frame = self._whole.context.other(name)
                now = self._whole.other_rows(name).boxes[_rows(_uids_in_order(frame, name), change)]
            before = shapely.bounds(np.asarray(change.before, dtype=object))
            self._boxes[name] = np.concatenate([now, before.reshape(-1, 4)])
        return self._boxes[name]

    def _of(self, rule: CompiledRule) -> gpd.GeoDataFrame:
        """Return the findings that a rule had in this layer."""
        found = self._since.findings
        is_its = (found["rule"] == rule.rule.id) & (found["layer"] == self._layer)
        return found[is_its & (found["scope"] == rule.rule.scope.value)]


def _rounded(reach: float) -> float:
    """Return one of few reaches that is no smaller, so that rules can share their parts."""
    return next((one for one in _REACHES if reach * 1.001 <= one), reach * 1.001)


def _uids_in_order(frame: gpd.GeoDataFrame, layer: str) -> "pa.Array[Any]":
    """Return the uids of a frame, which must ascend."""
    uid = pa.array(frame["uid"], type=pa.large_string(), from_pandas=True)
    if uid.null_count or not pc.all(pc.less(uid[:-1], uid[1:]), min_count=0).as_py():
        raise IntegrityError(
            found="rows that are not in the order of their uids",
            where=layer,
            expected="each uid once, ascending",
            remedy="sort the frame by uid, or check whole",
        )
    return uid


def _rows(uid: "pa.Array[Any]", change: LayerChange) -> Positions:
    """Return the rows of the changed features that are there."""
    changed = pa.array(sorted(change.uids), type=pa.large_string())
    is_changed: Any = pc.is_in(uid, value_set=changed)
    return np.flatnonzero(is_changed.to_numpy(zero_copy_only=False))


def _places(uid: "pa.Array[Any]", wanted: pd.Series) -> Positions:
    """Return where features stand; -1 for those that are not there."""
    values = pa.array(wanted, type=pa.large_string(), from_pandas=True)
    # the many are looked up among the few: a table of all uids would cost more than the rest
    few = values.unique()
    number: Any = pc.index_in(uid, value_set=few)
    row = np.flatnonzero(np.asarray(number.is_valid()))
    place = np.full(len(few), -1, dtype=np.int64)
    place[np.asarray(number.drop_null())] = row
    return place[np.asarray(pc.index_in(values, value_set=few), dtype=np.int64)]


def _unless_own(context: Context, row: Positions, places: Geometries) -> Geometries:
    """Return the places, None where it is the feature that is the place."""
    kept = places.copy()
    kept[shapely.equals_identical(places, own_places(context, row))] = None
    return kept


def _text(column: pd.Series) -> pd.Series:
    return column.reset_index(drop=True).astype("str")
