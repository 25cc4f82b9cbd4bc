"""``cityframe match train``: train the scorer of polygon matching from judged pairs."""

import argparse
import datetime as dt
from pathlib import Path

from cityframe.cli.answer import Answer, table
from cityframe.cli.options import Commands
from cityframe.core.agreement import Tolerance
from cityframe.errors import DeclarationError
from cityframe.pipeline.city import now
from cityframe.pipeline.judged_pairs import judged_pairs, read_pairs, read_side
from cityframe.pipeline.match_training import file_digest, train, write_scorer

_FIGURES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "questions": "share of questions",
    "errors_outside_questions": "share of errors outside them",
}


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("match", help="train what tells polygons of two surveys apart")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    train_parser = verbs.add_parser(
        "train", parents=[common], help="train a scorer from pairs that people judged"
    )
    train_parser.add_argument(
        "--pairs", type=Path, required=True, metavar="CSV",
        help="id_existing, id_new, match (true or false)",
    )  # fmt: skip
    for side in ("before", "after"):
        train_parser.add_argument(
            f"--{side}", action="append", required=True, metavar="FILE[:layer]",
            help="of several surveys the first before goes with the first after, and so on",
        )  # fmt: skip
    train_parser.add_argument("--id", required=True, metavar="COLUMN", help="what pairs name")
    train_parser.add_argument(
        "--place", required=True, metavar="COLUMN", help="no place is scored by what it taught"
    )
    train_parser.add_argument(
        "--accuracy", type=_metres, default=2.0, metavar="M",
        help="mean error of a point in either survey, in metres; 2 by default",
    )  # fmt: skip
    train_parser.add_argument(
        "--skip-unknown", action="store_true", help="leave out pairs whose ids no file has"
    )
    train_parser.add_argument("--out", type=Path, required=True, metavar="models/NAME.json")
    train_parser.set_defaults(run=train_scorer)


def _metres(text: str) -> float:
    try:
        length = float(text)
    except ValueError:
        length = 0.0
    if not 0 < length < float("inf"):
        message = f"{text!r} is no length in metres above 0"
        raise argparse.ArgumentTypeError(message)
    return length


def train_scorer(options: argparse.Namespace) -> Answer:
    """Train a scorer, write it, and tell how it does on places that it was not trained on."""
    if len(options.before) != len(options.after):
        raise DeclarationError(
            where="--before, --after",
            found=f"{len(options.before)} and {len(options.after)} files",
            expected="as many of both: they go together one by one",
            remedy="mend the call",
        )
    specs = dict.fromkeys([*options.before, *options.after])
    sides = {spec: read_side(spec, options.id, options.place) for spec in specs}
    surveys = [
        (sides[old], sides[new]) for old, new in zip(options.before, options.after, strict=True)
    ]
    tolerance = Tolerance.between(options.accuracy, options.accuracy)
    judged = judged_pairs(
        read_pairs(options.pairs), surveys, tolerance, skip_unknown=options.skip_unknown
    )
    date: dt.date = now().date()
    training = train(judged, tolerance, digest=file_digest(options.pairs), date=date)
    write_scorer(training.scorer, options.out)
    record = training.scorer.record
    body = {"model": str(options.out), "record": record}
    pairs = record["pairs"]
    text = (
        f"{pairs['count']:,} judged pairs, {pairs['matches']:,} of them matches, in "
        f"{len(record['places']):,} places; {pairs['left_out']:,} left out\n"
        "on places that it was not trained on:\n"
        + table(
            [(_FIGURES[name], f"{value:.4f}") for name, value in training.figures.items()],
            ("figure", ""),
        )
        + f"\nwritten: {options.out}"
    )
    return Answer(body, text)
