"""What five policies come to on `quick` is what it was, on any machine; `golden.py` compares all to the last bit."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from golden import STORE, play, run_digests, table_digest

POLICIES = ("idle", "random", "truthful", "greedy", "auction")


def test_the_figures_of_quick_are_what_they_were(tmp_path: Path) -> None:
    expected = json.loads(STORE.read_text(encoding="utf-8"))["quick"]
    got = play("quick", "serial", tmp_path / "out", POLICIES)
    assert sorted(got) == sorted(f"quick-s{seed}-{name}" for seed in (0, 1) for name in POLICIES)
    for run, content in got.items():
        assert content["figures"] == pytest.approx(expected[run]["figures"], rel=1e-9, abs=1e-9), run


def test_a_digest_is_of_values_and_sees_a_bit(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    path = tmp_path / "t.parquet"
    table.to_parquet(path)
    first = table_digest(path)
    table.rename(columns={"a": "c"})[["b", "c"]].to_parquet(path)
    assert table_digest(path) == first
    table.assign(a=[1.0, 2.0000000000000004]).to_parquet(path)
    assert table_digest(path) != first


def test_times_are_left_out(tmp_path: Path) -> None:
    kpis = dict.fromkeys(("total_profit", "joint_surplus", "member_payments", "avg_satisfaction"), 1.0)
    kpis |= {"sold_mwh": 1.0, "bought_mwh": 1.0}
    digests = []
    for seconds, calls in ((1.0, 3), (2.0, 3), (1.0, 4)):
        content = {**kpis, "llm": {"seconds": seconds, "calls": calls}}
        (tmp_path / "summary.json").write_text(json.dumps(content), encoding="utf-8")
        digests.append(run_digests(tmp_path)["summary"])
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
