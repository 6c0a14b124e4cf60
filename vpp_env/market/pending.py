"""Bids that wait for their delivery: the market takes them some opportunities before it plays them."""

from __future__ import annotations

from collections import deque

import numpy as np

from vpp_env.contract.bids import RESERVE_KW, SELL_KW
from vpp_env.units import POWER_QUANTUM_KW


class Waiting:
    """A queue of as many bids as there are opportunities between gate and delivery; the first ones are empty.

    Parameters
    ----------
    lead : int
        Opportunities between gate and delivery; 0: what goes in comes out.
    own : ndarray
        (2, E, N) the owners' asks, see `market.opportunity.play`.
    hours : float
        Length of an opportunity.
    """

    def __init__(self, lead: int, own: np.ndarray, hours: float) -> None:
        nothing = np.zeros((6, *own.shape[1:]), dtype=np.int64)
        self._queue = deque((nothing, own) for _ in range(lead))
        self._hours, self._homes = hours, own[0].size

    def swap(self, offers: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Put in decoded bids (6, E, N) with the asks that held when they were made; take out those to be played."""
        self._queue.append((offers, own))
        return self._queue.popleft()

    def pending_kwh(self) -> np.ndarray:
        """(E*N,) kWh that the waiting bids may take from each home at most."""
        pending = np.zeros(self._homes)
        for offers, _ in self._queue:
            pending += (offers[SELL_KW] + offers[RESERVE_KW]).ravel() * (POWER_QUANTUM_KW * self._hours)
        return pending
