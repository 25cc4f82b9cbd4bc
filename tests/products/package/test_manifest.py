import json
from pathlib import Path

import jsonschema
import pytest

from cityframe.errors import IntegrityError
from cityframe.products.package.manifest import canonical_json, read_manifest
from cityframe.products.package.schema import manifest_schema

SCHEMA = Path(__file__).parents[3] / "docs" / "formats" / "package-manifest.schema.json"


def test_published_schema_is_that_of_the_model():
    # python -m cityframe.products.package.schema > docs/formats/package-manifest.schema.json
    assert SCHEMA.read_text(encoding="utf-8") == canonical_json(manifest_schema())


@pytest.mark.parametrize("name", ["full1", "change2"])
def test_manifests_fit_the_published_schema(folders, name):
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    data = json.loads((folders / name / "manifest.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(data)
    data["layers"][0]["after"]["count"] = -1
    assert not validator.is_valid(data)


def test_a_manifest_says_where_it_leads_from_and_to(folders, town):
    manifest = read_manifest(folders / "change2")
    assert manifest.parent.number == 1
    assert manifest.parent.digest == town.releases[0].digest
    assert manifest.release.digest == town.releases[1].digest
    assert manifest.release.created_at == "2026-11-02T08:00:00+00:00"
    buildings = manifest.layer("buildings")
    assert buildings.before.digest == town.releases[0].layers[0].digest
    assert buildings.after.digest == town.releases[1].layers[0].digest
    assert buildings.changes == {"attributes": 1, "new": 2, "removed": 1, "reshaped": 1}
    assert buildings.contract == town.layers["buildings"]
    assert manifest.layer("parks") is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("crs", "EPSG:0"), ("precision_m", 0.0), ("accuracy_m", "nan"), ("accuracy_m", 10**400)],
)
def test_a_contract_that_no_layer_can_have_is_refused(folders, reseal, field, value):
    for package in ("full1", "change2"):
        reseal(folders / package, lambda data: data["layers"][0]["contract"].update({field: value}))
        with pytest.raises(IntegrityError, match=r"manifest\.json"):
            read_manifest(folders / package)


def test_a_release_is_the_one_of_its_seal(folders, reseal):
    reseal(folders / "full1", lambda data: data["release"].update(number=7))
    with pytest.raises(IntegrityError, match="the number of its seal, 1"):
        read_manifest(folders / "full1")
