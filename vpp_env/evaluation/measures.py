"""Measures of a run: pure functions over its record, from which the KPIs of `evaluation.kpi` are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_env.contract.policy import PolicyInfo
from vpp_env.core import ledger as led
from vpp_env.evaluation.consent import counts
from vpp_env.evaluation.record import Recorder
from vpp_env.evaluation.satisfaction import COMPONENTS, SatisfactionTotals, score, weight_sensitivity
from vpp_env.evaluation.simulate import Run
from vpp_env.evaluation.welfare import PARTS
from vpp_env.market.opportunity import Money
from vpp_env.owners.violations import VIOLATIONS
from vpp_env.scenario.specs import SatisfactionSpec
from vpp_env.traces.fleet import PROFILES
from vpp_env.units import KWH_PER_MWH

WORST_SHARE = 0.1


def prosumer_table(record: Recorder, spec: SatisfactionSpec, info: PolicyInfo) -> pd.DataFrame:
    """One row per prosumer: totals of the run (kWh, USD), satisfaction and its components, violations by kind.

    Satisfaction is that of owners who have something to offer, NaN for the others; `expected_gain_usd` is of a month.
    """
    fleet, totals, satisfaction = record.fleet, record.totals, record.satisfaction
    parts = record.components()
    total_score = np.where(fleet.can_offer, score(parts, spec), np.nan)
    closing = record.closing_value()
    worn, worn_baseline = record.rainflow_usd()
    private = record.private_cost()
    columns: dict[str, Any] = {
        "prosumer": [f"prosumer_{i}" for i in range(fleet.n)],
        "profile": [PROFILES[p] for p in fleet.profile],
        "bess_kwh": fleet.bess_kwh,
        "ev_kwh": fleet.ev_kwh,
        "pv_kwp": fleet.pv_kwp,
        "sold_kwh": totals[led.L_SOLD] + totals[led.L_CALLED],
        "bought_kwh": totals[led.L_BOUGHT],
        "forced_kwh": totals[led.L_FORCED],
        "reserve_kw_h": totals[led.L_RESERVE],
        "feeder_cut_kwh": totals[led.L_CUT],
        "feeder_cut_reserve_kw_h": totals[led.L_CUT_RESERVE],
        "pay_sold_usd": totals[led.L_PAY_SOLD],
        "pay_bought_usd": totals[led.L_PAY_BOUGHT] + totals[led.L_PAY_FORCED],
        "pay_reserve_usd": totals[led.L_PAY_RESERVE],
        "pay_availability_usd": totals[led.L_PAY_AVAILABILITY],
        "pay_concession_usd": totals[led.L_PAY_CONCESSION],
        "bill_change_usd": totals[led.L_BILL] - totals[led.L_BILL_BASELINE],
        "wear_usd": totals[led.L_WEAR],
        "wear_rainflow_usd": worn - worn_baseline,
        "wear_rainflow_baseline_usd": worn_baseline,
        "closing_value_usd": closing,
        "net_benefit_usd": record.net_benefit(),
        "expected_gain_usd": fleet.expected_gain,
        "days_out": record.days_out,
        "lost": record.owners_lost(),
        "contracts_signed": record.contracts.signed[0],
        "contracts_broken": record.contracts.breaches[0],
        "private_cost_usd": private.sum(axis=0),
        **{f"private_{kind}_usd": private[j] for j, kind in enumerate(PARTS)},
        "satisfaction": total_score,
        "satisfaction_consented": total_score * consent_share(record, info),
    }
    columns |= {f"s_{name}": parts[j] for j, name in enumerate(COMPONENTS)}
    columns |= {f"violations_{kind}": satisfaction.violations[j] for j, kind in enumerate(VIOLATIONS)}
    return pd.DataFrame(columns)


def consent_share(record: Recorder, info: PolicyInfo) -> NDArray[np.float64]:
    """(N,) share of dispatched kWh that the owners' consent covers; exactly 0 where none counts, see `consent_note`.

    Unless the bids count, an owner who has never signed a contract has consented to nothing.
    """
    share = record.satisfaction.consent_share()
    return share if counts(info, record.audit) else np.where(record.contracts.signed[0] > 0, share, 0.0)


def worst_mean(values: NDArray[np.float64], share: float = WORST_SHARE) -> float:
    """Mean of the worst `share` of `values` (at least one)."""
    count = max(1, round(share * len(values)))
    return float(np.sort(values)[:count].mean())


def jain_index(values: NDArray[np.float64]) -> float:
    """Jain's fairness index of the gains: 1 = all equal, 1/N = one has all; losses count as 0; NaN if nobody gains."""
    gains = np.maximum(values, 0.0)
    square = float((gains**2).sum())
    return float(gains.sum() ** 2 / (len(gains) * square)) if square > 0 else float("nan")


@dataclass(frozen=True)
class Violations:
    """Counts of (prosumer, opportunity) pairs, in all and by kind."""

    total: int
    reserve: int
    ev_not_ready: int
    underpaid: int
    blackout: int
    over_cycling: int

    @property
    def by_kind(self) -> dict[str, int]:
        """Kind -> count."""
        return {kind: getattr(self, kind) for kind in VIOLATIONS}


