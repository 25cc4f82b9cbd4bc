"""Defects sown for the kinds about lines as a network."""

from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from cityframe.core.frames import with_column_types
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import Sowing

ORIGIN = np.array([500_000.0, 3_400_000.0])
SIDE, STEP_M = 14, 50.0


def _layer(name: str, geometry: GeometryType, /, **types: AttributeType) -> Layer:
    return Layer(
        name=name, title=Title(zh=name, en=name), geometry=geometry, crs="EPSG:4547",
        precision_m=0.001, accuracy_m=0.25, key=(),
        attributes=tuple(
            Attribute(name=column, type=type_, title=Title(zh=column, en=column))
            for column, type_ in types.items()
        ),
    )  # fmt: skip


POINTS = _layer("points", GeometryType.POINT)


@dataclass
class Field:
    """Lines that are being sown: each with its attributes, and the uids that must fail."""

    types: dict[str, AttributeType] = field(default_factory=dict)
    lines: list[shapely.LineString] = field(default_factory=list)
    values: list[dict[str, Any]] = field(default_factory=list)
    failing: set[int] = field(default_factory=set)

    def add(self, *xy: Any, fails: bool = False, **values: Any) -> int:
        """Add a line, in metres from the origin, and return its row."""
        self.lines.append(shapely.LineString(np.array(xy, dtype=float) + ORIGIN))
        self.values.append(values)
        row = len(self.lines) - 1
        if fails:
            self.failing.add(row)
        return row

    def sowing(self, points: list[Any] | None = None, **parameters: Any) -> Sowing:
        """Return what was sown, with the points of the other layer."""
        layer = _layer("lines", GeometryType.LINESTRING, **self.types)
        columns = {name: [row.get(name) for row in self.values] for name in self.types}
        uid = [f"l{row:04d}" for row in range(len(self.lines))]
        frame = gpd.GeoDataFrame({"uid": uid, **columns}, geometry=self.lines, crs=layer.crs)
        others = {}
        if points is not None:
            geometry = shapely.points(np.array(points, dtype=float) + ORIGIN)
            names = [f"p{row}" for row in range(len(geometry))]
            others["points"] = (
                POINTS, gpd.GeoDataFrame({"uid": names}, geometry=geometry, crs=layer.crs)
            )  # fmt: skip
        return Sowing(
            layer, with_column_types(frame, layer), parameters,
            frozenset(uid[row] for row in self.failing), others,
        )  # fmt: skip


def _grid(types: dict[str, AttributeType] | None = None, **values: Any) -> Field:
    """Return the streets of a chequerboard, all connected: `SIDE` nodes a side."""
    sown = Field(types or {})
    for one in range(SIDE):
        for two in range(SIDE - 1):
            for xy in (((two, one), (two + 1, one)), ((one, two), (one, two + 1))):
                sown.add(*(np.array(xy) * STEP_M), **values)
    return sown


def _stretched(sown: Field, row: int, change_m: float, *, fails: bool) -> None:
    """Move the last vertex of a line along it."""
    start, end = shapely.get_coordinates(sown.lines[row])
    ahead = (end - start) / np.hypot(*(end - start))
    sown.lines[row] = shapely.LineString([start, end + ahead * change_m])
    if fails:
        sown.failing.add(row)


def dangles() -> Sowing:
    sown = _grid()
    for number, gap_m in enumerate((0.0015, 0.05, 0.3, 1.0, 1.999)):
        for row in (30 + 31 * number, 200 + 23 * number):
            _stretched(sown, row, -gap_m, fails=True)
    for row in (47, 99):
        _stretched(sown, row, -0.0009, fails=False)
        _stretched(sown, row + 100, -2.001, fails=False)
    for cell in range(5):  # cul-de-sacs far from any other street
        sown.add((120 + cell * 50, 100), (120 + cell * 50, 130))
    return sown.sowing(near_m=2.0)


