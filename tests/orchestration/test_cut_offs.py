import datetime as dt

import pytest

from cityframe.config.cycle import Calendar
from cityframe.errors import DeclarationError
from cityframe.orchestration.cut_offs import (
    cut_off_schedule,
    cut_offs,
    holiday_warning,
    next_working_day,
)

# National Day of 2026, Thursday to Wednesday
GOLDEN_WEEK = tuple(dt.date(2026, 10, day) for day in range(1, 8))


def local(calendar: Calendar, first: dt.date, last: dt.date) -> list[str]:
    found = cut_offs(calendar, first=first, last=last, where="cycles/x.yaml")
    return [moment.isoformat() for moment in found]


def test_cut_off_on_a_holiday_moves_to_the_next_working_day_at_its_hour() -> None:
    weekly = Calendar(cron="0 9 * * 5", holidays=GOLDEN_WEEK)
    assert local(weekly, dt.date(2026, 9, 25), dt.date(2026, 10, 9)) == [
        "2026-09-25T09:00:00+08:00",
        "2026-10-08T09:00:00+08:00",
        "2026-10-09T09:00:00+08:00",
    ]


def test_cut_offs_that_move_to_the_same_moment_are_one() -> None:
    daily = Calendar(cron="0 18 * * *", holidays=GOLDEN_WEEK)
    assert local(daily, dt.date(2026, 9, 30), dt.date(2026, 10, 8)) == [
        "2026-09-30T18:00:00+08:00",
        "2026-10-08T18:00:00+08:00",
    ]


def test_cut_off_on_a_weekend_stays_unless_it_is_a_holiday() -> None:
    saturdays = Calendar(cron="0 8 * * 6", holidays=(dt.date(2026, 10, 3),))
    assert local(saturdays, dt.date(2026, 10, 1), dt.date(2026, 10, 10)) == [
        "2026-10-05T08:00:00+08:00",
        "2026-10-10T08:00:00+08:00",
    ]


def test_next_working_day_passes_weekend_and_holidays() -> None:
    friday = dt.date(2026, 10, 2)
    assert next_working_day(friday, frozenset()) == dt.date(2026, 10, 5)
    assert next_working_day(friday, frozenset(GOLDEN_WEEK)) == dt.date(2026, 10, 8)


def test_cut_offs_keep_the_hour_of_the_wall_clock_over_daylight_saving() -> None:
    calendar = Calendar(cron="0 9 * * 1", time_zone="Europe/Amsterdam")
    assert local(calendar, dt.date(2026, 10, 19), dt.date(2026, 10, 26)) == [
        "2026-10-19T09:00:00+02:00",
        "2026-10-26T09:00:00+01:00",
    ]


def test_schedule_covers_this_year_and_the_next_in_order() -> None:
    schedule = cut_off_schedule(
        Calendar(cron="0 9 1 * *"), today=dt.date(2026, 5, 5), where="cycles/x.yaml"
    )
    assert len(schedule.event_dates) == 24
    assert schedule.event_dates == sorted(schedule.event_dates)
    assert schedule.event_dates[0].isoformat() == "2026-01-01T09:00:00+08:00"


@pytest.mark.parametrize(
    ("today", "is_warned"),
    [(dt.date(2026, 6, 1), False), (dt.date(2026, 11, 15), True), (dt.date(2027, 2, 1), True)],
)
def test_warning_comes_before_the_declared_holidays_run_out(
    today: dt.date, is_warned: bool
) -> None:
    calendar = Calendar(cron="0 9 * * 5", holidays=GOLDEN_WEEK)
    assert bool(holiday_warning(calendar, today=today, where="cycles/x.yaml")) == is_warned


def test_calendar_without_holidays_warns_of_nothing() -> None:
    calendar = Calendar(cron="0 9 * * 5")
    assert holiday_warning(calendar, today=dt.date(2030, 1, 1), where="cycles/x.yaml") == ""


@pytest.mark.parametrize(
    "calendar",
    [Calendar(cron="every friday"), Calendar(cron="0 9 * * 5", time_zone="Asia/Nowhere")],
)
def test_wrong_calendar_names_the_file(calendar: Calendar) -> None:
    with pytest.raises(DeclarationError, match=r"cycles/x\.yaml: schedule"):
        cut_off_schedule(calendar, today=dt.date(2026, 1, 1), where="cycles/x.yaml")
