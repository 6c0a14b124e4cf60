"""The dashboard: what it tells of a home, and every page in a real browser."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.dashboard.command import main as dashboard
from vpp_benchmarks.dashboard.source import card_of, runs_of, state_of
from vpp_benchmarks.report.home import Homes
from vpp_benchmarks.results import store
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run.plan import PlanError

from tests.benchmarks.browser import browser_page
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Place

ROOT = Path(__file__).resolve().parents[2]
ARGS = ["--scenario", "quick", "--duration-hours", "30", "--policies", "agentic", "random", "--no-figures", "--quiet"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dashboard") / "out"
    assert main([*ARGS, "--out", str(out)]) == 0
    return out


def test_a_home_s_month_adds_up(results: Path) -> None:
    for label in ("agentic", "random"):
        run = RunResult.read(results / "runs" / f"quick-s0-{label}")
        homes = run.table("prosumers")
        events = run.table("events")
        for home in range(5):
            story, row = Homes(run).month(home), homes.iloc[home]
            pay = row["pay_sold_usd"] + row["pay_bought_usd"] + row["pay_reserve_usd"]
            assert story["earned_usd"].sum() == pytest.approx(pay, abs=1e-9)
            assert story["sold_kwh"].sum() == pytest.approx(row["sold_kwh"])
            assert story["timestamp"].is_monotonic_increasing
            assert story["timestamp"].is_unique
            wrong = events[events["prosumer"] == home]["opportunity"].nunique()
            told = story["why"].str.contains("reserve;|below the owner|not ready|paid less|left alone|cycled more")
            assert told.sum() == wrong


def test_why(results: Path) -> None:
    agentic, random = (Homes(RunResult.read(results / "runs" / f"quick-s0-{k}")) for k in ("agentic", "random"))
    agentic, random = agentic.month(0), pd.concat([random.month(k) for k in range(5)])
    assert random["why"].str.contains("nobody asked the owner").any()
    assert random["why"].str.contains("beyond what the owner allows").any()
    assert not agentic["why"].str.contains("nobody asked").any()
    sold = random[random["sold_kwh"] > 0.01]["why"]
    assert sold.str.contains(r"sold [\d.]+ kWh by .*: bid at .*, the market paid|its reserve was called").all()


def test_state_of_an_experiment_under_way(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(results, out)
    shutil.rmtree(out / "runs" / "quick-s0-random")
    running = {"quick-s0-random": {"played": 3, "total": 30, "profit": 1.0, "violations": 2}}
    store.write_json(out / store.LIVE, {"updated": 5.0, "running": running})
    state = state_of(out)
    assert (state.done, len(state.planned)) == (1, 2)
    assert state.running == running
    assert list(runs_of([out])) == ["quick-s0-agentic"]
    assert len(runs_of([out, results])) == 2 + 1 - (out.name == results.name)
    alone = state_of(results / "runs" / "quick-s0-agentic")
    assert (alone.done, alone.planned) == (1, ("quick-s0-agentic",))


def test_a_folder_without_runs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dashboard([str(tmp_path)]) == 2
    assert "there are no runs in it" in capsys.readouterr().err


def test_a_statement_is_read_by_the_negotiations_own_reader() -> None:
    text = "Please always keep at least 6 kWh in the battery for outages."
    card = card_of(f"  {text} ")
    assert (card["source"], card["reserve_wh"]) == ("model", 6000)
    assert all(e["quote"] in text for e in card["evidence"])
    for wrong in ("", "  ", "x" * 5000):
        with pytest.raises(PlanError, match="allowed: 1 to"):
            card_of(wrong)
    with pytest.raises(PlanError, match="scripted"):
        card_of(text, "scriptd")
    with pytest.raises(PlanError, match="cassette"):
        card_of(text, "replay")


def test_every_page_is_shown(results: Path) -> None:
    """Without a browser, where Streamlit is installed: no page raises, and the comparison has the table's columns."""
    testing = pytest.importorskip("streamlit.testing.v1", reason='pip install "vpp-env[dashboard]"')

    def page(name: str, root: str) -> None:
        from pathlib import Path

        from vpp_benchmarks.dashboard.pages import PAGES

        PAGES[name][1]([Path(root)])

    from vpp_benchmarks.dashboard.pages import PAGES

    for name in PAGES:
        shown = testing.AppTest.from_function(
            page, kwargs={"name": name, "root": str(results)}, default_timeout=60
        ).run()
        assert not shown.exception, name
        if name == "comparison":
            columns = list(shown.dataframe[0].value.columns)
            assert columns[-len(table(Place.DASHBOARD)) :] == [kpi.heading for kpi in table(Place.DASHBOARD)]


@contextmanager
def served(*folders: Path) -> Iterator[str]:
    """Start the dashboard as somebody types it, on a free port."""
    pytest.importorskip("streamlit")
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("vpp-env")), "dashboard", *map(str, folders), "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        address = f"http://localhost:{port}"
        try:
            for _ in range(300):
                try:
                    with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                        break
                except OSError:
                    assert process.poll() is None
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()


@pytest.mark.slow
def test_every_page_in_a_browser(results: Path) -> None:
    with served(results) as address, browser_page() as watched:
        page = watched.page
        page.goto(address)
        for link, title, shown in (
            ("Progress", "Progress", "2 of 2 runs"),
            ("Comparison", "Comparison", "agentic"),
            ("Prices", "Prices", "real-time price"),
            ("Conversation", "Conversation", "homes contacted"),
            ("One home", "One home's month", "net benefit"),
            ("Statement", "A statement and its card", "owner's statement"),
            ("Export", "Export", "report.html"),
        ):
            page.get_by_role("link", name=link, exact=True).click()
            page.get_by_role("heading", name=title, exact=True).wait_for()
            page.get_by_text(shown).first.wait_for()
            page.wait_for_timeout(500)
            assert page.get_by_test_id("stException").count() == 0, link
            assert page.get_by_role("heading", name=title, exact=True).count() == 1
        with page.expect_download() as download:
            page.get_by_role("button", name="report.html").click()
        assert Path(download.value.path()).read_bytes() == (results / "report.html").read_bytes()
        page.get_by_role("link", name="Prices", exact=True).click()
        # pictures are really drawn
        page.get_by_role("img", name="agentic: prices").wait_for()
        assert page.get_by_role("img", name="agentic: prices").evaluate("e => e.naturalWidth") > 0
        page.get_by_role("link", name="One home", exact=True).click()
        page.get_by_label("Home", exact=True).fill("2")
        page.get_by_label("Home", exact=True).press("Enter")
        page.get_by_text("owner;").wait_for()
        assert watched.complaints == []
        assert watched.outside(address, address.replace("http", "ws")) == []


@pytest.mark.slow
def test_progress_is_live(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "live"
    shutil.copytree(results, out)
    hidden = tmp_path / "later"
    shutil.move(out / "runs" / "quick-s0-random", hidden)
    with served(out) as address, browser_page() as watched:
        page = watched.page
        page.goto(address)
        page.get_by_text("1 of 2 runs").wait_for()
        shutil.move(hidden, out / "runs" / "quick-s0-random")
        page.get_by_text("2 of 2 runs").wait_for(timeout=15_000)
        assert watched.complaints == []
