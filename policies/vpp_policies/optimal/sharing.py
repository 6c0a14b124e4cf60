"""What devices share: the VPP's maximum and the feeders, priced from the plans that the devices answered so far.

Every row says  sum over devices of what they fill <= room, kW, in one step: of the VPP's maximum they fill what they
sell or hold in reserve, of a feeder what they add to the sum of its homes' meters or hold in reserve. A price per row
makes the devices independent again (`ceilings`); by weak duality any prices prove a ceiling.

The prices come from a small linear program over the plans that were answered (Dantzig and Wolfe 1960): a mixture of
each device's plans, piece by piece, the rows kept. A device's plans form a convex set on which its worth is concave, so
the mixture is a plan of the relaxation, and its worth a floor; the program's duals are the next prices, drawn towards
those of the best ceiling so far, since they jump while plans are few (Neame 1999; Pessoa et al. 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import DT_H, Foresight, Homes, MarketRules, PolicyError
from vpp_policies.optimal.devices import Device
from vpp_policies.optimal.shadow import Answer

FINE_KW = 1e-6
"""A row counts as kept within this."""
PIECE_STEPS = 24
"""Steps of a piece of a plan."""
KEPT = 12
"""Plans of a device that the program remembers: those nearest to being used at its prices."""
DEAREST = 10.0
"""USD/kWh at which a row may be broken while there are no plans that keep it: above what any market pays."""


@dataclass(frozen=True)
class Shared:
    """Room that devices share; D devices, F feeders (1 where there are none), K steps."""

    capacity_kw: float  # the VPP's maximum
    feeder: NDArray[np.int64]  # (D,) feeder that each device hangs on
    piece: NDArray[np.int64]  # (K,) into which plans are cut to be mixed; none goes beyond midnight
    room: NDArray[np.float64]  # (F, K) kW by which devices may raise the sum of their feeder's meters, or be on reserve

    def concerned(
        self, made: Sequence[Device], sold: NDArray[np.float64], met: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Return the devices (D,) that have to give way where plans (D, K) fill more than there is room for.

        All of them where the VPP's maximum is passed, or might be by who gives way to others; else those behind
        feeders that are full.
        """
        total = np.zeros_like(self.room)
        np.add.at(total, self.feeder, met)
        full = np.asarray((total > self.room + FINE_KW).any(axis=1))[self.feeder]
        most = sum((d.store.out_w @ d.grid_kwh / DT_H + d.power).max(initial=0.0) for d in made)
        passed = sold.sum(axis=0).max(initial=0.0) > self.capacity_kw + FINE_KW
        return np.ones_like(full) if passed or (full.any() and most > self.capacity_kw) else full

    def rent(self, mu: NDArray[np.float64], phi: NDArray[np.float64]) -> float:
        """Return what all of the room costs at its prices, USD."""
        paid = phi > 0.0
        return DT_H * (self.capacity_kw * float(mu.sum()) + float(phi[paid] @ self.room[paid]))


def shared(
    homes: Homes,
    foresight: Foresight,
    rules: MarketRules,
    made: Sequence[Device],
    capacity_kw: float,
    feeders: bool = True,
) -> Shared:
    """Return the room of a month.

    The meters of a feeder's homes together are never above max(rating, what they would be had the market ordered
    nothing in this step), also if what is on reserve and paid were called on top. Had it ordered nothing, a home would
    put out no more than its sun beyond its load, or, where its battery serves the load, beyond nothing.
    """
    f = foresight
    since_midnight = np.arange(f.n_steps) - np.searchsorted(f.day, f.day)
    ends = (since_midnight % PIECE_STEPS == 0)[1:]
    piece = np.append(0, np.cumsum(ends))
    if not feeders or not rules.feeder_homes:
        return Shared(capacity_kw, np.zeros(len(made), dtype=np.int64), piece, np.full((1, f.n_steps), np.inf))
    alone = f.surplus_kw - f.shortage_kw + f.baseline_ev_kw
    most = np.maximum(alone, 0.0) if f.self_consumption else alone
    count = int(rules.feeder.max()) + 1
    by_itself, at_most = np.zeros((count, f.n_steps)), np.zeros((count, f.n_steps))
    np.add.at(by_itself, rules.feeder, (f.surplus_kw - f.shortage_kw).T)
    np.add.at(at_most, rules.feeder, most.T)
    feeder = rules.feeder[[device.home for device in made]] if made else np.zeros(0, dtype=np.int64)
    return Shared(capacity_kw, feeder, piece, np.maximum(rules.feeder_kw, at_most) - by_itself)


