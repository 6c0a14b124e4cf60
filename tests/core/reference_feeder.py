"""The rule of feeders once more, in exact fractions: every piece of every line is tried. Slow, and meant to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from fractions import Fraction
from itertools import pairwise

import reference as ref

ZERO, ONE = Fraction(0), Fraction(1)


@dataclass
class Plain:
    """What one home can do in a step, kW."""

    base: Fraction  # sun less load less the baseline's car
    defer: Fraction  # deferred charging inside the envelope, and beyond it
    defer_hard: Fraction
    battery: Fraction
    battery_hard: Fraction
    v2g: Fraction
    v2g_hard: Fraction
    charge: Fraction  # what its own battery does by itself
    use: Fraction
    forced: Fraction  # beyond the baseline's charging
    given: Fraction  # what it would sell, and deliver on a call, without a feeder
    bought: Fraction  # what it would buy

    def steps(self) -> list[Fraction]:
        """What it gives, cheapest first: inside the envelope, then beyond it."""
        inside = [self.defer, self.battery, self.v2g]
        hard = [self.defer_hard, self.battery_hard, self.v2g_hard]
        return inside + [h - i for h, i in zip(hard, inside, strict=True)]

    def meter(self, give: Fraction, buy: Fraction, force: Fraction) -> Fraction:
        """The meter, plus = export, where shares of its sale, its purchase and its forced charging are let through."""
        owed = give * self.given
        done = []
        for most in self.steps():
            done.append(min(owed, max(most, ZERO)))
            owed -= done[-1]
        battery, v2g = done[1] + done[4], done[2] + done[5]
        bought = buy * self.bought
        charge = ZERO if battery > 0 else self.charge
        # what is bought for the car leaves the battery alone; the caller's homes that buy have no own use
        use = ZERO if battery > 0 or bought > 0 else self.use
        forced = ZERO if v2g > 0 else force * self.forced
        return self.base - charge + use + give * self.given - bought - forced

    def kinks(self) -> set[Fraction]:
        """Shares of the sale at which another device begins to give."""
        found, total = set(), ZERO
        for most in self.steps():
            total += max(most, ZERO)
            if 0 < total < self.given:
                found.add(total / self.given)
        return found


def plain(
    home: ref.Home, step: ref.Step, baseline: ref.Baseline, s: ref.State, order: tuple[float, float, float], free: bool
) -> Plain:
    """What the readable reference says of one home, as fractions; the state stays."""
    full = ref.deliver(home, step, baseline, ref.State(**vars(s)), order, free)
    black = any(first <= step.week_step < end for first, end in home.windows)
    forced = defer = defer_hard = v2g = v2g_hard = beyond = 0.0
    if home.ev_kwh > 0 and step.plugged:
        need, forced = ref.car_plan(home, step, baseline, s.soc_e)
        defer_hard = baseline.ev_kw
        v2g_hard = ref.can_give(s.soc_e, home.ev_min, home.v2g_kw, home.eta_e, ref.DT)
        beyond = ref.clip0(forced - baseline.ev_kw)
        if not black:
            defer = ref.clip0(baseline.ev_kw - forced)
            later = home.eta_e * home.ev_kw * (step.due * ref.DT - ref.DT)
            v2g = min(v2g_hard, ref.clip0((later - need) * home.eta_e / ref.DT))
    charge, use = ref.home_battery(home, step, s.soc_b, s.below_since, baseline.ev_kw, s.market)
    hard, inside = ref.can_give(s.soc_b, home.bess_min, home.bess_kw, home.eta_b, ref.DT), 0.0
    if not black:
        above = ref.can_give(s.soc_b, max(home.floor, home.bess_min), home.bess_kw, home.eta_b, ref.DT)
        inside = ref.clip0(min(above, (home.day_limit - s.given_today) / ref.DT))
    numbers = {
        "base": step.sun_less_load - baseline.ev_kw, "defer": defer, "defer_hard": defer_hard, "battery": inside,
        "battery_hard": hard, "v2g": v2g, "v2g_hard": v2g_hard, "charge": charge, "use": use, "forced": beyond,
        "given": full.sold + full.called, "bought": full.bought,
    }  # fmt: skip
    return Plain(*(Fraction(numbers[f.name]) for f in fields(Plain)))


def largest(excess: Callable[[Fraction], Fraction], kinks: set[Fraction]) -> Fraction | None:
    """The largest share in [0, 1] whose excess is not above 0: line by line between the kinks; None: there is none.

    Where the line jumps above 0 just behind a share, that share itself counts.
    """
    points = sorted({ZERO, ONE} | kinks)
    for low, high in reversed(list(pairwise(points))):
        if excess(high) <= 0:
            return high
        # the line between two kinks by two points inside it
        a, b = low + (high - low) / 3, low + 2 * (high - low) / 3
        at_a, at_b = excess(a), excess(b)
        slope = (at_b - at_a) / (b - a)
        if slope == 0:
            if at_a <= 0:
                return high
            continue
        root = a - at_a / slope
        if low < root < high:
            return root
    return ZERO if excess(ZERO) <= 0 else None


@dataclass
class Cut:
    """Shares that are let through."""

    give: Fraction = ONE
    buy: Fraction = ONE
    force: Fraction = ONE
    dropped: frozenset[int] = frozenset()  # homes whose sale is dropped, since it makes them draw more


def cut(homes: list[Plain], rating: Fraction) -> Cut:
    """What a feeder lets through."""
    alone = sum((h.meter(ZERO, ZERO, ZERO) for h in homes), ZERO)
    export, draw = max(rating, alone), max(rating, -alone)

    def net(give: Fraction, buy: Fraction, force: Fraction) -> Fraction:
        return sum((h.meter(give, buy, force) for h in homes), ZERO)

    kinks = {x for h in homes for x in h.kinks()}
    give = ONE
    if net(ONE, ONE, ONE) > export:
        share = largest(lambda f: net(f, ONE, ONE) - export, kinks)
        assert share is not None
        give = share
    # also where less is sold: a car that no longer gives charges again, by force
    if -net(give, ONE, ONE) <= draw:
        return Cut(give=give)
    share = largest(lambda f: -net(give, f, ONE) - draw, set())
    if share is not None:
        return Cut(give=give, buy=share)
    share = largest(lambda f: -net(give, ZERO, f) - draw, set())
    if share is not None:
        return Cut(give=give, buy=ZERO, force=share)
    worse = {i for i, h in enumerate(homes) if h.meter(give, ZERO, ZERO) < h.meter(ZERO, ZERO, ZERO)}
    return Cut(give=give, buy=ZERO, force=ZERO, dropped=frozenset(worse))
