"""Markdown tables over a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vpp_benchmarks.run.job import COMPLETE

Policy = Mapping[str, Any]
MISSING = "-"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """Return a Markdown table; the first columns are text, the others are numbers and stand right."""
    rule = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    cells = [[str(c).replace("|", "\\|") for c in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(header), rule, *cells])


def number(value: Any, digits: int = 2) -> str:
    """Write a number with thousands separators; a dash where there is none."""
    if value is None:
        return MISSING
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0.0 else text


def score(value: Any) -> str:
    """Write a score so that 1 is shown for exactly 1 only."""
    if value is None:
        return MISSING
    if value in (0, 1):
        return str(int(value))
    return f"{min(value, 0.9999):.4f}" if value < 1 else f"{value:.4f}"


def percent(value: Any, digits: int = 1) -> str:
    """Write a share as per cent."""
    return MISSING if value is None else f"{100.0 * value:.{digits}f} %"


def money(name: str) -> Callable[[Policy], Any]:
    """Return a reader of one line of the VPP's ledger."""
    return lambda p: p.get("money", {}).get(name)


def headline_table(summary: Mapping[str, Any]) -> str:
    """What everybody asks first; every policy with its information set and whether the owners were asked."""
    header = ["policy", "sees", "owners asked", "profit", "members' net benefit", "joint surplus"]
    header += ["satisfaction", "worst 10 %", "consented", "violations", "success", "s per decision"]
    rows = []
    for label, p in summary["policies"].items():
        name = label if p["status"] == COMPLETE else f"{label} ({p['status']})"
        row = [name, p["information_set"], "yes" if p["asks_consent"] else "no"]
        row += [number(p.get(k)) for k in ("total_profit", "member_net_benefit", "joint_surplus")]
        row += [score(p.get(k)) for k in ("avg_satisfaction", "worst_decile_satisfaction")]
        consented = p.get("satisfaction_consented")
        row.append("0 by construction" if consented is not None and not p["asks_consent"] else score(consented))
        row.append(number(p.get("total_violations", {}).get("total"), 0))
        row += [percent(p.get("success_rate")), number(p.get("avg_time_seconds"), 4)]
        rows.append(row)
    return markdown(header, rows, text_columns=3)


def information_table(summary: Mapping[str, Any]) -> str:
    """What each policy is, may see and asks."""
    rows = [
        (label, f"`{p['spec']}`", p["information_set"], p["consent"], p["description"])
        for label, p in summary["policies"].items()
    ]
    return markdown(["policy", "as called", "information set", "consent", "what it is"], rows, text_columns=5)


def violations_table(summary: Mapping[str, Any]) -> str:
    """Violations by kind."""
    kinds = _keys(summary, "total_violations")
    rows = [
        [label, *(number(p.get("total_violations", {}).get(kind), 0) for kind in kinds)]
        for label, p in summary["policies"].items()
    ]
    return markdown(["policy", *kinds], rows)


def money_table(summary: Mapping[str, Any]) -> str:
    """The VPP's ledger."""
    columns = {
        name: money(name) for name in ("energy", "reserve", "nopay", "deviation", "revenue", "payments", "compute")
    }
    columns |= {"profit": lambda p: p.get("total_profit")}
    columns |= {"energy per home": lambda p: p.get("energy_revenue_per_home")}
    return _columns(summary, columns, 2)


def energy_table(summary: Mapping[str, Any]) -> str:
    """Energy by device."""
    names = {
        "sold": "sold_mwh",
        "deferred charging": "deferred_mwh",
        "battery": "bess_mwh",
        "V2G": "v2g_mwh",
        "bought": "bought_mwh",
        "forced": "forced_mwh",
        "beyond envelope": "beyond_envelope_mwh",
        "standby": "reserve_mw_h",
    }
    return _columns(summary, {name: _get(key) for name, key in names.items()}, 3)


def ceilings_table(summary: Mapping[str, Any]) -> str:
    """What each policy is short of the ceilings; empty where these were not worked out."""
    if not summary.get("ceilings"):
        return ""
    rows = [
        [
            label,
            number(p.get("joint_surplus")),
            percent(p.get("score")),
            number(p.get("regret")),
            number(p.get("regret_free")),
            percent(p.get("profit_score")),
        ]
        for label, p in summary["policies"].items()
    ]
    header = ["policy", "joint surplus", "score", "regret", "regret without preferences", "profit score"]
    return markdown(header, rows)


