"""What is known to be true of a generated delivery, and how a cycle's outcome compares with it.

``truth.jsonl`` has one object a line; ``docs/demo-city.md`` specifies it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cityframe.demo.layers import KEYS
from cityframe.errors import IntegrityError
from cityframe.model.change import ChangeKind


@dataclass(frozen=True, slots=True)
class TrueChange:
    """A feature that the delivery changes.

    Attributes
    ----------
    attributes : tuple of str
        Attributes with a new value; empty for new and removed features.
    note : str
        How it came about, where the kind alone does not say so (``split``, ``mended``).
    """

    layer: str
    key: str
    change: ChangeKind
    attributes: tuple[str, ...] = ()
    note: str = ""

    @property
    def has_new_attributes(self) -> bool:
        """Whether a moved or reshaped feature has new attributes too."""
        return bool(self.attributes) and self.change in (ChangeKind.MOVED, ChangeKind.RESHAPED)


@dataclass(frozen=True, slots=True)
class TrueSame:
    """A feature that is delivered anew and differently, but has not changed.

    ``why``: ``noise`` (vertices within tolerance) or ``repeated`` (the same record once more).
    """

    layer: str
    key: str
    why: str


@dataclass(frozen=True, slots=True)
class TrueDefect:
    """A defect that was put into the delivery.

    Attributes
    ----------
    rule : str
        The rule that must find it.
    keys : tuple of str
        The features concerned; a finding on any of them is a hit.
    returned : bool
        Whether the record is returned, so that it changes nothing.
    also : tuple of str
        Rules that may find it too.
    """

    rule: str
    layer: str
    keys: tuple[str, ...]
    note: str
    returned: bool
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrueMessages:
    """What a feed of messages holds."""

    source: str
    sent: int
    late: int
    duplicate: int
    malformed: int


TrueLine = TrueChange | TrueSame | TrueDefect | TrueMessages

_KINDS: dict[str, type[TrueLine]] = {
    "change": TrueChange,
    "same": TrueSame,
    "defect": TrueDefect,
    "messages": TrueMessages,
}


@dataclass(frozen=True)
class Truth:
    """All that is true of one delivery."""

    changes: tuple[TrueChange, ...] = ()
    same: tuple[TrueSame, ...] = ()
    defects: tuple[TrueDefect, ...] = ()
    messages: tuple[TrueMessages, ...] = ()

    @classmethod
    def of(cls, lines: Iterable[TrueLine]) -> "Truth":
        """Sort lines by what they are."""
        parts: dict[type[TrueLine], list[Any]] = {kind: [] for kind in _KINDS.values()}
        for line in lines:
            parts[type(line)].append(line)
        return cls(*(tuple(parts[kind]) for kind in _KINDS.values()))


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One kind of change or one rule, expected against found.

    Attributes
    ----------
    expected, found : int
        What the truth has, and how many of these were found.
    missed, invented : int
        Expected but not found, and found but not expected.
    """

    layer: str
    name: str
    expected: int
    found: int
    missed: int
    invented: int


