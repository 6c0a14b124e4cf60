"""Energy and money to 1e-9 over random bid matrices and all switches of the market together.

A small sample runs always; `pytest -n 0 -m slow tests/market/test_conservation.py` plays 10,000 matrices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import STYLES, begin, month, random_actions

from vpp_env.contract.bids import DayAheadSchedule
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW
from vpp_env.market.firm import settle_evenings
from vpp_env.simulation.outcome import Outcome
from vpp_env.simulation.world import World
from vpp_env.units import DT_H

MONTHS, HOMES = 2, 5
SWITCHES: dict[str, tuple[Any, ...]] = {
    "market.clearing": ("price_taker", "price_taker", "pm10", "residual_supply", "logit"),
    "market.payment": ("floor_and_share", "uniform", "pay_as_bid"),
    "market.margin": (0.0, 0.05, 0.2),
    "market.revenue_share": (0.0, 0.7, 1.0),
    "market.minimum": ("offer", "award"),
    "market.min_bid_mw": (0.0, 0.005, 0.015),
    "market.safeguard": (False, True),
    "market.feeder_homes": (0, 3),
    "market.feeder_kw": (4.0, 12.0),
    "market.max_capacity_mw": (5.0, 0.01),
    "market.max_share_of_flexible": (1.0, 0.7),
    "market.reserve": (True, True, False),
    "market.regulation": (False, True),
    "market.reserve_minutes": (30.0, 60.0),
    "market.call_probability": (0.002, 0.3),
    "market.deviation_kappa": (0.0, 0.25),
    "market.compute_usd_per_hour": (0.0, 0.5),
    "market.residual_slope_usd_per_mwh_per_mw": (0.5, 500.0),
    "market.gate_lead_minutes": (0, 75),
    "market.two_settlement": (False, True),
    "market.programme": ("none", "elrp"),
    "market.firm_capacity": (False, True),
    "time.opportunity_minutes": (15, 30, 60),
    "time.start": ("2023-08-04T09:00", "2023-08-02T13:00", "2023-04-02T09:00", "2023-11-04T20:00"),
    "home.control": ("backup", "self_consumption"),
    "fleet.share_bess": (0.5, 1.0),
    "owners.patience": ("finite", "endless"),
}
ALWAYS = {
    "fleet.size": HOMES,
    "fleet.share_ev": 0.8,
    "fleet.v2g_share": 0.6,
    "fleet.share_pv": 0.6,
    "market.programme_temp_c": -50.0,  # every evening has an event
    "market.capacity_call_usd_per_mwh": 40.0,
    "time.duration_hours": 40,
}


def close(got: Any, expected: Any, what: str) -> None:
    """Equal to 1e-9."""
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9, err_msg=what)


def per_month(values: np.ndarray) -> np.ndarray:
    """(M,) sums over homes of (..., M*N) or (M, N) values."""
    return np.asarray(values.reshape(MONTHS, HOMES).sum(axis=1))


class Books:
    """What is kept beside the world: the batteries, and the net delivery of a programme's event."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.soc = per_month(world.state.battery.soc_kwh)
        self.event = np.zeros(MONTHS)
        self.capacity = np.zeros(MONTHS)

    def step(self, actions: np.ndarray, **handed: Any) -> Outcome:
        """Play an opportunity and check all of it."""
        world = self.world
        t, (_, k), plan = world.t, world.clock(world.t), world.day.plan
        cars, da = world.state.vehicle.soc_kwh.copy(), world.exchange.da[:, world.t : world.t + world.steps].T
        out = world.step(actions, **handed)
        assert world.t == t + world.steps
        for j, flow in enumerate(out.flow_kw):
            self._energy(out, j, flow, (plan.pv[k + j] - plan.load[k + j]).astype(float))
        self._cars(out, cars, plan, k)
        self._money(out, da.copy())
        return out

    def _energy(self, out: Outcome, j: int, flow: np.ndarray, own: np.ndarray) -> None:
        eta = self.world.scenario.fleet.bess_eta
        charged = flow[FLOW.home_charge] + flow[FLOW.battery_bought]
        given = flow[FLOW.battery] + flow[FLOW.home_discharge]
        after = out.soc_kwh[j, 0]
        close(after - self.soc, DT_H * (eta * charged - given / eta), "batteries")
        self.soc = after
        net = per_month(own) - flow[FLOW.ev_charge] - charged + given + flow[FLOW.v2g]
        close(flow[FLOW.retail] + flow[FLOW.market], net, "what leaves a home is on one of two meters")
        sources = flow[FLOW.deferred] + flow[FLOW.battery] + flow[FLOW.v2g]
        close(sources, flow[FLOW.sold] + flow[FLOW.called], "what is given comes from somewhere")
        close(
            flow[FLOW.market],
            flow[FLOW.sold] + flow[FLOW.called] - flow[FLOW.bought] - flow[FLOW.forced],
            "the market's meter",
        )

    def _cars(self, out: Outcome, before: np.ndarray, plan: Any, k: int) -> None:
        steps = self.world.steps
        came = (plan.arr > k) & (plan.arr <= k + steps)
        gone = ((plan.dep > k) & (plan.dep < k + steps)) | ((plan.out > k) & (plan.out < k + steps))
        if (came & gone).any():
            return  # what such a car held when it left is not in the outcome
        eta, flow = self.world.scenario.fleet.ev_eta, out.flow_kw
        used = np.where(came, before - np.maximum(before - plan.trip, 0.0), 0.0)
        moved = DT_H * (eta * flow[:, FLOW.ev_charge] - flow[:, FLOW.v2g] / eta).sum(axis=0)
        close(per_month(self.world.state.vehicle.soc_kwh), per_month(before) + moved - per_month(used), "cars")

    def _money(self, out: Outcome, da: np.ndarray) -> None:
        rows, money, market = out.ledger.sum(axis=2), out.money, self.world.scenario.market
        metered = out.flow_kw[:, FLOW.market]
        close(rows[led.L_MARKET], DT_H * metered.sum(axis=0), "metered energy of the ledger")
        close(money.energy, DT_H * (out.lmp * metered).sum(axis=0), "energy is paid as metered")
        close(money.payments, led.member_pay(out.ledger).sum(axis=1), "the members get what the VPP pays")
        close(money.revenue, money.profit + money.payments + money.compute, "revenue has no other taker")
        received = money.energy + money.reserve + money.programme + money.day_ahead + money.capacity
        close(money.revenue, received - money.nopay - money.deviation, "revenue has no other source")
        close(money.compute, market.compute_usd_per_hour * DT_H * len(metered), "computing")
        close(money.nopay, rows[led.L_NOPAY], "no-pay")
        assert (money.nopay <= money.reserve + 1e-9).all()
        close(money.day_ahead, DT_H * (out.day_ahead_kw * (da - out.lmp)).sum(axis=0), "the day-ahead award")
        if self.world.products and not market.regulation:  # spin is never below non-spin: it is everybody's product
            close(money.reserve, DT_H * (out.rho[:, :, 0] * out.reserve_kw).sum(axis=0), "reserve is paid as awarded")
        programme = np.zeros(MONTHS)
        for kw, usd in zip(metered, out.incentive, strict=True):
            due = np.maximum(self.event, 0.0)
            self.event = np.where(usd > 0.0, self.event + DT_H * kw, 0.0)
            programme += usd * (np.maximum(self.event, 0.0) - due)
        close(money.programme, programme, "a programme pays for the net of its event")
        quiet = rows[led.L_CALLED] == 0.0
        gap = DT_H * (np.abs(metered - out.award_kw) * np.maximum(out.lmp, 0.0)).sum(axis=0)
        close(np.where(quiet, money.deviation, 0.0), np.where(quiet, market.deviation_kappa * gap, 0.0), "deviation")
        self.capacity += money.capacity


