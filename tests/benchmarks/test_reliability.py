"""What docs/reliability.md says of exit status and messages, typed row by row."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from vpp_benchmarks.cli.main import LOADING, main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
BAD = """
from vpp_env import Bids, PolicyInfo, Information, Consent


class Raises:
    info = PolicyInfo("raises", Information.OWN, Consent.NEVER, "raises")
    def reset(self, rules, rng):
        pass

    def act(self, view):
        raise RuntimeError("the model is away")

class Unmade(Raises):
    def __init__(self):
        raise RuntimeError("no key")
"""
ROWS = re.findall(r"^\| `(.+?)` \| (\d+) \| `(.+?)` \|$", PAGE, flags=re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.toml").write_bytes('name = "häuser"\n'.encode("latin-1"))
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000 + "]" * 100_000, encoding="utf-8")
    (tmp_path / "nested.toml").write_text('[preferences]\ntolerance = [[1, 2], [3, 4], [5, "x"]]\n', encoding="utf-8")
    (tmp_path / "wide.toml").write_text("[market]\nprice_cap_usd_per_mwh = 1e308\n", encoding="utf-8")
    (tmp_path / "null.toml").write_text('name = "a\\u0000b"\n', encoding="utf-8")
    (tmp_path / "text.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "hours.csv").write_text("Date,Hour Ending,LMP\n2023-08-01,1,40.0\n", encoding="utf-8")
    (tmp_path / "bad.py").write_text(BAD, encoding="utf-8")
    for name in ("empty", "homes"):
        (tmp_path / name).mkdir()
    (tmp_path / "homes" / "load.csv").write_text("time,oak\n2023-08-01T07:00Z,1\n", encoding="utf-8")
    return tmp_path


def test_the_table_is_read_whole() -> None:
    section = PAGE[PAGE.index("## As it is typed") : PAGE.index("## Mutated files")]
    assert len(ROWS) == len(re.findall(r"^\| `", section, flags=re.MULTILINE)) >= 30


@pytest.mark.parametrize(("typed", "status", "says"), ROWS, ids=[row[0] for row in ROWS])
def test_as_it_is_typed(typed: str, status: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in folder.iterdir())
    try:
        ended = main(typed.split())
    except SystemExit as end:  # argparse
        ended = int(end.code or 0)
    shown = capsys.readouterr()
    assert ended == int(status)
    assert says in (shown.out if ended in (0, 1) else shown.err)
    if ended == 2:
        lines = [line for line in shown.err.strip().splitlines() if LOADING not in line]  # a slow machine
        assert lines[0].startswith("error: ")
        assert len(lines) == 1 or lines[1:] == [f"See vpp-env {typed.split()[0]} --help."]
    written = {"out", "__pycache__"} if ended == 1 else {"__pycache__"}
    assert sorted({path.name for path in folder.iterdir()} - written) == before


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        (("vpp-env", "--version"), 0, "vpp-env "),
        (("vpp-env", "report", "empty"), 2, "error: "),
        (("compare.py", "--polices", "idle"), 2, "Did you mean '--policies'"),
    ],
)
def test_as_a_process(command: tuple[str, ...], status: int, says: str, folder: Path) -> None:
    program = Path(sys.executable).with_name("vpp-env") if command[0] == "vpp-env" else ROOT / "benchmarks/compare.py"
    done = subprocess.run([sys.executable, program, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_where_the_clock_skips_midnight(folder: Path) -> None:
    typed = "compare --scenario quick --set time.timezone=America/Santiago --start 2023-09-02T20:00 --duration-hours 8"
    options = "--policies agentic truthful --quiet --no-ceilings --fleet-size 3 --executor serial --out out"
    assert main(f"{typed} {options}".split()) == 0
    assert (folder / "out" / "overview.png").is_file()
    assert "September 2023" in (folder / "out" / "report.html").read_text(encoding="utf-8")


def test_ctrl_c_while_packages_are_loaded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vpp_benchmarks.cli.main.import_module", interrupted)
    assert main(["compare"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
