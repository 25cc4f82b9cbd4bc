"""What is fixed while a feed of a delivery is reconciled: declarations, answers, history."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import geopandas as gpd
from shapely.geometry.base import BaseGeometry

from cityframe.config.source import Feed, Source
from cityframe.core.matching.learned import Scorer, read_scorer
from cityframe.model.change import ChangeKind
from cityframe.model.delivery import Delivery, SourceKind
from cityframe.model.layer import Layer
from cityframe.model.question import Answer
from cityframe.pipeline.city import City
from cityframe.pipeline.feed_history import absences, feed_effects
from cityframe.pipeline.plan import read_plan
from cityframe.pipeline.questions import constraints_of
from cityframe.reconcile import CurrentLayer, Setting
from cityframe.reconcile.coverage import covered_area


def feed_setting(
    city: City,
    cycle: str,
    source: Source,
    feed: Feed,
    name: str,
    delivery: Delivery,
    *,
    current: CurrentLayer,
    answers: tuple[Answer, ...],
    framework_layer: Callable[[str], gpd.GeoDataFrame],
) -> Setting:
    """Return the setting of one feed of a delivery.

    Parameters
    ----------
    name : str
        Name of the feed in accounts, as ``00-parcels``.
    current : CurrentLayer
        The layer as it stands.
    framework_layer : callable
        Gives the current frame of any layer; for the area that the feed covers.

    Raises
    ------
    DeclarationError
        If the declared coverage has no area, or the scorer can't be read.
    """
    layer = city.workspace.layer(feed.layer)
    history = feed_effects(city, cycle, delivery.id, name)
    return Setting(
        layer=layer,
        feed=feed,
        delivery=delivery,
        delivery_kind=source.delivery,
        accuracy_m=source.accuracy_of(feed),
        node=city.workspace.node,
        rules=city.workspace.reconciling[layer.name],
        constraints=constraints_of(city, answers, layer.name, current.index()["uid"]),
        base=read_plan(city, cycle).bases.get(delivery.id),
        area=_area(city, source, feed, layer, framework_layer),
        borders=_borders(city, layer, framework_layer),
        nodes=frozenset(
            one.name for one in city.workspace.sources.values() if one.kind is SourceKind.NODE
        ),
        scorer=_scorer(city.workspace.root / feed.matching.model) if feed.matching.model else None,
        removal_history=[one.share(ChangeKind.REMOVED) for one in history if one.count],
        former=history,
        absent_before=absences(city, cycle, delivery.id, name),
    )


def _area(
    city: City,
    source: Source,
    feed: Feed,
    layer: Layer,
    framework_layer: Callable[[str], gpd.GeoDataFrame],
) -> BaseGeometry | None:
    if feed.coverage is None:
        return None
    features = framework_layer(feed.coverage.layer)
    where = str(city.workspace.root / "sources" / f"{source.name}.yaml")
    return covered_area(features.to_crs(layer.crs), feed.coverage, where=where)


def _borders(
    city: City, layer: Layer, framework_layer: Callable[[str], gpd.GeoDataFrame]
) -> gpd.GeoDataFrame | None:
    edges = city.workspace.reconciling[layer.name].edges
    return None if edges is None else framework_layer(edges.borders).to_crs(layer.crs)


@lru_cache(maxsize=8)
def _scorer(path: Path) -> Scorer:
    return read_scorer(path)
