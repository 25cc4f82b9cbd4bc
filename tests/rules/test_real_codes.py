"""The administrative hierarchy on the codes of China: 43,105 townships under 2,900 counties."""

import datetime as dt

import pandas as pd
import pytest

from cityframe.rules.context import Context
from cityframe.rules.registry import rule_kinds

pytestmark = pytest.mark.city


@pytest.fixture
def orphans(data_dir, layer_of, frame_of):
    """Return a function that gives the townships without a county among the counties left."""
    folder = data_dir / "tables" / "china_admin_codes"
    counties = pd.read_csv(folder / "modood_areas_2.3.0.csv", dtype="str")
    townships = pd.read_csv(folder / "modood_streets_2.3.0.csv.zip", dtype="str")
    layer = layer_of("things", "none", {"code": "string", "county": "string"})
    frame = frame_of(layer, []).reindex(range(len(townships)))
    frame = frame.assign(code=townships["code"], county=townships["areaCode"])
    kind = rule_kinds()["admin_hierarchy"]
    parameters = kind.params(column="code", parent="county", layer="counties", layer_column="code")

    def check(without=()):
        left = counties[~counties["code"].isin(without)]
        context = Context(
            layer=layer,
            frame=frame,
            layers={},
            as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            read_other={"counties": left}.__getitem__,
        )
        return set(frame["code"].iloc[kind.check(context, parameters)["row"]]), frame

    return check


def test_the_codes_of_one_release_fit_together(orphans):
    found, frame = orphans()
    assert found == set()
    assert len(frame) > 40_000


def test_the_townships_of_a_county_that_is_gone_are_found(orphans):
    found, frame = orphans(without={"110101", "310115"})
    gone = frame["county"].isin({"110101", "310115"})
    assert gone.sum() > 40
    assert found == set(frame.loc[gone, "code"])
