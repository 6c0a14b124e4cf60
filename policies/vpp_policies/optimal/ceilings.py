"""Ceilings of a month: what no policy can exceed, proven by duality, with a plan beneath that says how tight it is.

Every device is a store (`devices`), solved exactly (`storage`). What couples things is priced:

- a device's power is sold or held on reserve, and reserve needs energy behind it: q <= P - d and eta_r q <= e. A share
  lambda of the reserve's price is charged to the energy and the rest to the power; any lambda in [0, 1] gives an
  upper bound, the best one is the optimum;
- discharge per day inside the envelope: a price theta >= 0 per day; where more of it has a price, at most that;
- the hassle of an hour in which storage gives: a price nu per hour, from 0 to what full power costs a kWh;
- the VPP's maximum: a congestion price mu >= 0 per step, the same for all homes.

Weak duality makes every choice of these prices a valid ceiling; they are moved by subgradients towards the least one.
Each round's dispatch, cut to what the limits allow, is a plan, so the best one is a floor beneath the ceiling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vpp_env import DT_H, Foresight, Homes
from vpp_policies.optimal.devices import Device, Goal, Measure, devices
from vpp_policies.optimal.penalties import Penalty
from vpp_policies.optimal.shadow import Prices, improve, priced
from vpp_policies.optimal.storage import Store

ROUNDS, PATIENCE = 30, 2
"""Subgradient rounds per device at most, and rounds without progress after which the step is halved."""
CONGESTION_ROUNDS, INNER_ROUNDS = 30, 6
"""Rounds of the price of the VPP's maximum where it binds, and of each device's own prices within one."""
POLYAK = 0.6
"""Share of Polyak's step that is taken: the floor, which stands in for the optimum, lies below it."""
STEPS_PER_HOUR = 4
GAP = 2e-3
"""Relative gap at which a device's prices are good enough."""


@dataclass(frozen=True)
class Bracket:
    """A proven interval around the optimum, USD."""

    lower: float  # worth of a plan
    upper: float  # no plan is worth more

    @property
    def gap(self) -> float:
        """Width relative to the upper end."""
        return (self.upper - self.lower) / max(abs(self.upper), 1e-9)

    def __add__(self, other: Bracket) -> Bracket:
        return Bracket(self.lower + other.lower, self.upper + other.upper)


@dataclass
class Solution:
    """Devices, their best shadow prices, and the bracket that they prove."""

    devices: list[Device]
    shares: list[NDArray[np.float64]]
    thetas: list[NDArray[np.float64]]
    nus: list[NDArray[np.float64]]
    mu: NDArray[np.float64]
    reserve_h: float
    bracket: Bracket

    def prices(self, d: int) -> Prices:
        """Return the shadow prices of device d."""
        return Prices(self.shares[d], self.thetas[d], self.nus[d], self.mu)

    def store(self, d: int) -> Store:
        """Device d with its shadow prices in its gains."""
        return priced(self.devices[d], self.prices(d), self.reserve_h, DT_H)

    def sweep(self, most: NDArray[np.float64] | None, rounds: int, gap: float) -> tuple[Bracket, NDArray[np.float64]]:
        """Improve every device at the present `mu`; return the brackets' sum and what each plan sells (D, K)."""
        free = np.full(len(self.mu), np.inf)
        sold = np.empty((len(self.devices), len(self.mu)))
        total = Bracket(0.0, 0.0)
        for d, device in enumerate(self.devices):
            limit = free if most is None else most[d]
            found = improve(device, self.prices(d), limit, self.reserve_h, DT_H, rounds, PATIENCE, gap, sold[d])
            total += Bracket(found[1], found[0])
        return total, sold


def _whole_fleet(homes: Homes, foresight: Foresight, goal: Goal, capacity_kw: float) -> Bracket:
    """Bound what belongs to no device: the day-ahead schedule, and the VPP's influence on its own price.

    A schedule earns its spread on at most all that the fleet may schedule, by the hour. And the price is settled on
    the award N alone, while the meter reads N + C - F with calls C and charging bought back by force F:
    (lmp - slope N) (N + C - F) exceeds lmp (N + C - F) by at most slope (C - F)^2 / 4.
    """
    f = foresight
    sell = min(float((homes.bess_kw + homes.ev_kw + homes.v2g_kw).sum()), capacity_kw)
    buy = min(float((homes.bess_kw + homes.ev_kw).sum()), capacity_kw)
    # steps are put into hours from the end, where an hour is whole
    hour = (f.n_steps - 1 - np.arange(f.n_steps)) // STEPS_PER_HOUR
    spread = np.bincount(hour, f.spread)
    worth = DT_H * float(np.maximum(sell * spread, -buy * spread).sum())
    forced = ((homes.ev_kw - f.baseline_ev_kw) * f.plugged).sum(axis=1)
    unpriced = np.maximum(forced, np.where(f.called, sell, 0.0))
    moved = DT_H * f.slope / 4.0 * float((unpriced**2).sum()) if goal.measure is Measure.VALUE else 0.0
    return Bracket(worth, worth + moved)


