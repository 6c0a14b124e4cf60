"""The aggregator's strategy: numbers in, bounded integers out, and what they mean in the rounds and in the dispatch."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vpp_policies.agentic.state import CAR, FULL, STANDBY, Declared, Guidance, Notice
from vpp_policies.llm.chat import whole

MAX_TOKENS = 300
MEMORY = 3
"""Negotiations that are remembered."""


class Strategy(BaseModel):
    """One hour's (or day's) strategy. The defaults of `RULES` are what the rules do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target_percent: int = whole(0, 200, "start of the offers, percent of the members' share of the expected price")
    opening_percent: int = whole(50, 100, "first offer at most, percent of a home's ask")
    cap_cents: int = whole(0, 50, "highest price that is agreed, cents per kWh")
    concession_percent: int = whole(5, 500, "how soon offers rise to the cap: 15 holds out, 100 linear, above early")
    ask_percent: int = whole(10, 100, "share of the homes that are asked, cheapest first, percent")
    risk_percent: int = whole(0, 100, "0: count on the mean of the prices; 100: on their lower half")
    margin_percent: int = whole(0, 25, "added to asks, beside the market's own margin, percent")
    reserve_percent: int = whole(0, 100, "most of the maximum that may stand by, percent")
    favour: Literal["none", "cars", "batteries"] = Field(description="whom to prefer where it is close")
    reason: str = Field(description="one short sentence")

    def guidance(self) -> Guidance:
        """Return the part that enters the dispatch."""
        return Guidance(
            risk=self.risk_percent / 100.0,
            margin=self.margin_percent / 100.0,
            reserve=self.reserve_percent / 100.0,
            favour=self.favour,
        )


RULES = Strategy(
    target_percent=100, opening_percent=96, cap_cents=50, concession_percent=15, ask_percent=100, risk_percent=0,
    margin_percent=0, reserve_percent=100, favour="none", reason="the rules' own strategy",
)  # fmt: skip


@dataclass
class Memory:
    """What the aggregator has seen of its last negotiations: its own and public content."""

    past: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MEMORY))

    def keep(self, numbers: dict[str, Any], strategy: Strategy) -> None:
        """Remember one negotiation."""
        kept = {name: numbers[name] for name in ("start", "expected_tenth_cents")}
        self.past.append(kept | {"target_percent": strategy.target_percent, "cap_cents": strategy.cap_cents})


def numbers(notice: Notice, declared: Declared) -> dict[str, Any]:
    """What the strategist is shown: integers from public and declared data. No word of anybody is among them."""

    def tenths(usd_per_kwh: float) -> int:
        return round(1000.0 * float(usd_per_kwh))

    def quartiles(line: int, scale: float) -> list[int]:
        asks = declared.ask[line][(declared.kw[line] > 0) & declared.available]
        return [round(scale * float(q)) for q in np.quantile(asks, [0.25, 0.5, 0.75])] if len(asks) else []

    half = int(np.searchsorted(np.cumsum(notice.weight), 0.5))
    kw = declared.kw * declared.available
    return {
        "start": notice.start[:16],
        "expected_tenth_cents": tenths(notice.price @ notice.weight),
        "median_tenth_cents": tenths(notice.price[half]),
        "top_hundredth_tenth_cents": tenths(notice.price[-1]),
        "dearest_hours_left_tenth_cents": [tenths(p) for p in (notice.later @ notice.weight)[:3]],
        "reserve_usd_per_mw": round(1000.0 * float(notice.rho @ notice.weight)),
        "members_share_percent": round(100.0 * notice.revenue_share),
        "least_kw": round(notice.min_bid_kw),
        "most_kw": round(notice.required_kw),
        "homes_selling": int((kw[:STANDBY] > 0).any(axis=0).sum()),
        "car_kw": round(float(kw[CAR].sum()), -1),
        "all_devices_kw": round(float(kw[FULL].sum()), -1),
        "car_asks_tenth_cents": quartiles(CAR, 1000.0),
        "all_devices_asks_tenth_cents": quartiles(FULL, 1000.0),
    }


def question(told: dict[str, Any], memory: Memory | None) -> str:
    """Return the data of one question."""
    return json.dumps(told if memory is None else told | {"before": list(memory.past)}, separators=(",", ":"))
