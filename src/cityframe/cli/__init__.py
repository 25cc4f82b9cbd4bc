"""The command line: one file a command.

Exit codes: 0 done; 1 unforeseen; 2 usage or declaration; 3 source unreachable, try again;
4 quarantined or stopped at a gate; 5 integrity refused.
"""

import argparse
import json
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from cityframe import __version__
from cityframe.cli import (
    bridge,
    cycle,
    demo,
    demo_city,
    diff,
    explain,
    export,
    fsck,
    history,
    init,
    inspection,
    key,
    match,
    migrate,
    package,
    prune,
    pull,
    question,
    redact,
    release,
    report,
    rule,
    schemas,
    validate,
    waive,
    waiver,
)
from cityframe.cli.answer import Answer
from cityframe.errors import CityframeError

COMMANDS: tuple[ModuleType, ...] = (
    init, validate, schemas, demo, demo_city, pull, bridge, cycle, release, diff, export, history,
    explain, package, report, rule, waive, waiver, question, inspection, key, match, migrate, prune,
    fsck, redact,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    as_json = options.output == "json"
    try:
        answer: Answer = options.run(options)
    except CityframeError as error:
        return _say_error(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001  the last line of defence; told whole, and exit 1
        traceback.print_exc()
        return _say_error(
            CityframeError(
                found=f"{type(error).__name__}: {error}", remedy="this is unforeseen: report it"
            ),
            as_json=as_json,
        )
    except KeyboardInterrupt:
        print("interrupted; nothing was left half-written", file=sys.stderr)  # noqa: T201
        return 1
    _print(json.dumps(answer.body, ensure_ascii=False, indent=1) if as_json else answer.text)
    return answer.exit_code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="cityframe", description="Keep a city's spatial framework current.", epilog=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"cityframe {__version__}")
    _add_common(parser, workspace=Path(), output="text")
    # the same options after the command, where they must not reset what stood before it
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, workspace=argparse.SUPPRESS, output=argparse.SUPPRESS)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.register(commands, common)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, workspace: Any, output: Any) -> None:
    parser.add_argument(
        "--workspace", type=Path, default=workspace, metavar="DIR", help="the city's folder"
    )
    parser.add_argument("--output", choices=("text", "json"), default=output)


def _say_error(error: CityframeError, *, as_json: bool) -> int:
    print(f"cityframe: {error}", file=sys.stderr)  # noqa: T201
    if as_json:
        body = {
            "error": {
                "type": type(error).__name__,
                "where": error.where,
                "found": error.found,
                "expected": error.expected,
                "remedy": error.remedy,
                "exit_code": error.exit_code,
            }
        }
        _print(json.dumps(body, ensure_ascii=False, indent=1))
    return error.exit_code


def _print(text: str) -> None:
    if text:
        print(text)  # noqa: T201
