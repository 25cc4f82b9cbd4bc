"""Run the five deliveries of the City of Cambridge and write what came of them.

Run with: python benchmarks/cambridge.py docs/cambridge.md

The data is read from CITYFRAME_DATA, by default ../shared/data beside the repository.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cityframe.config.workspace import expand
from cityframe.model.change import ChangeKind
from cityframe.model.report import Report
from cityframe.pipeline.city import City, open_city
from cityframe.pipeline.cycle import CycleOutcome, run_cycle
from cityframe.pipeline.pull import pull
from cityframe.pipeline.reporting import cycle_report

ROOT = Path(__file__).resolve().parents[1]
DELIVERIES = ("2014-02-13", "2016-03-15", "2017-03-07", "2019-02-04", "2019-04-02")
KINDS = tuple(ChangeKind)
READING = """\
Reading the figures:

- **Centrelines 2014 to 2016.** Compared exactly, by `ID`, the last of records with the same key
  taken, without `GlobalID` and the editors' columns: 20 new, 14 removed, 52 with another
  geometry, 149 with other attributes. Released are 51 and 148: in the second delivery
  `Memoria_Dr_45` names another segment, 2.7 km away, so it is a question (*waiting*), not a
  moved street. Another geometry is moved + reshaped, other attributes is attributes + new
  attributes.
- **Tolerance.** Both accuracies are declared as 0.02 m, because the city delivers the same
  digitised geometry again: whatever differs was drawn anew. Two of the 52 geometries differ by
  less than 0.3 m and would be unchanged at the accuracy of a 1:500 map (0.25 m).
- **2019-04-02** shifts every layer that it holds by a metre to the north, the difference of the
  datums NAD83 and WGS 84: it is quarantined whole.
- **Returned** are records with a key that another record of the delivery has (the last one is
  taken), or without a key. **Merged** are the rows of the address table that differ only in the
  lot, building or point of interest, which the address layer does not take.
- **Waiting** hydrants: the city gave 205 numbers to hydrants more than 50 m from the former
  holder of the number. Matching without keys will settle them; until then they are questions.
""".splitlines()


@dataclass(frozen=True)
class Run:
    """One delivery and what its cycle came to."""

    day: str
    outcome: CycleOutcome
    report: Report
    seconds: float


def data_folder() -> Path:
    """Return where the deliveries are."""
    place = expand("${CITYFRAME_DATA:-}", where="environment") or str(ROOT.parent / "shared/data")
    return Path(place) / "epochs" / "cambridge_ma"


def run_deliveries(store: Path) -> Iterator[Run]:
    """Pull each delivery and run its cycle, approved, into a store."""
    import datetime as dt

    os.environ["CITYFRAME_CAMBRIDGE_STORE"] = str(store)
    city: City = open_city(ROOT / "examples" / "cambridge")
    for day in DELIVERIES:
        started = time.monotonic()
        at = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
        place = data_folder() / f"cambridge_{day}.zip"
        pull(city, "cambridge", place=str(place), at=at)
        outcome = run_cycle(city, "city", approver="reviewer", reason="all guards passed")
        assert outcome.cycle is not None
        report = cycle_report(city, outcome.cycle)
        yield Run(day, outcome, report, time.monotonic() - started)


def page(runs: list[Run]) -> str:
    """Return the page with counts by kind a layer and delivery."""
    lines = [
        "# Cambridge, five deliveries",
        "",
        "Made by `python benchmarks/cambridge.py docs/cambridge.md` from the declarations in",
        "`examples/cambridge`. Counts are features against the release before; *new attributes*",
        "counts the moved and reshaped features that have new attributes too. A layer that a",
        "delivery does not hold is unchanged and has no row.",
        "",
        *READING,
        "",
    ]
    for run in runs:
        lines += _delivery_lines(run)
    return "\n".join(lines)


def _delivery_lines(run: Run) -> list[str]:
    release = f"release {run.outcome.release}" if run.outcome.release else "no release"
    lines = [f"## {run.day}: {release}", ""]
    if run.outcome.quarantined:
        lines += ["Quarantined:", "", *(f"- {why}" for why in run.outcome.quarantined), ""]
    delivery = run.report.deliveries[0]
    changes = {one.layer: one for one in run.report.changes}
    head = ["layer", "read", *KINDS, "new attributes", "after", "fates"]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for account in delivery.layers:
        change = changes[account.layer]
        cells = [
            account.layer,
            account.read,
            *(change.changes.get(kind, 0) for kind in KINDS),
            change.with_new_attributes,
            change.after,
            ", ".join(f"{fate} {count}" for fate, count in account.fates.items() if count),
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return [*lines, ""]


def main(to: Path) -> None:
    """Run all deliveries and write the page."""
    with tempfile.TemporaryDirectory(prefix="cambridge-") as store:
        runs = []
        for run in run_deliveries(Path(store)):
            print(f"{run.day}: {run.outcome.state} in {run.seconds:.1f} s", file=sys.stderr)
            runs.append(run)
    to.write_text(page(runs), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
