"""Releases and layer versions as the store keeps them in rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cityframe.core.digest import LAYER_SUM_BYTES
from cityframe.model.release import LayerVersion, Release, ReleaseKind


@dataclass(frozen=True, slots=True)
class LayerState:
    """One layer's version and the order-free sum from which its digest is made."""

    version: LayerVersion
    total: int


def version_of(row: Mapping[str, Any]) -> LayerVersion:
    """Return a layer's version from its row."""
    return LayerVersion(
        layer=row["layer"],
        count=row["count"],
        digest=row["digest"],
        changes=json.loads(row["changes"]),
        opened=row["opened"],
        closed=row["closed"],
    )


def row_of(release: int, state: LayerState) -> dict[str, Any]:
    """Return the row of a layer in a release."""
    version = state.version
    return {
        "release": release,
        "layer": version.layer,
        "count": version.count,
        "digest": version.digest,
        "sum": state.total.to_bytes(LAYER_SUM_BYTES, "little"),
        "changes": canonical(version.changes),
        "opened": version.opened,
        "closed": version.closed,
    }


def release_of(row: Mapping[str, Any], layers: Sequence[LayerVersion]) -> Release:
    """Return a release from its row and its layers."""
    return Release(
        number=row["number"],
        kind=ReleaseKind(row["kind"]),
        created_at=row["created_at"],
        cycle=row["cycle"],
        digest=row["digest"],
        layers=tuple(layers),
        evidence=json.loads(row["evidence"]),
        parent=row["parent"],
        valid_at=row["valid_at"],
    )


def canonical(body: Mapping[str, Any]) -> str:
    """Return canonical JSON: sorted keys, no spaces, text as it is."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
