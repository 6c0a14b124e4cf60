"""The value of what a battery holds, hour by hour, when prices are not known: one stochastic dynamic program a home.

    W_h(x, d) = max_l  E_n [ V_h+1(min(X, x + s_h + y_n), d) - price paid - e sun absorbed / eta ]
    V_h(x, d) = max_{a >= a0} E_n [ (price - w) g_n - delta over_n + W_h(x - g_n / eta, d - g_n) + r rho_h (1 - n / 4) ]
                - phi [F - x]+

x kWh lie above what must be kept (X at most), d kWh may still be given today; n of the hour's four quarters clear
an ask a or a limit l; g_n = min(n P dt, x eta, d) is given and y_n = min(X - x - s, n P dt eta) is taken; s_h is the
home's own sun, which earns e exported; r = min(P, 2 x eta, 2 d) stands by. The day's allowance is whole at midnight.
Where a contract has bought a part of the owner's wishes, F kWh of x lie below the owner's own floor, at phi USD per kWh
and hour, and the last `spare` kWh of d lie beyond the owner's own limit, of which over_n are used, at delta USD/kWh.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import numpy as np

from vpp_env.jit import inlined, internal, kernel
from vpp_env.units import DT_H, Floats, Ints
from vpp_policies.forecast import Forecast

ASKS = np.concatenate([np.arange(5, 20), np.arange(20, 32, 2), [35, 40, 50, 60, 75, 90]]) / 100.0
"""Asks that are tried, USD/kWh."""
LIMITS = np.array([-0.04, -0.02, -0.01, 0.0, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.05, 0.07, 0.1])
"""Limits that are tried, USD/kWh."""
X_POINTS, D_POINTS = 11, 6
"""Grid of what is held and of what may still be given; between points values are interpolated."""
QUARTERS = 4
T = TypeVar("T")


class Odds(NamedTuple):
    """How many quarters of H hours clear, for every ask and limit tried."""

    sells: Floats  # (H, 5, A) probability that n quarters clear
    sale: Floats  # (H, 5, A) mean price of those that clear, given n
    buys: Floats  # (H, 5, L)
    cost: Floats  # (H, 5, L)
    reserve: Floats  # (H,) expected USD/kW-h


def odds_of(forecast: Forecast, margin: float) -> Odds:
    """Count samples.

    Parameters
    ----------
    forecast : Forecast
        Of H hours.
    margin : float
        An ask clears at ask x (1 + margin) or above.
    """
    price, weight = forecast.price, forecast.weight
    sells, sale = _count(price, weight, ASKS * (1.0 + margin), 1.0)
    buys, cost = _count(price, weight, LIMITS, -1.0)
    return Odds(sells, sale, buys, cost, forecast.reserve_points)


def _count(price: Floats, weight: Floats, bid: Floats, sign: float) -> tuple[Floats, Floats]:
    """(H, 5, B) shares and (H, 5, B) mean prices of `Odds`, all bids at once."""
    hours = len(price)
    share, mean = np.zeros((hours, QUARTERS + 1, len(bid))), np.zeros((hours, QUARTERS + 1, len(bid)))
    clears = sign * price[:, None] >= sign * bid[:, None, None]  # (H, B, S, 4)
    n = clears.sum(axis=3)
    total = (price[:, None] * clears).sum(axis=3)
    for k in range(QUARTERS + 1):
        w = np.where(n == k, weight[:, None], 0.0)
        share[:, k] = w.sum(axis=2)
        if k:
            mean[:, k] = (w * total).sum(axis=2) / (k * np.maximum(share[:, k], 1e-12))
    return share, mean


class Battery(NamedTuple, Generic[T]):
    """One home's; kW, kWh, USD/kWh. `Battery[Floats]`: (N,) each."""

    kw: T
    room: T  # X: most above what the owner keeps
    day: T  # most it may give a day
    eta: T
    wear: T
    ask: T  # the owner's least
    limit: T  # the most that the owner pays; below `LIMITS[0]`: buys nothing
    standby: T  # the owner's least for an hour on reserve, USD/kW-h
    sun_price: T  # what exported sun earns
    refill: T  # what a kWh held is worth at the very end
    below: T  # F: kWh of the room that lie below the owner's own floor; 0 without a contract on it
    floor_price: T  # phi, USD per kWh and hour
    spare: T  # kWh of a day that lie beyond the owner's own limit; 0 without a contract on it
    overuse_price: T  # delta, USD per kWh


