"""Scenarios: every parameter of a market month, checked, with unit and source; the calendar and the random streams."""

from vpp_env.scenario.scenario import Scenario, load_scenario, scenario_from_dict, scenario_names

__all__ = ["Scenario", "load_scenario", "scenario_from_dict", "scenario_names"]
