"""`fleet`: `stochastic` home by home, and one price of what the homes share: firm evening capacity.

A commitment is paid for what is delivered of it, and taken back twice where that is less than half. So it is a
newsvendor's: with q the evening's delivery, which is not known the day before,

    commit   argmax_c  E [ min(q, .75 c) - 2 c 1{q < c / 2} ],     c = 0 or the market's minimum or more

q = a R: a is the mean over past evenings of what the homes have declared that they could give, R what evenings of
training seeds delivered of it when everything was committed (`evenings.json`, made by `vpp-env fit-evenings`). Feeders
and the minimum on offers have a price of zero here: what they cost is measured in docs/stochastic.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from vpp_env import Bids, Consent, Information, MarketRules, PolicyError, PolicyInfo, View
from vpp_env.units import Floats
from vpp_policies.evening import able_kw
from vpp_policies.stochastic.policy import Stochastic

DEFAULT_EVENINGS = Path(__file__).parent / "evenings.json"
LEAST_PERFORMANCE, CLAWBACK = 0.5, 2.0
"""Share of a commitment below which its day's pay is taken back, and how often (docs/market.md)."""
LOAD = 0.75
"""Share of a commitment that an evening with more to give delivers: a call dispatches up to the commitment in each
interval, and what it does not take of the first ones is not all there in the last. [assumed]: on ten evenings of
training seed 10100 `stochastic` committed less than could be given; three gave .71 to .79 of it, on seven prices
were so high that more was sold."""
SPREAD = 0.1
"""How far (log) another fleet's evenings may lie beside those of the training seeds. Of 0, .1, .15, .2 and .3 the best,
each training seed held against the others."""
POINTS = 15
"""Of the normal distribution that stand for the spread."""


@dataclass(frozen=True)
class Evenings:
    """What called evenings of training seeds delivered, as a share of what the homes had declared before."""

    ratio: Floats  # (J,)
    weight: Floats  # (J,) sums to 1: seeds weigh alike
    source: str  # seeds and scenario
    command: str  # what makes it again

    def spread(self) -> tuple[Floats, Floats]:
        """(J `POINTS`,) ratios, each with others around it, and weights."""
        points = ndtri((np.arange(POINTS) + 0.5) / POINTS)
        return np.outer(self.ratio, np.exp(SPREAD * points)).ravel(), np.repeat(self.weight / POINTS, POINTS)


def load_evenings(path: Path) -> Evenings:
    """Read a file made by `vpp-env fit-evenings`.

    Raises
    ------
    PolicyError
        When it is none.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        ratio, weight = (np.array(data[key], dtype=np.float64) for key in ("ratio", "weight"))
        source, command = str(data["source"]), str(data["command"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"{path} holds no evenings: {error!r}. `vpp-env fit-evenings` makes such a file.") from error
    good = ratio.ndim == 1 and len(ratio) and ratio.shape == weight.shape and np.isfinite(ratio).all()
    if not good or not np.isclose(weight.sum(), 1.0) or (weight < 0.0).any():
        raise PolicyError(f"{path}: ratio and weight must be as many numbers, 1 or more, weights with the sum 1")
    return Evenings(ratio, weight / weight.sum(), source, command)


def best_commitment(delivers: Floats, weight: Floats, least: float, most: float) -> float:
    """Return the commitment, kW, that is expected to be paid most; 0 where none is expected to be paid.

    Parameters
    ----------
    delivers, weight : ndarray
        (J,) kW that evenings may deliver, and their weights.
    least, most : float
        Allowed commitments, kW; 0 is too.
    """
    # expected pay bends at q / LOAD and falls behind q / LEAST_PERFORMANCE only: its best is at one of these or an end
    tried = np.concatenate([delivers / LOAD, delivers / LEAST_PERFORMANCE, [least, most]])
    tried = np.unique(np.clip(tried, least, most))
    short = delivers < LEAST_PERFORMANCE * tried[:, None]
    pays = (np.minimum(delivers, LOAD * tried[:, None]) - CLAWBACK * tried[:, None] * short) @ weight
    best = int(np.argmax(pays))
    return float(tried[best]) if pays[best] > 0.0 else 0.0


class Declared:
    """What the homes have declared on past evenings that they could give."""

    def __init__(self, rules: MarketRules) -> None:
        self._rules = rules
        self._past: list[float] = []

    def mean_kw(self, view: View) -> float | None:
        """Take note of the evening that begins; kW, mean of all before. Call it at every gate; None before any."""
        start = view.public.start
        if start.hour == int(self._rules.capacity_hours[0]) and start.minute == 0:
            self._past.append(float(able_kw(view.homes, self._rules).sum()))
        return float(np.mean(self._past)) if self._past else None


class Fleet:
    """`stochastic`, with firm capacity committed by what training evenings delivered.

    Parameters
    ----------
    forecaster : str
        See `Stochastic`.
    evenings : str, optional
        A file made by `vpp-env fit-evenings`; default: the one in the package.
    """

    info = PolicyInfo(
        name="fleet",
        information=Information.DECLARED,
        consent=Consent.OWN_BIDS,
        description="stochastic, and evening capacity committed by what evenings of training seeds delivered",
    )

    def __init__(self, forecaster: str = "learned", evenings: str | None = None) -> None:
        self._homes = Stochastic(forecaster)
        found = load_evenings(DEFAULT_EVENINGS if evenings is None else Path(evenings).expanduser())
        self._ratio, self._weight = found.spread()

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month."""
        self._rules = rules
        self._declared = Declared(rules)
        self._homes.reset(rules, rng)

    def act(self, view: View) -> Bids:
        """Bid for the next opportunity."""
        return replace(self._homes.act(view), capacity=self._commitment(view))

    def _commitment(self, view: View) -> float | None:
        """KW for tomorrow's evening where its gate is open."""
        rules = self._rules
        if rules.capacity_usd_per_kw_month <= 0.0:
            return None
        able = self._declared.mean_kw(view)
        if able is None or not view.public.capacity_gate:
            return None
        return best_commitment(able * self._ratio, self._weight, rules.min_bid_kw, rules.max_capacity_kw)
