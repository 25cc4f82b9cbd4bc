"""Quality rules as declared in ``quality_rules/NAME.yaml``."""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema, field_validator

from cityframe.config.document import Declaration
from cityframe.config.schema import TEXT_OR_LIST, Name, TitleText
from cityframe.model.finding import DefectClass, Gate, Measure, Scope


class MeasureText(Declaration):
    """An ISO 19157 measure that replaces the one of the rule's kind."""

    register_name: str = Field(alias="register")
    id: str
    name: str

    def measure(self) -> Measure:
        """Return the plain value."""
        return Measure(register=self.register_name, id=self.id, name=self.name)


class Rule(Declaration):
    """One use of a rule kind on layers.

    ``parameters`` are checked by the kind. ``tolerated`` is the share of records that may fail a
    blocking rule before the whole delivery is quarantined (in a delivery), or the share that may
    fail without closing the gate (in a candidate).
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_.-]*$", max_length=80)
    title: TitleText
    kind: Name
    layers: Annotated[tuple[Name, ...], WithJsonSchema(TEXT_OR_LIST)] = Field(min_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)
    defect_class: DefectClass
    gate: Gate
    scope: Scope
    tolerated: float = Field(default=0.05, ge=0, le=1)
    version: int = Field(default=1, ge=1)
    measure: MeasureText | None = None

    @field_validator("layers", mode="before")
    @classmethod
    def _one_layer(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value
