"""A candidate: the changes of a cycle in one GeoPackage, with the digest of what would come of it.

The file is what a reviewer opens and what a release copies; its digest is what a decision is
taken over.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio

from cityframe.core.digest import layer_digest, move_layer_sum, row_digests
from cityframe.core.frames import with_column_types, with_plain_dates
from cityframe.errors import IntegrityError
from cityframe.model.change import CHANGE_COLUMNS, ChangeKind
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.release import LayerVersion
from cityframe.store.framework import Framework
from cityframe.store.release_rows import LayerState
from cityframe.store.sqlite import sqlite_engine, write_transaction

CHANGES_FILE = "candidate.gpkg"
SUMMARY_FILE = "candidate.json"


@dataclass(frozen=True)
class Candidate:
    """The framework as it would be if the cycle's changes were applied.

    Attributes
    ----------
    folder : Path
        Holds ``candidate.gpkg`` (one table a changed layer) and ``candidate.json``.
    parent : int
        Number of the release that it was made over; 0 for none.
    digest : str
        BLAKE2b-256 over the parent's digest, the layers and their rows; what a decision binds to.
    layers : mapping
        Each changed layer after the change.
    rows : mapping
        By layer, SHA-256 over its rows: uid, change, valid time, delivery, record, row digest.
    """

    folder: Path
    parent: int
    parent_digest: str
    digest: str
    layers: Mapping[str, LayerState]
    rows: Mapping[str, str]

    @property
    def has_changes(self) -> bool:
        """Whether any feature would change."""
        return bool(self.layers)

    @property
    def changes_path(self) -> Path:
        """The GeoPackage with the changes."""
        return self.folder / CHANGES_FILE


def write_candidate(
    folder: Path,
    framework: Framework,
    changes: Mapping[str, gpd.GeoDataFrame],
    layers: Mapping[str, Layer],
) -> Candidate:
    """Write the net changes of a cycle as a candidate over the current release.

    Parameters
    ----------
    folder : Path
        Where to write; files of an earlier attempt are replaced.
    framework : Framework
        The store that the candidate is made over.
    changes : mapping of str to GeoDataFrame
        By layer: `CHANGE_COLUMNS`, all attributes, geometry in the layer's CRS; a uid stands once.
        Removed features stand as they were.
    layers : mapping of str to Layer
        The contracts.

    Returns
    -------
    Candidate
        With the digests of each layer after the change.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CHANGES_FILE
    for leftover in folder.glob(f"{CHANGES_FILE}*"):
        leftover.unlink()
    states: dict[str, LayerState] = {}
    rows: dict[str, str] = {}
    for name in sorted(changes):
        frame = changes[name]
        if frame.empty:
            continue
        layer = layers[name]
        frame = frame.assign(digest=row_digests(frame, layer))
        states[name] = _state_after(framework, layer, frame)
        rows[name] = _rows_digest(frame)
        _write_changes(path, frame, layer)
    _index_uids(path, states)
    parent = framework.current()
    candidate = Candidate(
        folder=folder,
        parent=parent.number if parent else 0,
        parent_digest=parent.digest if parent else "",
        digest=candidate_digest(parent.digest if parent else "", states, rows),
        layers=states,
        rows=rows,
    )
    _write_summary(candidate)
    return candidate


def read_candidate(folder: Path) -> Candidate:
    """Read what `write_candidate` left.

    Raises
    ------
    IntegrityError
        If the summary is missing or does not agree with its own digest.
    """
    path = folder / SUMMARY_FILE
    if not path.exists():
        raise IntegrityError(where=str(path), found="no candidate", remedy="stage the cycle again")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    layers = {
        name: LayerState(version=LayerVersion(**state["version"]), total=int(state["total"], 16))
        for name, state in data["layers"].items()
    }
    if candidate_digest(data["parent_digest"], layers, data["rows"]) != data["digest"]:
        raise IntegrityError(
            where=str(path), found="contents that do not give the digest", remedy="stage again"
        )
    return Candidate(
        folder=folder,
        parent=data["parent"],
        parent_digest=data["parent_digest"],
        digest=data["digest"],
        layers=layers,
        rows=data["rows"],
    )


def read_changes(candidate: Candidate, layer: Layer) -> gpd.GeoDataFrame:
    """Return one layer's changes: `CHANGE_COLUMNS`, ``digest``, attributes, geometry."""
    frame = pyogrio.read_dataframe(candidate.changes_path, layer=layer.name, use_arrow=True)
    if layer.geometry is GeometryType.NONE:
        frame = gpd.GeoDataFrame(
            frame, geometry=gpd.GeoSeries([None] * len(frame), crs=layer.crs), crs=layer.crs
        )
    columns = [*CHANGE_COLUMNS, "digest", *layer.attribute_names, "geometry"]
    return with_column_types(frame[columns], layer)


