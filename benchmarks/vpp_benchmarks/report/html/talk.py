"""A negotiation of one hour, read from its messages: rounds with bids and counter-offers, and the coalition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd


@dataclass
class Round:
    """One round of offers."""

    number: int
    asked: int = 0  # homes that got an offer
    kw: float = 0.0
    low: float | None = None  # USD/kWh offered
    mean: float | None = None
    high: float | None = None
    accepted: int = 0
    countered: int = 0
    counter: float | None = None  # mean counter-offer, USD/kWh


@dataclass
class Talk:
    """One opportunity."""

    start: str
    announced: Mapping[str, Any] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    members: list[Mapping[str, Any]] = field(default_factory=list)
    summary: Mapping[str, Any] = field(default_factory=dict)
    others: list[Mapping[str, Any]] = field(default_factory=list)  # messages of kinds that are not known here


def talk_of(messages: Sequence[str]) -> Talk:
    """Read the messages (JSON texts) of one opportunity, of either kind of transcript."""
    said = [json.loads(text) for text in messages]
    talk = Talk(str(said[0].get("timestamp", "")) if said else "")
    counters: dict[str, list[float]] = {}
    offers: dict[str, Round] = {}
    for m in said:
        kind = m.get("kind")
        if kind == "market_opportunity":
            talk.announced = m
        elif kind == "aggregator_offer":
            offers[m["offer_id"]] = _offer(m)
            talk.rounds.append(offers[m["offer_id"]])
        elif kind == "response_counts" and m["offer_id"] in offers:
            one = offers[m["offer_id"]]
            one.accepted, one.countered, one.counter = m["accepted"], m["countered"], m["mean_counter_price"]
        elif kind == "prosumer_response" and m["offer_id"] in offers:
            one = offers[m["offer_id"]]
            one.accepted += m["accepted"]
            one.countered += not m["accepted"]
            if not m["accepted"]:
                counters.setdefault(m["offer_id"], []).append(m["counter_price"])
                one.counter = float(np.mean(counters[m["offer_id"]]))
        elif kind == "coalition":
            talk.members += _members(m)
        elif kind == "coalition_member":
            talk.members.append(
                {"home": m["prosumer_id"], "kw": m["committed_kw"], "price": m["agreed_price"], "device": m["device"]}
            )
        elif kind == "negotiation_summary":
            talk.summary = m
        elif kind != "prosumer_bid":
            talk.others.append(m)
    talk.members.sort(key=lambda member: -member["kw"])
    return talk


def _offer(m: Mapping[str, Any]) -> Round:
    prices = np.asarray(m["offered_price"], dtype=np.float64)
    one = Round(int(m["round"]), len(set(m["targets"])), float(np.sum(m["requested_kw"])))
    if len(prices):
        one.low, one.mean, one.high = float(prices.min()), float(prices.mean()), float(prices.max())
    return one


def _members(m: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns = zip(m["prosumer_id"], m["sell_kw"], m["reserve_kw"], m["agreed_price"], m["device"], strict=True)
    return [
        {"home": home, "kw": sell + reserve, "price": price, "device": device}
        for home, sell, reserve, price, device in columns
    ]


def talks(transcripts: pd.DataFrame, opportunities: Sequence[int]) -> dict[int, Talk]:
    """Return the negotiations of some opportunities, those that are there."""
    mine = transcripts[transcripts["opportunity"].isin(list(opportunities))] if len(transcripts) else transcripts
    return (
        {int(str(k)): talk_of(part["message"].tolist()) for k, part in mine.groupby("opportunity")} if len(mine) else {}
    )
