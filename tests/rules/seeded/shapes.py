"""Defects sown for the kinds about the shape of one polygon."""

from collections.abc import Callable

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from cityframe.model.layer import GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import Sowing

LAYER = Layer(
    name="parcels", title=Title(zh="宗地", en="Parcels"), geometry=GeometryType.MULTIPOLYGON,
    crs="EPSG:4547", precision_m=0.001, accuracy_m=0.25, key=(), attributes=(),
)  # fmt: skip
ORIGIN = np.array([500_000.0, 3_400_000.0])
SIZE = 300

Ring = npt.NDArray[np.float64]


def _rings() -> list[Ring]:
    """Return closed rings of twelve vertices, 8 to 12 m from their middles."""
    rng = np.random.default_rng(11)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    away = rng.uniform(8, 12, (SIZE, 12, 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    middle = np.indices((SIZE // 20, 20)).reshape(2, -1).T[:, np.newaxis] * 40.0 + ORIGIN
    rings = np.round(away + middle, 3)
    return list(np.concatenate([rings, rings[:, :1]], axis=1))


def _sowing(
    *flavours: Callable[[Ring], shapely.Geometry | None],
    near: tuple[Callable[[Ring], shapely.Geometry | None], ...] = (),
    **parameters: float,
) -> Sowing:
    """Return polygons of which every twentieth fails, by turns in each way, or nearly does."""
    geometry = [shapely.MultiPolygon([shapely.Polygon(ring)]) for ring in _rings()]
    # plain polygons, holes and two parts are among the clean ones
    geometry[1::10] = [shapely.Polygon(ring) for ring in _rings()[1::10]]
    geometry[2::10] = [_with_hole(ring) for ring in _rings()[2::10]]
    geometry[3::10] = [_with_part(ring) for ring in _rings()[3::10]]
    uid = np.array([f"s{row:03d}" for row in range(SIZE)], dtype=object)
    bad = range(5, SIZE, 20)
    for number, row in enumerate(bad):
        geometry[row] = flavours[number % len(flavours)](_rings()[row])
    if near:
        for number, row in enumerate(range(6, SIZE, 20)):
            geometry[row] = near[number % len(near)](_rings()[row])
    frame = gpd.GeoDataFrame({"uid": uid}, geometry=gpd.GeoSeries(geometry, crs=LAYER.crs))
    return Sowing(LAYER, frame, parameters, frozenset(uid[list(bad)]))


def _box(ring: Ring, width_m: float, height_m: float) -> shapely.Polygon:
    x, y = ring.mean(axis=0)
    return shapely.box(x, y, x + width_m, y + height_m)


def _with_hole(ring: Ring) -> shapely.Polygon:
    return shapely.Polygon(ring, [shapely.get_coordinates(_box(ring, 2, 2))])


def _with_part(ring: Ring, part: shapely.Polygon | None = None) -> shapely.MultiPolygon:
    beside = shapely.transform(part or _box(ring, 5, 5), lambda xy: xy + np.array([15.0, 15.0]))
    return shapely.MultiPolygon([shapely.Polygon(ring), beside])


def _with_vertices(ring: Ring, place: int, *xy: npt.ArrayLike) -> shapely.Polygon:
    """Insert vertices after a place of the ring, given as steps from the vertex there."""
    return shapely.Polygon(np.insert(ring, place + 1, [ring[place] + step for step in xy], axis=0))


def _ahead(ring: Ring, place: int) -> Ring:
    """Return the direction from a vertex to the next, of length 1."""
    step = ring[place + 1] - ring[place]
    return step / np.hypot(*step)


def _outwards(ring: Ring, place: int) -> Ring:
    step = ring[place] - ring.mean(axis=0)
    return step / np.hypot(*step)


def _in_hole(ring: Ring, change: Callable[[Ring], shapely.Polygon]) -> shapely.Polygon:
    hole = shapely.get_coordinates(_box(ring, 4, 4))
    return shapely.Polygon(ring, [shapely.get_coordinates(change(hole))])


def _with_nan(ring: Ring) -> shapely.Polygon:
    with np.errstate(invalid="ignore"):  # GEOS compares the coordinates
        return shapely.Polygon(np.where(np.arange(13)[:, np.newaxis] == 4, np.nan, ring))


def null_geometry() -> Sowing:
    return _sowing(
        lambda _: None,
        lambda _: shapely.Polygon(),
        lambda _: shapely.MultiPolygon(),
        near=(lambda ring: shapely.Polygon(ring[[0, 2, 1, 3, 0]]),),  # invalid, but there
    )


def valid_geometry() -> Sowing:
    return _sowing(
        lambda ring: shapely.Polygon(ring[[0, 4, 2, 6, 0]]),
        lambda ring: shapely.Polygon(ring, [ring[:4] + 90]),
        lambda ring: shapely.Polygon(ring[[0, 3, 0, 0]]),
        lambda ring: shapely.MultiPolygon([shapely.Polygon(ring), _box(ring, 2, 2)]),
        _with_nan,
        lambda ring: shapely.Polygon(np.insert(ring, 4, ring[[3, 9, 3]], axis=0)),
        near=(
            lambda _: None,
            lambda _: shapely.Polygon(),
            lambda ring: shapely.Polygon(np.insert(ring, 4, ring[4], axis=0)),
            lambda ring: shapely.Polygon(ring, [[ring[0], *(ring[[4, 8]] * 0.5 + ring[0] * 0.5)]]),
        ),
    )


def duplicate_vertices() -> Sowing:
    return _sowing(
        lambda ring: _with_vertices(ring, 4, 0.0),
        lambda ring: _with_vertices(ring, 0, 0.0),
        lambda ring: _with_vertices(ring, 11, ring[12] - ring[11]),
        lambda ring: _with_vertices(ring, 5, _ahead(ring, 5) * 0.0009),
        lambda ring: _with_part(ring, _with_vertices(ring, 3, 0.0, 0.0)),
        lambda ring: _in_hole(ring, lambda hole: _with_vertices(hole, 2, 0.0)),
        near=(
            lambda ring: _with_vertices(ring, 5, _ahead(ring, 5) * 0.0011),
            lambda ring: shapely.Polygon(ring[[0, 4, 2, 4, 6, 0]]),  # a return is no repeat
        ),
        tolerance_m=0.001,
    )


def short_segments() -> Sowing:
    return _sowing(
        lambda ring: _with_vertices(ring, 4, _ahead(ring, 4) * 0.049),
        lambda ring: _with_vertices(ring, 11, (ring[12] - ring[11]) - _ahead(ring, 11) * 0.02),
        lambda ring: _with_part(ring, _with_vertices(ring, 3, _ahead(ring, 3) * 0.001)),
        lambda ring: _in_hole(ring, lambda hole: _with_vertices(hole, 2, _ahead(hole, 2) * 0.03)),
        near=(
            lambda ring: _with_vertices(ring, 4, _ahead(ring, 4) * 0.0501),
            lambda ring: _with_vertices(ring, 4, 0.0),  # no length at all
        ),
        min_m=0.05,
    )


def spikes() -> Sowing:
    def out(ring: Ring, place: int, length_m: float, width_m: float) -> shapely.Polygon:
        tip = _outwards(ring, place) * length_m
        return _with_vertices(ring, place, tip, _ahead(ring, place) * width_m)

    return _sowing(
        lambda ring: out(ring, 4, 9.0, 0.1),
        lambda ring: out(ring, 0, 9.0, 0.0),
        lambda ring: shapely.Polygon(np.roll(_open(out(ring, 4, 9.0, 0.1)), -5, axis=0)),
        lambda ring: out(ring, 7, -5.0, 0.05),  # a cut into the polygon
        lambda ring: _with_part(ring, out(ring, 2, 1.0, 0.01)),
        lambda ring: _with_vertices(
            ring, 4, _outwards(ring, 4) * 9, _outwards(ring, 4) * 9, _ahead(ring, 4) * 0.1
        ),
        near=(
            lambda ring: out(ring, 4, 4.0, 0.4),
            lambda ring: shapely.Polygon([ring[0], ring[0] + [9.0, 0.0], ring[0] + [9.0, 0.32]]),
        ),
        max_angle_deg=2.0,
    )


def _open(polygon: shapely.Polygon) -> Ring:
    ring: Ring = shapely.get_coordinates(polygon)[:-1]
    return ring


def minimum_area() -> Sowing:
    return _sowing(
        lambda ring: _box(ring, 3, 3),
        lambda ring: _box(ring, 999, 0.01),
        lambda ring: shapely.MultiPolygon([_box(ring, 1, 1), _box(ring - 9, 2, 4)]),
        lambda ring: shapely.Polygon(ring, [ring[:-1] * 0.99 + ring.mean(axis=0) * 0.01]),
        near=(lambda ring: _box(ring, 2.5, 4.001), lambda _: None, lambda _: shapely.Polygon()),
        min_m2=10.0,
    )


def slivers() -> Sowing:
    return _sowing(
        lambda ring: _box(ring, 29, 0.5),
        lambda ring: _box(ring, 0.01, 30),
        lambda ring: _with_part(ring, _box(ring, 0.4, 30)),
        lambda ring: shapely.MultiPolygon([shapely.box(*_box(ring, 12, 0.1).bounds)]),
        near=(
            lambda ring: _box(ring, 31, 0.5),  # large enough
            lambda ring: _box(ring, 5, 0.5),  # thick enough
            lambda ring: _with_part(ring, _box(ring, 31, 0.5)),
            lambda _: None,
        ),
        max_area_m2=15.0,
        max_thickness=0.1,
    )


SOWINGS = {
    kind.__name__: kind
    for kind in (
        null_geometry, valid_geometry, duplicate_vertices, short_segments, spikes, minimum_area,
        slivers,
    )
}  # fmt: skip
