"""No policy brings more welfare than U_welfare, whatever it breaks; each private value takes what it should of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import STYLES, begin, month, with_prices
from test_bounds import DAY, HARD, RICH, Stubborn
from vpp_policies.optimal.ceilings import bracket
from vpp_policies.optimal.devices import Goal, Measure, Wishes

from vpp_env.contract.bids import N_ACTION, Bids
from vpp_env.contract.policy import Consent, MarketRules, Policy, PolicyInfo, make_policy
from vpp_env.contract.views import Information, View
from vpp_env.evaluation.kpi import Kpis, summarize
from vpp_env.evaluation.simulate import market_rules, simulate
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view

FACTORS = {"cheap": 0.2, "as drawn": 1.0, "dear": 5.0}
"""Private values: where breaking is worth it more often, and less."""


def most(m: Month, wishes: Wishes = Wishes.PRICED) -> float:
    """Upper end of a ceiling, USD."""
    world = begin(m)
    view, rules = build_view(world, Information.ORACLE), market_rules(world)
    return bracket(view.homes, view.foresight(), Goal(Measure.VALUE, wishes, rules), rules.max_capacity_kw).upper


class Fixed:
    """The same bids at every gate, with or without the homes' gateways overridden."""

    info = PolicyInfo("fixed", Information.OWN, Consent.NEVER, "one bid")

    def __init__(self, bids: NDArray[np.float32], override: NDArray[np.bool_]) -> None:
        self._bids = Bids(bids, override=override)

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """See `Policy.reset`."""

    def act(self, view: View) -> Bids:
        """See `Policy.act`."""
        return self._bids


class Overriding(Stubborn):
    """The same with every gateway overridden."""

    def act(self, view: View) -> Bids:
        """See `Policy.act`."""
        return replace(super().act(view), override=np.ones(self._n, dtype=bool))


def play(m: Month, policy: Policy) -> Kpis:
    return summarize(simulate(m, policy))


@pytest.mark.parametrize("safeguard", [False, True])
@pytest.mark.parametrize("case", HARD)
def test_nothing_exceeds_it(case: str, safeguard: bool) -> None:
    for seed, factor in ((0, FACTORS["as drawn"]), (1, FACTORS["cheap"])):
        rules = {"market.safeguard": safeguard, "preferences.private_value_factor": factor}
        m = month("week20", {**RICH, **HARD[case], **rules}, seed)
        kept, ceiling, free = (most(m, wishes) for wishes in (Wishes.LIMITS, Wishes.PRICED, Wishes.FREE))
        attackers = [kind(style) for kind in (Stubborn, Overriding) for style in (*STYLES, "evening")]
        attackers += [make_policy(name) for name in ("truthful", "dual(goal='welfare')", "dual(goal='free')")]
        for policy in attackers:
            kpis = play(m, policy)
            assert kpis.welfare <= ceiling + 1e-6
            assert kpis.joint_surplus <= free + 1e-6
            if safeguard and type(policy) is Stubborn:
                # its gateways keep every limit
                assert kpis.welfare <= kept + 1e-6


@pytest.mark.parametrize("safeguard", [False, True])
@given(data=st.data())
@settings(deadline=None, max_examples=25, derandomize=True)
def test_no_bid_that_is_repeated_exceeds_it(safeguard: bool, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 4), "seed")
    factor = data.draw(st.sampled_from(list(FACTORS.values())), "factor")
    m = month("week20", {**RICH, "market.safeguard": safeguard, "preferences.private_value_factor": factor}, seed)
    bids = [data.draw(st.lists(st.floats(-1, 1, width=32), min_size=N_ACTION, max_size=N_ACTION)) for _ in range(6)]
    override = np.array(data.draw(st.lists(st.booleans(), min_size=6, max_size=6)))
    assert play(m, Fixed(np.array(bids, dtype=np.float32), override)).welfare <= most(m) + 1e-6


