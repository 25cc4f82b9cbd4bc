"""The plan of the city: street grid, what each block is, and where districts run.

The plan is drawn on straight lines and warped gently when things are placed, so that streets bend
while neighbours keep sharing their borders exactly. Its arrays grow with the number of blocks,
about one for fifteen buildings.
"""

from dataclasses import dataclass

import numpy as np

from cityframe.demo.arrays import Floats, Geometries, Ints
from cityframe.demo.layout.blocks import HEIGHTS_M, WIDTHS_M, BlockKind
from cityframe.demo.layout.book import Template, TemplateBook, make_book, standing_houses
from cityframe.demo.layout.districts import Districts, divide
from cityframe.errors import DeclarationError

CRS = "EPSG:4547"
"""CGCS2000, 3-degree Gauss-Kruger zone around 114° E, metres."""

ORIGIN_M = (528_000.0, 3_385_000.0)
MIN_BUILDINGS = 500

LOCAL, SECONDARY, ARTERIAL = 0, 1, 2
HALF_WIDTH_M = np.array([9.0, 14.0, 22.0])
"""Half the width of the street space by class; blocks begin behind it."""

NO_BLOCK = -1
VARIANTS = 3

_ROTATION = 0.11
_WAVE_M = 4000.0
_WAVE_HEIGHT_M = 18.0
_LARGEST_FALL_M = 60.0

_ZONES: tuple[tuple[float, dict[BlockKind, float]], ...] = (
    (0.25, {BlockKind.COMMERCE: 6, BlockKind.OLD_TOWN: 4, BlockKind.TOWERS: 2, BlockKind.PARK: 1}),
    (
        0.55,
        {
            BlockKind.SLABS: 6, BlockKind.OLD_TOWN: 4, BlockKind.TOWERS: 4, BlockKind.COMMERCE: 3,
            BlockKind.SCHOOL: 1, BlockKind.HOSPITAL: 1, BlockKind.PARK: 1,
        },
    ),
    (
        0.85,
        {
            BlockKind.SLABS: 7, BlockKind.TOWERS: 4, BlockKind.VILLAGE: 2, BlockKind.SCHOOL: 1,
            BlockKind.FACTORY: 1, BlockKind.COMMERCE: 1, BlockKind.PARK: 1,
        },
    ),
    (
        np.inf,
        {
            BlockKind.VILLAGE: 4, BlockKind.FACTORY: 5, BlockKind.SLABS: 4, BlockKind.TOWERS: 2,
            BlockKind.PARK: 1,
        },
    ),
)  # fmt: skip


@dataclass(frozen=True)
class CityPlan:
    """The plan of a city of ``columns`` × ``rows`` blocks.

    Attributes
    ----------
    x, y : ndarray
        Ints of the north-south and of the east-west street lines, in metres, unwarped.
    x_class, y_class : ndarray
        Class of each line: `LOCAL`, `SECONDARY`, `ARTERIAL`.
    template : ndarray, rows × columns
        Template of each block in ``book``; `NO_BLOCK` in the river.
    standing : ndarray, rows × columns
        Buildings that stand when the city begins; fewer than the template's at its last edge.
    river_row : int
        Row of blocks that is a river; -1 for none.
    """

    seed: int
    buildings: int
    x: Floats
    y: Floats
    x_class: Ints
    y_class: Ints
    template: Ints
    standing: Ints
    river_row: int
    districts: Districts
    book: TemplateBook

    @property
    def columns(self) -> int:
        """Blocks from west to east."""
        return len(self.x) - 1

    @property
    def rows(self) -> int:
        """Blocks from south to north."""
        return len(self.y) - 1

    @property
    def nodes(self) -> int:
        """Street crossings; number ``row * (columns + 1) + column``."""
        return (self.columns + 1) * (self.rows + 1)

    def place(self, xy: Floats) -> Floats:
        """Return coordinates of the plan (n × 2) in `CRS`, on whole millimetres."""
        x, y = xy[:, 0], xy[:, 1]
        east = x + _WAVE_HEIGHT_M * np.sin(2 * np.pi * y / _WAVE_M + 0.4)
        north = y + _WAVE_HEIGHT_M * np.sin(2 * np.pi * x / _WAVE_M + 1.9)
        cos, sin = np.cos(_ROTATION), np.sin(_ROTATION)
        turned = np.column_stack([cos * east - sin * north, sin * east + cos * north])
        placed: Floats = np.round(turned + np.array(ORIGIN_M), 3)
        return placed

    def ground_m(self, xy: Floats) -> Floats:
        """Return the height of the ground at places of the plan: it falls to the south-east."""
        fall = np.clip(_LARGEST_FALL_M / (self.x[-1] + self.y[-1]), 0.0008, 0.004)
        height: Floats = 14.0 + fall * (self.x[-1] - xy[:, 0] + xy[:, 1])
        return height

    def block_corner(self, row: Ints, column: Ints) -> Floats:
        """Return the south-west corners of blocks, behind their streets (n × 2, unwarped)."""
        return np.column_stack(
            [
                self.x[column] + HALF_WIDTH_M[self.x_class[column]],
                self.y[row] + HALF_WIDTH_M[self.y_class[row]],
            ]
        )


