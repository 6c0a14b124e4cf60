"""KPIs of a language model in a run, read from its table of opportunities: the bill, and who decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from vpp_policies.llm.ledger import EVENTS, SOURCES


def llm_kpis(table: pd.DataFrame, profit: float) -> dict[str, Any] | None:
    """KPIs of a run's language model from its opportunities; None when it had none."""
    if "notes_llm_calls" not in table:
        return None

    def total(name: str) -> float:
        return float(table[f"notes_llm_{name}"].sum())

    by = {source: int(total(f"by_{source}")) for source in SOURCES}
    decisions = sum(by.values())
    usd = total("usd")
    return {
        "calls": int(total("calls")),
        "tokens_in": int(total("tokens_in")),
        "tokens_out": int(total("tokens_out")),
        "usd": usd,
        "seconds": total("seconds"),
        "decisions": decisions,
        "decisions_by": by,
        "fallback_rate": by["fallback"] / decisions if decisions else 0.0,
        "events": {event: int(total(event)) for event in EVENTS},
        "profit_net_of_llm": profit - usd,
    }


def bill_lines(policies: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line per policy with a language model, for printing after a run."""
    out = []
    for label, p in policies.items():
        k = p.get("llm")
        if not k:
            continue
        shares = ", ".join(f"{source} {n:,}" for source, n in k["decisions_by"].items() if n)
        out.append(
            f"{label}: bill: {k['calls']:,} calls, {k['tokens_in']:,} + {k['tokens_out']:,} tokens, "
            f"{k['usd']:.4f} USD; "
            f"decisions: {shares} (fallback {100 * k['fallback_rate']:.1f} %); profit net of it "
            f"{k['profit_net_of_llm']:.2f} USD"
        )
    return out
