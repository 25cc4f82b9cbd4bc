"""The JSON Schemas of ``report.json`` and ``supplier.json``, made from the model.

``python -m cityframe.products.report.schema > docs/formats/report.schema.json`` writes one anew,
with ``supplier`` behind it the other.
"""

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from cityframe.products.report.document import DOCUMENT
from cityframe.products.report.supplier import DOCUMENT as SUPPLIER_DOCUMENT


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``report.json``, made from the model."""
    return _schema(DOCUMENT, "cityframe report")


def supplier_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``supplier.json``, made from the model."""
    return _schema(SUPPLIER_DOCUMENT, "cityframe supplier report")


def schema_text(schema: dict[str, Any]) -> str:
    """Return a JSON Schema as it is kept in ``docs/formats``."""
    return json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _schema(document: TypeAdapter[Any], title: str) -> dict[str, Any]:
    schema = document.json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **_closed(_without_generated_titles(schema)),
    }


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
    chosen = supplier_schema if sys.argv[1:] == ["supplier"] else report_schema
    sys.stdout.write(schema_text(chosen()))
