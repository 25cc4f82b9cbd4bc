"""What only shows between the rows of one feature: periods, changes of each release, lineage."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.store.damage import Damage
from cityframe.store.home import Home
from cityframe.store.layer_check import digests_at, numbers_of, redactions_by_row
from cityframe.store.layer_plan import RECORDED, microseconds
from cityframe.store.proof import Row, Said
from cityframe.store.state_spans import Numbers, StateSpans, state_spans
from cityframe.store.stored_rows import stored_rows
from cityframe.store.tables import LINEAGE, history_name
from cityframe.store.timeline import FOREVER

_COLUMNS = ("uid", "release_from", "release_to", "valid_from", "valid_to", "digest", "change")
_NEW, _REMOVED, _DIFFERS = "new", "removed", "differs"


@dataclass
class ChangeTally:
    """Features by what each release did to them.

    Attributes
    ----------
    counts : mapping of str to mapping of int to int
        ``new``, ``removed``, ``differs`` (in digest), and of these each kind that a row says
        itself; by release. A copy of a row does not say.
    """

    counts: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, what: str, releases: Numbers) -> None:
        """Count features of these releases."""
        of = self.counts[what]
        for number, count in zip(*np.unique(releases, return_counts=True), strict=True):
            of[int(number)] = of.get(int(number), 0) + int(count)

    def of(self, what: str, release: int) -> int:
        """Return a count."""
        return self.counts[what].get(release, 0)


def check_features(
    home: Home, layer: Layer, said: Said, release: int | None, damages: list[Damage]
) -> ChangeTally:
    """Check the rows of each feature against one another, and count changes.

    Parameters
    ----------
    home, layer, said, release, damages
        As of `cityframe.store.layer_check.check_rows`.
    """
    tally = ChangeTally()
    redactions = redactions_by_row(layer, said)
    ended = _ended(layer, said)
    for rows in _whole_features(home, layer, release):
        feature = _feature_codes(rows)
        damages += _overlaps(layer, rows, feature)
        spans = state_spans(
            numbers_of(rows, "release_from", 0),
            numbers_of(rows, "release_to", FOREVER),
            microseconds(rows.column("valid_from")),
            microseconds(rows.column("valid_to")),
            said.valid_at,
        )
        _count_changes(tally, rows, feature, spans, said, redactions)
        if release is None:
            damages += _unresolved(layer, rows, feature, spans, said, ended)
    return tally


def lineage_damages(layer: Layer, said: Said, known: set[str]) -> Iterator[Damage]:
    """Yield events of a layer that name a feature that it never had.

    Parameters
    ----------
    known : set of str
        Those of the features named by lineage that the history has.
    """
    for row in said.lineage:
        for role in ("parent", "child"):
            uid = row[role]
            if row["layer"] == layer.name and uid is not None and uid not in known:
                yield Damage(
                    where=f"{LINEAGE.name}.{role}",
                    layer=layer.name,
                    uid=str(uid),
                    release=row["release"],
                    found=f"a {role} of event {row['event']} that no row is about",
                    expected=f"a feature of {history_name(layer.name)}",
                )


def _whole_features(home: Home, layer: Layer, release: int | None) -> Iterator[pa.Table]:
    """Yield rows in batches, sorted by uid, all rows of a feature in one."""
    rest: pa.Table | None = None
    for batch in stored_rows(home, layer, _COLUMNS, release=release, by_uid=True):
        readable = pc.is_valid(batch.rows.column("uid"))
        rows = batch.rows.filter(readable)
        rows = rows if rest is None else pa.concat_tables([rest, rows])
        if not rows.num_rows:
            continue
        rows = rows.combine_chunks()
        last = pc.equal(rows.column("uid"), rows.column("uid")[-1])
        rest = rows.filter(last)
        whole = rows.filter(pc.invert(last))
        if whole.num_rows:
            yield whole
    if rest is not None:
        yield rest


def _feature_codes(rows: pa.Table) -> Numbers:
    uids: Any = rows.column("uid").combine_chunks()
    if rows.num_rows == 0:
        return np.empty(0, dtype=np.int64)
    is_next = pc.not_equal(uids[1:], uids[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(is_next)]).astype(np.int64)


def _overlaps(layer: Layer, rows: pa.Table, feature: Numbers) -> Iterator[Damage]:
    """Yield rows of one feature that were known at one time and hold at one time."""
    known = numbers_of(rows, "release_from", 0), numbers_of(rows, "release_to", FOREVER)
    valid = microseconds(rows.column("valid_from")), microseconds(rows.column("valid_to"))
    # a row beside the next one of its feature, then beside the one after that, ...
    left = np.arange(len(feature))
    for distance in range(1, len(feature)):
        left = left[left + distance < len(feature)]
        left = left[feature[left] == feature[left + distance]]
        if not len(left):
            return
        right = left + distance
        meet = np.ones(len(left), dtype=bool)
        for start, end in (known, valid):
            meet &= (start[left] < end[right]) & (start[right] < end[left])
        for one, other in zip(left[meet].tolist(), right[meet].tolist(), strict=True):
            yield Damage(
                where=history_name(layer.name),
                layer=layer.name,
                uid=str(rows.column("uid")[one]),
                fid=rows.column("fid")[other].as_py(),
                release=int(max(known[0][one], known[0][other])),
                found=f"known and so at one time with row {rows.column('fid')[one]}",
                expected="periods of one feature that do not overlap",
            )


def _count_changes(
    tally: ChangeTally,
    rows: pa.Table,
    feature: Numbers,
    spans: StateSpans,
    said: Said,
    redactions: Mapping[int, list[Row]],
) -> None:
    """Count features that enter the state, leave it, or are there with other content."""
    width = said.newest + 2
    is_left = spans.leave <= said.newest
    entered = feature[spans.row] * width + spans.enter
    left = feature[spans.row[is_left]] * width + spans.leave[is_left]
    tally.add(_NEW, np.setdiff1d(entered, left) % width)
    tally.add(_REMOVED, np.setdiff1d(left, entered) % width)
    both, of_entered, of_left = np.intersect1d(entered, left, return_indices=True)
    numbers = both % width
    after, before = spans.row[of_entered], spans.row[is_left][of_left]
    digests: npt.NDArray[np.object_] = rows.column("digest").to_numpy().astype(object)
    fids: Any = np.array(rows.column("fid").to_pylist(), dtype=object)
    sides = [
        digests_at(fids[side].tolist(), digests[side], numbers, redactions)
        for side in (before, after)
    ]
    differs = sides[0] != sides[1]
    tally.add(_DIFFERS, numbers[differs])
    kinds = rows.column("change").to_numpy().astype(object)[after]
    for kind in RECORDED:
        tally.add(kind, numbers[differs & (kinds == kind.value)])


def _ended(layer: Layer, said: Said) -> set[tuple[str, int]]:
    return {(row["parent"], row["release"]) for row in said.lineage if row["layer"] == layer.name}


def _unresolved(
    layer: Layer,
    rows: pa.Table,
    feature: Numbers,
    spans: StateSpans,
    said: Said,
    ended: set[tuple[str, int]],
) -> Iterator[Damage]:
    """Yield features that are gone from the newest state, and no event says where they went."""
    of_span = feature[spans.row]
    last = np.zeros(feature[-1] + 1 if len(feature) else 0, dtype=np.int64)
    np.maximum.at(last, of_span, spans.leave)
    first_row = np.unique(feature, return_index=True)[1]
    for code in np.flatnonzero((last > 0) & (last <= said.newest)).tolist():
        uid = str(rows.column("uid")[int(first_row[code])])
        if (uid, int(last[code])) not in ended:
            yield Damage(
                where=LINEAGE.name,
                layer=layer.name,
                uid=uid,
                release=int(last[code]),
                found="a feature that ends here, and no event says what became of it",
                expected="its successors or a tombstone",
            )


def change_damages(
    layer: Layer, row: Row, stated: Mapping[str, int], tally: ChangeTally, redacted: int
) -> Iterator[Damage]:
    """Yield the counts of a release's changes that the rows do not bear out.

    Parameters
    ----------
    row : mapping
        Of ``cf_release_layer``.
    stated : mapping
        Features by kind, as it says.
    redacted : int
        Features of the state that the release redacted.
    """
    number = row["release"]
    found = {
        "new": tally.of(_NEW, number),
        "removed": tally.of(_REMOVED, number),
        "other": tally.of(_DIFFERS, number) + redacted,
    }
    kinds = {str(kind): int(count) for kind, count in stated.items()}
    claimed = {
        "new": kinds.pop(ChangeKind.NEW.value, 0),
        "removed": kinds.pop(ChangeKind.REMOVED.value, 0),
        "other": sum(kinds.values()),
    }
    recorded = {kind.value: tally.of(kind, number) for kind in RECORDED}
    if found != claimed or any(kinds.get(kind, 0) < count for kind, count in recorded.items()):
        yield Damage(
            where="cf_release_layer.changes",
            layer=layer.name,
            release=number,
            found=str(dict(stated)),
            expected=f"{found}, of these by their rows at least {recorded}",
        )
