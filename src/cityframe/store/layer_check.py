"""Recompute all that a layer's history must agree with; in batches, so that memory is bounded.

Two passes: over the whole rows in the order of the table (digests, seals, states of all releases),
then over their periods in the order of uids (what only shows between rows of one feature).
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cityframe.core.digest import layer_sum, row_digests_of
from cityframe.errors import IntegrityError
from cityframe.model.layer import Layer
from cityframe.store.damage import Damage
from cityframe.store.home import Home
from cityframe.store.layer_plan import microseconds
from cityframe.store.proof import Row, Said
from cityframe.store.seal import sealed_columns, seals
from cityframe.store.sealed_rows import Seals, as_seals
from cityframe.store.state_spans import Numbers, state_spans
from cityframe.store.stored_rows import StoredRows, stored_rows
from cityframe.store.tables import history_name
from cityframe.store.timeline import FOREVER

Mask = npt.NDArray[np.bool_]
Digests = npt.NDArray[np.object_]


@dataclass
class LayerTally:
    """What the rows of a layer add up to, for each release.

    Attributes
    ----------
    rows : int
        Rows looked at.
    total, count : ndarray of int
        By release (0 is unused): how the sum and the number of features of the state move.
    opened, closed : mapping of int to list
        Seals of the rows that a release opened and closed.
    redacted : mapping of int to int
        Features of the state that a release redacted.
    """

    rows: int
    total: npt.NDArray[np.object_]
    count: Numbers
    opened: dict[int, list[Seals]] = field(default_factory=lambda: defaultdict(list))
    closed: dict[int, list[Seals]] = field(default_factory=lambda: defaultdict(list))
    redacted: dict[int, int] = field(default_factory=lambda: defaultdict(int))


def check_rows(
    home: Home, layer: Layer, said: Said, release: int | None, damages: list[Damage]
) -> LayerTally:
    """Check each row of a layer for itself, and add up the states of all releases.

    Parameters
    ----------
    home : Home
        Where the framework lives.
    layer : Layer
        The newest contract.
    said : Said
        What the releases say.
    release : int or None
        Only rows that this release and its parent know.
    damages : list of Damage
        What is found is added.
    """
    names = [*sealed_columns(layer), "seal", "release_to", *layer.attribute_names]
    empty = np.zeros(said.newest + 2, dtype=np.int64)
    tally = LayerTally(rows=0, total=empty.astype(object), count=empty)
    redactions = redactions_by_row(layer, said)
    due = {(row["at"], row["uid"]) for row in said.due if row["layer"] == layer.name}
    seen: set[int] = set()
    for batch in stored_rows(home, layer, names, release=release):
        rows = batch.rows
        tally.rows += rows.num_rows
        damages += batch.damages
        damages += _row_damages(layer, batch)
        damages += _time_damages(layer, rows, said, due)
        versions = _versions(rows, redactions)
        damages += _redaction_damages(layer, rows, redactions)
        if redactions:
            seen.update(redactions.keys() & set(_fids(rows)))
        _add_states(tally, rows, versions, said)
        _add_seals(tally, rows, versions, redactions)
    if release is None:
        damages += [
            replace(_of_redaction(layer, entry), found="no such row", expected="the redacted row")
            for fid in sorted(redactions.keys() - seen)
            for entry in redactions[fid]
        ]
    return tally


def digests_at(
    fids: Sequence[int], digests: Digests, numbers: Numbers, redactions: Mapping[int, list[Row]]
) -> Digests:
    """Return digests of rows as they were when a release was made, before later redactions."""
    result = digests.copy()
    for place, fid in enumerate(fids):
        for entry in redactions.get(fid, ()):
            if entry["release"] >= numbers[place]:
                result[place] = entry["digest_before"]
                break
    return result


def redactions_by_row(layer: Layer, said: Said) -> dict[int, list[Row]]:
    """Return a layer's rows of ``cf_redaction`` by the row that they are about, oldest first."""
    found: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(said.redactions, key=lambda one: int(one["release"])):
        if row["layer"] == layer.name:
            found[row["row"]].append(row)
    return dict(found)


@dataclass(frozen=True)
class _Versions:
    """Rows as one release after another had them: a redaction gives a row another digest."""

    row: Numbers
    known_from: Numbers
    known_to: Numbers
    digest: Digests


