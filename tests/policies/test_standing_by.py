"""What `truthful` leaves on the table where no gateway keeps the envelope: reserve, all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.kpi import Kpis, summarize
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

EXAMPLE = Path(__file__).parents[2] / "examples" / "standing_by.py"


def test_standing_by_beats_honesty_that_does_not_and_breaks_no_wish() -> None:
    scenario = load_scenario("week20")
    months = [Month(scenario, seed) for seed in range(1000, 1004)]

    def played(spec: str) -> list[Kpis]:
        return [summarize(simulate(month, make_policy(spec))) for month in months]

    honest, stands = played("truthful"), played(f"{EXAMPLE}:StandingBy")
    lead = np.array([b.welfare - a.welfare for a, b in zip(honest, stands, strict=True)])
    assert (lead > 0.0).all()
    assert lead.mean() > 5.0
    assert all(k.money.reserve == 0.0 for k in honest)
    assert all(k.total_violations.total == 0 for k in stands)
