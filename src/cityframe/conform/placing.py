"""Give each record its place: geometry in the layer's coordinate system, or a feature to update."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from cityframe.config.source import (
    AddressGeometry,
    Feed,
    JoinGeometry,
    NoGeometry,
    Source,
    WktGeometry,
    XyGeometry,
)
from cityframe.conform.addresses import join_addresses
from cityframe.conform.columns import Columns, place
from cityframe.conform.coordinates import check_coordinates, with_image
from cityframe.conform.joins import Joined, join_features
from cityframe.conform.problems import GeometryArray, LayerProblem, Problem, RecordProblem
from cityframe.conform.shapes import with_dimension, with_type, without_measures
from cityframe.conform.values import Reading, arrow_values, as_text, is_null, parse
from cityframe.core.coordinate_operation import (
    CoordinateOperation,
    coordinate_operation,
    transformed,
)
from cityframe.core.crs import CoordinateSystem, describe, is_same_crs, read_crs
from cityframe.core.source_table import SourceTable
from cityframe.errors import DeclarationError
from cityframe.model.layer import AttributeType, GeometryType, Layer

_SHOWN = 60


@dataclass(frozen=True)
class Placement:
    """Where the records are.

    Attributes
    ----------
    geometry : ndarray, n records
        In the layer's CRS; all null without geometry.
    has_geometry : bool
        Whether the delivery provides geometry for the layer.
    places : ndarray, n records
        What findings show on the map: ``geometry``, or that of the joined feature.
    features : DataFrame or None, n records
        ``uid`` and key attributes of the joined features, null where none was found; None
        without a join that takes the feature.
    problems : tuple of Problem
    """

    geometry: GeometryArray
    has_geometry: bool
    places: GeometryArray
    problems: tuple[Problem, ...]
    features: pd.DataFrame | None = None


@dataclass(frozen=True)
class Placer:
    """Finds the place of a feed's records; its attributes are those of `conform`."""

    source: Source
    feed: Feed
    layer: Layer
    framework_layer: Callable[[str], gpd.GeoDataFrame]
    where: str
    root: Path = Path()

    def place(self, tables: Sequence[SourceTable], columns: Columns) -> Placement:
        """Return the places of the records.

        Raises
        ------
        DeclarationError
            If the declaration does not say enough to place them, or if there is no transformation
            of known accuracy to the layer's CRS.
        """
        geometry = self.feed.geometry
        if isinstance(geometry, JoinGeometry):
            return self._join(columns, geometry)
        if isinstance(geometry, NoGeometry) or self.layer.geometry is GeometryType.NONE:
            return self._without_geometry(columns)
        if isinstance(geometry, XyGeometry):
            names = [name for name in (geometry.x, geometry.y, geometry.z) if name]
            if not all(columns.has(name) for name in names):
                return _nowhere(columns)
            return self._transform(*_from_xy(columns, geometry))
        if isinstance(geometry, WktGeometry):
            if not columns.has(geometry.wkt):
                return _nowhere(columns)
            return self._transform(*_from_wkt(columns, geometry))
        if columns.geometry is None:
            return _nowhere(columns, _no_geometry(tables))
        problems = self._stated_crs(tables)
        return self._transform(columns.geometry, problems)

    def _without_geometry(self, columns: Columns) -> Placement:
        delivered = columns.geometry
        is_ignored = isinstance(self.feed.geometry, NoGeometry)
        if is_ignored or delivered is None or shapely.is_missing(delivered).all():
            return _nowhere(columns)
        count = np.count_nonzero(~shapely.is_missing(delivered))
        note = LayerProblem(
            "intake.dropped-geometry",
            f"{count} geometries are left out",
            f"no geometry, as layer {self.layer.name} has none",
            quarantines=False,
            found_zh=f"{count} 个几何未采用",
            expected_zh=f"无几何：图层 {self.layer.name} 没有几何",
        )
        return _nowhere(columns, [note])

    def _declared(self) -> CoordinateSystem:
        text = self.feed.crs or self.source.crs
        if not text:
            raise DeclarationError(
                where=self.where,
                found="no coordinate system is declared",
                expected="crs in the source or the feed",
                remedy="ask the source for it, and set crs",
            )
        system = read_crs(text, where=self.where)
        if system.crs.geodetic_crs is None:
            raise DeclarationError(
                where=self.where,
                found=f"{describe(system)} has no place on the Earth",
                expected="a geographic or projected coordinate system",
            )
        return system

    def _stated_crs(self, tables: Sequence[SourceTable]) -> list[Problem]:
        declared = self._declared()
        return [
            LayerProblem(
                "intake.crs",
                f"{place(table)} states {stated}",
                f"{describe(declared)}, as declared",
                found_zh=f"{place(table)} 标明的坐标系为 {stated}",
                expected_zh=f"与声明一致：{describe(declared)}",
            )
            for table in tables
            if table.geometry is not None and table.crs
            for stated in [_other_crs(table.crs, declared)]
            if stated
        ]

    def _transform(self, geometry: GeometryArray, problems: Sequence[Problem]) -> Placement:
        declared, target = self._declared(), read_crs(self.layer.crs, where=self.where)
        self._check_heights(declared)
        found = list(problems)
        for conform_shape in (
            without_measures,
            lambda shapes: with_dimension(shapes, self.layer),
            lambda shapes: with_type(shapes, self.layer),
        ):
            geometry, more = conform_shape(geometry)
            found += more
        checked = check_coordinates(geometry, declared, target)
        operation = coordinate_operation(
            declared,
            target,
            area=checked.area,
            equivalent=self.source.equivalent_crs,
            where=self.where,
        )
        placed, lost = with_image(
            checked.geometry, transformed(checked.geometry, operation), target
        )
        found += [*checked.problems, *lost, *self._coarse(operation)]
        return Placement(placed, True, placed, tuple(found))

    def _coarse(self, operation: CoordinateOperation) -> list[Problem]:
        accuracy_m = self.source.accuracy_of(self.feed)
        if operation.accuracy_m <= accuracy_m:
            return []
        better = f"; better with its grid installed: {operation.better}" if operation.better else ""
        better_zh = f"；安装格网后可用更优的 {operation.better}" if operation.better else ""
        return [
            LayerProblem(
                "intake.crs-accuracy",
                f"accuracy {operation.accuracy_m:g} m of {operation.description}{better}",
                f"at most {accuracy_m:g} m, the accuracy of the source",
                quarantines=False,
                found_zh=f"{operation.description} 的精度为 {operation.accuracy_m:g} m{better_zh}",
                expected_zh=f"不大于数据源精度 {accuracy_m:g} m",
            )
        ]

    def _check_heights(self, declared: CoordinateSystem) -> None:
        if not (self.layer.has_z and declared.heights):
            return
        if self.layer.vertical_datum.casefold() not in {one.casefold() for one in declared.heights}:
            raise DeclarationError(
                where=self.where,
                found=f"heights in {declared.heights[0]}, which are not transformed",
                expected=f"heights in {self.layer.vertical_datum}, as the layer has them",
                remedy=f"name one of {declared.heights} as vertical_datum if they are the same",
            )

    def _join(self, columns: Columns, join: JoinGeometry) -> Placement:
        joined = self._joined(columns, join)
        shapes = joined.shapes()
        if join.take == "feature":
            return self._update(joined, join, shapes)
        shapes = self._in_layer_crs(shapes, joined)
        points = (GeometryType.POINT, GeometryType.MULTIPOINT)
        if self.layer.geometry in points:
            is_extended = ~np.isin(shapely.get_type_id(shapes), [-1, 0, 4])
            shapes[is_extended] = shapely.point_on_surface(shapes[is_extended])
        problems = list(joined.problems)
        if self.layer.geometry is GeometryType.NONE:
            return _nowhere(columns, problems)
        for conform_shape in (with_dimension, with_type):
            shapes, more = conform_shape(shapes, self.layer)
            problems += more
        return Placement(shapes, True, shapes, tuple(problems))

    def _joined(self, columns: Columns, join: JoinGeometry) -> Joined:
        if isinstance(join, AddressGeometry):
            return join_addresses(columns, join, self.framework_layer, self.root)
        return join_features(columns, join, self.framework_layer, where=self.where)

    def _update(self, joined: Joined, join: JoinGeometry, shapes: GeometryArray) -> Placement:
        if join.layer != self.layer.name:
            raise DeclarationError(
                where=f"{self.where}, geometry",
                found=f"take: feature of layer {join.layer} for layer {self.layer.name}",
                expected="an update of the same layer",
                remedy=f"set layer: {join.layer}, or take: geometry",
            )
        features = joined.features[["uid", *self.layer.key]].reindex(joined.certain_rows())
        return Placement(
            geometry=np.full(len(shapes), None, dtype=object),
            has_geometry=False,
            places=shapes,
            problems=joined.problems,
            features=pd.DataFrame(features).reset_index(drop=True),
        )

    def _in_layer_crs(self, shapes: GeometryArray, joined: Joined) -> GeometryArray:
        crs = joined.features.crs
        if crs is None:
            return shapes
        operation = coordinate_operation(
            read_crs(crs.to_string(), where=self.where),
            read_crs(self.layer.crs, where=self.where),
            area=None,
            equivalent=self.source.equivalent_crs,
            where=self.where,
        )
        return transformed(shapes, operation)


