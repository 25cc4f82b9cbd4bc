"""Keep what Great Expectations was asked and what it answered, in its own format."""

from pathlib import Path

from cityframe.pipeline.city import replaced_whole
from cityframe.rules.check import Checked


def keep_suite(folder: Path, name: str, checked: Checked) -> None:
    """Write the suite and its results beside the other results of a check, if there was one."""
    for what, text in (("suite", checked.suite_json), ("validation", checked.validation_json)):
        if text:
            with replaced_whole(folder / f"{name}.{what}.json") as temporary:
                temporary.write_text(text, encoding="utf-8")
