"""The network kinds on real networks, whose own topology tables say what is right.

Sant Boi's water network, Schutterwald's gas network and Bellinge's sewers name the two nodes of
each pipe, so that the truth can be told without any geometry.
"""

import datetime as dt
import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cityframe.model.finding import Scope
from cityframe.rules.check import check_layer
from cityframe.rules.compiled import compile_rules

pytestmark = pytest.mark.city


@pytest.fixture
def network(data_dir):
    path = data_dir / "layers" / "santboi_giswater" / "santboi_base_water.gpkg"
    columns = ["arc_id", "node_1", "node_2", "arccat_id"]
    pipes = pyogrio.read_dataframe(path, layer="ws_arc", columns=columns)
    nodes = pyogrio.read_dataframe(path, layer="ws_node", columns=["node_id", "nodecat_id"])
    # pipes out of service name no nodes
    pipes = pipes.dropna(subset=["node_1", "node_2"]).reset_index(drop=True)
    return pipes.assign(uid=pipes["arc_id"].astype(str)), nodes.assign(
        uid=nodes["node_id"].astype(str)
    )


@pytest.fixture
def gas(data_dir):
    """Return the pipes of the gas network, straight from junction to junction."""
    path = data_dir / "utilities" / "schutterwald" / "gas_net_schutterwald_1bar.json"
    net = json.loads(path.read_text(encoding="utf-8"))["_object"]
    pipes, places = (
        pd.DataFrame(**json.loads(net[name]["_object"])) for name in ("pipe", "junction_geodata")
    )
    ends = [places.loc[pipes[name], ["x", "y"]] for name in ("from_junction", "to_junction")]
    lines = shapely.linestrings(np.stack([np.asarray(one) for one in ends], axis=1))
    uid = pipes.index.astype(str)
    return gpd.GeoDataFrame(pipes.assign(uid=uid), geometry=lines, crs="EPSG:31467")


@pytest.fixture
def sewers(data_dir):
    """Return the sewers with the floor levels of their manholes, and the outfall."""
    path = data_dir / "utilities" / "swmm" / "bellinge_small_graph.json"
    graph = json.loads(path.read_text(encoding="utf-8"))
    pipes = pd.DataFrame(graph["links"]).rename(columns={"id": "uid"})
    nodes = pd.DataFrame(graph["nodes"]).set_index("id")
    floor = nodes["chamber_floor_elevation"]
    pipes["top_m"], pipes["low_m"] = (floor.loc[pipes[end]].to_numpy() for end in "uv")
    lines = gpd.GeoSeries.from_wkt(pipes.pop("geometry"), crs="EPSG:32632")
    last = nodes[~nodes.index.isin(pipes["u"])]
    outfall = gpd.GeoDataFrame(
        {"uid": last.index}, geometry=gpd.points_from_xy(last["x"], last["y"]), crs="EPSG:32632"
    )
    return gpd.GeoDataFrame(pipes, geometry=lines), outfall


@pytest.fixture
def check(layer_of, rule_of):
    """Return a function that checks pipes with one rule."""

    def run(kind, pipes, nodes=None, /, **parameters):
        real = dict.fromkeys(("diameter", "diameter_m", "top_m", "low_m"), "real")
        attributes = {"arccat_id": "string", **real}
        layers = {
            "things": layer_of("things", "LineString", attributes, crs="EPSG:25831"),
            "nodes": layer_of("nodes", "Point", {"nodecat_id": "string"}, crs="EPSG:25831"),
        }
        checked = check_layer(
            compile_rules([rule_of(kind, parameters=parameters)], layers, {}),
            scope=Scope.CANDIDATE,
            layer="things",
            frame=pipes,
            as_of=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            other={"nodes": nodes}.__getitem__,
        )
        assert checked.results[0].message == ""
        return checked.findings

    return run


def _pairs(findings):
    return {frozenset(pair) for pair in zip(findings["uid"], findings["partner"], strict=True)}


