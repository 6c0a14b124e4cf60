"""What compare prints of a comparison: the headline figures, and where everything is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from vpp_benchmarks.report.tables import DIGITS, bracketed, figure, mean, number, percent, shown_at, who, written
from vpp_benchmarks.results.comparison import Comparison
from vpp_benchmarks.results.notes import named, notes
from vpp_benchmarks.results.run_result import INTERRUPTED
from vpp_benchmarks.results.statistics import Statistics
from vpp_benchmarks.results.summary import CaseMeans, SeedResult
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Kpi, Place

HEAD = ("policy", "sees\nverdict", "asks")
"""First columns: what an audit found stands below what it is of, so that a row fits 80 letters."""
NARROW = 9
"""Letters from which a word of a heading is broken."""


def show_comparison(console: Console, found: Comparison) -> None:
    """Print the headline figures and where everything is."""
    for line in notes(found.planned, found.seeds):
        style = None if line.startswith("prices") else "red"
        console.print(line, markup=False, highlight=False, soft_wrap=True, style=style)
    if len(found.planned.cases) > 1:
        _show_cases(console, found)
    elif found.means and found.seeds:
        _show_means(console, next(iter(found.means.values())))
    else:
        for seed in found.seeds:
            _show_seed(console, seed)
    for seed in found.seeds if len(found.planned.cases) == 1 else ():
        console.print(*ceiling_lines(seed), sep="\n", end="", highlight=False, soft_wrap=True)
    if found.statistics is not None:
        _show_statistics(console, found.statistics)
    if found.status == INTERRUPTED:
        console.print(f"Interrupted: what was played is written. Continue with --resume {found.folder}", soft_wrap=True)
    for seed in found.seeds:
        for run in seed.runs:
            if run.llm is not None:
                console.print(run.llm.line(run.label), highlight=False, soft_wrap=True)
    console.print(f"Results: {found.folder}", soft_wrap=True, highlight=False)


def heading(kpi: Kpi) -> str:
    """Return the heading of a narrow column: a word a line, long ones broken, the unit below."""
    words = re.sub(rf"(\w{{5}})(\w{{{NARROW - 4},}})", "\\1-\n\\2", kpi.short).replace(" ", "\n")
    return f"{words}\n{kpi.unit}" if kpi.unit else words


def _table(title: str, text: Sequence[str], figures: Sequence[str]) -> Table:
    made = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    for name in text:
        made.add_column(name, overflow="fold")
    for name in figures:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def _show_seed(console: Console, seed: SeedResult) -> None:
    kpis = shown_at(Place.TERMINAL, seed.runs)
    title = f"{seed.scenario.name}, seed {seed.seed}: {seed.status}"
    made = _table(title, HEAD, [heading(kpi) for kpi in kpis])
    for run in seed.runs:
        _, sees, asks, verdict = who(run)
        made.add_row(run.label, f"{sees}\n{verdict}", asks, *(figure(run, kpi) for kpi in kpis))
    console.print(made)
    _tell_consent(console, {run.label: run.consent_note for run in seed.runs})


def _show_means(console: Console, means: CaseMeans) -> None:
    policies = means.policies
    kpis = [kpi for kpi in table(Place.TERMINAL) if any(kpi.name in p.means for p in policies.values())]
    title = f"{means.plan.scenario.name}, means of {len(means.finished_seeds)} seeds: {means.status}"
    made = _table(title, HEAD, [heading(kpi) for kpi in kpis])
    for label, p in policies.items():
        info = p.policy.info
        cells = [mean(kpi, p.means[kpi.name]).split(" ±")[0] if kpi.name in p.means else "-" for kpi in kpis]
        name = named(label, p.complete_seeds, len(means.plan.seeds))
        asks = "yes" if info.asks_consent else "no"
        made.add_row(name, f"{info.information.name}\n{p.verdict}", asks, *cells)
    console.print(made)
    _tell_consent(console, {label: p.consent_note for label, p in policies.items()})


def _tell_consent(console: Console, notes: Mapping[str, str]) -> None:
    """Say of whom consented satisfaction is 0 whatever they do, and why."""
    for note in dict.fromkeys(note for note in notes.values() if note):
        labels = ", ".join(label for label, mine in notes.items() if mine == note)
        console.print(f"consented is {note}: {labels}", highlight=False, markup=False)


def ceiling_lines(seed: SeedResult) -> list[str]:
    """One line on a seed's ceilings, and an empty one after it; nothing where there are none."""
    if seed.ceilings is None:
        return []
    kept, free = seed.ceilings.preferences.value[1], seed.ceilings.free.value[1]
    line = f"seed {seed.seed}: no policy can bring more joint surplus than {number(kept)} USD inside the owners' "
    line += f"preferences, {number(free)} without (proven to {percent(seed.ceilings.gap, 2)}); score = share of the "
    return [line + "first", ""]


def _show_cases(console: Console, found: Comparison) -> None:
    """Print one line per case and policy: means over its seeds, of the KPIs of which differences are tested."""
    kpis = table(Place.DIFFERENCES)
    title = f"{len(found.planned.cases)} cases: {found.status}"
    made = _table(title, ["case", "policy", "seeds"], [heading(kpi) for kpi in kpis])
    for case in found.planned.cases:
        mine = [seed for seed in found.seeds if seed.case == case]
        for label in found.planned.labels:
            done = [run for seed in mine if (run := seed.run(label)).complete]
            cells = []
            for kpi in kpis:
                known = [v for v in (run.number(kpi.name) for run in done) if v is not None]
                cells.append(written(kpi, sum(known) / len(known) if known else None))
            made.add_row(case, label, f"{len(done)} of {len(found.planned.seeds)}", *cells)
    console.print(made)


def _show_statistics(console: Console, statistics: Statistics) -> None:
    digits = {kpi.name: DIGITS[kpi.form] for kpi in table()}
    made = _table("Differences on the same months and seeds", ["difference", "of"], ["mean", "better", "p (Holm)"])
    for row in statistics.differences:
        p = "-" if row.holm_p is None else f"{row.holm_p:.3g}"
        cells = [bracketed(row.difference, digits[row.metric]), f"{row.better} of {row.difference.units}", p]
        made.add_row(f"{row.policy} - {row.minus}", row.metric, *cells)
    if statistics.policies:
        console.print(made)
    for line in statistics.verdict:
        console.print(f"- {line}", highlight=False, markup=False)
