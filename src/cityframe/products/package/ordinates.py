"""Geometry of a change in few bytes: coordinates as differences of whole numbers.

Each geometry becomes its *form* (the WKB with zeros for all coordinates) and its *ordinates*, from
which the WKB comes back to the last bit. ``docs/formats/package.md`` has the rules.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import shapely

from cityframe.model.layer import Layer
from cityframe.products.package.table import compute

Wkb: TypeAlias = "pa.Array[Any]"
Numbers = npt.NDArray[np.int64]
_LARGEST_WHOLE = 2.0**53
PACKED_GEOMETRY = pa.struct(
    [
        pa.field("form", pa.binary()),
        pa.field("is_on_grid", pa.bool_()),
        pa.field("ordinates", pa.list_(pa.field("element", pa.int64()))),
    ]
)


@dataclass(frozen=True)
class _Split:
    """Geometries cut into form and numbers; ``row`` has the geometry of each vertex."""

    form: npt.NDArray[np.object_]
    numbers: Numbers
    row: npt.NDArray[np.intp]
    is_on_grid: npt.NDArray[np.bool_]

    def counts(self) -> npt.NDArray[np.intp]:
        return np.bincount(self.row, minlength=len(self.form))


def pack(old: Wkb, new: Wkb, layer: Layer) -> tuple[pa.StructArray, pa.StructArray]:
    """Return the packed form of the geometries before and after.

    Parameters
    ----------
    old, new : binary arrays of one length
        WKB as this package writes it, or null.
    """
    before, after = _split(old, layer), _split(new, layer)
    differences = _along(before)
    moved = _along(after)
    shared = _alike(before, after)
    moved[shared[after.row]] -= differences[shared[before.row]]
    return _packed(before, differences), _packed(after, moved)


def unpack(old: pa.StructArray, new: pa.StructArray, layer: Layer) -> tuple[Wkb, Wkb]:
    """Return the WKB of both sides again, bit for bit.

    Raises
    ------
    ValueError, ShapelyError
        If forms and ordinates do not fit.
    """
    before, after = _parts(old, layer), _parts(new, layer)
    differences, moved = before.numbers, after.numbers
    shared = _alike(before, after)
    moved[shared[after.row]] += differences[shared[before.row]]
    return _joined(before, differences, layer), _joined(after, moved, layer)


def _split(wkb: Wkb, layer: Layer) -> _Split:
    shapes = shapely.from_wkb(wkb.to_numpy(zero_copy_only=False))
    has_z = layer.has_z
    places, row = shapely.get_coordinates(shapes, include_z=has_z, return_index=True)
    with np.errstate(over="ignore", invalid="ignore"):
        grid = np.round(places * _units(layer))
        # NaN, too: all that is no whole number of units stays as it is
        whole = np.where(np.abs(grid) < _LARGEST_WHOLE, grid, 0).astype(np.int64)
    exact = _bits(_from_grid(whole.astype(np.float64), layer)) == _bits(places)
    is_on_grid = np.ones(len(shapes), dtype=bool)
    is_on_grid[row[~exact.all(axis=1)]] = False
    numbers = np.where(is_on_grid[row, None], whole, _bits(places))
    form = _wkb(shapely.set_coordinates(shapes, np.zeros_like(places)), layer)
    return _Split(form, numbers, row, is_on_grid)


def _packed(split: _Split, differences: Numbers) -> pa.StructArray:
    # zigzag: small negative numbers become small positive ones
    flat = ((differences << 1) ^ (differences >> 63)).ravel()
    width = differences.shape[1]
    offsets = np.concatenate([[0], np.cumsum(split.counts() * width)]).astype(np.int32)
    is_null = pd.isna(split.form)
    lists = pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(flat), type=PACKED_GEOMETRY.field("ordinates").type
    )
    return pa.StructArray.from_arrays(
        [
            pa.array(split.form, pa.binary()),
            pa.array(split.is_on_grid, mask=is_null),
            compute.if_else(pa.array(is_null), pa.scalar(None, lists.type), lists),
        ],
        fields=list(PACKED_GEOMETRY),
    )


def _parts(packed: pa.StructArray, layer: Layer) -> _Split:
    """Return forms, on-grid flags and the differences, which are still to be added up."""
    form, is_on_grid, ordinates = packed.flatten()
    width = 3 if layer.has_z else 2
    counts = np.asarray(compute.fill_null(compute.list_value_length(ordinates), 0), dtype=np.int64)
    flat = np.asarray(compute.list_flatten(ordinates), dtype=np.int64)
    zigzag = flat.view(np.uint64)
    numbers = (zigzag >> np.uint64(1)).astype(np.int64) ^ -(flat & 1)
    return _Split(
        form.to_numpy(zero_copy_only=False),
        numbers.reshape(-1, width),
        np.repeat(np.arange(len(packed)), counts // width),
        np.asarray(compute.fill_null(is_on_grid, True), dtype=bool),
    )


def _joined(split: _Split, differences: Numbers, layer: Layer) -> Wkb:
    numbers = _summed(differences, split.row)
    on_grid = split.is_on_grid[split.row, None]
    from_grid = _from_grid(numbers.astype(np.float64), layer)
    places = np.where(on_grid, from_grid, numbers.view(np.float64))
    shapes = shapely.set_coordinates(shapely.from_wkb(split.form), places)
    return pa.array(_wkb(shapes, layer), pa.binary())


def _along(split: _Split) -> Numbers:
    """Return each vertex less the one before it in its geometry; the first ones as they are."""
    differences = split.numbers.copy()
    follows = split.row[1:] == split.row[:-1]
    differences[1:][follows] -= split.numbers[:-1][follows]
    return differences


def _summed(differences: Numbers, row: npt.NDArray[np.intp]) -> Numbers:
    """Undo `_along`; all sums wrap around as int64, so they come back whatever their size."""
    if not len(row):
        return differences
    total = np.cumsum(differences, axis=0)
    is_first = np.concatenate([[True], row[1:] != row[:-1]])
    before = (total - differences)[is_first]
    return np.asarray(total - before[np.cumsum(is_first) - 1])


def _alike(before: _Split, after: _Split) -> npt.NDArray[np.bool_]:
    """Return whether the new geometry is stored as differences to the old one."""
    same = (before.form == after.form) & ~pd.isna(before.form)
    alike = np.asarray(same, dtype=bool) & (before.is_on_grid == after.is_on_grid)
    return np.asarray(alike & (before.counts() == after.counts()))


def _units(layer: Layer) -> float:
    """Return the units to a metre: a whole number where the precision is a part of a metre."""
    units = 1 / layer.precision_m
    return float(np.round(units)) if units >= 1 else units


def _from_grid(numbers: npt.NDArray[np.float64], layer: Layer) -> npt.NDArray[np.float64]:
    return np.asarray(numbers / _units(layer))


def _bits(places: npt.NDArray[np.float64]) -> Numbers:
    return np.ascontiguousarray(places).view(np.int64)


def _wkb(shapes: npt.NDArray[np.object_], layer: Layer) -> npt.NDArray[np.object_]:
    wkb = shapely.to_wkb(
        shapes, byte_order=1, flavor="iso", output_dimension=3 if layer.has_z else 2
    )
    return np.asarray(wkb, dtype=object)
