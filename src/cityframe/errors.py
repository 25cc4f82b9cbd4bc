"""The exception tree: each branch is named by what the operator must do.

::

    CityframeError                 exit 1  anything unforeseen
    ├── DeclarationError           exit 2  mend the declaration or the call
    │   └── PrunedError                    what is asked for was pruned on purpose
    ├── SourceUnreachableError     exit 3  try again later
    ├── StoppedError               exit 4  look at the findings, then decide
    │   ├── QuarantinedError               a delivery was set aside whole
    │   └── GateClosedError                a gate or a missing decision holds the cycle
    └── IntegrityError             exit 5  stop: stored or received data is not what it claims

Bad data is not an exception: it gives findings. An exception means that the run can't go on.
Airflow maps the branch to retry or fail, the command line to its exit code.
"""

from typing import ClassVar


class CityframeError(Exception):
    """Root of all errors that cityframe raises on purpose.

    Parameters
    ----------
    found : str
        What is wrong.
    where : str
        File and line, delivery, layer or feature; empty if it has no place.
    expected : str
        What would have been right.
    remedy : str
        What the operator can do.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, *, found: str, where: str = "", expected: str = "", remedy: str = ""
    ) -> None:
        self.found = found
        self.where = where
        self.expected = expected
        self.remedy = remedy
        text = f"{where}: {found}" if where else found
        if expected:
            text += f", expected {expected}"
        if remedy:
            text += f"; {remedy}"
        super().__init__(text)


class DeclarationError(CityframeError):
    """A declaration in the workspace or the call itself is wrong: mend it."""

    exit_code = 2


class PrunedError(DeclarationError):
    """The bytes asked for were pruned on purpose: ask for something else, or a backup."""


class SourceUnreachableError(CityframeError):
    """A source, broker or database did not answer: try again."""

    exit_code = 3


class StoppedError(CityframeError):
    """The data or a missing decision holds the run: look and decide."""

    exit_code = 4


class QuarantinedError(StoppedError):
    """A delivery was set aside whole; its findings say why."""


class GateClosedError(StoppedError):
    """A gate is closed, or the decision over this candidate is missing."""


class IntegrityError(CityframeError):
    """Stored or received data is not what it claims to be: stop."""

    exit_code = 5
