"""A source as declared in ``sources/NAME.yaml``: how it is pulled, read and mapped."""

import zoneinfo
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from cityframe.config.document import Declaration
from cityframe.config.schema import Name, TitleText
from cityframe.model.delivery import DeliveryKind, SourceKind

Scalar = str | int | float | bool

AddressPart = Literal[
    "text", "province", "city", "district", "town", "street", "lane", "number", "building",
    "unit", "floor", "room",
]  # fmt: skip
"""A part of an address (`cityframe.core.addresses.PARTS`), or ``text``, all of it in words."""


class FilesPull(Declaration):
    """Files, folders and archives copied from a place.

    ``path`` is relative to the workspace and may hold ``${VARIABLE}``; without it, each pull
    names its place (``pull SOURCE --from PATH``).
    """

    type: Literal["files"] = "files"
    path: str = ""


class DatabasePull(Declaration):
    """A table or a query over SQLAlchemy.

    ``url`` may hold ``${VARIABLE}`` for secrets; ``sqlite:///`` paths are relative to the
    workspace. With a ``watermark`` column only rows above the last delivery's value are pulled.
    """

    type: Literal["database"]
    url: str
    table: str = ""
    query: str = ""
    watermark: str = ""

    @model_validator(mode="after")
    def _table_or_query(self) -> Self:
        if bool(self.table) == bool(self.query):
            message = "either table or query"
            raise ValueError(message)
        return self


class MqttPull(Declaration):
    """Observations over MQTT; a pull freezes a windowed aggregate of what the bridge wrote.

    ``stream``, ``time`` and ``value`` name the fields of the JSON payload. ``window_s`` is the
    length of a window, ``lateness_s`` how long values may come late before a window is frozen.
    ``host``, ``port``, ``client_id``, ``username`` and ``password`` may hold ``${VARIABLE}``.
    """

    type: Literal["mqtt"]
    host: str = "127.0.0.1"
    port: int | str = 1883
    topics: tuple[str, ...] = Field(min_length=1)
    client_id: str = Field(min_length=1)
    username: str = ""
    password: str = ""
    qos: Literal[1, 2] = 1
    stream: str = "stream"
    time: str = "time"
    value: str = "value"
    window_s: int = Field(default=3600, gt=0)
    lateness_s: int = Field(default=0, ge=0)


Pull = Annotated[FilesPull | DatabasePull | MqttPull, Field(discriminator="type")]


class ColumnMapping(Declaration):
    """Where an attribute's values come from.

    Exactly one of ``column`` and ``value``. ``codes`` translates; a value that is not listed is a
    finding. ``unit`` is the source's unit and is converted to the contract's. ``format`` reads
    dates and times (strptime). ``time_zone`` (``Asia/Shanghai``) is where date-times without an
    offset were written; without it they are findings.
    """

    column: str = ""
    value: Scalar | None = None
    codes: dict[str, Scalar | None] = Field(default_factory=dict)
    unit: str = ""
    format: str = ""
    nulls: tuple[str, ...] = ()
    time_zone: str = ""

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        if value and value not in zoneinfo.available_timezones():
            message = "a time zone of the IANA database, like Asia/Shanghai"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.column) == (self.value is not None):
            message = "either column or value"
            raise ValueError(message)
        return self


class XyGeometry(Declaration):
    """Points from two or three coordinate columns."""

    x: str
    y: str
    z: str = ""


class WktGeometry(Declaration):
    """Geometry from a column of well-known text."""

    wkt: str


class JoinGeometry(Declaration):
    """Geometry or identity from a layer of the framework, joined by key or address.

    ``on`` maps attributes of the layer to columns of the source. ``take: geometry`` gives each
    record the place of the feature that it names (its representative point if the contract wants
    points); ``take: feature`` makes the record an update of that feature's attributes.
    ``normalise`` compares texts without case, white space and width.
    """

    layer: Name
    on: dict[Name, str] = Field(min_length=1)
    take: Literal["geometry", "feature"] = "geometry"
    normalise: bool = False


