"""The JSON Schema of ``report.json``, made from the model.

``python -m cityframe.products.report.schema > docs/formats/report.schema.json`` writes it anew.
"""

import json
import sys
from typing import Any

from cityframe.products.report.document import DOCUMENT


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``report.json``, made from the model."""
    schema = DOCUMENT.json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cityframe report",
        **_closed(_without_generated_titles(schema)),
    }


def schema_text() -> str:
    """Return the JSON Schema as it is kept in ``docs/formats/report.schema.json``."""
    return json.dumps(report_schema(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _without_generated_titles(node: Any, *, is_named: bool = False) -> Any:
    # pydantic repeats each field's name as a title; under `properties` a key is a field, not a word
    if isinstance(node, dict):
        return {
            key: _without_generated_titles(value, is_named=key in ("properties", "$defs"))
            for key, value in node.items()
            if is_named or key != "title"
        }
    if isinstance(node, list):
        return [_without_generated_titles(one) for one in node]
    return node


def _closed(node: Any) -> Any:
    # the writer knows every field, so a field that the schema does not name is an error
    if isinstance(node, dict):
        closed = {key: _closed(value) for key, value in node.items()}
        if "properties" in closed and isinstance(closed.get("required"), list):
            closed["additionalProperties"] = False
        return closed
    if isinstance(node, list):
        return [_closed(one) for one in node]
    return node


if __name__ == "__main__":
    sys.stdout.write(schema_text())
