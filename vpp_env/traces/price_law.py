"""What a real-time price may still be, given all that was drawn before it: shares of nodes, with exact expectations.

A function of a step's price and of what is remembered of it is written as a sum over nodes (b, a) of its value there
times a share `came`. b, the *kind*, is a node of the slow part of the noise where there is no spike, and else the kind
of the episode that is going on; a is a node of the fast part, or of the spike's size. The shares interpolate linearly
between nodes. Given everything before the step their expectations are exact: partial moments of a normal and of a
uniform quantile, and chances that are written down. So the function's conditional expectation is an exact sum,
whatever it is at the nodes. The price that a node stands for need not be exact.

Whoever knows only past prices knows less than "everything before": the two parts of the noise apart, every day's spike
intensity from the start, and whether an episode is a long one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_env.scenario import Scenario
from vpp_env.traces import price_tables as tables
from vpp_env.traces.price_clock import build_clock, clip_lmp
from vpp_env.traces.prices import day_ahead, ordinary_price
from vpp_env.traces.real_time import Episode, RealTime, noise_of, real_time, spike_size, with_spike
from vpp_env.units import KWH_PER_MWH, Floats

SLOW = np.array([-2.4, -1.2, -0.5, 0.0, 0.5, 1.2, 2.4])
"""Nodes of the slow part, in its standard deviations [assumed]; beyond the last ones a function stays as it is."""
FAST = np.array([-1.7, 0.0, 1.7])
"""Nodes of the fast part [assumed]."""
SIZE = np.array([0.0, 0.5, 1.0])
"""Nodes of a spike's size, in quantiles [assumed]; as many as of the fast part."""
STAY = np.array(tables.SPIKE_STAY)


@dataclass(frozen=True)
class PriceLaw:
    """T steps; B kinds, and A nodes in each. Prices USD/kWh."""

    lmp: Floats  # (T,) real-time prices that came
    price: Floats  # (T, B, A) price that a node stands for
    came: Floats  # (T, B, A) what came: shares that sum to 1
    odds: Floats  # (T, B, A) their expectation given everything before the step
    # the same from afar, for values of what is stored: no ceiling's validity depends on these
    within: Floats  # (B, A) shares within a kind
    turn: Floats  # (B, B) from the kind of a step to that of the next where no episode begins
    begin: Floats  # (B,) kinds of the step in which one begins
    chance: Floats  # (T,) probability that one begins, given the day's intensity

    @property
    def mean(self) -> Floats:
        """(T,) mean price from afar."""
        kind = self.begin * 0.0
        kind[: len(SLOW)] = shares(SLOW, np.zeros(1), "normal", 1.0)[0]
        at_kind = np.einsum("tba,ba->tb", self.price, self.within)
        out = np.empty(len(self.chance))
        for t, chance in enumerate(self.chance):
            kind = (1.0 - chance) * (kind @ self.turn) + chance * self.begin
            out[t] = kind @ at_kind[t]
        return out


def seeded_law(scenario: Scenario, seed: int) -> PriceLaw | None:
    """Law of the prices that `prices.build_prices` makes; None where they are not of the CAISO-like model."""
    if scenario.prices.model != "caiso":
        return None
    clock = build_clock(scenario.calendar, scenario.n_steps)
    da, level = day_ahead(scenario, seed, clock), ordinary_price(scenario, seed, clock)
    return law_of(scenario, real_time(scenario, seed, clock, da, level), scenario.prices.level)


