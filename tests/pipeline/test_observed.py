"""The observations of the sensors' feeds in the check of a candidate."""

import datetime as dt

import pytest

from cityframe.connectors.observation_writer import Observation, ObservationWriter
from cityframe.pipeline.cycle import check_candidate, run_cycle, stage, take_in
from cityframe.pipeline.observed import observed_in
from cityframe.pipeline.plan import open_cycle, read_plan
from cityframe.pipeline.pull import pull
from cityframe.pipeline.staging import check_results

SENSORS = """\
name: sensors
title: {zh: 传感器, en: Sensors}
geometry: Point
crs: EPSG:4547
accuracy_m: 1
key: number
attributes:
  number: {type: string, title: {zh: 编号, en: Number}, nullable: false}
  stream: {type: string, title: {zh: 数据流, en: Stream}}
"""
REGISTER = """\
name: register
title: {zh: 传感器登记, en: Register of sensors}
kind: departmental
delivery: full
pull: {type: files, path: feeds/sensors.csv}
crs: EPSG:4547
accuracy_m: 1
feeds:
  - layer: sensors
    columns: {number: id, stream: stream}
    geometry: {x: x, y: y}
"""
FEED = """\
name: levels
title: {zh: 水位, en: Water levels}
kind: iot
delivery: partial
pull: {type: mqtt, topics: [levels], client_id: levels}
feeds:
  - layer: sensors
    file: windows.parquet
    columns: {stream: stream}
    geometry: {layer: sensors, on: {stream: stream}}
"""
RULES = """\
rules:
  - id: sensors.level
    title: {zh: 水位范围, en: Range of levels}
    kind: gross_range
    layers: sensors
    parameters: {stream: stream, fail_max: 10}
    defect_class: B
    gate: review
    scope: candidate
"""
FIRST, SECOND = (dt.datetime(2026, month, 1, tzinfo=dt.UTC) for month in (2, 3))


@pytest.fixture
def sensors(town):
    for name, text in {
        "schemas/sensors.yaml": SENSORS,
        "sources/register.yaml": REGISTER,
        "quality_rules/sensors.yaml": RULES,
        "cycles/monthly.yaml": (town.root / "cycles/monthly.yaml")
        .read_text(encoding="utf-8")
        .replace("[cadastre, registry]", "[register]"),
    }.items():
        (town.root / name).write_text(text, encoding="utf-8")
    return town


def feed(town, *observations):
    (town.root / "sources" / "levels.yaml").write_text(FEED, encoding="utf-8")
    rows = [Observation(stream, time, value) for stream, time, value in observations]
    with ObservationWriter(town.city.observations("levels")) as writer:
        writer.store(rows, FIRST)


def deliver(town, *numbers):
    path = town.root / "feeds" / "sensors.csv"
    path.parent.mkdir(exist_ok=True)
    rows = [f"{number},S-{number},500000,3400000" for number in numbers]
    path.write_text("\n".join(["id,stream,x,y", *rows]) + "\n", encoding="utf-8")
    pull(town.city, "register")


def checked(town, cycle):
    take_in(town.city, cycle, "register")
    stage(town.city, cycle)
    check_candidate(town.city, cycle)
    results = check_results(town.city, cycle).results
    return next(result for result in results if result.rule == "sensors.level")


def test_a_city_without_feeds_has_no_observations_and_says_so(sensors):
    deliver(sensors, 1, 2)
    cycle = open_cycle(sensors.city, "monthly", at=FIRST)
    assert observed_in(sensors.city, read_plan(sensors.city, cycle)) is None
    assert checked(sensors, cycle).message == "not provided: observations"


def test_each_cycle_checks_the_observations_from_cut_off_to_cut_off(sensors):
    second = dt.timedelta(seconds=1)
    feed(
        sensors,
        ("S-1", FIRST - dt.timedelta(days=40), 1.0),
        ("S-1", FIRST - second, 99.0),
        ("S-2", FIRST, 99.0),
        ("S-2", SECOND - second, 5.0),
        ("S-1", SECOND, 99.0),
    )
    deliver(sensors, 1, 2)
    first = open_cycle(sensors.city, "monthly", at=FIRST)
    observed = observed_in(sensors.city, read_plan(sensors.city, first))()
    assert observed["value"].tolist() == [1.0, 99.0]
    assert str(observed["time"].dtype) == "datetime64[us, UTC]"
    result = checked(sensors, first)
    assert (result.message, result.failed) == ("", 1)

    run_cycle(sensors.city, "monthly", approver="li", reason="合格")
    deliver(sensors, 1, 2, 3)
    after = open_cycle(sensors.city, "monthly", at=SECOND)
    observed = observed_in(sensors.city, read_plan(sensors.city, after))()
    assert observed[["stream", "value"]].to_numpy().tolist() == [["S-2", 99.0], ["S-2", 5.0]]
    assert checked(sensors, after).failed == 1


def test_an_unwritten_feed_has_no_observations_yet(sensors):
    feed(sensors)
    deliver(sensors, 1)
    cycle = open_cycle(sensors.city, "monthly", at=FIRST)
    assert observed_in(sensors.city, read_plan(sensors.city, cycle))().empty
    result = checked(sensors, cycle)
    assert (result.message, result.failed) == ("", 0)
