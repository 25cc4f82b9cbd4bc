"""All findings of a report as one table in the order of the page."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.errors import DeclarationError
from cityframe.model.finding import FINDING_COLUMNS, DefectClass, FindingState, Gate
from cityframe.model.layer import Layer
from cityframe.model.report import Report
from cityframe.model.text import Title
from cityframe.products.report.columns import GeometryArray, finite
from cityframe.products.report.document import FindingTotals

TEXT_COLUMNS = tuple(name for name in FINDING_COLUMNS if name not in ("record", "geometry"))
SINCE_STATES = (
    "found_zh", "expected_zh", "partner", "rule_version", "waiver", "state", "first_seen",
)  # fmt: skip
"""Columns that frames written before findings had a state over cycles do not have."""
_ORDER = [
    "is_fixed",
    "gate_rank",
    "defect_class",
    "layer",
    "rule",
    "finding_id",
    "delivery",
    "record",
]


@dataclass(frozen=True)
class Listing:
    """The findings, most severe first.

    Attributes
    ----------
    table : DataFrame, n rows
        `FINDING_COLUMNS` without the geometry (texts never null, ``record`` is ``Int64``), and
        ``is_waived``, ``is_fixed``, ``crs``; RangeIndex. Order: what is fixed last, then gate,
        defect class, layer, rule, identity.
    geometry : ndarray of shapely geometries, n
        The places, each in the CRS of its row; None where a finding has no place, or one with
        coordinates that are not finite.
    """

    table: pd.DataFrame
    geometry: GeometryArray


def list_findings(
    findings: Mapping[str, gpd.GeoDataFrame],
    layers: Mapping[str, Layer],
    waived: frozenset[str] = frozenset(),
) -> Listing:
    """Bring all findings frames into one listing.

    Parameters
    ----------
    findings : mapping of str to GeoDataFrame
        Frames with the columns of `FINDING_COLUMNS`, one for each CRS; the keys do not matter.
    waived : frozenset of str
        Identities of the accepted findings, besides those that name their waiver.

    Raises
    ------
    DeclarationError
        If a column is missing, a layer is unknown, or a place is not in the CRS of its layer.
    """
    parts: list[pd.DataFrame] = []
    geometries: list[GeometryArray] = []
    for name in sorted(findings):
        frame = findings[name]
        _check(name, frame, layers)
        parts.append(_plain(frame))
        geometries.append(_places(frame))
    if not any(len(part) for part in parts):
        columns = {column: pd.Series(dtype="str") for column in (*TEXT_COLUMNS, "crs")}
        columns |= {"record": pd.Series(dtype="Int64")}
        columns |= {name: pd.Series(dtype="bool") for name in ("is_waived", "is_fixed")}
        return Listing(pd.DataFrame(columns), np.empty(0, dtype=object))
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    geometry = np.concatenate([one for one in geometries if len(one)])
    table["is_fixed"] = table["state"] == FindingState.FIXED
    table["is_waived"] = (table["waiver"] != "") | table["finding_id"].isin(waived)
    table["crs"] = table["layer"].map({name: layer.crs for name, layer in layers.items()})
    rank = {gate.value: place for place, gate in enumerate(Gate)}
    order = table.assign(gate_rank=table["gate"].map(rank)).sort_values(_ORDER, kind="stable").index
    return Listing(table.loc[order].reset_index(drop=True), geometry[order.to_numpy()])


def finding_totals(listing: Listing) -> FindingTotals:
    """Count the findings and make the digest over them."""
    table = listing.table
    found = table[~table["is_fixed"]]
    still_open = found[~found["is_waived"]]
    by_state = table["state"].value_counts()
    by_gate = still_open["gate"].value_counts()
    by_class = still_open["defect_class"].value_counts()
    return FindingTotals(
        total=len(found),
        waived=int(found["is_waived"].sum()),
        fixed=len(table) - len(found),
        by_state={one.value: int(by_state.get(one.value, 0)) for one in FindingState},
        open_by_gate={gate.value: int(by_gate.get(gate.value, 0)) for gate in Gate},
        open_by_class={one.value: int(by_class.get(one.value, 0)) for one in DefectClass},
        digest=_digest(listing),
    )


def _check(name: str, frame: gpd.GeoDataFrame, layers: Mapping[str, Layer]) -> None:
    needed = [column for column in FINDING_COLUMNS if column not in SINCE_STATES]
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise DeclarationError(
            where=f"findings of {name}",
            found=f"no column {', '.join(missing)}",
            expected="the columns of a findings frame",
        )
    for layer in frame["layer"].unique():
        if layer not in layers:
            raise DeclarationError(
                where=f"findings of {name}",
                found=f"findings of layer {layer!r}",
                expected=f"one of {', '.join(sorted(layers)) or 'no layer'}",
                remedy="hand the layer's contract to the report",
            )
        here = (frame["layer"] == layer).to_numpy()
        placed = not shapely.is_missing(frame["geometry"].to_numpy()[here]).all()
        if placed and frame.crs != layers[layer].crs:
            raise DeclarationError(
                where=f"findings of {name}",
                found=f"places of layer {layer} in {frame.crs or 'no CRS'}",
                expected=layers[layer].crs,
            )


def _plain(frame: gpd.GeoDataFrame) -> pd.DataFrame:
    texts = {column: _texts(frame, column) for column in TEXT_COLUMNS}
    record = frame["record"].astype("Int64").to_numpy()
    return pd.DataFrame({**texts, "record": record}).astype({"record": "Int64"})


def _texts(frame: gpd.GeoDataFrame, column: str) -> npt.NDArray[np.object_]:
    # where a text was not written in Chinese, the English one stands for it
    name = column if column in frame.columns else column.removesuffix("_zh")
    if name not in frame.columns:
        return np.full(len(frame), "", dtype=object)
    texts: npt.NDArray[np.object_] = frame[name].astype("str").fillna("").to_numpy(dtype=object)
    return texts


def _places(frame: gpd.GeoDataFrame) -> GeometryArray:
    return finite(frame["geometry"].to_numpy())


def _digest(listing: Listing) -> str:
    columns = [*TEXT_COLUMNS, "record", "is_waived", "crs"]
    plain = listing.table[columns].astype({"record": "object"})
    rows = plain.where(plain.notna(), None).itertuples(index=False, name=None)
    digest = hashlib.sha256()
    for row, wkb in zip(rows, shapely.to_wkb(listing.geometry, byte_order=1), strict=True):
        digest.update(json.dumps(row, ensure_ascii=False).encode())
        digest.update(wkb or b"")
        digest.update(b"\n")
    return digest.hexdigest()


def source_titles(report: Report, deliveries: Iterable[str]) -> dict[str, Title]:
    """Return the title of the source of each delivery, as far as the report knows it.

    Parameters
    ----------
    deliveries : iterable of str
        Ids; those of older deliveries begin with the name of their source.
    """
    by_id = {one.delivery.id: one.source_title for one in report.deliveries}
    by_source = {one.delivery.source: one.source_title for one in report.deliveries}
    titles = {one: by_id.get(one, by_source.get(one.rpartition(".")[0])) for one in deliveries}
    return {one: title for one, title in titles.items() if title is not None}
