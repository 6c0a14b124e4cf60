"""Policies that misbehave, for tests only."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from vpp_env.contract.bids import N_ACTION, Bids
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo
from vpp_env.contract.views import Information, View


class _Nothing:
    info = PolicyInfo("nothing", Information.OWN, Consent.NEVER, "bids nothing until something happens")

    def __init__(self, at: int = 3) -> None:
        self._at = at

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        self._n = rules.n_homes

    def act(self, view: View) -> Bids:
        if view.public.opportunity == self._at:
            self.happen()
        return Bids(-np.ones((self._n, N_ACTION), dtype=np.float32))

    def happen(self) -> None:
        raise NotImplementedError


class Broken(_Nothing):
    """Raises in the middle of a month."""

    def happen(self) -> None:
        raise RuntimeError("the model is away")


class Picky(_Nothing):
    """Plays any month but those of so many homes."""

    def __init__(self, homes: int) -> None:
        super().__init__(at=-1)
        self._not = homes

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        super().reset(rules, rng)
        if rules.n_homes == self._not:
            raise RuntimeError(f"not {self._not} homes")


class Interrupting(_Nothing):
    """Is where Ctrl-C hits: the evaluator is told so, and this opportunity takes as long as it needs to hear it."""

    def happen(self) -> None:
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(0.5)


class Slow(_Nothing):
    """Takes its time."""

    def __init__(self, seconds: float = 0.2) -> None:
        super().__init__(at=-1)
        self._seconds = seconds

    def act(self, view: View) -> Bids:
        time.sleep(self._seconds)
        return super().act(view)


class Sometimes(_Nothing):
    """Raises in the months of some fleets."""

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        super().reset(rules, rng)
        self._bad = int(rules.sell_limit_kw.sum()) % 2 == 0

    def happen(self) -> None:
        if self._bad:
            raise RuntimeError("this fleet is too much")
