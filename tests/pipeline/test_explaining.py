"""Two sources of parcels, and why a parcel is as it is."""

from collections.abc import Callable
from typing import Any

import geopandas as gpd
import pytest

from cityframe.errors import DeclarationError
from cityframe.pipeline.difference import difference
from cityframe.pipeline.explaining import Explanation, Presence, explain
from cityframe.pipeline.explanation_words import in_words
from cityframe.pipeline.plan import read_plan
from cityframe.pipeline.pull import PullOutcome, pull
from cityframe.pipeline.releasing import roll_back

Town = Any
PLANNING = """\
name: planning
title: {zh: 规划局, en: Planning office}
kind: departmental
delivery: partial
pull: {type: files, path: feeds/planned.gpkg}
crs: EPSG:4547
accuracy_m: 0.05
feeds:
  - layer: parcels
    columns: {number: DJH, use: {column: YT, codes: {"1": residential, "2": industrial}},
      registered_area_m2: MJ}
"""
Plan = Callable[..., PullOutcome]


@pytest.fixture
def plan(town: Town) -> Plan:
    """Return a function with which the planning office says uses of the first parcels."""
    path = town.root / "sources" / "planning.yaml"
    path.write_text(PLANNING, encoding="utf-8")
    series = town.root / "cycles" / "monthly.yaml"
    series.write_text(series.read_text().replace("registry]", "registry, planning]"))

    def deliver(uses: list[str], area: float, at: str, base: int | None = None) -> PullOutcome:
        frame = gpd.GeoDataFrame(
            {"DJH": [f"P{n:03d}" for n in range(len(uses))], "YT": uses, "MJ": area},
            geometry=[town.square(n, 0) for n in range(len(uses))],
            crs="EPSG:4547",
        )
        place = town.root / "feeds" / "planned.gpkg"
        place.unlink(missing_ok=True)
        frame.to_file(place, driver="GPKG")
        return pull(town.city, "planning", at=town.moment(at), base=base)

    return deliver


def uid_of(town: Town, number: str, release: int) -> str:
    layer = town.city.workspace.layer("parcels")
    rows = town.city.framework.as_of(layer, release).set_index("number")
    return str(rows.loc[number, "uid"])


def origin(found: Explanation, attribute: str) -> tuple[Any, str]:
    one = next(one for one in found.values if one["attribute"] == attribute)
    return one["value"], one["source"]


def test_what_a_source_did_not_touch_since_its_base_overwrites_nothing(
    town: Town, plan: Plan, grid: list[Any]
) -> None:
    town.deliver_parcels(grid[:3])
    town.run()
    plan(["2", "1"], 400.0, "2026-02-01")
    town.run()
    # drawn on release 1, where the first parcel was residential
    plan(["1", "1"], 390.0, "2026-03-01", base=1)
    town.run()
    found = explain(town.city, uid_of(town, "P000", 3))
    assert origin(found, "use") == ("industrial", "planning")
    assert origin(found, "registered_area_m2") == (390, "planning")
    assert origin(found, "number") == ("P000", "cadastre")
    assert origin(found, "geometry") == (None, "cadastre")


def test_an_older_snapshot_that_comes_late_loses_and_is_told_of(
    town: Town, plan: Plan, grid: list[Any]
) -> None:
    town.deliver_parcels(grid[:3])
    town.run()
    plan(["2"], 390.0, "2026-03-01")
    town.run()
    town.deliver_parcels(grid[:4], at="2026-02-01")
    town.run()
    found = explain(town.city, uid_of(town, "P000", 3))
    assert origin(found, "use") == ("industrial", "planning")
    (dispute,) = [
        one for one in found.disputes if one["attribute"] == "use" and one["release"] == 3
    ]
    assert (dispute["source"], dispute["rule"]) == ("planning", "observed-later")
    assert dispute["losers"][0]["source"] == "cadastre"
    assert dispute["losers"][0]["value"] == "residential"
    english, chinese = (in_words(found, language) for language in ("en", "zh"))
    assert (
        'Use: release 3 took the value of Planning office, not "residential" of Cadastral survey '
        "(observed 2026-02-01); it was observed later." in english
    )
    assert "用途：版本 3 采用规划局的值，未采用地籍测量的“residential”" in chinese


