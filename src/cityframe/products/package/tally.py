"""Count and digest the rows of a layer's full table as they pass."""

import hashlib
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.digest import LAYER_SUM_BYTES, layer_digest, layer_sum, row_digests
from cityframe.errors import IntegrityError
from cityframe.model.layer import Layer
from cityframe.products.package.manifest import LayerState

Digests = npt.NDArray[np.object_]
_MODULUS = 1 << (8 * LAYER_SUM_BYTES)
_NULL_TEXT = b"\xff\xff\xff\xff"
_NULL_NUMBER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Tally:
    """What the rows of a table add up to.

    Attributes
    ----------
    rows_digest : str
        Over the rows in their order; see ``docs/formats/package.md``.
    state : LayerState
        Count and order-free digest of the rows.
    """

    rows: int
    rows_digest: str
    state: LayerState


class RowCounter:
    """Adds up the rows of one table, batch by batch.

    Parameters
    ----------
    where : str
        File and table, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._rows = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._sum = 0
        self._last_uid = ""

    def add(self, frame: gpd.GeoDataFrame, digests: Digests) -> None:
        """Add a batch and the digests of its rows.

        Raises
        ------
        IntegrityError
            If a row is out of order or stands twice.
        """
        if frame.empty:
            return
        self._check_order(frame)
        self._rows += len(frame)
        self._hash.update(b"".join(_row_bytes(frame, digests)))
        self._sum = (self._sum + layer_sum(digests)) % _MODULUS

    def total(self) -> Tally:
        """Return what all batches add up to."""
        return Tally(
            rows=self._rows,
            rows_digest=self._hash.hexdigest(),
            state=LayerState(count=self._rows, digest=layer_digest(self._sum, self._rows)),
        )

    def _check_order(self, frame: gpd.GeoDataFrame) -> None:
        uids = frame["uid"].to_numpy(dtype=object)
        if pd.isna(uids).any() or frame["valid_from"].isna().any():
            raise IntegrityError(
                where=self._where, found="a row without uid or valid_from", expected="both"
            )
        in_order = np.concatenate([[self._last_uid], uids[:-1]]) < uids
        if not in_order.all():
            uid = uids[int(np.flatnonzero(~in_order)[0])]
            raise IntegrityError(
                where=f"{self._where} uid {uid}",
                found="a row out of order, or a uid that stands twice",
                expected="rows sorted by uid, each uid once",
            )
        self._last_uid = uids[-1]


def known_digests(frame: gpd.GeoDataFrame, layer: Layer) -> Digests:
    """Return the digests that the rows bring with them, or compute them."""
    if "digest" not in frame.columns:
        return row_digests(frame, layer)
    digests = np.empty(len(frame), dtype=object)
    digests[:] = [bytes(digest) for digest in frame["digest"]]
    return digests


def _row_bytes(frame: gpd.GeoDataFrame, digests: Digests) -> list[bytes]:
    texts = [_text_bytes(frame[name]) for name in ("uid", "delivery", "basis")]
    moments = frame["valid_from"].dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    numbers = [
        _number_bytes(moments.astype("<i8")),
        _number_bytes(frame["record"].to_numpy(dtype="<i8", na_value=_NULL_NUMBER)),
    ]
    return [b"".join(parts) for parts in zip(*texts, *numbers, digests, strict=True)]


def _text_bytes(column: pd.Series) -> list[bytes]:
    return [
        _NULL_TEXT if pd.isna(text) else len(text.encode()).to_bytes(4, "little") + text.encode()
        for text in column
    ]


def _number_bytes(numbers: npt.NDArray[np.int64]) -> list[bytes]:
    body = np.ascontiguousarray(numbers).tobytes()
    return [body[at : at + 8] for at in range(0, len(body), 8)]
