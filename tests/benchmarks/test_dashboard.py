"""The dashboard: what it tells of a home, and every page in a real browser."""

from __future__ import annotations

import io
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.dashboard.command import main as dashboard
from vpp_benchmarks.dashboard.source import archive, card_of, check_roots, edited, findings, runs_of, state_of
from vpp_benchmarks.report.home import Homes
from vpp_benchmarks.results import store
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run.plan import PlanError, file_name, make_plan
from vpp_benchmarks.run.progress import FileProgress

from tests.benchmarks.browser import Watched, browser_page
from vpp_env.errors import ScenarioError, VppError
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Place
from vpp_env.scenario import load_scenario

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
    assert state.running == {"quick-s0-random": {"rate": None} | running["quick-s0-random"]}
    assert state.left(100.0) is None, "nothing is known of its pace"
    pace = {"began": 40.0, "ended": 0, "updated": 5.0, "running": running}
    store.write_json(out / store.LIVE, pace)
    # a tenth of a run in 60 s: nine tenths are left
    assert state_of(out).left(100.0) == pytest.approx(540.0)
    (out / store.LOG).write_text("2026-01-01 INFO compiling, once: 8 s\n", encoding="utf-8")
    assert state_of(out).compiling == "compiling, once: 8 s"
    with (out / store.LOG).open("a") as log:
        log.write("random, seed 0: 3/30\n")
    assert state_of(out).compiling == ""
    assert list(runs_of([out])) == ["quick-s0-agentic"]
    assert len(runs_of([out, results])) == 2 + 1 - (out.name == results.name)
    alone = state_of(results / "runs" / "quick-s0-agentic")
    assert (alone.done, alone.planned) == (1, ("quick-s0-agentic",))


def test_a_folder_that_is_written_is_told_from_one_that_was_left(tmp_path: Path) -> None:
    assert not store.held(tmp_path), "nobody has begun"
    with store.locked(tmp_path):
        assert store.held(tmp_path)
    assert not store.held(tmp_path), "the lock's file stays, its holder has gone"


def test_a_folder_without_runs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, lacks in ((tmp_path, "holds no runs"), (tmp_path / "nowhere", "is no folder")):
        assert dashboard([str(folder)]) == 2
        assert capsys.readouterr().err.startswith(
            f"error: {str(folder)!r} {lacks}; allowed is what `vpp-env compare --out FOLDER` has written"
        )


def test_a_run_that_has_just_begun_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / store.LOCK).touch()
    check_roots([tmp_path])
    state = state_of(tmp_path)
    assert (state.planned, state.running, state.left(1.0)) == ((), {}, None)


def test_progress_is_written_before_the_first_opportunity(tmp_path: Path) -> None:
    (job,) = make_plan(load_scenario("quick"), ["idle"]).jobs(0)
    told = FileProgress(tmp_path / store.LIVE)
    told.begin(job, 6)
    found = store.read_json(tmp_path / store.LIVE)
    assert found["running"][job.name] == {"played": 0, "total": 6, "profit": 0.0, "violations": 0, "rate": None}
    told.close()
    assert not (tmp_path / store.LIVE).exists()


def test_a_run_folder_to_take_along(results: Path) -> None:
    folder = results / "runs" / "quick-s0-agentic"
    (folder / ".tmp-half").mkdir()
    (folder / ".tmp-half" / "x").touch()
    with zipfile.ZipFile(io.BytesIO(archive(folder))) as made:
        names = {name.split("/", 1)[1] for name in made.namelist()}
        assert names == {f.name for f in folder.iterdir() if f.is_file()}
        assert made.read("quick-s0-agentic/manifest.json") == (folder / "manifest.json").read_bytes()
    shutil.rmtree(folder / ".tmp-half")


def test_a_scenario_of_ones_own(tmp_path: Path) -> None:
    made = edited("week20", {"fleet.size": "7", "market.clearing": "pm10", "market.min_bid_mw": "0.05"}, "mine")
    file = tmp_path / "mine.toml"
    file.write_text(made.to_toml(), encoding="utf-8")
    again = load_scenario(str(file))
    assert (again.name, again.fleet.size, again.market.min_bid_mw, again.hash) == ("mine", 7, 0.05, made.hash)
    with pytest.raises(ScenarioError, match="size"):
        edited("week20", {"fleet.size": "-3"})
    with pytest.raises(ScenarioError):
        edited("week20", {"fleet.sise": "3"})
    with pytest.raises(VppError, match="clearing 'pm11'"):
        edited("week20", {"market.clearing": "pm11"})
    with pytest.raises(PlanError, match=r"^fleet\.size: got nothing"):
        edited("week20", {"fleet.size": " "})


