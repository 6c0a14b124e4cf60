"""Satisfaction: one measured score, the same evaluator for every policy.

Seven components in [0, 1] of every owner who has something to offer (a battery or a car), against the baseline:

    s_reserve = mean over days of exp(-sum_t dt * excess depth / 2 h)     excess depth of the reserve floor
    s_ev      = mean over departures of exp(-shortfall / .10)            0 when the trip's energy is not there
    s_pay     = clip(pay for energy sold / the owner's own asks for it, 0, 1)
    s_gain    = clip(net benefit / expected gain of the days run, 0, 1)   what the owner joined for
    s_calls   = 1 - clip(mean annoyance / tolerance - 1, 0, 1)            see owners.patience
    s_consent = kWh that the owner's consent covers / kWh dispatched      see evaluation.consent
    s_use     = mean over days of 1 - clip(cycles above the limit / limit, 0, 1)
    S         = prod_k max(s_k, .01) ** w_k                              weights renormalised over what applies

Nobody joined for nothing: doing nothing scores 0 in s_gain.

Where an owner has a contract, it is what the score is held against: its floor, target and daily limit, and its prices
as the ask. Who sold a part of a wish at a price of its own choosing, and is paid for what was taken, is not wronged;
what lies beyond the contract is. Welfare prices what was taken at the owner's private value all the same.
"""

from __future__ import annotations

import numpy as np

from vpp_env.core import ledger as led
from vpp_env.owners.violations import KWH_TOLERANCE, USD_TOLERANCE, VIOLATIONS
from vpp_env.scenario.specs import SatisfactionSpec
from vpp_env.simulation.outcome import Outcome
from vpp_env.traces.fleet import Fleet
from vpp_env.units import Flags, Floats

COMPONENTS = ("reserve", "ev", "pay", "gain", "calls", "consent", "use")


def score(components: Floats, spec: SatisfactionSpec, weights: Floats | None = None) -> Floats:
    """Weighted geometric mean of the components that apply.

    Parameters
    ----------
    components : ndarray
        (7, ...) in [0, 1]; NaN where a component does not apply.
    spec : SatisfactionSpec
        Weights and the smallest component.
    weights : ndarray, optional
        (7,) instead of the scenario's.

    Returns
    -------
    ndarray
        (...) in [component_floor, 1]; 1 where nothing applies.
    """
    w = np.asarray(spec.weights if weights is None else weights, dtype=np.float64)
    w = w.reshape(-1, *([1] * (components.ndim - 1)))
    applies = ~np.isnan(components)
    logs = np.log(np.clip(np.where(applies, components, 1.0), spec.component_floor, 1.0))
    total = (w * applies).sum(axis=0)
    # only zero-weight components apply: nothing speaks against it
    mean = np.divide((w * applies * logs).sum(axis=0), total, out=np.zeros(total.shape), where=total > 0)
    return np.exp(mean)


def _ratio(top: Floats, bottom: Floats, least: float) -> Floats:
    """Top / bottom, NaN where bottom is not above `least`."""
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > least)


def _pay(pay: Floats, owed: Floats) -> Floats:
    return np.clip(_ratio(pay, owed, USD_TOLERANCE), 0.0, 1.0)


def _dispatched(rows: Floats) -> Floats:
    return rows[led.L_SOLD] + rows[led.L_CALLED] + rows[led.L_BOUGHT]


def departures(short: Floats, missed: Floats, spec: SatisfactionSpec) -> Floats:
    """Score of one departure each: exp(-shortfall / scale), 0 when the trip's energy is not there."""
    return np.where(missed > 0, 0.0, np.exp(-np.maximum(short, 0.0) / spec.ev_scale))


def _gone(outcome: Outcome) -> Flags:
    """(N,) a car has left; a trip that its energy did not allow is known, and counts, when it is plugged in again."""
    return (outcome.departed[0] > 0) | (outcome.missed[0] > 0)


def opportunity_score(
    outcome: Outcome, broken: Flags, covered_kwh: Floats, fleet: Fleet, spec: SatisfactionSpec
) -> float:
    """Mean S of one opportunity over the prosumers that it touched; 1 when it touched nobody.

    Gain and calls are left out: they are of a month. `broken` and `covered_kwh` as in `SatisfactionTotals.add`.
    """
    rows = outcome.ledger[:, 0]
    done = _dispatched(rows)
    moved = (done > KWH_TOLERANCE) | (rows[led.L_RESERVE] > 0) | (rows[led.L_FORCED] > KWH_TOLERANCE)
    touched = moved | broken.any(axis=0)
    if not touched.any():
        return 1.0
    limit = fleet.cycle_limit_kwh
    nan = np.full(fleet.n, np.nan)
    parts = np.stack(
        [
            np.where(fleet.has_bess, np.exp(-rows[led.L_DEPTH_H] / spec.reserve_scale_h), nan),
            np.where(_gone(outcome), departures(outcome.lacks[0], outcome.missed[0], spec), nan),
            _pay(rows[led.L_PAY_SOLD], rows[led.L_OWED]),
            nan,
            nan,
            np.clip(_ratio(covered_kwh, done, KWH_TOLERANCE), 0.0, 1.0),
            1.0 - np.clip(_ratio(rows[led.L_OVER], limit, 0.0), 0.0, 1.0),
        ]
    )
    return float(score(parts, spec)[touched].mean())


