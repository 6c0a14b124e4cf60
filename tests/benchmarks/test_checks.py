"""Policies that misbehave, audits and salts, as a whole comparison shows them."""

from __future__ import annotations

import io
import json
import logging
import pickle
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vpp_benchmarks.cli.compare import main as compare_main
from vpp_benchmarks.cli.leaderboard import main as leaderboard_main
from vpp_benchmarks.results.leaderboard import check_unmixed
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run import job as job_module
from vpp_benchmarks.run.executors import EXECUTORS
from vpp_benchmarks.run.experiment import from_data
from vpp_benchmarks.run.job import origin_of, play
from vpp_benchmarks.run.plan import Checks, PlanError, Salt, make_plan
from vpp_benchmarks.run.progress import LogProgress

from tests.benchmarks.misbehaving import WAYS as WAYS_OF_RETURNING
from tests.benchmarks.misbehaving import Misbehaves
from vpp_env.contract.bids import N_ACTION
from vpp_env.contract.policy import is_outside, make_policy
from vpp_env.errors import PolicyError
from vpp_env.evaluation.returned import checked
from vpp_env.scenario import load_scenario
from vpp_env.scenario.streams import SALT_VARIABLE, salt_hash

SECRET = "a secret of sixteen characters"
BAD = "tests.benchmarks.misbehaving:Misbehaves"
TINY = [
    "--scenario",
    "quick",
    "--duration-hours",
    "3",
    "--no-figures",
    "--no-ceilings",
    "--quiet",
    "--executor",
    "serial",
]


def main(args: list[str]) -> int:
    return compare_main(args, "vpp-env compare")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))


WAYS = {
    "exits": r"^SystemExit: 3 \(misbehaving.py, line \d+\)$",
    "hangs": r"^act took longer than 3 s; its process was ended \(misbehaving.py, line \d+\)$",
    "mute": r"^Mute: \(its text raises ValueError\) \(misbehaving.py, line \d+\)$",
    "interrupts": r"^KeyboardInterrupt \(misbehaving.py, line \d+\)$",
    "recurses": r"^RecursionError: .* \(misbehaving.py, line \d+\)$",
}


@pytest.mark.parametrize(("executor", "ways"), [("serial", 5), ("processes", 2)])
def test_who_misbehaves_is_one_failed_row_and_its_neighbours_complete(executor: str, ways: int) -> None:
    tried = dict(list(WAYS.items())[:ways])
    specs = ["idle", *(f"{BAD}(how={way!r})" for way in tried), "truthful"]
    scenario = load_scenario("quick").override({"time.duration_hours": 3})
    jobs = make_plan(scenario, specs, checks=Checks(policy_timeout_s=3.0)).jobs(0)
    results = {r.name: r for r in EXECUTORS[executor](2, None).map(jobs, LogProgress())}
    for (way, words), job in zip(tried.items(), jobs[1:-1], strict=True):
        result = results[job.name]
        assert result.status == "failed", way
        assert re.search(words, result.reason, re.DOTALL), result.reason
        assert result.played == 1
        assert result.files()
    assert all(results[job.name].complete for job in (jobs[0], jobs[-1]))


