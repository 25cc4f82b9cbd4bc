"""A layer's contract as declared in ``schemas/NAME.yaml``."""

from typing import Annotated, Any, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from cityframe.config.document import Declaration
from cityframe.config.reconciling import ALL_ATTRIBUTES, GEOMETRY, Reconciling
from cityframe.model.layer import (
    RESERVED_COLUMNS,
    Attribute,
    AttributeType,
    GeometryType,
    Layer,
)
from cityframe.model.text import Title

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=48)]


TEXT_OR_LIST: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
}


class TitleText(Declaration):
    """A title in Chinese and English."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)

    def title(self) -> Title:
        """Return the plain value."""
        return Title(zh=self.zh, en=self.en)


class AttributeSchema(Declaration):
    """One attribute: type, codes, unit, whether null is allowed."""

    type: AttributeType
    title: TitleText
    nullable: bool = True
    codes: tuple[str, ...] = ()
    unit: str = ""
    max_length: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _codes_are_text(self) -> Self:
        if self.codes and self.type is not AttributeType.STRING:
            message = "codes only on an attribute of type string"
            raise ValueError(message)
        return self


class LayerSchema(Declaration):
    """``schemas/NAME.yaml``: the contract of one layer."""

    name: Name
    title: TitleText
    geometry: GeometryType
    crs: str = Field(pattern=r"^[A-Z]+:\d+$")
    precision_m: float = Field(default=0.001, gt=0, le=1)
    accuracy_m: float = Field(gt=0)
    has_z: bool = False
    vertical_datum: str = ""
    key: Annotated[tuple[Name, ...], WithJsonSchema(TEXT_OR_LIST)] = ()
    attributes: dict[Name, AttributeSchema]
    reconcile: Reconciling = Reconciling()

    @field_validator("key", mode="before")
    @classmethod
    def _one_key(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        if self.name.endswith("_history") or self.name.startswith(("rtree_", "gpkg_", "cf_")):
            message = "a layer name that is none of the store's own tables"
            raise ValueError(message)
        reserved = RESERVED_COLUMNS & set(self.attributes)
        if reserved:
            message = f"attribute names other than the framework's own: {sorted(reserved)}"
            raise ValueError(message)
        unknown = set(self.key) - set(self.attributes)
        if unknown:
            message = f"a key made of attributes of the layer; it has no {sorted(unknown)}"
            raise ValueError(message)
        rules = self.reconcile
        named = {rules.name, *rules.exact, *(rules.edges.same if rules.edges else ())} - {""}
        unknown = (named | set(rules.authority)) - {*self.attributes, ALL_ATTRIBUTES, GEOMETRY}
        if unknown:
            message = f"attributes of the layer in reconcile; it has no {sorted(unknown)}"
            raise ValueError(message)
        if self.has_z and not self.vertical_datum:
            message = "a vertical_datum for a layer that has_z"
            raise ValueError(message)
        return self

    def layer(self) -> Layer:
        """Return the plain contract that the other rooms work with."""
        return Layer(
            name=self.name,
            title=self.title.title(),
            geometry=self.geometry,
            crs=self.crs,
            precision_m=self.precision_m,
            accuracy_m=self.accuracy_m,
            key=self.key,
            attributes=tuple(
                Attribute(
                    name=name,
                    type=attribute.type,
                    title=attribute.title.title(),
                    is_nullable=attribute.nullable,
                    codes=attribute.codes,
                    unit=attribute.unit,
                    max_length=attribute.max_length,
                )
                for name, attribute in self.attributes.items()
            ),
            has_z=self.has_z,
            vertical_datum=self.vertical_datum,
        )
