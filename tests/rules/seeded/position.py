"""Defects sown for the kinds about positions and heights."""

import geopandas as gpd
import numpy as np
import shapely

from cityframe.core.frames import with_column_types
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import WHOLE_LAYER, Sowing

SIZE = 300
ORIGIN = np.array([500_000.0, 3_400_000.0])


def layer(name: str, geometry: GeometryType, /, *, has_z: bool = False, **attributes: str) -> Layer:
    return Layer(
        name=name, title=Title(zh=name, en=name), geometry=geometry, crs="EPSG:4547",
        precision_m=0.001, accuracy_m=0.25, key=(),
        attributes=tuple(
            Attribute(name=column, type=AttributeType(kind), title=Title(zh=column, en=column))
            for column, kind in attributes.items()
        ),
        has_z=has_z, vertical_datum="EPSG:5737" if has_z else "",
    )  # fmt: skip


POLES = layer("poles", GeometryType.POINT, no="string")
CONTROL = layer("control", GeometryType.POINT, no="string")
TAPE = layer("tape", GeometryType.NONE, from_key="string", to_key="string", distance_m="real")
HEIGHTS = layer("heights", GeometryType.POINT, has_z=True)
DEM = layer("dem", GeometryType.POINT, has_z=True)


def layer_frame(of: Layer, geometry: np.ndarray, **columns: object) -> gpd.GeoDataFrame:
    series = gpd.GeoSeries(np.asarray(geometry, dtype=object), crs=of.crs)
    uids = [f"{of.name}{row:03d}" for row in range(len(series))]
    return with_column_types(
        gpd.GeoDataFrame({"uid": uids, **columns}, geometry=series, crs=of.crs), of
    )


