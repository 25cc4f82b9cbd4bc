"""Releases and layer versions as the store keeps them in rows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cityframe.model.release import LayerVersion, Release, ReleaseKind


@dataclass(frozen=True, slots=True)
class LayerState:
    """One layer's version and the order-free sum from which its digest is made."""

    version: LayerVersion
    total: int


def version_of(row: sa.RowMapping) -> LayerVersion:
    """Return a layer's version from its row."""
    return LayerVersion(
        layer=row["layer"],
        count=row["count"],
        digest=row["digest"],
        changes=json.loads(row["changes"]),
    )


def release_of(row: sa.RowMapping, layers: Sequence[LayerVersion]) -> Release:
    """Return a release from its row and its layers."""
    return Release(
        number=row["number"],
        kind=ReleaseKind(row["kind"]),
        created_at=row["created_at"],
        cycle=row["cycle"],
        digest=row["digest"],
        layers=tuple(layers),
        evidence=json.loads(row["evidence"]),
    )
