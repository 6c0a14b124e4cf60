"""Policies that misbehave in every way that a run must survive, for tests only."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from vpp_env.contract.bids import N_ACTION, Bids
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo
from vpp_env.contract.views import Information, View


class Mute(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Misbehaves:
    """Does what is named at the second gate: `how` is a key of `WAYS`."""

    info = PolicyInfo("misbehaves", Information.OWN, Consent.NEVER, "misbehaves")

    def __init__(self, how: str) -> None:
        self._how = how

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        self._n = rules.n_homes

    def act(self, view: View) -> Any:
        nothing = -np.ones((self._n, N_ACTION), dtype=np.float32)
        return WAYS[self._how](nothing) if view.public.opportunity == 1 else Bids(nothing)


def _exits(nothing: Any) -> Any:
    sys.exit(3)


def _interrupts(nothing: Any) -> Any:
    raise KeyboardInterrupt


def _bare(nothing: Any) -> Any:
    raise BaseException("as bare as can be")


def _mute(nothing: Any) -> Any:
    raise Mute


def _recurses(nothing: Any) -> Any:
    return _recurses(nothing)


def _hangs(nothing: Any) -> Any:
    time.sleep(60)


WAYS: dict[str, Any] = {
    "exits": _exits,
    "interrupts": _interrupts,
    "bare": _bare,
    "mute": _mute,
    "recurses": _recurses,
    "hangs": _hangs,
    "none": lambda nothing: None,
    "array": lambda nothing: nothing,
    "shape": lambda nothing: Bids(nothing[:-1]),
    "notes": lambda nothing: Bids(nothing, notes={"mood": "fine"}),  # type: ignore[dict-item]
    "huge": lambda nothing: Bids(nothing, notes={"n": 10**400}),
    "transcript": lambda nothing: Bids(nothing, transcript=[{"text": "\ud800"}]),
    "accepted": lambda nothing: Bids(nothing, accepted=np.ones(3)),  # type: ignore[arg-type]
}
