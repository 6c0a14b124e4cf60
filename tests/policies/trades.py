"""Integrative trades of `agentic`: which owner sold which wish, and what that brought its owner and the VPP.

A sale is measured against the same month in which this one concession of this one owner is never asked for, all else
alike: the differences of the VPP's profit, and of the owner's net benefit less its private costs.

python tests/policies/trades.py   # the hour of docs/owners.md, and what became of it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from vpp_benchmarks.cli.transcript import conversation
from vpp_policies.agentic import Agentic, NegotiationOptions
from vpp_policies.agentic.negotiation import AggregatorBrain, ProsumerBrain, Standing
from vpp_policies.agentic.rules import RulesAggregator, RulesBrain

from vpp_env import MarketRules, Month, Terms, World, build_view, load_scenario
from vpp_env.evaluation.record import Recorder
from vpp_env.evaluation.simulate import market_rules, take
from vpp_env.owners.wishes import CONCESSIONS
from vpp_env.units import Floats

SEED = 1004
WORLD = {
    "fleet.size": 60,
    "time.duration_hours": 240,
    "market.min_bid_mw": 0.03,
    "market.capacity_usd_per_kw_month": 30.0,
}
"""Ten days of August with one called evening of eight: at that pay it stands for as much as one of 29 does in a month,
which seven of the validation seeds 1000-1009 have. The minimum bid is that of 200 homes, by 60."""
FLOOR, DAY = 59, 6
"""Owners who sell most of a floor and of a day's limit, and whose sales both sides gain by. Of the floor that home 31
sells, the largest seller, its owner has 2.53 USD and the VPP loses .02."""
LIMITS = {"floor": ("floor_kwh", "floor_price"), "overuse": ("day_kwh", "overuse_price")}
"""Concession -> the limit and the price of it among the terms."""
VALUES = {"floor": "floor_value", "overuse": "overuse_value"}
UNITS = {"floor": "kWh h below its floor", "overuse": "kWh beyond its day's limit"}


class Without(RulesAggregator):
    """Never asks the owner of one home for one concession."""

    home, kind = -1, "floor"

    def terms(self, standing: Standing, last: bool) -> Terms:
        """Put the owner's own limit back."""
        made = super().terms(standing, last)
        limit, price = LIMITS[self.kind]
        kept, free = getattr(made, limit).copy(), getattr(made, price).copy()
        kept[self.home], free[self.home] = getattr(standing.terms, limit)[self.home], 0.0
        return replace(made, **{limit: kept, price: free})


class WithoutBrain(RulesBrain):
    """The rules brain with such an aggregator."""

    def __init__(self, options: NegotiationOptions, home: int, kind: str) -> None:
        super().__init__(options)
        self._without = home, kind

    def begin(self, rules: MarketRules) -> tuple[AggregatorBrain, ProsumerBrain]:
        """Return the two sides."""
        _, prosumers = super().begin(rules)
        aggregator = Without(rules, self._options)
        aggregator.home, aggregator.kind = self._without
        return aggregator, prosumers


@dataclass(frozen=True)
class Played:
    """A month of `agentic`, (N,) unless said."""

    month: Month
    profit: float  # the VPP's, USD
    owners: Floats  # net benefit less private costs, USD
    taken: Floats  # (4, N) of the owners' wishes, rows as `CONCESSIONS`
    paid: Floats  # (4, N) for them, USD
    transcript: list[dict[str, Any]]


def played(month: Month, without: tuple[int, str] | None = None) -> Played:
    """Play a month; `without` names an owner and the concession that it is never asked for."""
    options = NegotiationOptions(transcript="full" if without is None else "none")
    policy = Agentic("rules", options)
    if without is not None:
        policy.brain = WithoutBrain(options, *without)
    world = World([month])
    world.reset()
    policy.reset(market_rules(world), month.policy_rng())
    record = Recorder(world, policy.info)
    taken, paid = np.zeros((2, len(CONCESSIONS), world.n_homes))
    profit = 0.0
    while not world.done:
        bids = policy.act(build_view(world, policy.info.information))
        outcome = take(world, bids)
        record.add(bids, outcome, 0.0)
        taken += outcome.wishes[: len(CONCESSIONS), 0]
        paid += outcome.contracts.concessions[:, 0]
        profit += float(outcome.profit[0])
    owners = record.net_benefit() - record.private_cost().sum(axis=0)
    return Played(month, profit, owners, taken, paid, record.transcripts)


