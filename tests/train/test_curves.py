"""Learning curves: the statistics, and what the command prints and draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vpp_benchmarks.train.curves import curve, interval, iqm, main, read

from vpp_env import Month, VppError, load_scenario, make_policy, simulate, summarize


def looks(path: Path, seconds: list[float], months: list[list[float]]) -> str:
    columns = {f"month_{j}": [row[j] for row in months] for j in range(len(months[0]))}
    pd.DataFrame({"seconds": seconds, **columns}).to_csv(path, index=False)
    return str(path)


def test_the_interquartile_mean_and_its_interval() -> None:
    assert iqm(np.array([[-100.0, 1.0], [3.0, 500.0]])) == 2.0
    rng = np.random.default_rng(0)
    # seeds that agree leave nothing to draw, however much months differ
    assert interval(np.tile([1.0, 5.0, 9.0, 13.0], (5, 1)), rng) == (7.0, 7.0)
    values = rng.normal(2.0, 1.0, (5, 20))
    low, high = interval(values, rng)
    assert low < iqm(values) < high
    assert high - low < 1.0


def test_a_curve_takes_the_last_look_of_every_run(tmp_path: Path) -> None:
    files = [
        looks(tmp_path / "a.csv", [0.0, 10.0, 40.0], [[0.0, 1.0], [2.0, 3.0], [9.0, 9.0]]),
        looks(tmp_path / "b.csv", [1.0, 12.0], [[0.0, 1.0], [4.0, 5.0]]),
    ]
    rows = curve(read(files), np.array([1.0, 1.0]), np.random.default_rng(0))
    assert rows.seconds.iloc[[0, -1]].tolist() == [1.0, 12.0]
    assert rows["mean"].iloc[[0, -1]].tolist() == [-0.5, 2.5]
    other = tmp_path / "d.csv"
    pd.DataFrame({"x": [1]}).to_csv(other)
    with pytest.raises(VppError, match="vpp-env train"):
        read([str(other)])
    with pytest.raises(VppError, match="one number"):
        read([files[0], looks(tmp_path / "e.csv", [0.0], [[1.0]])])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truthful = [
        float(summarize(simulate(Month(load_scenario("quick"), s), make_policy("truthful")))["welfare"])
        for s in (1000, 1001)
    ]
    file = looks(tmp_path / "a.csv", [0.0, 10.0], [truthful, [w + 2.0 for w in truthful]])
    main([f"mine={file}", "--scenario", "quick", "--out", str(tmp_path / "c.png")])
    first, last = capsys.readouterr().out.splitlines()[2:]
    assert first == "| mine | 1 | 2 | 0 | 0.00 [0.00, 0.00] | 0.00 |"
    assert last == "| mine | 1 | 2 | 10 | 2.00 [2.00, 2.00] | 2.00 |"
    assert (tmp_path / "c.png").stat().st_size > 1000
