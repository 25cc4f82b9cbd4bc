"""The flags of QARTOD, and the tests of ``ioos_qc`` that give them.

QARTOD is the quality control of real-time oceanographic data of the U.S. Integrated Ocean Observing
System; ``ioos_qc`` is its own library.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from cityframe.model.finding import Measure
from cityframe.rules.moments import Moments
from cityframe.rules.observed.series import Series, Values

GOOD, NOT_EVALUATED, SUSPECT, FAIL, MISSING = 1, 2, 3, 4, 9

Flags = npt.NDArray[np.uint8]
Test = Callable[[Values, Moments], npt.NDArray[Any]]
"""A test of ``ioos_qc``: values and times in, flags out."""

_ONE_TEST_AT_A_TIME = Lock()


def qartod_tests() -> Any:
    """Return the module of ``ioos_qc`` with the tests; its import costs two seconds, once."""
    from ioos_qc import qartod  # type: ignore[import-untyped]

    return qartod


def flags_of(series: Series, test: Test) -> Flags:
    """Return the flags of a test that looks at each value alone."""
    return _tested(test, series.value, series.time)


def flags_by_stream(series: Series, test: Test, *, least: int = 1) -> Flags:
    """Return the flags of a test that looks at the neighbours of a value, stream by stream.

    Parameters
    ----------
    least : int
        Observations that a stream needs for the test; of fewer none is evaluated.
    """
    flags = np.full(len(series.value), NOT_EVALUATED, dtype=np.uint8)
    for part in series.parts():
        if part.stop - part.start >= least:
            flags[part] = _tested(test, series.value[part], series.time[part])
    flags[np.isnan(series.value)] = MISSING
    return flags


def _tested(test: Test, value: Values, time: Moments) -> Flags:
    # it sets the interpreter's warning filters for a moment, which all threads share
    with _ONE_TEST_AT_A_TIME:
        return np.ma.filled(test(value, time), NOT_EVALUATED).astype(np.uint8)


def qartod_measure(test: str, name: str) -> Measure:
    """Return the measure of a kind: the test of the QARTOD manuals, by its number there.

    ISO 19157 has no measures of series.
    """
    return Measure(register="QARTOD", id=test, name=name)
