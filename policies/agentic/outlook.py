"""What public prices say about the next opportunity: equally likely prices, from published and past ones only.

A bid is a limit: it clears in every interval whose price reaches its ask. What a bid is worth therefore depends on
the spread of real-time prices, spikes above all, and not on the day-ahead price alone.
"""

from __future__ import annotations

import numpy as np

from policies.agentic.state import Notice
from vpp_env.policy import Brief
from vpp_env.views import Public

BINS = 40
"""Equally likely prices; each is the mean of its share of the sample, so that spikes keep their weight."""
PERSISTENCE = 0.6
"""Share of the last real-time spread that is still there an hour later: the autocorrelation, at a lag of one hour,
of the synthetic CAISO spread without its spikes is .65-.75 (see docs/agentic.md); rounded down."""
LAG = 4
"""Steps: one hour."""
SPREAD_CLIP = 0.3
"""USD/kWh: spikes are carried on no further than this."""
WINDOW = 28 * 96
"""Past intervals that are looked at: four weeks."""
SCALE = 2.0
"""Spreads are scaled with the day-ahead price, by this factor at most: dear hours have the wider ones."""
PRIOR_SPREAD = (
    -0.03,
    -0.02,
    -0.015,
    -0.01,
    -0.01,
    -0.005,
    -0.005,
    0.0,
    0.0,
    0.005,
    0.01,
    0.015,
    0.02,
    0.03,
    0.05,
) * 3 + (0.25,)
"""Real-time less day-ahead price, USD/kWh: counts as half a day of history, so that the first day has an outlook
[assumed; most spreads are small, and one interval in fifty is far above]."""
DEAR_HOURS = 6
"""Hours to come that stored energy may be kept for: a battery lasts for one to three."""
LEAST = 0.01
"""USD/kWh: day-ahead prices below it are taken as it where something is scaled."""
PRIOR_RHO_SHARE = 0.04
"""Price of reserve as a share of the day-ahead price before there is a history (CAISO spin, 2-4 %) [assumed]."""


def bins(sample: np.ndarray, count: int = BINS) -> np.ndarray:
    """Return (count,) means of equal shares of the sorted `sample` (any length above 0), ascending."""
    ordered = np.sort(sample)
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    edges = np.linspace(0.0, len(ordered), count + 1)
    # the integral of the sample as a step function, at fractional edges
    whole = np.minimum(edges.astype(np.int64), len(ordered) - 1)
    upto = total[whole] + (edges - whole) * ordered[whole]
    return np.diff(upto) / np.diff(edges)


def _scale(level: float, past_da: np.ndarray) -> np.ndarray:
    """How much dearer an hour of day-ahead price `level` is than past intervals."""
    return np.clip(max(level, LEAST) / np.maximum(past_da, LEAST), 1.0 / SCALE, SCALE)


def later_prices(public: Public, dear: np.ndarray) -> np.ndarray:
    """(h, BINS) equally likely real-time prices of hours to come, whose day-ahead prices are `dear` (h,), USD/kWh."""
    sample = np.asarray(PRIOR_SPREAD)
    past_da = public.past_da_usd_per_kwh[-WINDOW:]
    if len(past_da) and len(dear):
        spread = public.past_rt_usd_per_kwh[-WINDOW:] - past_da
        sample = np.concatenate([sample, spread * _scale(float(dear.mean()), past_da)])
    return dear[:, None] + bins(sample)


def real_time_prices(public: Public) -> np.ndarray:
    """(BINS,) equally likely real-time prices of the coming opportunity, USD/kWh, ascending."""
    past_da = public.past_da_usd_per_kwh[-WINDOW:]
    spread = public.past_rt_usd_per_kwh[-WINDOW:] - past_da
    carried = PERSISTENCE * np.clip(spread, -SPREAD_CLIP, SPREAD_CLIP)
    sample = np.asarray(PRIOR_SPREAD)
    if len(spread) > LAG:
        sample = np.concatenate([sample, (spread[LAG:] - carried[:-LAG]) * _scale(public.expected_lmp, past_da[LAG:])])
    last = carried[-1] if len(carried) else 0.0
    return bins(public.expected_lmp + last + sample)


def reserve_prices(public: Public, products: tuple[str, ...]) -> np.ndarray:
    """(BINS,) equally likely prices of the best upward reserve product, USD/kW-h, ascending."""
    up = [public.past_reserve_usd_per_kw_h[p][-WINDOW:] for p in products if p != "regdown"]
    if not up:
        return np.zeros(BINS)
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


def notice(public: Public, brief: Brief, max_rounds: int) -> Notice:
    """Make the announcement from public data."""
    steps = public.steps
    per_hour = 4
    ahead = public.da_usd_per_kwh[steps:]
    whole = len(ahead) // per_hour * per_hour
    hourly = ahead[:whole].reshape(-1, per_hour).mean(axis=1)
    today = max(0, round(_hours_left_today(public) - public.hours))
    return Notice(
        opportunity_id=f"opp-{public.opportunity:05d}",
        start=public.start.isoformat(),
        hours=public.hours,
        day_ahead=public.expected_lmp,
        price=real_time_prices(public),
        rho=reserve_prices(public, brief.products),
        later=later_prices(public, np.sort(hourly[:today])[::-1][:DEAR_HOURS]),
        cheap=hourly,
        required_kw=public.required_kw,
        min_bid_kw=brief.min_bid_kw,
        margin=brief.margin,
        revenue_share=brief.revenue_share,
        products=brief.products,
        max_rounds=max_rounds,
    )
