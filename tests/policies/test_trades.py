"""Integrative trades: two owners sell different wishes in one hour, and the owners and the VPP gain by it."""

from __future__ import annotations

import numpy as np
from trades import DAY, FLOOR, VALUES, month, played, talk, trade

from vpp_env.owners.wishes import CONCESSIONS


def test_two_owners_sell_different_wishes_and_both_sides_gain() -> None:
    base = played(month())
    rows = {kind: CONCESSIONS.index(kind) for kind in VALUES}
    for kind, row in rows.items():
        sold, value = base.paid[row] > 0.0, getattr(base.month.fleet, VALUES[kind])
        assert sold.sum() >= 5, kind
        assert (base.paid[row, sold] >= base.taken[row, sold] * value[sold] * (1.0 - 1e-12)).all()
        # nothing is taken that was not bought
        np.testing.assert_allclose(base.taken[row, ~sold], 0.0, atol=1e-9)
    assert base.paid[rows["floor"], DAY] == 0.0
    for one in (trade(base, FLOOR, "floor"), trade(base, DAY, "overuse")):
        assert one.amount > 1.0
        assert one.cost < one.paid
        assert one.owner_gain > one.paid - one.cost
        assert one.vpp_gain > 0.0  # after it has paid the owner
    words = talk(base.transcript, (FLOOR, DAY))
    assert sum("yes" in line for line in words) == 2
    assert any("floor" in line and "day" in line for line in words)