def violation_counts(totals: SatisfactionTotals) -> Violations:
    """Count of (prosumer, opportunity) pairs."""
    counts = {kind: int(totals.violations[j].sum()) for j, kind in enumerate(VIOLATIONS)}
    return Violations(int(totals.violations.sum()), **counts)


def success_rate(opportunities: pd.DataFrame) -> float:
    """Share of opportunities in which anything was awarded."""
    return float(opportunities["success"].mean()) if len(opportunities) else 0.0


@dataclass(frozen=True)
class MoneyTotals:
    """The VPP's ledger over the run, USD: revenue = profit + payments + compute."""

    energy: float
    reserve: float
    nopay: float
    deviation: float
    payments: float
    compute: float
    programme: float
    day_ahead: float
    capacity: float
    revenue: float


def money_totals(opportunities: pd.DataFrame) -> MoneyTotals:
    """Sums of the VPP's ledger over the run."""
    totals = Money(*(np.asarray(opportunities[f"money_{name}"].sum()) for name in Money._fields))
    return MoneyTotals(**{name: float(v) for name, v in totals._asdict().items()}, revenue=float(totals.revenue))


@dataclass(frozen=True)
class Evidence:
    """What a KPI is computed from: a played month and the tables of its record, each made once."""

    run: Run

    @cached_property
    def opportunities(self) -> pd.DataFrame:
        """One row per opportunity."""
        return self.run.record.opportunities()

    @cached_property
    def intervals(self) -> pd.DataFrame:
        """One row per 15-min interval."""
        return self.run.record.interval_table()

    @cached_property
    def evenings(self) -> pd.DataFrame:
        """One row per evening of firm capacity."""
        return self.run.record.evenings()

    def evening_mean(self, column: str) -> float:
        """Mean of a column over the evenings of firm capacity where it is defined; 0 where there is none."""
        values = self.evenings[column].dropna()
        return float(values.mean()) if len(values) else 0.0

    @cached_property
    def prosumers(self) -> pd.DataFrame:
        """One row per prosumer."""
        return prosumer_table(self.run.record, self.run.world.scenario.satisfaction, self.run.info)

    @cached_property
    def money(self) -> MoneyTotals:
        """The VPP's ledger."""
        return money_totals(self.opportunities)

    @cached_property
    def weighted(self) -> tuple[float, float]:
        """5 % and 95 % quantile of the mean score under random weights."""
        rng = np.random.default_rng(self.run.world.months[0].seed)
        return weight_sensitivity(self.run.record.components(), self.run.world.scenario.satisfaction, rng)

    @cached_property
    def satisfaction(self) -> NDArray[np.float64]:
        """Scores of the owners who have something to offer; one NaN where nobody has."""
        values = self.prosumers["satisfaction"].dropna().to_numpy()
        return values if len(values) else np.array([np.nan])

    @cached_property
    def offering(self) -> pd.DataFrame:
        """Rows of the owners who have something to offer."""
        return self.prosumers[self.run.record.fleet.can_offer]

    def opt_out_share(self) -> float:
        """Share of the days of owners who have something to offer on which they were out."""
        days = len(self.offering) * self.run.record.days
        return float(self.prosumers["days_out"].sum()) / days if days else 0.0

    @cached_property
    def void_intervals(self) -> int:
        """Intervals whose award is below the minimum bid."""
        return int(self.intervals["void"].sum())

    @cached_property
    def cleared_intervals(self) -> int:
        """Intervals in which bids would clear."""
        return int((self.intervals["void"] | (self.intervals["award_kw"] != 0)).sum())

    def profit(self) -> float:
        """USD left to the VPP."""
        return float(self.opportunities["actual_profit"].sum())

    def private_cost(self, kind: str = "") -> float:
        """USD that the owners' broken wishes were worth to them; of one kind of `welfare.PARTS`, or of all."""
        return self.home_sum(f"private_{kind}_usd" if kind else "private_cost_usd")

    def owners_gain(self) -> float:
        """USD: the members' net benefit less their private cost."""
        return self.home_sum("net_benefit_usd") - self.private_cost()

    def worse_off(self) -> int:
        """Owners whose net benefit is below their private cost."""
        return int((self.prosumers["net_benefit_usd"] < self.prosumers["private_cost_usd"] - 1e-9).sum())

    def deal_rate(self) -> float | None:
        """Contracts signed of the offers that were made; None where nobody was asked."""
        book = self.run.record.contracts
        return float(book.signed.sum() / book.offered.sum()) if book.offered.any() else None

    def mean(self, column: str) -> float:
        """Mean of a column over opportunities."""
        return float(self.opportunities[column].mean())

    def home_sum(self, column: str) -> float:
        """Sum of a column over prosumers."""
        return float(self.prosumers[column].sum())

    def total(self, column: str) -> float:
        """Sum of a column over opportunities."""
        return float(self.opportunities[column].sum())

    def feeder_steps(self, column: str) -> int:
        """Sum of a count of feeders over intervals."""
        return int(self.intervals[column].sum())

    def mwh(self, column: str) -> float:
        """Sum of a column in kWh over opportunities, MWh."""
        return float(self.opportunities[column].sum()) / KWH_PER_MWH
