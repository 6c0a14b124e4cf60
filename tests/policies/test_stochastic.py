"""`stochastic`: values against sums made by hand, bids that keep to their owners' prices, a model of other months."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from support import month
from vpp_benchmarks.cli.main import main as vpp_env_command
from vpp_benchmarks.run.fit_prices import fit_seeded
from vpp_policies.forecast import Forecast
from vpp_policies.forecast.learned import (
    BODY,
    CLOCK,
    DEFAULT_MODEL,
    QUARTERS,
    RATIOS,
    TAIL,
    levels,
    load,
    rows_of,
    samples,
    save,
)
from vpp_policies.stochastic.policy import Stochastic
from vpp_policies.stochastic.value import ASKS, LIMITS, Battery, Choice, Odds, bid_all, odds_of, solve_all

from vpp_env import Information, PolicyError, load_scenario, make_policy, simulate
from vpp_env.evaluation.audit import audit
from vpp_env.evaluation.kpi import summarize
from vpp_env.scenario.splits import split_of
from vpp_env.units import Floats

BATTERY = Battery(
    kw=4.0,
    room=8.0,
    day=20.0,
    eta=1.0,
    wear=0.05,
    ask=0.06,
    limit=0.05,
    standby=1.0,
    sun_price=0.0,
    refill=0.0,
    below=0.0,
    floor_price=0.0,
    spare=0.0,
    overuse_price=0.0,
)


def fleet(b: Battery[float]) -> Battery[Floats]:
    """A fleet of one."""
    return Battery(*(np.full(1, x) for x in b))


def certain(prices: list[float]) -> Odds:
    """Odds of hours in which all four quarters have one price."""
    price = np.repeat(np.array(prices)[:, None, None], QUARTERS, axis=2)
    return odds_of(Forecast(price, np.ones((len(prices), 1)), np.zeros((len(prices), 1))), 0.0)


def best_by_hand(prices: list[float], start: float, b: Battery[float]) -> float:
    """Try every way to sell, buy or wait for a whole hour."""
    best = -np.inf
    for plan in itertools.product((-1, 0, 1), repeat=len(prices)):
        held, money = start, 0.0
        for way, price in zip(plan, prices, strict=True):
            if way > 0 and price >= b.ask:
                given = min(b.kw, held)
                money, held = money + given * (price - b.wear), held - given
            if way < 0 and price <= b.limit:
                taken = min(b.kw, b.room - held)
                money, held = money - taken * price, held + taken
        best = max(best, money)
    return best


@pytest.mark.parametrize(
    "prices", [[0.1, 0.5], [0.5, 0.1, 0.4], [0.02, 0.5, 0.04, 0.3], [0.04, 0.04, 0.07, 0.06], [0.01, 0.01, 0.01, 0.01]]
)
@pytest.mark.parametrize("start", [0.0, 4.0, 8.0])
def test_prices_that_are_certain_give_the_best_plan(prices: list[float], start: float) -> None:
    # 4 kWh an hour of 8: every state of a plan lies on the grid's points or between two of equal slope
    values = solve_all(certain(prices), np.arange(len(prices)), np.zeros((len(prices), 1)), fleet(BATTERY))[0]
    got = float(np.interp(start, np.linspace(0.0, BATTERY.room, values.shape[1]), values[0, :, -1]))
    assert got == pytest.approx(best_by_hand(prices, start, BATTERY), abs=0.02)


def test_values_rise_with_what_is_held_and_with_what_may_be_given() -> None:
    model, hours = load(DEFAULT_MODEL), np.arange(30)
    da = 0.05 + 0.04 * np.cos((hours - 19) * np.pi / 12)
    odds = odds_of(Forecast(*samples(model, da, np.full(30, 0.05), hours % 24, 0.0, 1.0)), 0.05)
    values = solve_all(odds, hours % 24, np.zeros((30, 1)), fleet(BATTERY._replace(eta=0.95, refill=0.04)))[0]
    assert (np.diff(values, axis=1) >= -1e-9).all()
    assert (np.diff(values, axis=2) >= -1e-9).all()
    assert values[0, -1, -1] > values[0, 0, -1] + 0.1


def test_scarce_energy_waits_for_the_dear_hour_and_is_bought_back_in_the_cheap_one() -> None:
    prices, b = [0.1, 0.5, 0.01, 0.4], fleet(BATTERY._replace(room=4.0))
    values = solve_all(certain(prices), np.arange(4), np.zeros((4, 1)), b)

    def chosen(h: int, held: float) -> Choice:
        state = np.full(1, held), np.full(1, 20.0)
        return bid_all(values[:, h + 1], certain(prices[h : h + 1]), h, np.zeros(1), state, b)

    first, second, third = chosen(0, 4.0), chosen(1, 4.0), chosen(2, 0.0)
    assert first.ask[0] < 0 or ASKS[first.ask[0]] > 0.1  # does not sell at .1
    assert second.ask[0] >= 0
    assert ASKS[second.ask[0]] <= 0.5
    assert second.out[0] == pytest.approx(4.0)
    assert LIMITS[third.limit[0]] >= 0.01
    assert third.into[0] == pytest.approx(4.0)


def test_the_model_in_the_package_is_what_its_command_makes_on_training_seeds(tmp_path: Path) -> None:
    shipped = load(DEFAULT_MODEL)
    seeds = range(10_000, 10_012)
    assert {split_of(seed) for seed in seeds} == {"training"}
    made = fit_seeded(load_scenario("august"), range(1, 13), seeds)
    save(made, tmp_path / "again.npz")
    assert load(tmp_path / "again.npz").hash == shipped.hash
    assert made.source == shipped.source


def test_samples_are_weighted_and_follow_the_day_ahead_price() -> None:
    model = load(DEFAULT_MODEL)
    da, level = np.array([0.02, 0.05, 0.12]), np.full(3, 0.05)
    price, weight, reserve = samples(model, da, level, np.array([12, 20, 19]), 0.0, 1.0)
    assert price.shape == (3, BODY + TAIL, QUARTERS)
    assert reserve.shape == weight.shape == (3, BODY + TAIL)
    np.testing.assert_allclose(weight.sum(axis=1), 1.0)
    mean = (price.mean(axis=2) * weight).sum(axis=1)
    assert (np.diff(mean) > 0).all()
    assert abs(mean[1] - 0.05) < 0.03
    _, often, _ = samples(model, da, level, np.array([12, 20, 19]), 0.0, 3.0)
    assert (often[:, BODY:] > weight[:, BODY:]).all()
    assert model.off.shape == (len(RATIOS), len(CLOCK), BODY + TAIL, QUARTERS)


def test_levels_look_back_only() -> None:
    da = np.arange(1.0, 400.0)
    changed = da.copy()
    changed[300:] = 9.0
    np.testing.assert_array_equal(levels(da)[:300], levels(changed)[:300])


def test_rows_of_a_month_hold_what_was_known_at_the_gate() -> None:
    da, rt = np.full(16, 0.05), np.full(16, 0.05)
    rt[3] = 0.1
    rows = rows_of(da, rt, np.zeros(16), 6, 5)
    np.testing.assert_allclose(rows.off[0], [0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(rows.before, [0.0, 0.0, 1.0, 0.0])
    np.testing.assert_allclose(rows.clock, [6, 7, 8, 9])


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"nothing")
    with pytest.raises(PolicyError, match="is no price model"):
        Stochastic(forecaster=str(bad))
    np.savez(bad, off=np.array([object()], dtype=object))
    with pytest.raises(PolicyError, match="is no price model"):
        Stochastic(forecaster=str(bad))
    with pytest.raises(PolicyError, match="is no price model"):
        Stochastic(forecaster=str(tmp_path / "absent.npz"))


def test_the_command_refuses_seeds_that_are_not_for_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vpp_env_command(["fit-prices", "--out", str(tmp_path / "x.npz"), "--seeds", "0:3"]) == 2
    assert "training seeds" in capsys.readouterr().err
    assert not (tmp_path / "x.npz").exists()


def test_bids_read_their_own_row_and_the_past_only() -> None:
    found = audit(month("week20", {"fleet.share_bess": 0.8, "time.duration_hours": 30}), "stochastic", gates=2)
    assert found.verdict.value == "verified", found


def test_no_wish_is_broken_and_more_is_earned_than_without_values() -> None:
    got = {}
    for spec in ("stochastic", "truthful"):
        changes = {"fleet.size": 60, "time.duration_hours": 240, "market.min_bid_mw": 0.03}
        runs = [simulate(month("august", changes, seed), make_policy(spec)) for seed in (1000, 1001)]
        assert runs[0].info.information is Information.OWN
        got[spec] = sum(summarize(run).welfare for run in runs)
        if spec == "stochastic":
            assert all(run.record.satisfaction.violations.sum() == 0 for run in runs)
    assert got["stochastic"] > got["truthful"]
