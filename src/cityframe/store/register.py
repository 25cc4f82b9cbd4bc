"""The register of a framework: its releases, contracts, lineage, bridge, provenance, due dates."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer
from cityframe.model.release import LayerVersion, Release
from cityframe.store import contract as contract_form
from cityframe.store.chain import LINEAGE_COLUMNS, chain_body
from cityframe.store.entries import entry_schema, read_entries
from cityframe.store.history_query import in_parts, is_known
from cityframe.store.home import Home
from cityframe.store.layout import check_layout
from cityframe.store.release_rows import LayerState, release_of, version_of
from cityframe.store.tables import (
    BRIDGE,
    CONTRACT,
    DUE,
    LINEAGE,
    PROVENANCE,
    REDACTION,
    RELEASE,
    RELEASE_LAYER,
)

BRIDGE_COLUMNS = ("source", "source_id", "uid", "matched_by", "score", "margin")
PROVENANCE_COLUMNS = (
    "uid", "attribute", "source", "delivery", "record", "rule", "decided_by", "score", "margin",
    "losers",
)  # fmt: skip
_EMPTY_DIGEST = ""


class Register:
    """Read what a store says of its releases.

    Parameters
    ----------
    home : Home
        Where it lives; it may be empty.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self._is_checked = False
        self._attributes: dict[str, frozenset[str]] = {}

    @property
    def label(self) -> str:
        """Path or URL, for messages."""
        return self.home.label

    @property
    def exists(self) -> bool:
        """Whether a framework is here, in the layout that this cityframe reads."""
        if not self._is_checked and self.home.exists():
            check_layout(self.home)
            self._is_checked = True
        return self._is_checked

    def releases(self) -> tuple[Release, ...]:
        """Return all releases, oldest first."""
        return self._releases()

    def current(self) -> Release | None:
        """Return the newest release, or None."""
        newest = sa.select(sa.func.max(RELEASE.c.number)).scalar_subquery()
        return next(iter(self._releases(RELEASE.c.number == newest)), None)

    def release(self, number: int) -> Release:
        """Return one release.

        Raises
        ------
        DeclarationError
            If there is no such release.
        """
        found = self._releases(RELEASE.c.number == number)
        if not found:
            current = self.current()
            raise DeclarationError(
                found=f"no release {number}",
                expected=f"1 to {current.number}" if current else "a release; there is none yet",
            )
        return found[0]

    def released_by(self, cycle: str) -> Release | None:
        """Return the release that a cycle made, or None."""
        return next(iter(self._releases(RELEASE.c.cycle == cycle)), None)

    def _releases(self, condition: sa.ColumnElement[bool] | None = None) -> tuple[Release, ...]:
        if not self.exists:
            return ()
        chosen = sa.true() if condition is None else condition
        query = sa.select(RELEASE).where(chosen).order_by(RELEASE.c.number)
        with self.home.engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
            if not rows:
                return ()
            # of the releases found: another may be committed between the two statements
            first, last = rows[0]["number"], rows[-1]["number"]
            of_layers = (
                sa.select(RELEASE_LAYER)
                .where(RELEASE_LAYER.c.release.between(first, last))
                .order_by(RELEASE_LAYER.c.release, RELEASE_LAYER.c.layer)
            )
            layers = [dict(row) for row in connection.execute(of_layers).mappings()]
        by_release: dict[int, list[LayerVersion]] = {}
        for layer in layers:
            by_release.setdefault(layer["release"], []).append(version_of(layer))
        return tuple(release_of(row, by_release.get(row["number"], [])) for row in rows)

    def contracts(self, release: int | None = None) -> dict[str, Layer]:
        """Return the contracts of all layers as of a release; the newest by default."""
        if not self.exists:
            return {}
        query = sa.select(CONTRACT).order_by(CONTRACT.c.layer, CONTRACT.c.release)
        if release is not None:
            query = query.where(CONTRACT.c.release <= release)
        with self.home.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return {row["layer"]: contract_form.read(row["contract"]) for row in rows}

    def contract(self, name: str) -> Layer:
        """Return the contract of a stored layer.

        Raises
        ------
        DeclarationError
            If no release has this layer.
        """
        contracts = self.contracts()
        if name not in contracts:
            raise DeclarationError(
                where=self.label,
                found=f"no layer {name!r}",
                expected=f"one of {', '.join(contracts) or 'none yet'}",
            )
        return contracts[name]

    def lineage(self, release: int | None = None) -> list[dict[str, Any]]:
        """Return lineage events of a release, or of all.

        Each has ``release, layer, event, parent, child, share``.
        """
        if not self.exists:
            return []
        columns = [LINEAGE.c[name] for name in ("release", *LINEAGE_COLUMNS)]
        query = sa.select(*columns).order_by(LINEAGE.c.id)
        if release is not None:
            query = query.where(LINEAGE.c.release == release)
        with self.home.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def bridge(
        self, layer: Layer, source: str | None = None, *, release: int | None = None
    ) -> pd.DataFrame:
        """Return under which names sources know the features of a layer.

        Parameters
        ----------
        layer : Layer
            The contract.
        source : str, optional
            Of this source only.
        release : int, optional
            As this release had it; the newest by default.

        Returns
        -------
        DataFrame
            `BRIDGE_COLUMNS`, sorted by source and name; RangeIndex.
        """
        rows = entry_schema(BRIDGE, BRIDGE_COLUMNS).empty_table()
        if self.exists:
            chosen = BRIDGE.c.layer == layer.name
            if source is not None:
                chosen &= BRIDGE.c.source == source
            then = BRIDGE.c.release_to.is_(None) if release is None else is_known(BRIDGE, release)
            rows = read_entries(self.home, BRIDGE, BRIDGE_COLUMNS, chosen & then)
        return rows.sort_by([("source", "ascending"), ("source_id", "ascending")]).to_pandas()

    def provenance(
        self, layer: Layer, uids: Sequence[str], *, release: int | None = None
    ) -> pd.DataFrame:
        """Return which sources the values of features come from, as the releases noted it.

        Parameters
        ----------
        layer : Layer
            The contract.
        uids : sequence of str
            The features.
        release : int, optional
            What was noted up to this release; the newest by default.

        Returns
        -------
        DataFrame
            ``release`` and `PROVENANCE_COLUMNS`, ``record`` as Int64; sorted by uid, attribute and
            release. An empty ``attribute`` is the match itself.
        """
        names = ("release", *PROVENANCE_COLUMNS)
        parts = [entry_schema(PROVENANCE, names).empty_table()]
        if self.exists:
            chosen = PROVENANCE.c.layer == layer.name
            if release is not None:
                chosen &= PROVENANCE.c.release <= release
            parts += [
                read_entries(self.home, PROVENANCE, names, chosen & part)
                for part in in_parts(PROVENANCE.c.uid, uids)
            ]
        frame = pa.concat_tables(parts).to_pandas(integer_object_nulls=True)
        frame["record"] = frame["record"].astype("Int64")
        order = ["uid", "attribute", "release", "delivery", "record"]
        return frame.sort_values(order, ignore_index=True)

    def chain(self, number: int) -> dict[str, Any]:
        """Return what the chain digest of a release is over, from the store's own rows."""
        made = self.release(number)
        with self.home.engine.connect() as connection:
            head = connection.execute(sa.select(RELEASE).where(RELEASE.c.number == number))
            row = dict(head.mappings().one())
        return chain_body(
            row, made.layers, self.contracts(number), self.lineage(number), made.evidence
        )

    def state(self, layer: str) -> LayerState:
        """Return a layer's newest version and sum; zero features if it was never released."""
        empty = LayerState(LayerVersion(layer, 0, _EMPTY_DIGEST, {}), 0)
        if not self.exists:
            return empty
        query = (
            sa.select(RELEASE_LAYER)
            .where(RELEASE_LAYER.c.layer == layer)
            .order_by(RELEASE_LAYER.c.release.desc())
            .limit(1)
        )
        with self.home.engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return empty
        return LayerState(version_of(dict(row)), int.from_bytes(row["sum"], "little"))

    def redactions(self, release: int) -> list[dict[str, Any]]:
        """Return ``layer, uid, attributes, decision`` of what a release cleared, sorted by uid."""
        if not self.exists:
            return []
        names = (REDACTION.c.layer, REDACTION.c.uid, REDACTION.c.attributes, REDACTION.c.decision)
        query = sa.select(*names).distinct().where(REDACTION.c.release == release)
        with self.home.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        found = [{**row, "attributes": json.loads(row["attributes"])} for row in rows]
        return sorted(found, key=lambda one: (one["layer"], one["uid"]))

    def due_uids(self, layer: Layer, after: str, until: str) -> list[str]:
        """Return uids with a row that begins or ends in (after, until], as dated in advance."""
        low, high = sorted((after, until))
        query = (
            sa.select(DUE.c.uid)
            .distinct()
            .where(DUE.c.layer == layer.name, DUE.c.at > low, DUE.c.at <= high)
        )
        if not self.exists:
            return []
        with self.home.engine.connect() as connection:
            return sorted(connection.execute(query).scalars())