def test_what_the_checker_finds(tmp_path: Path) -> None:
    stamps = pd.date_range("2023-08-01", periods=24 * 8, freq="h", tz="America/Los_Angeles")
    good = "ts_utc,lmp_da_usd_mwh\n" + "".join(f"{t.isoformat()},{30 + t.hour}\n" for t in stamps)
    found = dict(findings([("../prices.csv", good.encode())], "prices", "week20"))
    assert "prices.csv" in found["da"]
    assert not (Path(tempfile.gettempdir()).parent / "prices.csv").exists(), "a name is no path"
    with pytest.raises(VppError, match=r"^prices\.csv, row 2"):
        findings([("prices.csv", good.replace(",31", ",x", 1).encode())], "prices", "week20")
    homes = dict(findings([("devices.csv", b"home,bess_kwh\na,10\nb,\n")], "homes", "week20"))
    assert homes["homes"] == "2"
    with pytest.raises(VppError, match="known by its name"):
        findings([("notes.txt", b"x")], "homes", "week20")


@pytest.mark.parametrize("name", ["..", "", "a/..", "a\0.csv", "a\n.csv", "x" * 300 + ".csv"])
def test_a_name_that_is_no_file_s_is_told(name: str) -> None:
    with pytest.raises(PlanError, match="as the name of a file; allowed are"):
        findings([(name, b"x")], "prices", "week20")


def test_two_files_of_one_name_are_told() -> None:
    with pytest.raises(PlanError, match=r"two files are named 'a\.csv'"):
        findings([("one/a.csv", b"x"), ("other\\a.csv", b"y")], "prices", "week20")


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


def test_every_page_is_shown(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a browser, where Streamlit is installed: no page raises, and the comparison has the table's columns."""
    # Streamlit puts a script of its own in its place, which processes of later tests would run
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
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


VISITS = (
    ("Progress", "Progress", "of 2 runs"),
    ("Comparison", "Comparison", "agentic"),
    ("Prices", "Prices", "real-time price"),
    ("Conversation", "Conversation", "homes contacted"),
    ("One home", "One home's month", "net benefit"),
    ("Scenario", "Scenario", "fields changed"),
    ("Data", "Data", "It is to cover"),
    ("Statement", "A statement and its card", "owner's statement"),
    ("Export", "Export", "figures so far, CSV"),
)
"""Name of a page in the menu, its title, and something that it shows."""
SCENARIO, DATA = VISITS[5], VISITS[6]


PHONE = 700
"""Pixels below which the menu lies over the page."""


def visit(page: Any, link: str, title: str, shown: str) -> None:
    """Open a page as a reader does; on a telephone the menu is opened first."""
    menu = page.get_by_test_id("stExpandSidebarButton")
    if menu.is_visible():
        menu.click()
    page.get_by_role("link", name=link, exact=True).click()
    page.get_by_role("heading", name=title, exact=True).wait_for()
    page.get_by_text(shown).first.wait_for(state="attached")
    if page.viewport_size["width"] < PHONE:  # the menu covers the page
        page.get_by_test_id("stSidebar").hover()
        page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
        menu.wait_for()
    page.wait_for_timeout(500)
    assert page.get_by_test_id("stException").count() == 0, link
    assert page.get_by_role("heading", name=title, exact=True).count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), link


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_in_a_browser(results: Path, width: int) -> None:
    with served(results) as address, browser_page(width) as watched:
        page = watched.page
        page.goto(address)
        page.get_by_role("heading", name="Progress", exact=True).wait_for()
        for where in VISITS:
            visit(page, *where)
        with page.expect_download() as download:
            page.get_by_role("button", name="report.html").click()
        assert Path(download.value.path()).read_bytes() == (results / "report.html").read_bytes()
        visit(page, *VISITS[2])
        # pictures are really drawn
        page.get_by_role("img", name="agentic: prices").wait_for()
        assert page.get_by_role("img", name="agentic: prices").evaluate("e => e.naturalWidth") > 0
        visit(page, *VISITS[4])
        page.get_by_label("Home", exact=True).fill("2")
        page.get_by_label("Home", exact=True).press("Enter")
        page.get_by_text("Home 2").first.wait_for()
        assert watched.complaints == []
        assert watched.outside(address, address.replace("http", "ws")) == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 390])
