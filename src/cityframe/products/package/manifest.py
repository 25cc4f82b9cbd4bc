"""The manifest of a package: what it holds, where it leads from and to, and the proof."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pyproj
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.model.release import ReleaseKind
from cityframe.model.text import Title

MANIFEST_FILE = "manifest.json"
QUALITY_FILE = "quality.json"
LINEAGE_FILE = "lineage.json"
REDACTIONS_FILE = "redactions.json"
SIGNATURE_FILE = "signature.json"
NOTES_FILES = {"zh": "NOTES.zh.md", "en": "NOTES.en.md"}
FORMAT_VERSION = 2

RowDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ChainDigest = Sha256
Count = Annotated[int, Field(ge=0)]


class PackageKind(StrEnum):
    """All of a release, or what changed since the release before."""

    FULL = "full"
    CHANGE = "change"


class PackageFormat(StrEnum):
    """How the rows are stored: one GeoPackage for all layers, or one GeoParquet file a layer."""

    GPKG = "gpkg"
    GEOPARQUET = "geoparquet"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackagedRelease(_Part):
    """One end of a package; ``digest`` is the chain digest of the release.

    Attributes
    ----------
    valid_at : str
        Reference time of the release; empty if it has none.
    seal : dict or None
        What the chain digest is made of: its BLAKE2b-256, as compact JSON, is ``digest``. Given
        for the release that a package was built for.
    """

    number: int = Field(ge=1)
    kind: ReleaseKind
    created_at: str
    valid_at: str
    cycle: str
    digest: ChainDigest
    seal: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_its_digest(self) -> Self:
        if self.seal is not None and chain_digest(self.seal) != self.digest:
            message = f"a seal that gives the chain digest {self.digest}"
            raise ValueError(message)
        for name in ("number", "kind", "created_at", "valid_at", "cycle"):
            stated = getattr(self, name)
            if self.seal is not None and self.seal.get(name, stated) != stated:
                message = f"the {name} of its seal, {self.seal[name]!r}"
                raise ValueError(message)
        return self


class Recall(_Part):
    """A release that was withdrawn: number and chain digest."""

    release: int = Field(ge=1)
    digest: ChainDigest


class LayerState(_Part):
    """A whole layer in one release: number of features and order-free digest."""

    count: Count
    digest: RowDigest


class PackagedLayer(_Part):
    """One layer of a package.

    Attributes
    ----------
    contract : Layer
        What each feature looks like after, CRS and precision included.
    contract_before : Layer or None
        What it looked like in the parent release; None if that is the same.
    before : LayerState or None
        The layer in the parent release; None in a full package and for a layer that was not there.
    after : LayerState or None
        The layer in the release; None only in an inverse that takes a layer away again.
    changes : mapping of ChangeKind to int
        Features by kind of change against the parent release; kinds without any are left out.
    rows : int
        Rows of the layer's table in this package.
    rows_digest : str or None
        Digest over these rows in their order, with uid, valid time and provenance; None in a change
        package.
    """

    contract: Layer
    contract_before: Layer | None
    before: LayerState | None
    after: LayerState | None
    changes: dict[ChangeKind, Annotated[int, Field(gt=0)]]
    rows: Count
    rows_digest: RowDigest | None

    @property
    def former_contract(self) -> Layer:
        """The contract of the rows before."""
        return self.contract_before or self.contract

    @property
    def wide_contract(self) -> Layer:
        """The contract, before or after, with all attributes that the other one has too."""
        return max(self.contract, self.former_contract, key=lambda one: len(one.attributes))

    @model_validator(mode="after")
    def _can_follow(self) -> Self:
        check_contracts(self.former_contract, self.contract)
        if not 0 < self.contract.precision_m < math.inf:
            message = "a precision above zero"
            raise ValueError(message)
        try:
            pyproj.CRS(self.contract.crs)
        except pyproj.exceptions.CRSError as error:
            message = f"a CRS that is known, not {self.contract.crs!r}"
            raise ValueError(message) from error
        if self.contract_before is not None and (
            self.before is None or self.contract_before == self.contract
        ):
            message = "a contract before only where it was another one"
            raise ValueError(message)
        return self


def check_contracts(before: Layer, after: Layer) -> None:
    """Check that one contract can follow the other without a new layer.

    Raises
    ------
    ValueError
        If more differs than texts, codes, lengths, keys, accuracy and attributes that came or went.
    """
    for field in ("name", "geometry", "crs", "precision_m", "has_z", "vertical_datum"):
        if getattr(before, field) != getattr(after, field):
            message = f"the same {field} in the contracts before and after"
            raise ValueError(message)
    kinds = [{one.name: one.type for one in layer.attributes} for layer in (before, after)]
    narrow, wide = sorted(kinds, key=len)
    if not narrow.items() <= wide.items():
        message = "contracts before and after of which one has all attributes of the other"
        raise ValueError(message)


class PackagedFile(_Part):
    """One file of a package: name, bytes and SHA-256 in hexadecimal."""

    path: str
    size: Count
    sha256: Sha256


class PackageManifest(_Part):
    """``manifest.json``.

    Attributes
    ----------
    inverse : bool
        Whether this is, or was made by, the inverse of a change: not what the publisher built.
    title, remarks : Title
        Name of the framework, and what the notes say beside the totals; remarks may be empty.
    recalls : tuple of Recall
        Releases withdrawn so far, sorted, which a subscriber must have acknowledged.
    digest : str
        SHA-256 over the manifest itself, as written, with this field empty.
    """

    format: Literal["cityframe-package"] = "cityframe-package"
    format_version: Literal[2] = 2
    tool_version: str
    kind: PackageKind
    inverse: bool
    title: Title
    remarks: Title
    parent: PackagedRelease | None
    release: PackagedRelease
    recalls: tuple[Recall, ...]
    formats: tuple[PackageFormat, ...] = Field(min_length=1)
    layers: tuple[PackagedLayer, ...] = Field(min_length=1)
    files: tuple[PackagedFile, ...]
    digest: str = ""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        is_change = self.kind is PackageKind.CHANGE
        names = [layer.contract.name for layer in self.layers]
        recalls = [(one.release, one.digest) for one in self.recalls]
        paths = package_paths(self.kind, self.formats, names)
        for holds, message in (
            (
                is_change == (self.parent is not None),
                "a parent in a change package, and only there",
            ),
            (names == sorted(set(names)), "layers sorted by name, each once"),
            (list(self.formats) == sorted(set(self.formats)), "formats sorted, each once"),
            (recalls == sorted(set(recalls)), "recalls sorted, each once"),
            ([file.path for file in self.files] == paths, f"files {paths}"),
            (
                not is_change or PackageFormat.GEOPARQUET in self.formats,
                "geoparquet among the formats of a change package",
            ),
            (
                all((layer.rows_digest is None) == is_change for layer in self.layers),
                "a rows digest of each layer in a full package, and only there",
            ),
            (
                self.inverse or all(layer.after is not None for layer in self.layers),
                "a state after of each layer",
            ),
        ):
            if not holds:
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _stands_in_the_chain(self) -> Self:
        step = -1 if self.inverse else 1
        if self.parent and self.release.number - self.parent.number != step:
            message = f"release {self.release.number - step} as the parent"
            raise ValueError(message)
        if not self.inverse:
            seal = self.release.seal
            if seal is None:
                message = "the seal of the release"
                raise ValueError(message)
            if self.parent and seal.get("parent") != self.parent.digest:
                message = "a seal that names the parent"
                raise ValueError(message)
            states = {
                layer.contract.name: (layer.after.count, layer.after.digest)
                for layer in self.layers
                if layer.after
            }
            if sealed_states(seal) != states:
                message = "the layers of the seal, with their counts and digests"
                raise ValueError(message)
        return self

    def layer(self, name: str) -> PackagedLayer | None:
        """Return a layer by its name, or None."""
        return next((one for one in self.layers if one.contract.name == name), None)

    def sealed(self) -> "PackageManifest":
        """Return the manifest with its own digest."""
        blank = PackageManifest.model_validate_json(
            self.model_copy(update={"digest": ""}).model_dump_json()
        )
        digest = hashlib.sha256(blank.text().encode()).hexdigest()
        return blank.model_copy(update={"digest": digest})

    def text(self) -> str:
        """Return the canonical text of the file."""
        return canonical_json(self.model_dump(mode="json"))


def canonical_json(data: Any) -> str:
    """Return JSON with sorted keys, two spaces a level, text as it is, and a line end."""
    return json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def chain_digest(seal: Mapping[str, Any]) -> str:
    """Return the chain digest of a release: BLAKE2b-256 of its seal as compact JSON."""
    text = json.dumps(
        seal, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def sealed_states(seal: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Return count and digest of each layer as a seal has them.

    Raises
    ------
    ValueError
        If its ``layers`` are no list of objects with ``layer``, ``count`` and ``digest``.
    """
    try:
        return {one["layer"]: (one["count"], one["digest"]) for one in seal["layers"]}
    except (KeyError, TypeError) as error:
        message = "a seal with layers, each with layer, count and digest"
        raise ValueError(message) from error


