"""One store against prices: the dynamic program against a linear program written apart from it, and by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog
from vpp_policies.optimal.storage import BaseStock, Store, backward, room_for_steps, step

from vpp_env.jit import kernel

STEPS = 24


@kernel
def stepped(
    store: Store, policy: BaseStock, k: int, s: float, took: NDArray[np.float64], gave: NDArray[np.float64]
) -> float:
    """Call `step`, which becomes part of the kernel that calls it."""
    return step(store, policy, k, s, took, gave, room_for_steps())


def battery_like(rng: np.random.Generator) -> Store:
    """Fixed limits, two segments on each side, some of no width; prices of either sign, energy held has a price."""
    t, high = STEPS, rng.uniform(2.0, 10.0)
    return Store(
        lo=np.full(t + 1, 1.0),
        hi=np.full(t + 1, 1.0 + high),
        ext=np.zeros(t + 1),
        ext_price=0.0,
        in_w=rng.uniform(0.0, 2.0, (t, 2)) * (rng.random((t, 2)) < 0.8),
        in_m=rng.normal(0.05, 0.1, (t, 2)),
        out_w=rng.uniform(0.0, 2.0, (t, 2)) * (rng.random((t, 2)) < 0.8),
        out_m=rng.normal(0.08, 0.1, (t, 2)),
        hold=rng.choice([0.0, 0.01, -0.005], t) * rng.random(t),
        wanted=rng.choice([0.0, 0.3, 0.6], t) * high + rng.uniform(0.0, 1.0, t),
        short=rng.choice([0.0, 0.02, 0.3], t) * rng.random(t),
        end=float(rng.normal(0.05, 0.05)),
        start=1.0 + high * float(rng.choice([0.0, 1.0, rng.random()])),
    )


def car_like(rng: np.random.Generator) -> Store:
    """What is lacking of a baseline: limits that come and go, none while away, and energy from elsewhere after."""
    t = STEPS
    store = battery_like(rng)
    most = np.repeat(rng.uniform(0.5, 6.0, t // 4 + 1), 4)[: t + 1]
    ext = np.zeros(t + 1)
    home = rng.integers(1, t, 3)
    ext[home] = rng.uniform(0.0, 6.0, 3)
    away = (rng.random(t) < 0.3)[:, None]
    return store._replace(
        lo=-most,
        hi=np.zeros(t + 1),
        ext=ext,
        ext_price=float(rng.uniform(-0.1, 0.5)),
        in_w=store.in_w * ~away,
        out_w=store.out_w * ~away,
        wanted=-rng.uniform(-0.5, 6.0, t),
        start=-float(rng.choice([0.0, most[0], rng.random() * most[0]])),
    )


def car_that_can(rng: np.random.Generator) -> Store:
    """Limits as ours are: what may lack falls only where a car comes home, and elsewhere is dearer than anything."""
    store = car_like(rng)
    most = float(rng.uniform(2.0, 6.0))
    now = np.full(STEPS + 1, most)
    now[store.ext > 0.0] *= rng.random()
    return store._replace(lo=-now, ext=most - now, ext_price=2.0, start=-float(rng.uniform(0.0, now[0])))


def linear_program(store: Store, one_way: bool = True) -> tuple[float, np.ndarray, np.ndarray]:
    """Optimum, kWh taken in (T, 2) and given out (T, 2); -inf where the start cannot be kept within the limits.

    Columns: taken in (2T), given out (2T), share z of the step spent on taking in (T), held s (T + 1), from elsewhere x
    (T + 1), short of what is wanted y (T). Without `one_way` nothing keeps a step from doing both at full power.
    """
    t = len(store.hold)
    n_s, n_x, n_z, n_y = 5 * t, 6 * t + 1, 4 * t, 7 * t + 2
    cost = np.zeros(8 * t + 2)
    cost[: 2 * t], cost[2 * t : 4 * t] = store.in_m.ravel(), -store.out_m.ravel()
    cost[n_s + 1 : n_s + t + 1] -= store.hold
    cost[n_s + t] -= store.end
    cost[n_x + t] -= store.end
    cost[n_x:n_y] += store.ext_price
    cost[n_y:] = store.short
    balance = sparse.lil_matrix((t, len(cost)))
    keep = sparse.lil_matrix((2 * (t + 1) + t, len(cost)))
    for k in range(t):
        balance[k, [n_s + k, n_x + k, n_s + k + 1]] = 1.0, 1.0, -1.0
        balance[k, [2 * k, 2 * k + 1]] = 1.0
        balance[k, [2 * t + 2 * k, 2 * t + 2 * k + 1]] = -1.0
    for k in range(t + 1):
        keep[k, [n_s + k, n_x + k]] = 1.0
        keep[t + 1 + k, [n_s + k, n_x + k]] = -1.0
    for k in range(t):
        keep[2 * (t + 1) + k, [n_s + k + 1, n_y + k]] = -1.0, -1.0
    least = np.concatenate([store.hi, -store.lo, -store.wanted])
    if one_way:
        rows = sparse.lil_matrix((4 * t, len(cost)))
        for k in range(t):
            for j in range(2):
                rows[4 * k + j, [2 * k + j, n_z + k]] = 1.0, -store.in_w[k, j]
                rows[4 * k + 2 + j, [2 * t + 2 * k + j, n_z + k]] = 1.0, store.out_w[k, j]
        keep = sparse.vstack([keep, rows])
        right = np.zeros((t, 4))
        right[:, 2:] = store.out_w
        least = np.concatenate([least, right.ravel()])
    bounds = [(0.0, w) for w in np.concatenate([store.in_w.ravel(), store.out_w.ravel()])]
    bounds += (
        [(0.0, 1.0)] * t
        + [(store.start, store.start)]
        + [(None, None)] * t
        + [(0.0, e) for e in store.ext]
        + [(0.0, None)] * t
    )
    found = linprog(cost, keep.tocsr(), least, balance.tocsr(), np.zeros(t), bounds, method="highs")
    if found.status == 2:
        return -np.inf, np.zeros((t, 2)), np.zeros((t, 2))
    assert found.status == 0
    return -found.fun, found.x[: 2 * t].reshape(t, 2), found.x[2 * t : 4 * t].reshape(t, 2)


@pytest.mark.parametrize("make", [battery_like, car_like, car_that_can])
def test_it_is_the_linear_program(make: Callable[[np.random.Generator], Store]) -> None:
    rng = np.random.default_rng(1)
    solved = 0
    for _ in range(60):
        store = make(rng)
        best = linear_program(store)[0]
        value = backward(store, STEPS, 0).value
        if best == -np.inf:
            assert value == -np.inf
        else:
            solved += 1
            assert value == pytest.approx(best, rel=1e-9, abs=1e-9)
    assert solved > 20


@pytest.mark.parametrize("make", [battery_like, car_that_can])
def test_the_plan_of_the_base_stocks_earns_what_was_promised(make: Callable[[np.random.Generator], Store]) -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        store = make(rng)
        policy = backward(store, STEPS, 0)
        s, worth, took, gave = store.start, 0.0, np.zeros(2), np.zeros(2)
        for t in range(STEPS + 1):
            missing = max(0.0, store.lo[t] - s)
            assert missing <= store.ext[t] + 1e-9
            worth -= missing * store.ext_price
            s += missing
            if t == STEPS:
                break
            after = stepped(store, policy, t, s, took, gave)
            assert after == pytest.approx(s + took.sum() - gave.sum(), abs=1e-9)
            assert (took <= store.in_w[t] + 1e-12).all()
            assert (gave <= store.out_w[t] + 1e-12).all()
            assert after <= store.hi[t + 1] + 1e-9
            worth += gave @ store.out_m[t] - took @ store.in_m[t] + store.hold[t] * after
            worth -= store.short[t] * max(0.0, store.wanted[t] - after)
            s = after
        assert worth + store.end * s == pytest.approx(policy.value, rel=1e-9, abs=1e-9)


def test_levels_rise_with_what_the_next_segment_gives_less() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        store = battery_like(rng)
        levels = backward(store, STEPS, 0).level
        for t in range(STEPS):
            used = levels[t][levels[t] != 0.0]  # 0 is none: such a store never holds less than 1 kWh
            assert (np.diff(used) >= -1e-9).all()


def test_the_grid_holds_the_value_of_other_starts() -> None:
    rng = np.random.default_rng(4)
    for _ in range(10):
        store = battery_like(rng)
        every, points = 6, 5
        grid = backward(store, every, points).grid
        for row, values in enumerate(grid):
            t = row * every
            parts = {name: part[t:] for name, part in store._asdict().items() if isinstance(part, np.ndarray)}
            for g, value in enumerate(values):
                start = store.lo[t] + (store.hi[t] - store.lo[t]) * g / (points - 1)
                if t == STEPS:
                    assert value == pytest.approx(store.end * start, abs=1e-9)
                else:
                    rest = store._replace(**parts, start=float(start))
                    assert value == pytest.approx(backward(rest, STEPS, 0).value, rel=1e-9, abs=1e-9)


def simple(prices: list[float], start: float, eta: float = 1.0, wear: float = 0.0, end: float = 0.0) -> Store:
    """0-4 kWh, 2 kWh a step at the grid, one segment on each side."""
    price = np.array(prices)
    t, none = len(price), np.zeros(len(price))
    return Store(
        lo=np.zeros(t + 1),
        hi=np.full(t + 1, 4.0),
        ext=np.zeros(t + 1),
        ext_price=0.0,
        in_w=np.stack([none + 2.0 * eta, none], axis=1),
        in_m=np.stack([price / eta, none], axis=1),
        out_w=np.stack([none + 2.0 / eta, none], axis=1),
        out_m=np.stack([(price - wear) * eta, none], axis=1),
        hold=np.zeros(t),
        wanted=np.zeros(t),
        short=np.zeros(t),
        end=end,
        start=start,
    )


def test_by_hand() -> None:
    # buy 2 + 2 at .10 and .20, sell 2 + 2 at .50 and .40; .30 is too little to sell a third time for
    store = simple([0.10, 0.50, 0.20, 0.30, 0.40], start=0.0)
    assert backward(store, 5, 0).value == pytest.approx(2 * (0.50 + 0.40 - 0.10 - 0.20))
    # four kWh at the end are worth .35 each: only .50 and .40 beat that, .30 does not
    store = simple([0.50, 0.30, 0.40], start=4.0, end=0.35)
    assert backward(store, 3, 0).value == pytest.approx(2 * 0.50 - 2 * 0.30 + 2 * 0.40 + 2 * 0.35)


@pytest.mark.parametrize("start", [-0.1, 4.1])
def test_a_start_outside_the_limits_has_no_value(start: float) -> None:
    assert backward(simple([0.1, 0.2], start), 2, 0).value == -np.inf


def test_limits_that_nobody_can_keep_have_no_value() -> None:
    store = simple([0.1, 0.2], start=0.0)
    assert backward(store._replace(lo=np.array([0.0, 0.0, 4.5]), hi=np.full(3, 5.0)), 2, 0).value == -np.inf


ETA = 0.95


def threshold(wear: float, eta: float) -> float:
    """Price below which burning energy, charging and discharging at once, pays."""
    return -wear * eta**2 / (1.0 - eta**2)


def test_the_program_itself_never_charges_and_discharges_at_once_above_the_threshold() -> None:
    wear = 0.063
    assert threshold(wear, ETA) < -0.150, "the market's floor is safe at the default wear"
    assert threshold(0.0162, ETA) == pytest.approx(-0.150, abs=1e-4), "the least wear that is"
    rng = np.random.default_rng(5)
    for _ in range(20):
        store = simple(rng.uniform(-0.150, 0.3, 24).tolist(), float(rng.uniform(0, 4)), ETA, wear, 0.05)
        best, took, gave = linear_program(store, one_way=False)
        assert np.minimum(took, gave).max() <= 1e-9
        assert best == pytest.approx(backward(store, 24, 0).value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("beyond", "burns"), [(0.001, False), (-0.001, True)])
def test_just_below_the_threshold_burning_energy_pays(beyond: float, burns: bool) -> None:
    wear = 0.0162
    store = simple([threshold(wear, ETA) + beyond] * 4, 4.0, ETA, wear)
    best, took, gave = linear_program(store, one_way=False)
    assert (best > 1e-6) == burns
    assert (np.minimum(took, gave).max() > 0.1) == burns
