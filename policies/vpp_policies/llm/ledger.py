"""What was asked, answered, spent and who decided: counters that only grow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from vpp_policies.llm.chat import Usage

SOURCES = ("model", "replay", "rules", "fallback")
"""Who took a decision: a model asked now; a recorded answer; rules by choice; rules because there was no answer."""
EVENTS = (
    "retried", "transient", "permanent", "blocked", "malformed", "repaired", "clipped", "unsupported", "budget",
    "circuit",
)  # fmt: skip
"""What is counted beside calls: retries; failures by class; answers that did not fit and those put right; integers
moved into their bounds; fields of a card without evidence in the statement; calls not made for want of budget, or
while the circuit was open."""


@dataclass(frozen=True)
class Price:
    """USD per million tokens."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def usd(self, usage: Usage) -> float:
        """Cost of `usage`."""
        return (usage.tokens_in * self.tokens_in + usage.tokens_out * self.tokens_out) / 1e6


@dataclass
class Ledger:
    """Totals of one run. `calls` are requests sent (retries included), or answers read from a cassette."""

    price: Price = field(default_factory=Price)
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: float = 0.0
    seconds: float = 0.0
    events: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)

    def event(self, name: str, count: int = 1) -> None:
        """Count something that happened."""
        if name not in EVENTS:
            raise AssertionError(f"unknown event {name}")
        self.events[name] += count

    def decided(self, source: str) -> None:
        """Count a decision by who took it."""
        if source not in SOURCES:
            raise AssertionError(f"unknown source {source}")
        self.decisions[source] += 1

    def charge(self, usage: Usage) -> None:
        """Add the cost of tokens."""
        self.usage = self.usage + usage
        self.usd += self.price.usd(usage)

    def totals(self) -> dict[str, float]:
        """Everything as plain numbers."""
        return {
            "llm_calls": float(self.calls),
            "llm_tokens_in": float(self.usage.tokens_in),
            "llm_tokens_out": float(self.usage.tokens_out),
            "llm_usd": self.usd,
            "llm_seconds": self.seconds,
            **{f"llm_by_{s}": float(self.decisions[s]) for s in SOURCES},
            **{f"llm_{e}": float(self.events[e]) for e in EVENTS},
        }