class Answers(NamedTuple):
    """Plans of D devices over K intervals, and the P pieces that they fall into; see `shadow.Answer`."""

    sold: NDArray[np.float64]  # (D, K)
    met: NDArray[np.float64]  # (D, K)
    worth: NDArray[np.float64]  # (D, P)
    held: NDArray[np.float64]  # (D, P)
    spent: NDArray[np.float64]  # (D, P)

    def at(self, which: NDArray[Any]) -> Answers:
        """Return those of some of the devices."""
        return Answers(*(x[which] for x in self))

    def of(self, d: int, piece: NDArray[np.int64]) -> Answer:
        """Return room for the answer of one device."""
        return Answer(self.sold[d], self.met[d], piece, self.worth[d], self.held[d], self.spent[d])


def new_answers(count: int, piece: NDArray[np.int64]) -> Answers:
    """Return room for the answers of `count` devices."""
    steps, pieces = len(piece), int(piece[-1]) + 1
    return Answers(*(np.zeros((count, n)) for n in (steps, steps, pieces, pieces, pieces)))


class Mixture(NamedTuple):
    """What the program over plans found."""

    worth: float  # USD; -inf where no mixture keeps every row
    mu: NDArray[np.float64]  # (K,) USD per kWh that fills the VPP's maximum
    phi: NDArray[np.float64]  # (F, K) USD per kWh that fills a feeder