def undershoots() -> Sowing:
    sown = _grid()
    for number, gap_m in enumerate((0.0015, 0.05, 0.3, 1.0, 1.999)):
        for row in (30 + 31 * number, 200 + 23 * number):
            _stretched(sown, row, -gap_m, fails=True)
    for row in (47, 99):
        _stretched(sown, row, -0.0009, fails=False)
        _stretched(sown, row + 100, -2.001, fails=False)
    for cell in range(4):
        x = 110 + cell * 50
        sown.add((x, 51), (x + 20, 51))  # runs beside a street
        sown.add((x, 130), (x, 101), fails=True)
        sown.add((x, 140), (x + 20, 151), fails=False)  # past a street: an overshoot
        sown.add((x + 5, 221), (x + 25, 201), fails=True)  # slanting
    return sown.sowing(max_gap_m=2.0)


def overshoots() -> Sowing:
    sown = _grid()
    for number, tail_m in enumerate((0.0015, 0.05, 0.3, 1.0, 1.999)):
        x = 105 + 50 * number
        sown.add((x, 130), (x, 100 - tail_m), fails=True)
        sown.add((x, 200 + tail_m), (x, 180), fails=True)
        sown.add((x, 230), (x + 10, 250), (x + 10, 250 + tail_m), fails=True)
        sown.add((x + 20, 130), (x + 20, 100 - 2.001 - tail_m))
        sown.add((x + 20, 300), (x + 20, 300 + tail_m))  # a branch
        sown.add((x + 30, 330), (x + 30, 299.9991))  # within the tolerance
    return sown.sowing(max_tail_m=2.0)


def pseudo_nodes() -> Sowing:
    text = AttributeType.STRING
    sown = _grid({"name": text, "surface": text}, name="street", surface="paved")
    valves = []
    for number in range(10):
        y = 125.0
        x = 100 + STEP_M * number
        same = {"name": f"lane {number}", "surface": None if number % 2 else "gravel"}
        cut = (x + 20, y)
        sown.add((x, 100), (x, y), cut, fails=True, **same)
        sown.add(cut, (x + 30, y), (x + 30, 100), fails=True, **same)
        for level, other in ((175.0, {"name": "other"}), (225.0, {"surface": "asphalt"})):
            sown.add((x, level - 25), (x, level), (x + 20, level), **same)
            sown.add((x + 30, level - 25), (x + 30, level), (x + 20, level), **(same | other))
        valve = (x + 20, 275)  # a node that a valve needs, 4 mm aside
        sown.add((x, 250), (x, 275), valve, **same)
        sown.add(valve, (x + 30, 275), (x + 30, 250), **same)
        valves.append((x + 20, 275.004))
        meeting = (x + 20, 325)  # a third lane passes
        sown.add((x, 300), (x, 325), meeting, **same)
        sown.add(meeting, (x + 30, 325), (x + 30, 300), **same)
        sown.add((x + 20, 300), meeting, (x + 20, 350), **same)
    far = (SIDE - 1) * STEP_M
    corners = [(0, 0), (0, far), (far, 0), (far, far)]  # where two streets alike meet
    return sown.sowing(
        [*valves, *corners], same=["name", "surface"], nodes={"layer": "points"}, tolerance_m=0.005
    )


def islands() -> Sowing:
    sown = _grid()
    for number in range(5):
        x = 1000.0 + 200 * number
        sown.add((x, 0), (x + 50, 0), fails=True)
        sown.add((x + 50, 0), (x + 50, 49.9), fails=True)
        sown.add((x, 300), (x + 50, 300))  # exactly long enough
        sown.add((x + 50, 300), (x + 50, 350))
        sown.add((50.0 * number + 25, 25), (50.0 * number + 25, 0))  # ends on the middle
        sown.add((50.0 * number + 25, 110), (50.0 * number + 25, 90), fails=True)  # crosses
        sown.add((50.0 * number + 25, 130), (50.0 * number + 25, 149.98), fails=True)  # misses
        sown.add((50.0 * number + 25, 180), (50.0 * number + 25, 199.9995))
    return sown.sowing(min_length_m=100.0)


