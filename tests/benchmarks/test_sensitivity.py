"""The order of policies under other assumptions, and the search for the best constant bid."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from vpp_benchmarks.cli.compare import main as compare
from vpp_benchmarks.cli.report import main as report
from vpp_benchmarks.cli.sensitivity import main as sensitivity_main
from vpp_benchmarks.cli.sensitivity import ordered
from vpp_benchmarks.cli.tune_constant import main as tune_main
from vpp_benchmarks.report.sensitivity import PUBLISHED, by, published
from vpp_benchmarks.results.encode import plain
from vpp_benchmarks.results.orders import DEFAULT, FILE, Study, read_study
from vpp_benchmarks.run.plan import PlanError
from vpp_benchmarks.run.sensitivity import CHANGES, changed, kendall
from vpp_benchmarks.run.tune import Tried, aims, decoded, search, spec
from vpp_policies.constant import SPANS, Constant

from docs.published_sensitivity import studies
from tests.benchmarks.schema import errors
from vpp_env.contract.policy import make_policy
from vpp_env.errors import PolicyError, ScenarioError
from vpp_env.scenario import load_scenario
from vpp_env.simulation.sources import scenario_of

ROOT = Path(__file__).resolve().parents[2]


def test_kendall_distance_counts_pairs() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        a, b = (dict(zip("abcde", rng.normal(size=5), strict=True)) for _ in range(2))
        tau = stats.kendalltau(list(a.values()), list(b.values())).statistic
        assert kendall(a, b) == pytest.approx((1.0 - tau) / 2.0 * 10)
    # a tie in one of them is half a pair
    assert kendall({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 2.0}) == 0.5
    assert kendall({"a": 1.0, "b": 1.0}, {"a": 3.0, "b": 3.0}) == 0.0
    assert math.isnan(kendall({}, {"a": 1.0}))


def test_an_order_is_written_with_its_ties() -> None:
    assert ordered({"a": 1.0, "b": 2.0, "c": 1.0}, 1) == "b 2.0 > a 1.0 = c 1.0"
    assert ordered({}, 1) == "no seed was completed by every policy"


def test_every_change_is_of_one_field_or_skipped() -> None:
    base = load_scenario("week20")
    made, skipped = changed(base, [], only_given=False)
    assert next(iter(made)) == DEFAULT
    assert len(made) + len(skipped) == len(CHANGES) + 1
    for label, scenario in made.items():
        if label != DEFAULT:
            section, field = label.split(" ")[0].split(".")
            mine, other = base.to_dict(), scenario.to_dict()
            assert mine[section].pop(field) != other[section].pop(field)
            assert mine == other
    # the fields of other versions of the market are there or told
    names = {change.path for change in CHANGES}
    known = {f"{s}.{f}" for s, fields in base.to_dict().items() if isinstance(fields, dict) for f in fields}
    for name in names - known:
        assert any(text.startswith(name) and "no such field" in text for text in skipped)


def test_changes_of_a_stranger() -> None:
    base = load_scenario("quick")
    made, skipped = changed(base, ["market.margin=0.4"], only_given=True)
    assert list(made) == [DEFAULT, "market.margin = 0.4"]
    assert (made["market.margin = 0.4"].market.margin, skipped) == (0.4, [])
    with pytest.raises(ScenarioError):
        changed(base, ["market.margn=0.4"], only_given=True)
    with pytest.raises(PlanError, match="nothing is changed"):
        changed(base, [], only_given=True)


def test_the_order_moves_where_it_must(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Doing nothing is best where every discharge wears a battery by more than it earns."""
    file = tmp_path / "page.md"
    args = ["--policies", "idle", "zero", "--scenario", "quick", "--seeds", "test:2", "--only-given"]
    args += ["--change", "home.degradation_usd_per_kwh=3", "--markdown", str(file), "--executor", "serial"]
    assert sensitivity_main(args) == 0
    out = capsys.readouterr().out
    assert out == file.read_text("utf-8")
    assert "| home.degradation_usd_per_kwh = 3 |" in out
    by_money = out[out.index("## By") : out.index("## By satisfaction")]
    assert "1 of 1 changes move the order, at most by 1 of 1." in by_money
    assert "zero" in by_money.split("as it is |")[1].split(">")[0]
    assert "idle" in by_money.split("home.degradation_usd_per_kwh = 3 |")[1].split(">")[0]
    assert sensitivity_main(["--by", "regret"]) == 2
    assert sensitivity_main(["--policies", "idle"]) == 2


def test_a_study_is_kept_in_a_folder_and_shown_in_its_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    call = ["--policies", "zero", "idle", "--scenario", "quick", "--no-ceilings", "--no-figures", "--quiet"]
    assert compare([*call, "--out", str(out)]) == 0
    page = (out / "report.html").read_text("utf-8")
    section = page.split('<section id="sensitivity">')[1].split("</section>")[0]
    assert "Not of this run" in section
    assert "another scenario than this run" in section
    args = ["--policies", "idle", "zero", "--scenario", "quick", "--seeds", "validation:2", "--only-given"]
    args += ["--change", "home.degradation_usd_per_kwh=3", "--executor", "serial", "--into"]
    assert sensitivity_main([*args, str(tmp_path)]) == 2
    assert "holds no experiment.json" in capsys.readouterr().err
    assert sensitivity_main([*args, str(out)]) == 0
    data = json.loads((out / FILE).read_text("utf-8"))
    assert errors(data, json.loads((ROOT / "docs" / "schemas" / "sensitivity.json").read_text("utf-8"))) == []
    study = read_study(out)
    assert study is not None
    assert (study.to_json(), study.seeds, study.found.pairs) == (data, (1000, 1001), 1)
    page = (out / "report.html").read_text("utf-8")
    section = page.split('<section id="sensitivity">')[1].split("</section>")[0]
    assert "Of this folder. quick, hash" in section
    assert "Not of this run" not in section
    assert "<td>home.degradation_usd_per_kwh = 3</td>" in section
    shown = re.findall(r"<td class=n>(?:<b>)?([-.\d]+)", section)
    assert {f"{v:z.2f}" for order in study.found.orders for v in order.means["welfare"].values()} <= set(shown)
    capsys.readouterr()
    (out / FILE).write_text("{}", encoding="utf-8")
    assert report(["--", str(out)]) == 2
    assert "sensitivity.json does not hold what `vpp-env sensitivity` writes" in capsys.readouterr().err


