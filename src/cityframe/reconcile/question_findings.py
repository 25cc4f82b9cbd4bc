"""Each question is a finding too: it stands in reports and statistics until it is answered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.agreement import Tolerance
from cityframe.core.findings import concat_findings, finding_id, findings_frame
from cityframe.core.matching.place import PLAUSIBLE_M, PLAUSIBLE_SIZES
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.layer import Layer
from cityframe.model.question import QuestionKind
from cityframe.model.text import Title

Texts = npt.NDArray[np.object_]

QUESTION_RULES: Mapping[QuestionKind, str] = {
    QuestionKind.IMPLAUSIBLE: "reconcile.implausible-match",
    QuestionKind.AMBIGUOUS: "reconcile.ambiguous-match",
    QuestionKind.UNCERTAIN: "reconcile.uncertain-match",
    QuestionKind.COMPLEX: "reconcile.complex-match",
    QuestionKind.CONFLICT: "reconcile.conflict",
}
"""The rule of each kind's findings: also the reason why a record waits."""


@dataclass(frozen=True)
class _Told:
    """What is said of the questions of one kind; the features that the findings are about."""

    found: Texts
    found_zh: Texts
    expected: Title
    uid: pd.Series
    other: pd.Series


def question_findings(
    questions: gpd.GeoDataFrame, layer: Layer, delivery: str, tolerance: Tolerance
) -> gpd.GeoDataFrame:
    """Return a finding for each row of a question table.

    Parameters
    ----------
    questions : GeoDataFrame, n rows
        `cityframe.model.question.QUESTION_COLUMNS`.

    Returns
    -------
    GeoDataFrame, n rows
        To be reviewed, class B; by kind, each in the order of the questions. ``found`` ends with
        the question's id.
    """
    parts = []
    for kind, rule in QUESTION_RULES.items():
        asked = questions[questions["kind"] == kind].reset_index(drop=True)
        if asked.empty:
            continue
        told = _told(kind, asked, tolerance)
        rows = pd.DataFrame(
            {
                "uid": told.uid,
                "source_key": asked["source_key"],
                "record": asked["record"],
                "other": told.other,
                "found": told.found + "; question " + asked["question"],
                "expected": told.expected.en,
                "found_zh": told.found_zh + "；待定问题 " + asked["question"],
                "expected_zh": told.expected.zh,
                "geometry": asked.geometry.to_numpy(),
            }
        )
        made = findings_frame(
            rows,
            rule=rule,
            kind="reconcile",
            defect_class=DefectClass.B,
            gate=Gate.REVIEW,
            scope=Scope.DELIVERY,
            layer=layer.name,
            delivery=delivery,
            crs=layer.crs,
        )
        parts.append(_named_by_subject(made, asked, rule, layer.name))
    return concat_findings(parts, layer.crs)


def _named_by_subject(
    findings: gpd.GeoDataFrame, asked: gpd.GeoDataFrame, rule: str, layer: str
) -> gpd.GeoDataFrame:
    """Name findings by question and record where the features alone could be those of two."""
    if asked["kind"].iloc[0] in (QuestionKind.IMPLAUSIBLE, QuestionKind.AMBIGUOUS):
        return findings
    ids = [
        finding_id(rule, layer, [question, subject])
        for question, subject in zip(asked["question"], asked["subject"], strict=True)
    ]
    return findings.assign(finding_id=pd.Series(ids, dtype="str"))


def _told(kind: QuestionKind, asked: gpd.GeoDataFrame, tolerance: Tolerance) -> _Told:
    best, nobody = asked["uid_1"], pd.Series("", index=asked.index)
    if kind is QuestionKind.IMPLAUSIBLE:
        return _implausible(asked)
    if kind is QuestionKind.AMBIGUOUS:
        count = asked["candidates"].str.count(",") + 1
        found = count.astype("str") + " features could be it, by key or place"
        found_zh = count.astype("str") + " 个要素的主键或位置与其相符"
        return _Told(
            found.mask(count == 1, "other records have the same key or place").to_numpy(object),
            found_zh.mask(count == 1, "另有记录的主键或位置相同").to_numpy(object),
            Title(
                f"同一主键或 {tolerance.limit_m:.3f} m 以内只有一个要素和一条记录",
                f"one feature and one record of a key, or within {tolerance.limit_m:.3f} m",
            ),
            nobody,
            asked["candidates"],
        )
    if kind is QuestionKind.UNCERTAIN:
        score = asked["score_1"].map("{:.2f}".format).astype("str")
        return _Told(
            ("it resembles feature " + best + ", score " + score).to_numpy(object),
            ("与要素 " + best + " 相似，得分 " + score).to_numpy(object),
            Title("能确定是否为同一要素", "one feature for sure, or none"),
            best,
            asked["uid_2"],
        )
    if kind is QuestionKind.COMPLEX:
        return _complex(asked)
    return _Told(
        ("source and framework both changed " + asked["attribute"]).to_numpy(object),
        ("来源与框架都修改了 " + asked["attribute"]).to_numpy(object),
        Title("权威来源、较晚的观测或人工答复", "an authority, a later observation, or an answer"),
        best,
        nobody,
    )


def _implausible(asked: gpd.GeoDataFrame) -> _Told:
    distance = pd.Series([json.loads(text)["distance_m_1"] for text in asked["evidence"]])
    metres = distance.round().astype("int64").astype("str")
    best = asked["uid_1"]
    return _Told(
        ("the record lies " + metres + " m away from feature " + best + " of the same id")
        .to_numpy(object),
        ("记录与同号要素 " + best + " 相距 " + metres + " m").to_numpy(object),
        Title(
            f"相距不超过 {PLAUSIBLE_M:g} m 或要素尺寸的 {PLAUSIBLE_SIZES:g} 倍",
            f"within {PLAUSIBLE_M:g} m or {PLAUSIBLE_SIZES:g} times its size",
        ),
        best,
        pd.Series("", index=asked.index),
    )  # fmt: skip


def _complex(asked: gpd.GeoDataFrame) -> _Told:
    records = asked.groupby("question")["question"].transform("size").astype("str")
    features = (asked["candidates"].str.count(",") + 1).astype("str")
    return _Told(
        (records + " records and " + features + " features correspond in no plain way")
        .to_numpy(object),
        (records + " 条记录与 " + features + " 个要素的对应关系不明").to_numpy(object),
        Title("一一对应、拆分或合并", "one for one, a split or a merge"),
        asked["uid_1"],
        asked["uid_2"],
    )  # fmt: skip
