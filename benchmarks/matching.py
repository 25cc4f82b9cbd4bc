"""How well matching finds what people judged, keys say, or a truth has recorded.

Run with::

    python benchmarks/matching.py
    python benchmarks/matching.py --only buildings --json figures.json

The real data is found by CITYFRAME_DATA, else beside the repository. A figure that misses its
target is marked MISSED.
"""

import argparse
import importlib
import json
from dataclasses import asdict
from pathlib import Path

SECTIONS = ("buildings", "kinds", "streets", "addresses")


def main() -> None:
    """Print the sections asked for: each is a module with ``report() -> list[Figure]``."""
    options = _options()
    figures = []
    for section in options.only or SECTIONS:
        for figure in importlib.import_module(f"matching_quality.{section}").report():
            print(figure.text(), flush=True)
            figures.append(figure)
    if options.json is not None:
        body = [{**asdict(figure), "is_missed": figure.is_missed} for figure in figures]
        options.json.write_text(json.dumps(body, indent=1), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=SECTIONS, action="append", metavar="SECTION")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
