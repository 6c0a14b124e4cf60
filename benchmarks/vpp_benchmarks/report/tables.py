"""How figures are written, and the tables for papers: CSV and JSON with every digit, Markdown and LaTeX as printed."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Planned
from vpp_benchmarks.results.intervals import Interval
from vpp_benchmarks.results.notes import completed, named
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.statistics import Statistics
from vpp_benchmarks.results.summary import SeedResult, Spread
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Format, Kpi, Place
from vpp_env.evaluation.verdict import verdict_of

MISSING = "-"
FOLDER = "tables"
LATEX = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
    }
)


# -- figures as text ---------------------------------------------------------------------------------------------


def number(value: float | None, digits: int = 2) -> str:
    """Write a number with thousands separators; a dash where there is none."""
    if value is None:
        return MISSING
    return f"{value:z,.{digits}f}"


def score(value: float | None) -> str:
    """Write a score so that 1 is shown for exactly 1 only."""
    if value is None:
        return MISSING
    if value in (0, 1):
        return str(int(value))
    return f"{min(value, 0.9999):z.4f}" if value < 1 else f"{value:.4f}"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share as per cent."""
    return MISSING if value is None else f"{100.0 * value:z.{digits}f} %"


def p_value(value: float | None) -> str:
    """Write a p value to three digits."""
    return MISSING if value is None else f"{value:.3g}"


DIGITS = {
    Format.COUNT: 0,
    Format.TWO: 2,
    Format.THREE: 3,
    Format.FOUR: 4,
    Format.SCORE: 4,
    Format.PERCENT: 3,
}
"""Digits behind the point; of a share these are of the share."""


def written(kpi: Kpi, value: float | None) -> str:
    """Write a value of a KPI."""
    if kpi.form is Format.SCORE:
        return score(value)
    return percent(value) if kpi.form is Format.PERCENT else number(value, DIGITS[kpi.form])


def figure(run: RunResult, kpi: Kpi) -> str:
    """Write a KPI of a run."""
    return written(kpi, run.number(kpi.name))


def mean(kpi: Kpi, spread: Spread) -> str:
    """Write a mean over seeds with its standard error."""
    error = spread.standard_error
    if kpi.form is Format.PERCENT:
        return percent(spread.mean) + ("" if error is None else f" ± {percent(error)}")
    digits = max(DIGITS[kpi.form], 2)  # a mean of counts is no count
    return number(spread.mean, digits) + ("" if error is None else f" ± {error:,.{digits}f}")


def bracketed(spread: Interval, digits: int) -> str:
    """Write a figure with its interval; alone where there is none, or none that could be seen at these digits."""
    value, low, high = (number(v, digits) for v in (spread.value, spread.low, spread.high))
    return value if spread.low is None or low == value == high else f"{value} [{low}, {high}]"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """Return a Markdown table; the first columns are text, the others are numbers and stand right."""
    rule = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    cells = [[str(c).replace("|", "\\|") for c in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(header), rule, *cells])


