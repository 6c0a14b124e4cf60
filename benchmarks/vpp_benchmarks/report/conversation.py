"""The conversation of an hour: who said what, terms side by side, what it was worth to both, what happened afterwards.

A page of report and dashboard; all text of owners and policies is data and is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vpp_benchmarks.report.home import PAY, WRONG, Homes
from vpp_benchmarks.report.material import BOUGHT, SOLD
from vpp_benchmarks.report.negotiation import TERMS, UNANSWERED, Negotiation, Terms, Words, negotiation_of, rounds
from vpp_benchmarks.report.svg import Markup, markup, table
from vpp_benchmarks.report.tables import MISSING, number
from vpp_env.units import KWH_PER_MWH, Floats

MOST_MEMBERS = 12
"""Members of a coalition that are listed; the others are counted."""
MOST_TERMS = 12
"""Owners whose terms are listed; the others are counted."""
MOST_WORDS = 40
PLAYED = ("opportunity", "timestamp", "lmp_price", "actual_profit", "money_payments", "money_compute", "sold_kwh",
          "bought_kwh", "forced_kwh", "preference_violations")  # fmt: skip
"""Columns of opportunities that a page tells."""
ALL_PAY = (*PAY, "pay_availability_usd", "pay_concession_usd")


class Conversations:
    """The conversations of a run, put in order once.

    Parameters
    ----------
    homes : Homes
        Of the run: what became of those who were offered something.
    """

    def __init__(self, homes: Homes) -> None:
        self._homes = homes
        texts = homes.run.table("transcripts")
        self._texts = dict(iter(texts.groupby("opportunity")["message"])) if len(texts) else {}
        stamps = texts.groupby("opportunity")["timestamp"].first() if len(texts) else pd.Series(dtype=object)
        self.hours: dict[int, str] = {int(str(o)): f"{stamp:%a %d %b %H:%M}" for o, stamp in stamps.items()}
        played = homes.run.table("opportunities")
        names = [name for name in PLAYED if name in played]
        self._played: dict[int, dict[str, Any]] = {
            int(row["opportunity"]): {str(k): v for k, v in row.items()} for row in played[names].to_dict("records")
        }
        self._sold_at, self._bought_at = _captured(homes.run.table("intervals"), homes.steps)
        self._offered = {home: [one.opportunity for one in some] for home, some in homes.terms.items()}

    @property
    def best(self) -> int:
        """The opportunity with most to see: of those with an offer the one in which most was sold, else of all."""
        asked = {one.opportunity for some in self._homes.terms.values() for one in some} & set(self.hours)

        def sold(o: int) -> float:
            return float(self._played.get(o, {}).get("sold_kwh", 0.0))

        return max(asked or self.hours, key=lambda o: (sold(o), -o))

    def read(self, opportunity: int) -> Negotiation:
        """Return the negotiation of one opportunity."""
        return negotiation_of(self._texts[opportunity].tolist())

    def page(self, opportunity: int) -> str:
        """Return the conversation of one opportunity."""
        read = self.read(opportunity)
        parts = [f"<p>{'; '.join(_announced(read))}.</p>", self._afterwards(opportunity)]
        parts.append(_words(read.said))
        if read.rounds:
            parts.append(f"<div class=gridw><div class=tight>{_rounds(read)}</div>{rounds(read)}</div>")
            parts.append(self._side_by_side(read.terms))
        parts.append(_coalition(read))
        parts += [f"<pre>{markup(json.dumps(x, ensure_ascii=False))}</pre>" for x in read.others[:MOST_MEMBERS]]
        return "".join(parts)

    def _afterwards(self, opportunity: int) -> str:
        """Say what came of the opportunity."""
        row = self._played.get(opportunity)
        if row is None:
            return ""
        members, kept = row["money_payments"], row["actual_profit"]
        paid, bought = kept + members + row["money_compute"], row["bought_kwh"] + row["forced_kwh"]
        text = f"What happened: {number(row['sold_kwh'])} kWh sold and {number(bought)} bought"
        text += f" at {number(row['lmp_price'], 1)} USD/MWh; the market paid {number(paid)} USD, members got "
        text += f"{number(members)}, the VPP kept {number(kept)}"
        broken = int(row["preference_violations"])
        return f"<p>{text}; {broken or 'no'} preference{'' if broken == 1 else 's'} broken.</p>"

    def _side_by_side(self, terms: Sequence[Terms]) -> str:
        """Return terms round by round, the answers, and what became of them, an owner a row."""
        known = any(one.accepted is not None for one in terms)
        by_home: dict[int, list[Terms]] = {}
        for one in terms:
            by_home.setdefault(one.home, []).append(one)
        rows = []
        for home, some in sorted(by_home.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_TERMS]:
            last = some[-1]
            prices = " \u2192 ".join(f"{one.price:.3f}" for one in some)
            answer = [last.answer] if known else []
            rows.append(
                [Markup(f"<span class=who>home {home}</span>"), prices, last.words, *answer, *self._became(last)]
            )
        header = ["owner", "USD/kWh by round", "terms at last", *(["answer"] if known else []), "until", "h called"]
        header += ["kWh given", "owner got, USD", "its wear, USD", "VPP's margin, ~USD", "broken"]
        more = len(by_home) - len(rows)
        rest = f"<p class=note>and {more} more owners</p>" if more > 0 else ""
        note = f"{TERMS} What happened: until the owner's next offer, or as long as the contract ran. VPP's margin: "
        note += "energy at the fleet's mean price in each hour less what the owner got for it; pay for capacity and "
        note += "reserve is the fleet's and not in it. Broken: what of its wishes."
        unknown = "" if known else f" Answers: {UNANSWERED}."
        drawn = table(header, rows, 4 if known else 3, cards=True)
        return f"<h3>Terms side by side</h3>{drawn}{rest}<p class=note>{markup(note + unknown)}</p>"

    def _end(self, one: Terms) -> int:
        """Return the opportunity with which a contract ended at the latest: as it says, or with the next offer."""
        last = max(self._played, default=0) + 1
        end = min([o for o in self._offered[one.home] if o > one.opportunity], default=last)
        if one.window == "opportunity":
            return one.opportunity + 1
        if one.window == "evening" and one.opportunity in self._played:
            day = self._played[one.opportunity]["timestamp"].date()
            return min(end, 1 + max(o for o, row in self._played.items() if row["timestamp"].date() == day))
        return end

    def _became(self, one: Terms) -> list[str]:
        """Return the cells of what became of a contract."""
        end = self._end(one)
        mine, broken = (
            rows[(rows["opportunity"] >= one.opportunity) & (rows["opportunity"] < end)] if len(rows) else rows
            for rows in (self._homes.dispatched(one.home), self._homes.wrong(one.home))
        )
        counts = {} if not len(broken) else {str(k): int(n) for k, n in broken["kind"].value_counts().items()}
        told = ", ".join(f"{n} x {WRONG.get(kind, kind)}" for kind, n in counts.items()) or "none"
        when = f"{self._played[end]['timestamp']:%d %b %H:%M}" if end in self._played else "the end"
        if not len(mine):
            return [when, "0", MISSING, MISSING, MISSING, MISSING, told]
        given = (mine["sold_kwh"] + mine["called_kwh"]).to_numpy(dtype=np.float64)
        taken = (mine["bought_kwh"] + mine["forced_kwh"]).to_numpy(dtype=np.float64)
        at = mine["opportunity"].to_numpy()
        worth = float((given * self._sold_at[at] - taken * self._bought_at[at]).sum())
        energy_pay = float(mine[["pay_sold_usd", "pay_bought_usd", "pay_forced_usd"]].to_numpy().sum())
        got = float(mine[[c for c in ALL_PAY if c in mine]].to_numpy().sum())
        figures = [float(given.sum()), got, float(mine["wear_usd"].sum()), worth - energy_pay]
        return [when, str(int((given > 0).sum())), *map(number, figures), told]


def _captured(intervals: pd.DataFrame, steps: int) -> tuple[Floats, Floats]:
    """(O,) USD/kWh at which the fleet sold and bought in every opportunity of `steps` intervals; 0 where it did not."""
    whole = intervals.iloc[: len(intervals) // steps * steps]
    if not len(whole):
        return np.zeros(0), np.zeros(0)
    price = whole["lmp_usd_per_mwh"].to_numpy(dtype=np.float64).reshape(-1, steps) / KWH_PER_MWH

    def at(columns: Iterable[str]) -> Floats:
        kw = whole[list(columns)].sum(axis=1).to_numpy(dtype=np.float64).reshape(-1, steps)
        total = kw.sum(axis=1)
        return np.divide((kw * price).sum(axis=1), total, out=np.zeros(len(kw)), where=total > 0.0)

    return at(SOLD.values()), at(BOUGHT.values())


def _announced(read: Negotiation) -> list[str]:
    """Say what was for sale and how the negotiation went, as HTML."""
    a, s = read.announced, read.summary
    said = [f"<strong>{markup(read.start[:16])}</strong>"]
    if a:
        said.append(f"day-ahead price {number(a['day_ahead_price'])} USD/MWh, for sale: {markup(a['product'])}")
    if s:
        said.append(f"{s['contacted']} homes contacted, {s['bids']} bid, coalition of {s['coalition_size']}")
        said.append(f"{number(1000 * s['committed_mw'], 1)} kW committed, {markup(s['status'])}")
    return said


def _words(said: Sequence[Words]) -> str:
    """Return what was said in words, a bubble each."""
    if not said:
        return ""
    bubbles = []
    for one in said[:MOST_WORDS]:
        mine = "vpp" if one.speaker == "aggregator" else "owner"
        home = "" if one.home is None else f" of home {one.home}" if mine == "owner" else f" to home {one.home}"
        who = f"{one.speaker}{home}" + (f", on {one.offer_id}" if one.offer_id else "")
        bubbles.append(f"<div class='bubble {mine}'><span>{markup(who)}</span>{markup(one.text)}</div>")
    more = f"<p class=note>and {len(said) - MOST_WORDS} more</p>" if len(said) > MOST_WORDS else ""
    return f"<h3>In words</h3><div class=talk>{''.join(bubbles)}</div>{more}"


def _rounds(read: Negotiation) -> str:
    rows = []
    for r in read.rounds:
        prices = " / ".join(number(usd, 3) for usd in (r.low, r.mean, r.high))
        counts = [str(r.accepted), str(r.countered)]
        rows.append([str(r.number), str(r.asked), number(r.kw, 1), prices, *counts, number(r.counter, 3)])
    header = [
        "round",
        "homes asked",
        "kW",
        "offer, USD/kWh: low / mean / high",
        "accepted",
        "countered",
        "counter-offer",
    ]
    return table(header, rows, 0)


def _coalition(read: Negotiation) -> str:
    members = [
        [f"home {x['home']}", number(x["kw"], 2), number(x["price"], 3), str(x["device"])]
        for x in read.members[:MOST_MEMBERS]
    ]
    more = len(read.members) - len(members)
    rest = f"<p class=note>and {more} more</p>" if more > 0 else ""
    drawn = table(["coalition", "kW", "bid at, USD/kWh", "device"], members)
    return f"<div class=narrow>{drawn}{rest}</div>" if members else ""


def conversations_of(homes: Mapping[str, Homes]) -> dict[str, Conversations]:
    """Return the conversations of the policies that have any, by label."""
    some = {label: Conversations(one) for label, one in homes.items() if "transcripts" in one.run.tables}
    return {label: one for label, one in some.items() if one.hours}
