"""The negotiation of an hour, read from its messages and drawn: rounds of offers, counter-offers, the coalition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from vpp_benchmarks.report.course import local_days
from vpp_benchmarks.report.material import Material
from vpp_benchmarks.report.svg import Plot, extent, legend, table
from vpp_benchmarks.report.tables import number
from vpp_benchmarks.results.run_result import RunResult

MOST_MEMBERS = 12
"""Members of a coalition that are listed; the others are counted."""


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
    others: list[Mapping[str, Any]] = field(default_factory=list)  # messages of kinds that are not known here


def negotiation_of(messages: Sequence[str]) -> Negotiation:
    """Read the messages (JSON texts) of one opportunity, of either kind of transcript."""
    said = [json.loads(text) for text in messages]
    read = Negotiation(str(said[0].get("timestamp", "")) if said else "")
    counters: dict[str, list[float]] = {}
    offers: dict[str, Round] = {}
    for m in said:
        kind = m.get("kind")
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
        elif kind != "prosumer_bid":
            read.others.append(m)
    read.members.sort(key=lambda member: -member["kw"])
    return read


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


def negotiations(transcripts: pd.DataFrame, opportunities: Sequence[int]) -> dict[int, Negotiation]:
    """Return the negotiations of some opportunities, those that are there."""
    if not len(transcripts):
        return {}
    mine = transcripts[transcripts["opportunity"].isin(list(opportunities))]
    return {int(str(k)): negotiation_of(part["message"].tolist()) for k, part in mine.groupby("opportunity")}


# -- as HTML ---------------------------------------------------------------------------------------------------------


def negotiation(m: Material) -> str:
    """Return the negotiations of one day, an hour at a time."""
    negotiating = [run for run in m.shown if "transcripts" in run.tables]
    if not negotiating or m.day is None:
        return ""
    parts = []
    for k, run in enumerate(negotiating):
        texts = run.table("transcripts")
        same = texts[local_days(texts) == m.day]
        found = negotiations(texts, sorted(set(same["opportunity"])))
        if found:
            parts.append(_hours(run, found, k))
    return "".join(parts)


def _hours(run: RunResult, found: Mapping[int, Negotiation], k: int) -> str:
    """Return one policy's hours: a choice, and the hour in which most was sold shown first."""
    sold = run.table("opportunities").set_index("opportunity")["sold_kwh"]
    best = max(found, key=lambda o: (float(sold.get(o, 0.0)), -o))
    options = "".join(
        f'<option value="hours-{k}-{o}"{" selected" if o == best else ""}>{escape(t.start[:16])}</option>'
        for o, t in found.items()
    )
    boxes = "".join(
        f'<div id="hours-{k}-{o}" class="hours-{k}"{"" if o == best else " hidden"}>{hour(t)}</div>'
        for o, t in found.items()
    )
    choice = f'<label class=noprint>Hour: <select data-group="hours-{k}">{options}</select></label>'
    return f"<h3>{escape(run.label)}</h3>{choice}{boxes}"


def hour(read: Negotiation) -> str:
    """Return one negotiation: what was announced, offers by round, and the coalition."""
    a, s = read.announced, read.summary
    said = [f"<strong>{escape(read.start[:16])}</strong>"]
    if a:
        said.append(f"day-ahead price {number(a['day_ahead_price'])} USD/MWh, for sale: {escape(str(a['product']))}")
    if s:
        said.append(f"{s['contacted']} homes contacted, {s['bids']} bid, coalition of {s['coalition_size']}")
        said.append(f"{number(1000 * s['committed_mw'], 1)} kW committed, {escape(str(s['status']))}")
    rows = [
        [
            str(r.number),
            str(r.asked),
            number(r.kw, 1),
            f"{number(r.low, 3)} / {number(r.mean, 3)} / {number(r.high, 3)}",
            str(r.accepted),
            str(r.countered),
            number(r.counter, 3),
        ]
        for r in read.rounds
    ]
    header = [
        "round",
        "homes asked",
        "kW",
        "offer, USD/kWh: low / mean / high",
        "accepted",
        "countered",
        "counter-offer",
    ]
    members = [
        [f"home {x['home']}", number(x["kw"], 2), number(x["price"], 3), str(x["device"])]
        for x in read.members[:MOST_MEMBERS]
    ]
    more = len(read.members) - len(members)
    rest = f"<p class=note>and {more} more</p>" if more > 0 else ""
    drawn = rounds(read) if read.rounds else ""
    others = "".join(f"<pre>{escape(json.dumps(x, ensure_ascii=False))}</pre>" for x in read.others[:MOST_MEMBERS])
    coalition = table(["coalition", "kW", "agreed, USD/kWh", "device"], members) + rest if members else ""
    return (
        f"<p>{'; '.join(said)}.</p><div class=grid2><div>{table(header, rows, 0)}{drawn}</div>"
        f"<div>{coalition}</div></div>{others}"
    )


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
    keys = [("offer: lowest to highest, mean", "ink", "dot"), ("mean counter-offer", "d4", "ring")]
    return f"<figure>{plot.svg()}{legend(keys)}</figure>"
