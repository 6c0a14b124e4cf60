"""Merit-order clearing of one side on integers, in O(N): the piece that every market shares."""

from __future__ import annotations

import numpy as np

from vpp_env.jit import kernel


@kernel
def clear_side(
    quanta: np.ndarray,
    tick: np.ndarray,
    highest: np.ndarray,
    cap: np.ndarray,
    award: np.ndarray,
    last: np.ndarray,
) -> None:
    """Award the cheapest offers up to a price and a cap, pro rata at the marginal tick.

    Parameters
    ----------
    quanta, tick : ndarray
        (E, N) int64: offered quantity and its price, for E independent markets.
    highest : ndarray
        (E,) int64: offers above this tick do not clear.
    cap : ndarray
        (E,) int64: most quanta that may be awarded.
    award : ndarray
        (E, N) int64, filled. At the marginal tick of a binding cap every offer gets the same share, rounded down:
        the result does not depend on the order of homes, and at most N - 1 quanta of the cap stay unused.
    last : ndarray
        (E,) int64, filled: the highest tick awarded; `highest + 1` when nothing is.
    """
    for e in range(quanta.shape[0]):
        total = 0
        low = highest[e] + 1
        top = low
        for i in range(quanta.shape[1]):
            award[e, i] = 0
            if quanta[e, i] > 0 and tick[e, i] <= highest[e]:
                award[e, i] = quanta[e, i]
                total += quanta[e, i]
                if top > highest[e] or tick[e, i] > top:
                    top = tick[e, i]
                low = min(low, tick[e, i])
        last[e] = top
        if total <= cap[e]:
            continue
        histogram = np.zeros(top - low + 1, dtype=np.int64)
        for i in range(quanta.shape[1]):
            if award[e, i] > 0:
                histogram[tick[e, i] - low] += award[e, i]
        left = cap[e]
        marginal = low
        while histogram[marginal - low] <= left:
            left -= histogram[marginal - low]
            marginal += 1
        at_margin = histogram[marginal - low]
        last[e] = highest[e] + 1
        for i in range(quanta.shape[1]):
            if tick[e, i] > marginal:
                award[e, i] = 0
            elif tick[e, i] == marginal and award[e, i] > 0:
                award[e, i] = award[e, i] * left // at_margin
            if award[e, i] > 0 and (last[e] > highest[e] or tick[e, i] > last[e]):
                last[e] = tick[e, i]
