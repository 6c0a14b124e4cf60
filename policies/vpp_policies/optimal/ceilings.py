"""Ceilings of a month: what no policy can exceed, proven by duality, with a plan beneath that says how tight it is.

Every device is a store (`devices`), solved exactly (`storage`). What couples things is priced:

- a device's power is sold or held on reserve, and reserve needs energy behind it: q <= P - d and eta_r q <= e. A share
  lambda of the reserve's price is charged to the energy and the rest to the power; any lambda in [0, 1] gives an
  upper bound, the best one is the optimum;
- discharge per day inside the envelope: a price theta >= 0 per day; where more of it has a price, at most that;
- the hassle of an hour in which storage gives: a price nu per hour, from 0 to what full power costs a kWh;
- the VPP's maximum: a congestion price mu >= 0 per step, the same for all homes;
- a feeder's rating: a price phi >= 0 per step, the same for the homes behind it.

Weak duality makes every choice of these prices a valid ceiling. A device's own are moved by subgradients towards the
least one; those of what is shared come from `sharing`. Each round's dispatch, cut to what the limits allow, is a plan:
the best one, or the best mixture where room is short, is a floor beneath the ceiling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import DT_H, Foresight, Homes
from vpp_env.units import STEPS_PER_HOUR
from vpp_policies.optimal.devices import Device, Goal, Measure, devices
from vpp_policies.optimal.evenings import Dropped, closed, uncommitted_usd, without_bonus
from vpp_policies.optimal.penalties import Penalty
from vpp_policies.optimal.shadow import Prices, improve, priced
from vpp_policies.optimal.sharing import Answers, Plans, Shared, new_answers, shared
from vpp_policies.optimal.storage import Store

ROUNDS, PATIENCE = 30, 2
"""Subgradient rounds per device at most, and rounds without progress after which the step is halved."""
SHARING_ROUNDS, INNER_ROUNDS = 100, 6
"""Rounds of the prices of what is shared where it binds, and of each device's own prices within one."""
TOWARDS = 0.05, 0.5, 0.9
"""Share of the way from the best prices so far to the mixture's that is tried: least, at first, most. It is halved
where that makes the ceiling no lower, and else grows by a half."""
SHARING_GAP, STALL = 1e-2, 8
"""Relative gap at which prices of what is shared are good enough, and rounds in which it has to shrink by a twentieth
of that."""
GAP = 2e-3
"""Relative gap at which a device's prices are good enough."""
PACE, LEAST_PACE = 0.5, 0.1
"""Share of a day's best gain, and USD/kWh, by which the price of a day's discharge moves in a round at most; of 0, .25,
.5 and 1 the one with the smallest gaps on a training seed of `august`."""


@dataclass(frozen=True)
class Bracket:
    """A proven interval around the optimum, USD."""

    lower: float  # worth of a plan
    upper: float  # no plan is worth more

    @property
    def gap(self) -> float:
        """Width relative to the upper end."""
        return (self.upper - self.lower) / max(abs(self.upper), 1e-9)

    def __add__(self, other: Bracket) -> Bracket:
        return Bracket(self.lower + other.lower, self.upper + other.upper)


class Effort(NamedTuple):
    """How hard shadow prices are looked for."""

    rounds: int = ROUNDS  # subgradient rounds per device at most
    gap: float = GAP  # relative gap of a device at which it is left alone
    pace: float = PACE  # see `PACE`
    feeders: bool = True  # whether feeders have prices; without them the ceiling is higher


CEILING = Effort()
"""What a ceiling needs."""
QUICK_CEILING = Effort(feeders=False)
"""A third of the time, and hardly higher: what stands beside the results of a comparison (docs/ceilings.md)."""


class Sweep(NamedTuple):
    """What devices answered; D of them."""

    upper: NDArray[np.float64]  # (D,) USD
    lower: NDArray[np.float64]  # (D,) worth of the plan
    answers: Answers

    @property
    def total(self) -> Bracket:
        """All devices' brackets together."""
        return Bracket(float(self.lower.sum()), float(self.upper.sum()))


@dataclass
class Solution:
    """Devices, their best shadow prices, and the bracket that they prove."""

    devices: list[Device]
    shares: list[NDArray[np.float64]]
    thetas: list[NDArray[np.float64]]
    nus: list[NDArray[np.float64]]
    room: Shared
    mu: NDArray[np.float64]
    phi: NDArray[np.float64]  # (F, K)
    reserve_h: float
    bracket: Bracket

    def prices(self, d: int) -> Prices:
        """Return the shadow prices of device d."""
        return Prices(self.shares[d], self.thetas[d], self.nus[d], self.mu, self.phi[self.room.feeder[d]])

    def store(self, d: int) -> Store:
        """Device d with its shadow prices in its gains."""
        return priced(self.devices[d], self.prices(d), self.reserve_h, DT_H)

    def sweep(self, effort: Effort, which: NDArray[np.int64] | None = None) -> Sweep:
        """Improve the devices `which` (all) at the present `mu` and `phi`."""
        who = np.arange(len(self.devices)) if which is None else which
        n, days = len(who), len(self.thetas[0]) if self.thetas else 0
        answers = new_answers(n, self.room.piece)
        made = Sweep(np.zeros(n), np.zeros(n), answers)
        for j, d in enumerate(who):
            device, prices = self.devices[d], self.prices(d)
            made.upper[j], made.lower[j] = improve(
                device,
                prices,
                self.reserve_h,
                DT_H,
                effort.rounds,
                PATIENCE,
                effort.gap,
                _pace(device, days, effort.pace),
                answers.of(j, self.room.piece),
            )
        return made