@pytest.mark.parametrize(
    ("name", "hours"), [("quick", None), ("week20", None), ("august", 72), ("heatwave", 72), ("april", 48)]
)
def test_the_shipped_scenarios(name: str, hours: int | None) -> None:
    changes = {} if hours is None else {"time.duration_hours": hours, "fleet.size": 30, "market.min_bid_mw": 0.01}
    m = month(name, changes, 3)
    ceilings = [most(m, wishes) for wishes in Wishes]
    for policy in ("idle", "random", "truthful", "constant", "centralized", *(f"dual(goal={g!r})" for g in GOALS)):
        kpis = play(m, make_policy(policy))
        assert kpis.welfare <= ceilings[2] + 1e-6
        assert kpis.joint_surplus <= ceilings[3] + 1e-6


GOALS = ("preferences", "cost", "welfare", "free")


def test_its_plan_is_nearly_as_good() -> None:
    # every interval is bid for, no minimum: what is left is one bid for all that a home has
    m = month("week20", {"time.opportunity_minutes": 15, "time.duration_hours": 96, "market.min_bid_mw": 0.0}, 2)
    welfare = {goal: play(m, make_policy(f"dual(goal={goal!r})")).welfare for goal in GOALS}
    ceiling = most(m)
    assert 0.75 * ceiling <= welfare["welfare"] <= ceiling
    assert welfare["welfare"] == max(welfare.values())


def one_battery(**values: float) -> Month:
    """Three hours of one full battery, no reserve: .30 USD/kWh from the third to the sixth step, else nothing.

    Its owner's private values are 0 unless given.
    """
    one: dict[str, Any] = {"fleet.size": 1, "fleet.share_bess": 1.0, "fleet.share_ev": 0.0, "fleet.share_pv": 0.0}
    one |= {"market.reserve": False, "fleet.bess_soc_init": (0.9, 0.9), "time.duration_hours": 3}
    base = month("week20", {**DAY, **one})
    price = np.zeros(len(base.series.rt_usd_per_mwh))
    price[2:6] = 300.0
    none = dict.fromkeys(("floor_value", "overuse_value", "blackout_value", "hassle_value", "standby_value"), 0.0)
    private = {name: np.array([value]) for name, value in (none | values).items()}
    return with_fleet(with_prices(base, rt=price), **private)


def with_fleet(m: Month, **changes: NDArray[Any]) -> Month:
    """Return a month of a fleet with other values."""
    m.fleet = replace(m.fleet, **changes)
    return m


def test_each_private_value_by_hand() -> None:
    """A spike of an hour of .30 USD/kWh: what the battery sells in it, less what each value takes of it."""
    free = most(one_battery())
    fleet = one_battery().fleet
    sold = min(float(fleet.bess_kw[0]), float((fleet.bess_init_kwh - fleet.bess_min_kwh)[0]) * 0.95)
    assert free == pytest.approx(most(one_battery(), Wishes.FREE), rel=2e-3)
    # hassle: .30 USD an hour for nearly all of its power, whatever is sold beyond .05 kWh
    share = (sold - 0.05) / (float(fleet.bess_kw[0]) - 0.05)
    assert free - most(one_battery(hassle_value=0.3)) == pytest.approx(0.3 * share, abs=0.01)
    # over-use: .20 USD per kWh beyond the day's limit
    over = sold - float(fleet.day_discharge_kwh[0])
    assert over > 0.0
    assert free - most(one_battery(overuse_value=0.2)) == pytest.approx(0.2 * over, abs=0.01)
    # a blackout window over all of it: .15 USD per kWh sold, and as much for each that is bought
    dark = with_fleet(one_battery(blackout_value=0.15), blackout=np.array([[[0, 672], [-1, -1]]]))
    assert free - most(dark) > 0.15 * sold - 1e-6


def test_a_floor_that_is_dear_enough_is_kept() -> None:
    """10 USD per kWh and hour below the floor: nobody sells below it for a quarter of an hour at .30 USD/kWh."""
    m = one_battery(floor_value=10.0)
    fleet = m.fleet
    full = np.minimum(fleet.bess_max_kwh, fleet.bess_init_kwh + 2 * 0.95 * fleet.bess_kw * 0.25)  # filled for nothing
    most_kwh, above = (
        float(np.minimum(fleet.bess_kw, (full - low) * 0.95)[0])
        for low in (fleet.bess_min_kwh, np.maximum(fleet.floor_kwh, fleet.bess_min_kwh))
    )
    assert above < most_kwh - 0.05
    assert most(one_battery()) - most(m) == pytest.approx((most_kwh - above) * (0.3 - 0.063), rel=0.05)
