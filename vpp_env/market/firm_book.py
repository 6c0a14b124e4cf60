"""The book of firm capacity: who committed what, what was delivered, what is due, for M months side by side.

Policies that bid home by home hand in no commitment. For them a built-in aggregator commits the 20 % quantile of what
the homes could have delivered on the run's past evenings (`FirmBook.built_in`), and the market's minimum where that
quantile comes near it; see `World` for how what they could have delivered is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vpp_env.errors import BidError
from vpp_env.market.firm import (
    Draws,
    Evening,
    Statement,
    called_evenings,
    evenings,
    least_kw,
    most_kw,
    settle_evenings,
)
from vpp_env.scenario import Scenario
from vpp_env.units import DT_H, POWER_QUANTUM_KW, Flags, Floats, Ints

QUANTILE = 0.2
"""Of what could have been delivered on past evenings, which the built-in aggregator commits [assumed]."""
WITHIN_REACH = 0.75
"""Share of the market's minimum from which on the built-in aggregator commits the minimum [assumed]: halfway between
what is paid in full and the half below which pay is taken back. A fleet just below .1 MW is paid for what it gives."""


class Settled(NamedTuple):
    """What an opportunity brings in firm capacity."""

    usd: Floats  # (M,) to the VPP; negative: it pays
    clawback_usd: Floats  # (M,) of it taken back, as a positive figure
    members_usd: Floats  # (M, N) the members' share


class FirmBook:
    """Commitments and deliveries of M months of N homes.

    Parameters
    ----------
    scenario : Scenario
        The market's rules.
    da_usd_per_mwh : sequence of ndarray
        Day-ahead prices of each distinct month, (S,).
    draws : sequence of Draws
        Of each distinct month.
    which : ndarray, optional
        (M,) which of them each month is; None: each of them once.
    """

    def __init__(
        self,
        scenario: Scenario,
        da_usd_per_mwh: Sequence[Floats],
        draws: Sequence[Draws],
        which: Ints | None = None,
    ) -> None:
        self._market = scenario.market
        self.evenings: tuple[Evening, ...] = evenings(scenario)
        self._last = scenario.n_steps
        count = len(self.evenings)
        called = np.zeros((len(draws), count), dtype=np.bool_)
        for d, (da, draw) in enumerate(zip(da_usd_per_mwh, draws, strict=True)):
            called[d] = called_evenings(self._market, self.evenings, da, draw.test)
        self._which = np.arange(len(draws)) if which is None else which
        self.called: Flags = called[self._which]  # (M, E)
        self._stays = np.stack([draw.stays for draw in draws])  # (distinct months, E, N)
        self._of_step = np.full(len(da_usd_per_mwh[0]), -1)
        for e, evening in enumerate(self.evenings):
            self._of_step[evening.first : evening.stop] = e
        market, hour = scenario.market, scenario.calendar.hour
        # those that nobody can commit included: step -> the first one of its evening; -1: in none
        first, last = market.capacity_hours
        inside = (hour >= first) & (hour < last) & market.firm_capacity
        opens = inside & (hour == first)
        self._opened = np.where(inside, np.maximum.accumulate(np.where(opens, np.arange(len(hour)), -1)), -1)
        self._of_gate = {evening.gate: e for e, evening in enumerate(self.evenings)}
        self._of_stop = {evening.stop: e for e, evening in enumerate(self.evenings)}
        self.reset()

    def reset(self) -> None:
        """Forget what was committed and delivered."""
        shape = self.called.shape
        self.committed_kw: Floats = np.zeros(shape)  # (M, E)
        # first step of an evening -> (M,) kW that could be delivered in each of its opportunities so far
        self._able: dict[int, list[Floats]] = {}
        self.delivered_kw: Floats = np.zeros(shape)  # (M, E) mean net metered power of each evening so far
        homes = shape[0], self._stays.shape[2]
        self._metered = -1  # the evening that was metered last
        self._home_kwh = np.zeros(homes)  # (M, N) net at the device in it
        self._called_kwh = np.zeros(homes)  # (M, N) in the called ones before it
        self.paid_usd: Floats = np.zeros(shape)  # (M, E) paid so far; what is due in the end is booked with the last
        self.clawback_usd: Floats = np.zeros(shape)  # (M, E)

    @property
    def able_kw(self) -> Floats:
        """(M, E) kW that the homes could have delivered on the mean of each evening so far."""
        none = [np.zeros(len(self.called))]
        return (
            np.array([np.mean(self._able.get(e.first, none), axis=0) for e in self.evenings])
            .reshape(-1, len(self.called))
            .T
        )

    # -- the gate --------------------------------------------------------------------------------------

    def is_gate(self, t: int) -> bool:
        """Whether the next local day's evening is to be committed at step t."""
        return t in self._of_gate

    def check(self, t: int, commitments: Sequence[float | None]) -> None:
        """Raise `BidError` unless these commitments (kW, one a month, or none) may be handed in at step t."""
        if all(kw is None for kw in commitments):
            return
        if not self._market.firm_capacity:
            raise BidError("a commitment was handed in; the scenario has market.firm_capacity = false")
        if not self.is_gate(t):
            hour = self._market.day_ahead_gate_hour
            raise BidError(
                f"a commitment was handed in while the gate is shut; it opens at {hour:g}:00 local time for the next "
                "evening of the run: see Public.capacity_gate"
            )
        if len(commitments) != len(self.called):
            raise BidError(f"{len(commitments)} commitments; allowed is one for each of {len(self.called)} months")
        for kw in commitments:
            if kw is not None and not 0.0 <= kw <= most_kw(self._market) + 1e-9:
                raise BidError(
                    f"a commitment of {kw!r} kW; allowed is 0 to {most_kw(self._market):g} (market.max_capacity_mw), "
                    "and None for the built-in aggregator's"
                )

    def submit(self, t: int, commitments: Sequence[float | None]) -> None:
        """Book checked commitments; a month without one leaves it to the built-in aggregator."""
        if not self.is_gate(t):
            return
        kw = self.built_in(t)
        for m, own in enumerate(commitments):
            if own is not None:
                kw[m] = own
        self.committed_kw[:, self._of_gate[t]] = np.where(kw >= least_kw(self._market) - 1e-9, kw, 0.0)

    def built_in(self, t: int) -> Floats:
        """(M,) kW that the built-in aggregator commits at step t: nothing while no evening is past."""
        past = [np.mean(kw, axis=0) for first, kw in self._able.items() if first < t]
        firm = np.quantile(np.array(past), QUANTILE, axis=0) if past else np.zeros(len(self.called))
        least = least_kw(self._market)
        near = (least * WITHIN_REACH <= firm) & (firm < least)
        return np.where(near, least, np.minimum(firm, most_kw(self._market)))

    # -- the evening -----------------------------------------------------------------------------------

    def begins(self, t: int) -> bool:
        """Whether an evening begins with step t, also one that nobody can commit."""
        return bool(self._opened[t] == t)

    def is_evening(self, t: int) -> bool:
        """Whether step t lies in an evening, also in one that nobody can commit."""
        return bool(self._opened[t] >= 0)

    def evening_of(self, t: int) -> int:
        """Number of the evening that step t lies in; -1: in none that can be committed."""
        return int(self._of_step[t])

    def on_call_kw(self, t: int) -> Floats:
        """(M,) kW committed for the evening that step t lies in, where it is called; else 0."""
        e = self._of_step[t]
        return np.where(self.called[:, e], self.committed_kw[:, e], 0.0) if e >= 0 else np.zeros(len(self.called))

    def dispatch_q(self, t: int) -> Ints:
        """(M,) quanta that sales are dispatched up to in the opportunity from step t on."""
        return np.floor(self.on_call_kw(t) / POWER_QUANTUM_KW + 1e-9).astype(np.int64)

    def absent(self, t: int) -> Flags:
        """(M, N) bool: homes whose owners do not stay in on the evening that step t lies in, when it is called."""
        on_call = self.on_call_kw(t) > 0.0
        if not np.count_nonzero(on_call):
            return np.zeros(self._home_kwh.shape, dtype=np.bool_)
        return on_call[:, None] & ~self._stays[self._which, self._of_step[t]]

    def able(self, t: int, kw: Floats) -> None:
        """Note (M,) kW that the homes could deliver in the opportunity from step t on, which lies in an evening."""
        self._able.setdefault(int(self._opened[t]), []).append(kw)

    def meter(self, t: int, net_kwh: Floats) -> None:
        """Add (M, N) kWh of net market energy of the opportunity from step t on."""
        e = self.evening_of(t)
        if e < 0:
            return
        if e == self._metered:
            self._home_kwh += net_kwh
        else:
            self._end_evening()
            self._metered = e
            self._home_kwh[:] = net_kwh
        hours = (self.evenings[e].stop - self.evenings[e].first) * DT_H
        self.delivered_kw[:, e] = self._home_kwh.sum(axis=1) / hours

    def _end_evening(self) -> None:
        """Add what homes gave in the evening that was metered last, where it was called."""
        if self._metered >= 0:
            called = self.called[:, self._metered, None]
            np.add(self._called_kwh, self._home_kwh, out=self._called_kwh, where=called)
            self._metered = -1

    def is_due(self, stop: int) -> bool:
        """Whether something may be settled where step `stop` follows."""
        return bool(self.evenings) and (stop in self._of_stop or stop == self._last)

    def settle(self, stop: int) -> Settled:
        """Settle what is due where step `stop` follows: a called evening that was committed, and all else at the end.

        The members get `revenue_share` of what is paid, by the net kWh that each delivered in the evening (at the end:
        in all called evenings); what is charged is the VPP's alone.
        """
        usd, clawback = np.zeros(len(self.called)), np.zeros(len(self.called))
        members = np.zeros(self._home_kwh.shape)
        if not self.is_due(stop):
            return Settled(usd, clawback, members)
        e = self._of_stop.get(stop)
        if e is not None:
            # the pay of a called evening that was committed follows from itself alone; of any other one nothing is due
            due, said = self.called[:, e], self._statement(slice(e, e + 1))
            usd[due], clawback[due] = said.usd[due, 0], said.clawback_usd[due, 0]
            self.paid_usd[due, e], self.clawback_usd[due, e] = usd[due], clawback[due]
            self._share(usd, self._home_kwh, members)
        if stop == self._last:
            self._end_evening()
            said = self._statement(slice(None))
            rest = (said.usd - self.paid_usd).sum(axis=1)
            self.paid_usd = said.usd
            usd += rest
            self._share(rest, self._called_kwh, members)
        return Settled(usd, clawback, members)

    def _statement(self, of: slice) -> Statement:
        """Return what the evenings `of` these numbers come to."""
        return settle_evenings(self._market, self.committed_kw[:, of], self.delivered_kw[:, of], self.called[:, of])

    def _share(self, usd: Floats, kwh: Floats, members: Floats) -> None:
        """Add to `members` (M, N) USD their share of payments (M,), by positive kWh (M, N)."""
        paid = np.flatnonzero(usd > 0.0)
        given = np.maximum(kwh[paid], 0.0)
        total = given.sum(axis=1)
        some = total > 0.0
        paid, given, total = paid[some], given[some], total[some]
        members[paid] += self._market.revenue_share * usd[paid, None] * given / total[:, None]

    # -- what is public --------------------------------------------------------------------------------

    def committed_in(self, span: slice) -> Floats:
        """(M,) kW: the most that is committed for an evening of these steps."""
        found = np.unique(self._of_step[span])
        return np.max(self.committed_kw[:, found[found >= 0]], axis=1, initial=0.0)

    def announced(self, span: slice) -> tuple[Flags, Floats]:
        """(M, H) whether each step lies in a called evening, and kW committed for it."""
        e = self._of_step[span]
        if not self.evenings:
            return np.zeros((len(self.called), len(e)), dtype=np.bool_), np.zeros((len(self.called), len(e)))
        known = e >= 0
        return self.called.take(e, axis=1) & known, self.committed_kw.take(e, axis=1) * known
