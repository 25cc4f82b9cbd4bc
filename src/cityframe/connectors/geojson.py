"""GeoJSON, read without GDAL.

GDAL's reader guesses types, gives features new numbers where an id stands twice, drops null
features and the fourth value of a position. Here each feature of the file is a record, and what
can't be read of it is told.
"""

import json
import re
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from cityframe.config.source import Feed
from cityframe.connectors.columns import ArrowArray, frame, typed_column, unified
from cityframe.connectors.contents import ContentFile
from cityframe.connectors.delimited import decoded
from cityframe.connectors.limits import check_column_count
from cityframe.core.source_table import GeometryArray, SourceTable
from cityframe.errors import DeclarationError, QuarantinedError

_DECODER = json.JSONDecoder()
_BLANKS = frozenset(" \t\r\n")
_SPACE = re.compile(r"[ \t\r\n]*")
_CRS_NAME = re.compile(
    r"(?:urn:ogc:def:crs:|https?://www\.opengis\.net/def/crs/)?([A-Za-z]+)[:/](?:[\d.]*[:/])?(\w+)"
)
_SAME_CRS = {"OGC:CRS84": "EPSG:4326", "OGC:CRS83": "EPSG:4269"}
"""Systems that differ in the order of the axes only; coordinates here are always x, y."""
_GEOMETRY_TYPES = (
    "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
    "GeometryCollection",
)  # fmt: skip
_CHUNK = 20_000
_Feature = tuple[Any, str]
"""A feature as Python values, and its text."""


def read_geojson(file: ContentFile, feed: Feed) -> SourceTable:
    """Read the features of a GeoJSON file.

    Properties are columns with the types of JSON; mixed types, lists and objects become text. The
    member ``id`` is a column ``id`` if a feature has it and no property has that name. Text is
    never taken for a date. What can't be read of a feature is null, and ``defects`` says why.

    Raises
    ------
    QuarantinedError
        If the file is no GeoJSON.
    """
    if feed.table:
        raise DeclarationError(
            found=f"table {feed.table!r} for {file.path}", remedy="a GeoJSON file has one table"
        )
    text, encoding = decoded(file, feed)
    members: dict[str, Any] = {}
    features = _features(text, members, file.path)
    columns: dict[str, list[ArrowArray]] = {}
    geometry: list[GeometryArray] = []
    defects: dict[int, str] = {}
    count = 0
    while chunk := list(islice(features, _CHUNK)):
        read, reasons = _geometries(chunk)
        try:
            _add_columns(columns, [one for one, _ in chunk], count)
        except UnicodeEncodeError as error:
            raise QuarantinedError(
                found=f"text with half a character ({error.reason})",
                where=f"{file.path}, features from {count} on",
                expected="whole Unicode characters",
                remedy="have the source export it again as UTF-8",
            ) from error
        check_column_count(len(columns), file.path)
        defects |= {count + place: reason for place, reason in reasons.items()}
        geometry.append(read)
        count += len(chunk)
    return SourceTable(
        file=file.path,
        table="",
        frame=frame({name: unified(parts) for name, parts in columns.items()}, count),
        geometry=np.concatenate(geometry) if geometry else np.empty(0, dtype=object),
        crs=_crs(members.get("crs")),
        encoding=encoding,
        defects=defects,
    )


def _features(text: str, members: dict[str, Any], where: str) -> Iterator[_Feature]:
    """Yield the features one by one; fill ``members`` with the rest of the top object."""
    at = _expect(text, 0, "{", where)
    while text[at : at + 1] != "}":
        name, at = _value(text, at, where)
        at = _expect(text, at, ":", where)
        if name == "features" and text[at : at + 1] == "[":
            members["features"] = True
            at = _skip(text, at + 1)
            while text[at : at + 1] != "]":
                feature, end = _value(text, at, where)
                if isinstance(feature, dict) and feature.get("geometry") is not None:
                    # read from the text; millions of lists of numbers would slow all down
                    feature["geometry"] = True
                yield feature, text[at:end]
                at = _next(text, end, "]", where)
            at += 1
        else:
            members[str(name)], at = _value(text, at, where)
        at = _next(text, at, "}", where)
    if _skip(text, at + 1) != len(text):
        raise _malformed(text, at + 1, "the end of the file", where)
    kind = members.get("type")
    if kind == "Feature":
        yield members, text
    elif kind in _GEOMETRY_TYPES:
        yield {"type": "Feature", "geometry": members}, f'{{"type":"Feature","geometry":{text}}}'
    elif kind != "FeatureCollection" or members.get("features") is not True:
        raise QuarantinedError(
            found=f"JSON of type {kind!r}",
            where=where,
            expected="a FeatureCollection with features, a Feature or a geometry",
            remedy="have the source export GeoJSON (RFC 7946)",
        )


