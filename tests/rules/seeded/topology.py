"""Defects sown for the kinds about gaps, vertices and crossings of one layer."""

import geopandas as gpd
import numpy as np
import shapely

from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import Sowing

SIDE = 25
ORIGIN = np.array([500_000.0, 3_400_000.0])


def layer(name, geometry):
    level = Attribute(name="level", type=AttributeType.STRING, title=Title(zh="层", en="Level"))
    return Layer(
        name=name, title=Title(zh=name, en=name), geometry=GeometryType(geometry),
        crs="EPSG:4547", precision_m=0.001, accuracy_m=0.25, key=(), attributes=(level,),
    )  # fmt: skip


def corners():
    """Return a bent grid of points, SIDE + 1 each way."""
    grid = np.stack(np.indices((SIDE + 1, SIDE + 1)), axis=-1) * 30.0
    return np.round(grid + np.random.default_rng(5).uniform(-3, 3, grid.shape) + ORIGIN, 3)


def coverage():
    """Return quadrangles that share their borders exactly; the next column is beside."""
    grid = corners()
    ring = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    i, j = (index.ravel()[:, np.newaxis] for index in np.indices((SIDE, SIDE)))
    return shapely.polygons(grid[i + ring[:, 0], j + ring[:, 1]])


def sites(number):
    """Return rows far from each other and from the edge, dealt to so many kinds of change."""
    rows = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)[2:-4:4, 2:-2:4].ravel()
    return [rows[at::number].tolist() for at in range(number)]


def sown(of, geometry, parameters, failing, level=None):
    uids = np.array([f"t{row:04d}" for row in range(len(geometry))], dtype=object)
    levels = np.full(len(geometry), "0", dtype=object) if level is None else level
    frame = gpd.GeoDataFrame(
        {"uid": uids, "level": levels}, geometry=gpd.GeoSeries(geometry, crs=of.crs)
    )
    return Sowing(of, frame, parameters, frozenset(uids[sorted(failing)]))


def between(polygon, share=0.5):
    """Return a point of the border to the next column."""
    one, two = shapely.get_coordinates(polygon)[1:3]
    return one + (two - one) * share


def gaps():
    polygons, failing = coverage(), set()
    missing, shrunk, pierced, small, large = sites(5)
    for row in missing:
        polygons[row] = None
    for row in shrunk:  # a ring of a gap, with the polygon in it
        polygons[row] = shapely.buffer(polygons[row], -1.0, join_style="mitre")
    for row in (*pierced, *small):
        middle, radius = shapely.centroid(polygons[row]), 0.07 if row in pierced else 0.05
        polygons[row] = shapely.difference(polygons[row], shapely.buffer(middle, radius))
    for row in large:  # three side by side: a lake
        polygons[[row, row + SIDE, row + 2 * SIDE]] = None
    polygons[SIDE // 2] = None  # at the edge: a bay
    failing |= {row - SIDE - 1 for row in (*missing, *shrunk)} | set(pierced)
    return sown(
        layer("parcels", "Polygon"), polygons, {"min_area_m2": 0.01, "max_extent_m": 60.0}, failing
    )


def unmatched_vertices():
    polygons, failing = coverage(), set()
    lone, shared, beyond, split, touched = sites(5)
    halves = []
    for row in lone:
        point = np.round(between(polygons[row]), 3)
        polygons[row] = _with_vertex(polygons[row], 2, point)
        failing |= {row + SIDE}
    for row in shared:
        point = np.round(between(polygons[row]), 3)
        polygons[row] = _with_vertex(polygons[row], 2, point)
        polygons[row + SIDE] = _with_vertex(polygons[row + SIDE], 4, point)
    for row in beyond:  # a gap, not a border drawn twice
        point = between(polygons[row]) - [0.02, 0.0]
        polygons[row] = _with_vertex(polygons[row], 2, point)
    for row in split:  # both neighbours lack the vertex where the new border ends
        one, two, three, four = shapely.get_coordinates(polygons[row])[:4]
        left, right = (one + four) / 2, (two + three) / 2
        polygons[row] = shapely.Polygon([one, two, right, left])
        halves.append(shapely.Polygon([left, right, three, four]))
        failing |= {row - SIDE, row + SIDE}
    for row in touched:  # the neighbour shrinks to a triangle with its tip on the border
        tip = between(polygons[row], 0.4)
        ring = shapely.get_coordinates(polygons[row + SIDE])
        polygons[row + SIDE] = shapely.Polygon([tip, ring[1], ring[2]])
        failing |= {row}
    return sown(
        layer("parcels", "Polygon"), np.concatenate([polygons, halves]),
        {"tolerance_m": 0.001}, failing,
    )  # fmt: skip


def _with_vertex(polygon, at, point):
    return shapely.Polygon(np.insert(shapely.get_coordinates(polygon), at, point, axis=0))


def crossings():
    grid = corners()
    along = np.stack([grid[:-1], grid[1:]], axis=-2).reshape(-1, 2, 2)
    across = np.stack([grid[:, :-1], grid[:, 1:]], axis=-2).reshape(-1, 2, 2)
    lines = [shapely.LineString(pair) for pair in np.concatenate([along, across])]
    level, failing = ["0"] * len(lines), set()
    crossed, bridged, single, running, tee, over = sites(6)

    def add(points, of="0", *, is_bad):
        if is_bad:
            failing.add(len(lines))
        lines.append(shapely.LineString(points))
        level.append(of)

    for row in (*crossed, *bridged, *single):
        i, j = divmod(row, SIDE)
        add([grid[i, j], grid[i + 1, j + 1]], is_bad=row in crossed)
        if row not in single:
            above = "1" if row in bridged else "0"
            add([grid[i + 1, j], grid[i, j + 1]], above, is_bad=row in crossed)
    for row in (*running, *tee, *over):
        i, j = divmod(row, SIDE)
        base = i * (SIDE + 1) + j  # of `along`: from [i, j] to [i + 1, j]
        start, end = grid[i, j], grid[i + 1, j]
        middle, inside = (start + end) / 2, (grid[i, j] + grid[i + 1, j + 1]) / 2
        if row in running:
            add([start, end, inside], is_bad=True)
        else:
            step = (middle - inside) / np.hypot(*(middle - inside))
            add([inside, middle + step * (0.05 if row in over else 0.0)], is_bad=row in over)
        if row not in tee:
            failing.add(base)
    return sown(
        layer("roads", "LineString"), np.array(lines, dtype=object),
        {"columns": ["level"], "tolerance_m": 0.001}, failing, np.array(level, dtype=object),
    )  # fmt: skip


SOWINGS = {"gaps": gaps, "unmatched_vertices": unmatched_vertices, "crossings": crossings}