def test_the_published_orders_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "sensitivity.md").read_text("utf-8")
    made = {"studies": json.loads(PUBLISHED.read_text(encoding="utf-8"))["studies"]}
    assert made == plain(studies(page)), "run `python docs/published_sensitivity.py`"
    known = published()
    assert list(known) == ["august", "week20"]
    shown = by(known["august"], "welfare", "welfare, USD", 2)
    assert "<b>1,300.10 (2)</b></td><td class=n><b>1,304.00 (1)</b></td><td class=n>1,227.05</td>" in shown
    assert "By welfare, USD: 3 of 4 changes move the order, by 1 at most." in shown
    for study in known.values():
        for kpi, digits in (("welfare", 2), ("avg_satisfaction", 4)):
            for order in study.found.orders:
                assert f"| {order.change} | {ordered(order.means[kpi], digits)} |" in page
                first = study.found.orders[0].means[kpi]
                assert order.distance[kpi] == kendall(order.means[kpi], first), "as the page says"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "x/2"}, "is of schema 'x/2'"),
        ({"found": {"orders": []}}, "does not hold what"),
        ({"seeds": ["a"]}, "does not hold what"),
        ({"found": None}, "does not hold what"),
    ],
)
def test_a_study_of_another_form_is_refused(change: dict[str, object], says: str) -> None:
    data = next(iter(published().values())).to_json()
    assert Study.from_json(data).to_json() == data
    with pytest.raises(PlanError, match=says):
        Study.from_json(data | change)
    del data["found"]["orders"][1]["means"]["welfare"]
    with pytest.raises(PlanError, match="not by the same figures"):
        Study.from_json(data)


def test_the_order_on_homes_and_prices_of_ones_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "devices.csv").write_text("home,bess_kwh\noak,13.5\nelm,10\n", encoding="utf-8")
    args = ["--policies", "idle", "zero", "--scenario", "quick", "--seeds", "training:1", "--only-given"]
    args += ["--change", "market.margin=0.4", "--executor", "serial", "--home-data", str(tmp_path)]
    args += ["--market-data", "caiso:PGAE:2019-08", "--set", "time.start=2019-08-01T00:00"]
    assert sensitivity_main(args) == 0
    out = capsys.readouterr().out
    assert f"--market-data caiso:PGAE:2019-08 --home-data {tmp_path} --set time.start=2019-08-01T00:00" in out
    own = scenario_of(load_scenario("quick").override({"time.start": "2019-08-01T00:00"}), tmp_path)
    assert own.fleet.size == 2
    assert f"hash {own.hash}" in out
    assert sensitivity_main([*args, "--home-data", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_policy_that_fails_is_said_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--policies", "idle", "tests.benchmarks.broken:Sometimes", "--scenario", "quick", "--seeds", "test:6"]
    assert sensitivity_main([*args, "--only-given", "--change", "market.margin=0.3", "--executor", "serial"]) == 1
    out = capsys.readouterr().out
    assert "Not every seed was completed by every policy." in out
    assert "RuntimeError: this fleet is too much" in out


def test_the_search_finds_a_hill() -> None:
    aim = decoded([0.8, 0.2, 0.6, 0.4, 0.1, 0.9])
    asked: list[tuple[float, ...]] = []

    def value(bid: dict[str, float]) -> float:
        asked.append(tuple(bid.values()))
        return -sum(((bid[k] - aim[k]) / (high - low)) ** 2 for k, (low, high) in SPANS.items())

    told: list[Tried] = []
    best = search(value, 20, 150, 0, lambda number, tried: told.append(tried))
    assert len(asked) == len(set(asked)) == len(told) <= 170
    assert best.value == max(t.value for t in told) > -0.001
    again = search(value, 20, 150, 0, lambda number, tried: None)
    assert again == best
    assert value(dict(make_and_read(best))) == best.value


def make_and_read(tried: Tried) -> dict[str, float]:
    """What is printed is a policy that the command line takes, with the same options."""
    policy = make_policy(spec(tried.bid))
    assert isinstance(policy, Constant)
    return policy.bid


def test_tuning_is_on_validation_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--scenario", "quick", "--random", "4", "--refined", "4"]
    assert tune_main([*args, "--seeds", "validation:2"]) == 0
    first = capsys.readouterr()
    assert f"{aims()[0]}, mean of 2 seeds of quick" in first.out
    assert len(first.err.strip().splitlines()) == 8
    best = max(float(line.split()[1]) for line in first.err.strip().splitlines())
    assert f"{best:.2f}" in first.out.splitlines()[-1]
    assert tune_main([*args, "--seeds", "validation:2"]) == 0
    assert capsys.readouterr() == first
    assert tune_main([*args, "--seeds", "test:2"]) == 2
    assert "tune on others" in capsys.readouterr().err


def test_a_constant_outside_its_span_is_refused() -> None:
    for name, (low, high) in SPANS.items():
        assert Constant(**{name: low}).bid[name] == low
        for value in (low - 0.1, high + 0.1, float("nan")):
            with pytest.raises(PolicyError, match=f"constant\\({name}="):
                Constant(**{name: value})
