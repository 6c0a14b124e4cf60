"""What knowing a price before it is public brings a store, charged for: dual penalties for `U_na`.

A policy without foresight knows the state s_t of a device at the start of step t before the price of that step. So

    z_t(s_t) = M_t (s_t - r_t),     M_t = J'_t(r_t; x_t) - E J'_t(r_t; x)

has mean 0 along whatever such a policy does: r_t, the state of a reference, is known before step t, and so is the law
of x_t, the shares of nodes of the price (`PriceLaw`), with which E is an exact sum. Who knows all prices, however,
gains less from r - z than from r alone, if J is close to what the state is worth (Brown, Smith and Sun 2010): taking z
off leaves a tighter ceiling. z is linear in s_t, so the store stays a store: M_t lowers what holding at the end of step
t - 1 earns, and the rest is a constant. z is 0 along the reference: a month's luck stays in the ceiling, as it is in
what policies earn, so that their ratio has the smaller error.

    J_t(s; b, a) = max over s'  Gamma_t(s - s'; price of (b, a)) + hold_t s' - short_t [wanted_t - s']+ + V_t+1(s'; b)
    V_t(s; b) = sum over b' of turn_t(b, b') sum over a of within(b', a) J_t(s; b', a)

Any J gives a valid ceiling. So V is written down on a grid, J' is a difference quotient, and the shadow prices in J are
those of the mean path of prices; but nothing in it may depend on a price before it is public.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import PriceLaw, kernel
from vpp_env.jit import inlined, internal
from vpp_policies.optimal.storage import IN, OUT, Store, hull, steepen

PIECES = 16
"""Equal pieces between a store's limits on which V is linear."""
ROOM = PIECES + 1
"""Segments that a step may need: the pieces, one of them divided."""


RARE = 1e-4
"""Chance below which a node is not worth a value of its own."""


class Faced(NamedTuple):
    """A store and the prices that it faces; K intervals."""

    store: Store  # at the mean price of every step, its shadow prices in its gains
    mean: NDArray[np.float64]  # (K,) USD/kWh
    in_by: NDArray[np.float64]  # (K, 2) by what in_m rises per USD/kWh of price
    out_by: NDArray[np.float64]  # (K, 2) the same of out_m


class Law(NamedTuple):
    """`PriceLaw` for kernels."""

    price: NDArray[np.float64]
    came: NDArray[np.float64]
    odds: NDArray[np.float64]
    within: NDArray[np.float64]
    turn: NDArray[np.float64]
    begin: NDArray[np.float64]
    chance: NDArray[np.float64]


class Penalty(NamedTuple):
    """What is taken off a device."""

    slope: NDArray[np.float64]  # (K,) M_t, USD per kWh held at the start of step t; 0 at the first one
    constant: float  # sum over t of - M_t r_t, USD


class Scratch(NamedTuple):
    """What kernels of one step write into."""

    one: Store  # a store of one step
    width: NDArray[np.float64]  # (ROOM,) segments of V and of what is held
    slope: NDArray[np.float64]
    hull_w: NDArray[np.float64]  # (4,)
    hull_m: NDArray[np.float64]
    part: NDArray[np.int64]


def for_kernels(law: PriceLaw) -> Law:
    """Return the arrays in one layout: a kernel compiles once."""
    return Law(*(np.ascontiguousarray(getattr(law, name)) for name in Law._fields))


@kernel
def scratch() -> Scratch:
    """Return room for one step."""
    z, two = np.zeros(1), np.zeros((1, 2))
    one = Store(
        z.copy(), z.copy(), z.copy(), 0.0, two.copy(), two.copy(), two.copy(), two.copy(), z.copy(), z.copy(), z.copy(),
        0.0, 0.0,
    )  # fmt: skip
    side = np.empty(IN + OUT), np.empty(IN + OUT), np.empty(IN + OUT, dtype=np.int64)
    return Scratch(one, np.empty(ROOM), np.empty(ROOM), side[0], side[1], side[2])


@inlined
def least(store: Store, k: int) -> float:
    """Least state at the start of step k, before charging elsewhere."""
    return store.lo[k] - store.ext[k]


