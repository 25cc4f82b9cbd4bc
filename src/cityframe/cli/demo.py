"""``cityframe demo``: what ``make demo`` runs; not listed in the help."""

import argparse
import signal
import sys
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
            "\n".join(_release_line(one) for one in outcome.cycles),
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
    rows = [
        (one.layer, one.name, one.expected, one.found, one.missed, one.invented)
        for one in (*outcome.truth.changes, *outcome.truth.rules)
    ]
    header = ("layer", "change or rule", "seeded", "found", "missed", "invented")
    text = table(rows, header)
    for what, names in (("missed", outcome.truth.missed), ("invented", outcome.truth.invented)):
        text += "".join(f"\n{what}: {name}" for name in names)
    return text