@dataclass(frozen=True)
class TruthTable:
    """The comparison; ``missed`` and ``invented`` name the features as ``layer name key``."""

    changes: tuple[TruthRow, ...]
    rules: tuple[TruthRow, ...]
    missed: tuple[str, ...]
    invented: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Whether all that is true was found, and nothing else."""
        return not (self.missed or self.invented)


def compare(truth: Truth, changes: pd.DataFrame, findings: pd.DataFrame) -> TruthTable:
    """Compare the outcome of a cycle with the truth of the deliveries that it took in.

    Parameters
    ----------
    truth : Truth
        Of one set of deliveries.
    changes : DataFrame
        ``layer``, ``key``, ``change`` (values of `ChangeKind`), ``has_new_attributes``: all that
        the cycle changed.
    findings : DataFrame
        ``rule``, ``layer``, ``source_key`` (the key of the feature), ``other`` (keys of others,
        comma-separated): all findings, waived ones too.

    Returns
    -------
    TruthTable
        A row a layer and kind of change, and a row a rule and layer; sorted.

    Notes
    -----
    Layers that no truth speaks of (``sensor_states``) are left out. ``moved`` and ``moved with new
    attributes`` are two kinds of change, and so with ``reshaped``. A finding counts for a defect of
    its rule and layer if they share a key, else it is invented, unless a defect of the layer with
    that key lists its rule under ``also``.
    """
    changes, findings = (frame[frame["layer"].isin(KEYS)] for frame in (changes, findings))
    change_rows, missed, invented = _compare_changes(truth, changes)
    rule_rows, rules_missed, rules_invented = _compare_findings(truth, findings)
    return TruthTable(
        changes=change_rows,
        rules=rule_rows,
        missed=(*missed, *rules_missed),
        invented=(*invented, *rules_invented),
    )


def write_truth(path: Path, lines: Iterable[TrueLine]) -> None:
    """Append lines to a truth file."""
    names = {kind: name for name, kind in _KINDS.items()}
    with path.open("a", encoding="utf-8", newline="\n") as file:
        for line in lines:
            record = {"is": names[type(line)], **asdict(line)}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def read_truth(path: Path) -> Truth:
    """Read a truth file.

    Raises
    ------
    IntegrityError
        If a line is not one that `write_truth` writes.
    """
    return Truth.of(_read_lines(path))


def _read_lines(path: Path) -> Iterator[TrueLine]:
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            try:
                yield _line(json.loads(text))
            except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise IntegrityError(
                    where=f"{path}:{number}", found="no line of a truth file", remedy="make it anew"
                ) from error


def _line(record: Mapping[str, Any]) -> TrueLine:
    kind = _KINDS[record["is"]]
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record.items()
        if name != "is"
    }
    if kind is TrueChange:
        values["change"] = ChangeKind(values["change"])
    return kind(**values)


def _kind_name(change: str, has_new_attributes: bool) -> str:
    geometric = change in (ChangeKind.MOVED, ChangeKind.RESHAPED)
    return f"{change} with new attributes" if geometric and has_new_attributes else str(change)


def _compare_changes(
    truth: Truth, changes: pd.DataFrame
) -> tuple[tuple[TruthRow, ...], list[str], list[str]]:
    expected = {
        (one.layer, _kind_name(one.change, one.has_new_attributes), one.key)
        for one in truth.changes
    }
    columns = ("layer", "change", "has_new_attributes", "key")
    found = {
        (str(layer), _kind_name(str(change), bool(flag)), str(key))
        for layer, change, flag, key in zip(*(changes[name] for name in columns), strict=True)
    }
    rows = [
        TruthRow(
            layer=layer,
            name=name,
            expected=len(true),
            found=len(true & seen),
            missed=len(true - seen),
            invented=len(seen - true),
        )
        for layer, name in sorted({one[:2] for one in expected | found})
        for true in [{one for one in expected if one[:2] == (layer, name)}]
        for seen in [{one for one in found if one[:2] == (layer, name)}]
    ]
    return tuple(rows), _named(expected - found), _named(found - expected)


def _compare_findings(
    truth: Truth, findings: pd.DataFrame
) -> tuple[tuple[TruthRow, ...], list[str], list[str]]:
    concerned: dict[tuple[str, str, str], list[int]] = {}
    allowed: set[tuple[str, str, str]] = set()
    for place, defect in enumerate(truth.defects):
        for key in defect.keys:
            concerned.setdefault((defect.layer, defect.rule, key), []).append(place)
            allowed |= {(defect.layer, rule, key) for rule in defect.also}
    hit: set[int] = set()
    invented: list[tuple[str, str, str]] = []
    columns = ("layer", "rule", "source_key", "other")
    for layer, rule, key, other in zip(*(findings[name] for name in columns), strict=True):
        keys = [str(key), *(one for one in str(other).split(",") if one)]
        tags = [(str(layer), str(rule), one) for one in keys]
        found = [place for tag in tags for place in concerned.get(tag, ())]
        hit.update(found)
        if not found and not any(tag in allowed for tag in tags):
            invented.append((str(layer), str(rule), str(key)))
    missed = [
        (defect.layer, defect.rule, "+".join(defect.keys))
        for place, defect in enumerate(truth.defects)
        if place not in hit
    ]
    rows = []
    groups = {(one.layer, one.rule) for one in truth.defects} | {one[:2] for one in invented}
    for group in sorted(groups):
        places = [i for i, one in enumerate(truth.defects) if (one.layer, one.rule) == group]
        found_here = sum(place in hit for place in places)
        rows.append(
            TruthRow(
                layer=group[0],
                name=group[1],
                expected=len(places),
                found=found_here,
                missed=len(places) - found_here,
                invented=sum(one[:2] == group for one in invented),
            )
        )
    return tuple(rows), _named(missed), _named(invented)


def _named(features: Iterable[tuple[str, str, str]]) -> list[str]:
    return [" ".join(one) for one in sorted(features)]
