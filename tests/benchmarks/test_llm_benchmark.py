"""Language models in the benchmark: replayed bytes, flags, estimate and bill, transcripts, evaluation, cassette."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support import month, with_prices
from vpp_benchmarks.cli.compare import main, parser
from vpp_benchmarks.cli.llm_flags import with_flags
from vpp_benchmarks.cli.transcript import main as read_transcript
from vpp_benchmarks.llm import cassette
from vpp_benchmarks.llm import evaluate as llm_eval
from vpp_benchmarks.llm.estimate import Estimate, estimate, estimate_lines
from vpp_benchmarks.llm.truth import accuracy, loosened, true_card
from vpp_benchmarks.results.llm_kpis import llm_bill
from vpp_benchmarks.run.plan import PlanError, make_plan
from vpp_policies.agentic import Agentic, agentic
from vpp_policies.agentic.card import EMPTY
from vpp_policies.agentic.llm_brain import LlmBrain
from vpp_policies.llm.stack import shipped

from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.simulate import simulate
from vpp_env.owners.statements import STYLES, statement, topics_said
from vpp_env.scenario import load_scenario
from vpp_env.traces.fleet import build_fleet

REPLAY = "agentic(brain='llm', llm='replay')"


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's command, without a network and without a key."""
    out = tmp_path_factory.mktemp("replay") / "run"
    with pytest.MonkeyPatch.context() as patch:

        def no_network(*_: object) -> None:
            raise AssertionError("a replay asks nobody")

        patch.setattr(socket.socket, "connect", no_network)
        for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"):
            patch.delenv(name, raising=False)
        assert main(["--policies", REPLAY, "agentic", "--scenario", "week20", "--out", str(out), "--no-figures"]) == 0
    return out


def figures(run: Path) -> pd.DataFrame:
    table = pd.read_csv(run / "simulation_results.csv")
    return table[[c for c in table if not c.endswith("optimization_time")]]


