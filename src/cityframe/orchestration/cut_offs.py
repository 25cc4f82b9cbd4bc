"""When the cycles of a series are cut off: cron, time zone, gazetted holidays."""

import datetime as dt

import pendulum
from airflow.exceptions import AirflowTimetableInvalid
from airflow.sdk import CronTriggerTimetable
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.events import EventsTimetable
from airflow.timetables.trigger import CronTriggerTimetable as CronCalculator

from cityframe.config.cycle import Calendar
from cityframe.errors import DeclarationError

WARN_BEFORE = dt.timedelta(days=60)
_SATURDAY = 5


def cron_schedule(cron: str, time_zone: str, *, where: str) -> CronTriggerTimetable:
    """Return a schedule that runs at each tick of a cron expression.

    Raises
    ------
    DeclarationError
        If the expression or the time zone is wrong; ``where`` names the file.
    """
    _calculator(cron, time_zone, where=where)
    return CronTriggerTimetable(cron, timezone=time_zone)


def cut_off_schedule(calendar: Calendar, *, today: dt.date, where: str) -> EventsTimetable:
    """Return the schedule of a calendar's cut-offs of this year and the next.

    Whole years, so that the DAG stays the same from one parse to the next.

    Raises
    ------
    DeclarationError
        If the calendar's cron expression or time zone is wrong.
    """
    moments = cut_offs(
        calendar, first=dt.date(today.year, 1, 1), last=dt.date(today.year + 1, 12, 31), where=where
    )
    moved = ", moved off holidays" if calendar.holidays else ""
    return EventsTimetable(
        moments,
        presorted=True,
        description=f"{calendar.cron} ({calendar.time_zone}){moved}",
    )


def cut_offs(
    calendar: Calendar, *, first: dt.date, last: dt.date, where: str
) -> list[pendulum.DateTime]:
    """Return the cut-offs from one day to another, both included, in order, each once.

    Parameters
    ----------
    calendar : Calendar
        A cut-off that falls on one of its holidays moves to the next working day, at its hour;
        several that move to the same moment are one.
    first, last : date
        The days that the cron expression is asked for; a moved cut-off may lie behind ``last``.
    where : str
        File of the declaration, for the error.

    Raises
    ------
    DeclarationError
        If the calendar's cron expression or time zone is wrong.
    """
    calculator = _calculator(calendar.cron, calendar.time_zone, where=where)
    holidays = frozenset(calendar.holidays)
    span = TimeRestriction(
        earliest=pendulum.datetime(first.year, first.month, first.day, tz=calendar.time_zone),
        latest=pendulum.datetime(
            last.year, last.month, last.day, 23, 59, 59, tz=calendar.time_zone
        ),
        catchup=True,
    )
    found: set[pendulum.DateTime] = set()
    tick = calculator.next_dagrun_info(last_automated_data_interval=None, restriction=span)
    while tick is not None and tick.run_after is not None:
        moment = tick.run_after.in_timezone(calendar.time_zone)
        day = moment.date()
        if day in holidays:
            moment = moment.add(days=(next_working_day(day, holidays) - day).days)
        found.add(moment)
        tick = calculator.next_dagrun_info(
            last_automated_data_interval=DataInterval.exact(tick.run_after), restriction=span
        )
    return sorted(found)


def next_working_day(day: dt.date, holidays: frozenset[dt.date]) -> dt.date:
    """Return the first day after ``day`` that is no holiday, Saturday or Sunday."""
    following = day + dt.timedelta(days=1)
    while following in holidays or following.weekday() >= _SATURDAY:
        following += dt.timedelta(days=1)
    return following


def holiday_warning(calendar: Calendar, *, today: dt.date, where: str) -> str:
    """Return a warning when the declared holidays end soon or have ended; else an empty text.

    Holidays are gazetted by the year: the year of the last one is taken as covered.
    """
    if not calendar.holidays:
        return ""
    covered_until = dt.date(max(calendar.holidays).year, 12, 31)
    if today + WARN_BEFORE <= covered_until:
        return ""
    return (
        f"{where}: the declared holidays run out on {covered_until} and cut-offs after it do not "
        "move; add the next gazetted year to calendar.holidays"
    )


def _calculator(cron: str, time_zone: str, *, where: str) -> CronCalculator:
    try:
        calculator = CronCalculator(cron, timezone=pendulum.timezone(time_zone))
        calculator.validate()
    except (AirflowTimetableInvalid, pendulum.tz.exceptions.InvalidTimezone) as error:
        raise DeclarationError(
            where=where,
            found=f"schedule {cron!r} in {time_zone!r}: {error}",
            expected="five fields of cron, and a zone like Asia/Shanghai",
        ) from error
    return calculator