@inlined
def load(store: Store, k: int, after: NDArray[np.float64], x: Scratch) -> tuple[int, float]:
    """Write V_k+1 (PIECES + 1,) and what holding earns in step k as segments; return how many, and J at their end."""
    low = least(store, k + 1)
    width, base, count = (store.hi[k + 1] - low) / PIECES, after[0] + store.hold[k] * low, 0
    if width > 1e-12:
        for g in range(PIECES):
            x.width[g], x.slope[g] = width, (after[g + 1] - after[g]) / width + store.hold[k]
        count = PIECES
    if store.short[k] > 0.0 and store.wanted[k] > low:
        base -= store.short[k] * (store.wanted[k] - low)
        count = steepen(x.width, x.slope, 0, count, store.wanted[k] - low, store.short[k])
    return count, base


@inlined
def face(faced: Faced, k: int, price: float, x: Scratch) -> int:
    """Write down the hull of step k at a price; return its segments."""
    store, more = faced.store, price - faced.mean[k]
    for j in range(IN):
        x.one.in_w[0, j], x.one.in_m[0, j] = store.in_w[k, j], store.in_m[k, j] + more * faced.in_by[k, j]
    for j in range(OUT):
        x.one.out_w[0, j], x.one.out_m[0, j] = store.out_w[k, j], store.out_m[k, j] + more * faced.out_by[k, j]
    return hull(x.one, 0, x.hull_w, x.hull_m, x.part)


@inlined
def step_values(
    store: Store,
    k: int,
    count: int,
    base: float,
    n: int,
    at: NDArray[np.float64],
    weight: float,
    out: NDArray[np.float64],
    x: Scratch,
) -> None:
    """Add to `out` `weight` times J_k at ascending states `at`, from what `_load` and `_face` left.

    Segments of V and of the hull are met in the order of their slopes; beyond its domain J goes on along its ends.
    """
    left, value = least(store, k + 1), base
    for j in range(IN):
        if store.in_w[k, j] > 0.0:
            left -= store.in_w[k, j]
            value -= store.in_w[k, j] * x.one.in_m[0, j]
    i = h = 0
    slope = 0.0
    right = left
    for g in range(len(at)):
        s = max(at[g], store.lo[k])
        while right < s and (i < count or h < n):
            value += (right - left) * slope
            left = right
            if h >= n or (i < count and x.slope[i] >= x.hull_m[h]):
                slope = x.slope[i]
                right += x.width[i]
                i += 1
            else:
                slope = x.hull_m[h]
                right += x.hull_w[h]
                h += 1
        # what is below the limit was charged elsewhere
        out[g] += weight * (value + (s - left) * slope - (s - at[g]) * store.ext_price)


@inlined
def _idle(store: Store, k: int) -> bool:
    """Whether nothing can be taken in or given out in step k."""
    return max(store.in_w[k, 0], store.in_w[k, 1], store.out_w[k, 0], store.out_w[k, 1]) <= 0.0


@kernel
def values(faced: Faced, law: Law) -> NDArray[np.float64]:
    """Return V (K + 1, B, PIECES + 1): the start of each step, the kind of the step before, equally spaced states."""
    steps, kinds, _ = law.price.shape
    out = np.zeros((steps + 1, kinds, PIECES + 1))
    _values(faced, law, out, np.empty(PIECES + 1), np.empty((kinds, PIECES + 1)), scratch())
    return out


@internal
def _values(
    faced: Faced,
    law: Law,
    out: NDArray[np.float64],
    at: NDArray[np.float64],
    mixed: NDArray[np.float64],
    x: Scratch,
) -> None:
    """Add V to `out`, zeros; `at` (PIECES + 1,), `mixed` (B, PIECES + 1) and `x` are written into."""
    store = faced.store
    steps, kinds, nodes = law.price.shape
    for k in range(steps, -1, -1):
        low = least(store, k)
        for g in range(PIECES + 1):
            at[g] = low + (store.hi[k] - low) * g / PIECES
        if k == steps:
            for b in range(kinds):
                for g in range(PIECES + 1):
                    out[k, b, g] = store.end * at[g] - store.ext_price * max(store.lo[k] - at[g], 0.0)
            continue
        still = _idle(store, k)
        mixed[:] = 0.0
        for b in range(kinds):
            count, base = load(store, k, out[k + 1, b], x)
            for a in range(1 if still else nodes):
                n = face(faced, k, law.price[k, b, a], x)
                step_values(store, k, count, base, n, at, 1.0 if still else law.within[b, a], mixed[b], x)
        for b in range(kinds):
            for c in range(kinds):
                share = (1.0 - law.chance[k]) * law.turn[b, c] + law.chance[k] * law.begin[c]
                if share > 0.0:
                    for g in range(PIECES + 1):
                        out[k, b, g] += share * mixed[c, g]


