"""How findings become scores, as declared in ``quality_rules/scoring/NAME.yaml``.

Each value names its source, so that a reader can tell a standard's figure from the bureau's own.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cityframe.config.document import Declaration, read_declaration
from cityframe.config.schema import Name, TitleText
from cityframe.errors import DeclarationError
from cityframe.model.finding import DefectClass

WEIGHTS_NOISE = 1e-9


class Sourced(Declaration):
    """A figure, and where it comes from: a standard, or ``set by the bureau``."""

    value: float
    source: str = Field(min_length=1)


class Element(Declaration):
    """A quality element: its weight, and the measures whose findings count for it.

    Measures are ids of ISO 19157:2013, or of another register as ``REGISTER:ID``.
    """

    title: TitleText
    weight: Sourced
    measures: tuple[str, ...] = Field(min_length=1)


class Grade(Declaration):
    """A grade, from a score on."""

    title: TitleText
    lowest: Sourced


class Failing(Declaration):
    """What makes a unit fail whatever its score is."""

    class_a: bool = True
    element_below: Sourced
    gross_error_share: Sourced


class WholeUnit(Declaration):
    """The layer is one unit."""

    by: Literal["layer"]


class GridUnit(Declaration):
    """A unit is a square of a grid, such as a map sheet."""

    by: Literal["grid"]
    cell_m: float = Field(gt=0)


class AreaUnit(Declaration):
    """A unit is a feature of a polygon layer, such as a district, named by an attribute."""

    by: Literal["areas"]
    layer: Name
    column: Name


Unit = Annotated[WholeUnit | GridUnit | AreaUnit, Field(discriminator="by")]


class SampleSize(Declaration):
    """How many units are drawn from a lot of up to so many."""

    up_to: int = Field(gt=0)
    sample: int = Field(gt=0)


class Sampling(Declaration):
    """Sizes of the sample by the size of the lot; a larger batch is divided into lots."""

    sizes: tuple[SampleSize, ...] = Field(min_length=1)
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _sizes_grow(self) -> Self:
        bounds = [size.up_to for size in self.sizes]
        if bounds != sorted(set(bounds)) or any(one.sample > one.up_to for one in self.sizes):
            message = "sizes in growing order of up_to, with no sample above its lot"
            raise ValueError(message)
        return self


class Scoring(Declaration):
    """``quality_rules/scoring/NAME.yaml``: how the findings of some layers are scored.

    ``difficulty`` is the adjustment t that deductions of classes B to D are divided by. Elements
    that no rule of a layer speaks of leave their weight to the others, in proportion.
    """

    name: Name
    title: TitleText
    layers: tuple[Name, ...] = Field(min_length=1)
    unit: Unit
    full_score: Sourced = Sourced(value=100, source="GB/T 24356-2009")
    deductions: dict[DefectClass, Sourced]
    difficulty: Sourced
    elements: dict[Name, Element]
    fails: Failing
    grades: dict[Name, Grade]
    sampling: Sampling

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        missing = set(DefectClass) - set(self.deductions)
        if missing:
            message = f"a deduction for each class; none for {', '.join(sorted(missing))}"
            raise ValueError(message)
        total = sum(one.weight.value for one in self.elements.values())
        if abs(total - 1) > WEIGHTS_NOISE:
            message = f"weights of elements that sum to 1, not {total:g}"
            raise ValueError(message)
        measures = [one for element in self.elements.values() for one in element.measures]
        twice = sorted({one for one in measures if measures.count(one) > 1})
        if twice:
            message = f"each measure in one element; {', '.join(twice)} stand in two"
            raise ValueError(message)
        if self.difficulty.value <= 0:
            message = "a difficulty above 0"
            raise ValueError(message)
        return self


def read_scoring(folder: Path) -> dict[str, Scoring]:
    """Return the schemes of a folder by layer.

    Raises
    ------
    DeclarationError
        If a file does not fit, or two schemes score one layer.
    """
    by_layer: dict[str, Scoring] = {}
    for path in sorted(folder.glob("*.yaml")):
        scheme = read_declaration(path, Scoring)
        if scheme.name != path.stem:
            raise DeclarationError(
                where=str(path), found=f"name is {scheme.name!r}", expected=f"{path.stem!r}"
            )
        for layer in scheme.layers:
            if layer in by_layer:
                raise DeclarationError(
                    where=str(path),
                    found=f"layer {layer} is scored twice",
                    expected=f"one scheme a layer; {by_layer[layer].name} has it",
                    remedy="remove it from one of them",
                )
            by_layer[layer] = scheme
    return by_layer
