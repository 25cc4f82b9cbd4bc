"""Map the columns of a source to the attributes of a layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from cityframe.config.source import ColumnMapping, Feed, Scalar
from cityframe.conform.columns import Columns
from cityframe.conform.problems import Mask, RecordProblem
from cityframe.conform.values import (
    EXPECTED,
    ArrowArray,
    Reading,
    arrow_values,
    as_column,
    as_text,
    is_null,
    parse,
    pc,
)
from cityframe.core.units import unit_conversion
from cityframe.errors import DeclarationError
from cityframe.model.fate import Fate
from cityframe.model.layer import Attribute, AttributeType, Layer
from cityframe.model.text import Title

_LISTED = 20
_LINE_BREAK = r"[\t\n\r]"
_CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{80}-\x{9F}]"
_NO_CONTROL = Title("不含控制字符的文本", "text without control characters")
_ONE_LINE = Title("单行文本", "text on one line")


@dataclass(frozen=True)
class Attributes:
    """The attributes that a delivery provides.

    Attributes
    ----------
    columns : mapping of str to Series, n records each
        In the order of the contract, in its column types; an attribute whose column is absent is
        absent here.
    problems : tuple of RecordProblem
        Values that do not fit.
    """

    columns: Mapping[str, pd.Series]
    problems: tuple[RecordProblem, ...]


def map_attributes(columns: Columns, feed: Feed, layer: Layer, *, where: str) -> Attributes:
    """Return the attributes of a layer that the delivered columns and the constants provide.

    Raises
    ------
    DeclarationError
        If a constant, a code's meaning or a unit does not fit its attribute.
    """
    mapped: dict[str, pd.Series] = {}
    problems: list[RecordProblem] = []
    for attribute in layer.attributes:
        mapping = feed.columns.get(attribute.name)
        if mapping is None:
            continue
        place = f"{where}, columns.{attribute.name}"
        _check_declared(mapping, attribute, place)
        if mapping.value is not None:
            constant = _declared_values([mapping.value], attribute, mapping, place)
            mapped[attribute.name] = _repeated(constant, len(columns.frame))
        elif columns.has(mapping.column):
            delivered = arrow_values(columns.frame[mapping.column])
            mapped[attribute.name], found = map_values(delivered, mapping, attribute, place)
            problems += found
    return Attributes(mapped, tuple(problems))


def _repeated(values: pd.Series, count: int) -> pd.Series:
    return values.take(np.zeros(count, dtype=np.int64)).reset_index(drop=True)


def map_values(
    delivered: ArrowArray, mapping: ColumnMapping, attribute: Attribute, place: str
) -> tuple[pd.Series, list[RecordProblem]]:
    """Return delivered values as an attribute's: nulls, codes, type, unit, in this order.

    Parameters
    ----------
    delivered : Arrow array of `arrow_values`, n
    place : str
        File and field of the mapping, for messages.

    Returns
    -------
    tuple
        Series of n in the contract's column type, null where a value does not fit; the problems.
    """
    delivered = without_nulls(delivered, mapping.nulls)
    if mapping.codes:
        values, problems = _translated(delivered, mapping, attribute, place)
    else:
        values, problems = _read(delivered, mapping, attribute, place)
    if attribute.type is AttributeType.STRING:
        problems += _text_problems(values, mapping, attribute)
    return values, problems


def without_nulls(delivered: ArrowArray, nulls: Sequence[str]) -> ArrowArray:
    """Return delivered values with the texts that stand for null as null."""
    if not nulls or pa.types.is_null(delivered.type):
        return delivered
    listed = pa.array([text.strip() for text in nulls], pa.large_string())
    return pc.if_else(pc.is_in(as_text(delivered), listed), None, delivered)


def _read(
    delivered: ArrowArray, mapping: ColumnMapping, attribute: Attribute, place: str
) -> tuple[pd.Series, list[RecordProblem]]:
    conversion = unit_conversion(mapping.unit or attribute.unit, attribute.unit, where=place)
    kind = attribute.type if conversion.is_identity else AttributeType.REAL
    values, is_bad = parse(delivered, kind, _reading(mapping))
    if not conversion.is_identity:
        values = pd.Series(conversion(values.to_numpy()))
        if attribute.type is AttributeType.INTEGER:
            values, is_broken = parse(arrow_values(values), attribute.type, Reading())
            is_bad |= is_broken
    problems = _value_problem(
        "intake.type", delivered, is_bad, mapping, attribute, EXPECTED[attribute.type]
    )
    if attribute.codes:
        is_unknown = (values.notna() & ~values.isin(attribute.codes)).to_numpy()
        problems += _value_problem(
            "intake.unknown-code", delivered, is_unknown, mapping, attribute,
            one_of(attribute.codes),
        )  # fmt: skip
    return values, problems


def _reading(mapping: ColumnMapping) -> Reading:
    return Reading(format=mapping.format, time_zone=mapping.time_zone)


def _translated(
    delivered: ArrowArray, mapping: ColumnMapping, attribute: Attribute, place: str
) -> tuple[pd.Series, list[RecordProblem]]:
    meanings = list(mapping.codes.values())
    listed = arrow_values(pd.Series(list(mapping.codes), dtype="str"))
    typed = _declared_values(meanings, attribute, mapping, place)
    text = as_text(delivered)
    # a code '' stands for null, which index_in finds only where it is listed
    position = pc.fill_null(pc.index_in(text, listed), -1)
    chosen = position.to_numpy(zero_copy_only=False)
    values = typed.reindex(chosen).reset_index(drop=True)
    is_unknown = (chosen < 0) & ~is_null(text)
    found = _value_problem(
        "intake.unknown-code", delivered, is_unknown, mapping, attribute, one_of(mapping.codes)
    )
    return as_column(values, attribute.type), found


def _declared_values(
    declared: Sequence[Scalar | None], attribute: Attribute, mapping: ColumnMapping, place: str
) -> pd.Series:
    # constants and the meanings of codes are read like delivered values, but must all fit
    texts = pd.Series(
        [str(one).lower() if isinstance(one, bool) else one for one in declared], dtype=object
    )
    values, is_bad = parse(arrow_values(texts), attribute.type, _reading(mapping))
    if attribute.codes:
        is_bad |= (values.notna() & ~values.isin(attribute.codes)).to_numpy()
    if is_bad.any():
        expected = one_of(attribute.codes) if attribute.codes else EXPECTED[attribute.type]
        raise DeclarationError(
            where=place,
            found=f"{declared[int(np.flatnonzero(is_bad)[0])]!r} does not fit the attribute",
            expected=expected.en,
        )
    return values


def _check_declared(mapping: ColumnMapping, attribute: Attribute, place: str) -> None:
    numeric = attribute.type in (AttributeType.INTEGER, AttributeType.REAL)
    if mapping.unit and not numeric:
        raise DeclarationError(
            where=place,
            found=f"unit {mapping.unit!r} on an attribute of type {attribute.type.value}",
            expected="a unit on an integer or real attribute only",
        )
    if mapping.unit and mapping.codes:
        raise DeclarationError(
            where=place, found="both unit and codes", expected="codes that give converted values"
        )
    unit_conversion(mapping.unit or attribute.unit, attribute.unit, where=place)


def _text_problems(
    values: pd.Series, mapping: ColumnMapping, attribute: Attribute
) -> list[RecordProblem]:
    text = pa.array(values, type=pa.large_string(), from_pandas=True)
    problems = []
    for rule, pattern, expected, fate in (
        ("intake.control-character", _CONTROL, _NO_CONTROL, Fate.RETURNED),
        ("intake.line-break", _LINE_BREAK, _ONE_LINE, None),
    ):
        hits = pc.fill_null(pc.match_substring_regex(text, pattern), False)
        is_hit = hits.to_numpy(zero_copy_only=False)
        problems += _value_problem(rule, text, is_hit, mapping, attribute, expected, fate)
    return problems


def _value_problem(
    rule: str,
    delivered: ArrowArray,
    is_bad: Mask,
    mapping: ColumnMapping,
    attribute: Attribute,
    expected: Title,
    fate: Fate | None = Fate.RETURNED,
) -> list[RecordProblem]:
    records = np.flatnonzero(is_bad)
    if not len(records):
        return []
    shown = as_text(delivered.take(pa.array(records))).to_pylist()
    found = [f"{attribute.name} is {value!r} (column {mapping.column!r})" for value in shown]
    return [
        RecordProblem(
            rule,
            records,
            found,
            f"{attribute.name}: {expected.en}",
            fate,
            found_zh=[
                f"{attribute.name} 的值为 {value!r}（列 {mapping.column!r}）" for value in shown
            ],
            expected_zh=f"{attribute.name}：{expected.zh}",
        )
    ]


def one_of(values: Sequence[str] | Mapping[str, object]) -> Title:
    """Return the allowed values for a message, not more than a few."""
    listed = [repr(value) for value in values]
    more = len(listed) - _LISTED
    shown = listed[:_LISTED]
    return Title(
        "下列之一：" + "、".join(shown) + (f" 等，另有 {more} 个" if more > 0 else ""),
        "one of " + ", ".join(shown) + (f" and {more} more" if more > 0 else ""),
    )
