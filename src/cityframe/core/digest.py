"""Content digests of rows and layers; the specification is ``docs/formats/digest.md``."""

import hashlib
from collections.abc import Iterable, Sequence

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from cityframe.model.layer import AttributeType, GeometryType, Layer

ROW_DIGEST_BYTES = 16
LAYER_SUM_BYTES = 512
_LAYER_SUM_MODULUS = 1 << (8 * LAYER_SUM_BYTES)
_NORMALISED = (GeometryType.POLYGON, GeometryType.MULTIPOLYGON, GeometryType.MULTIPOINT)
_NULL = b"\x00"


def row_digests(frame: gpd.GeoDataFrame, layer: Layer) -> npt.NDArray[np.object_]:
    """Return the canonical digest of each row.

    Parameters
    ----------
    frame : GeoDataFrame, n rows
        Layer frame with all attributes of the contract, in the layer's CRS.

    Returns
    -------
    ndarray of bytes, n
        BLAKE2b-128 over the typed attributes in the order of the contract and the geometry.
    """
    columns = [_attribute_bytes(frame[a.name], a.type) for a in layer.attributes]
    columns.append(geometry_bytes(frame.geometry.to_numpy(), layer))
    blake2b = hashlib.blake2b
    digests = np.empty(len(frame), dtype=object)
    digests[:] = [
        blake2b(b"".join(parts), digest_size=ROW_DIGEST_BYTES).digest()
        for parts in zip(*columns, strict=True)
    ]
    return digests


def geometry_bytes(geometry: npt.NDArray[np.object_], layer: Layer) -> list[bytes]:
    """Return the canonical bytes of geometries: WKB in whole units of the layer's precision.

    Polygons are normalised (ring order, start, orientation); lines keep their direction. Null
    gives one zero byte, an empty geometry its WKB.
    """
    units = quantised(geometry, layer)
    if layer.geometry in _NORMALISED:
        units = shapely.normalize(units)
    encoded = shapely.to_wkb(
        units, byte_order=1, flavor="iso", output_dimension=3 if layer.has_z else 2
    )
    return [_NULL if one is None else one for one in encoded]


def quantised(geometry: npt.NDArray[np.object_], layer: Layer) -> npt.NDArray[np.object_]:
    """Return the geometries with coordinates as whole numbers of the layer's precision."""

    def to_units(coordinates: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        # adding zero turns -0.0 into 0.0
        return np.round(coordinates / layer.precision_m) + 0.0

    result: npt.NDArray[np.object_] = shapely.transform(
        np.asarray(geometry, dtype=object), to_units, include_z=layer.has_z
    )
    return result


def layer_sum(digests: Iterable[bytes]) -> int:
    """Return the order-free sum of row digests: each stretched to 4096 bits, added modulo 2^4096.

    The sum of a changed layer is ``(old - removed + added) mod 2**4096``, so it moves with the
    change. The width keeps a generalised-birthday forgery at about 2^128 work (Wagner 2002).
    """
    shake = hashlib.shake_128
    total = 0
    batch: list[bytes] = []
    for digest in digests:
        batch.append(shake(digest).digest(LAYER_SUM_BYTES))
        if len(batch) == 65536:
            total += _sum_batch(batch)
            batch = []
    return (total + _sum_batch(batch)) % _LAYER_SUM_MODULUS


def move_layer_sum(before: int, *, removed: Iterable[bytes], added: Iterable[bytes]) -> int:
    """Return the layer sum after rows were removed and added."""
    return (before - layer_sum(removed) + layer_sum(added)) % _LAYER_SUM_MODULUS


def layer_digest(total: int, count: int) -> str:
    """Return the digest of a layer in hexadecimal: BLAKE2b-128 over its sum and count."""
    body = total.to_bytes(LAYER_SUM_BYTES, "little") + count.to_bytes(8, "little")
    return hashlib.blake2b(body, digest_size=ROW_DIGEST_BYTES).hexdigest()


def _sum_batch(batch: Sequence[bytes]) -> int:
    if not batch:
        return 0
    limbs = np.frombuffer(b"".join(batch), dtype="<u4").reshape(len(batch), -1)
    sums = limbs.sum(axis=0, dtype=np.uint64)
    return sum(int(value) << (32 * place) for place, value in enumerate(sums))


def _attribute_bytes(column: pd.Series, kind: AttributeType) -> list[bytes]:
    # each value delimits itself (a fixed length by its tag, or its length first), so that no two
    # rows share their bytes
    if kind is AttributeType.STRING:
        # the stubs of pyarrow lack this function
        text = pc.utf8_normalize(  # type: ignore[attr-defined]
            pa.array(column, type=pa.large_string()), form="NFC"
        )
        return [
            _NULL if value is None else b"s" + len(value).to_bytes(4, "little") + value
            for value in text.cast(pa.large_binary()).to_pylist()
        ]
    null = column.isna().to_numpy()
    if kind is AttributeType.INTEGER:
        return _fixed_bytes(b"i", column.to_numpy(dtype="<i8", na_value=0), null)
    if kind is AttributeType.REAL:
        return _fixed_bytes(b"f", column.to_numpy(dtype="<f8", na_value=np.nan) + 0.0, null)
    if kind is AttributeType.BOOLEAN:
        return _fixed_bytes(b"b", column.to_numpy(dtype="u1", na_value=0), null)
    if kind is AttributeType.DATE:
        days = column.to_numpy().astype("datetime64[D]").astype("<i8")
        return _fixed_bytes(b"d", days, null)
    microseconds = column.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype("<i8")
    return _fixed_bytes(b"t", microseconds, null)


def _fixed_bytes(
    tag: bytes, values: npt.NDArray[np.generic], null: npt.NDArray[np.bool_]
) -> list[bytes]:
    body, width = np.ascontiguousarray(values).tobytes(), values.dtype.itemsize
    return [
        _NULL if is_null else tag + body[width * row : width * (row + 1)]
        for row, is_null in enumerate(null)
    ]
