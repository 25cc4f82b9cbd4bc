"""``cityframe rule list|show|try|new``: kinds, rule sets and rules, and one rule on one file."""

import argparse
from pathlib import Path
from typing import Any

import yaml

import cityframe
from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.cli.trial_text import LANGUAGES, trial_body, trial_text
from cityframe.config.document import yaml_value
from cityframe.config.rule_set import RuleSet, rule_sets
from cityframe.errors import DeclarationError
from cityframe.pipeline.city import now
from cityframe.pipeline.scaffolding import scaffold_built_in, scaffold_package
from cityframe.pipeline.trying import Request, known_rule, try_rule, unknown, workspace_rules
from cityframe.rules.compiled import CompiledRule
from cityframe.rules.kind import RuleKind
from cityframe.rules.manual import kind_section, set_section
from cityframe.rules.registry import manual_text, rule_kinds
from cityframe.rules.writing import write_geopackage


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("rule", help="look at kinds and rules, try one, start a new one")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    list_parser = verbs.add_parser(
        "list", parents=[common], help="the kinds, the rule sets, or the rules of a layer"
    )
    what = list_parser.add_mutually_exclusive_group()
    what.add_argument("--sets", action="store_true", help="the rule sets")
    what.add_argument("--layer", metavar="L", help="the workspace's rules of a layer")
    list_parser.set_defaults(run=list_all)
    show_parser = verbs.add_parser(
        "show", parents=[common], help="the page of a kind or set, or a rule with its parameters"
    )
    show_parser.add_argument("name", metavar="NAME")
    show_parser.set_defaults(run=show)
    _register_try(verbs, common)
    new_parser = verbs.add_parser(
        "new", parents=[common], help="write the first files of a kind; they pass as they stand"
    )
    new_parser.add_argument("name", metavar="NAME")
    new_parser.add_argument("--into", type=Path, metavar="DIR")
    new_parser.add_argument(
        "--built-in", action="store_true", help="at their places in cityframe's source tree"
    )
    new_parser.set_defaults(run=new)


def _register_try(verbs: Commands, common: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser("try", parents=[common], help="run one rule on a file")
    parser.add_argument("name", metavar="KIND_OR_RULE")
    parser.add_argument("--on", type=Path, required=True, metavar="FILE")
    parser.add_argument("--layer", default="", metavar="L", help="the workspace's contract for it")
    parser.add_argument("--table", default="", metavar="T", help="layer or sheet of the file")
    parser.add_argument("--crs", default="", metavar="CODE", help="the CRS to check in")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="a parameter; the value is YAML",
    )  # fmt: skip
    parser.add_argument(
        "--other", action="append", default=[], type=_file, metavar="NAME=FILE",
        help="a file for another layer that the rule reads",
    )  # fmt: skip
    parser.add_argument("--to", type=_geopackage, metavar="FINDINGS.gpkg")
    parser.add_argument("--language", choices=LANGUAGES, default=LANGUAGES[0])
    parser.set_defaults(run=try_one)


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise DeclarationError(
            where="--set", found=repr(text), expected="NAME=VALUE", remedy="mend the call"
        )
    return name, yaml_value(value)