def law_of(scenario: Scenario, drawn: RealTime, factor: float) -> PriceLaw:
    """Return the law of every step of `drawn`; prices are multiplied by `factor` and capped."""
    spikes, da, steps = drawn.spikes, drawn.da[:, None], len(drawn.da)
    calm = drawn.ordinary(np.broadcast_to(_noise(), (steps, len(SLOW), len(FAST))))
    # the noise hardly matters in a spike: it is the middle one's
    spiky = with_spike(calm[:, len(SLOW) // 2, [len(FAST) // 2]], da, spike_size(SIZE)[None])
    usd = np.concatenate([calm, np.repeat(spiky[:, None], len(STAY), axis=1)], axis=1)

    slow_now, slow_odds = shares(SLOW, drawn.slow), _next(SLOW, drawn.slow_before, tables.RT_SLOW_PHI)
    fast_now, fast_odds = shares(FAST, drawn.fast), _next(FAST, drawn.fast_before, tables.RT_FAST_PHI)
    came, odds = np.zeros((2, *usd.shape))
    came[:, : len(SLOW)] = slow_now[:, :, None] * fast_now[:, None, :]
    came[spikes.size > 0.0] = 0.0
    begin = np.array([*np.zeros(len(SLOW)), 1.0 - spikes.long, spikes.long])
    even = shares(SIZE, np.array([0.5]), "uniform")[0]
    odds[:, len(SLOW) :] = spikes.chance[:, None, None] * begin[len(SLOW) :, None] * even
    none = 1.0 - spikes.chance
    quantile = _quantile(spikes.size)
    for t, going in _going_on(spikes.episodes, steps).items():
        lasts = 1.0 - spikes.chance[t]  # that none begins, and that those which are newer have ended
        now = None
        for episode in going:  # the newest first
            if episode.end > t:
                now = now or episode
            if episode.begin == t:
                continue
            same = shares(SIZE, np.array([episode.first]))[0]
            size = tables.SPIKE_SAME_SIZE * same + (1.0 - tables.SPIKE_SAME_SIZE) * even
            odds[t, len(SLOW) + episode.stay] += lasts * STAY[episode.stay] * size
            lasts *= 1.0 - STAY[episode.stay]
        none[t] = lasts
        if now is not None:
            came[t, len(SLOW) + now.stay] = shares(SIZE, quantile[[t]])[0]
    odds[:, : len(SLOW)] = none[:, None, None] * slow_odds[:, :, None] * fast_odds[:, None, :]

    ended = shares(SLOW, np.zeros(1), "normal", 1.0)
    turn = np.zeros((len(begin), len(begin)))
    turn[: len(SLOW), : len(SLOW)] = _next(SLOW, SLOW, tables.RT_SLOW_PHI)
    turn[len(SLOW) :, : len(SLOW)] = (1.0 - STAY)[:, None] * ended
    turn[len(SLOW) :, len(SLOW) :] = np.diag(STAY)
    within = np.vstack([np.tile(_next(FAST, np.zeros(1), 0.0), (len(SLOW), 1)), np.tile(even, (len(STAY), 1))])
    lmp, price = (np.asarray(clip_lmp(scenario, factor * p) / KWH_PER_MWH) for p in (drawn.price, usd))
    return PriceLaw(lmp, price, came, odds, within, turn, begin, spikes.chance)


def _going_on(episodes: tuple[Episode, ...], steps: int) -> dict[int, list[Episode]]:
    """Steps that an episode touches -> those that begin there or were there one step before, the newest first."""
    out: dict[int, list[Episode]] = {}
    for episode in reversed(episodes):
        for t in range(max(episode.begin, 0), min(episode.end + 1, steps)):
            out.setdefault(t, []).append(episode)
    return out


def _noise() -> Floats:
    """(SLOW, FAST) mean noise that a node stands for, where the parts are what they are on the mean."""
    x = np.linspace(-5.0, 5.0, 201)
    density = np.exp(-0.5 * x**2)
    slow, fast = shares(SLOW, x) * density[:, None], shares(FAST, x) * density[:, None]
    return np.asarray(slow.T @ noise_of(x[:, None], x) @ fast / (slow.sum(axis=0)[:, None] * fast.sum(axis=0)))


def _next(nodes: Floats, before: Floats, phi: float) -> Floats:
    """(T, nodes) expected shares of the next value of a unit-variance AR(1)."""
    return shares(nodes, phi * before, "normal", float(np.sqrt(1.0 - phi**2)))


def shares(nodes: Floats, mean: Floats, law: str = "known", sigma: float = 0.0) -> Floats:
    """Expected weights of linear interpolation between nodes.

    Parameters
    ----------
    nodes : ndarray
        (B,) ascending.
    mean : ndarray
        (T,) the value itself, or the mean of its law.
    law : str
        `known`, `normal` of standard deviation `sigma`, or `uniform` on [0, 1].

    Returns
    -------
    ndarray
        (T, B); rows sum to 1. Beyond the nodes a value counts as the last one.
    """
    x = mean[:, None] - nodes
    if law == "known":
        above = np.maximum(x, 0.0)
    elif law == "uniform":
        above = np.broadcast_to(0.5 * (1.0 - nodes) ** 2, x.shape)
    else:
        from scipy.special import ndtr  # .2 s of imports that only a ceiling needs

        density = np.exp(-0.5 * (x / sigma) ** 2) / np.sqrt(2.0 * np.pi)
        above = sigma * density + x * ndtr(x / sigma)
    # E[(X - node)+], and from it how far X has gone from each node to the next
    gone = (above[:, :-1] - above[:, 1:]) / np.diff(nodes)
    ends = np.ones((len(x), 1))
    return np.asarray(-np.diff(np.concatenate([ends, gone, 0.0 * ends], axis=1), axis=1))


def _quantile(size: Floats) -> Floats:
    """Quantile of a spike's size: `spike_size` the other way round."""
    return np.asarray(np.interp(size, tables.SPIKE_SIZE, np.linspace(0.0, 1.0, len(tables.SPIKE_SIZE))))
