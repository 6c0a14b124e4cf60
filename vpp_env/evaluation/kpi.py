"""The one table of key performance indicators: what each is, how it is computed, and where it is shown.

A field of `Kpis` is an entry of the table. CSV columns, JSON, the terminal, the report, the leaderboard and the
dashboard are made from the table, so a new KPI is one field here; a KPI of somebody else is one entry of `REGISTERED`.
It is longer than other modules because it is one table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from vpp_env.errors import UnknownNameError, VppError, did_you_mean
from vpp_env.evaluation.kpi_entry import Better, Ceilings, Format, Kpi, Place, share_of
from vpp_env.evaluation.measures import (
    Evidence,
    MoneyTotals,
    Violations,
    jain_index,
    success_rate,
    violation_counts,
    worst_mean,
)
from vpp_env.evaluation.simulate import Run
from vpp_env.units import KWH_PER_MWH


def _kpi(*args: Any, **options: Any) -> Any:
    """Return a field that is an entry of the table; those made from ceilings are None until these are known."""
    metadata = {"kpi": Kpi(*args, **options)}
    return field(default=None, metadata=metadata) if "of_ceilings" in options else field(metadata=metadata)


REGISTERED: dict[str, Kpi] = {}
"""KPIs of others, by name: `REGISTERED["energy_share"] = Kpi(...)` before a run is played."""

_MONEY = (Place.HEADLINE, Place.REPORT, Place.MEANS, Place.INTERVALS, Place.RANK, Place.DASHBOARD)
EVERYWHERE = frozenset(Place)
"""Places of a KPI that nobody can miss."""


@dataclass(frozen=True, kw_only=True)
class Kpis:
    """KPIs of one run; every field is an entry of the table, in the order in which they are shown."""

    total_timesteps: int = _kpi(
        "opportunities", "", Better.NEITHER, Format.COUNT, "opportunities played", lambda e: len(e.opportunities)
    )
    total_profit: float = _kpi(
        "profit", "USD", Better.HIGHER, Format.TWO, "what is left to the VPP", lambda e: e.profit(),
        title="VPP profit", shown=(Place.TERMINAL, *_MONEY, Place.DIFFERENCES, Place.LEADERBOARD),
    )  # fmt: skip
    market_revenue: float = _kpi(
        "market revenue", "USD", Better.HIGHER, Format.TWO, "what the market paid, before members are paid",
        lambda e: e.money.revenue, shown=(Place.MEANS,),
    )  # fmt: skip
    member_payments: float = _kpi(
        "payments", "USD", Better.NEITHER, Format.TWO, "what the members got", lambda e: e.money.payments
    )
    member_net_benefit: float = _kpi(
        "members", "USD", Better.HIGHER, Format.TWO,
        "pay - change of the retail bill - wear + what is stored more than without a market at the end",
        lambda e: e.home_sum("net_benefit_usd"), title="members' net benefit", shown=_MONEY,
    )  # fmt: skip
    joint_surplus: float = _kpi(
        "joint surplus", "USD", Better.HIGHER, Format.TWO,
        "profit + members' net benefit: what the policy is worth to everybody",
        lambda e: e.profit() + e.home_sum("net_benefit_usd"),
        shown=(*_MONEY, Place.DIFFERENCES, Place.LEADERBOARD),
    )  # fmt: skip
    welfare: float = _kpi(
        "welfare", "USD", Better.HIGHER, Format.TWO,
        "joint surplus - what broken wishes are worth to their owners: the figure that ranks",
        lambda e: e.profit() + e.owners_gain(),
        shown=(Place.TERMINAL, *_MONEY, Place.DIFFERENCES, Place.LEADERBOARD, Place.CEILINGS),
    )  # fmt: skip
    owners_gain: float = _kpi(
        "owners' gain", "USD", Better.HIGHER, Format.TWO,
        "members' net benefit - private cost: the owners' part of welfare; the rest is the VPP's profit",
        lambda e: e.owners_gain(), shown=(Place.MEANS, Place.INTERVALS),
    )  # fmt: skip
    private_cost: float = _kpi(
        "private cost", "USD", Better.LOWER, Format.TWO, "what broken wishes are worth to their owners, of all kinds",
        lambda e: e.private_cost(),
        shown=(Place.HEADLINE, Place.REPORT, Place.MEANS, Place.INTERVALS, Place.FAIRNESS),
    )  # fmt: skip
    private_cost_floor: float = _kpi(
        "below floors", "USD", Better.LOWER, Format.TWO, "kWh below reserve floors x hours, at phi",
        lambda e: e.private_cost("floor"),
    )  # fmt: skip
    private_cost_car: float = _kpi(
        "cars not ready", "USD", Better.LOWER, Format.TWO,
        "kWh that cars are short when they must be ready, at epsilon", lambda e: e.private_cost("car"),
    )  # fmt: skip
    private_cost_overuse: float = _kpi(
        "over-use", "USD", Better.LOWER, Format.TWO, "kWh discharged beyond the daily limit, at delta",
        lambda e: e.private_cost("overuse"),
    )  # fmt: skip
    private_cost_blackout: float = _kpi(
        "in blackout windows", "USD", Better.LOWER, Format.TWO,
        "kWh sold, called or bought in a blackout window, at beta", lambda e: e.private_cost("blackout"),
    )  # fmt: skip
    private_cost_hassle: float = _kpi(
        "hassle", "USD", Better.LOWER, Format.TWO, "clock hours in which storage gives, at alpha",
        lambda e: e.private_cost("hassle"),
    )  # fmt: skip
    private_cost_standby: float = _kpi(
        "standing by", "USD", Better.LOWER, Format.TWO, "kW-h on reserve, at sigma",
        lambda e: e.private_cost("standby"),
    )  # fmt: skip
    private_cost_restoring: float = _kpi(
        "restoring", "USD", Better.LOWER, Format.TWO,
        "floors still broken at the end: phi until restored, and the retail tariff",
        lambda e: e.private_cost("restoring"),
    )  # fmt: skip
    owners_worse_off: int = _kpi(
        "worse off", "homes", Better.LOWER, Format.COUNT, "owners whose net benefit is below their private cost",
        lambda e: e.worse_off(), shown=(Place.MEANS, Place.FAIRNESS),
    )  # fmt: skip
    owners_share: float | None = _kpi(
        "owners' share", "", Better.NEITHER, Format.PERCENT, "the owners' part of welfare; none where there is no gain",
        lambda e: share_of(e.owners_gain(), e.profit() + e.owners_gain()), shown=(Place.MEANS,),
    )  # fmt: skip
    money: MoneyTotals = _kpi(  # noqa: RUF009 (a field is made)
        "ledger", "USD", Better.NEITHER, Format.TWO, "the VPP's whole ledger", lambda e: e.money
    )
    avg_satisfaction: float = _kpi(
        "satisfaction", "", Better.HIGHER, Format.SCORE,
        "mean score over the whole run of the owners who have something to offer",
        lambda e: float(e.satisfaction.mean()),
        shown=(Place.TERMINAL, *_MONEY, Place.DIFFERENCES, Place.LEADERBOARD, Place.FAIRNESS),
    )  # fmt: skip
    worst_decile_satisfaction: float = _kpi(
        "worst 10 %", "", Better.HIGHER, Format.SCORE, "mean score of their worst-off tenth",
        lambda e: worst_mean(e.satisfaction), title="satisfaction, worst 10 %",
        shown=(Place.TERMINAL, Place.HEADLINE, Place.REPORT, Place.MEANS, Place.INTERVALS, Place.LEADERBOARD,
               Place.DASHBOARD, Place.FAIRNESS),
    )  # fmt: skip
    satisfaction_weight_q05: float = _kpi(
        "weights 5 %", "", Better.HIGHER, Format.SCORE, "5 % quantile of the mean score under random weights",
        lambda e: e.weighted[0], shown=(Place.FAIRNESS,),
    )  # fmt: skip
    satisfaction_weight_q95: float = _kpi(
        "weights 95 %", "", Better.HIGHER, Format.SCORE, "95 % quantile of the mean score under random weights",
        lambda e: e.weighted[1], shown=(Place.FAIRNESS,),
    )  # fmt: skip
    satisfaction_consented: float = _kpi(
        "consented", "", Better.HIGHER, Format.SCORE,
        "score x share of kWh that their owners' consent covers, see docs/information.md; 0 where nobody is asked",
        lambda e: float(e.offering["satisfaction_consented"].mean()),
        shown=(Place.HEADLINE, Place.REPORT, Place.MEANS, Place.INTERVALS),
    )  # fmt: skip
    opportunity_satisfaction: float = _kpi(
        "per opportunity", "", Better.HIGHER, Format.SCORE, "mean of the column in the CSV",
        lambda e: e.mean("prosumer_satisfaction"), shown=(Place.FAIRNESS,),
    )  # fmt: skip
    score: float | None = _kpi(
        "score", "", Better.HIGHER, Format.FOUR, "(welfare - idle's) / (U_welfare - idle's)",
        of_ceilings=lambda k, c: c.share(k.welfare, c.welfare[1]), title="score (0 idle, 1 ceiling)",
        shown=(Place.TERMINAL, Place.HEADLINE, Place.MEANS, Place.INTERVALS, Place.RANK, Place.CEILINGS),
    )  # fmt: skip
    share_of_na: float | None = _kpi(
        "share of U_na", "", Better.HIGHER, Format.FOUR,
        "(welfare - idle's) / (U_na - idle's), of several months the ratio of sums; without foresight",
        of_ceilings=lambda k, c: None if c.room is None else share_of(k.welfare - c.idle, c.room),
        shown=(Place.HEADLINE, Place.MEANS, Place.RANK, Place.CEILINGS), weighed_by="room_na_usd",
    )  # fmt: skip
    room_na_usd: float | None = _kpi(
        "U_na above idle", "USD", Better.NEITHER, Format.TWO, "U_na - idle's welfare: what `share_of_na` is a share of",
        of_ceilings=lambda k, c: c.room,
    )  # fmt: skip
    regret: float | None = _kpi(
        "regret", "USD", Better.LOWER, Format.TWO, "welfare short of U_welfare",
        of_ceilings=lambda k, c: c.welfare[1] - k.welfare,
        shown=(Place.HEADLINE, Place.MEANS, Place.INTERVALS, Place.CEILINGS),
    )  # fmt: skip
    share_of_preferences: float | None = _kpi(
        "share of U_pref", "", Better.HIGHER, Format.FOUR,
        "(welfare - idle's) / (U_pref - idle's); may pass 1 where broken wishes are worth their price",
        of_ceilings=lambda k, c: c.share(k.welfare, c.preferences[1]), shown=(Place.MEANS, Place.CEILINGS),
    )  # fmt: skip
    share_of_free: float | None = _kpi(
        "surplus / U_free", "", Better.HIGHER, Format.FOUR, "joint surplus as a share of U_free, both less idle's",
        of_ceilings=lambda k, c: c.share(k.joint_surplus, c.free[1]), shown=(Place.MEANS, Place.CEILINGS),
    )  # fmt: skip
    profit_score: float | None = _kpi(
        "profit score", "", Better.HIGHER, Format.FOUR, "profit as a share of its ceiling inside preferences",
        of_ceilings=lambda k, c: c.share(k.total_profit, c.profit[1]), shown=(Place.MEANS, Place.CEILINGS),
    )  # fmt: skip
    wear_linear_usd: float = _kpi(
        "wear", "USD", Better.LOWER, Format.TWO, "wear beyond the baselines' at the linear cost of decisions",
        lambda e: e.home_sum("wear_usd"),
    )  # fmt: skip
    wear_rainflow_usd: float = _kpi(
        "wear by cycles", "USD", Better.LOWER, Format.TWO, "battery wear beyond the baselines' by rainflow cycles",
        lambda e: e.home_sum("wear_rainflow_usd"),
    )  # fmt: skip
    jain_net_benefit: float | None = _kpi(
        "Jain index of net benefit", "", Better.HIGHER, Format.THREE,
        "of the owners who have something to offer: 1 all equal, 1/N one has all",
        lambda e: jain_index(e.offering["net_benefit_usd"].to_numpy()), shown=(Place.FAIRNESS,),
    )  # fmt: skip
    opt_out_days: int = _kpi(
        "opt-out days", "owner-days", Better.LOWER, Format.COUNT, "days on which owners took no bid, sum over owners",
        lambda e: int(e.prosumers["days_out"].sum()),
        shown=(Place.TERMINAL, Place.MEANS, Place.INTERVALS, Place.FAIRNESS),
    )  # fmt: skip
    opt_out_share: float = _kpi(
        "opted out", "", Better.LOWER, Format.PERCENT, "opt-out days of all days of owners who have something to offer",
        lambda e: e.opt_out_share(), shown=(Place.HEADLINE, Place.REPORT, Place.MEANS, Place.FAIRNESS),
    )  # fmt: skip
    owners_lost: int = _kpi(
        "owners lost", "homes", Better.LOWER, Format.COUNT, "owners who have left for good by the end of the run",
        lambda e: int(e.prosumers["lost"].sum()),
        shown=(Place.TERMINAL, Place.HEADLINE, Place.REPORT, Place.MEANS, Place.INTERVALS, Place.FAIRNESS,
               Place.LEADERBOARD),
    )  # fmt: skip
    total_violations: Violations = _kpi(  # noqa: RUF009 (a field is made)
        "violations", "", Better.LOWER, Format.COUNT, "(home, opportunity) pairs, in all and by kind",
        lambda e: violation_counts(e.run.record.satisfaction), column="violations",
        shown=(Place.HEADLINE, Place.REPORT, Place.MEANS, Place.INTERVALS, Place.LEADERBOARD, Place.DASHBOARD),
    )  # fmt: skip
    success_rate: float = _kpi(
        "success", "", Better.HIGHER, Format.PERCENT, "share of opportunities whose offer the market took",
        lambda e: success_rate(e.opportunities), shown=(Place.TERMINAL, Place.REPORT, Place.MEANS),
    )  # fmt: skip
    avg_time_seconds: float = _kpi(
        "decision", "s", Better.LOWER, Format.FOUR, "what one decision takes, mean",
        lambda e: e.mean("decision_time"), shown=(Place.REPORT,),
    )  # fmt: skip
    avg_coalition_size: float = _kpi(
        "mean coalition", "homes", Better.NEITHER, Format.TWO, "homes that sell, mean over opportunities",
        lambda e: e.mean("coalition_size"), shown=(Place.FAIRNESS,),
    )  # fmt: skip
    avg_negotiation_rounds: float = _kpi(
        "rounds", "", Better.NEITHER, Format.TWO, "rounds of negotiation, mean over opportunities",
        lambda e: e.mean("negotiation_rounds"),
    )  # fmt: skip
    total_capacity_mwh: float = _kpi(
        "capacity", "MWh", Better.HIGHER, Format.THREE, "energy sold + reserve capacity, MWh and MW-h",
        lambda e: float(
            (e.opportunities["sold_kwh"].sum() + e.opportunities["reserve_kw_h"].sum()) / KWH_PER_MWH
        ),
        shown=(Place.MEANS,),
    )  # fmt: skip
    sold_mwh: float = _kpi(
        "sold", "MWh", Better.NEITHER, Format.THREE, "energy sold: deferred charging + battery + V2G",
        lambda e: e.mwh("sold_kwh"), shown=(Place.ENERGY,),
    )  # fmt: skip
    deferred_mwh: float = _kpi(
        "deferred charging", "MWh", Better.NEITHER, Format.THREE, "of it by deferred charging",
        lambda e: e.mwh("deferred_kwh"), shown=(Place.ENERGY,),
    )  # fmt: skip
    bess_mwh: float = _kpi(
        "battery", "MWh", Better.NEITHER, Format.THREE, "of it by batteries", lambda e: e.mwh("bess_kwh"),
        shown=(Place.ENERGY,),
    )  # fmt: skip
    v2g_mwh: float = _kpi(
        "V2G", "MWh", Better.NEITHER, Format.THREE, "of it by cars' batteries", lambda e: e.mwh("v2g_kwh"),
        shown=(Place.ENERGY,),
    )  # fmt: skip
    bought_mwh: float = _kpi(
        "bought", "MWh", Better.NEITHER, Format.THREE, "energy bought", lambda e: e.mwh("bought_kwh"),
        shown=(Place.ENERGY,),
    )  # fmt: skip
    forced_mwh: float = _kpi(
        "forced", "MWh", Better.NEITHER, Format.THREE, "bought back for a car that had to be ready",
        lambda e: e.mwh("forced_kwh"), shown=(Place.ENERGY,),
    )  # fmt: skip
    beyond_envelope_mwh: float = _kpi(
        "beyond envelope", "MWh", Better.LOWER, Format.THREE, "delivered outside what the owner allows",
        lambda e: e.mwh("beyond_kwh"), shown=(Place.ENERGY,),
    )  # fmt: skip
    reserve_mw_h: float = _kpi(
        "reserve capacity", "MW-h", Better.NEITHER, Format.THREE, "reserve capacity x hours",
        lambda e: e.mwh("reserve_kw_h"), shown=(Place.ENERGY,),
    )  # fmt: skip
    void_intervals: int = _kpi(
        "void", "", Better.LOWER, Format.COUNT, "15-min intervals in which an offer is below the minimum bid",
        lambda e: e.void_intervals,
    )  # fmt: skip
    cleared_intervals: int = _kpi(
        "cleared", "", Better.NEITHER, Format.COUNT, "15-min intervals in which bids would clear",
        lambda e: e.cleared_intervals,
    )  # fmt: skip
    void_interval_share: float = _kpi(
        "void share", "", Better.LOWER, Format.PERCENT, "void of those in which bids would clear",
        lambda e: e.void_intervals / e.cleared_intervals if e.cleared_intervals else 0.0, shown=(Place.MEANS,),
    )  # fmt: skip
    feeder_cut_kwh: float = _kpi(
        "cut by feeders", "kWh", Better.LOWER, Format.TWO,
        "energy sold, called, bought or bought back by force that a feeder did not let through",
        lambda e: e.total("feeder_cut_kwh"), shown=(Place.ENERGY,),
    )  # fmt: skip
    feeder_cut_reserve_kw_h: float = _kpi(
        "reserve cut by feeders", "kW-h", Better.LOWER, Format.TWO,
        "reserve capacity x hours that was there, and that a feeder would not have let through",
        lambda e: e.total("feeder_cut_reserve_kw_h"), shown=(Place.ENERGY,),
    )  # fmt: skip
    feeder_steps_at_limit: int = _kpi(
        "feeders at limit", "", Better.LOWER, Format.COUNT,
        "(feeder, 15 min) in which something was cut", lambda e: e.feeder_steps("feeders_at_limit"),
    )  # fmt: skip
    feeder_steps_over_baseline: int = _kpi(
        "feeders over by themselves", "", Better.NEITHER, Format.COUNT,
        "(feeder, 15 min) whose homes pass its rating without any market: nobody's fault",
        lambda e: e.feeder_steps("feeders_over_baseline"),
    )  # fmt: skip
    energy_revenue_per_home: float = _kpi(
        "energy per home", "USD", Better.HIGHER, Format.TWO, "net energy revenue / homes, before anybody is paid",
        lambda e: e.money.energy / e.run.world.scenario.fleet.size, shown=(Place.MEANS,),
    )  # fmt: skip
    capacity_revenue_usd: float = _kpi(
        "firm capacity", "USD", Better.HIGHER, Format.TWO, "what firm evening capacity paid, clawbacks taken off",
        lambda e: e.money.capacity, shown=(Place.MEANS, Place.INTERVALS),
    )  # fmt: skip
    capacity_clawback_usd: float = _kpi(
        "clawback", "USD", Better.LOWER, Format.TWO, "of it taken back on evenings of large shortfall",
        lambda e: float(e.opportunities["capacity_clawback_usd"].sum()), shown=(Place.MEANS,),
    )  # fmt: skip
    capacity_committed_kw: float = _kpi(
        "committed", "kW", Better.NEITHER, Format.TWO, "firm capacity committed, mean over all evenings",
        lambda e: e.evening_mean("committed_kw"), shown=(Place.MEANS,),
    )  # fmt: skip
    capacity_performance: float | None = _kpi(
        "performance", "", Better.HIGHER, Format.THREE, "delivered of committed, mean over the called evenings",
        lambda e: float(e.evenings["performance"].mean()), shown=(Place.MEANS,),
    )  # fmt: skip
    capacity_evenings_called: int = _kpi(
        "called evenings", "", Better.NEITHER, Format.COUNT, "evenings on which it was called, tests included",
        lambda e: int(e.evenings["called"].sum()), shown=(Place.MEANS,),
    )  # fmt: skip
    offer_rounds: int = _kpi(
        "rounds of offers", "", Better.NEITHER, Format.COUNT, "rounds in which owners of the world were asked",
        lambda e: int(e.run.record.contracts.rounds.sum()), shown=(Place.MEANS,),
    )  # fmt: skip
    contracts_offered: int = _kpi(
        "offers", "", Better.NEITHER, Format.COUNT, "offers of a contract to an owner, sum over rounds",
        lambda e: int(e.run.record.contracts.offered.sum()), shown=(Place.MEANS,),
    )  # fmt: skip
    contracts_signed: int = _kpi(
        "contracts", "", Better.NEITHER, Format.COUNT, "contracts that owners have signed",
        lambda e: int(e.run.record.contracts.signed.sum()), shown=(Place.MEANS, Place.FAIRNESS),
    )  # fmt: skip
    deal_rate: float | None = _kpi(
        "deal rate", "", Better.NEITHER, Format.PERCENT, "contracts signed of the offers; none where nobody was asked",
        lambda e: e.deal_rate(), shown=(Place.MEANS,),
    )  # fmt: skip
    avg_under_contract: float = _kpi(
        "under contract", "homes", Better.NEITHER, Format.TWO, "homes under contract, mean over opportunities",
        lambda e: e.mean("contracts"), shown=(Place.MEANS,),
    )  # fmt: skip
    contracts_broken: int = _kpi(
        "contracts broken", "", Better.LOWER, Format.COUNT,
        "(home, opportunity) pairs in which more was dispatched than a contract allows",
        lambda e: int(e.run.record.contracts.breaches.sum()), shown=(Place.MEANS, Place.FAIRNESS),
    )  # fmt: skip
    contract_availability_usd: float = _kpi(
        "availability pay", "USD", Better.NEITHER, Format.TWO, "fees that contracts paid whatever was called",
        lambda e: e.total("contract_availability_usd"), shown=(Place.MEANS,),
    )  # fmt: skip
    contract_floor_usd: float = _kpi(
        "floors bought", "USD", Better.NEITHER, Format.TWO, "paid by contract for kWh below own reserve floors x hours",
        lambda e: e.total("contract_floor_usd"),
    )  # fmt: skip
    contract_car_usd: float = _kpi(
        "targets bought", "USD", Better.NEITHER, Format.TWO, "paid by contract for kWh that cars lacked at departures",
        lambda e: e.total("contract_car_usd"),
    )  # fmt: skip
    contract_overuse_usd: float = _kpi(
        "discharge bought", "USD", Better.NEITHER, Format.TWO, "paid by contract for kWh beyond own daily limits",
        lambda e: e.total("contract_overuse_usd"),
    )  # fmt: skip
    contract_blackout_usd: float = _kpi(
        "windows bought", "USD", Better.NEITHER, Format.TWO, "paid by contract for kWh in own blackout windows",
        lambda e: e.total("contract_blackout_usd"),
    )  # fmt: skip
    others: Mapping[str, float | None] = field(default_factory=dict)  # of `REGISTERED`, by name

    def __getitem__(self, name: str) -> Any:
        """Return a KPI by its name in JSON."""
        if name in self.others:
            return self.others[name]
        if name not in _FIELDS:
            raise UnknownNameError(did_you_mean(name, [*_FIELDS, *self.others], "KPI"))
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter([*_FIELDS, *self.others])

    def number(self, name: str) -> float | None:
        """Return a KPI as a number, violations in all; None where it is not defined or not there."""
        value = self.others.get(name) if name not in _FIELDS else getattr(self, name)
        value = value.total if isinstance(value, Violations) else value
        return None if value is None or is_dataclass(value) or not math.isfinite(value) else value

    def scored(self, ceilings: Ceilings) -> Kpis:
        """Return the same with what is made from the month's ceilings."""
        made = {k.name: k.of_ceilings(self, ceilings) for k in table() if k.of_ceilings is not None}
        mine: dict[str, Any] = {name: value for name, value in made.items() if name in _FIELDS}
        return replace(self, **mine, others={**self.others, **{n: v for n, v in made.items() if n not in _FIELDS}})

    def to_json(self, scored: bool = False) -> dict[str, Any]:
        """Return strict JSON data, None where a KPI is not defined; with `scored` also what ceilings give."""
        out: dict[str, Any] = {}
        for kpi in table():
            if kpi.of_ceilings is None or scored:
                value = self.others.get(kpi.name) if kpi.name in REGISTERED else self[kpi.name]
                out[kpi.name] = asdict(value) if is_dataclass(value) else _finite(value)  # type: ignore[arg-type]
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Kpis:
        """Read what `to_json` made; of keys that are no field those of `REGISTERED`."""
        known: dict[str, Any] = {name: data.get(name) for name in _FIELDS}
        known["money"] = MoneyTotals(**data["money"])
        known["total_violations"] = Violations(**data["total_violations"])
        return cls(**known, others={name: data[name] for name in REGISTERED if name in data})


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


