"""Give geometries the type and dimension of a contract, without repairing any."""

from collections.abc import Callable
from typing import Any

import numpy as np
import shapely

from cityframe.conform.problems import GeometryArray, LayerProblem, Mask, Problem, RecordProblem
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.text import Title

_TYPE_NAMES = np.array(
    ["Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString",
     "MultiPolygon", "GeometryCollection"]
)  # fmt: skip
_MULTI: dict[GeometryType, Callable[..., Any]] = {
    GeometryType.MULTIPOINT: shapely.multipoints,
    GeometryType.MULTILINESTRING: shapely.multilinestrings,
    GeometryType.MULTIPOLYGON: shapely.multipolygons,
}


def without_measures(geometry: GeometryArray) -> tuple[GeometryArray, list[Problem]]:
    """Return geometries without M values; a note says in how many there were."""
    has_m = shapely.has_m(geometry)
    if not has_m.any():
        return geometry, []
    flat = geometry.copy()
    has_both = has_m & shapely.has_z(geometry)
    flat[has_m & ~has_both] = shapely.force_2d(geometry[has_m & ~has_both])
    flat[has_both] = shapely.from_wkb(shapely.to_wkb(geometry[has_both], output_dimension=3))
    count = has_m.sum()
    what = Title(f"{count} 个几何的 M 值未采用", f"measures (M) of {count} geometries are left out")
    return flat, [_left_out(what)]


def with_dimension(geometry: GeometryArray, layer: Layer) -> tuple[GeometryArray, list[Problem]]:
    """Return geometries with heights only where the contract has them.

    Heights that the contract does not want are left out, with one note. Where it wants them, a
    geometry without a height, or with one that is not finite, is a problem.
    """
    has_z = shapely.has_z(geometry)
    if not layer.has_z:
        if not has_z.any():
            return geometry, []
        flat = geometry.copy()
        flat[has_z] = shapely.force_2d(geometry[has_z])
        count = has_z.sum()
        what = Title(f"{count} 个几何的高程未采用", f"heights of {count} geometries are left out")
        return flat, [_left_out(what)]
    is_placed = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    lacking = np.flatnonzero(is_placed & ~(has_z & _has_finite_heights(geometry)))
    if not len(lacking):
        return geometry, []
    problem = RecordProblem(
        "intake.missing-z",
        lacking,
        ["no finite height on each coordinate"] * len(lacking),
        f"heights in {layer.vertical_datum}",
        found_zh=["并非每个坐标都有有效高程"] * len(lacking),
        expected_zh=f"{layer.vertical_datum} 高程",
    )
    return geometry, [problem]


def _has_finite_heights(geometry: GeometryArray) -> Mask:
    has_heights = np.ones(len(geometry), dtype=bool)
    deep = np.flatnonzero(shapely.has_z(geometry))
    coordinates, owner = shapely.get_coordinates(geometry[deep], include_z=True, return_index=True)
    has_heights[deep[owner[~np.isfinite(coordinates[:, 2])]]] = False
    return has_heights


def _left_out(found: Title) -> LayerProblem:
    return LayerProblem(
        "intake.dropped-geometry",
        found.en,
        "only what the contract has",
        quarantines=False,
        found_zh=found.zh,
        expected_zh="仅有契约规定的内容",
    )


def with_type(geometry: GeometryArray, layer: Layer) -> tuple[GeometryArray, list[Problem]]:
    """Return geometries of the contract's type: one part as many, or many of one part as one.

    Parameters
    ----------
    geometry : ndarray of shapely geometries, n
        Any type; null stays null.

    Returns
    -------
    tuple
        Geometries, unchanged where the type does not fit; the problems of those.
    """
    kinds = shapely.get_type_id(geometry)
    wanted = _type_id(layer.geometry)
    is_other = (kinds != wanted) & (kinds >= 0)
    if not is_other.any():
        return geometry, []
    shaped = geometry.copy()
    if layer.geometry.is_multi:
        fits = is_other & (kinds == _type_id(GeometryType(layer.geometry.single)))
        parts = geometry[fits]
        shaped[fits] = _MULTI[layer.geometry](parts, indices=np.arange(len(parts)))
    else:
        is_multi = kinds == _type_id(GeometryType(f"Multi{layer.geometry.value}"))
        fits = is_other & is_multi & (shapely.get_num_geometries(geometry) == 1)
        shaped[fits] = shapely.get_geometry(geometry[fits], 0)
    wrong = np.flatnonzero(is_other & ~fits)
    if not len(wrong):
        return shaped, []
    names = _TYPE_NAMES[kinds[wrong]]
    counts = shapely.get_num_geometries(geometry[wrong])
    found, found_zh = (
        [
            text.format(name, count) if count != 1 else str(name)
            for name, count in zip(names, counts, strict=True)
        ]
        for text in ("{} of {} parts", "{}，{} 个部分")
    )
    problem = RecordProblem(
        "intake.geometry-type", wrong, found, layer.geometry.value, found_zh=found_zh
    )
    return shaped, [problem]


def _type_id(kind: GeometryType) -> int:
    return int(np.flatnonzero(kind.value == _TYPE_NAMES)[0])
