"""What owners' asks leave out where batteries serve the home: the page of the model says so, and it must stay true."""

from __future__ import annotations

from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month


def test_asks_do_not_know_what_energy_is_worth_at_home() -> None:
    """Honest owners lose where `self_consumption` is on, and gain where it is off; when asks know it, mend the page."""
    gain = {}
    for control in ("backup", "self_consumption"):
        changes = {"home.control": control, "fleet.size": 40, "market.min_bid_mw": 0.02, "time.duration_hours": 168}
        kpis = summarize(simulate(Month(load_scenario("august").override(changes), 1000), make_policy("truthful")))
        assert kpis.total_violations.total == 0
        gain[control] = kpis.owners_gain
    assert gain["backup"] > 0.0 > gain["self_consumption"]
