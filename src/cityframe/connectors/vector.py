"""Vector formats through GDAL, each with the drivers it may use and nothing else."""

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio

from cityframe.config.source import Feed
from cityframe.connectors.columns import ArrowColumn, frame
from cityframe.connectors.contents import staged
from cityframe.connectors.datasets import Dataset
from cityframe.connectors.dbase import BYTES_AS_LETTERS, dbase_encoding, decoded_columns
from cityframe.connectors.formats import VECTOR_FORMATS
from cityframe.connectors.geometry import from_wkb
from cityframe.connectors.headers import check_names
from cityframe.connectors.limits import READER_MEMORY_BYTES, READER_SECONDS
from cityframe.connectors.markup import xml_root
from cityframe.connectors.tables import chosen_table
from cityframe.core.source_table import GeometryArray, SourceTable
from cityframe.errors import DeclarationError, QuarantinedError

_log = logging.getLogger(__name__)
_PROCESS = Path(__file__).with_name("ogr_process.py")
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "LC_ALL")
_SETTINGS = {
    # should a namespace without network be refused, requests end at a port that none listens on
    "GDAL_HTTP_PROXY": "127.0.0.1:9",
    "GDAL_HTTPS_PROXY": "127.0.0.1:9",
    "GDAL_HTTP_MAX_RETRY": "0",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE",
    "GML_FIELDTYPES": "ALWAYS_STRING",
    "OGR_SQLITE_ALLOW_EXTERNAL_ACCESS": "NO",
    "PROJ_NETWORK": "OFF",
}


_ROW_NUMBERS = frozenset({"fid", "ogc_fid"})
_NO_CRS = ("ENGCRS[", "LOCAL_CS[")
_LINKS = re.compile(rb"(?im)^\s*(open table|create view|\"\\isseamless\" = \"true\")")


def read_vector(dataset: Dataset, feed: Feed) -> SourceTable | None:
    """Read one layer of a vector file: the one that the feed's ``table`` names, or the only one.

    Columns keep the file's types. A primary key of another name than ``fid`` is a column. A
    geometry that can't be read is null, and ``defects`` says why; Z and M stay.

    Returns
    -------
    SourceTable or None
        None if the file has no layer of that name.

    Raises
    ------
    QuarantinedError
        If GDAL can't read the file, or it is hostile.
    """
    kind = VECTOR_FORMATS[dataset.suffix]
    if feed.encoding and not kind.has_encoding:
        raise DeclarationError(
            found=f"encoding {feed.encoding!r} for {dataset.path}",
            expected="no encoding: the format states its own",
        )
    with tempfile.TemporaryDirectory() as folder:
        staged(dataset.members, Path(folder), copied=kind.is_copied)
        path = Path(folder, next(iter(dataset.members)).split("/")[0])
        _refuse_references(dataset)
        rows_path = str(Path(folder, "rows.arrow"))
        request = {
            "path": str(path),
            "layer": feed.table,
            "encoding": BYTES_AS_LETTERS if kind.has_encoding else "",
            "options": dict(kind.options),
            "out": rows_path,
            "memory_bytes": READER_MEMORY_BYTES,
        }
        answer = _answer(request, kind.drivers, dataset.path)
        if "layers" in answer:
            chosen_table(answer["layers"], feed.table, where=dataset.path, what="layer")
            return None
        with pa.OSFile(rows_path, "rb") as source, pa.ipc.open_file(source) as rows:
            table = rows.read_all()
    return _source_table(table, answer, dataset, feed)


def layer_names(dataset: Dataset) -> list[str]:
    """Return the names of the layers of a vector file, whatever they hold.

    Raises
    ------
    QuarantinedError
        If GDAL can't read the file, or it is hostile.
    """
    kind = VECTOR_FORMATS[dataset.suffix]
    with tempfile.TemporaryDirectory() as folder:
        staged(dataset.members, Path(folder), copied=kind.is_copied)
        path = Path(folder, next(iter(dataset.members)).split("/")[0])
        _refuse_references(dataset)
        request = {"path": str(path), "memory_bytes": READER_MEMORY_BYTES}
        names: list[str] = _answer(request, kind.drivers, dataset.path)["layers"]
    return names


