"""Tiles on a Dask cluster of two worker processes on this machine."""

import datetime as dt
import os
import signal
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.errors import DeclarationError
from cityframe.rules.checking.distributed_tiles import Cluster
from cityframe.rules.checking.execution import Threads
from cityframe.rules.checking.gathering import gather
from cityframe.rules.checking.running import try_rules
from cityframe.rules.compiled import compile_rules
from cityframe.rules.context import Context

distributed = pytest.importorskip("distributed")

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SIDE = 24


@pytest.fixture(scope="module")
def client():
    """Return a client of two processes that are started again when they die."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            worker_dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def check(layer_of, rule_of):
    """Return a function that checks houses that overlap here and there, and hold a point or not."""
    layer = layer_of("things", "Polygon")
    points = layer_of("points", "Point")
    x, y = (one.ravel() for one in np.meshgrid(np.arange(SIDE), np.arange(SIDE)))
    wide = np.choose((x * 7 + y * 3) % 11, [1.4, 0.8, *[1.0] * 9])
    frame = gpd.GeoDataFrame(
        {"uid": [f"f{one:04}" for one in range(len(x))]},
        geometry=gpd.GeoSeries(shapely.box(x, y, x + wide, y + 1), crs=layer.crs),
    )
    inside = gpd.GeoDataFrame(
        {"uid": frame["uid"]}, geometry=gpd.GeoSeries(shapely.points(x + 0.5, y + 0.5))
    ).set_crs(points.crs)
    rules = compile_rules(
        [
            rule_of("overlaps"),
            rule_of("minimum_area", parameters={"min_m2": 1.2}),
            rule_of("one_point_a_polygon", parameters={"layer": "points"}),
            rule_of("gaps"),
        ],
        {"things": layer, "points": points},
        {},
    )

    def run(execution):
        context = Context(
            layer=layer,
            frame=frame,
            layers=rules.layers,
            as_of=AS_OF,
            read_other={"points": inside[::3]}.__getitem__,
        )
        return [
            (attempt.message, gather(context, attempt, delivery="").findings.to_wkb())
            for attempt in try_rules(context, rules.rules, execution)
        ]

    return run


def _assert_equal(ones, others):
    for (message, findings), (other_message, other_findings) in zip(ones, others, strict=True):
        assert message == other_message == ""
        pd.testing.assert_frame_equal(findings, other_findings)
    assert all(len(findings) for _, findings in others)


def test_a_cluster_finds_what_threads_find(client, check):
    _assert_equal(check(Cluster(client, tile_rows=40)), check(Threads(tile_rows=10_000)))


def test_a_worker_that_is_killed_in_the_middle_costs_no_finding(client, check, monkeypatch):
    workers = client.run(os.getpid)
    answered = []

    def killing(cluster, whole, jobs):
        for answer in run(cluster, whole, jobs):
            if not answered:
                os.kill(next(iter(workers.values())), signal.SIGKILL)
            answered.append(answer.number)
            yield answer

    run = Cluster.run
    monkeypatch.setattr(Cluster, "run", killing)
    _assert_equal(check(Cluster(client, tile_rows=20)), check(Threads(tile_rows=10_000)))
    assert len(answered) > SIDE
    client.wait_for_workers(2, timeout=15)
    assert set(client.run(os.getpid).values()) != set(workers.values())


def test_without_the_extra_it_says_which_one_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DeclarationError, match="the extra distributed"):
        Cluster(client=None)
