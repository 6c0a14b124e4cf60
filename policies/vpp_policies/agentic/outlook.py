"""The aggregator's announcement: what is for sale, and what public prices say about it.

A bid is a limit: it clears in every interval whose price reaches its ask. What a bid is worth therefore depends on
the spread of real-time prices, spikes above all. The spread is that of the price model behind the homes' values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpp_env import MarketRules, Public
from vpp_policies.agentic.negotiation import Notice
from vpp_policies.evening import evening_bonus
from vpp_policies.forecast import QUARTERS, Forecaster


def _ascending(
    value: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    order = np.argsort(value, axis=None, kind="stable")
    return value.ravel()[order], weight.ravel()[order]


def _hours_left_today(public: Public) -> float:
    # a clock may skip its own midnight, or show it twice
    end = public.start.tz_localize(None).normalize() + np.timedelta64(1, "D")
    midnight = end.tz_localize(public.start.tz, ambiguous=True, nonexistent="shift_forward")
    return float((midnight - public.start).total_seconds() / 3600.0)


def notice(public: Public, rules: MarketRules, forecaster: Forecaster) -> Notice:
    """Make the announcement from public data."""
    forecast = forecaster(public, 1)
    weight = forecast.weight[0]
    # an announced programme, and a promise that is called, add to what a sale brings
    added = public.expected_sale_price - public.expected_lmp + float(evening_bonus(public, rules, 1)[0])
    energy = _ascending(forecast.price[0] + added, np.repeat(weight[:, None] / QUARTERS, QUARTERS, axis=1))
    held = _ascending(forecast.reserve[0] * bool(rules.products), weight)
    after = public.da_usd_per_kwh[public.steps :]
    hourly = after[: len(after) // QUARTERS * QUARTERS].reshape(-1, QUARTERS).mean(axis=1)
    today = max(0, round(_hours_left_today(public) - public.hours))
    return Notice(
        opportunity_id=f"opp-{public.opportunity:05d}",
        start=public.start.isoformat(),
        hours=public.hours,
        day_ahead=public.expected_lmp,
        weight=energy[1],
        price=energy[0],
        rho_weight=held[1],
        rho=held[0],
        later=np.sort(hourly[:today])[::-1],
        required_kw=public.required_kw,
        # what is agreed may clear in any size where the minimum is one of offers
        min_bid_kw=rules.min_bid_kw if rules.minimum == "award" else 0.0,
        margin=rules.margin,
        revenue_share=rules.revenue_share,
        products=rules.products,
        safeguard=rules.safeguard,
    )


def expected(
    price: NDArray[np.float64],
    weight: NDArray[np.float64],
    ask: NDArray[np.float64],
    margin: float,
    least: float = -np.inf,
) -> NDArray[np.float64]:
    """Expected surplus over the ask of one unit offered as a limit.

    Parameters
    ----------
    price, weight : ndarray
        (K,) prices, ascending, and their probabilities.
    ask : ndarray
        (N,).
    margin : float
        The offer is ask x (1 + margin).
    least : float
        Prices below it clear nothing (the award would be below the market's minimum).

    Returns
    -------
    ndarray
        (N,) sum over k of weight_k (price_k - ask) where the offer clears.
    """
    # ascending prices: what clears is a tail, whose value and probability come from one cumulative sum each
    value = np.concatenate([np.cumsum((price * weight)[::-1])[::-1], [0.0]])
    chance = np.concatenate([np.cumsum(weight[::-1])[::-1], [0.0]])
    first = np.searchsorted(price, np.maximum(ask * (1.0 + margin), least), side="left")
    return value[first] - chance[first] * ask


def least_price(kw: NDArray[np.float64], ask: NDArray[np.float64], margin: float, min_kw: float) -> float:
    """Lowest price at which the offers that clear reach `min_kw`; inf when they never do."""
    if min_kw <= 0.0:
        return -np.inf
    order = np.argsort(ask, kind="stable")
    reached = np.searchsorted(np.cumsum(kw[order]), min_kw - 1e-9)
    return float(ask[order[reached]] * (1.0 + margin)) if reached < len(order) else np.inf


def cautious(weight: NDArray[np.float64], risk: float) -> NDArray[np.float64]:
    """(K,) probabilities of ascending prices under `risk`: (1 - risk) x mean + risk x mean of the lower half.

    A spectral risk measure (Acerbi 2002): coherent, and linear in the program.
    """
    risk = float(np.clip(risk, 0.0, 1.0))
    lower = np.minimum(np.cumsum(weight), 0.5)
    return (1.0 - risk) * weight + risk * np.diff(lower, prepend=0.0) / 0.5