def verify_candidate(candidate: Candidate, framework: Framework) -> None:
    """Recompute a candidate's digests from its rows.

    Raises
    ------
    IntegrityError
        If a row, a count or a digest is not what the decision was taken over.
    """
    for name, state in candidate.layers.items():
        layer = framework.contract(name)
        frame = read_changes(candidate, layer)
        computed = row_digests(frame, layer)
        stored = frame["digest"].map(bytes).to_numpy()
        if (computed != stored).any():
            uid = frame["uid"].to_numpy()[int(np.flatnonzero(computed != stored)[0])]
            raise IntegrityError(
                where=f"{candidate.changes_path} layer {name} uid {uid}",
                found="a row that does not give its digest",
                expected="the row as it was when the candidate was staged",
                remedy="stage the cycle again",
            )
        if (
            _rows_digest(frame) != candidate.rows[name]
            or _state_after(framework, layer, frame) != state
        ):
            raise IntegrityError(
                where=f"{candidate.changes_path} layer {name}",
                found="changes that do not lead to the candidate's digest",
                expected=state.version.digest,
                remedy="stage the cycle again",
            )


def candidate_digest(
    parent_digest: str, layers: Mapping[str, LayerState], rows: Mapping[str, str]
) -> str:
    """Return the digest that a decision binds to."""
    body = {
        "parent": parent_digest,
        "layers": {name: asdict(state.version) for name, state in sorted(layers.items())},
        "rows": dict(rows),
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def _rows_digest(frame: gpd.GeoDataFrame) -> str:
    ordered = frame.sort_values("uid", kind="stable")
    columns = [
        ordered["uid"],
        ordered["change"],
        ordered["has_new_attributes"].astype(bool),
        ordered["valid_from"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ordered["delivery"],
        ordered["record"].astype("str").fillna(""),
        ordered["digest"].map(bytes),
    ]
    total = hashlib.sha256()
    for row in zip(*columns, strict=True):
        total.update(repr(row).encode())
    return total.hexdigest()


def _state_after(framework: Framework, layer: Layer, frame: gpd.GeoDataFrame) -> LayerState:
    before = framework.state(layer.name)
    is_removed = (frame["change"] == ChangeKind.REMOVED).to_numpy()
    is_new = (frame["change"] == ChangeKind.NEW).to_numpy()
    digests = frame["digest"].map(bytes).to_numpy()
    replaced = framework.current_digests(layer, frame["uid"][~is_new].tolist())
    total = move_layer_sum(before.total, removed=replaced, added=digests[~is_removed])
    count = before.version.count + int(is_new.sum()) - int(is_removed.sum())
    kinds = frame["change"].value_counts()
    return LayerState(
        version=LayerVersion(
            layer=layer.name,
            count=count,
            digest=layer_digest(total, count),
            changes={str(kind): int(kinds[kind]) for kind in sorted(kinds.index)},
        ),
        total=total,
    )


def _write_changes(path: Path, frame: gpd.GeoDataFrame, layer: Layer) -> None:
    columns = [*CHANGE_COLUMNS, "digest", *layer.attribute_names]
    frame = with_plain_dates(frame, layer)
    if layer.geometry is GeometryType.NONE:
        pyogrio.write_dataframe(
            pd.DataFrame(frame[columns]), path, layer=layer.name, driver="GPKG", use_arrow=True
        )
        return
    pyogrio.write_dataframe(
        frame[[*columns, "geometry"]],
        path,
        layer=layer.name,
        driver="GPKG",
        use_arrow=True,
        geometry_type=f"{layer.geometry.value}{' Z' if layer.has_z else ''}",
        layer_options={"SPATIAL_INDEX": "YES", "GEOMETRY_NAME": "geom"},
    )


def _index_uids(path: Path, layers: Iterable[str]) -> None:
    # without it each row of a commit scans all changes
    if path.exists():
        with write_transaction(sqlite_engine(path)) as connection:
            for name in layers:
                connection.exec_driver_sql(f'CREATE INDEX "{name}_uid" ON "{name}" (uid)')


def _write_summary(candidate: Candidate) -> None:
    body = {
        "parent": candidate.parent,
        "parent_digest": candidate.parent_digest,
        "digest": candidate.digest,
        "layers": {
            name: {"version": asdict(state.version), "total": f"{state.total:x}"}
            for name, state in candidate.layers.items()
        },
        "rows": dict(candidate.rows),
    }
    path = candidate.folder / SUMMARY_FILE
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(body, indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(path)
