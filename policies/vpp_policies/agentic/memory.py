"""What the aggregator remembers of every owner: beliefs about its reservation prices, updated by its answers.

For each home and each priced term there is a grid of possible reservation prices with their probabilities. Priors are
the ranges of the model's three profiles, a third each (docs/model.md, section 3); they are public, the draws are not.

    accepted at x       the reservation price is x or less
    countered with c    of a term that was raised: above x and at most c; of the others x or less
    refused without c   nothing

What contradicts keeps the weight `DOUBT`: owners' costs move with prices from week to week. A counter-offer is kept as
it was said: taken up, it is accepted with the probability `KEPT`, and with `TRUE` nothing less is.
"""

from __future__ import annotations

import numpy as np

from vpp_env import Answers, Offers
from vpp_env.units import Flags, Floats

DOUBT = 0.02
"""Weight that an impossible reservation price keeps [assumed]."""
KEPT = 0.95
"""Probability that an owner accepts what it has asked for itself [assumed]."""
TRUE = 0.5
"""Probability that an owner who asks for more has asked for no more than it needs [assumed]."""
POINTS = 33
"""Of a grid."""
RANGES: dict[str, tuple[tuple[float, float], ...]] = {
    "price": ((0.003, 0.017), (0.0017, 0.008), (0.0, 0.0033)),  # hassle by the hour, of 6 kW, beyond what a kWh costs
    "floor_price": ((0.02, 0.08), (0.008, 0.04), (0.002, 0.016)),
    "overuse_price": ((0.10, 0.20), (0.06, 0.15), (0.03, 0.10)),
}
"""Ranges of the reservation prices by profile, USD per unit; of the price of what it is above wear and refilling."""


def _prior(ranges: tuple[tuple[float, float], ...]) -> tuple[Floats, Floats]:
    """(K,) grid and (K,) probabilities of a mixture of uniform distributions."""
    top = max(high for _, high in ranges)
    grid = np.linspace(0.0, top, POINTS)
    step = grid[1]
    weight = np.zeros(POINTS)
    for low, high in ranges:
        inside = (grid >= low - step / 2) & (grid <= high + step / 2)
        weight += inside / inside.sum()
    return grid, weight / weight.sum()


class Memory:
    """Beliefs about N owners."""

    def __init__(self, n: int) -> None:
        self._n = n
        self.forget()

    def forget(self) -> None:
        """Return to the priors."""
        self.grid: dict[str, Floats] = {}
        self.belief: dict[str, Floats] = {}  # (N, K)
        self.asked: dict[str, Floats] = {}  # (N,) what the owner asked for last; inf: never
        for name, ranges in RANGES.items():
            grid, weight = _prior(ranges)
            self.grid[name], self.belief[name] = grid, np.tile(weight, (self._n, 1))
            self.asked[name] = np.full(self._n, np.inf)

    def best(self, name: str, base: Floats, worth: Floats, sure: float) -> tuple[Floats, Flags]:
        """(N,) the price with the highest expected gain of VPP and owner together, and (N,) whether there is one.

        A unit is used where its value v, taken to be uniform from 0 to `worth`, is above the price x that is agreed,
        and then brings v - r, r being the owner's reservation price. So the gain of x is in proportion to

            sum over r <= x of P(r) [(worth - r)^2 - (x - r)^2]

        and what the price gives to one side or the other is no part of it.

        Parameters
        ----------
        name : str
            The term.
        base : ndarray
            (N,) what the grid is above: of the price what a kWh costs by wear and refilling, else 0.
        worth : ndarray
            (N,) most that a unit of it is worth.
        sure : float
            Probability with which it must be enough.
        """
        r, p = base[:, None] + self.grid[name], self.belief[name]
        worth, asked = worth[:, None], self.asked[name]
        chance = np.cumsum(p, axis=1)
        # (worth - r)^2 - (x - r)^2 = worth^2 - x^2 - 2 r (worth - x)
        gain = (worth**2 - r**2) * chance - 2.0 * (worth - r) * np.cumsum(p * r, axis=1)
        told = np.where(np.isfinite(asked)[:, None] & (r < asked[:, None] - 1e-9), 1.0 - TRUE, 1.0)
        gain = np.where((r < worth) & (chance * told >= sure), gain, 0.0) * told
        at = gain.argmax(axis=1)
        rows = np.arange(self._n)
        # who has said what it would take gets that, unless less is worth trying
        takes = asked < worth[:, 0]
        at_asked = np.where(takes, KEPT * (worth[:, 0] - np.where(takes, asked, 0.0)) ** 2, 0.0)
        kept = at_asked > gain[rows, at]
        return np.where(kept, asked, r[rows, at]), kept | (gain[rows, at] > 0.0)

    def learn(self, cost: Floats, offers: Offers, answers: Answers, bought: dict[str, Flags]) -> None:
        """Update by a round of answers.

        Parameters
        ----------
        cost : ndarray
            (N,) what a kWh costs by wear and refilling.
        offers, answers :
            The round.
        bought : dict
            Term -> (N,) bool: whose offer asked for the concession that the term prices.
        """
        for name in RANGES:
            heard = offers.to & (answers.accepted | answers.countered) & bought.get(name, offers.to)
            if not heard.any():
                continue
            offered, said = getattr(offers.terms, name), getattr(answers.terms, name)
            raised = answers.countered & (said > offered + 1e-9)
            at = (cost if name == "price" else np.zeros(self._n))[:, None] + self.grid[name]
            enough = np.where(raised, said, offered)[:, None]
            fits = (at <= enough + 1e-9) & ~(raised[:, None] & (at <= offered[:, None] + 1e-9))
            likely = np.where(fits, 1.0, DOUBT) * self.belief[name]
            likely /= likely.sum(axis=1, keepdims=True)
            self.belief[name] = np.where(heard[:, None], likely, self.belief[name])
            self.asked[name] = np.where(raised & heard, said, np.where(heard, np.inf, self.asked[name]))
