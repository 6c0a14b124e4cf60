"""The command line as somebody types it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.cli.main import LOADING

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = (sys.executable, str(ROOT / "benchmarks" / "compare.py"))
COMMAND = (str(Path(sys.executable).with_name("vpp-env")), "compare")
"""The two forms of the command: of a checkout, and of an installation."""
QUICK = ["--scenario", "quick", "--no-figures"]
BROKEN = "tests.benchmarks.broken"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def run(*args: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(args, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def test_as_a_script_from_anywhere(tmp_path: Path) -> None:
    done = run(*SCRIPT, "--scenario", "quick", "--policies", "idle", "truthful", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.name.startswith("quick-")
    assert str(Path("results") / folder.name) in done.stdout
    assert (folder / "overview.png").read_bytes().startswith(b"\x89PNG")
    # plain progress where there is no terminal
    assert "idle, seed 0: 6/6, profit 0.00, satisfaction per opportunity 1.000, violations 0" in done.stderr


def test_a_policy_of_the_working_directory(tmp_path: Path) -> None:
    source = (ROOT / "policies" / "vpp_policies" / "idle.py").read_text(encoding="utf-8")
    (tmp_path / "my_policy.py").write_text(source, encoding="utf-8")
    for name in ("policies", "benchmarks"):  # a user's own packages of these names are in nobody's way
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not meant')", encoding="utf-8")
    for how in (COMMAND, SCRIPT):
        out = str(tmp_path / Path(how[-1]).name)
        done = run(*how, *QUICK, "--policies", "my_policy:Idle", "--out", out, "--quiet", cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_typo_answers_in_one_line() -> None:
    done = run(*COMMAND, "--policies", "agentik", "centralized")
    assert done.returncode == 2
    assert "Did you mean 'agentic'?" in done.stderr
    assert len([line for line in done.stderr.splitlines() if LOADING not in line]) == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--scenario", "qick"], "Did you mean 'quick'?"),
        (["--scenario", "nowhere.toml"], "does not exist"),
        (["--scenario", "folder.toml"], "is a folder"),
        (["--policies", "idle(speed=3)"], "idle has no options"),
        (["--policies", "centralized(horizon_hours=-1)"], "allowed is 0"),
        (["--policies", "idle", "random("], "cannot be read"),
        (["--set", "fleet.szie=3"], "Did you mean 'size'?"),
        (["--set", "flet.size=3"], "Did you mean 'fleet'?"),
        (["--set", "fleet.size"], "section.field=value"),
        (["--set", "fleet.size=many"], "allowed is a whole number such as 200"),
        (["--set", "market.safeguard=maybe"], "got 'maybe' (str); allowed is true or false"),
        (["--set", "market.margin=much"], "allowed is a number such as 0."),
        (["--set", "market.programme_hours=16"], "allowed is a list such as [16.0, 21.0]"),
        (["--set", "market.clearing=pm11"], "Did you mean 'pm10'?"),
        (["--set", "market.payment=uniformly"], "Did you mean 'uniform'?"),
        (["--set", "fleet.size=3", "--fleet-size", "4"], "given twice"),
        (["--fleet-size", "0"], "allowed: 1 to"),
        (["--duration-hours", "-3"], "allowed is 1 or more"),
        (["--opportunity-minutes", "20"], "allowed: 15, 30, 60"),
        (["--start", "yesterday"], "ISO"),
        (["--seed", "-1"], "allowed is an integer"),
        (["--seeds", "3:3"], "a range such as 0:10"),
        (["--market-data", "nowhere.csv"], "no such file"),
        (["--node", "pgae"], "--market-data"),
    ],
)
def test_what_is_not_possible_ends_with_2(
    args: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = [] if "--policies" in args else ["--policies", "idle"]
    scenario = [] if "--scenario" in args else ["--scenario", "quick"]
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.toml").mkdir()
    assert main([*policies, *scenario, *args, "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not out.exists()


def test_a_number_of_another_kind_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    for args, says in (
        (["--duration-hours", "1.5"], "--duration-hours: got '1.5'; allowed is a whole number"),
        (["--policy-timeout", "long"], "--policy-timeout: got 'long'; allowed is a number"),
    ):
        with pytest.raises(SystemExit) as end:
            main(args)
        assert end.value.code == 2
        assert says in capsys.readouterr().err


def test_bad_toml_and_bad_data_leave_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml, data, out = tmp_path / "bad.toml", tmp_path / "bad.csv", tmp_path / "out"
    toml.write_text("[fleet\nsize = 3", encoding="utf-8")
    assert main(["--scenario", str(toml), "--policies", "idle", "--out", str(out)]) == 2
    assert "not valid TOML" in capsys.readouterr().err
    data.write_text("ts_utc,lmp_da_usd_mwh\n2023-08-01T07:00:00,70\n", encoding="utf-8")
    assert main([*QUICK, "--policies", "idle", "--market-data", str(data), "--out", str(out)]) == 2
    assert "bad.csv" in capsys.readouterr().err
    assert not out.exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    assert main([*QUICK, "--policies", "idle", "--out", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert [f.name for f in tmp_path.iterdir()] == ["mine.txt"]


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    text = capsys.readouterr().out
    for word in (
        "august",
        "week20",
        "centralized",
        "ORACLE",
        "truthful",
        "price_taker",
        "floor_and_share",
        "horizon_h",
    ):
        assert word in text


def test_overrides_reach_the_scenario(tmp_path: Path) -> None:
    args = ["--policies", "idle", "--fleet-size", "3", "--duration-hours", "2", "--opportunity-minutes", "30"]
    args += ["--start", "2023-08-02T10:00", "--set", "market.payment=pay_as_bid", "--set", "market.reserve=false"]
    assert main([*QUICK, *args, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    toml = manifest(tmp_path / "out")["scenario"]["toml"]
    for line in (
        "size = 3",
        "duration_hours = 2",
        "opportunity_minutes = 30",
        'payment = "pay_as_bid"',
        "reserve = false",
    ):
        assert line in toml
    rows = (tmp_path / "out" / "simulation_results.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 4
    assert rows[2].startswith("2023-08-02T10:30:00-07:00,")
    # no reserve is sold: no price of it
    assert re.match(r"[^,]+,[\d.]+,,,", rows[2])


def test_a_failing_policy_keeps_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main([*QUICK, "--policies", f"{BROKEN}:Broken", "truthful", "--out", str(out)]) == 1
    data = manifest(out)
    assert data["status"] == "failed"
    assert data["policies"]["broken"]["status"] == "failed"
    assert re.fullmatch(
        r"RuntimeError: the model is away \(broken.py, line \d+\)", data["policies"]["broken"]["reason"]
    )
    assert data["policies"]["truthful"]["status"] == "complete"
    summary = json.loads((out / "simulation_summary.json").read_text(encoding="utf-8"))
    assert summary["policies"]["broken"]["total_timesteps"] == 3
    assert summary["profit_advantage_percent"] is None
    assert "broken is failed" in summary["advantage_notes"]["profit_advantage_percent"]
    assert "Traceback" in (out / "simulation.log").read_text(encoding="utf-8")
    assert "broken is failed (RuntimeError: the model is away (broken.py" in (out / "simulation_report.md").read_text(
        "utf-8"
    )
    rows = (out / "simulation_results.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 7
    column = rows[0].split(",").index("broken_actual_profit")
    assert [row.split(",")[column] for row in rows[1:]] == ["0", "0", "0", "", "", ""]
    assert "the model is away" in capsys.readouterr().out


def test_ctrl_c_keeps_what_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    args = ["--policies", "truthful", f"{BROKEN}:Interrupting(at=2)", "idle", "--out", str(out)]
    assert main([*QUICK, *args]) == 130
    data = manifest(out)
    assert data["status"] == "interrupted"
    states = {label: p["status"] for label, p in data["policies"].items()}
    assert states == {"truthful": "complete", "interrupting": "interrupted", "idle": "not_run"}
    assert data["policies"]["interrupting"]["reason"] == "stopped after 3 of 6 opportunities"
    text = capsys.readouterr().out
    assert "Interrupted" in text
    assert str(out) in text
    assert len((out / "simulation_results.csv").read_text(encoding="utf-8").splitlines()) == 7


def test_ctrl_c_from_outside(tmp_path: Path) -> None:
    out = tmp_path / "out"
    args = [*COMMAND, *QUICK, "--duration-hours", "24", "--out", str(out)]
    with subprocess.Popen(
        [*args, "--policies", f"{BROKEN}:Slow"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "6/24" in line:
                process.send_signal(signal.SIGINT)
                break
        stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert str(out) in stdout
    assert manifest(out)["status"] == "interrupted"
    assert 7 <= len((out / "simulation_results.csv").read_text(encoding="utf-8").splitlines()) < 25


def test_baselines_are_added(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([*QUICK, "--policies", "truthful", "greedy", "--with-baselines", "--out", str(out)]) == 0
    labels = list(json.loads((out / "simulation_summary.json").read_text("utf-8"))["policies"])
    assert labels == ["truthful", "greedy", "idle", "random", "zero", "constant"]
    assert main(["--resume", str(out), "--with-baselines"]) == 2