def test_a_former_release_is_explained_by_what_was_known_then(
    town: Town, plan: Plan, grid: list[Any]
) -> None:
    town.deliver_parcels(grid[:3])
    town.run()
    plan(["2"], 400.0, "2026-02-01")
    town.run()
    uid = uid_of(town, "P000", 1)
    first, second = explain(town.city, uid, 1), explain(town.city, uid)
    assert origin(first, "use") == ("residential", "cadastre")
    assert origin(second, "use") == ("industrial", "planning")
    assert (first.state["release"], second.state["release"]) == (1, 2)
    assert first.disputes == ()
    text = in_words(first, "en")
    assert "it was new" in text
    assert "li approved release 1 on" in text


def test_a_removed_feature_tells_which_delivery_ended_it(town: Town, grid: list[Any]) -> None:
    town.deliver_parcels(grid[:20])
    town.run()
    uid = uid_of(town, "P007", 1)
    later = town.deliver_parcels([one for one in grid[:20] if one[0] != "P007"], at="2026-02-01")
    town.run()
    found = explain(town.city, uid)
    assert found.presence is Presence.ENDED
    assert found.state["ended_by"] == later.delivery.id
    assert f"(delivery {later.delivery.id}) ended it, in release 2" in in_words(found, "en")
    assert "it is in release 1" in in_words(explain(town.city, uid, 1), "en")


def test_a_roll_back_is_said_to_have_restored_the_state(
    town: Town, plan: Plan, grid: list[Any]
) -> None:
    town.deliver_parcels(grid[:3])
    town.run()
    plan(["2"], 400.0, "2026-02-01")
    town.run()
    roll_back(town.city, 1, who="li", why="错误", at=town.moment("2099-01-01"))
    found = explain(town.city, uid_of(town, "P000", 3))
    assert origin(found, "use") == ("residential", "cadastre")
    assert found.state["release"] == 3
    assert "restored by release 3" in in_words(found, "en")


def test_what_nobody_knows_is_refused(town: Town, grid: list[Any]) -> None:
    with pytest.raises(DeclarationError, match="no release yet"):
        explain(town.city, "U1")
    town.deliver_parcels(grid[:3])
    town.run()
    with pytest.raises(DeclarationError, match="no feature 'U1'"):
        explain(town.city, "U1")
    with pytest.raises(DeclarationError, match="9"):
        explain(town.city, uid_of(town, "P000", 1), 9)
    town.deliver_parcels(grid[:4], at="2026-02-01")
    town.run()
    with pytest.raises(DeclarationError, match="release 2 or later"):
        explain(town.city, uid_of(town, "P003", 2), 1)


def test_the_base_stands_in_the_plan_and_the_same_bytes_may_come_again_on_another(
    town: Town, plan: Plan, grid: list[Any]
) -> None:
    town.deliver_parcels(grid[:3])
    town.run()
    plan(["2"], 400.0, "2026-02-01")
    assert not pull(town.city, "planning").is_new
    again = pull(town.city, "planning", base=1)
    assert again.is_new
    assert "another base" in again.reason
    assert not pull(town.city, "planning", base=1).is_new
    with pytest.raises(DeclarationError):
        pull(town.city, "planning", base=7)
    cycle = town.run().cycle
    assert dict(read_plan(town.city, cycle).bases) == {again.delivery.id: 1}
    assert len(difference(town.city, 1, 2)) == 1


def test_a_source_may_declare_that_it_works_on_what_is_current(
    town: Town, plan: Plan, grid: list[Any]
) -> None:
    path = town.root / "sources" / "planning.yaml"
    path.write_text(PLANNING + "base: observed\n", encoding="utf-8")
    town.deliver_parcels(grid[:3])
    town.run()
    plan(["2"], 400.0, "2020-02-01")
    plan(["2"], 390.0, "2099-02-01")
    landed = list(town.city.ledger.entries(what="landed", subject="planning"))
    assert [entry.body["base"] for entry in landed] == [None, 1]