class StreetNames(Declaration):
    """Other names of streets: ``name`` and ``alias`` are attributes of a layer of the framework.

    ``district`` is the attribute with the district, where two districts have streets of one name.
    """

    layer: Name
    name: Name
    alias: Name
    district: Name | Literal[""] = ""


class AddressReading(Declaration):
    """How addresses are written, and where the layer has their parts.

    ``attributes`` maps parts of an address to attributes of the layer; several attributes are put
    together. ``admin`` lists tables of administrative codes (CSV with ``code`` and ``name``, also
    in a zip) relative to the workspace, the oldest edition first. ``within`` is the code of the
    division that addresses are in where they do not say so.
    """

    style: Literal["chinese", "western"] = "chinese"
    attributes: dict[AddressPart, str | tuple[str, ...]] = Field(min_length=1)
    admin: tuple[str, ...] = ()
    within: str = Field(default="", pattern=r"^(\d\d){0,3}$")
    streets: StreetNames | None = None


class AddressGeometry(JoinGeometry):
    """Geometry or identity from the feature that a record's address names.

    A join whose ``on`` maps parts of an address (``text`` is all of it in words) to columns of the
    source. Texts are always compared in one form, so ``normalise`` has no place.
    """

    address: AddressReading
    normalise: Literal[False] = False

    @field_validator("on")
    @classmethod
    def _parts(cls, value: dict[Name, str]) -> dict[Name, str]:
        for part in value:
            if part not in get_args(AddressPart):
                message = f"parts of an address: {', '.join(get_args(AddressPart))}"
                raise ValueError(message)
        return value


class NoGeometry(Declaration):
    """The source has no geometry and the layer needs none."""

    none: Literal[True]


class FeatureGeometry(Declaration):
    """The geometry of the feature in a vector format; the default."""

    feature: Literal[True] = True


class Duplicates(Declaration):
    """What to do with records that stand twice.

    ``exact``: all mapped values and the geometry agree: ``merge`` them, or ``return`` the others.
    ``key``: the same key with other content: the ``first`` or the ``last`` wins and the others are
    returned with a finding, or ``return`` them all.
    """

    exact: Literal["merge", "return"] = "return"
    key: Literal["first", "last", "return"] = "return"


class CountRange(Declaration):
    """How many records a delivery holds; outside is a finding that quarantines."""

    min: int = Field(default=1, ge=0)
    max: int | None = Field(default=None, ge=0)


class Operation(Declaration):
    """Which column of a ``changes`` delivery says what happens, and its values."""

    column: str
    insert: tuple[str, ...] = ("insert",)
    update: tuple[str, ...] = ("update",)
    delete: tuple[str, ...] = ("delete",)


class Matching(Declaration):
    """How a record finds its feature where no id tells it.

    ``reach_m`` is how far apart two surveys of one feature may lie, a local shift included; without
    it that follows from the declared accuracies. ``keys``: with ``strict`` two different keys are
    never one feature; with ``hint`` (numbers that are given anew) place and shape overrule them.
    ``model`` is the file of a trained scorer, relative to the workspace.
    """

    reach_m: float | None = Field(default=None, gt=0)
    keys: Literal["strict", "hint"] = "strict"
    model: str = ""


class Coverage(Declaration):
    """The area of which a full delivery speaks: features of a layer, chosen by their attributes.

    Without ``where`` all of them. Absence means removal inside only.
    """

    layer: Name
    where: dict[Name, Scalar] = Field(default_factory=dict)


class Guards(Declaration):
    """Limits beyond which a delivery is quarantined whole.

    ``removed_share`` of the layer, ``removed_cell_share`` of any cell of a ``cell_m`` grid; both
    only from ``removed_min`` features on. ``shift_m``: a common displacement of the whole layer;
    null derives it from the declared accuracies. ``absent_in``: how many full deliveries, one
    after another, must lack a feature before it is removed. ``churn_share``: how much of the layer
    a delivery may change; null takes it from what the feed's former deliveries changed.
    """

    removed_share: float = Field(default=0.005, ge=0, le=1)
    removed_cell_share: float = Field(default=0.05, ge=0, le=1)
    removed_min: int = Field(default=10, ge=0)
    cell_m: float = Field(default=1000.0, gt=0)
    shift_m: float | None = Field(default=None, gt=0)
    absent_in: int = Field(default=1, ge=1)
    churn_share: float | None = Field(default=None, gt=0, le=1)


