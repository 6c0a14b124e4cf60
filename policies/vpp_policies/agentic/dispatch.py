"""The dispatch of a coalition: one linear program in CVXPY, built once per fleet size, DPP, three shares per home.

Sets: homes i = 1..N (those outside the coalition have member_i = 0). Variables, each in [0, 1]: the share of its line
for which home i is called - x_i (deferred charging alone), y_i (energy of all devices), z_i (on reserve).

    max   sum_i  c_i x_i + e_i y_i + r_i z_i                       expected value of the opportunity, USD
    s.t.  x_i + y_i + z_i <= member_i                              one home, one use of the same kW
          z_i <= able_i                                            share of the line that qualifies as reserve
          sum_i car_i x_i + full_i (y_i + z_i) <= required         the VPP's maximum, kW
          sum_i full_i z_i >= floor                                the market's minimum for reserve, or 0

`car` and `full` are the agreed kW of the lines. `coefficients` says what a line is worth. Who is called for energy bids
both sell lines, the car's charging and what the other devices give beyond it; behind a gateway that keeps the owners'
envelopes the kW on reserve may be the same, so that who is called for anything has all its lines on offer.

Mostly neither sum binds: then every home's optimum is its own, and `apart` writes it down, the vertex that a solver
finds. The program is stated, and compiled once, where a sum or a guidance binds.

A strategy's guidance (`guided=True`) adds bounded parameters: the prices are weighted with `risk`, the asks carry
`margin`, the gain of favoured lines is raised by at most `FAVOUR`, and two constraints are added:

          sum_i full_i z_i <= reserve cap                            a share of the maximum
          car_i x_i + full_i (y_i + z_i) <= envelope_i               what the home has declared, kW
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import SELL_ASK_RANGE
from vpp_policies.agentic.negotiation import CAR, FULL, RESERVE, CoalitionDispatch, Guidance, Negotiation, Notice
from vpp_policies.agentic.outlook import cautious, expected, least_price

TIE = 1e-6
"""USD: an offer costs nothing where it does not clear, so energy is offered rather than nothing, all devices rather
than the car alone, and the home that comes first in the merit order rather than a later one: the optimum is unique."""
FAVOUR, MARGIN = 0.05, 0.25
"""Most by which guidance can raise the worth of a favoured line, and the asks, as shares [assumed]."""
FAVOURED = {"cars": CAR, "batteries": FULL}


@dataclass(frozen=True)
class Lines:
    """What a coalition has agreed, (3, N) by line; 0 kW where there is nothing."""

    kw: NDArray[np.float64]
    ask: NDArray[np.float64]  # what is bid, USD/kWh; reserve USD/kW-h
    member: NDArray[np.bool_]  # (N,)


@dataclass(frozen=True)
class Shares:
    """The solution: (3, N) shares in [0, 1]."""

    share: NDArray[np.float64]
    seconds: float
    fallback: bool


def with_margin(ask: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """(3, N) asks raised by the guidance's margin, as far as a bid can hold it; never lowered."""
    top = np.array([SELL_ASK_RANGE[1], SELL_ASK_RANGE[1], np.inf])[:, None]
    return np.maximum(ask, np.minimum(ask * (1.0 + float(np.clip(margin, 0.0, MARGIN))), top))


def coefficients(lines: Lines, notice: Notice) -> NDArray[np.float64]:
    """(3, N) USD per full share of each line over the opportunity, tie-break included."""
    kw = lines.kw * lines.member
    energy_kw = np.maximum(kw[CAR], kw[FULL])
    lowest = np.where(kw[CAR] > 0, lines.ask[CAR], lines.ask[FULL])
    least = least_price(energy_kw, lowest, notice.margin, notice.min_bid_kw)
    value = np.stack(
        [
            expected(notice.price, notice.weight, lines.ask[CAR], notice.margin, least),
            expected(notice.price, notice.weight, lines.ask[FULL], notice.margin, least),
            expected(notice.rho, notice.rho_weight, lines.ask[RESERVE], notice.margin),
        ]
    )
    # reserve is measured in shares of the full line
    value *= np.stack([kw[CAR], kw[FULL], kw[FULL]]) * notice.hours
    order = np.argsort(lines.ask[FULL], kind="stable")
    rank = np.argsort(order, kind="stable") / max(len(order), 1)
    tie = TIE * np.array([1.0, 2.0, 0.0])[:, None] - TIE * rank[None, :] / 2.0
    return value + tie * (kw > 0)