def test_the_shipped_cassette_gives_the_same_month_every_time(replayed: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    args = ["--policies", REPLAY, "agentic", "--scenario", "week20", "--out", str(again), "--no-figures", "--quiet"]
    assert main(args) == 0
    assert figures(replayed).equals(figures(again))
    assert (replayed / "transcripts.jsonl").read_bytes() == (again / "transcripts.jsonl").read_bytes()


def test_every_answer_was_on_the_tape_and_the_report_says_so(replayed: Path) -> None:
    summary = json.loads((replayed / "simulation_summary.json").read_text())
    model = summary["policies"]["agentic"]["llm"]
    assert model["decisions_by"] == {"model": 0, "replay": 188, "rules": 0, "fallback": 0}
    assert model["fallback_rate"] == 0.0
    assert model["calls"] == 188
    profit = summary["policies"]["agentic"]["total_profit"]
    assert model["profit_net_of_llm"] == pytest.approx(profit - model["usd"])
    assert 0 < model["usd"] < 0.1
    assert "llm" not in summary["policies"]["agentic_2"]
    report = (replayed / "simulation_report.md").read_text()
    assert "## Language models" in report
    assert "not by a language model" in report


def test_the_cassette_is_small_and_honest_and_holds_no_secret() -> None:
    assert shipped().stat().st_size < 1_000_000
    with closing(sqlite3.connect(f"{shipped().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        meta = dict(db.execute("select name, value from meta"))
        text = "\n".join(map(str, db.execute("select * from answers")))
    assert "not a language model" in meta["made_by"]
    assert meta["provider"] == "scripted"
    assert meta["scenario_hash"] == load_scenario("week20").hash
    for word in ("api_key", "Bearer", "x-goog", "http://", "https://"):
        assert word not in text


def test_the_cassette_is_made_again_by_its_command(tmp_path: Path) -> None:
    """If this fails, prompts, statements or the policy have changed: `vpp-env cassette`."""
    out = tmp_path / "week20.sqlite"
    assert cassette.main(["--out", str(out)]) == 0

    def answers(path: Path) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as db:
            return list(db.execute("select * from answers order by key"))

    assert answers(out) == answers(shipped())
    assert os.listdir(tmp_path) == ["week20.sqlite"]


def test_flags_reach_the_models_policies_only() -> None:
    args = parser().parse_args(["--llm-budget-usd", "0.5", "--llm-max-calls", "7", "--llm-sample-hours", "48"])
    made = with_flags(["idle", REPLAY[:-1] + ", mode='full')", REPLAY], args)
    assert made[0] == "idle"
    # hours are sampled where homes are asked only
    assert "sample_hours" not in made[2]
    with pytest.raises(PlanError, match="no policy has mode"):
        with_flags([REPLAY], args)
    options = make_policy(made[1]).brain.options  # type: ignore[attr-defined]
    assert (options.reach.budget_usd, options.reach.max_calls, options.play.sample_hours) == (0.5, 7, 48.0)
    with pytest.raises(PlanError, match="no policy has brain='llm'"):
        with_flags(["agentic"], args)
    with pytest.raises(PlanError, match="given twice"):
        with_flags(["agentic(brain='llm', max_calls=3)"], args)
    assert with_flags(["agentic"], parser().parse_args([])) == ["agentic"]


def test_what_is_missing_is_said_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for spec, text in (
        ("agentic(brain='llm', llm='gemini')", "GOOGLE_API_KEY"),
        ("agentic(brain='llm', cassette='none.sqlite')", "does not exist"),
    ):
        assert main(["--policies", spec, "--scenario", "quick", "--quiet"]) == 2
        assert text in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_budget_on_the_command_line_ends_in_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    args = ["--policies", REPLAY, "--scenario", "week20", "--duration-hours", "24", "--out", str(out), "--no-figures"]
    assert main([*args, "--llm-max-calls", "25"]) == 0
    printed = capsys.readouterr().out
    assert "estimate per month: 44 calls" in printed
    assert "bill: 25 calls" in printed
    assert "fallback 19" in printed
    model = json.loads((out / "simulation_summary.json").read_text())["policies"]["agentic"]["llm"]
    assert model["decisions_by"] == {"model": 0, "replay": 25, "rules": 0, "fallback": 19}
    assert model["fallback_rate"] == pytest.approx(19 / 44)


def compared(spec: str, name: str, changes: dict[str, Any]) -> tuple[Estimate, dict[str, Any]]:
    policy = make_policy(spec)
    assert isinstance(policy, Agentic)
    assert isinstance(policy.brain, LlmBrain)
    played = month(name, changes)
    before = estimate(policy.brain, played.scenario, 0)
    run = simulate(played, policy)
    after = llm_bill(run.record.opportunities(), 0.0)
    assert after is not None
    return before, after


@pytest.mark.parametrize(
    ("spec", "name", "changes"),
    [
        ("agentic(brain='llm', llm='scripted')", "week20", {}),
        ("agentic(brain='llm', llm='scripted')", "august", {"time.duration_hours": 36}),
        ("agentic(brain='llm', llm='scripted', strategy_every='day')", "august", {"time.duration_hours": 36}),
        ("agentic(brain='llm', llm='scripted', without='memory')", "week20", {"time.duration_hours": 48}),
    ],
)
def test_the_estimate_is_the_bill_within_a_tenth(spec: str, name: str, changes: dict[str, Any]) -> None:
    before, after = compared(spec, name, changes)
    assert after.calls == before.calls
    for mine, real in ((before.tokens_in, "tokens_in"), (before.tokens_out, "tokens_out"), (before.usd, "usd")):
        assert mine == pytest.approx(getattr(after, real), rel=0.1), real


@pytest.mark.parametrize("mode", ["batched", "full"])
def test_the_estimate_of_sampled_hours_is_an_upper_guess(mode: str) -> None:
    """Homes that cannot sell in an hour are not asked: the bill is at most the estimate, with a tenth of room."""
    spec = f"agentic(brain='llm', llm='scripted', mode='{mode}', sample_hours=4)"
    before, after = compared(spec, "week20", {"time.duration_hours": 24})
    assert 0.3 * before.usd < after.usd <= 1.1 * before.usd


def test_the_estimate_of_talk_is_an_upper_guess() -> None:
    spec = "agentic(brain='llm', llm='scripted', talk=4, without='cards,strategy')"
    before, after = compared(spec, "week20", {"time.duration_hours": 2})
    assert 0 < after.calls <= before.calls
    assert 0.2 * before.usd < after.usd <= before.usd


@pytest.mark.slow
def test_a_month_of_200_homes_costs_what_was_said_and_half_a_budget_ends_in_rules() -> None:
    before, after = compared("agentic(brain='llm', llm='scripted', transcript='none')", "august", {})
    assert after.calls == before.calls == 200 + 744
    assert before.usd == pytest.approx(after.usd, rel=0.1)
    spec = f"agentic(brain='llm', llm='scripted', transcript='none', budget_usd={after['usd'] / 2})"
    _, half = compared(spec, "august", {})
    assert half["usd"] <= after.usd / 2
    assert half["decisions"] == 944
    assert 0.3 < half["fallback_rate"] < 0.8


def test_estimates_are_printed_for_models_only() -> None:
    plan = make_plan(load_scenario("week20"), ["idle", REPLAY, "agentic"])
    (line,) = estimate_lines(plan)
    assert line.startswith("agentic: replay")


def test_an_hour_reads_as_a_conversation(replayed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_transcript([str(replayed), "--hour", "2023-08-01T18", "--policy", "agentic"]) == 0
    text = capsys.readouterr().out
    for piece in (
        "== agentic, 2023-08-01 18:00",
        "VPP's strategy by replay",
        "Coalition of",
        "Result:",
    ):
        assert piece in text
    assert read_transcript([str(replayed), "--hour", "2023-08-01T00"]) == 0
    first = capsys.readouterr().out
    assert "Owner of home 0: " in first
    assert "round 1 of 3" in first
    assert "== agentic_2, " in first
    assert read_transcript([str(replayed), "--hour", "1999-01-01"]) == 2
    assert "2023-08-16T18" in capsys.readouterr().err
    assert read_transcript([str(replayed / "nowhere")]) == 2


def test_a_statement_cannot_play_with_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {"policy": "p\u001b[2J", "timestamp": "t", "kind": "card_read", "prosumer_id": 1, "source": "m", "model": "",
           "statement": "hello \u001b]0;pwned\u0007\u202e\r\nx", "card": {}}  # fmt: skip
    path = tmp_path / "transcripts.jsonl"
    path.write_text(json.dumps(bad) + "\n" + json.dumps({"policy": "p", "timestamp": "t", "kind": "new\u001b"}) + "\n")
    assert read_transcript([str(path)]) == 0
    text = capsys.readouterr().out
    assert not set(text) & {"\u001b", "\u0007", "\u202e", "\r"}
    path.write_text("no json\n")
    assert read_transcript([str(path)]) == 2
    assert "line 1" in capsys.readouterr().err


def test_full_transcripts_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = simulate(month("quick", {}), agentic(transcript="full"))
    path = tmp_path / "transcripts.jsonl"
    path.write_text("\n".join(json.dumps({"policy": "a", **m}, default=str) for m in run.record.transcripts) + "\n")
    assert read_transcript([str(path)]) == 0
    text = capsys.readouterr().out
    assert "Home 0" in text
    assert "{" not in text


def test_a_conversation_reads_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    talkers = {"owners.brains": (("persona('plain')", 1.0),), "time.duration_hours": 1}
    run = simulate(month("quick", talkers), agentic(brain="llm", llm="scripted", talk=2, without="cards,strategy"))
    path = tmp_path / "transcripts.jsonl"
    path.write_text("\n".join(json.dumps({"policy": "a", **m}, default=str) for m in run.record.transcripts) + "\n")
    assert read_transcript([str(path)]) == 0
    text = capsys.readouterr().out
    assert re.search(r'VPP to the owner of home \d+ \(model\): "Good day\.', text)
    assert re.search(r"Owner of home \d+ \(world, (accepted|countered)\)", text)


@pytest.mark.parametrize("name", ["august", "reference"])
@pytest.mark.parametrize("style", STYLES)
def test_the_true_card_is_borne_by_its_statement(name: str, style: str) -> None:
    scenario = load_scenario(name).override({"fleet.size": 60})
    fleet = build_fleet(scenario, 1)
    for i in range(fleet.n):
        text = statement(scenario, fleet, 1, i, style)
        card = true_card(scenario, fleet, 1, i, style, text)
        topics = topics_said(scenario, fleet, 1, i, style)
        assert card.says("reserve_wh") == ("backup" in topics)
        if "backup" in topics:
            assert f"{card.reserve_wh / 1000:.1f} kWh" in text
        if "ready" in topics:
            assert f"{card.ready_hhmm // 100:02d}:{card.ready_hhmm % 100:02d}" in text
            assert f"{card.target_percent} %" in text
        if "willing" in topics:
            assert f"{card.share_percent} %" in text
        assert len(card.blackouts) == (int((fleet.blackout[i, :, 0] >= 0).sum()) if "blackout" in topics else 0)
        assert style != "vague" or not topics
        if style == "partial":
            left_out = set(topics_said(scenario, fleet, 1, i)) - set(topics)
            assert "ready" not in left_out or f"{fleet.ready_minutes[i] // 60:02d}:" not in text


def test_accuracy_counts_right_wrong_and_made_up() -> None:
    true = [EMPTY.model_copy(update={"reserve_wh": 5000}), EMPTY]
    read = [EMPTY.model_copy(update={"reserve_wh": 5001}), EMPTY.model_copy(update={"reserve_wh": 3})]
    assert accuracy(true, true)["reserve_wh"] == {"said": 1, "accuracy": 1.0, "unsaid": 1, "made_up": 0.0}
    assert accuracy(read, true)["reserve_wh"] == {"said": 1, "accuracy": 0.0, "unsaid": 1, "made_up": 1.0}
    assert accuracy(read, true)["share_percent"]["accuracy"] is None
    assert loosened(read[1], true[0]) == ("reserve_wh",)
    assert loosened(EMPTY, true[0]) == ("reserve_wh",)
    assert loosened(read[0], true[0]) == ()


def test_the_evaluation_tells_a_good_reader_from_a_gullible_one() -> None:
    evening = month("week20", {"time.start": "2023-08-16T16:00", "time.duration_hours": 6})
    dear = with_prices(evening, rt=400.0)
    good, bad = (llm_eval.Evaluation(dear, {"llm": llm}) for llm in ("scripted", "gullible"))
    calm = good.attack("declared")
    assert calm["benign"]["total_profit"] > 1.0
    assert calm["attack_success"] < 0.2
    declared, physical = bad.attack("declared"), bad.attack("physical")
    # the envelope holds whatever was read, and no other home's card moves
    assert declared["attack_success"] == physical["attack_success"] > 0.5
    assert declared["violations_added"] == 0
    assert declared["other_homes_cards_changed"] == physical["other_homes_cards_changed"] == 0
    # where the card is all that is known, the same reader does harm
    assert physical["violations_added"] > 0


def test_the_evaluation_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--hours", "3", "--styles", "clear", "vague", "--envelopes", "declared", "--out", str(tmp_path)]
    assert llm_eval.main([*args, "--llm", "scripted"]) == 0
    assert capsys.readouterr().out.strip() == (tmp_path / "llm_eval.md").read_text().strip()
    result = json.loads((tmp_path / "llm_eval.json").read_text())
    clear, vague = (result["styles"][s] for s in ("clear", "vague"))
    assert clear["fields"]["reserve_wh"]["accuracy"] == 1.0
    assert vague["fields"]["reserve_wh"] == {"said": 0, "accuracy": None, "unsaid": 20, "made_up": 0.0}
    assert clear["runs"]["declared"]["reader"]["llm"]["decisions_by"]["model"] == 20
    assert llm_eval.main(["--scenario", "no_such"]) == 2
