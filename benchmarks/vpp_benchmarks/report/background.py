"""Behind the result, in HTML: ceilings, time and cost, and where it all is from."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from vpp_benchmarks.report.conclusions import caveats
from vpp_benchmarks.report.material import Material
from vpp_benchmarks.report.svg import Markup, bullets, code, table
from vpp_benchmarks.report.tables import ladder, number, percent, steps, written
from vpp_benchmarks.results.llm_kpis import LlmBill
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.summary import mean_ladder, mean_of
from vpp_env.evaluation.kpi import table as kpis
from vpp_env.evaluation.kpi_entry import LADDER, Place

UNAUDITED = "Verdict claimed: nobody checked that a policy sees only what it says; <code>--verify</code> does."


def bounds(m: Material) -> str:
    """Return ceilings and what every policy is short of them, where they were computed."""
    some = [(seed, seed.ceilings) for seed in m.seeds if seed.ceilings is not None]
    if not some:
        return ""
    rows = []
    for seed, ceilings in some:
        found = [ceilings.bracket(name) for name in LADDER]
        brackets = ["not defined" if b is None else f"{number(b[0])} to {number(b[1])}" for b in found]
        rows.append([seed.case, str(seed.seed), *brackets])
    header = ["case", "seed", *(f"{title}, USD" for title in LADDER.values())]
    shown = kpis(Place.CEILINGS)
    shares = []
    for label in m.planned.labels:
        cells = []
        for kpi in shown:
            cells.append(written(kpi, mean_of(kpi, [seed.run(label) for seed, _ in some])))
        shares.append([label, *cells])
    widest = percent(max(ceilings.gap for _, ceilings in some), 2)
    note = f"<p class=note>Brackets are proven; the widest is {widest}.</p>"
    of_policies = table(["policy", *(kpi.heading for kpi in shown)], shares)
    rungs = "".join(f"<p class=note>{escape(f'{s.case}, seed {s.seed}: {ladder(s)}')}</p>" for s, _ in some)
    each = table(header, rows, 2) + rungs
    if len(some) > 1:
        units, steps_of_all = mean_ladder(m.seeds)
        mean = f"<p>Mean of {units}, USD of welfare: {escape(' < '.join(steps(steps_of_all)))}.</p>"
        each = f"{mean}<details><summary>Each of the {units}</summary>{each}</details>"
    return each + note + of_policies


def time_and_cost(m: Material) -> str:
    """Return seconds, and what language models took where there were any."""
    timed = {kpi.name: kpi.heading for kpi in kpis() if kpi.is_time} | {"wall_seconds": "wall clock of all units, s"}
    digits = dict.fromkeys(timed, 4) | {"wall_seconds": 1}
    rows = [[label, *(number(times.get(k), digits[k]) for k in timed)] for label, times in m.times.items()]
    parts = [f"<div class=narrow>{table(['policy', *timed.values()], rows)}</div>"]
    bills = {label: [b for s in m.seeds if (b := s.run(label).llm) is not None] for label in m.planned.labels}
    rows = [_bill(label, some) for label, some in bills.items() if some]
    if rows:
        header = ["policy", "calls", "tokens in", "tokens out", "USD", "profit net of it, USD", "decisions", "fallback"]
        parts += ["<h3>Language model</h3>", table(header, rows), "<p class=note>Sums over all units.</p>"]
    return "".join(parts)


def _bill(label: str, bills: Sequence[LlmBill]) -> list[str]:
    """Sum up what a language model took in several units."""
    calls, sent, got, decisions = (
        sum(values) for values in zip(*((b.calls, b.tokens_in, b.tokens_out, b.decisions) for b in bills), strict=True)
    )
    usd, net = sum(b.usd for b in bills), sum(b.profit_net_of_llm for b in bills)
    fallback = sum(b.decisions_by["fallback"] for b in bills) / decisions if decisions else 0.0
    counts = [number(n, 0) for n in (calls, sent, got)]
    return [label, *counts, number(usd, 4), number(net), number(decisions, 0), percent(fallback)]


def origin(m: Material) -> str:
    """Return where the results are from: policies, runs that did not complete, scenario, versions."""
    runs = m.seeds[0].runs if m.seeds else ()
    rows = [
        [
            run.label,
            run.origin.policy.spec,
            run.info.information.name,
            run.audit.said if run.audit else run.verdict,
            Markup(code(run.info.consent.value)),
            run.info.description,
        ]
        for run in runs
    ]
    parts = [table(["policy", "as called", "sees", "verdict", "consent", "what it is"], rows, 6, cards=True)]
    if any(run.audit is None for run in runs):
        parts.append(f"<p class=note>{UNAUDITED}</p>")
    broken = [
        [run.label, seed.case, str(seed.seed), run.status, run.reason]
        for seed in m.seeds
        for run in seed.runs
        if not run.complete
    ]
    if broken:
        parts += ["<h3>Runs that are not complete</h3>", table(["policy", "case", "seed", "status", "why"], broken, 5)]
    if len(m.seeds) == 1:
        parts += ["<h3>Caveats</h3>", bullets(caveats(m.seeds[0]))]
    return "".join(parts) + ("" if m.first is None else _versions(m.first))


def _versions(run: RunResult) -> str:
    """Return versions and prices of a run, and its scenario in full; both folded."""
    software, prices, scenario = run.origin.software, run.origin.prices, run.origin.scenario
    git = software.git or {}
    commit = f"{git.get('commit', 'unknown')}{' with changes' if git.get('dirty') else ''}"
    pairs = [["commit", commit], ["python", software.python], ["platform", software.platform]]
    pairs += [[k, v or "not installed"] for k, v in software.packages.items()]
    pairs += [[f"prices: {k}", v] for k, v in prices.series.items()]
    homes = run.origin.homes
    pairs += [[f"homes: {k}", v] for k, v in homes.series.items()]
    pairs += [[f"SHA-256 {k}", v] for k, v in {**prices.files_sha256, **homes.files_sha256}.items()]
    name = escape(f"{scenario.name}, hash {scenario.hash}")
    return (
        f"<details><summary>Versions and data</summary>{table(['what', 'which'], pairs, 2)}</details>"
        f"<details><summary>Scenario {name}</summary><pre>{escape(scenario.toml)}</pre></details>"
    )
