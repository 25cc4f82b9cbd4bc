"""A candidate: the changes of a cycle as Parquet, with the digest of what would come of it.

Its digest is what a decision is taken over; it covers each file byte for byte.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cityframe.core.arrow_rows import to_frame
from cityframe.core.digest import layer_digest, layer_sum
from cityframe.core.frames import empty_frame
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.change import CHANGE_COLUMNS, ChangeKind
from cityframe.model.layer import Layer
from cityframe.model.release import LayerVersion
from cityframe.store import contract as contract_form
from cityframe.store.chain import LINEAGE_COLUMNS, sha256
from cityframe.store.change_file import GROUP_ROWS, LIGHT_FIELDS, light_rows, write_changes
from cityframe.store.framework import Framework
from cityframe.store.history_query import valid_time_text
from cityframe.store.layer_plan import (
    microseconds_of,
    plan_changes,
    plan_restore,
)
from cityframe.store.pruned import require_kept
from cityframe.store.reconciliation import (
    BRIDGE_PART,
    STAGED_ENDINGS,
    file_sha256,
    restored_names,
    write_reconciliation,
)
from cityframe.store.release_rows import LayerState, canonical
from cityframe.store.timeline import in_effect

SUMMARY_FILE = "candidate.json"
Frames: TypeAlias = "gpd.GeoDataFrame | Iterable[gpd.GeoDataFrame]"


@dataclass(frozen=True)
class Candidate:
    """The framework as it would be if the cycle's changes were applied.

    Attributes
    ----------
    folder : Path
        Holds one ``LAYER.parquet`` a changed layer (GeoParquet) and ``candidate.json``.
    parent : int
        Number of the release that it was made over; 0 for none.
    valid_at : str
        Reference time of the state that it leads to.
    digest : str
        BLAKE2b-256 over all below; what a decision binds to.
    layers : mapping
        Each changed layer after the change.
    files : mapping
        By layer, SHA-256 of its file.
    contracts : mapping
        SHA-256 of the contract of each changed layer, and of each contract that changes.
    lineage : tuple of mapping
        ``layer, event, parent, child, share``: what became of features that end.
    restores : int or None
        The release that is said again on both time axes; there are then no files.
    reconciliation : mapping
        SHA-256 of the files ``LAYER.bridge`` and ``LAYER.provenance`` that there are; of a
        roll-back under ``bridge`` the digest of what it does to it. Empty ones are left out.
    """

    folder: Path
    parent: int
    parent_digest: str
    valid_at: str
    digest: str
    layers: Mapping[str, LayerState]
    files: Mapping[str, str]
    contracts: Mapping[str, str]
    lineage: tuple[Mapping[str, Any], ...] = ()
    restores: int | None = None
    reconciliation: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_changes(self) -> bool:
        """Whether any layer, contract or name in the bridge would change.

        Provenance alone changes nothing: it says how things came about.
        """
        names = {name.rpartition(".")[2] for name in self.reconciliation}
        return bool(self.layers or self.contracts or BRIDGE_PART in names)

    def path(self, layer: str) -> Path:
        """Return the file with a layer's changes, or raise `PrunedError` if it was pruned."""
        path = self.folder / f"{layer}.parquet"
        if not path.exists():
            require_kept(self.folder)
        return path


