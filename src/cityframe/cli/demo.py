"""``cityframe demo``: what ``make demo`` runs; not listed in the help."""

import argparse
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands

if TYPE_CHECKING:
    from cityframe.pipeline.demo import DemoCycle, DemoOutcome


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("demo", parents=[common])
    parser.add_argument("--buildings", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    from cityframe.pipeline.demo import run_demo

    for name in (signal.SIGTERM, signal.SIGHUP):
        # as Ctrl-C does: all that was started is ended on the way out
        signal.signal(name, signal.default_int_handler)
    outcome = run_demo(options.workspace, buildings=options.buildings, seed=options.seed, say=_say)
    is_exact = outcome.truth.is_exact
    return Answer(_body(outcome), _text(outcome), exit_code=0 if is_exact else 4)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _body(outcome: "DemoOutcome") -> dict[str, Any]:
    return {
        "releases": [
            {
                "cycle": one.cycle,
                "release": one.release.number,
                "layers": {layer.layer: layer.count for layer in one.release.layers},
                "findings": one.findings,
                "report": str(one.report),
            }
            for one in outcome.cycles
        ],
        "truth": [asdict(one) for one in (*outcome.truth.changes, *outcome.truth.rules)],
        "missed": list(outcome.truth.missed),
        "invented": list(outcome.truth.invented),
        "framework": str(outcome.framework),
        "packages": str(outcome.packages),
        "broker": outcome.broker,
        "seconds": round(outcome.seconds, 1),
    }


def _text(outcome: "DemoOutcome") -> str:
    second = outcome.cycles[-1]
    return "\n\n".join(
        [
            "\n" + "\n".join(_release_line(one) for one in outcome.cycles),
            _truth_text(outcome),
            "\n".join(
                [
                    f"report:    {second.report}",
                    f"framework: {outcome.framework}  (QGIS opens it)",
                    f"packages:  {outcome.packages}",
                    "Airflow:   make up  (opens the runs above on http://127.0.0.1:8080)",
                ]
            ),
            f"done in {outcome.seconds:.0f} s",
        ]
    )


def _release_line(one: "DemoCycle") -> str:
    features = sum(layer.count for layer in one.release.layers)
    changes = sum(sum(layer.changes.values()) for layer in one.release.layers)
    return (
        f"release {one.release.number} ({one.cycle}): {len(one.release.layers)} layers, "
        f"{features:,} features, {changes:,} changes, {one.findings:,} findings"
    )


def _truth_text(outcome: "DemoOutcome") -> str:
    """Return a line a layer: seeded and found, changes and defects; then all that differs."""
    truth = outcome.truth
    rows = []
    for layer in sorted({one.layer for one in (*truth.changes, *truth.rules)}):
        cells: list[object] = [layer]
        for part in (truth.changes, truth.rules):
            of_layer = [one for one in part if one.layer == layer]
            cells += [sum(one.expected for one in of_layer), sum(one.found for one in of_layer)]
        rows.append(cells)
    rows.append(["all", *(sum(int(str(row[i])) for row in rows) for i in range(1, 5))])
    header = ("release 2", "changes seeded", "found", "defects seeded", "found")
    text = table(rows, header)
    for what, names in (("missed", truth.missed), ("invented", truth.invented)):
        text += "".join(f"\n{what}: {name}" for name in names)
    return text if not truth.is_exact else f"{text}\nnothing missed, nothing invented"
