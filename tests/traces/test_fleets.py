"""Every fleet is played and recorded: shares of 0 and 1, one home, nothing at all."""

from __future__ import annotations

import numpy as np
import pytest
from support import month

from vpp_env.contract.policy import make_policy, policy_names
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.simulate import simulate
from vpp_env.market.clearing import CLEARINGS

NOTHING = {"fleet.share_bess": 0.0, "fleet.share_ev": 0.0, "fleet.share_pv": 0.0}
FLEETS = {
    "no battery": {"fleet.share_bess": 0.0},
    "no car": {"fleet.share_ev": 0.0},
    "no panels": {"fleet.share_pv": 0.0},
    "cars only": NOTHING | {"fleet.share_ev": 1.0},
    "nothing": NOTHING,
    "everything": {"fleet.share_bess": 1.0, "fleet.share_ev": 1.0, "fleet.share_pv": 1.0},
    "one home": {"fleet.size": 1},
    "one home, nothing": NOTHING | {"fleet.size": 1},
}


@pytest.mark.parametrize("policy", ["idle", "random", "truthful", "posted"])
@pytest.mark.parametrize("fleet", FLEETS)
def test_every_fleet_is_played_and_recorded(fleet: str, policy: str) -> None:
    m = month("quick", FLEETS[fleet] | {"time.duration_hours": 3}, 1)
    run = simulate(m, make_policy(policy))
    kpis = summarize(run)
    assert run.complete
    if fleet.endswith("nothing"):
        assert kpis["total_profit"] == kpis["joint_surplus"] == 0.0
    assert len(prosumer_table(run.record, run.world.scenario.satisfaction, run.info)) == m.fleet.n
    assert len(run.record.opportunities()) == 3


@pytest.mark.slow
@pytest.mark.parametrize("policy", policy_names())
@pytest.mark.parametrize("fleet", FLEETS)
def test_every_policy_plays_every_fleet(fleet: str, policy: str) -> None:
    changes = FLEETS[fleet] | {"time.start": "2023-08-01T14:00", "time.duration_hours": 10}
    run = simulate(month("quick", changes, 1), make_policy(policy))
    assert run.complete
    kpis = summarize(run).to_json(False)
    assert all(np.isfinite(value) for value in kpis.values() if isinstance(value, float))


@pytest.mark.slow
@pytest.mark.parametrize("clearing", CLEARINGS)
@pytest.mark.parametrize("fleet", FLEETS)
def test_every_clearing_takes_every_fleet(fleet: str, clearing: str) -> None:
    run = simulate(month("quick", FLEETS[fleet] | {"market.clearing": clearing}, 1), make_policy("truthful"))
    assert run.complete
    assert np.isfinite(summarize(run)["welfare"])
