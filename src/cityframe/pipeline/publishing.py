"""Publish a release: build its packages, prove them, and say so in the ledger."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cityframe.errors import DeclarationError
from cityframe.model.cycle import CycleState
from cityframe.model.layer import Layer
from cityframe.model.release import Release, ReleaseKind
from cityframe.pipeline.city import City, now, operator
from cityframe.pipeline.difference import LayerDifference, difference
from cityframe.pipeline.plan import read_plan
from cityframe.pipeline.reporting import REPORT_FILE, report_folder
from cityframe.pipeline.turns import in_turn
from cityframe.products.package import (
    LayerContent,
    LayerDelta,
    build_change,
    build_full,
    verify,
)
from cityframe.products.signature import SigningKey, TrustStore

ALL_FORMATS = ("gpkg", "geoparquet")


@in_turn
def publish(city: City, cycle: str) -> None:
    """Build and prove the packages of the release that a cycle made.

    Raises
    ------
    DeclarationError
        If the cycle made no release.
    """
    made = city.framework.released_by(cycle)
    if made is None:
        raise DeclarationError(
            where=f"cycle {cycle}", found="no release came of it", remedy="release it first"
        )
    publish_release(city, made)


def publish_release(city: City, made: Release) -> None:
    """Build and prove the packages of a release; nothing is done twice."""
    if city.ledger.last(what=CycleState.PUBLISHED, subject=made.cycle) is not None:
        return
    wants_full, wants_change, formats = _wanted(city, made)
    packages: dict[str, str] = {}
    if wants_full:
        folder = city.package_folder(made.number, "full")
        packages["full"] = _build_full(city, made, folder, formats)
    if wants_change and made.number > 1:
        folder = city.package_folder(made.number, "change")
        packages["change"] = _build_change(city, made, folder, formats)
    city.ledger.append(
        CycleState.PUBLISHED,
        made.cycle,
        {"release": made.number, "packages": packages},
        who=operator(),
        at=now(),
    )


def build_packages(city: City, number: int, to: Path) -> dict[str, Path]:
    """Build the full and, after the first release, the change package of a release.

    Returns
    -------
    dict of str to Path
        The folders, by kind.
    """
    made = city.framework.release(number)
    built = {"full": to / f"release-{number:04d}-full"}
    _build_full(city, made, built["full"], ALL_FORMATS)
    if number > 1:
        built["change"] = to / f"release-{number:04d}-change"
        _build_change(city, made, built["change"], ALL_FORMATS)
    return built


def verify_package(
    folder: Path, base: Path | None, trust: TrustStore | None = None
) -> dict[str, Any]:
    """Verify a package and return what was proved, JSON-ready.

    Raises
    ------
    IntegrityError
        If it is not what it claims to be, or does not lead from its base to its release.
    """
    result = verify(folder, base=base, trust=trust)
    manifest = result.manifest
    number = manifest.release.number
    proved = f"{manifest.kind.value} package of release {number}"
    if manifest.inverse:
        proved = f"inverse of a {manifest.kind.value} package, back to release {number}"
    if result.base is not None:
        before = result.base.release.number
        change = f"invert(change({before}))" if manifest.inverse else f"change({number})"
        proved += f"; full({number}) = apply({change}, full({before}))"
    return {
        "package": str(folder),
        "kind": manifest.kind.value,
        "release": manifest.release.number,
        "digest": manifest.digest,
        "rows": result.rows,
        "base": str(base) if base else None,
        "is_signature_checked": trust is not None,
        "signed_by": None if result.signer is None else result.signer.id,
        "proved": proved,
    }


def _wanted(city: City, made: Release) -> tuple[bool, bool, tuple[str, ...]]:
    if not (city.cycle_folder(made.cycle) / "plan.json").exists():
        return True, True, ALL_FORMATS
    packages = city.workspace.cycle_series(read_plan(city, made.cycle).series).packages
    return packages.full, packages.change, packages.formats


def _build_full(city: City, made: Release, folder: Path, formats: tuple[str, ...]) -> str:
    contents = [
        LayerContent(layer=layer, batches=partial(city.framework.batches, layer, made.number))
        for layer in _layers_of(city, made)
    ]
    _check_not_redacted(city, made)
    manifest = build_full(
        folder,
        made,
        contents,
        redactions=[
            one for number in range(1, made.number + 1) for one in city.framework.redactions(number)
        ],
        lineage=[
            one for number in range(1, made.number + 1) for one in city.framework.lineage(number)
        ],
        formats=formats,
        **_common(city, made),
    )
    return manifest.digest


def _build_change(city: City, made: Release, folder: Path, formats: tuple[str, ...]) -> str:
    _check_not_redacted(city, made)
    parent = made.number - 1
    redactions = city.framework.redactions(made.number)
    found = {one.layer.name: one for one in difference(city, parent, made.number)}
    contracts_before = city.framework.contracts(parent)
    manifest = build_change(
        folder,
        made,
        city.framework.release(parent),
        [
            _delta(
                city,
                layer,
                found.get(layer.name),
                contracts_before.get(layer.name),
                {one["uid"]: one["attributes"] for one in redactions if one["layer"] == layer.name},
            )
            for layer in _layers_of(city, made)
        ],
        lineage=city.framework.lineage(made.number),
        redactions=redactions,
        formats=formats,
        **_common(city, made),
    )
    return manifest.digest


def _delta(
    city: City,
    layer: Layer,
    found: LayerDifference | None,
    before: Layer | None,
    withheld: Mapping[str, Sequence[str]],
) -> LayerDelta:
    if found is None:
        empty = city.framework.states_of(layer, [], 0)
        return LayerDelta(layer, removed=empty.assign(change=""), added=empty, layer_before=before)
    features = found.features.set_index("uid")
    removed = found.before.assign(
        change=found.before["uid"].map(features["change"]),
        ended_by=found.before["uid"].map(features["ended_by"]),
        withheld=[",".join(withheld.get(uid, ())) for uid in found.before["uid"]],
    )
    added = found.after.assign(
        has_new_attributes=found.after["uid"].map(features["has_new_attributes"]).astype(bool)
    )
    return LayerDelta(layer, removed=removed, added=added, layer_before=before)


def _check_not_redacted(city: City, made: Release) -> None:
    """Refuse to package what is there only in part.

    Raises
    ------
    DeclarationError
        If a later release cleared values in all of history.
    """
    later = [
        one.number
        for one in city.framework.releases()
        if one.number > made.number and one.kind is ReleaseKind.REDACTION
    ]
    if later:
        raise DeclarationError(
            where=f"release {made.number}",
            found=f"values that release {later[0]} redacted in all of history",
            expected=f"a release from {later[0]} on",
            remedy="send the packages of the newest release",
        )


def _common(city: City, made: Release) -> dict[str, Any]:
    key = city.workspace.signing_key
    return {
        "chain": city.framework.chain(made.number),
        "title": city.workspace.title.title(),
        "quality": quality_record(city, made),
        "recalls": made.evidence.get("recalls", []),
        "key": None if key is None else SigningKey.read(key),
    }


def quality_record(city: City, made: Release) -> dict[str, Any]:
    """Return the proof that let a release in: evidence and the rule results of its report."""
    record: dict[str, Any] = {"release": made.number, "evidence": dict(made.evidence)}
    path = report_folder(city, made.cycle) / REPORT_FILE
    if path.exists():
        report = json.loads(path.read_text(encoding="utf-8"))
        report.pop("findings", None)
        record["report"] = report
    return record


def _layers_of(city: City, made: Release) -> list[Layer]:
    contracts = city.framework.contracts(made.number)
    return [contracts[version.layer] for version in made.layers]
