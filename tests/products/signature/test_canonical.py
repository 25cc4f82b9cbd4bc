import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityframe.products.signature.canonical import SAFE_INTEGER, canonical_bytes, read_strictly

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE_INTEGER, SAFE_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=5)


def shuffled(value: Any, seed: int) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        random.Random(seed).shuffle(keys)
        return {key: shuffled(value[key], seed) for key in keys}
    return [shuffled(one, seed) for one in value] if isinstance(value, list) else value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OBJECTS, st.integers(0, 9))
def test_form_survives_json_and_the_order_of_keys(data: dict[str, Any], seed: int) -> None:
    form = canonical_bytes(data)

    assert read_strictly(form.decode()) == data
    assert canonical_bytes(read_strictly(form.decode())) == form
    assert canonical_bytes(shuffled(data, seed)) == form
    assert canonical_bytes(json.loads(json.dumps(data, indent=3))) == form


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OBJECTS, OBJECTS)
def test_different_objects_have_different_forms(one: dict[str, Any], two: dict[str, Any]) -> None:
    # json.dumps tells 1 from true, which == does not
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (canonical_bytes(one) == canonical_bytes(two)) == same


def test_form_is_that_of_rfc_8785() -> None:
    # section 3.2.3: keys sorted by UTF-16 code units; section 3.2.2.2: short escapes
    data = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(canonical_bytes(data)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]
    text = '\u20ac$\x0f\nA\'B"\\\\"/'
    assert canonical_bytes({"string": text}) == (
        '{"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()
    )


@pytest.mark.parametrize(
    "value",
    [1.5, 1.0, float("nan"), 2**53, -(2**53), b"x", {1: 2}, "\ud800", {"\ud800": 1}, {1, 2}],
)
def test_values_that_readers_take_differently_have_no_form(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical_bytes({"value": value})


def test_deep_nesting_has_no_form() -> None:
    deep: dict[str, Any] = {}
    for _ in range(20):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="deep"):
        canonical_bytes(deep)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": {"b": 1, "b": 1}}', "twice"),
        ('{"a": 1.0}', r"1\.0"),
        ('{"a": 1e3}', "1e3"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1', "delimiter"),
        ("[" * 100_000, "deep"),
    ],
)
def test_reader_refuses_what_is_ambiguous(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_strictly(text)