def _pace(device: Device, days: int, share: float) -> NDArray[np.float64]:
    """USD/kWh (days,) by which the price of a day's discharge moves in a round at most."""
    gain = np.zeros(days)
    np.maximum.at(gain, device.day - device.day[0], device.store.out_m[:, 0] / device.grid_kwh[0])
    return np.maximum(LEAST_PACE, share * gain)


def _whole_fleet(homes: Homes, foresight: Foresight, goal: Goal, capacity_kw: float) -> Bracket:
    """Bound what belongs to no device: the day-ahead schedule, and the VPP's influence on its own price.

    A schedule earns its spread on at most all that the fleet may schedule, by the hour. And the price is settled on
    the award N alone, while the meter reads N + C - F with calls C and charging bought back by force F:
    (lmp - slope N) (N + C - F) exceeds lmp (N + C - F) by at most slope (C - F)^2 / 4.
    """
    f = foresight
    sell = min(float((homes.bess_kw + homes.ev_kw + homes.v2g_kw).sum()), capacity_kw)
    buy = min(float((homes.bess_kw + homes.ev_kw).sum()), capacity_kw)
    # steps are put into hours from the end, where an hour is whole
    hour = (f.n_steps - 1 - np.arange(f.n_steps)) // STEPS_PER_HOUR
    spread = np.bincount(hour, f.spread)
    worth = DT_H * float(np.maximum(sell * spread, -buy * spread).sum())
    forced = ((homes.ev_kw - f.baseline_ev_kw) * f.plugged).sum(axis=1)
    unpriced = np.maximum(forced, np.where(f.called, sell, 0.0))
    moved = DT_H * f.slope / 4.0 * float((unpriced**2).sum()) if goal.measure is Measure.VALUE else 0.0
    return Bracket(worth, worth + moved)


def charged(made: Sequence[Device], penalties: Sequence[Penalty]) -> list[Device]:
    """Return devices that pay their penalties: M_t off what holding at the end of step t - 1 earns."""
    if not penalties:
        return list(made)
    out = []
    for device, penalty in zip(made, penalties, strict=True):
        hold = device.store.hold - np.append(penalty.slope[1:], 0.0)
        out.append(device._replace(store=device.store._replace(hold=hold), constant=device.constant - penalty.constant))
    return out


def solve(
    homes: Homes,
    foresight: Foresight,
    goal: Goal,
    capacity_kw: float,
    effort: Effort = CEILING,
    penalties: Sequence[Penalty] = (),
    evenings: Sequence[Dropped] = (),
) -> Solution:
    """Enclose the best month under `goal`.

    Parameters
    ----------
    homes, foresight : Homes, Foresight
        At the start of the span that is bounded.
    goal : Goal
        What is measured, and what becomes of the owners' preferences.
    capacity_kw : float
        The VPP's maximum.
    effort : Effort
        How hard shadow prices are looked for.
    penalties : sequence of Penalty
        Of every device, in the order of `devices`; none: nothing is taken off.
    evenings : sequence of Dropped
        Called evenings on which, committed, some owners are out; none: everybody stays in.

    Returns
    -------
    Solution
        `bracket.upper` is a proven ceiling of the relaxation that docs/proofs.md states, and so of every policy.
    """
    made = charged(closed(devices(homes, foresight, goal), foresight, evenings), penalties)
    steps, days = foresight.n_steps, int(foresight.day[-1] - foresight.day[0]) + 1
    room = shared(homes, foresight, goal.rules, made, capacity_kw, effort.feeders)
    out = Solution(
        made,
        [np.zeros(steps) for _ in made],
        [np.zeros(days) for _ in made],
        [np.full(int(foresight.hour[-1]) + 1, device.hour_usd) for device in made],
        room,
        np.zeros(steps),
        np.zeros_like(room.room),
        goal.rules.reserve_hours,
        Bracket(0.0, 0.0),
    )
    first = out.sweep(effort)
    out.bracket = _shared_out(out, first, effort) + _whole_fleet(homes, foresight, goal, capacity_kw)
    return out


