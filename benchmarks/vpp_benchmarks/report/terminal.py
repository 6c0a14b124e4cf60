"""What compare prints of a comparison: the ladder, the headline figures by welfare, and where everything is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from vpp_benchmarks.report.tables import (
    DIGITS,
    MISSING,
    WHO,
    bracketed,
    figure,
    mean,
    percent,
    shown_at,
    steps,
    who,
    written,
)
from vpp_benchmarks.results.comparison import Comparison
from vpp_benchmarks.results.means import Means, PolicyMeans
from vpp_benchmarks.results.notes import named, notes
from vpp_benchmarks.results.run_result import INTERRUPTED
from vpp_benchmarks.results.statistics import Statistics
from vpp_benchmarks.results.summary import SeedResult, mean_ladder, ratio_of_sums, spread
from vpp_benchmarks.run.plan import told_apart
from vpp_env.contract.policy import PolicyInfo
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import LADDER, Kpi, Place

NARROW = 9
"""Letters from which a word of a heading is broken."""
WIDE = 110
"""Letters of a line from which there is room for what a policy sees beside its figures."""


def show_comparison(console: Console, found: Comparison) -> None:
    """Print the ladder, the headline figures and where everything is."""
    for line in notes(found.planned, found.seeds):
        style = None if line.startswith("prices") else "red"
        console.print(line, markup=False, highlight=False, soft_wrap=True, style=style)
    for line in ladder_lines(found.seeds, console.width):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for line in nothing_earned(found.seeds):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if found.overall is not None:
        _show_cases(console, found)
        if found.seeds:
            _show_means(console, f"means of {len(found.seeds)} months and seeds", found.overall)
    elif found.means and found.seeds:
        (means,) = found.means.values()
        _show_means(console, f"{means.plans[0].scenario.name}, means of {len(found.seeds)} seeds", means)
    else:
        for seed in found.seeds:
            _show_seed(console, seed)
    if found.statistics is not None:
        _show_statistics(console, found.statistics)
    if found.status == INTERRUPTED:
        console.print(f"Interrupted: what was played is written. Continue with --resume {found.folder}", soft_wrap=True)
    for seed in found.seeds:
        for run in seed.runs:
            if run.llm is not None:
                console.print(run.llm.line(run.label), highlight=False, soft_wrap=True)
    console.print(f"Results: {found.folder}", soft_wrap=True, highlight=False)


def ladder_lines(seeds: Sequence[SeedResult], width: int) -> list[str]:
    """Return the ladder of welfare in lines of at most `width`, the mean of several seeds; empty without ceilings."""
    units, rungs = mean_ladder(seeds)
    if not units:
        return []
    of = f", mean of {units} {'months and seeds' if len({s.case for s in seeds}) > 1 else 'seeds'}" if units > 1 else ""
    rising = [step if k == 0 else f"< {step}" for k, step in enumerate(steps(rungs))]
    gap = percent(max(seed.ceilings.gap for seed in seeds if seed.ceilings is not None), 2)
    lines = [f"ladder, welfare in USD{of}:", *_wrapped(rising, width)]
    lines.append(f"  ceilings proven to {gap}; score = share of the way from idle to U_welfare")
    if any(rung == LADDER["no_foresight"] for rung, _ in rungs):
        room = [seed.ceilings.room for seed in seeds if seed.ceilings is not None]
        error = spread([usd for usd in room if usd is not None]).standard_error
        what = "holds for means over months" if error is None else f"a mean over months, +- {error:,.2f} USD"
        lines += _wrapped([f"U_na (no foresight; {what});", "share of it:", *_shares(seeds)], width)
    return [*lines, ""]


CENT = 0.005
"""USD below which a welfare is written as 0.00."""


def nothing_earned(seeds: Sequence[SeedResult]) -> list[str]:
    """Say why no policy earned a cent, where none did: how much there was to be had, at most, with foresight."""
    earned = [run.number("welfare") or 0.0 for seed in seeds for run in seed.done if run.label != "idle"]
    bounds = [seed.ceilings.welfare[1] - seed.ceilings.idle for seed in seeds if seed.ceilings is not None]
    if not earned or not bounds or any(abs(usd) >= CENT for usd in earned):
        return []
    scenario = seeds[0].scenario
    return [
        f"No policy earned a cent: in {scenario.hours} h with {scenario.fleet.size} homes at most "
        f"{max(bounds):,.2f} USD were to be had, and only with foresight (U_welfare). "
        "`--scenario week20` plays a week, `august` a month.",
        "",
    ]


def _wrapped(parts: Sequence[str], width: int) -> list[str]:
    """Put parts on indented lines of at most `width`."""
    lines = [" "]
    for part in parts:
        if len(lines[-1]) + 1 + len(part) > width:
            lines.append(" ")
        lines[-1] += f" {part}"
    return lines


def _shares(seeds: Sequence[SeedResult]) -> list[str]:
    """What of U_na each policy reaches: ratio of sums over seeds, and its standard error where there are several."""
    (kpi,) = (kpi for kpi in table() if kpi.name == "share_of_na")
    found = []
    for label in dict.fromkeys(run.label for seed in seeds for run in seed.done):
        share = ratio_of_sums(kpi, [seed.run(label) for seed in seeds if seed.run(label).complete])
        error = "" if share.standard_error is None else f" +- {percent(share.standard_error)}"
        found.append(f"{label} {percent(share.mean)}{error},")
    return [*found[:-1], *(last.rstrip(",") for last in found[-1:])]


def heading(kpi: Kpi) -> str:
    """Return the heading of a narrow column: a word a line, long ones broken, the unit below."""
    words = re.sub(rf"(\w{{5}})(\w{{{NARROW - 4},}})", "\\1-\n\\2", kpi.short).replace(" ", "\n")
    unit = kpi.unit if len(kpi.unit) < NARROW else kpi.unit.replace("-", "-\n")
    return f"{words}\n{unit}" if unit else words


def _table(console: Console, title: str, text: Sequence[str], figures: Sequence[str]) -> Table:
    """Return an empty table; on a narrow console columns stand one letter apart."""
    made = Table(
        title=title,
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1 if console.width >= WIDE else 0, 0, 0),  # a border of a blank is between columns anyway
    )
    for name in text:
        made.add_column(name, overflow="fold", no_wrap=name in WHO[1:])
    for name in figures:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def _show_seed(console: Console, seed: SeedResult) -> None:
    kpis = shown_at(Place.TERMINAL, seed.runs)
    names = told_apart([run.origin.policy for run in seed.runs])
    made = _head(console, f"{seed.scenario.name}, seed {seed.seed}: {seed.status}", kpis)
    runs = sorted(seed.runs, key=lambda run: _downwards(run.number("welfare")))
    for run in runs:
        name = names[run.label] if run.complete else f"{names[run.label]} ({run.status})"
        _add(console, made, [name, *who(run)[1:]], [figure(run, kpi) for kpi in kpis])
    console.print(made)
    _tell_who(console, {run.label: (run.info, run.verdict) for run in runs})


def _show_means(console: Console, title: str, means: Means) -> None:
    policies = means.policies
    kpis = [kpi for kpi in table(Place.TERMINAL) if any(kpi.name in p.means for p in policies.values())]
    names = told_apart([p.policy for p in policies.values()])
    made = _head(console, f"{title}: {means.status}", kpis)
    labels = sorted(policies, key=lambda label: _downwards(_mean_welfare(policies[label])))
    for label in labels:
        p = policies[label]
        cells = [mean(kpi, p.means[kpi.name]).split(" ±")[0] if kpi.name in p.means else MISSING for kpi in kpis]
        name = named(names[label], p.complete, means.units)
        info = p.policy.info
        _add(console, made, [name, info.information.name, "yes" if info.asks_consent else "no", p.verdict], cells)
    console.print(made)
    _tell_who(console, {label: (policies[label].policy.info, policies[label].verdict) for label in labels})


def _mean_welfare(policy: PolicyMeans) -> float | None:
    return policy.means["welfare"].mean if "welfare" in policy.means else None


def _downwards(value: float | None) -> float:
    """Return what sorts the highest first, and those without a figure last."""
    return math.inf if value is None else -value


def _head(console: Console, title: str, kpis: Sequence[Kpi]) -> Table:
    """Return the empty table of policies; what they see has a column where the console is wide."""
    return _table(console, title, WHO if console.width >= WIDE else WHO[:1], [heading(kpi) for kpi in kpis])


def _add(console: Console, made: Table, first: Sequence[str], figures: Sequence[str]) -> None:
    made.add_row(*(first if console.width >= WIDE else first[:1]), *figures)


def _tell_who(console: Console, policies: Mapping[str, tuple[PolicyInfo, str]]) -> None:
    """Say what the policies see, whether owners are asked, and how far that can be believed."""
    told: dict[str, list[str]] = {}
    for label, (info, verdict) in policies.items():
        asks = "asks its owners" if info.asks_consent else "asks nobody"
        told.setdefault(f"sees {info.information.name} ({verdict}), {asks}", []).append(label)
    for text, labels in told.items() if console.width < WIDE else ():
        console.print(f"{text}: {', '.join(labels)}", highlight=False, markup=False)
    console.print()


def _show_cases(console: Console, found: Comparison) -> None:
    """Print one line per case and policy: means over its seeds, of the KPIs of which differences are tested."""
    kpis = table(Place.DIFFERENCES)
    title = f"{len(found.planned.cases)} cases: {found.status}"
    made = _table(console, title, ["case", "policy", "seeds"], [heading(kpi) for kpi in kpis])
    for case in found.planned.cases:
        mine = [seed for seed in found.seeds if seed.case == case]
        names = told_apart([run.origin.policy for run in mine[0].runs]) if mine else {}
        rows: list[tuple[float, list[str]]] = []
        for label in found.planned.labels:
            done = [run for seed in mine if (run := seed.run(label)).complete]
            cells, welfare = [], None
            for kpi in kpis:
                known = [v for v in (run.number(kpi.name) for run in done) if v is not None]
                value = sum(known) / len(known) if known else None
                cells.append(written(kpi, value))
                welfare = value if kpi.name == "welfare" else welfare
            first = [case, names.get(label, label), f"{len(done)} of {len(found.planned.seeds)}"]
            rows.append((_downwards(welfare), [*first, *cells]))
        for _, row in sorted(rows, key=lambda one: one[0]):
            made.add_row(*row)
    console.print(made)
    console.print()


def _show_statistics(console: Console, statistics: Statistics) -> None:
    digits = {kpi.name: DIGITS[kpi.form] for kpi in table()}
    made = _table(
        console, "Differences on the same months and seeds", ["difference", "of"], ["mean", "better", "p (Holm)"]
    )
    for row in statistics.differences:
        p = "-" if row.holm_p is None else f"{row.holm_p:.3g}"
        cells = [bracketed(row.difference, digits[row.metric]), f"{row.better} of {row.difference.units}", p]
        made.add_row(f"{row.policy} - {row.minus}", row.metric, *cells)
    if statistics.policies:
        console.print(made)
    for line in statistics.verdict:
        console.print(f"- {line}", highlight=False, markup=False)
