"""A text holds no characters that do not belong into a name, and one name is written one way.

Never legal: control characters, the replacement character (what is left of a wrong encoding),
private-use and invisible characters, white space at the beginning or the end. `also` adds more, as
the inside of a character class of a regular expression. Nulls pass. The finding names the
characters by their Unicode numbers.

With `near_names`, names that differ only by width (full and half), case, spaces, punctuation or
characters that look alike (0 and O, 1 and l, Latin and Cyrillic, 己 and 已) are one name. Of its
spellings the most frequent one is right, of equals the one that comes first; the features with
another one fail.

```yaml
kind: illegal_characters
parameters: {column: name, also: '<>|', near_names: true}
```
"""

import re

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects
from cityframe.rules.kind import TEXT, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.names import folded_names
from cityframe.rules.values import quoted
from cityframe.rules.words import Words, words

# U+0000-1F and U+7F-9F control, U+200B-200F, U+2028-202E, U+2060-2064, U+FEFF invisible,
# U+E000-F8FF private use, U+FFFD replacement
_NEVER = "\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ue000-\uf8ff\ufffd"
_WHITE = "[ \t\u00a0\u3000]"


class IllegalCharactersParameters(Parameters):
    """What `illegal_characters` needs."""

    column: Name = Field(description="attribute with the text")
    also: str = Field(default="", description="more illegal characters")
    near_names: bool = Field(
        default=False, description="whether to look for one name in several spellings"
    )

    @field_validator("also")
    @classmethod
    def _compiles(cls, also: str) -> str:
        try:
            re.compile(f"[{_NEVER}{also}]")
        except re.error as error:
            message = f"the inside of a character class ({error})"
            raise ValueError(message) from error
        return also

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute."""
        del layer
        return {self.column: TEXT}


def check(context: Context, parameters: IllegalCharactersParameters) -> pd.DataFrame:
    """Return the features with an illegal character, and those with a rarer spelling."""
    found = _illegal(context.frame, parameters)
    if not parameters.near_names:
        return found
    rare = _rare_spellings(context.frame, parameters.column, found["row"].to_numpy())
    return pd.concat([found, rare], ignore_index=True)


def _illegal(frame: pd.DataFrame, parameters: IllegalCharactersParameters) -> pd.DataFrame:
    column = frame[parameters.column]
    illegal = re.compile(rf"[{_NEVER}{parameters.also}]|\A{_WHITE}|{_WHITE}\Z")
    row = np.flatnonzero(column.str.contains(illegal))
    numbers = [
        ", ".join(dict.fromkeys(f"U+{ord(one):04X}" for one in illegal.findall(text)))
        for text in column.iloc[row]
    ]
    value = quoted(frame, [parameters.column], row)
    return defects(
        row=row,
        found=words(
            en="{value} ({numbers})", zh="{value}（{numbers}）", value=value, numbers=numbers
        ),
        expected=Words("no illegal characters", "无非法字符"),
    )


def _rare_spellings(frame: pd.DataFrame, name: str, illegal: Positions) -> pd.DataFrame:
    """Return the features whose name most others write in another way, but for the illegal."""
    column = frame[name].reset_index(drop=True).drop(index=pd.Index(illegal)).dropna()
    spellings = column.drop_duplicates().to_frame("spelling").reset_index(names="first")
    spellings["n"] = spellings["spelling"].map(column.value_counts())
    spellings["folded"] = folded_names(spellings["spelling"])
    spellings = spellings[spellings["folded"] != ""]
    spellings = spellings.sort_values(["n", "first"], ascending=[False, True], kind="stable")
    right = spellings.drop_duplicates("folded").set_index("folded")
    rare = spellings[spellings.duplicated("folded")].set_index("spelling")["folded"]
    folded = column[column.isin(rare.index)].map(rare)
    meant, row = right.loc[folded], folded.index.to_numpy()
    return defects(
        row=row,
        found=quoted(frame, [name], row),
        expected=words(
            en="{name}, as {n} features write it",
            zh="{name}（{n} 个要素采用此写法）",
            name=meant["spelling"],
            n=meant["n"],
        ),
    )


KIND = RuleKind(
    name="illegal_characters",
    number=16,
    group="B domain",
    measure=iso_measure("65"),
    params=IllegalCharactersParameters,
    reach="layer",
    check=check,
)