def _sewers(types: dict[str, AttributeType], **values: Any) -> tuple[Field, np.ndarray]:
    """Return sewers that run along rows to a trunk and along it to an outfall at the origin.

    The second value holds the row of the line that leaves each manhole, ``[street, place]``; -1
    for the outfall.
    """
    sown = Field(types)
    leaving = np.full((SIDE, SIDE + 1), -1)
    for street in range(SIDE):
        for place in range(SIDE, -1, -1):
            if place:
                ends = ((place, street), (place - 1, street))
            elif street:
                ends = ((0, street), (0, street - 1))
            else:
                continue
            leaving[street, place] = sown.add(*(np.array(ends) * STEP_M), **values)
    return sown, leaving


def flow_direction() -> Sowing:
    sown, leaving = _sewers({})
    for street, place in ((1, 5), (3, 9), (5, 2), (7, 12), (9, 7)):  # drawn the wrong way
        row = leaving[street, place]
        sown.lines[row] = shapely.reverse(sown.lines[row])
        sown.failing.add(row)
    for street in (2, 6):  # the whole upper end is: flow meets in the middle and stays there
        for place in range(1, 5):
            row = leaving[street, place]
            sown.lines[row] = shapely.reverse(sown.lines[row])
        sown.failing |= {leaving[street, 5], leaving[street, 4]}
    for number in range(3):
        x = 1000.0 + 200 * number
        for ends in (((0, 0), (9, 0)), ((9, 0), (9, 9)), ((9, 9), (0, 0))):
            sown.add(*(np.array(ends) + np.array([x, 0])), fails=True)
        sown.add((x + 20, 300), (x + 9, 9))
        sown.add((x, 500), (x + 50, 500), fails=True)  # ends without an outfall
        sown.add((x, 700), (x + 50, 700))  # ends 4 mm from one
    outfalls = [(0, 0), *((1000.0 + 200 * number + 50, 700.004) for number in range(3))]
    return sown.sowing(outfalls, outlets={"layer": "points"}, tolerance_m=0.005)


def gravity_slope() -> Sowing:
    real = AttributeType.REAL
    sown, leaving = _sewers({"top_m": real, "low_m": real})
    for row, line in enumerate(sown.lines):
        start, end = shapely.get_coordinates(line) - ORIGIN
        sown.values[row] = {
            "top_m": round(start.sum() * 0.005, 3),
            "low_m": round(end.sum() * 0.005, 3),
        }
    for number, (street, place) in enumerate(((1, 5), (3, 9), (5, 2), (7, 12), (9, 7), (11, 3))):
        below = sown.values[leaving[street, place]]
        if number % 3 == 0:  # adverse; what arrives and what follows keep their levels
            below["low_m"] = round(below["top_m"] + 0.05, 3)
            sown.failing.add(leaving[street, place])
        elif number % 3 == 1:  # too flat, and what follows begins far below
            below["low_m"] = round(below["top_m"] - 0.097, 3)
            sown.failing.add(leaving[street, place])
        else:  # begins above what arrives, and falls still
            below["top_m"] = round(below["top_m"] + 0.021, 3)
            sown.failing |= {leaving[street, place], leaving[street, place + 1]}
    for street, place in ((2, 5), (4, 9), (6, 2)):  # at the limit: 2 ‰ of 50 m, 2 cm up, null
        below = sown.values[leaving[street, place]]
        below["top_m"] = round(below["low_m"] + 0.1, 3)
        below["low_m"] = round(below["top_m"] - 0.1, 3)
        above = sown.values[leaving[street + 1, place]]
        above["top_m"] = round(above["top_m"] + 0.02, 3)
        sown.values[leaving[street + 4, place + 1]]["low_m"] = None
    return sown.sowing(
        levels={"start": "top_m", "end": "low_m"}, min_permille=2.0, max_step_up_m=0.02
    )