def _versions(rows: pa.Table, redactions: Mapping[int, list[Row]]) -> _Versions:
    known_from = numbers_of(rows, "release_from", 0)
    known_to = numbers_of(rows, "release_to", FOREVER)
    digest = _objects(rows, "digest")
    place = np.arange(rows.num_rows)
    fids = _fids(rows) if redactions else []
    touched = [at for at, fid in enumerate(fids) if fid in redactions]
    if not touched:
        return _Versions(place, known_from, known_to, digest)
    parts: list[tuple[int, int, int, Any]] = []
    for at in touched:
        since = int(known_from[at])
        for entry in redactions[fids[at]]:
            until = min(int(known_to[at]), entry["release"])
            parts.append((at, since, until, entry["digest_before"]))
            since = max(since, int(entry["release"]))
        parts.append((at, since, int(known_to[at]), digest[at]))
    kept = np.setdiff1d(place, touched)
    columns = list(zip(*parts, strict=True))
    more = [np.array(column, dtype=np.int64) for column in columns[:3]]
    digests = np.empty(len(parts), dtype=object)
    digests[:] = columns[3]
    return _Versions(
        row=np.concatenate([kept, more[0]]),
        known_from=np.concatenate([known_from[kept], more[1]]),
        known_to=np.concatenate([known_to[kept], more[2]]),
        digest=np.concatenate([digest[kept], digests]),
    )


def _add_states(tally: LayerTally, rows: pa.Table, versions: _Versions, said: Said) -> None:
    valid_from = _moments(rows, "valid_from")[versions.row]
    valid_to = _moments(rows, "valid_to")[versions.row]
    spans = state_spans(versions.known_from, versions.known_to, valid_from, valid_to, said.valid_at)
    width = said.newest + 2
    pairs, of_pair = np.unique(spans.enter * width + spans.leave, return_inverse=True)
    order = np.argsort(of_pair, kind="stable")
    sizes = np.bincount(of_pair, minlength=len(pairs))
    ends = np.cumsum(sizes)
    for pair, start, end in zip(pairs, ends - sizes, ends, strict=True):
        enter, leave = divmod(int(pair), width)
        digests = versions.digest[spans.row[order[start:end]]]
        total = layer_sum([one for one in digests if one is not None])
        tally.total[enter] += total
        tally.total[leave] -= total
        tally.count[enter] += end - start
        tally.count[leave] -= end - start
    if len(versions.row) == rows.num_rows:
        return
    # a redacted row leaves the state in one form and enters it in the next
    left = set(zip(versions.row[spans.row].tolist(), spans.leave.tolist(), strict=True))
    entered = zip(versions.row[spans.row].tolist(), spans.enter.tolist(), strict=True)
    for _, number in left.intersection(entered):
        tally.redacted[number] += 1


def _add_seals(
    tally: LayerTally,
    rows: pa.Table,
    versions: _Versions,
    redactions: Mapping[int, list[Row]],
) -> None:
    now = _objects(rows, "seal")
    first, last = now.copy(), now.copy()
    known_to = numbers_of(rows, "release_to", FOREVER)
    if len(versions.row) > rows.num_rows:
        for place, fid in enumerate(_fids(rows)):
            entries = redactions.get(fid, [])
            after = [*(entry["seal_before"] for entry in entries[1:]), now[place]]
            for entry, seal in zip(entries, after, strict=bool(entries)):
                tally.closed[entry["release"]].append(as_seals([entry["seal_before"]]))
                tally.opened[entry["release"]].append(as_seals([seal]))
            later = [one for one in entries if one["release"] >= known_to[place]]
            first[place] = entries[0]["seal_before"] if entries else now[place]
            last[place] = later[0]["seal_before"] if later else now[place]
    for numbers, values, sets in (
        (numbers_of(rows, "release_from", 0), first, tally.opened),
        (known_to, last, tally.closed),
    ):
        for number in np.unique(numbers).tolist():
            if number != FOREVER:
                chosen = values[numbers == number]
                sets[number].append(as_seals(one or b"" for one in chosen))


def _row_damages(layer: Layer, batch: StoredRows) -> Iterator[Damage]:
    """Yield rows whose content is not what their digest says, or they not what their seal says."""
    rows = batch.rows
    digests = _recomputed(rows, layer)
    stored = _objects(rows, "digest")
    sealed = np.array(seals(rows, layer).to_pylist(), dtype=object)
    seal = _objects(rows, "seal")
    content_differs = digests != stored
    seal_differs = sealed != seal
    for place in np.flatnonzero((content_differs | seal_differs) & batch.is_readable).tolist():
        if not content_differs[place]:
            found = "a row that its seal does not fit"
        elif seal_differs[place]:
            found = "a row that neither its digest nor its seal fit"
        else:
            found = "attributes that their digest does not fit"
        stated, now = (stored, digests) if content_differs[place] else (seal, sealed)
        yield Damage(
            where=history_name(layer.name),
            layer=layer.name,
            uid=str(rows.column("uid")[place]),
            fid=rows.column("fid")[place].as_py(),
            release=rows.column("release_from")[place].as_py(),
            found=f"{found}: {_hex(now[place])}",
            expected=_hex(stated[place]),
        )


def _recomputed(rows: pa.Table, layer: Layer) -> Digests:
    """Return the digests of rows; None where the content has none."""
    try:
        found = row_digests_of(rows, layer).to_pylist()
    except IntegrityError:
        if rows.num_rows == 1:
            found = [None]
        else:
            half = rows.num_rows // 2
            parts = [_recomputed(part, layer) for part in (rows[:half], rows[half:])]
            return np.concatenate(parts)
    result = np.empty(len(found), dtype=object)
    result[:] = found
    return result