def write_candidate(
    folder: Path,
    framework: Framework,
    changes: Mapping[str, Frames],
    layers: Mapping[str, Layer],
    *,
    valid_at: dt.datetime,
    lineage: Sequence[Mapping[str, Any]] = (),
    bridge: Mapping[str, pd.DataFrame] | None = None,
    provenance: Mapping[str, pd.DataFrame] | None = None,
) -> Candidate:
    """Write the changes of a cycle as a candidate over the current release.

    Parameters
    ----------
    folder : Path
        Where to write; files of an earlier attempt are replaced.
    framework : Framework
        The store that the candidate is made over.
    changes : mapping of str to GeoDataFrame or iterable of GeoDataFrame
        By layer: `CHANGE_COLUMNS`, all attributes, geometry in the layer's CRS. Removed features
        stand as they were. Of several rows of a feature a later one wins where they overlap.
    layers : mapping of str to Layer
        The contracts.
    valid_at : datetime
        Reference time of the state that the changes lead to, not before the current release's.
    lineage : sequence of mapping
        ``layer, event, parent, child, share`` of splits, merges and replacements.
    bridge : mapping of str to DataFrame, optional
        By layer, `cityframe.store.register.BRIDGE_COLUMNS`: what shall hold of the sources' names
        from this release on. A null ``uid`` frees a name; a name that points there already is left
        out; of several rows of a name the last counts. Names not spoken of stay as they are.
    provenance : mapping of str to DataFrame, optional
        By layer, `cityframe.store.register.PROVENANCE_COLUMNS`; ``losers`` as JSON or null.

    Returns
    -------
    Candidate
        With the digests of each layer after the change.

    Raises
    ------
    DeclarationError
        If a moment is finer than the store holds, or ``valid_at`` is before the current release's.
    IntegrityError
        If bridge or provenance name a feature that neither the layer nor the changes have.
    """
    _clear(folder)
    parent = framework.current()
    moment = valid_time_text(valid_at)
    if parent is not None and moment < parent.valid_at:
        raise DeclarationError(
            where=f"candidate over release {parent.number}",
            found=f"reference time {moment}",
            expected=f"{parent.valid_at}, that of the release, or later",
        )
    number = parent.number + 1 if parent else 1
    stored = framework.contracts()
    # rows of a layer that is declared no more fall due all the same
    contracts = {**stored, **layers}
    states: dict[str, LayerState] = {}
    files: dict[str, str] = {}
    brought: dict[str, pd.Series] = {}
    for name in sorted({*changes, *stored}):
        layer = contracts[name]
        path = folder / f"{name}.parquet"
        light = write_changes(path, _frames(changes.get(name, ())), layer)
        brought[name] = light["uid"]
        due = [] if parent is None else framework.due_uids(layer, parent.valid_at, moment)
        if light.empty and not due:
            continue
        if is_first(light, layer, stored):
            states[name] = first_state(light, layer, moment)
        else:
            states[name] = plan_changes(framework, layer, light, number, moment).state
        if not light.empty:
            files[name] = file_sha256(path)
    changed = [
        name
        for name, layer in contracts.items()
        if name in states or (name in stored and not contract_form.is_same(stored[name], layer))
    ]
    return _seal(
        Candidate(
            folder=folder,
            parent=parent.number if parent else 0,
            parent_digest=parent.digest if parent else "",
            valid_at=moment,
            digest="",
            layers=states,
            files=files,
            contracts={name: sha256(contract_form.write(contracts[name])) for name in changed},
            lineage=tuple({name: one[name] for name in LINEAGE_COLUMNS} for one in lineage),
            reconciliation=write_reconciliation(
                folder, framework, contracts, brought, bridge or {}, provenance or {}
            ),
        )
    )


def write_restoring_candidate(folder: Path, framework: Framework, restores: int) -> Candidate:
    """Write the candidate that says again what an older release said, on both time axes."""
    _clear(folder)
    target, parent = framework.release(restores), framework.releases()[-1]
    states: dict[str, LayerState] = {}
    contracts = framework.contracts()
    for name, layer in contracts.items():
        plan = plan_restore(framework, layer, restores, parent.number + 1, target.valid_at)
        if plan.closed.num_rows or plan.copies.num_rows or plan.state.version.changes:
            states[name] = plan.state
    return _seal(
        Candidate(
            folder=folder,
            parent=parent.number,
            parent_digest=parent.digest,
            valid_at=target.valid_at,
            digest="",
            layers=states,
            files={},
            contracts={name: sha256(contract_form.write(contracts[name])) for name in states},
            restores=restores,
            reconciliation=restored_names(framework, restores),
        )
    )


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
    states = {
        name: LayerState(version=LayerVersion(**state["version"]), total=int(state["total"], 16))
        for name, state in data.pop("layers").items()
    }
    lineage = tuple(data.pop("lineage"))
    candidate = Candidate(folder=folder, layers=states, lineage=lineage, **data)
    if candidate_digest(candidate) != candidate.digest:
        raise IntegrityError(
            where=str(path), found="contents that do not give the digest", remedy="stage again"
        )
    return candidate


def read_changes(candidate: Candidate, layer: Layer) -> gpd.GeoDataFrame:
    """Return one layer's changes: `CHANGE_COLUMNS`, ``digest``, attributes, geometry."""
    if layer.name not in candidate.files:
        return empty_frame(layer, (*CHANGE_COLUMNS, "digest"))
    return to_frame(pq.read_table(candidate.path(layer.name)), layer)


def read_changes_in_effect(candidate: Candidate, layer: Layer) -> gpd.GeoDataFrame:
    """Return the changes that hold at the candidate's reference time; one row a feature."""
    frame = read_changes(candidate, layer)
    moment = pd.Timestamp(candidate.valid_at)
    holds = (frame["valid_from"] <= moment) & ~(frame["valid_to"] <= moment)
    return frame[holds].drop_duplicates("uid", keep="last").reset_index(drop=True)


