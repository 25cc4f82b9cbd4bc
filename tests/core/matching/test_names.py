import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.matching.names import name_similarity

WORDS = st.sampled_from(["Oak", "Main", "Elm", "Street", "Road", "12", "人民", "路", "", "!"])
NAMES = st.lists(st.none() | st.lists(WORDS, max_size=3).map(" ".join), min_size=1, max_size=6)


def alike(one: str | None, other: str | None, *others: str) -> float:
    """Return the similarity of two names in a town that has others too."""
    before = pd.Series([one, *others], dtype="str")
    at = np.array([0])
    return float(name_similarity(before, pd.Series([other], dtype="str"), at, at)[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Main Street", "MAIN STREET"),
        ("Ｍａｉｎ　Ｓｔ．", "main st"),
        ("St. Mary's Road", "road, st mary s"),
        ("人民路", "人民 路"),
        ("Þórsgata", "ÞÓRSGATA"),
    ],
)
def test_case_width_punctuation_and_order_do_not_matter(one: str, other: str) -> None:
    assert alike(one, other) == pytest.approx(1.0)


@pytest.mark.parametrize("nothing", [None, "", " ", "--"])
def test_a_name_that_says_nothing_is_neither_alike_nor_unlike(nothing: str | None) -> None:
    assert np.isnan(alike(nothing, "Main Street"))
    assert np.isnan(alike("Main Street", nothing))


def test_a_rare_word_says_more_than_a_common_one() -> None:
    town = [f"{name} Street" for name in ("Elm", "Ash", "Oak", "Fir", "Yew", "Lime", "Birch")]
    assert alike("Main Street", "Cherry Street", *town) < 0.3
    assert alike("Main Street", "Main Road", *town) > 0.5


def test_chinese_suffixes_are_light() -> None:
    town = [
        f"{name}路" for name in ("解放", "中山", "北京", "南京", "延安", "淮海", "长江", "黄河")
    ]
    assert alike("人民路", "建设路", *town) < 0.3
    assert alike("人民路", "人民大道", *town) > alike("人民路", "建设路", *town) + 0.2


def test_the_order_of_chinese_characters_counts() -> None:
    assert alike("上海北路", "北海上路") < 0.9


def test_a_misspelt_word_counts_by_its_spelling() -> None:
    assert alike("Cambrige Street", "Cambridge Street") > 0.9
    assert alike("Main Street", "Oak Street") < 0.6


@pytest.mark.parametrize(
    ("one", "other"), [("Unit 1000", "Unit 1001"), ("3rd Street", "2rd Street")]
)
def test_another_number_is_no_misspelling(one: str, other: str) -> None:
    assert alike(one, other) < 0.6


def test_no_pairs_and_no_names() -> None:
    none = pd.Series([None, None], dtype="str")
    nothing = np.empty(0, dtype=np.intp)
    assert len(name_similarity(none, none, nothing, nothing)) == 0
    both = np.array([0, 1])
    assert np.isnan(name_similarity(none, none, both, both)).all()


@given(before=NAMES, after=NAMES)
@settings(max_examples=25, deadline=None)
def test_similarity_is_bounded_and_the_same_from_either_side(
    before: list[str | None], after: list[str | None]
) -> None:
    sides = pd.Series(before, dtype="str"), pd.Series(after, dtype="str")
    at = [axis.ravel() for axis in np.indices((len(before), len(after)))]
    there = name_similarity(*sides, *at)
    back = name_similarity(*sides[::-1], *at[::-1])
    np.testing.assert_allclose(there, back)
    said = there[~np.isnan(there)]
    assert ((said >= 0) & (said <= 1 + 1e-9)).all()
