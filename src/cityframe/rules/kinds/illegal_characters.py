"""A text holds no characters that do not belong into a name.

Never legal: control characters, the replacement character (what is left of a wrong encoding),
private-use and invisible characters, white space at the beginning or the end. `also` adds more, as
the inside of a character class of a regular expression. Nulls pass.

```yaml
kind: illegal_characters
parameters: {column: name, also: '<>|'}
```
"""

import re

from pydantic import Field, field_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.kind import TEXT, ColumnNeeds, CoreExpectation, Parameters, RuleKind
from cityframe.rules.measures import iso_measure

# U+0000-1F and U+7F-9F control, U+200B-200F, U+2028-202E, U+2060-2064, U+FEFF invisible,
# U+E000-F8FF private use, U+FFFD replacement
_NEVER = "\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ue000-\uf8ff\ufffd"
_WHITE = "[ \t\u00a0\u3000]"


class IllegalCharactersParameters(Parameters):
    """What `illegal_characters` needs."""

    column: Name = Field(description="attribute with the text")
    also: str = Field(default="", description="more illegal characters")

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


def expectation(parameters: IllegalCharactersParameters, layer: Layer) -> CoreExpectation:
    """Return the expectation that no such character stands in the text."""
    del layer
    regex = rf"[{_NEVER}{parameters.also}]|\A{_WHITE}|{_WHITE}\Z"
    return CoreExpectation(
        name="ExpectColumnValuesToNotMatchRegex",
        arguments={"column": parameters.column, "regex": regex},
        columns=(parameters.column,),
        expected="no illegal characters",
    )


KIND = RuleKind(
    name="illegal_characters",
    number=16,
    group="B domain",
    measure=iso_measure("65"),
    params=IllegalCharactersParameters,
    reach="feature",
    expectation=expectation,
)
