"""The HTML report: whole, closed in itself, and showing the figures that the tables hold."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from vpp_benchmarks.cli.compare import main
from vpp_benchmarks.cli.report import main as report_main
from vpp_benchmarks.report.conversation import Conversations, _words
from vpp_benchmarks.report.course import mean_course
from vpp_benchmarks.report.home import Homes, paid
from vpp_benchmarks.report.material import Material, read_material
from vpp_benchmarks.report.money import STEPS, ledger
from vpp_benchmarks.report.negotiation import Terms, all_terms, negotiation_of
from vpp_benchmarks.report.owners import annoyance, out_by_day
from vpp_benchmarks.report.page import report_page
from vpp_benchmarks.report.panels import BETWEEN, Pack, chosen, panels
from vpp_benchmarks.report.result import Point, forest, known, pareto
from vpp_benchmarks.report.style import SCRIPT
from vpp_benchmarks.report.svg import Plot, colors, extent, ticks
from vpp_benchmarks.report.svg import table as html_table
from vpp_benchmarks.report.tables import Table, headline
from vpp_benchmarks.results.inference import holm, wilcoxon
from vpp_benchmarks.results.lead import lead
from vpp_benchmarks.results.llm_kpis import LlmBill
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.statistics import Difference
from vpp_benchmarks.run.job import _result_of, month_of
from vpp_benchmarks.run.plan import make_plan

from tests.benchmarks.browser import browser_page
from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.kpi_entry import Ceilings
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario

TOO_WIDE = """[...document.querySelectorAll('main *')].filter(e => !e.closest('svg')
 && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + ' ' + e.innerText.slice(0, 40))"""
"""Script: what reaches beyond the right edge of the page."""
VOID = {"meta", "br", "img", "input", "link", "hr"}


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("week") / "out"
    args = ["--scenario", "week20", "--duration-hours", "120", "--policies", "agentic", "centralized", "idle"]
    assert main([*args, "--no-figures", "--out", str(out), "--quiet"]) == 0
    return out


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("seeds") / "out"
    args = [
        "--scenario",
        "quick",
        "--policies",
        "truthful",
        "random",
        "idle",
        "--seeds",
        "0:6",
        "--no-figures",
        "--no-ceilings",
    ]
    assert main([*args, "--no-figures", "--out", str(out), "--quiet"]) == 0
    return out


class Reader(HTMLParser):
    """Checks that every tag is closed, and collects text and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.links += [str(v) for k, v in attrs if k in ("src", "href", "action", "data", "srcset")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_one_file_that_asks_for_nothing(week: Path, seeds: Path) -> None:
    for out in (week, seeds):
        page = (out / "report.html").read_text(encoding="utf-8")
        reader = read(page)
        assert all(link.startswith("#") for link in reader.links)
        assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", page)
        assert "default-src 'none'" in page
        assert len(page) < 1_000_000
        for svg in re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL):
            ElementTree.fromstring(svg)
            assert "nan" not in svg.lower().replace("nano", "")


def test_every_section_is_there(week: Path) -> None:
    page = (week / "report.html").read_text(encoding="utf-8")
    for anchor in (
        "answer",
        "result",
        "sensitivity",
        "pareto",
        "day",
        "violations",
        "fairness",
        "negotiation",
        "bounds",
        "cost",
        "origin",
    ):
        assert f'<section id="{anchor}">' in page


def test_without_ceilings_nothing_is_shown_of_them(seeds: Path) -> None:
    assert 'id="bounds"' not in (seeds / "report.html").read_text(encoding="utf-8")


def test_the_figures_are_those_of_the_summary(week: Path) -> None:
    text = " ".join(read((week / "report.html").read_text(encoding="utf-8")).text)
    policies = json.loads((week / "simulation_summary.json").read_text("utf-8"))["policies"]
    for p in policies.values():
        assert f"{p['total_profit']:,.2f}" in text
    total = policies["centralized"]["total_violations"]["total"]
    assert f"centralized: {total:,}" in text
    assert "Without any violation: agentic, idle." in text


