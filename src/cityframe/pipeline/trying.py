"""Try one rule, or a kind with parameters, on one file."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import geopandas as gpd
from pydantic import ValidationError
from pyproj import CRS

from cityframe.config.rule import Rule
from cityframe.config.schema import TitleText
from cityframe.config.workspace import WORKSPACE_FILE, read_workspace
from cityframe.errors import DeclarationError
from cityframe.model.finding import DefectClass, Gate, Scope
from cityframe.model.layer import GeometryType, Layer
from cityframe.pipeline.tried_layer import TriedLayer, layer_of_file
from cityframe.rules.checking.execution import Threads
from cityframe.rules.compiled import CompiledRule, compile_rules
from cityframe.rules.context import Context
from cityframe.rules.kind import Need, RuleKind
from cityframe.rules.proving.without_gate import findings_of
from cityframe.rules.registry import rule_kinds

_CALL = "the call"
_NEEDED: Mapping[Need, str] = {
    "received": "what a delivery brought",
    "read_observations": "the observations of sensors",
    "changes": "the changes of a candidate",
}


@dataclass(frozen=True)
class Trial:
    """What came of trying a rule.

    Attributes
    ----------
    rule : str
        Id of the workspace's rule, or the name of the kind.
    parameters : mapping
        As the kind took them, defaults among them.
    findings : GeoDataFrame
        Columns `cityframe.model.finding.FINDING_COLUMNS`, in the layer's CRS.
    notes : tuple of str
        What was assumed of the files, and what of them did not fit.
    """

    rule: str
    kind: str
    parameters: Mapping[str, Any]
    layer: Layer
    records: int
    findings: gpd.GeoDataFrame
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What to try on what.

    Attributes
    ----------
    name : str
        A kind, or the id of a rule of the workspace.
    file : Path
        A vector or table file.
    parameters : mapping
        Given beside, or instead of, those of the workspace's rule.
    layer : str
        Layer of the workspace whose contract the file keeps; empty for the rule's, or none.
    table : str
        Layer or sheet of the file; empty for the only one.
    crs : str
        CRS to check in; empty for that of the contract or the file.
    others : mapping of str to Path
        Files for the other layers that the rule reads, by their names.
    """

    name: str
    file: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    layer: str = ""
    table: str = ""
    crs: str = ""
    others: Mapping[str, Path] = field(default_factory=dict)


def try_rule(root: Path, request: Request, *, as_of: dt.datetime) -> Trial:
    """Try a rule on a file; nothing is stored.

    Parameters
    ----------
    root : Path
        The workspace; needed for its rules and layers only.
    as_of : datetime
        Aware; the moment that counts as now.

    Raises
    ------
    DeclarationError
        If there is no such kind, rule, layer or file, the parameters are wrong or do not fit the
        layer, the kind needs metres and the CRS has none, or one file is not enough for it.
    QuarantinedError
        If a file can't be read.
    """
    declared = None if request.name in rule_kinds() else known_rule(root, request.name).rule
    kind = rule_kinds()[request.name if declared is None else declared.kind]
    _require_enough(kind, kind.needs, is_compared=kind.reach == "versions")
    tried = _tried(root, request, declared)
    _require_metres(kind, tried.layer, request.file)
    layers = {tried.layer.name: tried}
    for name, path in request.others.items():
        layers[name] = layer_of_file(path, name=name, crs=tried.layer.crs)
    rule = _rule(kind, declared, tried.layer.name, request.parameters)
    _require_others(kind, rule, layers)
    compiled = compile_rules(
        [rule], {name: one.layer for name, one in layers.items()}, {rule.id: _CALL}
    )
    (one,) = compiled.rules
    _require_enough(kind, one.parameters.needed_context(), is_compared=False)
    context = Context(
        layer=tried.layer,
        frame=tried.frame,
        layers=compiled.layers,
        as_of=as_of,
        read_other=lambda name: layers[name].frame,
    )
    found = findings_of(context, compiled, Threads())
    if found.message:
        raise DeclarationError(
            where=f"{kind.name} on {request.file}",
            found=f"it could not be checked: {found.message}",
            expected="findings, or none",
            remedy="mend the file or the parameters; a kind of your own, in its module",
        )
    return Trial(
        rule=kind.name if declared is None else declared.id,
        kind=kind.name,
        parameters=one.parameters.model_dump(mode="json"),
        layer=tried.layer,
        records=len(tried.frame),
        findings=found.findings,
        notes=tuple(
            note if name == tried.layer.name else f"{name}: {note}"
            for name, each in layers.items()
            for note in each.notes
        ),
    )


