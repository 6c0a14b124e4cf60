"""Learning curves: the statistics, and what the command prints and draws."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vpp_benchmarks.cli.curves import main
from vpp_benchmarks.train.curves import curve, interval, iqm, read

from vpp_env import Month, load_scenario, make_policy, simulate, summarize


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
    rows = curve([read(Path(file)) for file in files], np.array([1.0, 1.0]), np.random.default_rng(0))
    assert rows.seconds.iloc[[0, -1]].tolist() == [1.0, 12.0]
    assert rows["mean"].iloc[[0, -1]].tolist() == [-0.5, 2.5]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truthful = [
        float(summarize(simulate(Month(load_scenario("quick"), s), make_policy("truthful")))["welfare"])
        for s in (1000, 1001)
    ]
    file = looks(tmp_path / "a.csv", [0.0, 10.0], [truthful, [w + 2.0 for w in truthful]])
    figure = tmp_path / "c.png"
    assert main([f"mine={file}", "--scenario", "quick", "--figure", str(figure)]) == 0
    said = capsys.readouterr()
    first, last = said.out.splitlines()[2:4]
    assert first == "| mine | 1 | 2 | 0 | 0.00 [0.00, 0.00] | 0.00 |"
    assert last == "| mine | 1 | 2 | 10 | 2.00 [2.00, 2.00] | 2.00 |"
    assert f"truthful, seed 1001: {truthful[1]:.2f} USD" in said.err
    assert figure.stat().st_size > 1000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("", "No columns"),
        ("x\n1\n", r"columns \['x'\]"),
        ("seconds,month_0\n", "no numbers"),
        ("seconds,month_0\n1,much\n", "no numbers"),
        ("seconds,month_0\n1,\n", "no numbers"),
        ('seconds,month_0\n"1,2\n', "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_said_in_a_line(
    tmp_path: Path, text: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    if text is not None:
        file.write_text(text)
    assert main([f"mine={file}"]) == 2
    error = capsys.readouterr().err
    assert re.search(said, error)
    assert "`vpp-env train`" in error
    assert error.count("\n") == 1


def test_what_does_not_go_together_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = looks(tmp_path / "a.csv", [0.0], [[1.0]]), looks(tmp_path / "b.csv", [0.0], [[1.0, 2.0]])
    for arguments, said in (
        ([one], "LABEL=FILE.csv"),
        ([f"a={one}", f"a={one}"], "every label once"),
        ([f"a={one},{two}"], r"looks at \[1, 2\] months"),
        ([f"a={one}", "--figure", "c.bmp"], ".svg, .png, .pdf"),
        ([f"a={one}", "--figure", "no/folder/c.svg"], "folder that exists"),
    ):
        assert main(arguments) == 2
        assert re.search(said, capsys.readouterr().err)