def _pairs_of_nodes_with_two(pipes):
    """Return the two pipes of each node that has just two, by the table."""
    ends = pd.concat([pipes[["uid", end]].set_axis(["uid", "node"], axis=1)
                      for end in ("node_1", "node_2")])  # fmt: skip
    groups = ends.groupby("node")["uid"].agg(frozenset)
    counts = ends.groupby("node").size()
    return set(groups[counts == 2])


def test_every_pipe_ends_on_its_nodes(check, network):
    assert check("ends_on_nodes", *network, layer="nodes", tolerance_m=0.01).empty


def test_a_node_that_is_taken_away_is_missed_by_its_pipes(check, network):
    pipes, nodes = network
    for node in nodes["node_id"].iloc[::40]:
        attached = pipes[(pipes["node_1"] == node) | (pipes["node_2"] == node)]
        others = nodes[nodes["node_id"] != node]
        found = check("ends_on_nodes", pipes, others, layer="nodes", tolerance_m=0.01)
        assert set(found["uid"]) == set(attached["uid"])


def test_open_ends_are_the_nodes_with_one_pipe(check, network):
    pipes, _ = network
    pipes_of = pd.concat([pipes["node_1"], pipes["node_2"]]).value_counts()
    open_nodes = set(pipes_of.index[pipes_of == 1])
    has_open_end = pipes["node_1"].isin(open_nodes) | pipes["node_2"].isin(open_nodes)
    assert set(check("dangles", pipes)["uid"]) == set(pipes.loc[has_open_end, "uid"])


def test_a_pipe_that_is_cut_short_or_drawn_on_is_found_alone(check, network):
    pipes, _ = network
    assert check("undershoots", pipes, max_gap_m=2.0).empty
    assert check("overshoots", pipes, max_tail_m=2.0).empty
    pipes_of = pd.concat([pipes["node_1"], pipes["node_2"]]).value_counts()
    at_branch = pipes["node_2"].map(pipes_of).ge(3) & pipes.length.gt(20)
    for row in np.flatnonzero(at_branch)[::20]:
        lines = np.array(pipes.geometry)
        xy = shapely.get_coordinates(lines[row])
        step = (xy[-1] - xy[-2]) / np.hypot(*(xy[-1] - xy[-2])) * 0.2
        lines[row] = shapely.LineString([*xy[:-1], xy[-1] - step])
        found = check("undershoots", pipes.set_geometry(lines, crs=pipes.crs), max_gap_m=0.5)
        assert found["uid"].tolist() == [pipes["uid"].iloc[row]]
        lines[row] = shapely.LineString([*xy, xy[-1] + step])
        found = check("overshoots", pipes.set_geometry(lines, crs=pipes.crs), max_tail_m=0.5)
        assert found["uid"].tolist() == [pipes["uid"].iloc[row]]


def test_nodes_between_two_pipes_are_those_of_the_table(check, network):
    pipes, nodes = network
    assert _pairs(check("pseudo_nodes", pipes)) == _pairs_of_nodes_with_two(pipes)
    fittings = {"layer": "nodes"}
    assert check("pseudo_nodes", pipes, nodes, nodes=fittings, tolerance_m=0.01).empty


def test_the_one_change_of_pipe_without_a_fitting_is_found(check, network):
    pipes, nodes = network
    catalogue = pipes.set_index("uid")["arccat_id"]
    changes = {
        pair for pair in _pairs_of_nodes_with_two(pipes) if len(set(catalogue[list(pair)])) > 1
    }
    assert _pairs(check("node_jumps", pipes, column="arccat_id")) == changes
    assert len(changes) == 18
    fittings = sorted(
        name
        for name in nodes["nodecat_id"].unique()
        if name.startswith(("REDUC", "JUNCTION CHNGMAT", "REGISTER"))
    )
    joined = ", ".join(repr(name) for name in fittings)
    found = check(
        "node_jumps",
        pipes,
        nodes,
        column="arccat_id",
        transitions={"layer": "nodes", "where": f"nodecat_id in ({joined})"},
        tolerance_m=0.01,
    )
    assert _pairs(found) == {frozenset({"2039", "2040"})}