def places(rng: np.random.Generator, size: int = SIZE) -> np.ndarray:
    """Return places about 50 m apart."""
    grid = np.stack([np.arange(size) % 20, np.arange(size) // 20], axis=1)
    return ORIGIN + 50.0 * grid + rng.uniform(-9, 9, (size, 2))


def noise(rng: np.random.Generator, size: int, length: float) -> np.ndarray:
    """Return steps of one length in all directions."""
    angle = rng.uniform(0, 2 * np.pi, size)
    return length * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def against_control(error: np.ndarray, parameters: dict, failing: list) -> Sowing:
    """Return poles and, for the first of them, check points in another order."""
    true = places(np.random.default_rng(1))
    measured = true.copy()
    measured[: len(error)] += error
    no = [f"P{row}" for row in range(SIZE)]
    poles = layer_frame(POLES, shapely.points(measured), no=no)
    order = np.random.default_rng(2).permutation(len(error))
    control = layer_frame(CONTROL, shapely.points(true[order]), no=[no[row] for row in order])
    uids = poles["uid"].to_numpy(dtype=object)
    named = frozenset(WHOLE_LAYER if row is None else uids[row] for row in failing)
    return Sowing(
        POLES, poles, {"layer": "control", **parameters}, named, {"control": (CONTROL, control)}
    )


def position_rmse() -> Sowing:
    """Let 40 of 43 check points miss by a little more than allowed; three are gross."""
    rng = np.random.default_rng(3)
    error = np.concatenate([noise(rng, 40, 0.2505), noise(rng, 3, 9.0)])
    return against_control(error, {"column": "no"}, [None])


def gross_error_rate() -> Sowing:
    """Let three of 40 check points miss by more than twice the accuracy, others by just less."""
    rng = np.random.default_rng(4)
    error = noise(rng, 40, 0.499)
    error[[5, 17, 33]] = noise(rng, 3, 1.0) * [[0.501], [3.0], [4.9]]
    return against_control(error, {"within_m": 5.0}, [5, 17, 33, None])


def position_bias() -> Sowing:
    """Shift all by 0.15 m under noise of 0.4 m; one point is gross the other way."""
    error = np.tile([[0.4, 0.0], [-0.4, 0.0], [0.0, 0.4], [0.0, -0.4]], (10, 1)) + np.array(
        [0.09, -0.12]
    )
    error[7] = [-40.0, 30.0]
    return against_control(error, {"column": "no", "max_bias_m": 0.14}, [None])


def relative_distance() -> Sowing:
    """Measure 60 distances: four are gross, and the others miss by more than allowed."""
    rng = np.random.default_rng(5)
    true = places(rng)
    no = [f"P{row}" for row in range(SIZE)]
    poles = layer_frame(POLES, shapely.points(true), no=no)
    one = np.arange(0, 120, 2)
    distance = np.hypot(*(true[one] - true[one + 1]).T) + 0.26 * rng.choice([-1, 1], 60)
    gross = np.array([3, 20, 41, 59])
    distance[gross] += [0.8, -0.8, 30.0, -5.0]
    tape = layer_frame(
        TAPE,
        np.full(62, None),
        from_key=[*(f"P{row}" for row in one), "P5", None],
        to_key=[*(f"P{row + 1}" for row in one), "P999", "P7"],
        distance_m=[*distance, 1.0, 2.0],
    )
    uids = poles["uid"].to_numpy(dtype=object)
    failing = {*uids[one[gross]], *uids[one[gross] + 1], WHOLE_LAYER}
    return Sowing(
        POLES, poles, {"layer": "tape", "column": "no"}, frozenset(failing), {"tape": (TAPE, tape)}
    )


def survey_shift() -> Sowing:
    """Shift six beyond 2√2 times the accuracy, six by just less."""
    rng = np.random.default_rng(6)
    before = places(rng)
    now = before.copy()
    limit = 2 * np.sqrt(2) * POLES.accuracy_m
    far, near = np.arange(4, SIZE, 50), np.arange(9, SIZE, 50)
    now[far] += noise(rng, len(far), limit + 0.002)
    now[near] += noise(rng, len(near), limit - 0.002)
    previous = layer_frame(POLES, shapely.points(before), no="a")
    frame = layer_frame(POLES, shapely.points(now), no="a").drop(index=[0, 1])
    failing = frozenset(previous["uid"][far])
    return Sowing(POLES, frame.reset_index(drop=True), {}, failing, previous=previous)


def height_against_terrain() -> Sowing:
    """Lift and sink five points above a slope, five by just less; some lie off the terrain."""
    rng = np.random.default_rng(7)
    xy = places(rng)
    height = slope(xy) + rng.uniform(-0.1, 0.1, SIZE)
    wrong, near = np.arange(25, SIZE, 60), np.arange(26, SIZE, 60)
    height[wrong] = slope(xy[wrong]) + np.array([0.61, -0.61, 3.0, -40.0, 200.0])
    height[near] = slope(xy[near]) + np.array([0.59, -0.59, 0.59, -0.59, 0.59])
    xy[-3:] += 5000.0
    step = ORIGIN - 100 + 25.0 * np.indices((60, 50)).reshape(2, -1).T
    frame = layer_frame(HEIGHTS, shapely.points(np.column_stack([xy, height])))
    dem = layer_frame(DEM, shapely.points(np.column_stack([step, slope(step)])))
    parameters = {"layer": "dem", "max_mean_error_m": 0.3, "max_edge_m": 40.0}
    failing = frozenset(frame["uid"][wrong])
    return Sowing(HEIGHTS, frame, parameters, failing, {"dem": (DEM, dem)})


def slope(xy: np.ndarray) -> np.ndarray:
    """Return the height of a plane that rises to the north-east."""
    return 20.0 + (xy - ORIGIN) @ np.array([0.05, 0.02])


SOWINGS = {
    "position_rmse": position_rmse,
    "gross_error_rate": gross_error_rate,
    "position_bias": position_bias,
    "relative_distance": relative_distance,
    "survey_shift": survey_shift,
    "height_against_terrain": height_against_terrain,
}
