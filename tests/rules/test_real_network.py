"""The network kinds on a real water network, whose own topology table says what is right.

Sant Boi's network names the two nodes of each pipe, so that open ends can be counted without any
geometry.
"""

import datetime as dt

import pandas as pd
import pyogrio
import pytest

from cityframe.model.finding import Scope
from cityframe.rules.check import check_layer
from cityframe.rules.compiled import compile_rules

pytestmark = pytest.mark.city


@pytest.fixture
def network(data_dir):
    path = data_dir / "layers" / "santboi_giswater" / "santboi_base_water.gpkg"
    pipes = pyogrio.read_dataframe(path, layer="ws_arc", columns=["arc_id", "node_1", "node_2"])
    nodes = pyogrio.read_dataframe(path, layer="ws_node", columns=["node_id"])
    # pipes out of service name no nodes
    pipes = pipes.dropna(subset=["node_1", "node_2"])
    return pipes.assign(uid=pipes["arc_id"].astype(str)), nodes.assign(
        uid=nodes["node_id"].astype(str)
    )


@pytest.fixture
def check(network, layer_of, rule_of):
    """Return a function that checks the pipes with one rule."""
    pipes, nodes = network
    layers = {
        "things": layer_of("things", "LineString", crs="EPSG:25831"),
        "nodes": layer_of("nodes", "Point", crs="EPSG:25831"),
    }

    def run(kind, pipes=pipes, nodes=nodes, **parameters):
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


def test_every_pipe_ends_on_its_nodes(check):
    assert check("ends_on_nodes", layer="nodes", tolerance_m=0.01).empty


def test_a_node_that_is_taken_away_is_missed_by_its_pipes(check, network):
    pipes, nodes = network
    for node in nodes["node_id"].iloc[::40]:
        attached = pipes[(pipes["node_1"] == node) | (pipes["node_2"] == node)]
        found = check(
            "ends_on_nodes", nodes=nodes[nodes["node_id"] != node], layer="nodes", tolerance_m=0.01
        )
        assert set(found["uid"]) == set(attached["uid"])


def test_open_ends_are_the_nodes_with_one_pipe(check, network):
    pipes, _ = network
    pipes_of = pd.concat([pipes["node_1"], pipes["node_2"]]).value_counts()
    open_nodes = set(pipes_of.index[pipes_of == 1])
    has_open_end = pipes["node_1"].isin(open_nodes) | pipes["node_2"].isin(open_nodes)
    assert set(check("dangles")["uid"]) == set(pipes.loc[has_open_end, "uid"])
