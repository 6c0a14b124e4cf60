"""The report in Markdown, written from results alone: every sentence and figure is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vpp_policies.llm.ledger import SOURCES

from vpp_benchmarks.report.conclusions import caveats, conclusions
from vpp_benchmarks.report.tables import (
    bracketed,
    difference_table,
    figure,
    ladder,
    markdown,
    mean,
    mean_digits,
    number,
    percent,
    shown_at,
    who,
)
from vpp_benchmarks.results.intervals import CONFIDENCE
from vpp_benchmarks.results.llm_kpis import LlmBill
from vpp_benchmarks.results.means import Means
from vpp_benchmarks.results.notes import homes_text, prices_text
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.statistics import METHOD, Statistics
from vpp_benchmarks.results.summary import SeedResult
from vpp_benchmarks.run.plan import Plan
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import LADDER, Place
from vpp_env.owners.violations import VIOLATIONS

LEDGER = ("energy", "reserve", "nopay", "deviation", "revenue", "payments", "compute")
"""Lines of the VPP's ledger that are shown."""


def seed_report(seed: SeedResult, picture: str | None = None) -> str:
    """Return the report of one seed; `picture` is the relative path of a picture to show."""
    s = seed.scenario
    labels = ", ".join(run.label for run in seed.runs)
    parts = [
        f"# {s.name}: {labels}",
        f"{s.fleet.size} homes, {s.hours} h from {s.time.start}, {s.n_opportunities} opportunities of "
        f"{s.time.opportunity_minutes} min, seed {seed.seed}, prices: {prices_text(seed.price_kinds) or 'none'}; "
        f"homes: {homes_text(seed.home_kinds) or 'generated'}; "
        f"clearing `{s.market.clearing}`, payment `{s.market.payment}`, minimum bid {s.market.min_bid_mw:g} "
        f"MW. Scenario hash `{seed.runs[0].origin.scenario.hash}`. Status: {seed.status}.",
        "## Result",
        result_table(seed.runs),
        "Satisfaction is a score in [0, 1] over the whole run, of the owners who have something to offer; doing "
        "nothing gives none of them what it joined for. USD over the whole run.",
    ]
    said, limits = conclusions(seed), caveats(seed)
    if picture is not None:
        parts.append(f"![One day, and profit against satisfaction]({picture})")
    parts += [
        "## What the figures say",
        _bullets(said),
        *_ceilings(seed),
        "## What each policy may see",
        _information(seed.runs),
        "## Violations of the owners' preferences",
        _violations(seed.runs),
        "Pairs of prosumer and opportunity; `underpaid` = less than the owner's own ask for what was sold.",
        "## Where the money comes from",
        _money(seed.runs),
        "USD. Profit = energy + reserve - no-pay - deviation - payments - computing.",
        kpi_table(Place.ENERGY, seed.runs),
        "Sold = deferred charging + battery + V2G. Forced = bought back for a car that had to be ready.",
        "## Who bears it",
        kpi_table(Place.FAIRNESS, seed.runs),
        "Weight sensitivity: 5 % and 95 % quantile of the mean score under random weights of its seven components.",
        *_language_models(seed.runs),
        "## Caveats",
        _bullets(limits),
    ]
    return "\n\n".join(parts) + "\n"


def kpi_table(place: Place, runs: Sequence[RunResult]) -> str:
    """Return the KPIs of a place, a policy a row."""
    kpis = shown_at(place, runs)
    rows = [[run.label, *(figure(run, kpi) for kpi in kpis)] for run in runs]
    return markdown(["policy", *(kpi.heading for kpi in kpis)], rows)


def result_table(runs: Sequence[RunResult]) -> str:
    """Return what everybody asks first; every policy with its information set and whether the owners were asked."""
    kpis = shown_at(Place.REPORT, runs)
    rows = []
    for run in runs:
        cells = [figure(run, kpi) for kpi in kpis]
        if run.kpis is not None and run.consent_note:
            by_name = {kpi.name: cell for kpi, cell in zip(kpis, cells, strict=True)}
            short = "0 (not checked)" if run.info.asks_consent else "0 by construction"
            cells = list((by_name | {"satisfaction_consented": short}).values())
        rows.append([*who(run), *cells])
    head = ["policy", "sees", "owners asked", "verdict"]
    return markdown([*head, *(kpi.heading for kpi in kpis)], rows, text_columns=len(head))


