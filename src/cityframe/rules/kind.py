"""A rule kind: one way of checking a layer, with its parameters and its measure.

A kind either finds defects itself (``check``, a vectorised function over the layer frame) or says
which core expectation of Great Expectations does (``expectation``, for attribute rules).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from cityframe.config.document import Declaration
from cityframe.model.finding import Measure, Scope
from cityframe.model.layer import AttributeType, GeometryType, Layer
from cityframe.rules.context import Context, Positions
from cityframe.rules.words import Words

Reach = Literal["feature", "neighbourhood", "component", "layer", "versions"]
"""How far a kind looks from the feature that a finding stands on.

=============  ===================================================================================
feature        at that feature alone
neighbourhood  at what lies within `Parameters.reach_m` of it, in its layer and the others
component      at the part of a network that it is connected to
layer          at the whole layer and the others that the rule reads
versions       at the current release too
=============  ===================================================================================

What a change can't reach is not checked again, and tiles need no more than this beside them.
"""

Need = Literal["received", "read_observations", "changes"]
"""A part of `Context` without which a kind has nothing to check."""

ANY_TYPE = frozenset(AttributeType)
TEXT = frozenset({AttributeType.STRING})
NUMBERS = frozenset({AttributeType.INTEGER, AttributeType.REAL})
TIMES = frozenset({AttributeType.DATE, AttributeType.DATETIME})

POINTS = frozenset({GeometryType.POINT, GeometryType.MULTIPOINT})
LINES = frozenset({GeometryType.LINESTRING, GeometryType.MULTILINESTRING})
AREAS = frozenset({GeometryType.POLYGON, GeometryType.MULTIPOLYGON})
SPATIAL = POINTS | LINES | AREAS
ANY_GEOMETRY = frozenset(GeometryType)

ColumnNeeds = Mapping[str, frozenset[AttributeType]]


@dataclass(frozen=True)
class OtherLayer:
    """What a rule needs of another layer.

    Attributes
    ----------
    columns : mapping of str to frozenset of AttributeType
        Attributes that it reads, with the types allowed.
    where : str or None
        Expression over that layer's attributes that must fit their types.
    """

    name: str
    columns: ColumnNeeds = field(default_factory=dict)
    geometry: frozenset[GeometryType] = ANY_GEOMETRY
    where: str | None = None


class Parameters(Declaration):
    """Base of all parameter models; each kind says what its parameters need of the layers."""

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes of the rule's own layer that it reads, with the types allowed."""
        del layer
        return {}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the other layers that the rule reads."""
        return ()

    def reach_m(self, layer: Layer) -> float | None:
        """Return how far a rule of reach ``neighbourhood`` looks, in metres; None for any distance.

        A defect on a feature must depend on nothing farther from it than this.
        """
        del layer
        return 0.0

    def misfit(self, layer: Layer) -> str:
        """Return what else about the parameters does not fit the layer; empty for nothing."""
        del layer
        return ""

    def needed_context(self) -> tuple[Need, ...]:
        """Return what of the context must be there beside what the kind always needs."""
        return ()


@dataclass(frozen=True)
class CoreExpectation:
    """A core expectation of Great Expectations that does the work of an attribute rule.

    Attributes
    ----------
    name : str
        Class name (``ExpectColumnValuesToBeInSet``).
    arguments : mapping
        Its keyword arguments, without ``mostly``.
    columns : tuple of str
        Attributes whose values a finding quotes.
    expected : Words or str
        What a finding says was expected.
    when : tuple of (str, values) or None
        Look only at the records whose attribute has one of the values.
    """

    name: str
    arguments: Mapping[str, Any]
    columns: tuple[str, ...]
    expected: Words | str
    when: tuple[str, tuple[str | int, ...]] | None = None


@dataclass(frozen=True)
class RuleKind:
    """One kind of rule.

    Attributes
    ----------
    number : int
        Number in the project's catalogue of checks.
    geometry : frozenset of GeometryType
        Layers that it can check, by their geometry.
    check : callable or None
        Takes `Context` and parameters, returns `cityframe.rules.defects.defects`.
    expectation : callable or None
        Takes parameters and the layer, returns the expectation; exactly one of the two is given.
    needs_metres : bool
        Whether it measures, so that the layer's CRS must be projected, in metres.
    scopes : frozenset of Scope
        Where it can be used.
    needs : tuple of Need
        What of the context must be there; where it is not, the rule is passed over and says so.
    depends_on_time : bool
        Whether its verdict may change while no layer does: it compares with `Context.as_of` or
        with something outside the layers. Such a rule is checked whole each time.
    is_pairwise : bool
        Whether a defect depends on nothing but the feature and its partner of the same layer; then
        only pairs with a changed feature are looked at again.
    suspects : callable or None
        Of a kind whose defects touch what changed, and that looks far: takes context and
        parameters, returns the rows beside which a defect may lie. Where no such row and no
        earlier defect touches a change, nothing is looked at again.
    """

    name: str
    number: int
    group: str
    measure: Measure
    params: type[Parameters]
    reach: Reach
    geometry: frozenset[GeometryType] = ANY_GEOMETRY
    check: Callable[[Context, Any], pd.DataFrame] | None = None
    expectation: Callable[[Any, Layer], CoreExpectation] | None = None
    needs_metres: bool = False
    scopes: frozenset[Scope] = frozenset(Scope)
    is_pairwise: bool = False
    suspects: Callable[[Context, Any], Positions] | None = None
    needs: tuple[Need, ...] = ()
    depends_on_time: bool = False

    def __post_init__(self) -> None:
        if (self.check is None) == (self.expectation is None):
            message = f"rule kind {self.name}: give either check or expectation"
            raise TypeError(message)
