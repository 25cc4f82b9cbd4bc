"""Validate a workspace, and write JSON Schemas of its declarations for editors."""

import json
from pathlib import Path

import pyproj
from pydantic import BaseModel

from cityframe.config.cycle import Series
from cityframe.config.rule_set import RuleFile
from cityframe.config.schema import LayerSchema
from cityframe.config.scoring import Scoring
from cityframe.config.source import Source
from cityframe.config.workspace import WorkspaceFile, read_workspace
from cityframe.core.crs import read_crs
from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer
from cityframe.products.signature import SigningKey
from cityframe.rules.acceptance.scoring import require_scored
from cityframe.rules.compiled import compile_rules

_MODELS: dict[str, type[BaseModel]] = {
    "workspace": WorkspaceFile,
    "layer": LayerSchema,
    "source": Source,
    "rules": RuleFile,
    "scoring": Scoring,
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
        _require_projected_metres(layer, root / "schemas" / f"{layer.name}.yaml")
    if workspace.signing_key is not None:
        SigningKey.read(workspace.signing_key)
    rules = compile_rules(workspace.rules, workspace.layers, workspace.places)
    require_scored(rules, workspace.scoring)
    return {
        "layers": len(workspace.layers),
        "sources": len(workspace.sources),
        "rules": len(workspace.rules),
        "series": len(workspace.series),
    }


def _require_projected_metres(layer: Layer, path: Path) -> None:
    crs = pyproj.CRS(read_crs(layer.crs, where=str(path)).crs)
    if not crs.is_projected or {axis.unit_name for axis in crs.axis_info[:2]} != {"metre"}:
        raise DeclarationError(
            where=str(path),
            found=f"crs is {layer.crs} ({crs.name})",
            expected="a projected CRS in metres",
            remedy="CGCS2000 3-degree zones are EPSG:4513 to EPSG:4533 and EPSG:4534 to EPSG:4554",
        )


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
