"""What breaks an owner's preferences, and what its owner notices: one rule for the world and for its evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.jit import inlined, kernel
from vpp_env.units import Flags, Floats

VIOLATIONS = ("reserve", "ev_not_ready", "underpaid", "blackout", "over_cycling")
DEPTH_TOLERANCE_H = 1e-6
"""Share-of-floor hours below which a breach is rounding."""
KWH_TOLERANCE = 1e-6
SHORT_TOLERANCE = 1e-3
"""SoC share by which a car may miss its target before it is a violation (.1 %, below any gauge)."""
USD_TOLERANCE = 1e-9


def violations(ledger: Floats, lacks: Floats, missed: Floats) -> Flags:
    """Return (5, ...) bool: which home was violated how in one opportunity, order `VIOLATIONS`.

    Parameters
    ----------
    ledger : ndarray
        (N_LEDGER, ...) see `core.ledger`.
    lacks, missed : ndarray
        (...) SoC share by which a departing car is short of what it had to hold, its owner's target or what a contract
        wants, and 1 where its trip's energy is not there.

    Notes
    -----
    A concession that a contract has bought is no violation: its owner agreed to it at a price, and is paid for what was
    taken. The ledger's counters (depth, over-cycling, blackout, owed) are kept against the limits in force.
    """
    return np.stack(each_violation(ledger, lacks, missed))


def each_violation(ledger: Floats, lacks: Floats, missed: Floats) -> tuple[Flags, Flags, Flags, Flags, Flags]:
    """`violations` by kind; of rows, or of one home's (N_LEDGER,) and its two numbers on a GPU."""
    given = ledger[led.L_SOLD] + ledger[led.L_CALLED]
    return (
        ledger[led.L_DEPTH_H] > DEPTH_TOLERANCE_H,
        (lacks > SHORT_TOLERANCE) | (missed > 0),
        (given > KWH_TOLERANCE) & (ledger[led.L_PAY_SOLD] < ledger[led.L_OWED] - USD_TOLERANCE),
        ledger[led.L_BLACK] > KWH_TOLERANCE,
        ledger[led.L_OVER] > KWH_TOLERANCE,
    )


_each_violation: Any = inlined(each_violation)


@kernel
def _violated(ledger: Floats, lacks: Floats, missed: Floats, out: Flags) -> None:
    """Fill `out` (5, M, N); see `violations`."""
    for m in range(out.shape[1]):
        for i in range(out.shape[2]):
            for kind, broken in enumerate(_each_violation(ledger[:, m, i], lacks[m, i], missed[m, i])):
                out[kind, m, i] = broken


def violated_homes(ledger: Floats, lacks: Floats, missed: Floats) -> Flags:
    """(5, M, N) `violations` of one opportunity, compiled: the world asks after every one."""
    out = np.empty((len(VIOLATIONS), *lacks.shape), dtype=np.bool_)
    _violated(ledger, lacks, missed, out)
    return out
