"""What public prices say about the next opportunity: a distribution, from published and past ones only.

A bid is a limit: it clears in every interval whose price reaches its ask. What a bid is worth therefore depends on
the spread of real-time prices, spikes above all, and not on the day-ahead price alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp_env import MarketRules, Public
from vpp_policies.agentic.negotiation import FULL, Negotiation, Notice

EDGES = np.concatenate(
    [np.linspace(0.0, 0.9, 25), [0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.9925, 0.995, 0.9975, 1.0]]
)
"""Quantiles between which a sample is averaged: finer towards the top, because a bid at .20 earns most of its money in
the dearest hundredth of the intervals."""
WEIGHT = np.diff(EDGES)
"""(K,) probability of each price of an outlook."""
PERSISTENCE = 0.6
"""Share of the last real-time surprise that is still there an hour later: its autocorrelation at that lag, without
spikes, is .65-.75 in the synthetic months of seeds 1 and 2 (docs/agentic.md); rounded down."""
LAG = 4
"""Steps: one hour."""
CLIP = 0.3
"""USD/kWh: no surprise is carried on further than this."""
PREMIUM, PREMIUM_FROM = 0.4, 0.06
"""In dear hours real time comes in below day ahead: a first guess, corrected by what the band below has seen. Share of
the day-ahead price above .06 USD/kWh that real time does not reach [assumed; seeds 1 to 6 show .3-.5]."""
WINDOW = 28 * 96
"""Past intervals that are looked at: four weeks."""
BAND = 2.0
"""Of these, intervals whose day-ahead price was between half and twice that of the hour in question."""
LEAST = 0.01
"""USD/kWh: day-ahead prices below it are taken as it where something is scaled."""
PRIOR = (-0.03, -0.02, -0.015, -0.01, -0.01, -0.005, -0.005, 0.0, 0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05) * 3 + (
    0.25,
)
"""Surprises, USD/kWh, at a day-ahead price of .06: count as half a day of history, so that the first day has an outlook
[assumed; most are small, and one interval in fifty is far above]."""
DEAR_HOURS = 6
"""Hours to come that stored energy may be kept for: a battery lasts for one to three."""
PRIOR_RHO_SHARE = 0.04
"""Price of reserve as a share of the day-ahead price before there is a history (CAISO spin, 2-4 %) [assumed]."""
WINDOW_HOURS = 12
"""Batteries are refilled in the cheapest of the next 12 hours: that far are a day's cheap hours from its dear ones."""


