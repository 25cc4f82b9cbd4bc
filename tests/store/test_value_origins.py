"""Who said a value: the delivery of the row in which it last changed."""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import geopandas as gpd
import pytest

from cityframe.model.layer import Layer
from cityframe.model.release import ReleaseKind
from cityframe.store.candidate import write_candidate
from cityframe.store.commit import commit
from cityframe.store.framework import Framework
from cityframe.store.value_origins import standing, value_origins

Row = tuple[str, str, float, int]
"""Uid, kind, x, floors; ``height_m`` follows from the floors, ``surveyed_at`` from the day."""
Tell = Callable[..., None]


@pytest.fixture
def tell(
    framework: Framework,
    buildings: Layer,
    make_changes: Callable[..., gpd.GeoDataFrame],
    tmp_path: Path,
) -> Tell:
    """Return a function that commits a release of what one delivery said of a day."""

    def make(delivery: str, day: str, rows: Sequence[Row], valid_to: str | None = None) -> None:
        number = len(framework.releases()) + 1
        changes = make_changes(rows, day, valid_to).assign(delivery=delivery)
        moment = dt.datetime(2024, number, 1, tzinfo=dt.UTC)
        layers = {"buildings": buildings}
        folder = tmp_path / f"c{number}"
        candidate = write_candidate(
            folder, framework, {"buildings": changes}, layers, valid_at=moment
        )
        commit(
            framework,
            candidate,
            layers,
            kind=ReleaseKind.CYCLE,
            cycle=f"cycle-{number}",
            evidence={},
            at=moment,
        )

    return make


def origin(
    framework: Framework, layer: Layer, attribute: str, uid: str = "U1", **more: object
) -> tuple[str, str]:
    found = value_origins(framework, layer, [uid], **more).set_index("attribute")  # type: ignore[arg-type]
    row = found.loc[attribute]
    assert row["delivery"].startswith(f"{row['source']}.")
    return row["delivery"], row["observed_at"].date().isoformat()


def test_a_value_is_said_by_the_delivery_that_last_changed_it(
    framework: Framework, buildings: Layer, tell: Tell
) -> None:
    tell("survey.1", "2020-01-01", [("U1", "new", 0, 3), ("U2", "new", 50, 3)])
    tell("planning.2", "2021-01-01", [("U1", "attributes", 0, 5)])
    tell("photo.3", "2022-01-01", [("U1", "moved", 7, 5)])
    assert origin(framework, buildings, "number") == ("survey.1", "2020-01-01")
    assert origin(framework, buildings, "floors") == ("planning.2", "2021-01-01")
    assert origin(framework, buildings, "geometry") == ("photo.3", "2022-01-01")
    assert origin(framework, buildings, "floors", "U2") == ("survey.1", "2020-01-01")


def test_a_release_is_explained_by_what_it_knew(
    framework: Framework, buildings: Layer, tell: Tell
) -> None:
    tell("survey.1", "2020-01-01", [("U1", "new", 0, 3)])
    tell("planning.2", "2021-01-01", [("U1", "attributes", 0, 5)])
    assert origin(framework, buildings, "floors", release=1) == ("survey.1", "2020-01-01")
    assert origin(framework, buildings, "floors", release=2) == ("planning.2", "2021-01-01")


def test_a_correction_of_the_same_day_changes_only_what_it_corrects(
    framework: Framework, buildings: Layer, tell: Tell
) -> None:
    tell("survey.1", "2020-01-01", [("U1", "new", 0, 3)])
    tell("planning.2", "2020-01-01", [("U1", "attributes", 0, 5)])
    assert origin(framework, buildings, "floors") == ("planning.2", "2020-01-01")
    assert origin(framework, buildings, "surveyed_at") == ("survey.1", "2020-01-01")
    assert origin(framework, buildings, "geometry") == ("survey.1", "2020-01-01")


def test_later_news_of_the_past_says_nothing_about_the_present(
    framework: Framework, buildings: Layer, tell: Tell
) -> None:
    tell("survey.1", "2020-01-01", [("U1", "new", 0, 3)])
    tell("planning.2", "2021-01-01", [("U1", "attributes", 0, 5)])
    tell("archive.3", "2020-03-01", [("U1", "attributes", 0, 9)], "2020-06-01")
    assert origin(framework, buildings, "floors") == ("planning.2", "2021-01-01")


def test_what_is_dated_in_advance_has_not_been_said_of_today(
    framework: Framework, buildings: Layer, tell: Tell
) -> None:
    tell("survey.1", "2020-01-01", [("U1", "new", 0, 3), ("U2", "new", 50, 3)])
    tell("planning.2", "2031-01-01", [("U1", "attributes", 0, 5), ("U3", "new", 90, 1)])
    assert origin(framework, buildings, "floors") == ("survey.1", "2020-01-01")
    assert origin(framework, buildings, "floors", "U3") == ("planning.2", "2031-01-01")
    later = dt.datetime(2032, 1, 1, tzinfo=dt.UTC)
    assert origin(framework, buildings, "floors", valid_at=later) == ("planning.2", "2031-01-01")


def test_a_feature_that_came_back_was_said_anew(
    framework: Framework, buildings: Layer, tell: Tell
) -> None:
    tell("survey.1", "2020-01-01", [("U1", "new", 0, 3)])
    tell("survey.2", "2021-01-01", [("U1", "removed", 0, 3)])
    tell("photo.3", "2022-01-01", [("U1", "new", 0, 3)])
    assert origin(framework, buildings, "floors") == ("photo.3", "2022-01-01")


def test_standing_tells_since_when_and_whether_one_source_alone_spoke(
    framework: Framework, buildings: Layer, tell: Tell
) -> None:
    tell("survey.1", "2020-01-01", [("U1", "new", 0, 3), ("U2", "new", 50, 3)])
    tell("survey.2", "2021-01-01", [("U2", "attributes", 50, 4)])
    tell("planning.3", "2022-01-01", [("U1", "attributes", 0, 5)])
    found = standing(framework, buildings, ["U2", "U1", "U9"]).set_index("uid")
    assert found["source"].to_dict() == {"U1": "", "U2": "survey"}
    assert found["since"].dt.year.to_dict() == {"U1": 2022, "U2": 2021}


def test_nothing_is_known_of_features_that_never_were(
    framework: Framework, buildings: Layer, tell: Tell
) -> None:
    assert value_origins(framework, buildings, ["U1"]).empty
    tell("survey.1", "2020-01-01", [("U1", "new", 0, 3)])
    found = value_origins(framework, buildings, ["U9"])
    assert list(found) == ["uid", "attribute", "source", "delivery", "observed_at"]
    assert found.empty
    assert standing(framework, buildings, []).empty
