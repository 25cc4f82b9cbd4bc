"""Findings about single records: what a person has to decide, or a source to mend."""

from dataclasses import dataclass
from functools import partial

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.core.agreement import Tolerance
from cityframe.core.findings import concat_findings, findings_frame
from cityframe.core.matching.place import PLAUSIBLE_M, PLAUSIBLE_SIZES
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.text import Title
from cityframe.reconcile.comparison import Comparison
from cityframe.reconcile.roles import MatchedRecords, Role

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class QuestionKind:
    """One kind of finding that reconciliation makes about a record."""

    rule: str
    defect_class: DefectClass
    gate: Gate


IMPLAUSIBLE_MATCH = QuestionKind("reconcile.implausible-match", DefectClass.B, Gate.REVIEW)
AMBIGUOUS_MATCH = QuestionKind("reconcile.ambiguous-match", DefectClass.B, Gate.REVIEW)
UNKNOWN_TARGET = QuestionKind("reconcile.unknown-target", DefectClass.B, Gate.BLOCK)
SAME_TARGET = QuestionKind("reconcile.same-target", DefectClass.C, Gate.REVIEW)
INSERT_OF_KNOWN = QuestionKind("reconcile.insert-of-known", DefectClass.D, Gate.NOTE)

_OPERATIONS = {"insert": "新增", "update": "更新", "delete": "删除", "upsert": "新增或更新"}


def record_findings(
    matched: MatchedRecords, comparison: Comparison, tolerance: Tolerance, delivery: str
) -> gpd.GeoDataFrame:
    """Return the findings about single records, by kind and record."""
    ask = _Asker(matched, delivery)
    updates = matched.at(Role.UPDATE)
    is_insert = matched.records.frame["operation"].iloc[updates] == "insert"
    parts = [
        make(ask, at)
        for make, at in (
            (partial(_implausible, comparison=comparison), comparison.is_implausible.nonzero()[0]),
            (partial(_ambiguous, tolerance=tolerance), matched.at(Role.UNSURE)),
            (_unknown, matched.at(Role.UNKNOWN)),
            (_same_target, matched.at(Role.SUPERSEDED)),
            (_insert_of_known, updates[is_insert.to_numpy()]),
        )
        if len(at)
    ]
    return concat_findings(parts, matched.records.layer.crs)


@dataclass(frozen=True)
class _Asker:
    matched: MatchedRecords
    delivery: str

    def __call__(
        self,
        kind: QuestionKind,
        at: Positions,
        *,
        found: pd.Series | str,
        found_zh: pd.Series | str,
        expected: Title,
        uid: npt.NDArray[np.object_] | str = "",
        other: pd.Series | str = "",
    ) -> gpd.GeoDataFrame:
        """Return one finding for each record at ``at``; a single text stands for all."""
        about = self.matched.records.frame.iloc[at].reset_index(drop=True)
        rows = pd.DataFrame(
            {
                "uid": uid,
                "source_key": about["source_key"],
                "record": about["record"],
                "other": other,
                "found": found,
                "expected": expected.en,
                "found_zh": found_zh,
                "expected_zh": expected.zh,
                "geometry": about.geometry.to_numpy(),
            },
            index=about.index,
        )
        layer = self.matched.records.layer
        return findings_frame(
            rows,
            rule=kind.rule,
            kind="reconcile",
            defect_class=kind.defect_class,
            gate=kind.gate,
            scope=Scope.DELIVERY,
            layer=layer.name,
            delivery=self.delivery,
            crs=layer.crs,
        )


def _implausible(ask: _Asker, pairs: Positions, comparison: Comparison) -> gpd.GeoDataFrame:
    at = comparison.incoming[pairs]
    uids = pd.Series(ask.matched.uids(at))
    distance = shapely.distance(
        shapely.centroid(comparison.before.geometry.to_numpy()[pairs]),
        shapely.centroid(comparison.after.geometry.to_numpy()[pairs]),
    )
    metres = pd.Series(np.round(distance)).astype("int64").astype("str")
    return ask(
        IMPLAUSIBLE_MATCH,
        at,
        found="the record lies " + metres + " m away from feature " + uids + " of the same id",
        found_zh="记录与同号要素 " + uids + " 相距 " + metres + " m",
        expected=Title(
            f"相距不超过 {PLAUSIBLE_M:g} m 或要素尺寸的 {PLAUSIBLE_SIZES:g} 倍",
            f"within {PLAUSIBLE_M:g} m or {PLAUSIBLE_SIZES:g} times its size",
        ),
        uid=uids.to_numpy(),
    )


def _ambiguous(ask: _Asker, at: Positions, tolerance: Tolerance) -> gpd.GeoDataFrame:
    candidates = ask.matched.matches.candidates
    pairs = pd.DataFrame(
        {
            "incoming": candidates["incoming"],
            "uid": ask.matched.index["uid"].to_numpy()[candidates["current"]],
        }
    )
    pairs = pairs[np.isin(pairs["incoming"], at)].sort_values("uid")
    grouped = pairs.groupby("incoming")["uid"]
    count = grouped.size()
    found = count.astype("str") + " features have its key or its place"
    found = found.mask(count == 1, "other records have the same key or place")
    found_zh = count.astype("str") + " 个要素与其主键或位置相同"
    found_zh = found_zh.mask(count == 1, "另有记录的主键或位置相同")
    return ask(
        AMBIGUOUS_MATCH,
        count.index.to_numpy(dtype=np.intp),
        found=found.reset_index(drop=True),
        found_zh=found_zh.reset_index(drop=True),
        expected=Title(
            f"同一主键或 {tolerance.limit_m:.3f} m 以内只有一个要素和一条记录",
            f"one feature and one record of a key, or within {tolerance.limit_m:.3f} m",
        ),
        other=grouped.agg(",".join).reset_index(drop=True),
    )


def _unknown(ask: _Asker, at: Positions) -> gpd.GeoDataFrame:
    records = ask.matched.records
    operation = records.frame["operation"].iloc[at].reset_index(drop=True)
    return ask(
        UNKNOWN_TARGET,
        at,
        found=operation + " of a feature that the framework does not have",
        found_zh=operation.map(_OPERATIONS).fillna(operation) + "的要素在框架中不存在",
        expected=Title("已有的标识或主键", "a known uid or key"),
    )


def _same_target(ask: _Asker, at: Positions) -> gpd.GeoDataFrame:
    return ask(
        SAME_TARGET,
        at,
        found="a later record of the delivery speaks of the same feature",
        found_zh="批次中后面的记录指向同一要素",
        expected=Title(
            "每个要素一条记录；以最后一条为准", "one record a feature; the last one counts"
        ),
    )


def _insert_of_known(ask: _Asker, at: Positions) -> gpd.GeoDataFrame:
    return ask(
        INSERT_OF_KNOWN,
        at,
        found="insert of a feature that the framework has; taken as an update",
        found_zh="新增的要素在框架中已存在；按更新处理",
        expected=Title("更新", "an update"),
        uid=ask.matched.uids(at),
    )