@inlined
def _at(values: Floats, x: float, d: float, battery: Battery[float]) -> float:
    """Bilinear value at (x, d)."""
    u = min(max(x / battery.room, 0.0), 1.0) * (X_POINTS - 1) if battery.room > 0.0 else 0.0
    v = min(max(d / battery.day, 0.0), 1.0) * (D_POINTS - 1) if battery.day > 0.0 else 0.0
    i, j = min(int(u), X_POINTS - 2), min(int(v), D_POINTS - 2)
    u, v = u - i, v - j
    low = values[i, j] + (values[i, j + 1] - values[i, j]) * v
    high = values[i + 1, j] + (values[i + 1, j + 1] - values[i + 1, j]) * v
    return low + (high - low) * u


@inlined
def _held(
    after: Floats, odds: Odds, h: int, sun: float, x: float, d: float, b: Battery[float], values: Floats
) -> tuple[float, int]:
    """W_h(x, d) and the limit that reaches it (-1: buy nothing); `values` (L,) is written into."""
    s = min(sun, b.room - x)
    base = -b.sun_price * s / b.eta
    best, which = base + _at(after, x + s, d, b), -1
    count = 0
    while count < len(LIMITS) and LIMITS[count] <= b.limit:
        count += 1
    values[:] = 0.0
    # what n quarters bring does not depend on the limit
    for n in range(QUARTERS + 1):
        y = min(b.room - x - s, n * b.kw * DT_H * b.eta)
        then = _at(after, x + s + y, d, b)
        # all bids beside each other, without a branch: what cannot happen has the weight 0
        share, cost = odds.buys[h, n], odds.cost[h, n]
        for at in range(len(values)):
            values[at] += share[at] * (then - cost[at] * y / b.eta)
    for at in range(count):
        if base + values[at] > best + 1e-12:
            best, which = base + values[at], at
    return best, which


@inlined
def _sold(held: Floats, odds: Odds, h: int, x: float, d: float, b: Battery[float], values: Floats) -> tuple[float, int]:
    """V_h(x, d) and the ask that reaches it (-1: offer nothing); `values` (A,) is written into."""
    able = min(x * b.eta, d)
    rho = odds.reserve[h] if odds.reserve[h] >= b.standby else 0.0
    stand = min(b.kw, 2.0 * able) * rho
    used = max(b.spare - d, 0.0)
    kept = b.floor_price * max(b.below - x, 0.0)
    best, which = stand + _at(held, x, d, b), -1
    first = 0
    while first < len(ASKS) and ASKS[first] < b.ask - 1e-9:
        first += 1
    values[:] = 0.0
    # what n quarters bring, beside their price, does not depend on the ask
    for n in range(QUARTERS + 1):
        g = min(n * b.kw * DT_H, able)
        over = b.overuse_price * (max(b.spare - d + g, 0.0) - used)
        then, stands = _at(held, x - g / b.eta, d - g, b), stand * (1.0 - n / QUARTERS)
        share, sale = odds.sells[h, n], odds.sale[h, n]
        for at in range(len(values)):
            values[at] += share[at] * ((sale[at] - b.wear) * g - over + then + stands)
    for at in range(first, len(ASKS)):
        if values[at] > best + 1e-12:
            best, which = values[at], at
    return best - kept, which


@kernel
def solve(odds: Odds, clock: Ints, sun: Floats, b: Battery[float], values: Floats) -> None:
    """Fill (H + 1, X, D) values at the start of each hour.

    Parameters
    ----------
    odds : Odds
        Of H hours.
    clock : ndarray
        (H,) clock hour of each.
    sun : ndarray
        (H,) kWh that the home's own sun would put into the battery.
    b : Battery
        The battery.
    values : ndarray
        (H + 1, X, D), filled.
    """
    hours = len(clock)
    held = np.zeros((X_POINTS, D_POINTS))
    after = np.zeros((X_POINTS, D_POINTS))
    asks, limits = np.zeros(len(ASKS)), np.zeros(len(LIMITS))
    for i in range(X_POINTS):
        for j in range(D_POINTS):
            values[hours, i, j] = b.refill * b.room * i / (X_POINTS - 1)
    for h in range(hours - 1, -1, -1):
        _tomorrow(values[h + 1], clock[h], after)
        for i in range(X_POINTS):
            for j in range(D_POINTS):
                x, d = b.room * i / (X_POINTS - 1), b.day * j / (D_POINTS - 1)
                held[i, j], _ = _held(after, odds, h, sun[h], x, d, b, limits)
        for i in range(X_POINTS):
            for j in range(D_POINTS):
                x, d = b.room * i / (X_POINTS - 1), b.day * j / (D_POINTS - 1)
                values[h, i, j], _ = _sold(held, odds, h, x, d, b, asks)