class _Limits(NamedTuple):
    """The right-hand sides of the program."""

    able: NDArray[np.float64]  # (n,)
    required_kw: float
    floor_kw: float
    reserve_cap_kw: float  # inf: nobody guides
    envelope_kw: NDArray[np.float64]  # (n,); inf: nobody guides


class _Program:
    """The program in CVXPY, for n homes; compiled at the first solve, then only its parameters change."""

    def __init__(self, n: int, guided: bool) -> None:
        import cvxpy as cp  # takes a second, and most months never need it

        self._share = cp.Variable((3, n), nonneg=True)
        x, y, z = self._share[0], self._share[1], self._share[2]
        self._gain = cp.Parameter((3, n))
        self._member = cp.Parameter(n, nonneg=True)
        self._able = cp.Parameter(n, nonneg=True)
        self._kw = cp.Parameter((2, n), nonneg=True)
        self._required = cp.Parameter(nonneg=True)
        self._floor = cp.Parameter(nonneg=True)
        self._guided = guided
        self._reserve_cap = cp.Parameter(nonneg=True)
        self._envelope = cp.Parameter(n, nonneg=True)
        reserve = self._kw[1] @ z
        limits = [
            x + y + z <= self._member,
            z <= self._able,
            self._kw[0] @ x + self._kw[1] @ y + reserve <= self._required,
            reserve >= self._floor,
        ]
        if guided:
            called = cp.multiply(self._kw[0], x) + cp.multiply(self._kw[1], y + z)
            limits += [reserve <= self._reserve_cap, called <= self._envelope]
        self._problem = cp.Problem(cp.Maximize(cp.sum(cp.multiply(self._gain, self._share))), limits)
        if not self._problem.is_dpp():
            raise AssertionError("the dispatch problem must be DPP: it is compiled once")

    def optimum(
        self, gain: NDArray[np.float64], kw: NDArray[np.float64], member: NDArray[np.bool_], limits: _Limits
    ) -> NDArray[np.float64] | None:
        """(3, n) shares; None without an optimum."""
        import cvxpy as cp

        from vpp_policies.highs import HIGHS

        self._gain.value, self._kw.value, self._member.value = gain, kw[:RESERVE], member.astype(np.float64)
        self._able.value, self._required.value, self._floor.value = limits.able, limits.required_kw, limits.floor_kw
        if self._guided:
            self._reserve_cap.value, self._envelope.value = limits.reserve_cap_kw, limits.envelope_kw
        try:
            # cvxpy's warm start hands HiGHS the last basis through a slower path
            self._problem.solve(solver=HIGHS, warm_start=False)
        except cp.SolverError:
            return None
        return None if self._problem.status != cp.OPTIMAL else np.clip(np.asarray(self._share.value), 0.0, 1.0)


