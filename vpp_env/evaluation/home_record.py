"""Who was dispatched when, and what went wrong: sparse tables of a run, a row only where something happened."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vpp_env.core import ledger as led
from vpp_env.evaluation.satisfaction import VIOLATIONS, violations
from vpp_env.simulation.outcome import Outcome
from vpp_env.units import POWER_QUANTUM_KW, PRICE_TICK

FLEET = -1
"""`prosumer` of an event that belongs to the fleet as a whole."""
KWH_SEEN = 1e-9
"""kWh (or kW-h) below which nothing was dispatched: rounding."""

DISPATCH = {
    "sold_kwh": led.L_SOLD,
    "called_kwh": led.L_CALLED,
    "bought_kwh": led.L_BOUGHT,
    "forced_kwh": led.L_FORCED,
    "deferred_kwh": led.L_DEFER,
    "bess_kwh": led.L_BESS,
    "v2g_kwh": led.L_V2G,
    "beyond_kwh": led.L_BEYOND,
    "reserve_kw_h": led.L_RESERVE,
    "pay_sold_usd": led.L_PAY_SOLD,
    "pay_bought_usd": led.L_PAY_BOUGHT,
    "pay_forced_usd": led.L_PAY_FORCED,
    "pay_reserve_usd": led.L_PAY_RESERVE,
    "owed_usd": led.L_OWED,
    "wear_usd": led.L_WEAR,
}
"""Columns of the dispatch table and their rows of the ledger."""
EVENT_UNITS = {
    "reserve": "share of floor x h",
    "ev_not_ready": "share of capacity",
    "underpaid": "USD",
    "blackout": "kWh",
    "over_cycling": "kWh",
    "void_award": "intervals",
    "reserve_call": "kWh",
    "no_pay": "USD",
}
"""Kinds of event, and the unit of their `value`; the first five are the violations."""


class HomeRecord:
    """Collects both tables; arrays are kept as they come and put together once."""

    def __init__(self) -> None:
        self._dispatch: list[dict[str, np.ndarray]] = []
        self._events: list[tuple[int, str, np.ndarray, np.ndarray]] = []
        self._stamps: dict[int, pd.Timestamp] = {}

    def add(self, stamp: pd.Timestamp, outcome: Outcome, accepted: np.ndarray | None) -> None:
        """Append one opportunity; `accepted` (N,) bool, None where nobody is asked."""
        rows, offers, k = outcome.ledger[:, 0], outcome.offers, outcome.opportunity
        self._stamps[k] = stamp
        moved = rows[led.L_SOLD] + rows[led.L_CALLED] + rows[led.L_BOUGHT] + rows[led.L_FORCED] + rows[led.L_RESERVE]
        who = np.flatnonzero(moved > KWH_SEEN)
        if len(who):
            table = {"opportunity": np.full(len(who), k, dtype=np.int32), "prosumer": who.astype(np.int32)}
            table["bid_kw"] = offers.sell_q[0, who] * POWER_QUANTUM_KW
            table["ask_usd_per_kwh"] = offers.sell_tick[0, who] * PRICE_TICK
            table["accepted"] = np.zeros(len(who), dtype=bool) if accepted is None else accepted[who]
            self._dispatch.append(table | {name: rows[j, who] for name, j in DISPATCH.items()})
        self._violations(outcome, rows)
        self._fleet(outcome, rows)

    def _violations(self, outcome: Outcome, rows: np.ndarray) -> None:
        values = (
            rows[led.L_DEPTH_H],
            outcome.short[0],
            rows[led.L_OWED] - rows[led.L_PAY_SOLD],
            rows[led.L_BLACK],
            rows[led.L_OVER],
        )
        for kind, broken, value in zip(VIOLATIONS, violations(outcome), values, strict=True):
            who = np.flatnonzero(broken)
            if len(who):
                self._events.append((outcome.opportunity, kind, who, value[who]))

    def _fleet(self, outcome: Outcome, rows: np.ndarray) -> None:
        values = {
            "void_award": float(outcome.void[:, 0].sum()),
            "reserve_call": float(rows[led.L_CALLED].sum()),
            "no_pay": float(outcome.money.nopay[0]),
        }
        for kind, value in values.items():
            if value > KWH_SEEN:
                self._events.append((outcome.opportunity, kind, np.array([FLEET]), np.array([value])))

    def dispatch(self) -> pd.DataFrame:
        """One row per home and opportunity in which it sold, bought or stood by.

        `bid_kw`, `ask_usd_per_kwh`: the home's offer to sell; `owed_usd`: its own asks for what it sold; the other
        columns are `DISPATCH`. `prosumer` is the home's number.
        """
        names = ["opportunity", "prosumer", "bid_kw", "ask_usd_per_kwh", "accepted", *DISPATCH]
        parts = self._dispatch
        table = pd.DataFrame({n: np.concatenate([p[n] for p in parts]) if parts else np.zeros(0) for n in names})
        return self._stamped(table.astype({"opportunity": np.int32, "prosumer": np.int32, "accepted": bool}))

    def events(self) -> pd.DataFrame:
        """One row per event: opportunity, timestamp, prosumer (`FLEET` for the fleet), kind, value, unit."""
        data = {
            "opportunity": np.repeat([e[0] for e in self._events], [len(e[2]) for e in self._events]).astype(np.int32),
            "prosumer": np.concatenate([e[2] for e in self._events] or [np.zeros(0)]).astype(np.int32),
            "kind": np.repeat(np.array([e[1] for e in self._events], dtype=object), [len(e[2]) for e in self._events]),
            "value": np.concatenate([e[3] for e in self._events] or [np.zeros(0)]),
        }
        table = pd.DataFrame(data).astype({"kind": "str"})
        table["unit"] = table["kind"].map(EVENT_UNITS).astype("str")
        return self._stamped(table)

    def _stamped(self, table: pd.DataFrame) -> pd.DataFrame:
        stamps = pd.Series(self._stamps, dtype=None if self._stamps else "datetime64[ns, UTC]")
        table.insert(1, "timestamp", table["opportunity"].map(stamps))
        return table
