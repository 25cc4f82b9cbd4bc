"""Numbers derived from what a layer declares: ``4 * accuracy_m ** 2``."""

import ast
import operator
from collections.abc import Callable, Mapping

from cityframe.errors import DeclarationError

_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def number_from(text: str, names: Mapping[str, float], *, where: str) -> float:
    """Return the value of an expression of numbers, names, ``+ - * / **`` and parentheses.

    Raises
    ------
    DeclarationError
        If it holds anything else, or has no value.
    """
    try:
        value = _value(ast.parse(text.strip(), mode="eval").body, names)
    except (SyntaxError, ValueError, TypeError, ArithmeticError) as error:
        raise DeclarationError(
            where=where,
            found=f"{text.strip()!r}: {error}",
            expected=f"numbers, {', '.join(names)}, + - * / ** and parentheses",
            remedy="mend the expression, or give a number",
        ) from error
    # twelve digits: without the noise of the arithmetic in digests and messages
    return float(f"{value:.12g}")


def _value(node: ast.expr, names: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            # float() refuses the root of a negative number
            return float(_OPERATORS[type(op)](_value(left, names), _value(right, names)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
    message = f"{ast.unparse(node)} can't stand here"
    raise ValueError(message)