# -- tables ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A table as records (raw values) and as text (what is printed)."""

    name: str
    records: Sequence[Mapping[str, Any]]
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1

    def markdown(self) -> str:
        """Return it as Markdown."""
        return markdown(self.header, self.rows, self.text_columns) + "\n"

    def latex(self) -> str:
        """Return it as LaTeX (needs the package booktabs); every character is text, none a command."""
        columns = "l" * self.text_columns + "r" * (len(self.header) - self.text_columns)
        lines = [" & ".join(str(cell).translate(LATEX) for cell in row) + r" \\" for row in [self.header, *self.rows]]
        body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:]]
        return "\n".join([*body, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def parts(self, most: int) -> list[Table]:
        """Return it as tables that are no wider than a page: itself, or `name`, `name_2`, ...

        The first has all columns of text and `most` of numbers; the others begin with the first column of text, and
        have room for two numbers more.
        """
        first, rest = self.text_columns + most, len(self.header) - self.text_columns - most
        groups = [np.arange(self.text_columns, min(first, len(self.header)))]
        if rest > 0:
            groups += np.array_split(np.arange(first, len(self.header)), math.ceil(rest / (most + 2)))
        out = []
        for k, group in enumerate(groups):
            columns = [*range(self.text_columns if k == 0 else 1), *group.tolist()]
            rows = [[row[j] for j in columns] for row in self.rows]
            name = self.name if k == 0 else f"{self.name}_{k + 1}"
            out.append(Table(name, self.records, [self.header[j] for j in columns], rows, len(columns) - len(group)))
        return out

    def csv(self) -> str:
        """Return the records as CSV, full precision."""
        buffer = io.StringIO()
        pd.DataFrame(list(self.records)).to_csv(buffer, index=False, lineterminator="\n")
        return buffer.getvalue()


def write_exports(out: Path, planned: Planned, seeds: Sequence[SeedResult], statistics: Statistics | None) -> None:
    """Write `tables/<name>.csv|json|md|tex`."""
    folder = out / FOLDER
    store.make_folder(folder)
    for one in tables(planned, seeds, statistics):
        store.write_text(folder / f"{one.name}.csv", one.csv())
        store.write_json(folder / f"{one.name}.json", {"table": one.name, "rows": list(one.records)})
        if not one.header:
            continue
        store.write_text(folder / f"{one.name}.md", one.markdown())
        store.write_text(folder / f"{one.name}.tex", one.latex())


def tables(planned: Planned, seeds: Sequence[SeedResult], statistics: Statistics | None) -> list[Table]:
    """Return the tables of an experiment: of several units with intervals, of one as it is."""
    out = [headline(seeds[0].runs)] if len(seeds) == 1 else []
    if statistics is not None and statistics.policies:
        out.append(interval_table(statistics, planned, seeds))
        out += [difference_table(statistics)] if statistics.differences else []
    return [*out, _kpis(seeds)]


def shown_at(place: Place, runs: Sequence[RunResult]) -> list[Kpi]:
    """Return the KPIs of a place but those of ceilings that no run has."""
    return [
        kpi for kpi in table(place) if kpi.of_ceilings is None or any(run.number(kpi.name) is not None for run in runs)
    ]


WHO = ("policy", "sees", "asks", "verdict")
"""First columns of a table of policies: label, what it sees, whether owners are asked, what an audit found of it."""


def who(run: RunResult) -> list[str]:
    """Return the first cells of a row, see `WHO`."""
    name = run.label if run.complete else f"{run.label} ({run.status})"
    return [name, run.info.information.name, "yes" if run.info.asks_consent else "no", run.verdict]


def headline(runs: Sequence[RunResult]) -> Table:
    """Return the headline of one seed."""
    kpis = shown_at(Place.HEADLINE, runs)
    records, rows = [], []
    for run in runs:
        cells = who(run)
        first = dict(zip(WHO, [run.label, *cells[1:]], strict=True))
        records.append(first | {kpi.column or kpi.name: run.number(kpi.name) for kpi in kpis})
        rows.append([*cells, *(figure(run, kpi) for kpi in kpis)])
    return Table("headline", records, [*WHO, *(kpi.heading for kpi in kpis)], rows, len(WHO))


def mean_digits(statistics: Statistics) -> dict[str, int]:
    """Return the digits at which means over units are written: a mean of counts is no count."""
    return {kpi.name: max(DIGITS[kpi.form], 1) for kpi in table() if kpi.name in statistics.metrics}


def interval_table(statistics: Statistics, planned: Planned, seeds: Sequence[SeedResult]) -> Table:
    """Return means of several units with their intervals; who did not complete all that was planned says so."""
    digits, done, units = mean_digits(statistics), completed(planned, seeds), len(planned.units)
    records: list[dict[str, Any]] = []
    rows = []
    for label in planned.labels:
        p = statistics.policies.get(label)
        for metric in statistics.metrics if p is not None else ():
            assert p is not None
            record: dict[str, Any] = {"policy": label, "metric": metric}
            for kind, spread in (("mean", p[metric].mean), ("iqm", p[metric].iqm)):
                record |= {f"{kind}_value": spread.value, f"{kind}_low": spread.low, f"{kind}_high": spread.high}
            records.append(record | {"units": p[metric].mean.units, "complete": done[label], "planned": units})
        cells = [MISSING if p is None else bracketed(p[m].mean, digits[m]) for m in statistics.metrics]
        info = seeds[0].run(label).info
        asks = "yes" if info.asks_consent else "no"
        verdict = verdict_of(seed.run(label).audit for seed in seeds).value
        rows.append([named(label, done[label], units), info.information.name, asks, verdict, *cells])
    return Table("headline", records, [*WHO, *statistics.metrics.values()], rows, len(WHO))


def difference_table(statistics: Statistics) -> Table:
    """Return paired differences, probability of improvement and tests."""
    records, rows = [], []
    digits = mean_digits(statistics)
    for r in statistics.differences:
        improved = r.probability_of_improvement
        first = {key: getattr(r, key) for key in ("policy", "minus", "metric", "better", "wilcoxon_p", "holm_p")}
        spread = {f"difference_{k}": v for k, v in asdict(r.difference).items()}
        chance = {f"probability_{k}": getattr(improved, k) for k in ("value", "low", "high")}
        records.append(first | spread | chance)
        name, better = f"{r.policy} - {r.minus}", f"{r.better} of {r.difference.units}"
        row = [name, statistics.metrics[r.metric], bracketed(r.difference, digits[r.metric]), better]
        rows.append([*row, bracketed(improved, 2), p_value(r.holm_p)])
    header = ["difference", "of", "mean", "better", "P(better)", "p (Holm)"]
    return Table("differences", records, header, rows, 2)


def _kpis(seeds: Sequence[SeedResult]) -> Table:
    """Every number of every run but times, one a row: for a spreadsheet, not for print."""
    times = {kpi.name for kpi in table() if kpi.is_time} | {"wall_seconds"}
    records = [
        {"case": seed.case, "seed": seed.seed, "policy": run.label, "kpi": key, "value": value}
        for seed in seeds
        for run in seed.runs
        for key, value in _flat(run.summary_json(scored=seed.ceilings is not None))
        if key not in times
    ]
    return Table("kpis", records, (), ())


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Return the numbers of nested data with dotted names; text and truth values are left out."""
    out: list[tuple[str, float]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            out += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            out.append((f"{prefix}{key}", value))
    return out


def ladder(seed: SeedResult) -> str:
    """Return a seed's rungs upwards, in one line: `idle 0.00 < truthful 12.30 < U_pref 20.00`, USD."""
    return " < ".join(steps(seed.ladder))


def steps(rungs: Iterable[tuple[str, float]]) -> list[str]:
    """Return rungs as text: `idle 0.00`, USD."""
    return [f"{name} {number(usd)}" for name, usd in rungs]
