"""All findings of a report as one table in the order of the page."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cityframe.errors import DeclarationError
from cityframe.model.finding import FINDING_COLUMNS, DefectClass, Gate
from cityframe.model.layer import Layer
from cityframe.products.report.columns import GeometryArray, finite
from cityframe.products.report.document import FindingTotals

TEXT_COLUMNS = tuple(name for name in FINDING_COLUMNS if name not in ("record", "geometry"))
_ORDER = ["gate_rank", "defect_class", "layer", "rule", "finding_id", "delivery", "record"]


@dataclass(frozen=True)
class Listing:
    """The findings, most severe first.

    Attributes
    ----------
    table : DataFrame, n rows
        `FINDING_COLUMNS` without the geometry (texts never null, ``record`` is ``Int64``), and
        ``is_waived``, ``crs``; RangeIndex. Order: gate, defect class, layer, rule, identity.
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
        Identities of the accepted findings.

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
        columns |= {"record": pd.Series(dtype="Int64"), "is_waived": pd.Series(dtype="bool")}
        return Listing(pd.DataFrame(columns), np.empty(0, dtype=object))
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    geometry = np.concatenate([one for one in geometries if len(one)])
    table["is_waived"] = table["finding_id"].isin(waived)
    table["crs"] = table["layer"].map({name: layer.crs for name, layer in layers.items()})
    rank = {gate.value: place for place, gate in enumerate(Gate)}
    order = table.assign(gate_rank=table["gate"].map(rank)).sort_values(_ORDER, kind="stable").index
    return Listing(table.loc[order].reset_index(drop=True), geometry[order.to_numpy()])


def finding_totals(listing: Listing) -> FindingTotals:
    """Count the findings and make the digest over them."""
    still_open = listing.table[~listing.table["is_waived"]]
    by_gate = still_open["gate"].value_counts()
    by_class = still_open["defect_class"].value_counts()
    return FindingTotals(
        total=len(listing.table),
        waived=int(listing.table["is_waived"].sum()),
        open_by_gate={gate.value: int(by_gate.get(gate.value, 0)) for gate in Gate},
        open_by_class={one.value: int(by_class.get(one.value, 0)) for one in DefectClass},
        digest=_digest(listing),
    )


def _check(name: str, frame: gpd.GeoDataFrame, layers: Mapping[str, Layer]) -> None:
    missing = [column for column in FINDING_COLUMNS if column not in frame.columns]
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
    texts = {column: frame[column].astype("str").fillna("").to_numpy() for column in TEXT_COLUMNS}
    record = frame["record"].astype("Int64").to_numpy()
    return pd.DataFrame({**texts, "record": record}).astype({"record": "Int64"})


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