def node_jumps() -> Sowing:
    sown, leaving = _sewers({"diameter_mm": AttributeType.INTEGER})
    for street in range(SIDE):
        for place in range(SIDE + 1):
            row = leaving[street, place]
            wide = 400 if place else 1000
            if row >= 0:
                sown.values[row] = {"diameter_mm": wide - 20 * max(0, place - 8)}
    for number, (street, place) in enumerate(((1, 5), (3, 7), (5, 2), (7, 4), (9, 6), (11, 3))):
        row = leaving[street, place]
        sown.values[row] = {"diameter_mm": [349, 200, 100][number % 3]}
        sown.failing |= {row, leaving[street, place + 1]}
    for street, place in ((2, 5), (4, 7), (6, 2)):  # as much narrower as is allowed; unknown; wider
        sown.values[leaving[street, place]] = {"diameter_mm": 350}
        sown.values[leaving[street, place + 3]] = {"diameter_mm": None}
        sown.values[leaving[street + 6, place]] = {"diameter_mm": 450}
    return sown.sowing(column="diameter_mm", downstream=True, max_change=50)


def one_way_and_level() -> Sowing:
    types = {
        "oneway": AttributeType.STRING, "level": AttributeType.INTEGER,
        "ramp": AttributeType.BOOLEAN,
    }  # fmt: skip
    sown = _grid(types, oneway="no", level=0)
    for number in range(6):
        x = 10.0 + 100 * number
        ways = {"oneway": "yes"}
        # two lanes that both run to a corner, and two that both leave one
        sown.add((x, 0), (x, -20), fails=True, **ways)
        sown.add((x + 20, 0), (x + 20, -20), (x, -20), fails=True, **ways)
        sown.add((x + 70, -40), (x + 70, 0), fails=True, **ways)
        sown.add((x + 70, -40), (x + 80, -40), fails=True, **ways)
        sown.add((x + 30, 0), (x + 30, -20), oneway="yes")  # a pair in line, drawn either way
        sown.add((x + 40, -20), (x + 30, -20), oneway="-1")
        sown.add((x + 50, 0), (x + 50, -20), oneway="yes")  # a dead end
        # a bridge on the street, with and without ramps
        sown.add((x, 800), (x + 20, 800), level=0, fails=number % 2 == 0)
        sown.add((x + 20, 800), (x + 60, 800), level=1 + number % 2, ramp=number % 2 == 1,
                 fails=number % 2 == 0)  # fmt: skip
        sown.add((x + 60, 800), (x + 90, 800), level=None)
    return sown.sowing(
        one_way={"column": "oneway", "along": ["yes"], "against": ["-1"]},
        level="level",
        transitions="ramp",
    )


def simple_line() -> Sowing:
    sown = _grid()
    for number in range(5):
        x = 1000.0 + 100 * number
        sown.add((x, 0), (x + 20, 0), (x + 20, 9), (x + 9, -9), fails=True)
        sown.add((x, 100), (x + 20, 100), (x + 20, 120), (x, 120), (x + 9, 100), fails=True)
        sown.add((x, 200), (x + 20, 200), (x + 9, 200), fails=True)  # back upon itself
        sown.add((x, 300), (x + 20, 300), (x + 20, 320), (x, 300))  # closed
        sown.add((x, 400), (x + 20, 400), (x + 20, 401), (x, 400.001))  # nearly touches
        sown.add((x, 500), (x + 20, 500), (x + 20, 500), (x + 40, 500))  # a repeated vertex
    return sown.sowing()


SOWINGS = {
    kind.__name__: kind
    for kind in (
        dangles, undershoots, overshoots, pseudo_nodes, islands, flow_direction, gravity_slope,
        node_jumps, one_way_and_level, simple_line,
    )
}  # fmt: skip
