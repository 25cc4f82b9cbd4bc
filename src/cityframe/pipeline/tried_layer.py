"""Make a layer of one file: by a contract of the workspace, or by what the file itself shows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import shapely
from pyproj import CRS

from cityframe.conform.values import EXPECTED, ArrowArray, Reading, arrow_values, parse
from cityframe.connectors import read_file
from cityframe.core.crs import is_same_crs, read_crs
from cityframe.core.frames import key_text
from cityframe.core.source_table import SourceTable
from cityframe.errors import DeclarationError
from cityframe.model.layer import RESERVED_COLUMNS, Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title

PRECISION_M, ACCURACY_M = 0.001, 0.25
"""Assumed of a file without a contract, in metres."""

_NO_MATTER = "EPSG:4326"
# the stubs lack functions that pyarrow has
pc: Any = pyarrow.compute

_TEXT_TYPES = (
    AttributeType.INTEGER, AttributeType.REAL, AttributeType.DATE, AttributeType.DATETIME,
)  # fmt: skip
_READING = Reading(time_zone="UTC")
_CODE_LIKE = r"^[+-]?0[0-9]"
_TYPES: Mapping[int, GeometryType] = {
    0: GeometryType.POINT, 1: GeometryType.LINESTRING, 2: GeometryType.LINESTRING,
    3: GeometryType.POLYGON, 4: GeometryType.MULTIPOINT, 5: GeometryType.MULTILINESTRING,
    6: GeometryType.MULTIPOLYGON,
}  # fmt: skip


@dataclass(frozen=True)
class TriedLayer:
    """A file as a layer.

    Attributes
    ----------
    frame : GeoDataFrame, n rows
        Layer frame with ``record``, the number of the record in the file.
    notes : tuple of str
        What was assumed and what did not fit.
    """

    layer: Layer
    frame: gpd.GeoDataFrame
    notes: tuple[str, ...]


def layer_of_file(
    path: Path, *, table: str = "", name: str = "", contract: Layer | None = None, crs: str = ""
) -> TriedLayer:
    """Read a file as a layer.

    Parameters
    ----------
    name : str
        Of the layer; empty for one made from the file's name. A contract has its own.
    contract : Layer or None
        Attributes are the file's columns of the same name, whatever the case; None takes geometry
        type, CRS, columns and their types from the file.
    crs : str
        Coordinates are transformed to it; those of a file that names no CRS are taken to be in it.
        Empty for the contract's or the file's own.

    Raises
    ------
    DeclarationError
        If there is no such file, none of its columns is the contract's, its geometry is of mixed
        types, or neither it nor the call says its CRS.
    QuarantinedError
        If the file can't be read.
    """
    source = read_file(path, table)
    notes = [f"record {record}: {why}" for record, why in source.defects.items()]
    system = _system(source, path, contract, crs, notes)
    if contract is None:
        layer, columns = _inferred(source, name or _folded(path.stem) or "file", system, notes)
    else:
        layer = replace(contract, crs=system)
        columns = _of_contract(source, path, layer, notes)
    values: dict[str, pd.Series] = {}
    for attribute in layer.attributes:
        if attribute.name in columns:
            array = arrow_values(source.frame[columns[attribute.name]])
            values[attribute.name], bad = parse(array, attribute.type, _READING)
            if bad.any():
                wanted = EXPECTED[attribute.type].en
                notes.append(
                    f"{attribute.name}: {bad.sum()} values are null here, expected {wanted}"
                )
    frame = gpd.GeoDataFrame(values, geometry=_shapes(source, path, layer))
    frame["record"] = pd.array(range(len(source.frame)), dtype="Int64")
    if layer.key and set(layer.key) <= set(values):
        frame["source_key"] = key_text(frame, layer.key)
    return TriedLayer(layer, frame, tuple(notes))


def _system(
    source: SourceTable, path: Path, contract: Layer | None, crs: str, notes: list[str]
) -> str:
    """Return the CRS to check in."""
    wanted = crs or ("" if contract is None else contract.crs)
    if source.geometry is None:
        return wanted or _NO_MATTER
    if source.crs is None:
        if not wanted:
            raise DeclarationError(
                found="a file that says no CRS",
                where=str(path),
                remedy="say it with --crs, or name a layer of the workspace with --layer",
            )
        notes.append(f"the file says no CRS; its coordinates are taken to be in {wanted}")
        return wanted
    own = _short(source.crs, path)
    if wanted and not is_same_crs(_crs(source.crs, path), _crs(wanted, path)):
        notes.append(f"coordinates were transformed from {own} to {wanted}")
    return wanted or own


def _shapes(source: SourceTable, path: Path, layer: Layer) -> gpd.GeoSeries:
    """Return the geometries in the layer's CRS; all null for a layer without."""
    count = len(source.frame)
    if layer.geometry is GeometryType.NONE:
        return gpd.GeoSeries(np.full(count, None, dtype=object), crs=layer.crs)
    if source.geometry is None:
        raise DeclarationError(
            found="a table without geometry",
            where=str(path),
            expected=f"{layer.geometry}, the geometry of layer {layer.name}",
            remedy="name a file with geometry",
        )
    there, wanted = _crs(source.crs or layer.crs, path), _crs(layer.crs, path)
    shapes = gpd.GeoSeries(source.geometry, crs=there)
    shapes = shapes if is_same_crs(there, wanted) else shapes.to_crs(wanted)
    return shapes.set_crs(layer.crs, allow_override=True)