def bins(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (K,) means of the sorted `sample` (any length above 0) between the quantiles `EDGES`, ascending."""
    ordered = np.sort(sample)
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    # the integral of the sample as a step function, at fractional edges
    at = EDGES * len(ordered)
    whole = np.minimum(at.astype(np.int64), len(ordered) - 1)
    upto = total[whole] + (at - whole) * ordered[whole]
    return np.diff(upto) / np.diff(at)


def first_guess(day_ahead: NDArray[np.float64]) -> NDArray[np.float64]:
    """Real-time price (any shape) that a day-ahead price suggests, USD/kWh."""
    return day_ahead - PREMIUM * np.maximum(day_ahead - PREMIUM_FROM, 0.0)


@dataclass(frozen=True)
class History:
    """Past intervals of the window, (t,) USD/kWh."""

    day_ahead: NDArray[np.float64]
    surprise: NDArray[np.float64]  # real time less first guess
    fresh: NDArray[np.float64]  # surprise less what an hour before let expect
    carried: float  # what the last surprise lets expect now


def history(public: Public) -> History:
    """Read the past prices."""
    day_ahead = public.past_da_usd_per_kwh[-WINDOW:]
    surprise = public.past_rt_usd_per_kwh[-WINDOW:] - first_guess(day_ahead)
    carried = PERSISTENCE * np.clip(surprise, -CLIP, CLIP)
    fresh = surprise.copy()
    fresh[LAG:] -= carried[:-LAG]
    return History(day_ahead, surprise, fresh, float(carried[-1]) if len(carried) else 0.0)


def _sample(level: float, day_ahead: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Surprises at about the day-ahead price `level`: the prior and the band, scaled to it."""
    level = max(level, LEAST)
    prior = np.asarray(PRIOR) * np.clip(level / PREMIUM_FROM, 1.0, 2.5)
    near = (day_ahead >= level / BAND) & (day_ahead <= level * BAND)
    return np.concatenate([prior, values[near] * (level / np.maximum(day_ahead[near], LEAST))])


def real_time_prices(public: Public, past: History) -> NDArray[np.float64]:
    """(K,) real-time prices of the opportunity, USD/kWh, ascending; an announced programme adds to each."""
    level = public.expected_lmp
    added = public.expected_sale_price - level
    return added + bins(first_guess(np.asarray(level)) + past.carried + _sample(level, past.day_ahead, past.fresh))


def later_prices(past: History, dear: NDArray[np.float64]) -> NDArray[np.float64]:
    """(h, K) real-time prices of hours to come, whose day-ahead prices are `dear` (h,), USD/kWh."""
    if not len(dear):
        return np.zeros((0, len(WEIGHT)))
    return first_guess(dear)[:, None] + bins(_sample(float(dear.mean()), past.day_ahead, past.surprise))


def reserve_prices(public: Public, products: tuple[str, ...]) -> NDArray[np.float64]:
    """(K,) prices of the best upward reserve product, USD/kW-h, ascending."""
    up = [public.past_reserve_usd_per_kw_h[p][-WINDOW:] for p in products if p != "regdown"]
    if not up:
        return np.zeros(len(WEIGHT))
    # reserve is scarce when energy is: its price moves with the day-ahead price of the same hour
    sample = np.full(16, PRIOR_RHO_SHARE * max(public.expected_lmp, LEAST))
    if len(up[0]):
        best = np.max(up, axis=0)
        share = best / np.maximum(public.past_da_usd_per_kwh[-WINDOW:], LEAST)
        sample = np.concatenate([sample, share * max(public.expected_lmp, LEAST)])
    return bins(sample)


def _hours_left_today(public: Public) -> float:
    end = public.start.normalize() + np.timedelta64(1, "D")
    midnight = end.tz_localize(None).normalize().tz_localize(public.start.tz)
    return float((midnight - public.start).total_seconds() / 3600.0)


def notice(public: Public, rules: MarketRules, max_rounds: int) -> Notice:
    """Make the announcement from public data."""
    steps = public.steps
    per_hour = 4
    past = history(public)
    after = public.da_usd_per_kwh[steps:]
    whole = len(after) // per_hour * per_hour
    hourly = after[:whole].reshape(-1, per_hour).mean(axis=1)
    today = max(0, round(_hours_left_today(public) - public.hours))
    return Notice(
        opportunity_id=f"opp-{public.opportunity:05d}",
        start=public.start.isoformat(),
        hours=public.hours,
        day_ahead=public.expected_lmp,
        weight=WEIGHT,
        price=real_time_prices(public, past),
        rho=reserve_prices(public, rules.products),
        later=later_prices(past, np.sort(hourly[:today])[::-1][:DEAR_HOURS]),
        cheap=hourly,
        required_kw=public.required_kw,
        # what is agreed may clear in any size where the minimum is one of offers
        min_bid_kw=rules.min_bid_kw if rules.minimum == "award" else 0.0,
        margin=rules.margin,
        revenue_share=rules.revenue_share,
        products=rules.products,
        max_rounds=max_rounds,
        safeguard=rules.safeguard,
    )


def later_price(negotiation: Negotiation) -> NDArray[np.float64]:
    """(N,) USD/kWh: what the energy of this opportunity is expected to bring later today.

    A battery that lasts for n hours at the agreed power sells in the n dearest hours; selling now takes the place of
    the least of them.
    """
    kw, span = negotiation.declared.kw[FULL], negotiation.notice.hours
    dear = np.maximum(negotiation.notice.later @ negotiation.notice.weight, 0.0)
    total = np.concatenate([[0.0], np.cumsum(dear)])
    knots = np.arange(len(total), dtype=np.float64)
    hours = np.full(kw.shape, np.inf)
    np.divide(negotiation.declared.energy_kwh, kw, out=hours, where=kw > 0)
    last = np.minimum(hours, len(dear) + span)
    got = np.interp(last, knots, total) - np.interp(np.maximum(last - span, 0.0), knots, total)
    return np.where(np.isfinite(hours), got / span, 0.0)


def buy_limits(negotiation: Negotiation) -> NDArray[np.float64]:
    """(N,) USD/kWh: buy now only at what the needed hours will cost later, never above the declared limit."""
    declared, hourly = negotiation.declared, negotiation.notice.cheap[:WINDOW_HOURS]
    if not len(hourly):
        return declared.buy_limit
    later = np.arange(1, len(hourly) + 1)
    reach = np.where(later <= declared.due_hours[:, None] - 1.0, hourly, np.inf)
    ordered = np.sort(reach, axis=1)
    # only whole hours to come can be counted on
    need = np.ceil(declared.buy_hours).astype(np.int64)
    pick = np.clip(need, 1, len(hourly)) - 1
    price = np.take_along_axis(ordered, pick[:, None], axis=1)[:, 0]
    return np.minimum(declared.buy_limit, np.where(need > len(hourly), np.inf, price))


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