def test_the_first_screen_answers(week: Path) -> None:
    """Who earned what, who was better off, who left, what could have been had, is it real: all open, with figures."""
    page = (week / "report.html").read_text(encoding="utf-8")
    first = page.split('<section id="answer">')[1].split("</section>")[0]
    text = " ".join(read(first).text)
    summary = json.loads((week / "simulation_summary.json").read_text("utf-8"))
    policies = summary["policies"]
    best = max(policies, key=lambda label: policies[label]["welfare"])
    assert f"{best} is worth most to VPP and owners together" in text
    for question in ("Who earned what", "Who was worse off", "Who left", "What could have been had", "Is the differ"):
        assert question in text
    for p in policies.values():
        for kpi in ("total_profit", "owners_gain", "welfare"):
            assert f"{p[kpi]:z,.2f}" in text
    rungs = {rung["rung"]: rung["usd"] for rung in summary["ladder"]}
    for name in ("U_na", "U_welfare"):
        assert name in text
        assert f"{rungs[name]:z,.2f}" in text
    assert "<details" not in first
    assert "One seed says nothing about chance" in text


def test_money_by_day_and_price_adds_up_to_the_ledger(week: Path) -> None:
    material = read_material(week)
    for run in material.shown:
        course, kpis = material.courses[run.label], run.kpis
        assert kpis is not None
        assert course.days["actual_profit"].sum() == pytest.approx(kpis.total_profit, abs=1e-9)
        hourly = kpis.money.revenue - kpis.money.capacity
        assert course.dearest_usd[-1] == pytest.approx(hourly, abs=1e-9), "capacity is of evenings and months"
        assert paid(run.table("prosumers")).sum() == pytest.approx(kpis.money.payments, abs=1e-6), "each home's adds up"
        assert course.sold_kwh == pytest.approx(1000.0 * kpis.sold_mwh, abs=1e-6)
        lines = ledger([kpis])
        come = sum(sign * lines[name] for name, _, sign in STEPS)
        assert come == pytest.approx(lines["profit"], abs=1e-9), "the waterfall ends at the profit"
    sold = material.courses["centralized"]
    assert sold.sold_usd / sold.sold_kwh * 1000 > sold.mean_price, "perfect foresight sells in dear hours"
    two = mean_course([sold, sold])
    assert two is not None
    pd.testing.assert_frame_equal(two.days, sold.days.astype(float))
    assert mean_course([]) is None


def unpacked(page: str, section: str) -> list[list[str]]:
    """The pages of every pack of a section, as a browser unpacks them."""
    body = page.split(f'<section id="{section}">')[1].split("</section>")[0]
    packs = re.findall(r"<script type=text/plain>(.*?)</script>", body)
    return [gzip.decompress(base64.b64decode(pack)).decode().split(BETWEEN)[1:] for pack in packs]


def test_any_home_and_any_hour_are_in_the_report(week: Path) -> None:
    page = (week / "report.html").read_text(encoding="utf-8")
    packs = unpacked(page, "home")
    runs = read_material(week).shown
    assert [len(pack) for pack in packs] == [len(run.table("prosumers")) for run in runs]
    for run, pack in zip(runs, packs, strict=True):
        homes = Homes(run)
        for home, html in enumerate(pack):
            read(html)
            assert html == homes.page(home), "the page that the dashboard shows"
            assert f"Home {home}" in html
            assert f"<b>{homes.homes['net_benefit_usd'][home]:z,.2f}</b>" in html
    (hours,) = unpacked(page, "negotiation")
    assert len(hours) == 120
    text = " ".join(read("".join(hours)).text)
    assert "Terms side by side" in text
    assert text.count("What happened") >= 120


