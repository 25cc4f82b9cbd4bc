"""Guards: what a delivery would do to a whole layer, and that a person must see first."""

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.config.source import Guards
from cityframe.core.agreement import Agreement, Tolerance
from cityframe.core.findings import findings_frame
from cityframe.model.change import ChangeKind
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.layer import Layer
from cityframe.model.text import Title
from cityframe.reconcile.comparison import Comparison
from cityframe.reconcile.current import CurrentLayer
from cityframe.reconcile.former_deliveries import FeedEffect

MASS_REMOVAL = "guard.mass-removal"
MASS_REMOVAL_IN_CELL = "guard.mass-removal-in-cell"
LAYER_SHIFT = "guard.layer-shift"
AXIS_SWAP = "guard.axis-swap"
CHURN = "guard.churn"

MIN_PAIRS = 5
"""A common displacement is claimed from so many matched features on."""
SAME_WAY_SHARE = 0.8
CHURN_FLOOR = 0.05
"""What a delivery may change of a layer whatever the feed did before: the share of a cell that may
be removed without anybody looking (DESIGN, section 7)."""
MIN_HISTORY = 3
"""From so many former deliveries on a feed has a normal range: of fewer a spread says nothing."""
_KINDS_ZH = {
    ChangeKind.NEW: "新增",
    ChangeKind.REMOVED: "删除",
    ChangeKind.MOVED: "平移",
    ChangeKind.RESHAPED: "改形",
    ChangeKind.ATTRIBUTES: "属性变更",
}
_SIGMAS = 3.0
_SIGMA_OF_MAD = 1.4826
"""Standard deviation over median absolute deviation, of a normal distribution."""
_MAX_POINTS = 1000

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Guard:
    """The guards of one layer in one delivery, with the limits of its feed."""

    layer: Layer
    delivery: str
    limits: Guards
    tolerance: Tolerance

    def displacement(self, comparison: Comparison, matched: int) -> list[gpd.GeoDataFrame]:
        """Look for exchanged axes, else for a shift of the whole layer.

        Parameters
        ----------
        comparison : Comparison
            The matched records that differ.
        matched : int
            How many records were matched with a feature, those that are equal included.

        Returns
        -------
        list of GeoDataFrame
            No or one finding. Small displacements count too, even those within tolerance: each
            may be noise, but not when all point the same way.
        """
        is_displaced = (comparison.outcome["agreement"] != Agreement.EQUAL) & comparison.outcome[
            "dx_m"
        ].notna()
        displaced = np.flatnonzero(is_displaced)
        if len(displaced) < MIN_PAIRS:
            return []
        before = comparison.before.geometry.to_numpy()[displaced]
        after = comparison.after.geometry.to_numpy()[displaced]
        swapped = self._axis_swap(before, after, matched)
        if swapped:
            expected = Title(
                "坐标次序与图层坐标轴一致", "coordinates in the order of the layer's axes"
            )
            return [self._finding(AXIS_SWAP, swapped, expected, self._place(before))]
        shift = comparison.outcome.loc[is_displaced, ["dx_m", "dy_m"]].to_numpy()
        shifted = self._shift(shift, matched)
        if shifted:
            limit = f"{self._shift_limit():.3f} m"
            expected = Title(
                f"无 {limit} 及以上的整体偏移", f"no common displacement of {limit} or more"
            )
            return [self._finding(LAYER_SHIFT, shifted, expected, self._place(before))]
        return []

    def removal(
        self,
        current: CurrentLayer,
        removed: gpd.GeoDataFrame,
        count: int,
        history: Sequence[float],
    ) -> list[gpd.GeoDataFrame]:
        """Look for a removal beyond the usual, of the layer or in one of its cells.

        Parameters
        ----------
        removed : GeoDataFrame
            The features that would be removed.
        count : int
            How many features the layer has.
        history : sequence of float
            Shares of the layer that former deliveries removed.

        Returns
        -------
        list of GeoDataFrame
            At most one finding about the whole and one about cells.
        """
        if len(removed) < max(self.limits.removed_min, 1):
            return []
        geometry = removed.geometry.to_numpy()
        findings = []
        share = len(removed) / count
        usual = 3 * float(np.mean(history)) if len(history) else 0.0
        limit = max(self.limits.removed_share, usual)
        if share > limit:
            findings.append(
                self._finding(
                    MASS_REMOVAL,
                    Title(
                        f"{self.layer.name} 图层 {count} 个要素中将删除 {len(removed)} 个"
                        f"（{share:.2%}）",
                        f"{len(removed)} of {count} features ({share:.2%}) of {self.layer.name} "
                        "would be removed",
                    ),
                    Title(f"不超过 {limit:.2%}", f"at most {limit:.2%}"),
                    self._place(geometry),
                )
            )
        return [*findings, *self._removal_in_cells(current, geometry)]

    def churn(
        self, changes: gpd.GeoDataFrame, count: int, history: Sequence[FeedEffect]
    ) -> list[gpd.GeoDataFrame]:
        """Look for more changes than are usual for the feed.

        Parameters
        ----------
        changes : GeoDataFrame
            The change table of the delivery.
        count : int
            How many features the layer has.
        history : sequence of FeedEffect
            What the feed's former deliveries did; the usual range is their median share and three
            standard deviations above it (estimated from the median absolute deviation). Those
            that filled an empty layer say nothing.

        Returns
        -------
        list of GeoDataFrame
            No or one finding.
        """
        shares = [one.share() for one in history if one.count]
        limit = self._churn_limit(shares)
        if not count or limit is None or len(changes) < max(self.limits.removed_min, 1):
            return []
        share = len(changes) / count
        if share <= limit:
            return []
        kinds = changes["change"].value_counts()
        told = {kind: kinds[kind.value] for kind in ChangeKind if kind.value in kinds.index}
        found = Title(
            f"{self.layer.name} 图层 {count} 个要素中将变更 {len(changes)} 个（{share:.2%}）："
            + "，".join(f"{_KINDS_ZH[kind]} {number}" for kind, number in told.items()),
            f"{len(changes)} changes of {count} features ({share:.2%}) of {self.layer.name}: "
            + ", ".join(f"{number} {kind.value}" for kind, number in told.items()),
        )
        expected = Title(
            f"不超过 {limit:.2%}（此前 {len(shares)} 批次）",
            f"at most {limit:.2%}, by {len(shares)} former deliveries and the feed's declaration",
        )
        return [self._finding(CHURN, found, expected, self._place(changes.geometry.to_numpy()))]

    def _churn_limit(self, shares: Sequence[float]) -> float | None:
        """Return the most that may change; None where nothing is declared and little is known."""
        declared = self.limits.churn_share
        if len(shares) < MIN_HISTORY:
            return declared
        middle = np.median(shares)
        spread = _SIGMA_OF_MAD * np.median(np.abs(np.array(shares) - middle))
        usual = float(middle + _SIGMAS * spread)
        return max(CHURN_FLOOR if declared is None else declared, usual)

    def _removal_in_cells(
        self, current: CurrentLayer, removed: npt.NDArray[np.object_]
    ) -> list[gpd.GeoDataFrame]:
        gone = _cells(removed, self.limits.cell_m).value_counts()
        gone = gone[gone >= self.limits.removed_min]
        if gone.empty:
            return []
        stood = _cells(current.all_rows().geometry.to_numpy(), self.limits.cell_m).value_counts()
        share = (gone / stood.reindex(gone.index)).sort_values(ascending=False, kind="stable")
        share = share[share > self.limits.removed_cell_share]
        if share.empty:
            return []
        worst = share.index[0]
        found = Title(
            f"一个 {self.limits.cell_m:g} m 格网内 {stood[worst]} 个要素中将删除 {gone[worst]} 个"
            f"（{share.iloc[0]:.1%}）；共 {len(share)} 个格网超限",
            f"{gone[worst]} of {stood[worst]} features ({share.iloc[0]:.1%}) in a cell of "
            f"{self.limits.cell_m:g} m would be removed; {len(share)} cells are over the limit",
        )
        most = f"{self.limits.removed_cell_share:.1%}"
        expected = Title(f"任一格网内不超过 {most}", f"at most {most} of any cell")
        cells = _cell_polygons(share.index.sort_values(), self.limits.cell_m)
        return [self._finding(MASS_REMOVAL_IN_CELL, found, expected, cells)]

    def _shift_limit(self) -> float:
        if self.limits.shift_m is not None:
            return self.limits.shift_m
        return max(3 * self.layer.precision_m, 0.5 * self.tolerance.sigma_m)

    def _shift(self, shift: Numbers, matched: int) -> Title | None:
        median = np.median(shift, axis=0)
        length = float(np.hypot(*median))
        deviation = np.hypot(*(shift - median).T)
        same_way = int((deviation <= length / 2).sum())
        if length < self._shift_limit() or length <= 3 * np.median(deviation):
            return None
        if same_way < SAME_WAY_SHARE * matched:
            return None
        vector = f"dx = {median[0]:.3f} m, dy = {median[1]:.3f} m"
        return Title(
            f"{self.layer.name} 图层整体偏移 {vector}（{matched} 个要素中的 {same_way} 个）",
            f"the whole layer {self.layer.name} is shifted by {vector} "
            f"({same_way} of {matched} features)",
        )

    def _axis_swap(
        self,
        before: npt.NDArray[np.object_],
        after: npt.NDArray[np.object_],
        matched: int,
    ) -> Title | None:
        old, new = (shapely.get_coordinates(shapely.centroid(side)) for side in (before, after))
        as_is, exchanged = np.hypot(*(new - old).T), np.hypot(*(new[:, ::-1] - old).T)
        nearer = int(((exchanged < as_is / 10) & (as_is >= self._shift_limit())).sum())
        if nearer < SAME_WAY_SHARE * matched:
            return None
        return Title(
            f"{self.layer.name} 图层坐标轴互换：{matched} 个要素中有 {nearer} 个"
            "在 x、y 对调后位置正确",
            f"the axes of the whole layer {self.layer.name} are exchanged: {nearer} of {matched} "
            "features lie right once x and y change places",
        )

    def _finding(
        self, rule: str, found: Title, expected: Title, place: shapely.Geometry | None
    ) -> gpd.GeoDataFrame:
        """Return the one finding of a guard about the whole layer."""
        rows = pd.DataFrame(
            {
                "found": [found.en],
                "expected": [expected.en],
                "found_zh": [found.zh],
                "expected_zh": [expected.zh],
                "geometry": [place],
            }
        )
        return findings_frame(
            rows,
            rule=rule,
            kind="guard",
            defect_class=DefectClass.A,
            gate=Gate.BLOCK,
            scope=Scope.DELIVERY,
            layer=self.layer.name,
            delivery=self.delivery,
            crs=self.layer.crs,
        )

    def _place(self, geometry: npt.NDArray[np.object_]) -> shapely.Geometry | None:
        """Return the centres of features; of very many the cells that they lie in."""
        centres = _centres(geometry)
        centres = centres[np.isfinite(centres).all(axis=1)]
        if not len(centres):
            return None
        if len(centres) <= _MAX_POINTS:
            return shapely.MultiPoint(centres)
        cells = _cells(geometry, self.limits.cell_m).value_counts().index
        return _cell_polygons(cells.sort_values(), self.limits.cell_m)


def _centres(geometry: npt.NDArray[np.object_]) -> Numbers:
    west, south, east, north = shapely.bounds(geometry).T
    return np.column_stack([(west + east) / 2, (south + north) / 2])


def _cells(geometry: npt.NDArray[np.object_], cell_m: float) -> pd.DataFrame:
    """Return column and row of the grid cell of each feature that has a place."""
    cells = np.floor(_centres(geometry) / cell_m)
    return pd.DataFrame(cells, columns=["column", "row"]).dropna().astype("int64")


def _cell_polygons(cells: pd.Index, cell_m: float) -> shapely.Geometry:
    corner = np.array(cells.tolist(), dtype=np.float64) * cell_m
    squares = shapely.box(corner[:, 0], corner[:, 1], corner[:, 0] + cell_m, corner[:, 1] + cell_m)
    return shapely.MultiPolygon(squares.tolist())
