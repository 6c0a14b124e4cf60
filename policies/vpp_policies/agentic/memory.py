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

from vpp_env import Answers, Offers, Terms
from vpp_env.units import Flags, Floats

DOUBT = 0.02
"""Weight that an impossible reservation price keeps [assumed]."""
KEPT = 0.95
"""Probability that an owner accepts what it has asked for itself [assumed]."""
TRUE = 0.5
"""Probability that an owner who asks for more has asked for no more than it needs [assumed]."""
POINTS = 33
"""Of a grid."""
PREMIUM = ((0.05, 0.15), (0.02, 0.08), (0.0, 0.03))
"""Premiums in the owners' asks, USD/kWh, by profile."""
RANGES: dict[str, tuple[tuple[float, float], ...]] = {
    "price": PREMIUM,  # below the own ask
    "floor_price": ((0.02, 0.08), (0.008, 0.04), (0.002, 0.016)),
    "overuse_price": ((0.10, 0.20), (0.06, 0.15), (0.03, 0.10)),
    "blackout_price": ((0.5, 1.5), (0.3, 1.0), (0.1, 0.5)),
}
"""Ranges of the reservation prices by profile; of the price of what lies between it and the own ask."""


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

    def reservation(self, name: str, own: Floats) -> Floats:
        """(N, K) possible reservation prices, `own` (N,) being what the owners ask by themselves."""
        grid = self.grid[name]
        return np.maximum(own[:, None] - grid, 0.0) if name == "price" else np.broadcast_to(grid, (self._n, POINTS))

    def chance(self, name: str, price: Floats, own: Floats) -> Floats:
        """(N,) probability that `price` (N,) is enough."""
        return (self.belief[name] * (self.reservation(name, own) <= price[:, None] + 1e-9)).sum(axis=1)

    def best(self, name: str, own: Floats, worth: Floats) -> tuple[Floats, Floats]:
        """(N,) the price with the highest expected gain of VPP and owner together, and (N,) the chance that it does.

        A unit is used where its value v, taken to be uniform from 0 to `worth`, is above the price x that is agreed,
        and then brings v - r, r being the owner's reservation price. So the gain of x is in proportion to

            sum over r <= x of P(r) [(worth - r)^2 - (x - r)^2]

        and what the price gives to one side or the other is no part of it.

        Parameters
        ----------
        name : str
            The term.
        own : ndarray
            (N,) what the owners ask by themselves.
        worth : ndarray
            (N,) most that a unit of it is worth.
        """
        grid = self.reservation(name, own)
        order = np.argsort(grid, axis=1, kind="stable")
        r = np.take_along_axis(grid, order, axis=1)
        p = np.take_along_axis(self.belief[name], order, axis=1)
        worth, asked = worth[:, None], self.asked[name]
        chance = np.cumsum(p, axis=1)
        # (worth - r)^2 - (x - r)^2 = worth^2 - x^2 - 2 r (worth - x)
        gain = (worth**2 - r**2) * chance - 2.0 * (worth - r) * np.cumsum(p * r, axis=1)
        told = np.where(r < asked[:, None] - 1e-9, 1.0 - TRUE, 1.0)
        gain, chance = np.where(r < worth, gain, 0.0) * told, chance * told
        at = gain.argmax(axis=1)
        rows = np.arange(self._n)
        # who has said what it would take gets that, unless less is worth trying
        takes = asked < worth[:, 0]
        at_asked = np.where(takes, KEPT * (worth[:, 0] - np.where(takes, asked, 0.0)) ** 2, 0.0)
        kept = at_asked > gain[rows, at]
        return np.where(kept, asked, r[rows, at]), np.where(kept, KEPT, chance[rows, at])

    def learn(self, own: Terms, offers: Offers, answers: Answers, bought: dict[str, Flags]) -> None:
        """Update by a round of answers.

        Parameters
        ----------
        own : Terms
            What the owners ask by themselves.
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
            at = self.reservation(name, getattr(own, name))
            enough = np.where(raised, said, offered)[:, None]
            fits = (at <= enough + 1e-9) & ~(raised[:, None] & (at <= offered[:, None] + 1e-9))
            likely = np.where(fits, 1.0, DOUBT) * self.belief[name]
            likely /= likely.sum(axis=1, keepdims=True)
            self.belief[name] = np.where(heard[:, None], likely, self.belief[name])
            self.asked[name] = np.where(raised & heard, said, np.where(heard, np.inf, self.asked[name]))
