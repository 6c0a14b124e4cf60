"""Tables for papers: CSV and JSON with every digit, Markdown and LaTeX as they are printed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from vpp_benchmarks.report.tables import bracketed, digits_of, markdown, number, p_value, score
from vpp_benchmarks.results import store
from vpp_benchmarks.results.run_folder import is_time

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
    }
)


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

    def csv(self) -> str:
        """Return the records as CSV, full precision."""
        buffer = io.StringIO()
        pd.DataFrame(list(self.records)).to_csv(buffer, index=False, lineterminator="\n")
        return buffer.getvalue()


def write_exports(out: Path, summaries: Sequence[Mapping[str, Any]], statistics: Mapping[str, Any] | None) -> None:
    """Write `tables/<name>.csv|json|md|tex`."""
    folder = out / FOLDER
    store.make_folder(folder)
    for table in tables(summaries, statistics):
        store.write_text(folder / f"{table.name}.csv", table.csv())
        store.write_json(folder / f"{table.name}.json", {"table": table.name, "rows": list(table.records)})
        if not table.header:
            continue
        store.write_text(folder / f"{table.name}.md", table.markdown())
        store.write_text(folder / f"{table.name}.tex", table.latex())


def tables(summaries: Sequence[Mapping[str, Any]], statistics: Mapping[str, Any] | None) -> list[Table]:
    """Return the tables of an experiment: of several units with intervals, of one as it is."""
    out = [headline(summaries[0])] if len(summaries) == 1 else []
    if statistics and statistics.get("policies"):
        out += [_intervals(statistics, summaries[0]["policies"])] + (
            [_differences(statistics)] if statistics["differences"] else []
        )
    return [*out, _kpis(summaries)]


FIGURES = {
    "profit, USD": "total_profit",
    "members, USD": "member_net_benefit",
    "joint surplus, USD": "joint_surplus",
    "satisfaction": "avg_satisfaction",
    "worst 10 %": "worst_decile_satisfaction",
    "consented": "satisfaction_consented",
    "score": "score",
    "regret, USD": "regret",
}
"""Columns of the headline; those that no policy has are left out."""


def headline(summary: Mapping[str, Any]) -> Table:
    """Return the headline of one seed."""
    policies = summary["policies"]
    figures = {name: key for name, key in FIGURES.items() if any(p.get(key) is not None for p in policies.values())}
    records, rows = [], []
    for label, p in policies.items():
        violations = (p.get("total_violations") or {}).get("total")
        first = {"policy": label, "sees": p["information_set"], "asks": "yes" if p["asks_consent"] else "no"}
        state = {} if p["status"] == "complete" else {"policy": f"{label} ({p['status']})"}
        records.append(first | {key: p.get(key) for key in figures.values()} | {"violations": violations})
        cells = [_figure(p.get(key), key) for key in figures.values()]
        rows.append([*(first | state).values(), *cells, number(violations, 0)])
    return Table("headline", records, ["policy", "sees", "asks", *figures, "violations"], rows, 3)


def _figure(value: Any, key: str) -> str:
    return score(value) if "satisf" in key else number(value, digits_of(key))


def _intervals(statistics: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> Table:
    records = [
        {"policy": label, "metric": metric}
        | {f"{kind}_{name}": spread[name] for kind, spread in p[metric].items() for name in ("value", "low", "high")}
        | {"units": p[metric]["mean"]["units"]}
        for label, p in statistics["policies"].items()
        for metric in statistics["metrics"]
    ]
    metrics = statistics["metrics"]
    rows = [
        [
            label,
            known[label]["information_set"],
            "yes" if known[label]["asks_consent"] else "no",
            *(bracketed(p[m]["mean"], digits_of(m)) for m in metrics),
        ]
        for label, p in statistics["policies"].items()
    ]
    return Table("headline", records, ["policy", "sees", "asks", *metrics.values()], rows, 3)


def _differences(statistics: Mapping[str, Any]) -> Table:
    records, rows = [], []
    for r in statistics["differences"]:
        spread, improved = r["difference"], r["probability_of_improvement"]
        records.append(
            {key: r[key] for key in ("policy", "minus", "metric", "better", "wilcoxon_p", "holm_p")}
            | {f"difference_{k}": v for k, v in spread.items()}
            | {f"probability_{k}": improved[k] for k in ("value", "low", "high")}
        )
        name, digits = f"{r['policy']} - {r['minus']}", digits_of(r["metric"])
        better = f"{r['better']} of {spread['units']}"
        row = [name, statistics["metrics"][r["metric"]], bracketed(spread, digits), better]
        rows.append([*row, bracketed(improved, 2), p_value(r["holm_p"])])
    header = ["difference", "of", "mean", "better", "P(better)", "p (Holm)"]
    return Table("differences", records, header, rows, 2)


def _kpis(summaries: Sequence[Mapping[str, Any]]) -> Table:
    """Every number of every run but times, one a row: for a spreadsheet, not for print."""
    records = [
        {"case": s.get("case", s["scenario"]["name"]), "seed": s["seed"], "policy": label, "kpi": key, "value": value}
        for s in summaries
        for label, p in s["policies"].items()
        for key, value in flat(p)
        if not is_time(key)
    ]
    return Table("kpis", records, (), ())


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Return the numbers of nested data with dotted names; text and truth values are left out."""
    out: list[tuple[str, float]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            out += flat(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            out.append((f"{prefix}{key}", value))
    return out