def data_path(kind: PackageKind, format_: PackageFormat, layer: str) -> str:
    """Return the name of the file that holds a layer's rows."""
    if kind is PackageKind.FULL:
        return f"{layer}.parquet" if format_ is PackageFormat.GEOPARQUET else "framework.gpkg"
    return f"{layer}.changes.parquet" if format_ is PackageFormat.GEOPARQUET else "changes.gpkg"


def package_paths(
    kind: PackageKind, formats: Sequence[PackageFormat], layers: Sequence[str]
) -> list[str]:
    """Return the sorted names of the files that a manifest lists."""
    data = {data_path(kind, format_, layer) for format_ in formats for layer in layers}
    return sorted({QUALITY_FILE, LINEAGE_FILE, REDACTIONS_FILE, *NOTES_FILES.values(), *data})


def read_manifest(folder: Path) -> PackageManifest:
    """Read and check the manifest of a package.

    Raises
    ------
    IntegrityError
        If it is missing, does not fit the model, is not in canonical form or does not give its
        own digest.
    """
    path = folder / MANIFEST_FILE
    again = "get the package again from the publisher"
    if not path.is_file() or path.is_symlink():
        raise IntegrityError(where=str(path), found="no manifest", expected="a file", remedy=again)
    try:
        text = path.read_text(encoding="utf-8")
        manifest = PackageManifest.model_validate_json(text)
        canonical, expected = manifest.text(), manifest.sealed().digest
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the manifest"
        raise IntegrityError(
            where=str(path),
            found=f"{field}: {first['msg'].removeprefix('Value error, ')}",
            expected=f"a manifest of format version {FORMAT_VERSION}",
            remedy=again,
        ) from error
    except ValueError as error:
        # not UTF-8, or with a number that JSON does not know
        raise IntegrityError(
            where=str(path), found=str(error), expected="a manifest", remedy=again
        ) from error
    if canonical != text:
        raise IntegrityError(
            where=str(path),
            found="a manifest that is not in canonical form, or with fields that are not known",
            expected="the bytes that the publisher wrote",
            remedy=again,
        )
    if manifest.digest != expected:
        raise IntegrityError(
            where=str(path), found=f"digest {manifest.digest}", expected=expected, remedy=again
        )
    return manifest
