"""The one form of JSON that is signed; RFC 8785 (JCS) without numbers that have a fraction."""

import json
from collections.abc import Mapping
from typing import Any

SAFE_INTEGER = 2**53 - 1
"""The largest whole number that a reader with IEEE doubles keeps exactly."""

_DEEPEST = 16


def canonical_bytes(data: Mapping[str, Any]) -> bytes:
    """Return an object as UTF-8: keys sorted, no space between the parts.

    Parameters
    ----------
    data : mapping
        Of texts, whole numbers up to 2**53 - 1, booleans, None, lists and mappings of these.

    Returns
    -------
    bytes
        Equal for equal objects, whatever the order of their keys.

    Raises
    ------
    ValueError
        If it holds anything else, is nested too deeply, or has a text that UTF-8 can't hold.

    References
    ----------
    RFC 8785, JSON Canonicalization Scheme, section 3.2.
    """
    text = json.dumps(_ordered(data, 0), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def read_strictly(text: str) -> Any:
    """Read JSON, refusing what two readers could take differently.

    Raises
    ------
    ValueError
        If it is not JSON, names a key twice, has a number with a fraction or an exponent, or is
        nested too deeply.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_each_key_once,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except RecursionError as error:
        message = "nested too deeply"
        raise ValueError(message) from error


def _ordered(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        message = f"nested more than {_DEEPEST} levels deep"
        raise ValueError(message)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            message = "a key that is not a text"
            raise ValueError(message)
        # by UTF-16 code units, as RFC 8785 has it: that is not the order of Python's texts
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return {key: _ordered(value[key], depth + 1) for key in keys}
    if isinstance(value, list | tuple):
        return [_ordered(one, depth + 1) for one in value]
    if isinstance(value, int):
        if abs(value) > SAFE_INTEGER:
            message = "a whole number beyond 2**53 - 1; write it as a text"
            raise ValueError(message)
        return value
    if value is None or isinstance(value, str):
        return value
    message = (
        f"a value of type {type(value).__name__}; only texts, whole numbers, true, false, null"
    )
    raise ValueError(message)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a key that stands twice in one object"
        raise ValueError(message)
    return found


def _refuse_number(text: str) -> Any:
    message = f"the number {text}; only whole numbers"
    raise ValueError(message)
