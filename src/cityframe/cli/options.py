"""Arguments that several commands share."""

import argparse
import datetime as dt
from typing import Any

Commands = Any
"""The object that ``ArgumentParser.add_subparsers`` gives; argparse has no public name for it."""


def moment(text: str) -> dt.datetime:
    """Read a time: ISO 8601; without an offset it is UTC."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no time; write 2026-01-31 or 2026-01-31T08:00:00+08:00"
        raise argparse.ArgumentTypeError(message) from error
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def bbox(text: str) -> tuple[float, float, float, float]:
    """Read XMIN,YMIN,XMAX,YMAX."""
    try:
        xmin, ymin, xmax, ymax = (float(part) for part in text.split(","))
    except ValueError as error:
        message = f"{text!r} is no box; write XMIN,YMIN,XMAX,YMAX"
        raise argparse.ArgumentTypeError(message) from error
    if xmin > xmax or ymin > ymax:
        message = f"{text!r}: the minimum is above the maximum"
        raise argparse.ArgumentTypeError(message)
    return xmin, ymin, xmax, ymax