def _add_columns(
    columns: dict[str, list[ArrowArray]], features: Sequence[Any], before: int
) -> None:
    """Add the properties of features to columns that hold ``before`` values."""
    records = [_properties(feature) for feature in features]
    identified = [feature if isinstance(feature, dict) else {} for feature in features]
    names = dict.fromkeys(name for record in records for name in record)
    if "id" not in names and any(one.get("id") is not None for one in identified):
        names["id"] = None
        records = [
            {**record, "id": one.get("id")} for record, one in zip(records, identified, strict=True)
        ]
    for name in names:
        if name not in columns:
            columns[name] = [pa.nulls(before)]
    for name, parts in columns.items():
        parts.append(typed_column([record.get(name) for record in records]))


def _properties(feature: Any) -> dict[str, Any]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    return properties if isinstance(properties, dict) else {}


def _geometries(features: Sequence[_Feature]) -> tuple[GeometryArray, dict[int, str]]:
    """Return the geometries, null where there is none or it can't be read, and why it can't."""
    defects: dict[int, str] = {}
    places: list[int] = []
    for place, (feature, _) in enumerate(features):
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            defects[place] = "not a GeoJSON feature"
            continue
        if not isinstance(feature.get("properties"), dict | None):
            defects[place] = "properties are not an object"
        if "geometry" not in feature:
            defects[place] = "no member geometry"
        elif feature["geometry"] is not None:
            places.append(place)
    geometry = np.full(len(features), None, dtype=object)
    with warnings.catch_warnings():
        # a coordinate beyond the range of floating point is among the defects
        warnings.filterwarnings("ignore", "overflow encountered", RuntimeWarning)
        texts = [features[place][1] for place in places]
        read = shapely.from_geojson(texts, on_invalid="ignore")
        geometry[places] = read
        for number in np.flatnonzero(shapely.is_missing(read)):
            defects[places[number]] = f"unreadable geometry: {_reason(texts[number])}"
    return geometry, defects


def _reason(text: str) -> str:
    try:
        shapely.from_geojson(text)
    except shapely.errors.GEOSException as error:
        return str(error)
    return "unknown"


def _crs(member: Any) -> str | None:
    """Return what the file says of its CRS; None if nothing, though RFC 7946 means WGS84 then."""
    if not isinstance(member, dict) or not isinstance(member.get("properties"), dict):
        return None
    properties = member["properties"]
    if "code" in properties:
        return f"EPSG:{properties['code']}"
    name = str(properties.get("name") or properties.get("href") or "")
    match = _CRS_NAME.fullmatch(name.strip())
    if match is None:
        return name or None
    code = f"{match.group(1).upper()}:{match.group(2)}"
    return _SAME_CRS.get(code, code)


def _value(text: str, at: int, where: str) -> tuple[Any, int]:
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _malformed(text, error.pos, error.msg, where) from error
    except (ValueError, RecursionError) as error:
        raise _malformed(text, at, f"plain values ({error})", where) from error
    return value, end


def _next(text: str, at: int, closing: str, where: str) -> int:
    """Return where the next item starts, or the closing bracket stands."""
    at = _skip(text, at)
    if text[at : at + 1] == closing:
        return at
    return _expect(text, at, ",", where)


def _expect(text: str, at: int, letter: str, where: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != letter:
        raise _malformed(text, at, repr(letter), where)
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    if text[at : at + 1] not in _BLANKS:
        return at
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _malformed(text: str, at: int, expected: str, where: str) -> QuarantinedError:
    line = text.count("\n", 0, at) + 1
    return QuarantinedError(
        found=f"no JSON: {text[at : at + 20]!r} in line {line}",
        where=f"{where}:{line}",
        expected=expected,
        remedy="have the source export it again; the file may be cut off",
    )