def _ceilings(seed: SeedResult) -> list[str]:
    """What could have been earned, and by how much each policy falls short of it."""
    bounds = seed.ceilings
    if bounds is None:
        return []
    what = {
        "preferences": "welfare, every preference kept, nobody below the own ask",
        "cost": "welfare, every preference kept, no asks",
        "no_foresight": "welfare of who knows no real-time price beforehand: holds for means over months",
        "welfare": "welfare, preferences broken at their owners' private values",
        "free": "joint surplus, preferences cost nothing",
    }
    found = {name: bracket for name in what if (bracket := bounds.bracket(name)) is not None}
    rows = [[LADDER[name], what[name], *(number(usd) for usd in bracket)] for name, bracket in found.items()]
    text = (
        f"{ladder(seed)} (USD of welfare). No policy exceeds a ceiling; a plan of its relaxation is worth what stands "
        f"before it. Brackets are proven, the widest to {percent(bounds.gap, 2)}. Score = (welfare - idle) / "
        "(U_welfare - idle); regret = what is short of U_welfare. The ceilings know no minimum bid and all the future; "
        "but U_na takes off what knowing real-time prices brings, on the mean over months: a single one may pass it."
    )
    rungs = markdown(["ceiling", "of", "plan, USD", "ceiling, USD"], rows, text_columns=2)
    return ["## What could have been earned", kpi_table(Place.CEILINGS, seed.runs), rungs, text]


def _information(runs: Sequence[RunResult]) -> str:
    rows = [
        (run.label, f"`{run.origin.policy.spec}`", run.info.information.name, run.info.consent.value,
         run.info.description)
        for run in runs
    ]  # fmt: skip
    return markdown(["policy", "as called", "information set", "consent", "what it is"], rows, text_columns=5)


def _violations(runs: Sequence[RunResult]) -> str:
    rows = []
    for run in runs:
        counts = None if run.kpis is None else run.kpis.total_violations
        kinds = {kind: None for kind in VIOLATIONS} if counts is None else counts.by_kind
        rows.append([run.label, *(number(n, 0) for n in (counts and counts.total, *kinds.values()))])
    return markdown(["policy", "total", *VIOLATIONS], rows)


def _money(runs: Sequence[RunResult]) -> str:
    rows = []
    for run in runs:
        ledger = [None if run.kpis is None else getattr(run.kpis.money, line) for line in LEDGER]
        values = [*ledger, run.number("total_profit"), run.number("energy_revenue_per_home")]
        rows.append([run.label, *(number(v) for v in values)])
    return markdown(["policy", *LEDGER, "profit", "energy per home"], rows)


def _language_models(runs: Sequence[RunResult]) -> list[str]:
    """What language models were asked, what it cost, and who decided; nothing without one."""
    bills = [(run, run.llm) for run in runs if run.llm is not None]
    if not bills:
        return []
    header = ["policy", "calls", "tokens in", "tokens out", "USD", "profit", "profit net of it"]
    header += ["by model", "replayed", "by rules", "by fallback", "fallback"]
    rows = []
    for run, bill in bills:
        row = [run.label, *(number(n, 0) for n in (bill.calls, bill.tokens_in, bill.tokens_out))]
        row += [number(bill.usd, 4), number(run.number("total_profit")), number(bill.profit_net_of_llm)]
        row += [*(number(bill.decisions_by[s], 0) for s in SOURCES), percent(bill.fallback_rate)]
        rows.append(row)
    note = (
        "Decisions by who took them; `replayed` is a recorded answer and `fallback` the rules, where no usable answer "
        "came. USD of a replay is what its tokens would cost at the recorded prices. A cassette says by whom it was "
        "recorded: the shipped one by a scripted program, not by a language model."
    )
    events = "; ".join(f"{run.label}: {_events(bill)}" for run, bill in bills)
    return ["## Language models", markdown(header, rows), note, f"Events. {events}."]


def _events(bill: LlmBill) -> str:
    return ", ".join(f"{name} {count}" for name, count in bill.events.items() if count) or "none"


