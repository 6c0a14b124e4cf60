"""Contracts by hand: one home, plain floats and lists, written from docs/contracts.md.

Every home is a month of its own in the worlds that this is held against, so that `Outcome.flow_kw` are its own flows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vpp_env.contract.terms import Window
from vpp_env.core.layout import FLOW
from vpp_env.simulation.outcome import Outcome
from vpp_env.traces.fleet import Fleet

DT = 0.25
Terms = dict[str, float]


@dataclass
class Paper:
    """One contract: from which opportunity to before which one, and its terms."""

    first: int
    stop: float
    terms: Terms


@dataclass
class Owner:
    """What one owner is owed by contract."""

    fleet: Fleet  # of one home
    hours: list[float]  # local hour of day at which each opportunity begins
    papers: list[Paper] = field(default_factory=list)
    given_today: float = 0.0
    open_price: float = 0.0  # USD per kWh and hour, of a floor that is not restored
    car_price: float = 0.0  # USD per kWh, of a target that was let down and whose car is still here
    let_down: float = np.inf  # kWh to which it was

    def sign(self, first: int, window: Window, terms: Terms) -> None:
        if window is Window.OPPORTUNITY:
            stop: float = first + 1
        elif window is Window.NOTICE:
            stop = np.inf
        else:
            # the last opportunity before 21:00, today or tomorrow
            ends = [o + 1 for o in range(first, len(self.hours)) if self.hours[o] < 21 <= self._ends(o)]
            stop = ends[0] if ends else np.inf
        for old in self.papers:
            old.stop = min(old.stop, first)
        self.papers.append(Paper(first, stop, terms))

    def _ends(self, o: int) -> float:
        return self.hours[o] + (self.hours[1] - self.hours[0]) % 24

    def end(self, first: int) -> None:
        for old in self.papers:
            old.stop = min(old.stop, first)

    def now(self, opportunity: int) -> Terms | None:
        held = [p.terms for p in self.papers if p.first <= opportunity < p.stop]
        assert len(held) <= 1
        return held[0] if held else None

    def floor_in_force(self, terms: Terms | None) -> float:
        own, hard = float(self.fleet.floor_kwh[0]), float(self.fleet.bess_min_kwh[0])
        return own if terms is None else min(own, max(terms["floor_kwh"], hard))

    def paid(
        self, o: Outcome, m: int, black: list[bool], new_day: bool, car: tuple[float, float, float]
    ) -> dict[str, float]:
        """USD of opportunity o for the one home of month m: what its contract pays, by kind.

        `car` is what was in the car at the start, and what its next trip takes, and the shortfall (share) that is
        not counted yet at the end: one at the ready-by time counts when the car leaves.
        """
        f, terms, flow = self.fleet, self.now(o.opportunity), o.flow_kw[:, :, m]
        out = dict.fromkeys(("sold", "availability", "floor", "car", "overuse", "blackout"), 0.0)
        if new_day:
            self.given_today = 0.0
        price = max(terms["floor_price"] if terms else 0.0, self.open_price)
        own_floor = max(float(f.floor_kwh[0]), float(f.bess_min_kwh[0]))
        limit = min(float(f.max_discharge[0]), float(f.cycles_per_day[0])) * float(f.bess_kwh[0])
        for j in range(len(flow)):
            soc, base = o.soc_home_kwh[j, :, m, 0]
            out["floor"] += price * DT * max(0.0, min(own_floor, base) - soc)
            before = self.given_today
            self.given_today += DT * flow[j, FLOW.battery]
            if terms is None:
                continue
            lmp = float(o.lmp[j, m])
            storage = flow[j, FLOW.battery] + flow[j, FLOW.v2g]
            out["sold"] += DT * max(terms["price"], terms["share"] * lmp) * storage
            out["sold"] += DT * max(terms["defer_price"], terms["share"] * lmp) * flow[j, FLOW.deferred]
            more = max(0.0, self.given_today - limit) - max(0.0, before - limit)
            out["overuse"] += terms["overuse_price"] * more
            moved = flow[j, FLOW.sold] + flow[j, FLOW.called] + flow[j, FLOW.bought]
            out["blackout"] += terms["blackout_price"] * DT * moved * black[j]
            out["availability"] += terms["availability"] * terms["kw"] * DT
        target, capacity = float(f.ev_target_kwh[0]), float(f.ev_kwh[0])
        self.let_down = max(self.let_down, car[0])
        if terms is not None and capacity > 0 and terms["target_kwh"] < target:
            self.let_down = min(self.let_down, max(terms["target_kwh"], car[1]))
        price_car = max(terms["car_price"] if terms else 0.0, self.car_price)
        out["car"] = price_car * max(0.0, float(o.short[m, 0])) * capacity
        if o.departed[m, 0]:
            self.let_down = np.inf
        self.car_price = price_car if self.let_down < target - 1e-9 or car[2] > 0.0 else 0.0
        still = float(f.floor_kwh[0]) - o.soc_home_kwh[-1, 0, m, 0] > 1e-9
        self.open_price = price if still else 0.0
        return out
