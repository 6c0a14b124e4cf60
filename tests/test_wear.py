"""Rainflow wear: textbook counts, turning points, and the figures of a run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import begin, month, random_actions
from vpp_policies.idle import Idle
from vpp_policies.random import Random

from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.simulate import simulate
from vpp_env.evaluation.wear import ChargePaths, life_lost, rainflow_usd


def full(depth: float) -> float:
    return 5.24e-4 * depth**2.03


def test_one_round_trip_is_one_cycle_and_costs_what_the_docs_say() -> None:
    path = np.array([10.0, 2.0, 10.0])
    assert life_lost(path, 10.0) == pytest.approx(full(0.8))
    paths = ChargePaths(np.array([10.0]))
    paths.add(np.array([[6.0], [2.0], [2.0], [7.0], [10.0]]))
    # 300 USD per kWh of a 10 kWh battery, at 3.33e-4 of a life
    assert rainflow_usd(paths, np.array([10.0]), 0.0625)[0] == pytest.approx(3000 * full(0.8))


def test_the_textbook_example() -> None:
    """ASTM E1049-85, figure 6: ranges 3 (half), 4 (one and a half), 6 (half), 8 (one), 9 (half)."""
    path = np.array([-2.0, 1.0, -3.0, 5.0, -1.0, 3.0, -4.0, 4.0, -2.0])
    expected = sum(n * full(r / 10) for r, n in ((3, 0.5), (4, 1.5), (6, 0.5), (8, 1.0), (9, 0.5)))
    assert life_lost(path, 10.0) == pytest.approx(expected)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(seed=st.integers(0, 9999), steps=st.integers(1, 60), chunk=st.integers(1, 7))
def test_turning_points_are_all_that_counts(seed: int, steps: int, chunk: int) -> None:
    rng = np.random.default_rng(seed)
    path = np.round(np.clip(5 + np.cumsum(rng.choice([-1.0, 0.0, 0.0, 1.5], (steps, 3)), axis=0), 0, 10), 3)
    start = np.full(3, 5.0)
    paths = ChargePaths(start)
    for first in range(0, steps, chunk):
        paths.add(path[first : first + chunk])
    kept = paths.series()
    for i in range(3):
        whole = np.concatenate([start[i : i + 1], path[:, i]])
        assert len(kept[i]) <= len(whole) + 1
        assert life_lost(kept[i], 10.0) == pytest.approx(life_lost(whole, 10.0), abs=1e-15)


def test_a_run_says_what_its_batteries_lost_beyond_their_baselines() -> None:
    m = month(
        "week20", {"fleet.size": 10, "fleet.share_bess": 0.7, "time.duration_hours": 48, "market.min_bid_mw": 0.0}
    )
    idle = simulate(m, Idle())
    spec = m.scenario.satisfaction
    homes = prosumer_table(idle.record, spec, Idle.info)
    assert not homes["wear_rainflow_usd"].any(), "an idle home is its baseline"
    assert (homes["wear_rainflow_baseline_usd"][m.fleet.bess_kwh > 0] >= 0).all()
    busy = simulate(m, Random())
    homes, kpis = prosumer_table(busy.record, spec, Random.info), summarize(busy)
    assert (homes["wear_rainflow_usd"][m.fleet.bess_kwh == 0] == 0).all()
    assert kpis["wear_rainflow_usd"] == pytest.approx(homes["wear_rainflow_usd"].sum())
    assert kpis["wear_rainflow_usd"] > 0
    assert kpis["wear_linear_usd"] == pytest.approx(homes["wear_usd"].sum())


def test_paths_are_those_of_the_batteries() -> None:
    m = month("week20", {"fleet.size": 6, "fleet.share_bess": 1.0, "time.duration_hours": 24})
    world, rng = begin(m), np.random.default_rng(0)
    path = [m.fleet.bess_init_kwh]
    paths = ChargePaths(path[0])
    while not world.done:
        o = world.step(random_actions(rng, 6))
        np.testing.assert_allclose(o.soc_home_kwh.sum(axis=3)[:, :, 0], o.soc_kwh[:, :, 0])
        paths.add(o.soc_home_kwh[:, 0, 0])
        path.extend(o.soc_home_kwh[:, 0, 0])
    for i in range(6):
        whole = np.array(path)[:, i]
        got = rainflow_usd(paths, m.fleet.bess_kwh, 0.063)[i]
        assert got == pytest.approx(0.063 * 4800 * m.fleet.bess_kwh[i] * life_lost(whole, m.fleet.bess_kwh[i]))


def test_a_fleet_without_batteries_has_no_wear() -> None:
    run = simulate(month("week20", {"fleet.share_bess": 0.0, "time.duration_hours": 24}), Random())
    assert not run.record.rainflow_usd().any()
    assert len(run.record.rows) == 24
