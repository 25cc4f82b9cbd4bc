"""The manifest of a package: what it holds, where it leads from and to, and the proof."""

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.model.release import ReleaseKind
from cityframe.model.text import Title

MANIFEST_FILE = "manifest.json"
QUALITY_FILE = "quality.json"
NOTES_FILES = {"zh": "NOTES.zh.md", "en": "NOTES.en.md"}
FORMAT_VERSION = 1

RowDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
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


class ParentRelease(_Part):
    """The release that a change package starts from."""

    number: int = Field(ge=1)
    digest: str


class PackagedRelease(_Part):
    """The release that a package leads to; ``digest`` is its chain digest."""

    number: int = Field(ge=1)
    kind: ReleaseKind
    created_at: str
    cycle: str
    digest: str


class LayerState(_Part):
    """A whole layer in one release: number of features and order-free digest."""

    count: Count
    digest: RowDigest


class PackagedLayer(_Part):
    """One layer of a package.

    Attributes
    ----------
    contract : Layer
        What each feature looks like, CRS and precision included.
    before : LayerState or None
        The layer in the parent release; None in a full package and for a layer that was not there.
    after : LayerState
        The layer in the release.
    changes : mapping of ChangeKind to int
        Features by kind of change against the parent release; kinds without any are left out.
    rows : int
        Rows of the layer's table in this package.
    rows_digest : str
        Digest over these rows in their order, with uid, valid time and side.
    """

    contract: Layer
    before: LayerState | None
    after: LayerState
    changes: dict[ChangeKind, Annotated[int, Field(gt=0)]]
    rows: Count
    rows_digest: RowDigest


class PackagedFile(_Part):
    """One file of a package: name, bytes and SHA-256 in hexadecimal."""

    path: str
    size: Count
    sha256: Sha256


class PackageManifest(_Part):
    """``manifest.json``.

    Attributes
    ----------
    title, remarks : Title
        Name of the framework, and what the notes say beside the totals; remarks may be empty.
    digest : str
        SHA-256 over the manifest itself, as written, with this field empty.
    """

    format: Literal["cityframe-package"] = "cityframe-package"
    format_version: Literal[1] = 1
    tool_version: str
    kind: PackageKind
    title: Title
    remarks: Title
    parent: ParentRelease | None
    release: PackagedRelease
    formats: tuple[PackageFormat, ...] = Field(min_length=1)
    layers: tuple[PackagedLayer, ...] = Field(min_length=1)
    files: tuple[PackagedFile, ...]
    digest: str = ""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        is_change = self.kind is PackageKind.CHANGE
        if is_change != (self.parent is not None):
            message = "a parent in a change package, and only there"
            raise ValueError(message)
        if self.parent and self.parent.number != self.release.number - 1:
            message = f"release {self.release.number - 1} as the parent"
            raise ValueError(message)
        names = [layer.contract.name for layer in self.layers]
        if names != sorted(set(names)):
            message = "layers sorted by name, each once"
            raise ValueError(message)
        if list(self.formats) != sorted(set(self.formats)):
            message = "formats sorted, each once"
            raise ValueError(message)
        paths = [file.path for file in self.files]
        if paths != package_paths(self.kind, self.formats, names):
            message = f"files {package_paths(self.kind, self.formats, names)}"
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


def data_path(kind: PackageKind, format_: PackageFormat, layer: str) -> str:
    """Return the name of the file that holds a layer's rows."""
    if format_ is PackageFormat.GEOPARQUET:
        return f"{layer}.parquet"
    return "framework.gpkg" if kind is PackageKind.FULL else "changes.gpkg"


def package_paths(
    kind: PackageKind, formats: Sequence[PackageFormat], layers: Sequence[str]
) -> list[str]:
    """Return the sorted names of all files of a package but the manifest."""
    data = {data_path(kind, format_, layer) for format_ in formats for layer in layers}
    return sorted({QUALITY_FILE, *NOTES_FILES.values(), *data})


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
    except UnicodeDecodeError as error:
        raise IntegrityError(
            where=str(path), found="not UTF-8", expected="a manifest", remedy=again
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the manifest"
        raise IntegrityError(
            where=str(path),
            found=f"{field}: {first['msg'].removeprefix('Value error, ')}",
            expected=f"a manifest of format version {FORMAT_VERSION}",
            remedy=again,
        ) from error
    if manifest.text() != text:
        raise IntegrityError(
            where=str(path),
            found="a manifest that is not in canonical form, or with fields that are not known",
            expected="the bytes that the publisher wrote",
            remedy=again,
        )
    expected = manifest.sealed().digest
    if manifest.digest != expected:
        raise IntegrityError(
            where=str(path), found=f"digest {manifest.digest}", expected=expected, remedy=again
        )
    return manifest
