"""The profit that a plan promises is the profit that the world pays.

With perfect information a promise is exact, to 1e-6 USD in every opportunity, where a bid can say what the plan means:

- opportunities of 15 min: a bid holds one quantity and one price for the whole opportunity;
- no cars: a home delivers deferred charging before storage, whatever the plan meant to use;
- no reserve: a call is paid like a sale, and nobody promises it;
- no panels: a battery that gives stores no sun, of which the program leaves the share in which it does not give.

With panels a battery near its minimum is so promised a little of the sun of the very interval: less than a thousandth
of a month's profit. Where the minimum is one of awards a smaller award is void: those opportunities, and they only, are
paid less than was promised, which is nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support import month
from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.simulate import simulate

EXACT: dict[str, Any] = {
    "time.duration_hours": 48,
    "time.opportunity_minutes": 15,
    "fleet.share_ev": 0.0,
    "fleet.share_pv": 0.0,
    "market.reserve": False,
}


def played(name: str, seed: int = 0, minimum: str = "offer", changes: dict[str, Any] | None = None) -> pd.DataFrame:
    scenario = EXACT | {"market.minimum": minimum} | (changes or {})
    return simulate(month("week20", scenario, seed), make_policy(name)).record.opportunities()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ["centralized", "preference_aware"])
def test_every_promise_is_kept(name: str, seed: int) -> None:
    table = played(name, seed)
    np.testing.assert_allclose(table["actual_profit"], table["expected_profit"], rtol=0.0, atol=1e-6)
    assert table["actual_profit"].sum() > 1.0, "there is something to promise"
    assert (table["bought_kwh"] > 0.0).any(), "purchases are among it"


@pytest.mark.parametrize("seed", [0, 1])
def test_own_sun_is_promised_by_a_thousandth_too_much_at_most(seed: int) -> None:
    table = played("centralized", seed, changes={"fleet.share_pv": 0.55})
    short = table["expected_profit"] - table["actual_profit"]
    assert (short > -1e-6).all(), "nothing comes that was not promised"
    assert short.sum() < 1e-3 * table["actual_profit"].sum()
    assert short.max() < 1e-3


def test_where_small_awards_are_void_only_these_are_unpaid() -> None:
    table = played("centralized", minimum="award")
    broken = (table["actual_profit"] - table["expected_profit"]).abs() > 1e-6
    void = (table["expected_profit"] > 1e-6) & ~table["success"]
    assert void.any(), "the exception must occur"
    pd.testing.assert_series_equal(broken, void, check_names=False)
    assert (table.loc[void, ["actual_profit", "sold_kwh"]] == 0.0).all(axis=None)
    # what is void stays below the minimum of 10 kW for a quarter of an hour
    assert (table.loc[void, "bid_capacity_mw"] < 0.010).all()
