"""A series of update cycles as declared in ``cycles/NAME.yaml``."""

import datetime as dt
from typing import Literal

from pydantic import Field

from cityframe.config.document import Declaration
from cityframe.config.schema import Name, TitleText


class Calendar(Declaration):
    """When the cycles of a series are cut off.

    ``cron`` in ``time_zone``; a cut-off on a day in ``holidays`` moves to the next working day.
    """

    cron: str
    time_zone: str = "Asia/Shanghai"
    holidays: tuple[dt.date, ...] = ()


class Packages(Declaration):
    """What is built from each release."""

    full: bool = True
    change: bool = True
    formats: tuple[Literal["gpkg", "geoparquet"], ...] = ("gpkg", "geoparquet")


class InspectionPlan(Declaration):
    """Who may do each stage of inspection; a stage that names anybody is demanded before approval.

    Nobody does two stages of one candidate.
    """

    process_check: tuple[str, ...] = ()
    final_check: tuple[str, ...] = ()
    acceptance: tuple[str, ...] = ()


class Checks(Declaration):
    """How candidates are checked.

    ``full_every``: of so many cycles in a row one is checked in full; the others are checked where
    a change can have reached. 1 checks each in full.
    """

    full_every: int = Field(default=12, ge=1)


class Series(Declaration):
    """``cycles/NAME.yaml``: a series of planned updates.

    ``sources`` in the order in which their deliveries are taken in. ``runs_on`` says whether the
    cycle runs by its calendar, when deliveries land, or both.
    """

    name: Name
    title: TitleText
    sources: tuple[Name, ...] = Field(min_length=1)
    approvers: tuple[str, ...] = Field(min_length=1)
    calendar: Calendar | None = None
    runs_on: Literal["calendar", "deliveries", "both"] = "deliveries"
    review_days: int = Field(default=5, gt=0)
    packages: Packages = Packages()
    inspection: InspectionPlan = InspectionPlan()
    checks: Checks = Checks()