def _source_table(
    table: pa.Table, answer: dict[str, Any], dataset: Dataset, feed: Feed
) -> SourceTable:
    columns: dict[str, ArrowColumn] = dict(zip(table.column_names, table.columns, strict=True))
    check_names(dataset.path, table.column_names)
    geometry: GeometryArray | None = None
    defects: dict[int, str] = {}
    if answer["geometry"] is not None:
        geometry, defects = from_wkb(columns.pop(answer["geometry"]).to_pylist())
    if answer["key"].casefold() in _ROW_NUMBERS:
        columns.pop(answer["key"], None)
    encoding = ""
    if VECTOR_FORMATS[dataset.suffix].has_encoding:
        encoding = dbase_encoding(dataset, feed, columns)
        columns = decoded_columns(columns, encoding, where=dataset.path)
    else:
        _check_text(table, dataset.path)
    columns |= {name: _moments(columns[name]) for name in answer["moments"] if name in columns}
    crs = answer["crs"]
    return SourceTable(
        file=dataset.path,
        table=answer["layer"],
        frame=frame(columns, table.num_rows),
        geometry=geometry,
        crs=None if geometry is None or crs is None or crs.startswith(_NO_CRS) else crs,
        encoding=encoding,
        defects=defects,
    )


def _answer(request: dict[str, Any], drivers: tuple[str, ...], where: str) -> dict[str, Any]:
    """Have a process of its own read the file, with no other drivers than these."""
    skipped = ",".join(sorted(set(pyogrio.list_drivers()) - set(drivers)))
    environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603  # a fixed program; the request goes to its input
            [sys.executable, "-I", str(_PROCESS)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            env={**environment, **_SETTINGS, "GDAL_SKIP": skipped},
            timeout=READER_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise QuarantinedError(
            found=f"reading did not end in {READER_SECONDS} s", where=where
        ) from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [""])[-1]
        raise QuarantinedError(
            found=f"the reader ended with {done.returncode} {said}".rstrip(),
            where=where,
            expected=f"a file that {' or '.join(drivers)} reads within {READER_MEMORY_BYTES} bytes",
            remedy="have the source export it again",
        )
    place = json.dumps(f"{Path(request['path']).parent}/")[1:-1]
    answer: dict[str, Any] = json.loads(done.stdout.replace(place, ""))
    if "error" in answer:
        raise QuarantinedError(
            found=f"a file that can't be read ({answer['error']})",
            where=where,
            expected=f"what the GDAL driver {' or '.join(drivers)} reads",
            remedy="have the source export it again, with all the files that belong to it",
        )
    for warning in answer.get("warnings", ()):
        _log.warning("%s: %s", where, warning)
    return answer


def _refuse_references(dataset: Dataset) -> None:
    """Refuse entities, and files that make a driver open others."""
    main = dataset.main
    if VECTOR_FORMATS[dataset.suffix].is_xml:
        with main.opened() as chunks:
            xml_root(chunks, where=main.path)
    if dataset.suffix == ".tab" and _LINKS.search(main.read()):
        raise QuarantinedError(
            found="a MapInfo table that refers to other tables",
            where=main.path,
            expected="a table of its own",
            remedy="have the source export the tables themselves",
        )


def _check_text(table: pa.Table, where: str) -> None:
    try:
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise QuarantinedError(
            found=f"text in an encoding that the file does not state ({error})",
            where=where,
            expected="UTF-8, or the encoding in the file's header",
            remedy="have the source export it with its encoding, or as GeoPackage",
        ) from error


def _moments(column: ArrowColumn) -> ArrowColumn:
    """Return moments from text, if all of them have a zone or none has; else the text."""
    for kind in (pa.timestamp("us", "UTC"), pa.timestamp("us")):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    return column
