"""What the quality rules cost, beside the bare calls that they are made of.

Run with::

    python benchmarks/quality.py --features 1000000 --json figures.json

Parcels of 17 coordinates that cover the ground, as many addresses, a fifth as many arcs; a
thousandth of them are wrong in each way. Each figure is taken in a process of its own; ratios are
of CPU seconds in that process. A figure above its limit is marked OVER.
"""

import argparse
import json
import platform
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from quality_cost.lines import Line
from quality_cost.rows import ROWS, Bench


def main() -> None:
    """Print the rows asked for."""
    options = _options()
    bench = Bench(options.features, options.repeats, options.postgis, tuple(options.kind or ()))
    lines: list[Line] = []
    print(f"{bench.sizes[0]:,} parcels, {bench.sizes[1]:,} addresses, {bench.sizes[2]:,} arcs")
    for line in _measured(bench, options.only or list(ROWS)):
        print(line.text(), flush=True)
        lines.append(line)
    if options.json is not None:
        body = {
            "sizes": bench.sizes,
            "python": platform.python_version(),
            "lines": [{**asdict(line), "is_over": line.is_over} for line in lines],
        }
        options.json.write_text(json.dumps(body, indent=1), encoding="utf-8")


def _measured(bench: Bench, rows: list[str]) -> Iterator[Line]:
    for row in rows:
        yield from ROWS[row](bench)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--features", type=int, default=100_000, metavar="N")
    parser.add_argument("--only", choices=tuple(ROWS), action="append", metavar="ROW")
    parser.add_argument("--kind", action="append", metavar="NAME", help="of the row kinds")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--postgis", metavar="URL", help="a database of its own for the row peers")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
