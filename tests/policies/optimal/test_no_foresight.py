"""`U_na` bounds every policy without foresight on the mean, and is exact where penalties are."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog
from support import begin, month, with_prices
from vpp_policies.optimal.ceilings import bracket
from vpp_policies.optimal.devices import Goal, Measure, Wishes, devices
from vpp_policies.optimal.no_foresight import bracket_without_foresight, facing
from vpp_policies.optimal.penalties import Faced, Law, penalty, values
from vpp_policies.optimal.storage import Store, backward

from vpp_env.contract.policy import make_policy
from vpp_env.contract.views import Information
from vpp_env.errors import PolicyError
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import market_rules, simulate
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view

PRICES = np.array([0.05, 0.2, 0.6])
CHANCE = np.array([0.5, 0.3, 0.2])
STEPS, SIZE = 5, 4.0


def toy(power: float, wear: float) -> Store:
    """A battery of 4 kWh without losses, 1 kWh in it; what is left is worth .1 a kWh."""
    zero, at_price = np.zeros(STEPS), np.tile([CHANCE @ PRICES, 0.0], (STEPS, 1))
    width = np.tile([power, 0.0], (STEPS, 1))
    return Store(
        lo=np.zeros(STEPS + 1), hi=np.full(STEPS + 1, SIZE), ext=np.zeros(STEPS + 1), ext_price=0.0,
        in_w=width, in_m=at_price, out_w=width.copy(), out_m=at_price - np.array([wear, 0.0]), hold=zero.copy(),
        wanted=zero.copy(), short=zero.copy(), end=0.1, start=1.0,
    )  # fmt: skip


def path_law(path: tuple[int, ...], turn: NDArray[np.float64]) -> Law:
    """Three kinds, one node in each: prices are a Markov chain."""
    before = np.eye(3)[[0, *path[:-1]]]
    return Law(
        price=np.tile(PRICES[:, None], (STEPS, 1, 1)),
        came=np.eye(3)[list(path)][:, :, None],
        odds=(before @ turn)[:, :, None],
        within=np.ones((3, 1)),
        turn=turn,
        begin=np.zeros(3),
        chance=np.zeros(STEPS),
    )


def faced(store: Store) -> Faced:
    by = np.tile([1.0, 0.0], (STEPS, 1))
    return Faced(store, np.full(STEPS, CHANCE @ PRICES), by, by.copy())


def paid(store: Store, lmp: NDArray[np.float64], wear: float) -> Store:
    price = np.stack([lmp, np.zeros(STEPS)], axis=1)
    return store._replace(in_m=price, out_m=price - np.array([wear, 0.0]))


def best_without_foresight(turn: NDArray[np.float64], power: float, wear: float) -> float:
    """Dynamic program over states of 1/4 kWh, written apart from the product's."""
    grid = np.arange(0.0, SIZE + 0.1, 0.25)
    value = np.tile(0.1 * grid, (3, 1))
    for _ in range(STEPS):
        now = np.empty_like(value)
        for j, price in enumerate(PRICES):
            gone = grid[:, None] - grid[None, :]
            worth = price * gone - wear * np.maximum(gone, 0.0) + value[j][None, :]
            now[j] = np.where(np.abs(gone) <= power + 1e-9, worth, -np.inf).max(axis=1)
        value = turn @ now
    return float(value[0, 4])


TURNS = {"alike": np.tile(CHANCE, (3, 1)), "sticky": 0.6 * np.eye(3) + 0.4 * np.tile(CHANCE, (3, 1))}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
@pytest.mark.parametrize(("power", "wear", "exact"), [(4.0, 0.0, True), (1.0, 0.0, False), (0.5, 0.06, False)])
def test_a_toy_of_which_everything_is_known(turn: NDArray[np.float64], power: float, wear: float, exact: bool) -> None:
    """All 243 paths with their chances: the dual is no less than the best policy, and equal where J is linear."""
    store, best = toy(power, wear), best_without_foresight(turn, power, wear)
    value = values(faced(store), path_law((0,) * STEPS, turn))
    assert value[0, 0, 4] == pytest.approx(best, abs=1e-9)
    dual = foreseen = 0.0
    for path in itertools.product(range(3), repeat=STEPS):
        chance = math.prod(turn[a, b] for a, b in itertools.pairwise((0, *path)))
        lmp = PRICES[list(path)]
        z = penalty(faced(store), path_law(path, turn), value, lmp, 0.15)
        true = paid(store, lmp, wear)
        charged = true._replace(hold=-np.append(z.slope[1:], 0.0))
        bound = backward(charged, STEPS, 0).value - z.constant
        assert backward(charged, STEPS, 0).value == pytest.approx(by_program(charged), abs=1e-8)
        dual += chance * bound
        foreseen += chance * backward(true, STEPS, 0).value
    assert best - 1e-9 <= dual <= foreseen + 1e-9
    # it closes most of what knowing the future is worth
    assert dual - best <= (1e-9 if exact else 0.4 * (foreseen - best))


