import datetime as dt
import shutil

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Polygon, box

from cityframe.errors import IntegrityError
from cityframe.products.package import apply_change, invert, verify

# a failing town is small enough as it is, and slow to shrink
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
MOMENTS = st.integers(0, 7_000_000_000_000).map(
    lambda milliseconds: pd.Timestamp(milliseconds, unit="ms", tz="UTC")
)
PLACES = st.integers(0, 10**7).map(lambda millimetres: 500_000 + millimetres / 1000)
SIZES = st.integers(1, 5_000).map(lambda millimetres: millimetres / 1000)
POLYGONS = st.one_of(
    st.none(),
    st.just(Polygon()),
    st.builds(lambda x, y, size: box(x, y, x + size, y + size), PLACES, PLACES, SIZES),
)
LINES = st.builds(
    lambda x, y, size, z: LineString([(x, y, z), (x + size, y, z), (x, y + size, -z)]),
    PLACES, PLACES, SIZES, SIZES,
)  # fmt: skip


def rows(**columns):
    strategies = {name: st.none() | strategy for name, strategy in columns.items()}
    strategies["geometry"] = columns["geometry"]
    strategies["delivery"] = st.sampled_from([None, "survey-1", "民政-2"])
    strategies["record"] = st.none() | st.integers(0, 2**63 - 1)
    strategies["basis"] = st.sampled_from([None, "rule 3"])
    valid_from = st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-03T04:05:06.789Z"])
    row = st.fixed_dictionaries({**strategies, "valid_from": valid_from})
    return st.dictionaries(st.text("abcß楼𠮷", min_size=1, max_size=2), row, max_size=6)


STATES = st.fixed_dictionaries(
    {
        "buildings": rows(
            name=TEXT,
            floors=st.integers(-(2**63), 2**63 - 1),
            height_m=st.floats(allow_nan=False),
            is_listed=st.booleans(),
            built=st.dates(dt.date(1000, 1, 1)).map(pd.Timestamp),
            surveyed_at=MOMENTS,
            geometry=POLYGONS,
        ),
        "pipes": rows(material=TEXT, geometry=LINES),
        "permits": rows(holder=TEXT, geometry=st.none()),
    }
)


@settings(max_examples=4, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(first=STATES, second=STATES, third=STATES)
def test_full_is_the_change_applied_to_the_full_before_and_the_inverse(
    tmp_path_factory, new_town, same_bytes, first, second, third
):
    folder = tmp_path_factory.mktemp("releases")
    town = new_town()
    before = {name: {} for name in first}
    for state in (first, second, third):
        # keep half of what was there as it was, so that releases share features
        kept = {
            name: {uid: row for uid, row in before[name].items() if ord(uid[0]) % 2}
            for name in state
        }
        after = {name: {**state[name], **kept[name]} for name in state}
        town.commit(
            **{
                name: {**dict.fromkeys(before[name].keys() - after[name].keys()), **after[name]}
                for name in state
            }
        )
        before = after
    town.build_full(folder / "applied1", 1)
    for number in (2, 3):
        town.build_full(folder / f"full{number}", number)
        town.build_change(folder / f"change{number}", number)
        base = folder / f"applied{number - 1}"
        verify(folder / f"change{number}", base=base)  # the inverse gives the base back
        apply_change(base, folder / f"change{number}", folder / f"applied{number}")
        assert same_bytes(folder / f"full{number}", folder / f"applied{number}") == []
        invert(folder / f"change{number}", folder / f"inverse{number}")
        verify(folder / f"inverse{number}", base=folder / f"full{number}")
        back = folder / f"back{number - 1}"
        apply_change(folder / f"full{number}", folder / f"inverse{number}", back)
        differing = same_bytes(base, back)
        assert {name.split(".")[0] for name in differing} <= {"manifest", "NOTES"}
    shutil.rmtree(folder)


@pytest.mark.parametrize("formats", [["gpkg"], ["geoparquet"]])
def test_the_result_has_the_formats_of_the_base(tmp_path, town, formats, same_bytes):
    town.build_full(tmp_path / "full1", 1, formats=formats)
    town.build_full(tmp_path / "full2", 2, formats=formats)
    town.build_change(tmp_path / "change2", 2)
    apply_change(tmp_path / "full1", tmp_path / "change2", tmp_path / "applied")
    assert same_bytes(tmp_path / "full2", tmp_path / "applied") == []


def test_large_layers_are_merged_batch_by_batch(tmp_path, new_town, make_permit, same_bytes):
    town = new_town()
    town.commit(permits={f"d{n:06d}": make_permit("a") for n in range(0, 140_000, 2)})
    town.commit(
        permits={
            **{f"d{n:06d}": make_permit("new") for n in range(1, 140_000, 7_001)},
            **{f"d{n:06d}": None for n in range(0, 140_000, 20_000)},
            "d131070": make_permit("last row of the first group"),
            "d131072": None,
            "e": make_permit("behind all"),
            "a": make_permit("before all"),
        }
    )
    town.build_full(tmp_path / "full1", 1, batch_rows=30_000, formats=["geoparquet"])
    town.build_full(tmp_path / "full2", 2, batch_rows=50_000, formats=["geoparquet"])
    town.build_change(tmp_path / "change2", 2, formats=["geoparquet"])
    apply_change(tmp_path / "full1", tmp_path / "change2", tmp_path / "applied")
    assert same_bytes(tmp_path / "full2", tmp_path / "applied") == []


def test_a_change_is_not_applied_twice_nor_over_a_gap(folders, town):
    with pytest.raises(IntegrityError, match="release 2, expected release 1"):
        apply_change(folders / "full2", folders / "change2", folders / "again")
    town.commit(permits={"d2": None})
    town.build_change(folders / "change3", 3)
    with pytest.raises(IntegrityError, match="release 1, expected release 2"):
        apply_change(folders / "full1", folders / "change3", folders / "gap")
    assert not (folders / "again").exists()
    assert not (folders / "gap").exists()


def test_a_damaged_change_is_not_applied(folders):
    path = folders / "change2" / "buildings.changes.parquet"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(IntegrityError, match=r"change2/buildings\.changes\.parquet"):
        apply_change(folders / "full1", folders / "change2", folders / "into")
    assert not (folders / "into").exists()


def test_a_change_that_leads_elsewhere_leaves_nothing(folders, reseal):
    reseal(
        folders / "change2",
        lambda data: data["layers"][0]["after"].update(digest="0" * 32),
    )
    with pytest.raises(IntegrityError, match="release 2 layer buildings: rows that give"):
        apply_change(folders / "full1", folders / "change2", folders / "into")
    assert not (folders / "into").exists()


def test_the_geometry_of_the_base_stays_to_the_last_bit(tmp_path, new_town, make_building):
    # below the precision of the layer: not a change, and not to be rounded away either
    town = new_town()
    ragged = make_building()["geometry"]
    ragged = shapely.transform(ragged, lambda xy: xy + 1 / 3e5)
    town.commit(buildings={"b1": make_building(geometry=ragged)})
    town.commit(buildings={"b2": make_building(east=50)})
    town.build_full(tmp_path / "full1", 1)
    town.build_change(tmp_path / "change2", 2)
    apply_change(tmp_path / "full1", tmp_path / "change2", tmp_path / "full2")
    found = gpd.read_parquet(tmp_path / "full2" / "buildings.parquet").geometry[0]
    assert shapely.equals_identical(found, ragged)
