"""Modes `batched` and `full`: the homes' agents ask the model how to open, in sampled hours; numbers only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vpp_env.contract.policy import MarketRules
from vpp_env.contract.views import Homes, Public
from vpp_policies.agentic.rules import own_lines
from vpp_policies.agentic.state import CAR, FULL
from vpp_policies.llm.chat import ChatModel, clip, whole
from vpp_policies.llm.decide import Decider
from vpp_policies.llm.prompts import prompt

MODES = ("cards", "batched", "full")
TOKENS_PER_MOVE, TOKENS_BASE = 40, 60
"""Of one move, and of the object around all of them."""


class Move(BaseModel):
    """How one home opens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: int = whole(0, 10**9, "number of the row's home")
    sells: int = whole(0, 1, "1: takes part in this hour")
    markup_percent: int = whole(0, 100, "opening ask above its own ask, percent")
    concession_percent: int = whole(0, 100, "how readily it gives way: 50 normal, 100 at once")


class Moves(BaseModel):
    """One answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    moves: tuple[Move, ...] = Field(description="one per row")


@dataclass(frozen=True)
class Openings:
    """(N,) arrays; NaN markup where rules decide."""

    sells: np.ndarray  # bool
    markup: np.ndarray


def sampled_hours(n_opportunities: int, hours_each: float, sample_hours: float) -> np.ndarray:
    """(n,) bool: opportunities in which the model plays.

    Whole days, evenly spread over the month; less than a day is one block that ends at 22:00 of the first day.
    """
    per_day = round(24.0 / hours_each)
    wanted = min(round(sample_hours / hours_each), n_opportunities)
    out = np.zeros(n_opportunities, dtype=bool)
    if wanted < per_day:
        end = min(max(wanted, round(22.0 / hours_each)), n_opportunities)
        out[end - wanted : end] = True
        return out
    days = wanted // per_day
    for day in np.linspace(0, max(n_opportunities // per_day - 1, 0), days).round().astype(np.int64):
        out[day * per_day : (day + 1) * per_day] = True
    return out


def batches(who: Sequence[int], size: int) -> Iterator[list[int]]:
    """Split homes into batches of at most `size`."""
    for first in range(0, len(who), size):
        yield list(who[first : first + size])


def ask_moves(
    model: ChatModel, decider: Decider, homes: Homes, public: Public, rules: MarketRules, size: int
) -> tuple[Openings, dict[str, int]]:
    """Ask for the moves of the homes that could sell, `size` homes per call; returns decisions by source beside them.

    A home that an answer leaves out, or an answer that fails, leaves the rules in place. A move of a home that is not
    in the batch, or its second move, is dropped and counted.
    """
    kw, ask, _ = own_lines(homes, public, rules)
    n = rules.n_homes
    sells, markup = np.ones(n, dtype=bool), np.full(n, np.nan)
    sources: dict[str, int] = {}
    able = np.flatnonzero((kw > 0).any(axis=0) & ~homes.blackout_now).tolist()
    for batch in batches(able, size):
        rows = [_row(i, kw, ask, homes) for i in batch]
        told = {
            "hour": public.start.strftime("%a %H:%M"),
            "price_tenth_cents": round(1000 * public.expected_lmp),
            "rows": rows,
        }
        limit = TOKENS_BASE + TOKENS_PER_MOVE * len(batch)
        answer = decider.ask(model, prompt("moves"), json.dumps(told, separators=(",", ":")), Moves, limit, 0)
        taken: set[int] = set()
        if answer is not None:
            assert isinstance(answer.value, Moves)
            valid, outside = clip(answer.value)
            decider.ledger.event("clipped", outside)
            for move in valid.moves:
                if move.home not in batch or move.home in taken:
                    decider.ledger.event("unsupported")
                    continue
                taken.add(move.home)
                sells[move.home] = move.sells > 0
                # giving way readily is opening lower; nobody opens below the own ask
                markup[move.home] = move.markup_percent / 100.0 * (1.0 - move.concession_percent / 200.0)
        for home in batch:
            source = answer.source if answer is not None and home in taken else "fallback"
            decider.ledger.decided(source)
            sources[source] = sources.get(source, 0) + 1
    return Openings(sells, markup), sources


def _row(i: int, kw: np.ndarray, ask: np.ndarray, homes: Homes) -> dict[str, int]:
    bess = homes.bess_kwh[i]
    return {
        "home": i,
        "car_w": round(1000 * float(kw[CAR, i])),
        "all_w": round(1000 * float(kw[FULL, i])),
        "car_ask_tenth_cents": round(1000 * float(ask[CAR, i])),
        "all_ask_tenth_cents": round(1000 * float(ask[FULL, i])),
        "battery_percent": round(100 * float(homes.soc_kwh[i] / bess)) if bess > 0 else 0,
        "car_due_hours": round(float(homes.hours_to_ready[i])),
    }
