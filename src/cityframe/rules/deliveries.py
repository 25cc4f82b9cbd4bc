"""What is wrong with a delivery as a whole: many statements, one finding about the layer."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

import pandas as pd

from cityframe.rules.context import Context, Received
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.extent import extent
from cityframe.rules.words import Words


def stated(context: Context, found: Sequence[Words], expected: Words) -> pd.DataFrame:
    """Return one defect about the layer that says all that was found; none if nothing was.

    A finding about a whole layer has no feature to tell it from others, so that a rule has one.

    Parameters
    ----------
    found : sequence of Words
        One text each in both languages.
    """
    if not found:
        return no_defects()
    return defects(
        found=Words(["; ".join(dict.fromkeys(str(one.en) for one in found))],
                    ["；".join(dict.fromkeys(str(one.zh) for one in found))]),
        expected=Words([expected.en], [expected.zh]),
        geometry=[extent(context.geometry)],
    )  # fmt: skip


def files_like(received: Received, pattern: str) -> list[str]:
    """Return the files whose path or base name meets a pattern, whatever the case; sorted."""
    wanted = pattern.casefold()
    return sorted(
        path
        for path in received.files
        if fnmatchcase(path.casefold(), wanted)
        or fnmatchcase(PurePosixPath(path).name.casefold(), wanted)
    )
