"""Findings about single records that a source has to mend; questions are findings of their own.

`cityframe.reconcile.asking` makes the questions, `cityframe.reconcile.question_findings` their
findings.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.findings import concat_findings, findings_frame
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.text import Title
from cityframe.reconcile.roles import MatchedRecords, Role

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class RecordRule:
    """One rule whose findings reconciliation makes about records."""

    id: str
    defect_class: DefectClass
    gate: Gate


UNKNOWN_TARGET = RecordRule("reconcile.unknown-target", DefectClass.B, Gate.BLOCK)
SAME_TARGET = RecordRule("reconcile.same-target", DefectClass.C, Gate.REVIEW)
INSERT_OF_KNOWN = RecordRule("reconcile.insert-of-known", DefectClass.D, Gate.NOTE)

_OPERATIONS = {"insert": "新增", "update": "更新", "delete": "删除", "upsert": "新增或更新"}


def record_findings(matched: MatchedRecords, delivery: str) -> gpd.GeoDataFrame:
    """Return the findings about single records, by rule and record."""
    tell = _Teller(matched, delivery)
    updates = matched.at(Role.UPDATE)
    is_insert = matched.records.frame["operation"].iloc[updates] == "insert"
    parts = [
        make(tell, at)
        for make, at in (
            (_unknown, matched.at(Role.UNKNOWN)),
            (_same_target, matched.at(Role.SUPERSEDED)),
            (_insert_of_known, updates[is_insert.to_numpy()]),
        )
        if len(at)
    ]
    return concat_findings(parts, matched.records.layer.crs)


@dataclass(frozen=True)
class _Teller:
    matched: MatchedRecords
    delivery: str

    def __call__(
        self,
        rule: RecordRule,
        at: Positions,
        *,
        found: pd.Series | str,
        found_zh: pd.Series | str,
        expected: Title,
        uid: npt.NDArray[np.object_] | str = "",
    ) -> gpd.GeoDataFrame:
        """Return one finding for each record at ``at``; a single text stands for all."""
        about = self.matched.records.frame.iloc[at].reset_index(drop=True)
        rows = pd.DataFrame(
            {
                "uid": uid,
                "source_key": about["source_key"],
                "record": about["record"],
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
            rule=rule.id,
            kind="reconcile",
            defect_class=rule.defect_class,
            gate=rule.gate,
            scope=Scope.DELIVERY,
            layer=layer.name,
            delivery=self.delivery,
            crs=layer.crs,
        )


def _unknown(tell: _Teller, at: Positions) -> gpd.GeoDataFrame:
    records = tell.matched.records
    operation = records.frame["operation"].iloc[at].reset_index(drop=True)
    return tell(
        UNKNOWN_TARGET,
        at,
        found=operation + " of a feature that the framework does not have",
        found_zh=operation.map(_OPERATIONS).fillna(operation) + "的要素在框架中不存在",
        expected=Title("已有的标识或主键", "a known uid or key"),
    )


def _same_target(tell: _Teller, at: Positions) -> gpd.GeoDataFrame:
    return tell(
        SAME_TARGET,
        at,
        found="a later record of the delivery speaks of the same feature",
        found_zh="批次中后面的记录指向同一要素",
        expected=Title(
            "每个要素一条记录；以最后一条为准", "one record a feature; the last one counts"
        ),
    )


def _insert_of_known(tell: _Teller, at: Positions) -> gpd.GeoDataFrame:
    return tell(
        INSERT_OF_KNOWN,
        at,
        found="insert of a feature that the framework has; taken as an update",
        found_zh="新增的要素在框架中已存在；按更新处理",
        expected=Title("更新", "an update"),
        uid=tell.matched.uids(at),
    )
