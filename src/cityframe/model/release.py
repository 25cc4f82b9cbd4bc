"""A release: a numbered, time-stamped, immutable version of all layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ReleaseKind(StrEnum):
    """How a release came about."""

    CYCLE = "cycle"
    ROLLBACK = "rollback"
    REDACTION = "redaction"


@dataclass(frozen=True, slots=True)
class LayerVersion:
    """One layer in one release: how many features, their digest, what changed.

    Attributes
    ----------
    digest : str
        Order-free digest over the row digests; see ``docs/formats/digest.md``.
    changes : mapping of str to int
        Features by `ChangeKind`, against the parent release.
    opened, closed : str
        Digests over the seals of the history rows that the release opened and closed; see
        ``docs/formats/store.md``.
    """

    layer: str
    count: int
    digest: str
    changes: Mapping[str, int]
    opened: str = ""
    closed: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """One release with the proof that let it in.

    Attributes
    ----------
    number : int
        1 for the first; the parent is ``number - 1``.
    digest : str
        Chain digest over the parent's digest, the layers and the evidence.
    parent : str
        Chain digest of the parent; empty for the first.
    valid_at : str
        Reference time: the release's state is what it knew of this moment. ISO 8601 in UTC.
    evidence : mapping
        Rule-set digest, report digest, decisions, deliveries and stale sources.
    """

    number: int
    kind: ReleaseKind
    created_at: str
    cycle: str
    digest: str
    layers: tuple[LayerVersion, ...]
    evidence: Mapping[str, Any]
    parent: str = ""
    valid_at: str = ""