def test_a_conversation_says_what_followed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    args = ["--scenario", "week20", "--duration-hours", "48", "--policies", "agentic(transcript='full')"]
    assert main([*args, "--no-figures", "--no-ceilings", "--quiet", "--out", str(out)]) == 0
    run = RunResult.read(out / "runs" / "week20-s0-agentic")
    homes = Homes(run)
    talk = Conversations(homes)
    offered = {one.opportunity for some in homes.terms.values() for one in some}
    assert talk.best in offered
    assert sum(len(some) for some in homes.terms.values()) == len(all_terms(run.table("transcripts")))
    signed = sum(one.accepted is True for some in homes.terms.values() for one in some)
    assert signed == run.kpis.contracts_signed  # type: ignore[union-attr]
    assert "yes (" in talk.page(talk.best)
    # who has been offered nothing later is followed to the end
    last = [some[-1] for some in homes.terms.values() if some[-1].window == "notice"]
    pays = ["pay_sold_usd", "pay_bought_usd", "pay_forced_usd", "pay_reserve_usd"]
    for one in last:
        mine = homes.dispatched(one.home)
        mine = mine[mine["opportunity"] >= one.opportunity] if len(mine) else mine
        given = float((mine["sold_kwh"] + mine["called_kwh"]).sum()) if len(mine) else 0.0
        cells = talk._became(one)
        assert cells[0] == "the end"
        assert cells[2] == (f"{given:z,.2f}" if len(mine) else "-")
        if len(mine):
            more = mine[[*pays, "pay_availability_usd", "pay_concession_usd"]].to_numpy().sum()
            assert cells[3] == f"{more:z,.2f}"


def test_words_of_owners_are_data() -> None:
    attack = "</script><img src=x onerror=alert(1)>\x1e<b>"
    stamp = {"opportunity": 0, "timestamp": "2023-08-01 00:00:00-07:00"}
    messages = [
        {"kind": "aggregator_offer", "offer_id": attack, "targets": [3], "offered_price": [0.2], "requested_kw": [5.0],
         "concessions": [attack], "window": attack, "round": 1, "of_rounds": 1, "bonus": 0.7},
        {"kind": "said", "prosumer_id": 3, "speaker": "aggregator", "text": "Please?", "offer_id": attack},
        {"kind": "said", "prosumer_id": 3, "speaker": "owner", "text": attack, "offer_id": attack},
        {"kind": "prosumer_response", "prosumer_id": 3, "offer_id": attack, "accepted": False, "countered": True,
         "counter_price": 0.3, "counter": attack, "reason": attack},
        {"kind": attack, "text": attack},
        {"kind": "coalition", "only": attack},
    ]  # fmt: skip
    texts = [json.dumps(stamp | m) for m in messages]
    table = pd.DataFrame({"opportunity": 0, "timestamp": pd.Timestamp("2023-08-01", tz="America/Los_Angeles"),
                          "kind": [m["kind"] for m in messages], "message": texts})  # fmt: skip
    found = negotiation_of(texts)
    assert [(w.speaker, w.home, w.text) for w in found.said] == [("aggregator", 3, "Please?"), ("owner", 3, attack)]
    assert [m["kind"] for m in found.others] == [attack, "coalition"], "what cannot be read is shown as it is"
    assert found.terms[0].answer == f"no: {attack} ({attack})"
    pages = [_words(found.said), *(_side(found.terms))]
    pack = Pack([attack], ["".join(pages)])
    box = chosen({attack: pack}, "Hour")
    reader = read(box)
    assert reader.links == []
    assert "<img" not in box
    assert "Please?" in reader.text
    again = gzip.decompress(base64.b64decode(re.findall(r"text/plain>(.*?)<", box)[0])).decode().split(BETWEEN)
    assert len(again) == 2, "nothing that is said begins another page"
    assert len(all_terms(table)) == 1


def _side(terms: list[Terms]) -> list[str]:
    return [html_table(["terms", "answer"], [[one.words, one.answer] for one in terms], 2)]


