"""Scores of forecasts: by hand, against a forecaster that knows, and as the command prints them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from support import month
from vpp_benchmarks.cli.main import main as vpp_env_command
from vpp_benchmarks.run.forecasts import SHARES, energy_score, scored
from vpp_policies.forecast import Forecast, make_forecaster

from vpp_env import KWH_PER_MWH, Public

PLAYED = {"fleet.size": 1, "time.duration_hours": 60}


def test_energy_score_by_hand() -> None:
    price, came = np.zeros((2, 4)), np.zeros(4)
    price[1] = [3.0, 4.0, 0.0, 0.0]  # 5 away
    assert energy_score(price, np.array([0.6, 0.4]), came) == pytest.approx(0.4 * 5.0 - 0.5 * 2 * 0.6 * 0.4 * 5.0)
    assert energy_score(price[:1], np.ones(1), price[1]) == pytest.approx(5.0)


def test_who_knows_scores_best_and_noise_is_calibrated() -> None:
    made = month("august", PLAYED, 1000)
    rt = made.series.rt_usd_per_mwh / KWH_PER_MWH
    rng = np.random.default_rng(0)

    def knows(public: Public, hours: int) -> Forecast:
        begin = 4 * public.opportunity
        return Forecast(rt[begin : begin + 4 * hours].reshape(hours, 1, 4), np.ones((hours, 1)), np.zeros((hours, 1)))

    def exchangeable(public: Public, hours: int) -> Forecast:
        """The truth and 200 samples around one centre, all drawn alike: no rank is likelier than another."""
        exact = knows(public, hours).price
        centre = exact + rng.normal(size=exact.shape)
        return Forecast(centre + rng.normal(size=(hours, 200, 4)), np.full((hours, 200), 0.005), np.zeros((hours, 200)))

    found = scored(made, {"knows": knows, "noisy": exchangeable, "day_ahead": make_forecaster("day_ahead")}, [0, 12])
    for h in (0, 12):
        sure, noisy = found["knows", h], found["noisy", h]
        assert sure.pinball == sure.energy == sure.error == 0.0
        assert sure.inside_half == sure.inside_most == 1.0
        assert noisy.pinball > 0.0 < noisy.energy
        assert noisy.inside_most == pytest.approx(0.9, abs=0.06)
        assert noisy.inside_half == pytest.approx(0.5, abs=0.1)
        np.testing.assert_allclose(noisy.ranks, 0.1, atol=0.06)
        assert sum(found["day_ahead", h].ranks) == pytest.approx(1.0)
        assert found["day_ahead", h].pinball > 0.0


def test_pinball_is_the_mean_over_intervals_and_shares() -> None:
    made = month("august", PLAYED | {"time.duration_hours": 4}, 1000)
    rt = made.series.rt_usd_per_mwh[8:16]  # bids for the first two hours would have been due before the month

    def zero(public: Public, hours: int) -> Forecast:
        return Forecast(np.zeros((hours, 1, 4)), np.ones((hours, 1)), np.zeros((hours, 1)))

    expected = np.mean([np.where(rt > 0, s * rt, (s - 1) * rt).mean() for s in SHARES])
    found = scored(made, {"zero": zero}, [0])["zero", 0]
    assert found.pinball == pytest.approx(expected)
    assert found.error == pytest.approx(np.abs(rt).mean())


def test_the_learned_forecaster_beats_the_plain_ones_on_a_validation_month() -> None:
    names = ("day_ahead", "persistence", "seasonal", "learned")
    made = month("august", PLAYED | {"time.duration_hours": 240}, 1003)
    found = scored(made, {name: make_forecaster(name) for name in names}, [0])
    for name in names[:3]:
        assert found["learned", 0].pinball < found[name, 0].pinball
        assert found["learned", 0].energy < found[name, 0].energy


def test_the_command_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = tmp_path / "short.toml"
    quick.write_text('name = "short"\n[time]\nduration_hours = 30\n', encoding="utf-8")
    drawn = tmp_path / "ranks.svg"
    args = ["forecasts", "--scenario", str(quick), "--seeds", "1000:1005", "--forecasters", "day_ahead", "learned"]
    assert vpp_env_command([*args, "--ahead", "0", "2", "--svg", str(drawn)]) == 0
    printed = capsys.readouterr().out
    assert "2 h behind delivery" in printed
    rows = [line for line in printed.splitlines() if line.startswith("| `learned`")]
    assert len(rows) == 2
    assert " [" in rows[0], "five months have an interval"
    bars = ElementTree.parse(drawn).getroot().findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 2 * 10
    assert vpp_env_command(["forecasts", "--forecasters", "dayahead"]) == 2
    assert "Did you mean 'day_ahead'" in capsys.readouterr().err
    assert vpp_env_command(["forecasts", "--ahead", "-1"]) == 2
    assert vpp_env_command(["forecasts", "--measured", "caiso:PGAE:2019-01", "--seeds", "0:2"]) == 2
