"""Policies that cheat, die or hang, for tests only; each says how."""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import Any

import numpy as np

from vpp_env.contract.bids import Bids, encode
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo
from vpp_env.contract.views import Information, View


def _coming(world: Any) -> float:
    """The mean real-time price, USD/kWh, of the hour that is bid for, out of the world itself."""
    return float(world.exchange.rt[0, world.delivery :][:4].mean())


class Honest:
    """Offers what its own row has, at its own ask."""

    info = PolicyInfo("honest", Information.OWN, Consent.OWN_BIDS, "own rows only")

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        self.rules, self.rng, self.gate = rules, rng, 0

    def act(self, view: View) -> Bids:
        self.gate += 1
        return Bids(
            encode(
                self.rules.sell_limit_kw,
                self.rules.buy_limit_kw,
                sell1_kw=view.homes.storage_sell_kw,
                sell1_ask=view.homes.own_ask + self.more(view),
            )
        )

    def more(self, view: View) -> Any:
        """What is added to the ask, USD/kWh, a number or one a home."""
        return 0.0


class Dies(Honest):
    def more(self, view: View) -> Any:
        print("last words", flush=True)
        os._exit(7)


class Raises(Honest):
    def more(self, view: View) -> Any:
        raise RuntimeError("the model is away")


class Hangs(Honest):
    def more(self, view: View) -> Any:
        time.sleep(60)


class Asks(Honest):
    """Asks for the future without having declared it."""

    def more(self, view: View) -> Any:
        object.__setattr__(view, "information", Information.ORACLE)
        return view.future(1).rt_usd_per_kwh[0]


class Sees(Honest):
    """Is granted the future, and uses it."""

    info = PolicyInfo("sees", Information.ORACLE, Consent.NEVER, "the future")

    def more(self, view: View) -> Any:
        return 0.01 * float(view.future(2).rt_usd_per_kwh.mean()) + 0.001 * float(view.foresight().lmp.std())


class Searches(Honest):
    """Looks for the world through the collector and the frames, and for the future in what it finds."""

    def more(self, view: View) -> Any:
        from vpp_env.simulation.month import Month
        from vpp_env.simulation.world import World

        frame, found = sys._getframe(), [x for x in gc.get_objects() if type(x) in (World, Month)]
        while frame.f_back is not None:
            frame = frame.f_back
            found += [x for x in frame.f_locals.values() if isinstance(x, World | Month)]
        worlds = [x for x in found if isinstance(x, World)]
        return 0.01 + 0.01 * _coming(worlds[0]) if worlds else 0.0


class Pickles(Honest):
    """Answers with an object that would execute if it were unpickled."""

    def act(self, view: View) -> Any:
        return Bomb()


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/vpp_env_bomb",)


class Mixes(Honest):
    """Adds a fraction of the fleet's mean ask to each home's own."""

    def more(self, view: View) -> Any:
        return 0.1 * view.homes.own_ask.mean()


class Follows(Honest):
    """One home's ask follows the state of one other home."""

    def __init__(self, row: int = 0, other: int = 5, part: str = "soc_kwh") -> None:
        self.row, self.other, self.part = row, other, part

    def more(self, view: View) -> Any:
        more = np.zeros(len(view.homes.own_ask))
        # many ticks of the ask, and never so much that there is no bid left
        more[self.row] = 0.1 * (7.3 * float(getattr(view.homes, self.part)[self.other]) % 1.0)
        return more


class Remembers(Honest):
    """Uses what other homes were like at the gate before, never what they are."""

    def __init__(self) -> None:
        self.past = 0.0

    def more(self, view: View) -> Any:
        past, self.past = self.past, 0.1 * float(view.homes.own_ask.mean())
        return past


class Rolls(Honest):
    """Draws numbers that are its own every time."""

    def more(self, view: View) -> Any:
        return np.random.default_rng().uniform(0.0, 0.1)


class Keeps(Honest):
    """Is allowed to remember: each home its own past."""

    def more(self, view: View) -> Any:
        own = getattr(self, "past", 0.0)
        self.past = 0.1 * view.homes.own_ask
        return own


class Peeks(Honest):
    """In the evaluator's own process: finds the world by the frames of its callers, and the price to come in it."""

    def more(self, view: View) -> Any:
        frame = sys._getframe()
        while frame is not None and "world" not in frame.f_locals:
            frame = frame.f_back  # type: ignore[assignment]
        return 0.05 * _coming(frame.f_locals["world"]) if frame else 0.0