@internal
def _tomorrow(values: Floats, clock: int, after: Floats) -> None:
    """Copy `values`, the day's allowance whole again where the hour that ends is the last of a day."""
    for i in range(X_POINTS):
        for j in range(D_POINTS):
            after[i, j] = values[i, D_POINTS - 1 if clock == 23 else j]


@kernel
def solve_all(odds: Odds, clock: Ints, sun: Floats, batteries: Battery[Floats]) -> Floats:
    """Return (N, H + 1, X, D) values of N homes, 0 without a battery; `sun` is (H, N), the rest as in `solve`."""
    values = np.zeros((len(batteries.kw), len(clock) + 1, X_POINTS, D_POINTS))
    for i in range(len(batteries.kw)):
        if batteries.kw[i] > 0.0:
            solve(odds, clock, sun[:, i], one_of(batteries, i), values[i])
    return values


@internal
def one_of(batteries: Battery[Floats], i: int) -> Battery[float]:
    """Battery i of N."""
    b = batteries
    return Battery(
        b.kw[i], b.room[i], b.day[i], b.eta[i], b.wear[i], b.ask[i], b.limit[i], b.standby[i], b.sun_price[i],
        b.refill[i], b.below[i], b.floor_price[i], b.spare[i], b.overuse_price[i],
    )  # fmt: skip


@kernel
def values_at(values: Floats, x: Floats, d: Floats, batteries: Battery[Floats]) -> Floats:
    """(N, P) values of P states of each of N batteries: `values` (N, X, D), `x` and `d` (N, P) kWh; 0 without one."""
    found = np.zeros(x.shape)
    for i in range(x.shape[0]):
        if batteries.kw[i] > 0.0:
            battery = one_of(batteries, i)
            for p in range(x.shape[1]):
                found[i, p] = _at(values[i], x[i, p], d[i, p], battery)
    return found


class Choice(NamedTuple):
    """What the batteries of N homes bid for one hour, (N,) each."""

    ask: Ints  # index into `ASKS`; -1: offers nothing
    limit: Ints  # index into `LIMITS`; -1: buys nothing
    out: Floats  # kWh expected to be given
    into: Floats  # kWh expected to be taken, in the battery


@kernel
def bid_all(
    values: Floats, odds: Odds, clock: int, sun: Floats, state: tuple[Floats, Floats], batteries: Battery[Floats]
) -> Choice:
    """Best asks and limits of one hour.

    Parameters
    ----------
    values : ndarray
        (N, X, D) after the hour.
    odds : Odds
        Of this one hour.
    clock : int
        Its clock hour.
    sun : ndarray
        (N,) kWh.
    state : tuple of ndarray
        (N,) x and (N,) d at its start.
    batteries : Battery
        (N,) each; 0 kW where there is none.
    """
    n = len(batteries.kw)
    ask, limit = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    out, into = np.zeros(n), np.zeros(n)
    held, after = np.zeros((X_POINTS, D_POINTS)), np.zeros((X_POINTS, D_POINTS))
    asks, limits = np.zeros(len(ASKS)), np.zeros(len(LIMITS))
    for row in range(n):
        ask[row] = limit[row] = -1
        if batteries.kw[row] <= 0.0:
            continue
        b, x, d = one_of(batteries, row), state[0][row], state[1][row]
        _tomorrow(values[row], clock, after)
        for i in range(X_POINTS):
            for j in range(D_POINTS):
                there = b.room * i / (X_POINTS - 1), b.day * j / (D_POINTS - 1)
                held[i, j], _ = _held(after, odds, 0, sun[row], there[0], there[1], b, limits)
        _, ask[row] = _sold(held, odds, 0, x, d, b, asks)
        _, limit[row] = _held(after, odds, 0, sun[row], x, d, b, limits)
        for k in range(QUARTERS + 1):
            if ask[row] >= 0:
                out[row] += odds.sells[0, k, ask[row]] * min(k * b.kw * DT_H, x * b.eta, d)
            if limit[row] >= 0:
                into[row] += odds.buys[0, k, limit[row]] * min(k * b.kw * DT_H * b.eta, b.room - x)
    return Choice(ask, limit, out, into)
