import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from cityframe.core.digest import layer_digest, layer_sum, row_digests
from cityframe.errors import DeclarationError, GateClosedError, IntegrityError
from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.store.difference import difference_of
from cityframe.store.framework import Framework
from cityframe.store.fsck import fsck
from cityframe.store.redaction import forget, plan_redaction, redact

Make = Callable[..., Release]
NOON = dt.datetime(2020, 12, 1, tzinfo=dt.UTC)
FIRST = [("u1", "new", 0, 1), ("u2", "new", 20, 2), ("u3", "new", 40, 3)]


def clear(framework: Framework, uids: list[str], attributes: list[str]) -> Release:
    plan = plan_redaction(framework, "buildings", uids, attributes)
    return redact(framework, plan, decision="order 7", evidence={"decisions": []}, at=NOON)


def test_values_are_gone_from_all_of_history_and_the_rest_stays(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    release([("u1", "attributes", 0, 5)], valid_from="2020-02-01")
    made = clear(framework, ["u1"], ["number", "height_m"])
    assert (made.number, made.kind) == (3, ReleaseKind.REDACTION)
    history = framework.history("u1")
    assert history[["number", "height_m"]].isna().all(axis=None)
    assert history["floors"].tolist() == [1, 1, 5]
    assert framework.history("u2")["number"].tolist() == ["甲u2"]
    now = framework.as_of(buildings, 3)
    digest = layer_digest(layer_sum(row_digests(now, buildings)), len(now))
    assert made.layers[0].digest == digest
    assert dict(made.layers[0].changes) == {"attributes": 1}


def test_releases_from_before_stay_provable(framework: Framework, release: Make) -> None:
    release(FIRST)
    release([("u1", "attributes", 0, 5), ("u2", "removed", 20, 2)], valid_from="2020-02-01")
    digests = [one.layers[0].digest for one in framework.releases()]
    clear(framework, ["u1", "u2"], ["number"])
    release([("u3", "attributes", 40, 7)], valid_from="2020-03-01")
    clear(framework, ["u1", "u3"], ["height_m"])
    assert [one.layers[0].digest for one in framework.releases()[:2]] == digests
    found = fsck(framework)
    assert (found.releases, found.damages) == (5, ())


def test_the_difference_shows_redacted_features_as_attributes_changed(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    clear(framework, ["u1", "u3"], ["number"])
    release([("u2", "attributes", 20, 9)], valid_from="2020-02-01")
    found = difference_of(framework, buildings, 1, 2).features
    assert found[["uid", "change"]].to_numpy().tolist() == [
        ["u1", "attributes"], ["u3", "attributes"],
    ]  # fmt: skip
    assert difference_of(framework, buildings, 2, 3).features["uid"].tolist() == ["u2"]
    assert difference_of(framework, buildings, 1, 3).features["uid"].tolist() == ["u1", "u2", "u3"]
    assert framework.redactions(2) == [
        {"layer": "buildings", "uid": uid, "attributes": ["number"], "decision": "order 7"}
        for uid in ("u1", "u3")
    ]
    assert framework.redactions(1) == []


def test_a_candidate_from_before_that_touches_the_feature_collides(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    clear(framework, ["u1"], ["number"])
    assert framework.touched_uids(buildings, 1, 2) == ["u1"]


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_no_byte_of_the_value_is_left_in_the_geopackage(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    rows = [(f"u{number:03d}", "new", 20.0 * number, 1) for number in range(300)]
    release(rows)
    # rows that grow are moved in their page and leave remains behind
    release([(uid, "attributes", x, 2) for uid, _, x, _ in rows], valid_from="2020-02-01")
    secret = "甲u007".encode()
    path = Path(framework.label)
    reader = framework.home.engine.connect()
    reader.exec_driver_sql("SELECT count(*) FROM cf_release")
    assert secret in path.read_bytes()
    reader.close()
    clear(framework, ["u007"], ["number"])
    forget(framework, buildings)
    for file in path.parent.glob("framework.gpkg*"):
        assert secret not in file.read_bytes(), file
    assert "甲u008".encode() in path.read_bytes()
    assert fsck(framework).damages == ()


@pytest.mark.parametrize("framework", ["postgis"], indirect=True)
def test_postgis_forgets_its_statistics_too(
    framework: Framework, release: Make, buildings: Layer
) -> None:
    release(FIRST)
    statistics = sa.text(
        "SELECT coalesce(string_agg(histogram_bounds::text || most_common_vals::text, ''), '') "
        "FROM pg_stats WHERE schemaname = current_schema() AND tablename = 'buildings_history' "
        "AND attname = 'number'"
    )
    with framework.home.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE buildings_history")
    clear(framework, ["u1", "u2", "u3"], ["number"])
    forget(framework, buildings)
    with framework.home.engine.connect() as connection:
        assert "甲" not in connection.execute(statistics).scalar_one()


@pytest.mark.parametrize(
    ("uids", "attributes", "message"),
    [
        (["u1"], ["geom"], "a geometry can't be redacted"),
        (["u1"], ["owner"], "no attribute owner"),
        (["u1"], [], "no attribute"),
        (["u1", "nobody"], ["number"], "no feature nobody"),
        ([], ["number"], "no feature"),
    ],
)
@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_what_can_not_be_redacted_is_told(
    framework: Framework, release: Make, uids: list[str], attributes: list[str], message: str
) -> None:
    release(FIRST)
    with pytest.raises(DeclarationError, match=message):
        plan_redaction(framework, "buildings", uids, attributes)


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_nothing_to_clear_makes_no_release(framework: Framework, release: Make) -> None:
    release(FIRST)
    clear(framework, ["u1"], ["number"])
    with pytest.raises(DeclarationError, match="no value of number"):
        clear(framework, ["u1"], ["number"])
    assert len(framework.releases()) == 2


@pytest.mark.parametrize("framework", ["geopackage"], indirect=True)
def test_a_plan_that_was_overtaken_is_refused(framework: Framework, release: Make) -> None:
    release(FIRST)
    plan = plan_redaction(framework, "buildings", ["u1"], ["number"])
    release([("u1", "attributes", 0, 5)], valid_from="2020-02-01")
    with pytest.raises(GateClosedError, match="another release came in between"):
        redact(framework, plan, decision="", evidence={}, at=NOON)
    assert framework.history("u1")["number"].notna().all()


def test_a_damaged_row_is_not_redacted(framework: Framework, release: Make) -> None:
    release(FIRST)
    with framework.home.transaction() as connection:
        connection.exec_driver_sql("UPDATE buildings_history SET floors = 9 WHERE uid = 'u1'")
    with pytest.raises(IntegrityError, match="a redaction would hide the damage"):
        plan_redaction(framework, "buildings", ["u1"], ["number"])