def charged(made: Sequence[Device], penalties: Sequence[Penalty]) -> list[Device]:
    """Return devices that pay their penalties: M_t off what holding at the end of step t - 1 earns."""
    if not penalties:
        return list(made)
    out = []
    for device, penalty in zip(made, penalties, strict=True):
        hold = device.store.hold - np.append(penalty.slope[1:], 0.0)
        out.append(device._replace(store=device.store._replace(hold=hold), constant=device.constant - penalty.constant))
    return out


def solve(
    homes: Homes,
    foresight: Foresight,
    goal: Goal,
    capacity_kw: float,
    rounds: int = ROUNDS,
    gap: float = GAP,
    penalties: Sequence[Penalty] = (),
) -> Solution:
    """Enclose the best month under `goal`.

    Parameters
    ----------
    homes, foresight : Homes, Foresight
        At the start of the span that is bounded.
    goal : Goal
        What is measured, and what becomes of the owners' preferences.
    capacity_kw : float
        The VPP's maximum.
    rounds : int
        Subgradient rounds per device at most.
    gap : float
        Relative gap of a device at which it is left alone.
    penalties : sequence of Penalty
        Of every device, in the order of `devices`; none: nothing is taken off.

    Returns
    -------
    Solution
        `bracket.upper` is a proven ceiling of the relaxation that docs/optimizers.md states, and so of every policy.
    """
    made = charged(devices(homes, foresight, goal), penalties)
    steps, days = foresight.n_steps, int(foresight.day[-1] - foresight.day[0]) + 1
    shares, thetas = [np.zeros(steps) for _ in made], [np.zeros(days) for _ in made]
    nus = [np.full(int(foresight.hour[-1]) + 1, device.hour_usd) for device in made]
    out = Solution(made, shares, thetas, nus, np.zeros(steps), goal.rules.reserve_hours, Bracket(0.0, 0.0))
    whole = _whole_fleet(homes, foresight, goal, capacity_kw)
    found, sold = out.sweep(None, rounds, gap)
    out.bracket, total = found + whole, sold.sum(axis=0)
    if total.max(initial=0.0) <= capacity_kw + 1e-6:
        return out
    # Too much is sold somewhere: congestion gets a price (Polyak's step), and capacity is shared out like the average
    # of the plans so far, which tends to the optimum of the relaxation while each single plan jumps.
    best, now, mean = Bracket(-np.inf, out.bracket.upper), out.bracket.upper, sold
    for done in range(CONGESTION_ROUNDS):
        mean = mean + (sold - mean) * max(0.2, 1.0 / (1.0 + done))
        most = mean * (capacity_kw / np.maximum(mean.sum(axis=0), 1e-9))
        best = Bracket(max(best.lower, out.sweep(most, 1, gap)[0].lower + whole.lower), best.upper)
        if best.gap <= gap:
            break
        slope = DT_H * np.where((out.mu > 0.0) | (total > capacity_kw), total - capacity_kw, 0.0)
        out.mu = np.maximum(out.mu + POLYAK * (now - best.lower) / float(slope @ slope) * slope, 0.0)
        found, sold = out.sweep(None, INNER_ROUNDS, gap)
        total, now = sold.sum(axis=0), found.upper + whole.upper + DT_H * float(out.mu.sum()) * capacity_kw
        best = Bracket(best.lower, min(best.upper, now))
    out.bracket = best
    return out


def bracket(
    homes: Homes, foresight: Foresight, goal: Goal, capacity_kw: float, penalties: Sequence[Penalty] = ()
) -> Bracket:
    """Return the bracket alone; see `solve`.

    A month with firm capacity is played inside its programme, where net energy in called evenings earns at most its
    bonus and what is taken in costs it, or outside it by who commits nothing: the ceiling is the higher of the two.
    Penalties are the same in both: which of the two a policy plays does not change what they take off on the mean.
    """
    found = solve(homes, foresight, goal, capacity_kw, penalties=penalties)
    if not foresight.bonus.any():
        return found.bracket
    none = replace(
        foresight, bonus=np.zeros(foresight.n_steps), baseline_bonus_usd=np.zeros_like(foresight.baseline_bonus_usd)
    )
    # any shadow prices prove a ceiling: those of inside the programme are good enough for the lower of two
    outside = replace(found, devices=charged(devices(homes, none, goal), penalties))
    upper = outside.sweep(None, 1, GAP)[0].upper + _whole_fleet(homes, none, goal, capacity_kw).upper
    upper += DT_H * float(found.mu.sum()) * capacity_kw
    return Bracket(found.bracket.lower, max(found.bracket.upper, upper))
