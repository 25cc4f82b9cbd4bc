"""Reads one vector file with GDAL, in a process of its own; started by ``vector`` only.

The file may be hostile. This process has no network, bounded memory, no secrets in its
environment, and only the drivers that the parent left registered (``GDAL_SKIP``). It imports
nothing of cityframe, so that it starts fast.

Standard input holds a request as JSON, standard output takes the answer::

    {"path", "layer", "encoding", "options", "out", "memory_bytes"}
    {"path", "memory_bytes"}                          to be told the layers only
    {"layers": [...]}                                 which layers there are, if one must be chosen
    {"layer", "crs", "key", "moments", "geometry", "warnings"}   rows lie in ``out``, Arrow IPC
    {"error": "..."}                                  GDAL's reason why it can't be read
"""

import ctypes
import json
import resource
import sys
import warnings
from typing import Any

_NEW_NETWORK = 0x40000000
_NEW_USER = 0x10000000
# what pyogrio would load beside itself and a reader of Arrow streams has no use for
_UNUSED = ("geopandas", "pandas", "shapely", "pyproj")


def leave_network() -> None:
    """Move into an empty network namespace, where the system allows it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) != 0:
        libc.unshare(_NEW_USER | _NEW_NETWORK)


def read(request: dict[str, Any]) -> dict[str, Any]:
    """Answer a request."""
    import pyarrow as pa
    import pyogrio.raw
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError

    try:
        names = [str(name) for name, _ in pyogrio.list_layers(request["path"])]
        if "layer" not in request:
            return {"layers": names}
        layer = request["layer"]
        if layer not in names:
            if layer or len(names) != 1:
                return {"layers": names}
            layer = names[0]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # said of the layer's type name; the measures themselves are kept
            warnings.filterwarnings("ignore", "Measured")
            about = _copy(request, layer)
        heard = dict.fromkeys(str(one.message) for one in caught)
        return {"layer": layer, **about, "warnings": list(heard)}
    except (
        DataLayerError, DataSourceError, FeatureError, FieldError, pa.ArrowException, OSError,
        MemoryError, RuntimeError, ValueError,
    ) as error:  # fmt: skip
        return {"error": f"{type(error).__name__}: {error}"}


def _copy(request: dict[str, Any], layer: str) -> dict[str, Any]:
    """Copy a layer's rows into an Arrow file, batch by batch."""
    import pyarrow as pa
    import pyogrio.raw

    with (
        pyogrio.raw.open_arrow(
            request["path"],
            layer=layer,
            encoding=request["encoding"] or None,
            use_pyarrow=True,
            datetime_as_string=True,
            return_fids=True,
            **request["options"],
        ) as (meta, rows),
        pa.OSFile(request["out"], "wb") as sink,
        pa.ipc.new_file(sink, rows.schema) as out,
    ):
        for batch in rows:
            out.write_batch(batch)
    kinds = zip(meta["fields"], meta["ogr_types"], strict=True)
    names = rows.schema.names
    geometry = meta["geometry_name"] or "wkb_geometry"
    return {
        "crs": meta["crs"],
        "key": meta["fid_column"],
        "moments": [str(name) for name, kind in kinds if kind == "OFTDateTime"],
        "geometry": geometry if geometry in names and meta["geometry_type"] else None,
    }


def main() -> None:
    """Read a request, answer it."""
    request = json.load(sys.stdin)
    leave_network()
    limit = request["memory_bytes"]
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for name in _UNUSED:
        sys.modules[name] = None  # type: ignore[assignment]  # makes its import fail at once
    json.dump(read(request), sys.stdout)


if __name__ == "__main__":
    main()