class CoalitionProblem:
    """The program of one fleet, solved home by home where no sum over homes binds.

    Parameters
    ----------
    can : ndarray
        (N,): homes that have anything to sell with (public: the device limits). The others are not in it.
    guided : bool
        Whether a strategy guides it. Without, the program is the plain one.
    """

    def __init__(self, can: NDArray[np.bool_], guided: bool = False) -> None:
        self._who = np.flatnonzero(can)
        self._guided = guided
        self._program: _Program | None = None

    def _once(
        self, gain: NDArray[np.float64], kw: NDArray[np.float64], member: NDArray[np.bool_], limits: _Limits
    ) -> NDArray[np.float64] | None:
        own = apart(gain, member, limits.able)
        called = kw[CAR] * own[CAR] + kw[FULL] * (own[FULL] + own[RESERVE])
        reserve = float(kw[FULL] @ own[RESERVE])
        within = limits.floor_kw <= reserve <= limits.reserve_cap_kw and float(called.sum()) <= limits.required_kw
        if within and bool((called <= limits.envelope_kw + 1e-9).all()):
            return own
        if self._program is None:
            self._program = _Program(len(self._who), self._guided)
        return self._program.optimum(gain, kw, member, limits)

    def solve(
        self,
        lines: Lines,
        notice: Notice,
        guidance: Guidance | None = None,
        envelope_kw: NDArray[np.float64] | None = None,
    ) -> Shares:
        """Solve; reserve is all or nothing around the market's minimum; without an optimum `proportional` is taken.

        Parameters
        ----------
        lines, notice :
            What is agreed, and the outlook.
        guidance : Guidance, optional
            What a strategy asks for; read by a guided program only.
        envelope_kw : ndarray, optional
            (N,) most that a home has declared, kW; read by a guided program only.
        """
        begin = time.perf_counter()
        share = None
        if len(self._who):
            part = Lines(lines.kw[:, self._who], lines.ask[:, self._who], lines.member[self._who])
            cap, limit = np.inf, np.full(len(self._who), np.inf)
            if self._guided:
                asked = guidance or Guidance()
                notice = replace(
                    notice,
                    weight=cautious(notice.weight, asked.risk),
                    rho_weight=cautious(notice.rho_weight, asked.risk),
                )
                limit = np.maximum(part.kw.max(axis=0) if envelope_kw is None else envelope_kw[self._who], 0.0)
                cap = float(np.clip(asked.reserve, 0.0, 1.0)) * notice.required_kw
            favour = guidance.favour if self._guided and guidance else "none"
            share = self._solve(part, notice, favour, cap, limit)
        full = np.zeros_like(lines.kw)
        if share is None:
            full = proportional(lines, notice)
        else:
            full[:, self._who] = share
        return Shares(full, time.perf_counter() - begin, fallback=share is None)

    def _solve(
        self, lines: Lines, notice: Notice, favour: str, cap_kw: float, envelope_kw: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        kw = lines.kw * lines.member
        gain = coefficients(lines, notice)
        if favour in FAVOURED:
            line = FAVOURED[favour]
            gain[line] += FAVOUR * np.maximum(gain[line], 0.0)
        able = np.divide(kw[RESERVE], kw[FULL], out=np.zeros_like(kw[FULL]), where=kw[FULL] > 0)
        able = np.clip(np.where(gain[RESERVE] > 0, able, 0.0), 0.0, 1.0)
        can = float(able @ kw[FULL]) >= notice.min_bid_kw and cap_kw >= notice.min_bid_kw
        none = _Limits(np.zeros_like(able), notice.required_kw, 0.0, cap_kw, envelope_kw)
        free = none._replace(able=able) if can else none
        share = self._once(gain, kw, lines.member, free)
        if share is None or not 0.0 < float(share[RESERVE] @ kw[FULL]) < notice.min_bid_kw - 1e-6:
            return share
        # too little reserve to be taken: either enough of it, or none
        enough = none._replace(able=able, floor_kw=notice.min_bid_kw)
        options = [self._once(gain, kw, lines.member, limits) for limits in (enough, none)]
        solved = [o for o in options if o is not None]
        return max(solved, key=lambda o: float((gain * o).sum())) if solved else None


def apart(gain: NDArray[np.float64], member: NDArray[np.bool_], able: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, N) optimum of every home by itself, without the sums over homes.

    Where reserve is worth most, `able` of the home is on reserve; the rest is called on its better line of energy,
    where that is worth anything.
    """
    energy = np.where(gain[FULL] > gain[CAR], FULL, CAR)
    worth = np.maximum(np.maximum(gain[CAR], gain[FULL]), 0.0)
    share = np.zeros_like(gain)
    share[RESERVE] = np.where(member & (gain[RESERVE] > worth), able, 0.0)
    for line in (CAR, FULL):
        share[line] = np.where(member & (energy == line) & (gain[line] > 0.0), 1.0 - share[RESERVE], 0.0)
    return share


def proportional(lines: Lines, notice: Notice) -> NDArray[np.float64]:
    """The fallback, (3, N): everybody's full line, or its car, scaled down alike to what may be sold."""
    kw = lines.kw * lines.member
    share = np.zeros_like(kw)
    share[FULL] = kw[FULL] > 0
    share[CAR] = (kw[CAR] > 0) & (kw[FULL] <= 0)
    total = float((share * kw).sum())
    return share * min(1.0, notice.required_kw / total) if total > 0 else share


def dispatch(negotiation: Negotiation, problem: CoalitionProblem | None) -> CoalitionDispatch:
    """Solve the coalition's program and read each member's bid from its shares."""
    notice, declared, guidance = negotiation.notice, negotiation.declared, negotiation.guidance
    assert declared is not None
    assert negotiation.coalition is not None
    asks = declared.ask if guidance is None else with_margin(declared.ask, guidance.margin)
    lines = Lines(declared.kw, asks, negotiation.coalition)
    if problem is None:
        result = Shares(proportional(lines, notice), 0.0, fallback=False)
    else:
        result = problem.solve(lines, notice, guidance, declared.kw[:RESERVE].max(axis=0))
    share = result.share
    # who is called for energy has both lines on offer, each at what was agreed for it: an offer costs nothing where it
    # does not clear. Behind a gateway the kW on reserve may be the same, and energy takes what clears
    both = negotiation.notice.safeguard
    energy = np.minimum(share.sum(axis=0), 1.0) if both else share[CAR] + share[FULL]
    sell1, sell2 = energy * lines.kw[CAR], energy * np.maximum(lines.kw[FULL] - lines.kw[CAR], 0.0)
    reserve = energy * lines.kw[RESERVE] if both else share[RESERVE] * lines.kw[FULL]
    if float(reserve.sum()) < notice.min_bid_kw - 1e-6:
        reserve = np.zeros_like(reserve)  # what the mixed homes took away left too little to be taken
    line_kw, line_ask = np.concatenate([sell1, sell2]), np.concatenate([asks[CAR], asks[FULL]])
    return CoalitionDispatch(
        sell1_kw=sell1,
        sell1_ask=asks[CAR],
        sell2_kw=sell2,
        sell2_ask=asks[FULL],
        reserve_kw=reserve,
        reserve_ask=asks[RESERVE],
        buy_kw=np.where(negotiation.coalition, declared.buy_kw, 0.0),
        buy_limit=declared.buy_limit,
        expected_usd=_expected_profit(notice, line_kw, line_ask, reserve, asks[RESERVE]),
        seconds=result.seconds,
        fallback=result.fallback,
    )


def realized(called: CoalitionDispatch, notice: Notice, prices: NDArray[np.float64]) -> float:
    """VPP's profit of a dispatch at the real-time prices (T,) that came, by what members ask, USD."""
    came = replace(notice, price=np.sort(prices), weight=np.full(len(prices), 1.0 / len(prices)))
    kw = np.concatenate([called.sell1_kw, called.sell2_kw])
    ask = np.concatenate([called.sell1_ask, called.sell2_ask])
    return _expected_profit(came, kw, ask, called.reserve_kw, called.reserve_ask)


def _expected_profit(
    notice: Notice,
    sell: NDArray[np.float64],
    ask: NDArray[np.float64],
    reserve: NDArray[np.float64],
    reserve_ask: NDArray[np.float64],
) -> float:
    """Profit of the VPP over the outlook, USD: what clears, less the members' pay (ask or revenue share)."""
    raised, share = 1.0 + notice.margin, notice.revenue_share

    def mean(
        price: NDArray[np.float64], weight: NDArray[np.float64], asked: NDArray[np.float64], kw: NDArray[np.float64]
    ) -> float:
        clears = asked[:, None] * raised <= price
        total = (clears * kw[:, None]).sum(axis=0)
        kept = np.minimum(price - asked[:, None], (1.0 - share) * price) * clears
        return float(((kept * kw[:, None]).sum(axis=0) * (total >= notice.min_bid_kw)) @ weight)

    return notice.hours * (
        mean(notice.price, notice.weight, ask, sell) + mean(notice.rho, notice.rho_weight, reserve_ask, reserve)
    )
