"""The JSON Schema of ``manifest.json``, kept in ``docs/formats/package-manifest.schema.json``.

Run as a module, it prints the schema.
"""

import sys
from typing import Any

from cityframe.products.package.manifest import PackageManifest, canonical_json


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``manifest.json``."""
    schema = PackageManifest.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


if __name__ == "__main__":
    sys.stdout.write(canonical_json(manifest_schema()))
