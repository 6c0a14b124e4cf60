"""What an episode came to: the evaluator's sums for M months, handed out with the last opportunity."""

from __future__ import annotations

import numpy as np

from vpp_env.api.rewards import Reward
from vpp_env.core import ledger as led
from vpp_env.evaluation.welfare import PARTS
from vpp_env.jit import kernel
from vpp_env.owners.violations import VIOLATIONS
from vpp_env.simulation.holdings import closing_value
from vpp_env.simulation.outcome import Outcome, net_benefit
from vpp_env.simulation.world import World
from vpp_env.units import KWH_PER_MWH, Floats, Ints

READ = np.array(
    [
        led.L_SOLD, led.L_CALLED, led.L_BOUGHT, led.L_FORCED, led.L_RESERVE, led.L_PAY_SOLD, led.L_PAY_BOUGHT,
        led.L_PAY_FORCED, led.L_PAY_RESERVE, led.L_PAY_CAPACITY, led.L_PAY_AVAILABILITY, led.L_PAY_CONCESSION,
        led.L_BILL, led.L_BILL_BASELINE, led.L_WEAR, led.L_AWAY,
    ]
)  # fmt: skip
"""Rows of the ledger that the figures are made of: the others are not summed."""


@kernel
def _add(total: Floats, ledger: Floats, rows: Ints) -> None:
    """Add `rows` of a ledger (N_LEDGER, M, N) to a total."""
    for row in rows:
        for m in range(ledger.shape[1]):
            for i in range(ledger.shape[2]):
                total[row, m, i] += ledger[row, m, i]


class Tally:
    """Sums over an episode, named as the evaluator names them (see `evaluation.kpi`)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ledger = np.zeros((led.N_LEDGER, world.n_months, world.n_homes))
        self._profit, self._revenue, self._welfare = (np.zeros(world.n_months) for _ in range(3))
        self._violations = np.zeros((len(VIOLATIONS), world.n_months), dtype=np.int64)

    def add(self, outcome: Outcome, reward: Reward) -> Floats:
        """Add one opportunity; return (M, 5) how many homes' preferences it violated, by kind as `VIOLATIONS`."""
        broken = outcome.violated.sum(axis=2)
        _add(self._ledger, outcome.ledger, READ)
        self._profit += outcome.profit
        self._revenue += outcome.money.revenue
        self._welfare += reward.joint
        self._violations += broken
        return broken.T.astype(np.float64)

    def kpis(self, private: Floats) -> dict[str, Floats]:
        """Key performance indicators by name, (M,) each.

        Parameters
        ----------
        private : ndarray
            (7, M, N) USD private cost by kind, see `evaluation.welfare.private_cost`.
        """
        rows = self._ledger
        members = net_benefit(rows) + closing_value(self._world)
        cost = private.sum(axis=0)
        return {
            "welfare": self._welfare,
            "total_profit": self._profit,
            "market_revenue": self._revenue,
            "member_payments": led.member_pay(rows).sum(axis=1),
            "member_net_benefit": members.sum(axis=1),
            "joint_surplus": self._profit + members.sum(axis=1),
            "private_cost": cost.sum(axis=1),
            **{f"private_cost_{kind}": private[j].sum(axis=1) for j, kind in enumerate(PARTS)},
            "owners_worse_off": (members < cost - 1e-9).sum(axis=1).astype(np.float64),
            "sold_mwh": (rows[led.L_SOLD] + rows[led.L_CALLED]).sum(axis=1) / KWH_PER_MWH,
            "bought_mwh": rows[led.L_BOUGHT].sum(axis=1) / KWH_PER_MWH,
            "forced_mwh": rows[led.L_FORCED].sum(axis=1) / KWH_PER_MWH,
            "reserve_mw_h": rows[led.L_RESERVE].sum(axis=1) / KWH_PER_MWH,
            "violations": self._violations.sum(axis=0).astype(np.float64),
            **{f"violations_{kind}": self._violations[j].astype(np.float64) for j, kind in enumerate(VIOLATIONS)},
        }
