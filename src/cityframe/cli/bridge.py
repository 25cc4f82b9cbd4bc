"""``cityframe bridge SOURCE``: run the MQTT bridge until it is stopped."""

import argparse
import signal
import threading
from dataclasses import asdict

from cityframe.cli.answer import Answer
from cityframe.cli.options import Commands
from cityframe.pipeline.bridge import bridge
from cityframe.pipeline.city import open_city


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("bridge", parents=[common], help="run the MQTT bridge")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument(
        "--idle", type=float, metavar="SECONDS", help="stop when nothing came for so long"
    )
    parser.add_argument("--max-messages", type=int, metavar="N", help="stop after so many")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """Run the command."""
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    summary = bridge(
        open_city(options.workspace),
        options.source,
        stop=stopped.is_set,
        idle_s=options.idle,
        max_messages=options.max_messages,
    )
    body = {"source": options.source, **asdict(summary)}
    return Answer(body, ", ".join(f"{name} {value}" for name, value in asdict(summary).items()))