_SHORT_COLUMN = {"type": ["string", "object", "null"]}
_SHORT_COLUMNS = {"type": "object", "additionalProperties": {"type": ["string", "object"]}}


class Feed(Declaration):
    """One layer's part of a source: which table of the delivery, and how it maps.

    ``file`` is a glob over the delivery's files; ``table`` a layer or sheet inside it. Every
    column of the source is mapped, in ``ignore`` or in ``optional``; any other is a finding.
    Columns in ``optional`` may be absent (mapped ones too: absent is not null, the framework's
    value stays). ``id`` is the column with the source's own name of a record, where that is not the
    layer's key: the framework keeps which feature it names.
    """

    layer: Name
    id: str = ""
    file: str = "*"
    table: str = ""
    columns: Annotated[dict[Name, ColumnMapping], WithJsonSchema(_SHORT_COLUMNS)]
    ignore: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    geometry: (
        FeatureGeometry | XyGeometry | WktGeometry | JoinGeometry | AddressGeometry | NoGeometry
    ) = FeatureGeometry()
    crs: str = ""
    encoding: str = ""
    delimiter: str = ""
    duplicates: Duplicates = Duplicates()
    missing_key: Literal["return", "match"] = "return"
    count: CountRange = CountRange()
    operation: Operation | None = None
    valid_from: Annotated[ColumnMapping | None, WithJsonSchema(_SHORT_COLUMN)] = None
    accuracy_m: float | None = Field(default=None, gt=0)
    guards: Guards = Guards()
    matching: Matching = Matching()
    coverage: Coverage | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {k: {"column": v} if isinstance(v, str) else v for k, v in value.items()}

    @field_validator("valid_from", mode="before")
    @classmethod
    def _short_valid_from(cls, value: object) -> object:
        return {"column": value} if isinstance(value, str) else value


class Retries(Declaration):
    """How often and after how long an unreachable source is tried again."""

    count: int = Field(default=2, ge=0)
    delay_s: int = Field(default=60, ge=0)


class Source(Declaration):
    """``sources/NAME.yaml``: one source.

    ``crs`` is the coordinate system of the coordinates as delivered; ``equivalent_crs`` lists
    target systems whose datum is taken as equal, whether or not a transformation is known (a
    decision of the bureau, recorded here). ``currency_days`` is the promise how old its content
    may get. ``base``: which release a delivery was worked from, so that what the source did not
    touch since overwrites nothing; ``observed`` is the one that was current when the content was
    so, by default nobody knows. A pull that names one (``pull SOURCE --base N``) is believed first.
    """

    name: Name
    title: TitleText
    kind: SourceKind
    delivery: DeliveryKind
    pull: Pull
    crs: str = ""
    equivalent_crs: tuple[str, ...] = ()
    accuracy_m: float = Field(default=0.25, gt=0)
    schedule: str = ""
    pool: str = ""
    retries: Retries = Retries()
    currency_days: int | None = Field(default=None, gt=0)
    base: Literal["", "observed"] = ""
    feeds: tuple[Feed, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _operations_fit(self) -> Self:
        for feed in self.feeds:
            if (feed.operation is not None) != (self.delivery is DeliveryKind.CHANGES):
                message = (
                    f"an operation column exactly when delivery is changes (feed {feed.layer})"
                )
                raise ValueError(message)
        names = [feed.layer for feed in self.feeds]
        twice = {name for name in names if names.count(name) > 1}
        if twice and self.delivery in (DeliveryKind.FULL, DeliveryKind.LAYERS_CHANGED_ONLY):
            message = (
                f"one feed a layer, for absence means removal; {sorted(twice)} have several "
                "(one feed may take several files: write a pattern)"
            )
            raise ValueError(message)
        return self

    def accuracy_of(self, feed: Feed) -> float:
        """Return the declared mean error of a point in a feed, in metres."""
        return self.accuracy_m if feed.accuracy_m is None else feed.accuracy_m
