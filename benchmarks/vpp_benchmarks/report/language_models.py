"""The report's part on language models: what was asked, what it costs, and who decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vpp_policies.llm.ledger import SOURCES

from vpp_benchmarks.report.tables import markdown, number, percent


def language_models(summary: Mapping[str, Any]) -> list[str]:
    """Parts of the report in Markdown; none when no policy has a language model."""
    with_llm = {label: p for label, p in summary["policies"].items() if p.get("llm")}
    if not with_llm:
        return []
    header = ["policy", "calls", "tokens in", "tokens out", "USD", "profit", "profit net of it"]
    header += ["by model", "replayed", "by rules", "by fallback", "fallback"]
    rows = []
    for label, p in with_llm.items():
        k = p["llm"]
        row = [label, *(number(k[name], 0) for name in ("calls", "tokens_in", "tokens_out"))]
        row += [number(k["usd"], 4), number(p.get("total_profit")), number(k["profit_net_of_llm"])]
        row += [*(number(k["decisions_by"][s], 0) for s in SOURCES), percent(k["fallback_rate"])]
        rows.append(row)
    events = [f"{label}: {_events(p['llm'])}" for label, p in with_llm.items()]
    note = (
        "Decisions by who took them; `replayed` is a recorded answer and `fallback` the rules, where no usable answer "
        "came. USD of a replay is what its tokens would cost at the recorded prices. A cassette says by whom it was "
        "recorded: the shipped one by a scripted program, not by a language model."
    )
    return ["## Language models", markdown(header, rows), note, "Events. " + "; ".join(events) + "."]


def _events(k: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in k["events"].items() if count) or "none"