def _inferred(
    source: SourceTable, name: str, system: str, notes: list[str]
) -> tuple[Layer, dict[str, str]]:
    """Return the layer that a file shows, and the column of each attribute."""
    attributes: list[Attribute] = []
    columns: dict[str, str] = {}
    for place, column in enumerate(source.frame.columns):
        short = _folded(column) or f"column_{place + 1}"
        if short in columns or short in RESERVED_COLUMNS:
            short = f"{short}_{place + 1}"
        columns[short] = column
        array = arrow_values(source.frame[column])
        attributes.append(Attribute(short, _type(array), Title(zh=column, en=column)))
    layer = Layer(
        name=name,
        title=Title(zh=name, en=name),
        geometry=_geometry_type(source),
        crs=system,
        precision_m=PRECISION_M,
        accuracy_m=ACCURACY_M,
        key=(),
        attributes=tuple(attributes),
        has_z=source.geometry is not None and bool(shapely.has_z(source.geometry).any()),
    )
    renamed = [f"{short} is {column}" for short, column in columns.items() if short != column]
    if renamed:
        notes.insert(0, f"names as declarations write them: {', '.join(renamed)}")
    shown = ", ".join(f"{one.name} {one.type}" for one in attributes) or "none"
    kind = layer.geometry.value if source.geometry is None else f"{layer.geometry.value}, {system}"
    notes.insert(0, f"without a contract, as the file shows it: {kind}; columns {shown}")
    notes.insert(1, f"assumed: precision {PRECISION_M} m, accuracy {ACCURACY_M} m, no key")
    return layer, columns


def _of_contract(source: SourceTable, path: Path, layer: Layer, notes: list[str]) -> dict[str, str]:
    """Return the file's column of each attribute of a contract that it has."""
    folded = {column.casefold(): column for column in source.frame.columns}
    columns = {
        name: folded[name.casefold()] for name in layer.attribute_names if name.casefold() in folded
    }
    if layer.attributes and not columns:
        raise DeclarationError(
            found=f"columns {', '.join(source.frame.columns) or 'none'}",
            where=str(path),
            expected=f"some of {', '.join(layer.attribute_names)}, as layer {layer.name} has them",
            remedy="leave out --layer: the layer is then made from the file",
        )
    absent = [name for name in layer.attribute_names if name not in columns]
    if absent:
        notes.append(f"not in the file: {', '.join(absent)}")
    return columns


def _type(array: ArrowArray) -> AttributeType:
    """Return the type that all values of a column have; text that looks like a code is text."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return AttributeType.BOOLEAN
    if pa.types.is_integer(kind):
        return AttributeType.INTEGER
    if pa.types.is_floating(kind):
        return AttributeType.REAL
    if pa.types.is_date(kind):
        return AttributeType.DATE
    if pa.types.is_timestamp(kind):
        return AttributeType.DATETIME
    texts = array.drop_null()
    if not len(texts) or pc.any(pc.match_substring_regex(texts, _CODE_LIKE)).as_py():
        return AttributeType.STRING
    for one in _TEXT_TYPES:
        _, bad = parse(texts, one, _READING)
        if not bad.any():
            return one
    return AttributeType.STRING


def _geometry_type(source: SourceTable) -> GeometryType:
    """Return the geometry type of a file: of parts and multi-parts, multi-parts."""
    if source.geometry is None:
        return GeometryType.NONE
    found = {int(one) for one in np.unique(shapely.get_type_id(source.geometry)) if one >= 0}
    types = {_TYPES.get(one) for one in found}
    singles = {one.single for one in types if one is not None}
    if None in types or len(singles) != 1:
        raise DeclarationError(
            found=f"geometry of types {sorted(found)}" if found else "no geometry",
            where=source.file,
            expected="points, lines or polygons alone",
            remedy="name a layer of the workspace with --layer, or another table with --table",
        )
    known = {one for one in types if one is not None}
    return next((one for one in known if one.is_multi), next(iter(known)))


def _crs(text: str, path: Path) -> CRS:
    return read_crs(text, where=str(path)).crs


def _short(text: str, path: Path) -> str:
    """Return a CRS by its code, if it has one."""
    authority = _crs(text, path).to_authority()
    return ":".join(authority) if authority else text


def _folded(name: str) -> str:
    """Return a name as declarations write it; empty if nothing of it is left."""
    short = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")[:48]
    return short if short[:1].isalpha() else ""
