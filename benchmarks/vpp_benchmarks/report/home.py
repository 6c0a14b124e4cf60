"""One home's month: why it was dispatched, what it earned, what it was offered and refused.

A page of report and dashboard: `Homes` puts the tables of a run in order once, `Homes.page` makes that of any home.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from vpp_benchmarks.report.negotiation import TERMS, UNANSWERED, Terms, all_terms
from vpp_benchmarks.report.svg import Plot, extent, legend, markup, table
from vpp_benchmarks.report.tables import MISSING, number, score
from vpp_benchmarks.results.run_result import RunResult
from vpp_env.units import Floats

PAY = ("pay_sold_usd", "pay_bought_usd", "pay_forced_usd", "pay_reserve_usd")
SEEN = 0.005
"""kWh, kW-h or USD below which nothing is said."""
WRONG = {
    "reserve": "the battery fell below the owner's reserve",
    "ev_not_ready": "the car was not ready",
    "underpaid": "paid less than the owner's own asks",
    "blackout": "dispatched in a window in which the owner wants to be left alone",
    "over_cycling": "the battery was cycled more than the owner wants",
}
STORY = {
    "sold_kwh": "sold, kWh",
    "bought_kwh": "bought, kWh",
    "earned_usd": "earned, USD",
    "own_asks_usd": "own asks, USD",
}
"""Columns of a home's month."""
MOST_ROWS = 12
"""Opportunities that a page tells, those of most money; all in which something was wrong beside them."""
MOST_OFFERS = 8
DEVICES = {"battery of {:.3g} kWh": "bess_kwh", "car of {:.3g} kWh": "ev_kwh", "solar of {:.3g} kWp": "pv_kwp"}


