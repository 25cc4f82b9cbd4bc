"""What a delivery brought of a layer, for the rules that look at it before it is conformed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.config.source import Feed, Source, WktGeometry, XyGeometry
from cityframe.connectors.listing import file_sizes, tables_held
from cityframe.core.source_table import SourceTable
from cityframe.model.delivery import Delivery
from cityframe.model.finding import Scope
from cityframe.model.layer import AttributeType
from cityframe.rules.compiled import CompiledRules
from cityframe.rules.context import Received, ReceivedTable


def received_of(
    tables: Sequence[SourceTable],
    files: Path,
    *,
    source: Source,
    feed: Feed,
    delivery: Delivery,
    rules: CompiledRules,
) -> Received | None:
    """Return what a delivery brought of a feed's layer; None if no rule asks for it.

    Parameters
    ----------
    tables : sequence of SourceTable
        Those that the feed means.
    files : Path
        Folder with the landed bytes; nothing is written to it.

    Raises
    ------
    QuarantinedError
        If another file of the delivery can't be read at all, or is hostile.
    """
    is_asked_for = any(
        "received" in rule.kind.needs for rule in rules.of(feed.layer, Scope.DELIVERY)
    )
    if not is_asked_for:
        return None
    return Received(
        files=file_sizes(files),
        layers=tables_held(files, source),
        tables=tuple(_table(table, feed) for table in tables),
        crs=feed.crs or source.crs,
        metadata=_facts(source, feed, delivery),
    )


def _table(table: SourceTable, feed: Feed) -> ReceivedTable:
    xy = _coordinates(table, feed)
    return ReceivedTable(
        file=table.file,
        table=table.table,
        columns={str(name): _type(column) for name, column in table.frame.items()},
        longest={
            str(name): longest
            for name, column in table.frame.items()
            if (longest := _longest(column)) is not None
        },
        crs=table.crs or "",
        encoding=table.encoding,
        has_geometry=xy is not None,
        central_bounds=None if xy is None else _central_bounds(xy),
    )


def _type(column: pd.Series) -> str:
    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind):
        return AttributeType.BOOLEAN
    if pd.api.types.is_integer_dtype(kind):
        return AttributeType.INTEGER
    if pd.api.types.is_float_dtype(kind):
        return AttributeType.REAL
    if pd.api.types.is_datetime64_any_dtype(kind):
        # readers give days to the second and moments to the microsecond
        return AttributeType.DATE if str(kind) == "datetime64[s]" else AttributeType.DATETIME
    return AttributeType.STRING if isinstance(kind, pd.StringDtype) else "other"


def _longest(column: pd.Series) -> int | None:
    if not isinstance(column.dtype, pd.StringDtype):
        return None
    longest = column.str.len().max()
    return None if pd.isna(longest) or longest == 0 else int(longest)


def _coordinates(table: SourceTable, feed: Feed) -> npt.NDArray[np.float64] | None:
    """Return x and y as delivered, n × 2; None for a table without coordinates."""
    geometry = feed.geometry
    if isinstance(geometry, XyGeometry) and {geometry.x, geometry.y} <= set(table.frame.columns):
        columns = [
            pd.to_numeric(table.frame[name], errors="coerce") for name in (geometry.x, geometry.y)
        ]
        return np.column_stack([one.to_numpy(np.float64, na_value=np.nan) for one in columns])
    placed = table.geometry
    if isinstance(geometry, WktGeometry) and geometry.wkt in table.frame.columns:
        texts = table.frame[geometry.wkt].astype("str")
        placed = shapely.from_wkt(texts.fillna("").to_numpy(dtype=object), on_invalid="ignore")
    return None if placed is None else np.asarray(shapely.get_coordinates(placed))


def _central_bounds(xy: npt.NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    finite = xy[np.isfinite(xy).all(axis=1)]
    if not len(finite):
        return None
    (west, south), (east, north) = np.quantile(finite, [0.25, 0.75], axis=0)
    return float(west), float(south), float(east), float(north)


def _facts(source: Source, feed: Feed, delivery: Delivery) -> Mapping[str, str]:
    return {
        "origin": delivery.origin,
        "observed_at": delivery.observed_at,
        "landed_at": delivery.landed_at,
        "watermark": delivery.watermark,
        "source": source.name,
        "title_zh": source.title.zh,
        "title_en": source.title.en,
        "kind": source.kind,
        "delivery_kind": source.delivery,
        "accuracy_m": f"{source.accuracy_of(feed):g}",
        "currency_days": "" if source.currency_days is None else str(source.currency_days),
        "crs": feed.crs or source.crs,
    }
