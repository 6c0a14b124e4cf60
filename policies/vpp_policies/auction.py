"""`auction`: a uniform-price double auction of what the homes declare, cleared at every gate.

The homes' own agents declare offers (`vpp_policies.truthful.own_offers`, row by row); the auctioneer reads these and
public data, nothing else. It crosses the supply of the homes' asks with the demand of the homes' limits and of the
wholesale market, and bids everybody who trades at the one price at which supply meets demand: the middle of those that
clear.
That is the k-double auction with k = 1/2 (R. Wilson, "Incentive efficiency of double auctions", Econometrica 53, 1985;
A. Rustichini, M. Satterthwaite, S. Williams, "Convergence to efficiency in a simple market with incomplete
information", Econometrica 62, 1994): efficient for what is declared, balanced, no seller below its ask, no buyer
above its limit; only a home at the margin moves the price.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp_env import (
    BUY_LIMIT_RANGE,
    POWER_QUANTUM_KW,
    PRICE_TICK,
    SELL_ASK_RANGE,
    Bids,
    Consent,
    Information,
    MarketRules,
    PolicyInfo,
    Public,
    View,
    encode,
)
from vpp_policies.truthful import MeteredProfile, own_offers


@dataclass(frozen=True)
class Cleared:
    """Result of a double auction; prices in ticks, quantities in the unit of the offers."""

    price: float  # middle of the prices that clear; NaN where one side has no offer
    sold: NDArray[np.float64]  # (S,) what each seller sells
    bought: NDArray[np.float64]  # (B,) what each buyer buys
    volume: float


def clear(
    ask: NDArray[np.float64], supply: NDArray[np.float64], limit: NDArray[np.float64], demand: NDArray[np.float64]
) -> Cleared:
    """Cross supply and demand, in O((S + B) log(S + B)).

    Parameters
    ----------
    ask, supply : ndarray
        (S,) least price of each seller, and its quantity >= 0, divisible.
    limit, demand : ndarray
        (B,) most that each buyer pays, and its quantity >= 0, divisible.

    Returns
    -------
    Cleared
        The largest volume at which the marginal buyer pays what the marginal seller asks. Offers at the margin with the
        same price get the same share: the order of the rows does not matter.
    """
    if not (supply.sum() > 0 and demand.sum() > 0):
        return Cleared(float("nan"), np.zeros_like(supply), np.zeros_like(demand), 0.0)
    asks, offered = _curve(ask, supply)
    limits, wanted = _curve(-limit, demand)
    limits = -limits
    # both curves are flat between these volumes; the price gap narrows from one to the next
    volumes = np.union1d(offered, wanted)
    volumes = volumes[volumes <= min(offered[-1], wanted[-1])]
    trades = limits[np.searchsorted(wanted, volumes)] >= asks[np.searchsorted(offered, volumes)]
    volume = float(volumes[trades][-1]) if trades[0] else 0.0
    # prices that clear: no seller beyond the volume would sell, no buyer beyond it buy; and those inside do. Both ends
    # are finite: there is a last seller and buyer, or without a trade a first one left out
    low = max(_last(asks, offered, volume, -np.inf), _next(limits, wanted, volume, -np.inf))
    high = min(_last(limits, wanted, volume, np.inf), _next(asks, offered, volume, np.inf))
    return Cleared(0.5 * (low + high), _share(ask, supply, volume), _share(-limit, demand, volume), volume)


def _curve(
    price: NDArray[np.float64], quantity: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prices in merit order, and the cumulative quantity up to each."""
    there = quantity > 0
    order = np.argsort(price[there], kind="stable")
    return price[there][order], np.cumsum(quantity[there][order])


def _last(price: NDArray[np.float64], upto: NDArray[np.float64], volume: float, otherwise: float) -> float:
    """Price of the last unit inside the volume."""
    return float(price[np.searchsorted(upto, volume)]) if volume > 0 else otherwise


def _next(price: NDArray[np.float64], upto: NDArray[np.float64], volume: float, otherwise: float) -> float:
    """Price of the first unit beyond the volume."""
    j = int(np.searchsorted(upto, volume, side="right"))
    return float(price[j]) if j < len(price) else otherwise


def _share(price: NDArray[np.float64], quantity: NDArray[np.float64], volume: float) -> NDArray[np.float64]:
    """Quantity taken of each offer, cheapest first, pro rata at the margin."""
    levels, which = np.unique(price, return_inverse=True)
    total = np.bincount(which, weights=quantity, minlength=len(levels))
    taken = np.clip(volume - (np.cumsum(total) - total), 0.0, total)
    return quantity * np.divide(taken, total, out=np.zeros_like(taken), where=total > 0)[which]


