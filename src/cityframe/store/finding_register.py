"""The register of findings: what each cycle's check opened and what it fixed.

One Parquet file a cycle holds its events, so that the register grows with the change and not with
the findings that persist. Its form is specified in ``docs/formats/findings.md``. What is known
before a cycle is the fold of the files of the cycles before it, in the order of the ledger.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cityframe.errors import IntegrityError

OPENED, FIXED = "opened", "fixed"
_TEXTS = (
    "event", "finding_id", "looked_by", "rule", "rule_version", "layer", "uid", "source_key",
    "other", "partner", "defect_class", "gate", "scope", "delivery",
)  # fmt: skip
EVENT_COLUMNS = (*_TEXTS, "record")
"""Columns of a cycle's events.

``event``
    `OPENED` or `FIXED`; of a finding that was both in one cycle the later row is the later event.
``looked_by``
    The source whose delivery was checked; empty for a candidate. With ``finding_id`` it tells one
    finding from another: two sources may fail a rule in the same feature.
``delivery``
    That brought the feature's state.
"""
KEY = ["finding_id", "looked_by"]
_SCHEMA = pa.schema(
    [pa.field(name, pa.int64() if name == "record" else pa.string()) for name in EVENT_COLUMNS]
)


@dataclass(frozen=True, slots=True)
class NotedCycle:
    """A cycle whose events count in a fold.

    Attributes
    ----------
    is_returned : bool
        Whether its candidate was sent back, so that nothing was fixed in the framework.
    """

    cycle: str
    is_returned: bool = False


class FindingRegister:
    """The files of all cycles.

    Parameters
    ----------
    folder : Path
        Made with the first file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, cycle: str, events: pd.DataFrame) -> None:
        """Write the events of a cycle whole, in the place of those that it had.

        Parameters
        ----------
        events : DataFrame, n rows
            `EVENT_COLUMNS`; in the order in which they happened.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pandas(_typed(events), schema=_SCHEMA, preserve_index=False)
        path = self._path(cycle)
        temporary = path.with_name(f".{path.name}.partial")
        pq.write_table(table.replace_schema_metadata(None), temporary, compression="zstd")
        temporary.replace(path)

    def events(self, cycle: str) -> pd.DataFrame:
        """Return the events of a cycle; none for a cycle that was not checked.

        Raises
        ------
        IntegrityError
            If the file is damaged.
        """
        path = self._path(cycle)
        if not path.exists():
            return _typed(pd.DataFrame(columns=list(EVENT_COLUMNS)))
        try:
            return _typed(pq.read_table(path, schema=_SCHEMA).to_pandas())
        except (pa.ArrowException, OSError) as error:
            raise IntegrityError(
                where=str(path),
                found=f"a file that can't be read: {error}",
                expected="the events of a cycle's findings",
                remedy="restore it from a backup; without it later cycles call known findings new",
            ) from error

    def cycles(self) -> Iterator[str]:
        """Yield the cycles that have a file, sorted."""
        yield from sorted(path.stem for path in self._folder.glob("[!.]*.parquet"))

    def known(self, cycles: Sequence[NotedCycle]) -> pd.DataFrame:
        """Return every finding that some cycles met.

        Parameters
        ----------
        cycles : sequence of NotedCycle
            Of one series, oldest first.

        Returns
        -------
        DataFrame, one row a finding
            `EVENT_COLUMNS` as of its last event, ``is_open`` and ``first_seen``, the first cycle
            that met it; sorted by `KEY`.
        """
        parts = [
            _counted(self.events(one.cycle), is_returned=one.is_returned).assign(cycle=one.cycle)
            for one in cycles
        ]
        events = _typed(pd.DataFrame(columns=list(EVENT_COLUMNS))).assign(cycle="")
        events = pd.concat([events, *parts], ignore_index=True)
        last = events.drop_duplicates(KEY, keep="last")
        opened = events[events["event"] == OPENED].drop_duplicates(KEY)
        first = opened[[*KEY, "cycle"]].rename(columns={"cycle": "first_seen"})
        known = last.drop(columns="cycle").merge(first, on=KEY, how="left")
        known["is_open"] = known["event"] == OPENED
        return known.sort_values(KEY, ignore_index=True)

    def _path(self, cycle: str) -> Path:
        return self._folder / f"{cycle}.parquet"


def _counted(events: pd.DataFrame, *, is_returned: bool) -> pd.DataFrame:
    """Leave out what a returned candidate would have fixed: it did not reach the framework."""
    if not is_returned:
        return events
    return events[(events["event"] == OPENED) | (events["looked_by"] != "")]


def _typed(events: pd.DataFrame) -> pd.DataFrame:
    frame = events[list(EVENT_COLUMNS)]
    return frame.astype({**dict.fromkeys(_TEXTS, "str"), "record": "Int64"}).fillna(
        dict.fromkeys(_TEXTS, "")
    )