def test_progress_is_live(results: Path, tmp_path: Path, width: int) -> None:
    """A folder in which a run has just begun, then one run of two, then both; every page is shown meanwhile."""
    out, hidden = tmp_path / "live", tmp_path / "later"
    shutil.copytree(results, hidden)
    out.mkdir()
    (out / store.LOCK).touch()
    with served(out) as address, browser_page(width) as watched:
        page = watched.page
        page.goto(address)
        page.get_by_text("Waiting for it to begin").wait_for()
        shutil.copy(hidden / store.EXPERIMENT, out)
        (out / "runs").mkdir()
        running = {"played": 0, "total": 30, "profit": 0.0, "violations": 0, "rate": None}
        now = time.time()
        store.write_json(out / store.LIVE, {"began": now, "ended": 0, "updated": now,
                                            "running": {"quick-s0-agentic": running}})  # fmt: skip
        (out / store.LOG).write_text("2026-01-01 compiling, once: 4 s\n", encoding="utf-8")
        page.get_by_text("0 of 2 runs").wait_for(timeout=15_000)
        page.get_by_text("compiling, once: 4 s").wait_for(timeout=15_000)
        shutil.copytree(hidden / "runs" / "quick-s0-agentic", out / "runs" / "quick-s0-agentic")
        pace = running | {"played": 15, "rate": 2.5, "profit": 1.25}
        store.write_json(out / store.LIVE, {"began": now, "ended": 1, "updated": time.time(),
                                            "running": {"quick-s0-random": pace}})  # fmt: skip
        page.get_by_text(re.compile("1 of 2 runs, about .* left")).wait_for(timeout=15_000)
        for where in VISITS:
            visit(page, *where)
        page.get_by_text("1 of 2 runs are there").wait_for(state="attached")
        with page.expect_download() as download:
            page.get_by_role("button", name="run folder, zip").click()
        assert zipfile.ZipFile(download.value.path()).testzip() is None
        shutil.copytree(hidden / "runs" / "quick-s0-random", out / "runs" / "quick-s0-random")
        (out / store.LIVE).unlink()
        visit(page, *VISITS[0])
        page.get_by_text("2 of 2 runs").wait_for(timeout=15_000)
        assert watched.complaints == []


EVIL = "![x](http://evil.example/x.png)<img src=http://evil.example/y.png> :red[x] $x$ [x](http://evil.example) *x*"
"""What a page may show and must not obey."""


@pytest.fixture(params=["finished", "begun"])
def root(request: pytest.FixtureRequest, results: Path, tmp_path: Path) -> Path:
    """A folder of results, and one in which a run has just begun."""
    if request.param == "finished":
        return results
    (tmp_path / store.LOCK).touch()
    return tmp_path


def typed(page: Any, label: str, text: str) -> None:
    """Type into a field as somebody does who leaves it afterwards."""
    field = page.get_by_role("textbox", name=label, exact=True)
    field.fill(text)
    field.press("Enter")


IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
"""What of a page is there when nothing of it is being worked out."""
CHOSEN = """text => [...document.querySelectorAll('[data-testid=stMain] *')].some(
 e => !e.childElementCount && (e.innerText === text || e.value === text))"""
"""Script: whether the page, and not only the list that lies over it, shows a text."""


def picked(page: Any, label: str, option: str) -> None:
    """Pick one of a list, by typing a part of it."""
    page.get_by_label(label).first.click()
    page.get_by_label(label).first.fill(option)
    page.get_by_role("option", name=option, exact=True).click()
    page.keyboard.press("Escape")
    page.wait_for_function(CHOSEN, arg=option)


def unharmed(watched: Watched, address: str) -> None:
    """Nothing was complained of, asked for elsewhere, or is wider than the screen."""
    assert watched.complaints == []
    assert watched.outside(address, address.replace("http", "ws")) == []
    assert watched.page.get_by_test_id("stException").count() == 0
    assert watched.page.locator("[src*=evil], [href*=evil]").count() == 0
    assert watched.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 390])
