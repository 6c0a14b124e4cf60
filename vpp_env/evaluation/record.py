"""The record of a run: a row per opportunity and per interval, sparse tables of the homes, and every home's totals.

The tables of the homes have a row only where something happened: who was dispatched when (`dispatch`), and what went
wrong (`events`).
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_env.contract.bids import N_ACTION, SELL1_KW, SELL2_KW, Bids
from vpp_env.contract.policy import PolicyInfo
from vpp_env.core import ledger as led
from vpp_env.core.layout import FLOW
from vpp_env.evaluation.consent import claimed, covered_kwh
from vpp_env.evaluation.satisfaction import SatisfactionTotals, opportunity_score
from vpp_env.evaluation.verdict import Audit
from vpp_env.evaluation.wear import ChargePaths, rainflow_usd
from vpp_env.evaluation.welfare import BrokenWishes, private_cost
from vpp_env.market.firm import performance
from vpp_env.market.reserve import products
from vpp_env.owners.contracts import ContractBook
from vpp_env.owners.violations import VIOLATIONS
from vpp_env.owners.wishes import CONCESSIONS
from vpp_env.simulation.holdings import closing_value
from vpp_env.simulation.outcome import Outcome, net_benefit
from vpp_env.simulation.world import World
from vpp_env.units import DT_H, KWH_PER_MWH, POWER_QUANTUM_KW, PRICE_TICK, Flags, Floats, Ints

NOTES = ("negotiation_rounds", "coalition_size", "optimization_s")
"""Notes of a policy that become columns; others are kept in `notes_*` columns."""
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
    "pay_availability_usd": led.L_PAY_AVAILABILITY,
    "pay_concession_usd": led.L_PAY_CONCESSION,
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
    """The tables of the homes; arrays are kept as they come and put together once."""

    def __init__(self) -> None:
        self._dispatch: list[dict[str, NDArray[Any]]] = []
        self._events: list[tuple[int, str, Ints, Floats]] = []
        self._stamps: dict[int, pd.Timestamp] = {}

    def add(
        self, stamp: pd.Timestamp, outcome: Outcome, broken: Flags, accepted: Flags | None, covered: Floats
    ) -> None:
        """Append one opportunity; `broken` (5, N) its `violated`, `accepted` and `covered` (N,) as in `consent`."""
        rows, offers, o = outcome.ledger[:, 0], outcome.offers, outcome.opportunity
        self._stamps[o] = stamp
        moved = rows[led.L_SOLD] + rows[led.L_CALLED] + rows[led.L_BOUGHT] + rows[led.L_FORCED] + rows[led.L_RESERVE]
        who = np.flatnonzero(moved > KWH_SEEN)
        if len(who):
            self._dispatch.append(
                {
                    "opportunity": np.full(len(who), o, dtype=np.int32),
                    "prosumer": who.astype(np.int32),
                    "bid_kw": offers.sell_q[0, who] * POWER_QUANTUM_KW,
                    "ask_usd_per_kwh": offers.mean_tick[0, who] * PRICE_TICK,
                    "accepted": np.zeros(len(who), dtype=bool) if accepted is None else accepted[who],
                    "covered_kwh": covered[who],
                    **{name: rows[j, who] for name, j in DISPATCH.items()},
                }
            )
        self._add_violations(outcome, rows, broken)
        self._add_fleet_events(outcome, rows)

    def _add_violations(self, outcome: Outcome, rows: Floats, broken: Flags) -> None:
        values = (
            rows[led.L_DEPTH_H],
            np.maximum(outcome.lacks[0], outcome.missed[0]),  # a trip that was not possible is all of it
            rows[led.L_OWED] - rows[led.L_PAY_SOLD],
            rows[led.L_BLACK],
            rows[led.L_OVER],
        )
        for kind, homes, value in zip(VIOLATIONS, broken, values, strict=True):
            who = np.flatnonzero(homes)
            if len(who):
                self._events.append((outcome.opportunity, kind, who, value[who]))

    def _add_fleet_events(self, outcome: Outcome, rows: Floats) -> None:
        values = {
            "void_award": float(outcome.void[:, 0].sum()),
            "reserve_call": float(rows[led.L_CALLED].sum()),
            "no_pay": float(outcome.money.nopay[0]),
        }
        for kind, value in values.items():
            if value > KWH_SEEN:
                self._events.append((outcome.opportunity, kind, np.array([FLEET]), np.array([value])))

    def dispatch(self) -> pd.DataFrame:
        """One row per home and opportunity in which it sold, bought or was on reserve.

        `bid_kw`, `ask_usd_per_kwh`: the home's offer to sell; `owed_usd`: its own asks for what it sold; the other
        columns are `DISPATCH`. `prosumer` is the home's number. `accepted` is what the policy says, `covered_kwh` what
        counts: the kWh sold and bought under the owner's contract or verified own bid; see `evaluation.consent`.
        """
        names = ["opportunity", "prosumer", "bid_kw", "ask_usd_per_kwh", "accepted", "covered_kwh", *DISPATCH]
        parts = self._dispatch
        table = pd.DataFrame({n: np.concatenate([p[n] for p in parts]) if parts else np.zeros(0) for n in names})
        return self._stamped(table.astype({"opportunity": np.int32, "prosumer": np.int32, "accepted": bool}))

    def events(self) -> pd.DataFrame:
        """One row per event: opportunity, timestamp, prosumer (`FLEET` for the fleet), kind, value, unit."""
        data = {
            "opportunity": np.repeat([e[0] for e in self._events], [len(e[2]) for e in self._events]).astype(np.int32),
            "prosumer": np.concatenate([e[2] for e in self._events] or [np.zeros(0, np.int64)]).astype(np.int32),
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


class Recorder:
    """Tables of one run of one policy in a world of one month; what its `audit` found decides whose consent counts."""

    def __init__(self, world: World, info: PolicyInfo, audit: Audit | None = None) -> None:
        self._world, self._info, self.audit = world, info, audit
        self.fleet = world.months[0].fleet
        self._products = products(world.scenario.market)
        self.satisfaction = SatisfactionTotals(self.fleet, world.scenario.satisfaction)
        self._wishes = BrokenWishes(world)
        self.totals = np.zeros((led.N_LEDGER, self.fleet.n))
        # local days so far, and on how many of them each owner was out
        self.days, self.days_out = 0, np.zeros(self.fleet.n, dtype=np.int64)
        self.rows: list[dict[str, Any]] = []
        self.intervals: list[dict[str, Any]] = []
        self.transcripts: list[dict[str, Any]] = []
        # a bid is booked with the opportunity it was for: the first ones, that nobody bid for, are empty
        nothing = Bids(np.full((self.fleet.n, N_ACTION), -1.0, dtype=np.float32))
        self._waiting: deque[tuple[Bids, float]] = deque((nothing, 0.0) for _ in range(world.lead))
        self._batteries = np.flatnonzero(self.fleet.bess_kwh > 0)
        # of the batteries, and of their baselines
        self._paths = [ChargePaths(self.fleet.bess_init_kwh[self._batteries]) for _ in range(2)]
        self.homes = HomeRecord()

    def add(self, bids: Bids, outcome: Outcome, seconds: float) -> dict[str, Any]:
        """Append the opportunity that was played and return its row.

        Parameters
        ----------
        bids, seconds : Bids, float
            What the policy has just decided, and how long it took; with a gate lead time it is kept until the
            opportunity it is for has been played.
        outcome : Outcome
            What was played.
        """
        self._waiting.append((bids, seconds))
        bids, seconds = self._waiting.popleft()
        world, fleet = self._world, self.fleet
        t, day = outcome.opportunity * world.steps, world.calendar.day
        ends = world.done or day[t + world.steps - 1] != day[min(t + world.steps, len(day) - 1)]
        accepted, broken = claimed(self._info, bids, fleet.n), outcome.violated[:, 0]
        covered = covered_kwh(self._info, self.audit, outcome)
        self.satisfaction.add(outcome, broken, covered, bool(ends))
        self._wishes.add(outcome)
        self.totals += outcome.ledger[:, 0]
        for j, paths in enumerate(self._paths):
            paths.add(outcome.soc_home_kwh[:, j, 0, self._batteries])
        row = self._row(t, bids, outcome, broken, covered, seconds)
        self.rows.append(row)
        self._add_intervals(t, outcome)
        self.homes.add(row["timestamp"], outcome, broken, accepted, covered)
        if ends:
            self.days += 1
            self.days_out += outcome.absent[0]
        if bids.transcript:
            stamp = {"opportunity": outcome.opportunity, "timestamp": row["timestamp"]}
            self.transcripts.extend(stamp | message | stamp for message in bids.transcript)
        return row

    def _row(
        self, t: int, bids: Bids, outcome: Outcome, broken: Flags, covered: Floats, seconds: float
    ) -> dict[str, Any]:
        offers, money, rows = outcome.offers, outcome.money, outcome.ledger[:, 0]
        sell_kw = offers.sell_q[0] * POWER_QUANTUM_KW
        bid_kw = float(sell_kw.sum())
        cap_kw = self._world.months[0].scenario.market.max_capacity_mw * KWH_PER_MWH
        ask = float((sell_kw * offers.mean_tick[0] * PRICE_TICK).sum() / bid_kw) if bid_kw > 0 else np.nan
        # the kW on reserve may be the same as those for sale: no home gives more than its devices can
        most = sell_kw + offers.reserve_q[0] * POWER_QUANTUM_KW
        capacity = float(np.minimum(most, self._world.sell_limit_kw).sum())
        given = float(rows[led.L_SOLD].sum() + rows[led.L_CALLED].sum())
        hours, offered = self._world.steps * DT_H, bids.actions[:, [SELL1_KW, SELL2_KW]]
        awarded = np.abs(outcome.award_kw[:, 0]) + outcome.reserve_kw[:, 0]
        reserve_kwh = float(rows[led.L_RESERVE].sum())
        return {
            "opportunity": outcome.opportunity,
            "timestamp": self._world.calendar.local[t],
            "lmp_price": float(outcome.lmp[:, 0].mean()) * KWH_PER_MWH,
            **self._reserve_prices(outcome),
            "programme_event": bool((outcome.incentive[:, 0] > 0).any()),
            "success": bool(outcome.taken[:, 0].any()),
            "cleared": bool((awarded > 0).any()),
            "bid_capacity_mw": min(capacity, cap_kw) / KWH_PER_MWH,
            "bid_price_mwh": ask * KWH_PER_MWH,
            "expected_profit": np.nan if bids.expected_profit_usd is None else bids.expected_profit_usd,
            "actual_profit": float(money.profit[0]),
            "prosumer_satisfaction": opportunity_score(
                outcome, broken, covered, self.fleet, self._world.scenario.satisfaction
            ),
            "preference_violations": int(broken.sum()),
            **{f"violations_{kind}": int(broken[j].sum()) for j, kind in enumerate(VIOLATIONS)},
            "owners_out": int(outcome.absent[0].sum()),
            "owners_lost": int(outcome.left[0].sum()),
            "negotiation_rounds": bids.notes.get("negotiation_rounds", 0.0),
            "coalition_size": bids.notes.get("coalition_size", float((offered > -1.0).any(axis=1).sum())),
            "optimization_time": bids.notes.get("optimization_s", 0.0),
            "decision_time": seconds,
            "capacity_utilization": (given + reserve_kwh) / (capacity * hours) if capacity > 0 else 0.0,
            "sold_kwh": given,
            "bought_kwh": float(rows[led.L_BOUGHT].sum()),
            "forced_kwh": float(rows[led.L_FORCED].sum()),
            "deferred_kwh": float(rows[led.L_DEFER].sum()),
            "bess_kwh": float(rows[led.L_BESS].sum()),
            "v2g_kwh": float(rows[led.L_V2G].sum()),
            "beyond_kwh": float(rows[led.L_BEYOND].sum()),
            "reserve_kw_h": reserve_kwh,
            "projected_kw": float(outcome.projected_kw[0]),
            "feeder_cut_kwh": float(rows[led.L_CUT].sum()),
            "feeder_cut_reserve_kw_h": float(rows[led.L_CUT_RESERVE].sum()),
            **{f"money_{name}": float(value[0]) for name, value in money._asdict().items()},
            **self._capacity(t),
            "capacity_clawback_usd": float(outcome.clawback_usd[0]),
            **self._contracts(outcome),
            "net_benefit": float(net_benefit(rows).sum()),
            **{f"notes_{k}": v for k, v in bids.notes.items() if k not in NOTES},
        }

    def _contracts(self, outcome: Outcome) -> dict[str, Any]:
        """Homes under contract, what they were paid for it beside energy and reserve, and whose contract was broken."""
        rows, kept = outcome.ledger[:, 0], outcome.contracts
        usd = kept.concessions[:, 0].sum(axis=1)
        return {
            "contracts": int(kept.on[0].sum()),
            "contract_availability_usd": float(rows[led.L_PAY_AVAILABILITY].sum()),
            **{f"contract_{kind}_usd": float(usd[j]) for j, kind in enumerate(CONCESSIONS)},
            "contracts_broken": int(kept.breached[0].sum()),
        }

    def _capacity(self, t: int) -> dict[str, Any]:
        """Firm capacity in force in the opportunity from step t on: whether it is called, and kW committed."""
        called, kw = self._world.exchange.firm.announced(slice(t, t + 1))
        return {"capacity_called": bool(called[0, 0]), "capacity_kw": float(kw[0, 0])}

    def _reserve_prices(self, outcome: Outcome) -> dict[str, float]:
        prices = {"spin_price": np.nan, "nonspin_price": np.nan}
        for j, name in enumerate(self._products):
            prices[f"{name}_price"] = float(outcome.rho[:, 0, j].mean()) * KWH_PER_MWH
        return prices

    def _add_intervals(self, t: int, outcome: Outcome) -> None:
        for j in range(len(outcome.lmp)):
            flow = outcome.flow_kw[j, :, 0]
            self.intervals.append(
                {
                    "timestamp": self._world.calendar.local[t + j],
                    "lmp_usd_per_mwh": float(outcome.lmp[j, 0]) * KWH_PER_MWH,
                    "award_kw": float(outcome.award_kw[j, 0]),
                    "market_kw": float(outcome.market_kw[j, 0]),
                    "reserve_kw": float(outcome.reserve_kw[j, 0]),
                    "void": bool(outcome.void[j, 0]),
                    "day_ahead_kw": float(outcome.day_ahead_kw[j, 0]),
                    "incentive_usd_per_mwh": float(outcome.incentive[j, 0]) * KWH_PER_MWH,
                    "defer_kw": float(flow[FLOW.deferred]),
                    "bess_kw": float(flow[FLOW.battery]),
                    "v2g_kw": float(flow[FLOW.v2g]),
                    "bought_kw": float(flow[FLOW.bought]),
                    "forced_kw": float(flow[FLOW.forced]),
                    "ev_kw": float(flow[FLOW.ev_charge]),
                    "retail_kw": float(flow[FLOW.retail]),
                    "soc_kwh": float(outcome.soc_kwh[j, 0, 0]),
                    "baseline_soc_kwh": float(outcome.soc_kwh[j, 1, 0]),
                    "feeders_over_baseline": int(outcome.feeders[j, 0, 0]),
                    "feeders_at_limit": int(outcome.feeders[j, 1, 0]),
                }
            )

    def rainflow_usd(self) -> Floats:
        """(2, N) USD: wear of each battery, and of its baseline, by rainflow counting; see `evaluation.wear`."""
        cost = np.zeros((2, self.fleet.n))
        linear = self._world.scenario.home.degradation_usd_per_kwh
        for j, paths in enumerate(self._paths):
            cost[j, self._batteries] = rainflow_usd(paths, self.fleet.bess_kwh[self._batteries], linear)
        return cost

    def closing_value(self) -> Floats:
        """(N,) USD: what each home holds more than its baseline now; see `World.closing_value`."""
        return closing_value(self._world)[0]

    def net_benefit(self) -> Floats:
        """(N,) USD: pay - change of the retail bill - wear + what is stored more than in the baseline now."""
        return net_benefit(self.totals) + self.closing_value()

    @property
    def contracts(self) -> ContractBook:
        """What was offered, signed and broken by now, (1, N) each."""
        return self._world.contracts

    def owners_lost(self) -> Flags:
        """(N,) who has left for good by now."""
        return self._world.patience.lost()[: self.fleet.n]

    def components(self) -> Floats:
        """(7, N) components of every owner's satisfaction; see `evaluation.satisfaction`."""
        scenario, hours = self._world.scenario, len(self.rows) * self._world.steps * DT_H
        strain = self._world.patience.strain()[: self.fleet.n]
        return self.satisfaction.components(self.net_benefit(), strain, hours / scenario.month_hours)

    def private_cost(self) -> Floats:
        """(7, N) USD: what was asked of each owner at its private values, by kind; see `evaluation.welfare`."""
        return private_cost(self._wishes, self._world)[:, 0]

    def evenings(self) -> pd.DataFrame:
        """One row per evening of firm capacity: day, called, committed, able and delivered kW, USD, performance."""
        firm = self._world.exchange.firm
        committed, delivered = firm.committed_kw[0], firm.delivered_kw[0]
        return pd.DataFrame(
            {
                "day": np.array([evening.day for evening in firm.evenings], dtype=np.int64),
                "called": firm.called[0],
                "committed_kw": committed,
                "able_kw": firm.able_kw[0],
                "delivered_kw": delivered,
                "performance": np.where(firm.called[0], performance(committed, delivered), np.nan),
                "paid_usd": firm.paid_usd[0],
                "clawback_usd": firm.clawback_usd[0],
            }
        )

    def opportunities(self) -> pd.DataFrame:
        """One row per opportunity."""
        return pd.DataFrame(self.rows)

    def interval_table(self) -> pd.DataFrame:
        """One row per 15-min interval: fleet sums."""
        return pd.DataFrame(self.intervals)
