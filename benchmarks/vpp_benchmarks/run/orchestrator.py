"""The comparison from Python: `VPPSimulationOrchestrator().run_full_simulation(fleet_size=20, duration_hours=168)`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from vpp_benchmarks.results.comparison import Comparison
from vpp_benchmarks.results.encode import plain
from vpp_benchmarks.run.plan import Plan, PlanError, make_plan
from vpp_benchmarks.run.progress import LogProgress
from vpp_benchmarks.run.runner import run_plan
from vpp_env.errors import UnknownNameError, did_you_mean
from vpp_env.scenario import load_scenario

MINUTES = {1.0: 60, 0.5: 30, 0.25: 15}
"""Hours between market opportunities, and the scenario's minutes."""
FLEET_SIZE = 20


@dataclass(frozen=True)
class SimulationSummary:
    """What a comparison came to; every figure is an attribute and a key.

    Beside the fields below, every KPI of a policy is there by `<label>_<kpi>`: `summary.agentic_total_profit`,
    `summary["centralized_avg_satisfaction"]`.
    """

    status: str  # "complete", "interrupted" or "failed"
    scenario: str
    seed: int
    total_timesteps: int
    simulation_duration_hours: float
    policies: Mapping[str, Mapping[str, Any]] = field(repr=False)  # label -> KPIs, see docs/files.md
    profit_advantage_percent: float | None  # first policy over second; None where it has no meaning
    satisfaction_advantage_percent: float | None
    satisfaction_improvement: float | None  # the same as a fraction
    efficiency_ratio: float | None  # capacity delivered, first / second
    advantage_notes: Mapping[str, str]  # why one of them is None
    total_simulation_time_minutes: float
    results: pd.DataFrame = field(repr=False, compare=False)  # one row per opportunity: simulation_results.csv
    folder: Path | None

    def __getattr__(self, name: str) -> Any:
        # called for what is no field: <label>_<kpi>
        if not name.startswith("_"):
            try:
                return self._kpi(name)
            except UnknownNameError as error:
                raise AttributeError(str(error)) from error
        raise AttributeError(name)

    def __getitem__(self, key: str) -> Any:
        if key in self._fields():
            return getattr(self, key)
        return self._kpi(key)

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """All names that can be asked for."""
        known = [f"{label}_{kpi}" for label, kpis in self.policies.items() for kpi in kpis]
        return [*self._fields(), *known]

    def _kpi(self, name: str) -> Any:
        for label, kpis in self.policies.items():
            kpi = name.removeprefix(f"{label}_")
            if kpi != name and kpi in kpis:
                return kpis[kpi]
        failed = [f"{label} is {p['status']} ({p['reason']})" for label, p in self.policies.items() if p["reason"]]
        remedy = f"Note: {'; '.join(failed)}." if failed else ""
        raise UnknownNameError(did_you_mean(name, self.keys(), "figure of the summary", remedy))

    @classmethod
    def _fields(cls) -> list[str]:
        return [f.name for f in fields(cls)]


