"""The owners' table: who is asked, who answers, what is remembered of it. A world has one; see docs/contracts.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vpp_env.contract.terms import TERMS, Answers, Offers, Reason, Terms
from vpp_env.core.headroom import Headroom
from vpp_env.core.layout import HomeState
from vpp_env.errors import BidError, VppError
from vpp_env.owners.arithmetic import judge
from vpp_env.owners.asks import CALL_HOURS, CALLS_PER_HOUR, OwnerPrices
from vpp_env.owners.brains import Mixture
from vpp_env.owners.contracts import ContractBook
from vpp_env.owners.situation import Belief, OwnerRules, Situation, belief, surprises
from vpp_env.owners.talk import Talk
from vpp_env.scenario import Scenario
from vpp_env.traces.fleet import Fleet
from vpp_env.traces.vehicles import CarDay
from vpp_env.units import DT_H, Flags, Floats, Ints

STEPS_A_DAY = 96
OF_FLEET = {
    "device_kw": "sell_limit_kw",
    "bess_kw": "bess_kw",
    "min_kwh": "bess_min_kwh",
    "max_kwh": "bess_max_kwh",
    "ev_min_kwh": "ev_min_kwh",
    "ev_kwh": "ev_kwh",
    "floor_kwh": "floor_kwh",
    "target_kwh": "ev_target_kwh",
    "day_kwh": "day_discharge_kwh",
    "floor_value": "floor_value",
    "car_value": "car_value",
    "hassle_value": "hassle_value",
    "blackout_value": "blackout_value",
    "overuse_value": "overuse_value",
    "standby_value": "standby_value",
}
"""Fields of `Situation` that a fleet holds, and what it calls them."""


class Gate(NamedTuple):
    """What a world shows its owners at the gate of an opportunity; (M*N,) unless said."""

    fleets: Sequence[Fleet]  # of the M months
    opportunity: int  # that is played next
    first: int  # that is bid for
    t: int  # step of the gate
    delivery: int  # step at which `first` begins
    clock: int  # its step of day
    known: int  # first step whose day-ahead price is not published
    da: Floats  # (M, S) USD/kWh
    rt: Floats  # (M, S)
    state: HomeState[Floats]
    headroom: Headroom[Floats]  # without contracts
    prices: OwnerPrices  # (M, N) each
    yesterday: CarDay  # what the cars did
    absent: Flags
    day: int  # local day of the gate


class _Seats(NamedTuple):
    """The owners at one gate."""

    first: int
    day: int
    absent: Flags
    own: Situation
    know: Belief


class OwnersTable:
    """The owners of M months of N homes, as an aggregator meets them.

    Parameters
    ----------
    scenario : Scenario
        The rules, and `owners.brains`.
    seeds : sequence of int
        Of the M worlds.
    n : int
        Homes of a month.
    share : float
        Of the real-time price that the payment rule gives to who has no contract.
    book : ContractBook
        Where contracts are signed, and where their breaches and the evenings' ends are found.

    Raises
    ------
    UnknownNameError, ScenarioError
        When `owners.brains` names a brain that is not registered, or gives it numbers that it does not take.
    """

    def __init__(self, scenario: Scenario, seeds: Sequence[int], n: int, share: float, book: ContractBook) -> None:
        self._spec, self._book, self._shape = scenario.owners, book, (len(seeds), n)
        self.mixture = Mixture(self._spec.brains, seeds, n)
        self.talk = Talk(self.mixture.brains, self.mixture.of_home)
        market, home = scenario.market, scenario.home
        self._wear, self._ev_eta = home.degradation_usd_per_kwh, scenario.fleet.ev_eta
        self._steps = scenario.steps_per_opportunity
        self._fixed: dict[str, Any] = {}
        self._charger_kw: Floats = np.zeros(len(seeds) * n)
        self._rules = OwnerRules(
            eta=scenario.fleet.bess_eta,
            margin=float(market.margin),
            share=float(share),
            call_hours=CALLS_PER_HOUR * CALL_HOURS * market.call_probability,
            reserve=market.reserve or market.regulation,
        )
        self.reset()

    def reset(self) -> None:
        """Begin a month: nobody has been asked yet."""
        months, n = self._shape
        self._opportunity, self._asked = -1, [0] * months
        self._seats: _Seats | None = None
        self._breaches = np.zeros(self._shape, dtype=np.int64)
        self._trusts_from = np.zeros(months * n, dtype=np.int64)  # local day
        self.talk.reset()

    # -- rounds ----------------------------------------------------------------------------------------

    def rounds(self, month: int, opportunity: int) -> tuple[int, int]:
        """Rounds of a month that were made at the gate of `opportunity`, and that are left."""
        made = self._asked[month] if self._opportunity == opportunity else 0
        return made, self._spec.max_rounds - made

    def is_open(self, opportunity: int) -> bool:
        """Whether the owners have taken their seats at the gate of `opportunity`."""
        return self._opportunity == opportunity and self._seats is not None

    def open(self, gate: Gate) -> None:
        """Let the owners look at themselves and at what is public, once a gate: what they answer follows from it."""
        if self._opportunity != gate.opportunity:
            self._opportunity, self._asked = gate.opportunity, [0] * self._shape[0]
        self._seats = _Seats(gate.first, gate.day, gate.absent, *self._situation(gate))

    def propose(self, offers: Sequence[Offers | None], strained: Flags) -> tuple[list[Answers | None], Flags]:
        """Hear the owners on checked offers, one for each month or None, and sign what they accept.

        Parameters
        ----------
        offers : sequence of Offers or None
            For each month.
        strained : ndarray
            (M*N,) owners who bear no more today.

        Returns
        -------
        list of Answers or None
            For each month.
        ndarray
            (M*N,) bool: who has turned an offer down.

        Raises
        ------
        BidError
            When a month has had its rounds at this gate; nobody has heard of any offer then.
        """
        n, seats = self._shape[1], self._seats
        if seats is None:
            raise VppError("the owners' table is not open; a world opens it at each gate")
        for m, offer in enumerate(offers):
            if offer is not None and self._asked[m] >= self._spec.max_rounds:
                raise BidError(
                    f"a round of offers beyond the {self._spec.max_rounds} that a gate has (owners.max_rounds); bid "
                    "with what was agreed, and ask again at the next gate"
                )
        rounds = [made + (offer is not None) for made, offer in zip(self._asked, offers, strict=True)]
        to, window, terms = _joined(offers, n)
        factor = self.mixture.factors(rounds, self._spec.max_rounds).ravel()
        reason = np.where(to & (strained | (self._trusts_from > seats.day)), int(Reason.TRUST), 0)
        reason = np.where(to & seats.absent, int(Reason.AWAY), reason)
        hears = to & (reason == 0)
        judged = judge(hears, window, terms, factor, seats.own, seats.know, self._rules)
        words: dict[int, str] = {}
        if told := self.talk.spoken_to(offers, n):
            addressed = np.zeros(len(to), dtype=np.bool_)
            addressed[list(told)] = True
            truth = judge(hears & addressed, window, terms, np.ones(len(to)), seats.own, seats.know, self._rules)
            at = (seats.first, rounds, self._spec.max_rounds)
            judged, words = self.talk.over(judged, truth, told, at, (terms, window))
        reason += judged.reason
        for array in (judged.accepted, judged.countered, reason):
            array.setflags(write=False)
        self._asked = rounds
        answers: list[Answers | None] = []
        for m, offer in enumerate(offers):
            if offer is None:
                answers.append(None)
                continue
            rows = slice(m * n, (m + 1) * n)
            accepted, countered = judged.accepted[rows], judged.countered[rows]
            said = Terms(*judged.terms[:, rows]) if countered.any() else offer.terms
            self._book.sign(m, seats.first, accepted, offer.window, offer.terms)
            texts = {row - m * n: text for row, text in words.items() if row // n == m} or None
            answers.append(Answers(accepted, countered, reason[rows], said, rounds[m], self._spec.max_rounds, texts))
        return answers, to & ~judged.accepted & (reason != Reason.AWAY)

    def end_opportunity(self, day: int) -> None:
        """Remember whose contract was broken in the opportunity that was played on local day `day`; forget its gate."""
        self._seats = None
        broken = self._book.breaches > self._breaches
        if broken.any():
            self._trusts_from[broken.ravel()] = day + 1 + self._spec.trust_days
            self._breaches = self._book.breaches.copy()

    # -- what the owners know --------------------------------------------------------------------------

    def _situation(self, gate: Gate) -> tuple[Situation, Belief]:
        battery, prices, steps = gate.state.battery, gate.prices, self._steps
        count = -(-STEPS_A_DAY // steps)
        at = gate.delivery + steps * np.arange(count)
        while (late := at >= gate.known).any():
            at = np.where(late, at - STEPS_A_DAY, at)
        evening = min(self._book.evening_stop(gate.first) - gate.first, count)
        da = np.ascontiguousarray(gate.da[:, np.maximum(at, 0)])
        surprise, weight = surprises(gate.rt[:, : gate.t], gate.da[:, : gate.t])
        know = belief(da, surprise, weight, np.array([1, evening, count]), steps * DT_H)

        themselves = self._themselves(gate.fleets)
        own = Situation(
            **themselves,
            soc_kwh=battery.soc_kwh,
            discharged_kwh=battery.discharged_kwh,
            v2g_kw=gate.headroom.v2g.copy(),
            waits_kw=self._waits(gate, self._charger_kw, count),
            blackout=gate.headroom.blackout > 0.0,
            cost=self._wear + prices.refill.ravel() / self._rules.eta**2,
            back=prices.back.ravel(),
            own_ask=prices.own.ravel(),
            defer_ask=prices.defer.ravel(),
        )
        return own, know

    def _themselves(self, fleets: Sequence[Fleet]) -> dict[str, Any]:
        """Fields of `Situation` that a month does not change, (M*N,) each, put side by side once."""
        if not self._fixed:
            joined = {
                field: np.concatenate([getattr(fleet, name) for fleet in fleets]) for field, name in OF_FLEET.items()
            }
            windows = np.concatenate([(fleet.blackout >= 0).any(axis=(1, 2)) for fleet in fleets])
            self._fixed = {**joined, "windows": windows}
            self._charger_kw = np.concatenate([fleet.ev_kw for fleet in fleets])
        return self._fixed

    def _waits(self, gate: Gate, kw: Floats, count: int) -> Floats:
        """(M*N, C) kW of charging that can wait: now what its car says, later what it did yesterday at that hour.

        Yesterday's session is taken as it began, and as long as what had been used took to charge.
        """
        car, steps = gate.yesterday, self._steps
        waits = np.zeros((len(kw), count))
        of_car = np.flatnonzero(kw > 0.0)
        charger, arr = kw[of_car], car.arr[of_car]
        length = car.trip[of_car] / (self._ev_eta * charger * DT_H)
        length = np.minimum(length, np.maximum(car.out[of_car] - arr, 0))
        begins = (arr[:, None] - gate.clock - steps * np.arange(count)) % STEPS_A_DAY  # steps after a cell's start
        ends = begins + length[:, None]
        # a cell of `steps` from 0: the session that begins in it, and the one that began before and runs into it
        inside = np.minimum(ends, steps) - np.minimum(begins, steps) + np.clip(ends - STEPS_A_DAY, 0.0, steps)
        waits[of_car] = charger[:, None] * inside / steps
        waits[:, 0] = gate.headroom.defer_mean
        return waits


def _joined(offers: Sequence[Offers | None], n: int) -> tuple[Flags, Ints, Floats]:
    """(H,) who is asked, (H,) windows and (15, H) terms of all months; nobody of a month without offers."""
    to, window = np.zeros((len(offers), n), dtype=np.bool_), np.zeros((len(offers), n), dtype=np.int64)
    terms = np.zeros((len(TERMS), len(offers), n))
    for m, offer in enumerate(offers):
        if offer is not None:
            to[m], window[m] = offer.to, offer.window
            for row, name in enumerate(TERMS):
                terms[row, m] = getattr(offer.terms, name)
    return to.ravel(), window.ravel(), terms.reshape(len(TERMS), -1)
