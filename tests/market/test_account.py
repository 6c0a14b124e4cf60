"""Money of odd policies, counted again from the tables of a run alone: prices times energy, and nothing of the code.

Policies bid at the cap, at the floor, at random ends, in turns, all alike, or for one home only, with and without the
owners' gateways, and commit evenings that they cannot keep.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from vpp_env import Bids, Consent, Information, MarketRules, PolicyInfo, View, encode
from vpp_env.evaluation.kpi import Kpis, summarize
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.simulate import Run, simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

Bid = Callable[["Odd", View], NDArray[np.float64]]
RATE = 8.0 / 30.0  # USD per kW and evening
CASES = {
    "august": {},
    # what is called is no deviation, and stands in no table of intervals
    "feeders": {
        "market.feeder_kw": 12.0,
        "home.control": "self_consumption",
        "market.deviation_kappa": 0.25,
        "market.call_probability": 0.0,
    },
    "calls": {"market.call_probability": 0.3, "market.payment": "uniform", "market.capacity_call_usd_per_mwh": 60.0},
    "two prices": {"market.two_settlement": True, "market.clearing": "residual_supply", "market.regulation": True},
}


class Odd:
    """A bid for everybody, all gateways kept or all overridden."""

    info = PolicyInfo("odd", Information.OWN, Consent.NEVER, "odd")

    def __init__(self, bid: Bid, override: bool, capacity_kw: float | None) -> None:
        self.bid, self.override, self.capacity_kw, self.turn = bid, override, capacity_kw, 0

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """See `Policy.reset`."""
        self.rules, self.rng = rules, rng

    def act(self, view: View) -> Bids:
        """See `Policy.act`."""
        self.turn += 1
        override = np.full(self.rules.n_homes, self.override)
        capacity = self.capacity_kw if view.public.capacity_gate else None
        return Bids(self.bid(self, view).astype(np.float32), override=override, capacity=capacity)


def _ends(p: Odd, view: View) -> NDArray[np.float64]:
    return p.rng.choice([-1.0, 1.0], (p.rules.n_homes, 8))


def _turns(p: Odd, view: View) -> NDArray[np.float64]:
    sell, buy = p.rules.sell_limit_kw, p.rules.buy_limit_kw
    sells = p.turn % 2 == 0
    return encode(sell, buy, sell1_kw=sells * sell, sell1_ask=0.0, buy_kw=(not sells) * buy, buy_limit=0.35)


def _all(ask: float) -> Bid:
    def bid(p: Odd, view: View) -> NDArray[np.float64]:
        sell, buy = p.rules.sell_limit_kw, p.rules.buy_limit_kw
        return encode(sell, buy, sell1_kw=sell, sell1_ask=ask, reserve_kw=sell, reserve_ask=0.0)

    return bid


def _one(p: Odd, view: View) -> NDArray[np.float64]:
    bids = np.full((p.rules.n_homes, 8), -1.0)
    bids[int(np.argmax(p.rules.sell_limit_kw))] = [1, -1, 1, -0.8, 1, 1, 1, -1]
    return bids


POLICIES = {
    "ends": Odd(_ends, False, None),
    "turns, overridden": Odd(_turns, True, 60.0),
    "all at nothing": Odd(_all(0.0), False, 120.0),
    "all at the cap": Odd(_all(1.0), True, 30.0),
    "one home": Odd(_one, False, None),
    "nothing": Odd(lambda p, view: np.full((p.rules.n_homes, 8), -1.0), False, 0.0),
}


def capacity_usd(evenings: pd.DataFrame) -> float:
    """What evening capacity pays, by the equations of docs/market.md, evening by evening."""
    rows = list(evenings.itertuples())
    if not any(e.committed_kw > 0 for e in rows):
        return 0.0
    shown = [min(e.delivered_kw, e.committed_kw) for e in rows if e.called]
    demonstrated = sum(shown) / len(shown) if shown else 0.0
    usd = 0.0
    for e in rows:
        if e.called:
            usd += min(e.delivered_kw, e.committed_kw)
            usd -= 2.0 * e.committed_kw if e.delivered_kw < 0.5 * e.committed_kw else 0.0
        else:
            usd += min(e.committed_kw, demonstrated)
    return RATE * usd


def accounts(run: Run, kpis: Kpis) -> dict[str, tuple[float, float]]:
    """What the books say and what their own tables come to, by name: the two are to be the same."""
    record, hours = run.record, run.record.opportunities()
    steps, homes = record.interval_table(), prosumer_table(record, run.world.scenario.satisfaction, run.info)
    gave = record.homes.dispatch()[["sold_kwh", "called_kwh"]].sum().sum()
    took = record.homes.dispatch()[["bought_kwh", "forced_kwh"]].sum().sum()
    devices = record.homes.dispatch()[["deferred_kwh", "bess_kwh", "v2g_kwh"]].sum().sum()
    kwh = steps["market_kw"] * 0.25
    money = {name.removeprefix("money_"): hours[name].sum() for name in hours if name.startswith("money_")}
    earned = sum(money[name] for name in ("energy", "reserve", "programme", "day_ahead", "capacity"))
    spent = sum(money[name] for name in ("nopay", "deviation", "payments", "compute"))
    over = (steps["market_kw"] - steps["award_kw"]).abs() * 0.25 * steps["lmp_usd_per_mwh"].clip(lower=0.0) / 1000.0
    gain = homes["net_benefit_usd"].sum() - homes["private_cost_usd"].sum()
    return {
        "energy": (money["energy"], (kwh * steps["lmp_usd_per_mwh"] / 1000.0).sum()),
        "deviation": (money["deviation"], run.world.scenario.market.deviation_kappa * over.sum()),
        "capacity": (money["capacity"], capacity_usd(record.evenings())),
        "profit": (kpis.total_profit, earned - spent),
        "welfare": (kpis.welfare, kpis.total_profit + gain),
        "meters": (kwh.sum(), gave - took),
        "devices": (gave, devices),
    }


@pytest.mark.parametrize("case", CASES)
def test_every_account_closes_whatever_is_bid(case: str) -> None:
    size = {"fleet.size": 20, "market.min_bid_mw": 0.01, "time.duration_hours": 144}
    month = Month(load_scenario("august").override({**size, **CASES[case]}), 1004)
    moved = dict.fromkeys(("energy", "capacity", "meters", *(["deviation"] if case == "feeders" else [])), False)
    for name, policy in POLICIES.items():
        run = simulate(month, policy)
        for account, (said, counted) in accounts(run, summarize(run)).items():
            assert said == pytest.approx(counted, rel=1e-9, abs=1e-6), (name, account)
            if account in moved:
                moved[account] |= abs(counted) > 1.0
    assert all(moved.values()), f"the test can fail: {moved}"
