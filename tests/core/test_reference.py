"""The compiled loops against the readable reference: the same bits, in any block split, process and thread count."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference as ref
import run
from support import STYLES, begin, leaves, month, play

from vpp_env.core.layout import FLOW, N_FLOW, Day, Home, Homes, HomeState, copied, initial_state
from vpp_env.simulation.month import Month

RICH = {"fleet.share_bess": 0.8, "fleet.share_ev": 0.8, "fleet.v2g_share": 0.6, "time.duration_hours": 96}
CASES = [
    {"fleet.size": 150, **RICH},
    {"fleet.size": 60, **RICH, "home.control": "self_consumption", "time.start": "2023-08-04T00:00"},
    {"fleet.size": 40, **RICH, "time.start": "2023-11-04T00:00", "market.reserve_minutes": 60.0},
]


def baseline_at(day: Day, k: int, i: int) -> ref.Baseline:
    return ref.Baseline(*(float(row[k, i]) for row in day.baseline))


def some_state(rng: np.random.Generator, m: Month, day: Day, k: int) -> HomeState:
    """A state that could be: batteries anywhere inside their limits, cars no fuller than their baselines."""
    (battery, *_), s, n = m.parameters, initial_state(m.fleet), m.fleet.n
    share = rng.choice([0.0, 1.0, 0.5, rng.random()], n)
    s.battery.soc_kwh[:] = battery.min_kwh + share * (battery.max_kwh - battery.min_kwh)
    s.vehicle.soc_kwh[:] = day.baseline.ev_soc[k] * rng.choice([1.0, 0.999, 0.9, 0.5, 0.0], n)
    s.battery.discharged_kwh[:] = rng.choice([0.0, 0.3, 1.0], n) * battery.cycle_limit_kwh
    s.battery.below_since[:] = rng.integers(-1, 3, n)
    s.battery.market_kwh[:] = rng.choice([0.0, 0.5, 1.0], n) * s.battery.soc_kwh
    s.vehicle.shortfall[:] = rng.choice([0.0, 0.1], n)
    s.vehicle.lacks[:] = 0.5 * s.vehicle.shortfall
    return s


def some_order(rng: np.random.Generator, n: int) -> np.ndarray:
    """Orders from nothing to more than can be; a sale and a purchase never together."""
    order = rng.uniform(0.0, 25.0, (3, n)) * (rng.random((3, n)) < 0.6)
    order[2, order[0] + order[1] > 0] = 0.0
    return order


def same_state(homes: Homes, expected: list[ref.State]) -> bool:
    pairs = zip(leaves(homes.state), leaves(ref.states_of(expected)), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def refs_of(m: Month, n: int) -> list[ref.Home]:
    return [ref.home_of(m.parameters, m.rules, i) for i in range(n)]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_the_baseline_is_the_reference(case: int) -> None:
    m = month("week20", CASES[case])
    homes = refs_of(m, min(m.fleet.n, 40))
    start = [ref.state_of(initial_state(m.fleet), i) for i in range(len(homes))]
    state = [(s.soc_b, s.soc_e, -1.0) for s in start]
    for number in range(3):
        day = m.day(number)
        for k in range(m.calendar.offset if number == 0 else 0, len(day.plan.load)):
            for i, home in enumerate(homes):
                got, *after = ref.baseline_step(home, ref.step_of(day.plan, k, i), *state[i])
                state[i] = (after[0], after[1], after[2])
                assert got == baseline_at(day, k, i), (number, k, i)


def some_contracts(rng: np.random.Generator, own: Home) -> Home:
    """Limits as contracts move them, for some of the homes."""
    b, v, n = own.battery, own.vehicle, len(own.buy_limit)
    floor = b.min_kwh + rng.choice([0.0, 0.5, 1.0], n) * np.maximum(b.floor_kwh - b.min_kwh, 0.0)
    ready = np.where(rng.random(n) < 0.5, v.target_kwh * rng.uniform(0.2, 0.9, n), np.inf)
    return copied(
        own._replace(
            battery=b._replace(
                floor_kwh=floor, breach_kwh=np.minimum(floor, b.floor_kwh), day_limit_kwh=1.7 * b.day_limit_kwh
            ),
            vehicle=v._replace(ready_kwh=ready, lack_kwh=0.9 * ready, on_reserve=rng.choice([0.0, 1.0], n)),
            waived=rng.choice([0.0, 1.0], n),
        )
    )


@pytest.mark.parametrize("contracts", [False, True])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_one_step_is_the_reference(case: int, contracts: bool) -> None:
    m = month("week20", CASES[case])
    n, rules = m.fleet.n, m.rules
    rng, references = np.random.default_rng(case), refs_of(m, m.fleet.n)
    touched = np.zeros(N_FLOW)
    for _ in range(25):
        day = m.day(int(rng.integers(0, 4)))
        k = int(rng.integers(0, len(day.plan.load)))
        homes, order = run.homes_of(m, some_state(rng, m, day, k)), some_order(rng, n)
        if contracts:
            homes = homes._replace(home=some_contracts(rng, homes.home))
            references = [ref.home_of(homes.home, rules, i) for i in range(n)]
        expected = [ref.state_of(homes.state, i) for i in range(n)]
        booked = run.begin(homes, day, k)
        for i, home in enumerate(references):
            before = float(day.baseline.ev_soc[k - 1, i])
            quote, events = ref.begin(home, ref.step_of(day.plan, k, i), baseline_at(day, k, i), before, expected[i])
            assert quote == tuple(x[i] for x in homes.quote), (k, i)
            assert (*events[:3], rules.away * events[3], events[4]) == tuple(booked[:, i]), (k, i)
        free = rng.random(n) < 0.5
        out = run.deliver(homes, day, k, order, free)
        for i, home in enumerate(references):
            sells, calls, buys = (float(v) for v in order[:, i])
            step, now = ref.step_of(day.plan, k, i), baseline_at(day, k, i)
            flows = ref.deliver(home, step, now, expected[i], (sells, calls, buys), bool(free[i]))
            assert flows == tuple(out[:, i]), (k, i)
        assert same_state(homes, expected)
        touched += np.abs(out).sum(axis=1)
    unused = [FLOW.home_discharge] if "home.control" not in CASES[case] else []
    assert (np.delete(touched, unused) > 0).all(), "every flow was exercised"


def test_a_day_of_steps_stays_the_reference() -> None:
    m, n = month("week20", CASES[1]), 30
    references, rng = refs_of(m, n), np.random.default_rng(7)
    homes, day = run.cut(run.homes_of(m, initial_state(m.fleet)), m.day(0), slice(0, n))
    expected = [ref.state_of(homes.state, i) for i in range(n)]
    for k in range(len(day.plan.load)):
        run.begin(homes, day, k)
        order = some_order(rng, n)
        order[:2] = np.minimum(order[:2], homes.quote.sell / 2)
        run.deliver(homes, day, k, order)
        for i, home in enumerate(references):
            step, now = ref.step_of(day.plan, k, i), baseline_at(day, k, i)
            ref.begin(home, step, now, float(day.baseline.ev_soc[k - 1, i]), expected[i])
            ref.deliver(home, step, now, expected[i], (float(order[0, i]), float(order[1, i]), float(order[2, i])))
        assert same_state(homes, expected), k


def test_blocks_of_homes_give_the_same_bits() -> None:
    m = month("week20", CASES[0])
    n, k = m.fleet.n, 75
    rng = np.random.default_rng(3)
    day = m.day(1)
    all_homes, order = run.homes_of(m, some_state(rng, m, day, k)), some_order(rng, n)

    def block(some: slice) -> np.ndarray:
        homes, here = run.cut(all_homes, day, some)
        booked = run.begin(homes, here, k)
        out = run.deliver(homes, here, k, order[:, some])
        return np.concatenate([*([x] for x in leaves((homes.state, homes.quote))), booked, out])

    whole = block(slice(0, n))
    parts = np.concatenate([block(slice(0, 61)), block(slice(61, n))], axis=1)
    assert np.array_equal(whole, parts)


def fingerprint() -> str:
    """A hash over the outcomes of a short run with random bids."""
    digest = hashlib.sha256()
    world = begin(month("quick", {"fleet.size": 8}, 5))
    for style in STYLES:
        world.reset()
        for outcome in play(world, 9, style):
            for array in (outcome.ledger, outcome.flow_kw, *outcome.money):
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def test_processes_threads_and_hash_seeds_change_nothing() -> None:
    here = Path(__file__).parent
    code = "from test_reference import fingerprint; print(fingerprint())"
    for threads, hash_seed in (("1", "0"), ("2", "4242")):
        paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
        env = os.environ | {"NUMBA_NUM_THREADS": threads, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": paths}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == fingerprint()
