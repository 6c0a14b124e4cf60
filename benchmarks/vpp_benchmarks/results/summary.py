"""The summary of a comparison: plain data, from which the report is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vpp_benchmarks.results.llm_kpis import llm_kpis
from vpp_benchmarks.results.scores import scores
from vpp_benchmarks.run.job import COMPLETE, JobResult
from vpp_benchmarks.run.plan import Plan
from vpp_env.simulation.month import Month

NOTHING = 1e-9
"""USD, score or MWh below which a figure is the rounding of a sum, and no base for a ratio."""
CONSENT_NOTE = "0 by construction: this policy asks nobody"
ADVANTAGES = {
    "profit_advantage_percent": "total_profit",
    "satisfaction_advantage_percent": "avg_satisfaction",
    "efficiency_ratio": "total_capacity_mwh",
}
"""Two-policy figures and the KPI that each compares; see docs/benchmark.md."""
HEADLINE = (
    "total_profit",
    "market_revenue",
    "member_net_benefit",
    "joint_surplus",
    "avg_satisfaction",
    "worst_decile_satisfaction",
    "satisfaction_consented",
    "success_rate",
    "total_capacity_mwh",
    "void_interval_share",
    "energy_revenue_per_home",
)
"""KPIs of which a comparison of several seeds reports the mean."""


SCORES = ("regret", "regret_free", "score", "profit_score")
"""Figures against the ceilings; there where these were worked out."""


def plain(value: Any) -> Any:
    """Return `value` as strict JSON data: numpy as Python, not-a-number and infinity as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def policy_summary(result: JobResult, homes: int) -> dict[str, Any]:
    """All KPIs of one run, with what the policy is and how the run ended."""
    info = result.job.contender.info
    kpis = {key: value for key, value in result.kpis.items() if key != "complete"}
    out: dict[str, Any] = {
        "spec": result.job.contender.spec,
        "description": info.description,
        "status": result.status,
        "reason": result.reason or None,
        "information_set": info.information.name,
        "asks_consent": info.asks_consent,
        "consent": info.consent.value,
        "total_timesteps": len(result.opportunities),
    }
    out |= {key: value for key, value in kpis.items() if key not in out}
    if "satisfaction_consented" in out and not info.asks_consent:
        out["satisfaction_consented_note"] = CONSENT_NOTE
    if len(result.intervals):
        cleared = (result.intervals["void"] | (result.intervals["award_kw"] != 0)).sum()
        void = int(result.intervals["void"].sum())
        out["void_intervals"], out["cleared_intervals"] = void, int(cleared)
        out["void_interval_share"] = void / cleared if cleared else 0.0
        out["energy_revenue_per_home"] = out["money"]["energy"] / homes
    model = llm_kpis(result.opportunities, result.kpis["total_profit"]) if result.kpis else None
    if model is not None:
        out["llm"] = model
    out["wall_seconds"] = result.seconds
    return out


def advantages(policies: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Two-policy figures, first against second; None with a note where they have no meaning."""
    (first, a), (second, b) = policies.items()
    out: dict[str, Any] = {}
    notes: dict[str, str] = {}
    broken = [f"{label} is {p['status']}" for label, p in policies.items() if p["status"] != COMPLETE]
    for name, kpi in ADVANTAGES.items():
        if broken:
            out[name], notes[name] = None, f"not comparable: {', '.join(broken)}"
        elif abs(b[kpi]) < NOTHING:
            out[name], notes[name] = None, f"not defined: {kpi} of {second} is 0"
        elif name.endswith("_percent"):
            out[name] = 100.0 * (a[kpi] - b[kpi]) / abs(b[kpi])
        else:
            out[name] = a[kpi] / b[kpi]
    out["advantage_of"], out["advantage_over"] = first, second
    out["advantage_notes"] = notes
    return out


def summarize_seed(
    plan: Plan,
    month: Month,
    results: Sequence[JobResult],
    status: str,
    seconds: float,
    bounds: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the summary of one seed as strict JSON data; `bounds` are its `bounds.ceilings`, where there are any."""
    scenario = plan.scenario
    policies = {r.label: policy_summary(r, scenario.fleet.size) for r in results}
    if bounds is not None:
        for policy in policies.values():
            if policy["status"] == COMPLETE:
                policy |= scores(policy, bounds)
    out: dict[str, Any] = {
        "status": status,
        "scenario": {
            "name": scenario.name,
            "hash": scenario.hash,
            "homes": scenario.fleet.size,
            "start": scenario.time.start,
            "hours": scenario.hours,
            "opportunity_minutes": scenario.time.opportunity_minutes,
            "min_bid_mw": scenario.market.min_bid_mw,
            "clearing": scenario.market.clearing,
            "payment": scenario.market.payment,
        },
        "seed": month.seed,
        "price_source": dict(month.series.source),
        "measured_prices": plan.market_data is not None,
        "total_timesteps": max((len(r.opportunities) for r in results), default=0),
        "planned_timesteps": scenario.n_opportunities,
        "policies": policies,
    }
    if bounds is not None:
        out["ceilings"] = bounds
    if len(policies) == 2:
        out |= advantages(policies)
    out["total_simulation_time_minutes"] = seconds / 60.0
    return plain(out)


def summarize_seeds(plan: Plan, summaries: Sequence[Mapping[str, Any]], status: str) -> dict[str, Any]:
    """Return means over seeds, and the paired difference from the first policy (common random numbers)."""
    policies: dict[str, Any] = {}
    first = plan.contenders[0].label
    for contender in plan.contenders:
        label = contender.label
        done = [s["policies"][label] for s in summaries if s["policies"][label]["status"] == COMPLETE]
        pairs = [
            s["policies"]
            for s in summaries
            if all(s["policies"][name]["status"] == COMPLETE for name in (first, label))
        ]
        entry: dict[str, Any] = {
            "spec": contender.spec,
            "information_set": contender.info.information.name,
            "asks_consent": contender.info.asks_consent,
            "complete_seeds": len(done),
            "total_violations": _spread([p["total_violations"]["total"] for p in done]),
        }
        known = [kpi for kpi in SCORES if done and all(p.get(kpi) is not None for p in done)]
        entry |= {kpi: _spread([p[kpi] for p in done]) for kpi in (*HEADLINE, *known)}
        if label != first:
            entry[f"minus_{first}"] = {
                kpi: _spread([p[label][kpi] - p[first][kpi] for p in pairs])
                for kpi in ("total_profit", "avg_satisfaction")
            }
        policies[label] = entry
    scenario = plan.scenario
    return plain(
        {
            "status": status,
            "scenario": {"name": scenario.name, "hash": scenario.hash, "homes": scenario.fleet.size},
            "seeds": list(plan.seeds),
            "finished_seeds": [s["seed"] for s in summaries],
            "policies": policies,
        }
    )


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation between seeds and standard error of the mean."""
    n = len(values)
    if n == 0:
        return {"n": 0, "mean": None, "std": None, "standard_error": None}
    std = float(np.std(values, ddof=1)) if n > 1 else None
    error = None if std is None else std / math.sqrt(n)
    return {"n": n, "mean": float(np.mean(values)), "std": std, "standard_error": error}
