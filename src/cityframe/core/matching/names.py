"""How alike names in words are, where a rare word says more than a common one."""

import re
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz, process
from scipy.sparse import csr_array

from cityframe.core.displacement import Numbers, Positions

MISSPELT = 0.75
"""Least similarity of spelling: of four letters one may differ, else it is another word."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+")
_HAN_GAP = rf"(?<=[{_HAN}]) (?=[{_HAN}])"
_HAN_PAIR = re.compile(rf"(?=([{_HAN}]{{2}}))")


@dataclass(frozen=True)
class Names:
    """The names of two sides, ready to be compared.

    Names are compared after Unicode's NFKC (full-width is half-width), without case or punctuation,
    in any order of words. Chinese has no spaces: each character and each pair of neighbouring
    characters is a token. A token weighs log(1 + n / count) over the names of both sides together,
    so 路, 有限公司 or Street are light. What is left when the common tokens are taken away may be
    misspelt: from `MISSPELT` on, and with the same digits, it counts by its spelling.

    Attributes
    ----------
    before, after : ndarray of int
        Number of each side's names, equal for equal names; -1 where nothing is said.
    tokens : csr_array, names × tokens
        Which name has which token.
    vocabulary : ndarray of str
        The tokens, sorted.
    weight : ndarray
        How much each token says.
    """

    before: Positions
    after: Positions
    tokens: "csr_array"
    vocabulary: npt.NDArray[np.object_]
    weight: Numbers

    @classmethod
    def of(cls, before: pd.Series, after: pd.Series) -> "Names":
        """Return the names of two sides; null, and neither letter nor digit, says nothing."""
        code, distinct = pd.factorize(normal_form(pd.concat([before, after], ignore_index=True)))
        tokens, vocabulary = _token_table(pd.Series(distinct, dtype="str"))
        counts = np.bincount(code[code >= 0], minlength=len(distinct))
        of_tokens = np.bincount(
            tokens.indices, np.repeat(counts, np.diff(tokens.indptr)), len(vocabulary)
        )
        weight: Numbers = np.log1p(counts.sum() / of_tokens)
        return cls(code[: len(before)], code[len(before) :], tokens, vocabulary, weight)

    def similarity(self, before_at: Positions, after_at: Positions) -> Numbers:
        """Tell how alike the names of pairs are, given as positions on their sides.

        Returns
        -------
        ndarray, k
            From 0 to 1, the same when the sides are exchanged; NaN where one says nothing.
        """
        one, other = self.before[before_at], self.after[after_at]
        similarity = np.full(len(one), np.nan)
        said = np.flatnonzero((one >= 0) & (other >= 0))
        similarity[said] = 1.0
        unequal = said[one[said] != other[said]]
        if len(unequal):
            # lower number first: a pair and its reverse are compared once, and come out the same
            low, high = np.minimum(one, other)[unequal], np.maximum(one, other)[unequal]
            once, back = np.unique(low * self.tokens.shape[0] + high, return_inverse=True)
            low, high = np.divmod(once, self.tokens.shape[0])
            similarity[unequal] = self._similarity_of_unequal(low, high)[back]
        return similarity

    def _similarity_of_unequal(self, one: Positions, other: Positions) -> Numbers:
        sides = [self.tokens[one], self.tokens[other]]
        common = sides[0].multiply(sides[1]).tocsr()
        union = sides[0] @ self.weight + sides[1] @ self.weight
        shared = 2 * (common @ self.weight)
        rests = [_joined(side - common, self.vocabulary) for side in sides]
        spelling = process.cpdist(*rests, scorer=fuzz.ratio, dtype=np.float64) / 100
        is_other_word = (spelling < MISSPELT) | (rests[0] == "")
        spelling[is_other_word | (_digits(rests[0]) != _digits(rests[1]))] = 0.0
        similarity: Numbers = (shared + spelling * (union - shared)) / union
        return similarity


def name_similarity(
    before: pd.Series, after: pd.Series, before_at: Positions, after_at: Positions
) -> Numbers:
    """Tell how alike the names of pairs are; see `Names`.

    Parameters
    ----------
    before, after : Series of str
        Names of the two sides; null says nothing.
    before_at, after_at : ndarray of int, k
        Positions of the pairs on their sides.

    Returns
    -------
    ndarray, k
        From 0 to 1, the same when the sides are exchanged; NaN where one says nothing.
    """
    return Names.of(before, after).similarity(before_at, after_at)


def normal_form(text: pd.Series) -> pd.Series:
    """Return text in NFKC, without case or punctuation, words a space apart; null for blank."""
    plain = text.astype("str").str.normalize("NFKC").str.casefold()
    plain = plain.str.replace(r"[\W_]+", " ", regex=True).str.strip()
    plain = plain.str.replace(_HAN_GAP, "", regex=True)
    return plain.mask(plain == "")


def _token_table(names: pd.Series) -> tuple["csr_array", npt.NDArray[np.object_]]:
    """Return which of the n names has which token (n × tokens, ones), and the tokens, sorted."""
    found = (names.str.findall(pattern).explode().dropna() for pattern in (_TOKEN, _HAN_PAIR))
    exploded = pd.concat(found)
    code, vocabulary = pd.factorize(exploded, sort=True)
    table = csr_array(
        (np.ones(len(code), dtype=np.int8), (exploded.index.to_numpy(), code)),
        shape=(len(names), len(vocabulary)),
    )
    table.sum_duplicates()
    table.data[:] = 1
    return table, np.asarray(vocabulary, dtype=object)


def _joined(rest: "csr_array", vocabulary: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Return the tokens of each row as one text; pairs of characters are left to their letters."""
    is_pair = np.array([bool(_HAN_PAIR.match(token)) for token in vocabulary], dtype=bool)
    rest = rest.tocsr()
    rest.data[is_pair[rest.indices]] = 0
    rest.eliminate_zeros()
    rest.sort_indices()
    words = pa.array(vocabulary, type=pa.string()).take(pa.array(rest.indices))
    lists = pa.ListArray.from_arrays(pa.array(rest.indptr, type=pa.int32()), words)
    joined = cast("pa.StringArray", pc.binary_join(lists, " "))
    return np.asarray(joined.to_numpy(zero_copy_only=False), dtype=object)


def _digits(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    digits = pd.Series(texts, dtype="str").str.replace(r"\D+", " ", regex=True).str.strip()
    return np.asarray(digits, dtype=object)
