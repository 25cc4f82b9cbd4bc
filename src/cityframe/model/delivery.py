"""A delivery: one immutable, content-addressed pull of one source."""

from dataclasses import dataclass
from enum import StrEnum


class SourceKind(StrEnum):
    """Where a feed comes from."""

    SURVEY = "survey"
    IOT = "iot"
    DEPARTMENTAL = "departmental"
    NODE = "node"


class DeliveryKind(StrEnum):
    """What the records that a delivery does *not* hold mean.

    =====================  ==============================================
    full                   a feature that is missing has been removed
    partial                a feature that is missing is unchanged
    changes                explicit inserts, updates and deletes
    layers-changed-only    a layer that is missing is unchanged; one that
                           is there is full
    =====================  ==============================================
    """

    FULL = "full"
    PARTIAL = "partial"
    CHANGES = "changes"
    LAYERS_CHANGED_ONLY = "layers-changed-only"


@dataclass(frozen=True, slots=True)
class DeliveryFile:
    """One landed file: path inside the delivery, bytes and SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """The manifest of a delivery, written before anything parses the bytes.

    Attributes
    ----------
    id : str
        ``SOURCE.DIGEST16``: the source and the first 16 digits of ``digest``.
    observed_at : str
        When the content was so in the world, ISO 8601 in UTC; the default valid time of its rows.
    landed_at : str
        When the bytes were safe on disk, ISO 8601 in UTC.
    origin : str
        Where it was pulled from, without secrets.
    watermark : str
        Highest watermark value inside; empty where the source has none.
    digest : str
        SHA-256 over the sorted paths and file digests, in hexadecimal.
    """

    id: str
    source: str
    origin: str
    observed_at: str
    landed_at: str
    files: tuple[DeliveryFile, ...]
    digest: str
    watermark: str = ""