def _time_damages(
    layer: Layer, rows: pa.Table, said: Said, due: set[tuple[str, str]]
) -> Iterator[Damage]:
    """Yield rows whose times can't be, and moments to come of which the store has no note."""
    newest = said.newest
    release_from = numbers_of(rows, "release_from", 0)
    release_to = numbers_of(rows, "release_to", FOREVER)
    moments = {name: _moments(rows, name) for name in ("valid_from", "valid_to")}
    is_open = release_to == FOREVER
    is_late = ~is_open & ((release_to <= release_from) | (release_to > newest))
    wrong = {
        "release_from": (release_from < 1) | (release_from > newest),
        "release_to": is_late,
        "valid_to": moments["valid_to"] <= moments["valid_from"],
    }
    expected = {
        "release_from": f"1 to {newest}",
        "release_to": f"nothing, or a later release, up to {newest}",
        "valid_to": "nothing, or a moment after valid_from",
    }
    for name, mask in wrong.items():
        for place in np.flatnonzero(mask).tolist():
            found = str(rows.column(name)[place])
            yield _of_row(layer, rows, place, name, found, expected[name])
    known = np.clip(release_from, 1, max(newest, 1)) - 1
    for name, values in moments.items():
        is_ahead = (values > said.valid_at[known]) & (values != FOREVER)
        for place in np.flatnonzero(is_ahead).tolist():
            at = _utc_text(rows.column(name)[place])
            if (at, str(rows.column("uid")[place])) not in due:
                found = f"{name} {at}, after the release's reference time, but not in cf_due"
                yield _of_row(layer, rows, place, name, found, "a row of cf_due")


def _redaction_damages(
    layer: Layer, rows: pa.Table, redactions: Mapping[int, list[Row]]
) -> Iterator[Damage]:
    """Yield redactions whose digest from before is not what the seal from before is over."""
    if not redactions:
        return
    fids = _fids(rows)
    places = [place for place, fid in enumerate(fids) if fid in redactions]
    for place in places:
        row = rows.slice(place, 1)
        for entry in redactions[fids[place]]:
            before = pa.chunked_array([pa.array([entry["digest_before"]], pa.binary())])
            then = row.set_column(row.column_names.index("digest"), "digest", before)
            sealed = seals(then, layer)[0].as_py()
            named = row.column("uid")[0].as_py()
            if sealed != entry["seal_before"] or named != entry["uid"]:
                yield replace(
                    _of_redaction(layer, entry),
                    found=f"uid {entry['uid']}, seal {_hex(entry['seal_before'])}",
                    expected=f"uid {named}, seal {_hex(sealed)}, by row and digest before",
                )
            names = [name for name in _attributes(entry) if name in layer.attribute_names]
            kept = [name for name in names if row.column(name)[0].is_valid]
            if kept:
                yield replace(
                    _of_redaction(layer, entry),
                    found=f"{', '.join(kept)} in a redacted row",
                    expected="no value",
                )


def _attributes(entry: Row) -> list[str]:
    try:
        return [str(name) for name in json.loads(entry["attributes"])]
    except ValueError:
        # the digest over the entries tells that this one was altered
        return []


def _of_redaction(layer: Layer, entry: Row) -> Damage:
    return Damage(
        where="cf_redaction",
        layer=layer.name,
        uid=str(entry["uid"]),
        fid=entry["row"],
        release=entry["release"],
        found="",
    )


def _of_row(
    layer: Layer, rows: pa.Table, place: int, column: str, found: str, expected: str
) -> Damage:
    return Damage(
        where=f"{history_name(layer.name)}.{column}",
        layer=layer.name,
        uid=str(rows.column("uid")[place]),
        fid=rows.column("fid")[place].as_py(),
        release=rows.column("release_from")[place].as_py(),
        found=found,
        expected=expected,
    )


def _fids(rows: pa.Table) -> list[int]:
    result: list[Any] = rows.column("fid").to_pylist()
    return result


def numbers_of(rows: pa.Table, name: str, null: int) -> Numbers:
    """Return a column of whole numbers, with one in place of null."""
    column: Any = rows.column(name)
    filled = pc.fill_null(column, null)
    result: Numbers = filled.to_numpy().astype(np.int64)
    return result


def _moments(rows: pa.Table, name: str) -> Numbers:
    return microseconds(rows.column(name))


def _objects(rows: pa.Table, name: str) -> Digests:
    result: Digests = rows.column(name).to_numpy().astype(object)
    return result


def _utc_text(moment: Any) -> str:
    return str(moment.as_py().strftime("%Y-%m-%dT%H:%M:%SZ"))


def _hex(value: bytes | None) -> str:
    return "none" if value is None else value.hex()