def fairness_table(summary: Mapping[str, Any]) -> str:
    """Satisfaction and benefit beyond the mean."""
    header = ["policy", "mean satisfaction", "worst 10 %", "weights 5 %", "weights 95 %", "per opportunity"]
    keys = ["avg_satisfaction", "worst_decile_satisfaction", "satisfaction_weight_q05", "satisfaction_weight_q95"]
    keys += ["opportunity_satisfaction"]
    rows = [
        [
            label,
            *(score(p.get(k)) for k in keys),
            number(p.get("jain_net_benefit"), 3),
            number(p.get("avg_coalition_size"), 1),
        ]
        for label, p in summary["policies"].items()
    ]
    return markdown([*header, "Jain index of net benefit", "mean coalition"], rows)


def seeds_table(summary: Mapping[str, Any]) -> str:
    """Means over seeds."""
    columns = {
        "profit": "total_profit",
        "members' net benefit": "member_net_benefit",
        "joint surplus": "joint_surplus",
        "satisfaction": "avg_satisfaction",
        "consented": "satisfaction_consented",
        "violations": "total_violations",
    }
    rows = []
    for label, p in summary["policies"].items():
        cells = [_mean(p[key], 4 if "satisf" in key else 2) for key in columns.values()]
        rows.append([label, p["information_set"], str(p["complete_seeds"]), *cells])
    return markdown(["policy", "sees", "seeds", *columns], rows, text_columns=2)


def paired_table(summary: Mapping[str, Any]) -> str:
    """Differences from the first policy; empty for a single policy."""
    first, *others = summary["policies"]
    key = f"minus_{first}"
    rows = []
    for label in others:
        pair = summary["policies"][label][key]
        rows.append([f"{label} - {first}", _mean(pair["total_profit"], 2), _mean(pair["avg_satisfaction"], 4)])
    return markdown(["difference", "profit", "satisfaction"], rows) if rows else ""


def bracketed(spread: Mapping[str, Any], digits: int) -> str:
    """Write a figure with its interval; alone where there is none, or none that could be seen at these digits."""
    value, low, high = (number(spread[key], digits) for key in ("value", "low", "high"))
    return value if spread["low"] is None or low == value == high else f"{value} [{low}, {high}]"


def digits_of(metric: str) -> int:
    """Digits at which a figure is shown: money to the cent, scores to four places."""
    return 4 if "satisf" in metric or metric == "score" else 2


def interval_table(statistics: Mapping[str, Any]) -> str:
    """Means of several units with their intervals, and interquartile means."""
    metrics = statistics["metrics"]
    rows = [
        [label, *(bracketed(p[m]["mean"], digits_of(m)) for m in metrics), bracketed(p["total_profit"]["iqm"], 2)]
        for label, p in statistics["policies"].items()
    ]
    return markdown(["policy", *metrics.values(), "profit, IQM"], rows)


def difference_table(statistics: Mapping[str, Any]) -> str:
    """Paired differences, probability of improvement and tests."""
    rows = [
        [
            f"{r['policy']} - {r['minus']}",
            statistics["metrics"][r["metric"]],
            bracketed(r["difference"], digits_of(r["metric"])),
            f"{r['better']} of {r['difference']['units']}",
            bracketed(r["probability_of_improvement"], 2),
            p_value(r["wilcoxon_p"]),
            p_value(r["holm_p"]),
        ]
        for r in statistics["differences"]
    ]
    return markdown(["difference", "of", "mean", "better", "P(better)", "p", "p (Holm)"], rows, text_columns=2)


def p_value(value: float | None) -> str:
    """Write a p value to three digits."""
    return MISSING if value is None else f"{value:.3g}"


def _mean(spread: Mapping[str, Any], digits: int) -> str:
    error = spread["standard_error"]
    return number(spread["mean"], digits) + ("" if error is None else f" ± {error:,.{digits}f}")


def _keys(summary: Mapping[str, Any], name: str) -> list[str]:
    return next((list(p[name]) for p in summary["policies"].values() if name in p), [])


def _get(key: str) -> Callable[[Policy], Any]:
    return lambda p: p.get(key)


def _columns(summary: Mapping[str, Any], columns: Mapping[str, Callable[[Policy], Any]], digits: int) -> str:
    rows = [
        [label, *(number(read(p), digits) for read in columns.values())] for label, p in summary["policies"].items()
    ]
    return markdown(["policy", *columns], rows)