def _file(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not name or not equals or not path:
        message = f"{text!r} names no file; write NAME=FILE"
        raise argparse.ArgumentTypeError(message)
    return name, Path(path)


def _geopackage(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".gpkg" or not path.parent.is_dir():
        message = f"{text!r}: write FILE.gpkg in a folder that is there"
        raise argparse.ArgumentTypeError(message)
    return path


def list_all(options: argparse.Namespace) -> Answer:
    """List kinds, rule sets, or the rules of a layer."""
    if options.sets:
        return _list_sets()
    if options.layer:
        return _list_rules(options.workspace, options.layer)
    kinds = sorted(rule_kinds().values(), key=lambda kind: (kind.number, kind.name))
    body = [kind_body(kind) for kind in kinds]
    rows = [
        (one["number"], one["kind"], one["group"], one["reach"], one["measure"], one["title"])
        for one in body
    ]
    header = ("no.", "kind", "group", "reach", "measure", "")
    return Answer({"kinds": body}, table(rows, header))


def _list_sets() -> Answer:
    body = [
        {**_set_body(one), "rules": [rule.id for rule in one.rules]} for one in rule_sets().values()
    ]
    rows = [
        (one.name, one.title.zh, one.title.en, len(one.rules), " ".join(one.geometry))
        for one in rule_sets().values()
    ]
    return Answer({"sets": body}, table(rows, ("set", "标题", "title", "rules", "geometry")))


def _list_rules(workspace: Path, layer: str) -> Answer:
    rules = workspace_rules(workspace)
    mine = [one for one in rules if one.layer.name == layer]
    if not mine:
        raise unknown(layer, "layer with rules", [one.layer.name for one in rules])
    rows = [
        (one.rule.id, one.rule.kind, one.rule.scope, one.rule.gate, one.rule.defect_class,
         one.rule.title.zh, one.place)
        for one in mine
    ]  # fmt: skip
    header = ("rule", "kind", "scope", "gate", "class", "标题", "place")
    return Answer({"layer": layer, "rules": [rule_body(one) for one in mine]}, table(rows, header))


def show(options: argparse.Namespace) -> Answer:
    """Show a kind, a rule set or a rule of the workspace."""
    name = options.name
    if name in rule_kinds():
        kind = rule_kinds()[name]
        body = {**kind_body(kind), "manual": manual_text(name)}
        body["parameters"] = kind.params.model_json_schema()
        return Answer(body, "\n".join(kind_section(kind)))
    if name in rule_sets():
        found = rule_sets()[name]
        body = _set_body(found) | found.model_dump(mode="json", include={"roles", "rules"})
        return Answer(body, "\n".join(set_section(found)))
    one = known_rule(options.workspace, name)
    body = rule_body(one)
    parameters = yaml.safe_dump(body["parameters"], allow_unicode=True, sort_keys=False)
    text = (
        f"{name}: {one.rule.title.zh} / {one.rule.title.en}\n"
        f"kind {one.rule.kind} on {', '.join(one.rule.layers)}, scope {one.rule.scope}, "
        f"gate {one.rule.gate}, class {one.rule.defect_class}, tolerated {one.rule.tolerated:g}\n"
        f"{one.place}\nparameters, as resolved:\n{parameters}"
    )
    return Answer(body, text.rstrip())


def try_one(options: argparse.Namespace) -> Answer:
    """Run one rule on a file."""
    request = Request(
        name=options.name,
        file=options.on,
        parameters=dict(map(_parameter, options.set)),
        layer=options.layer,
        table=options.table,
        crs=options.crs,
        others=dict(options.other),
    )
    trial = try_rule(options.workspace, request, as_of=now())
    if options.to is not None:
        write_geopackage([trial.findings], options.to)
    body = trial_body(trial, options.to)
    return Answer(body, trial_text(trial, options.to, options.language))


def new(options: argparse.Namespace) -> Answer:
    """Write the first files of a kind."""
    if options.built_in:
        tree = options.into or Path(cityframe.__file__).parents[2]
        written = scaffold_built_in(options.name, tree)
        then = f"pytest tests/rules -k {options.name}"
    else:
        written = scaffold_package(options.name, options.into or Path())
        folder = written[0].parent
        then = f"pip install -e {folder} && pytest {folder}"
    paths = [str(path) for path in written]
    return Answer({"kind": options.name, "written": paths}, "\n".join([*paths, f"then: {then}"]))


def kind_body(kind: RuleKind) -> dict[str, Any]:
    """Return a kind, JSON-ready."""
    return {
        "number": kind.number,
        "kind": kind.name,
        "group": kind.group,
        "reach": kind.reach,
        "measure": f"{kind.measure.register} {kind.measure.id}",
        "geometry": sorted(kind.geometry),
        "scopes": sorted(kind.scopes),
        "title": manual_text(kind.name).splitlines()[0],
    }


def rule_body(one: CompiledRule) -> dict[str, Any]:
    """Return a rule of the workspace as it is resolved, JSON-ready."""
    rule = one.rule.model_dump(mode="json", by_alias=True, exclude={"layers"})
    parameters = one.parameters.model_dump(mode="json")
    return {**rule, "layers": list(one.rule.layers), "parameters": parameters, "place": one.place}


def _set_body(one: RuleSet) -> dict[str, Any]:
    return {"set": one.name, "title": one.title.model_dump(), "geometry": list(one.geometry)}