class SatisfactionTotals:
    """The components of every prosumer over a run, added up opportunity by opportunity."""

    def __init__(self, fleet: Fleet, spec: SatisfactionSpec) -> None:
        n = fleet.n
        self._fleet, self._spec = fleet, spec
        self._day_depth, self._day_over = np.zeros(n), np.zeros(n)
        self._reserve, self._use, self._days = np.zeros(n), np.zeros(n), 0
        self._ev, self._departures = np.zeros(n), np.zeros(n)
        self._pay, self._owed = np.zeros(n), np.zeros(n)
        self._dispatched, self._covered = np.zeros(n), np.zeros(n)
        self.violations = np.zeros((len(VIOLATIONS), n), dtype=np.int64)

    def add(self, outcome: Outcome, broken: Flags, covered_kwh: Floats, day_ends: bool) -> None:
        """Add one opportunity.

        Parameters
        ----------
        outcome, broken : Outcome, ndarray
            What it brought, and (5, N) its `Outcome.violated` of the first month.
        covered_kwh : ndarray
            (N,) kWh of it that the owner's consent covers, see `evaluation.consent`.
        day_ends : bool
            Whether the local day is over with it.
        """
        rows = outcome.ledger[:, 0]
        done = _dispatched(rows)
        self._day_depth += rows[led.L_DEPTH_H]
        self._day_over += rows[led.L_OVER]
        gone = _gone(outcome)
        self._ev += gone * departures(outcome.lacks[0], outcome.missed[0], self._spec)
        self._departures += gone
        self._pay += rows[led.L_PAY_SOLD]
        self._owed += rows[led.L_OWED]
        self._dispatched += done
        self._covered += np.minimum(covered_kwh, done)
        self.violations += broken
        if day_ends:
            limit = self._fleet.cycle_limit_kwh
            self._reserve += np.exp(-self._day_depth / self._spec.reserve_scale_h)
            over = np.divide(self._day_over, limit, out=np.zeros_like(limit), where=limit > 0)
            self._use += 1.0 - np.clip(over, 0.0, 1.0)
            self._day_depth[:] = self._day_over[:] = 0.0
            self._days += 1

    def components(self, net_benefit: Floats, strain: Floats, months: float) -> Floats:
        """Return the components so far.

        Parameters
        ----------
        net_benefit : ndarray
            (N,) USD, what is stored at the end included.
        strain : ndarray
            (N,) mean annoyance / tolerance, see `owners.patience`.
        months : float
            Share of a month that was run: what owners expect is a month's gain.

        Returns
        -------
        ndarray
            (7, N) in [0, 1]; NaN where a component does not apply: all of them for an owner with nothing to offer.
        """
        fleet = self._fleet
        nan = np.full(fleet.n, np.nan)
        days = max(self._days, 1)
        has_bess = fleet.has_bess & (self._days > 0)
        return np.stack(
            [
                np.where(has_bess, self._reserve / days, nan),
                _ratio(self._ev, self._departures, 0.0),
                _pay(self._pay, self._owed),
                np.clip(_ratio(net_benefit, months * fleet.expected_gain, 0.0), 0.0, 1.0),
                np.where(fleet.can_offer, 1.0 - np.clip(strain - 1.0, 0.0, 1.0), nan),
                np.clip(_ratio(self._covered, self._dispatched, KWH_TOLERANCE), 0.0, 1.0),
                np.where(has_bess, self._use / days, nan),
            ]
        )

    def consent_share(self) -> Floats:
        """(N,) share of dispatched kWh that the owner's consent covers; 1 where nothing was dispatched."""
        share = _ratio(self._covered, self._dispatched, KWH_TOLERANCE)
        return np.where(np.isnan(share), 1.0, np.minimum(share, 1.0))


def weight_sensitivity(components: Floats, spec: SatisfactionSpec, rng: np.random.Generator) -> tuple[float, float]:
    """5 % and 95 % quantile of mean S under `sensitivity_draws` Dirichlet(1) draws of the weights.

    Owners to whom no component applies are left out; NaN where that is everybody.
    """
    mine = components[:, ~np.isnan(components).all(axis=0)]
    if mine.shape[1] == 0:
        return float("nan"), float("nan")
    if spec.sensitivity_draws == 0:
        value = float(score(mine, spec).mean())
        return value, value
    draws = rng.dirichlet(np.ones(len(COMPONENTS)), size=spec.sensitivity_draws)
    means = [float(score(mine, spec, w).mean()) for w in draws]
    low, high = np.quantile(means, [0.05, 0.95])
    return float(low), float(high)
