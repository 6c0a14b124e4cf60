"""The `rules` brain: documented concession strategies, deterministic, no key and no network.

home        threshold(r) = own x (1 + markup x (1 - (r / R) ** (1 / beta)))      never below `own`
aggregator  limit(r)     = target + (cap - target) x (r / R) ** (1 / beta)
            offer(r)     = min(limit(r), last ask - what the home gave way in the round before)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_env import (
    POWER_QUANTUM_KW,
    PRICE_TICK,
    RESERVE_ASK_RANGE,
    RESERVE_TICK,
    SELL_ASK_RANGE,
    Homes,
    Information,
    MarketRules,
    Public,
    View,
)
from vpp_policies.agentic.negotiation import (
    FULL,
    AggregatorBrain,
    AggregatorTerms,
    Declared,
    NegotiationOptions,
    NegotiationRound,
    Notice,
    Offer,
    ProsumerBrain,
    Response,
)
from vpp_policies.evening import Promise, able_kw
from vpp_policies.forecast import make_forecaster
from vpp_policies.stochastic.policy import ValueBids
from vpp_policies.truthful import envelope_kwh, own_offers

TICKS = np.array([PRICE_TICK, PRICE_TICK, RESERVE_TICK])[:, None]
"""Prices are agreed on whole ticks of the market, (3, 1)."""
SPANS = np.array([SELL_ASK_RANGE[1], SELL_ASK_RANGE[1], RESERVE_ASK_RANGE[1]])[:, None]
"""Highest ask that a bid can hold, (3, 1)."""
FIRST_STEP = 0.04
"""Share that the aggregator asks for in the first round, before it has seen a home give way."""


def up(price: NDArray[np.float64]) -> NDArray[np.float64]:
    """NegotiationRound (3, N) prices up to whole ticks."""
    return np.ceil(price / TICKS - 1e-6) * TICKS


def _given(share: float, beta: float) -> float:
    """Share of the way given at `share` of the time: 0 at the start, 1 at the end."""
    return float(np.clip(share, 0.0, 1.0) ** (1.0 / beta))


def own_lines(
    homes: Homes, public: Public, rules: MarketRules, values: ValueBids | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """A home's own truth, from its own truthful offer.

    Parameters
    ----------
    homes, public, rules :
        The gate.
    values : ValueBids, optional
        What storage asks and pays for; None: what the owners ask.

    Returns
    -------
    kw, ask : ndarray
        (3, N): quantities, and own asks (reservation prices) on whole ticks.
    now : dict
        The offer behind them.
    """
    now = own_offers(homes, public, rules)
    if values is not None:
        now = values.offers(View(public, Information.DECLARED, homes), now)
    car, full, reserve = now["sell1_kw"], now["sell1_kw"] + now["sell2_kw"], now["reserve_kw"]
    if not rules.safeguard:
        # reserve is held to what lasts through the opportunity, like a sale; a car without storage offers as reserve
        # what it can defer in every interval
        reserve = np.minimum(np.minimum(homes.reserve_kw, homes.defer_kw + homes.storage_sell_kw), full)
    ask = np.stack([now["sell1_ask"], now["sell2_ask"], now["reserve_ask"]])
    return np.stack([car, full, reserve]), up(ask), now


class RulesProsumer:
    """The homes' side: open above the own ask, give way towards it, never accept less.

    Parameters
    ----------
    markup : float or ndarray
        Opening markup over the own ask; (N,) where homes differ.
    beta : float
        Shape of the concession.
    values : ValueBids, optional
        The month's: the own ask is then what the home's energy is worth, never below its owner's. None: its owner's.
    """

    def __init__(self, markup: float | NDArray[np.float64], beta: float, values: ValueBids | None = None) -> None:
        self._markup, self._beta, self._values = markup, beta, values
        self._own = np.zeros((3, 0))

    def declare(self, homes: Homes, public: Public, rules: MarketRules) -> Declared:
        """Bid what the owner's preferences allow; the own ask itself stays private."""
        kw, own, now = own_lines(homes, public, rules, self._values)
        self._own = own
        buy = now["buy_kw"]
        kw[kw < POWER_QUANTUM_KW] = 0.0
        can = ~homes.blackout_now & ((kw > 0).any(axis=0) | (buy >= POWER_QUANTUM_KW))
        left = envelope_kwh(homes, rules)
        return Declared(
            available=can,
            kw=kw * can,
            ask=up(np.minimum(own * (1.0 + self._markup), np.maximum(own, SPANS))),
            energy_kwh=np.where(homes.bess_kwh > 0, left, np.inf),
            buy_kw=buy * can,
            # what a full car leaves of a buy award goes into the battery, at the battery's limit; a gateway sees to it
            buy_limit=np.where(
                (homes.bess_kwh > 0) & (not rules.safeguard),
                np.minimum(now["buy_limit"], homes.buy_limit),
                now["buy_limit"],
            ),
            evening_kw=able_kw(homes, rules),
        )

    def respond(
        self, homes: Homes, public: Public, rules: MarketRules, offer: Offer, of_rounds: int, declared: Declared
    ) -> Response:
        """Accept what reaches this round's threshold; else ask for the threshold."""
        own = self._own
        markup = self._markup * (1.0 - _given(offer.round / of_rounds, self._beta))
        threshold = np.minimum(up(own * (1.0 + markup)), declared.ask)
        accepted = offer.to & (offer.price >= threshold - 1e-9)
        return Response(accepted=accepted, counter=threshold)


