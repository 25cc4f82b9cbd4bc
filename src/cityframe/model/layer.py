"""A layer's contract: what each feature of it must look like."""

from dataclasses import dataclass
from enum import StrEnum

from cityframe.model.text import Title

RESERVED_COLUMNS = frozenset(
    {
        "fid", "uid", "geom", "geometry", "record", "source_key", "operation", "digest", "delivery",
        "valid_from", "valid_to", "release_from", "release_to", "change", "has_new_attributes",
        "layer", "ogc_fid", "seal", "basis", "ended_by", "source_id",
    }
)  # fmt: skip
"""Column names that the framework itself writes; no attribute may be called so."""


class GeometryType(StrEnum):
    """Geometry of a layer, named as in OGC Simple Features; ``none`` for a plain table."""

    NONE = "none"
    POINT = "Point"
    MULTIPOINT = "MultiPoint"
    LINESTRING = "LineString"
    MULTILINESTRING = "MultiLineString"
    POLYGON = "Polygon"
    MULTIPOLYGON = "MultiPolygon"

    @property
    def is_multi(self) -> bool:
        """Whether features have many parts."""
        return self.value.startswith("Multi")

    @property
    def single(self) -> str:
        """Name of the one-part type (``Polygon`` of ``MultiPolygon``)."""
        return self.value.removeprefix("Multi")


class AttributeType(StrEnum):
    """Logical type of an attribute; `cityframe.core.frames` has the column types."""

    STRING = "string"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a layer.

    Attributes
    ----------
    codes : tuple of str
        The values allowed; empty for any.
    unit : str
        Unit of measure (``m``, ``mm``); empty for none.
    max_length : int or None
        Longest text allowed, in characters.
    """

    name: str
    type: AttributeType
    title: Title
    is_nullable: bool = True
    codes: tuple[str, ...] = ()
    unit: str = ""
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """The contract of one layer.

    Attributes
    ----------
    crs : str
        Authority code, projected, in metres (``EPSG:4547``).
    precision_m : float
        Grid on which coordinates are compared, in metres.
    accuracy_m : float
        Declared accuracy of the framework's geometry: mean error of a point, in metres.
    key : tuple of str
        Attributes that together name a feature for the people who use it; may be empty.
    has_z : bool
        Whether each coordinate has a height in ``vertical_datum``.
    """

    name: str
    title: Title
    geometry: GeometryType
    crs: str
    precision_m: float
    accuracy_m: float
    key: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    has_z: bool = False
    vertical_datum: str = ""

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the attributes in the order of the contract."""
        return tuple(attribute.name for attribute in self.attributes)