def handed_in(world: World, rng: np.random.Generator) -> dict[str, Any]:
    """A schedule, a commitment and overrides, where the gate takes them."""
    market, given = world.scenario.market, {}
    hours = len(world.exchange.day_ahead.hours(world.t))
    if hours:
        given["day_ahead"] = [
            DayAheadSchedule(rng.uniform(-20.0, 20.0, hours), rng.uniform(-0.05, 0.1)) for _ in range(MONTHS)
        ]
    if market.firm_capacity and world.exchange.firm.is_gate(world.t):
        given["capacity"] = [float(rng.choice([0.0, 2.0, 10.0, 500.0])) for _ in range(MONTHS)]
    if market.safeguard:
        given["override"] = rng.random(MONTHS * HOMES) < 0.3
    return given


def play_matrices(matrices: int, seed: int, each: int = 50) -> dict[str, set[Any]]:
    """Play so many bid matrices, `each` of one draw of the switches; return the values of switches that were played."""
    rng, played, done = np.random.default_rng(seed), {name: set() for name in SWITCHES}, 0
    while done < matrices:
        drawn = {name: values[int(rng.integers(len(values)))] for name, values in SWITCHES.items()}
        first = int(rng.integers(1000))
        world = begin(*(month("week20", ALWAYS | drawn, first + m) for m in range(MONTHS)))
        books, left = Books(world), min(each, matrices - done)
        while left and not world.done:
            actions = random_actions(rng, MONTHS * HOMES, str(rng.choice(STYLES)))
            books.step(actions, **handed_in(world, rng))
            left, done = left - 1, done + 1
        firm = world.exchange.firm
        if world.done and drawn["market.firm_capacity"]:
            for m in range(MONTHS):
                said = settle_evenings(
                    world.scenario.market, firm.committed_kw[m], firm.delivered_kw[m], firm.called[m]
                )
                close(books.capacity[m], said.usd.sum(), "evening capacity")
        for name, value in drawn.items():
            played[name].add(value)
    return played


def test_a_sample_conserves_energy_and_money() -> None:
    play_matrices(400, seed=1, each=40)


@pytest.mark.slow
def test_ten_thousand_bid_matrices_conserve_energy_and_money() -> None:
    assert play_matrices(10_000, seed=2) == {name: set(values) for name, values in SWITCHES.items()}
