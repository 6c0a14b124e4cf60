"""The law of real-time prices given the past is the generator's own."""

from __future__ import annotations

import numpy as np
import pytest
from support import month
from vpp_benchmarks.run.ceilings import ceilings

from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.month import Month
from vpp_env.traces import price_tables as tables
from vpp_env.traces.price_law import FAST, SIZE, SLOW, PriceLaw, law_of, shares
from vpp_env.traces.real_time import Episode, RealTime, Spikes, spike_size
from vpp_env.traces.series import ar1
from vpp_env.units import KWH_PER_MWH

SPIKY = {"prices.spike_factor": 40.0}


def known(scenario: Scenario, seed: int) -> PriceLaw:
    """Law of a month that has one."""
    law = Month(scenario, seed).price_law
    assert law is not None
    return law


@pytest.fixture(scope="module")
def august() -> Scenario:
    return load_scenario("august")


def test_it_is_of_the_prices_that_are_played(august: Scenario) -> None:
    for name, changes in (("august", SPIKY), ("april", {"prices.level": 2.0}), ("week20", {})):
        made = Month(load_scenario(name).override(changes), 10000)
        law = made.price_law
        assert law is not None
        played = made.series.rt_usd_per_mwh[: made.scenario.n_steps] / KWH_PER_MWH
        np.testing.assert_array_equal(law.lmp, played)


def test_shares_sum_to_one_and_prices_are_near(august: Scenario) -> None:
    law = known(august.override(SPIKY), 10001)
    for share in (law.came, law.odds):
        assert share.min() > -1e-12
        np.testing.assert_allclose(share.sum(axis=(1, 2)), 1.0, atol=1e-12)
    np.testing.assert_allclose(law.turn.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(law.within.sum(axis=1), 1.0, atol=1e-12)
    # what the nodes stand for is near what came: they may be coarse, but not wrong
    near = (law.came * law.price).sum(axis=(1, 2))
    assert np.corrcoef(near, law.lmp)[0, 1] > 0.97
    assert near.mean() == pytest.approx(law.lmp.mean(), rel=0.05)


def test_what_came_is_what_was_expected_on_the_mean(august: Scenario) -> None:
    """Over many months of the generator: no function of a price is foreseen, nor of the past times a surprise."""
    scenario = august.override({**SPIKY, "time.duration_hours": 96})
    laws = [known(scenario, 10_000 + k) for k in range(250)]
    off = np.stack([(law.came - law.odds).reshape(len(law.lmp), -1) for law in laws])
    z = off.sum(axis=1) / np.sqrt((off**2).sum(axis=(0, 1)) / len(laws))
    assert np.abs(z.mean(axis=0)).max() < 4.0 / np.sqrt(len(laws))
    # weighted by what was known before: the node of the step before, and what was expected
    for before in (np.stack([law.came[:-1].reshape(len(law.lmp) - 1, -1) for law in laws]),
                   np.stack([law.odds[1:].reshape(len(law.lmp) - 1, -1) for law in laws])):  # fmt: skip
        total = np.einsum("stn,stm->snm", before, off[:, 1:])
        error = total.std(axis=0) / np.sqrt(len(laws))
        often = error > 1e-3
        assert np.abs(total.mean(axis=0)[often] / error[often]).max() < 5.0  # of some thousand figures


def test_an_episode_by_hand(august: Scenario) -> None:
    steps, chance, long = 6, 0.1, 0.2
    size = np.zeros(steps)
    size[1:4] = spike_size(np.array([0.5, 0.5, 0.9]))
    # a long one from before the window that a short one at 1 writes over; nothing after step 3
    episodes = (Episode(-2, 2, 1, 0.5), Episode(1, 4, 0, 0.5))
    size[0] = spike_size(np.array([0.5]))[0]
    flat, zero = np.full(steps, 40.0), np.zeros(steps)
    drawn = RealTime(
        flat, flat, flat, flat, zero, zero, zero, zero, Spikes(size, np.full(steps, chance), long, episodes)
    )
    law = law_of(august, drawn, 1.0)
    short, other = len(SLOW), len(SLOW) + 1
    stay = tables.SPIKE_STAY
    kinds = law.odds.sum(axis=2)
    calm = (1.0 - chance) * (1.0 - stay[1])
    # at 0 and 1 the long one may go on; at 2 the short one that began at 1, or else the long one
    np.testing.assert_allclose(kinds[0, [short, other]], [chance * 0.8, chance * 0.2 + (1 - chance) * stay[1]])
    np.testing.assert_allclose(kinds[1, :short].sum(), calm)
    going = (1 - chance) * stay[0], (1 - chance) * (1 - stay[0]) * stay[1]
    np.testing.assert_allclose(kinds[2, [short, other]], [chance * 0.8 + going[0], chance * 0.2 + going[1]])
    # at 3 the long one has ended (it was seen to); at 5 nothing is left
    np.testing.assert_allclose(kinds[3, short], chance * 0.8 + going[0])
    np.testing.assert_allclose(kinds[5, :short].sum(), 1.0 - chance)
    assert [int(law.came[t].sum(axis=1).argmax()) for t in range(6)] == [other, short, short, short, 3, 3]
    # its size is the first one again, or any
    even = np.array([0.25, 0.5, 0.25])
    same = (1 - chance) * stay[0] * tables.SPIKE_SAME_SIZE * np.eye(len(SIZE))[1]
    rest = (chance * 0.8 + (1 - chance) * stay[0] * (1 - tables.SPIKE_SAME_SIZE)) * even
    np.testing.assert_allclose(law.odds[2, short], same + rest)


def test_expected_shares_are_integrals() -> None:
    rng = np.random.default_rng(1)
    for mean, sigma in ((0.3, 0.4), (-2.0, 1.0), (5.0, 0.2)):
        drawn = shares(FAST, mean + sigma * rng.standard_normal(200_000)).mean(axis=0)
        np.testing.assert_allclose(shares(FAST, np.array([mean]), "normal", sigma)[0], drawn, atol=5e-3)
    drawn = shares(SIZE, rng.random(200_000)).mean(axis=0)
    np.testing.assert_allclose(shares(SIZE, np.array([0.5]), "uniform")[0], drawn, atol=5e-3)
    # the autoregression is the one that `shares` is told of
    x = ar1(rng.standard_normal(200_000), tables.RT_SLOW_PHI)
    assert np.corrcoef(x[1:], x[:-1])[0, 1] == pytest.approx(tables.RT_SLOW_PHI, abs=5e-3)


def test_there_is_none_where_it_is_not_known() -> None:
    assert month("quick", {"prices.model": "step"}, 0).price_law is None
    measured = Month(load_scenario("quick").for_month("caiso:PGAE:2019-08"), 0, "caiso:PGAE:2019-08")
    assert measured.price_law is None
    assert ceilings(month("quick", {"prices.model": "step", "fleet.size": 2}, 0))["no_foresight"] is None
