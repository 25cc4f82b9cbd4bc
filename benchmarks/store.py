"""What the framework store costs, beside bare GDAL, bare SQL and other programs.

Run with::

    python benchmarks/store.py --features 1000000 --home both --json figures.json

Each figure is taken in a process of its own, the store and its baseline in turns; ratios are of CPU
seconds, the database's included. A figure above its limit is marked OVER. PostGIS is given by
``--postgis URL`` or the variable ``CITYFRAME_TEST_POSTGIS``; the server must be on this machine for
its CPU seconds to count. The run replaces the schemas ``cf_bare`` and ``cf_measured`` there, and
drops them in the end.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from store_cost.rows import ROWS, Bench, Line

HOMES = ("gpkg", "postgis")


def main() -> None:
    """Print the rows asked for."""
    options = _options()
    homes = {home: None if home == "gpkg" else _url(options) for home in _homes(options.home)}
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="cityframe-benchmark-", dir=options.work) as folder:
        bench = Bench(Path(folder), options.features, homes, options.repeats)
        print(f"{options.features:,} buildings, homes {', '.join(homes)}", flush=True)
        bench.generate()
        try:
            for row in options.only or ROWS:
                for line in ROWS[row](bench):
                    print(_text(line), flush=True)
                    lines.append(line)
        finally:
            bench.clean_up()
    if options.json is not None:
        body = {
            "features": options.features,
            "python": platform.python_version(),
            "lines": [{**asdict(line), "is_over": line.is_over} for line in lines],
        }
        options.json.write_text(json.dumps(body, indent=1), encoding="utf-8")


def _text(line: Line) -> str:
    cost = " " * 31
    if line.cost is not None:
        cost = (
            f"{line.cost.wall_s:8.3f} s {line.cost.cpu_s:8.3f} CPU s {line.cost.peak_gib:5.2f} GiB"
        )
    value = "" if line.value is None else f"{line.value:8.2f} {line.unit}"
    wall = "" if line.wall_ratio is None else f" (wall {line.wall_ratio:.2f})"
    limit = "" if line.limit is None else f" <= {line.limit}{' OVER' if line.is_over else ''}"
    return f"{line.row:9s}{line.home:8s}{line.what:36s}{cost} {value}{wall}{limit}".rstrip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--features", type=int, default=100_000, metavar="N")
    parser.add_argument("--home", choices=(*HOMES, "both"), default="gpkg")
    parser.add_argument(
        "--postgis", metavar="URL", default=os.environ.get("CITYFRAME_TEST_POSTGIS")
    )
    parser.add_argument("--only", choices=tuple(ROWS), action="append", metavar="ROW")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where to put files")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def _homes(name: str) -> tuple[str, ...]:
    return HOMES if name == "both" else (name,)


def _url(options: argparse.Namespace) -> str:
    if not options.postgis:
        sys.exit("no PostGIS: give --postgis URL or export CITYFRAME_TEST_POSTGIS")
    return str(options.postgis)


if __name__ == "__main__":
    main()
