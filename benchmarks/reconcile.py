"""What reconciliation costs, beside the bare spatial join of the two sides.

Run with::

    python benchmarks/reconcile.py --rows 1000000 --json figures.json

Generated polygons of 17 vertices against as many, in another order, without keys. The baseline is
an STRtree over one side and a query of the other with ``intersects``, in the same process. Each
case runs in a process of its own; ratios are of CPU seconds. A figure above its limit is marked
OVER.
"""

import argparse
import json
import platform
from dataclasses import asdict
from pathlib import Path

from quality_cost.lines import Line
from reconcile_cost.cases import CASES, Bench


def main() -> None:
    """Print the cases asked for."""
    options = _options()
    bench = Bench(options.rows, options.repeats, options.in_order, options.threads)
    lines: list[Line] = []
    print(f"{bench.rows:,} against {bench.rows:,}", flush=True)
    for case in options.only or CASES:
        for line in CASES[case](bench):
            print(line.text(), flush=True)
            lines.append(line)
    if options.json is not None:
        body = {
            "rows": bench.rows,
            "python": platform.python_version(),
            "lines": [{**asdict(line), "is_over": line.is_over} for line in lines],
        }
        options.json.write_text(json.dumps(body, indent=1), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, metavar="N")
    parser.add_argument("--only", choices=tuple(CASES), action="append", metavar="CASE")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--in-order", action="store_true", help="both sides in one order")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of the tiles")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
