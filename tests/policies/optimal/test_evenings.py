"""Owners who drop out of called evenings: a lower ceiling, and still nobody exceeds it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from support import begin, month
from test_firm_ceiling import CHEAP, DEAR, FIRM, HARD, STYLES, Attacker, Signer, best_of
from vpp_benchmarks.run.ceilings import dropped
from vpp_policies.optimal.ceilings import GAP, Bracket, bracket, solve
from vpp_policies.optimal.devices import Goal, Measure, Wishes, devices
from vpp_policies.optimal.evenings import baseline_bonus, closed, uncommitted_usd, without_bonus
from vpp_policies.optimal.no_foresight import bracket_without_foresight
from vpp_policies.optimal.shadow import ceiling, priced
from vpp_policies.optimal.storage import backward

from vpp_env.contract.policy import make_policy
from vpp_env.contract.views import Information
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import market_rules, simulate
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view

OUT = FIRM | {"preferences.willingness": ((0.0, 0.01),) * 3, "preferences.private_value_factor": 0.2}
"""Every fourth owner drops out, and wishes are cheap."""
LONG = OUT | {"time.duration_hours": 144}  # four evenings


def start(m: Month, wishes: Wishes = Wishes.PRICED) -> tuple[Any, Any, Goal]:
    world = begin(m)
    view = build_view(world, Information.ORACLE)
    return view.homes, view.foresight(), Goal(Measure.VALUE, wishes, market_rules(world))


def lower_and_old(m: Month) -> tuple[Bracket, Bracket]:
    homes, f, goal = start(m)
    kw = goal.rules.max_capacity_kw
    return bracket(homes, f, goal, kw, evenings=dropped(m)), bracket(homes, f, goal, kw)


QUICK = {"as it is": "evening", "late restore": "drain", "self-consumption": "pump", "all are called": "edge"}
"""Case -> the attacker's style; the other cases and styles are slow."""


@pytest.mark.parametrize("case", QUICK)
def test_nobody_exceeds_it(case: str) -> None:
    m, ceiling_usd = lowered(case)
    for kpis in best_of(m, QUICK[case], True):
        assert kpis["welfare"] <= ceiling_usd + 1e-6
    assert summarize(simulate(m, make_policy("dual(goal='welfare')")))["welfare"] <= ceiling_usd + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("case", HARD)
def test_nobody_exceeds_it_whatever_the_case(case: str) -> None:
    m, ceiling_usd = lowered(case)
    for style in STYLES:
        for free, attacker in ((False, Attacker), (True, Attacker), (False, Signer)):
            for kpis in best_of(m, style, free, attacker):
                assert kpis["welfare"] <= ceiling_usd + 1e-6, (style, free, attacker)
    for name in CHEAP + DEAR:
        assert summarize(simulate(m, make_policy(name)))["welfare"] <= ceiling_usd + 1e-6, name


def lowered(case: str) -> tuple[Month, float]:
    """A month of a hard case, and its ceiling: no higher than with everybody in, but for what prices are worth."""
    m = month("week20", OUT | HARD[case], list(HARD).index(case) % 3)
    new, old = lower_and_old(m)
    assert new.lower <= new.upper <= old.upper * (1.0 + GAP)
    return m, new.upper


def test_nobody_exceeds_it_by_leaving_evenings_out() -> None:
    """Who does not commit a called evening has everybody in on it: every pattern over four evenings."""
    m = month("week20", LONG | {"market.capacity_call_usd_per_mwh": 0.0}, 1)
    assert len(dropped(m)) == 4
    assert any(e.out.any() for e in dropped(m))
    new, old = lower_and_old(m)
    assert new.upper < old.upper - 1e-3
    for pattern in itertools.product((0.0, 4.0), repeat=4):
        kpis = summarize(simulate(m, Attacker("evening", list(pattern), True)))
        assert kpis["welfare"] <= new.upper + 1e-6, pattern


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("wishes", [Wishes.PRICED, Wishes.FREE])
def test_every_pattern_of_commitments_is_bounded(seed: int, wishes: Wishes) -> None:
    """All sixteen patterns solved one by one, at the same shadow prices."""
    m = month("week20", LONG | {"market.capacity_call_usd_per_mwh": 0.0}, seed)
    homes, f, goal = start(m, wishes)
    out = dropped(m)
    found = solve(homes, f, goal, goal.rules.max_capacity_kw, evenings=out)
    prices = [found.prices(d) for d in range(len(found.devices))]

    def made(left: list[int], bonus: bool = False) -> Any:
        g = f
        for j in left if not bonus else []:
            g = without_bonus(g, homes, goal, out[j])
        return closed(devices(homes, g, goal), g, [e for j, e in enumerate(out) if j not in left])

    hours = goal.rules.reserve_hours
    bound = uncommitted_usd(out, found.devices, lambda j, paid: made([j], paid), prices, hours)
    worth = []
    for count in range(5):
        for left in itertools.combinations(range(4), count):
            total = 0.0
            for device, price in zip(made(list(left)), prices, strict=True):
                value = backward(priced(device, price, hours, 0.25), 1, 2).value
                total += ceiling(device, price, value, hours, 0.25)
            worth.append((total, left))
    assert max(total for total, left in worth if left) <= bound + 1e-9


def test_the_baselines_bonus_of_the_evenings_is_that_of_the_month() -> None:
    m = month("week20", LONG | {"home.control": "self_consumption"})
    homes, f, goal = start(m)
    parts = [baseline_bonus(f, homes, goal, e) for e in dropped(m)]
    assert np.abs(parts).max() > 0.0
    np.testing.assert_allclose(np.sum(parts, axis=0), f.baseline_bonus_usd, rtol=0.0, atol=1e-9)


def test_where_everybody_stays_in_nothing_changes() -> None:
    m = month("week20", FIRM | {"preferences.willingness": ((1.0, 1.0),) * 3})
    assert not any(e.out.any() for e in dropped(m))
    new, old = lower_and_old(m)
    assert new.upper == pytest.approx(old.upper, rel=1e-9)


def test_u_na_bounds_sums_of_months_with_evenings() -> None:
    names = ("truthful", "constant", "posted")
    earned, ceilings, before = dict.fromkeys(names, 0.0), 0.0, 0.0
    for seed in range(1000, 1004):
        m = month("week20", OUT, seed)
        law = m.price_law
        assert law is not None
        homes, f, goal = start(m)
        given = homes, f, goal, goal.rules.max_capacity_kw, law
        ceilings += bracket_without_foresight(*given, evenings=dropped(m)).upper
        before += bracket_without_foresight(*given).upper
        for name in names:
            earned[name] += summarize(simulate(m, make_policy(name)))["welfare"]
    assert 0.0 < max(earned.values()) <= ceilings
    assert ceilings < before - 1.0
