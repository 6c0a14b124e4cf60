"""Figures of docs/owners.md: what owners answer to typical offers, and how fast 200 of them do.

python tests/owners/measure.py           # training seeds 10000 and 10001, August, day-ahead prices known at 14:00
python tests/owners/measure.py speed     # CPU time of three rounds with 200 homes
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from askers import terms_of

from vpp_env import Information, Month, Offers, View, Window, World, build_view, load_scenario

SEEDS, DAYS = (10_000, 10_001), 14


def offered(view: View, kw: Any, to: Any, window: Window, **changed: Any) -> Offers:
    return Offers(to, np.full(len(to), int(window)), terms_of(view.homes, kw, **changed))


def one(window: Window, kind: str) -> list[float]:
    """Homes asked, the share that accepts, and of the others' counters the mean price and the mean own ask, USD/kWh."""
    asked = taken = 0
    prices: list[float] = []
    asks: list[float] = []
    for seed in SEEDS:
        # one offer a day, and no opting out: what is measured is the answer
        world = World([Month(load_scenario("august").override({"owners.patience": "endless"}), seed)])
        world.reset()
        nothing = np.full((world.n_homes, 8), -1.0)
        for gate in range(24 * DAYS):
            if gate % 24 == 14 and gate > 24:
                view = build_view(world, Information.DECLARED)
                homes = view.homes
                middle = 0.5 * (homes.own_cost + homes.own_ask)
                to = homes.ev_kwh > 0 if kind == "charging" else homes.bess_kwh > 0
                changed: dict[str, Any] = {
                    "half the premium": {"price": middle},
                    "no premium": {"price": homes.own_cost},
                    "no premium, fee": {"price": homes.own_cost, "availability": 0.001},
                    "charging": {"price": 1.0, "defer_price": 0.7 * homes.defer_ask},
                    "floor sold at .04": {"price": middle, "floor_kwh": homes.bess_min_kwh, "floor_price": 0.04},
                }[kind]
                answers = view.owners.propose(offered(view, world.sell_limit_kw, to, window, **changed))
                row, own = ("defer_price", homes.defer_ask) if kind == "charging" else ("price", homes.own_ask)
                asked += int(to.sum())
                taken += int(answers.accepted.sum())
                prices += getattr(answers.terms, row)[answers.countered].tolist()
                asks += own[answers.countered].tolist()
            world.step(nothing)
    return [asked, taken / asked, *(float(np.mean(x)) if x else np.nan for x in (prices, asks))]


def speed() -> None:
    """CPU time of a gate's three rounds; every home is asked in each."""
    scenario = load_scenario("august").override({"owners.patience": "endless"})
    world = World([Month(scenario, SEEDS[0])])
    world.reset()
    nothing = np.full((world.n_homes, 8), -1.0)
    spent = []
    for gate in range(200):
        if gate >= 150:
            view = build_view(world, Information.DECLARED)
            everybody = np.ones(world.n_homes, dtype=np.bool_)
            rounds = [
                offered(view, world.sell_limit_kw, everybody, Window.NOTICE, price=view.homes.own_cost * more)
                for more in (1.0, 1.05, 1.1)
            ]
            begin = time.process_time()
            for offers in rounds:
                answers = view.owners.propose(offers)
            spent.append(1e3 * (time.process_time() - begin))
            assert not (answers.reason == 5).any()
        world.step(nothing)
    print(f"three rounds, 200 homes, ms of CPU: least {min(spent):.2f}, median {np.median(spent[5:]):.2f}")


def main() -> None:
    print("| offer | window | asked | accept | the others want, USD/kWh | their own ask |")
    print("|---|---|---:|---:|---:|---:|")
    for kind in ("half the premium", "no premium", "no premium, fee", "floor sold at .04", "charging"):
        for window in Window:
            asked, taken, price, ask = one(window, kind)
            others = "- | -" if np.isnan(price) else f"{price:.3f} | {ask:.3f}"
            print(f"| {kind} | {window.name} | {asked:.0f} | {taken:.1%} | {others} |", flush=True)


if __name__ == "__main__":
    speed() if sys.argv[1:] == ["speed"] else main()
