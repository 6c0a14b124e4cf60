"""What lies between a policy without foresight and a ceiling, measured: `python tests/policies/optimal/measure_gap.py`.

    wishes 1000 1001    ceilings where one of the owners' wishes is not for sale
    rules 1000 1001     the plan of U_welfare, played with perfect foresight, as rules of the world go
    blind 1000 1001     the same plan where a part of its foresight is replaced by what has been seen

Owners bear everything here (`owners.patience = endless`): who breaks wishes unasked would lose them, and no ceiling
knows that. USD of welfare in `august`; docs/ceilings.md shows what came out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from vpp_benchmarks.run.ceilings import dropped
from vpp_policies.dual import Dual
from vpp_policies.optimal.ceilings import QUICK_CEILING, bracket
from vpp_policies.optimal.devices import Goal, Measure, Wishes
from vpp_policies.optimal.month_value import MonthValue

import vpp_env.simulation.month as drawn
from vpp_env import Foresight, Month, View, load_scenario
from vpp_env.contract.policy import Policy
from vpp_env.contract.views import Information
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import market_rules, simulate
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

DAY, WEEK = 96, 7 * 96
VALUES = ("floor_value", "car_value", "overuse_value", "blackout_value", "hassle_value", "standby_value")
NOTHING: Mapping[str, Any] = {}
AT_ONCE = {"market.gate_lead_minutes": 0}
QUARTERS = {**AT_ONCE, "time.opportunity_minutes": 15}
FREE = {**QUARTERS, "market.min_bid_mw": 0.0, "market.feeder_homes": 0}
RULES: dict[str, tuple[Mapping[str, Any], bool]] = {
    "as it is": (NOTHING, True),
    "everybody stays in on called evenings": (NOTHING, False),
    "no gate lead": (AT_ONCE, True),
    "and bids by the quarter": (QUARTERS, True),
    "and no least offer, no feeders": (FREE, True),
    "and everybody stays in": (FREE, False),
}
"""What is changed, and whether owners drop out."""


def month(seed: int, changes: Mapping[str, Any] = NOTHING) -> Month:
    """Return a month of `august` whose owners bear everything."""
    return Month(load_scenario("august").override({"owners.patience": "endless", **changes}), seed)


def seen(rows: Any, shift: int) -> Any:
    """Return rows of `shift` steps ago; the first ones stay as they are."""
    return np.concatenate([rows[:shift], rows[:-shift]])


def weather(f: Foresight) -> Foresight:
    """Load and sun as they were a day ago."""
    return replace(f, **{name: seen(getattr(f, name), DAY) for name in ("surplus_kw", "shortage_kw")})


def trips(f: Foresight) -> Foresight:
    """Cars as they came, stayed and charged a week ago."""
    names = ("baseline_ev_kw", "baseline_ev_soc_kwh", "plugged", "arrives", "due", "judged")
    return replace(f, **{name: seen(getattr(f, name), WEEK) for name in names})


def values(f: Foresight) -> Foresight:
    """Every owner's private values as their means."""
    return replace(f, **{name: np.full(len(getattr(f, name)), getattr(f, name).mean()) for name in VALUES})


def calls(f: Foresight) -> Foresight:
    """Nobody knows when reserve is called."""
    return replace(f, called=np.zeros(f.n_steps, dtype=np.bool_))


def evenings(f: Foresight) -> Foresight:
    """What a called evening brings is taken to be five days' pay, as the policies take it, not what it comes to."""
    from vpp_policies.evening import CALLED_BONUS

    pay = 8.0 / 30.0 / 4.0
    return replace(f, bonus=np.where(f.bonus > 0.0, CALLED_BONUS * pay, 0.0))


def everything(f: Foresight) -> Foresight:
    """All of it."""
    return calls(values(trips(weather(f))))


BLIND: dict[str, Callable[[Foresight], Foresight]] = {
    "nothing": lambda f: f,
    "load and sun": weather,
    "trips": trips,
    "private values": values,
    "calls of reserve": calls,
    "what a called evening is worth": evenings,
    "load, sun, trips, values, calls": everything,
}


class Altered(NamedTuple):
    """A future that is not quite this month's."""

    known: Foresight

    def foresight(self) -> Foresight:
        """See `View.foresight`."""
        return self.known


class Blind(Dual):
    """`dual` of U_welfare whose foresight is altered before it plans."""

    def __init__(self, alter: Callable[[Foresight], Foresight]) -> None:
        super().__init__("welfare")
        self._alter = alter

    def _begin(self, view: View) -> MonthValue:
        return super()._begin(replace(view, oracle=Altered(self._alter(view.foresight()))))


def welfare(m: Month, policy: Policy) -> float:
    """Play a month."""
    return float(summarize(simulate(m, policy))["welfare"])


def of_rules(seed: int) -> dict[str, float]:
    """Welfare of the plan of U_welfare as rules go."""
    found, usual = {}, drawn.DROP_OUT
    for name, (changes, drops) in RULES.items():
        drawn.DROP_OUT = usual if drops else 0.0
        found[name] = welfare(month(seed, changes), Dual("welfare"))
        drawn.DROP_OUT = usual
    return found


def of_knowledge(seed: int) -> dict[str, float]:
    """Welfare of the plan of U_welfare without parts of its foresight."""
    return {f"not known: {name}": welfare(month(seed), Blind(alter)) for name, alter in BLIND.items()}


def of_wishes(seed: int) -> dict[str, float]:
    """Ceilings without some of the sales."""
    m = month(seed)
    world = World([m])
    world.reset()
    view = build_view(world, Information.ORACLE)
    homes, f, rules = view.homes, view.foresight(), market_rules(world)

    def upper(f: Foresight, wishes: Wishes = Wishes.PRICED, drops: bool = False) -> float:
        out = dropped(m) if drops else []
        goal = Goal(Measure.VALUE, wishes, rules)
        return bracket(homes, f, goal, rules.max_capacity_kw, effort=QUICK_CEILING, evenings=out).upper

    found = {"U_welfare": upper(f), "and owners drop out": upper(f, drops=True), "U_cost": upper(f, Wishes.LIMITS)}
    for name in VALUES[:4]:
        found[f"nobody sells: {name}"] = upper(replace(f, **{name: np.full(rules.n_homes, 1e3)}))
    return found


TABLES = {"wishes": of_wishes, "rules": of_rules, "blind": of_knowledge}


def main() -> None:
    """Print one of the tables."""
    if len(sys.argv) < 3 or sys.argv[1] not in TABLES:
        raise SystemExit(__doc__)
    rows = [TABLES[sys.argv[1]](int(seed)) for seed in sys.argv[2:]]
    for name in rows[0]:
        each = [row[name] for row in rows]
        print(f"{name:40s}", *(f"{x:9,.0f}" for x in each), f"{np.mean(each):9,.0f}")


if __name__ == "__main__":
    main()
