"""A demonstration in a few seconds: `vpp-env demo`.

One call of the optimizer, the set-up of a comparison, and a run of six hours.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.tables import number, score
from vpp_benchmarks.run.orchestrator import SimulationSummary, VPPSimulationOrchestrator
from vpp_env.scenario import Scenario, load_scenario
from vpp_env.simulation.month import Month

OPPORTUNITY = {"duration_hours": 1.0, "required_capacity_mw": 0.1, "day_ahead_price": 180.0}
"""An evening hour at 180 USD/MWh, in which the VPP may sell 100 kW."""
HOMES = 8
EVENING = "2023-08-01T18:00"


def example_fleet(scenario: Scenario, homes: int = HOMES) -> pd.DataFrame:
    """Return the first homes of the scenario's fleet as the table that the optimizer takes."""
    fleet = Month(scenario, seed=0).fleet
    rows = pd.DataFrame(
        {
            "bess_kwh": fleet.bess_kwh,
            "bess_kw": fleet.bess_kw,
            "soc_kwh": 0.8 * fleet.bess_kwh,
            "bess_min_kwh": 0.1 * fleet.bess_kwh,
            "ev_kwh": fleet.ev_kwh,
            "ev_kw": fleet.ev_kw,
            "v2g_kw": fleet.v2g_kw,
            "ev_soc_kwh": 0.5 * fleet.ev_kwh,
            "ev_target_kwh": 0.8 * fleet.ev_kwh,
        }
    )
    return rows.head(homes)


def show_optimizer(console: Console) -> None:
    """One opportunity, one linear program."""
    from vpp_policies.centralized import CentralizedOptimizer  # CVXPY takes a second to import

    fleet = example_fleet(load_scenario("week20"))
    result = CentralizedOptimizer().optimize_dispatch(OPPORTUNITY, fleet, EVENING)
    price, cap = OPPORTUNITY["day_ahead_price"], 1000 * OPPORTUNITY["required_capacity_mw"]
    console.rule("1. One opportunity, one optimizer")
    console.print(f"{len(fleet)} homes, one hour at {price:g} USD/MWh, at most {cap:g} kW. Solver: {result.status}")
    table = Table(header_style="bold")
    table.add_column("home")
    for name in result.dispatch.columns[1:]:
        table.add_column(name, justify="right")
    for row in result.dispatch.itertuples(index=False):
        table.add_row(str(row[0]), *(number(value) for value in row[1:]))
    console.print(table)
    console.print(
        f"Sold {result.total_power_kw:.2f} kW for {result.expected_revenue_usd:.2f} USD; less wear and the worth of "
        f"the energy used: {result.expected_profit_usd:z.2f} USD. It asked nobody and kept no reserve."
    )


def show_setup(console: Console, scenario: Scenario) -> None:
    """What the run will be played on."""
    month = Month(scenario, seed=0)
    fleet = month.fleet
    console.rule("2. The set-up")
    counts = {"batteries": fleet.bess_kwh, "cars": fleet.ev_kwh, "solar systems": fleet.pv_kwp}
    owned = ", ".join(f"{int((values > 0).sum())} {name}" for name, values in counts.items())
    console.print(
        f"Scenario {scenario.name} with {fleet.n} homes: {owned}; {scenario.hours} h from {scenario.time.start}."
    )
    prices = month.series.rt_usd_per_mwh[: scenario.n_steps]
    low, mean, high = prices.min(), prices.mean(), prices.max()
    console.print(f"Real-time price {low:.0f} to {high:.0f} USD/MWh, mean {mean:.0f}. Same homes and prices for both.")


def show_run(console: Console, scenario: Scenario) -> SimulationSummary:
    """Six hours, two policies."""
    console.rule("3. Six hours, two policies")
    summary = VPPSimulationOrchestrator(scenario="quick").run_full_simulation(
        fleet_size=scenario.fleet.size, duration_hours=scenario.hours
    )
    table = Table(header_style="bold")
    for name in ("policy", "sees", "owners asked"):
        table.add_column(name)
    for name in ("profit USD", "satisfaction", "violations", "s per decision"):
        table.add_column(name, justify="right")
    for label, p in summary.policies.items():
        if p["reason"]:
            table.add_row(label, p["information_set"], f"{p['status']}: {p['reason']}")
            continue
        figures = [number(p["total_profit"]), score(p["avg_satisfaction"]), str(p["total_violations"]["total"])]
        asked = "yes" if p["asks_consent"] else "no"
        table.add_row(label, p["information_set"], asked, *figures, number(p["avg_time_seconds"], 4))
    console.print(table)
    console.print("Six hours of a few homes show how it works, not who is better.")
    console.print("The comparison: vpp-env compare --policies agentic centralized")
    return summary


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Show everything; return the exit status."""
    Parser(prog, "One call of the optimizer, the set-up of a comparison, and a run of six hours.").parse_args(argv)
    console = Console()
    console = console if console.is_terminal else Console(width=120)
    scenario = load_scenario("quick").override({"fleet.size": 12})
    show_optimizer(console)
    show_setup(console, scenario)
    return 0 if show_run(console, scenario).status == "complete" else 1
