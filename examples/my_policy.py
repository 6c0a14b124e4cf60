"""A policy of your own in one file: storage and deferred charging on offer in the evening, at the owners' asks.

python examples/my_policy.py
python benchmarks/compare.py --scenario week20 --policies examples/my_policy.py:EveningPeak truthful
"""

import numpy as np

import vpp_env
from vpp_env import Bids, Consent, Information, MarketRules, PolicyInfo, View


class EveningPeak:
    """Every home offers what its owner allows from 17 to 21 h, at the higher of the owner's two asks and a markup.

    Parameters
    ----------
    markup_usd_per_kwh : float
        Added to every ask.
    """

    info = PolicyInfo(
        name="evening_peak",
        information=Information.OWN,
        consent=Consent.OWN_BIDS,
        description="storage and deferred charging from 17 to 21 h, at the owners' asks",
    )

    def __init__(self, markup_usd_per_kwh: float = 0.0) -> None:
        self.markup = markup_usd_per_kwh
        self.rules: MarketRules | None = None

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month: keep the device limits that bids are encoded with."""
        self.rules = rules

    def act(self, view: View) -> Bids:
        """Bid for the next opportunity."""
        if self.rules is None:
            raise vpp_env.PolicyError("act() before reset(): call reset(rules, rng) first")
        homes, evening = view.homes, 17 <= view.public.start.hour < 21
        sell_kw = (
            homes.willingness * (homes.storage_sell_kw + homes.defer_kw) if evening else np.zeros(len(homes.soc_kwh))
        )
        ask = np.maximum(homes.own_ask, homes.defer_ask) + self.markup
        actions = vpp_env.encode(self.rules.sell_limit_kw, self.rules.buy_limit_kw, sell1_kw=sell_kw, sell1_ask=ask)
        return Bids(actions, notes={"homes_offering": float((sell_kw > 0).sum())})


def main() -> None:
    """Play a week of 20 homes and print what it was worth."""
    month = vpp_env.Month(vpp_env.load_scenario("week20"), seed=0)
    for policy in (EveningPeak(), vpp_env.make_policy("truthful")):
        run = vpp_env.simulate(month, policy)
        kpis = vpp_env.summarize(run)
        profit, benefit = kpis["total_profit"], kpis["member_net_benefit"]
        print(f"{policy.info.name:14} VPP {profit:7.2f} USD, owners {benefit:7.2f} USD")


if __name__ == "__main__":
    main()
