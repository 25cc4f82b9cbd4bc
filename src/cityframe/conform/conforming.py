"""Bring a delivery's records into the form of a layer's contract."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from cityframe.config.source import CountRange, Feed, JoinGeometry, Source
from cityframe.conform.attributes import map_attributes, without_nulls
from cityframe.conform.columns import Columns, read_columns
from cityframe.conform.duplicates import duplicates, missing_keys
from cityframe.conform.placing import Placement, Placer
from cityframe.conform.problems import (
    LayerProblem,
    Problem,
    RecordProblem,
    fates_of,
    findings_of,
    quarantine_reasons,
    stopped,
)
from cityframe.conform.values import EXPECTED, Reading, arrow_values, as_text, parse
from cityframe.core.frames import key_text
from cityframe.core.source_table import SourceTable
from cityframe.model.delivery import Delivery
from cityframe.model.layer import AttributeType, Layer


@dataclass(frozen=True)
class Conformed:
    """One layer of a delivery in the form of its contract.

    Attributes
    ----------
    frame : GeoDataFrame
        Layer frame of the accepted records, RangeIndex: the attributes that the delivery provides
        (absent is not null), geometry in the layer's CRS, and the system columns ``record``
        (number over the tables of the feed, from 0), ``source_id`` (of a feed that declares
        ``id``), ``source_key``, ``operation`` (upsert,
        insert, update or delete), ``valid_from`` (UTC); with a join that takes features also
        ``uid`` and the key attributes of the feature.
    findings : GeoDataFrame
        `cityframe.model.finding.FINDING_COLUMNS`; rules are those of
        `cityframe.conform.intake_rules.INTAKE_RULES`.
    fates : DataFrame
        `cityframe.model.fate.FATE_COLUMNS` of the records that end here: merged, returned or
        waiting.
    records : int
        Records read; the rows of ``frame`` and ``fates`` together.
    has_geometry : bool
        Whether the delivery provides geometry for the layer.
    quarantine_reasons : tuple of str
        Why the delivery is to be set aside whole; ``frame`` is then complete as far as it could
        be made.
    """

    layer: str
    frame: gpd.GeoDataFrame
    findings: gpd.GeoDataFrame
    fates: pd.DataFrame
    records: int
    has_geometry: bool
    quarantine_reasons: tuple[str, ...]


def conform(
    tables: Sequence[SourceTable],
    *,
    source: Source,
    feed: Feed,
    layer: Layer,
    delivery: Delivery,
    framework_layer: Callable[[str], gpd.GeoDataFrame],
    root: Path = Path(),
) -> Conformed:
    """Bring the records of one feed into the form of its layer's contract.

    Parameters
    ----------
    tables : sequence of SourceTable
        The tables that the feed matches, in a fixed order; they are put one below the other.
    framework_layer : callable
        Gives the current frame of a layer with ``uid``, for joins.
    root : Path
        The workspace's folder, which files that the feed declares are relative to.

    Returns
    -------
    Conformed
        Bad data gives findings; equal inputs give equal rows in equal order.

    Raises
    ------
    DeclarationError
        If the declaration itself is wrong: a constant, unit or join that does not fit, no
        coordinate system, or no transformation of known accuracy to the layer's CRS.
    """
    where = f"sources/{source.name}.yaml, feed {feed.layer}"
    columns = read_columns(tables, feed)
    count = len(columns.frame)
    attributes = map_attributes(columns, feed, layer, where=where)
    placement = Placer(source, feed, layer, framework_layer, where, root).place(tables, columns)
    operation, unknown = _operations(columns, feed)
    valid_from, unread = _valid_from(columns, feed, delivery)
    problems: list[Problem] = [
        *columns.problems,
        *_count_problems(count, feed.count),
        *attributes.problems,
        *placement.problems,
        *unknown,
        *unread,
    ]
    records = _assemble(dict(attributes.columns), placement, operation, valid_from, layer)
    if feed.id:
        records.insert(1, "source_id", _source_ids(columns, feed))
    if placement.features is None:
        is_live = ~stopped(problems, count)
        problems += missing_keys(records, feed, layer, is_live, where=where)
    problems += duplicates(records, feed.duplicates, layer, ~stopped(problems, count))
    return _settle(records, problems, placement, layer, delivery)


def _assemble(
    values: dict[str, pd.Series],
    placement: Placement,
    operation: pd.Series,
    valid_from: pd.Series,
    layer: Layer,
) -> gpd.GeoDataFrame:
    count = len(operation)
    system = {"record": pd.Series(np.arange(count), dtype="Int64")}
    if placement.features is not None:
        features = placement.features
        system["uid"] = features["uid"].astype("str")
        values |= {name: features[name] for name in layer.key}
    attributes = {name: values[name] for name in layer.attribute_names if name in values}
    system["source_key"] = (
        key_text(pd.DataFrame(attributes, index=range(count)), layer.key)
        if all(name in attributes for name in layer.key)
        else pd.Series(pd.NA, index=range(count), dtype="str")
    )
    system |= {"operation": operation, "valid_from": valid_from}
    return gpd.GeoDataFrame(
        {**system, **attributes},
        geometry=gpd.GeoSeries(placement.geometry, index=range(count), crs=layer.crs),
        crs=layer.crs,
    )


def _source_ids(columns: Columns, feed: Feed) -> pd.Series:
    """Return the source's own names of its records as text; null where it gives none."""
    given = columns.frame[feed.id]
    if pd.api.types.is_float_dtype(given.dtype):
        # a column of whole numbers with a gap comes as floats
        is_whole = bool((given.dropna() % 1 == 0).all())
        given = given.astype("Int64") if is_whole else given
    text = given.astype("str").str.strip()
    return text.mask(given.isna() | (text == "")).reset_index(drop=True)


