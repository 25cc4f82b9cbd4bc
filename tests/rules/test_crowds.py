import datetime as dt

import geopandas as gpd
import numpy as np
import pytest
import shapely

from cityframe.model.finding import Scope
from cityframe.model.report import RuleStatus
from cityframe.rules.check import check_layer
from cityframe.rules.compiled import compile_rules
from cityframe.rules.geometry import crowds
from cityframe.rules.geometry.crowds import require_no_crowd


def test_a_crowd_on_one_spot_is_refused_with_its_place(monkeypatch):
    monkeypatch.setattr(crowds, "MOST_PAIRS", 100)
    apart = shapely.box(*np.arange(40.0).reshape(10, 4).T)
    require_no_crowd(np.append(apart, [None, None]))
    with pytest.raises(ValueError, match=r"11 features on one spot \(7 8 to 9 10\)"):
        require_no_crowd(np.append(apart, [shapely.box(7, 8, 9, 10)] * 11))


@pytest.mark.parametrize("kind", ["overlaps", "minimum_spacing", "mergeable_neighbours"])
def test_the_rule_alone_could_not_be_checked(kind, monkeypatch, crowded):
    monkeypatch.setattr(crowds, "MOST_PAIRS", 100)
    (result,) = crowded(kind).results
    assert result.status is RuleStatus.NOT_CHECKED
    assert "12 features on one spot" in result.message


@pytest.fixture
def crowded(layer_of, rule_of):
    layer = layer_of("things", "Polygon", {"use": "string"})
    frame = gpd.GeoDataFrame(
        {"uid": [f"f{row:02d}" for row in range(12)], "use": "a"},
        geometry=[shapely.box(0, 0, 9, 9)] * 12,
        crs=layer.crs,
    )
    parameters = {
        "minimum_spacing": {"min_m": 1.0},
        "mergeable_neighbours": {"columns": ["use"]},
    }

    def check(kind):
        rule = rule_of(kind, parameters=parameters.get(kind, {}))
        return check_layer(
            compile_rules([rule], {"things": layer}, {}),
            scope=Scope.CANDIDATE,
            layer="things",
            frame=frame,
            as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        )

    return check
