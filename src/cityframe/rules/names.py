"""Names reduced to what a reader tells apart, and how alike two names are."""

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt
import pandas as pd

# after NFKC and case folding: what looks alike stands for one character
_ALIKE = str.maketrans(
    {
        "0": "o", "〇": "o", "○": "o", "о": "o", "ο": "o", "1": "l", "i": "l", "|": "l", "ı": "l",
        "а": "a", "α": "a", "е": "e", "р": "p", "ρ": "p", "с": "c", "у": "y", "х": "x", "ν": "v",
        "к": "k", "κ": "k", "м": "m", "т": "t", "н": "h", "в": "b", "ß": "ss",
        "己": "已", "巳": "已", "曰": "日", "士": "土", "末": "未", "戊": "戌",
        "戍": "戌", "入": "人",
    }
)  # fmt: skip
_SEPARATORS = re.compile(r"[\W_]+")


def folded_names(column: pd.Series, *, alike: bool = True) -> pd.Series:
    """Return each name without width, case, spaces and punctuation; null where the name is null.

    Parameters
    ----------
    column : Series of n texts
    alike : bool
        Whether characters that look alike count as one: 0 and O, 1 and l, Latin and Cyrillic,
        已 and 己.

    Notes
    -----
    Each distinct name is folded once.
    """
    codes, distinct = pd.factorize(column)
    folded = [_folded(name, alike) for name in distinct.astype(object)]
    texts = np.array([*folded, None], dtype=object)
    return pd.Series(texts[codes], index=column.index, dtype="str")


def _folded(name: str, alike: bool) -> str:
    text = _SEPARATORS.sub("", unicodedata.normalize("NFKC", name).casefold())
    return text.translate(_ALIKE) if alike else text


def name_similarity(
    one: Sequence[str] | npt.NDArray[np.object_],
    two: Sequence[str] | npt.NDArray[np.object_],
    *,
    least: float,
) -> npt.NDArray[np.float64]:
    """Return how alike the folded names of each pair are, from 0 to 1.

    It is twice the characters that both have in one order (Ratcliff and Obershelp's matching
    blocks), as a share of the characters of both; 0 where it can't reach ``least``.
    """
    pairs = pd.DataFrame({"one": one, "two": two}, dtype="str")
    distinct = pairs.drop_duplicates().reset_index(drop=True)
    length = [distinct[side].str.len().to_numpy(dtype=float) for side in ("one", "two")]
    equal = (distinct["one"] == distinct["two"]).to_numpy()
    total = np.maximum(length[0] + length[1], 1.0)
    worth = (2 * np.minimum(*length) / total >= least) & ~equal
    distinct["share"] = equal.astype(float)
    matcher = SequenceMatcher(autojunk=False)
    shares = []
    for left, right in distinct.loc[worth, ["one", "two"]].itertuples(index=False):
        matcher.set_seqs(left, right)
        possible = matcher.quick_ratio() >= least
        shares.append(matcher.ratio() if possible else 0.0)
    distinct.loc[worth, "share"] = shares
    found = pairs.merge(distinct, on=["one", "two"], how="left")["share"]
    return found.to_numpy(dtype=np.float64)
