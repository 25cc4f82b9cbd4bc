"""The chain digest of a release: over its parent's and all that it says."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cityframe.model.layer import Layer
from cityframe.model.release import LayerVersion
from cityframe.store import contract as contract_form
from cityframe.store.release_rows import canonical

LINEAGE_COLUMNS = ("layer", "event", "parent", "child", "share")


def chain_body(
    head: Mapping[str, Any],
    layers: Iterable[LayerVersion],
    contracts: Mapping[str, Layer],
    lineage: Sequence[Mapping[str, Any]],
    evidence: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what a chain digest is over, as ``docs/formats/store.md`` specifies it.

    Parameters
    ----------
    head : mapping
        ``number, kind, created_at, valid_at, cycle, candidate, parent`` of the release.
    layers : iterable of LayerVersion
        All layers in the release.
    contracts : mapping
        The contracts of these layers as of the release.
    lineage : sequence of mapping
        `LINEAGE_COLUMNS` of the release's events.
    evidence : mapping
        Its evidence.
    """
    events = sorted(canonical({name: one[name] for name in LINEAGE_COLUMNS}) for one in lineage)
    names = ("number", "kind", "created_at", "valid_at", "cycle", "candidate", "parent")
    return {
        **{name: head[name] for name in names},
        "layers": [
            {
                "layer": version.layer,
                "count": version.count,
                "digest": version.digest,
                "changes": dict(version.changes),
                "opened": version.opened,
                "closed": version.closed,
                "contract": sha256(contract_form.write(contracts[version.layer])),
            }
            for version in sorted(layers, key=lambda version: version.layer)
        ],
        "lineage": sha256("\n".join(events)),
        "evidence": sha256(canonical(evidence)),
    }


def chain_digest(body: Mapping[str, Any]) -> str:
    """Return BLAKE2b-256 over the canonical JSON of a chain's body, in hexadecimal."""
    return hashlib.blake2b(canonical(body).encode(), digest_size=32).hexdigest()


def sha256(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
