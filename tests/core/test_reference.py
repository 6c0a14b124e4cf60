"""The compiled loops against the readable reference: the same bits, in any block split, process and thread count."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference as ref
from support import STYLES, begin, month, play

from vpp_env.core import layout as lay
from vpp_env.core import loops as kernels
from vpp_env.simulation.month import Month

RICH = {"fleet.share_bess": 0.8, "fleet.share_ev": 0.8, "fleet.v2g_share": 0.6, "time.duration_hours": 96}
CASES = [
    {"fleet.size": 150, **RICH},
    {"fleet.size": 60, **RICH, "home.control": "self_consumption", "time.start": "2023-08-04T00:00"},
    {"fleet.size": 40, **RICH, "time.start": "2023-11-04T00:00", "market.reserve_minutes": 60.0},
]


def baseline_at(baseline: lay.BaselineDay, k: int, i: int) -> ref.Baseline:
    return ref.Baseline(*(float(row[k, i]) for row in baseline))


def some_state(rng: np.random.Generator, m: Month, baseline: lay.BaselineDay, k: int) -> np.ndarray:
    """A state that could be: batteries anywhere inside their limits, cars no fuller than their baselines."""
    p, s = m.parameters, lay.initial_state(m.fleet)
    n = m.fleet.n
    s[lay.SOC_B] = p[lay.BESS_MIN] + rng.choice([0.0, 1.0, 0.5, rng.random()], n) * (p[lay.BESS_MAX] - p[lay.BESS_MIN])
    s[lay.SOC_E] = baseline.ev_soc[k] * rng.choice([1.0, 0.999, 0.9, 0.5, 0.0], n)
    s[lay.DIS_DAY] = rng.choice([0.0, 0.3, 1.0], n) * p[lay.CYCLE_LIMIT]
    s[lay.BREACH_DAY] = rng.integers(-1, 3, n)
    s[lay.EV_DEPTH] = rng.choice([0.0, 0.1], n)
    return s


def some_order(rng: np.random.Generator, n: int) -> np.ndarray:
    """Orders from nothing to more than can be; a sale and a purchase never together."""
    order = rng.uniform(0.0, 25.0, (3, n)) * (rng.random((3, n)) < 0.6)
    order[2, order[0] + order[1] > 0] = 0.0
    return order


@pytest.mark.parametrize("case", range(len(CASES)))
def test_the_baseline_is_the_reference(case: int) -> None:
    m = month("week20", CASES[case])
    homes = [ref.home_of(m.parameters, m.constants, i) for i in range(min(m.fleet.n, 40))]
    start = lay.initial_state(m.fleet)
    state = [(float(start[lay.SOC_B, i]), float(start[lay.SOC_E, i]), -1.0) for i in range(len(homes))]
    for day in range(3):
        plan, baseline = m.day(day)
        for k in range(m.calendar.offset if day == 0 else 0, len(plan.load)):
            for i, home in enumerate(homes):
                got, *after = ref.baseline_step(home, ref.step_of(plan, k, i), *state[i])
                state[i] = (after[0], after[1], after[2])
                assert got == baseline_at(baseline, k, i), (day, k, i)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_one_step_is_the_reference(case: int) -> None:
    m = month("week20", CASES[case])
    c, p, n = m.constants, m.parameters, m.fleet.n
    homes = [ref.home_of(p, c, i) for i in range(n)]
    rng = np.random.default_rng(case)
    touched = np.zeros(lay.N_OUT)
    for _ in range(25):
        plan, baseline = m.day(int(rng.integers(0, 4)))
        k = int(rng.integers(0, len(plan.load)))
        s, order = some_state(rng, m, baseline, k), some_order(rng, n)
        expected = [[float(v) for v in s[:, i]] for i in range(n)]
        quote, event, out = np.zeros((lay.N_QUOTE, n)), np.zeros((lay.N_EVENT, n)), np.zeros((lay.N_OUT, n))
        kernels.prepare(c, p, s, plan, baseline, k, quote, event)
        for i, home in enumerate(homes):
            before = float(baseline.ev_soc[k - 1, i])
            got = ref.begin(home, ref.step_of(plan, k, i), baseline_at(baseline, k, i), before, expected[i])
            assert got == (list(quote[:, i]), list(event[:, i])), (k, i)
        kernels.deliver(c, p, s, plan, baseline, k, order, out)
        for i, home in enumerate(homes):
            sells, calls, buys = (float(v) for v in order[:, i])
            flows = ref.deliver(
                home, ref.step_of(plan, k, i), baseline_at(baseline, k, i), expected[i], (sells, calls, buys)
            )
            assert flows == list(out[:, i]), (k, i)
        assert np.array_equal(s, np.array(expected).T)
        touched += np.abs(out).sum(axis=1)
    unused = [lay.B_HOME_DIS] if "home.control" not in CASES[case] else []
    assert (np.delete(touched, unused) > 0).all(), "every flow was exercised"


def test_a_day_of_steps_stays_the_reference() -> None:
    m = month("week20", CASES[1])
    c, p, n = m.constants, m.parameters, 30
    p = np.ascontiguousarray(p[:, :n])
    homes = [ref.home_of(p, c, i) for i in range(n)]
    s = np.ascontiguousarray(lay.initial_state(m.fleet)[:, :n])
    expected = [[float(v) for v in s[:, i]] for i in range(n)]
    rng = np.random.default_rng(7)
    plan, baseline = (cut(x, slice(0, n)) for x in m.day(0))
    quote, event, out = np.zeros((lay.N_QUOTE, n)), np.zeros((lay.N_EVENT, n)), np.zeros((lay.N_OUT, n))
    for k in range(len(plan.load)):
        kernels.prepare(c, p, s, plan, baseline, k, quote, event)
        order = some_order(rng, n)
        order[:2] = np.minimum(order[:2], quote[lay.SELL_HARD] / 2)
        kernels.deliver(c, p, s, plan, baseline, k, order, out)
        for i, home in enumerate(homes):
            step, now = ref.step_of(plan, k, i), baseline_at(baseline, k, i)
            ref.begin(home, step, now, float(baseline.ev_soc[k - 1, i]), expected[i])
            ref.deliver(home, step, now, expected[i], (float(order[0, i]), float(order[1, i]), float(order[2, i])))
        assert np.array_equal(s, np.array(expected).T), k


def cut(parts: Any, homes: slice) -> Any:
    """The same day for some of the homes."""
    made = []
    for name in parts._fields:
        x = getattr(parts, name)
        by_home = isinstance(x, np.ndarray) and name not in ("week_step", "peak")
        made.append(np.ascontiguousarray(x[..., homes]) if by_home else x)
    return type(parts)(*made)


def test_blocks_of_homes_give_the_same_bits() -> None:
    m = month("week20", CASES[0])
    n, k = m.fleet.n, 75
    rng = np.random.default_rng(3)
    plan, baseline = m.day(1)
    state, order = some_state(rng, m, baseline, k), some_order(rng, n)

    def run(homes: slice) -> np.ndarray:
        p, s, o = (x[:, homes].copy() for x in (m.parameters, state, order))
        width = p.shape[1]
        quote, event, out = (np.zeros((rows, width)) for rows in (lay.N_QUOTE, lay.N_EVENT, lay.N_OUT))
        here, there = cut(plan, homes), cut(baseline, homes)
        kernels.prepare(m.constants, p, s, here, there, k, quote, event)
        kernels.deliver(m.constants, p, s, here, there, k, o, out)
        return np.concatenate([s, quote, event, out])

    whole = run(slice(0, n))
    parts = np.concatenate([run(slice(0, 61)), run(slice(61, n))], axis=1)
    assert np.array_equal(whole, parts)


def fingerprint() -> str:
    """A hash over the outcomes of a short run with random bids."""
    digest = hashlib.sha256()
    world = begin(month("quick", {"fleet.size": 8}, 5))
    for style in STYLES:
        world.reset()
        for outcome in play(world, 9, style):
            for array in (outcome.ledger, outcome.flow_kw, outcome.rewards, *outcome.money):
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
