"""Validate a workspace, and write JSON Schemas of its declarations for editors."""

import json
from pathlib import Path

from pydantic import BaseModel

from cityframe.config.cycle import Series
from cityframe.config.rule import RuleFile
from cityframe.config.schema import LayerSchema
from cityframe.config.source import Source
from cityframe.config.workspace import WorkspaceFile, read_workspace
from cityframe.core.crs import require_projected_metres
from cityframe.rules import compile_rules

_MODELS: dict[str, type[BaseModel]] = {
    "workspace": WorkspaceFile,
    "layer": LayerSchema,
    "source": Source,
    "rules": RuleFile,
    "series": Series,
}


def validate_workspace(root: Path) -> dict[str, int]:
    """Read all declarations, compile the rules, and return how many there are of each.

    Raises
    ------
    DeclarationError
        The first that is wrong, with file and line.
    """
    workspace = read_workspace(root)
    for layer in workspace.layers.values():
        require_projected_metres(layer.crs, where=f"{root / 'schemas' / layer.name}.yaml")
    compile_rules(workspace.rules, workspace.layers, workspace.places)
    return {
        "layers": len(workspace.layers),
        "sources": len(workspace.sources),
        "rules": len(workspace.rules),
        "series": len(workspace.series),
    }


def write_json_schemas(folder: Path) -> list[Path]:
    """Write one JSON Schema a kind of declaration and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, model in _MODELS.items():
        path = folder / f"{name}.schema.json"
        text = json.dumps(model.model_json_schema(by_alias=True), ensure_ascii=False, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
        paths.append(path)
    return paths
