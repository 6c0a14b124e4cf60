"""What of the owners' wishes is taken: the amounts that welfare prices and that contracts pay for, measured once.

Against the owners' own wishes always, whatever a contract allows: kWh h below the reserve floor beyond the baseline,
kWh that a car lacks at a departure beyond the baseline, kWh of a day's discharge beyond the limit, kWh in blackout
windows, clock hours of hassle, kW-h on reserve.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.jit import inlined, kernel
from vpp_env.scenario.calendar import Calendar
from vpp_env.traces.fleet import HASSLE_KWH, Fleet
from vpp_env.units import DT_H, STEPS_PER_HOUR, Floats

TAKEN = ("floor", "car", "overuse", "blackout", "hassle", "standby")
"""Kinds of wish, rows of amounts: kWh h, kWh, kWh, kWh, clock hours, kW-h."""
CONCESSIONS = TAKEN[:4]
"""Those that a contract may buy."""


@kernel
def _taken(
    soc_kwh: Floats, ledger: Floats, short: Floats, limits: Floats, running: Floats, hour_begins: bool, out: Floats
) -> None:
    """Fill `out` (6, n) with what one opportunity took; advances `running`.

    A limit of a day or an hour is broken when its sum passes it, so that the parts of an opportunity add up to what the
    whole day or hour comes to.

    Parameters
    ----------
    soc_kwh : ndarray
        (S, 2, n) charge of each battery and of its baseline, at the end of the interval.
    ledger, short : ndarray
        (N_LEDGER, n) see `core.ledger`, and (n,) shortfalls of departing cars, share of capacity.
    limits : ndarray
        (3, n) kWh: floor or hard minimum, capacity of the car, discharge of a day.
    running : ndarray
        (2, n) kWh: from the battery today, from storage in this clock hour.
    hour_begins : bool
        Whether the opportunity begins a clock hour.
    """
    for i in range(out.shape[1]):
        taken_of(i, soc_kwh, ledger, short, limits, running, hour_begins, out)


@inlined
def taken_of(
    i: int,
    soc_kwh: Floats,
    ledger: Floats,
    short: Floats,
    limits: Floats,
    running: Floats,
    hour_begins: bool,
    out: Floats,
) -> None:
    """Fill the column of home i; see `_taken`."""
    depth = 0.0
    for j in range(len(soc_kwh)):
        depth += max(0.0, min(limits[0, i], soc_kwh[j, 1, i]) - soc_kwh[j, 0, i])
    car = max(0.0, short[i]) * limits[1, i]
    before = running[0, i]
    day = before + ledger[led.L_BESS, i]
    over = max(0.0, day - limits[2, i]) - max(0.0, before - limits[2, i])
    black, standby = ledger[led.L_BLACK, i] + ledger[led.L_WAIVED, i], ledger[led.L_RESERVE, i]
    before = 0.0 if hour_begins else running[1, i]
    hour = before + ledger[led.L_BESS, i] + ledger[led.L_V2G, i]
    # written when all is read: a GPU waits for nothing in between
    out[0, i], out[1, i], out[2, i], out[3, i] = DT_H * depth, car, over, black
    out[4, i], out[5, i] = 1.0 if before <= HASSLE_KWH < hour else 0.0, standby
    running[0, i], running[1, i] = day, hour


def wish_limits(fleets: Sequence[Fleet]) -> Floats:
    """(3, M*N) kWh: floor or hard minimum, capacity of the car, discharge of a day."""
    floors = [np.maximum(f.floor_kwh, f.bess_min_kwh) for f in fleets]
    cars, days = [f.ev_kwh for f in fleets], [f.day_discharge_kwh for f in fleets]
    return np.stack([np.concatenate(rows) for rows in (floors, cars, days)])


class WishMeter:
    """Measures M months of N homes, opportunity by opportunity.

    Parameters
    ----------
    fleets : sequence of Fleet
        The owners' own wishes.
    calendar : Calendar
        The clock.
    steps : int
        15-min steps of an opportunity.
    """

    def __init__(self, fleets: Sequence[Fleet], calendar: Calendar, steps: int) -> None:
        self._shape = (len(TAKEN), len(fleets), fleets[0].n)
        self._calendar, self._steps = calendar, steps
        self._limits = wish_limits(fleets)
        self._running = np.zeros((2, self._limits.shape[1]))

    def add(self, opportunity: int, soc_kwh: Floats, ledger: Floats, short: Floats) -> Floats:
        """Return (6, M, N) what an opportunity took, rows as `TAKEN`; opportunities follow one another.

        Parameters
        ----------
        opportunity : int
            Its index.
        soc_kwh, ledger, short : ndarray
            (S, 2, M*N), (N_LEDGER, M*N), (M*N,) see `core.loops.Books`.
        """
        t, day = opportunity * self._steps, self._calendar.day
        if t > 0 and day[t] != day[t - 1]:
            self._running[0] = 0.0
        amounts = np.empty(self._shape)
        flat = amounts.reshape(len(TAKEN), -1)
        _taken(soc_kwh, ledger, short, self._limits, self._running, t % STEPS_PER_HOUR == 0, flat)
        return amounts
