"""What knowing coming real-time prices is worth: plans of the relaxation that know the next hours and nothing behind.

At every step a device takes the best action against the prices that it knows and, behind them, the value V of
`penalties`. These are plans, not ceilings: what they earn can be had in the relaxation (no minimum bid, every interval
for itself) by who knows as much, and more may be possible. Between the limits they are cut to what a device may do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpp_env import DT_H, Foresight, Homes, PriceLaw, kernel
from vpp_policies.optimal.devices import Goal, devices
from vpp_policies.optimal.no_foresight import facing
from vpp_policies.optimal.penalties import (
    PIECES,
    Faced,
    Law,
    face,
    for_kernels,
    least,
    load,
    scratch,
    step_values,
    values,
)
from vpp_policies.optimal.shadow import Answer, plan, priced
from vpp_policies.optimal.storage import IN, OUT, BaseStock, Store

KNOWN = {
    "what came before": 0,
    "and the interval's own price": 1,
    "and the next hour": 5,
    "and the next 4 hours": 17,
    "and the next 24 hours": 97,
}
"""What is known of real-time prices -> intervals, the present one included."""


@kernel
def _levels(faced: Faced, law: Law, value: NDArray[np.float64], lmp: NDArray[np.float64], known: int) -> BaseStock:
    """Base stocks of every step, from the prices of `known` steps and V behind them.

    `faced` is the store at the prices that count as known: what came, or with `known` 0 what was expected.
    """
    store = faced.store
    steps, kinds, nodes = law.price.shape
    levels = np.zeros((steps, IN + OUT))
    after, next_after, at, x = np.empty(PIECES + 1), np.empty(PIECES + 1), np.empty(PIECES + 1), scratch()
    for k in range(steps):
        last = min(k + max(known, 1), steps) - 1
        share = law.came[last] if known > 0 else law.odds[last]
        after[:] = 0.0
        for b in range(kinds):
            for a in range(nodes):
                for g in range(PIECES + 1):
                    after[g] += share[b, a] * value[last + 1, b, g]
        for t in range(last, k, -1):
            count, base = load(store, t, after, x)
            n = face(faced, t, lmp[t], x)
            low = least(store, t)
            for g in range(PIECES + 1):
                at[g] = low + (store.hi[t] - low) * g / PIECES
            next_after[:] = 0.0
            step_values(store, t, count, base, n, at, 1.0, next_after, x)
            after[:] = next_after
        count, _ = load(store, k, after, x)
        n = face(faced, k, lmp[k], x)
        for j in range(n):
            levels[k, j] = least(store, k + 1)
            for i in range(count):
                if x.slope[i] < x.hull_m[j]:
                    break
                levels[k, j] += x.width[i]
    return BaseStock(0.0, levels, np.zeros((0, 0)))


def ladder(homes: Homes, foresight: Foresight, goal: Goal, capacity_kw: float, law: PriceLaw) -> dict[str, float]:
    """Return what the devices earn in the relaxation under each of `KNOWN`, USD; no maximum of the VPP.

    Parameters
    ----------
    homes, foresight, goal, capacity_kw, law
        As in `bracket_without_foresight`.
    """
    found, all_faced = facing(homes, foresight, goal, capacity_kw, law)
    compiled, none = for_kernels(law), np.zeros((foresight.n_steps, 2))
    lmp = np.array(foresight.lmp)
    expected = (compiled.odds * compiled.price).sum(axis=(1, 2))
    earned = dict.fromkeys(KNOWN, 0.0)
    for d, device in enumerate(devices(homes, foresight, goal)):
        value = values(all_faced[d], compiled)
        actual = priced(device, found.prices(d), found.reserve_h, DT_H)
        steps, size = len(lmp), (len(found.thetas[d]), len(found.nus[d]))
        for name, known in KNOWN.items():
            store, prices = (actual, lmp) if known else (_expecting(all_faced[d], expected), expected)
            policy = _levels(Faced(store, prices, none, none), compiled, value, prices, known)
            answer = Answer(np.empty(steps), np.empty(steps), np.zeros(steps, dtype=np.int64), *np.empty((3, 1)))
            books = answer, np.empty(steps), np.empty(size[0]), np.empty(size[1])
            earned[name] += plan(device, store, policy, np.zeros(steps), found.reserve_h, DT_H, *books)
    return earned


def _expecting(faced: Faced, price: NDArray[np.float64]) -> Store:
    """Return the store at other prices."""
    more = (price - faced.mean)[:, None]
    store = faced.store
    return store._replace(in_m=store.in_m + more * faced.in_by, out_m=store.out_m + more * faced.out_by)
