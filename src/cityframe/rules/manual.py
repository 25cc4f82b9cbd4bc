"""The manual of the rule kinds, written from their own docstrings: ``docs/rules.md``.

To update the page::

    python -m cityframe.rules.manual > docs/rules.md
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import yaml

from cityframe.config.rule_set import RuleSet, rule_sets
from cityframe.model.layer import GeometryType
from cityframe.rules.kind import ANY_GEOMETRY, SPATIAL, RuleKind
from cityframe.rules.registry import manual_text, rule_kinds

_HEAD = """\
# Rule kinds

*Written by `python -m cityframe.rules.manual > docs/rules.md` from the kinds' own docstrings: edit
those.*

A rule in `quality_rules/` is one use of a rule kind on layers:

```yaml
rules:
  - id: parcels.overlap
    title: {zh: 宗地重叠, en: Parcels overlap}
    kind: overlaps
    layers: [parcels]
    parameters: {min_area_m2: 0.05}
    defect_class: A        # A severe to D slight, in the sense of GB/T 24356
    gate: block            # block, review or note
    scope: candidate       # delivery or candidate
    tolerated: 0.0         # share of records that may fail before the gate closes
```

What each gate does:

* `block` in a delivery returns the records that fail, and sets the delivery aside whole beyond the
  tolerated share; in a candidate it holds the approval.
* `review` shows the findings to a person, `note` lists them.
* A rule that could not be checked closes the gate, whatever its own gate is. So does a finding of
  a blocking rule about the layer as a whole, whatever is tolerated.

A rule on an attribute that a delivery does not provide is passed over for that delivery, and its
result says so. Measures are those of ISO 19157:2013 unless another register is named; a rule may
name its own. *Looks at* is a kind's reach: how far it looks from the feature that a finding stands
on. What no change can have reached is not checked again.

| looks at | that is |
|---|---|
| `feature` | that feature alone |
| `neighbourhood` | what lies within some metres of it, in its layer and the others |
| `component` | the part of a network that it is connected to |
| `layer` | the whole layer and the others that the rule reads |
| `versions` | the current release too; in the scope of a delivery for full deliveries only |

`cityframe rule show NAME` prints a page of this manual, `cityframe rule try NAME --on FILE` runs a
kind or a rule on a file. [Rule sets](#rule-sets) stand at the end.

"""

_SETS = """\
## Rule sets

Rules for a type of layer, included by name; `cityframe rule list --layer L` shows what became of
them:

```yaml
include:
  - set: building
    layer: buildings
    names: {key: number}               # fills the roles
    override: {overlaps: {gate: block}}
    without: [minimum-width]
```

A parameter `$role` is the name that the include gives, and a rule with an optional role that is not
given is left out. A parameter `= expression` is a number derived from the accuracy and precision
that the layer declares. What is not named of a rule is as above."""


def manual_page() -> str:
    """Return the manual of all rule kinds as Markdown."""
    kinds = sorted(rule_kinds().values(), key=lambda kind: (kind.number, kind.name))
    lines = ["| no. | kind | looks at | ISO measure |", "|---|---|---|---|"]
    lines += [
        f"| {kind.number} | [`{kind.name}`](#{kind.name}) | {kind.reach} | {_measure(kind)} |"
        for kind in kinds
    ]
    group = ""
    for kind in kinds:
        if kind.group != group:
            group = kind.group
            lines += ["", f"## {group}"]
        lines += ["", *kind_section(kind)]
    lines += ["", _SETS]
    for rule_set in rule_sets().values():
        lines += ["", *set_section(rule_set)]
    return _HEAD + "\n".join(lines) + "\n"


def set_section(rule_set: RuleSet) -> list[str]:
    """Return the page of a rule set, as Markdown."""
    shapes = ", ".join(rule_set.geometry)
    lines = [f"### {rule_set.name}", "", f"{rule_set.title.zh}: {rule_set.title.en}."]
    lines += [f"Layers: {shapes}.", "", "| role | meaning | |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {role.title.zh}: {role.title.en} | "
        f"{'required' if role.required else 'optional'} |"
        for name, role in rule_set.roles.items()
    ]
    lines += ["", "| rule | what it requires | kind | parameters | class, gate, scope |"]
    lines += ["|---|---|---|---|---|"]
    lines += [
        f"| `{rule.id}` | {rule.title.zh}: {rule.title.en} | [`{rule.kind}`](#{rule.kind}) | "
        f"{_as_written(rule.parameters)} | {rule.defect_class}, {rule.gate}, {rule.scope} |"
        for rule in rule_set.rules
    ]
    return lines


def _as_written(parameters: Mapping[str, Any]) -> str:
    if not parameters:
        return ""
    flow = yaml.safe_dump(
        dict(parameters), default_flow_style=True, allow_unicode=True, sort_keys=False, width=1000
    )
    return "`" + flow.strip().replace("|", "\\|") + "`"


def kind_section(kind: RuleKind) -> list[str]:
    """Return the page of a kind, as Markdown."""
    lines = [f"### {kind.name}", "", manual_text(kind.name), ""]
    schema = kind.params.model_json_schema()
    properties = schema.get("properties", {})
    if properties:
        lines += ["| parameter | values | default | meaning |", "|---|---|---|---|"]
        required = schema.get("required", [])
        lines += [
            f"| `{name}` | {_values(field, schema)} | "
            f"{'required' if name in required else _default(field)} | {field['description']} |"
            for name, field in properties.items()
        ]
        lines.append("")
    scopes = " and ".join(sorted(kind.scopes))
    lines.append(f"Layers: {_geometry(kind)}. Scope: {scopes}. Measure: {_measure(kind)}.")
    return lines


def _measure(kind: RuleKind) -> str:
    measure = kind.measure
    register = "" if measure.register.startswith("ISO") else f"{measure.register} "
    return f"{register}{measure.id}, {measure.name}"


def _geometry(kind: RuleKind) -> str:
    if kind.geometry == ANY_GEOMETRY:
        return "all"
    if kind.geometry == SPATIAL:
        return "all with geometry"
    return ", ".join(one.value for one in GeometryType if one in kind.geometry)


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    return "none" if default is None or default in ("", []) else f"`{json.dumps(default)}`"


def _values(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        texts = [_values(one, schema) for one in field["anyOf"] if one.get("type") != "null"]
        return " or ".join(texts)
    if "$ref" in field:
        inner = schema["$defs"][field["$ref"].rsplit("/", 1)[-1]]
        if "properties" not in inner:
            return _values(inner, schema)
        return f"mapping of {', '.join(f'`{name}`' for name in inner['properties'])}"
    if field["type"] == "object":
        return f"mapping of text to {_values(field['additionalProperties'], schema)}"
    if "prefixItems" in field:
        return f"list of {', '.join(_values(one, schema) for one in field['prefixItems'])}"
    if field["type"] == "array":
        return f"list of {_values(field['items'], schema)}"
    if field["type"] == "string":
        return str(field.get("format", "text"))
    names = {"number": "number", "integer": "integer", "boolean": "true or false"}
    return names[str(field["type"])]


if __name__ == "__main__":
    sys.stdout.write(manual_page())
