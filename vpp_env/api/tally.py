"""What an episode came to: the evaluator's sums for M months, handed out with the last opportunity."""

from __future__ import annotations

import numpy as np

from vpp_env.api.rewards import Reward
from vpp_env.core import ledger as led
from vpp_env.evaluation.welfare import PARTS
from vpp_env.jit import kernel
from vpp_env.owners.violations import VIOLATIONS
from vpp_env.simulation.outcome import Outcome, net_benefit
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
    """Sums over an episode of M months of N homes, named as the evaluator names them (see `evaluation.kpi`)."""

    def __init__(self, months: int, homes: int) -> None:
        self.ledger = np.zeros((led.N_LEDGER, months, homes))  # the rows `READ`, of the others none
        self.profit, self.revenue, self.welfare = (np.zeros(months) for _ in range(3))  # USD
        self.violations = np.zeros((len(VIOLATIONS), months), dtype=np.int64)

    def add(self, outcome: Outcome, reward: Reward) -> Floats:
        """Add one opportunity; return (M, 5) how many homes' preferences it violated, by kind as `VIOLATIONS`."""
        broken = outcome.violated.sum(axis=2)
        _add(self.ledger, outcome.ledger, READ)
        self.profit += outcome.profit
        self.revenue += outcome.money.revenue
        self.welfare += reward.joint
        self.violations += broken
        return broken.T.astype(np.float64)

    def kpis(self, closing: Floats, private: Floats) -> dict[str, Floats]:
        """Key performance indicators by name, (M,) each.

        Parameters
        ----------
        closing : ndarray
            (M, N) USD of what homes hold at the end, see `simulation.holdings.closing_value`.
        private : ndarray
            (7, M, N) USD private cost by kind, see `evaluation.welfare.private_cost`.
        """
        rows = self.ledger
        members = net_benefit(rows) + closing
        cost = private.sum(axis=0)
        return {
            "welfare": self.welfare,
            "total_profit": self.profit,
            "market_revenue": self.revenue,
            "member_payments": led.member_pay(rows).sum(axis=1),
            "member_net_benefit": members.sum(axis=1),
            "joint_surplus": self.profit + members.sum(axis=1),
            "private_cost": cost.sum(axis=1),
            **{f"private_cost_{kind}": private[j].sum(axis=1) for j, kind in enumerate(PARTS)},
            "owners_worse_off": (members < cost - 1e-9).sum(axis=1).astype(np.float64),
            "sold_mwh": (rows[led.L_SOLD] + rows[led.L_CALLED]).sum(axis=1) / KWH_PER_MWH,
            "bought_mwh": rows[led.L_BOUGHT].sum(axis=1) / KWH_PER_MWH,
            "forced_mwh": rows[led.L_FORCED].sum(axis=1) / KWH_PER_MWH,
            "reserve_mw_h": rows[led.L_RESERVE].sum(axis=1) / KWH_PER_MWH,
            "violations": self.violations.sum(axis=0).astype(np.float64),
            **{f"violations_{kind}": self.violations[j].astype(np.float64) for j, kind in enumerate(VIOLATIONS)},
        }