def seeds_report(means: Means, statistics: Statistics | None = None, notes: Sequence[str] = ()) -> str:
    """Return the report of several seeds: means, differences on the same seeds, and what they allow to say.

    `notes` are what must be said beside the headline, see `results.notes`.
    """
    s, planned = means.plans[0].scenario, means.plans[0].seeds
    seeds = ", ".join(map(str, means.finished[means.plans[0].case]))
    parts = [
        f"# {s.name}: {', '.join(means.policies)}, {len(planned)} seeds",
        f"{s.fleet.size} homes, scenario hash `{s.hash}`, seeds {seeds}. Status: {means.status}. "
        "One folder per seed holds its own report and tables.",
        *([_bullets(notes)] if notes else []),
        "## Means over seeds",
        _means(means),
        "Mean ± standard error; USD per run.",
    ]
    if len(means.policies) > 1:
        parts += [
            "## Differences on the same seeds",
            _paired(means),
            "Policies share every seed's prices, weather and fleet: the difference is known better than either mean.",
        ]
    return "\n\n".join([*parts, *_statistics(statistics)]) + "\n"


def _means(means: Means) -> str:
    """Means over seeds, of the KPIs of the headline."""
    kpis = [kpi for kpi in table(Place.HEADLINE) if all(kpi.name in p.means for p in means.policies.values())]
    rows = [
        [
            label,
            p.policy.info.information.name,
            p.verdict,
            f"{p.complete} of {means.units}",
            *(mean(kpi, p.means[kpi.name]) for kpi in kpis),
        ]
        for label, p in means.policies.items()
    ]
    return markdown(["policy", "sees", "verdict", "seeds", *(kpi.heading for kpi in kpis)], rows, text_columns=3)


def _paired(means: Means) -> str:
    """Differences from the first policy."""
    first, *others = means.policies
    kpis = table(Place.DIFFERENCES)
    rows = [
        [f"{label} - {first}", *(mean(kpi, means.policies[label].minus_first[kpi.name]) for kpi in kpis)]
        for label in others
    ]
    return markdown(["difference", *(kpi.heading for kpi in kpis)], rows)


def experiment_report(
    statistics: Statistics | None, status: str, cases: Mapping[str, Plan], notes: Sequence[str] = ()
) -> str:
    """Return the report of several cases; `notes` are what must be said beside the headline."""
    rows = [
        (case, str(p.scenario.fleet.size), str(p.scenario.hours), p.scenario.time.start, f"`{p.scenario.hash}`")
        for case, p in cases.items()
    ]
    parts = [
        f"# {', '.join(cases)}",
        f"Status: {status}. One folder per case holds its own report and tables.",
        *([_bullets(notes)] if notes else []),
        markdown(["case", "homes", "hours", "start", "scenario hash"], rows, text_columns=5),
    ]
    return "\n\n".join([*parts, *_statistics(statistics)]) + "\n"


def _statistics(found: Statistics | None) -> list[str]:
    """Sections on intervals and tests; empty where nothing was compared."""
    if found is None or not found.policies or found.hypervolume is None:
        return []
    digits = mean_digits(found)
    rows = [
        [label, *(bracketed(p[m].mean, digits[m]) for m in found.metrics), bracketed(p["total_profit"].iqm, 2)]
        for label, p in found.policies.items()
    ]
    parts = [
        "## Intervals",
        markdown(["policy", *found.metrics.values(), "profit, IQM"], rows),
        f"{found.units} units of one month and seed. Brackets: {100 * CONFIDENCE:.0f} % "
        f"interval ({METHOD}), drawn: {found.sampling and found.sampling.value}; IQM: mean of the middle half.",
    ]
    if found.differences:
        parts += [
            difference_table(found).markdown().rstrip("\n"),
            "P(better): chance that a unit of the one is above a unit of the other (any pair, ties half). p: Wilcoxon "
            "signed-rank on the same units, corrected by Holm over all policies and figures of this table.",
        ]
    return [
        *parts,
        "## What may be said",
        _bullets(found.verdict),
        f"Not beaten in welfare and satisfaction at once: {', '.join(found.welfare_front)}.",
        f"Not beaten in profit and satisfaction at once: {', '.join(found.pareto_front)}. Together they dominate "
        f"{found.hypervolume.all:,.2f} USD x score above 0 USD and satisfaction 0.",
    ]


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
