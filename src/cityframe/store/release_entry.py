"""Enter a release into the tables of the framework: its layers, lineage, evidence, chain digest."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from cityframe.model.layer import Layer
from cityframe.store.chain import chain_body, chain_digest
from cityframe.store.release_rows import LayerState, canonical, row_of, version_of
from cityframe.store.seal import sealed_set
from cityframe.store.tables import LINEAGE, RELEASE, RELEASE_LAYER


def enter_release(
    connection: sa.Connection,
    head: Mapping[str, Any],
    states: Iterable[LayerState],
    contracts: Mapping[str, Layer],
    lineage: Sequence[Mapping[str, Any]],
    evidence: Mapping[str, Any],
) -> None:
    """Enter a release.

    Parameters
    ----------
    connection : Connection
        In the transaction that changed the rows.
    head : mapping
        ``number, kind, created_at, valid_at, cycle, candidate, parent``.
    states : iterable of LayerState
        The layers that it changes; the others are as in its parent.
    contracts : mapping
        All contracts as of the release.
    lineage : sequence of mapping
        `cityframe.store.chain.LINEAGE_COLUMNS`.
    evidence : mapping
        JSON-ready.
    """
    number = int(head["number"])
    changed = {state.version.layer: row_of(number, state) for state in states}
    nothing = {"changes": "{}", "opened": sealed_set([]), "closed": sealed_set([])}
    before = connection.execute(
        sa.select(RELEASE_LAYER).where(RELEASE_LAYER.c.release == number - 1)
    ).mappings()
    rows = [
        {**row, **nothing, "release": number} for row in before if row["layer"] not in changed
    ] + list(changed.values())
    versions = [version_of(row) for row in rows]
    body = chain_body(head, versions, contracts, lineage, evidence)
    connection.execute(
        sa.insert(RELEASE).values(**head, digest=chain_digest(body), evidence=canonical(evidence))
    )
    if rows:
        connection.execute(sa.insert(RELEASE_LAYER), rows)
    if lineage:
        connection.execute(sa.insert(LINEAGE), [{**one, "release": number} for one in lineage])