def by_program(store: Store) -> float:
    """The same store as a linear program: taken, given and held in every step."""
    give, take = store.out_m[:, 0], store.in_m[:, 0]
    cost = np.concatenate([-give, take, -store.hold])
    cost[-1] -= store.end
    eye = np.eye(STEPS)
    balance = np.hstack([eye, -eye, eye - np.eye(STEPS, k=-1)])
    start = np.zeros(STEPS)
    start[0] = store.start
    widths = [(0.0, w) for w in (*store.out_w[:, 0], *store.in_w[:, 0])]
    found = linprog(cost, A_eq=balance, b_eq=start, bounds=[*widths, *[(0.0, SIZE)] * STEPS], method="highs")
    assert found.status == 0
    return -float(found.fun)


def test_a_policy_without_foresight_pays_nothing_on_the_mean() -> None:
    """Whatever depends on past prices alone: here, what follows the reference with a delay, and a fixed cycle."""
    turn = TURNS["sticky"]
    store = toy(1.0, 0.0)
    value = values(faced(store), path_law((0,) * STEPS, turn))
    total = np.zeros(2)
    for path in itertools.product(range(3), repeat=STEPS):
        chance = math.prod(turn[a, b] for a, b in itertools.pairwise((0, *path)))
        z = penalty(faced(store), path_law(path, turn), value, PRICES[list(path)], 0.15)
        dear = np.array([0, *path[:-1]]) > 0
        late = np.clip(1.0 + np.concatenate([[0.0], np.cumsum(np.where(dear, -1.0, 1.0))[:-1]]), 0.0, SIZE)
        cycle = np.array([1.0, 2.0, 3.0, 2.0, 1.0])
        total += chance * np.array([z.slope @ s + z.constant for s in (late, cycle)])
    np.testing.assert_allclose(total, 0.0, atol=1e-12)


def ends(m: Month) -> tuple[float, float]:
    """U_na and U_welfare of a month, USD."""
    world = begin(m)
    view, rules = build_view(world, Information.ORACLE), market_rules(world)
    goal, law = Goal(Measure.VALUE, Wishes.PRICED, rules), m.price_law
    assert law is not None
    given = view.homes, view.foresight(), goal, rules.max_capacity_kw
    return bracket_without_foresight(*given, law).upper, bracket(*given).upper


def test_sums_over_seeds() -> None:
    names = ("idle", "truthful", "constant", "stochastic", "random")
    earned, na, welfare = dict.fromkeys(names, 0.0), [], []
    for seed in range(1000, 1006):
        m = month("week20", {}, seed)
        found = ends(m)
        na.append(found[0])
        welfare.append(found[1])
        for name in names:
            earned[name] += summarize(simulate(m, make_policy(name))).welfare
    assert max(earned.values()) <= sum(na)
    # on single months it may be on either side
    assert sum(na) <= sum(welfare)


def test_nothing_of_the_penalties_knows_the_future() -> None:
    """Values, their shadow prices and slopes stay as they are when prices from some step on are others."""
    m = month("week20", {"time.duration_hours": 48}, 10000)
    world = begin(m)
    view, rules = build_view(world, Information.ORACLE), market_rules(world)
    goal, law, step = Goal(Measure.VALUE, Wishes.PRICED, rules), m.price_law, 100
    assert law is not None
    f = view.foresight()
    later = np.where(np.arange(f.n_steps) >= step, 0.9, f.lmp)
    came = law.came.copy()
    came[step:] = 0.0
    came[step:, 0, 0] = 1.0
    odds = law.odds.copy()
    odds[step + 1 :] = 1.0 / odds[0].size
    other = replace(law, lmp=later, came=came, odds=odds)
    changed = replace(f, lmp=later, sale=later + (f.sale - f.lmp))
    given = [facing(view.homes, a, goal, rules.max_capacity_kw, b)[1] for a, b in ((f, law), (changed, other))]
    for one, two, device in zip(*given, devices(view.homes, f, goal), strict=True):
        value = [values(x, Law(*(np.array(getattr(y, n)) for n in Law._fields))) for x, y in ((one, law), (two, other))]
        np.testing.assert_array_equal(value[0], value[1])
        z = [
            penalty(x, Law(*(np.array(getattr(y, n)) for n in Law._fields)), v, np.array(y.lmp), 0.15)
            for x, y, v in ((one, law, value[0]), (two, other, value[1]))
        ]
        np.testing.assert_array_equal(z[0].slope[:step], z[1].slope[:step])
        assert device.store.start == one.store.start


def test_it_refuses_what_it_cannot_bound() -> None:
    m = month("quick", {"fleet.size": 3}, 10000)
    world = begin(m)
    view, rules = build_view(world, Information.ORACLE), market_rules(world)
    law = m.price_law
    assert law is not None
    given = view.homes, view.foresight()
    with pytest.raises(PolicyError, match="private values only"):
        bracket_without_foresight(*given, Goal(Measure.VALUE, Wishes.ASKS, rules), 1e3, law)
    goal = Goal(Measure.VALUE, Wishes.PRICED, rules)
    with pytest.raises(PolicyError, match="its prices are others"):
        bracket_without_foresight(*given, goal, 1e3, replace(law, lmp=law.lmp + 1.0))
    short = replace(law, came=law.came[:-1])
    with pytest.raises(PolicyError, match="steps"):
        bracket_without_foresight(*given, goal, 1e3, short)
    assert with_prices(m, rt=30.0).price_law is None