class VPPSimulationOrchestrator:
    """Runs policies on the same market, and compares them.

    Parameters
    ----------
    policies : sequence of str
        As on the command line, for example `"centralized(horizon_hours=24)"`.
    scenario : str or Path
        Name of a shipped scenario, or a TOML file; the arguments of a run replace its size and times.
    seed : int
        Seed of fleet, weather and prices.
    out : path, optional
        Folder to write the files of docs/files.md to; None writes nothing.
    market_data : path, optional
        Measured prices, see docs/market-data.md.
    node : str, optional
        Of the prices, where the data hold several.
    home_data : path, optional
        A folder of one's own homes, see docs/home-data.md: a run has as many homes as it.

    Raises
    ------
    VppError
        When a policy or the scenario is unknown or not valid.
    """

    def __init__(
        self,
        policies: Sequence[str] = ("agentic", "centralized"),
        scenario: str | Path = "week20",
        seed: int = 0,
        out: str | Path | None = None,
        market_data: str | Path | None = None,
        node: str | None = None,
        home_data: str | Path | None = None,
    ) -> None:
        if isinstance(policies, str):
            raise PlanError(f"policies: got the text {policies!r}; allowed is a list of texts, such as [{policies!r}]")
        self.policies = tuple(policies)
        self.scenario = load_scenario(scenario)
        self.seed, self.market_data, self.node, self.home_data = seed, market_data, node, home_data
        self.out = None if out is None else Path(out)
        self._plan({})

    def _plan(self, changes: Mapping[str, Any]) -> Plan:
        scenario = self.scenario.override(changes) if changes else self.scenario
        data = self.market_data, self.node
        return make_plan(scenario, self.policies, (self.seed,), *data, home_data=self.home_data)

    def run_full_simulation(
        self,
        fleet_size: int | None = None,
        start_timestamp: str | datetime | None = None,
        duration_hours: float = 168,
        opportunity_frequency_hours: float = 1,
    ) -> SimulationSummary:
        """Let every policy play the same market.

        Parameters
        ----------
        fleet_size : int, optional
            Homes; 20 when None, or those of `home_data`.
        start_timestamp : str or datetime, optional
            Local start, on a full hour; the scenario's when None.
        duration_hours : float
            Length of the run, whole hours.
        opportunity_frequency_hours : float
            Hours between market opportunities: 1, 0.5 or 0.25.

        Returns
        -------
        SimulationSummary
            With `status` "failed" where a policy failed (`policies[label]["reason"]` says why), "interrupted" after
            Ctrl-C.

        Raises
        ------
        VppError
            When an argument is not allowed.
        """
        if fleet_size is not None and self.home_data is not None:
            raise PlanError(f"fleet_size: got {fleet_size!r}; there are as many homes as in home_data, leave it out")
        if opportunity_frequency_hours not in MINUTES:
            raise PlanError(
                f"opportunity_frequency_hours: got {opportunity_frequency_hours!r}; allowed: 1, 0.5 or 0.25 (the "
                "market takes bids every hour, half hour or quarter of an hour)"
            )
        if duration_hours != int(duration_hours) or duration_hours < 1:
            raise PlanError(f"duration_hours: got {duration_hours!r}; allowed: whole hours, at least 1")
        changes: dict[str, Any] = {
            "fleet.size": FLEET_SIZE if fleet_size is None else fleet_size,
            "time.duration_hours": int(duration_hours),
            "time.opportunity_minutes": MINUTES[float(opportunity_frequency_hours)],
        }
        if start_timestamp is not None:
            given = start_timestamp
            changes["time.start"] = given.isoformat() if isinstance(given, datetime) else given
        return summary_of(run_plan(self._plan(changes), self.out, LogProgress()))


def summary_of(found: Comparison) -> SimulationSummary:
    """Return the comparison of one seed as a `SimulationSummary`."""
    seed = found.seeds[0]
    compared = seed.advantages
    percent = None if compared is None else compared.satisfaction_advantage_percent
    assert found.table is not None  # written with the seed
    return SimulationSummary(
        status=found.status,
        scenario=seed.scenario.name,
        seed=seed.seed,
        total_timesteps=seed.played,
        simulation_duration_hours=seed.played * seed.scenario.time.opportunity_minutes / 60,
        policies={run.label: plain(run.summary_json()) for run in seed.runs},
        profit_advantage_percent=None if compared is None else compared.profit_advantage_percent,
        satisfaction_advantage_percent=percent,
        satisfaction_improvement=None if percent is None else percent / 100.0,
        efficiency_ratio=None if compared is None else compared.efficiency_ratio,
        advantage_notes={"all": "defined for two policies only"} if compared is None else compared.advantage_notes,
        total_simulation_time_minutes=seed.seconds / 60.0,
        results=found.table,
        folder=found.folder,
    )