@inlined
def _best(store: Store, k: int, count: int, n: int, s: float, x: Scratch) -> float:
    """State after the best action of step k, from what `_load` and `_face` left: every segment has its base stock."""
    low = least(store, k + 1)
    s_next = s
    for j in range(IN):
        s_next += max(store.in_w[k, j], 0.0)
    for j in range(n):
        level = low
        for i in range(count):
            if x.slope[i] < x.hull_m[j]:
                break
            level += x.width[i]
        s_next -= max(0.0, min(x.hull_w[j], s_next - level))
    return min(max(s_next, low), store.hi[k + 1])


@kernel
def penalty(faced: Faced, law: Law, value: NDArray[np.float64], lmp: NDArray[np.float64], wide: float) -> Penalty:
    """Follow the reference, the best action at every price that comes, and charge for what the price tells.

    Parameters
    ----------
    faced, law : Faced, Law
        The store and the law of prices.
    value : ndarray
        V of `values`.
    lmp : ndarray
        (K,) prices that came, USD/kWh.
    wide : float
        Share of the span between a store's limits to either side of the reference over which J' is a difference
        quotient: who knows the future seldom stays at the reference.
    """
    slope = np.zeros(len(lmp))
    room = np.empty(2), np.empty(2), np.empty(PIECES + 1)
    return Penalty(slope, _charge(faced, law, value, lmp, wide, slope, *room, scratch()))


@internal
def _charge(
    faced: Faced,
    law: Law,
    value: NDArray[np.float64],
    lmp: NDArray[np.float64],
    wide: float,
    slope: NDArray[np.float64],
    at: NDArray[np.float64],
    now: NDArray[np.float64],
    after: NDArray[np.float64],
    x: Scratch,
) -> float:
    """Fill `slope`, zeros, and return the constant of a penalty; the last four are written into."""
    store = faced.store
    steps, kinds, nodes = law.price.shape
    constant, s = 0.0, store.start
    for k in range(steps):
        # the slope between two states around the reference: who knows the future seldom stays at it
        low, span = least(store, k), store.hi[k] - least(store, k)
        at[0], at[1] = max(s - wide * span, low), min(s + wide * span, store.hi[k])
        # where nothing can be done the price is nothing to the store, but its kind tells of the next ones
        still = _idle(store, k)
        now[:] = 0.0
        for b in range(kinds):
            count, base = load(store, k, value[k + 1, b], x)
            n, more = 0, 0.0
            for a in range(nodes):
                more += law.came[k, b, a] - law.odds[k, b, a]
                # what hardly ever comes counts as its neighbour, which depends on what was known before alone
                if a < nodes - 1 and (still or law.odds[k, b, a] < RARE):
                    continue
                n = face(faced, k, law.price[k, b, a], x)
                step_values(store, k, count, base, n, at, more, now, x)
                more = 0.0
        if k > 0 and at[1] > at[0] + 1e-9:
            slope[k] = (now[1] - now[0]) / (at[1] - at[0])
        constant -= slope[k] * s
        after[:] = 0.0
        for b in range(kinds):
            share = 0.0
            for a in range(nodes):
                share += law.came[k, b, a]
            for g in range(PIECES + 1):
                after[g] += share * value[k + 1, b, g]
        count, _ = load(store, k, after, x)
        n = face(faced, k, lmp[k], x)
        s = _best(store, k, count, n, max(s, store.lo[k]), x)
    return constant
