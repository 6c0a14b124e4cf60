"""One storage device against known prices, solved exactly: dynamic programming on a concave piecewise-linear value.

A device holds s kWh. In step k it may take energy in along up to two segments (width kWh, cost USD per kWh taken in)
and give energy out along up to two (width, gain per kWh given), all in kWh of the store itself:

    V_k(s) = max over s'  Gamma_k(s - s') + hold_k s' - short_k [wanted_k - s']+ + V_k+1(s'),     lo_k+1 <= s' <= hi_k+1

Gamma_k is the concave hull of "take in" and "give out": a store does one of the two in a step. V_k is then concave and
piecewise linear, and one backward step is a supremal convolution: the segments of Gamma_k are merged into those of
V_k+1 by slope, and the domain is cut to [lo_k, hi_k]. Being short of what is wanted costs: the segments below it get
steeper, which keeps their order. Nothing is discretised. The best action has the form of a base stock:
each segment moves the store towards a level of its own, where what follows has the segment's price as slope.

A segment `ext_k` at the start of a step takes energy in at a price of its own (a car that comes home with less than
its trip needed was charged elsewhere); it carries states from below lo_k up to it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import kernel
from vpp_env.jit import inlined, internal

IN, OUT = 2, 2
"""Segments on each side."""


class Store(NamedTuple):
    """One device over K intervals; kWh of the store, USD per kWh of the store."""

    lo: NDArray[np.float64]  # (K + 1,) least at the start of a step
    hi: NDArray[np.float64]  # (K + 1,) most
    ext: NDArray[np.float64]  # (K + 1,) kWh below lo from which `ext_price` brings it up at the start of the step
    ext_price: float
    in_w: NDArray[np.float64]  # (K, 2) widths
    in_m: NDArray[np.float64]  # (K, 2) costs
    out_w: NDArray[np.float64]  # (K, 2) widths
    out_m: NDArray[np.float64]  # (K, 2) gains
    hold: NDArray[np.float64]  # (K,) gain per kWh held at the end of the step
    wanted: NDArray[np.float64]  # (K,) kWh at the end of the step below which it is short
    short: NDArray[np.float64]  # (K,) USD per kWh short, not below 0
    end: float  # gain per kWh held at the very end
    start: float  # kWh now


class BaseStock(NamedTuple):
    """What `backward` leaves behind."""

    value: float  # V_0(start)
    level: NDArray[np.float64]  # (K, 4) base stock of each pooled segment of the hull
    grid: NDArray[np.float64]  # (K // every + 1, G) V at equally spaced states between lo and hi, USD


@inlined
def _insert(width: NDArray[np.float64], slope: NDArray[np.float64], first: int, count: int, w: float, m: float) -> int:
    """Merge a segment into the descending slopes at [first, first + count); return the new count."""
    if w <= 0.0:
        return count
    j = first + count
    while j > first and slope[j - 1] < m:
        width[j], slope[j] = width[j - 1], slope[j - 1]
        j -= 1
    width[j], slope[j] = w, m
    return count + 1


@inlined
def _merge(
    width: NDArray[np.float64],
    slope: NDArray[np.float64],
    first: int,
    count: int,
    w: NDArray[np.float64],
    m: NDArray[np.float64],
    n: int,
    offset: float,
) -> int:
    """Merge n segments of descending slopes, `offset` off them, into those at [first, first + count); as `_insert`."""
    j = first + count
    for i in range(n - 1, -1, -1):
        less = m[i] - offset
        while j > first and slope[j - 1] < less:
            width[j + i], slope[j + i] = width[j - 1], slope[j - 1]
            j -= 1
        width[j + i], slope[j + i] = w[i], less
    return count + n


@inlined
def _dearer(first: float, second: float, rank: int) -> int:
    """Index of the dearer (rank 0) or the cheaper (rank 1) of two segments at these prices."""
    return rank if first >= second else 1 - rank


@inlined
def hull(store: Store, k: int, w: NDArray[np.float64], m: NDArray[np.float64], part: NDArray[np.int64]) -> int:
    """Write down the concave hull of step k: pooled segments from "take everything in" to "give everything out".

    Fills widths `w` and descending slopes `m` of the pooled segments, and for the four segments (in 0, in 1, out 0,
    out 1) the pooled one that each is `part` of (-1: it has no width); returns how many there are.
    """
    n = 0
    for j in range(IN + OUT):
        if j < IN:
            i = _dearer(store.in_m[k, 0], store.in_m[k, 1], j)
            width, price, segment = store.in_w[k, i], store.in_m[k, i], i
        else:
            i = _dearer(store.out_m[k, 0], store.out_m[k, 1], j - IN)
            width, price, segment = store.out_w[k, i], store.out_m[k, i], IN + i
        part[segment] = -1
        if width <= 0.0:
            continue
        w[n], m[n] = width, price
        part[segment] = n
        n += 1
        while n > 1 and m[n - 2] < m[n - 1]:
            both = w[n - 2] + w[n - 1]
            m[n - 2] = (w[n - 2] * m[n - 2] + w[n - 1] * m[n - 1]) / both
            w[n - 2] = both
            n -= 1
            for i in range(IN + OUT):
                part[i] = min(part[i], n - 1)
    return n


@inlined
def steepen(
    width: NDArray[np.float64], slope: NDArray[np.float64], first: int, count: int, below: float, by: float
) -> int:
    """Make the segments at [first, first + count) steeper by `by` up to `below` kWh; return the new count.

    A segment across `below` is divided: there must be room for one more.
    """
    left = below
    for j in range(first, first + count):
        if left <= 1e-12:
            break
        if width[j] > left + 1e-12:
            for i in range(first + count, j, -1):
                width[i], slope[i] = width[i - 1], slope[i - 1]
            width[j + 1] -= left
            width[j] = left
            count += 1
        left -= width[j]
        slope[j] += by
    return count


@internal
def _sample(
    low: float,
    base: float,
    width: NDArray[np.float64],
    slope: NDArray[np.float64],
    offset: float,
    at: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Write V at ascending states `at`; outside its domain V continues along its end slopes."""
    n = len(width)
    j, left, value = 0, low, base
    for g in range(len(at)):
        while j < n and left + width[j] < at[g]:
            value += width[j] * (slope[j] + offset)
            left += width[j]
            j += 1
        step = slope[min(j, n - 1)] + offset if n > 0 else 0.0
        out[g] = value + (at[g] - left) * step


