"""What a candidate and its release say of reconciliation: the bridge of names, and provenance."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from cityframe.errors import IntegrityError
from cityframe.model.layer import Layer
from cityframe.store import bridge as bridge_rows
from cityframe.store import provenance as provenance_rows
from cityframe.store.bridge import BridgePlan, plan_bridge_restore, write_bridge
from cityframe.store.chain import sha256
from cityframe.store.entries import read_file, write_file
from cityframe.store.framework import Framework
from cityframe.store.home import Home
from cityframe.store.release_rows import canonical
from cityframe.store.seal import set_evidence
from cityframe.store.tables import PROVENANCE

BRIDGE_PART, PROVENANCE_PART = "bridge", "provenance"
STAGED_ENDINGS = (f".{BRIDGE_PART}", f".{PROVENANCE_PART}")
EVIDENCE = "reconciliation"
_EXAMPLES = 5


@dataclass(frozen=True)
class ReconciliationPlan:
    """What a release notes of reconciliation.

    Attributes
    ----------
    bridge : BridgePlan
        What it does to the bridge.
    provenance : Table
        The rows of ``cf_provenance`` that it adds.
    """

    bridge: BridgePlan
    provenance: pa.Table

    @property
    def evidence(self) -> dict[str, Any]:
        """Counts and digests, for the release's evidence; empty if there is nothing to note."""
        found: dict[str, Any] = {}
        if of_bridge := self.bridge.evidence:
            found[BRIDGE_PART] = of_bridge
        if self.provenance.num_rows:
            found[PROVENANCE_PART] = set_evidence(provenance_rows.sealed(self.provenance))
        return {EVIDENCE: found} if found else {}

    def write(self, home: Home, connection: sa.Connection, number: int) -> None:
        """Write it, in the transaction of the release."""
        write_bridge(home, connection, self.bridge, number)
        home.add_entries(connection, PROVENANCE, self.provenance)


def write_reconciliation(
    folder: Path,
    framework: Framework,
    layers: Mapping[str, Layer],
    brought: Mapping[str, pd.Series],
    bridge: Mapping[str, pd.DataFrame],
    provenance: Mapping[str, pd.DataFrame],
) -> dict[str, str]:
    """Write bridge and provenance of a candidate beside its changes.

    Parameters
    ----------
    folder : Path
        The candidate's.
    framework : Framework
        The store that it is made over.
    layers : mapping of str to Layer
        The contracts.
    brought : mapping of str to Series
        By layer, the uids of its changes.
    bridge, provenance : mapping of str to DataFrame
        By layer.

    Returns
    -------
    dict
        SHA-256 by name of the file without ``.parquet``; nothing is written of no rows.

    Raises
    ------
    IntegrityError
        If a row names a feature that neither the layer nor the changes have.
    """
    files: dict[str, str] = {}
    parts = [
        *(
            (name, BRIDGE_PART, bridge_rows.differing(framework, name, bridge_rows.said_rows(one)))
            for name, one in bridge.items()
        ),
        *(
            (name, PROVENANCE_PART, provenance_rows.said_rows(one))
            for name, one in provenance.items()
        ),
    ]
    for layer, part, rows in parts:
        if not rows.num_rows:
            continue
        _check_uids(framework, layers[layer], part, rows, brought.get(layer))
        path = folder / f"{layer}.{part}.parquet"
        write_file(path, rows)
        files[path.stem] = file_sha256(path)
    return dict(sorted(files.items()))


def restored_names(framework: Framework, restores: int) -> dict[str, str]:
    """Return the digest of what a roll-back does to the bridge; empty if that is nothing."""
    newest = framework.current()
    plan = plan_bridge_restore(framework, restores, newest.number + 1 if newest else 1)
    return restored_digest(plan)


def restored_digest(plan: BridgePlan) -> dict[str, str]:
    """Return what `Candidate.reconciliation` has of a roll-back that does this to the bridge."""
    evidence = plan.evidence
    return {BRIDGE_PART: sha256(canonical(evidence))} if evidence else {}


def staged_bridge(folder: Path, names: Iterable[str]) -> dict[str, pa.Table]:
    """Return the bridge of a candidate by layer, of the names of its files."""
    return _staged(folder, names, BRIDGE_PART, bridge_rows.SAID_SCHEMA)


def staged_provenance(folder: Path, names: Iterable[str]) -> dict[str, pa.Table]:
    """Return the provenance of a candidate by layer, of the names of its files."""
    return _staged(folder, names, PROVENANCE_PART, provenance_rows.SAID_SCHEMA)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _staged(
    folder: Path, names: Iterable[str], part: str, schema: pa.Schema
) -> dict[str, pa.Table]:
    return {
        name.removesuffix(f".{part}"): read_file(folder / f"{name}.parquet", schema)
        for name in names
        if name.endswith(f".{part}")
    }


def _check_uids(
    framework: Framework,
    layer: Layer,
    part: str,
    rows: pa.Table,
    brought: pd.Series | None,
) -> None:
    named = rows.column("uid").unique().drop_null()
    there = pa.array([] if brought is None else brought, named.type)
    missing = named.filter(pc.invert(pc.is_in(named, value_set=there))).to_pandas()
    unknown = sorted(set(missing) - framework.known_uids(layer, missing.tolist()))
    if unknown:
        more = f" and {len(unknown) - _EXAMPLES} more" if len(unknown) > _EXAMPLES else ""
        raise IntegrityError(
            where=f"layer {layer.name}, {part}",
            found=f"no feature {', '.join(unknown[:_EXAMPLES])}{more}",
            expected="features that the layer or its changes have",
            remedy="stage the cycle again",
        )