def _settle(
    records: gpd.GeoDataFrame,
    problems: Sequence[Problem],
    placement: Placement,
    layer: Layer,
    delivery: Delivery,
) -> Conformed:
    uid = records["uid"] if "uid" in records else pd.Series("", index=records.index, dtype="str")
    identity = pd.DataFrame({"uid": uid, "source_key": records["source_key"]}).fillna("")
    return Conformed(
        layer=layer.name,
        frame=records[~stopped(problems, len(records))].reset_index(drop=True),
        findings=findings_of(
            problems,
            layer=layer,
            delivery=delivery.id,
            identity=identity,
            geometry=placement.places,
        ),
        fates=fates_of(problems, layer=layer, identity=identity),
        records=len(records),
        has_geometry=placement.has_geometry,
        quarantine_reasons=quarantine_reasons(problems),
    )


def _count_problems(count: int, limits: CountRange) -> list[Problem]:
    most = "" if limits.max is None else f" and at most {limits.max}"
    if count >= limits.min and (limits.max is None or count <= limits.max):
        return []
    most_zh = "" if limits.max is None else f"，不多于 {limits.max}"
    return [
        LayerProblem(
            "intake.count",
            f"{count} records",
            f"at least {limits.min}{most}",
            found_zh=f"{count} 条记录",
            expected_zh=f"不少于 {limits.min}{most_zh}",
        )
    ]


def _operations(columns: Columns, feed: Feed) -> tuple[pd.Series, list[Problem]]:
    count = len(columns.frame)
    if feed.operation is None:
        takes_feature = isinstance(feed.geometry, JoinGeometry) and feed.geometry.take == "feature"
        name = "update" if takes_feature else "upsert"
        return pd.Series(name, index=range(count), dtype="str"), []
    if not columns.has(feed.operation.column):
        return pd.Series(pd.NA, index=range(count), dtype="str"), []
    meaning = {
        text: name
        for name in ("insert", "update", "delete")
        for text in getattr(feed.operation, name)
    }
    text = as_text(arrow_values(columns.frame[feed.operation.column]))
    operation = pd.Series(text.to_pandas(), dtype="str").map(meaning).astype("str")
    unknown = np.flatnonzero(operation.isna())
    if not len(unknown):
        return operation, []
    shown = text.take(unknown).to_pylist()
    problem = RecordProblem(
        "intake.unknown-operation",
        unknown,
        [f"{feed.operation.column} is {one!r}" for one in shown],
        f"one of {', '.join(meaning)}",
        found_zh=[f"{feed.operation.column} 的值为 {one!r}" for one in shown],
        expected_zh=f"下列之一：{'、'.join(meaning)}",
    )
    return operation, [problem]


def _valid_from(
    columns: Columns, feed: Feed, delivery: Delivery
) -> tuple[pd.Series, list[Problem]]:
    count, mapping = len(columns.frame), feed.valid_from
    observed = pd.Timestamp(delivery.observed_at).tz_convert("UTC")
    default = pd.Series(observed, index=range(count), dtype="datetime64[us, UTC]")
    if mapping is None or (mapping.column and not columns.has(mapping.column)):
        return default, []
    delivered = (
        arrow_values(columns.frame[mapping.column])
        if mapping.column
        else arrow_values(pd.Series(str(mapping.value), index=range(count), dtype="str"))
    )
    delivered = without_nulls(delivered, mapping.nulls)
    reading = Reading(mapping.format, mapping.time_zone, allows_date=True)
    moments, is_bad = parse(delivered, AttributeType.DATETIME, reading)
    unread = np.flatnonzero(is_bad)
    problems: list[Problem] = []
    if len(unread):
        shown = as_text(delivered).take(unread).to_pylist()
        found = [f"valid_from is {value!r} (column {mapping.column!r})" for value in shown]
        expected = EXPECTED[AttributeType.DATETIME]
        problems = [
            RecordProblem(
                "intake.type",
                unread,
                found,
                f"{expected.en}, or a date",
                found_zh=[
                    f"valid_from 的值为 {value!r}（列 {mapping.column!r}）" for value in shown
                ],
                expected_zh=f"{expected.zh}，或日期",
            )
        ]
    return moments.fillna(observed), problems