def test_a_scenario_is_made_in_a_browser(root: Path, tmp_path: Path, width: int) -> None:
    with served(root) as address, browser_page(width) as watched:
        page = watched.page
        page.goto(address)
        page.get_by_role("heading", name="Progress", exact=True).wait_for()
        visit(page, *SCENARIO)
        picked(page, "Begin with", "week20")
        picked(page, "Fields to change", "fleet.size")
        page.get_by_text("homes; allowed: 1 to 10000000. In week20: 20").wait_for()
        typed(page, "fleet.size", "7")
        page.get_by_text("1 fields changed; 7 homes").wait_for()
        for wrong, said in (("-3", "scenario.fleet.size: got -3; allowed"), ("", "fleet.size: got nothing"),
                            (EVIL, "scenario.fleet.size: got '![x](http://evil")):  # fmt: skip
            typed(page, "fleet.size", wrong)
            page.get_by_text(said).wait_for()
            page.get_by_role("button", name=".toml").wait_for(state="detached")  # nothing that is wrong is written
            unharmed(watched, address)
        typed(page, "fleet.size", "6")
        picked(page, "Fields to change", "market.clearing")
        typed(page, "market.clearing", "pm11")
        page.get_by_text("unknown market clearing 'pm11'").wait_for()
        typed(page, "market.clearing", "pm10")
        typed(page, "Name", f"../{EVIL}")
        page.get_by_text("2 fields changed; 6 homes").wait_for()
        # the button is called after the file: the one of the name before is there until the page is worked out again
        button = page.get_by_role("button", name=f"{file_name(f'../{EVIL}')}.toml", exact=True)
        with page.expect_download() as download:
            button.click()
        assert re.fullmatch(r"[\w.-]+\.toml", download.value.suggested_filename)
        download.value.save_as(tmp_path / "mine.toml")
        made = load_scenario(str(tmp_path / "mine.toml"))
        assert (made.fleet.size, made.market.clearing, made.name) == (6, "pm10", f"../{EVIL}")
        unharmed(watched, address)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 390])
def test_data_are_brought_in_a_browser(root: Path, width: int) -> None:
    stamps = pd.date_range("2023-08-01", periods=24 * 8, freq="h", tz="America/Los_Angeles")
    good = "ts_utc,lmp_da_usd_mwh\n" + "".join(f"{t.isoformat()},{30 + t.hour}\n" for t in stamps)
    files = {
        "mine.csv": (good, "It can be used"),
        "bad.csv": (good.replace(",31", ",x", 1), "bad.csv, row 2: lmp_da_usd_mwh holds 'x'"),
        "evil.csv": (good.replace(",31", f",{EVIL}", 1), "evil.csv, row 2: lmp_da_usd_mwh holds '![x](http://evil"),
        f"{EVIL.replace('/', '_')}.csv": (good.replace(",31", ",x", 1), "*x*.csv, row 2"),
        "picture.csv": ("\x89PNG\r\n", "picture.csv: not a readable .csv file"),
        "empty.csv": ("", "none of its files holds prices"),
        "what.exe": (good, "the files': no such file"),
        "short.csv": ("\n".join(good.splitlines()[:30]), "short.csv"),
    }
    homes = {
        "devices.csv": (b"home,bess_kwh\na,10\nb,\n", "It can be used"),
        "devices_x.csv": (f"home,bess_kwh\n{EVIL},10\n".encode(), "as the name of a home"),
        "notes.txt": (b"x", "known by its name"),
    }
    with served(root) as address, browser_page(width) as watched:
        page = watched.page
        page.goto(address)
        page.get_by_role("heading", name="Progress", exact=True).wait_for()
        visit(page, *DATA)
        picked(page, "It is to cover", "week20")

        def given(name: str, content: bytes, said: str) -> None:
            page.locator(IDLE).wait_for()
            page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "", "buffer": content})
            page.get_by_text(said).first.wait_for()
            unharmed(watched, address)
            page.locator("[data-testid=stFileUploader] button[aria-label^=Remove]").click()
            page.get_by_text(said).first.wait_for(state="detached")

        for name, (text, said) in files.items():
            given(name, text.encode("latin-1"), said)
        page.get_by_text("homes", exact=True).click()
        for name, (content, said) in homes.items():
            given(name, content, said)
