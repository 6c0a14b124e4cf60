"""Key performance indicators: one pure function each, over the record of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from vpp_env.contract.policy import PolicyInfo
from vpp_env.core import ledger as led
from vpp_env.evaluation.record import Recorder
from vpp_env.evaluation.satisfaction import COMPONENTS, VIOLATIONS, SatisfactionTotals, score, weight_sensitivity
from vpp_env.evaluation.simulate import Run
from vpp_env.market.opportunity import Money
from vpp_env.scenario.specs import SatisfactionSpec
from vpp_env.simulation.outcome import net_benefit
from vpp_env.traces.fleet import PROFILES
from vpp_env.units import KWH_PER_MWH

WORST_SHARE = 0.1


def prosumer_table(record: Recorder, spec: SatisfactionSpec, info: PolicyInfo) -> pd.DataFrame:
    """One row per prosumer: totals of the run (kWh, USD), satisfaction and its components, violations by kind."""
    fleet, totals, tally = record.fleet, record.totals, record.satisfaction
    parts = tally.components()
    total_score = score(parts, spec)
    closing = record.closing_value()
    worn, worn_baseline = record.rainflow_usd()
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
        "pay_sold_usd": totals[led.L_PAY_SOLD],
        "pay_bought_usd": totals[led.L_PAY_BOUGHT] + totals[led.L_PAY_FORCED],
        "pay_reserve_usd": totals[led.L_PAY_RESERVE],
        "bill_change_usd": totals[led.L_BILL] - totals[led.L_BILL_BASELINE],
        "wear_usd": totals[led.L_WEAR],
        "wear_rainflow_usd": worn - worn_baseline,
        "wear_rainflow_baseline_usd": worn_baseline,
        "closing_value_usd": closing,
        "net_benefit_usd": net_benefit(totals) + closing,
        "satisfaction": total_score,
        "satisfaction_consented": total_score * consent_share(tally, info),
    }
    columns |= {f"s_{name}": parts[j] for j, name in enumerate(COMPONENTS)}
    columns |= {f"violations_{kind}": tally.violations[j] for j, kind in enumerate(VIOLATIONS)}
    return pd.DataFrame(columns)


def consent_share(tally: SatisfactionTotals, info: PolicyInfo) -> np.ndarray:
    """(N,) share of dispatched kWh that was accepted; exactly 0 for a policy that asks nobody."""
    share = tally.consent_share()
    return share if info.asks_consent else np.zeros_like(share)


def worst_mean(values: np.ndarray, share: float = WORST_SHARE) -> float:
    """Mean of the worst `share` of `values` (at least one)."""
    count = max(1, round(share * len(values)))
    return float(np.sort(values)[:count].mean())


def jain_index(values: np.ndarray) -> float:
    """Jain's fairness index of the gains: 1 = all equal, 1/N = one has all; losses count as 0; NaN if nobody gains."""
    gains = np.maximum(values, 0.0)
    square = float((gains**2).sum())
    return float(gains.sum() ** 2 / (len(gains) * square)) if square > 0 else float("nan")


def violation_counts(tally: SatisfactionTotals) -> dict[str, int]:
    """Count of (prosumer, opportunity) pairs by kind."""
    return {kind: int(tally.violations[j].sum()) for j, kind in enumerate(VIOLATIONS)}


def success_rate(opportunities: pd.DataFrame) -> float:
    """Share of opportunities in which anything was awarded."""
    return float(opportunities["success"].mean()) if len(opportunities) else 0.0


def money_totals(opportunities: pd.DataFrame) -> dict[str, float]:
    """Sums of the VPP's ledger over the run, USD."""
    totals = Money(*(np.asarray(opportunities[f"money_{name}"].sum()) for name in Money._fields))
    return {name: float(value) for name, value in [*totals._asdict().items(), ("revenue", totals.revenue)]}


def summarize(run: Run) -> dict[str, Any]:
    """Return every KPI of one run as plain data.

    `joint_surplus` = the VPP's profit + the members' net benefit (closing inventory included): what the policy is
    worth to everybody together. `market_revenue` is what the market paid, before members are paid.
    """
    record, info = run.record, run.info
    scenario = run.world.scenario
    table, homes = record.opportunities(), prosumer_table(record, scenario.satisfaction, info)
    if table.empty:
        return {"total_timesteps": 0, "complete": run.complete}
    satisfied = homes["satisfaction"].to_numpy()
    benefit = homes["net_benefit_usd"].to_numpy()
    money = money_totals(table)
    profit = float(table["actual_profit"].sum())
    rng = np.random.default_rng(run.world.months[0].seed)
    low, high = weight_sensitivity(record.satisfaction.components(), scenario.satisfaction, rng)
    return {
        "total_timesteps": len(table),
        "complete": run.complete,
        "information_set": info.information.name,
        "asks_consent": info.asks_consent,
        "total_profit": profit,
        "market_revenue": money["revenue"],
        "member_payments": money["payments"],
        "member_net_benefit": float(benefit.sum()),
        "joint_surplus": profit + float(benefit.sum()),
        "money": money,
        "avg_satisfaction": float(satisfied.mean()),
        "worst_decile_satisfaction": worst_mean(satisfied),
        "satisfaction_weight_q05": low,
        "satisfaction_weight_q95": high,
        "satisfaction_consented": float(homes["satisfaction_consented"].mean()),
        "opportunity_satisfaction": float(table["prosumer_satisfaction"].mean()),
        "wear_linear_usd": float(homes["wear_usd"].sum()),
        "wear_rainflow_usd": float(homes["wear_rainflow_usd"].sum()),
        "jain_net_benefit": jain_index(benefit),
        "success_rate": success_rate(table),
        "total_violations": {
            "total": int(record.satisfaction.violations.sum()),
            **violation_counts(record.satisfaction),
        },
        "avg_coalition_size": float(table["coalition_size"].mean()),
        "avg_negotiation_rounds": float(table["negotiation_rounds"].mean()),
        "total_capacity_mwh": float((table["sold_kwh"].sum() + table["reserve_kw_h"].sum()) / KWH_PER_MWH),
        "sold_mwh": float(table["sold_kwh"].sum()) / KWH_PER_MWH,
        "deferred_mwh": float(table["deferred_kwh"].sum()) / KWH_PER_MWH,
        "bess_mwh": float(table["bess_kwh"].sum()) / KWH_PER_MWH,
        "v2g_mwh": float(table["v2g_kwh"].sum()) / KWH_PER_MWH,
        "bought_mwh": float(table["bought_kwh"].sum()) / KWH_PER_MWH,
        "forced_mwh": float(table["forced_kwh"].sum()) / KWH_PER_MWH,
        "beyond_envelope_mwh": float(table["beyond_kwh"].sum()) / KWH_PER_MWH,
        "reserve_mw_h": float(table["reserve_kw_h"].sum()) / KWH_PER_MWH,
        "avg_time_seconds": float(table["decision_time"].mean()),
    }