@dataclass(frozen=True)
class Trade:
    """What one owner sold of one wish, and what that changed, USD."""

    home: int
    kind: str
    amount: float
    value: float  # its private value of a unit
    paid: float
    owner_gain: float
    vpp_gain: float

    @property
    def cost(self) -> float:
        """What the owner gave up, at its private value."""
        return self.amount * self.value


def trade(base: Played, home: int, kind: str) -> Trade:
    """Return what the owner of a home sold of one wish."""
    row = CONCESSIONS.index(kind)
    other = played(base.month, (home, kind))
    value = float(getattr(base.month.fleet, VALUES[kind])[home])
    return Trade(
        home, kind, float(base.taken[row, home]), value, float(base.paid[row, home]),
        float(base.owners[home] - other.owners[home]), base.profit - other.profit,
    )  # fmt: skip


def talk(transcript: list[dict[str, Any]], homes: tuple[int, ...]) -> list[str]:
    """Return the hour in which all of `homes` agreed, as a conversation of these homes alone."""
    agreed: dict[str, set[int]] = {}
    for m in transcript:
        if m["kind"] == "prosumer_response" and m["accepted"] and m["prosumer_id"] in homes:
            agreed.setdefault(str(m["timestamp"]), set()).add(m["prosumer_id"])
    hour = next(t for t, who in agreed.items() if who == set(homes))
    lines = [m for m in transcript if str(m["timestamp"]) == hour and heard(m, homes)]
    return list(conversation(iter([only(m, homes) for m in lines])))


def heard(m: Mapping[str, Any], homes: tuple[int, ...]) -> bool:
    """Whether a message is of the VPP to all, or of these homes."""
    of_home = m.get("prosumer_id")
    return of_home in homes if isinstance(of_home, int) else m["kind"] in ("market_opportunity", "aggregator_offer")


def only(m: dict[str, Any], homes: tuple[int, ...]) -> dict[str, Any]:
    """Leave all other homes out of an offer."""
    if m["kind"] != "aggregator_offer":
        return m | {"policy": "agentic"}
    rows = [j for j, home in enumerate(m["targets"]) if home in homes]
    lists = {name: [m[name][j] for j in rows] for name in ("targets", "concessions", "offered_price", "requested_kw")}
    return m | lists | {"policy": "agentic"}


def month() -> Month:
    """The ten days."""
    return Month(load_scenario("august").override(WORLD), SEED)


def main() -> None:
    """Print the hour and what became of it."""
    base = played(month())
    print("\n".join(talk(base.transcript, (FLOOR, DAY))))
    print("\nIn the ten days:")
    for home, kind in ((FLOOR, "floor"), (DAY, "overuse")):
        t = trade(base, home, kind)
        print(
            f"  home {home} sold {t.amount:.1f} {UNITS[kind]}: {t.cost:.2f} USD to its owner, paid {t.paid:.2f}. "
            f"Against ten days in which it is not asked for that: owner {t.owner_gain:+.2f} USD, VPP {t.vpp_gain:+.2f}"
        )
    for kind, name in VALUES.items():
        row = CONCESSIONS.index(kind)
        sold, worth = base.paid[row] > 0.0, float(base.taken[row] @ getattr(base.month.fleet, name))
        print(
            f"  {int(sold.sum())} owners sold {base.taken[row].sum():.0f} {UNITS[kind]}: {worth:.2f} USD to them, "
            f"paid {base.paid[row].sum():.2f}"
        )


if __name__ == "__main__":
    main()
