"""Shadow prices of one device: the store that they make of it, the ceiling that they prove, and the plan beneath it.

`ceilings` says what is priced and why every choice of prices is valid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import kernel
from vpp_env.jit import internal
from vpp_policies.optimal.devices import Device
from vpp_policies.optimal.storage import BaseStock, Store, backward, room_for_steps, step


class Prices(NamedTuple):
    """Shadow prices of one device; K intervals."""

    share: NDArray[np.float64]  # (K,) lambda, share of the reserve's price that the energy behind it carries
    theta: NDArray[np.float64]  # (days,) USD per kWh discharged on a day, at most `day_usd`
    nu: NDArray[np.float64]  # (hours,) USD per kWh of storage given in a clock hour, at most `hour_usd`
    mu: NDArray[np.float64]  # (K,) USD per kWh sold or held in reserve, the same for all homes
    phi: NDArray[np.float64]  # (K,) USD per kWh that leaves the meter or is held in reserve, the same behind a feeder


class Answer(NamedTuple):
    """A plan of one device, filled by kernels."""

    sold: NDArray[np.float64]  # (K,) kW sold and held in reserve
    met: NDArray[np.float64]  # (K,) kW that leave the meter or are held in reserve
    piece: NDArray[np.int64]  # (K,) piece of the plan that each step belongs to; given, not filled
    worth: NDArray[np.float64]  # (P,) USD at true prices
    held: NDArray[np.float64]  # (P,) kWh of the store at the start of each piece
    spent: NDArray[np.float64]  # (P,) kWh of the day's discharge before it, what no limit counts left out


@internal
def _rho(device: Device, prices: Prices, k: int) -> float:
    # a call fills the room that its own capacity was awarded
    return max(device.rho[k] - prices.mu[k] - prices.phi[k], 0.0) if device.busy[k] else device.rho[k]


@internal
def _copy(source: Prices, target: Prices) -> None:
    """Copy share, theta and nu element by element: whole arrays would compile for seconds (Numba's shape error)."""
    for k in range(len(source.share)):
        target.share[k] = source.share[k]
    for d in range(len(source.theta)):
        target.theta[d] = source.theta[d]
    for h in range(len(source.nu)):
        target.nu[h] = source.nu[h]


@kernel
def priced(device: Device, prices: Prices, reserve_h: float, dt: float) -> Store:
    """Return the device's store with its shadow prices in its gains."""
    store = device.store
    out_w, out_m, hold = store.out_w.copy(), store.out_m.copy(), store.hold.copy()
    in_m = store.in_m.copy()
    for k in range(len(hold)):
        rho, lam = _rho(device, prices, k), prices.share[k]
        hold[k] += lam * rho * dt * device.eta / reserve_h
        for j in range(2):
            if device.shares[j] and device.busy[k]:
                out_m[k, j] -= (1.0 - lam) * rho * device.eta
            out_m[k, j] -= prices.mu[k] * device.grid_kwh[j] + prices.phi[k] * device.meter_kwh[j]
            in_m[k, j] -= prices.phi[k] / device.eta
        out_m[k, 0] -= prices.theta[device.day[k] - device.day[0]] * device.grid_kwh[0]
        out_m[k, device.storage] -= prices.nu[device.hour[k]] * device.grid_kwh[device.storage]
        # the converter's power goes to the better use first
        worse = 1 if out_m[k, 0] >= out_m[k, 1] else 0
        out_w[k, worse] = min(out_w[k, worse], device.most_out[k] - out_w[k, 1 - worse])
    return Store(
        store.lo, store.hi, store.ext, store.ext_price, store.in_w, in_m, out_w, out_m, hold, store.wanted,
        store.short, store.end, store.start,
    )  # fmt: skip


@kernel
def ceiling(device: Device, prices: Prices, value: float, reserve_h: float, dt: float) -> float:
    """Return the upper bound that `value`, the optimum of the priced store, stands for, USD."""
    bound = value + device.constant
    for k in range(len(device.rho)):
        rho, lam = _rho(device, prices, k), prices.share[k]
        bound += dt * rho * ((1.0 - lam) * device.power[k] - lam * device.eta * device.empty[k] / reserve_h)
    for price in prices.nu:
        bound += price * device.hour_kwh
    total = 0.0
    for price in prices.theta:
        total += price
    return bound + total * device.day_kwh if device.day_kwh < np.inf else bound


@kernel
def plan(
    device: Device,
    store: Store,
    policy: BaseStock,
    dear: NDArray[np.float64],
    reserve_h: float,
    dt: float,
    answer: Answer,
    pull: NDArray[np.float64],
    over: NDArray[np.float64],
    hours: NDArray[np.float64],
) -> float:
    """Follow the base stock of the priced `store`, cut to what the device may do; return its worth at true prices, USD.

    Parameters
    ----------
    dear : ndarray
        (K,) USD/kWh, what a kW in reserve costs in shared room.
    answer : Answer
        Filled.
    pull, over, hours : ndarray
        Filled: (K,) excess of the energy behind reserve over the power for it, relative to the power; (days,) kWh
        beyond the daily limit; (hours,) kWh of storage beyond what is not noticed.
    """
    true = device.store
    steps = len(true.hold)
    took, gave, scratch = np.zeros(2), np.zeros(2), room_for_steps()
    s, worth, today, left = true.start, device.constant, -1, device.day_kwh
    over[:] = -device.day_kwh
    hours[:] = -device.hour_kwh
    strict = device.day_usd == np.inf
    before = fined = 0.0
    for k in range(steps + 1):
        if k < steps and device.day[k] != today:
            today, left, fined = device.day[k], device.day_kwh, 0.0
        if k < steps and (k == 0 or answer.piece[k] != answer.piece[k - 1]):
            if k > 0:
                answer.worth[answer.piece[k - 1]] = worth - before
                before = worth
            answer.held[answer.piece[k]] = s
            answer.spent[answer.piece[k]] = device.day_kwh - left if device.day_kwh < np.inf else 0.0
        if s < true.lo[k]:
            worth -= (true.lo[k] - s) * true.ext_price
            s = true.lo[k]
        if k == steps:
            break
        s_next = step(store, policy, k, s, took, gave, scratch)
        over[today - device.day[0]] += gave[0] * device.grid_kwh[0]
        if strict:
            cut = min(max(0.0, gave[0] - left / device.grid_kwh[0]), true.hi[k + 1] - s_next)
            gave[0] -= cut
            s_next += cut
        if not strict:
            fine = device.day_usd * (min(left, 0.0) - min(left - gave[0] * device.grid_kwh[0], 0.0))
            worth -= fine
            # a piece that ends before the day does is not fined for it: what counts is the sum of the day
            before -= fine
            fined += fine
            if k == steps - 1 or device.day[k + 1] != today:
                before += fined
        left -= gave[0] * device.grid_kwh[0]
        hours[device.hour[k]] += gave[device.storage] * device.grid_kwh[device.storage]
        used = (gave[0] * device.shares[0] + gave[1] * device.shares[1]) * device.eta / dt
        by_energy = max(0.0, (s_next - device.empty[k]) * device.eta / reserve_h)
        by_power = device.power[k] - (used if device.busy[k] else 0.0)
        pull[k] = (by_energy - by_power) / max(device.power[k], 1e-9) if device.rho[k] > 0.0 else 0.0
        q = max(0.0, min(by_power, by_energy)) if device.rho[k] > (dear[k] if device.busy[k] else 0.0) else 0.0
        worth += device.rho[k] * dt * q
        for j in range(2):
            worth += gave[j] * true.out_m[k, j] - took[j] * true.in_m[k, j]
        worth += true.hold[k] * s_next
        used = q if device.busy[k] else 0.0
        answer.sold[k] = (gave[0] * device.grid_kwh[0] + gave[1] * device.grid_kwh[1]) / dt + used
        met = gave[0] * device.meter_kwh[0] + gave[1] * device.meter_kwh[1] - (took[0] + took[1]) / device.eta
        answer.met[k] = met / dt + used
        worth -= true.short[k] * max(true.wanted[k] - s_next, 0.0)
        s = s_next
    answer.worth[-1] = worth - before + true.end * s
    for k in range(steps):
        if k == 0 or device.hour[k] != device.hour[k - 1]:
            noticed = device.hour_usd * max(hours[device.hour[k]], 0.0)
            answer.worth[answer.piece[k]] -= noticed
            worth -= noticed
    return worth + true.end * s


@kernel
def improve(
    device: Device,
    prices: Prices,
    reserve_h: float,
    dt: float,
    rounds: int,
    patience: int,
    gap: float,
    pace: NDArray[np.float64],
    answer: Answer,
) -> tuple[float, float]:
    """Move the prices of one device, those of what is shared excepted; return (upper, lower) USD.

    Parameters
    ----------
    device, prices : Device, Prices
        The device and the prices to start from; the best are left in `prices`.
    reserve_h, dt : float
        Hours of energy behind reserve; length of a step, h.
    rounds, patience, gap : int, int, float
        See `ceilings.ROUNDS`, `ceilings.PATIENCE`, `ceilings.GAP`.
    pace : ndarray
        (days,) USD/kWh by which theta moves in a round at most; see `ceilings.PACE`.
    answer : Answer
        Filled: the best plan.
    """
    steps = len(device.rho)
    upper, best, worth = np.inf, -np.inf, -np.inf
    trial = Prices(prices.share.copy(), prices.theta.copy(), prices.nu.copy(), prices.mu, prices.phi)
    days = len(prices.theta)
    pieces = len(answer.worth)
    now = Answer(np.empty(steps), np.empty(steps), answer.piece, np.zeros(pieces), np.zeros(pieces), np.zeros(pieces))
    pull, over, hours, dear = np.empty(steps), np.empty(days), np.empty(len(prices.nu)), prices.mu + prices.phi
    size, stale = 0.5, 0
    for _ in range(rounds):
        store = priced(device, trial, reserve_h, dt)
        policy = backward(store, steps, int(np.int64(0)))  # a literal 0 would be compiled as a variant of its own
        bound = ceiling(device, trial, policy.value, reserve_h, dt)
        if bound < upper - 1e-9 * (1.0 + abs(bound)):
            upper, stale = bound, 0
            _copy(trial, prices)
        else:
            stale += 1
            if stale >= patience:
                size, stale = size / 2.0, 0
                _copy(prices, trial)
        made = plan(device, store, policy, dear, reserve_h, dt, now, pull, over, hours)
        # what the plan is worth where congestion has its price
        toll = 0.0
        for k in range(steps):
            toll += now.sold[k] * prices.mu[k] + now.met[k] * prices.phi[k]
        paid = made - dt * toll
        if paid > best:
            best, worth = paid, made
            for k in range(steps):
                answer.sold[k], answer.met[k] = now.sold[k], now.met[k]
            for j in range(pieces):
                answer.worth[j], answer.held[j], answer.spent[j] = now.worth[j], now.held[j], now.spent[j]
        if upper - best <= gap * max(abs(upper), 1e-3):
            break
        for k in range(steps):
            trial.share[k] = min(1.0, max(0.0, trial.share[k] - size * min(1.0, max(-1.0, pull[k]))))
        if device.day_kwh < np.inf:
            for d in range(len(over)):
                theta = trial.theta[d] + pace[d] * size * over[d] / max(device.day_kwh, 1e-3)
                trial.theta[d] = min(device.day_usd, max(0.0, theta))
        if device.hour_usd > 0.0:
            for h in range(len(hours)):
                nu = trial.nu[h] + size * device.hour_usd * min(1.0, hours[h] / device.hour_kwh)
                trial.nu[h] = min(device.hour_usd, max(0.0, nu))
    return upper, worth
