"""A small safe expression language over the columns of a layer.

The syntax is a part of Python's: ``and or not``, ``== != < <= > >=`` (chains too), ``in (…)``,
``is None``, ``+ - * /``, column names, texts, numbers, ``True`` and ``False``. A text compared
with a date or time is read as one. There are no calls and no access to anything but columns.

A null is unknown: what is computed from it is unknown, ``and`` and ``or`` follow Kleene's logic,
and a division by zero is unknown too. `Expression.is_false` is true only where the outcome is
known.
"""

import ast
import datetime as dt
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import AfterValidator

from cityframe.model.layer import AttributeType
from cityframe.rules.moments import moments

Flags = npt.NDArray[np.bool_]
ValueType = Literal["number", "text", "boolean", "time"]

_TYPE_OF: dict[AttributeType, ValueType] = {
    AttributeType.STRING: "text",
    AttributeType.INTEGER: "number",
    AttributeType.REAL: "number",
    AttributeType.BOOLEAN: "boolean",
    AttributeType.DATE: "time",
    AttributeType.DATETIME: "time",
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISON: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class ExpressionError(ValueError):
    """The text is no expression of this language, or its types do not fit."""


@dataclass(frozen=True)
class _Value:
    """An array (or one value for all rows) and where it is known."""

    values: Any
    known: Flags


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes
    ----------
    columns : frozenset of str
        The columns that it names.
    """

    text: str
    tree: ast.expr
    columns: frozenset[str]

    def misfit(self, types: Mapping[str, AttributeType]) -> str:
        """Return what is wrong with the types of the columns; empty if the outcome is a truth."""
        try:
            outcome = _type(self.tree, types)
        except ExpressionError as error:
            return str(error)
        return "" if outcome == "boolean" else f"{self.text!r} gives a {outcome}, not true or false"

    def is_true(self, frame: pd.DataFrame) -> Flags:
        """Return where the expression is known to be true, one flag a row."""
        value = _evaluate(self.tree, frame)
        flags: Flags = value.known & value.values
        return flags

    def is_false(self, frame: pd.DataFrame) -> Flags:
        """Return where the expression is known to be false, one flag a row."""
        value = _evaluate(self.tree, frame)
        flags: Flags = value.known & ~np.broadcast_to(value.values, len(frame))
        return flags


def parse_expression(text: str) -> Expression:
    """Parse an expression.

    Raises
    ------
    ExpressionError
        If it is not of the language; the message names the part.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        message = f"an expression; {text!r} can't be read"
        raise ExpressionError(message) from error
    _check_syntax(tree)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return Expression(text=text.strip(), tree=tree, columns=frozenset(names))


def _is_expression(text: str) -> str:
    parse_expression(text)
    return text


ExpressionText = Annotated[str, AfterValidator(_is_expression)]
"""A parameter that holds an expression."""


def _check_syntax(node: ast.expr) -> None:
    """Let only the language's nodes pass; `_type` and `_evaluate` rely on it."""
    match node:
        case ast.Name():
            return
        case ast.Constant(value=bool() | int() | float() | str()):
            return
        case ast.BoolOp(values=parts):
            for part in parts:
                _check_syntax(part)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            _check_syntax(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            _check_syntax(left)
            _check_syntax(right)
        case ast.Compare(left=left, ops=comparisons, comparators=comparators):
            _check_syntax(left)
            for comparison, right in zip(comparisons, comparators, strict=True):
                _check_comparison(comparison, right)
        case _:
            message = (
                f"no {ast.unparse(node)!r}: only columns, values, and or not, comparisons, +-*/"
            )
            raise ExpressionError(message)


def _check_comparison(op: ast.cmpop, right: ast.expr) -> None:
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, ast.Tuple | ast.List) or not all(
            isinstance(one, ast.Constant) for one in right.elts
        ):
            message = f"values in parentheses after 'in'; found {ast.unparse(right)!r}"
            raise ExpressionError(message)
        for one in right.elts:
            _check_syntax(one)
    elif isinstance(op, ast.Is | ast.IsNot):
        if not (isinstance(right, ast.Constant) and right.value is None):
            message = f"None after 'is'; found {ast.unparse(right)!r}"
            raise ExpressionError(message)
    else:
        _check_syntax(right)


def _type(node: ast.expr, types: Mapping[str, AttributeType]) -> ValueType:
    match node:
        case ast.Name(id=name):
            return _TYPE_OF[types[name]]
        case ast.Constant(value=value):
            return _constant_type(value)
        case ast.BoolOp(values=parts):
            for part in parts:
                _demand(part, types, "boolean")
            return "boolean"
        case ast.UnaryOp(op=op, operand=operand):
            wanted: ValueType = "boolean" if isinstance(op, ast.Not) else "number"
            _demand(operand, types, wanted)
            return wanted
        case ast.BinOp(left=left, right=right):
            _demand(left, types, "number")
            _demand(right, types, "number")
            return "number"
        case ast.Compare(left=left, ops=comparisons, comparators=comparators):
            for comparison, right in zip(comparisons, comparators, strict=True):
                _check_types(left, comparison, right, types)
                left = right
            return "boolean"
    raise ExpressionError(ast.unparse(node))


def _demand(node: ast.expr, types: Mapping[str, AttributeType], wanted: ValueType) -> None:
    found = _type(node, types)
    if found != wanted:
        message = f"{ast.unparse(node)!r} is a {found}, not a {wanted}"
        raise ExpressionError(message)


def _check_types(
    left: ast.expr, op: ast.cmpop, right: ast.expr, types: Mapping[str, AttributeType]
) -> None:
    if isinstance(op, ast.Is | ast.IsNot):
        _type(left, types)
        return
    for one in right.elts if isinstance(right, ast.Tuple | ast.List) else [right]:
        pair = (_type(left, types), _type(one, types))
        if pair[0] == pair[1] or ("time" in pair and _as_time(left, one)):
            continue
        message = f"{ast.unparse(left)!r} is a {pair[0]}, {ast.unparse(one)!r} a {pair[1]}"
        raise ExpressionError(message)


def _as_time(left: ast.expr, right: ast.expr) -> bool:
    """Return whether a text beside a time is a date or a time of ISO 8601."""
    texts = [one.value for one in (left, right) if isinstance(one, ast.Constant)]
    try:
        return [_instant(text) for text in texts] != []
    except (TypeError, ValueError):
        return False


def _constant_type(value: object) -> ValueType:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def _instant(text: Any) -> np.datetime64:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return np.datetime64(moment, "us")


def _evaluate(node: ast.expr, frame: pd.DataFrame) -> _Value:
    everywhere = np.ones(len(frame), dtype=bool)
    match node:
        case ast.Name(id=name):
            return _column(frame[name])
        case ast.Constant(value=value):
            return _Value(value, everywhere)
        case ast.BoolOp(op=junction, values=parts):
            return _join([_evaluate(part, frame) for part in parts], isinstance(junction, ast.And))
        case ast.UnaryOp(op=sign, operand=operand):
            inner = _evaluate(operand, frame)
            negative = ~np.asarray(inner.values) if isinstance(sign, ast.Not) else -inner.values
            return _Value(negative, inner.known)
        case ast.BinOp(left=left, op=op, right=right):
            return _calculate(
                _ARITHMETIC[type(op)], _evaluate(left, frame), _evaluate(right, frame)
            )
        case ast.Compare(left=left, ops=comparisons, comparators=comparators):
            outcomes = []
            for comparison, right in zip(comparisons, comparators, strict=True):
                outcomes.append(_compare(left, comparison, right, frame))
                left = right
            return _join(outcomes, is_and=True)
    raise ExpressionError(ast.unparse(node))


def _column(column: pd.Series) -> _Value:
    known = column.notna().to_numpy()
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return _Value(moments(column), known)
    if isinstance(column.dtype, pd.BooleanDtype):
        return _Value(column.to_numpy(dtype=bool, na_value=False), known)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return _Value(column.to_numpy(dtype=float, na_value=np.nan), known)
    return _Value(column.fillna("").to_numpy(dtype=object), known)


def _join(parts: list[_Value], is_and: bool) -> _Value:
    """Join truths by Kleene's logic: a known false decides an ``and``, a known true an ``or``."""
    size = len(parts[0].known)
    truths = [np.broadcast_to(part.values, size).astype(bool) for part in parts]
    deciding = [part.known & (truth != is_and) for part, truth in zip(parts, truths, strict=True)]
    is_decided = np.logical_or.reduce(deciding)
    all_known = np.logical_and.reduce([part.known for part in parts])
    return _Value(is_decided != is_and, is_decided | all_known)


def _calculate(function: Callable[[Any, Any], Any], left: _Value, right: _Value) -> _Value:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        values = function(np.asarray(left.values, dtype=float), np.asarray(right.values, float))
    return _Value(values, left.known & right.known & np.isfinite(values))


def _compare(left: ast.expr, op: ast.cmpop, right: ast.expr, frame: pd.DataFrame) -> _Value:
    one = _evaluate(left, frame)
    if isinstance(op, ast.Is | ast.IsNot):
        is_null = ~one.known
        return _Value(
            is_null if isinstance(op, ast.Is) else ~is_null, np.ones(len(frame), dtype=bool)
        )
    if isinstance(op, ast.In | ast.NotIn):
        constants = [value.value for value in right.elts]  # type: ignore[attr-defined]
        if isinstance(one.values, np.ndarray) and one.values.dtype.kind == "M":
            constants = [_instant(value) for value in constants]
        is_in = pd.Series(np.broadcast_to(one.values, len(frame))).isin(constants).to_numpy()
        return _Value(is_in if isinstance(op, ast.In) else ~is_in, one.known)
    two = _evaluate(right, frame)
    values = _COMPARISON[type(op)](_moment(one, two), _moment(two, one))
    return _Value(values, one.known & two.known)


def _moment(value: _Value, beside: _Value) -> Any:
    """Read a text beside times as a time."""
    is_time = isinstance(beside.values, np.ndarray) and beside.values.dtype.kind == "M"
    return _instant(value.values) if is_time and isinstance(value.values, str) else value.values
