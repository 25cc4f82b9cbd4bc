"""Defects sown for the kinds about two polygons of one layer, far enough apart not to meet."""

import geopandas as gpd
import numpy as np
import shapely

from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import Sowing

SIDE = 24
LAYER = Layer(
    name="parcels", title=Title(zh="宗地", en="Parcels"), geometry=GeometryType.POLYGON,
    crs="EPSG:4547", precision_m=0.001, accuracy_m=0.25, key=(),
    attributes=(
        Attribute(name="use", type=AttributeType.STRING, title=Title(zh="用途", en="Use")),
    ),
)  # fmt: skip


def coverage():
    """Return polygons of 8 vertices that share their borders exactly; the next column is beside."""
    rng = np.random.default_rng(3)
    grid = np.stack(np.indices((2 * SIDE + 1, 2 * SIDE + 1)), axis=-1) * 15.0
    grid = np.round(grid + rng.uniform(-2, 2, grid.shape) + [500_000.0, 3_400_000.0], 3)
    ring = np.array([(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1)])
    i, j = (index.ravel()[:, np.newaxis] * 2 for index in np.indices((SIDE, SIDE)))
    return shapely.polygons(grid[i + ring[:, 0], j + ring[:, 1]])


def sites(number):
    """Return rows far from each other and from the edge, dealt to so many kinds of change."""
    rows = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)[1:-2:3, 1:-1:3].ravel()
    return [rows[at::number].tolist() for at in range(number)]


def beside(row):
    """Return the neighbour in the next column."""
    return row + SIDE


def tongue(polygon, depth, half_width):
    """Return the polygon with a tongue into its neighbour in the next column."""
    x, y = polygon.exterior.coords[3][:2]
    return shapely.union(polygon, shapely.box(x - 3, y - half_width, x + depth, y + half_width))


def sown(polygons, parameters, failing, use=None):
    uids = np.array([f"p{row:04d}" for row in range(len(polygons))], dtype=object)
    values = np.full(len(polygons), "x", dtype=object) if use is None else use
    frame = gpd.GeoDataFrame({"uid": uids, "use": values}, geometry=polygons, crs=LAYER.crs)
    return Sowing(LAYER, frame, parameters, frozenset(uids[sorted(failing)]))


def overlaps():
    polygons, failing = coverage(), set()
    pushed, thin, noise, twin, nested, bent, dead = sites(7)
    for row in pushed:
        polygons[row] = tongue(polygons[row], 4.0, 0.5)
    for row in thin:  # a hand broad and 20 m long
        polygons[row] = tongue(polygons[row], 0.1, 0.5)
    for row in noise:
        polygons[row] = tongue(polygons[row], 0.02, 0.25)
    for row in twin:  # drawn in the other direction
        polygons[row] = shapely.reverse(polygons[beside(row)])
    for row in nested:
        polygons[row] = shapely.buffer(shapely.centroid(polygons[beside(row)]), 2.0, quad_segs=2)
    for row in bent:  # vertices of its own on the borders, off by rounding
        polygons[row] = shapely.segmentize(polygons[row], 4.0)
    for row in dead:
        polygons[row] = None if row % 2 else shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)])
    for row in (*pushed, *thin, *twin, *nested):
        failing |= {row, beside(row)}
    return sown(polygons, {"min_area_m2": 0.05}, failing)


def duplicate_geometry():
    polygons, failing = coverage(), set()
    turned, begun, shifted, apart, halved = sites(5)
    for row in turned:
        polygons[beside(row)] = shapely.reverse(polygons[row])
    for row in begun:
        ring = np.roll(shapely.get_coordinates(polygons[row])[:-1], 3, axis=0)
        polygons[beside(row)] = shapely.Polygon(ring)
    for row in shifted:  # equal on the grid of a millimetre
        polygons[beside(row)] = shapely.transform(polygons[row], lambda xy: xy + 0.0003)
    for row in apart:
        polygons[beside(row)] = shapely.transform(
            polygons[row], lambda xy: np.add(xy, [0.001, 0.0])
        )
    for row in halved:  # two triangles of one extent
        low_x, low_y, high_x, high_y = shapely.bounds(polygons[row])
        corners = [(low_x, low_y), (high_x, low_y), (high_x, high_y), (low_x, high_y)]
        polygons[row] = shapely.Polygon(corners[:3])
        polygons[beside(row)] = shapely.Polygon([corners[0], *corners[2:]])
    failing |= {beside(row) for row in (*turned, *begun, *shifted)}
    return sown(polygons, {}, failing)