def _shared_out(out: Solution, first: Sweep, effort: Effort) -> Bracket:
    """Price what devices share, where their plans at no price at all, `first`, fill more than there is room for.

    The best prices are left in `out`. Devices that nothing is short for keep their first plans.
    """
    who = np.flatnonzero(out.room.concerned(out.devices, first.answers.sold, first.answers.met))
    if not len(who):
        return first.total
    of = Sweep(first.upper[who], first.lower[who], first.answers.at(who))
    rest = first.total + Bracket(-of.total.lower, -of.total.upper)
    plans = Plans(out.room)
    plans.add(who, of.answers)
    # plans that give nothing leave room everywhere
    nothing = replace(out, devices=[_without_giving(device) for device in out.devices]).sweep(
        effort._replace(rounds=1), who
    )
    plans.add(who, nothing.answers)
    best, found = out, Bracket(-np.inf, of.total.upper)
    quick = effort._replace(rounds=INNER_ROUNDS)
    widths: list[float] = []
    least, towards, most = TOWARDS
    for _ in range(SHARING_ROUNDS):
        mixture = plans.mixture()
        found = Bracket(max(found.lower, mixture.worth), found.upper)
        widths.append((found + rest).gap)
        stalled = len(widths) > STALL and widths[-1 - STALL] - widths[-1] < SHARING_GAP / 20.0
        if widths[-1] <= SHARING_GAP or stalled:
            break
        tried = _copied(best)
        tried.mu = best.mu + towards * (mixture.mu - best.mu)
        tried.phi = best.phi + towards * (mixture.phi - best.phi)
        found_there = tried.sweep(quick, who)
        plans.add(who, found_there.answers)
        upper = found_there.total.upper + out.room.rent(tried.mu, tried.phi)
        if upper < found.upper:
            best, found = tried, Bracket(found.lower, upper)
            towards = min(1.5 * towards, most)
        else:
            towards = max(0.5 * towards, least)
    out.shares, out.thetas, out.nus, out.mu, out.phi = best.shares, best.thetas, best.nus, best.mu, best.phi
    return found + rest


def _without_giving(device: Device) -> Device:
    """Return a device that gives nothing to the market and holds nothing in reserve."""
    out_w = np.where(device.grid_kwh > 0.0, 0.0, device.store.out_w)
    return device._replace(store=device.store._replace(out_w=out_w), rho=np.zeros_like(device.rho))


def _copied(solution: Solution) -> Solution:
    """Return the same with prices of its own."""
    shares, thetas, nus = ([x.copy() for x in prices] for prices in (solution.shares, solution.thetas, solution.nus))
    return replace(solution, shares=shares, thetas=thetas, nus=nus)


def bracket(
    homes: Homes,
    foresight: Foresight,
    goal: Goal,
    capacity_kw: float,
    penalties: Sequence[Penalty] = (),
    effort: Effort = CEILING,
    evenings: Sequence[Dropped] = (),
) -> Bracket:
    """Return the bracket alone; see `solve`.

    A month with firm capacity is played inside its programme, where net energy in called evenings earns at most its
    bonus and what is taken in costs it, or outside it by who commits nothing: the ceiling is the higher of the two.
    Penalties are the same in both: which of the two a policy plays does not change what they take off on the mean.
    With `evenings` the choice is one for each of them (`optimal.evenings`).
    """
    found = solve(homes, foresight, goal, capacity_kw, effort, penalties, evenings)
    if not foresight.bonus.any():
        return found.bracket

    def besides(f: Foresight) -> float:
        return _whole_fleet(homes, f, goal, capacity_kw).upper + found.room.rent(found.mu, found.phi)

    inside = found.bracket.upper
    if not evenings:
        none = replace(
            foresight, bonus=np.zeros(foresight.n_steps), baseline_bonus_usd=np.zeros_like(foresight.baseline_bonus_usd)
        )
        # any shadow prices prove a ceiling: those of inside the programme are good enough for the lower of two
        outside = replace(found, devices=charged(devices(homes, none, goal), penalties))
        upper = outside.sweep(Effort(rounds=1)).total.upper + besides(none)
        return Bracket(found.bracket.lower, max(inside, upper))

    everybody = devices(homes, foresight, goal)

    def free(j: int, paid: bool) -> list[Device]:
        others = [e for e in evenings if e is not evenings[j]]
        made = everybody if paid else devices(homes, without_bonus(foresight, homes, goal, evenings[j]), goal)
        return charged(closed(made, foresight, others), penalties)

    prices = [found.prices(d) for d in range(len(found.devices))]
    some = uncommitted_usd(evenings, found.devices, free, prices, found.reserve_h) + besides(foresight)
    if some <= inside:
        return found.bracket
    plain = bracket(homes, foresight, goal, capacity_kw, penalties, effort)
    return Bracket(found.bracket.lower, min(some, plain.upper))
