"""The clock, also on the two days a year on which it changes."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from support import month

from vpp_env.contract.policy import make_policy
from vpp_env.errors import ScenarioError
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario
from vpp_env.scenario.calendar import Calendar, month_hours
from vpp_env.scenario.check import DAYS_AROUND
from vpp_env.traces.homes import DAYS_AFTER
from vpp_env.traces.price_clock import WARMUP_DAYS
from vpp_env.traces.vehicles import LONGEST_DAYS


@pytest.mark.parametrize(
    ("start", "hours"),
    [("2023-08-01", 744), ("2023-03-01", 743), ("2023-11-01", 721), ("2024-02-01", 696), ("2023-12-01", 744)],
)
def test_months_have_their_hours(start: str, hours: int) -> None:
    assert month_hours(datetime.fromisoformat(start)) == hours
    assert month_hours(datetime.fromisoformat(start), "UTC") == {743: 744, 721: 720}.get(hours, hours)


def test_the_days_of_a_clock_change() -> None:
    c = Calendar(datetime(2023, 3, 11, 6), 4 * 60)
    assert [c.steps_in_day(d) for d in (-1, 0, 1, 2)] == [96, 96, 92, 96]
    assert c.offset == 24
    assert c.n_days == 3
    # two o'clock does not exist on the twelfth
    of_12th = c.day == 1
    assert of_12th.sum() == 92
    assert 2.0 not in c.hour[of_12th]
    assert c.step_of_day[of_12th].tolist() == list(range(92))
    fall = Calendar(datetime(2023, 11, 5), 100)
    assert fall.steps_in_day(0) == 100
    assert (fall.hour == 1.0).sum() == 2, "one o'clock comes twice"
    assert fall.local[-1].hour == 23
    assert (np.diff(fall.utc.asi8) == np.diff(fall.utc.asi8)[0]).all()


@pytest.mark.parametrize("day", ["2023-03-12", "2023-11-05", "2023-08-01"])
def test_wall_clock_times_are_found_on_the_day(day: str) -> None:
    c = Calendar(datetime.fromisoformat(day), 96)
    hours = c.day_hours(0)
    minutes = np.arange(0, 1440, 15)
    steps = c.wall_to_step(0, minutes)
    exists = np.isin(minutes, np.round(hours * 60).astype(int))
    assert (np.round(hours[steps] * 60)[exists] == minutes[exists]).all()
    assert (np.diff(steps) >= 0).all()
    # an hour that is skipped becomes the first step after the gap
    assert (hours[steps][~exists] == 3.0).all()


def test_tariff_and_preferences_follow_the_wall_clock() -> None:
    m = month("week20", {"time.start": "2023-11-04T00:00", "time.duration_hours": 72, "fleet.size": 6})
    for day, steps in ((0, 96), (1, 100), (2, 96)):
        plan, _ = m.day(day)
        hours = m.calendar.day_hours(day)
        assert len(plan.load) == len(plan.week_step) == steps
        assert (plan.peak == ((hours >= 16) & (hours < 21))).all()
        assert hours[plan.restore_step] == 15.0
        assert (hours[plan.ready] * 60 == m.fleet.ready_minutes).all()
        assert (plan.week_step == (m.calendar.day_weekday(day) * 96 + hours * 4)).all()


def test_day_ahead_prices_change_on_the_hour_only() -> None:
    m = month("week20", {"time.start": "2023-03-11T05:00", "time.duration_hours": 60, "fleet.size": 2})
    da = m.series.da_usd_per_mwh[: m.calendar.n_steps].reshape(-1, 4)
    assert (da == da[:, :1]).all()
    assert len(np.unique(da[:, 0])) > 30


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("America/Santiago", "2023-09-02T06:00"),  # its clock skips midnight
        ("America/Santiago", "2023-04-01T06:00"),
        ("America/Havana", "2023-11-04T06:00"),  # shows midnight twice
        ("Asia/Tehran", "2021-09-21T06:00"),
        ("Asia/Kathmandu", "2023-08-01T06:00"),  # 45 min from the hour
        ("Pacific/Chatham", "2023-04-01T06:00"),
    ],
)
@pytest.mark.parametrize("policy", ["truthful", "agentic"])
def test_a_clock_that_changes_at_midnight_is_played(zone: str, start: str, policy: str) -> None:
    changes = {"time.timezone": zone, "time.start": start, "time.duration_hours": 24, "fleet.size": 3}
    run = simulate(month("quick", changes), make_policy(policy))
    assert run.complete
    assert np.isfinite(summarize(run)["welfare"])


@pytest.mark.parametrize(
    ("zone", "start", "day"),
    [
        ("Australia/Lord_Howe", "2023-04-01T00:00", "2023-04-02 has 24.5 hours"),
        ("Australia/Lord_Howe", "2023-04-10T00:00", "2023-04-02 has 24.5 hours"),
        ("Australia/Lord_Howe", "2023-09-25T00:00", "2023-10-01 has 23.5 hours"),
        ("Pacific/Apia", "2011-12-29T00:00", "2011-12-30 has 0 hours"),
        ("Antarctica/Troll", "2023-10-28T00:00", "2023-10-29 has 26 hours"),
    ],
)
def test_days_that_are_no_whole_hours_are_refused(zone: str, start: str, day: str) -> None:
    changes = {"time.timezone": zone, "time.start": start, "time.duration_hours": 24}
    with pytest.raises(ScenarioError, match=day):
        load_scenario("quick").override(changes)
    load_scenario("quick").override(changes | {"time.start": "2023-06-01T00:00"})


def test_all_days_that_are_made_are_checked() -> None:
    assert -DAYS_AROUND.start >= max(WARMUP_DAYS, LONGEST_DAYS + 3)
    assert DAYS_AROUND[-1] >= DAYS_AFTER + LONGEST_DAYS + 2