def contained_siblings():
    polygons, failing = coverage(), set()
    island, edge, twin, most, half, filler = sites(6)
    for row in island:
        polygons[row] = shapely.buffer(shapely.centroid(polygons[beside(row)]), 2.0, quad_segs=2)
    for row in edge:  # along the border of the one around it
        ring = shapely.get_coordinates(polygons[beside(row)])
        polygons[row] = shapely.Polygon([*ring[1:4], ring[:-1].mean(axis=0)])
    for row in twin:
        polygons[beside(row)] = shapely.reverse(polygons[row])
    for row in (*most, *half):
        x, y = polygons[beside(row)].exterior.coords[7][:2]
        away = 0.05 if row in most else 0.5
        polygons[row] = shapely.box(x - away, y - 1, x + 5, y + 1)
    for row in filler:
        middle = shapely.centroid(polygons[beside(row)])
        hole = shapely.box(middle.x - 2, middle.y - 2, middle.x + 2, middle.y + 2)
        polygons[beside(row)] = shapely.difference(polygons[beside(row)], hole)
        polygons[row] = hole
    failing |= {*island, *edge, *most, *map(beside, twin)}
    return sown(polygons, {"min_share": 0.95}, failing)


def mergeable_neighbours():
    polygons, failing = coverage(), set()
    i, j = (index.ravel() for index in np.indices((SIDE, SIDE)))
    use = np.array([f"{one % 3}{two % 3}" for one, two in zip(i, j, strict=True)], dtype=object)
    like, loose, apart, corner, unknown = sites(5)
    for row in (*like, *loose, *apart):
        use[row] = use[beside(row)]
    for row in loose:  # a border drawn twice, within the tolerance
        polygons[row] = shapely.transform(polygons[row], lambda xy: xy - [0.0007, 0.0])
    for row in apart:
        polygons[row] = shapely.buffer(polygons[row], -0.01, join_style="mitre")
    for row in corner:
        use[row] = use[beside(row) + 1]
    for row in unknown:
        use[[row, beside(row)]] = None
    for row in (*like, *loose):
        failing |= {row, beside(row)}
    parameters = {"columns": ["use"], "min_border_m": 1.0, "tolerance_m": 0.001}
    return sown(polygons, parameters, failing, use)


def minimum_spacing():
    polygons, failing = shapely.buffer(coverage(), -4.0, join_style="mitre"), set()
    near, corner, limit, touching, over = sites(5)
    for row in (*near, *limit, *touching, *over, *corner):
        low_x, low_y, high_x, high_y = shapely.bounds(polygons[row])
        polygons[row] = shapely.box(low_x, low_y, high_x, high_y)
        step = 0.49 if row in near else 0.0 if row in touching else -1.0 if row in over else 0.501
        rise = 0.3 + high_y - low_y if row in corner else 0.0
        step = 0.3 if row in corner else step
        polygons[beside(row)] = shapely.box(
            high_x + step, low_y + rise, high_x + step + 3, low_y + rise + 3
        )
    for row in (*near, *corner):
        failing |= {row, beside(row)}
    return sown(polygons, {"min_m": 0.5}, failing)


SOWINGS = {
    "overlaps": overlaps,
    "duplicate_geometry": duplicate_geometry,
    "contained_siblings": contained_siblings,
    "mergeable_neighbours": mergeable_neighbours,
    "minimum_spacing": minimum_spacing,
}
