"""Ceilings of a month: what no policy can exceed, proven by duality, with a plan beneath that says how tight it is.

Every device is a store (`devices`), solved exactly (`storage`). What couples things is priced:

- a device's power both sells and stands by, and reserve needs energy behind it: q <= P - d and eta_r q <= e. A share
  lambda of the reserve's price is charged to the energy and the rest to the power; any lambda in [0, 1] gives an
  upper bound, the best one is the optimum;
- discharge per day inside the envelope: a price theta >= 0 per day;
- the VPP's maximum: a congestion price mu >= 0 per step, the same for all homes.

Weak duality makes every choice of these prices a valid ceiling; they are moved by subgradients towards the least one.
Each round's dispatch, cut to what the limits allow, is a plan, so the best one is a floor beneath the ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from policies.optimal.devices import Device, Measure, Rules, devices
from policies.optimal.storage import Policy, Store, backward, step
from vpp_env.foresight import Foresight
from vpp_env.jit import kernel
from vpp_env.units import DT_H
from vpp_env.views import Homes

ROUNDS, PATIENCE = 80, 8
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


class Prices(NamedTuple):
    """Shadow prices of one device; T steps."""

    share: np.ndarray  # (T,) lambda, share of the reserve's price that the energy behind it carries
    theta: np.ndarray  # (days,) USD per kWh discharged on a day
    mu: np.ndarray  # (T,) USD per kWh sold or held in reserve, the same for all homes


@kernel
def _rho(device: Device, prices: Prices, t: int) -> float:
    # a call fills the room that its own capacity was awarded
    return max(device.rho[t] - prices.mu[t], 0.0) if device.busy[t] else device.rho[t]


@kernel
def _copy(source: Prices, target: Prices) -> None:
    """Copy share and theta element by element: whole arrays would compile for seconds (Numba's shape error)."""
    for t in range(len(source.share)):
        target.share[t] = source.share[t]
    for d in range(len(source.theta)):
        target.theta[d] = source.theta[d]


@kernel
def priced(device: Device, prices: Prices, reserve_h: float, dt: float) -> Store:
    """Return the device's store with its shadow prices in its gains."""
    store = device.store
    out_w, out_m, hold = store.out_w.copy(), store.out_m.copy(), store.hold.copy()
    for t in range(len(hold)):
        rho, lam = _rho(device, prices, t), prices.share[t]
        hold[t] += lam * rho * dt * device.eta / reserve_h
        for j in range(2):
            if device.shares[j] and device.busy[t]:
                out_m[t, j] -= (1.0 - lam) * rho * device.eta
            out_m[t, j] -= prices.mu[t] * device.grid_kwh[j]
        out_m[t, 0] -= prices.theta[device.day[t] - device.day[0]] * device.grid_kwh[0]
        # the converter's power goes to the better use first
        worse = 1 if out_m[t, 0] >= out_m[t, 1] else 0
        out_w[t, worse] = min(out_w[t, worse], device.most_out[t] - out_w[t, 1 - worse])
    return Store(
        store.lo, store.hi, store.ext, store.ext_price, store.in_w, store.in_m, out_w, out_m, hold, store.end,
        store.start,
    )  # fmt: skip


@kernel
def ceiling(device: Device, prices: Prices, value: float, reserve_h: float, dt: float) -> float:
    """Return the upper bound that `value`, the optimum of the priced store, stands for, USD."""
    bound = value + device.constant
    for t in range(len(device.rho)):
        rho, lam = _rho(device, prices, t), prices.share[t]
        bound += dt * rho * ((1.0 - lam) * device.power[t] - lam * device.eta * device.empty[t] / reserve_h)
    total = 0.0
    for price in prices.theta:
        total += price
    return bound + total * device.day_kwh if device.day_kwh < np.inf else bound


@kernel
def plan(
    device: Device,
    store: Store,
    policy: Policy,
    mu: np.ndarray,
    most: np.ndarray,
    reserve_h: float,
    dt: float,
    sold: np.ndarray,
    pull: np.ndarray,
    over: np.ndarray,
) -> float:
    """Follow the base stock of the priced `store`, cut to what the device may do; return its worth at true prices, USD.

    Parameters
    ----------
    mu, most : ndarray
        (T,) price of congestion, and kW that the device may sell and hold in reserve.
    sold, pull, over : ndarray
        (T,) kW sold and held in reserve; (T,) excess of the energy behind reserve over the power for it, relative to
        the power; (days,) kWh beyond the daily limit. Filled.
    """
    true = device.store
    steps = len(true.hold)
    took, gave = np.zeros(2), np.zeros(2)
    s, worth, today, left = true.start, device.constant, -1, device.day_kwh
    over[:] = -device.day_kwh
    for t in range(steps + 1):
        if s < true.lo[t]:
            worth -= (true.lo[t] - s) * true.ext_price
            s = true.lo[t]
        if t == steps:
            break
        if device.day[t] != today:
            today, left = device.day[t], device.day_kwh
        s_next = step(store, policy, t, s, took, gave)
        over[today - device.day[0]] += gave[0] * device.grid_kwh[0]
        room = most[t] * dt
        for j in range(2):
            if device.grid_kwh[j] > 0.0:
                allowed = min(room, left) if j == 0 else room
                cut = max(0.0, gave[j] - allowed / device.grid_kwh[j])
                cut = min(cut, true.hi[t + 1] - s_next)
                gave[j] -= cut
                s_next += cut
                room -= gave[j] * device.grid_kwh[j]
        left -= gave[0] * device.grid_kwh[0]
        used = (gave[0] * device.shares[0] + gave[1] * device.shares[1]) * device.eta / dt
        by_energy = max(0.0, (s_next - device.empty[t]) * device.eta / reserve_h)
        by_power = device.power[t] - (used if device.busy[t] else 0.0)
        pull[t] = (by_energy - by_power) / max(device.power[t], 1e-9) if device.rho[t] > 0.0 else 0.0
        # where the plan is cut to its share anyway it may use all of it
        stands_by = device.rho[t] > (mu[t] if most[t] == np.inf and device.busy[t] else 0.0)
        q = max(0.0, min(by_power, by_energy, room / dt if device.busy[t] else np.inf)) if stands_by else 0.0
        worth += device.rho[t] * dt * q
        for j in range(2):
            worth += gave[j] * true.out_m[t, j] - took[j] * true.in_m[t, j]
        sold[t] = (gave[0] * device.grid_kwh[0] + gave[1] * device.grid_kwh[1]) / dt
        if device.busy[t]:
            sold[t] += q
        s = s_next
    return worth + true.end * s


@kernel
def improve(
    device: Device,
    prices: Prices,
    most: np.ndarray,
    reserve_h: float,
    dt: float,
    rounds: int,
    patience: int,
    gap: float,
    sold: np.ndarray,
) -> tuple[float, float]:
    """Move the prices of one device, `mu` excepted; return (upper, lower) USD.

    Parameters
    ----------
    device, prices : Device, Prices
        The device and the prices to start from; the best are left in `prices`.
    most : ndarray
        (T,) kW that its plan may sell and hold in reserve.
    reserve_h, dt : float
        Hours of energy behind reserve; length of a step, h.
    rounds, patience, gap : int, int, float
        See `ROUNDS`, `PATIENCE`, `GAP`.
    sold : ndarray
        (T,) filled: kW that the best plan sells or holds in reserve.
    """
    steps = len(device.rho)
    upper, best, worth = np.inf, -np.inf, -np.inf
    trial = Prices(prices.share.copy(), prices.theta.copy(), prices.mu)
    pull, over, now = np.empty(steps), np.empty(len(prices.theta)), np.empty(steps)
    size, stale = 0.5, 0
    for _ in range(rounds):
        store = priced(device, trial, reserve_h, dt)
        policy = backward(store, steps, 0)
        bound = ceiling(device, trial, policy.value, reserve_h, dt)
        if bound < upper - 1e-9 * (1.0 + abs(bound)):
            upper, stale = bound, 0
            _copy(trial, prices)
        else:
            stale += 1
            if stale >= patience:
                size, stale = size / 2.0, 0
                _copy(prices, trial)
        made = plan(device, store, policy, prices.mu, most, reserve_h, dt, now, pull, over)
        # what the plan is worth where congestion has its price
        toll = 0.0
        for t in range(steps):
            toll += now[t] * prices.mu[t]
        paid = made - dt * toll
        if paid > best:
            best, worth = paid, made
            for t in range(steps):
                sold[t] = now[t]
        if upper - best <= gap * max(abs(upper), 1e-3):
            break
        for t in range(steps):
            trial.share[t] = min(1.0, max(0.0, trial.share[t] - size * min(1.0, max(-1.0, pull[t]))))
        if device.day_kwh < np.inf:
            for d in range(len(over)):
                trial.theta[d] = max(0.0, trial.theta[d] + 0.1 * size * over[d] / max(device.day_kwh, 1e-3))
    return upper, worth


@dataclass
class Solution:
    """Devices, their best shadow prices, and the bracket that they prove."""

    devices: list[Device]
    shares: list[np.ndarray]
    thetas: list[np.ndarray]
    mu: np.ndarray
    reserve_h: float
    bracket: Bracket

    def prices(self, d: int) -> Prices:
        """Return the shadow prices of device d."""
        return Prices(self.shares[d], self.thetas[d], self.mu)

    def store(self, d: int) -> Store:
        """Device d with its shadow prices in its gains."""
        return priced(self.devices[d], self.prices(d), self.reserve_h, DT_H)

    def sweep(self, most: np.ndarray | None, rounds: int, gap: float) -> tuple[Bracket, np.ndarray]:
        """Improve every device at the present `mu`; return the brackets' sum and what each plan sells (D, T)."""
        free = np.full(len(self.mu), np.inf)
        sold = np.empty((len(self.devices), len(self.mu)))
        total = Bracket(0.0, 0.0)
        for d, device in enumerate(self.devices):
            limit = free if most is None else most[d]
            found = improve(device, self.prices(d), limit, self.reserve_h, DT_H, rounds, PATIENCE, gap, sold[d])
            total += Bracket(found[1], found[0])
        return total, sold


def _whole_fleet(homes: Homes, foresight: Foresight, rules: Rules, capacity_kw: float) -> Bracket:
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
    forced = ((homes.ev_kw - f.twin_ev_kw) * f.plugged).sum(axis=1)
    unpriced = np.maximum(forced, np.where(f.called, sell, 0.0))
    moved = DT_H * f.slope / 4.0 * float((unpriced**2).sum()) if rules.measure is Measure.VALUE else 0.0
    return Bracket(worth, worth + moved)


def solve(
    homes: Homes, foresight: Foresight, rules: Rules, capacity_kw: float, rounds: int = ROUNDS, gap: float = GAP
) -> Solution:
    """Enclose the best month under `rules`.

    Parameters
    ----------
    homes, foresight : Homes, Foresight
        At the start of the span that is bounded.
    rules : Rules
        What is measured, and whether the owners' preferences bind.
    capacity_kw : float
        The VPP's maximum.
    rounds : int
        Subgradient rounds per device at most.
    gap : float
        Relative gap of a device at which it is left alone.

    Returns
    -------
    Solution
        `bracket.upper` is a proven ceiling of the relaxation that docs/optimizers.md states, and so of every policy.
    """
    made = devices(homes, foresight, rules)
    steps, days = foresight.n_steps, int(foresight.day[-1] - foresight.day[0]) + 1
    shares, thetas = [np.zeros(steps) for _ in made], [np.zeros(days) for _ in made]
    out = Solution(made, shares, thetas, np.zeros(steps), rules.brief.reserve_hours, Bracket(0.0, 0.0))
    whole = _whole_fleet(homes, foresight, rules, capacity_kw)
    found, sold = out.sweep(None, rounds, gap)
    out.bracket, total = found + whole, sold.sum(axis=0)
    if total.max(initial=0.0) <= capacity_kw + 1e-6:
        return out
    # Too much is sold somewhere: congestion gets a price (Polyak's step), and capacity is shared out like the average
    # of the plans so far, which tends to the optimum of the relaxation while each single plan jumps.
    best, now, mean = Bracket(-np.inf, out.bracket.upper), out.bracket.upper, sold
    for k in range(CONGESTION_ROUNDS):
        mean = mean + (sold - mean) * max(0.2, 1.0 / (1.0 + k))
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


def bracket(homes: Homes, foresight: Foresight, rules: Rules, capacity_kw: float) -> Bracket:
    """Return the bracket alone; see `solve`."""
    return solve(homes, foresight, rules, capacity_kw).bracket