def auctioned(
    offers: dict[str, NDArray[np.float64]], public: Public, rules: MarketRules
) -> tuple[dict[str, NDArray[np.float64]], Cleared]:
    """Hold the auction: what each home bids, given what all have declared.

    Parameters
    ----------
    offers : dict
        (N,) each, as `vpp_policies.truthful.own_offers` and `bids.encode` have them; the only thing read of the homes.
    public : Public
        The wholesale market takes up to `required_kw` at the expected sale price less the margin, and gives up to the
        VPP's maximum at the expected price (a kWh bought where an event pays for sales costs what its sale would
        have brought). Expected real time is the published day-ahead price.
    rules : MarketRules
        The market's rules.

    Returns
    -------
    dict, Cleared
        The offers with the auction's price in the place of the asks and limits of those who trade; and the clearing on
        whole ticks and quanta: the sellers are the first lines of all homes, then the second ones, and the last row on
        each side is the wholesale market.
    """
    asked, kw = (_lines(offers, x) for x in ("ask", "kw"))
    ask, limit = np.ceil(asked / PRICE_TICK - 1e-6), np.floor(offers["buy_limit"] / PRICE_TICK + 1e-6)
    sell, buy = (np.floor(x / POWER_QUANTUM_KW + 1e-6) for x in (kw, offers["buy_kw"]))
    outlet = np.floor(public.expected_sale_price / (1.0 + rules.margin) / PRICE_TICK + 1e-9)
    source = max(np.ceil(public.expected_lmp / PRICE_TICK - 1e-9), outlet)
    # whole quanta on both sides: sums are exact in any order
    most_sold, most_bought = (
        np.floor(kw / POWER_QUANTUM_KW + 1e-6) for kw in (public.required_kw, rules.max_capacity_kw)
    )
    cleared = clear(
        np.append(ask, source), np.append(sell, most_bought), np.append(limit, outlet), np.append(buy, most_sold)
    )
    # on a whole tick between the last ask and the last limit; what a bid cannot say is clipped, never against its home
    price = np.floor(cleared.price + 1e-9) * PRICE_TICK
    least, most = max(price, SELL_ASK_RANGE[0]), max(price, BUY_LIMIT_RANGE[0])
    sells, buys = cleared.sold[:-1] > 0, cleared.bought[:-1] > 0
    first, second = np.maximum(asked, np.where(sells, min(least, SELL_ASK_RANGE[1]), 0.0)).reshape(2, -1)
    return {
        **offers,
        "sell1_ask": first,
        "sell2_ask": second,
        "buy_limit": np.where(buys, np.minimum(offers["buy_limit"], most), offers["buy_limit"]),
    }, cleared


def _lines(offers: dict[str, NDArray[np.float64]], what: str) -> NDArray[np.float64]:
    """(2 N,) `kw` or `ask` of the sell lines: the first lines of all homes, then the second."""
    return np.concatenate([offers[f"sell1_{what}"], offers[f"sell2_{what}"]])


class Auction:
    """Uniform-price double auction of the prosumers' asks.

    Parameters
    ----------
    offer_rest : bool
        Homes that do not trade at the auction's price still bid, at their own ask and limit: a bid is a limit, and
        clears only where real time pays for it. False: they are sent away, and a home at the margin bids its share.
    """

    info = PolicyInfo(
        name="auction",
        information=Information.DECLARED,
        consent=Consent.OWN_BIDS,
        description="uniform-price double auction of the homes' asks and limits, with the wholesale market behind it",
        reference="Wilson, Econometrica 53 (1985); Rustichini, Satterthwaite, Williams, Econometrica 62 (1994)",
    )

    def __init__(self, offer_rest: bool = True) -> None:
        self._offer_rest = offer_rest

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep the market's rules."""
        self._rules, self._profile = rules, MeteredProfile(rules)

    def act(self, view: View) -> Bids:
        """Take what the homes declare, hold the auction, bid its result."""
        rules = self._rules
        declared = own_offers(view.homes, view.public, rules)
        bids, cleared = auctioned(declared, view.public, rules)
        if not self._offer_rest:
            first, second = cleared.sold[:-1].reshape(2, -1) * POWER_QUANTUM_KW
            bids |= {"sell1_kw": first, "sell2_kw": second, "buy_kw": cleared.bought[:-1] * POWER_QUANTUM_KW}
        trades = (cleared.sold[:-1].reshape(2, -1) > 0).any(axis=0) | (cleared.bought[:-1] > 0)
        return Bids(
            encode(rules.sell_limit_kw, rules.buy_limit_kw, **bids),
            notes={"auction_price": cleared.price * PRICE_TICK, "auction_trades": float(trades.sum())},
            day_ahead=self._profile.schedule(view, declared),
        )