def read_light(candidate: Candidate, layer: str) -> pd.DataFrame:
    """Return what a timeline needs of a layer's changes, periods in microseconds."""
    if layer not in candidate.files:
        return light_rows(pa.schema(LIGHT_FIELDS).empty_table())
    return light_rows(pq.read_table(candidate.path(layer), columns=list(LIGHT_FIELDS)))


def change_batches(candidate: Candidate, layer: str) -> Iterator[pa.RecordBatch]:
    """Yield a layer's changes with their digests, in their order."""
    with pq.ParquetFile(candidate.path(layer)) as file:
        yield from file.iter_batches(batch_size=GROUP_ROWS)


def verify_candidate(candidate: Candidate) -> None:
    """Check that the files are those that the candidate's digest covers.

    Raises
    ------
    IntegrityError
        If one is not what the decision was taken over.
    """
    if candidate_digest(candidate) != candidate.digest:
        raise IntegrityError(
            where=str(candidate.folder), found="contents that do not give the digest",
            remedy="stage the cycle again",
        )  # fmt: skip
    staged = {} if candidate.restores is not None else candidate.reconciliation
    for name, digest in {**candidate.files, **staged}.items():
        path = candidate.path(name)
        found = file_sha256(path) if path.exists() else "no file"
        if found != digest:
            raise IntegrityError(
                where=str(path),
                found=f"SHA-256 {found}",
                expected=f"{digest}, as it was when the candidate was staged",
                remedy="stage the cycle again",
            )


def candidate_digest(candidate: Candidate) -> str:
    """Return the digest that a decision binds to."""
    body = {
        "parent": candidate.parent_digest,
        "valid_at": candidate.valid_at,
        "layers": {name: asdict(one.version) for name, one in candidate.layers.items()},
        "files": dict(candidate.files),
        "contracts": dict(candidate.contracts),
        "lineage": list(candidate.lineage),
        "restores": candidate.restores,
        **_of_reconciliation(candidate),
    }
    return hashlib.blake2b(canonical(body).encode(), digest_size=32).hexdigest()


def is_first(light: pd.DataFrame, layer: Layer, stored: Mapping[str, Layer]) -> bool:
    """Return whether changes are a layer's first rows, each feature once: they can be loaded."""
    return (
        layer.name not in stored
        and not light.empty
        and light["uid"].is_unique
        and not (light["change"] == ChangeKind.REMOVED).any()
    )


def first_state(light: pd.DataFrame, layer: Layer, moment: str) -> LayerState:
    """Return the state of a layer whose first rows these are (`is_first`), at a moment."""
    holds = in_effect(
        light["valid_from"].to_numpy(),
        light["valid_to"].to_numpy(),
        microseconds_of(moment),
    )
    total = layer_sum(light["digest"].to_numpy()[holds])
    count = int(holds.sum())
    return LayerState(
        version=LayerVersion(
            layer=layer.name,
            count=count,
            digest=layer_digest(total, count),
            changes={ChangeKind.NEW.value: count} if count else {},
        ),
        total=total,
    )


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in [*folder.glob("*.parquet"), *folder.glob("candidate.*")]:
        # findings of the check stand beside, with another dot in their name
        if "." not in leftover.stem or leftover.stem.endswith(STAGED_ENDINGS):
            leftover.unlink()


def _frames(changes: Frames) -> Iterable[gpd.GeoDataFrame]:
    return [changes] if isinstance(changes, gpd.GeoDataFrame) else changes


def _seal(candidate: Candidate) -> Candidate:
    body: dict[str, Any] = {
        **{
            name: getattr(candidate, name)
            for name in ("parent", "parent_digest", "valid_at", "restores")
        },
        "digest": candidate_digest(candidate),
        "layers": {
            name: {"version": asdict(state.version), "total": f"{state.total:x}"}
            for name, state in candidate.layers.items()
        },
        "files": dict(candidate.files),
        "contracts": dict(candidate.contracts),
        "lineage": list(candidate.lineage),
        **_of_reconciliation(candidate),
    }
    path = candidate.folder / SUMMARY_FILE
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(body, indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(path)
    return read_candidate(candidate.folder)


def _of_reconciliation(candidate: Candidate) -> dict[str, Any]:
    # absent where there is none, as in candidates of before
    return {"reconciliation": dict(candidate.reconciliation)} if candidate.reconciliation else {}
