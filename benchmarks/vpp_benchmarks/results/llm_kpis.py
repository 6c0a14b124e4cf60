"""A language model's bill in a run, read from its table of opportunities: what it cost, and who decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from vpp_policies.llm.ledger import EVENTS, SOURCES


@dataclass(frozen=True)
class LlmBill:
    """What a language model took and brought in one run."""

    calls: int
    tokens_in: int
    tokens_out: int
    usd: float
    seconds: float
    decisions: int
    decisions_by: Mapping[str, int]  # source -> count
    fallback_rate: float
    events: Mapping[str, int]  # kind -> count
    profit_net_of_llm: float  # USD

    @property
    def by_text(self) -> str:
        """Decisions by who took them."""
        return ", ".join(f"{source} {n:,}" for source, n in self.decisions_by.items() if n)

    def line(self, label: str) -> str:
        """One line for printing after a run."""
        return (
            f"{label}: bill: {self.calls:,} calls, {self.tokens_in:,} + {self.tokens_out:,} tokens, "
            f"{self.usd:.4f} USD; decisions: {self.by_text} (fallback {100 * self.fallback_rate:.1f} %); "
            f"profit net of it {self.profit_net_of_llm:z.2f} USD"
        )


def llm_bill(opportunities: pd.DataFrame, profit: float) -> LlmBill | None:
    """Return the bill of a run from its opportunities; None when it had no language model."""
    if "notes_llm_calls" not in opportunities:
        return None

    def total(name: str) -> float:
        return float(opportunities[f"notes_llm_{name}"].sum())

    by = {source: int(total(f"by_{source}")) for source in SOURCES}
    decisions, usd = sum(by.values()), total("usd")
    return LlmBill(
        calls=int(total("calls")),
        tokens_in=int(total("tokens_in")),
        tokens_out=int(total("tokens_out")),
        usd=usd,
        seconds=total("seconds"),
        decisions=decisions,
        decisions_by=by,
        fallback_rate=by["fallback"] / decisions if decisions else 0.0,
        events={event: int(total(event)) for event in EVENTS},
        profit_net_of_llm=profit - usd,
    )
