"""Rule sets: rules for a type of layer, included by name in ``quality_rules/NAME.yaml``.

A set is a YAML file in ``config/rule_sets/``. Its rules may use, in their parameters,

``$role``
    a name that the include gives: an attribute of the layer, another layer, or its attribute;
    a rule with an optional role that is not given is left out of the layer's rules
``= expression``
    a number derived from what the layer declares: ``= 4 * accuracy_m ** 2``
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import Field

from cityframe.config.accuracy_expression import number_from
from cityframe.config.document import Declaration, line_of, read_declaration, read_yaml
from cityframe.config.rule import MeasureText, Rule
from cityframe.config.schema import Name, TitleText
from cityframe.errors import DeclarationError
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.layer import GeometryType, Layer


class Role(Declaration):
    """A name that an include may or must give."""

    title: TitleText
    required: bool = False


class SetRule(Declaration):
    """A rule of a set; with the name of the layer before it, its ``id`` names the rule."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)
    title: TitleText
    kind: Name
    parameters: dict[str, Any] = Field(default_factory=dict)
    defect_class: DefectClass
    gate: Gate
    scope: Scope
    tolerated: float = Field(default=0.05, ge=0, le=1)
    version: int = Field(default=1, ge=1)
    measure: MeasureText | None = None


class RuleSet(Declaration):
    """One file of ``config/rule_sets/``."""

    name: Name
    title: TitleText
    geometry: tuple[GeometryType, ...]
    roles: dict[Name, Role] = Field(default_factory=dict)
    rules: tuple[SetRule, ...]


class Override(Declaration):
    """What an include changes of one rule of the set; parameters are merged one by one."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    defect_class: DefectClass | None = None
    gate: Gate | None = None
    scope: Scope | None = None
    tolerated: float | None = Field(default=None, ge=0, le=1)


class Include(Declaration):
    """``include:`` in ``quality_rules/NAME.yaml``: a rule set over one layer.

    ``names`` fills the roles of the set; ``override`` changes single rules, ``without`` leaves
    rules out, both by the rule's id inside the set.
    """

    rule_set: Name = Field(alias="set")
    layer: Name
    names: dict[Name, str | list[str]] = Field(default_factory=dict)
    override: dict[str, Override] = Field(default_factory=dict)
    without: tuple[str, ...] = ()


class RuleFile(Declaration):
    """``quality_rules/NAME.yaml``: rule sets included, and rules of its own."""

    include: tuple[Include, ...] = ()
    rules: tuple[Rule, ...] = ()


@cache
def rule_sets() -> Mapping[str, RuleSet]:
    """Return the rule sets by name, sorted."""
    folder = files("cityframe.config") / "rule_sets"
    paths = sorted(str(one) for one in folder.iterdir() if one.name.endswith(".yaml"))
    sets = [read_declaration(Path(path), RuleSet) for path in paths]
    return {one.name: one for one in sets}


def read_rules(path: Path, layers: Mapping[str, Layer]) -> Iterator[tuple[Rule, str]]:
    """Yield the rules of a file, those of its rule sets first, each with its ``file:line``.

    Raises
    ------
    DeclarationError
        If the file does not fit, or an include names a set, layer, role or rule that is not there.
    """
    document = read_declaration(path, RuleFile)
    _, lines = read_yaml(path)
    for position, include in enumerate(document.include):
        place = f"{path}:{line_of(('include', position), lines)}"
        for rule in resolved(include, layers, place):
            yield rule, place
    for position, rule in enumerate(document.rules):
        yield rule, f"{path}:{line_of(('rules', position), lines)}"


def resolved(include: Include, layers: Mapping[str, Layer], place: str) -> tuple[Rule, ...]:
    """Return the plain rules that an include stands for.

    Raises
    ------
    DeclarationError
        If it names a set, layer, role or rule that is not there, or a required role is missing.
    """
    rule_set = _known(include.rule_set, rule_sets(), "rule set", place)
    layer = _known(include.layer, layers, "layer", place)
    if layer.geometry not in rule_set.geometry:
        raise DeclarationError(
            where=place,
            found=f"geometry of layer {layer.name} is {layer.geometry}",
            expected=f"{' or '.join(rule_set.geometry)} for the rule set {rule_set.name}",
            remedy="include another rule set",
        )
    inside = {rule.id: rule for rule in rule_set.rules}
    for name in (*include.override, *include.without):
        _known(name, inside, f"rule in the set {rule_set.name}:", place)
    for name in include.names:
        _known(name, rule_set.roles, f"role in the set {rule_set.name}:", place)
    missing = [
        name for name, role in rule_set.roles.items() if role.required and name not in include.names
    ]
    if missing:
        raise DeclarationError(
            where=place,
            found=f"the set {rule_set.name} without {', '.join(missing)}",
            expected="; ".join(f"{name}: {rule_set.roles[name].title.en}" for name in missing),
            remedy="give them under names",
        )
    return tuple(
        _rule(rule, include, layer, place)
        for rule in rule_set.rules
        if rule.id not in include.without and not _unfilled(rule, include)
    )


def _rule(rule: SetRule, include: Include, layer: Layer, place: str) -> Rule:
    override = include.override.get(rule.id, Override())
    changed = override.model_dump(exclude={"parameters"}, exclude_none=True)
    parameters = {**rule.parameters, **override.parameters}
    return Rule.model_validate(
        {
            **rule.model_dump(by_alias=True),
            **changed,
            "id": f"{layer.name}.{rule.id}",
            "layers": (layer.name,),
            "parameters": {
                name: _value(value, include, layer, f"{place} ({rule.id}.{name})")
                for name, value in parameters.items()
            },
        }
    )


def _value(value: Any, include: Include, layer: Layer, where: str) -> Any:
    """Return a parameter with its roles and expressions filled in."""
    if isinstance(value, dict):
        return {name: _value(one, include, layer, where) for name, one in value.items()}
    if isinstance(value, list):
        return [_value(one, include, layer, where) for one in value]
    if not isinstance(value, str):
        return value
    if value.startswith("$"):
        return include.names[value[1:]]
    if value.startswith("="):
        return number_from(
            value[1:],
            {"accuracy_m": layer.accuracy_m, "precision_m": layer.precision_m},
            where=where,
        )
    return value


def _unfilled(rule: SetRule, include: Include) -> set[str]:
    """Return the roles of a rule that the include does not give."""
    override = include.override.get(rule.id, Override())
    return _roles({**rule.parameters, **override.parameters}) - set(include.names)


def _roles(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_roles(one) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(_roles(one) for one in value))
    return {value[1:]} if isinstance(value, str) and value.startswith("$") else set()


def _known(name: str, among: Mapping[str, Any], what: str, place: str) -> Any:
    if name not in among:
        raise DeclarationError(
            where=place,
            found=f"no {what} {name!r}",
            expected=f"one of {', '.join(among) or 'none'}",
            remedy="mend the name",
        )
    return among[name]
