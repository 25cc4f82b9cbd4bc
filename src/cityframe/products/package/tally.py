"""Count and digest the rows of a layer's table as they pass."""

import hashlib
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.digest import LAYER_SUM_BYTES, layer_digest, layer_sum, row_digests
from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.products.package.manifest import LayerState, PackageKind
from cityframe.products.package.table import AFTER, BEFORE

Digests = npt.NDArray[np.object_]
_MODULUS = 1 << (8 * LAYER_SUM_BYTES)


@dataclass(frozen=True)
class Tally:
    """What the rows of a table add up to.

    Attributes
    ----------
    rows_digest : str
        Over the rows in their order; see ``docs/formats/digest.md``.
    state : LayerState
        Count and order-free digest of the rows of the side ``after`` (of a full package: all).
    changes : mapping of ChangeKind to int
        Features by kind; empty for a full package.
    """

    rows: int
    rows_digest: str
    state: LayerState
    changes: dict[ChangeKind, int]


class RowCounter:
    """Adds up the rows of one table, batch by batch.

    Parameters
    ----------
    where : str
        File and table, for messages.
    """

    def __init__(self, layer: Layer, kind: PackageKind, where: str) -> None:
        self._layer = layer
        self._kind = kind
        self._where = where
        self._rows = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._count = 0
        self._sum = 0
        self._changes: dict[str, int] = {}
        self._last_uid = ""
        self._last_side = AFTER

    def add(self, frame: gpd.GeoDataFrame, digests: Digests) -> None:
        """Add a batch and the digests of its rows.

        Raises
        ------
        IntegrityError
            If a row is out of order, stands twice, or has a side or kind that is not known.
        """
        if frame.empty:
            return
        self._check_order(frame)
        self._rows += len(frame)
        self._hash.update(b"".join(_row_bytes(frame, self._kind, digests)))
        if self._kind is PackageKind.CHANGE:
            self._count_changes(frame)
            digests = digests[(frame["side"] == AFTER).to_numpy()]
        self._count += len(digests)
        self._sum = (self._sum + layer_sum(digests)) % _MODULUS

    def total(self) -> Tally:
        """Return what all batches add up to."""
        return Tally(
            rows=self._rows,
            rows_digest=self._hash.hexdigest(),
            state=LayerState(count=self._count, digest=layer_digest(self._sum, self._count)),
            changes={
                kind: self._changes[kind] for kind in sorted(ChangeKind) if kind in self._changes
            },
        )

    def _check_order(self, frame: gpd.GeoDataFrame) -> None:
        uids = frame["uid"].to_numpy(dtype=object)
        if pd.isna(uids).any() or frame["valid_from"].isna().any():
            raise IntegrityError(
                where=self._where, found="a row without uid or valid_from", expected="both"
            )
        is_before = np.zeros(len(frame), dtype=bool)
        if self._kind is PackageKind.CHANGE:
            is_before = (frame["side"] == BEFORE).to_numpy()
        former = np.concatenate([[self._last_uid], uids[:-1]])
        was_before = np.concatenate([[self._last_side == BEFORE], is_before[:-1]])
        # a uid may follow itself only as its row after
        in_order = (former < uids) | ((former == uids) & was_before & ~is_before)
        if not in_order.all():
            uid = uids[int(np.flatnonzero(~in_order)[0])]
            raise IntegrityError(
                where=f"{self._where} uid {uid}",
                found="a row out of order, or a uid that stands twice",
                expected="rows sorted by uid, each uid once",
            )
        self._last_uid = uids[-1]
        self._last_side = BEFORE if is_before[-1] else AFTER

    def _count_changes(self, frame: gpd.GeoDataFrame) -> None:
        is_before = (frame["side"] == BEFORE).to_numpy()
        is_new = (frame["change"] == ChangeKind.NEW).to_numpy()
        known = frame["change"].isin(list(ChangeKind)).to_numpy()
        wrong = ~known | ~frame["side"].isin([BEFORE, AFTER]).to_numpy() | (is_new & is_before)
        if wrong.any():
            row = frame.iloc[int(np.flatnonzero(wrong)[0])]
            raise IntegrityError(
                where=f"{self._where} uid {row['uid']}",
                found=f"side {row['side']!r} with change {row['change']!r}",
                expected="a kind of change on the side it has",
            )
        # each feature once: by its row before, a new one by its row after
        for kind, count in frame["change"][is_before | is_new].value_counts().items():
            self._changes[str(kind)] = self._changes.get(str(kind), 0) + int(count)


def known_digests(frame: gpd.GeoDataFrame, layer: Layer) -> Digests:
    """Return the digests that the rows bring with them, or compute them."""
    if "digest" not in frame.columns:
        return row_digests(frame, layer)
    digests = np.empty(len(frame), dtype=object)
    digests[:] = [bytes(digest) for digest in frame["digest"]]
    return digests


def _row_bytes(frame: gpd.GeoDataFrame, kind: PackageKind, digests: Digests) -> list[bytes]:
    texts = ["side", "change", "uid"] if kind is PackageKind.CHANGE else ["uid"]
    encoded = [
        [len(text).to_bytes(4, "little") + text for text in map(str.encode, frame[name])]
        for name in texts
    ]
    moments = frame["valid_from"].dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    body = np.ascontiguousarray(moments.astype("<i8")).tobytes()
    times = [body[8 * row : 8 * row + 8] for row in range(len(frame))]
    return [b"".join(parts) for parts in zip(*encoded, times, digests, strict=True)]