class Homes:
    """The homes of a run, put in order once.

    Parameters
    ----------
    run : RunResult
        With its tables.
    """

    def __init__(self, run: RunResult) -> None:
        self.run = run
        self.homes = run.table("prosumers")
        self._paid = paid(self.homes) if len(self.homes) else pd.Series(dtype=np.float64)
        events = run.table("events")
        dispatch, wrong = run.table("dispatch"), events[events["prosumer"] >= 0] if len(events) else events
        self._dispatch = dispatch.sort_values(["prosumer", "opportunity"], kind="stable") if len(dispatch) else dispatch
        self._wrong = wrong.sort_values(["prosumer", "opportunity"], kind="stable") if len(wrong) else wrong
        prices = run.table("prices")
        self.steps = max(1, len(prices) // run.origin.scenario.planned_timesteps)
        """Intervals of an opportunity."""
        usd = prices["rt_usd_per_mwh"].to_numpy(dtype=np.float64) / 1000 if len(prices) else np.zeros(0)
        whole = usd[: len(usd) // self.steps * self.steps].reshape(-1, self.steps)
        # of every opportunity, USD/kWh
        self.price_low: Floats = whole.min(axis=1)
        self.price_high: Floats = whole.max(axis=1)
        played = run.table("opportunities")
        # local days of the run, in order
        self.days = [] if not len(played) else list(dict.fromkeys(played["timestamp"].dt.date))

    def __len__(self) -> int:
        return len(self.homes)

    def dispatched(self, home: int) -> pd.DataFrame:
        """Return the opportunities in which a home was dispatched, in order."""
        return _rows_of(self._dispatch, home)

    def wrong(self, home: int) -> pd.DataFrame:
        """Return the violations of a home, in order."""
        return _rows_of(self._wrong, home)

    @cached_property
    def terms(self) -> Mapping[int, Sequence[Terms]]:
        """Home -> every contract that it was offered, in order."""
        found: dict[int, list[Terms]] = {}
        for one in all_terms(self.run.table("transcripts")):
            found.setdefault(one.home, []).append(one)
        return found

    def month(self, home: int, most: int | None = None) -> pd.DataFrame:
        """Return the opportunities in which a home was dispatched or violated.

        Parameters
        ----------
        home : int
            Which.
        most : int, optional
            Of the dispatched ones these many of most money only, and all in which something was wrong.

        Returns
        -------
        DataFrame
            timestamp, what happened (`why`), kWh sold and bought, what it earned (`earned_usd`), its own asks for it.
        """
        mine, wrong = self.dispatched(home), _rows_of(self._wrong, home)
        asks = self.run.info.asks_consent
        by_hour: dict[int, list[str]] = {}
        stamps: dict[int, pd.Timestamp] = {}
        if len(wrong):
            for k, kind, when in zip(wrong["opportunity"].tolist(), wrong["kind"], wrong["timestamp"], strict=True):
                by_hour.setdefault(k, []).append(kind)
                stamps.setdefault(k, when)
        if most is not None and len(mine) > most:
            earned = mine[list(PAY)].sum(axis=1).abs().to_numpy()
            keep = np.zeros(len(mine), dtype=np.bool_)
            keep[np.argsort(-earned, kind="stable")[:most]] = True
            mine = mine[keep | mine["opportunity"].isin(list(by_hour)).to_numpy()]
        rows: list[dict[str, Any]] = []
        for row in mine.to_dict("records"):
            k = int(row["opportunity"])
            told = why(
                {str(n): v for n, v in row.items()}, self.price_low[k], self.price_high[k], asks, by_hour.pop(k, [])
            )
            sold, bought = row["sold_kwh"] + row["called_kwh"], row["bought_kwh"] + row["forced_kwh"]
            rows.append({"timestamp": row["timestamp"], "why": told, "sold_kwh": sold, "bought_kwh": bought,
                         "earned_usd": sum(row[name] for name in PAY), "own_asks_usd": row["owed_usd"]})  # fmt: skip
        # harm that came later: the car that leaves short, the reserve that stays low
        for k, kinds in by_hour.items():
            text = f"not dispatched; {', '.join(WRONG.get(kind, kind) for kind in kinds)}"
            rows.append({"timestamp": stamps[k], "why": text, **dict.fromkeys(STORY, 0.0)})
        columns = ["timestamp", "why", *STORY]
        return pd.DataFrame(rows, columns=columns).sort_values("timestamp", ignore_index=True)

    def page(self, home: int) -> str:
        """Return the page of a home."""
        row, mine = self.homes.iloc[home], self.dispatched(home)
        owned = ", ".join(text.format(row[column]) for text, column in DEVICES.items() if row[column] > 0)
        who = f"{markup(row['profile'])} owner; {owned or 'no battery, car or solar'}"
        head = f"<p><strong>Home {home}</strong>: {who}.</p>"
        parts = [head, _totals(row, float(self._paid.iloc[home]))]
        if not len(mine) and not len(_rows_of(self._wrong, home)):
            return "".join([*parts, "<p>This home was never dispatched.</p>", self._offers(home)])
        story = self.month(home, MOST_ROWS)
        rows = [
            [f"{r['timestamp']:%d %b %H:%M}", r["why"], *(number(r[c]) for c in STORY)]
            for r in story.to_dict("records")
        ]
        more = len(mine) - int((story["sold_kwh"] + story["bought_kwh"] > 0).sum())
        note = f"<p class=note>and {more} more of less money</p>" if len(mine) > MOST_ROWS and more > 0 else ""
        told = table(["when", "why", *STORY.values()], rows, text_columns=2, cards=True)
        drawn = daily(mine, self.days) if len(mine) else ""
        return "".join(
            [*parts, f"<div class=grid2><div>{drawn}</div><div>{self._offers(home)}</div></div>", told, note]
        )

    def _offers(self, home: int) -> str:
        """Return what the owner was offered, and what it refused."""
        if "transcripts" not in self.run.tables:
            if not self.homes.get("contracts_signed", pd.Series([0])).any():
                return "<p class=note>This policy offers no contracts: there was nothing to refuse.</p>"
            count = int(self.homes["contracts_signed"].iloc[home])
            signed = f"Signed {count} contract{'' if count == 1 else 's'}"
            return f"<p class=note>{signed}; this policy keeps no record of its offers and of what was refused.</p>"
        mine = self.terms.get(home, [])
        if not mine:
            return "<p class=note>Nobody offered this owner a contract.</p>"
        known = any(one.accepted is not None for one in mine)
        header = ["when", "offer", *(["answer"] if known else [])]
        rows = [[one.when[:16], one.words, one.answer][: len(header)] for one in mine[-MOST_OFFERS:]]
        refused = sum(one.accepted is False for one in mine)
        text = f"Offered {len(mine)} contract{'' if len(mine) == 1 else 's'}"
        text += f", refused {refused}" if known else f"; {UNANSWERED}"
        return f"<p class=note>{markup(text)}. {TERMS}</p>{table(header, rows, len(header))}"


def paid(homes: pd.DataFrame) -> pd.Series:
    """(n,) USD that homes were paid, for capacity too: net benefit without what is left in storage, bill, wear."""
    kept: pd.Series = homes["net_benefit_usd"] - homes["closing_value_usd"]
    return kept + homes["bill_change_usd"] + homes["wear_usd"]


def _rows_of(ordered: pd.DataFrame, home: int) -> pd.DataFrame:
    """Return the rows of a home of a table that is in order of homes."""
    if not len(ordered):
        return ordered
    start, stop = np.searchsorted(ordered["prosumer"].to_numpy(), [home, home + 1])
    return ordered.iloc[start:stop]


def _totals(row: pd.Series, pay: float) -> str:
    """Return what a home's month came to, of which it was paid `pay` USD, as figures that add up from left to right."""
    got = {name: float(row.get(name, 0.0)) for name in ("pay_sold_usd", "pay_bought_usd", "pay_reserve_usd",
           "pay_availability_usd", "pay_concession_usd")}  # fmt: skip
    energy = got["pay_sold_usd"] + got["pay_bought_usd"]
    contract = got["pay_availability_usd"] + got["pay_concession_usd"]
    net, private = float(row["net_benefit_usd"]), float(row.get("private_cost_usd", 0.0))
    content = row["satisfaction"]
    figures = {
        "paid for energy, USD": number(energy),
        "for reserve, USD": number(got["pay_reserve_usd"]),
        "by contract, USD": number(contract),
        "for capacity and events, USD": number(pay - energy - got["pay_reserve_usd"] - contract),
        "bill, USD": number(-float(row["bill_change_usd"])),
        "wear, USD": number(-float(row["wear_usd"])),
        "left in storage, USD": number(float(row["closing_value_usd"])),
        "net benefit, USD": number(net),
        "broken wishes, USD": number(-private),
        "better off by, USD": number(net - private),
        "joined for, USD": number(row["expected_gain_usd"]) if "expected_gain_usd" in row else MISSING,
        "satisfaction": "nothing to offer" if pd.isna(content) else score(float(content)),
        "contracts": number(float(row.get("contracts_signed", 0)), 0),
        "days out": number(float(row.get("days_out", 0)), 0) + (", left for good" if row.get("lost", 0) else ""),
    }
    cells = "".join(f"<div><b>{markup(value)}</b><span>{markup(name)}</span></div>" for name, value in figures.items())
    return f"<div class=figures>{cells}</div>"


def daily(dispatched: pd.DataFrame, days: Sequence[date]) -> str:
    """Draw what a home earned by day of the run, and its own asks for it.

    Parameters
    ----------
    dispatched : DataFrame
        Rows of the home.
    days : sequence of date
        Local days of the run, in order.
    """
    number_of = {day: j for j, day in enumerate(days)}
    at = dispatched["timestamp"].dt.date.map(number_of).to_numpy(dtype=np.int64)
    earned, asks = (
        np.bincount(at, values, minlength=len(days)).tolist()
        for values in (dispatched[list(PAY)].sum(axis=1).to_numpy(), dispatched["owed_usd"].to_numpy())
    )
    last = len(days)
    plot = Plot((0.4, last + 0.6), extent([*earned, *asks], zero=True), "Earned by day", 190)
    plot.axes("day of the run", "USD", range(1, last + 1, max(1, last // 8)))
    plot.segment((0.4, 0.0), (last + 0.6, 0.0), "zero")
    for x, (usd, ask) in enumerate(zip(earned, asks, strict=True), 1):
        if usd:
            plot.box((x - 0.35, x + 0.35), (min(0.0, usd), max(0.0, usd)), "d3 cell", tip=f"{usd:z.2f} USD")
        if ask > SEEN:
            plot.segment((x - 0.42, ask), (x + 0.42, ask), "ink")
    keys = [("earned, capacity apart", "d3", "box"), ("own asks for it", "ink", "line")]
    return f"<figure>{plot.svg()}{legend(keys)}</figure>"


def why(row: Mapping[str, Any], low: float, high: float, asks: bool, wrong: Sequence[str]) -> str:
    """Say why a home was dispatched in one opportunity.

    Parameters
    ----------
    row : mapping
        A row of the dispatch table.
    low, high : float
        Range of the real-time price, USD/kWh.
    asks : bool
        Whether the policy asks owners at all.
    wrong : sequence of str
        Kinds of violation in this opportunity.
    """
    parts = []
    market = f"{low:.3f} to {high:.3f} USD/kWh" if high - low >= 0.0005 else f"{low:.3f} USD/kWh"
    if row["sold_kwh"] > SEEN:
        sources = {"deferred charging": "deferred_kwh", "the battery": "bess_kwh", "the car's battery": "v2g_kwh"}
        by = " and ".join(name for name, column in sources.items() if row[column] > SEEN) or "its devices"
        bid = f"bid at {row['ask_usd_per_kwh']:.3f}" if row["ask_usd_per_kwh"] > 0 else "bid at no least price"
        parts.append(f"sold {row['sold_kwh']:.2f} kWh by {by}: {bid}, the market paid {market}")
    if row["called_kwh"] > SEEN:
        parts.append(f"its reserve was called: {row['called_kwh']:.2f} kWh")
    if row["bought_kwh"] > SEEN:
        parts.append(f"bought {row['bought_kwh']:.2f} kWh: the market asked {market}")
    if row["forced_kwh"] > SEEN:
        parts.append(f"bought back {row['forced_kwh']:.2f} kWh, so that the car is ready")
    if row["reserve_kw_h"] > SEEN:
        parts.append(f"on reserve: {row['reserve_kw_h']:.2f} kW-h")
    said = "; ".join(parts) or "a trace of energy"
    agreed = "the home agreed" if row["accepted"] else ("no contract of the home" if asks else "nobody asked the owner")
    beyond = f"; {row['beyond_kwh']:.2f} kWh beyond what the owner allows" if row["beyond_kwh"] > SEEN else ""
    harm = f"; {', '.join(WRONG.get(kind, kind) for kind in wrong)}" if wrong else ""
    return f"{said} ({agreed}){beyond}{harm}"