@kernel
def backward(store: Store, every: int, points: int) -> BaseStock:
    """Solve the device from the end to now.

    Parameters
    ----------
    store : Store
        The device.
    every, points : int
        V is written at the start of every `every`-th step, at `points` states (0: not at all).

    Returns
    -------
    BaseStock
        `value` is -inf when the start cannot be kept within the limits.
    """
    steps = len(store.hold)
    levels = np.zeros((steps, IN + OUT))
    w, m, part = np.empty(IN + OUT), np.empty(IN + OUT), np.zeros(IN + OUT, dtype=np.int64)
    grid = np.zeros((steps // every + 1 if points > 0 else 0, points))
    at = np.empty(points)
    # room for all that is ever added: arrays that grow would be counted references in the loop, half of its time
    size = (IN + OUT + 2) * (steps + 1)
    width, slope = np.empty(size), np.empty(size)
    first, count, offset = 0, 0, 0.0
    low, base = store.lo[steps], store.end * store.lo[steps]
    high = store.hi[steps]
    count = _insert(width, slope, first, count, high - low, store.end)
    for k in range(steps, -1, -1):
        if k < steps:
            hold = store.hold[k]
            offset += hold
            base += hold * low
            if store.short[k] > 0.0 and store.wanted[k] > low:
                base -= store.short[k] * (store.wanted[k] - low)
                count = steepen(width, slope, first, count, store.wanted[k] - low, store.short[k])
            n = hull(store, k, w, m, part)
            # slopes of the hull descend, and so each level is reached from the one before
            level, i = low, first
            for j in range(n):
                # where the store is indifferent it neither takes in nor gives out
                only_in = part[IN] != j and part[IN + 1] != j
                while i < first + count:
                    if slope[i] + offset < m[j] or (only_in and slope[i] + offset <= m[j]):
                        break
                    level += width[i]
                    i += 1
                levels[k, j] = level
            count = _merge(width, slope, first, count, w, m, n, offset)
            for j in range(IN):
                if store.in_w[k, j] > 0.0:
                    low -= store.in_w[k, j]
                    base -= store.in_w[k, j] * store.in_m[k, j]
            for j in range(OUT):
                high += max(store.out_w[k, j], 0.0)
            # cut the domain
            gone = store.lo[k] - low
            while gone > 0.0 and count > 0:
                cut = min(gone, width[first])
                base += cut * (slope[first] + offset)
                low += cut
                gone -= cut
                width[first] -= cut
                if width[first] > 0.0:
                    break
                first, count = first + 1, count - 1
            gone = high - store.hi[k]
            while gone > 0.0 and count > 0:
                last = first + count - 1
                cut = min(gone, width[last])
                high -= cut
                gone -= cut
                width[last] -= cut
                if width[last] > 0.0:
                    break
                count -= 1
        if points > 0 and k % every == 0:
            for g in range(points):
                at[g] = store.lo[k] + (store.hi[k] - store.lo[k]) * g / max(points - 1, 1)
            _sample(low, base, width[first : first + count], slope[first : first + count], offset, at, grid[k // every])
        if store.ext[k] > 0.0:
            count = _insert(width, slope, first, count, store.ext[k], store.ext_price - offset)
            low -= store.ext[k]
            base -= store.ext[k] * store.ext_price
    slack = 1e-9 * (1.0 + abs(store.start))
    value = np.zeros(1)
    if low - slack <= store.start <= high + slack:
        at0 = np.full(1, min(max(store.start, low), high))
        _sample(low, base, width[first : first + count], slope[first : first + count], offset, at0, value)
    else:
        value[0] = -np.inf
    return BaseStock(value[0], levels, grid)


class Room(NamedTuple):
    """What `step` writes into: it is made once and not at every step."""

    w: NDArray[np.float64]  # (4,) each
    m: NDArray[np.float64]
    part: NDArray[np.int64]
    done: NDArray[np.float64]


@kernel
def room_for_steps() -> Room:
    """Return room for `step`."""
    segments = IN + OUT
    return Room(np.empty(segments), np.empty(segments), np.empty(segments, dtype=np.int64), np.empty(segments))


@inlined
def step(
    store: Store, policy: BaseStock, k: int, s: float, took: NDArray[np.float64], gave: NDArray[np.float64], room: Room
) -> float:
    """Take the best action of step k in state s; fill `took`, `gave` (2,) kWh, and return the next state.

    Beginning with everything taken in, each pooled segment moves the store down to its base stock. Inside a segment
    that pools taking in and giving out both happen in part: the one place where a plan of the hull is no plan of the
    store itself.
    """
    w, m, part, done = room
    n = hull(store, k, w, m, part)
    least, most = store.lo[k + 1] - store.ext[k + 1], store.hi[k + 1]
    s_next = s
    for j in range(IN):
        s_next += max(store.in_w[k, j], 0.0)
    for j in range(n):
        down = max(0.0, min(w[j], s_next - min(max(policy.level[k, j], least), most)))
        done[j] = down / w[j]
        s_next -= down
    for i in range(IN + OUT):
        share = done[part[i]] if part[i] >= 0 else 0.0
        if i < IN:
            took[i] = (1.0 - share) * store.in_w[k, i] if part[i] >= 0 else 0.0
        else:
            gave[i - IN] = share * store.out_w[k, i - IN]
    return s_next
