"""Where a month's prices and homes come from: generated, from files, or of one's own making."""

from __future__ import annotations

from pathlib import Path

from vpp_env.errors import DataError
from vpp_env.scenario import Scenario
from vpp_env.traces.fleet import Fleet, build_fleet
from vpp_env.traces.fleet_check import check_fleet
from vpp_env.traces.homes import HomeSeries, HomeTraces
from vpp_env.traces.prices import build_prices
from vpp_env.traces.series import MarketSeries

TAIL_STEPS = 3 * 96
"""Steps of prices made beyond the end: tomorrow's day-ahead prices, and what an oracle sees near the end."""


def load_series(scenario: Scenario, seed: int, market_data: str | Path | None, node: str | None) -> MarketSeries:
    """Return the month's prices: synthetic, or from a file (see `traces.caiso`)."""
    if market_data is None:
        return build_prices(scenario, seed, TAIL_STEPS)
    from vpp_env.traces.readers.caiso import load_market_data  # reading files is not needed by most runs

    return load_market_data(market_data, scenario, seed, TAIL_STEPS, node)


def scenario_of(scenario: Scenario, home_data: str | Path | None) -> Scenario:
    """Return the scenario with as many homes as were brought; as it is where none were.

    Raises
    ------
    DataError
        When the data cannot be used.
    """
    if home_data is None:
        return scenario
    from vpp_env.traces.brought import sized  # files are not read by most runs
    from vpp_env.traces.readers.homes import read_homes

    return sized(scenario, read_homes(home_data, scenario.time.timezone))


def homes_of(
    scenario: Scenario,
    seed: int,
    home_data: str | Path | None,
    fleet: Fleet | None = None,
    traces: HomeSeries | None = None,
) -> tuple[Scenario, Fleet, HomeSeries, dict[str, str]]:
    """Return the homes of a month: generated, from a folder of data, or of one's own making.

    Returns
    -------
    tuple
        The scenario, of as many homes as there are; fleet; series; and what each is: `measured`, `measured in part` or
        `generated`, with how; empty where all is generated.

    Raises
    ------
    DataError
        When what was brought cannot be used.
    """
    if home_data is not None:
        if fleet is not None or traces is not None:
            raise DataError("home_data names the homes; leave out fleet and traces, or home_data")
        from vpp_env.traces.brought import BroughtTraces, brought_fleet, sized  # files are not read by most runs
        from vpp_env.traces.readers.homes import read_homes

        data = read_homes(home_data, scenario.time.timezone)
        scenario = sized(scenario, data)
        fleet = brought_fleet(scenario, seed, data)
        brought = BroughtTraces(scenario, fleet, seed, data)
        notes = {"notes": "; ".join(data.notes)} if data.notes else {}
        return scenario, fleet, brought, brought.source | notes
    source = (
        {} if fleet is None and traces is None else dict.fromkeys(("devices", "load", "pv", "vehicles"), "generated")
    )
    if fleet is None:
        fleet = build_fleet(scenario, seed)
    else:
        check_fleet(fleet)
        source["devices"] = "given: fleet="
        if scenario.fleet.size != fleet.n:
            scenario = scenario.override({"fleet.size": fleet.n})
    if traces is not None:
        source |= dict.fromkeys(("load", "pv", "vehicles"), "given: traces=")
    return scenario, fleet, traces or HomeTraces(scenario, fleet, seed), source
