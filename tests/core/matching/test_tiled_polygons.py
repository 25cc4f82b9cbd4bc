import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.core.agreement import Tolerance
from cityframe.core.matching import shapes, tiled_polygons
from cityframe.core.matching.evidence import NO_EVIDENCE, Evidence
from cityframe.core.matching.polygons import match_polygons
from cityframe.core.matching.tiled_polygons import match_polygons_in_tiles
from cityframe.model.layer import GeometryType

TOLERANCE = Tolerance.between(0.25, 0.25)


def block(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return buildings over 3 km, and the same surveyed again: shifted, some in two parts."""
    random = np.random.default_rng(seed)
    west, south = random.uniform(0, 3000, (2, count))
    before = shapely.box(west, south, west + 12, south + 10)
    parts = [
        shapely.box(west, south, west + 5, south + 10),
        shapely.box(west + 5, south, west + 12, south + 10),
    ]
    is_split = random.random(count) < 0.1
    after = np.concatenate([before[~is_split], parts[0][is_split], parts[1][is_split]])
    return before, shapely.transform(after, lambda xy: xy + np.array([0.6, -0.4]))


@pytest.mark.parametrize("is_stated", [False, True])
def test_in_tiles_polygons_are_linked_as_in_one_piece(
    is_stated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiled_polygons, "_TILE_HALOS", 1)
    before, after = block(600, 3)
    evidence = NO_EVIDENCE
    if is_stated:
        numbers = [pd.DataFrame({"number": np.arange(len(side)) % 3}) for side in (before, after)]
        evidence = Evidence(exact=(numbers[0], numbers[1]))
    whole = match_polygons(before, after, TOLERANCE, evidence=evidence)
    tiled = match_polygons_in_tiles(before, after, TOLERANCE, evidence=evidence)
    assert len(whole.links) > 150
    pd.testing.assert_frame_equal(tiled.links, whole.links)


def test_a_large_layer_is_matched_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = block(300, 4)
    whole = shapes.match_shapes(before, after, GeometryType.POLYGON, TOLERANCE)
    monkeypatch.setattr(shapes, "TILED_FROM", 100)
    # in one piece it would fail
    monkeypatch.setattr(shapes, "match_polygons", None, raising=False)
    tiled = shapes.match_shapes(before, after, GeometryType.POLYGON, TOLERANCE)
    pd.testing.assert_frame_equal(tiled.links, whole.links)


def test_nothing_in_tiles_is_nothing() -> None:
    nothing = np.empty(0, dtype=object)
    found = match_polygons_in_tiles(nothing, nothing, TOLERANCE, evidence=NO_EVIDENCE)
    assert found.links.empty
