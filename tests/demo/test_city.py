import hashlib
import json
import tracemalloc

import pytest

from cityframe.demo import generate_city
from cityframe.demo.things import stretch
from cityframe.errors import DeclarationError


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_arguments_give_the_same_bytes(city, make_city):
    again = make_city(900, 4, 3)
    assert digests(again.folder) == digests(city.folder)


def test_another_seed_gives_another_city(city, make_city):
    other = make_city(900, 1, 4)
    ours, theirs = digests(city.folder / "delivery_1"), digests(other.folder / "delivery_1")
    assert not [name for name in ours if ours[name] == theirs[name]]


def test_more_deliveries_leave_the_first_ones_as_they_are(city, make_city):
    short = make_city(900, 2, 3)
    for name in ("delivery_1", "delivery_2"):
        assert digests(short.folder / name) == digests(city.folder / name)


@pytest.mark.parametrize("buildings", [500, 1234])
def test_the_city_begins_with_exactly_as_many_buildings(make_city, buildings):
    made = make_city(buildings, 1, 8)
    assert len(made.layer(1, "buildings")) == buildings
    assert made.manifest.deliveries[0].features["buildings"] == buildings


def test_the_manifest_counts_what_the_first_delivery_holds(city):
    written = json.loads((city.folder / "manifest.json").read_text(encoding="utf-8"))
    features = written["deliveries"][0]["features"]
    for layer, count in features.items():
        held = city.delivery(1).pois() if layer == "pois" else city.layer(1, layer)
        assert len(held) == count
    assert [one["day"] for one in written["deliveries"]] == [
        "2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30",
    ]  # fmt: skip


def test_a_city_of_many_stretches_is_as_clean_as_one(make_city, monkeypatch):
    monkeypatch.setattr(stretch, "BUILDINGS_A_STRETCH", 150)
    made = make_city(900, 1, 3)
    parcels = made.layer(1, "parcels")
    assert parcels["parcel_id"].is_unique
    assert made.layer(1, "addresses")["full_address"].is_unique
    assert len(made.layer(1, "buildings")) == 900
    nodes = set(made.layer(1, "water_nodes")["node_id"])
    assert set(made.layer(1, "water_pipes")["to_node"]) <= nodes


def test_memory_does_not_grow_with_the_city(tmp_path, monkeypatch):
    monkeypatch.setattr(stretch, "BUILDINGS_A_STRETCH", 1000)
    peaks = []
    # the first city warms up what is loaded once only
    for place, buildings in enumerate((500, 2000, 20_000)):
        tracemalloc.start()
        generate_city(
            tmp_path / str(place), buildings=buildings, deliveries=1, seed=1,
            progress=lambda _: None,
        )  # fmt: skip
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 2 * peaks[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"buildings": 100}, "--buildings is 100, expected at least 500"),
        ({"deliveries": 0}, "--deliveries is 0, expected 1 to 24"),
        ({"deliveries": 25}, "--deliveries is 25, expected 1 to 24"),
        ({"seed": -1}, "--seed is -1, expected 0 or more"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, arguments, message):
    wanted = {"buildings": 500, "deliveries": 1, "seed": 1, **arguments}
    with pytest.raises(DeclarationError, match=message):
        generate_city(tmp_path / "city", progress=lambda _: None, **wanted)


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DeclarationError, match="the folder is in use"):
        generate_city(tmp_path, buildings=500, deliveries=1, seed=1, progress=lambda _: None)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_progress_is_told(tmp_path):
    told = []
    generate_city(tmp_path / "c", buildings=500, deliveries=1, seed=1, progress=told.append)
    assert told == ["500 of 500 buildings in 1 deliveries", "delivery_1 packed"]