class Plans:
    """The plans that some devices have answered.

    Each is cut into pieces of some hours that are mixed on their own, where the mixtures to either side agree on what
    the store holds and has given of the day's discharge: what is short in one hour need not bind the next day's plan.
    Pieces in which nothing can be short are left together.

    Parameters
    ----------
    room : Shared
        Of all devices.
    """

    def __init__(self, room: Shared) -> None:
        self._room = room
        self._device = np.zeros(0, dtype=np.int64)
        self._all = new_answers(0, room.piece)

    def add(self, device: NDArray[np.int64], answers: Answers) -> None:
        """Add a plan of each of `device`."""
        self._device = np.append(self._device, device)
        self._all = Answers(*(np.concatenate(pair) for pair in zip(self._all, answers, strict=True)))

    def _tight(
        self, kw: NDArray[np.float64], groups: NDArray[np.int64], limit: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Return the rows (groups, K) that some mixture could break."""
        most = np.full((len(groups), kw.shape[1]), -np.inf)
        np.maximum.at(most, self._device, kw)
        there = np.unique(self._device)
        total = np.zeros_like(limit)
        np.add.at(total, groups[there], most[there])
        return np.asarray(total > limit + FINE_KW)

    def mixture(self) -> Mixture:
        """Return the best mixture that keeps every row, and the rows' prices; forget plans that are far from it.

        Raises
        ------
        PolicyError
            When the solver does not end with an optimum.
        """
        from scipy.optimize import linprog  # a quarter of a second of imports, where something is short only
        from scipy.sparse import coo_array, hstack, vstack

        room, plans = self._room, len(self._device)
        feeders, steps = room.room.shape
        sides = (
            (self._all.sold, np.zeros_like(room.feeder), np.full((1, steps), room.capacity_kw)),
            (self._all.met, room.feeder, room.room),
        )
        tight = [self._tight(*side) for side in sides]
        short = np.zeros(int(room.piece[-1]) + 1, dtype=np.int64)
        np.maximum.at(short, room.piece, np.concatenate(tight).any(axis=0))
        first = np.flatnonzero(np.append(True, (short[1:] > 0) | (short[:-1] > 0)))  # of those that stay together
        count = len(first)
        piece = np.searchsorted(first, room.piece, side="right") - 1  # (K,)

        def column(plan: NDArray[np.int64], of: NDArray[np.int64]) -> NDArray[np.int64]:
            return plan * count + of

        blocks, limits = [], []
        for (kw, groups, limit), rows in zip(sides, tight, strict=True):
            for g in np.flatnonzero(rows.any(axis=1)):
                at, who = np.flatnonzero(rows[g]), np.flatnonzero(groups[self._device] == g)
                fills = kw[np.ix_(who, at)]
                j, r = np.nonzero(fills)
                entries = (fills[j, r], (r, column(who[j], piece[at[r]])))
                blocks.append(coo_array(entries, shape=(len(at), plans * count)))
                limits.append(limit[g, at])
        room_kw = np.concatenate([np.zeros(0), *limits])
        n_rows = len(room_kw)
        # each device's pieces make one plan: their shares add up to 1, and they meet at what the store holds
        who, index = np.unique(self._device, return_inverse=True)
        all_plans = np.arange(plans)
        one, part = np.tile(all_plans, count), np.repeat(np.arange(count), plans)
        whole = coo_array((np.ones(plans * count), (index[one] * count + part, column(one, part))))
        equal, right = [whole], [np.ones(len(who) * count)]
        if count > 1:
            one, part = np.tile(all_plans, count - 1), np.repeat(np.arange(count - 1), plans)
            row = index[one] * (count - 1) + part
            where = np.concatenate([row, row]), np.concatenate([column(one, part), column(one, part + 1)])
            for kept in (self._all.held, self._all.spent):
                here = kept[one, first[part + 1]]
                entries = coo_array(
                    (np.concatenate([here, -here]), where), shape=(len(who) * (count - 1), plans * count)
                )
                equal.append(entries)
                right.append(np.zeros(len(who) * (count - 1)))
        worth = np.add.reduceat(self._all.worth, first, axis=1)
        slack = coo_array((np.full(n_rows, -1.0), (np.arange(n_rows),) * 2), shape=(n_rows, n_rows))
        found = linprog(
            np.append(-worth.ravel(), np.full(n_rows, DEAREST * DT_H)),
            A_ub=hstack([vstack(blocks), slack]) if blocks else None,
            b_ub=room_kw if blocks else None,
            A_eq=hstack([vstack(equal), coo_array((sum(len(x) for x in right), n_rows))]),
            b_eq=np.concatenate(right),
            method="highs",
        )
        if found.status != 0:
            raise PolicyError(f"the program over plans ended with {found.message!r}; only an optimum is an answer")
        prices, begin = [np.zeros((1, steps)), np.zeros((feeders, steps))], 0
        for price, of in zip(prices, tight, strict=True):
            number = int(of.sum())
            if number:
                price[of] = np.maximum(-found.ineqlin.marginals[begin : begin + number], 0.0) / DT_H
            begin += number
        used = found.x[: plans * count].reshape(plans, count).max(axis=1) > 0.0
        self._forget(index, prices[0][0], prices[1], used)
        broken = found.x[plans * count :].sum() > FINE_KW
        return Mixture(-np.inf if broken else -float(found.fun), prices[0][0], prices[1])

    def _forget(
        self,
        index: NDArray[np.int64],
        mu: NDArray[np.float64],
        phi: NDArray[np.float64],
        used: NDArray[np.bool_],
    ) -> None:
        """Keep what is used, and of each device (`index`) the `KEPT` plans that are worth most at these prices."""
        dear = self._all.sold @ mu + (self._all.met * phi[self._room.feeder[self._device]]).sum(axis=1)
        order = np.lexsort((DT_H * dear - self._all.worth.sum(axis=1), index))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order)) - np.searchsorted(index[order], index[order])
        keep = (rank < KEPT) | used
        self._device, self._all = self._device[keep], self._all.at(keep)
