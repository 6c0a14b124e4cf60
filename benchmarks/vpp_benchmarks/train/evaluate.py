"""The benchmark's own table of a policy that is in memory: what a training script asks for between two epochs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from vpp_benchmarks.results.statistics import statistics
from vpp_env import Month, Policy, VppError, load_scenario, make_policy, simulate, summarize
from vpp_env.evaluation.kpi import table
from vpp_env.scenario import Scenario
from vpp_env.scenario.splits import named_seeds

COLUMNS = ("policy", "kpi", "mean", "low", "high", "units")


def evaluate(
    policies: Mapping[str, Policy | str], split: str = "validation:5", scenario: Scenario | str = "week20"
) -> pd.DataFrame:
    """Play policies over the months of a split and return means with 95 % intervals, by the benchmark's statistics.

    Parameters
    ----------
    policies : mapping
        Label -> a policy, or what `make_policy` takes: `{"mine": policy, "truthful": "truthful"}`. Differences are from
        the first: rows `"truthful - mine"`.
    split : str
        `validation:10`, `training:3`, `test`: see `vpp_env.scenario.splits`. Choose on validation seeds; test seeds are
        for figures that are reported.
    scenario : Scenario or str
        The world.

    Returns
    -------
    pandas.DataFrame
        One row for each policy and KPI, and for each difference: `policy, kpi, mean, low, high, units`. The interval is
        NaN with fewer than five months. What a policy declares is not audited here: `vpp-env compare --verify` does.

    Raises
    ------
    VppError
        When there is no policy, or the split is none.
    """
    if not policies:
        raise VppError("evaluate({}): got no policy; allowed is one or more, such as {'mine': policy}")
    world = load_scenario(scenario) if isinstance(scenario, str) else scenario
    months = [Month(world, seed) for seed in named_seeds(split)]
    made = {label: make_policy(policy) if isinstance(policy, str) else policy for label, policy in policies.items()}

    def figures(month: Month, policy: Policy) -> dict[str, float | None]:
        kpis = summarize(simulate(month, policy))
        return {kpi.name: kpis.number(kpi.name) for kpi in table()}

    played = [{label: figures(month, policy) for label, policy in made.items()} for month in months]
    found = statistics({world.name: played}, list(made))
    rows = [
        (label, kpi, one.mean.value, one.mean.low, one.mean.high, one.mean.units)
        for label, kpis in found.policies.items()
        for kpi, one in kpis.items()
    ]
    rows += [
        (f"{d.policy} - {d.minus}", d.metric, d.difference.value, d.difference.low, d.difference.high, found.units)
        for d in found.differences
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"low": float, "high": float})