def known_rule(root: Path, name: str) -> CompiledRule:
    """Return a rule of a workspace by its id, on the first of its layers.

    Raises
    ------
    DeclarationError
        If there is neither a rule nor a kind of that name; with the names that are nearest.
    """
    rules = workspace_rules(root) if (root / WORKSPACE_FILE).exists() else ()
    for one in rules:
        if one.rule.id == name:
            return one
    raise unknown(name, "kind or rule", (*rule_kinds(), *(one.rule.id for one in rules)))


def workspace_rules(root: Path) -> tuple[CompiledRule, ...]:
    """Return the rules of a workspace as its layers have them, those of rule sets resolved."""
    workspace = read_workspace(root)
    return compile_rules(workspace.rules, workspace.layers, workspace.places).rules


def unknown(name: str, what: str, names: Iterable[str]) -> DeclarationError:
    """Return the error that tells which names are nearest to one that is not known."""
    near = get_close_matches(name, sorted(set(names)), n=3, cutoff=0.5)
    return DeclarationError(
        found=f"no {what} {name!r}",
        where=_CALL,
        expected=f"perhaps {' or '.join(near)}" if near else "",
        remedy="`cityframe rule list` has them all",
    )


def _tried(root: Path, request: Request, declared: Rule | None) -> TriedLayer:
    """Return the file as a layer: by the contract that was asked for, or as it is."""
    name = request.layer or (declared.layers[0] if declared is not None else "")
    contract = read_workspace(root).layer(name) if name else None
    return layer_of_file(request.file, table=request.table, contract=contract, crs=request.crs)


def _rule(kind: RuleKind, declared: Rule | None, layer: str, parameters: Mapping[str, Any]) -> Rule:
    """Return the rule over the layer; what the call gives wins over what is declared."""
    if declared is not None:
        merged = {**declared.parameters, **parameters}
        return declared.model_copy(update={"layers": (layer,), "parameters": merged})
    scope = Scope.CANDIDATE if Scope.CANDIDATE in kind.scopes else Scope.DELIVERY
    return Rule(
        id=f"{layer}.{kind.name}",
        title=TitleText(zh=kind.name, en=kind.name),
        kind=kind.name,
        layers=(layer,),
        parameters=dict(parameters),
        defect_class=DefectClass.B,
        gate=Gate.NOTE,
        scope=scope,
    )


def _require_enough(kind: RuleKind, needs: tuple[Need, ...], *, is_compared: bool) -> None:
    """Refuse a kind that needs more than layers."""
    wanted = [_NEEDED[need] for need in needs]
    if is_compared:
        wanted.append("the current release to compare with")
    if wanted:
        raise DeclarationError(
            where=f"kind {kind.name}",
            found="one file is not enough for it",
            expected=" and ".join(wanted),
            remedy="declare a rule and run a cycle: `cityframe cycle run SERIES`",
        )


def _require_metres(kind: RuleKind, layer: Layer, file: Path) -> None:
    if not kind.needs_metres or layer.geometry is GeometryType.NONE:
        return
    crs = CRS.from_user_input(layer.crs)
    if crs.is_projected and crs.axis_info[0].unit_name == "metre":
        return
    raise DeclarationError(
        where=str(file),
        found=f"it is in {layer.crs} ({crs.name})",
        expected=f"a projected CRS in metres for kind {kind.name}",
        remedy="transform its coordinates with --crs, as --crs EPSG:4547",
    )


def _require_others(kind: RuleKind, rule: Rule, layers: Mapping[str, TriedLayer]) -> None:
    """Ask for the files of the other layers, if the parameters are right enough to tell them."""
    try:
        needed = kind.params.model_validate(rule.parameters).needed_layers()
    except ValidationError:
        return  # what is wrong with them is told when the rule is compiled
    missing = [other.name for other in needed if other.name not in layers]
    if missing:
        raise DeclarationError(
            where=_CALL,
            found=f"kind {kind.name} reads {', '.join(missing)} too",
            expected="a file for each other layer",
            remedy=" ".join(f"--other {name}=FILE" for name in missing),
        )
