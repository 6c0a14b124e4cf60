"""The negotiation of an hour, read from its messages: rounds of offers, answers, words, the coalition."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from vpp_benchmarks.report.svg import Plot, extent, legend

NEEDED = {
    "market_opportunity": ("product", "day_ahead_price"),
    "aggregator_offer": ("offer_id", "targets", "offered_price", "requested_kw", "round"),
    "response_counts": ("offer_id", "accepted", "countered", "mean_counter_price"),
    "prosumer_response": ("offer_id", "prosumer_id", "accepted", "counter_price"),
    "coalition": ("prosumer_id", "sell_kw", "reserve_kw", "agreed_price", "device"),
    "coalition_member": ("prosumer_id", "committed_kw", "agreed_price", "device"),
    "negotiation_summary": ("contacted", "bids", "coalition_size", "committed_mw", "status"),
    "said": ("speaker", "text"),
}
"""Kinds of message that are read here, and the fields without which one is shown as it is."""

TERMS = "Floor: how low the battery may be, paid per kWh and hour; day: how much it may give a day, paid per kWh."
"""What the words of a contract say."""
UNANSWERED = "who answered what is written down by agentic(transcript='full') only"
WINDOWS = {"opportunity": "for this hour", "evening": "for this evening", "notice": "until further notice"}
"""How long a contract runs, in words."""
OFFER_KEYS = (("offer: lowest to highest, mean", "ink", "dot"), ("mean counter-offer", "d4", "ring"))
"""Legend of offers by round."""


@dataclass(frozen=True)
class Terms:
    """A contract that one owner was offered, and what it answered as far as that is written down."""

    home: int
    opportunity: int
    when: str  # local time of the gate
    offer_id: str
    round: int
    price: float  # USD/kWh
    kw: float
    window: str = ""
    concessions: str = ""
    accepted: bool | None = None  # None: answers were counted only
    counter_price: float | None = None
    counter: str = ""
    reason: str = ""

    @property
    def words(self) -> str:
        """The terms in words."""
        more = f", {self.concessions}" if self.concessions else ""
        window = f", {WINDOWS.get(self.window, self.window)}" if self.window else ""
        return f"{self.kw:.1f} kW at {self.price:.3f} USD/kWh{window}{more}"

    @property
    def answer(self) -> str:
        """The answer in words."""
        if self.accepted is None:
            return "not written down"
        because = f" ({self.reason})" if self.reason else ""
        if self.accepted:
            return f"yes{because}"
        wants = f": {self.counter}" if self.counter else ""
        return f"no{wants}{because}"


@dataclass(frozen=True)
class Words:
    """Something that was said in words; a stranger's text."""

    speaker: str
    home: int | None
    text: str
    offer_id: str


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
class Negotiation:
    """One opportunity."""

    start: str
    announced: Mapping[str, Any] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    members: list[Mapping[str, Any]] = field(default_factory=list)
    summary: Mapping[str, Any] = field(default_factory=dict)
    terms: list[Terms] = field(default_factory=list)  # round by round
    said: list[Words] = field(default_factory=list)
    others: list[Mapping[str, Any]] = field(default_factory=list)  # messages of kinds that are not known here


def negotiation_of(messages: Sequence[str]) -> Negotiation:
    """Read the messages (JSON texts) of one opportunity, of either kind of transcript."""
    said = [json.loads(text) for text in messages]
    read = Negotiation(str(said[0].get("timestamp", "")) if said else "")
    counters: dict[str, list[float]] = {}
    offers: dict[str, Round] = {}
    for m in said:
        kind = _kind(m)
        if kind == "market_opportunity":
            read.announced = m
        elif kind == "aggregator_offer":
            offers[m["offer_id"]] = _offer(m)
            read.rounds.append(offers[m["offer_id"]])
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
            read.members += _members(m)
        elif kind == "coalition_member":
            read.members.append(
                {"home": m["prosumer_id"], "kw": m["committed_kw"], "price": m["agreed_price"], "device": m["device"]}
            )
        elif kind == "negotiation_summary":
            read.summary = m
        elif kind == "said":
            home = m.get("prosumer_id")
            read.said.append(Words(str(m["speaker"]), home, str(m["text"]), str(m.get("offer_id") or "")))
        elif m.get("kind") != "prosumer_bid":
            read.others.append(m)
    read.members.sort(key=lambda member: -member["kw"])
    read.terms = terms_of(said)
    return read


def _kind(m: Mapping[str, Any]) -> str:
    """Return the kind of a message that can be read here; empty of any other, and where a field is missing."""
    kind = str(m.get("kind"))
    return kind if kind in NEEDED and all(name in m for name in NEEDED[kind]) else ""


def terms_of(messages: Iterable[Mapping[str, Any]]) -> list[Terms]:
    """Return the contracts that owners were offered in some messages, with the answers that are written down."""
    offered: dict[tuple[str, int], Terms] = {}
    for m in messages:
        kind = _kind(m)
        if kind == "aggregator_offer":
            concessions = m.get("concessions") or [""] * len(m["targets"])
            for home, price, kw, more in zip(
                m["targets"], m["offered_price"], m["requested_kw"], concessions, strict=False
            ):
                offered[m["offer_id"], home] = Terms(
                    int(home), int(m.get("opportunity", 0)), str(m.get("timestamp", "")), str(m["offer_id"]),
                    int(m["round"]), float(price), float(kw), str(m.get("window", "")), str(more),
                )  # fmt: skip
        elif kind == "prosumer_response" and (m["offer_id"], m["prosumer_id"]) in offered:
            key = m["offer_id"], m["prosumer_id"]
            answered = replace(offered[key], accepted=bool(m["accepted"]), counter_price=m["counter_price"])
            offered[key] = replace(answered, counter=str(m.get("counter", "")), reason=str(m.get("reason", "")))
    return list(offered.values())


def all_terms(transcripts: pd.DataFrame) -> list[Terms]:
    """Return every contract that was offered in a run; none where it left no transcripts."""
    if not len(transcripts):
        return []
    some = transcripts[transcripts["kind"].isin(["aggregator_offer", "prosumer_response"])]
    return terms_of(json.loads(text) for text in some["message"])


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


def rounds(read: Negotiation) -> str:
    """Draw offers (range and mean) and mean counter-offers by round."""
    means = [v for r in read.rounds for v in (r.low, r.high, r.counter) if v is not None]
    count = len(read.rounds)
    plot = Plot((0.4, count + 0.6), extent([*means, 0.0], zero=True), "Offers by round", 190)
    plot.axes("round", "USD/kWh", range(1, count + 1))
    for j, one in enumerate(read.rounds, start=1):
        if one.low is not None and one.high is not None and one.mean is not None:
            plot.segment((j, one.low), (j, one.high), "ink")
            plot.point(j, one.mean, "ink", tip=f"mean offer {one.mean:.3f}")
        if one.counter is not None:
            plot.point(j + 0.12, one.counter, "d4", hollow=True, tip=f"mean counter-offer {one.counter:.3f}")
    return f"<figure>{plot.svg()}{legend(OFFER_KEYS)}</figure>"