def _nowhere(columns: Columns, problems: Sequence[Problem] = ()) -> Placement:
    nothing = np.full(len(columns.frame), None, dtype=object)
    return Placement(nothing, False, nothing, tuple(problems))


def _no_geometry(tables: Sequence[SourceTable]) -> list[Problem]:
    return [
        LayerProblem(
            "intake.missing-column",
            f"{place(table)}: no geometry",
            "a geometry column",
            found_zh=f"{place(table)}：无几何",
            expected_zh="几何列",
        )
        for table in tables
        if table.geometry is None
    ]


def _other_crs(stated: str, declared: CoordinateSystem) -> str:
    """Return the name of a file's system if it is not the declared one."""
    try:
        system = read_crs(stated, where="")
    except DeclarationError:
        return repr(stated[:_SHOWN])
    if system.crs.name.lower().startswith(("undefined", "unknown")):
        return ""
    if declared.grid is not None:
        # such data is written into formats that only know WGS 84, or as plain degrees
        return "" if system.crs.is_geographic else describe(system)
    if not is_same_crs(system.crs, declared.crs):
        return describe(system)
    if system.heights and declared.heights and not set(system.heights) & set(declared.heights):
        return f"{describe(system)} with heights in {system.heights[0]}"
    return ""


def _from_xy(columns: Columns, geometry: XyGeometry) -> tuple[GeometryArray, list[Problem]]:
    names = [name for name in (geometry.x, geometry.y, geometry.z) if name]
    delivered = [arrow_values(columns.frame[name]) for name in names]
    parsed = [parse(one, AttributeType.REAL, Reading()) for one in delivered]
    values = [series.to_numpy() for series, _ in parsed]
    is_bad = np.logical_or.reduce([bad for _, bad in parsed])
    is_bad |= is_null(delivered[0]) != is_null(delivered[1])
    is_placed = ~(is_bad | np.isnan(values[0]))
    has_z = is_placed & (~np.isnan(values[2]) if geometry.z else False)
    is_flat = is_placed & ~has_z
    points = np.full(len(columns.frame), None, dtype=object)
    points[is_flat] = shapely.points(values[0][is_flat], values[1][is_flat])
    points[has_z] = shapely.points(*(one[has_z] for one in values))
    records = np.flatnonzero(is_bad)
    if not len(records):
        return points, []
    shown = [as_text(one.take(pa.array(records))).to_pylist() for one in delivered]
    found = [
        ", ".join(f"{name} is {value!r}" for name, value in zip(names, row, strict=True))
        for row in zip(*shown, strict=True)
    ]
    found_zh = [
        "，".join(f"{name} 的值为 {value!r}" for name, value in zip(names, row, strict=True))
        for row in zip(*shown, strict=True)
    ]
    problem = RecordProblem(
        "intake.coordinates",
        records,
        found,
        "a number in each",
        found_zh=found_zh,
        expected_zh="各为数值",
    )
    return points, [problem]


def _from_wkt(columns: Columns, geometry: WktGeometry) -> tuple[GeometryArray, list[Problem]]:
    text = as_text(arrow_values(columns.frame[geometry.wkt]))
    texts = text.to_numpy(zero_copy_only=False)
    try:
        shapes = shapely.from_wkt(texts, on_invalid="ignore")
    except NotImplementedError:
        # one curve stops the whole array: read them one by one
        shapes = np.array([_one_from_wkt(one) for one in texts], dtype=object)
    records = np.flatnonzero(shapely.is_missing(shapes) & ~is_null(text))
    if not len(records):
        return shapes, []
    starts = [texts[record][:_SHOWN] for record in records]
    problem = RecordProblem(
        "intake.geometry-text",
        records,
        [f"{geometry.wkt} is {one!r}" for one in starts],
        "well-known text",
        found_zh=[f"{geometry.wkt} 的值为 {one!r}" for one in starts],
        expected_zh="WKT 几何文本",
    )
    return shapes, [problem]


def _one_from_wkt(text: str | None) -> shapely.Geometry | None:
    try:
        return shapely.from_wkt(text, on_invalid="ignore")
    except NotImplementedError:
        return None