@pytest.mark.parametrize("how", ["exits", "bare", "mute"])
def test_in_the_evaluators_process_too(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a policy of this package would: nothing that it raises reaches the neighbours, but Ctrl-C."""
    scenario = load_scenario("quick").override({"time.duration_hours": 3})
    (job,) = make_plan(scenario, ["idle"]).jobs(0)

    @contextmanager
    def here(spec: str, timeout_s: float) -> Iterator[Any]:
        policy = Misbehaves(how)
        policy.info = job.contender.info
        yield policy

    monkeypatch.setattr(job_module, "player", here)
    result = play(job, LogProgress())
    words = {"exits": "SystemExit: 3", "bare": "BaseException: as bare as can be", "mute": "Mute: (its text raises Val"}
    assert (result.status, result.played) == ("failed", 1)
    assert result.reason.startswith(words[how])
    assert "misbehaving.py" in result.traceback
    assert result.files()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("none", r"^act\(\) returned None: is a `return` missing\? Allowed is Bids$"),
        ("array", r"^act\(\) returned an array of shape \(5, \d\); allowed is Bids: return Bids\(actions\)$"),
        ("shape", r"^act\(\) returned actions of shape \(4, \d\); allowed is one row for each of the 5 homes$"),
        ("notes", r"^Bids.notes\['mood'\] is 'fine'; allowed is a finite number$"),
        ("huge", r"^Bids.notes\['n'\] is 1000.*; allowed is a finite number$"),
        ("transcript", r"^Bids.transcript holds text that cannot be stored"),
        ("accepted", r"^Bids.accepted is float64 of shape \(3,\); allowed is bool of shape \(5,\), or None$"),
    ],
)
def test_what_act_returns_is_said_in_one_sentence(how: str, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        checked(WAYS_OF_RETURNING[how](-np.ones((5, N_ACTION), dtype=np.float32)), 5)


@pytest.mark.parametrize("spec", ["os:system", "sys:exit", "builtins:print", "builtins:dict", "pathlib:Path"])
def test_what_is_no_policy_class_is_refused_before_it_is_called(
    spec: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(
        PolicyError, match=r"is no policy: it is .*; allowed is a class with .* Nothing of it was called"
    ):
        make_policy(spec)
    if spec != "os:system":
        return  # once is enough: it starts a process
    assert main([*TINY, "--policies", spec, "--out", str(tmp_path / "out")]) == 2
    assert "is no policy" in capsys.readouterr().err


def test_a_registered_policy_of_another_distribution_is_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    from vpp_env.contract import policy as module

    class Dist:
        name = "somebody-else"

    theirs = EntryPoint("theirs", "somebody:Theirs", "vpp_env.policies")
    object.__setattr__(theirs, "dist", Dist())
    found = [*module.entry_points(group="vpp_env.policies"), theirs]
    monkeypatch.setattr(module, "entry_points", lambda group: found)
    assert is_outside("theirs(level=2)")
    assert is_outside("a:B")
    assert not is_outside("truthful")


CANARY = """
from pathlib import Path
Path({path!r}).touch()
from vpp_policies.idle import Idle
class Mine(Idle):
    pass
"""


def test_a_folder_executes_nothing_that_is_not_named_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    canary, file, out = tmp_path / "canary", tmp_path / "mine.py", tmp_path / "out"
    file.write_text(CANARY.format(path=str(canary)), encoding="utf-8")
    spec = f"{file}:Mine"
    assert main([*TINY, "--policies", "idle", spec, "--out", str(out)]) == 0
    canary.unlink()
    assert main(["--resume", str(out), "--quiet"]) == 2
    assert "name it again" in capsys.readouterr().err
    assert not canary.exists()
    assert main(["--resume", str(out), "--quiet", "--policies", "os:system"]) == 2
    assert "unknown policy of the folder" in capsys.readouterr().err
    assert not canary.exists()
    assert main(["--resume", str(out), "--quiet", "--no-figures", "--policies", spec]) == 0
    assert canary.exists()


@pytest.mark.parametrize("where", ["graph", "speaker", "model", "file", "speaker_file", "pieces"])
def test_nor_a_graph_or_a_speaker_that_only_a_folder_names(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    canary, out = tmp_path / "canary", tmp_path / "out"
    module = f"canary_{where}"  # a module is executed once in a process
    (tmp_path / f"{module}.py").write_text(CANARY.format(path=str(canary)), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert main([*TINY, "--policies", "idle", "--out", str(out)]) == 0
    written = json.loads((out / "experiment.json").read_text(encoding="utf-8"))
    spec = {
        "graph": f"agentic(graph='{module}:build')",
        "speaker": f"llm('{module}:make')",
        "model": f"agentic(brain='llm', llm='{module}:make')",
        "file": f"agentic(graph='{tmp_path}/{module}.py:build')",
        "speaker_file": f"llm('{tmp_path}/{module}.py:make')",
        "pieces": f"agentic(graph='{tmp_path}/{module}.py' ':build')",
    }[where]
    if where.startswith("speaker"):
        written["cases"][0]["scenario"]["owners"]["brains"] = [[spec, 1.0]]
    else:
        written["policies"][0]["spec"] = spec
    (out / "experiment.json").write_text(json.dumps(written), encoding="utf-8")
    shutil.rmtree(out / "runs")
    assert main(["--resume", str(out), "--quiet"]) == 2
    assert f'the folder names "{spec}"' in capsys.readouterr().err
    assert not canary.exists()
    main(["--resume", str(out), "--quiet", "--no-figures", "--policies", spec])
    assert canary.exists(), "who names it again has it executed"


ADDRESS = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    "spec",
    [
        f"agentic(brain='llm', llm='openai', model='m', base_url='{ADDRESS}')",
        "agentic(brain='llm', llm='openai', models='theirs.toml')",
        f"llm('vpp_policies.llm.owner:speaker', llm='openai', base_url='{ADDRESS}')",
    ],
)
def test_nor_is_a_key_sent_to_an_address_that_only_a_folder_names(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes an address into a folder would be sent the key of who continues it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-key")
    out = tmp_path / "out"
    assert main([*TINY, "--policies", "idle", "--out", str(out)]) == 0
    written = json.loads((out / "experiment.json").read_text(encoding="utf-8"))
    if spec.startswith("llm"):
        written["cases"][0]["scenario"]["owners"]["brains"] = [[spec, 1.0]]
    else:
        written["policies"][0]["spec"] = spec
    (out / "experiment.json").write_text(json.dumps(written), encoding="utf-8")
    assert main(["--resume", str(out), "--quiet"]) == 2
    told = capsys.readouterr().err
    assert f'the folder names "{spec}"' in told
    assert "to ask a model is to send it your key" in told
    if "base_url" in spec:
        assert from_data(written, [spec]).jobs(), "who names it again has it asked"


# -- audits and salts --------------------------------------------------------------------------------------------


def summary_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "simulation_summary.json").read_text(encoding="utf-8"))["policies"]


def test_the_verdict_stands_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked, bare = tmp_path / "a" / "checked", tmp_path / "b" / "bare"
    loud = [a for a in TINY if a not in ("--quiet", "--no-ceilings")]
    assert main([*loud, "--policies", "truthful", "random", "--verify", "--out", str(checked)]) == 0
    shown = capsys.readouterr()
    for label in ("truthful", "random"):
        assert re.search(rf"^{label} +OWN +\w+ +verified ", shown.out, re.MULTILINE)
    assert "audits: 2, of truthful, random" in shown.err
    assert "audit of its information at the first 3 gates" in shown.err
    policies = summary_of(checked)
    assert {p["verdict"] for p in policies.values()} == {"verified"}
    assert "satisfaction_consented_note" not in policies["truthful"]
    assert policies["random"]["satisfaction_consented_note"] == "0 by construction: this policy asks nobody"
    run = RunResult.read(checked / "runs" / "quick-s0-truthful")
    assert run.audit is not None
    assert run.audit.separate
    assert run.audit.gates == 3
    for name in ("simulation_report.md", "report.html"):
        assert "verified" in (checked / name).read_text(encoding="utf-8"), name
    assert main([*loud, "--policies", "truthful", "--out", str(bare)]) == 0
    policies = summary_of(bare)
    assert policies["truthful"]["verdict"] == "claimed"
    assert "--verify" in policies["truthful"]["satisfaction_consented_note"]
    assert policies["truthful"]["satisfaction_consented"] == 0.0
    capsys.readouterr()
    assert leaderboard_main([str(tmp_path / "a")], "vpp-env leaderboard") == 0
    assert "verified" in capsys.readouterr().out
    assert leaderboard_main([str(tmp_path / "b")], "vpp-env leaderboard") == 0
    assert "claimed: nothing has checked what truthful declares" in capsys.readouterr().out


def test_who_is_refuted_is_shown_and_not_ranked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cheat, board = "tests.cheats:Mixes", tmp_path / "board.json"
    args = ["--scenario", "quick", "--duration-hours", "2", "--set", "market.min_bid_mw=0", "--no-figures", "--quiet"]
    assert main([*args, "--policies", cheat, "idle", "--verify", "--out", str(tmp_path / "out")]) == 0
    assert summary_of(tmp_path / "out")["mixes"]["verdict"] == "refuted"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    answer = page[page.index('id="answer"') : page.index('id="pareto"')]
    assert re.search(r"mixes: refuted \(quick, seed 0, 2 gates\): gate \d, prosumer \d: actions moved with ", answer)
    assert leaderboard_main([str(tmp_path / "out"), "--json", str(board)], "vpp-env leaderboard") == 0
    assert "refuted, and not ranked: tests.cheats:Mixes" in capsys.readouterr().out
    (table,) = json.loads(board.read_text(encoding="utf-8"))["tables"]
    assert [(e["policy"], e["rank"], e["verdict"]) for e in table["entries"]] == [
        ("idle", 1, "verified"),
        (cheat, None, "refuted"),
    ]


def audits(folder: Path) -> dict[str, tuple[str, str]]:
    """Run -> its verdict, and where its policy was looked at."""
    runs = [RunResult.read(f) for f in sorted((folder / "runs").iterdir())]
    return {r.name: (r.verdict, r.audit.month if r.audit else "") for r in runs}


def test_a_policy_is_audited_on_one_month_and_the_verdict_stands_for_all_its_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    out, names = tmp_path / "out", ("truthful", "zero")
    with caplog.at_level(logging.INFO):
        assert main([*TINY, "--seeds", "0:3", "--verify", "--policies", *names, "--out", str(out)]) == 0
    looked = [r.getMessage() for r in caplog.records if "audit of its information" in r.getMessage()]
    assert sorted(line.split(",")[0] for line in looked) == sorted(names), "once each"
    found = audits(out)
    assert len(found) == 6
    for name in names:
        (where,) = {month for run, (_, month) in found.items() if run.endswith(name)}
        assert re.fullmatch(r"quick, seed [012]", where)
    assert {verdict for verdict, _ in found.values()} == {"verified"}
    files = [f for f in out.rglob("manifest.json") if "truthful" in f.parent.name]
    assert all(json.loads(f.read_text(encoding="utf-8"))["policy"]["audit"]["month"] for f in files)
    # consent counts in all of them, not where the audit was made alone
    done = [RunResult.read(f.parent) for f in files]
    assert all(run.number("satisfaction_consented") == run.number("avg_satisfaction") for run in done)
    capsys.readouterr()
    assert leaderboard_main([str(out), "--by", "joint_surplus"], "vpp-env leaderboard") == 0
    assert capsys.readouterr().out.count("verified") == 2
    # what is missing is played with the verdict that was found; nothing is audited again
    own = {int(where[-1]) for run, (_, where) in found.items() if run.endswith("truthful")}
    gone = next(f.parent for f in files if f.parent.name != f"quick-s{own.pop()}-truthful")
    before = (gone / "manifest.json").read_bytes()
    shutil.rmtree(gone)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert main(["--resume", str(out), "--quiet", "--no-figures", "--no-ceilings"]) == 0
    assert "audit of its information" not in caplog.text
    assert (gone / "manifest.json").read_bytes() == before


def test_on_every_month_where_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    args = [*TINY, "--seeds", "0:2", "--policies", "zero", "--verify-months", "all"]
    assert main([*args, "--verify", "1", "--out", str(out)]) == 0
    assert {month for _, month in audits(out).values()} == {"quick, seed 0", "quick, seed 1"}
    assert main(["--resume", str(out), "--verify-months", "all"]) == 2
    assert "leave out --verify-months" in capsys.readouterr().err
    assert main([*args, "--out", str(tmp_path / "no")]) == 2
    assert "give --verify too" in capsys.readouterr().err


def test_the_audited_month_is_drawn_of_case_policy_and_salt() -> None:
    specs = ["zero", "truthful", "idle", "random", "greedy", "auction"]
    plans = [
        make_plan(load_scenario("quick"), specs, range(30), case=case, checks=Checks(salt, 2))
        for case, salt in (("a", None), ("b", None), ("a", Salt(SECRET)), ("a", Salt(SECRET)))
    ]
    drawn = [[plan.audit_seed(one, 0) for one in plan.contenders] for plan in plans]
    assert drawn[0] != drawn[1] != drawn[2] == drawn[3] != drawn[0]
    for plan, seeds in zip(plans, drawn, strict=True):
        assert len(set(seeds)) > 1, "not the same month for all"
        assert [[job.audit_seed for job in plan.jobs(seed)] for seed in plan.seeds] == [seeds] * 30
    shuffled = make_plan(load_scenario("quick"), specs, [*range(29, -1, -1)], case="a", checks=Checks(None, 2))
    assert [shuffled.audit_seed(one, 0) for one in shuffled.contenders] == drawn[0]


def test_where_the_audit_could_not_be_made_its_other_runs_say_so_and_are_played_again(tmp_path: Path) -> None:
    out, file, mark = tmp_path / "out", tmp_path / "mine.py", tmp_path / "well"
    file.write_text(FRAIL.format(path=str(mark)), encoding="utf-8")
    spec = f"{file}:Frail"
    assert main([*TINY, "--seeds", "0:2", "--policies", spec, "--verify", "1", "--out", str(out)]) == 1
    runs = {r.status: r for r in (RunResult.read(f) for f in (out / "runs").iterdir())}
    reason = runs["complete"].audit.reason  # type: ignore[union-attr]
    assert reason.startswith(f"the run that it was to be audited in, {runs['failed'].name}, is failed: ")
    assert runs["complete"].verdict == "claimed"
    assert main(["--resume", str(out), "--quiet", "--no-figures", "--no-ceilings", "--policies", spec]) == 0
    assert set(audits(out).values()) == {
        ("verified", runs["failed"].name.replace("-s", ", seed ").removesuffix("-frail"))
    }


FRAIL = """
import os
from vpp_policies.zero import Zero
class Frail(Zero):
    # fails in the first process that makes it act: the audit is made before any run
    def act(self, view):
        if not os.path.exists({path!r}):
            open({path!r}, "w").close()
            raise RuntimeError("not well")
        return super().act(view)
"""


def test_a_language_model_is_not_audited() -> None:
    from vpp_benchmarks.run.auditing import audit_of
    from vpp_benchmarks.run.job import month_of

    plan = make_plan(load_scenario("quick"), ["agentic"], checks=Checks(verify_hours=2))
    (job,) = plan.jobs(0)
    asks = pickle.loads(pickle.dumps(job))
    object.__setattr__(asks.contender, "spec", "agentic(brain='llm')")
    found = audit_of(asks, month_of(job))
    assert found is not None
    assert (found.verdict.value, found.gates) == ("claimed", 0)
    assert "language model" in found.reason


def test_a_salt_makes_other_worlds_and_is_written_nowhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, plain = tmp_path / "salted", tmp_path / "plain"
    monkeypatch.setenv(SALT_VARIABLE, SECRET)
    with caplog.at_level(logging.DEBUG):
        assert main([*TINY, "--policies", "random", "--salt", "--out", str(out)]) == 0
    assert main([*TINY, "--policies", "random", "--out", str(plain)]) == 0
    said = capsys.readouterr()
    written = b"".join(f.read_bytes() for f in out.rglob("*") if f.is_file())
    assert SECRET.encode() not in written
    assert SECRET not in caplog.text + said.out + said.err
    run, other = (RunResult.read(folder / "runs" / "quick-s0-random") for folder in (out, plain))
    assert (run.origin.salt_sha256, other.origin.salt_sha256) == (salt_hash(SECRET), None)
    assert not run.table("prices").equals(other.table("prices"))
    # continued with the same salt only, which is in no folder
    assert main(["--resume", str(out), "--quiet", "--no-figures", "--salt"]) == 0
    assert main(["--resume", str(out), "--quiet"]) == 2
    assert "none is given" in capsys.readouterr().err
    monkeypatch.setenv(SALT_VARIABLE, SECRET[::-1])
    assert main(["--resume", str(out), "--quiet", "--salt"]) == 2
    assert "the same one" in capsys.readouterr().err
    assert main(["--resume", str(plain), "--quiet", "--salt"]) == 2
    assert "begun without a salt" in capsys.readouterr().err
    with pytest.raises(PlanError, match="rules, prices or salts"):
        check_unmixed([run, other])


def test_a_salt_comes_from_a_file_or_standard_input_and_never_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "salt"
    file.write_text(SECRET + "\n", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(SECRET + "\n"))
    hashes = set()
    for where in (str(file), "-"):
        out = tmp_path / f"out{len(hashes)}{where == '-'}"
        assert main([*TINY, "--policies", "idle", "--out", str(out), "--salt", where]) == 0
        hashes.add(json.loads((out / "experiment.json").read_text(encoding="utf-8"))["salt_sha256"])
    assert hashes == {salt_hash(SECRET)}
    assert main([*TINY, "--policies", "idle", "--out", str(tmp_path / "no"), "--salt", SECRET]) == 2
    error = capsys.readouterr().err
    assert "--salt: the file cannot be read" in error
    assert SECRET not in error
    monkeypatch.delenv(SALT_VARIABLE, raising=False)
    assert main([*TINY, "--policies", "idle", "--out", str(tmp_path / "no"), "--salt"]) == 2
    assert SALT_VARIABLE in capsys.readouterr().err


def test_a_salt_shows_in_no_text_of_a_job() -> None:
    plan = make_plan(load_scenario("quick"), ["idle"], checks=Checks(Salt(SECRET)))
    (job,) = plan.jobs(0)
    assert SECRET not in f"{job!r} {job!s} {plan!r} {origin_of(job)!r}"
    assert pickle.loads(pickle.dumps(job)).checks.salt == Salt(SECRET), "it goes to processes over a pipe"
    assert play(job, LogProgress()).complete


@pytest.mark.parametrize("hours", ["0", "-3", "soon"])
def test_verify_says_what_it_takes(hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, f"--verify={hours}"]) == 2
    assert "allowed is a number of hours, 1 or more, or all" in capsys.readouterr().err
    assert main([*TINY, "--policy-timeout", "0"]) == 2
    assert "--policy-timeout" in capsys.readouterr().err
