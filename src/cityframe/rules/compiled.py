"""Compile declared rules: parameters into the kind's model, checked against the layers.

What can be known to be wrong before any data is read is told here, with the file and line of the
rule.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from pydantic import ValidationError
from pyproj import CRS

from cityframe.config.rule import Rule
from cityframe.errors import DeclarationError
from cityframe.model.finding import Measure, Scope
from cityframe.model.layer import GeometryType, Layer
from cityframe.rules.expression import parse_expression
from cityframe.rules.kind import ColumnNeeds, Need, OtherLayer, Parameters, RuleKind
from cityframe.rules.registry import rule_kinds


@dataclass(frozen=True)
class CompiledRule:
    """One rule on one layer, ready to run.

    Attributes
    ----------
    place : str
        ``file:line`` of the declaration; empty if it has none.
    """

    rule: Rule
    layer: Layer
    kind: RuleKind
    parameters: Parameters
    place: str

    @property
    def measure(self) -> Measure:
        """The ISO measure that it reports: its own, else that of its kind."""
        return self.rule.measure.measure() if self.rule.measure else self.kind.measure


@dataclass(frozen=True)
class CompiledRules:
    """All rules of a workspace, by layer, in the order of their declaration."""

    rules: tuple[CompiledRule, ...]
    layers: Mapping[str, Layer]

    def of(self, layer: str, scope: Scope) -> tuple[CompiledRule, ...]:
        """Return the rules of one layer in one scope."""
        return tuple(
            rule for rule in self.rules if rule.layer.name == layer and rule.rule.scope is scope
        )


def compile_rules(
    rules: Sequence[Rule], layers: Mapping[str, Layer], places: Mapping[str, str]
) -> CompiledRules:
    """Compile declared rules.

    Parameters
    ----------
    rules : sequence of Rule
    layers : mapping of str to Layer
        All layers of the workspace.
    places : mapping of str to str
        ``file:line`` of each rule by its id, for messages.

    Raises
    ------
    DeclarationError
        If a kind, layer or column is not known; if parameters are wrong; if a kind can't check the
        layer's geometry or CRS, or is not for the scope; with the place of the rule.
    """
    compiled = []
    for rule in rules:
        place = places.get(rule.id, rule.id)
        kind = _kind(rule, place)
        parameters = _parameters(rule, kind, place)
        for name in rule.layers:
            one = CompiledRule(rule, _layer(name, layers, place), kind, parameters, place)
            _check_layer_fits(one)
            try:
                _check_needs(one, layers)
            except (DeclarationError, MemoryError):
                raise
            except Exception as error:
                raise DeclarationError(
                    found=f"{type(error).__name__} from kind {kind.name}: {error}",
                    where=place,
                    expected="a kind that says what it needs and how far it looks",
                    remedy="mend the kind, or remove the rule",
                ) from error
            compiled.append(one)
    return CompiledRules(rules=tuple(compiled), layers=layers)


def _check_needs(one: CompiledRule, layers: Mapping[str, Layer]) -> None:
    """Require that the layers have what the parameters need, and that their reach is one."""
    parameters, layer = one.parameters, one.layer
    _check_columns(parameters.needed_columns(layer), layer, one.place)
    _check_misfit(parameters.misfit(layer), one.place)
    for other in parameters.needed_layers():
        _check_other(one, other, layers)
    unknown = set(parameters.needed_context()) - set(get_args(Need))
    if unknown:
        message = f"needs {', '.join(sorted(unknown))}, which no context has"
        raise ValueError(message)
    reach_m = parameters.reach_m(layer)
    if reach_m is not None and not 0 <= reach_m < math.inf:
        message = f"a reach of {reach_m} m"
        raise ValueError(message)


def _kind(rule: Rule, place: str) -> RuleKind:
    kinds = rule_kinds()
    if rule.kind not in kinds:
        raise DeclarationError(
            found=f"no rule kind {rule.kind!r}",
            where=place,
            expected=f"one of {', '.join(kinds)}",
            remedy="mend the name; docs/rules.md has them all",
        )
    kind = kinds[rule.kind]
    if rule.scope not in kind.scopes:
        raise DeclarationError(
            found=f"kind {kind.name} in scope {rule.scope}",
            where=place,
            expected=f"scope {' or '.join(sorted(kind.scopes))}",
            remedy="change the scope",
        )
    return kind


def _parameters(rule: Rule, kind: RuleKind, place: str) -> Parameters:
    try:
        return kind.params.model_validate(rule.parameters)
    except ValidationError as error:
        problems = [_problem(entry) for entry in error.errors()]
        raise DeclarationError(
            found="; ".join(found for found, _ in problems),
            where=place,
            expected="; ".join(expected for _, expected in problems if expected),
            remedy=f"mend the parameters; docs/rules.md has those of {kind.name}",
        ) from error


def _problem(entry: object) -> tuple[str, str]:
    """Return what was found and what was expected of one error of pydantic."""
    problem: dict[str, object] = dict(entry)  # type: ignore[call-overload]
    location = problem["loc"]
    parts = [str(part) for part in location] if isinstance(location, tuple) else []
    field = ".".join(["parameters", *parts])
    if problem["type"] == "missing":
        return f"{field} is missing", ""
    if problem["type"] == "extra_forbidden":
        return f"{field} is not known", ""
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{field} is {problem['input']!r}", message[:1].lower() + message[1:]


def _layer(name: str, layers: Mapping[str, Layer], place: str) -> Layer:
    if name not in layers:
        raise DeclarationError(
            found=f"no layer {name!r}",
            where=place,
            expected=f"one of {', '.join(sorted(layers))}",
            remedy="mend the name",
        )
    return layers[name]


def _check_layer_fits(one: CompiledRule) -> None:
    layer, kind = one.layer, one.kind
    _check_geometry(layer, kind.geometry, f"kind {kind.name}", one.place)
    if kind.needs_metres and layer.geometry is not GeometryType.NONE:
        crs = CRS.from_user_input(layer.crs)
        if not crs.is_projected or crs.axis_info[0].unit_name != "metre":
            raise DeclarationError(
                found=f"layer {layer.name} is in {layer.crs} ({crs.name})",
                where=one.place,
                expected=f"a projected CRS in metres for kind {kind.name}",
                remedy="give the layer a projected CRS in its schema",
            )


def _check_geometry(layer: Layer, allowed: frozenset[GeometryType], what: str, place: str) -> None:
    if layer.geometry not in allowed:
        raise DeclarationError(
            found=f"geometry of layer {layer.name} is {layer.geometry}",
            where=place,
            expected=f"{' or '.join(sorted(allowed))} for {what}",
            remedy="remove the layer from the rule or choose another kind",
        )


def _check_columns(needs: ColumnNeeds, layer: Layer, place: str) -> None:
    types = {attribute.name: attribute.type for attribute in layer.attributes}
    for name, allowed in needs.items():
        if name not in types:
            raise DeclarationError(
                found=f"layer {layer.name} has no attribute {name!r}",
                where=place,
                expected=f"one of {', '.join(types)}",
                remedy="mend the name or the layer's schema",
            )
        if types[name] not in allowed:
            raise DeclarationError(
                found=f"attribute {layer.name}.{name} is of type {types[name]}",
                where=place,
                expected=f"type {' or '.join(sorted(allowed))}",
                remedy="choose another attribute or kind",
            )


def _check_misfit(misfit: str, place: str) -> None:
    if misfit:
        raise DeclarationError(
            found=misfit,
            where=place,
            expected="parameters that fit the layer",
            remedy="mend the parameters or the layer's schema",
        )


def _check_other(one: CompiledRule, other: OtherLayer, layers: Mapping[str, Layer]) -> None:
    layer = _layer(other.name, layers, one.place)
    _check_columns(other.columns, layer, one.place)
    _check_geometry(layer, other.geometry, f"the other layer of {one.kind.name}", one.place)
    if other.where is not None:
        types = {attribute.name: attribute.type for attribute in layer.attributes}
        _check_misfit(parse_expression(other.where).misfit(types), one.place)
    is_measured = one.kind.geometry.isdisjoint({GeometryType.NONE})
    if is_measured and CRS.from_user_input(layer.crs) != CRS.from_user_input(one.layer.crs):
        raise DeclarationError(
            found=f"layer {layer.name} is in {layer.crs}, {one.layer.name} in {one.layer.crs}",
            where=one.place,
            expected="one CRS for layers that are compared",
            remedy="give both layers the same CRS in their schemas",
        )
