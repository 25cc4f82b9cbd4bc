"""What goes into a package: a layer's features, or what changed in a layer, and the head."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import geopandas as gpd

from cityframe.model.layer import Layer
from cityframe.model.text import Title
from cityframe.products.package.manifest import (
    PackagedRelease,
    PackageFormat,
    PackageKind,
    Recall,
)
from cityframe.products.package.records import LineageEvent, Redaction

Batches = Iterable[gpd.GeoDataFrame]


@dataclass(frozen=True)
class LayerContent:
    """One layer of a full package.

    Attributes
    ----------
    layer : Layer
        Its contract.
    batches : iterable of GeoDataFrame, or a function that gives one
        Layer frames in the layer's CRS with ``uid``, ``valid_from``, the attributes, the geometry
        and, where known, ``delivery``, ``record``, ``basis`` (provenance) and ``digest`` (the row
        digests); over all batches sorted by uid, each uid once. Batches of any size, read once; no
        more than one is kept.
    """

    layer: Layer
    batches: Batches | Callable[[], Batches]


@dataclass(frozen=True)
class LayerDelta:
    """One layer of a change package.

    Attributes
    ----------
    layer : Layer
        The contract after.
    removed : GeoDataFrame
        Features as they were: ``uid``, ``valid_from``, ``change`` (a `ChangeKind`), the
        attributes, the geometry and, where known, ``delivery``, ``record``, ``basis`` (provenance
        of the row as it was), ``digest``, ``ended_by`` (delivery that ended a feature that is
        gone), ``withheld`` (names, joined by commas, of attributes whose values were redacted).
    added : GeoDataFrame
        Features as they are after, without ``change``; where known, with
        ``has_new_attributes``. A changed feature stands in both frames, a removed one in the
        first, a new one in the second.
    layer_before : Layer or None
        The contract of ``removed``, if it is another one.
    """

    layer: Layer
    removed: gpd.GeoDataFrame
    added: gpd.GeoDataFrame
    layer_before: Layer | None = None


@dataclass(frozen=True)
class PackageHead:
    """What a package says of itself beside its layers; as in the manifest and its records."""

    kind: PackageKind
    inverse: bool
    release: PackagedRelease
    parent: PackagedRelease | None
    title: Title
    remarks: Title
    formats: tuple[PackageFormat, ...]
    recalls: tuple[Recall, ...]
    lineage: tuple[LineageEvent, ...]
    redactions: tuple[Redaction, ...]
    quality: bytes
