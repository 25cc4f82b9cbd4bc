"""The city as it begins has no defects: looked at with shapely alone."""

import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.demo.layers import KEYS

FULL_LAYERS = [name for name in KEYS if name != "pois"]


def geometry(city, layer):
    return city.layer(1, layer).geometry.to_numpy()


@pytest.mark.parametrize("layer", FULL_LAYERS)
def test_every_feature_has_a_key_of_its_own_and_a_valid_geometry(city, layer):
    frame = city.layer(1, layer)
    assert frame[KEYS[layer]].notna().all()
    assert frame[KEYS[layer]].is_unique
    assert shapely.is_valid(geometry(city, layer)).all()
    assert not shapely.is_empty(geometry(city, layer)).any()


@pytest.mark.parametrize("layer", ["parcels", "buildings", "roads", "boundaries"])
def test_vertices_are_apart(city, layer):
    shapes = geometry(city, layer)
    assert (
        shapely.get_num_coordinates(shapely.remove_repeated_points(shapes, 0.05))
        == shapely.get_num_coordinates(shapes)
    ).all()


def test_parcels_cover_each_block_without_gap_or_overlap(city):
    parcels = geometry(city, "parcels")
    assert shapely.coverage_is_valid(parcels)
    blocks = shapely.get_parts(shapely.coverage_union_all(parcels))
    assert shapely.get_num_interior_rings(blocks).sum() == 0
    assert len(blocks) > 20


def test_registered_areas_are_those_of_the_polygons(city):
    parcels = city.layer(1, "parcels")
    difference = parcels["registered_area_m2"] - parcels.geometry.area
    assert difference.abs().max() < 0.01
    has_both = parcels[parcels["expires_on"].notna()]
    assert (has_both["expires_on"] > has_both["registered_on"]).all()


def test_buildings_stand_apart_inside_the_parcel_that_they_name(city):
    buildings = city.layer(1, "buildings")
    parcels = city.keyed(1, "parcels")
    own = parcels.loc[buildings["parcel_id"]].geometry.to_numpy()
    assert shapely.contains_properly(own, buildings.geometry.to_numpy()).all()
    tree = shapely.STRtree(buildings.geometry.to_numpy())
    one, other = tree.query(buildings.geometry.to_numpy(), predicate="intersects")
    assert (one == other).all()


def test_buildings_have_many_shapes_and_fitting_heights(city):
    buildings = city.layer(1, "buildings")
    vertices = shapely.get_num_coordinates(buildings.geometry.to_numpy())
    assert {5, 7, 9, 10, 13} <= set(vertices)
    assert shapely.get_num_interior_rings(buildings.geometry.to_numpy()).max() == 1
    storey = buildings["height_m"] / buildings["floors"]
    assert storey.between(2.8, 9).all()
    assert buildings["built_on"].between("1900-01-01", city.manifest.deliveries[0].day).all()
    assert set(buildings["use"]) >= {"11", "12", "21", "31", "61"}


def test_no_building_stands_in_a_road(city):
    roads = geometry(city, "roads")
    tree = shapely.STRtree(geometry(city, "buildings"))
    _, met = tree.query(roads, predicate="dwithin", distance=5.0)
    assert len(met) == 0


def test_no_road_ends_in_the_open(city, shared_ends):
    assert shared_ends(geometry(city, "roads")).min() >= 2


def test_boundaries_nest_exactly_and_their_codes_too(city):
    boundaries = city.keyed(1, "boundaries")
    levels = {name: boundaries[boundaries["level"] == name] for name in ("city", "district")}
    streets = boundaries[boundaries["level"] == "street"]
    assert len(levels["city"]) == 1
    assert 4 <= len(levels["district"]) <= 9
    for parts in (streets, levels["district"]):
        assert shapely.coverage_is_valid(parts.geometry.to_numpy())
        for parent, children in parts.groupby("parent_code"):
            union = shapely.coverage_union_all(children.geometry.to_numpy())
            assert shapely.equals(union, boundaries.loc[parent].geometry)
            assert children["population"].sum() == boundaries.loc[parent, "population"]
    assert (streets["code"].str[:6] == streets["parent_code"]).all()
    assert set(streets["code"].str.len()) == {9}


def test_addresses_stand_in_their_building_and_district(city):
    addresses = city.layer(1, "addresses")
    assert addresses["full_address"].is_unique
    houses = shapely.STRtree(geometry(city, "buildings"))
    inside, _ = houses.query(addresses.geometry.to_numpy(), predicate="within")
    assert len(np.unique(inside)) == len(addresses)
    districts = city.keyed(1, "boundaries").loc[addresses["district_code"]]
    assert shapely.within(addresses.geometry.to_numpy(), districts.geometry.to_numpy()).all()
    assert addresses["full_address"].str.contains("号").all()
    assert set(addresses["road_name"]) <= set(city.layer(1, "roads")["name"])


def test_points_of_interest_name_addresses_that_are_there(city):
    pois = city.delivery(1).pois()
    assert set(pois["操作"]) == {"新增"}
    assert pois["poi_id"].is_unique
    known = set(city.layer(1, "addresses")["full_address"])
    plain = pois["address"].str.normalize("NFKC").str.replace(" ", "")
    assert set(plain) <= known
    assert (plain != pois["address"]).any()


@pytest.mark.parametrize("kind", ["water", "sewer"])
def test_pipes_end_on_the_nodes_that_they_name(city, kind):
    nodes, pipes = city.keyed(1, f"{kind}_nodes"), city.layer(1, f"{kind}_pipes")
    lines = pipes.geometry.to_numpy()
    for end, column in ((0, "from_node"), (-1, "to_node")):
        named = nodes.loc[pipes[column]].geometry.to_numpy()
        assert shapely.equals_identical(shapely.get_point(lines, end), named).all()


def test_sewers_fall_below_the_ground(city):
    pipes, nodes = city.layer(1, "sewer_pipes"), city.layer(1, "sewer_nodes")
    assert (pipes["invert_start_m"] > pipes["invert_end_m"]).all()
    z = shapely.get_coordinates(pipes.geometry.to_numpy(), include_z=True)[:, 2].reshape(-1, 2)
    assert (z == pipes[["invert_start_m", "invert_end_m"]].to_numpy()).all()
    assert (nodes["invert_m"] < nodes["ground_m"]).all()


def test_the_register_names_buildings_that_are_there(city):
    housing = city.delivery(1).housing()
    share = len(housing) / len(city.layer(1, "buildings"))
    assert 0.2 < share < 0.4
    assert set(housing["building_id"]) <= set(city.layer(1, "buildings")["building_id"])
    assert pd.to_numeric(housing["households"]).min() >= 0