def test_a_valve_that_closes_cuts_off_what_the_table_says(check, network):
    pipes, nodes = network
    names = pd.unique(pd.concat([pipes["node_1"], pipes["node_2"]]))
    wells = nodes[nodes["nodecat_id"].str.startswith(("WATERWELL", "TANK", "SOURCE", "ETAP"))]
    sources = {"layer": "nodes"}
    assert check("islands", pipes, wells, sources=sources, tolerance_m=0.01).empty
    islands = 0
    for row in range(0, len(pipes), 24):
        rest = pipes.drop(index=row).reset_index(drop=True)
        one, two = (pd.Index(names).get_indexer(rest[end]) for end in ("node_1", "node_2"))
        graph = coo_array((np.ones(len(rest)), (one, two)), (len(names), len(names)))
        _, part = connected_components(graph, directed=False)
        fed = part[pd.Index(names).get_indexer(wells["node_id"])]
        dry = rest.loc[~np.isin(part[one], fed), "uid"]
        found = check("islands", rest, wells, sources=sources, tolerance_m=0.01)
        assert set(found["uid"]) == set(dry)
        islands += len(dry) > 0
    assert islands


def test_house_services_side_by_side_are_no_undershoots(check, gas):
    assert len(check("dangles", gas, near_m=2.0)) > 200
    assert check("undershoots", gas, max_gap_m=2.0).empty
    assert check("overshoots", gas, max_tail_m=2.0).empty
    assert check("islands", gas, min_length_m=1000.0).empty


def test_gas_pipes_that_narrow_are_those_of_the_table(check, gas):
    widest = gas.groupby("from_junction")["diameter_m"].max()
    onward = gas["to_junction"].map(widest)
    narrows = gas.loc[onward < gas["diameter_m"] - 1e-9, "uid"]
    found = check("node_jumps", gas, column="diameter_m", downstream=True)
    assert set(found["uid"]) | set(found["partner"]) >= set(narrows)
    assert len(found) == len(narrows) == 25


def test_the_sewer_that_narrows_is_found_and_the_slopes_are_sound(check, sewers):
    pipes, outfall = sewers
    levels = {"start": "top_m", "end": "low_m"}
    outlets = {"layer": "nodes"}
    narrow = check("node_jumps", pipes, column="diameter", downstream=True)
    assert _pairs(narrow) == {frozenset({"G72F820_G72F810_l1", "G72F810_G72F800_l1"})}
    slopes = {"levels": levels, "min_permille": 2.0, "max_step_up_m": 0.0}
    assert check("gravity_slope", pipes, **slopes).empty
    assert check("flow_direction", pipes, outfall, outlets=outlets, tolerance_m=0.01).empty


def test_a_sewer_drawn_the_wrong_way_runs_against_the_others_and_uphill(check, sewers):
    pipes, outfall = sewers
    row = int(np.flatnonzero(pipes["uid"] == "G72F810_G72F800_l1")[0])
    lines = np.array(pipes.geometry)
    lines[row] = shapely.reverse(lines[row])
    turned = pipes.set_geometry(lines, crs=pipes.crs)
    swapped = turned.loc[row, ["low_m", "top_m"]].to_numpy()
    turned.loc[row, ["top_m", "low_m"]] = swapped
    found = check("gravity_slope", turned, levels={"start": "top_m", "end": "low_m"})
    assert found["uid"].tolist() == ["G72F810_G72F800_l1"]
    flow = check("flow_direction", turned, outfall, outlets={"layer": "nodes"}, tolerance_m=0.01)
    assert flow["uid"].tolist() == ["G72F810_G72F800_l1"]
    assert flow["partner"].tolist() == [""]
