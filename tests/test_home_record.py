"""The sparse tables of homes: they add up to the fleet's, and hold every violation once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from support import month

from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.record import DISPATCH, EVENT_UNITS, FLEET
from vpp_env.evaluation.simulate import Run, simulate
from vpp_env.owners.violations import VIOLATIONS


@pytest.fixture(scope="module")
def run() -> Run:
    """A policy that breaks every kind of promise."""
    return simulate(month("week20"), make_policy("random"))


def test_dispatch_adds_up_to_the_homes_and_the_fleet(run: Run) -> None:
    table, record = run.record.homes.dispatch(), run.record
    by_home = table.groupby("prosumer")[list(DISPATCH)].sum().reindex(range(20), fill_value=0.0)
    for column, row in DISPATCH.items():
        if column not in ("beyond_kwh", "wear_usd", "owed_usd"):  # may come without any dispatch
            assert by_home[column].to_numpy() == pytest.approx(record.totals[row], abs=1e-9), column
    fleet = record.opportunities()
    assert table["sold_kwh"].sum() + table["called_kwh"].sum() == pytest.approx(fleet["sold_kwh"].sum())
    pay = table[["pay_sold_usd", "pay_bought_usd", "pay_forced_usd", "pay_reserve_usd"]].sum(axis=1)
    by_hour = pay.groupby(table["opportunity"]).sum().reindex(range(len(fleet)), fill_value=0.0)
    assert by_hour.to_numpy() == pytest.approx(fleet["money_payments"].to_numpy(), abs=1e-9)
    stamps = fleet.set_index("opportunity")["timestamp"]
    assert (table["timestamp"].to_numpy() == stamps.loc[table["opportunity"]].to_numpy()).all()


def test_every_violation_is_one_event(run: Run) -> None:
    events = run.record.homes.events()
    homes = prosumer_table(run.record, run.world.scenario.satisfaction, run.policy.info)
    seen = 0
    for kind in VIOLATIONS:
        mine = events[events["kind"] == kind]
        counts = np.bincount(mine["prosumer"], minlength=20)
        assert counts.tolist() == homes[f"violations_{kind}"].tolist()
        assert (mine["value"] > 0).all()
        assert (mine["unit"] == EVENT_UNITS[kind]).all()
        seen += len(mine) > 0
    assert seen >= 3
    voids = events[events["kind"] == "void_award"]
    assert (voids["prosumer"] == FLEET).all()
    assert voids["value"].sum() == run.record.interval_table()["void"].sum()


def test_nothing_happened_is_empty_tables_of_the_same_columns(run: Run) -> None:
    idle = simulate(month("quick"), make_policy("idle")).record.homes
    for mine, full in ((idle.dispatch(), run.record.homes.dispatch()), (idle.events(), run.record.homes.events())):
        assert mine.empty
        assert list(mine.columns) == list(full.columns)
        assert isinstance(mine["timestamp"].dtype, pd.DatetimeTZDtype)


def test_acceptance_is_that_of_the_policy(run: Run) -> None:
    assert not run.record.homes.dispatch()["accepted"].any()  # nobody is asked
    assert simulate(month("week20"), make_policy("truthful")).record.homes.dispatch()["accepted"].all()
