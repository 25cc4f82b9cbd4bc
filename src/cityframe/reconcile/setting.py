"""What is fixed while a delivery is reconciled with a layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import geopandas as gpd
from shapely.geometry.base import BaseGeometry

from cityframe.config.reconciling import Reconciling
from cityframe.config.source import Feed
from cityframe.core.agreement import Tolerance
from cityframe.core.matching.learned import Scorer
from cityframe.model.delivery import Delivery, DeliveryKind
from cityframe.model.layer import Layer
from cityframe.reconcile.answers import NO_CONSTRAINTS, Constraints
from cityframe.reconcile.former_deliveries import FeedEffect


@dataclass(frozen=True)
class Setting:
    """Contract, declarations, answers and history that one delivery of one feed is seen in.

    Attributes
    ----------
    accuracy_m : float
        Declared mean error of a point in the delivery, in metres.
    node : str
        Name of the city among those that exchange with it; new uids depend on it.
    rules : Reconciling
        How the layer is reconciled.
    constraints : Constraints
        What people answered about the layer and the source.
    base : int, optional
        The release that the source worked from.
    area : geometry, optional
        Of which a full delivery speaks; everywhere by default.
    borders : GeoDataFrame, optional
        The districts whose features must meet (``rules.edges``), in the CRS of the layer.
    nodes : frozenset of str
        Sources of kind ``node``.
    scorer : Scorer, optional
        A trained scorer of pairs.
    removal_history : sequence of float
        Shares of the layer that former deliveries of the feed removed.
    former : sequence of FeedEffect
        What those deliveries did.
    absent_before : mapping of str to int
        From how many full deliveries in a row a feature was absent before this one, by uid.
    held_keys, held_uids : frozenset of str
        Features of which a record was returned before: they are not absent.
    held_records : frozenset of int
        Numbers of records that were returned before: they are matched, so that their features are
        not taken as absent, and nothing else; they get no fate.
    """

    layer: Layer
    feed: Feed
    delivery: Delivery
    delivery_kind: DeliveryKind
    accuracy_m: float
    node: str = ""
    rules: Reconciling = field(default_factory=Reconciling)
    constraints: Constraints = NO_CONSTRAINTS
    base: int | None = None
    area: BaseGeometry | None = None
    borders: gpd.GeoDataFrame | None = None
    nodes: frozenset[str] = frozenset()
    scorer: Scorer | None = None
    removal_history: Sequence[float] = ()
    former: Sequence[FeedEffect] = ()
    absent_before: Mapping[str, int] = field(default_factory=dict)
    held_keys: frozenset[str] = frozenset()
    held_uids: frozenset[str] = frozenset()
    held_records: frozenset[int] = frozenset()

    @property
    def tolerance(self) -> Tolerance:
        """What the accuracies of layer and delivery explain."""
        return Tolerance.between(self.layer.accuracy_m, self.accuracy_m)

    @property
    def infers_absence(self) -> bool:
        """Whether a feature of which no record speaks goes."""
        return self.delivery_kind in (DeliveryKind.FULL, DeliveryKind.LAYERS_CHANGED_ONLY)
