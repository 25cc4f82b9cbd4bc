"""What is wrong with a delivery at intake, and the findings and fates that come of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.conform.intake_rules import INTAKE_RULES, KIND
from cityframe.core.findings import concat_findings, finding_id, findings_frame
from cityframe.model.fate import FATE_COLUMNS, Fate
from cityframe.model.finding import Scope
from cityframe.model.layer import Layer

Mask = npt.NDArray[np.bool_]
Records = npt.NDArray[np.int64]
GeometryArray = npt.NDArray[np.object_]


@dataclass(frozen=True)
class RecordProblem:
    """Records that fail one rule.

    Attributes
    ----------
    records : ndarray of int
        Numbers of the records.
    found : sequence of str
        What is wrong, one text a record.
    expected : str
        What would have been right.
    fate : Fate or None
        What becomes of the records; None if they go on.
    other : sequence of str
        The other features concerned, one text a record; empty for none.
    is_finding : bool
        Whether it is a finding, or a fate alone.
    found_zh : sequence of str
        ``found`` in Chinese; empty for the English texts.
    expected_zh : str
        ``expected`` in Chinese; empty for the English text.
    """

    rule: str
    records: Records
    found: Sequence[str]
    expected: str
    fate: Fate | None = Fate.RETURNED
    other: Sequence[str] = ()
    is_finding: bool = True
    found_zh: Sequence[str] = ()
    expected_zh: str = ""


@dataclass(frozen=True, slots=True)
class LayerProblem:
    """One thing about a whole layer of a delivery; `quarantines` sets the delivery aside."""

    rule: str
    found: str
    expected: str = ""
    quarantines: bool = True
    found_zh: str = ""
    expected_zh: str = ""


Problem = RecordProblem | LayerProblem


def stopped(problems: Iterable[Problem], records: int) -> Mask:
    """Return which of the records end at intake."""
    mask = np.zeros(records, dtype=bool)
    for problem in problems:
        if isinstance(problem, RecordProblem) and problem.fate is not None:
            mask[problem.records] = True
    return mask


def quarantine_reasons(problems: Iterable[Problem]) -> tuple[str, ...]:
    """Return why the delivery is to be set aside whole."""
    return tuple(
        f"{problem.rule}: {problem.found}"
        for problem in problems
        if isinstance(problem, LayerProblem) and problem.quarantines
    )


def findings_of(
    problems: Sequence[Problem],
    *,
    layer: Layer,
    delivery: str,
    identity: pd.DataFrame,
    geometry: GeometryArray,
) -> gpd.GeoDataFrame:
    """Return the findings: one a rule and record, or one a rule for the whole layer.

    Parameters
    ----------
    identity : DataFrame, n records
        Columns ``uid`` and ``source_key``; empty where there is none.
    geometry : ndarray, n records
        Where the records are, in the layer's CRS; null where that is not known.

    Returns
    -------
    GeoDataFrame
        `FINDING_COLUMNS`; a point each; ``finding_id`` is unique, and the same in the next
        delivery that has the same problem.
    """
    parts = []
    for rule in INTAKE_RULES.values():
        failing = [one for one in problems if one.rule == rule.id]
        if not failing:
            continue
        rows = _rows(failing, identity, geometry)
        parts.append(
            findings_frame(
                rows,
                rule=rule.id,
                kind=KIND,
                defect_class=rule.defect_class,
                gate=rule.gate,
                scope=Scope.DELIVERY,
                layer=layer.name,
                delivery=delivery,
                crs=layer.crs,
            )
        )
    return _with_unique_ids(concat_findings(parts, layer.crs))


def _rows(
    problems: Sequence[Problem], identity: pd.DataFrame, geometry: GeometryArray
) -> pd.DataFrame:
    whole = [one for one in problems if isinstance(one, LayerProblem)]
    tables = [_record_rows(one) for one in problems if isinstance(one, RecordProblem)]
    filled = [table for table in tables if len(table)]
    if filled:
        rows = _one_each(pd.concat(filled, ignore_index=True))
        records = rows["record"].to_numpy()
        rows["uid"] = identity["uid"].to_numpy()[records]
        rows["source_key"] = identity["source_key"].to_numpy()[records]
        rows["geometry"] = _points(geometry[records])
        filled = [rows.astype({"record": "Int64"})]
    if whole:
        texts = {
            "found": "; ".join(one.found for one in whole),
            "expected": _each_once(one.expected for one in whole),
            "found_zh": "；".join(one.found_zh or one.found for one in whole),
            "expected_zh": _each_once((one.expected_zh or one.expected for one in whole), "；"),
        }
        filled.insert(0, pd.DataFrame(texts, index=[0]))
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _record_rows(problem: RecordProblem) -> pd.DataFrame:
    if not problem.is_finding:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            "record": problem.records,
            "found": list(problem.found),
            "expected": problem.expected,
            "found_zh": list(problem.found_zh or problem.found),
            "expected_zh": problem.expected_zh or problem.expected,
            "other": list(problem.other) or "",
        }
    )


def _one_each(rows: pd.DataFrame) -> pd.DataFrame:
    # several attributes of a record may fail one rule: that is one finding which names them all
    if rows["record"].is_unique:
        return rows.sort_values("record", ignore_index=True)
    is_repeated = rows["record"].duplicated(keep=False)
    grouped = rows[is_repeated].groupby("record")
    joined = grouped.agg(
        {
            "found": "; ".join,
            "expected": _each_once,
            "found_zh": "；".join,
            "expected_zh": partial(_each_once, between="；"),
            "other": "first",
        }
    )
    together = pd.concat([rows[~is_repeated], joined.reset_index()])
    return together.sort_values("record", ignore_index=True)


def _each_once(texts: Iterable[str], between: str = "; ") -> str:
    return between.join(dict.fromkeys(text for text in texts if text))


def _points(geometry: GeometryArray) -> GeometryArray:
    # a point inside where the geometry is sound, else its centroid, which needs no topology
    points: GeometryArray = np.asarray(shapely.centroid(geometry), dtype=object)
    is_sound = shapely.is_valid(geometry)
    points[is_sound] = shapely.point_on_surface(geometry[is_sound])
    points[shapely.is_empty(points)] = None
    return points


def _with_unique_ids(findings: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    # records that share a key would share the identity: the later ones are numbered
    ordinal = findings.groupby("finding_id").cumcount()
    later = findings[ordinal > 0]
    if later.empty:
        return findings
    findings.loc[later.index, "finding_id"] = [
        finding_id(rule, layer, [first_id, f"#{number}"])
        for rule, layer, first_id, number in zip(
            later["rule"], later["layer"], later["finding_id"], ordinal[later.index], strict=True
        )
    ]
    return findings


def fates_of(problems: Sequence[Problem], *, layer: Layer, identity: pd.DataFrame) -> pd.DataFrame:
    """Return the fates of the records that end here: one row each, sorted by record.

    A record with several problems is returned if any of them returns it; the reason names all of
    that fate.
    """
    parts = [
        pd.DataFrame(
            {
                "record": one.records,
                "fate": one.fate.value,
                "reason": [f"{one.rule}: {text}" for text in one.found],
            }
        )
        for one in problems
        if isinstance(one, RecordProblem) and one.fate is not None and len(one.records)
    ]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype="str") for name in FATE_COLUMNS}).astype(
            {"record": "Int64"}
        )
    rows = pd.concat(parts, ignore_index=True)
    is_returned = rows["fate"] == Fate.RETURNED.value
    has_return = is_returned.groupby(rows["record"]).transform("any")
    rows = rows[is_returned | ~has_return]
    if not rows["record"].is_unique:
        grouped = rows.groupby("record", sort=True)
        rows = grouped.agg({"fate": "first", "reason": "; ".join}).reset_index()
    rows = rows.sort_values("record", ignore_index=True)
    records = rows["record"].to_numpy()
    rows["layer"] = layer.name
    rows["uid"] = identity["uid"].to_numpy()[records]
    rows["source_key"] = identity["source_key"].to_numpy()[records]
    text = [name for name in FATE_COLUMNS if name != "record"]
    return rows[list(FATE_COLUMNS)].astype({"record": "Int64", **dict.fromkeys(text, "str")})