_FIELDS: Mapping[str, Kpi] = {
    f.name: replace(f.metadata["kpi"], name=f.name) for f in fields(Kpis) if "kpi" in f.metadata
}


def table(place: Place | None = None) -> tuple[Kpi, ...]:
    """Return the entries, those of others last; with `place` those that are shown there."""
    entries = [*_FIELDS.values(), *(replace(kpi, name=name) for name, kpi in REGISTERED.items())]
    return tuple(kpi for kpi in entries if place is None or place in kpi.shown)


def markdown_table() -> str:
    """Return the entries as the table of docs/files.md."""
    rows = ["| key | shown as | unit | better | meaning |", "|---|---|---|---|---|"]
    for kpi in table():
        cells = (f"`{kpi.name}`", kpi.short, kpi.unit, "" if kpi.better is Better.NEITHER else kpi.better.value)
        rows.append("| " + " | ".join((*cells, kpi.description)) + " |")
    return "\n".join(rows) + "\n"


def summarize(run: Run) -> Kpis:
    """Return every KPI of one run.

    Parameters
    ----------
    run : Run
        Played to the end, or cut short.

    Returns
    -------
    Kpis
        Money in USD, energy in MWh, shares and scores in [0, 1].

    Raises
    ------
    VppError
        When no opportunity was played: there is nothing to sum up.
    """
    if not run.record.rows:
        raise VppError("the run has no opportunity: nothing was played, so it has no KPIs; play at least one")
    evidence = Evidence(run)
    made = {kpi.name: kpi.of_run(evidence) for kpi in table() if kpi.of_run is not None}
    own = {name: value for name, value in made.items() if name in _FIELDS}
    return Kpis(**own, others={name: value for name, value in made.items() if name not in _FIELDS})
