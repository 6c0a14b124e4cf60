"""The seeded real-time price, with everything that it is drawn from.

A price is day-ahead + median + noise, and the spikes above it (prices.py, docs/prices.md). Step t's price depends on

- z_t, a sum of two autoregressions driven by standard normals of their own, `slow` and `fast`;
- the spike of step t: an episode begins with probability `chance`[t], given the day's intensity, independently of
  everything before; it lasts one more step with the probability of its kind, short or long, each time; the size of a
  step is its first one again with probability `SPIKE_SAME_SIZE`, else drawn anew. A later episode writes over an
  earlier one for as long as it lasts.

So given parts, kinds and sizes up to t - 1 the law of step t is known exactly; `price_law` writes it down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_env.scenario import Scenario
from vpp_env.scenario.streams import stream
from vpp_env.traces import price_tables as tables
from vpp_env.traces.price_clock import Clock, month_index, season_of
from vpp_env.traces.price_regime import regime_of
from vpp_env.traces.series import ar1
from vpp_env.traces.weather import DAY_KEY
from vpp_env.units import STEPS_PER_HOUR, Flags, Floats, Ints

_SPREAD, _SPIKES = 1, 2
"""Purpose of a sub-stream: second element of the spawn key, with those of prices.py."""


@dataclass(frozen=True)
class Episode:
    """Spikes that belong together."""

    begin: int  # step of the run; may lie before it
    end: int  # step after its last one
    stay: int  # index into `SPIKE_STAY`
    first: float  # quantile of its first size


@dataclass(frozen=True)
class Spikes:
    """T steps; sizes over the day-ahead price, USD/MWh, 0 = none."""

    size: Floats  # (T,)
    chance: Floats  # (T,) probability that an episode begins, given the day's intensity
    long: float  # probability that an episode is a long one
    episodes: tuple[Episode, ...]  # in order of their begin; a later one writes over what is left of earlier ones


@dataclass(frozen=True)
class RealTime:
    """T steps, USD/MWh before level and caps."""

    da: Floats  # (T,) day-ahead price
    median: Floats  # (T,)
    scale: Floats  # (T,) of the noise
    room: Floats  # (T,) below the median
    slow: Floats  # (T,) autoregressions, unit variance each
    fast: Floats  # (T,)
    slow_before: Floats  # (T,) the same one step earlier
    fast_before: Floats  # (T,)
    spikes: Spikes

    @property
    def price(self) -> Floats:
        """(T,) as drawn."""
        return with_spike(self.ordinary(noise_of(self.slow, self.fast)), self.da, self.spikes.size)

    def ordinary(self, noise: Floats) -> Floats:
        """Price without spike: (T,), or (T, ...) from (T, ...)."""
        wide = (slice(None), *(None,) * (np.ndim(noise) - 1))
        median, scale, room = self.median[wide], self.scale[wide], self.room[wide]
        deviation = scale * noise
        down = room * np.expm1(np.minimum(deviation, 0.0) / room)
        return np.asarray(median + np.maximum(deviation, 0.0) + down)


def noise_of(slow: Floats, fast: Floats) -> Floats:
    """Noise, of unit variance, of its two parts."""
    z = np.sqrt(tables.RT_SLOW_SHARE) * slow + np.sqrt(1.0 - tables.RT_SLOW_SHARE) * fast
    return np.asarray(np.sinh(tables.RT_TAIL * z) / np.sqrt(0.5 * np.expm1(2.0 * tables.RT_TAIL**2)))


def with_spike(ordinary: Floats, da: Floats, size: Floats) -> Floats:
    """Price where a spike of `size` (0: none) lies over the day-ahead price."""
    return np.where(size > 0.0, np.maximum(ordinary, da + size), ordinary)


def spike_size(quantile: Floats) -> Floats:
    """Size of a spike, USD/MWh over the day-ahead price; quantiles are drawn uniformly."""
    deciles = np.linspace(0.0, 1.0, len(tables.SPIKE_SIZE))
    return np.asarray(np.interp(quantile, deciles, tables.SPIKE_SIZE))


def real_time(scenario: Scenario, seed: int, clock: Clock, da: Floats, level: Floats) -> RealTime:
    """Draw real-time prices on given day-ahead prices.

    Parameters
    ----------
    scenario, seed, clock
        The frame, and what is drawn.
    da : ndarray
        (T,) day-ahead prices, USD/MWh.
    level : ndarray
        (T,) price that counts as ordinary, USD/MWh.
    """
    regime = regime_of(scenario, seed)
    n = 25 * STEPS_PER_HOUR
    draws = clock.draws(seed, _SPREAD, 2 * n)
    row = np.repeat(clock.row, STEPS_PER_HOUR)
    k = np.repeat(clock.k, STEPS_PER_HOUR) * STEPS_PER_HOUR + np.tile(np.arange(STEPS_PER_HOUR), len(clock.day))
    slow = ar1(draws[row, k], tables.RT_SLOW_PHI)
    fast = ar1(draws[row, n + k], tables.RT_FAST_PHI)
    ratio = da / level
    month_width = clock.to_steps(np.asarray(tables.RT_WIDTH)[month_index(scenario, clock)])
    middle, width = np.zeros(len(da)), np.zeros(len(da))
    for name, here in _by_season(scenario, clock.to_steps(clock.month)):
        of_season = [np.interp(ratio, tables.RT_RATIO, t) for t in tables.RT_BODY[tables.SEASONS[name].rt]]
        middle[here], width[here] = of_season[0][here], of_season[1][here]
    median = da + level * (middle + regime.bias)
    return RealTime(
        da=da,
        median=median,
        scale=regime.width * month_width * level * width,
        room=np.maximum(median, 0.0) + tables.RT_ROOM[0] * level - tables.RT_ROOM[1] * np.minimum(median, 0.0),
        slow=clock.window(slow),
        fast=clock.window(fast),
        # a run begins days after its frame: what would wrap around is no step of it
        slow_before=clock.window(np.roll(slow, 1)),
        fast_before=clock.window(np.roll(fast, 1)),
        spikes=_spikes(scenario, seed, clock),
    )


def _by_season(scenario: Scenario, month: Ints) -> list[tuple[str, Flags]]:
    """(season, mask) pairs of an array of months."""
    names = np.array([season_of(scenario, m) for m in range(1, 13)])[month - 1]
    return [(str(name), names == name) for name in np.unique(names)]


def _spikes(scenario: Scenario, seed: int, clock: Clock) -> Spikes:
    """Draw the spikes of run and tail, and with them those of the frame's days before."""
    regime = regime_of(scenario, seed)
    size = np.zeros(len(clock.day) * STEPS_PER_HOUR)
    share = np.asarray(tables.SPIKE_SHARE)[month_index(scenario, clock)]
    long = min(tables.SPIKE_LONG * regime.spikes**0.5, tables.SPIKE_LONG_MAX)
    mean_length = (1.0 - long) / (1.0 - tables.SPIKE_STAY[0]) + long / (1.0 - tables.SPIKE_STAY[1])
    start = scenario.prices.spike_factor * regime.spikes * share / mean_length  # episodes per interval
    chance = np.repeat(start * np.asarray(tables.SPIKE_HOURS)[clock.hour], STEPS_PER_HOUR)
    episodes = []
    first = np.flatnonzero(np.r_[True, np.diff(np.repeat(clock.day, STEPS_PER_HOUR)) > 0])
    for begin, day in zip(first, clock.days, strict=True):
        rng = stream(seed, "prices", _SPIKES, DAY_KEY + day)
        intensity = rng.gamma(tables.SPIKE_DAY_SHAPE, 1.0 / tables.SPIKE_DAY_SHAPE)
        u = rng.random((25 * STEPS_PER_HOUR, 2))
        steps = int(np.searchsorted(clock.day, day, side="right")) * STEPS_PER_HOUR - begin
        chance[begin : begin + steps] *= intensity
        for k in np.flatnonzero(u[:steps, 0] < chance[begin : begin + steps]):
            kind = int(rng.random() < long)
            length = 1 + int(np.log(1.0 - u[k, 1]) / np.log(tables.SPIKE_STAY[kind]))
            quantile = rng.random(length)
            quantile[rng.random(length) < tables.SPIKE_SAME_SIZE] = quantile[0]
            at = slice(begin + k, begin + k + length)  # may run into the next day
            size[at] = spike_size(quantile)[: len(size[at])]
            t = int(begin + k) - clock.first_step
            episodes.append(Episode(t, t + length, kind, float(quantile[0])))
    return Spikes(clock.window(size), np.minimum(clock.window(chance), 1.0), long, tuple(episodes))