class RulesAggregator:
    """The VPP's side: start at what the day-ahead price pays, hold out, mirror the homes' last concession.

    Parameters
    ----------
    beta : float
        Shape of the concession.
    """

    def __init__(self, beta: float) -> None:
        self._beta = beta

    def opening(self, notice: Notice, declared: Declared) -> AggregatorTerms:
        """Target: the members' revenue share of the expected price. Cap: the dearest ask that a bid can hold."""
        # members get this share of the price in any case: up to it an ask costs the VPP nothing at the expected price
        price, rho = float(notice.price @ notice.weight), float(notice.rho @ notice.rho_weight)
        target = notice.revenue_share * np.array([price, price, rho])
        # an ask is a limit: it clears only where the price covers it and the margin, so the last offer goes to the top
        top = np.array([SELL_ASK_RANGE[1], SELL_ASK_RANGE[1], RESERVE_ASK_RANGE[1]])
        return AggregatorTerms(
            target=np.clip(target, 0.0, top),
            cap=top,
            order=np.lexsort((np.arange(len(declared.available)), declared.ask[FULL], ~declared.available)),
        )

    def counter_offer(self, notice: Notice, declared: Declared, terms: AggregatorTerms, now: NegotiationRound) -> Offer:
        """Offer the limit of this round, or what one more concession of the same size would bring if that is less."""
        given = _given(now.number / notice.max_rounds, self._beta if terms.beta is None else terms.beta)
        limit = terms.target + (terms.cap - terms.target) * given
        first = FIRST_STEP if terms.first_step is None else terms.first_step
        asks, gave = now.asks, now.earlier - now.asks
        step = np.where(now.earlier > asks, gave, first * asks if now.number == 1 else 0.0)
        price = np.minimum(np.maximum(limit, 0.0)[:, None], up(np.maximum(asks - step, 0.0)))
        return Offer(round=now.number, price=price, kw=declared.kw, to=_asked(now.is_open, terms))

    def accepts(self, notice: Notice, terms: AggregatorTerms, asks: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Take every final ask that the market's bid can hold: as a limit it costs nothing where it does not clear."""
        return _asked(asks <= terms.cap[:, None] + 1e-9, terms)


def _asked(lines: NDArray[np.bool_], terms: AggregatorTerms) -> NDArray[np.bool_]:
    """Keep the lines (3, N) of those who are asked at all."""
    return lines if terms.asked is None else lines & terms.asked


def values_of(rules: MarketRules, options: NegotiationOptions) -> ValueBids | None:
    """Return the values of a month's homes; None without them (an ablation)."""
    return None if "values" in options.left_out else ValueBids(rules, make_forecaster("learned"), Promise(rules))


class RulesBrain:
    """Both sides by rules; nothing is counted and nothing said beside the negotiation."""

    guided = False

    def __init__(self, negotiation: NegotiationOptions) -> None:
        self._options = negotiation

    def begin(self, rules: MarketRules) -> tuple[AggregatorBrain, ProsumerBrain]:
        """Return the two sides; they remember nothing."""
        options = self._options
        return RulesAggregator(options.aggregator_beta), RulesProsumer(
            options.markup, options.home_beta, values_of(rules, options)
        )

    def collect(self) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Nothing."""
        return {}, []