def test_pictures_of_a_run_are_files_of_their_own(week: Path, tmp_path: Path) -> None:
    assert report_main([str(week), "--pictures", str(tmp_path / "img")]) == 0
    names = {path.name: path.read_bytes() for path in (tmp_path / "img").iterdir()}
    assert set(names) == {"ladder.svg", "negotiation.svg", "day.svg"}
    for content in names.values():
        root = ElementTree.fromstring(content)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert b"url(" not in content
        assert len(content) < 60_000
    assert b"agentic" in names["ladder.svg"]
    assert b"deferred charging" in names["day.svg"]
    assert report_main([str(week), "--pictures", str(tmp_path / "again")]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == names


def test_the_lead_is_tested_over_all_pairs(seeds: Path) -> None:
    results = read_material(seeds).seeds
    values = {k: np.array([s.run(k).number("welfare") for s in results]) for k in ("truthful", "random", "idle")}
    ahead = lead(results)
    assert ahead is not None
    assert (ahead.policy, ahead.units) == (max(values, key=lambda k: values[k].mean()), 6)
    pairs = list(combinations(values, 2))
    corrected = holm([wilcoxon(values[a] - values[b]) for a, b in pairs])
    for row in ahead.behind:
        gap = values[row.policy] - values[ahead.policy]
        assert row.difference.value == pytest.approx(gap.mean())
        assert row.worse == (gap < 0).sum()
        assert row.p == corrected[next(j for j, pair in enumerate(pairs) if {*pair} == {row.policy, ahead.policy})]
        assert not row.told_apart or gap.mean() < 0
    assert [row.difference.value for row in ahead.behind] == sorted(
        (row.difference.value for row in ahead.behind), reverse=True
    )
    assert lead([]) is None


def test_intervals_of_several_seeds(seeds: Path) -> None:
    text = " ".join(read((seeds / "report.html").read_text(encoding="utf-8")).text)
    profit = json.loads((seeds / "statistics.json").read_text("utf-8"))["policies"]["random"]["total_profit"]["mean"]
    assert f"{profit['value']:,.2f} [{profit['low']:,.2f}, {profit['high']:,.2f}]" in text
    assert "Means over 6 units" in text
    assert "random - truthful" in text


def test_violations_by_hour_add_up(week: Path) -> None:
    material = read_material(week)
    summary = json.loads((week / "simulation_summary.json").read_text("utf-8"))["policies"]
    for label, counts in material.violations.items():
        kinds = {k: v for k, v in summary[label]["total_violations"].items() if k != "total"}
        assert counts.sum(axis=1).tolist() == list(kinds.values())


def test_written_again_from_the_folder(week: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (week / "report.html").read_bytes()
    assert report_main([str(week)]) == 0
    assert (week / "report.html").read_bytes() == before
    assert report_main([str(week / "nowhere")]) == 2
    assert "is no folder that `vpp-env compare` has written" in capsys.readouterr().err


def material_with(week: Path, ceilings: Ceilings | None = None, **changes: Any) -> Material:
    """The material of a run in which something of `agentic` is another."""
    material = read_material(week)
    (seed,) = material.seeds
    runs = tuple(replace(run, **changes) if run.label == "agentic" else run for run in seed.runs)
    return replace(material, seeds=[replace(seed, runs=runs, ceilings=ceilings or seed.ceilings)])


def test_ceilings_are_shown_where_they_are(week: Path) -> None:
    kpis = read_material(week).seeds[0].run("agentic").kpis
    assert kpis is not None
    bounds = Ceilings(
        preferences=(500.0, 502.0),
        cost=(600.0, 603.0),
        welfare=(650.0, 651.0),
        free=(900.0, 905.0),
        profit=(300.0, 301.0),
        profit_free=(700.0, 712.0),
        idle=0.0,
        gap=0.0056,
        seconds=8.0,
    )
    made = replace(kpis, regret=123.456, score=0.789, profit_score=0.654)
    page = report_page(material_with(week, bounds, kpis=made))
    read(page)
    assert 'id="bounds"' in page
    for text in (
        "650.00 to 651.00",
        "500.00 to 502.00",
        "U_pref 502.00 &lt; U_cost 603.00 &lt; U_welfare 651.00",
        "123.46",
        "0.7890",
        "0.6540",
        "0.56 %",
        "ceiling ignoring wishes",
    ):
        assert text in page


def test_language_model_figures_are_shown_where_they_are(week: Path) -> None:
    by = {"model": 0, "replay": 4, "rules": 3, "fallback": 1}
    page = report_page(material_with(week, llm=LlmBill(321, 1000, 50, 0.0123, 2.0, 8, by, 0.125, {}, 7.5)))
    assert "Language model" in page
    for text in ("<td class=n>321</td>", "<td class=n>0.0123</td>", "<td class=n>12.5 %</td>"):
        assert text in page


def test_hostile_text_stays_text(week: Path) -> None:
    attack = "</style><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>"
    origin = read_material(week).seeds[0].run("agentic").origin
    info = replace(origin.policy.info, description=attack)
    hostile = replace(origin, policy=replace(origin.policy, spec=attack, info=info))
    page = report_page(material_with(week, origin=hostile, reason=attack, status="failed"))
    reader = read(page)
    assert attack in reader.text
    assert page.count("<script>") == 1
    assert all(link.startswith("#") for link in reader.links)


def test_a_report_of_a_failed_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        main(["--scenario", "quick", "--policies", "tests.benchmarks.broken:Broken", "--out", str(out), "--quiet"]) == 1
    )
    text = " ".join(read((out / "report.html").read_text(encoding="utf-8")).text)
    assert "the model is away" in text


def test_a_negotiation_reads_the_same_from_both_transcripts(tmp_path: Path) -> None:
    read_both = []
    for kind in ("summary", "full"):
        out = tmp_path / kind
        args = ["--scenario", "quick", "--policies", f"agentic(transcript='{kind}')", "--no-figures", "--out", str(out)]
        assert main([*args, "--quiet"]) == 0
        texts = RunResult.read(out / "runs" / "quick-s0-agentic").table("transcripts")
        read_both.append([negotiation_of(part["message"].tolist()) for _, part in texts.groupby("opportunity")])
    assert len(read_both[0]) == 6
    for short, full in zip(*read_both, strict=True):
        assert len(short.rounds) == len(full.rounds)
        for a, b in zip(short.rounds, full.rounds, strict=True):
            assert (a.number, a.asked, a.accepted, a.countered) == (b.number, b.asked, b.accepted, b.countered)
            assert a.counter == pytest.approx(b.counter, abs=1e-3) if a.counter is not None else b.counter is None
        assert [m["home"] for m in short.members if m["kw"] > 0] == [m["home"] for m in full.members if m["kw"] > 0]
        assert not short.others


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert ticks(-0.03, 0.071) == pytest.approx([-0.025, 0, 0.025, 0.05])
    assert ticks(3, 3) == [3]
    assert extent([]) == pytest.approx((-0.06, 1.06))
    assert extent([float("nan"), 2.0])[0] < 2.0


def test_a_gap_in_a_line_is_a_gap() -> None:
    plot = Plot((0, 3), (0, 3), "t")
    plot.line([0, 1, 2, 3], [1, float("nan"), 2, 2], "c0", step=True)
    assert plot.svg().count("M") == 2


def test_charts_of_one_policy() -> None:
    one = {"idle": Point(known(0.0), known(1.0), 1.0, True)}
    ElementTree.fromstring(re.findall(r"<svg .*?</svg>", pareto(one, colors(one)))[0])
    row = Difference("a", "b", "total_profit", known(0.0), 0, known(0.5), None)
    ElementTree.fromstring(re.findall(r"<svg .*?</svg>", forest([row], "USD", colors("ba")))[0])


def test_owners_who_are_out_are_drawn_by_day(week: Path) -> None:
    course = read_material(week).courses["centralized"]
    days = course.days.assign(owners_out=[0.0, 3.0, 5.0, 5.0, 4.0], owners_lost=[0.0, 0.0, 2.0, 2.0, 2.0])
    drawn = out_by_day({"annoying": replace(course, days=days)}, colors(["annoying"]))
    for svg in re.findall(r"<svg .*?</svg>", drawn):
        ElementTree.fromstring(svg)
    assert "Owners who took no bid" in drawn
    assert "left for good" in drawn


def test_annoyance_is_that_of_the_rule() -> None:
    """`random` makes no offers that could be turned down: the record gives the owners' own annoyance."""
    (job,) = make_plan(load_scenario("quick").override({"time.duration_hours": 72}), ["random"]).jobs(0)
    month = month_of(job)
    played = simulate(month, make_policy("random"))
    found = annoyance(_result_of(job, month, played))
    patience, able = played.record._world.patience, month.fleet.can_offer
    true = (patience.strain() * patience._tolerance)[able].mean()
    assert found.shape == (4,), "it begins in the evening"
    assert found.mean() == pytest.approx(true, abs=1e-12)
    assert true > 0.0


def test_the_report_says_who_opted_out(week: Path) -> None:
    page = (week / "report.html").read_text("utf-8")
    assert 'id="patience"' in page
    text = (week / "simulation_report.md").read_text("utf-8")
    out = {run.label: run.kpis.opt_out_days for run in read_material(week).seeds[0].runs if run.kpis}
    assert out["idle"] == 0
    assert ("Owners opted out: " in text) == any(out.values())
    assert "idle did nothing: that breaks no preference and gives nobody what it joined for" in text
    assert "Nobody opted out: " in page


# -- tables for papers --------------------------------------------------------------------------------------------


def test_tables_say_the_same_in_every_form(week: Path) -> None:
    summary = json.loads((week / "simulation_summary.json").read_text("utf-8"))
    csv = pd.read_csv(week / "tables" / "headline.csv")
    profits = [p["total_profit"] for p in summary["policies"].values()]
    assert csv["total_profit"].to_numpy() == pytest.approx(np.array(profits), rel=1e-14)
    rows = json.loads((week / "tables" / "headline.json").read_text("utf-8"))["rows"]
    assert [row["total_profit"] for row in rows] == profits
    markdown, latex = ((week / "tables" / f"headline.{kind}").read_text("utf-8") for kind in ("md", "tex"))
    for label, profit in zip(summary["policies"], profits, strict=True):
        assert re.search(rf"^\| {label} .*\| {profit:,.2f} \|", markdown, flags=re.MULTILINE)
        assert re.search(rf"^{label} .*& {profit:,.2f} &.*\\\\$", latex, flags=re.MULTILINE)


def test_latex_takes_every_character() -> None:
    row = [r"a_b & 5 % of $3 #1 {x} ~ ^ \input"]
    text = Table("t", [], ["name"], [row]).latex()
    assert r"a\_b \& 5 \% of \$3 \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{}input \\" in text


def test_columns_that_nobody_has_are_left_out(week: Path) -> None:
    runs = read_material(week).seeds[0].runs
    assert "score" in headline(runs).header
    unscored = [replace(run, kpis=run.kpis and replace(run.kpis, score=None)) for run in runs]
    assert "score" not in headline(unscored).header


@pytest.mark.slow
def test_a_browser_opens_it_without_a_word(week: Path, tmp_path: Path) -> None:
    address = (week / "report.html").as_uri()
    for width, scheme in ((1440, "light"), (1024, "dark"), (390, "light"), (390, "dark")):
        with browser_page(width, 900, scheme) as watched:
            page = watched.page
            page.goto(address)
            assert page.locator("section").count() == 14  # with the ceilings
            # nothing is wider than the screen
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            folded = page.locator("details:not([open])").count()
            assert folded >= 2
            assert page.locator("#day .buttons").count() == 0, "all three are there"
            for section, options in (("home", 20), ("negotiation", 120)):
                box = page.locator(f"#{section}")
                assert box.locator("select.name option").count() == options
                box.locator("select.name").select_option(index=0)
                first = "Home 0" if section == "home" else "2023-08-01 00:00"
                box.locator(".page strong", has_text=first).wait_for()
                box.get_by_role("button", name="Next").click()
                second = "Home 1" if section == "home" else "2023-08-01 01:00"
                box.locator(".page strong", has_text=second).wait_for()
            page.locator("#home select.which").select_option("centralized")
            page.locator("#home .page", has_text="offers no contracts").wait_for()
            assert page.locator("#home .page strong").inner_text() == "Home 1", "the same home under another policy"
            page.emulate_media(media="print")
            assert page.locator("nav").is_hidden()
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
            for paper, across in (("A4", 718), ("Letter", 740)):  # pixels between the margins
                page.set_viewport_size({"width": across, "height": 900})
                assert page.evaluate(TOO_WIDE) == []
                page.pdf(path=str(tmp_path / "print.pdf"), format=paper)
            page.evaluate("dispatchEvent(new Event('beforeprint'))")
            assert page.locator("details:not([open])").count() == 0
            page.evaluate("dispatchEvent(new Event('afterprint'))")
            assert page.locator("details:not([open])").count() == folded
            assert watched.complaints == []
            assert watched.outside(address) == []


@pytest.mark.slow
def test_panels_beyond_the_first_open_and_close_by_a_button() -> None:
    drawn = panels([("one", "<p>1</p>"), ("two", "<p>2</p>")], "some", shown=1)
    with browser_page() as watched:
        page = watched.page
        page.set_content(f"<main>{drawn}</main><script>{SCRIPT}</script>")
        for name, shown in (("two", True), ("one", False), ("two", False)):
            page.get_by_role("button", name=name).click()
            assert page.locator(f"#some-{['one', 'two'].index(name)}").is_visible() is shown