def make_plan(buildings: int, seed: int) -> CityPlan:
    """Draw the plan of a city with exactly so many buildings at the beginning.

    Raises
    ------
    DeclarationError
        If there are fewer than `MIN_BUILDINGS`: too few for a share of one in a hundred to show.
    """
    if buildings < MIN_BUILDINGS:
        raise DeclarationError(
            found=f"--buildings is {buildings}",
            expected=f"at least {MIN_BUILDINGS}",
            remedy="ask for a larger city",
        )
    # from few blocks up: what the blocks hold is known only once they are drawn
    blocks = buildings / 30
    while True:
        columns = max(6, round(np.sqrt(blocks * 1.2)))
        plan = _draw(buildings, seed, columns=columns, rows=max(6, round(blocks / columns)))
        if plan is not None:
            return plan
        blocks *= 1.03


def _draw(buildings: int, seed: int, *, columns: int, rows: int) -> CityPlan | None:
    random = np.random.default_rng([seed, 0])
    widths = random.choice(WIDTHS_M, columns)
    heights = random.choice(HEIGHTS_M, rows)
    river_row = rows // 3
    x, x_class = _lines(widths)
    y, y_class = _lines(heights)
    kinds = _block_kinds(rows, columns, np.random.default_rng([seed, 2]))
    variants = np.random.default_rng([seed, 3]).integers(VARIANTS, size=(rows, columns))
    template, keys = _templates(kinds, widths, heights, variants, river_row)
    houses = np.array([standing_houses(key, seed) for key in keys])
    standing = np.where(template != NO_BLOCK, houses[template], 0)
    before = np.cumsum(standing).reshape(standing.shape) - standing
    if before[-1, -1] + standing[-1, -1] < buildings:
        return None
    standing = np.clip(buildings - before, 0, standing)
    return CityPlan(
        seed=seed, buildings=buildings, x=x, y=y, x_class=x_class, y_class=y_class,
        template=template, standing=standing, river_row=river_row,
        districts=divide(rows, columns, buildings, np.random.default_rng([seed, 4])),
        book=make_book(keys, seed),
    )  # fmt: skip


def _lines(sizes: Floats) -> tuple[Floats, Ints]:
    """Return positions and classes of the street lines around blocks of these sizes."""
    lines = np.arange(len(sizes) + 1)
    classes = np.where(lines % 6 == 0, ARTERIAL, np.where(lines % 2 == 0, SECONDARY, LOCAL))
    classes[[0, -1]] = ARTERIAL
    half = HALF_WIDTH_M[classes]
    positions = np.concatenate([[0.0], np.cumsum(half[:-1] + sizes + half[1:])])
    return positions, classes


def _block_kinds(rows: int, columns: int, random: np.random.Generator) -> Geometries:
    row, column = np.mgrid[0:rows, 0:columns]
    radius = np.hypot(
        (row - rows / 2) / (rows / 2), (column - columns / 2) / (columns / 2)
    ) + random.normal(0, 0.08, (rows, columns))
    kinds = np.empty((rows, columns), dtype=object)
    inner = -np.inf
    for outer, shares in _ZONES:
        chosen = (radius > inner) & (radius <= outer)
        weights = np.array(list(shares.values())) / sum(shares.values())
        names = np.array([kind.value for kind in shares])
        kinds[chosen] = random.choice(names, int(chosen.sum()), p=weights)
        inner = outer
    return kinds


def _templates(
    kinds: Geometries, widths: Floats, heights: Floats, variants: Ints, river_row: int
) -> tuple[Ints, list[Template]]:
    """Return the number of each block's template, and the templates in that order."""
    numbers: dict[Template, int] = {}
    template = np.full(kinds.shape, NO_BLOCK, dtype=np.int64)
    for row, column in np.ndindex(kinds.shape):
        if row == river_row:
            continue
        key = (
            BlockKind(str(kinds[row, column])), float(widths[column]), float(heights[row]),
            int(variants[row, column]),
        )  # fmt: skip
        template[row, column] = numbers.setdefault(key, len(numbers))
    return template, list(numbers)
